/* SPDX-License-Identifier: MIT */
#ifndef COMMON_NN_TAPE_IMPL_H
#define COMMON_NN_TAPE_IMPL_H

#include "common/nn/tape.h"

/* What operations need from the tape; for ops*.c alone.
 *
 * An operation: check the arguments with tape_ready, make the result with tape_result, compute,
 * ask tape_record for a node, and if there is one (gradients are wanted) fill it; end with
 * `return tape_done(t, y)`. */

enum {
    NODE_INPUTS_MAX = 8,
    NODE_SAVES_MAX = 2,
    NODE_RESULT = 1 << NODE_INPUTS_MAX, /* in node_reads: the result; 1 << i: operand i */
};

/* Reads n->out->grad, adds to the gradients of the inputs that need one. Errors go to the tape. */
typedef void node_backward_fn(struct tape *t, struct node *n);
/* Writes n->out->data once more, the same bits, from operands that backward reads. */
typedef void node_restore_fn(struct tape *t, struct node *n);

struct node {
    node_backward_fn *backward;
    node_restore_fn *restore; /* NULL: the result must be kept for those that read it */
    unsigned reads;           /* as in node_reads */
    struct tensor *out;
    struct tensor *in[NODE_INPUTS_MAX]; /* those that may receive gradients; NULLs allowed */
    int inputs;
    float *save[NODE_SAVES_MAX]; /* tape_buffer memory, released after use */
    union {
        struct conv_shape conv;
        struct {
            struct bn_shape shape;
            struct bn_layer layer;
            bool training;
            int k, stride, pad; /* of the max pool behind it, if there is one */
        } bn;
        struct {
            struct bn_shape shape;
            int k, stride, pad, frames;
        } pool;
        float factor;
        double weight[NODE_INPUTS_MAX];
        const float *constant; /* the caller's */
        const int32_t *index;  /* likewise */
    } u;
};

struct nn *tape_nn(struct tape *t);

/* False once the tape holds an error. A NULL among the n inputs then is no new error; a NULL
 * without one is the caller's mistake and becomes ERR_INTERNAL, which names `op`. */
bool tape_ready(struct tape *t, const char *op, int n, struct tensor *const *in);
/* Whether x is a plain [B, D]; otherwise ERR_INTERNAL, which names `op`. */
bool tape_is_matrix(struct tape *t, const char *op, const struct tensor *x);
/* Whether a and b have the same sizes and layout; otherwise likewise. */
bool tape_same_shape(struct tape *t, const char *op, const struct tensor *a,
                     const struct tensor *b);

/* A new tensor with memory of the tape's; NULL on failure. */
struct tensor *tape_result(struct tape *t, int rank, const int64_t *dim, enum tensor_layout layout);
/* A tensor over memory of somebody else's. */
struct tensor *tape_alias(struct tape *t, int rank, const int64_t *dim, enum tensor_layout layout,
                          float *data);
/* Records y = op(in...) unless no input needs a gradient or recording is off: then NULL. */
struct node *tape_record(struct tape *t, struct tensor *y, int n, struct tensor *const *in,
                         node_backward_fn *backward);
/* Whose data n's backward reads; of all operands and the result until this says otherwise. What
 * nobody reads tape_drop releases. n may be NULL. */
void node_reads(struct node *n, unsigned what);
/* y, or NULL if the tape holds an error. */
struct tensor *tape_done(struct tape *t, struct tensor *y);
/* A scalar of this value whose gradients towards in[0..n) are d[0..n), tape_buffer memory, which it
 * takes; n <= NODE_SAVES_MAX. Of ops_loss.c. */
struct tensor *tape_loss(struct tape *t, int n, struct tensor *const *in, double value,
                         float *const *d);

/* Memory from the free list, contents undefined; NULL (and a sticky error) on failure. */
float *tape_buffer(struct tape *t, int64_t count);
void tape_buffer_release(struct tape *t, float *buffer);

/* Where a backward function writes d loss / d x: grad_open gives a buffer to overwrite, grad_close
 * adds it to what x has collected. NULL if x needs no gradient, or on an error. */
float *grad_open(struct tape *t, struct tensor *x);
void grad_close(struct tape *t, struct tensor *x, float *d);
/* For functions that add: x's gradient itself. *beta is what its contents are to be multiplied by
 * first: 0, and they must not be read, when this is the first, else 1. NULL as above. */
float *grad_target(struct tape *t, struct tensor *x, float *beta);
/* The same for functions that only add: zeroed when it is the first. */
float *grad_accumulator(struct tape *t, struct tensor *x);
/* Moves n->out's gradient buffer to x, to be rewritten in place, if it would be x's first; else
 * NULL and nothing happens. */
float *grad_steal(struct node *n, struct tensor *x);

#endif
