/* SPDX-License-Identifier: MIT */
#include "common/nn/ops.h"
#include "common/nn/scalar.h"
#include "common/nn/tape_impl.h"

#include <assert.h>
#include <math.h>

void softmax_rows(int64_t rows, int64_t classes, const float *logits, float *prob)
{
    for (int64_t i = 0; i < rows; i++) {
        const float *x = logits + i * classes;
        double norm = scalar_log_sum_exp(classes, x);

        for (int64_t k = 0; k < classes; k++)
            prob[i * classes + k] = (float)exp((double)x[k] - norm);
    }
}

/* Losses compute their gradients along with their value: save[]. */
static void saved_gradients_backward(struct tape *t, struct node *n)
{
    float dy = n->out->grad[0];

    for (int k = 0; k < n->inputs; k++) {
        struct tensor *x = n->in[k];
        int64_t count = tensor_count(x);
        float *dx = grad_open(t, x);

        for (int64_t i = 0; dx != NULL && i < count; i++)
            dx[i] = dy * n->save[k][i];
        grad_close(t, x, dx);
    }
}

struct tensor *tape_loss(struct tape *t, int n, struct tensor *const *in, double value,
                         float *const *d)
{
    struct tensor *y = tape_result(t, 0, NULL, TENSOR_PLAIN);
    struct node *node;

    assert(n <= NODE_SAVES_MAX);
    if (y == NULL)
        return NULL;
    y->data[0] = (float)value;
    node = tape_record(t, y, n, in, saved_gradients_backward);
    for (int k = 0; k < n; k++)
        if (node != NULL)
            node->save[k] = d[k];
        else
            tape_buffer_release(t, d[k]);
    return tape_done(t, y);
}

/* One row of a loss: its value; writes scale * d value / d x. */
typedef double row_fn(int64_t width, const float *x, const void *aim, int64_t row, double scale,
                      float *d);

/* Mean of fn over the rows of x. */
static struct tensor *mean_of_rows(struct tape *t, struct tensor *x, const void *aim, row_fn *fn)
{
    int64_t rows = x->dim[0], width = x->dim[1];
    double sum = 0;
    float *d = tape_buffer(t, rows * width);

    if (d == NULL)
        return NULL;
    for (int64_t i = 0; i < rows; i++)
        sum += fn(width, x->data + i * width, aim, i, 1 / (double)rows, d + i * width);
    return tape_loss(t, 1, &x, sum / (double)rows, &d);
}

static bool labels_fit(struct tape *t, const int32_t *label, int64_t rows, int64_t classes)
{
    for (int64_t i = 0; i < rows; i++) {
        if (label[i] < 0 || label[i] >= classes) {
            err_set(tape_err(t), ERR_DATA, "label %d of batch row %lld: must be in 0..%lld",
                    (int)label[i], (long long)i, (long long)classes - 1);
            return false;
        }
    }
    return true;
}

static double cross_entropy_row(int64_t classes, const float *x, const void *aim, int64_t row,
                                double scale, float *d)
{
    int32_t label = ((const int32_t *)aim)[row];
    double norm = scalar_log_sum_exp(classes, x);

    for (int64_t k = 0; k < classes; k++)
        d[k] = (float)((exp((double)x[k] - norm) - (k == label ? 1 : 0)) * scale);
    return norm - (double)x[label];
}

struct tensor *op_cross_entropy(struct tape *t, struct tensor *logits, const int32_t *label)
{
    if (!tape_ready(t, "cross_entropy", 1, &logits) ||
        !tape_is_matrix(t, "cross_entropy", logits) ||
        !labels_fit(t, label, logits->dim[0], logits->dim[1]))
        return NULL;
    return mean_of_rows(t, logits, label, cross_entropy_row);
}

struct weighted_aim {
    const int32_t *label;
    const float *weight;
};

static double weighted_cross_entropy_row(int64_t width, const float *x, const void *aim,
                                         int64_t row, double scale, float *d)
{
    const struct weighted_aim *a = aim;
    double w = (double)a->weight[row];

    return w * cross_entropy_row(width, x, a->label, row, scale * w, d);
}

