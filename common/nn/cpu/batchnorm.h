/* SPDX-License-Identifier: MIT */
#ifndef COMMON_NN_CPU_BATCHNORM_H
#define COMMON_NN_CPU_BATCHNORM_H

#include "common/nn/cpu/cpu.h"

#include <math.h>

/* What batch norm alone (batchnorm.c) and with the max pool behind it (batchnorm_pool.c) share: how
 * work is cut, and the arithmetic, so that both give the same bits.
 *
 * Memory traffic decides the time, so a pass reads each value once: sums are taken over segments
 * that stay in the first-level cache, with float32 lanes inside a segment and double between
 * segments.
 *
 * Work is cut into tasks (group of images, block of channels), numbered with the block running
 * fastest as it does in memory; their sums are added in group order. */

enum {
    SEGMENT = 128,   /* pixels: 8 KiB, so the second look at a segment comes from L1 */
    MAX_GROUPS = 32, /* enough tasks for 16 threads even with few channel blocks */
    WAYS = 2         /* independent accumulators hide the latency of an addition */
};

/* Forward: mean and sum of squared deviations; backward: sums of dy and of dy (x - mean). */
struct sums {
    double a[MAX_BLOCK];
    double b[MAX_BLOCK];
    double count; /* pixels seen; forward only */
};

struct bn_run {
    const struct bn_shape *s;
    const struct bn_layer *layer;
    int block;
    int64_t groups;
    const float *x, *y, *dy, *residual;
    bool constant; /* backward: the statistics do not depend on x */
    float *out;    /* forward: y */
    const struct bn_gradients *to;
    struct sums *sums; /* [groups][channel blocks] */
};

/* The piece of work with number `task`: planes of one channel block in consecutive images. */
struct piece {
    int64_t cb, first, end; /* images first..end-1 */
    int64_t stride;         /* floats from plane to plane */
    int64_t offset;         /* of the first plane */
    int64_t pixels;         /* per plane */
};

static inline struct piece piece_of(const struct bn_run *r, int64_t task)
{
    int64_t blocks = r->s->c / r->block;
    int64_t group = task / blocks;
    struct piece p;

    p.cb = task % blocks;
    p.first = group * r->s->n / r->groups;
    p.end = (group + 1) * r->s->n / r->groups;
    p.pixels = r->s->h * r->s->w;
    p.stride = blocks * p.pixels * r->block;
    p.offset = p.first * p.stride + p.cb * p.pixels * r->block;
    return p;
}

static inline int64_t tasks_of(const struct bn_run *r)
{
    return r->groups * (r->s->c / r->block);
}

/* Checks the shape, fills in block, groups and sums. */
NODISCARD enum err_code bn_begin(struct nn *nn, struct bn_run *r, struct err *e);
/* Writes mean and variance of x to the layer. */
void bn_statistics(struct nn *nn, struct bn_run *r);
/* Backward once every task has written its sums: gradients of gamma and beta, and dx from dy. */
void bn_finish_backward(struct nn *nn, struct bn_run *r);

/* ---- forward ---- */

/* gamma / sqrt(var + eps), rounded once; the same in forward and backward. */
static inline void scales(const struct bn_run *r, int64_t cb, float *scale)
{
    for (int l = 0; l < r->block; l++) {
        int64_t c = cb * r->block + l;
        scale[l] = (float)(r->layer->gamma[c] / sqrt((double)r->layer->var[c] + r->layer->eps));
    }
}

/* Forward's value before residual and ReLU, in one place: backward must get the same bits. */
INLINE v8f normalised(v8f centred, v8f scale, v8f beta)
{
    return centred * scale + beta;
}

INLINE void plane_apply(const float *x, const float *residual, float *y, int64_t pixels,
                        const float *scale, const float *mean, const float *beta, const int b,
                        const bool add, const bool relu)
{
    for (int64_t p = 0; p < pixels; p++) {
        for (int l = 0; l < b; l += LANES) {
            v8f v = normalised(V8F_CONST(x + p * b + l) - V8F_CONST(mean + l), V8F_CONST(scale + l),
                               V8F_CONST(beta + l));
            if (add)
                v += V8F_CONST(residual + p * b + l);
            if (relu) /* NaN is not below 0 and stays */
                v = V8F_KEEP(~(v < 0), v);
            V8F(y + p * b + l) = v;
        }
    }
}

/* ---- backward ----
 * g = dy where y > 0 (or everywhere); dbeta = sum g; dgamma = sum g (x - mean) / sigma;
 * dx = gamma / sigma (g - dbeta / M - (x - mean) dgamma / (M sigma)), M pixels per channel;
 * with constant statistics only the first term. */

/* Where the sign of y comes from. */
enum mask {
    MASK_NONE, /* no ReLU, or it has been dealt with */
    MASK_Y,    /* y itself: there was a residual */
    MASK_X     /* forward's arithmetic once more: cheaper than reading y, which need not be kept */
};

/* What is constant over a plane. */
struct plane {
    const float *mean, *beta, *scale; /* [b] */
    const float *shift, *slope;       /* [b]; for dx only */
};

INLINE v8f masked(v8f g, const float *y, v8f centred, const struct plane *c, int l,
                  const enum mask mask)
{
    if (mask == MASK_Y)
        return V8F_KEEP(~(V8F_CONST(y) <= 0), g);
    if (mask == MASK_X)
        return V8F_KEEP(
            ~(normalised(centred, V8F_CONST(c->scale + l), V8F_CONST(c->beta + l)) <= 0), g);
    return g;
}

/* g and g (x - mean) of one pixel's lanes l.. into their sums; g to dres if there is one. */
INLINE void pixel_gradients(const float *x, const float *y, const float *dy, float *dres,
                            const struct plane *c, int l, const enum mask mask, const bool keep,
                            v8f *sum, v8f *product)
{
    v8f centred = V8F_CONST(x) - V8F_CONST(c->mean + l);
    v8f g = masked(V8F_CONST(dy), y, centred, c, l, mask);

    if (keep)
        V8F(dres) = g;
    *sum += g;
    *product += g * centred;
}

/* Sums of one segment; writes g to dres if there is one. */
INLINE void segment_gradients(const float *x, const float *y, const float *dy, float *dres,
                              int64_t pixels, const struct plane *c, const int b,
                              const enum mask mask, const bool keep, struct sums *to)
{
    for (int l = 0; l < b; l += LANES) {
        v8f sum[WAYS] = {{0}}, product[WAYS] = {{0}};
        int64_t p = 0;
        for (; p + WAYS <= pixels; p += WAYS) {
            for (int way = 0; way < WAYS; way++) { /* unrolled: the sums stay in registers */
                int64_t at = (p + way) * b + l;
                pixel_gradients(x + at, y + at, dy + at, keep ? dres + at : NULL, c, l, mask, keep,
                                &sum[way], &product[way]);
            }
        }
        for (; p < pixels; p++) {
            int64_t at = p * b + l;
            pixel_gradients(x + at, y + at, dy + at, keep ? dres + at : NULL, c, l, mask, keep,
                            &sum[0], &product[0]);
        }
        for (int k = 0; k < LANES; k++) {
            to->a[l + k] += (double)sum[0][k] + sum[1][k];
            to->b[l + k] += (double)product[0][k] + product[1][k];
        }
    }
}

#endif
