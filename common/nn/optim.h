/* SPDX-License-Identifier: MIT */
#ifndef COMMON_NN_OPTIM_H
#define COMMON_NN_OPTIM_H

#include "common/base/err.h"
#include "common/nn/kernels.h"
#include "common/nn/param.h"

/* Adam with coupled L2 (weight decay is added to the gradient, for batch norm and biases too), as
 * torch.optim.Adam: a weight that is frozen for a while keeps its moments and its own number of
 * steps, by which they are corrected. R section 5 uses betas (0.9, 0.999) and eps 1e-7. */
struct optim {
    double beta1, beta2; /* in [0, 1) */
    double eps;          /* > 0 */
    double weight_decay; /* >= 0 */
    int64_t step;        /* steps done, for the schedule; part of a checkpoint */
};

/* One step over all weights that are not frozen, at `lr` or at the weight's own rate. ERR_USAGE for
 * constants out of range. */
NODISCARD enum err_code optim_step(struct optim *o, struct nn *nn, struct params *ps, double lr,
                                   struct err *e);

/* Learning rate as a function of optimiser steps done, so that resuming needs no state of its own:
 * step n + 1 uses lr_after(s, n).
 *
 * LR_RESTARTS is what the reference code does (R section 5): base while n < warm_steps; then cosine
 * with warm restarts *driven by the global step*, hence entered mid-cycle: periods t0, 2 t0, 4 t0,
 * ... counted from step 0, from base down to 0. With base 1, warm_steps 780, t0 4: n = 779 gives 1,
 * 780 gives 0.45099143, 900 gives 0.12952444, 1020 gives 1. */
enum lr_kind { LR_CONSTANT, LR_RESTARTS };

struct lr_schedule {
    enum lr_kind kind;
    double base;
    int64_t warm_steps; /* LR_RESTARTS: constant part; also the length of the ramp */
    int64_t t0;         /* LR_RESTARTS: first period, >= 1 */
    bool ramp; /* linear warm-up: while n < warm_steps, base (n + 1) / warm_steps, in both kinds */
};
double lr_after(const struct lr_schedule *s, int64_t n);

#endif
