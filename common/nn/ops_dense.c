/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "common/nn/ops.h"
#include "common/nn/scalar.h"
#include "common/nn/tape_impl.h"

#include <math.h>
#include <string.h>

/* An unsaved result of x's shape. */
static struct tensor *like(struct tape *t, const struct tensor *x)
{
    return tape_result(t, x->rank, x->dim, x->layout);
}

static void linear_backward(struct tape *t, struct node *n)
{
    struct tensor *x = n->in[0], *w = n->in[1], *b = n->in[2];
    int64_t rows = x->dim[0], in = x->dim[1], out = w->dim[0];
    const float *dy = n->out->grad;
    float beta, *dw = grad_target(t, w, &beta);
    float *db = grad_accumulator(t, b);
    float *dx;

    if (dw != NULL && k_gemm(tape_nn(t), true, false, out, in, rows, 1, dy, out, x->data, in, beta,
                             dw, in, tape_err(t)) != ERR_OK)
        return;
    if (db != NULL && k_column_sums(tape_nn(t), rows, out, dy, db, tape_err(t)) != ERR_OK)
        return;
    dx = grad_open(t, x);
    if (dx != NULL && k_gemm(tape_nn(t), false, false, rows, in, out, 1, dy, out, w->data, in, 0,
                             dx, in, tape_err(t)) != ERR_OK)
        return;
    grad_close(t, x, dx);
}

struct tensor *op_linear(struct tape *t, struct tensor *x, struct tensor *w, struct tensor *b)
{
    struct tensor *in[] = {x, w, b};
    struct tensor *y;
    int64_t rows, width, out;

    if (!tape_ready(t, "linear", b != NULL ? 3 : 2, in) || !tape_is_matrix(t, "linear", x) ||
        !tape_is_matrix(t, "linear", w))
        return NULL;
    rows = x->dim[0];
    width = x->dim[1];
    out = w->dim[0];
    if (w->dim[1] != width || (b != NULL && (b->rank != 1 || b->dim[0] != out))) {
        err_set(tape_err(t), ERR_INTERNAL, "linear: [%lld, %lld] does not fit [%lld, %lld]",
                (long long)rows, (long long)width, (long long)out, (long long)w->dim[1]);
        return NULL;
    }
    y = tape_result(t, 2, (int64_t[]){rows, out}, TENSOR_PLAIN);
    if (y == NULL)
        return NULL;
    if (k_linear(tape_nn(t), rows, width, out, x->data, w->data, b != NULL ? b->data : NULL,
                 y->data, tape_err(t)) != ERR_OK)
        return NULL;
    (void)tape_record(t, y, 3, in, linear_backward);
    return tape_done(t, y);
}

static void relu_backward(struct tape *t, struct node *n)
{
    struct tensor *x = n->in[0];
    float *dx = grad_open(t, x);

    if (dx != NULL && k_relu_backward(tape_nn(t), tensor_count(x), n->out->data, n->out->grad, dx,
                                      tape_err(t)) != ERR_OK)
        return;
    grad_close(t, x, dx);
}

struct tensor *op_relu(struct tape *t, struct tensor *x)
{
    struct tensor *y;

    if (!tape_ready(t, "relu", 1, &x))
        return NULL;
    y = like(t, x);
    if (y == NULL || k_relu(tape_nn(t), tensor_count(x), x->data, y->data, tape_err(t)) != ERR_OK)
        return NULL;
    (void)tape_record(t, y, 1, &x, relu_backward);
    return tape_done(t, y);
}

