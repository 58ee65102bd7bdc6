/* SPDX-License-Identifier: MIT */
#include "train/methods/method.h"

/* Plain fusion: SynIB's model and loss without the masked passes. R section 6.3. */

static void vanilla_loss(const struct method_step *s, struct tensor *term[LOSS_TERMS])
{
    struct loss_sum sum = {0};

    fusion_base_loss(s, &sum, term);
    term[TERM_TOTAL] = op_weighted_sum(s->tape, sum.n, sum.part, sum.weight);
}

const struct method method_vanilla = {
    .name = "vanilla",
    .help = "fusion trained with cross-entropy only",
    .scopes = SCOPE_AUDIO | SCOPE_VIDEO | SCOPE_FUSED,
    .use = {true, true},
    .fusion = true,
    .trains = true,
    .loss = vanilla_loss,
    .predict = fusion_predict,
};
