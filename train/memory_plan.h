/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_MEMORY_PLAN_H
#define TRAIN_MEMORY_PLAN_H

#include "train/network.h"

/* The memory that the passes of a run need, found before the first of them. */

/* For a run that trains on `train` and evaluates on both: takes a step of every kind and an
 * evaluation, of the largest batches there will be, with kernels that compute nothing
 * (nn_set_planning). After it the kernels have made what they need, and each tape holds in one
 * piece what these passes take, so that the run's allocate nothing; network_activations says how
 * much that is. Masks count as if they masked something in every row. Weights, buffers and counters
 * stay as they are; gradients are undefined. ERR_NOMEM: for that there is no memory. */
NODISCARD enum err_code network_plan(struct network *net, const struct data *train,
                                     const struct data *val, struct err *e);

#endif
