/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_MASKS_ADVERSARY_H
#define TRAIN_MASKS_ADVERSARY_H

#include "train/masks/mask.h"

/* The unimodal predictor that learned masks attack: modality `which` from its site's values on,
 * evaluation mode, all parameters constant. In latent space the head reads z as mask.head_on says:
 * `features` undoes the layer norm with the sample's own mean and deviation, so that an empty mask
 * gives the head's own prediction. */

/* d [B, width] = d nll / d x, overwritten, of the mean -log p(label) at x [B, width]: in closed
 * form where the predictor is one linear layer, through s->inner otherwise. x and d: tape memory.
 */
NODISCARD enum err_code adversary_gradient(const struct method_step *s,
                                           const struct mask_site *site, float *x, float *d,
                                           struct err *e);
/* The same through the tape, whatever the predictor: for the test of the closed form. */
NODISCARD enum err_code adversary_gradient_by_tape(const struct method_step *s,
                                                   const struct mask_site *site, float *x, float *d,
                                                   struct err *e);
/* The predictor as an operation on tape t, with gradients towards x. */
struct tensor *adversary_predict(const struct method_step *s, struct tape *t,
                                 const struct mask_site *site, struct tensor *x);

/* What the masked pass corrupts, given the adversary's gates: mask.soft, mask.threshold and
 * mask.complement. */
void gates_to_mask(const struct config *c, int64_t count, const float *gate, float *mask);

#endif