struct tensor *op_weighted_cross_entropy(struct tape *t, struct tensor *logits,
                                         const int32_t *label, const float *weight)
{
    struct weighted_aim aim = {label, weight};

    if (!tape_ready(t, "weighted_cross_entropy", 1, &logits) ||
        !tape_is_matrix(t, "weighted_cross_entropy", logits) ||
        !labels_fit(t, label, logits->dim[0], logits->dim[1]))
        return NULL;
    return mean_of_rows(t, logits, &aim, weighted_cross_entropy_row);
}

static bool is_bernoulli(struct tape *t, const char *op, const struct tensor *x)
{
    if (!tape_is_matrix(t, op, x))
        return false;
    if (x->dim[1] == 1)
        return true;
    err_set(tape_err(t), ERR_INTERNAL, "%s: %lld values per sample instead of one logit", op,
            (long long)x->dim[1]);
    return false;
}

static double bernoulli_nll_row(int64_t width, const float *x, const void *aim, int64_t row,
                                double scale, float *d)
{
    double y = ((const int32_t *)aim)[row], f = (double)x[0];

    (void)width;
    d[0] = (float)((scalar_sigmoid(f) - y) * scale);
    return scalar_softplus(f) - y * f;
}

struct tensor *op_bernoulli_nll(struct tape *t, struct tensor *logit, const int32_t *label)
{
    if (!tape_ready(t, "bernoulli_nll", 1, &logit) || !is_bernoulli(t, "bernoulli_nll", logit) ||
        !labels_fit(t, label, logit->dim[0], 2))
        return NULL;
    return mean_of_rows(t, logit, label, bernoulli_nll_row);
}

static bool is_gaussian(struct tape *t, const char *op, const struct tensor *x)
{
    if (!tape_is_matrix(t, op, x))
        return false;
    if (x->dim[1] % 2 == 0)
        return true;
    err_set(tape_err(t), ERR_INTERNAL, "%s: %lld values are no means and log variances", op,
            (long long)x->dim[1]);
    return false;
}

static double gaussian_nll_row(int64_t width, const float *x, const void *aim, int64_t row,
                               double scale, float *d)
{
    int64_t values = width / 2;
    const float *y = (const float *)aim + row * values;
    double sum = 0;

    for (int64_t k = 0; k < values; k++) {
        double off = (double)x[k] - (double)y[k], v = (double)x[values + k], precision = exp(-v);

        sum += (v + off * off * precision + scalar_log_2pi) / 2;
        d[k] = (float)(off * precision * scale);
        d[values + k] = (float)((1 - off * off * precision) / 2 * scale);
    }
    return sum;
}

struct tensor *op_gaussian_nll(struct tape *t, struct tensor *prediction, const float *target)
{
    if (!tape_ready(t, "gaussian_nll", 1, &prediction) ||
        !is_gaussian(t, "gaussian_nll", prediction))
        return NULL;
    return mean_of_rows(t, prediction, target, gaussian_nll_row);
}

/* ---- divergences ---- */

struct kl_aim {
    const float *reference; /* rows like the prediction's; NULL: uniform */
    enum kl_direction direction;
};

static double kl_row(int64_t classes, const float *x, const void *aim, int64_t row, double scale,
                     float *d)
{
    const struct kl_aim *a = aim;
    const float *ref = a->reference != NULL ? a->reference + row * classes : NULL;
    double norm = scalar_log_sum_exp(classes, x);
    double ref_norm = ref != NULL ? scalar_log_sum_exp(classes, ref) : log((double)classes);
    double kl = 0;

    for (int64_t k = 0; k < classes; k++) {
        double log_p = (double)x[k] - norm;
        double log_r = (ref != NULL ? (double)ref[k] : 0) - ref_norm;

        if (a->direction == KL_MODEL_REFERENCE)
            kl += exp(log_p) * (log_p - log_r);
        else
            kl += exp(log_r) * (log_r - log_p);
    }
    for (int64_t k = 0; k < classes; k++) {
        double log_p = (double)x[k] - norm;
        double log_r = (ref != NULL ? (double)ref[k] : 0) - ref_norm;

        if (a->direction == KL_MODEL_REFERENCE)
            d[k] = (float)(scale * exp(log_p) * (log_p - log_r - kl));
        else
            d[k] = (float)(scale * (exp(log_p) - exp(log_r)));
    }
    return kl;
}

