/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/fuzz.h"
#include "train/sweep/plan.h"
#include "train/sweep/search.h"

#include <stdlib.h>
#include <string.h>

/* Plans of a sweep, and searches, which stand for plans. Every plan that a search gives is one. */

static struct tsv *table_of(const void *data, size_t size, const char *kind)
{
    struct tsv *t = NULL;
    struct err e = {0};

    if (tsv_parse(&t, "x", kind, plan_columns, data, size, &e) != ERR_OK)
        fuzz_check_err(&e, 20);
    return t;
}

/* The number of runs, 0 when the plan is refused. */
static size_t read_plan(const void *data, size_t size)
{
    struct tsv *t = table_of(data, size, "plan");
    struct plan p = {0};
    struct err e = {0};
    size_t n = 0;

    if (t == NULL)
        return 0;
    if (plan_take(&p, t, &e) != ERR_OK) {
        fuzz_check_err(&e, 20);
    } else {
        n = p.n;
        for (size_t i = 0; i < n; i++)
            FUZZ_CHECK(plan_find(&p, p.run[i].cell[PLAN_RUN]) == &p.run[i]);
    }
    plan_free(&p);
    return n;
}

static void read_search(const void *data, size_t size)
{
    struct search_options opt = {.path = "x", .draws = size % 4, .seed = 1};
    struct tsv *t = table_of(data, size, "search");
    char *text = NULL;
    size_t runs = 0;
    struct err e = {0};

    if (t == NULL)
        return;
    if (search_expand_table(&text, &runs, t, &opt, &e) != ERR_OK)
        fuzz_check_err(&e, 20);
    else if (runs < 100)
        FUZZ_CHECK(read_plan(text, strlen(text)) == runs);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    setenv("SYNIB_MANIFESTS", SOURCE_DIR "/manifests", 0);
    if (size > 8 && memcmp(data, "#synib-s", 8) == 0)
        read_search(data, size);
    else
        read_plan(data, size);
    return 0;
}
