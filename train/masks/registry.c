/* SPDX-License-Identifier: MIT */
#include "train/masks/mask.h"

const struct mask *const masks[] = {[MASK_RANDOM] = &mask_random};
