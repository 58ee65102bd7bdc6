/* SPDX-License-Identifier: MIT */
#include "common/nn/cpu/batchnorm.h"

/* Batch norm over a blocked tensor; batchnorm.h says how it is cut and summed. */

/* ---- statistics ---- */

/* Joins `count` pixels with mean m and squared deviations q to the sums (Chan et al. 1983). */
static void join_moments(struct sums *to, double count, const double *m, const double *q, int b)
{
    double total = to->count + count;
    double share = count / total;
    double cross = to->count * share;

    for (int l = 0; l < b; l++) {
        double delta = m[l] - to->a[l];
        to->a[l] += delta * share;
        to->b[l] += q[l] + delta * delta * cross;
    }
    to->count = total;
}

/* Moments of at most SEGMENT pixels: the float32 mean first, then deviations from it, whose own sum
 * removes the mean's rounding. */
INLINE void segment_moments(const float *x, int64_t pixels, const int b, struct sums *to)
{
    double mean[MAX_BLOCK], squares[MAX_BLOCK];

    for (int l = 0; l < b; l += LANES) {
        v8f sum[WAYS] = {{0}}, square[WAYS] = {{0}}, rest[WAYS] = {{0}};
        v8f centre;
        int64_t p = 0;
        for (; p + WAYS <= pixels; p += WAYS)
            for (int way = 0; way < WAYS; way++)
                sum[way] += V8F_CONST(x + (p + way) * b + l);
        for (; p < pixels; p++)
            sum[0] += V8F_CONST(x + p * b + l);
        centre = (sum[0] + sum[1]) / (float)pixels;
        for (p = 0; p + WAYS <= pixels; p += WAYS) {
            for (int way = 0; way < WAYS; way++) {
                v8f d = V8F_CONST(x + (p + way) * b + l) - centre;
                rest[way] += d;
                square[way] += d * d;
            }
        }
        for (; p < pixels; p++) {
            v8f d = V8F_CONST(x + p * b + l) - centre;
            rest[0] += d;
            square[0] += d * d;
        }
        for (int k = 0; k < LANES; k++) {
            double r = ((double)rest[0][k] + rest[1][k]) / (double)pixels;
            mean[l + k] = centre[k] + r;
            squares[l + k] = (double)square[0][k] + square[1][k] - r * r * (double)pixels;
        }
    }
    join_moments(to, (double)pixels, mean, squares, b);
}

INLINE void task_moments(const struct bn_run *r, int64_t task, const int b)
{
    const int64_t pixels = r->s->h * r->s->w;
    struct piece p = piece_of(r, task);

    piece_clear(&p);
    for (int64_t n = p.first; n < p.end; n++) {
        for (int64_t cb = p.cb; cb < p.cb_end; cb++) {
            const float *x = r->x + plane_at(r, n, cb);
            for (int64_t at = 0; at < pixels; at += SEGMENT) {
                int64_t len = at + SEGMENT < pixels ? SEGMENT : pixels - at;
                segment_moments(x + at * b, len, b, &p.sums[cb]);
            }
        }
    }
}

static void moments(void *ctx, int64_t task, int worker)
{
    const struct bn_run *r = ctx;

    (void)worker;
    if (r->block == 16)
        task_moments(r, task, 16);
    else
        task_moments(r, task, 8);
}

static void finish_moments(const struct bn_run *r)
{
    int64_t blocks = r->s->c / r->block;

    for (int64_t cb = 0; cb < blocks; cb++) {
        struct sums all = r->sums[cb];
        for (int64_t g = 1; g < r->groups; g++) {
            const struct sums *add = &r->sums[g * blocks + cb];
            join_moments(&all, add->count, add->a, add->b, r->block);
        }
        for (int l = 0; l < r->block; l++) {
            r->layer->mean[cb * r->block + l] = (float)all.a[l];
            r->layer->var[cb * r->block + l] = (float)(all.b[l] / all.count);
        }
    }
}

void bn_statistics(struct nn *nn, struct bn_run *r)
{
    nn_run(nn, tasks_of(r), moments, r);
    if (!nn->planning)
        finish_moments(r);
}

void bn_scales(struct nn *nn, const struct bn_run *r)
{
    if (nn->planning)
        return;
    for (int64_t c = 0; c < r->s->c; c++)
        r->scale[c] = (float)(r->layer->gamma[c] / sqrt((double)r->layer->var[c] + r->layer->eps));
}

/* ---- forward ---- */

