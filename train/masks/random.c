/* SPDX-License-Identifier: MIT */
#include "train/masks/mask.h"

void random_mask(const struct method_step *s, const struct mask_site *site,
                 const struct noise_key *key, float *mask)
{
    float p = (float)s->config->mask_p;
    int64_t count = s->batch->n * site->width;

    if (k_random_uniform(s->nn, key, 0, s->batch->n, site->width, mask, tape_err(s->tape)) !=
        ERR_OK)
        return;
    for (int64_t i = 0; i < count; i++)
        mask[i] = mask[i] < p ? 1 : 0;
}

/* App. D, R section 4.1. */
static void random_make(const struct method_step *s, const struct mask_site *site, float *mask,
                        struct loss_sum *sum, struct step_report *report)
{
    struct noise_key key = step_key_of(s, "mask.", site->which);

    (void)sum;
    (void)report;
    random_mask(s, site, &key, mask);
}

const struct mask mask_random = {.make = random_make};
