/* SPDX-License-Identifier: MIT */
/* Plans and searches of synib-sweep; the first byte chooses. */
#include "tests/fuzz/fuzz.h"
#include "train/sweep/plan.h"
#include "train/sweep/search.h"

#include <stdlib.h>
#include <string.h>

/* ERR_IO: a preset or dataset that a row names cannot be opened. */
static const enum err_code refused[] = {ERR_USAGE, ERR_DATA, ERR_FORMAT, ERR_IO, ERR_OK};

static void check_plan(const char *path)
{
    struct plan p = {0};
    struct err e = {0};
    enum err_code code = plan_read(&p, path, &e);

    if (code == ERR_OK)
        for (size_t i = 0; i < p.n; i++)
            fuzz_check(plan_find(&p, p.run[i].cell[PLAN_RUN]) == &p.run[i], "names are unique");
    plan_free(&p);
    fuzz_check_err(code, &e, path, refused);
}

static void check_search(const char *path)
{
    struct search_options opt = {.path = path, .draws = 2, .seed = 1};
    struct err e = {0};
    char *text = NULL;
    size_t runs = 0;
    enum err_code code = search_expand(&text, &runs, &opt, &e);

    fuzz_check(code != ERR_OK || (text != NULL && runs >= 1 && runs <= SEARCH_RUNS), "limits");
    free(text);
    fuzz_check_err(code, &e, "", refused);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1)
        return 0;
    if (data[0] == 'p')
        check_plan(fuzz_file(data + 1, len - 1));
    else if (data[0] == 's')
        check_search(fuzz_file(data + 1, len - 1));
    return 0;
}
