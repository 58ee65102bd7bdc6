/* SPDX-License-Identifier: MIT */
#include "common/nn/cpu/gemm_tile.h"

#include "common/nn/cpu/cpu.h"
#include "common/nn/cpu/transpose.h"

#include <math.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

/* Unaligned: what they are loaded from may be the caller's own rows. */
typedef float lanes __attribute__((vector_size(TILE_LANES * sizeof(float)), aligned(4), may_alias));
typedef float eight __attribute__((vector_size(32), aligned(4), may_alias));

/* *sum += a * *b, with one rounding where the machine has that. */
INLINE void add_product(lanes *sum, const lanes *a, const lanes *b)
{
#if defined(__AVX512F__)
    *sum = (lanes)_mm512_fmadd_ps((__m512)*a, (__m512)*b, (__m512)*sum);
#elif defined(__AVX2__) && defined(__FMA__)
    *sum = (lanes)_mm256_fmadd_ps((__m256)*a, (__m256)*b, (__m256)*sum);
#else
    *sum += *a * *b;
#endif
}

INLINE float sum_product(float sum, float a, float b)
{
#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))
    return fmaf(a, b, sum);
#else
    return sum + a * b;
#endif
}

INLINE void tile(const int rows, int64_t k, const float *a, int64_t row_step, int64_t step,
                 const float *b, int64_t ldb, const struct tile_out *out)
{
    lanes left[TILE_ROWS], right[TILE_ROWS]; /* in registers once the loops are unrolled */
    const float *row[TILE_ROWS], *ahead = out->ahead;
    int64_t line = 0, to_next_row = out->ahead_step - (out->ahead_lines - 1) * TILE_LANES;

#pragma GCC unroll 12
    for (int i = 0; i < rows; i++) {
        left[i] = right[i] = (lanes){0};
        row[i] = a + i * row_step;
        __builtin_prefetch(out->c + i * out->ldc, 1);
        __builtin_prefetch(out->c + i * out->ldc + TILE_LANES, 1);
    }
    for (int64_t p = 0; p < k; p++) {
        lanes b0 = *(const lanes *)(b + p * ldb);
        lanes b1 = *(const lanes *)(b + p * ldb + TILE_LANES);

        __builtin_prefetch(ahead, 0, 2);
        line++;
        ahead += line < out->ahead_lines ? TILE_LANES : to_next_row;
        line = line < out->ahead_lines ? line : 0;
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            lanes x = row[i][p * step] - (lanes){0}; /* a copy in every lane */

            add_product(&left[i], &x, &b0);
            add_product(&right[i], &x, &b1);
        }
    }
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++) {
        lanes *c = (lanes *)(out->c + i * out->ldc);
        lanes sum0 = out->alpha * left[i], sum1 = out->alpha * right[i];

        if (out->beta != 0) {
            const lanes *from = (const lanes *)(out->from + i * out->ld_from);
            lanes beta = out->beta - (lanes){0};

            add_product(&sum0, &beta, &from[0]);
            add_product(&sum1, &beta, &from[1]);
        }
        c[0] = sum0;
        c[1] = sum1;
    }
}

INLINE void tile_of(int64_t rows, int64_t k, const float *a, int64_t row_step, int64_t step,
                    const float *b, int64_t ldb, const struct tile_out *out)
{
#define ROWS(n) \
    case n: tile(n, k, a, row_step, step, b, ldb, out); break
    switch (rows) {
        ROWS(1);
        ROWS(2);
        ROWS(3);
        ROWS(4);
        ROWS(5);
        ROWS(6);
#ifdef __AVX512F__
        ROWS(7);
        ROWS(8);
        ROWS(9);
        ROWS(10);
        ROWS(11);
        ROWS(12);
#endif
    }
#undef ROWS
}

void gemm_tile(int64_t rows, int64_t k, const float *a, int64_t row_step, int64_t step,
               const float *b, int64_t ldb, const struct tile_out *out)
{
    if (step == 1)
        tile_of(rows, k, a, row_step, 1, b, ldb, out);
    else
        tile_of(rows, k, a, 1, step, b, ldb, out);
}

void gemm_dots(int64_t k, const float *const row[GEMM_DOTS], const float *b, float out[GEMM_DOTS])
{
    lanes sum[GEMM_DOTS] = {{0}};
    float part[GEMM_DOTS][GEMM_DOTS], turned[GEMM_DOTS][GEMM_DOTS];
    float rest[GEMM_DOTS] = {0};
    int64_t p = 0;

    for (; p + TILE_LANES <= k; p += TILE_LANES) {
        lanes v = *(const lanes *)(b + p);
#pragma GCC unroll 8
        for (int i = 0; i < GEMM_DOTS; i++)
            add_product(&sum[i], (const lanes *)(row[i] + p), &v);
    }
    for (; p < k; p++)
        for (int i = 0; i < GEMM_DOTS; i++)
            rest[i] = sum_product(rest[i], row[i][p], b[p]);
#pragma GCC unroll 8
    for (int i = 0; i < GEMM_DOTS; i++) {
        float all[TILE_LANES];
        eight half = {0};
        *(lanes *)all = sum[i];
        for (int l = 0; l < TILE_LANES; l += 8)
            half += *(const eight *)(all + l);
        *(eight *)part[i] = half;
    }
    transpose8(part[0], GEMM_DOTS, turned[0], GEMM_DOTS);
    for (int width = GEMM_DOTS / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            *(eight *)turned[i] += *(const eight *)turned[i + width];
    *(eight *)out = *(const eight *)turned[0] + *(const eight *)rest;
}
