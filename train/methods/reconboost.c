/* SPDX-License-Identifier: MIT */
#include "train/methods/method.h"

#include <stdio.h>

/* ReconBoost (R section 6.6). Stages of reconboost.epochs epochs: modality 1 alone, all together,
 * modality 2 alone, all together, ... In a modality's stage only its encoder and head learn, from
 *
 *   mean over samples of [ -w_1 log p_m(y) + w_2 p_f(y) log p_m(y) ] / K
 *
 * with p_f the fused prediction, a constant, and K classes: what the ensemble is sure of already
 * counts less. Together all weights learn from the fused loss. The agreement term of the published
 * code has no gradient (both of its predictions are detached, as in the method's first release) and
 * is left out. Encoders of other modalities keep their weights, their running statistics move. */

/* The modality whose stage the epoch after `epoch` others belongs to, -1: all together. */
static int stage_of(const struct config *c, const struct model *m, int64_t epoch)
{
    int64_t stage = epoch / c->boost_epochs;

    return stage % 2 == 1 ? -1 : (int)(stage / 2 % model_opt(m)->modalities);
}

static unsigned reconboost_stage(const struct config *c, const struct model *m, struct params *ps,
                                 int64_t epoch)
{
    int only = stage_of(c, m, epoch);
    char prefix[MODALITY_NAME_SIZE + 1];

    params_freeze(ps, "", only >= 0);
    if (only >= 0) {
        snprintf(prefix, sizeof prefix, "%s.", model_opt(m)->modality[only].name);
        params_freeze(ps, prefix, false);
    }
    return PASS_TRAINING;
}

/* (w_1 - w_2 p_f(y)) / K of every sample; NULL on an error of the tape. */
static const float *sample_weights(const struct method_step *s, struct tensor *fused)
{
    struct tensor *logits = class_logits(s, fused), *p, *weight;
    const int32_t *label = s->batch->aim.label;
    const struct config *c = s->config;

    if (logits == NULL)
        return NULL;
    p = tape_scratch(s->tape, 2, logits->dim);
    weight = tape_scratch(s->tape, 1, logits->dim);
    if (p == NULL || weight == NULL)
        return NULL;
    softmax_rows(logits->dim[0], logits->dim[1], logits->data, p->data);
    for (int64_t i = 0; i < logits->dim[0]; i++) {
        double sure = (double)p->data[i * logits->dim[1] + label[i]];

        weight->data[i] =
            (float)((c->boost_ce - c->boost_residual * sure) / (double)logits->dim[1]);
    }
    return weight->data;
}

/* The loss of a modality's stage. */
static struct tensor *stage_loss(const struct method_step *s, int which, struct step_report *report)
{
    struct noise_key key = step_key(s, "dropout.clean");
    const struct aim *aim = &s->batch->aim;
    const float *weight;

    report->prediction = model_fuse(s->model, s->tape, s->features.z, &key).prediction;
    tape_no_grad_begin(s->tape);
    report->value[VALUE_FUSED] =
        (double)tape_value(s->objective->nll(s->tape, report->prediction, aim));
    weight = sample_weights(s, report->prediction);
    tape_no_grad_end(s->tape);
    if (weight == NULL)
        return NULL;
    return op_weighted_cross_entropy(s->tape, class_logits(s, s->features.unimodal[which]),
                                     aim->label, weight);
}

static struct tensor *reconboost_loss(const struct method_step *s, struct step_report *report)
{
    int which = stage_of(s->config, s->model, s->epoch);
    struct tensor *loss;

    for (int m = 0; m < model_opt(s->model)->modalities; m++) {
        tape_no_grad_begin(s->tape);
        (void)head_loss(s, m, report);
        tape_no_grad_end(s->tape);
    }
    loss = which < 0 ? fused_loss(s, report) : stage_loss(s, which, report);
    report->value[VALUE_LOSS] = (double)tape_value(loss);
    return loss;
}

const struct method method_reconboost = {
    .name = "reconboost",
    .help = "ReconBoost: modalities learn in turn what the others leave over",
    .scopes = SCOPE_AUDIO | SCOPE_VIDEO | SCOPE_FUSED | SCOPE_RECONBOOST,
    .classes_only = true,
    .heads_reach_encoders = true,
    .fusion = true,
    .trains = true,
    .loss = reconboost_loss,
    .stage = reconboost_stage,
    .predict = fusion_predict,
};
