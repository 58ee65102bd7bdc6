/* SPDX-License-Identifier: MIT */
#include "train/methods/method.h"

#include "common/base/rng.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A value per modality has its name appended. */
static const struct {
    enum step_value first;
    bool per_modality;
    const char *name;
} columns[] = {
    {VALUE_LOSS, false, "loss"},           {VALUE_FUSED, false, "ce_fused"},
    {VALUE_UNIMODAL, true, "ce_"},         {VALUE_DIVERGENCE, true, "kl_masked_"},
    {VALUE_MASKED_CE, false, "ce_masked"}, {VALUE_MASK_SHARE, true, "masked_share_"},
    {VALUE_MASK_LOSS, false, "mask_loss"}, {VALUE_COSINE, true, "cosine_"},
    {VALUE_GAME, true, "js_permuted_"},    {VALUE_CONTRASTIVE, false, "contrastive"},
};
enum { COLUMNS = sizeof columns / sizeof columns[0] };

static int column_of(enum step_value value)
{
    int i = COLUMNS - 1;

    while (columns[i].first > value)
        i--;
    return i;
}

bool step_value_exists(enum step_value value, const struct model_options *opt)
{
    int i = column_of(value);

    return !columns[i].per_modality || (int)(value - columns[i].first) < opt->modalities;
}

const char *step_value_name(enum step_value value, const struct model_options *opt, char *out,
                            size_t size)
{
    int i = column_of(value);

    snprintf(out, size, "%s%s", columns[i].name,
             columns[i].per_modality ? opt->modality[value - columns[i].first].name : "");
    return out;
}

void report_add(struct step_report *report, enum step_value value, const struct tensor *scalar)
{
    double *total = &report->value[value];

    *total = (isnan(*total) ? 0 : *total) + (double)tape_value(scalar);
}

void predict_readout(const struct method_step *s, const struct tensor *prediction, float *readout)
{
    if (prediction != NULL)
        s->objective->readout(prediction->dim[0], prediction->dim[1], prediction->data, readout);
}

static struct noise_key key_of(const struct method_step *s, uint32_t stream)
{
    return (struct noise_key){
        .seed = s->seed,
        .stream = stream,
        .epoch = s->step,
        .row = s->batch->sample,
    };
}

struct noise_key step_key(const struct method_step *s, const char *stream)
{
    return key_of(s, rng_stream(stream));
}

struct noise_key step_key_of(const struct method_step *s, const char *prefix, int which)
{
    return key_of(s, rng_stream_in(rng_stream(prefix), model_opt(s->model)->modality[which].name));
}

void loss_add(const struct method_step *s, struct loss_sum *sum, struct tensor *part, double weight)
{
    if (sum->n == LOSS_PARTS) {
        sum->part[0] = op_weighted_sum(s->tape, sum->n, sum->part, sum->weight);
        sum->weight[0] = 1;
        sum->n = 1;
    }
    sum->part[sum->n] = part;
    sum->weight[sum->n++] = weight;
}

struct tensor *loss_total(const struct method_step *s, const struct loss_sum *sum,
                          struct step_report *report)
{
    struct tensor *total = op_weighted_sum(s->tape, sum->n, sum->part, sum->weight);

    report->value[VALUE_LOSS] = (double)tape_value(total);
    return total;
}

struct tensor *fused_loss(const struct method_step *s, struct step_report *report)
{
    struct noise_key key = step_key(s, "dropout.clean");
    struct tensor *nll;

    report->prediction = model_fuse(s->model, s->tape, s->features.z, &key).prediction;
    nll = s->objective->nll(s->tape, report->prediction, &s->batch->aim);
    report->value[VALUE_FUSED] = (double)tape_value(nll);
    return nll;
}

struct tensor *head_loss(const struct method_step *s, int which, struct step_report *report)
{
    struct tensor *nll = s->objective->nll(s->tape, s->features.unimodal[which], &s->batch->aim);

    report->value[VALUE_UNIMODAL + which] = (double)tape_value(nll);
    return nll;
}

void fusion_base_loss(const struct method_step *s, struct loss_sum *sum, struct step_report *report)
{
    loss_add(s, sum, fused_loss(s, report), 1);
    for (int m = 0; m < model_opt(s->model)->modalities; m++)
        loss_add(s, sum, head_loss(s, m, report), s->config->unimodal_weight);
}

void add_masked_loss(const struct method_step *s, struct tensor *prediction, double weight,
                     struct loss_sum *sum, struct step_report *report)
{
    struct tensor *nll = s->objective->nll(s->tape, prediction, &s->batch->aim);

    report_add(report, VALUE_MASKED_CE, nll);
    loss_add(s, sum, nll, weight);
}

struct tensor *fusion_loss(const struct method_step *s, struct step_report *report)
{
    struct loss_sum sum = {0};

    fusion_base_loss(s, &sum, report);
    return loss_total(s, &sum, report);
}

void fusion_predict(const struct method_step *s, float *readout)
{
    predict_readout(s, model_fuse(s->model, s->tape, s->features.z, NULL).prediction, readout);
}

struct tensor *class_logits(const struct method_step *s, struct tensor *prediction)
{
    struct tensor *pair[2];

    if (prediction == NULL || s->objective != &objective_bernoulli)
        return prediction;
    pair[0] = tape_scratch(s->tape, 2, prediction->dim);
    pair[1] = prediction;
    if (pair[0] != NULL)
        memset(pair[0]->data, 0, (size_t)prediction->dim[0] * sizeof(float));
    return op_concat(s->tape, 2, pair);
}

struct tensor *unimodal_loss(const struct method_step *s, int which, struct step_report *report)
{
    struct tensor *nll = head_loss(s, which, report);

    report->prediction = s->features.unimodal[which];
    report->value[VALUE_LOSS] = report->value[VALUE_UNIMODAL + which];
    return nll;
}
