/* SPDX-License-Identifier: MIT */
#ifndef COMMON_NN_CPU_GEMM_TILE_H
#define COMMON_NN_CPU_GEMM_TILE_H

#include <stdint.h>

/* The inner kernel of the matrix product. Its file alone is compiled with contraction to fused
 * multiply-adds: twice the speed, and the bits then depend on whether the machine has them. */

#if defined(__AVX512F__)
enum { TILE_ROWS = 12, TILE_LANES = 16 };
#else
enum { TILE_ROWS = 6, TILE_LANES = 8 };
#endif
enum { TILE_COLS = 2 * TILE_LANES };

/* sum = A B for TILE_ROWS rows of A, row i at a[i], elements `step` apart, and a panel of TILE_COLS
 * columns of B, rows `ldb` apart; both k long. The sum runs in order of k. */
void gemm_tile(int64_t k, const float *const a[TILE_ROWS], int64_t step, const float *b,
               int64_t ldb, float sum[TILE_ROWS][TILE_COLS]);

#endif
