/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/fuzz.h"
#include "train/report/run.h"
#include "train/sweep/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a report reads of a run: metrics.json, a NUL, predictions.tsv; or epochs.csv, which begins
 * with "epoch". */

static void read_epochs(const uint8_t *data, size_t size)
{
    char *text = (char *)fuzz_copy(data, size), *other = (char *)fuzz_copy(data, size);
    struct report_run r = {0};
    struct val_metrics v;
    struct err e = {0};

    if (report_run_curves(&r, text, "x", &e) != ERR_OK)
        fuzz_check_err(&e, 1);
    else
        for (size_t i = 0; i < r.points; i++)
            for (int c = 0; c < REPORT_CURVES; c++)
                FUZZ_CHECK(!isinf(r.curve[c][i]));
    err_clear(&e);
    if (sweep_val_metrics(&v, other, 1, &e) != ERR_OK)
        fuzz_check_err(&e, 1);
    report_run_free(&r);
    free(text);
    free(other);
}

static void check(const struct report_run *r)
{
    int64_t n = 0;

    FUZZ_CHECK(r->n > 0);
    for (int label = 0; label < r->classes; label++)
        for (int guess = 0; guess < r->classes; guess++)
            n += r->confusion.count[label][guess];
    FUZZ_CHECK(n == r->n);
    for (int64_t i = 0; i < r->n; i++) {
        FUZZ_CHECK(r->label[i] < r->classes && r->guess[i] < r->classes);
        FUZZ_CHECK(r->p[i] >= 0 && r->p[i] <= 1);
    }
}

static void read_results(const uint8_t *data, size_t size)
{
    static char identity[] = "data.kind = media\n";
    const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
    size_t json = nul != NULL ? (size_t)(nul - data) : size;
    uint8_t *text = fuzz_copy(data, size);
    struct report_run r = {.identity = strdup(identity), .method = "synib", .irony = -1};
    struct err e = {0};

    strcpy(r.checkpoint, "c");
    if (report_run_metrics(&r, "x", (char *)text, json, &e) != ERR_OK) {
        fuzz_check_err(&e, 1);
    } else if (r.missing == NULL && nul != NULL) {
        if (report_run_predictions(&r, "x", text + json + 1, size - json - 1, &e) != ERR_OK)
            fuzz_check_err(&e, 20);
        else
            check(&r);
    }
    report_run_free(&r);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 5 && memcmp(data, "epoch", 5) == 0)
        read_epochs(data, size);
    else
        read_results(data, size);
    return 0;
}
