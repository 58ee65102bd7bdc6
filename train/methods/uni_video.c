/* SPDX-License-Identifier: MIT */
#include "train/methods/method.h"

/* One encoder and its head, cross-entropy only, all seven classes. R section 3.6. */

static struct tensor *uni_video_loss(const struct method_step *s, struct step_report *report)
{
    return unimodal_loss(s, MEDIA_VIDEO, report);
}

static void uni_video_predict(const struct method_step *s, float *readout)
{
    predict_readout(s, s->features.unimodal[MEDIA_VIDEO], readout);
}

const struct method method_uni_video = {
    .name = "uni-video",
    .help = "the video encoder alone",
    .scopes = SCOPE_VIDEO,
    .only = "video",
    .media_only = true,
    .trains = true,
    .loss = uni_video_loss,
    .predict = uni_video_predict,
};
