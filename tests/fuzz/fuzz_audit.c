/* SPDX-License-Identifier: MIT */
/* Foreign split files (CSV, TSV, JSON, lists), as synib-split --audit reads them. */
#include "prep/split_audit.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const char *path = fuzz_file(data, len);
    struct audit a = {0};
    struct err e = {0};
    enum err_code code = audit_read(&a, path, &e);

    fuzz_check(a.parts >= 0 && a.parts <= AUDIT_MAX_PARTS && a.folds <= AUDIT_MAX_FOLDS, "limits");
    if (code == ERR_OK)
        for (size_t i = 0; i < a.count; i++) {
            fuzz_check(a.entry[i].part >= 0 && a.entry[i].part < a.parts, "parts have names");
            fuzz_check(a.entry[i].fold >= 0 && a.entry[i].fold < a.folds, "folds have names");
        }
    audit_free(&a);
    fuzz_check_err(code, &e, path, fuzz_bad_file);
    return 0;
}
