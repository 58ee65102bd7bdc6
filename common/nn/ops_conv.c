/* SPDX-License-Identifier: MIT */
#include "common/nn/ops.h"
#include "common/nn/tape_impl.h"

#include <string.h>

/* torch.nn.BatchNorm2d's defaults, which the reference encoders use (R section 3.1). */
static const float BN_EPS = 1e-5f;
static const float BN_MOMENTUM = 0.1f;

enum { BN_READS = 1 << 0 | 1 << 1 | 1 << 2 }; /* by backward: x, gamma, beta; not the residual */

static struct bn_shape image_shape(const struct tensor *x)
{
    return (struct bn_shape){.n = x->dim[0], .c = x->dim[1], .h = x->dim[2], .w = x->dim[3]};
}

static bool is_blocked(struct tape *t, const char *op, const struct tensor *x)
{
    if (x->rank == 4 && x->layout == TENSOR_BLOCKED)
        return true;
    err_set(tape_err(t), ERR_INTERNAL, "%s: the operand is not a blocked image", op);
    return false;
}

static void conv2d_backward(struct tape *t, struct node *n)
{
    struct tensor *x = n->in[0], *w = n->in[1];
    float beta = 0;
    struct conv_gradients to = {.w = grad_target(t, w, &beta)};

    to.add_w = beta != 0;
    to.x = grad_open(t, x);
    if ((to.w != NULL || to.x != NULL) && k_conv_backward(tape_nn(t), &n->u.conv, x->data, w->data,
                                                          n->out->grad, &to, tape_err(t)) != ERR_OK)
        return;
    grad_close(t, x, to.x);
}

struct tensor *op_conv2d(struct tape *t, struct tensor *x, struct tensor *w, int stride, int pad)
{
    struct tensor *in[] = {x, w};
    struct tensor *y;
    struct node *n;
    struct conv_shape s;
    int block = nn_block(tape_nn(t));

    if (!tape_ready(t, "conv2d", 2, in))
        return NULL;
    if (x->rank != 4 || w->rank != 4 || x->dim[1] != w->dim[1] || w->layout != TENSOR_PLAIN ||
        w->dim[0] % block != 0 ||
        x->layout != (x->dim[1] % block == 0 ? TENSOR_BLOCKED : TENSOR_PLAIN) ||
        (x->layout == TENSOR_PLAIN && x->needs_grad) || stride < 1 || pad < 0 ||
        x->dim[2] + 2 * pad < w->dim[2] || x->dim[3] + 2 * pad < w->dim[3]) {
        err_set(tape_err(t), ERR_INTERNAL, "conv2d: shapes or layouts do not fit");
        return NULL;
    }
    s = (struct conv_shape){.n = x->dim[0],
                            .ic = x->dim[1],
                            .ih = x->dim[2],
                            .iw = x->dim[3],
                            .oc = w->dim[0],
                            .kh = w->dim[2],
                            .kw = w->dim[3],
                            .stride = stride,
                            .pad = pad};
    y = tape_result(t, 4, (int64_t[]){s.n, s.oc, conv_oh(&s), conv_ow(&s)}, TENSOR_BLOCKED);
    if (y == NULL ||
        k_conv_forward(tape_nn(t), &s, x->data, w->data, y->data, tape_err(t)) != ERR_OK)
        return NULL;
    n = tape_record(t, y, 2, in, conv2d_backward);
    node_reads(n, (w->needs_grad ? 1u << 0 : 0) | 1u << 1);
    if (n != NULL)
        n->u.conv = s;
    return tape_done(t, y);
}

/* Where the kernel, which always writes both, puts the gradients of gamma and beta. Returns what
 * takes those that nobody asked for, to be released, or NULL. */
static float *affine_open(struct tape *t, struct node *n, struct bn_gradients *to)
{
    struct tensor *gamma = n->in[1], *beta = n->in[2];
    float *scratch = NULL;

    to->gamma = grad_accumulator(t, gamma);
    to->beta = grad_accumulator(t, beta);
    if (!gamma->needs_grad || !beta->needs_grad)
        scratch = tape_buffer(t, 2 * gamma->dim[0]);
    if (!gamma->needs_grad)
        to->gamma = scratch;
    if (!beta->needs_grad)
        to->beta = scratch != NULL ? scratch + gamma->dim[0] : NULL;
    return scratch;
}

