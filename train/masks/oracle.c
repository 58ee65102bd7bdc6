/* SPDX-License-Identifier: MIT */
#include "train/masks/mask.h"

#include <string.h>

/* What the data say is synergistic (App. D, Eq. 16): with `oracle` only where synergy made the
 * sample's label, as the published code has it; with `oracle-literal` in every sample, as the
 * sentence reads. X section 0. Input space only: config_check and network_init see to it. */
static void oracle_make(const struct method_step *s, const struct mask_site *site, float *mask,
                        struct loss_sum *sum, struct step_report *report)
{
    (void)sum;
    (void)report;
    memcpy(mask, s->batch->oracle[site->which], (size_t)(s->batch->n * site->width) * sizeof *mask);
}

const struct mask mask_oracle = {.oracle = ORACLE_ACTIVE, .make = oracle_make};
const struct mask mask_oracle_literal = {.oracle = ORACLE_LITERAL, .make = oracle_make};
