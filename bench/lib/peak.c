/* SPDX-License-Identifier: MIT */
#include "bench/lib/measure.h"
#include "common/base/parallel.h"

/* This file alone may contract a * b + c (bench/CMakeLists.txt). */

#if defined __AVX512F__
enum { BITS = 512 };
#elif defined __AVX__
enum { BITS = 256 };
#else
enum { BITS = 128 };
#endif

/* Two multiply-adds a cycle that take four or five cycles need ten independent sums; twelve still
 * fit into sixteen registers. */
enum { SUMS = 12, LANES = BITS / 32, LOOPS = 1 << 20, TRIES = 100 };
typedef float vector __attribute__((vector_size(BITS / 8)));

static volatile float factor = 0.999F, term = 0.001F, sink;

static void multiply_add(void *ctx, int64_t i, int worker)
{
    vector sum[SUMS], a = factor - (vector){0}, b = term - (vector){0};
    float total = 0;

    (void)ctx;
    (void)i;
    (void)worker;
    for (int k = 0; k < SUMS; k++)
        sum[k] = b * (float)k;
    for (int loop = 0; loop < LOOPS; loop++)
        for (int k = 0; k < SUMS; k++)
            sum[k] = sum[k] * a + b;
    for (int k = 0; k < SUMS; k++)
        total += sum[k][0];
    sink = total;
}

double peak_gflops(int threads)
{
    double flop = 2.0 * SUMS * LANES * LOOPS * threads, best = 0;

    for (int try = 0; try < TRIES; try++) {
        double taken = seconds(CLOCK_MONOTONIC);

        parallel_for(threads, threads, multiply_add, NULL);
        taken = seconds(CLOCK_MONOTONIC) - taken;
        if (flop / taken > best)
            best = flop / taken;
    }
    return best * 1e-9;
}

int peak_vector_bits(void)
{
    return BITS;
}
