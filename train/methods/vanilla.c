/* SPDX-License-Identifier: MIT */
#include "train/methods/method.h"

/* Plain fusion: SynIB's model and loss without the masked passes. R section 6.3. */

const struct method method_vanilla = {
    .name = "vanilla",
    .help = "fusion trained with the label's loss only",
    .scopes = SCOPE_AUDIO | SCOPE_VIDEO | SCOPE_FUSED,
    .fusion = true,
    .trains = true,
    .loss = fusion_loss,
    .predict = fusion_predict,
};
