/* SPDX-License-Identifier: MIT */
#include "bench/lib/measure.h"
#include "common/base/cli.h"
#include "common/base/parallel.h"

#include <stdio.h>

/* What no kernel on this machine can pass: float32 multiply-adds in registers, on one thread and on
 * all. Prints a line for each number of threads: threads, GFLOP/s. */

int main(int argc, char **argv)
{
    static const char doc[] = "Measures the machine's float32 multiply-add peak.\v"
                              "Example:\n  bench-peak -j 2\n"
                              "Exit codes: 0 done, 1 failed, 2 bad command line.";
    struct cli cli = {0};
    struct err e = {0};
    int all;

    TRY(common_options(&cli, argc, argv, "bench-peak", doc, &e));
    all = cli.jobs > 0 ? cli.jobs : parallel_cores();
    printf("threads\tGFLOP/s (float32 multiply-adds, vectors of %d bits)\n", peak_vector_bits());
    printf("1\t%.1f\n", peak_gflops(1));
    if (all > 1)
        printf("%d\t%.1f\n", all, peak_gflops(all));
out:
    return cli_finish("bench-peak", &e);
}
