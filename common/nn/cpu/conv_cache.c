/* SPDX-License-Identifier: MIT */
#include "common/nn/cpu/conv_cache.h"

#include "common/base/mem.h"
#include "common/base/parallel.h"
#include "common/nn/cpu/winograd.h"

#include <stdlib.h>
#include <string.h>

int64_t conv_oh(const struct conv_shape *s)
{
    return (s->ih + 2 * s->pad - s->kh) / s->stride + 1;
}

int64_t conv_ow(const struct conv_shape *s)
{
    return (s->iw + 2 * s->pad - s->kw) / s->stride + 1;
}

/* ---- the fixed rules ----
 * Measured on 2 cores with AVX-512, bench-conv; the ratios hardly depend on the channels, because
 * work and overhead of a chunk both grow with the weights. */

enum {
    MAX_CHUNKS = 16,
    /* Two chunks whatever their size, so that two threads share the smallest layers. */
    MIN_CHUNKS = 2,
    /* Winograd with weights transformed beforehand needs two images (oneDNN has it for no less). */
    FORWARD_IMAGES = 2,
    /* Every chunk reads all weights, transformed 4 times as many: with fewer output pixels it waits
     * for memory, the more so when others use it too. */
    FORWARD_PIXELS = 512,
    /* Every further chunk transforms back and adds one more weight gradient, as long as 400 pixels
     * take. */
    WEIGHTS_PIXELS = 2048
};

/* A power of two, so that 2, 4, 8 or 16 threads are equally loaded. */
static int64_t chunk_count(enum conv_pass pass, const struct conv_shape *s)
{
    int64_t pixels = s->n * conv_oh(s) * conv_ow(s);
    int64_t chunks = 1;

    while (chunks < MAX_CHUNKS && chunks * 2 <= s->n) {
        int64_t next = chunks * 2;
        bool weights = pass == CONV_WEIGHTS;
        bool ok =
            next <= MIN_CHUNKS || pixels / next >= (weights ? WEIGHTS_PIXELS : FORWARD_PIXELS);
        if (!weights && s->n / next < FORWARD_IMAGES)
            ok = false;
        if (!ok)
            break;
        chunks = next;
    }
    return chunks;
}

/* How a convolution is computed; where oneDNN has not got it, WAY_DIRECT. */
enum conv_way { WAY_DIRECT, WAY_WINOGRAD, WAY_BFLOAT16 };

/* F(4,3) Winograd exists for 3x3, stride 1 with AVX-512 and takes 0.4 to 0.7 of the time of the
 * direct convolution in all of ResNet18; not for single images, where its weights cost more than
 * they save. Multiplying bfloat16 numbers takes half of the time of the direct one, so Winograd, in
 * float32, is the faster one also beside bfloat16, unless that is fast, or the tiles of 4 x 4
 * outputs reach too far over the edge: 1.3 times the outputs at 7 x 7, where Winograd still is, 1.8
 * times at 9 x 6. */
static enum conv_way choose_way(const struct nn *nn, const struct conv_shape *s, int64_t images)
{
    int64_t oh = conv_oh(s), ow = conv_ow(s);
    int64_t tiled = (oh + 3) / 4 * 4 * ((ow + 3) / 4 * 4);
    bool winograd = nn->block == 16 && s->kh == 3 && s->kw == 3 && s->stride == 1 && s->pad == 1 &&
                    s->ic % 16 == 0 && images >= FORWARD_IMAGES;

    if (nn->precision == NN_BFLOAT16 && (!winograd || nn->fast_bfloat16 || 2 * tiled > 3 * oh * ow))
        return WAY_BFLOAT16;
    return winograd ? WAY_WINOGRAD : WAY_DIRECT;
}

/* ---- primitives ---- */

struct conv_mds {
    dnnl_memory_desc_t x, w, y;
};