/* p log(p / r) + (1 - p) log((1 - p) / (1 - r)), from the logits of p and r. */
static double bernoulli_divergence(double p_logit, double r_logit)
{
    return scalar_sigmoid(p_logit) * (scalar_softplus(-r_logit) - scalar_softplus(-p_logit)) +
           scalar_sigmoid(-p_logit) * (scalar_softplus(r_logit) - scalar_softplus(p_logit));
}

static double bernoulli_kl_row(int64_t width, const float *x, const void *aim, int64_t row,
                               double scale, float *d)
{
    const struct kl_aim *a = aim;
    double f = (double)x[0], r = a->reference != NULL ? (double)a->reference[row] : 0;
    double p = scalar_sigmoid(f);

    (void)width;
    if (a->direction == KL_MODEL_REFERENCE) {
        d[0] = (float)(p * scalar_sigmoid(-f) * (f - r) * scale);
        return bernoulli_divergence(f, r);
    }
    d[0] = (float)((p - scalar_sigmoid(r)) * scale);
    return bernoulli_divergence(r, f);
}

/* KL(N(m, e^v) || N(n, e^w)). */
static double gaussian_divergence(double m, double v, double n, double w)
{
    return (w - v + exp(v - w) + (m - n) * (m - n) * exp(-w) - 1) / 2;
}

static double gaussian_kl_row(int64_t width, const float *x, const void *aim, int64_t row,
                              double scale, float *d)
{
    const struct kl_aim *a = aim;
    const float *ref = a->reference != NULL ? a->reference + row * width : NULL;
    int64_t values = width / 2;
    double sum = 0;

    for (int64_t k = 0; k < values; k++) {
        double m = (double)x[k], v = (double)x[values + k];
        double n = ref != NULL ? (double)ref[k] : 0, w = ref != NULL ? (double)ref[values + k] : 0;

        if (a->direction == KL_MODEL_REFERENCE) {
            sum += gaussian_divergence(m, v, n, w);
            d[k] = (float)((m - n) * exp(-w) * scale);
            d[values + k] = (float)((exp(v - w) - 1) / 2 * scale);
        } else {
            sum += gaussian_divergence(n, w, m, v);
            d[k] = (float)((m - n) * exp(-v) * scale);
            d[values + k] = (float)((1 - exp(w - v) - (m - n) * (m - n) * exp(-v)) / 2 * scale);
        }
    }
    return sum;
}

static struct tensor *divergence(struct tape *t, struct tensor *x, struct tensor *reference,
                                 enum kl_direction direction, row_fn *fn)
{
    struct kl_aim aim = {.direction = direction};

    if (reference != NULL) {
        if (!tape_is_matrix(t, "kl", reference) || reference->dim[0] != x->dim[0] ||
            reference->dim[1] != x->dim[1]) {
            err_set(tape_err(t), ERR_INTERNAL, "kl: the reference has another shape");
            return NULL;
        }
        aim.reference = reference->data;
    }
    return mean_of_rows(t, x, &aim, fn);
}

static bool kl_ready(struct tape *t, const char *op, struct tensor *x, struct tensor *reference)
{
    struct tensor *in[] = {x, reference};

    return tape_ready(t, op, reference != NULL ? 2 : 1, in);
}

struct tensor *op_kl(struct tape *t, struct tensor *logits, struct tensor *reference,
                     enum kl_direction direction)
{
    if (!kl_ready(t, "kl", logits, reference) || !tape_is_matrix(t, "kl", logits))
        return NULL;
    return divergence(t, logits, reference, direction, kl_row);
}

struct tensor *op_bernoulli_kl(struct tape *t, struct tensor *logit, struct tensor *reference,
                               enum kl_direction direction)
{
    if (!kl_ready(t, "bernoulli_kl", logit, reference) || !is_bernoulli(t, "bernoulli_kl", logit))
        return NULL;
    return divergence(t, logit, reference, direction, bernoulli_kl_row);
}

struct tensor *op_gaussian_kl(struct tape *t, struct tensor *prediction, struct tensor *reference,
                              enum kl_direction direction)
{
    if (!kl_ready(t, "gaussian_kl", prediction, reference) ||
        !is_gaussian(t, "gaussian_kl", prediction))
        return NULL;
    return divergence(t, prediction, reference, direction, gaussian_kl_row);
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
