/* SPDX-License-Identifier: MIT */
#ifndef COMMON_NN_TAPE_H
#define COMMON_NN_TAPE_H

#include "common/base/err.h"
#include "common/nn/kernels.h"
#include "common/nn/param.h"
#include "common/nn/tensor.h"

/* Reverse-mode differentiation of what has just been computed.
 *
 *     tape_begin(t, TAPE_TRAIN);
 *     x = tape_constant(t, 2, (int64_t[]){B, D}, batch);
 *     loss = op_cross_entropy(t, op_linear(t, x, tape_param(t, w), tape_param(t, b)), labels);
 *     TRY(tape_gradients(t, loss, ps, e));
 *
 * Operations (common/nn/ops.h) compute at once and are recorded in order. Errors are sticky: the
 * first one is kept in the tape, from then on every operation returns NULL, and an operation given
 * NULL returns NULL; so model code needs no checks, and tape_backward or tape_error reports it.
 *
 * Memory: every buffer comes from a free list of the tape (freelist.h). Once a pass of some shapes
 * has been seen, further passes of the same shapes allocate nothing, and what the tape uses is what
 * the largest pass needed: tape_bytes.
 * During tape_backward gradients, and blocked activations unless TAPE_KEEP, are released as soon as
 * nothing can use them. What the caller has dropped (tape_drop) is not kept for backward where no
 * operation reads it there, or where the one that made it can make it again cheaply: op_batchnorm
 * without a residual.
 *
 * Order: backward runs the nodes in reverse; a tensor used n times collects its n gradients in that
 * order. So bits depend neither on threads nor on addresses.
 *
 * Threads: one at a time; the kernels use the team of nn. */
struct tape;

enum tape_flags {
    TAPE_TRAIN = 1, /* batch statistics in batch norm (running ones are updated), dropout active */
    TAPE_KEEP = 2,  /* several tape_backward over this pass: activations stay */
};

NODISCARD enum err_code tape_new(struct tape **t, struct nn *nn, struct err *e);
void tape_free(struct tape *t);

/* Forgets the last pass (its tensors become invalid, its error is cleared) and starts another. */
void tape_begin(struct tape *t, unsigned flags);

/* ---- leaves: 64-byte aligned memory of the caller's that must outlive the pass ---- */
/* No gradient. */
struct tensor *tape_constant(struct tape *t, int rank, const int64_t *dim, const float *data);
/* With a gradient, *added to* grad (same shape and layout) by tape_backward; grad may be NULL only
 * where no backward pass follows. */
struct tensor *tape_leaf(struct tape *t, int rank, const int64_t *dim, enum tensor_layout layout,
                         float *data, float *grad);
/* A weight; while p->frozen, between tape_freeze_begin and tape_freeze_end, or of another kind than
 * weight, a constant. */
struct tensor *tape_param(struct tape *t, struct param *p);
/* A plain constant whose data the tape owns and the caller fills: masks, noise. */
struct tensor *tape_scratch(struct tape *t, int rank, const int64_t *dim);

/* ---- modes inside a pass ---- */
/* Between these nothing is recorded: results are constants (nested pairs count). */
void tape_no_grad_begin(struct tape *t);
void tape_no_grad_end(struct tape *t);
/* Between these every parameter is a constant (nested pairs count): gradients reach inputs only. */
void tape_freeze_begin(struct tape *t);
void tape_freeze_end(struct tape *t);
bool tape_training(const struct tape *t);
/* Returns the old mode: reference predictions without dropout inside a training step. */
bool tape_set_training(struct tape *t, bool training);

/* The caller will not use x again: no operation, no look at its data. Its memory is reused at once
 * unless the coming backward pass must find it there. Where nothing is recorded a network then
 * needs the memory of two layers instead of all. Never on a tensor that a detached alias shares. */
void tape_drop(struct tape *t, struct tensor *x);

/* Adds d loss / d leaf to the gradient of every leaf; loss is a scalar. Without TAPE_KEEP at most
 * once per pass; with it any number of times, on any scalars. Reports the sticky error, if any;
 * ERR_NONFINITE if the loss is not finite (then no gradient is touched). */
NODISCARD enum err_code tape_backward(struct tape *t, struct tensor *loss, struct err *e);
/* The same with the gradients of all weights of ps *overwritten*: d loss / d weight, 0 where the
 * loss does not depend on a weight or it was a constant. Saves params_zero_grad, and reading the
 * zeros. On an error the gradients of ps are 0. */
NODISCARD enum err_code tape_gradients(struct tape *t, struct tensor *loss, struct params *ps,
                                       struct err *e);

/* Where a caller's own kernels of this pass report: the sticky error. */
struct err *tape_err(struct tape *t);
/* True once the tape holds an error. */
bool tape_failed(const struct tape *t);
/* The sticky error of this pass, for passes without backward. */
NODISCARD enum err_code tape_error(const struct tape *t, struct err *e);

/* The value of a scalar; NaN for NULL. */
float tape_value(const struct tensor *scalar);

/* For passes like those so far: gives back all that they took and allocates as much in one piece.
 * Forgets the last pass as tape_begin does. After passes of a planning nn (kernels.h) the memory of
 * later ones is known, and there, before anything is computed. */
NODISCARD enum err_code tape_settle(struct tape *t, struct err *e);

/* Bytes that passes have used so far, and how many allocations were made for them (tests: both
 * constant from the second step on). */
size_t tape_bytes(const struct tape *t);
uint64_t tape_allocations(const struct tape *t);

#endif
