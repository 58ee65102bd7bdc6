/* SPDX-License-Identifier: MIT */
#include "train/methods/method.h"

#include <math.h>

/* Both unimodal runs together; nothing is trained. The paper: the mean of their probabilities. With
 * ensemble.standardise, as the released code has it: the sum of their logits, each modality's first
 * brought to mean 0 and (unbiased) deviation 1 over all values of the batch, so that a prediction
 * depends on the samples it stands among. R section 6.2. */

static void mean_of_probabilities(const float *audio, const float *video, float *readout)
{
    float a[N_LABELS], v[N_LABELS];

    log_softmax_rows(1, N_LABELS, audio, a);
    log_softmax_rows(1, N_LABELS, video, v);
    for (int k = 0; k < N_LABELS; k++) {
        double most = fmax((double)a[k], (double)v[k]); /* or both might be 0 as probabilities */

        readout[k] = (float)(most + log((exp((double)a[k] - most) + exp((double)v[k] - most)) / 2));
    }
}

struct moments {
    double mean, deviation;
};

static struct moments moments_of(const float *x, int64_t count)
{
    struct moments m = {0};
    double squares = 0;

    for (int64_t i = 0; i < count; i++)
        m.mean += (double)x[i] / (double)count;
    for (int64_t i = 0; i < count; i++)
        squares += ((double)x[i] - m.mean) * ((double)x[i] - m.mean);
    m.deviation =
        squares > 0 ? sqrt(squares / (double)(count - 1)) : 1; /* equal logits say nothing */
    return m;
}

static void sum_of_standardised(int64_t count, const float *audio, const float *video, float *out)
{
    struct moments a = moments_of(audio, count), v = moments_of(video, count);

    for (int64_t i = 0; i < count; i++)
        out[i] = (float)(((double)audio[i] - a.mean) / a.deviation +
                         ((double)video[i] - v.mean) / v.deviation);
}

static void ensemble_predict(const struct method_step *s, float *readout)
{
    const struct tensor *audio = s->features.unimodal[MEDIA_AUDIO],
                        *video = s->features.unimodal[MEDIA_VIDEO];
    int64_t n = s->batch->n;

    if (audio == NULL || video == NULL)
        return;
    if (s->config->standardise) {
        sum_of_standardised(n * N_LABELS, audio->data, video->data, readout);
        log_softmax_rows(n, N_LABELS, readout, readout);
        return;
    }
    for (int64_t b = 0; b < n; b++)
        mean_of_probabilities(audio->data + b * N_LABELS, video->data + b * N_LABELS,
                              readout + b * N_LABELS);
}

const struct method method_ensemble = {
    .name = "ensemble",
    .help = "the two unimodal runs' predictions together",
    .scopes = SCOPE_AUDIO | SCOPE_VIDEO | SCOPE_ENSEMBLE,
    .media_only = true,
    .predict = ensemble_predict,
};