/* The end of what to->x was got for, by grad_open or, where x needs no gradient, tape_buffer. */
static void input_close(struct tape *t, struct tensor *x, float *dx)
{
    if (x->needs_grad)
        grad_close(t, x, dx);
    else
        tape_buffer_release(t, dx);
}

static void batchnorm_backward(struct tape *t, struct node *n)
{
    struct tensor *x = n->in[0], *residual = n->in[3];
    struct bn_gradients to = {.residual = grad_open(t, residual)};
    float *scratch = affine_open(t, n, &to);
    float *unwanted = NULL;
    const float *dy = n->out->grad; /* its buffer may become x's gradient */

    if (residual != NULL && !residual->needs_grad)
        to.residual = unwanted = tape_buffer(t, tensor_count(residual));
    to.x = grad_steal(n, x);
    if (to.x == NULL)
        to.x = x->needs_grad ? grad_open(t, x) : tape_buffer(t, tensor_count(x));
    if (tape_err(t)->code == ERR_OK &&
        k_batchnorm_backward(tape_nn(t), &n->u.bn.shape, &n->u.bn.layer, !n->u.bn.training, x->data,
                             n->out->data, dy, &to, tape_err(t)) != ERR_OK)
        err_in(tape_err(t), "batchnorm");
    input_close(t, x, to.x);
    if (unwanted != NULL)
        tape_buffer_release(t, unwanted);
    else
        grad_close(t, residual, to.residual);
    tape_buffer_release(t, scratch);
}

/* Without a residual. The statistics at hand give forward's bits in training too. */
static void batchnorm_restore(struct tape *t, struct node *n)
{
    if (k_batchnorm_eval(tape_nn(t), &n->u.bn.shape, &n->u.bn.layer, n->in[0]->data, NULL,
                         n->out->data, tape_err(t)) != ERR_OK)
        err_in(tape_err(t), "batchnorm");
}

/* running = 0.9 running + 0.1 batch, the variance unbiased, as torch does it. */
static void update_running(const struct batchnorm *bn, const struct bn_shape *s, const float *mean,
                           const float *var)
{
    double count = (double)s->n * (double)s->h * (double)s->w;
    float unbias = (float)(count / (count - 1));

    for (int64_t c = 0; c < s->c; c++) {
        float *m = &bn->running_mean->data[c];
        float *v = &bn->running_var->data[c];

        *m = (1 - BN_MOMENTUM) * *m + BN_MOMENTUM * mean[c];
        *v = (1 - BN_MOMENTUM) * *v + BN_MOMENTUM * (var[c] * unbias);
    }
    bn->batches->counter++;
}

static bool batchnorm_fits(struct tape *t, const struct tensor *x, const struct batchnorm *bn,
                           const struct tensor *residual)
{
    if (!is_blocked(t, "batchnorm", x))
        return false;
    if (bn->gamma->count != x->dim[1]) {
        err_set(tape_err(t), ERR_INTERNAL, "batchnorm: %s has %lld channels, its input %lld",
                bn->gamma->name, (long long)bn->gamma->count, (long long)x->dim[1]);
        return false;
    }
    for (int i = 0; residual != NULL && i < 4; i++) {
        if (residual->layout != TENSOR_BLOCKED || residual->dim[i] != x->dim[i]) {
            err_set(tape_err(t), ERR_INTERNAL, "batchnorm: the residual has another shape");
            return false;
        }
    }
    if (tape_training(t) && x->dim[0] * x->dim[2] * x->dim[3] == 1) {
        err_set(tape_err(t), ERR_USAGE,
                "%s: batch norm of a single value per channel has no variance: use a larger "
                "batch or input",
                bn->gamma->name);
        return false;
    }
    return true;
}

/* What a pass over c channels normalises with: weights, and memory for the statistics, 2 c floats
 * at layer->mean. Outside training they are those of now: a training pass may move the running ones
 * before backward reads them. False on failure. */
static bool layer_open(struct tape *t, const struct batchnorm *bn, struct tensor *const *in,
                       int64_t c, struct bn_layer *layer)
{
    layer->mean = tape_buffer(t, 2 * c);
    if (layer->mean == NULL)
        return false;
    layer->var = layer->mean + c;
    layer->gamma = in[1]->data;
    layer->beta = in[2]->data;
    layer->eps = BN_EPS;
    if (!tape_training(t)) {
        memcpy(layer->mean, bn->running_mean->data, (size_t)c * sizeof *layer->mean);
        memcpy(layer->var, bn->running_var->data, (size_t)c * sizeof *layer->var);
    }
    return true;
}

