/* SPDX-License-Identifier: MIT */
#include "train/masks/mask.h"

const struct mask *const masks[MASK_KINDS] = {
    [MASK_RANDOM] = &mask_random,
    [MASK_LEARNED] = &mask_learned,
    [MASK_LEARNED_MLP] = &mask_learned_mlp,
    [MASK_ORACLE] = &mask_oracle,
    [MASK_ORACLE_LITERAL] = &mask_oracle_literal,
    [MASK_ALL] = &mask_all,
    [MASK_NONE] = &mask_none,
};
