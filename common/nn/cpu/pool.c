/* SPDX-License-Identifier: MIT */
#include "common/base/parallel.h"
#include "common/nn/cpu/cpu.h"

#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

/* Pooling over blocked tensors. A task is one image's block of channels, so that no two tasks write
 * the same place. */

enum { MAX_BLOCK = 16, MAX_WINDOW = 15 /* the winner's index fits a byte */ };

struct pool_run {
    const struct bn_shape *s;
    int block, k, stride, pad;
    int64_t oh, ow, frames;
    const float *in;
    float *out;
    const uint8_t *argmax;
    uint8_t *argmax_out;
};

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

static void max_plane(void *ctx, int64_t plane, int worker)
{
    const struct pool_run *r = ctx;
    const float *x = r->in + plane * r->s->h * r->s->w * r->block;

    (void)worker;
    for (int64_t oy = 0; oy < r->oh; oy++) {
        int64_t iy = oy * r->stride - r->pad, at = (plane * r->oh + oy) * r->ow * r->block;
        struct span ty = taps(iy, r->k, r->s->h);
        const float *row[MAX_WINDOW];

        for (int64_t i = ty.begin; i < ty.end; i++)
            row[i] = x + (iy + i) * r->s->w * r->block;
        if (r->block == 16)
            max_row(r, row, ty, r->out + at, r->argmax_out + at, 16);
        else
            max_row(r, row, ty, r->out + at, r->argmax_out + at, 8);
    }
}

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

static void max_plane_back(void *ctx, int64_t plane, int worker)
{
    const struct pool_run *r = ctx;
    const struct span whole = {0, r->s->w};

    (void)worker;
    for (int64_t iy = 0; iy < r->s->h; iy++) {
        float *dx = r->out + (plane * r->s->h + iy) * r->s->w * r->block;

        if (r->block == 16)
            max_row_back(r, plane, iy, whole, dx, 16);
        else
            max_row_back(r, plane, iy, whole, dx, 8);
    }
}

static enum err_code begin_max(struct nn *nn, struct pool_run *r, struct err *e)
{
    TRY(nn_check_blocked(nn, r->s, "max pool", e));
    /* 2 pad <= k: every window holds at least one pixel, as torch demands too */
    if (r->k < 1 || r->k > MAX_WINDOW || r->stride < 1 || r->pad < 0 || 2 * r->pad > r->k ||
        r->s->h + 2 * r->pad < r->k || r->s->w + 2 * r->pad < r->k)
        return err_set(e, ERR_INTERNAL, "max pool: window %d, stride %d, pad %d: not possible",
                       r->k, r->stride, r->pad);
    r->block = nn->block;
    r->oh = (r->s->h + 2 * r->pad - r->k) / r->stride + 1;
    r->ow = (r->s->w + 2 * r->pad - r->k) / r->stride + 1;
out:
    return e->code;
}

enum err_code k_maxpool_forward(struct nn *nn, const struct bn_shape *s, int k, int stride, int pad,
                                const float *x, float *y, uint8_t *argmax, struct err *e)
{
    struct pool_run run = {
        .s = s, .k = k, .stride = stride, .pad = pad, .in = x, .out = y, .argmax_out = argmax};

    TRY(begin_max(nn, &run, e));
    parallel_for(nn->threads, s->n * s->c / run.block, max_plane, &run);
out:
    return e->code;
}

enum err_code k_maxpool_backward(struct nn *nn, const struct bn_shape *s, int k, int stride,
                                 int pad, const float *dy, const uint8_t *argmax, float *dx,
                                 struct err *e)
{
    struct pool_run run = {
        .s = s, .k = k, .stride = stride, .pad = pad, .in = dy, .out = dx, .argmax = argmax};

    TRY(begin_max(nn, &run, e));
    parallel_for(nn->threads, s->n * s->c / run.block, max_plane_back, &run);
out:
    return e->code;
}

/* ---- mean over space and frames ---- */

/* One output row's block of channels. */
static void mean_task(void *ctx, int64_t task, int worker)
{
    const struct pool_run *r = ctx;
    int64_t blocks = r->s->c / r->block;
    int64_t row = task / blocks;
    int64_t cb = task % blocks;
    int64_t pixels = r->s->h * r->s->w;
    double sum[MAX_BLOCK] = {0};

    (void)worker;
    for (int64_t f = 0; f < r->frames; f++) {
        const float *x = r->in + ((row * r->frames + f) * blocks + cb) * pixels * r->block;
        for (int64_t p = 0; p < pixels; p++)
            for (int l = 0; l < r->block; l++)
                sum[l] += x[p * r->block + l];
    }
    for (int l = 0; l < r->block; l++)
        r->out[row * r->s->c + cb * r->block + l] =
            (float)(sum[l] / ((double)r->frames * (double)pixels));
}

static void mean_task_back(void *ctx, int64_t task, int worker)
{
    const struct pool_run *r = ctx;
    int64_t blocks = r->s->c / r->block;
    int64_t row = task / blocks;
    int64_t cb = task % blocks;
    int64_t pixels = r->s->h * r->s->w;
    size_t pixel_bytes = (size_t)r->block * sizeof(float);
    float value[MAX_BLOCK];

    (void)worker;
    for (int l = 0; l < r->block; l++)
        value[l] = (float)(r->in[row * r->s->c + cb * r->block + l] /
                           ((double)r->frames * (double)pixels));
    for (int64_t f = 0; f < r->frames; f++) {
        float *dx = r->out + ((row * r->frames + f) * blocks + cb) * pixels * r->block;
        for (int64_t p = 0; p < pixels; p++)
            memcpy(dx + p * r->block, value, pixel_bytes);
    }
}

static enum err_code mean_run(struct nn *nn, const struct bn_shape *s, int frames, const float *in,
                              float *out, parallel_fn *fn, struct err *e)
{
    struct pool_run run = {.s = s, .block = nn->block, .frames = frames, .in = in, .out = out};

    TRY(nn_check_blocked(nn, s, "mean pool", e));
    if (frames < 1 || s->n % frames != 0)
        return err_set(e, ERR_INTERNAL, "mean pool: %lld images are not groups of %d frames",
                       (long long)s->n, frames);
    parallel_for(nn->threads, s->n / frames * s->c / nn->block, fn, &run);
out:
    return e->code;
}

enum err_code k_meanpool_forward(struct nn *nn, const struct bn_shape *s, int frames,
                                 const float *x, float *y, struct err *e)
{
    return mean_run(nn, s, frames, x, y, mean_task, e);
}

enum err_code k_meanpool_backward(struct nn *nn, const struct bn_shape *s, int frames,
                                  const float *dy, float *dx, struct err *e)
{
    return mean_run(nn, s, frames, dy, dx, mean_task_back, e);
}
