/* SPDX-License-Identifier: MIT */
#ifndef COMMON_NN_CPU_BATCHNORM_H
#define COMMON_NN_CPU_BATCHNORM_H

#include "common/nn/cpu/cpu.h"

#include <math.h>
#include <string.h>

/* What batch norm alone (batchnorm.c) and with the max pool behind it (batchnorm_pool.c) share: how
 * work is cut, and the arithmetic, so that both give the same bits.
 *
 * Memory traffic decides the time, so a pass reads each value once: sums are taken over segments
 * that stay in the first-level cache, with float32 lanes inside a segment and double between
 * segments.
 *
 * Work is cut into tasks (group of images, range of channel blocks), which walk through their
 * images as these lie in memory. Each block has sums of its own in each group of images, and those
 * are added in group order. */

enum {
    SEGMENT = 128,   /* pixels: 8 KiB, so the second look at a segment comes from L1 */
    MAX_GROUPS = 32, /* of images */
    TASKS = 128,     /* or more, where there are as many planes: threads end together */
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
    int64_t groups, ranges;
    const float *x, *y, *dy, *residual;
    bool constant; /* backward: the statistics do not depend on x */
    float *out;    /* forward: y */
    const struct bn_gradients *to;
    struct sums *sums;            /* [groups][channel blocks] */
    float *scale, *shift, *slope; /* [c]; the latter two for dx */
};

/* The piece of work with number `task`: in images first..end-1 the planes of channel blocks
 * cb..cb_end-1. */
struct piece {
    int64_t first, end, cb, cb_end;
    struct sums *sums; /* of this group: [channel blocks] */
};

static inline struct piece piece_of(const struct bn_run *r, int64_t task)
{
    int64_t blocks = r->s->c / r->block, group = task / r->ranges, range = task % r->ranges;

    return (struct piece){.first = group * r->s->n / r->groups,
                          .end = (group + 1) * r->s->n / r->groups,
                          .cb = range * blocks / r->ranges,
                          .cb_end = (range + 1) * blocks / r->ranges,
                          .sums = r->sums + group * blocks};
}

static inline void piece_clear(const struct piece *p)
{
    memset(p->sums + p->cb, 0, (size_t)(p->cb_end - p->cb) * sizeof *p->sums);
}

/* Where a plane begins, in floats. */
static inline int64_t plane_at(const struct bn_run *r, int64_t image, int64_t cb)
{
    return (image * (r->s->c / r->block) + cb) * r->s->h * r->s->w * r->block;
}

static inline int64_t tasks_of(const struct bn_run *r)
{
    return r->groups * r->ranges;
}

/* Checks the shape, fills in what r does not point at yet. */
NODISCARD enum err_code bn_begin(struct nn *nn, struct bn_run *r, struct err *e);
/* Writes mean and variance of x to the layer. */
void bn_statistics(struct nn *nn, struct bn_run *r);
/* Fills r->scale: gamma / sqrt(var + eps), rounded once; the same in forward and backward. */
void bn_scales(struct nn *nn, const struct bn_run *r);
/* Backward once every task has written its sums: gradients of gamma and beta, and dx from dy. */
void bn_finish_backward(struct nn *nn, struct bn_run *r);

/* What is constant over the planes of a channel block. */
struct plane {
    const float *mean, *beta, *scale; /* [b] */
    const float *shift, *slope;       /* [b]; for dx only */
};

static inline struct plane plane_of(const struct bn_run *r, int64_t cb)
{
    int64_t c = cb * r->block;

    return (struct plane){r->layer->mean + c, r->layer->beta + c, r->scale + c, r->shift + c,
                          r->slope + c};
}

/* ---- forward ---- */

/* Forward's value before residual and ReLU, in one place: backward must get the same bits. */
INLINE v8f normalised(v8f centred, v8f scale, v8f beta)
{
    return centred * scale + beta;
}

INLINE void plane_apply(const float *x, const float *residual, float *y, int64_t pixels,
                        const struct plane *c, const int b, const bool add, const bool relu)
{
    for (int64_t p = 0; p < pixels; p++) {
        for (int l = 0; l < b; l += LANES) {
            v8f v = normalised(V8F_CONST(x + p * b + l) - V8F_CONST(c->mean + l),
                               V8F_CONST(c->scale + l), V8F_CONST(c->beta + l));
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
