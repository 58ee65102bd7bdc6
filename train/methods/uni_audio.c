/* SPDX-License-Identifier: MIT */
#include "train/methods/method.h"

/* One encoder and its head, cross-entropy only, all seven classes. R section 3.6. */

static void uni_audio_loss(const struct method_step *s, struct tensor *term[LOSS_TERMS])
{
    term[TERM_AUDIO] = op_cross_entropy(s->tape, s->features.logits[AV_AUDIO], s->label);
    term[TERM_TOTAL] = term[TERM_AUDIO];
}

static void uni_audio_predict(const struct method_step *s, float *log_prob)
{
    predict_logits(s->features.logits[AV_AUDIO], log_prob);
}

const struct method method_uni_audio = {
    .name = "uni-audio",
    .help = "the audio encoder alone",
    .scopes = SCOPE_AUDIO,
    .use = {[AV_AUDIO] = true},
    .trains = true,
    .loss = uni_audio_loss,
    .predict = uni_audio_predict,
};
