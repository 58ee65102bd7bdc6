/* SPDX-License-Identifier: MIT */
#include "common/nn/optim.h"

#include <assert.h>
#include <math.h>

/* pi, which C11 does not name. */
static const double PI = 3.14159265358979323846;

static enum err_code check(const struct optim *o, double lr, struct err *e)
{
    /* Written so that NaN fails as well. */
    if (!(o->beta1 >= 0 && o->beta1 < 1 && o->beta2 >= 0 && o->beta2 < 1))
        return err_set(e, ERR_USAGE, "Adam: betas %g, %g: must be in [0, 1)", o->beta1, o->beta2);
    if (!(o->eps > 0 && o->weight_decay >= 0 && lr >= 0) || isinf(o->eps + o->weight_decay + lr))
        return err_set(e, ERR_USAGE, "Adam: eps %g, weight decay %g, lr %g: out of range", o->eps,
                       o->weight_decay, lr);
    return ERR_OK;
}

/* The next weights from `i` on that the kernel can take in one call: neighbours are contiguous in
 * the block (the gaps are zero in all four arrays, where Adam keeps them zero) and have one
 * learning rate and number of steps. Moves `i` past it; NULL: there is none. */
static struct param *next_run(struct params *ps, int *i, int64_t *count)
{
    struct param *first = NULL;

    for (; *i < params_count(ps); ++*i) {
        struct param *p = params_at(ps, *i);

        if (p->kind != PARAM_WEIGHT)
            continue;
        if (first != NULL && (p->frozen || p->lr != first->lr || p->steps != first->steps))
            break;
        if (p->frozen)
            continue;
        if (first == NULL)
            first = p;
        *count = (int64_t)(p->offset - first->offset) + p->count;
    }
    return first;
}

enum err_code optim_step(struct optim *o, struct nn *nn, struct params *ps, double lr,
                         struct err *e)
{
    struct adam_step a = {
        .beta1 = o->beta1, .beta2 = o->beta2, .eps = o->eps, .weight_decay = o->weight_decay};
    const struct param *first;
    int64_t count;
    int i = 0;

    TRY(check(o, lr, e));
    while ((first = next_run(ps, &i, &count)) != NULL) {
        a.lr = first->lr > 0 ? first->lr : lr;
        a.step = first->steps + 1;
        TRY(k_adam(nn, &a, count, first->data, first->grad, first->m, first->v, e));
    }
    for (i = 0; i < params_count(ps); i++)
        params_at(ps, i)->steps +=
            params_at(ps, i)->kind == PARAM_WEIGHT && !params_at(ps, i)->frozen;
    o->step++;
out:
    return e->code;
}

/* Cosine with warm restarts, periods t0, 2 t0, 4 t0, ... from step 0. Integer arithmetic finds the
 * period, so that restarts fall on their exact steps. */
static double restarts(double base, int64_t t0, int64_t n)
{
    int64_t period = t0;
    int64_t t = n;

    assert(t0 >= 1);
    while (t >= period) {
        t -= period;
        period *= 2;
    }
    return base * (1 + cos(PI * (double)t / (double)period)) / 2;
}

double lr_after(const struct lr_schedule *s, int64_t n)
{
    if (n < s->warm_steps)
        return s->ramp ? s->base * (double)(n + 1) / (double)s->warm_steps : s->base;
    return s->kind == LR_RESTARTS ? restarts(s->base, s->t0, n) : s->base;
}