/* In float32. With `mirror`, those of the forward convolution that computes dx from dy. */
static enum err_code make_mds(const struct nn *nn, const struct conv_shape *s, int64_t images,
                              bool mirror, struct conv_mds *mds, struct err *e)
{
    const dnnl_dims_t x = {images, s->ic, s->ih, s->iw};
    const dnnl_dims_t w = {mirror ? s->ic : s->oc, mirror ? s->oc : s->ic, s->kh, s->kw};
    const dnnl_dims_t y = {images, s->oc, conv_oh(s), conv_ow(s)};
    dnnl_format_tag_t blocked = nn->block == 16 ? dnnl_nChw16c : dnnl_nChw8c;
    dnnl_format_tag_t x_tag = s->ic % nn->block == 0 ? blocked : dnnl_nchw;

    TRY(nn_dnnl(dnnl_memory_desc_init_by_tag(mirror ? &mds->y : &mds->x, 4, x, dnnl_f32, x_tag),
                "input", e));
    TRY(nn_dnnl(dnnl_memory_desc_init_by_tag(&mds->w, 4, w, dnnl_f32, dnnl_format_tag_any),
                "weights", e));
    TRY(nn_dnnl(dnnl_memory_desc_init_by_tag(mirror ? &mds->x : &mds->y, 4, y, dnnl_f32, blocked),
                "output", e));
out:
    return e->code;
}

/* What a pass reads in bfloat16; what it writes stays float32. */
static void round_operands(enum conv_pass pass, struct conv_mds *mds)
{
    if (pass != CONV_DATA)
        mds->x.data_type = dnnl_bf16;
    if (pass != CONV_WEIGHTS)
        mds->w.data_type = dnnl_bf16;
    if (pass != CONV_FORWARD)
        mds->y.data_type = dnnl_bf16;
}

static dnnl_status_t conv_desc(enum conv_pass pass, dnnl_prop_kind_t prop, dnnl_alg_kind_t alg,
                               const struct conv_shape *s, const struct conv_mds *mds,
                               dnnl_convolution_desc_t *desc)
{
    const dnnl_dims_t stride = {s->stride, s->stride};
    const dnnl_dims_t pad = {s->pad, s->pad};

    switch (pass) {
    case CONV_FORWARD:
        return dnnl_convolution_forward_desc_init(desc, prop, alg, &mds->x, &mds->w, NULL, &mds->y,
                                                  stride, pad, pad);
    case CONV_DATA:
        return dnnl_convolution_backward_data_desc_init(desc, alg, &mds->x, &mds->w, &mds->y,
                                                        stride, pad, pad);
    case CONV_WEIGHTS:
        return dnnl_convolution_backward_weights_desc_init(desc, alg, &mds->x, &mds->w, NULL,
                                                           &mds->y, stride, pad, pad);
    }
    return dnnl_invalid_arguments;
}

/* Backward passes want a forward descriptor as a hint, one that exists. */
static dnnl_status_t make_pd(struct nn *nn, enum conv_pass pass, dnnl_prop_kind_t prop,
                             dnnl_alg_kind_t alg, const struct conv_shape *s,
                             const struct conv_mds *mds, dnnl_primitive_desc_t *pd)
{
    dnnl_convolution_desc_t desc;
    dnnl_primitive_desc_t hint = NULL;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t rc = dnnl_primitive_attr_create(&attr);
    struct conv_mds forward = *mds;

    *pd = NULL;
    if (rc == dnnl_success)
        rc = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (rc == dnnl_success && pass != CONV_FORWARD) {
        if (mds->y.data_type == dnnl_bf16) /* as in every backward pass of bfloat16 */
            forward.x.data_type = forward.w.data_type = forward.y.data_type = dnnl_bf16;
        rc = conv_desc(CONV_FORWARD, dnnl_forward_training, dnnl_convolution_direct, s, &forward,
                       &desc);
        if (rc == dnnl_success)
            rc = dnnl_primitive_desc_create(&hint, &desc, NULL, nn->engine, NULL);
    }
    if (rc == dnnl_success)
        rc = conv_desc(pass, prop, alg, s, mds, &desc);
    if (rc == dnnl_success)
        rc = dnnl_primitive_desc_create(pd, &desc, attr, nn->engine, hint);
    if (hint != NULL)
        dnnl_primitive_desc_destroy(hint);
    if (attr != NULL)
        dnnl_primitive_attr_destroy(attr);
    return rc;
}

/* Winograd with weights transformed beforehand, which "inference" permits; CONV_DATA as the forward
 * convolution of dy. *pd stays NULL where oneDNN has none in the format that we write. */
