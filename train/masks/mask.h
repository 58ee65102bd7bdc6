/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_MASKS_MASK_H
#define TRAIN_MASKS_MASK_H

#include "train/methods/method.h"

/* Which features of a modality are corrupted (a mask: 1 = corrupted) and with what (a fill). Both
 * are constants of the step. A new kind of mask is one file that defines one struct mask, one line
 * in masks/registry.c and one name of mask.kind in train/config.c. */

struct mask {
    /* mask [B, D], all 0 or 1 (or between, for soft masks), overwritten. z: features of the
     * modality to be masked, [B, D]. */
    void (*make)(const struct method_step *s, enum av_modality which, const struct tensor *z,
                 float *mask);
};

/* By enum mask_kind. */
extern const struct mask *const masks[];
extern const struct mask mask_random;

/* Declares the running statistics of the `ema` fill: synib.ema.audio.mean [D],
 * synib.ema.audio.square [D], the same for video, and the counter synib.ema.updates. */
NODISCARD enum err_code fill_declare(const struct avmodel *m, struct params *ps, struct err *e);

/* Once per step, before the first fill, in training only: running = momentum * running +
 * (1 - momentum) * batch mean of z and of z^2; the first update copies the batch. R section 4.2. */
void fill_update(const struct method_step *s, struct tensor *const z[AV_MODALITIES]);

/* fill [B, D], overwritten, by the setting mask.fill:
 *   ema      N(mean, max(square - mean^2, floor)) of the running statistics
 *   shuffle  the features of another row, by a permutation of the batch drawn for this step and
 *            modality (a row may keep its place, as in the authors' code). They are constants: no
 *            gradient reaches the donor row
 *   zeros    0 */
void fill_make(const struct method_step *s, enum av_modality which, const struct tensor *z,
               float *fill);

#endif