/* save[0] holds the normalised rows, then 1 / deviation of each row. */
static void layernorm_backward(struct tape *t, struct node *n)
{
    struct tensor *x = n->in[0], *gamma = n->in[1], *beta = n->in[2];
    int64_t rows = x->dim[0], d = x->dim[1];
    const float *xhat = n->save[0], *scale = n->save[0] + rows * d;
    const float *dy = n->out->grad;
    float *dgamma = grad_accumulator(t, gamma);
    float *dbeta = grad_accumulator(t, beta);
    float *dx = grad_open(t, x);

    for (int64_t j = 0; dgamma != NULL && j < d; j++) {
        double sum = 0;

        for (int64_t i = 0; i < rows; i++)
            sum += (double)dy[i * d + j] * (double)xhat[i * d + j];
        dgamma[j] += (float)sum;
    }
    if (dbeta != NULL && k_column_sums(tape_nn(t), rows, d, dy, dbeta, tape_err(t)) != ERR_OK)
        return;
    for (int64_t i = 0; dx != NULL && i < rows; i++) {
        const float *g = dy + i * d, *h = xhat + i * d;
        double sum = 0, dot = 0;

        for (int64_t j = 0; j < d; j++) {
            double v = gamma != NULL ? (double)g[j] * (double)gamma->data[j] : (double)g[j];

            sum += v;
            dot += v * (double)h[j];
        }
        for (int64_t j = 0; j < d; j++) {
            double v = gamma != NULL ? (double)g[j] * (double)gamma->data[j] : (double)g[j];

            dx[i * d + j] =
                (float)((double)scale[i] * (v - (sum + (double)h[j] * dot) / (double)d));
        }
    }
    grad_close(t, x, dx);
}

static bool layernorm_fits(struct tape *t, const struct tensor *x, const struct tensor *gamma,
                           const struct tensor *beta)
{
    if (!tape_is_matrix(t, "layernorm", x))
        return false;
    if (gamma != NULL && (gamma->rank != 1 || gamma->dim[0] != x->dim[1] || beta->rank != 1 ||
                          beta->dim[0] != x->dim[1])) {
        err_set(tape_err(t), ERR_INTERNAL, "layernorm: the affine part has another size");
        return false;
    }
    return true;
}

struct tensor *op_layernorm(struct tape *t, struct tensor *x, struct tensor *gamma,
                            struct tensor *beta, float eps)
{
    struct tensor *in[] = {x, gamma, beta};
    struct tensor *y;
    struct node *n;
    int64_t rows, d;
    float *saved;

    if (!tape_ready(t, "layernorm", gamma != NULL || beta != NULL ? 3 : 1, in) ||
        !layernorm_fits(t, x, gamma, beta))
        return NULL;
    rows = x->dim[0];
    d = x->dim[1];
    y = like(t, x);
    saved = tape_buffer(t, rows * d + rows);
    if (y == NULL || saved == NULL)
        return NULL;
    for (int64_t i = 0; i < rows; i++) {
        const float *row = x->data + i * d;
        double mean = 0, var = 0, scale;

        for (int64_t j = 0; j < d; j++)
            mean += (double)row[j];
        mean /= (double)d;
        for (int64_t j = 0; j < d; j++)
            var += ((double)row[j] - mean) * ((double)row[j] - mean);
        scale = 1 / sqrt(var / (double)d + (double)eps);
        saved[rows * d + i] = (float)scale;
        for (int64_t j = 0; j < d; j++) {
            double h = ((double)row[j] - mean) * scale;

            saved[i * d + j] = (float)h;
            y->data[i * d + j] = gamma == NULL
                                     ? (float)h
                                     : (float)(h * (double)gamma->data[j] + (double)beta->data[j]);
        }
    }
    n = tape_record(t, y, 3, in, layernorm_backward);
    if (n != NULL)
        n->save[0] = saved;
    else
        tape_buffer_release(t, saved);
    return tape_done(t, y);
}

static void concat_backward(struct tape *t, struct node *n)
{
    int64_t rows = n->out->dim[0], width = n->out->dim[1], at = 0;

    for (int k = 0; k < n->inputs; k++) {
        struct tensor *x = n->in[k];
        int64_t d = x->dim[1];
        float *dx = grad_open(t, x);

        for (int64_t i = 0; dx != NULL && i < rows; i++)
            memcpy(dx + i * d, n->out->grad + i * width + at, (size_t)d * sizeof(float));
        grad_close(t, x, dx);
        at += d;
    }
}

