/* SPDX-License-Identifier: MIT */
#include "common/nn/cpu/pool.h"

#include <string.h>

/* Pooling over blocked tensors. A task is one image's block of channels, so that no two tasks write
 * the same place. */

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

enum err_code pool_begin(struct nn *nn, struct pool_run *r, struct err *e)
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

    TRY(pool_begin(nn, &run, e));
    nn_run(nn, s->n * s->c / run.block, max_plane, &run);
out:
    return e->code;
}

enum err_code k_maxpool_backward(struct nn *nn, const struct bn_shape *s, int k, int stride,
                                 int pad, const float *dy, const uint8_t *argmax, float *dx,
                                 struct err *e)
{
    struct pool_run run = {
        .s = s, .k = k, .stride = stride, .pad = pad, .in = dy, .out = dx, .argmax = argmax};

    TRY(pool_begin(nn, &run, e));
    nn_run(nn, s->n * s->c / run.block, max_plane_back, &run);
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
    nn_run(nn, s->n / frames * s->c / nn->block, fn, &run);
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
