/* SPDX-License-Identifier: MIT */
#include "common/data/tsv.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Manifests of any kind. Of what is accepted the cells, put together again, are the file byte for
 * byte. */

static void take_text(const uint8_t *file, size_t size, size_t *at, const char *text, char after)
{
    size_t n = strlen(text);

    FUZZ_CHECK(n < size - *at && memcmp(file + *at, text, n) == 0 && file[*at + n] == after);
    *at += n + 1;
}

static void put_together(const struct tsv *t, const char *kind, const uint8_t *file, size_t size)
{
    char head[80];
    size_t at = 0;
    int columns = 1;

    snprintf(head, sizeof head, "#synib-%s 1", kind);
    take_text(file, size, &at, head, '\n');
    for (; at < size && file[at] != '\n'; at++)
        columns += file[at] == '\t';
    at++;
    for (size_t row = 0; row < tsv_rows(t); row++)
        for (int c = 0; c < columns; c++) {
            FUZZ_CHECK(tsv_cell_ok(tsv_cell(t, row, c)));
            take_text(file, size, &at, tsv_cell(t, row, c), c + 1 < columns ? '\t' : '\n');
        }
    FUZZ_CHECK(at == size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const columns[] = {"clip", NULL};
    uint8_t *file = fuzz_copy(data, size);
    const char *begin = strncmp((const char *)file, "#synib-", 7) == 0 ? (char *)file + 7 : "clips";
    struct tsv *t = NULL;
    struct err e = {0};
    char kind[33];

    snprintf(kind, sizeof kind, "%.*s", (int)strspn(begin, "abcdefghijklmnopqrstuvwxyz-"), begin);
    if (tsv_parse(&t, "x", kind, size % 2 == 0 ? columns : NULL, file, size, &e) != ERR_OK) {
        FUZZ_CHECK(t == NULL);
        fuzz_check_err(&e, 20);
    } else {
        put_together(t, kind, file, size);
    }
    tsv_free(t);
    free(file);
    return 0;
}
