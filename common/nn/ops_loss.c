/* SPDX-License-Identifier: MIT */
#include "common/nn/ops.h"
#include "common/nn/tape_impl.h"

#include <math.h>

/* log of the sum of exponentials of a row. */
static double log_sum_exp(int64_t classes, const float *x)
{
    double top = (double)x[0], sum = 0;

    for (int64_t k = 1; k < classes; k++)
        top = (double)x[k] > top ? (double)x[k] : top;
    for (int64_t k = 0; k < classes; k++)
        sum += exp((double)x[k] - top);
    return top + log(sum);
}

void softmax_rows(int64_t rows, int64_t classes, const float *logits, float *prob)
{
    for (int64_t i = 0; i < rows; i++) {
        const float *x = logits + i * classes;
        double norm = log_sum_exp(classes, x);

        for (int64_t k = 0; k < classes; k++)
            prob[i * classes + k] = (float)exp((double)x[k] - norm);
    }
}

static bool is_logits(struct tape *t, const char *op, const struct tensor *x)
{
    if (x->rank == 2 && x->layout == TENSOR_PLAIN)
        return true;
    err_set(tape_err(t), ERR_INTERNAL, "%s: logits are not a plain [B, K]", op);
    return false;
}

/* Losses compute d loss / d logits along with their value: save[0]. */
static void saved_gradient_backward(struct tape *t, struct node *n)
{
    struct tensor *x = n->in[0];
    int64_t count = tensor_count(x);
    float dy = n->out->grad[0];
    float *dx = grad_open(t, x);

    for (int64_t i = 0; dx != NULL && i < count; i++)
        dx[i] = dy * n->save[0][i];
    grad_close(t, x, dx);
}

/* A scalar of this value whose gradient with respect to logits is `gradient`, which it takes. */
static struct tensor *loss_of(struct tape *t, struct tensor *logits, double value, float *gradient)
{
    struct tensor *y = tape_result(t, 0, NULL, TENSOR_PLAIN);
    struct node *n;

    if (y == NULL)
        return NULL;
    y->data[0] = (float)value;
    n = tape_record(t, y, 1, &logits, saved_gradient_backward);
    if (n != NULL)
        n->save[0] = gradient;
    else
        tape_buffer_release(t, gradient);
    return tape_done(t, y);
}

struct tensor *op_cross_entropy(struct tape *t, struct tensor *logits, const int32_t *label)
{
    int64_t rows, classes;
    double loss = 0;
    float *d;

    if (!tape_ready(t, "cross_entropy", 1, &logits) || !is_logits(t, "cross_entropy", logits))
        return NULL;
    rows = logits->dim[0];
    classes = logits->dim[1];
    d = tape_buffer(t, rows * classes);
    if (d == NULL)
        return NULL;
    for (int64_t i = 0; i < rows; i++) {
        const float *x = logits->data + i * classes;
        double norm = log_sum_exp(classes, x);

        if (label[i] < 0 || label[i] >= classes) {
            err_set(tape_err(t), ERR_DATA, "label %d of batch row %lld: must be in 0..%lld",
                    (int)label[i], (long long)i, (long long)classes - 1);
            return NULL;
        }
        loss += norm - (double)x[label[i]];
        for (int64_t k = 0; k < classes; k++)
            d[i * classes + k] =
                (float)((exp((double)x[k] - norm) - (k == label[i] ? 1 : 0)) / (double)rows);
    }
    return loss_of(t, logits, loss / (double)rows, d);
}

/* One row of op_kl: returns the divergence, writes its gradient. ref NULL: uniform. */
static double kl_row(int64_t classes, const float *x, const float *ref, enum kl_direction direction,
                     double scale, float *d)
{
    double norm = log_sum_exp(classes, x);
    double ref_norm = ref != NULL ? log_sum_exp(classes, ref) : log((double)classes);
    double kl = 0;

    for (int64_t k = 0; k < classes; k++) {
        double log_p = (double)x[k] - norm;
        double log_r = (ref != NULL ? (double)ref[k] : 0) - ref_norm;

        if (direction == KL_MODEL_REFERENCE)
            kl += exp(log_p) * (log_p - log_r);
        else
            kl += exp(log_r) * (log_r - log_p);
    }
    for (int64_t k = 0; k < classes; k++) {
        double log_p = (double)x[k] - norm;
        double log_r = (ref != NULL ? (double)ref[k] : 0) - ref_norm;

        if (direction == KL_MODEL_REFERENCE)
            d[k] = (float)(scale * exp(log_p) * (log_p - log_r - kl));
        else
            d[k] = (float)(scale * (exp(log_p) - exp(log_r)));
    }
    return kl;
}

struct tensor *op_kl(struct tape *t, struct tensor *logits, struct tensor *reference,
                     enum kl_direction direction)
{
    struct tensor *in[] = {logits, reference};
    int64_t rows, classes;
    double loss = 0;
    float *d;

    if (!tape_ready(t, "kl", reference != NULL ? 2 : 1, in) || !is_logits(t, "kl", logits))
        return NULL;
    rows = logits->dim[0];
    classes = logits->dim[1];
    if (reference != NULL && (!is_logits(t, "kl", reference) || reference->dim[0] != rows ||
                              reference->dim[1] != classes)) {
        err_set(tape_err(t), ERR_INTERNAL, "kl: the reference has another shape");
        return NULL;
    }
    d = tape_buffer(t, rows * classes);
    if (d == NULL)
        return NULL;
    for (int64_t i = 0; i < rows; i++)
        loss += kl_row(classes, logits->data + i * classes,
                       reference != NULL ? reference->data + i * classes : NULL, direction,
                       1 / (double)rows, d + i * classes);
    return loss_of(t, logits, loss / (double)rows, d);
}

static void weighted_sum_backward(struct tape *t, struct node *n)
{
    for (int i = 0; i < n->inputs; i++) {
        float *dx = grad_open(t, n->in[i]);

        if (dx != NULL)
            dx[0] = (float)(n->u.weight[i] * (double)n->out->grad[0]);
        grad_close(t, n->in[i], dx);
    }
}

struct tensor *op_weighted_sum(struct tape *t, int n, struct tensor *const *term,
                               const double *weight)
{
    struct tensor *y;
    struct node *node;
    double sum = 0;

    if (n < 1 || n > NODE_INPUTS_MAX) {
        err_set(tape_err(t), ERR_INTERNAL, "weighted_sum: %d terms", n);
        return NULL;
    }
    if (!tape_ready(t, "weighted_sum", n, term))
        return NULL;
    for (int i = 0; i < n; i++) {
        if (term[i]->rank != 0) {
            err_set(tape_err(t), ERR_INTERNAL, "weighted_sum: term %d is not a scalar", i);
            return NULL;
        }
        sum += weight[i] * (double)term[i]->data[0];
    }
    y = tape_result(t, 0, NULL, TENSOR_PLAIN);
    if (y == NULL)
        return NULL;
    y->data[0] = (float)sum;
    node = tape_record(t, y, n, term, weighted_sum_backward);
    for (int i = 0; node != NULL && i < n; i++)
        node->u.weight[i] = weight[i];
    return tape_done(t, y);
}