static enum err_code make_transformed_pd(struct nn *nn, enum conv_pass pass,
                                         const struct conv_shape *s, int64_t images,
                                         struct conv_mds *mds, dnnl_primitive_desc_t *pd,
                                         struct err *e)
{
    dnnl_status_t rc;

    TRY(make_mds(nn, s, images, pass == CONV_DATA, mds, e));
    rc = make_pd(nn, CONV_FORWARD, dnnl_forward_inference, dnnl_convolution_winograd, s, mds, pd);
    if (rc != dnnl_unimplemented)
        TRY(nn_dnnl(rc, "convolution", e));
    if (*pd != NULL &&
        !winograd_is_format(dnnl_primitive_desc_query_md(*pd, dnnl_query_weights_md, 0))) {
        dnnl_primitive_desc_destroy(*pd);
        *pd = NULL;
    }
out:
    return e->code;
}

/* oneDNN's implementation for what nobody has made fast: a thousand times slower than the others.
 */
static bool is_reference(dnnl_primitive_desc_t pd)
{
    const char *name = "";

    return dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name) != dnnl_success ||
           strncmp(name, "ref", 3) == 0;
}

/* Without weights transformed beforehand: `way` where offered, otherwise direct. */
static enum err_code make_plain_pd(struct nn *nn, enum conv_pass pass, const struct conv_shape *s,
                                   int64_t images, enum conv_way way, struct conv_mds *mds,
                                   dnnl_primitive_desc_t *pd, struct err *e)
{
    dnnl_status_t rc = dnnl_unimplemented;

    TRY(make_mds(nn, s, images, false, mds, e));
    if (way == WAY_BFLOAT16) {
        round_operands(pass, mds);
        rc = make_pd(nn, pass, dnnl_forward_training, dnnl_convolution_direct, s, mds, pd);
        if (rc == dnnl_success && is_reference(*pd)) {
            dnnl_primitive_desc_destroy(*pd);
            rc = dnnl_unimplemented;
        }
        if (rc == dnnl_unimplemented)
            TRY(make_mds(nn, s, images, false, mds, e));
    } else if (way == WAY_WINOGRAD && pass == CONV_WEIGHTS) {
        rc = make_pd(nn, pass, dnnl_forward_training, dnnl_convolution_winograd, s, mds, pd);
    }
    if (rc == dnnl_unimplemented)
        rc = make_pd(nn, pass, dnnl_forward_training, dnnl_convolution_direct, s, mds, pd);
    TRY(nn_dnnl(rc, "convolution", e));
out:
    return e->code;
}

static enum err_code make_args(struct nn *nn, struct conv_prim *p, enum conv_pass pass,
                               const struct conv_mds *mds, const dnnl_memory_desc_t *pad,
                               struct err *e)
{
    bool swap = pass == CONV_DATA && !p->transformed;
    const dnnl_memory_desc_t *src = swap ? &mds->y : &mds->x;
    const dnnl_memory_desc_t *dst = swap ? &mds->x : &mds->y;
    size_t scratch = dnnl_memory_desc_get_size(pad);

    TRY(mem_array(&p->args, (size_t)nn->threads, sizeof *p->args, "convolution arguments", e));
    for (int i = 0; i < nn->threads; i++) {
        struct conv_args *a = &p->args[i];
        TRY(nn_dnnl(dnnl_memory_create(&a->src, src, nn->engine, DNNL_MEMORY_NONE), "memory", e));
        TRY(nn_dnnl(dnnl_memory_create(&a->dst, dst, nn->engine, DNNL_MEMORY_NONE), "memory", e));
        TRY(nn_dnnl(dnnl_memory_create(&a->wei, &p->wei_md, nn->engine, DNNL_MEMORY_NONE), "memory",
                    e));
        TRY(nn_dnnl(dnnl_memory_create(&a->scratchpad, pad, nn->engine, DNNL_MEMORY_NONE), "memory",
                    e));
    }
    p->rounded = src->data_type == dnnl_bf16;
    if (p->rounded) {
        p->src_copy = whole_lines(scratch);
        p->dst_copy = whole_lines(p->src_copy + dnnl_memory_desc_get_size(src));
        scratch = p->dst_copy;
        if (dst->data_type == dnnl_bf16)
            scratch += dnnl_memory_desc_get_size(dst);
    }
    TRY(nn_worker_scratch(nn, scratch, e));
out:
    return e->code;
}