/* Its end: what backward needs goes to n, if there is one. */
static void layer_close(struct tape *t, struct node *n, const struct bn_shape *s,
                        const struct bn_layer *layer)
{
    if (n == NULL) {
        tape_buffer_release(t, layer->mean);
        return;
    }
    n->save[0] = layer->mean;
    n->u.bn.shape = *s;
    n->u.bn.layer = *layer;
    n->u.bn.training = tape_training(t);
}

struct tensor *op_batchnorm(struct tape *t, struct tensor *x, const struct batchnorm *bn,
                            struct tensor *residual, bool relu)
{
    struct tensor *in[] = {x, tape_param(t, bn->gamma), tape_param(t, bn->beta), residual};
    bool training = tape_training(t);
    struct bn_layer layer = {.relu = relu};
    const float *add = residual != NULL ? residual->data : NULL;
    struct tensor *y;
    struct node *n;
    struct bn_shape s;

    if (!tape_ready(t, "batchnorm", residual != NULL ? 4 : 3, in) ||
        !batchnorm_fits(t, x, bn, residual))
        return NULL;
    s = image_shape(x);
    y = tape_result(t, 4, x->dim, TENSOR_BLOCKED);
    if (y == NULL || !layer_open(t, bn, in, s.c, &layer) ||
        (training ? k_batchnorm_train : k_batchnorm_eval)(tape_nn(t), &s, &layer, x->data, add,
                                                          y->data, tape_err(t)) != ERR_OK)
        return NULL;
    if (training)
        update_running(bn, &s, layer.mean, layer.var);
    n = tape_record(t, y, 4, in, batchnorm_backward);
    layer_close(t, n, &s, &layer);
    if (n != NULL)
        n->restore = residual == NULL ? batchnorm_restore : NULL;
    node_reads(n, BN_READS | (residual != NULL && relu ? NODE_RESULT : 0));
    return tape_done(t, y);
}

/* Max pool's result, and in *winners a byte for each of its elements; NULL on failure. */
static struct tensor *pooled_result(struct tape *t, const struct bn_shape *s, int k, int stride,
                                    int pad, float **winners)
{
    struct tensor *y;

    if (k < 1 || k > 15 || stride < 1 || pad < 0 || 2 * pad > k || s->h + 2 * pad < k ||
        s->w + 2 * pad < k) {
        err_set(tape_err(t), ERR_INTERNAL, "maxpool: window %d, stride %d, padding %d", k, stride,
                pad);
        return NULL;
    }
    y = tape_result(t, 4,
                    (int64_t[]){s->n, s->c, (s->h + 2 * pad - k) / stride + 1,
                                (s->w + 2 * pad - k) / stride + 1},
                    TENSOR_BLOCKED);
    if (y == NULL)
        return NULL;
    *winners = tape_buffer(t, (tensor_count(y) + 3) / 4);
    return *winners != NULL ? y : NULL;
}

static void maxpool_backward(struct tape *t, struct node *n)
{
    struct tensor *x = n->in[0];
    float *dx = grad_open(t, x);

    if (dx != NULL && k_maxpool_backward(tape_nn(t), &n->u.pool.shape, n->u.pool.k,
                                         n->u.pool.stride, n->u.pool.pad, n->out->grad,
                                         (const uint8_t *)n->save[0], dx, tape_err(t)) != ERR_OK)
        return;
    grad_close(t, x, dx);
}

struct tensor *op_maxpool(struct tape *t, struct tensor *x, int k, int stride, int pad)
{
    struct tensor *in[] = {x};
    struct tensor *y;
    struct node *n;
    struct bn_shape s;
    float *winners;

    if (!tape_ready(t, "maxpool", 1, in) || !is_blocked(t, "maxpool", x))
        return NULL;
    s = image_shape(x);
    y = pooled_result(t, &s, k, stride, pad, &winners);
    if (y == NULL || k_maxpool_forward(tape_nn(t), &s, k, stride, pad, x->data, y->data,
                                       (uint8_t *)winners, tape_err(t)) != ERR_OK)
        return NULL;
    n = tape_record(t, y, 1, in, maxpool_backward);
    node_reads(n, 0);
    if (n != NULL) {
        n->save[0] = winners;
        n->u.pool.shape = s;
        n->u.pool.k = k;
        n->u.pool.stride = stride;
        n->u.pool.pad = pad;
    } else {
        tape_buffer_release(t, winners);
    }
    return tape_done(t, y);
}

