/* SPDX-License-Identifier: MIT */
#include "train/methods/method.h"

#include <math.h>

/* Mean of the two unimodal runs' probabilities; nothing is trained. (The authors' code adds logits
 * that it standardises over the batch, so that its predictions depend on the batch: R 6.2.) */

static void ensemble_predict(const struct method_step *s, float *readout)
{
    const struct tensor *audio = s->features.unimodal[MEDIA_AUDIO],
                        *video = s->features.unimodal[MEDIA_VIDEO];
    float a[N_LABELS], v[N_LABELS];

    if (audio == NULL || video == NULL)
        return;
    for (int64_t b = 0; b < s->batch->n; b++) {
        log_softmax_rows(1, N_LABELS, audio->data + b * N_LABELS, a);
        log_softmax_rows(1, N_LABELS, video->data + b * N_LABELS, v);
        for (int k = 0; k < N_LABELS; k++)
            readout[b * N_LABELS + k] = (float)log((exp((double)a[k]) + exp((double)v[k])) / 2);
    }
}

const struct method method_ensemble = {
    .name = "ensemble",
    .help = "mean prediction of the two unimodal runs",
    .scopes = SCOPE_AUDIO | SCOPE_VIDEO,
    .media_only = true,
    .predict = ensemble_predict,
};
