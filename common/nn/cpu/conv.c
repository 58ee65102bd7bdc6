/* SPDX-License-Identifier: MIT */
#include "common/nn/cpu/bfloat16.h"
#include "common/nn/cpu/conv_cache.h"
#include "common/nn/cpu/winograd.h"

#include <string.h>

/* Convolutions: single-threaded oneDNN primitives over fixed chunks of the batch, one chunk per
 * task of the team. Weight gradients are summed over chunks in chunk order. */

struct conv_run {
    struct nn *nn;
    struct conv_op *op;
    const float *src; /* first image of the whole batch */
    float *dst;
    float *wei[2];   /* CONV_FORWARD, CONV_DATA: weights in each primitive's format */
    float *partials; /* CONV_WEIGHTS: [chunks], each `partial_bytes` apart */
    size_t partial_bytes;
    dnnl_status_t status; /* the first that failed, whichever that is; atomic */
};

static void fail(struct conv_run *r, dnnl_status_t rc)
{
    if (rc != dnnl_success)
        __atomic_store_n(&r->status, rc, __ATOMIC_RELAXED);
}

static int64_t chunk_begin(const struct conv_op *op, int64_t chunk)
{
    return chunk * op->shape.n / op->chunks;
}

/* Which of the op's primitives a chunk takes. */
static int chunk_prim(const struct conv_op *op, int64_t chunk)
{
    return chunk_begin(op, chunk + 1) - chunk_begin(op, chunk) == op->prims[0].images ? 0 : 1;
}

static float *partial_of(const struct conv_run *r, int64_t chunk)
{
    return (float *)((char *)r->partials + (size_t)chunk * r->partial_bytes);
}

/* Points the primitive at the images of its chunk, or at bfloat16 copies of them. */
static void set_images(struct conv_run *r, const struct conv_prim *p, int64_t first, int worker)
{
    const struct conv_op *op = r->op;
    const struct conv_args *a = &p->args[worker];
    char *scratch = r->nn->worker_scratch[worker].data;
    void *src = (void *)(r->src + first * op->src_image);
    void *dst = r->dst + first * op->dst_image;

    if (p->rounded) {
        bfloat16_round(p->images * op->src_image, src, (uint16_t *)(scratch + p->src_copy));
        src = scratch + p->src_copy;
    }
    if (p->rounded && op->pass == CONV_WEIGHTS) {
        bfloat16_round(p->images * op->dst_image, dst, (uint16_t *)(scratch + p->dst_copy));
        dst = scratch + p->dst_copy;
    }
    fail(r, dnnl_memory_set_data_handle(a->src, src));
    fail(r, dnnl_memory_set_data_handle(a->dst, dst));
}

static void run_chunk(void *ctx, int64_t chunk, int worker)
{
    struct conv_run *r = ctx;
    const struct conv_op *op = r->op;
    int which = chunk_prim(op, chunk);
    const struct conv_args *a = &op->prims[which].args[worker];
    bool weights = op->pass == CONV_WEIGHTS;
    float *wei = weights ? partial_of(r, chunk) : r->wei[which];
    const dnnl_exec_arg_t forward[] = {{DNNL_ARG_SRC, a->src},
                                       {DNNL_ARG_WEIGHTS, a->wei},
                                       {DNNL_ARG_DST, a->dst},
                                       {DNNL_ARG_SCRATCHPAD, a->scratchpad}};
    const dnnl_exec_arg_t data[] = {{DNNL_ARG_DIFF_DST, a->src},
                                    {DNNL_ARG_WEIGHTS, a->wei},
                                    {DNNL_ARG_DIFF_SRC, a->dst},
                                    {DNNL_ARG_SCRATCHPAD, a->scratchpad}};
    const dnnl_exec_arg_t grads[] = {{DNNL_ARG_SRC, a->src},
                                     {DNNL_ARG_DIFF_WEIGHTS, a->wei},
                                     {DNNL_ARG_DIFF_DST, a->dst},
                                     {DNNL_ARG_SCRATCHPAD, a->scratchpad}};
    bool as_forward = op->pass == CONV_FORWARD || op->prims[which].transformed;
    const dnnl_exec_arg_t *args = weights ? grads : as_forward ? forward : data;

    set_images(r, &op->prims[which], chunk_begin(op, chunk), worker);
    fail(r, dnnl_memory_set_data_handle(a->wei, wei));
    fail(r, dnnl_memory_set_data_handle(a->scratchpad, r->nn->worker_scratch[worker].data));
    fail(r, dnnl_primitive_execute(op->prims[which].conv, r->nn->streams[worker], 4, args));
}

