/* SPDX-License-Identifier: MIT */
#ifndef COMMON_NN_TENSOR_H
#define COMMON_NN_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Shape letters, here and in every header of common/nn and train/:
 *
 *   B  samples of a batch          N  images (frames of all samples, folded: N = B * frames)
 *   C  channels                    H, W  height, width (spectrograms: frequency, time)
 *   D  features of a vector        K  classes                 T  width of the fusion trunk
 *
 * Gradients start with d: dx is the gradient of the loss with respect to x. */

enum tensor_layout {
    TENSOR_PLAIN,   /* row-major; [N, C, H, W] for images */
    TENSOR_BLOCKED, /* [N, C/b, H, W, b], b = nn_block(); always rank 4 with dim = {N, C, H, W} */
};

enum { TENSOR_RANK_MAX = 4 };

struct node; /* of the tape */
struct param;

/* A float32 array that lives on a tape (or, for leaves, in memory that the caller lent to it).
 *
 * rank 0 is a scalar: one element, dim unused. `data` stays valid until the next tape_begin, except
 * that a backward pass without TAPE_KEEP releases blocked tensors (data becomes NULL), and that
 * tape_drop may; tape_backward makes dropped data again while it needs them. `grad` is for the
 * tape; callers see gradients in the buffers that they gave to tape_leaf. Read-only for callers but
 * for the data of tape_scratch. */
struct tensor {
    int rank;
    int64_t dim[TENSOR_RANK_MAX];
    enum tensor_layout layout;
    float *data;
    float *grad;         /* same layout; NULL until something has been added */
    bool needs_grad;     /* on a path from a leaf with a gradient to the loss */
    bool owns_data;      /* data belongs to the tape's free list */
    bool owns_grad;      /* so does grad; false for leaves */
    bool dropped;        /* by tape_drop: the caller reads data no more */
    struct node *maker;  /* recorded operation that made it; NULL: none */
    struct param *param; /* the weight that this leaf is; NULL: none */
    int readers;         /* recorded operations whose backward reads data */
};

/* Number of elements. */
static inline int64_t tensor_count(const struct tensor *t)
{
    int64_t n = 1;

    for (int i = 0; i < t->rank; i++)
        n *= t->dim[i];
    return n;
}

#endif
