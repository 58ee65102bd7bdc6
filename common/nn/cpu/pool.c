/* SPDX-License-Identifier: MIT */
#include "common/base/parallel.h"
#include "common/nn/cpu/cpu.h"

#include <string.h>

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

/* Taps that are inside the picture. */
static struct span taps(int64_t start, int k, int64_t size)
{
    struct span t = {start < 0 ? -start : 0, k};

    if (start + k > size)
        t.end = size - start;
    return t;
}

INLINE void max_pixel(const struct pool_run *r, const float *x, int64_t oy, int64_t ox, float *y,
                      uint8_t *argmax, const int b)
{
    int64_t iy = oy * r->stride - r->pad;
    int64_t ix = ox * r->stride - r->pad;
    struct span ty = taps(iy, r->k, r->s->h);
    struct span tx = taps(ix, r->k, r->s->w);

    for (int l = 0; l < b; l += LANES) {
        const float *first = x + ((iy + ty.begin) * r->s->w + ix + tx.begin) * b + l;
        v8f best = V8F_CONST(first);
        v8i winner = (v8i){0} + (int32_t)(ty.begin * r->k + tx.begin);
        for (int64_t i = ty.begin; i < ty.end; i++) {
            for (int64_t j = tx.begin; j < tx.end; j++) {
                v8f v = V8F_CONST(x + ((iy + i) * r->s->w + ix + j) * b + l);
                v8i index = (v8i){0} + (int32_t)(i * r->k + j);
                v8i take = (v > best) | ((v != v) & (best == best)); /* the first NaN wins */
                best = (v8f)(((v8i)v & take) | ((v8i)best & ~take));
                winner = (index & take) | (winner & ~take);
            }
        }
        V8F(y + l) = best;
        *(v8u8 *)(argmax + l) = __builtin_convertvector(winner, v8u8);
    }
}

static void max_plane(void *ctx, int64_t plane, int worker)
{
    const struct pool_run *r = ctx;
    const float *x = r->in + plane * r->s->h * r->s->w * r->block;

    (void)worker;
    for (int64_t oy = 0; oy < r->oh; oy++) {
        for (int64_t ox = 0; ox < r->ow; ox++) {
            int64_t at = ((plane * r->oh + oy) * r->ow + ox) * r->block;
            if (r->block == 16)
                max_pixel(r, x, oy, ox, r->out + at, r->argmax_out + at, 16);
            else
                max_pixel(r, x, oy, ox, r->out + at, r->argmax_out + at, 8);
        }
    }
}

/* Moves to the windows that reach position `at` of the padded axis; positions only grow. */
static void slide(struct span *o, int64_t at, const struct pool_run *r, int64_t outputs)
{
    while (o->begin * r->stride + r->k <= at)
        o->begin++;
    while (o->end < outputs && o->end * r->stride <= at)
        o->end++;
}

/* Lanes whose byte at `winner` is `tap`. Each lane looks at its own byte of four where it lies:
 * gcc 12 widens bytes to words one by one. */
INLINE v8i won_by(const uint8_t *winner, int64_t tap)
{
    static const uint8_t own[4 * LANES]
        __attribute__((aligned(32))) = {[0] = 0xff,  [5] = 0xff,  [10] = 0xff, [15] = 0xff,
                                        [16] = 0xff, [21] = 0xff, [26] = 0xff, [31] = 0xff};
    int32_t taps = (int32_t)(tap * 0x01010101), w[2];

    memcpy(w, winner, sizeof w);
    return (((v8i){w[0], w[0], w[0], w[0], w[1], w[1], w[1], w[1]} ^ taps) & *(const v8i *)own) ==
           0;
}

/* Gathers: an input pixel adds up the windows that it won, in window order. */
INLINE void max_pixel_back(const struct pool_run *r, int64_t plane, int64_t iy, int64_t ix,
                           struct span wy, struct span wx, float *dx, const int b)
{
    for (int l = 0; l < b; l += LANES) {
        v8f sum = {0};
        for (int64_t oy = wy.begin; oy < wy.end; oy++) {
            for (int64_t ox = wx.begin; ox < wx.end; ox++) {
                int64_t at = ((plane * r->oh + oy) * r->ow + ox) * b + l;
                int64_t tap = (iy + r->pad - oy * r->stride) * r->k + ix + r->pad - ox * r->stride;
                sum += V8F_KEEP(won_by(r->argmax + at, tap), V8F_CONST(r->in + at));
            }
        }
        V8F(dx + l) = sum;
    }
}

static void max_plane_back(void *ctx, int64_t plane, int worker)
{
    const struct pool_run *r = ctx;
    float *dx = r->out + plane * r->s->h * r->s->w * r->block;
    struct span wy = {0};

    (void)worker;
    for (int64_t iy = 0; iy < r->s->h; iy++) {
        struct span wx = {0};

        slide(&wy, iy + r->pad, r, r->oh);
        for (int64_t ix = 0; ix < r->s->w; ix++) {
            float *at = dx + (iy * r->s->w + ix) * r->block;

            slide(&wx, ix + r->pad, r, r->ow);
            if (r->block == 16)
                max_pixel_back(r, plane, iy, ix, wy, wx, at, 16);
            else
                max_pixel_back(r, plane, iy, ix, wy, wx, at, 8);
        }
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