static enum err_code make_reorder(struct nn *nn, struct conv_prim *p, enum conv_pass pass,
                                  const struct conv_shape *s, struct err *e)
{
    const dnnl_dims_t dims = {s->oc, s->ic, s->kh, s->kw};
    dnnl_memory_desc_t plain;
    dnnl_primitive_desc_t pd = NULL;
    bool out = pass == CONV_WEIGHTS;

    TRY(nn_dnnl(dnnl_memory_desc_init_by_tag(&plain, 4, dims, dnnl_f32, dnnl_oihw), "weights", e));
    TRY(nn_dnnl(dnnl_reorder_primitive_desc_create(&pd, out ? &p->wei_md : &plain, nn->engine,
                                                   out ? &plain : &p->wei_md, nn->engine, NULL),
                "weights order", e));
    TRY(nn_dnnl(dnnl_primitive_create(&p->reorder, pd), "weights order", e));
    TRY(nn_dnnl(dnnl_memory_create(&p->plain, &plain, nn->engine, DNNL_MEMORY_NONE), "memory", e));
    TRY(nn_dnnl(dnnl_memory_create(&p->blocked, &p->wei_md, nn->engine, DNNL_MEMORY_NONE), "memory",
                e));
out:
    if (pd != NULL)
        dnnl_primitive_desc_destroy(pd);
    return e->code;
}

static enum err_code make_prim(struct nn *nn, enum conv_pass pass, const struct conv_shape *s,
                               int64_t images, struct conv_prim *p, struct err *e)
{
    struct conv_mds mds;
    dnnl_primitive_desc_t pd = NULL;
    enum conv_way way = choose_way(nn, s, images);

    p->images = images;
    TRY(nn_room("convolution", e));
    if (pass != CONV_WEIGHTS && way == WAY_WINOGRAD)
        TRY(make_transformed_pd(nn, pass, s, images, &mds, &pd, e));
    p->transformed = pd != NULL;
    if (pd == NULL)
        TRY(make_plain_pd(nn, pass, s, images, way, &mds, &pd, e));
    p->wei_md = *dnnl_primitive_desc_query_md(
        pd, pass == CONV_WEIGHTS ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);
    p->wei_bytes = dnnl_memory_desc_get_size(&p->wei_md);
    TRY(make_args(nn, p, pass, &mds, dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0),
                  e));
    TRY(nn_dnnl(dnnl_primitive_create(&p->conv, pd), "convolution", e));
    if (!p->transformed)
        TRY(make_reorder(nn, p, pass, s, e));
out:
    if (pd != NULL)
        dnnl_primitive_desc_destroy(pd);
    return e->code;
}

static void memory_free(dnnl_memory_t m)
{
    if (m != NULL)
        dnnl_memory_destroy(m);
}

static void prim_free(struct conv_prim *p, int threads)
{
    for (int i = 0; p->args != NULL && i < threads; i++) {
        memory_free(p->args[i].src);
        memory_free(p->args[i].dst);
        memory_free(p->args[i].wei);
        memory_free(p->args[i].scratchpad);
    }
    free(p->args);
    memory_free(p->plain);
    memory_free(p->blocked);
    if (p->conv != NULL)
        dnnl_primitive_destroy(p->conv);
    if (p->reorder != NULL)
        dnnl_primitive_destroy(p->reorder);
}

static void op_free(struct conv_op *op, int threads)
{
    if (op == NULL)
        return;
    for (int i = 0; i < op->n_prims; i++)
        prim_free(&op->prims[i], threads);
    free(op);
}

void conv_ops_free(struct nn *nn)
{
    for (size_t i = 0; i < nn->n_conv_ops; i++)
        op_free(nn->conv_ops[i], nn->threads);
    free(nn->conv_ops);
    nn->conv_ops = NULL;
    nn->n_conv_ops = nn->cap_conv_ops = 0;
}

