/* SPDX-License-Identifier: MIT */
#ifndef COMMON_NN_CPU_CONV_CACHE_H
#define COMMON_NN_CPU_CONV_CACHE_H

#include "common/nn/cpu/cpu.h"

/* A convolution pass of one shape, ready to run: the batch is cut into `chunks` runs of consecutive
 * images that differ by at most one image, so at most two primitives serve all of them. Everything
 * here depends on shape and instruction set only. Cached in struct nn until nn_free. */

enum conv_pass { CONV_FORWARD, CONV_DATA, CONV_WEIGHTS };

/* What one worker hands to a primitive; handles are set before each execution. */
struct conv_args {
    dnnl_memory_t src; /* what is read with the weights: x, dy or, for weight gradients, x */
    dnnl_memory_t dst; /* y, dx or, for weight gradients, dy */
    dnnl_memory_t wei;
    dnnl_memory_t scratchpad;
};

/* One primitive for one chunk length. */
struct conv_prim {
    int64_t images;
    dnnl_primitive_t conv;
    dnnl_primitive_t reorder; /* weights: plain -> wei_md; weight gradients: wei_md -> plain */
    dnnl_memory_desc_t wei_md;
    size_t wei_bytes;
    bool rounded;     /* multiplies bfloat16 numbers: every operand that it reads is a copy */
    bool transformed; /* Winograd with weights by winograd_weights; CONV_DATA then runs a forward
                         primitive with mirrored weights */
    struct conv_args *args;    /* [threads] */
    size_t src_copy, dst_copy; /* with `rounded`: where these lie in the worker's scratch */
    dnnl_memory_t plain;       /* of the reorder */
    dnnl_memory_t blocked;
};

struct conv_op {
    enum conv_pass pass;
    struct conv_shape shape;
    int64_t chunks;
    int n_prims; /* 1 or 2; prims[0] has the longer chunks */
    struct conv_prim prims[2];
    bool same_format;             /* both primitives want the weights alike */
    int64_t src_image, dst_image; /* floats per image of what args.src and args.dst point to */
};

/* The op for a shape, made on first use. */
NODISCARD enum err_code conv_op_get(struct nn *nn, enum conv_pass pass, const struct conv_shape *s,
                                    struct conv_op **op, struct err *e);

#endif
