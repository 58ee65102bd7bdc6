/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "train/masks/mask.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The two running statistics of a modality. */
static const char *const mean_name[AV_MODALITIES] = {"synib.ema.audio.mean",
                                                     "synib.ema.video.mean"};
static const char *const square_name[AV_MODALITIES] = {"synib.ema.audio.square",
                                                       "synib.ema.video.square"};
static const char *const noise_stream[AV_MODALITIES] = {"fill.audio", "fill.video"};
static const char *const shuffle_stream[AV_MODALITIES] = {"fill.shuffle.audio",
                                                          "fill.shuffle.video"};
static const char updates_name[] = "synib.ema.updates";

enum err_code fill_declare(const struct avmodel *m, struct params *ps, struct err *e)
{
    struct param *p;

    for (int i = 0; i < AV_MODALITIES; i++) {
        TRY(params_buffer(ps, &p, mean_name[i], avmodel_features(m), 0, e));
        TRY(params_buffer(ps, &p, square_name[i], avmodel_features(m), 0, e));
    }
    TRY(params_counter(ps, &p, updates_name, e));
out:
    return e->code;
}

void fill_update(const struct method_step *s, struct tensor *const z[AV_MODALITIES])
{
    struct param *updates = params_find(s->params, updates_name);
    double keep = updates->counter > 0 ? s->config->ema_momentum : 0;

    if (z[AV_AUDIO] == NULL || z[AV_VIDEO] == NULL) /* an error on the tape */
        return;
    for (int i = 0; i < AV_MODALITIES; i++) {
        float *mean = params_find(s->params, mean_name[i])->data;
        float *square = params_find(s->params, square_name[i])->data;
        int64_t width = z[i]->dim[1];

        for (int64_t d = 0; d < width; d++) {
            double sum = 0, sum_squares = 0;

            for (int64_t b = 0; b < s->batch; b++) {
                double v = z[i]->data[b * width + d];

                sum += v;
                sum_squares += v * v;
            }
            mean[d] = (float)(keep * mean[d] + (1 - keep) * (sum / (double)s->batch));
            square[d] = (float)(keep * square[d] + (1 - keep) * (sum_squares / (double)s->batch));
        }
    }
    updates->counter++;
}

static void fill_noise(const struct method_step *s, enum av_modality which, int64_t width,
                       float *fill)
{
    const float *mean = params_find(s->params, mean_name[which])->data;
    const float *square = params_find(s->params, square_name[which])->data;
    uint32_t stream = rng_stream(noise_stream[which]);

    for (int64_t b = 0; b < s->batch; b++) {
        struct rng r = rng_at(s->seed, stream, s->step, s->sample[b]);

        for (int64_t d = 0; d < width; d++) {
            double variance = (double)square[d] - (double)mean[d] * mean[d];

            if (variance < s->config->ema_var_floor)
                variance = s->config->ema_var_floor;
            *fill++ = (float)(mean[d] + sqrt(variance) * rng_normal(&r));
        }
    }
}

/* Fisher-Yates over whole rows. */
static void fill_shuffled(const struct method_step *s, enum av_modality which,
                          const struct tensor *z, float *fill)
{
    struct rng r = rng_at(s->seed, rng_stream(shuffle_stream[which]), s->step, 0);
    int64_t width = z->dim[1];

    memcpy(fill, z->data, (size_t)(s->batch * width) * sizeof *fill);
    for (int64_t b = s->batch - 1; b > 0; b--) {
        float *x = fill + b * width, *y = fill + (int64_t)rng_below(&r, (uint32_t)b + 1) * width;

        for (int64_t d = 0; d < width; d++) {
            float moved = x[d];

            x[d] = y[d];
            y[d] = moved;
        }
    }
}

void fill_make(const struct method_step *s, enum av_modality which, const struct tensor *z,
               float *fill)
{
    switch ((enum fill_kind)s->config->fill) {
    case FILL_EMA: fill_noise(s, which, z->dim[1], fill); break;
    case FILL_SHUFFLE: fill_shuffled(s, which, z, fill); break;
    case FILL_ZEROS: memset(fill, 0, (size_t)(s->batch * z->dim[1]) * sizeof *fill); break;
    }
}
