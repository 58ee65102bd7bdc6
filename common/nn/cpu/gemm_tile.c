/* SPDX-License-Identifier: MIT */
#include "common/nn/cpu/gemm_tile.h"

/* Unaligned: B may be the caller's own rows. */
typedef float lanes __attribute__((vector_size(TILE_LANES * sizeof(float)), aligned(4), may_alias));

void gemm_tile(int64_t k, const float *const a[TILE_ROWS], int64_t step, const float *b,
               int64_t ldb, float sum[TILE_ROWS][TILE_COLS])
{
    lanes left[TILE_ROWS], right[TILE_ROWS]; /* in registers once the loops are unrolled */
    const float *row[TILE_ROWS];

#pragma GCC unroll 12
    for (int i = 0; i < TILE_ROWS; i++) {
        left[i] = right[i] = (lanes){0};
        row[i] = a[i];
    }
    for (int64_t p = 0; p < k; p++) {
        lanes b0 = *(const lanes *)(b + p * ldb);
        lanes b1 = *(const lanes *)(b + p * ldb + TILE_LANES);
#pragma GCC unroll 12
        for (int i = 0; i < TILE_ROWS; i++) {
            left[i] += row[i][p * step] * b0;
            right[i] += row[i][p * step] * b1;
        }
    }
#pragma GCC unroll 12
    for (int i = 0; i < TILE_ROWS; i++) {
        *(lanes *)&sum[i][0] = left[i];
        *(lanes *)&sum[i][TILE_LANES] = right[i];
    }
}
