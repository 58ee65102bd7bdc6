/* SPDX-License-Identifier: MIT */
#include "common/nn/cpu/batchnorm.h"
#include "common/nn/cpu/pool.h"

/* Batch norm and the max pool behind it in one, with the arithmetic and the order of sums of the
 * two alone. Forward normalises only the rows that the windows of one row of results look at, into
 * a ring that stays in the first-level cache. Backward's sums take the pool's gradient while it is
 * on its way to dx, from where the last pass reads it; making it twice instead, and not reading it,
 * takes longer. */

struct fused_run {
    struct bn_run bn;
    struct pool_run pool;
    const struct scratch *rings; /* [worker]: k normalised rows; picture row i is in place i % k */
};

static enum err_code begin(struct nn *nn, struct fused_run *r, struct err *e)
{
    TRY(pool_begin(nn, &r->pool, e));
    TRY(bn_begin(nn, &r->bn, e));
out:
    return e->code;
}

/* ---- forward ---- */

/* Rows from..end-1 of a plane. */
INLINE void fill_ring(const struct fused_run *r, const float *x, const struct plane *c, float *ring,
                      int64_t from, int64_t end, const int b)
{
    const int64_t w = r->bn.s->w;

    for (int64_t i = from; i < end; i++) {
        const float *row = x + i * w * b;
        float *to = ring + i % r->pool.k * w * b;
        if (r->bn.layer->relu)
            plane_apply(row, NULL, to, w, c, b, false, true);
        else
            plane_apply(row, NULL, to, w, c, b, false, false);
    }
}

INLINE void plane_forward(const struct fused_run *r, int64_t image, int64_t cb, float *ring,
                          const int b)
{
    const struct pool_run *pool = &r->pool;
    const float *x = r->bn.x + plane_at(&r->bn, image, cb);
    const int64_t plane = image * (r->bn.s->c / b) + cb;
    struct plane c = plane_of(&r->bn, cb);
    int64_t done = 0; /* rows before it are in the ring, or have been, or no window needs them */

    for (int64_t oy = 0; oy < pool->oh; oy++) {
        int64_t iy = oy * pool->stride - pool->pad, at = (plane * pool->oh + oy) * pool->ow * b;
        struct span ty = taps(iy, pool->k, pool->s->h);
        const float *row[MAX_WINDOW];

        if (done < iy + ty.begin)
            done = iy + ty.begin;
        fill_ring(r, x, &c, ring, done, iy + ty.end, b);
        done = iy + ty.end;
        for (int64_t i = ty.begin; i < ty.end; i++)
            row[i] = ring + (iy + i) % pool->k * pool->s->w * b;
        max_row(pool, row, ty, pool->out + at, pool->argmax_out + at, b);
    }
}

INLINE void task_forward(const struct fused_run *r, int64_t task, float *ring, const int b)
{
    struct piece p = piece_of(&r->bn, task);

    for (int64_t n = p.first; n < p.end; n++)
        for (int64_t cb = p.cb; cb < p.cb_end; cb++)
            plane_forward(r, n, cb, ring, b);
}

static void forward(void *ctx, int64_t task, int worker)
{
    const struct fused_run *r = ctx;

    if (r->bn.block == 16)
        task_forward(r, task, r->rings[worker].data, 16);
    else
        task_forward(r, task, r->rings[worker].data, 8);
}

static enum err_code run_forward(struct nn *nn, struct fused_run *r, bool train, struct err *e)
{
    TRY(begin(nn, r, e));
    TRY(nn_worker_scratch(nn, (size_t)(r->pool.k * r->bn.s->w * r->bn.block) * sizeof(float), e));
    r->rings = nn->worker_scratch;
    if (train)
        bn_statistics(nn, &r->bn);
    bn_scales(nn, &r->bn);
    nn_run(nn, tasks_of(&r->bn), forward, r);
out:
    return e->code;
}

enum err_code k_batchnorm_maxpool_train(struct nn *nn, const struct bn_shape *s,
                                        const struct bn_layer *layer, int k, int stride, int pad,
                                        const float *x, float *y, uint8_t *argmax, struct err *e)
{
    struct fused_run run = {
        .bn = {.s = s, .layer = layer, .x = x},
        .pool = {.s = s, .k = k, .stride = stride, .pad = pad, .out = y, .argmax_out = argmax}};

    return run_forward(nn, &run, true, e);
}

enum err_code k_batchnorm_maxpool_eval(struct nn *nn, const struct bn_shape *s,
                                       const struct bn_layer *layer, int k, int stride, int pad,
                                       const float *x, float *y, uint8_t *argmax, struct err *e)
{
    struct fused_run run = {
        .bn = {.s = s, .layer = layer, .x = x},
        .pool = {.s = s, .k = k, .stride = stride, .pad = pad, .out = y, .argmax_out = argmax}};

    return run_forward(nn, &run, false, e);
}

/* ---- backward ---- */

/* The pool's gradient towards `pixels` pixels of a plane from number `from` on. */
INLINE void segment_back(const struct pool_run *r, int64_t plane, int64_t from, int64_t pixels,
                         float *dx, const int b)
{
    const int64_t w = r->s->w, end = from + pixels;

    for (int64_t at = from; at < end;) {
        int64_t row = at / w * w;
        struct span ix = {at - row, end - row < w ? end - row : w};

        max_row_back(r, plane, at / w, ix, dx + (at - from) * b, b);
        at = row + ix.end;
    }
}

INLINE void task_gradients(const struct fused_run *r, int64_t task, const int b)
{
    const int64_t pixels = r->bn.s->h * r->bn.s->w;
    struct piece p = piece_of(&r->bn, task);

    piece_clear(&p);
    for (int64_t n = p.first; n < p.end; n++) {
        for (int64_t cb = p.cb; cb < p.cb_end; cb++) {
            struct plane c = plane_of(&r->bn, cb);
            struct sums *to = &p.sums[cb];
            for (int64_t from = 0; from < pixels; from += SEGMENT) {
                int64_t len = from + SEGMENT < pixels ? SEGMENT : pixels - from;
                int64_t at = plane_at(&r->bn, n, cb) + from * b;
                const float *x = r->bn.x + at;
                float *g = r->bn.to->x + at;
                segment_back(&r->pool, n * (r->bn.s->c / b) + cb, from, len, g, b);
                if (r->bn.layer->relu)
                    segment_gradients(x, x, g, NULL, len, &c, b, MASK_X, false, to);
                else
                    segment_gradients(x, x, g, NULL, len, &c, b, MASK_NONE, false, to);
            }
        }
    }
}

static void gradients(void *ctx, int64_t task, int worker)
{
    const struct fused_run *r = ctx;

    (void)worker;
    if (r->bn.block == 16)
        task_gradients(r, task, 16);
    else
        task_gradients(r, task, 8);
}

enum err_code k_batchnorm_maxpool_backward(struct nn *nn, const struct bn_shape *s,
                                           const struct bn_layer *layer, bool constant, int k,
                                           int stride, int pad, const float *x, const float *dy,
                                           const uint8_t *argmax, const struct bn_gradients *to,
                                           struct err *e)
{
    struct fused_run run = {
        .bn = {.s = s, .layer = layer, .constant = constant, .x = x, .dy = to->x, .to = to},
        .pool = {.s = s, .k = k, .stride = stride, .pad = pad, .in = dy, .argmax = argmax}};

    TRY(begin(nn, &run, e));
    bn_scales(nn, &run.bn);
    nn_run(nn, tasks_of(&run.bn), gradients, &run);
    bn_finish_backward(nn, &run.bn);
out:
    return e->code;
}