struct tensor *op_concat(struct tape *t, int n, struct tensor *const *x)
{
    int64_t rows, width = 0;
    struct tensor *y;
    float *to;

    if (n < 1 || n > NODE_INPUTS_MAX) {
        err_set(tape_err(t), ERR_INTERNAL, "concat: %d operands", n);
        return NULL;
    }
    if (!tape_ready(t, "concat", n, x))
        return NULL;
    rows = x[0]->dim[0];
    for (int k = 0; k < n; k++) {
        if (!tape_is_matrix(t, "concat", x[k]))
            return NULL;
        if (x[k]->dim[0] != rows) {
            err_set(tape_err(t), ERR_INTERNAL, "concat: %lld and %lld rows", (long long)rows,
                    (long long)x[k]->dim[0]);
            return NULL;
        }
        width += x[k]->dim[1];
    }
    y = tape_result(t, 2, (int64_t[]){rows, width}, TENSOR_PLAIN);
    if (y == NULL)
        return NULL;
    to = y->data;
    for (int64_t i = 0; i < rows; i++) {
        for (int k = 0; k < n; k++) {
            int64_t d = x[k]->dim[1];

            memcpy(to, x[k]->data + i * d, (size_t)d * sizeof(float));
            to += d;
        }
    }
    (void)tape_record(t, y, n, x, concat_backward);
    return tape_done(t, y);
}

static void add_backward(struct tape *t, struct node *n)
{
    for (int k = 0; k < 2; k++) {
        float *dx = grad_open(t, n->in[k]);

        if (dx != NULL)
            memcpy(dx, n->out->grad, (size_t)tensor_count(n->out) * sizeof(float));
        grad_close(t, n->in[k], dx);
    }
}

struct tensor *op_add(struct tape *t, struct tensor *a, struct tensor *b)
{
    struct tensor *in[] = {a, b};
    struct tensor *y;

    if (!tape_ready(t, "add", 2, in) || !tape_same_shape(t, "add", a, b))
        return NULL;
    y = like(t, a);
    if (y == NULL)
        return NULL;
    memcpy(y->data, a->data, (size_t)tensor_count(a) * sizeof(float));
    if (k_add(tape_nn(t), tensor_count(b), b->data, y->data, tape_err(t)) != ERR_OK)
        return NULL;
    (void)tape_record(t, y, 2, in, add_backward);
    return tape_done(t, y);
}

static void scale_backward(struct tape *t, struct node *n)
{
    struct tensor *x = n->in[0];
    int64_t count = tensor_count(x);
    float *dx = grad_open(t, x);

    for (int64_t i = 0; dx != NULL && i < count; i++)
        dx[i] = n->u.factor * n->out->grad[i];
    grad_close(t, x, dx);
}

struct tensor *op_scale(struct tape *t, struct tensor *x, float factor)
{
    struct tensor *y;
    struct node *n;
    int64_t count;

    if (!tape_ready(t, "scale", 1, &x))
        return NULL;
    y = like(t, x);
    if (y == NULL)
        return NULL;
    count = tensor_count(x);
    for (int64_t i = 0; i < count; i++)
        y->data[i] = factor * x->data[i];
    n = tape_record(t, y, 1, &x, scale_backward);
    if (n != NULL)
        n->u.factor = factor;
    return tape_done(t, y);
}

static void row_affine_backward(struct tape *t, struct node *n)
{
    struct tensor *x = n->in[0];
    int64_t rows = x->dim[0], d = x->dim[1];
    float *dx = grad_open(t, x);

    for (int64_t i = 0; dx != NULL && i < rows * d; i++)
        dx[i] = n->u.constant[i / d] * n->out->grad[i];
    grad_close(t, x, dx);
}

