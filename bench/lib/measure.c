/* SPDX-License-Identifier: MIT */
#include "bench/lib/measure.h"

#include <stdlib.h>

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
    (void)arg;
    if (key != ARGP_KEY_INIT)
        return ARGP_ERR_UNKNOWN;
    state->child_inputs[0] = state->input;
    return 0;
}

enum err_code common_options(struct cli *cli, int argc, char **argv, const char *name,
                             const char *doc, struct err *e)
{
    static const struct argp_child children[] = {CLI_CHILD, {0}};
    const struct argp argp = {NULL, parse_common, NULL, doc, children, NULL, NULL};

    return cli_parse(&argp, argc, argv, name, cli, cli, e);
}

double seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double median(double *v, int64_t n)
{
    qsort(v, (size_t)n, sizeof *v, ascending);
    return (v[(n - 1) / 2] + v[n / 2]) / 2;
}
