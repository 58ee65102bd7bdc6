/* SPDX-License-Identifier: MIT */
#include "train/masks/adversary.h"

#include <math.h>
#include <string.h>

static bool undoes_layernorm(const struct method_step *s)
{
    return s->config->mask_space == SPACE_LATENT && s->config->layernorm &&
           s->config->head_on == HEAD_ON_FEATURES;
}

/* Mean and deviation [B] of the raw features that the layer norm saw; tape memory. */
static bool row_moments(const struct method_step *s, struct tape *t, int which, float **mean,
                        float **deviation)
{
    const struct tensor *raw = s->features.raw[which];
    struct tensor *m = tape_scratch(t, 1, (int64_t[]){raw->dim[0]});
    struct tensor *d = tape_scratch(t, 1, (int64_t[]){raw->dim[0]});

    if (m == NULL || d == NULL)
        return false;
    for (int64_t b = 0; b < raw->dim[0]; b++) {
        const float *row = raw->data + b * raw->dim[1];
        double sum = 0, square = 0, n = (double)raw->dim[1];

        for (int64_t k = 0; k < raw->dim[1]; k++)
            sum += (double)row[k];
        for (int64_t k = 0; k < raw->dim[1]; k++)
            square += ((double)row[k] - sum / n) * ((double)row[k] - sum / n);
        m->data[b] = (float)(sum / n);
        d->data[b] = (float)sqrt(square / n + model_layernorm_eps);
    }
    *mean = m->data;
    *deviation = d->data;
    return true;
}

struct tensor *adversary_predict(const struct method_step *s, struct tape *t,
                                 const struct mask_site *site, struct tensor *x)
{
    float *mean, *deviation;
    struct tensor *y;
    bool training;

    tape_freeze_begin(t);
    training = tape_set_training(t, false);
    if (s->config->mask_space == SPACE_INPUT)
        x = model_encode_one(s->model, t, site->which, x, NULL);
    else if (undoes_layernorm(s) && row_moments(s, t, site->which, &mean, &deviation))
        x = op_row_affine(t, x, deviation, mean);
    y = model_unimodal(s->model, t, site->which, x);
    tape_set_training(t, training);
    tape_freeze_end(t);
    return y;
}

/* The loss itself is not asked for: its gradient towards the prediction, a constant, goes back. */
enum err_code adversary_gradient_by_tape(const struct method_step *s, const struct mask_site *site,
                                         float *x, float *d, struct err *e)
{
    struct tape *t = s->inner;
    struct tensor *leaf, *u, *du;

    memset(d, 0, (size_t)(s->batch->n * site->width) * sizeof *d);
    tape_begin(t, 0);
    leaf = tape_leaf(t, site->x->rank, site->x->dim, TENSOR_PLAIN, x, d);
    u = adversary_predict(s, t, site, leaf);
    du = u != NULL ? tape_scratch(t, u->rank, u->dim) : NULL;
    if (du == NULL)
        return tape_error(t, e);
    s->objective->gradient(u->dim[0], u->dim[1], u->data, &s->batch->aim, du->data);
    return tape_backward(t, op_dot(t, u, du->data), e);
}

/* u = W h + b with h = x, or h = deviation x + mean: d nll / d x = (d nll / d u) W [deviation]. */
static enum err_code linear_gradient(const struct method_step *s, const struct mask_site *site,
                                     const struct linear_layer *l, float *x, float *d,
                                     struct err *e)
{
    int64_t rows = s->batch->n, width = site->width, outputs = l->weight->dim[0];
    struct tensor *leaf, *u, *du;
    float *mean, *deviation;

    tape_begin(s->inner, 0);
    tape_no_grad_begin(s->inner);
    leaf = tape_constant(s->inner, 2, (int64_t[]){rows, width}, x);
    u = adversary_predict(s, s->inner, site, leaf);
    du = tape_scratch(s->inner, 2, (int64_t[]){rows, outputs});
    tape_no_grad_end(s->inner);
    if (u == NULL || du == NULL)
        return tape_error(s->inner, e);
    s->objective->gradient(rows, outputs, u->data, &s->batch->aim, du->data);
    TRY(k_gemm(s->nn, false, false, rows, width, outputs, 1, du->data, outputs, l->weight->data,
               width, 0, d, width, e));
    if (!undoes_layernorm(s))
        goto out;
    if (!row_moments(s, s->inner, site->which, &mean, &deviation))
        return tape_error(s->inner, e);
    for (int64_t b = 0; b < rows; b++)
        for (int64_t k = 0; k < width; k++)
            d[b * width + k] *= deviation[b];
out:
    return e->code;
}

enum err_code adversary_gradient(const struct method_step *s, const struct mask_site *site,
                                 float *x, float *d, struct err *e)
{
    const struct mlp *head = model_head(s->model, site->which);

    if (s->config->mask_space == SPACE_LATENT && head->layers == 1)
        return linear_gradient(s, site, &head->layer[0], x, d, e);
    return adversary_gradient_by_tape(s, site, x, d, e);
}
