/* SPDX-License-Identifier: MIT */
#include "common/base/parallel.h"
#include "train/methods/method.h"
#include "train/methods/min_norm.h"
#include "train/step.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* MMPareto (R section 6.5). The fused and the unimodal losses have backward passes of their own; on
 * each modality's encoder the two gradients that meet there, f of the fused loss and m of the
 * modality's own, are combined to
 *
 *   h = 2 k_f f + 2 k_m m,   k = (1/2, 1/2) where they agree (f.m > 0), else the min-norm weights
 *
 * and every tensor's share of h is stretched to the norm of its plain sum f + m where it is shorter
 * (mmpareto.rescale), then multiplied by mmpareto.alpha. Heads and fusion take the plain sum. */

enum { ENCODER_TENSORS_MAX = 256 };

double min_norm_weight(double ff, double fm, double mm)
{
    if (fm >= ff)
        return 0.999;
    if (fm >= mm)
        return 0.001;
    return (mm - fm) / (ff + mm - 2 * fm);
}

struct products {
    double ff, fm, mm;
};

/* The tensors of one encoder: gradients f and m, and where their combination goes. */
struct meeting {
    int n;
    const struct param *tensor[ENCODER_TENSORS_MAX];
    struct products part[ENCODER_TENSORS_MAX];
    const float *f, *m; /* blocks */
    float *out;         /* block */
    double weight_f, weight_m;
    bool rescale;
    double alpha;
};

static enum err_code find_tensors(struct meeting *x, const struct params *ps, const char *modality,
                                  struct err *e)
{
    char own[MODALITY_NAME_SIZE + 1], head[MODALITY_NAME_SIZE + 8];

    snprintf(own, sizeof own, "%s.", modality);
    snprintf(head, sizeof head, "%s.head.", modality);
    for (int i = 0; i < params_count(ps); i++) {
        const struct param *p = params_at(ps, i);

        if (p->kind != PARAM_WEIGHT || strncmp(p->name, own, strlen(own)) != 0 ||
            strncmp(p->name, head, strlen(head)) == 0)
            continue;
        if (x->n == ENCODER_TENSORS_MAX)
            return err_set(e, ERR_INTERNAL, "mmpareto: %s: too many tensors", modality);
        x->tensor[x->n++] = p;
    }
    return ERR_OK;
}

/* Eight sums side by side, so that they can be made eight at a time. */
static double product(const float *a, const float *b, int64_t count)
{
    double sum[8] = {0}, rest = 0;
    int64_t i;

    for (i = 0; i + 8 <= count; i += 8)
        for (int k = 0; k < 8; k++)
            sum[k] += (double)a[i + k] * (double)b[i + k];
    for (; i < count; i++)
        rest += (double)a[i] * (double)b[i];
    for (int k = 0; k < 8; k++)
        rest += sum[k];
    return rest;
}

static void multiply_tensor(void *ctx, int64_t i, int worker)
{
    struct meeting *x = ctx;
    const struct param *p = x->tensor[i];
    const float *f = x->f + p->offset, *m = x->m + p->offset;

    (void)worker;
    x->part[i] = (struct products){
        .ff = product(f, f, p->count),
        .fm = product(f, m, p->count),
        .mm = product(m, m, p->count),
    };
}

/* How much a tensor's share of h is stretched. */
static double stretch(const struct meeting *x, const struct products *s)
{
    double sum = s->ff + 2 * s->fm + s->mm;
    double h = x->weight_f * x->weight_f * s->ff + 2 * x->weight_f * x->weight_m * s->fm +
               x->weight_m * x->weight_m * s->mm;

    if (!x->rescale || !(h > 0) || sum <= h)
        return x->alpha;
    return x->alpha * sqrt(sum / h);
}

static void combine_tensor(void *ctx, int64_t i, int worker)
{
    struct meeting *x = ctx;
    const struct param *p = x->tensor[i];
    double scale = stretch(x, &x->part[i]);
    float kf = (float)(scale * x->weight_f), km = (float)(scale * x->weight_m);
    const float *f = x->f + p->offset, *m = x->m + p->offset;
    float *out = x->out + p->offset;

    (void)worker;
    for (int64_t k = 0; k < p->count; k++)
        out[k] = kf * f[k] + km * m[k];
}

/* Puts the combination into `out`, which holds the plain sum; returns the cosine of f and m (NaN
 * where one is zero). */
static double combine(struct meeting *x, int threads)
{
    struct products all = {0};
    double k;

    parallel_for(threads, x->n, multiply_tensor, x);
    for (int i = 0; i < x->n; i++) {
        all.ff += x->part[i].ff;
        all.fm += x->part[i].fm;
        all.mm += x->part[i].mm;
    }
    k = all.fm > 0 ? 0.5 : min_norm_weight(all.ff, all.fm, all.mm);
    x->weight_f = 2 * k;
    x->weight_m = 2 * (1 - k);
    parallel_for(threads, x->n, combine_tensor, x);
    return all.fm / sqrt(all.ff * all.mm);
}

static enum err_code mmpareto_gradients(const struct method_step *s, struct step_report *report,
                                        struct err *e)
{
    float *fused = s->spare[0], *total = s->spare[1], *own = params_grad_block(s->params);
    size_t count = params_block_count(s->params);
    double weight = s->config->unimodal_weight;
    struct tensor *nll = fused_loss(s, report);

    report->value[VALUE_LOSS] = report->value[VALUE_FUSED];
    TRY(step_backward_into(s, nll, fused, e));
    memcpy(total, fused, count * sizeof *total);
    for (int m = 0; m < model_opt(s->model)->modalities; m++) {
        struct meeting x = {
            .f = fused,
            .m = own,
            .out = total,
            .rescale = s->config->pareto_rescale,
            .alpha = s->config->pareto_alpha,
        };

        nll = op_scale(s->tape, head_loss(s, m, report), (float)weight);
        report->value[VALUE_LOSS] += weight * report->value[VALUE_UNIMODAL + m];
        TRY(tape_gradients(s->tape, nll, s->params, e));
        TRY(find_tensors(&x, s->params, model_opt(s->model)->modality[m].name, e));
        for (size_t k = 0; k < count; k++)
            total[k] += own[k];
        report->value[VALUE_COSINE + m] = combine(&x, nn_threads(s->nn));
    }
    memcpy(own, total, count * sizeof *own);
out:
    return e->code;
}

const struct method method_mmpareto = {
    .name = "mmpareto",
    .help = "MMPareto: combines fused and unimodal gradients on each encoder",
    .scopes = SCOPE_AUDIO | SCOPE_VIDEO | SCOPE_FUSED | SCOPE_MMPARETO,
    .heads_reach_encoders = true,
    .fusion = true,
    .trains = true,
    .spare_gradients = 2,
    .gradients = mmpareto_gradients,
    .predict = fusion_predict,
};
