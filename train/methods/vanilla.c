/* SPDX-License-Identifier: MIT */
#include "train/methods/method.h"

/* Plain fusion: SynIB's model and loss without the masked passes. R section 6.3. */

static struct tensor *vanilla_loss(const struct method_step *s, struct step_report *report)
{
    struct loss_sum sum = {0};

    fusion_base_loss(s, &sum, report);
    return loss_total(s, &sum, report);
}

const struct method method_vanilla = {
    .name = "vanilla",
    .help = "fusion trained with the label's loss only",
    .scopes = SCOPE_AUDIO | SCOPE_VIDEO | SCOPE_FUSED,
    .fusion = true,
    .trains = true,
    .loss = vanilla_loss,
    .predict = fusion_predict,
};
