/* SPDX-License-Identifier: MIT */
#include "common/data/tsv.h"
#include "prep/split_audit.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

/* Split files of any origin: our manifests, JSON, CSV, lists. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *file = fuzz_copy(data, size);
    struct audit a = {0};
    struct err e = {0};

    if (audit_read_mem(&a, "x.csv", file, size, &e) != ERR_OK)
        fuzz_check_err(&e, 20);
    else
        FUZZ_CHECK(a.count > 0);
    FUZZ_CHECK(a.parts <= AUDIT_MAX_PARTS && a.folds <= AUDIT_MAX_FOLDS);
    for (int i = 0; i < a.parts; i++)
        FUZZ_CHECK(a.part[i][0] != '\0' && tsv_cell_ok(a.part[i]));
    for (int i = 0; i < a.folds; i++)
        FUZZ_CHECK(tsv_cell_ok(a.fold[i]));
    for (size_t i = 0; i < a.count; i++) {
        const struct audit_entry *entry = &a.entry[i];

        FUZZ_CHECK(entry->fold >= 0 && entry->fold < a.folds);
        FUZZ_CHECK(entry->part >= 0 && entry->part < a.parts);
        FUZZ_CHECK(entry->actor >= 0 && entry->actor <= 9999);
        FUZZ_CHECK(memchr(entry->clip, 0, sizeof entry->clip) != NULL && tsv_cell_ok(entry->clip));
    }
    audit_free(&a);
    free(file);
    return 0;
}
