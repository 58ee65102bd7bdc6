/* SPDX-License-Identifier: MIT */
#include "train/methods/method.h"

#include "common/base/rng.h"

#include <assert.h>
#include <math.h>

const char *const loss_term_name[LOSS_TERMS] = {
    [TERM_TOTAL] = "loss",
    [TERM_FUSED] = "ce_fused",
    [TERM_AUDIO] = "ce_audio",
    [TERM_VIDEO] = "ce_video",
    [TERM_MASKED_AUDIO] = "kl_masked_audio",
    [TERM_MASKED_VIDEO] = "kl_masked_video",
    [TERM_MASKED_CE] = "ce_masked",
};

void log_softmax_rows(int64_t rows, int64_t classes, const float *logits, float *out)
{
    for (int64_t r = 0; r < rows; r++) {
        const float *row = logits + r * classes;
        double largest = row[0], sum = 0;

        for (int64_t k = 1; k < classes; k++)
            if (row[k] > largest)
                largest = row[k];
        for (int64_t k = 0; k < classes; k++)
            sum += exp(row[k] - largest);
        for (int64_t k = 0; k < classes; k++)
            out[r * classes + k] = (float)(row[k] - largest - log(sum));
    }
}

void predict_logits(const struct tensor *logits, float *log_prob)
{
    if (logits != NULL)
        log_softmax_rows(logits->dim[0], logits->dim[1], logits->data, log_prob);
}

struct tensor *fusion_input(const struct method_step *s, enum av_modality which)
{
    return s->config->layernorm ? s->features.z[which] : s->features.raw[which];
}

struct noise_key step_key(const struct method_step *s, const char *stream)
{
    return (struct noise_key){
        .seed = s->seed,
        .stream = rng_stream(stream),
        .epoch = s->step,
        .row = s->sample,
    };
}

void loss_add(struct loss_sum *sum, struct tensor *part, double weight)
{
    assert(sum->n < LOSS_PARTS);
    sum->part[sum->n] = part;
    sum->weight[sum->n++] = weight;
}

void fusion_base_loss(const struct method_step *s, struct loss_sum *sum,
                      struct tensor *term[LOSS_TERMS])
{
    struct noise_key key = step_key(s, "dropout.clean");
    struct av_fused fused =
        avmodel_fuse(s->model, s->tape, fusion_input(s, AV_AUDIO), fusion_input(s, AV_VIDEO), &key);

    term[TERM_FUSED] = op_cross_entropy(s->tape, fused.logits, s->label);
    term[TERM_AUDIO] = op_cross_entropy(s->tape, s->features.logits[AV_AUDIO], s->label);
    term[TERM_VIDEO] = op_cross_entropy(s->tape, s->features.logits[AV_VIDEO], s->label);
    loss_add(sum, term[TERM_FUSED], 1);
    loss_add(sum, term[TERM_AUDIO], s->config->unimodal_weight);
    loss_add(sum, term[TERM_VIDEO], s->config->unimodal_weight);
}

void fusion_predict(const struct method_step *s, float *log_prob)
{
    struct av_fused fused =
        avmodel_fuse(s->model, s->tape, fusion_input(s, AV_AUDIO), fusion_input(s, AV_VIDEO), NULL);

    predict_logits(fused.logits, log_prob);
}
