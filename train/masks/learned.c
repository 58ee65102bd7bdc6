/* SPDX-License-Identifier: MIT */
#include "train/masks/adversary.h"

#include <math.h>
#include <string.h>

/* The sparsest corruption that breaks the unimodal prediction (Eq. 5 and 19), found anew for every
 * sample of every batch by Adam on one logit per value:
 *
 *     gate  = sigmoid(logit / mask.temperature)
 *     x~    = (1 - gate) x + gate fill          fresh fill in every step
 *     minimise  -nll(u(x~), label) + mask.sparsity mean(gate)
 *
 * Both means run over the whole batch, so the sparsity's gradient towards one logit is tiny and
 * Adam's epsilon counts (X section 11). The gates above mask.threshold are what the unimodal
 * predictor relies on; the masked pass corrupts the rest (mask.complement). X sections 2 and 3 have
 * the two published settings; the second one's logits are those of the kept set, ours with the sign
 * turned. */

/* torch.optim.Adam's defaults, and the end of the learning rate's cosine as a share of its start,
 * as the published runs have them (X section 3: 0.1 down to 0.01). */
static const double BETA1 = 0.9, BETA2 = 0.999, EPS = 1e-8, LAST_LR = 0.1;
static const double PI = 3.14159265358979323846;

/* Buffers of one adversary, [B, width] each, tape memory. */
struct search {
    float *logit, *gradient, *m, *v; /* of Adam */
    float *gate, *fill, *mixed, *d;
};

static bool search_alloc(struct search *x, const struct method_step *s,
                         const struct mask_site *site)
{
    float **all[] = {&x->logit, &x->gradient, &x->m, &x->v, &x->gate, &x->fill, &x->mixed, &x->d};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct tensor *t = tape_scratch(s->tape, site->x->rank, site->x->dim);

        if (t == NULL)
            return false;
        *all[i] = t->data;
    }
    return true;
}

static void clip(float *x, int64_t count, double largest)
{
    double sum = 0, factor;

    for (int64_t i = 0; i < count; i++)
        sum += (double)x[i] * (double)x[i];
    factor = largest / (sqrt(sum) + 1e-6); /* as torch.nn.utils.clip_grad_norm_ */
    for (int64_t i = 0; factor < 1 && i < count; i++)
        x[i] *= (float)factor;
}

static double lr_of(const struct config *c, int64_t step)
{
    double last = LAST_LR * c->mask_lr;

    if (c->mask_schedule == MASK_LR_CONSTANT)
        return c->mask_lr;
    return last + (c->mask_lr - last) * (1 + cos(PI * (double)step / (double)c->mask_steps)) / 2;
}

static enum err_code search_step(struct search *x, const struct method_step *s,
                                 const struct mask_site *site, int64_t step, struct err *e)
{
    const struct config *c = s->config;
    int64_t count = s->batch->n * site->width;
    float scale = (float)(1 / c->temperature);
    struct adam_step adam = {
        .lr = lr_of(c, step), .beta1 = BETA1, .beta2 = BETA2, .eps = EPS, .step = step + 1};

    fill_make(s, site, (enum fill_kind)c->fill, (uint32_t)step + 1, x->fill);
    TRY(k_gate(s->nn, count, scale, x->logit, site->x->data, x->fill, x->gate, x->mixed, e));
    TRY(adversary_gradient(s, site, x->mixed, x->d, e));
    for (int64_t i = 0; i < count; i++)
        x->d[i] = -x->d[i];
    TRY(k_gate_backward(s->nn, count, scale, (float)(c->sparsity / (double)count), x->gate,
                        site->x->data, x->fill, x->d, x->gradient, e));
    if (c->mask_clip > 0)
        clip(x->gradient, count, c->mask_clip);
    TRY(k_adam(s->nn, &adam, count, x->logit, x->gradient, x->m, x->v, e));
out:
    return e->code;
}

static void learned_make(const struct method_step *s, const struct mask_site *site, float *mask,
                         struct loss_sum *sum, struct step_report *report)
{
    const struct config *c = s->config;
    int64_t count = s->batch->n * site->width;
    struct search x;

    (void)sum;
    (void)report;
    if (!search_alloc(&x, s, site))
        return;
    memset(x.m, 0, (size_t)count * sizeof *x.m);
    memset(x.v, 0, (size_t)count * sizeof *x.v);
    for (int64_t i = 0; i < count; i++)
        x.logit[i] = (float)c->mask_init;
    for (int64_t step = 0; step < c->mask_steps; step++)
        if (search_step(&x, s, site, step, tape_err(s->tape)) != ERR_OK)
            return;
    if (k_gate(s->nn, count, (float)(1 / c->temperature), x.logit, site->x->data, x.fill, x.gate,
               x.mixed, tape_err(s->tape)) != ERR_OK)
        return;
    gates_to_mask(c, count, x.gate, mask);
}

void gates_to_mask(const struct config *c, int64_t count, const float *gate, float *mask)
{
    for (int64_t i = 0; i < count; i++) {
        float flagged = c->soft ? gate[i] : (double)gate[i] > c->threshold ? 1 : 0;

        mask[i] = c->complement ? 1 - flagged : flagged;
    }
}

const struct mask mask_learned = {.make = learned_make};
