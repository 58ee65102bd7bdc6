/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_STEP_H
#define TRAIN_STEP_H

#include "train/network.h"

/* The passes of one training step. */

/* Encodes a batch and leaves in the params the gradients that the method wants: forward pass, loss
 * and backward pass, or what its `gradients` does. The step and what it reports stay valid until
 * the tape's next pass. `step`, `epoch`: those done before this one. keep: activations stay for
 * further backward passes. ERR_NONFINITE when the loss or a gradient is not finite. */
NODISCARD enum err_code step_gradients(struct method_step *s, struct step_report *report,
                                       struct network *net, const struct batch *b, uint32_t step,
                                       int64_t epoch, bool keep, struct err *e);

/* For a method's `gradients`: d loss / d weights into out, [params_block_count]; the gradients in
 * the params are lost. */
NODISCARD enum err_code step_backward_into(const struct method_step *s, struct tensor *loss,
                                           float *out, struct err *e);

#endif