/* ---- weights into the primitives' formats ---- */

struct reorder_run {
    struct conv_run *conv;
    int which;
    const float *plain;
};

static void reorder_in(void *ctx, int64_t i, int worker)
{
    struct reorder_run *r = ctx;
    struct conv_prim *p = &r->conv->op->prims[r->which];
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, p->plain}, {DNNL_ARG_TO, p->blocked}};

    (void)i;
    fail(r->conv, dnnl_memory_set_data_handle(p->plain, (void *)r->plain));
    fail(r->conv, dnnl_memory_set_data_handle(p->blocked, r->conv->wei[r->which]));
    fail(r->conv, dnnl_primitive_execute(p->reorder, r->conv->nn->streams[worker], 2, args));
}

static enum err_code prepare_weights(struct conv_run *run, int which, const float *w, struct err *e)
{
    struct reorder_run reorder = {.conv = run, .which = which, .plain = w};
    const struct conv_op *op = run->op;
    const struct conv_prim *p = &op->prims[which];

    TRY(nn_scratch(run->nn, which == 0 ? SCRATCH_WEIGHTS_0 : SCRATCH_WEIGHTS_1, p->wei_bytes,
                   &run->wei[which], e));
    if (p->transformed)
        winograd_weights(run->nn, &p->wei_md, w, op->shape.oc, op->shape.ic, op->pass == CONV_DATA,
                         run->wei[which]);
    else
        nn_run(run->nn, 1, reorder_in, &reorder);
    TRY(nn_dnnl(run->status, "weights order", e));
out:
    return e->code;
}

/* CONV_FORWARD or CONV_DATA: the primitives, and the weights in their formats. */
static enum err_code open_with_weights(struct conv_run *run, enum conv_pass pass,
                                       const struct conv_shape *s, const float *w, struct err *e)
{
    TRY(conv_op_get(run->nn, pass, s, &run->op, e));
    TRY(prepare_weights(run, 0, w, e));
    if (run->op->same_format)
        run->wei[1] = run->wei[0];
    else
        TRY(prepare_weights(run, 1, w, e));
out:
    return e->code;
}

enum err_code k_conv_forward(struct nn *nn, const struct conv_shape *s, const float *x,
                             const float *w, float *y, struct err *e)
{
    struct conv_run run = {.nn = nn, .src = x, .dst = y};

    TRY(open_with_weights(&run, CONV_FORWARD, s, w, e));
    nn_run(nn, run.op->chunks, run_chunk, &run);
    TRY(nn_dnnl(run.status, "convolution", e));
out:
    return err_in(e, "convolution");
}

/* ---- weight gradients ---- */

enum { SUM_STRIP = 16384 }; /* floats per task: a few of them fit a core's L1 or L2 */

struct sum_run {
    struct conv_run *conv;
    int which;     /* primitive, so format, of the partials to add */
    int64_t first; /* its first chunk: the sum replaces that one */
    int64_t count; /* floats */
};

static void sum_strip(void *ctx, int64_t strip, int worker)
{
    const struct sum_run *s = ctx;
    const struct conv_op *op = s->conv->op;
    int64_t begin = strip * SUM_STRIP;
    int64_t end = begin + SUM_STRIP < s->count ? begin + SUM_STRIP : s->count;
    float *sum = partial_of(s->conv, s->first);

    (void)worker;
    for (int64_t chunk = s->first + 1; chunk < op->chunks; chunk++) {
        const float *add = partial_of(s->conv, chunk);
        if (!op->same_format && chunk_prim(op, chunk) != s->which)
            continue;
        for (int64_t i = begin; i < end; i++)
            sum[i] += add[i];
    }
}

static void reorder_out(void *ctx, int64_t i, int worker)
{
    struct sum_run *s = ctx;
    struct conv_run *r = s->conv;
    struct conv_prim *p = &r->op->prims[s->which];
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, p->blocked}, {DNNL_ARG_TO, p->plain}};

    (void)i;
    fail(r, dnnl_memory_set_data_handle(p->blocked, partial_of(r, s->first)));
    fail(r, dnnl_memory_set_data_handle(p->plain, r->wei[0]));
    fail(r, dnnl_primitive_execute(p->reorder, r->nn->streams[worker], 2, args));
}

