/* SPDX-License-Identifier: MIT */
#include "train/methods/method.h"

/* One encoder and its head, cross-entropy only, all seven classes. R section 3.6. */

static void uni_video_loss(const struct method_step *s, struct tensor *term[LOSS_TERMS])
{
    term[TERM_VIDEO] = op_cross_entropy(s->tape, s->features.logits[AV_VIDEO], s->label);
    term[TERM_TOTAL] = term[TERM_VIDEO];
}

static void uni_video_predict(const struct method_step *s, float *log_prob)
{
    predict_logits(s->features.logits[AV_VIDEO], log_prob);
}

const struct method method_uni_video = {
    .name = "uni-video",
    .help = "the video encoder alone",
    .scopes = SCOPE_VIDEO,
    .use = {[AV_VIDEO] = true},
    .trains = true,
    .loss = uni_video_loss,
    .predict = uni_video_predict,
};