struct tensor *op_row_affine(struct tape *t, struct tensor *x, const float *scale,
                             const float *shift)
{
    struct tensor *y;
    struct node *n;
    int64_t rows, d;

    if (!tape_ready(t, "row_affine", 1, &x) || !tape_is_matrix(t, "row_affine", x))
        return NULL;
    y = like(t, x);
    if (y == NULL)
        return NULL;
    rows = x->dim[0];
    d = x->dim[1];
    for (int64_t i = 0; i < rows * d; i++)
        y->data[i] = scale[i / d] * x->data[i] + shift[i / d];
    n = tape_record(t, y, 1, &x, row_affine_backward);
    if (n != NULL)
        n->u.constant = scale;
    return tape_done(t, y);
}

static void sigmoid_backward(struct tape *t, struct node *n)
{
    struct tensor *x = n->in[0];
    const float *y = n->out->data;
    int64_t count = tensor_count(x);
    float *dx = grad_open(t, x);

    for (int64_t i = 0; dx != NULL && i < count; i++)
        dx[i] = n->u.factor * y[i] * (1 - y[i]) * n->out->grad[i];
    grad_close(t, x, dx);
}

struct tensor *op_sigmoid(struct tape *t, struct tensor *x, float scale)
{
    struct tensor *y;
    struct node *n;
    int64_t count;

    if (!tape_ready(t, "sigmoid", 1, &x))
        return NULL;
    y = like(t, x);
    if (y == NULL)
        return NULL;
    count = tensor_count(x);
    for (int64_t i = 0; i < count; i++)
        y->data[i] = (float)scalar_sigmoid((double)scale * (double)x->data[i]);
    n = tape_record(t, y, 1, &x, sigmoid_backward);
    if (n != NULL)
        n->u.factor = scale;
    return tape_done(t, y);
}

static void mean_backward(struct tape *t, struct node *n)
{
    struct tensor *x = n->in[0];
    int64_t count = tensor_count(x);
    float *dx = grad_open(t, x);

    for (int64_t i = 0; dx != NULL && i < count; i++)
        dx[i] = n->out->grad[0] / (float)count;
    grad_close(t, x, dx);
}

struct tensor *op_mean(struct tape *t, struct tensor *x)
{
    struct tensor *y;
    double sum = 0;
    int64_t count;

    if (!tape_ready(t, "mean", 1, &x))
        return NULL;
    y = tape_result(t, 0, NULL, TENSOR_PLAIN);
    if (y == NULL)
        return NULL;
    count = tensor_count(x);
    for (int64_t i = 0; i < count; i++)
        sum += (double)x->data[i];
    y->data[0] = (float)(sum / (double)count);
    (void)tape_record(t, y, 1, &x, mean_backward);
    return tape_done(t, y);
}

static void dot_backward(struct tape *t, struct node *n)
{
    struct tensor *x = n->in[0];
    int64_t count = tensor_count(x);
    float *dx = grad_open(t, x);

    for (int64_t i = 0; dx != NULL && i < count; i++)
        dx[i] = n->out->grad[0] * n->u.constant[i];
    grad_close(t, x, dx);
}

struct tensor *op_dot(struct tape *t, struct tensor *x, const float *weight)
{
    struct tensor *y;
    struct node *n;
    double sum = 0;
    int64_t count;

    if (!tape_ready(t, "dot", 1, &x))
        return NULL;
    y = tape_result(t, 0, NULL, TENSOR_PLAIN);
    if (y == NULL)
        return NULL;
    count = tensor_count(x);
    for (int64_t i = 0; i < count; i++)
        sum += (double)x->data[i] * (double)weight[i];
    y->data[0] = (float)sum;
    n = tape_record(t, y, 1, &x, dot_backward);
    if (n != NULL)
        n->u.constant = weight;
    return tape_done(t, y);
}

