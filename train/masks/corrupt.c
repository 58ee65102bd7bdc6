/* SPDX-License-Identifier: MIT */
#include "train/masks/mask.h"

struct tensor *corrupted_z(const struct method_step *s, const struct mask_site *site,
                           struct tensor *mask, struct tensor *fill, bool detach)
{
    struct noise_key key = step_key(s, "dropout.masked_input");
    struct tensor *x = op_mix(s->tape, site->x, mask, fill), *raw;

    if (s->config->mask_space == SPACE_LATENT)
        return detach ? op_detach(s->tape, x) : x;
    raw = model_encode_one(s->model, s->tape, site->which, x, &key);
    if (detach)
        raw = op_detach(s->tape, raw);
    return model_fusion_input(s->model, s->tape, raw);
}

static double mean_of(const struct tensor *x)
{
    int64_t count = tensor_count(x);
    double sum = 0;

    for (int64_t i = 0; i < count; i++)
        sum += (double)x->data[i];
    return sum / (double)count;
}

struct tensor *masked_z(const struct method_step *s, int which, bool detach, struct loss_sum *sum,
                        struct step_report *report)
{
    const struct mask *kind = masks[s->config->mask];
    struct mask_site site = mask_site_of(s, which);
    struct tensor *mask, *fill;

    if (kind->nothing) {
        struct tensor *z = s->features.z[which];

        report->value[VALUE_MASK_SHARE + which] = 0;
        return detach ? op_detach(s->tape, z) : z;
    }
    if (site.x == NULL)
        return NULL;
    mask = tape_scratch(s->tape, site.x->rank, site.x->dim);
    fill = tape_scratch(s->tape, site.x->rank, site.x->dim);
    if (mask == NULL || fill == NULL)
        return NULL;
    kind->make(s, &site, mask->data, sum, report);
    fill_make(s, &site, (enum fill_kind)s->config->fill, 0, fill->data);
    if (tape_failed(s->tape))
        return NULL;
    report->value[VALUE_MASK_SHARE + which] = mean_of(mask);
    return corrupted_z(s, &site, mask, fill, detach);
}

struct tensor *shuffled_z(const struct method_step *s, int which)
{
    struct mask_site site = mask_site_of(s, which);
    struct noise_key key = step_key_of(s, "mask.ce.", which);
    struct tensor *mask, *fill;
    float p = (float)s->config->mask_p;

    if (site.x == NULL)
        return NULL;
    mask = tape_scratch(s->tape, site.x->rank, site.x->dim);
    fill = tape_scratch(s->tape, site.x->rank, site.x->dim);
    if (mask == NULL || fill == NULL ||
        k_random_uniform(s->nn, &key, 0, s->batch->n, site.width, mask->data, tape_err(s->tape)) !=
            ERR_OK)
        return NULL;
    for (int64_t i = 0; i < s->batch->n * site.width; i++)
        mask->data[i] = mask->data[i] < p ? 1 : 0;
    fill_make(s, &site, FILL_SHUFFLE, UINT16_MAX, fill->data);
    return corrupted_z(s, &site, mask, fill, false);
}
