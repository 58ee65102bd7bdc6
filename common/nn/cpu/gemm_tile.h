/* SPDX-License-Identifier: MIT */
#ifndef COMMON_NN_CPU_GEMM_TILE_H
#define COMMON_NN_CPU_GEMM_TILE_H

#include <stdint.h>

/* Inner kernels of the matrix product. They alone use fused multiply-adds: twice the speed, and the
 * bits then depend on whether the program was built for a machine that has them, and through
 * gemm_dots on its lanes. TILE_BITS names both. The fusing is written out and not left to the
 * compiler, so the bits do not depend on that or its options. */

#if defined(__AVX512F__)
enum { TILE_ROWS = 12, TILE_LANES = 16 };
#define TILE_BITS "16 lanes, fused"
#else
enum { TILE_ROWS = 6, TILE_LANES = 8 };
#if defined(__AVX2__) && defined(__FMA__)
#define TILE_BITS "8 lanes, fused"
#else
#define TILE_BITS "8 lanes, not fused"
#endif
#endif
enum { TILE_COLS = 2 * TILE_LANES };

/* What a tile does beside its sums: C = beta from + alpha sum, `from` not read when beta is 0. */
struct tile_out {
    float *c;
    const float *from; /* C itself, or other rows ld_from apart */
    int64_t ldc, ld_from;
    float alpha, beta;
    const float *ahead;              /* brought nearer meanwhile: k times TILE_LANES floats, ... */
    int64_t ahead_lines, ahead_step; /* ... so many in a row, rows so many floats apart */
};

/* `rows` rows of A (1 to TILE_ROWS), `row_step` apart, their elements `step` apart (one of the two
 * is 1), times a panel of TILE_COLS columns of B, rows `ldb` apart; both k long, added in order of
 * k. */
void gemm_tile(int64_t rows, int64_t k, const float *a, int64_t row_step, int64_t step,
               const float *b, int64_t ldb, const struct tile_out *out);

/* out[i] = dot product of row[i] and b, both k long; TILE_LANES partial sums, added pairwise. */
enum { GEMM_DOTS = 8 };
void gemm_dots(int64_t k, const float *const row[GEMM_DOTS], const float *b, float out[GEMM_DOTS]);

#endif