INLINE void task_apply(const struct bn_run *r, int64_t task, const int b)
{
    const int64_t pixels = r->s->h * r->s->w;
    const bool relu = r->layer->relu;
    struct piece p = piece_of(r, task);

    for (int64_t n = p.first; n < p.end; n++) {
        for (int64_t cb = p.cb; cb < p.cb_end; cb++) {
            struct plane c = plane_of(r, cb);
            int64_t at = plane_at(r, n, cb);
            const float *x = r->x + at;
            const float *residual = r->residual != NULL ? r->residual + at : NULL;
            float *y = r->out + at;
            if (residual != NULL && relu)
                plane_apply(x, residual, y, pixels, &c, b, true, true);
            else if (residual != NULL)
                plane_apply(x, residual, y, pixels, &c, b, true, false);
            else if (relu)
                plane_apply(x, residual, y, pixels, &c, b, false, true);
            else
                plane_apply(x, residual, y, pixels, &c, b, false, false);
        }
    }
}

static void apply(void *ctx, int64_t task, int worker)
{
    const struct bn_run *r = ctx;

    (void)worker;
    if (r->block == 16)
        task_apply(r, task, 16);
    else
        task_apply(r, task, 8);
}

enum err_code bn_begin(struct nn *nn, struct bn_run *r, struct err *e)
{
    int64_t blocks;
    size_t sums_bytes, row_bytes;
    char *scratch;

    TRY(nn_check_blocked(nn, r->s, "batch norm", e));
    r->block = nn->block;
    blocks = r->s->c / r->block;
    r->groups = r->s->n < MAX_GROUPS ? r->s->n : MAX_GROUPS;
    r->ranges = (TASKS + r->groups - 1) / r->groups;
    if (r->ranges > blocks)
        r->ranges = blocks;
    sums_bytes = whole_lines((size_t)(r->groups * blocks) * sizeof(struct sums));
    row_bytes = whole_lines((size_t)r->s->c * sizeof(float));
    TRY(nn_scratch(nn, SCRATCH_SUMS, sums_bytes + 3 * row_bytes, &scratch, e));
    r->sums = (struct sums *)scratch;
    r->scale = (float *)(scratch + sums_bytes);
    r->shift = (float *)(scratch + sums_bytes + row_bytes);
    r->slope = (float *)(scratch + sums_bytes + 2 * row_bytes);
out:
    return e->code;
}

enum err_code k_batchnorm_train(struct nn *nn, const struct bn_shape *s,
                                const struct bn_layer *layer, const float *x, const float *residual,
                                float *y, struct err *e)
{
    struct bn_run run = {.s = s, .layer = layer, .x = x, .residual = residual, .out = y};

    TRY(bn_begin(nn, &run, e));
    bn_statistics(nn, &run);
    bn_scales(nn, &run);
    nn_run(nn, tasks_of(&run), apply, &run);
out:
    return e->code;
}

enum err_code k_batchnorm_eval(struct nn *nn, const struct bn_shape *s,
                               const struct bn_layer *layer, const float *x, const float *residual,
                               float *y, struct err *e)
{
    struct bn_run run = {.s = s, .layer = layer, .x = x, .residual = residual, .out = y};

    TRY(bn_begin(nn, &run, e));
    bn_scales(nn, &run);
    nn_run(nn, tasks_of(&run), apply, &run);
out:
    return e->code;
}

/* ---- backward ---- */

INLINE void task_gradients(const struct bn_run *r, int64_t task, const int b)
{
    const int64_t pixels = r->s->h * r->s->w;
    const bool relu = r->layer->relu;
    float *dres = r->to->residual;
    struct piece p = piece_of(r, task);

    piece_clear(&p);
    for (int64_t n = p.first; n < p.end; n++) {
        for (int64_t cb = p.cb; cb < p.cb_end; cb++) {
            struct plane c = plane_of(r, cb);
            struct sums *to = &p.sums[cb];
            for (int64_t from = 0; from < pixels; from += SEGMENT) {
                int64_t len = from + SEGMENT < pixels ? SEGMENT : pixels - from;
                int64_t at = plane_at(r, n, cb) + from * b;
                const float *x = r->x + at, *dy = r->dy + at;
                if (dres != NULL && relu)
                    segment_gradients(x, r->y + at, dy, dres + at, len, &c, b, MASK_Y, true, to);
                else if (dres != NULL)
                    segment_gradients(x, x, dy, dres + at, len, &c, b, MASK_NONE, true, to);
                else if (relu)
                    segment_gradients(x, x, dy, NULL, len, &c, b, MASK_X, false, to);
                else
                    segment_gradients(x, x, dy, NULL, len, &c, b, MASK_NONE, false, to);
            }
        }
    }
}