static void batchnorm_maxpool_backward(struct tape *t, struct node *n)
{
    struct tensor *x = n->in[0];
    struct bn_gradients to = {0};
    float *scratch = affine_open(t, n, &to);

    to.x = x->needs_grad ? grad_open(t, x) : tape_buffer(t, tensor_count(x));
    if (tape_err(t)->code == ERR_OK &&
        k_batchnorm_maxpool_backward(tape_nn(t), &n->u.bn.shape, &n->u.bn.layer, !n->u.bn.training,
                                     n->u.bn.k, n->u.bn.stride, n->u.bn.pad, x->data, n->out->grad,
                                     (const uint8_t *)n->save[1], &to, tape_err(t)) != ERR_OK)
        err_in(tape_err(t), "batchnorm_maxpool");
    input_close(t, x, to.x);
    tape_buffer_release(t, scratch);
}

struct tensor *op_batchnorm_maxpool(struct tape *t, struct tensor *x, const struct batchnorm *bn,
                                    bool relu, int k, int stride, int pad)
{
    struct tensor *in[] = {x, tape_param(t, bn->gamma), tape_param(t, bn->beta)};
    bool training = tape_training(t);
    struct bn_layer layer = {.relu = relu};
    struct tensor *y;
    struct node *n;
    struct bn_shape s;
    float *winners;

    if (!tape_ready(t, "batchnorm_maxpool", 3, in) || !batchnorm_fits(t, x, bn, NULL))
        return NULL;
    s = image_shape(x);
    y = pooled_result(t, &s, k, stride, pad, &winners);
    if (y == NULL || !layer_open(t, bn, in, s.c, &layer) ||
        (training ? k_batchnorm_maxpool_train
                  : k_batchnorm_maxpool_eval)(tape_nn(t), &s, &layer, k, stride, pad, x->data,
                                              y->data, (uint8_t *)winners, tape_err(t)) != ERR_OK)
        return NULL;
    if (training)
        update_running(bn, &s, layer.mean, layer.var);
    n = tape_record(t, y, 3, in, batchnorm_maxpool_backward);
    layer_close(t, n, &s, &layer);
    if (n != NULL) {
        n->save[1] = winners;
        n->u.bn.k = k;
        n->u.bn.stride = stride;
        n->u.bn.pad = pad;
    } else {
        tape_buffer_release(t, winners);
    }
    node_reads(n, BN_READS);
    return tape_done(t, y);
}

static void meanpool_backward(struct tape *t, struct node *n)
{
    struct tensor *x = n->in[0];
    float *dx = grad_open(t, x);

    if (dx != NULL && k_meanpool_backward(tape_nn(t), &n->u.pool.shape, n->u.pool.frames,
                                          n->out->grad, dx, tape_err(t)) != ERR_OK)
        return;
    grad_close(t, x, dx);
}

struct tensor *op_meanpool(struct tape *t, struct tensor *x, int frames)
{
    struct tensor *in[] = {x};
    struct tensor *y;
    struct node *n;
    struct bn_shape s;

    if (!tape_ready(t, "meanpool", 1, in) || !is_blocked(t, "meanpool", x))
        return NULL;
    s = image_shape(x);
    if (frames < 1 || s.n % frames != 0) {
        err_set(tape_err(t), ERR_INTERNAL, "meanpool: %lld images are not a multiple of %d frames",
                (long long)s.n, frames);
        return NULL;
    }
    y = tape_result(t, 2, (int64_t[]){s.n / frames, s.c}, TENSOR_PLAIN);
    if (y == NULL ||
        k_meanpool_forward(tape_nn(t), &s, frames, x->data, y->data, tape_err(t)) != ERR_OK)
        return NULL;
    n = tape_record(t, y, 1, in, meanpool_backward);
    node_reads(n, 0);
    if (n != NULL) {
        n->u.pool.shape = s;
        n->u.pool.frames = frames;
    }
    return tape_done(t, y);
}
