/* SPDX-License-Identifier: MIT */
#ifndef BENCH_LIB_MEASURE_H
#define BENCH_LIB_MEASURE_H

#include "common/base/cli.h"

#include <stdint.h>
#include <time.h>

/* What the benchmarks share. */

/* cli_parse for a program that has no options but the common ones; doc as argp's. */
NODISCARD enum err_code common_options(struct cli *cli, int argc, char **argv, const char *name,
                                       const char *doc, struct err *e);

/* CLOCK_MONOTONIC or CLOCK_PROCESS_CPUTIME_ID. */
double seconds(clockid_t clock);

/* Sorts v. n >= 1. */
double median(double *v, int64_t n);

/* Fused multiply-adds of float32 per second that `threads` threads reach with everything in
 * registers, in GFLOP/s (a multiply-add is two): the best of several tries of a few milliseconds,
 * since whatever else runs can only slow them down. In the widest vectors that the compiler was
 * told of (SYNIB_NATIVE). */
double peak_gflops(int threads);
/* Of these vectors. */
int peak_vector_bits(void);

#endif
