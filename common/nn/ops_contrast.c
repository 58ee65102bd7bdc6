/* SPDX-License-Identifier: MIT */
#include "common/nn/ops.h"
#include "common/nn/scalar.h"
#include "common/nn/tape_impl.h"

#include <math.h>
#include <string.h>

/* Operations that set rows against each other. */

static void gather_backward(struct tape *t, struct node *n)
{
    struct tensor *x = n->in[0];
    int64_t width = x->dim[1];
    float *dx = grad_accumulator(t, x);

    for (int64_t i = 0; dx != NULL && i < n->out->dim[0]; i++) {
        const float *dy = n->out->grad + i * width;
        float *to = dx + n->u.index[i] * width;

        for (int64_t k = 0; k < width; k++)
            to[k] += dy[k];
    }
}

struct tensor *op_gather_rows(struct tape *t, struct tensor *x, int64_t rows, const int32_t *index)
{
    struct tensor *y;
    struct node *n;

    if (!tape_ready(t, "gather_rows", 1, &x) || !tape_is_matrix(t, "gather_rows", x))
        return NULL;
    y = tape_result(t, 2, (int64_t[]){rows, x->dim[1]}, TENSOR_PLAIN);
    if (y == NULL)
        return NULL;
    for (int64_t i = 0; i < rows; i++)
        memcpy(y->data + i * x->dim[1], x->data + index[i] * x->dim[1],
               (size_t)x->dim[1] * sizeof(float));
    n = tape_record(t, y, 1, &x, gather_backward);
    if (n != NULL)
        n->u.index = index;
    return tape_done(t, y);
}

static void replace_backward(struct tape *t, struct node *n)
{
    struct tensor *x = n->in[0], *rows = n->in[1];
    const float *dy = n->out->grad;
    int64_t width = x->dim[1], count = rows->dim[0];
    float *dx = grad_open(t, x), *drows;

    if (dx != NULL)
        memcpy(dx, dy, (size_t)tensor_count(x) * sizeof *dx);
    for (int64_t i = 0; dx != NULL && i < count; i++)
        memset(dx + n->u.index[i] * width, 0, (size_t)width * sizeof *dx);
    grad_close(t, x, dx);
    drows = grad_open(t, rows);
    for (int64_t i = 0; drows != NULL && i < count; i++)
        memcpy(drows + i * width, dy + n->u.index[i] * width, (size_t)width * sizeof *drows);
    grad_close(t, rows, drows);
}

struct tensor *op_replace_rows(struct tape *t, struct tensor *x, struct tensor *rows,
                               const int32_t *index)
{
    struct tensor *in[] = {x, rows};
    struct tensor *y;
    struct node *n;
    int64_t width;

    if (!tape_ready(t, "replace_rows", 2, in) || !tape_is_matrix(t, "replace_rows", x) ||
        !tape_is_matrix(t, "replace_rows", rows))
        return NULL;
    width = x->dim[1];
    if (rows->dim[1] != width || rows->dim[0] > x->dim[0]) {
        err_set(tape_err(t), ERR_INTERNAL, "replace_rows: [%lld, %lld] into [%lld, %lld]",
                (long long)rows->dim[0], (long long)rows->dim[1], (long long)x->dim[0],
                (long long)width);
        return NULL;
    }
    y = tape_result(t, 2, x->dim, TENSOR_PLAIN);
    if (y == NULL)
        return NULL;
    memcpy(y->data, x->data, (size_t)tensor_count(x) * sizeof(float));
    for (int64_t i = 0; i < rows->dim[0]; i++)
        memcpy(y->data + index[i] * width, rows->data + i * width, (size_t)width * sizeof(float));
    n = tape_record(t, y, 2, in, replace_backward);
    if (n != NULL)
        n->u.index = index;
    return tape_done(t, y);
}

/* ---- losses of two operands ---- */

static bool two_buffers(struct tape *t, struct tensor *const in[2], float *d[2])
{
    for (int k = 0; k < 2; k++)
        d[k] = tape_buffer(t, tensor_count(in[k]));
    return d[0] != NULL && d[1] != NULL;
}

static bool same_matrices(struct tape *t, const char *op, const struct tensor *a,
                          const struct tensor *b)
{
    return tape_is_matrix(t, op, a) && tape_is_matrix(t, op, b) && tape_same_shape(t, op, a, b);
}

/* ---- Jensen-Shannon ---- */

/* d (KL(p || m) + KL(q || m)) / 2 / dp_k = log(p_k / m_k) / 2; through the softmax p_k (g_k - p.g).
 * Adds p's half of the divergence to *sum. */
static void js_half(int64_t classes, const float *x, const float *other, double scale, double *sum,
                    float *d)
{
    double norm = scalar_log_sum_exp(classes, x), other_norm = scalar_log_sum_exp(classes, other),
           inner = 0;

    for (int64_t k = 0; k < classes; k++) {
        double log_p = (double)x[k] - norm, p = exp(log_p);
        double g = (log_p - log((p + exp((double)other[k] - other_norm)) / 2)) / 2;

        inner += p > 0 ? p * g : 0;
    }
    *sum += inner;
    for (int64_t k = 0; k < classes; k++) {
        double log_p = (double)x[k] - norm, p = exp(log_p);
        double g = (log_p - log((p + exp((double)other[k] - other_norm)) / 2)) / 2;

        d[k] = p > 0 ? (float)(scale * p * (g - inner)) : 0;
    }
}

