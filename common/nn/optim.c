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

enum err_code optim_step(struct optim *o, struct nn *nn, struct params *ps, double lr,
                         struct err *e)
{
    struct adam_step a = {.lr = lr,
                          .beta1 = o->beta1,
                          .beta2 = o->beta2,
                          .eps = o->eps,
                          .weight_decay = o->weight_decay,
                          .step = o->step + 1};
    int n = params_count(ps);
    enum err_code rc = check(o, lr, e);

    /* Neighbours are contiguous in the block (the gaps are zero in all four arrays, where Adam
     * keeps them zero), so runs of trained weights with one learning rate go to the kernel as one.
     */
    for (int i = 0; i < n && rc == ERR_OK;) {
        const struct param *first = params_at(ps, i);
        const struct param *last = NULL;

        for (; i < n; i++) {
            const struct param *p = params_at(ps, i);

            if (p->kind != PARAM_WEIGHT)
                continue;
            if (p->frozen) {
                if (last != NULL)
                    break;
                continue;
            }
            if (last != NULL && p->lr != first->lr)
                break;
            if (last == NULL)
                first = p;
            last = p;
        }
        a.lr = first->lr > 0 ? first->lr : lr;
        if (last != NULL)
            rc = k_adam(nn, &a, (int64_t)(last->offset - first->offset) + last->count, first->data,
                        first->grad, first->m, first->v, e);
    }
    if (rc == ERR_OK)
        o->step++;
    return rc;
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
