/* SPDX-License-Identifier: MIT */
#include "bench/lib/measure.h"
#include "common/base/cli.h"
#include "common/base/parallel.h"

#include <stdio.h>

/* What no kernel on this machine can pass: float32 multiply-adds in registers, on one thread and on
 * all. Prints a line for each number of threads: threads, GFLOP/s. */

static error_t parse(int key, char *arg, struct argp_state *state)
{
    (void)arg;
    if (key != ARGP_KEY_INIT)
        return ARGP_ERR_UNKNOWN;
    state->child_inputs[0] = state->input;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct argp_child children[] = {CLI_CHILD, {0}};
    static const struct argp argp = {NULL,
                                     parse,
                                     NULL,
                                     "Measures the machine's float32 multiply-add peak.\v"
                                     "Example:\n  bench-peak -j 2\n"
                                     "Exit codes: 0 done, 1 failed, 2 bad command line.",
                                     children,
                                     NULL,
                                     NULL};
    struct cli cli = {0};
    struct err e = {0};
    int all;

    TRY(cli_parse(&argp, argc, argv, "bench-peak", &cli, &cli, &e));
    all = cli.jobs > 0 ? cli.jobs : parallel_cores();
    printf("threads\tGFLOP/s (float32 multiply-adds, vectors of %d bits)\n", peak_vector_bits());
    printf("1\t%.1f\n", peak_gflops(1));
    if (all > 1)
        printf("%d\t%.1f\n", all, peak_gflops(all));
out:
    return cli_finish("bench-peak", &e);
}