struct tensor *op_detach(struct tape *t, struct tensor *x)
{
    if (!tape_ready(t, "detach", 1, &x))
        return NULL;
    return tape_alias(t, x->rank, x->dim, x->layout, x->data);
}

/* dx = dy * save[0], element by element. */
static void multiply_backward(struct tape *t, struct node *n)
{
    struct tensor *x = n->in[0];
    int64_t count = tensor_count(x);
    float *dx = grad_open(t, x);

    for (int64_t i = 0; dx != NULL && i < count; i++)
        dx[i] = n->out->grad[i] * n->save[0][i];
    grad_close(t, x, dx);
}

struct tensor *op_dropout(struct tape *t, struct tensor *x, float p, const struct noise_key *key)
{
    struct tensor *y;
    struct node *n;
    int64_t rows, d;
    float *factor;

    if (!tape_ready(t, "dropout", 1, &x) || !tape_is_matrix(t, "dropout", x))
        return NULL;
    if (!(p >= 0 && p < 1)) {
        err_set(tape_err(t), ERR_USAGE, "dropout: probability %g: must be in [0, 1)", (double)p);
        return NULL;
    }
    if (!tape_training(t) || p == 0)
        return x;
    if (key == NULL || key->row == NULL) {
        err_set(tape_err(t), ERR_INTERNAL, "dropout: no key in training");
        return NULL;
    }
    rows = x->dim[0];
    d = x->dim[1];
    y = like(t, x);
    factor = tape_buffer(t, rows * d);
    if (y == NULL || factor == NULL)
        return NULL;
    for (int64_t i = 0; i < rows; i++) {
        struct rng r = rng_at(key->seed, key->stream, key->epoch, key->row[i]);

        for (int64_t j = i * d; j < (i + 1) * d; j++) {
            factor[j] = rng_float(&r) >= p ? 1 / (1 - p) : 0;
            y->data[j] = x->data[j] * factor[j];
        }
    }
    n = tape_record(t, y, 1, &x, multiply_backward);
    if (n != NULL)
        n->save[0] = factor;
    else
        tape_buffer_release(t, factor);
    return tape_done(t, y);
}

static void mix_backward(struct tape *t, struct node *n)
{
    struct tensor *z = n->in[0], *fill = n->in[1], *mask = n->in[2];
    const float *m = mask->data, *dy = n->out->grad;
    int64_t count = tensor_count(z);
    float *dz = grad_open(t, z);
    float *dfill, *dmask;

    for (int64_t i = 0; dz != NULL && i < count; i++)
        dz[i] = (1 - m[i]) * dy[i];
    grad_close(t, z, dz);
    dfill = grad_open(t, fill);
    for (int64_t i = 0; dfill != NULL && i < count; i++)
        dfill[i] = m[i] * dy[i];
    grad_close(t, fill, dfill);
    dmask = grad_open(t, mask);
    for (int64_t i = 0; dmask != NULL && i < count; i++)
        dmask[i] = (fill->data[i] - z->data[i]) * dy[i];
    grad_close(t, mask, dmask);
}

struct tensor *op_mix(struct tape *t, struct tensor *z, struct tensor *mask, struct tensor *fill)
{
    struct tensor *in[] = {z, fill, mask};
    struct tensor *y;
    int64_t count;

    if (!tape_ready(t, "mix", 3, in) || !tape_same_shape(t, "mix", z, mask) ||
        !tape_same_shape(t, "mix", z, fill))
        return NULL;
    y = like(t, z);
    if (y == NULL)
        return NULL;
    count = tensor_count(z);
    for (int64_t i = 0; i < count; i++)
        y->data[i] = (1 - mask->data[i]) * z->data[i] + mask->data[i] * fill->data[i];
    (void)tape_record(t, y, 3, in, mix_backward);
    return tape_done(t, y);
}