static void gradients(void *ctx, int64_t task, int worker)
{
    const struct bn_run *r = ctx;

    (void)worker;
    if (r->block == 16)
        task_gradients(r, task, 16);
    else
        task_gradients(r, task, 8);
}

/* Gradients of gamma and beta, and what dx subtracts. */
static void finish_gradients(const struct bn_run *r)
{
    int64_t blocks = r->s->c / r->block;
    double count = (double)r->s->n * (double)r->s->h * (double)r->s->w;

    for (int64_t cb = 0; cb < blocks; cb++) {
        struct sums *all = &r->sums[cb];
        for (int64_t g = 1; g < r->groups; g++) {
            for (int l = 0; l < r->block; l++) {
                all->a[l] += r->sums[g * blocks + cb].a[l];
                all->b[l] += r->sums[g * blocks + cb].b[l];
            }
        }
        for (int l = 0; l < r->block; l++) {
            int64_t c = cb * r->block + l;
            double var = (double)r->layer->var[c] + r->layer->eps;
            r->to->beta[c] += (float)all->a[l];
            r->to->gamma[c] += (float)(all->b[l] / sqrt(var));
            r->shift[c] = (float)(all->a[l] / count);
            r->slope[c] = (float)(all->b[l] / count / var);
        }
    }
}

/* dx = scale (g - shift - (x - mean) slope). */
INLINE void plane_dx(const float *x, const float *dy, float *dx, int64_t pixels,
                     const struct plane *c, const int b, const enum mask mask, const bool constant)
{
    for (int64_t p = 0; p < pixels; p++) {
        for (int l = 0; l < b; l += LANES) {
            int64_t at = p * b + l;
            v8f centred = V8F_CONST(x + at) - V8F_CONST(c->mean + l);
            v8f g = masked(V8F_CONST(dy + at), NULL, centred, c, l, mask);
            if (!constant)
                g = g - V8F_CONST(c->shift + l) - centred * V8F_CONST(c->slope + l);
            V8F(dx + at) = g * V8F_CONST(c->scale + l);
        }
    }
}

INLINE void task_dx(const struct bn_run *r, int64_t task, const int b)
{
    const int64_t pixels = r->s->h * r->s->w;
    const float *g = r->to->residual != NULL ? r->to->residual : r->dy; /* the former is masked */
    const bool mask = r->layer->relu && r->to->residual == NULL;
    struct piece p = piece_of(r, task);

    for (int64_t n = p.first; n < p.end; n++) {
        for (int64_t cb = p.cb; cb < p.cb_end; cb++) {
            struct plane c = plane_of(r, cb);
            int64_t at = plane_at(r, n, cb);
            const float *x = r->x + at;
            float *dx = r->to->x + at;
            if (r->constant && mask)
                plane_dx(x, g + at, dx, pixels, &c, b, MASK_X, true);
            else if (r->constant)
                plane_dx(x, g + at, dx, pixels, &c, b, MASK_NONE, true);
            else if (mask)
                plane_dx(x, g + at, dx, pixels, &c, b, MASK_X, false);
            else
                plane_dx(x, g + at, dx, pixels, &c, b, MASK_NONE, false);
        }
    }
}

static void input_gradient(void *ctx, int64_t task, int worker)
{
    const struct bn_run *r = ctx;

    (void)worker;
    if (r->block == 16)
        task_dx(r, task, 16);
    else
        task_dx(r, task, 8);
}

void bn_finish_backward(struct nn *nn, struct bn_run *r)
{
    if (!nn->planning)
        finish_gradients(r);
    nn_run(nn, tasks_of(r), input_gradient, r);
}

enum err_code k_batchnorm_backward(struct nn *nn, const struct bn_shape *s,
                                   const struct bn_layer *layer, bool constant, const float *x,
                                   const float *y, const float *dy, const struct bn_gradients *to,
                                   struct err *e)
{
    struct bn_run run = {
        .s = s, .layer = layer, .constant = constant, .x = x, .y = y, .dy = dy, .to = to};

    TRY(bn_begin(nn, &run, e));
    bn_scales(nn, &run);
    nn_run(nn, tasks_of(&run), gradients, &run);
    bn_finish_backward(nn, &run);
out:
    return e->code;
}
