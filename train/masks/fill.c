/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "train/masks/mask.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char updates_name[] = "synib.ema.updates";

/* The running moment "mean" or "square" of a modality. */
static void moment_name(const struct model *m, int which, const char *moment,
                        char out[PARAM_NAME_SIZE])
{
    snprintf(out, PARAM_NAME_SIZE, "synib.ema.%s.%s", model_opt(m)->modality[which].name, moment);
}

static struct param *moment_of(const struct method_step *s, int which, const char *moment)
{
    char name[PARAM_NAME_SIZE];

    moment_name(s->model, which, moment, name);
    return params_find(s->params, name);
}

enum err_code masks_declare(const struct config *c, const struct model *m, struct params *ps,
                            struct err *e)
{
    static const char *const moments[] = {"mean", "square"};
    char name[PARAM_NAME_SIZE];
    struct param *p;

    if (masks[c->mask]->declare != NULL)
        TRY(masks[c->mask]->declare(c, m, ps, e));
    if (c->fill != FILL_EMA)
        goto out;
    for (int i = 0; i < model_opt(m)->modalities; i++) {
        for (int k = 0; k < 2; k++) {
            moment_name(m, i, moments[k], name);
            TRY(params_buffer(ps, &p, name, mask_width(c, m, i), 0, e));
        }
    }
    TRY(params_counter(ps, &p, updates_name, e));
out:
    return e->code;
}

void masks_init(const struct config *c, const struct model *m, struct params *ps, uint64_t seed)
{
    if (masks[c->mask]->init != NULL)
        masks[c->mask]->init(c, m, ps, seed);
}

int64_t mask_width(const struct config *c, const struct model *m, int which)
{
    return c->mask_space == SPACE_INPUT ? model_inputs(m, which) : model_features(m, which);
}

struct mask_site mask_site_of(const struct method_step *s, int which)
{
    bool input = s->config->mask_space == SPACE_INPUT;

    return (struct mask_site){
        .which = which,
        .x = input ? s->features.input[which] : s->features.z[which],
        .width = mask_width(s->config, s->model, which),
    };
}

void fill_update(const struct method_step *s)
{
    struct param *updates;
    double keep, n = (double)s->batch->n;

    if (s->config->fill != FILL_EMA || tape_failed(s->tape))
        return;
    updates = params_find(s->params, updates_name);
    keep = updates->counter > 0 ? s->config->ema_momentum : 0;
    for (int m = 0; m < model_opt(s->model)->modalities; m++) {
        float *mean = moment_of(s, m, "mean")->data, *square = moment_of(s, m, "square")->data;
        struct mask_site site = mask_site_of(s, m);

        for (int64_t d = 0; d < site.width; d++) {
            double sum = 0, sum_squares = 0;

            for (int64_t b = 0; b < s->batch->n; b++) {
                double v = (double)site.x->data[b * site.width + d];

                sum += v;
                sum_squares += v * v;
            }
            mean[d] = (float)(keep * (double)mean[d] + (1 - keep) * (sum / n));
            square[d] = (float)(keep * (double)square[d] + (1 - keep) * (sum_squares / n));
        }
    }
    updates->counter++;
}

/* Scales standard normals to the running statistics. */
static void match_moments(const struct method_step *s, const struct mask_site *site, float *fill)
{
    const float *mean = moment_of(s, site->which, "mean")->data;
    const float *square = moment_of(s, site->which, "square")->data;

    for (int64_t d = 0; d < site->width; d++) {
        double variance = (double)square[d] - (double)mean[d] * (double)mean[d];
        float deviation;

        if (variance < s->config->ema_var_floor)
            variance = s->config->ema_var_floor;
        deviation = (float)(sqrt(variance) * s->config->noise_std);
        for (int64_t b = 0; b < s->batch->n; b++)
            fill[b * site->width + d] = mean[d] + deviation * fill[b * site->width + d];
    }
}

/* Fisher-Yates over whole rows. */
static void fill_shuffled(const struct method_step *s, const struct mask_site *site, uint32_t draw,
                          float *fill)
{
    struct noise_key key = step_key_of(s, "fill.shuffle.", site->which);
    struct rng r = rng_at(key.seed, key.stream, key.epoch, draw);
    int64_t width = site->width;

    memcpy(fill, site->x->data, (size_t)(s->batch->n * width) * sizeof *fill);
    for (int64_t b = s->batch->n - 1; b > 0; b--) {
        float *x = fill + b * width, *y = fill + (int64_t)rng_below(&r, (uint32_t)b + 1) * width;

        for (int64_t d = 0; d < width; d++) {
            float moved = x[d];

            x[d] = y[d];
            y[d] = moved;
        }
    }
}

static void fill_noise(const struct method_step *s, const struct mask_site *site,
                       enum fill_kind kind, uint32_t draw, float *fill)
{
    struct noise_key key = step_key_of(s, "fill.", site->which);
    float std = (float)s->config->noise_std;
    int64_t count = s->batch->n * site->width;

    if (k_random_normal(s->nn, &key, draw, s->batch->n, site->width, fill, tape_err(s->tape)) !=
        ERR_OK)
        return;
    if (kind == FILL_EMA)
        match_moments(s, site, fill);
    else if (std != 1)
        for (int64_t i = 0; i < count; i++)
            fill[i] *= std;
}

void fill_make(const struct method_step *s, const struct mask_site *site, enum fill_kind kind,
               uint32_t draw, float *fill)
{
    switch (kind) {
    case FILL_EMA:
    case FILL_NORMAL: fill_noise(s, site, kind, draw, fill); break;
    case FILL_SHUFFLE: fill_shuffled(s, site, draw, fill); break;
    case FILL_ZEROS: memset(fill, 0, (size_t)(s->batch->n * site->width) * sizeof *fill); break;
    }
}
