/* SPDX-License-Identifier: MIT */
#include "train/masks/mask.h"

/* The whole modality. */
static void all_make(const struct method_step *s, const struct mask_site *site, float *mask,
                     struct loss_sum *sum, struct step_report *report)
{
    int64_t count = s->batch->n * site->width;

    (void)sum;
    (void)report;
    for (int64_t i = 0; i < count; i++)
        mask[i] = 1;
}

const struct mask mask_all = {.make = all_make};