static enum err_code open_weight_gradient(struct conv_run *run, const struct conv_shape *s,
                                          struct err *e)
{
    size_t bytes;

    TRY(conv_op_get(run->nn, CONV_WEIGHTS, s, &run->op, e));
    bytes = run->op->prims[0].wei_bytes;
    if (run->op->n_prims == 2 && run->op->prims[1].wei_bytes > bytes)
        bytes = run->op->prims[1].wei_bytes;
    run->partial_bytes = whole_lines(bytes);
    TRY(nn_scratch(run->nn, SCRATCH_PARTIALS, run->partial_bytes * (size_t)run->op->chunks,
                   &run->partials, e));
out:
    return e->code;
}

/* The chunks' sum to dw, or added to it. */
static enum err_code sum_weight_gradient(struct conv_run *run, const struct conv_shape *s,
                                         float *dw, bool add, struct err *e)
{
    int64_t count = s->oc * s->ic * s->kh * s->kw;
    struct nn *nn = run->nn;

    for (int i = 0; i < (run->op->same_format ? 1 : 2); i++) {
        struct sum_run sum = {.conv = run, .which = i};

        run->wei[0] = dw;
        if (add || i > 0)
            TRY(nn_scratch(nn, SCRATCH_PLAIN, (size_t)count * sizeof(float), &run->wei[0], e));
        while (!run->op->same_format && chunk_prim(run->op, sum.first) != i)
            sum.first++;
        sum.count = (int64_t)(run->op->prims[i].wei_bytes / sizeof(float));
        nn_run(nn, (sum.count + SUM_STRIP - 1) / SUM_STRIP, sum_strip, &sum);
        nn_run(nn, 1, reorder_out, &sum);
        TRY(nn_dnnl(run->status, "weights order", e));
        if (run->wei[0] != dw)
            TRY(k_add(nn, count, run->wei[0], dw, e));
    }
out:
    return e->code;
}

/* ---- both gradients ---- */

/* The chunks of both in one loop, so that threads wait for each other once and meet dy again while
 * it is in a cache. Numbers of chunks are powers of two. */
struct backward_run {
    struct conv_run *few, *many; /* by chunks */
    int64_t share;               /* chunks of `many` for each of `few`; 0: only `many` is wanted */
};

/* Chunks of the same images follow each other. */
static void backward_chunk(void *ctx, int64_t i, int worker)
{
    const struct backward_run *r = ctx;
    int64_t group = i / (r->share + 1), at = i % (r->share + 1);

    if (r->share == 0)
        run_chunk(r->many, i, worker);
    else if (at == 0)
        run_chunk(r->few, group, worker);
    else
        run_chunk(r->many, group * r->share + at - 1, worker);
}

enum err_code k_conv_backward(struct nn *nn, const struct conv_shape *s, const float *x,
                              const float *w, const float *dy, const struct conv_gradients *to,
                              struct err *e)
{
    struct conv_run weights = {.nn = nn, .src = x, .dst = (float *)dy};
    struct conv_run data = {.nn = nn, .src = dy, .dst = to->x};
    int64_t n_weights = 0, n_data = 0;
    struct backward_run run;

    if (to->w != NULL) {
        TRY(open_weight_gradient(&weights, s, e));
        n_weights = weights.op->chunks;
    }
    if (to->x != NULL) {
        TRY(open_with_weights(&data, CONV_DATA, s, w, e));
        n_data = data.op->chunks;
    }
    if (n_weights > n_data)
        run = (struct backward_run){&data, &weights, n_data > 0 ? n_weights / n_data : 0};
    else
        run = (struct backward_run){&weights, &data, n_weights > 0 ? n_data / n_weights : 0};
    nn_run(nn, n_weights + n_data, backward_chunk, &run);
    TRY(nn_dnnl(weights.status, "weight gradient", e));
    TRY(nn_dnnl(data.status, "input gradient", e));
    if (to->w != NULL)
        TRY(sum_weight_gradient(&weights, s, to->w, to->add_w, e));
out:
    return err_in(e, "convolution");
}
