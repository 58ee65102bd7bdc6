/* SPDX-License-Identifier: MIT */
#ifndef COMMON_NN_CPU_POOL_H
#define COMMON_NN_CPU_POOL_H

#include "common/nn/cpu/cpu.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

/* What max pool alone (pool.c) and behind batch norm (batchnorm_pool.c) share: a row of windows,
 * and a row of pixels in the other direction. */

enum { MAX_WINDOW = 15 /* the winner's index fits a byte */ };

struct pool_run {
    const struct bn_shape *s;
    int block, k, stride, pad;
    int64_t oh, ow, frames;
    const float *in;
    float *out;
    const uint8_t *argmax;
    uint8_t *argmax_out;
};

/* Checks shape and window, fills in block, oh and ow. */
NODISCARD enum err_code pool_begin(struct nn *nn, struct pool_run *r, struct err *e);

/* Taps of a window, or windows over a position, along one axis: begin..end-1. */
struct span {
    int64_t begin, end;
};

/* Taps of the window from `start` on that are inside the picture. */
static inline struct span taps(int64_t start, int k, int64_t size)
{
    struct span t = {start < 0 ? -start : 0, k};

    if (start + k > size)
        t.end = size - start;
    return t;
}

/* ---- forward ---- */

/* One window, whose taps inside the picture are ty and tx; row[i] is where the picture's row under
 * the window's row i begins, ix the window's first column. */
INLINE void max_pixel(const float *const *row, struct span ty, struct span tx, int64_t ix,
                      const int k, float *y, uint8_t *argmax, const int b)
{
    for (int l = 0; l < b; l += LANES) {
        v8f best = V8F_CONST(row[ty.begin] + (ix + tx.begin) * b + l);
        v8i winner = (v8i){0} + (int32_t)(ty.begin * k + tx.begin);
        for (int64_t i = ty.begin; i < ty.end; i++) {
            for (int64_t j = tx.begin; j < tx.end; j++) {
                v8f v = V8F_CONST(row[i] + (ix + j) * b + l);
                v8i index = (v8i){0} + (int32_t)(i * k + j);
                v8i take = ~(v <= best) & (best == best); /* larger, or the first NaN */
                best = (v8f)(((v8i)v & take) | ((v8i)best & ~take));
                winner = (index & take) | (winner & ~take);
            }
        }
        V8F(y + l) = best;
        *(v8u8 *)(argmax + l) = __builtin_convertvector(winner, v8u8);
    }
}

/* A row of windows of k x k; y and argmax are where its results begin. */
INLINE void max_windows(const struct pool_run *r, const float *const *row, struct span ty,
                        const int k, float *y, uint8_t *argmax, const int b)
{
    const struct span all = {0, k};

    for (int64_t ox = 0; ox < r->ow; ox++) {
        int64_t ix = ox * r->stride - r->pad;
        struct span tx = taps(ix, k, r->s->w);

        if (ty.begin == 0 && tx.begin == 0 && ty.end == k && tx.end == k)
            max_pixel(row, all, all, ix, k, y + ox * b, argmax + ox * b, b);
        else
            max_pixel(row, ty, tx, ix, k, y + ox * b, argmax + ox * b, b);
    }
}

/* The same of r; a constant k lets the compiler unroll the loops over a window. */
INLINE void max_row(const struct pool_run *r, const float *const *row, struct span ty, float *y,
                    uint8_t *argmax, const int b)
{
    if (r->k == 3)
        max_windows(r, row, ty, 3, y, argmax, b);
    else
        max_windows(r, row, ty, r->k, y, argmax, b);
}

/* ---- backward ---- */

/* Windows that reach position `at` of the padded axis. */
static inline struct span windows_over(int64_t at, int k, int stride, int64_t outputs)
{
    struct span o = {at < k ? 0 : (at - k) / stride + 1, at / stride + 1};

    if (o.end > outputs)
        o.end = outputs;
    return o;
}

/* Lanes whose byte at `winner` is `tap`. */
INLINE v8i won_by(const uint8_t *winner, int64_t tap)
{
#ifdef __AVX2__ /* gcc 12 widens bytes to words one by one */
    v8i won = (v8i)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)winner));
#else
    v8i won = __builtin_convertvector(*(const v8u8 *)winner, v8i);
#endif
    return won == (int32_t)tap;
}

/* Gathers: an input pixel adds up the windows that it won, in window order. They are ny x nx from
 * number `first` on, of which it is at `tap`. */
INLINE void max_pixel_back(const struct pool_run *r, int64_t first, int64_t tap, const int64_t ny,
                           const int64_t nx, const int k, const int stride, float *dx, const int b)
{
    for (int l = 0; l < b; l += LANES) {
        v8f sum = {0};
        for (int64_t i = 0; i < ny; i++) {
            for (int64_t j = 0; j < nx; j++) {
                int64_t at = (first + i * r->ow + j) * b + l;
                v8i won = won_by(r->argmax + at, tap - (i * k + j) * stride);
                sum += V8F_KEEP(won, V8F_CONST(r->in + at));
            }
        }
        V8F(dx + l) = sum;
    }
}

/* Pixels ix of row iy, which ny rows of windows from oy on reach. */
INLINE void max_pixels_back(const struct pool_run *r, int64_t plane, int64_t iy, struct span ix,
                            int64_t oy, const int64_t ny, const int k, const int stride, float *dx,
                            const int b)
{
    int64_t windows = (plane * r->oh + oy) * r->ow;
    int64_t first_tap = (iy + r->pad - oy * stride) * k;

    for (int64_t i = ix.begin; i < ix.end; i++, dx += b) {
        struct span wx = windows_over(i + r->pad, k, stride, r->ow);
        int64_t nx = wx.end - wx.begin, tap = first_tap + i + r->pad - wx.begin * stride;
        if (nx == 1)
            max_pixel_back(r, windows + wx.begin, tap, ny, 1, k, stride, dx, b);
        else if (nx == 2)
            max_pixel_back(r, windows + wx.begin, tap, ny, 2, k, stride, dx, b);
        else
            max_pixel_back(r, windows + wx.begin, tap, ny, nx, k, stride, dx, b);
    }
}

/* Pixels ix of row iy; dx is where the first of them goes. Constants let the compiler unroll. */
INLINE void max_row_back(const struct pool_run *r, int64_t plane, int64_t iy, struct span ix,
                         float *dx, const int b)
{
    struct span wy = windows_over(iy + r->pad, r->k, r->stride, r->oh);
    int64_t ny = wy.end - wy.begin;

    if (r->k == 3 && r->stride == 2 && ny == 1)
        max_pixels_back(r, plane, iy, ix, wy.begin, 1, 3, 2, dx, b);
    else if (r->k == 3 && r->stride == 2 && ny == 2)
        max_pixels_back(r, plane, iy, ix, wy.begin, 2, 3, 2, dx, b);
    else
        max_pixels_back(r, plane, iy, ix, wy.begin, ny, r->k, r->stride, dx, b);
}

#endif
