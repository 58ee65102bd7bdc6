/* SPDX-License-Identifier: MIT */
#include "train/methods/method.h"

/* One encoder and its head, cross-entropy only, all seven classes. R section 3.6. */

static struct tensor *uni_audio_loss(const struct method_step *s, struct step_report *report)
{
    return unimodal_loss(s, MEDIA_AUDIO, report);
}

static void uni_audio_predict(const struct method_step *s, float *readout)
{
    predict_readout(s, s->features.unimodal[MEDIA_AUDIO], readout);
}

const struct method method_uni_audio = {
    .name = "uni-audio",
    .help = "the audio encoder alone",
    .scopes = SCOPE_AUDIO,
    .only = "audio",
    .media_only = true,
    .trains = true,
    .loss = uni_audio_loss,
    .predict = uni_audio_predict,
};