struct tensor *op_js_divergence(struct tape *t, struct tensor *a, struct tensor *b,
                                const float *weight)
{
    struct tensor *in[2] = {a, b};
    int64_t rows, classes;
    double sum = 0;
    float *d[2];

    if (!tape_ready(t, "js_divergence", 2, in) || !same_matrices(t, "js_divergence", a, b) ||
        !two_buffers(t, in, d))
        return NULL;
    rows = a->dim[0];
    classes = a->dim[1];
    for (int64_t i = 0; i < rows; i++) {
        const float *x = a->data + i * classes, *y = b->data + i * classes;
        double w = weight != NULL ? (double)weight[i] : 1, js = 0;

        js_half(classes, x, y, w / (double)rows, &js, d[0] + i * classes);
        js_half(classes, y, x, w / (double)rows, &js, d[1] + i * classes);
        sum += w * js;
    }
    return tape_loss(t, 2, in, sum / (double)rows, d);
}

/* ---- NT-Xent ---- */

/* unit [2 B, D]: the rows of both operands divided by their lengths, which go to length [2 B]. */
static void normalise(struct tensor *const in[2], float *unit, float *length)
{
    int64_t rows = in[0]->dim[0], width = in[0]->dim[1];

    for (int64_t i = 0; i < 2 * rows; i++) {
        const float *x = in[i / rows]->data + i % rows * width;
        double square = 0;

        for (int64_t k = 0; k < width; k++)
            square += (double)x[k] * (double)x[k];
        length[i] = (float)fmax(sqrt(square), 1e-12);
        for (int64_t k = 0; k < width; k++)
            unit[i * width + k] = (float)((double)x[k] / (double)length[i]);
    }
}

/* Row i of s [n, n], products of unit rows, becomes the gradient towards them of the summed loss of
 * its pairs (without 1 / pairs). Returns that sum and counts the pairs. */
static double contrast_row(int64_t n, const int32_t *label, int64_t i, double temperature, float *s,
                           int64_t *pairs)
{
    int64_t rows = n / 2;
    double others = 0, share = 0, sum = 0, top = (double)s[i];

    for (int64_t j = 0; j < n; j++)
        top = fmax(top, (double)s[j]);
    for (int64_t j = 0; j < n; j++)
        if (label[j % rows] != label[i % rows])
            others += exp(((double)s[j] - top) / temperature);
    for (int64_t j = 0; j < n; j++) {
        double own = exp(((double)s[j] - top) / temperature);

        if (label[j % rows] != label[i % rows])
            continue;
        if (j == i) {
            s[j] = 0;
            continue;
        }
        ++*pairs;
        share += 1 / (own + others);
        sum += log(own + others) - ((double)s[j] - top) / temperature;
        s[j] = (float)(-others / (own + others) / temperature);
    }
    for (int64_t j = 0; j < n; j++)
        if (label[j % rows] != label[i % rows])
            s[j] = (float)(exp(((double)s[j] - top) / temperature) * share / temperature);
    return sum;
}

/* d of the operands from du [2 B, D], the gradient towards unit rows: what is along a row drops
 * out. */
static void project(struct tensor *const in[2], const float *unit, const float *length,
                    const float *du, double scale, float *const d[2])
{
    int64_t rows = in[0]->dim[0], width = in[0]->dim[1];

    for (int64_t i = 0; i < 2 * rows; i++) {
        const float *u = unit + i * width, *g = du + i * width;
        float *to = d[i / rows] + i % rows * width;
        double along = 0;

        for (int64_t k = 0; k < width; k++)
            along += (double)u[k] * (double)g[k];
        for (int64_t k = 0; k < width; k++)
            to[k] = (float)(scale * ((double)g[k] - along * (double)u[k]) / (double)length[i]);
    }
}

/* Value and both gradients; work: unit and du [n, D], s [n, n], length [n]. */
static double nt_xent(struct tape *t, struct tensor *const in[2], const int32_t *label,
                      double temperature, float *const work[4], float *const d[2])
{
    int64_t n = 2 * in[0]->dim[0], width = in[0]->dim[1], pairs = 0;
    float *unit = work[0], *du = work[1], *s = work[2], *length = work[3];
    struct err *e = tape_err(t);
    double sum = 0;

    normalise(in, unit, length);
    if (k_gemm(tape_nn(t), false, true, n, n, width, 1, unit, width, unit, width, 0, s, n, e) !=
        ERR_OK)
        return 0;
    for (int64_t i = 0; i < n; i++)
        sum += contrast_row(n, label, i, temperature, s + i * n, &pairs);
    /* s_ij depends on both rows: du = (s + s') unit */
    if (k_gemm(tape_nn(t), false, false, n, width, n, 1, s, n, unit, width, 0, du, width, e) !=
            ERR_OK ||
        k_gemm(tape_nn(t), true, false, n, width, n, 1, s, n, unit, width, 1, du, width, e) !=
            ERR_OK)
        return 0;
    project(in, unit, length, du, pairs > 0 ? 1 / (double)pairs : 0, d);
    return pairs > 0 ? sum / (double)pairs : 0;
}

struct tensor *op_nt_xent(struct tape *t, struct tensor *a, struct tensor *b, const int32_t *label,
                          double temperature)
{
    struct tensor *in[2] = {a, b};
    float *work[4] = {0}, *d[2];
    int64_t n, width;
    double value = 0;

    if (!tape_ready(t, "nt_xent", 2, in) || !same_matrices(t, "nt_xent", a, b) ||
        !two_buffers(t, in, d))
        return NULL;
    n = 2 * a->dim[0];
    width = a->dim[1];
    work[0] = tape_buffer(t, n * width);
    work[1] = tape_buffer(t, n * width);
    work[2] = tape_buffer(t, n * n);
    work[3] = tape_buffer(t, n);
    if (tape_err(t)->code == ERR_OK)
        value = nt_xent(t, in, label, temperature, work, d);
    for (int k = 0; k < 4; k++)
        tape_buffer_release(t, work[k]);
    return tape_loss(t, 2, in, value, d);
}
