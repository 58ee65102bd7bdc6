/* SPDX-License-Identifier: MIT */
#include "train/masks/mask.h"

#include <string.h>

/* Nothing: a confidence penalty on intact inputs. This is what the published "random" and "learned"
 * arms of PID-controlled XOR ran (X section 0). */
static void none_make(const struct method_step *s, const struct mask_site *site, float *mask,
                      struct loss_sum *sum, struct step_report *report)
{
    (void)sum;
    (void)report;
    memset(mask, 0, (size_t)(s->batch->n * site->width) * sizeof *mask);
}

const struct mask mask_none = {.nothing = true, .make = none_make};
