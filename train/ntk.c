/* SPDX-License-Identifier: MIT */
#include "train/ntk.h"

#include "common/base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Below this sum of squared residuals a strength is noise: X section 5. */
static const double TINY_RESIDUALS = 1e-10;

enum { READOUT_MAX = 256 };

struct ntk {
    size_t count;              /* floats of a gradient block */
    float *kept;               /* the caller's gradients */
    float *v[VECTORS_SOURCES]; /* v_g */
    int sources;
};

enum err_code ntk_new(struct ntk **out, const struct params *ps, int sources, struct err *e)
{
    struct ntk *n = NULL;

    *out = NULL;
    TRY(mem_array(&n, 1, sizeof *n, "tangent kernel", e));
    n->count = params_block_count(ps);
    n->sources = sources;
    TRY(mem_aligned(&n->kept, n->count, sizeof(float), "tangent kernel", e));
    for (int g = 0; g < sources; g++)
        TRY(mem_aligned(&n->v[g], n->count, sizeof(float), "tangent kernel", e));
    *out = n;
    n = NULL;
out:
    ntk_free(n);
    return e->code;
}

void ntk_free(struct ntk *n)
{
    if (n == NULL)
        return;
    free(n->kept);
    for (int g = 0; g < n->sources; g++)
        free(n->v[g]);
    free(n);
}

static double dot(const float *a, const float *b, size_t count)
{
    double part[8] = {0};
    size_t i = 0;

    for (; i + 8 <= count; i += 8)
        for (int l = 0; l < 8; l++)
            part[l] += (double)a[i + (size_t)l] * (double)b[i + (size_t)l];
    for (; i < count; i++)
        part[0] += (double)a[i] * (double)b[i];
    return ((part[0] + part[1]) + (part[2] + part[3])) +
           ((part[4] + part[5]) + (part[6] + part[7]));
}

/* Residuals [B, P] without the batch mean's 1 / B, and each row's loss. */
static void residuals(const struct method_step *s, const struct tensor *f, float *r,
                      struct ntk_result *out, int64_t rows_of[VECTORS_SOURCES])
{
    int64_t rows = f->dim[0], width = f->dim[1];
    float readout[READOUT_MAX];

    for (int64_t i = 0; i < rows; i++) {
        struct aim aim = {
            .label = s->batch->aim.label != NULL ? s->batch->aim.label + i : NULL,
            .target = s->batch->aim.target != NULL ? s->batch->aim.target + i * (width / 2) : NULL};
        int g = s->batch->source[i];

        s->objective->gradient(1, width, f->data + i * width, &aim, r + i * width);
        s->objective->readout(1, width, f->data + i * width, readout);
        out->loss[g] += s->objective->sample_nll((int)width, readout, &aim, 0);
        rows_of[g]++;
    }
    for (int g = 0; g < out->sources; g++)
        out->loss[g] = rows_of[g] > 0 ? out->loss[g] / (double)rows_of[g] : NAN;
}

/* v_g into n->v[g]: gradient of sum over rows of g of r_i f_i. Returns the sum of squares of r. */
static enum err_code direction(struct ntk *n, const struct method_step *s, struct tensor *f,
                               const float *r, int g, double *square, struct err *e)
{
    int64_t rows = f->dim[0], width = f->dim[1];
    struct tensor *weights = tape_scratch(s->tape, 2, f->dim);

    *square = 0;
    if (weights == NULL)
        return tape_error(s->tape, e);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < width; k++) {
            float w = s->batch->source[i] == g ? r[i * width + k] : 0;

            weights->data[i * width + k] = w;
            *square += (double)w * (double)w;
        }
    if (*square < TINY_RESIDUALS)
        return ERR_OK;
    TRY(tape_gradients(s->tape, op_dot(s->tape, f, weights->data), s->params, e));
    memcpy(n->v[g], params_grad_block(s->params), n->count * sizeof(float));
out:
    return e->code;
}

enum err_code ntk_measure(struct ntk *n, const struct method_step *s, struct tensor *prediction,
                          struct ntk_result *out, struct err *e)
{
    float *grad = params_grad_block(s->params);
    double length[VECTORS_SOURCES] = {0}, square;
    int64_t rows_of[VECTORS_SOURCES] = {0};
    struct tensor *r;

    *out = (struct ntk_result){.sources = n->sources};
    memcpy(n->kept, grad, n->count * sizeof *grad);
    r = prediction != NULL ? tape_scratch(s->tape, 2, prediction->dim) : NULL;
    if (r == NULL)
        return tape_error(s->tape, e);
    residuals(s, prediction, r->data, out, rows_of);
    for (int g = 0; g < n->sources; g++) {
        out->strength[g] = NAN;
        if (rows_of[g] == 0)
            continue;
        TRY(direction(n, s, prediction, r->data, g, &square, e));
        out->has[g] = square >= TINY_RESIDUALS;
        if (!out->has[g])
            continue;
        length[g] = dot(n->v[g], n->v[g], n->count);
        out->strength[g] = length[g] / square;
    }
    for (int g = 0; g < n->sources; g++)
        for (int h = 0; h < n->sources; h++)
            out->alignment[g][h] =
                out->has[g] && out->has[h] && length[g] > 0 && length[h] > 0
                    ? dot(n->v[g], n->v[h], n->count) / sqrt(length[g] * length[h])
                    : NAN;
out:
    memcpy(grad, n->kept, n->count * sizeof *grad);
    return e->code;
}
