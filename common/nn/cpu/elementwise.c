/* SPDX-License-Identifier: MIT */
#include "common/base/parallel.h"
#include "common/nn/cpu/cpu.h"

#include <math.h>
#include <string.h>

/* Floats per task: large enough to pay for handing it out, small enough to share a weight block. */
enum { STRIP = 16384, COLUMNS = 128 };

static int64_t strips(int64_t count)
{
    return (count + STRIP - 1) / STRIP;
}

static int64_t strip_end(int64_t begin, int64_t count)
{
    return begin + STRIP < count ? begin + STRIP : count;
}

struct add_run {
    int64_t count;
    const float *a;
    float *inout;
};

static void add_strip(void *ctx, int64_t i, int worker)
{
    const struct add_run *r = ctx;
    int64_t end = strip_end(i * STRIP, r->count);
    const float *restrict a = r->a;
    float *restrict inout = r->inout;

    (void)worker;
    for (int64_t k = i * STRIP; k < end; k++)
        inout[k] += a[k];
}

enum err_code k_add(struct nn *nn, int64_t count, const float *a, float *inout, struct err *e)
{
    struct add_run run = {.count = count, .a = a, .inout = inout};

    (void)e;
    nn_run(nn, strips(count), add_strip, &run);
    return ERR_OK;
}

struct relu_run {
    int64_t count;
    const float *x, *dy;
    float *out;
};

static void relu_strip(void *ctx, int64_t i, int worker)
{
    const struct relu_run *r = ctx;
    int64_t end = strip_end(i * STRIP, r->count);
    const float *restrict x = r->x;
    float *restrict y = r->out;

    (void)worker;
    for (int64_t k = i * STRIP; k < end; k++)
        y[k] = x[k] < 0 ? 0 : x[k]; /* so that NaN stays NaN */
}

enum err_code k_relu(struct nn *nn, int64_t count, const float *x, float *y, struct err *e)
{
    struct relu_run run = {.count = count, .x = x, .out = y};

    (void)e;
    nn_run(nn, strips(count), relu_strip, &run);
    return ERR_OK;
}

static void relu_backward_strip(void *ctx, int64_t i, int worker)
{
    const struct relu_run *r = ctx;
    int64_t end = strip_end(i * STRIP, r->count);
    const float *restrict y = r->x;
    const float *restrict dy = r->dy;
    float *restrict dx = r->out;

    (void)worker;
    for (int64_t k = i * STRIP; k < end; k++)
        dx[k] = y[k] > 0 ? dy[k] : 0;
}

enum err_code k_relu_backward(struct nn *nn, int64_t count, const float *y, const float *dy,
                              float *dx, struct err *e)
{
    struct relu_run run = {.count = count, .x = y, .dy = dy, .out = dx};

    (void)e;
    nn_run(nn, strips(count), relu_backward_strip, &run);
    return ERR_OK;
}

struct column_run {
    int64_t rows, cols;
    const float *x;
    float *sums;
};

static void column_strip(void *ctx, int64_t i, int worker)
{
    const struct column_run *r = ctx;
    int64_t first = i * COLUMNS, cols = r->cols - first < COLUMNS ? r->cols - first : COLUMNS;
    double sum[COLUMNS] = {0};

    (void)worker;
    for (int64_t row = 0; row < r->rows; row++) {
        const float *x = r->x + row * r->cols + first;

        for (int64_t k = 0; k < cols; k++)
            sum[k] += (double)x[k];
    }
    for (int64_t k = 0; k < cols; k++)
        r->sums[first + k] += (float)sum[k];
}

enum err_code k_column_sums(struct nn *nn, int64_t rows, int64_t cols, const float *x, float *sums,
                            struct err *e)
{
    struct column_run run = {.rows = rows, .cols = cols, .x = x, .sums = sums};

    (void)e;
    if (!nn->planning)
        parallel_for(rows * cols < STRIP ? 1 : nn->threads, (cols + COLUMNS - 1) / COLUMNS,
                     column_strip, &run);
    return ERR_OK;
}

struct finite_run {
    int64_t count;
    const float *x;
    bool finite;
};

static void finite_strip(void *ctx, int64_t i, int worker)
{
    struct finite_run *r = ctx;
    int64_t end = strip_end(i * STRIP, r->count);
    const float *restrict x = r->x;
    uint32_t bad = 0; /* an exponent of all ones is Inf or NaN; no branch, so that it vectorises */

    (void)worker;
    for (int64_t k = i * STRIP; k < end; k++) {
        uint32_t bits;

        memcpy(&bits, &x[k], sizeof bits);
        bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    if (bad != 0)
        __atomic_store_n(&r->finite, false, __ATOMIC_RELAXED);
}

enum err_code k_all_finite(struct nn *nn, int64_t count, const float *x, bool *finite,
                           struct err *e)
{
    struct finite_run run = {.count = count, .x = x, .finite = true};

    (void)e;
    nn_run(nn, strips(count), finite_strip, &run);
    *finite = run.finite;
    return ERR_OK;
}

struct adam_run {
    int64_t count;
    float *w, *m, *v;
    const float *grad;
    float weight_decay, rest1, beta2, rest2, root_correction2, eps, minus_step;
};

/* torch.optim.Adam (2.x, one tensor): m by lerp, v by mul and addcmul, w by addcdiv; its scalars
 * are computed in double and used as float32. */
static void adam_strip(void *ctx, int64_t i, int worker)
{
    const struct adam_run r = *(const struct adam_run *)ctx;
    int64_t end = strip_end(i * STRIP, r.count);
    float *restrict w = r.w;
    float *restrict m = r.m;
    float *restrict v = r.v;
    const float *restrict grad = r.grad;

    (void)worker;
    for (int64_t k = i * STRIP; k < end; k++) {
        float g = grad[k] + r.weight_decay * w[k];
        m[k] = m[k] + r.rest1 * (g - m[k]);
        v[k] = v[k] * r.beta2 + r.rest2 * g * g;
        w[k] = w[k] + r.minus_step * m[k] / (sqrtf(v[k]) / r.root_correction2 + r.eps);
    }
}

enum err_code k_adam(struct nn *nn, const struct adam_step *a, int64_t count, float *w,
                     const float *grad, float *m, float *v, struct err *e)
{
    struct adam_run run = {.count = count, .w = w, .m = m, .v = v, .grad = grad};

    if (a->step < 1)
        return err_set(e, ERR_INTERNAL, "Adam: step %lld: counts from 1", (long long)a->step);
    run.weight_decay = (float)a->weight_decay;
    run.rest1 = (float)(1 - a->beta1);
    run.beta2 = (float)a->beta2;
    run.rest2 = (float)(1 - a->beta2);
    run.root_correction2 = (float)sqrt(1 - pow(a->beta2, (double)a->step));
    run.eps = (float)a->eps;
    run.minus_step = (float)(-a->lr / (1 - pow(a->beta1, (double)a->step)));
    nn_run(nn, strips(count), adam_strip, &run);
    return ERR_OK;
}