static enum err_code check_shape(const struct nn *nn, enum conv_pass pass,
                                 const struct conv_shape *s, struct err *e)
{
    bool sizes = s->n >= 1 && s->ic >= 1 && s->ih >= 1 && s->iw >= 1 && s->oc >= 1 && s->kh >= 1 &&
                 s->kw >= 1 && s->stride >= 1 && s->pad >= 0;

    if (!sizes || s->ih + 2 * s->pad < s->kh || s->iw + 2 * s->pad < s->kw)
        return err_set(e, ERR_INTERNAL,
                       "convolution: %lld x %lld x %lld with a %lld x %lld window: the window must "
                       "fit and all sizes be at least 1",
                       (long long)s->ic, (long long)s->ih, (long long)s->iw, (long long)s->kh,
                       (long long)s->kw);
    if (s->oc % nn->block != 0 || (s->ic % nn->block != 0 && s->ic >= nn->block))
        return err_set(e, ERR_INTERNAL,
                       "convolution: %lld to %lld channels: must be multiples of %d (input of the "
                       "first layer: fewer than %d)",
                       (long long)s->ic, (long long)s->oc, nn->block, nn->block);
    if (pass == CONV_DATA && s->ic % nn->block != 0)
        return err_set(e, ERR_INTERNAL, "convolution: no input gradient for plain inputs");
    return ERR_OK;
}

struct make_job {
    struct nn *nn;
    struct conv_op *op;
    struct err *e;
};

/* On a thread that oneDNN sees as single: it sizes its scratchpads by the number of threads. */
static void make_op(void *ctx, int64_t i, int worker)
{
    struct make_job *job = ctx;
    struct conv_op *op = job->op;
    const struct conv_shape *s = &op->shape;
    int64_t lo = s->n / op->chunks;
    int64_t hi = (s->n + op->chunks - 1) / op->chunks;

    (void)i;
    (void)worker;
    op->n_prims = 1;
    if (make_prim(job->nn, op->pass, s, hi, &op->prims[0], job->e) != ERR_OK || lo == hi)
        return;
    op->n_prims = 2;
    if (make_prim(job->nn, op->pass, s, lo, &op->prims[1], job->e) == ERR_OK)
        op->same_format = dnnl_memory_desc_equal(&op->prims[0].wei_md, &op->prims[1].wei_md) == 1;
}

static bool same_shape(const struct conv_shape *a, const struct conv_shape *b)
{
    return a->n == b->n && a->ic == b->ic && a->ih == b->ih && a->iw == b->iw && a->oc == b->oc &&
           a->kh == b->kh && a->kw == b->kw && a->stride == b->stride && a->pad == b->pad;
}

enum err_code conv_op_get(struct nn *nn, enum conv_pass pass, const struct conv_shape *s,
                          struct conv_op **out, struct err *e)
{
    struct conv_op *op = NULL;
    struct make_job job = {.nn = nn, .e = e};

    *out = NULL;
    for (size_t i = 0; i < nn->n_conv_ops; i++) {
        if (nn->conv_ops[i]->pass == pass && same_shape(&nn->conv_ops[i]->shape, s)) {
            *out = nn->conv_ops[i];
            return ERR_OK;
        }
    }
    TRY(check_shape(nn, pass, s, e));
    TRY(mem_grow(&nn->conv_ops, &nn->cap_conv_ops, nn->n_conv_ops + 1, sizeof *nn->conv_ops,
                 "convolutions", e));
    TRY(mem_array(&op, 1, sizeof *op, "convolution", e));
    op->pass = pass;
    op->shape = *s;
    op->chunks = chunk_count(pass, s);
    op->same_format = true;
    op->src_image = s->ic * s->ih * s->iw;
    op->dst_image = s->oc * conv_oh(s) * conv_ow(s);
    if (pass == CONV_DATA) {
        int64_t swap = op->src_image;
        op->src_image = op->dst_image;
        op->dst_image = swap;
    }
    job.op = op;
    parallel_for(1, 1, make_op, &job);
    TRY(e->code);
    nn->conv_ops[nn->n_conv_ops++] = op;
    *out = op;
    op = NULL;
out:
    op_free(op, nn->threads);
    return e->code;
}
