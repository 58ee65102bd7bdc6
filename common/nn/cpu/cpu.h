/* SPDX-License-Identifier: MIT */
#ifndef COMMON_NN_CPU_CPU_H
#define COMMON_NN_CPU_CPU_H

#include "common/base/parallel.h"
#include "common/nn/kernels.h"

#include <oneapi/dnnl/dnnl.h>

/* Inside of the CPU back end: what its files share. Nobody else includes this. */

/* Buffers that live as long as the struct nn and only grow; one call's content never outlives it.
 */
enum scratch_id {
    SCRATCH_WEIGHTS_0, /* convolution weights in the primitive's format, for the longer chunks */
    SCRATCH_WEIGHTS_1, /* the same for the shorter chunks where their format differs */
    SCRATCH_PARTIALS,  /* one weight gradient per chunk */
    SCRATCH_PLAIN,     /* their sum, plain */
    SCRATCH_SUMS,      /* batch norm: partial sums per group of images */
    SCRATCH_N
};

struct scratch {
    void *data;
    size_t bytes;
};

struct conv_op;

struct nn {
    int threads;
    int block;
    bool planning;
    enum nn_precision precision;
    bool fast_bfloat16; /* faster than Winograd in float32 */
    dnnl_engine_t engine;
    dnnl_stream_t *streams; /* [threads] */
    struct scratch scratch[SCRATCH_N];
    struct scratch *worker_scratch; /* [threads]: scratchpads of primitives */
    struct conv_op **conv_ops;      /* cache, by shape and pass */
    size_t n_conv_ops, cap_conv_ops;
    char text[160];
};

/* Rounded up to cache lines, so that what follows is aligned. */
static inline size_t whole_lines(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* At least `bytes` in *out (a `T **`), 64-byte aligned, contents undefined. */
NODISCARD enum err_code nn_scratch(struct nn *nn, enum scratch_id id, size_t bytes, void *out,
                                   struct err *e);
/* At least `bytes` of scratchpad for every worker. */
NODISCARD enum err_code nn_worker_scratch(struct nn *nn, size_t bytes, struct err *e);

/* Whether there is room for what oneDNN makes for a primitive: where it has none, oneDNN ends the
 * process (std::bad_alloc, NULL pointers) more often than it refuses. */
NODISCARD enum err_code nn_room(const char *what, struct err *e);

/* ERR_OK, or oneDNN's refusal to do `what`. */
NODISCARD enum err_code nn_dnnl(dnnl_status_t status, const char *what, struct err *e);

/* What touches the arrays of a kernel: parallel_for on the team; nothing while planning. */
static inline void nn_run(struct nn *nn, int64_t n, parallel_fn *fn, void *ctx)
{
    if (!nn->planning)
        parallel_for(nn->threads, n, fn, ctx);
}

/* conv_cache.c */
void conv_ops_free(struct nn *nn);

/* ERR_INTERNAL unless all sizes are at least 1 and c is a multiple of the block. */
NODISCARD enum err_code nn_check_blocked(const struct nn *nn, const struct bn_shape *s,
                                         const char *what, struct err *e);

/* Eight lanes, the smallest block; a pixel of a blocked tensor is one or two of them. Compilers
 * lower it to what the machine has, and every lane is computed as the scalar would be. */
typedef float v8f __attribute__((vector_size(32), may_alias));
typedef int32_t v8i __attribute__((vector_size(32), may_alias));
typedef double v8d __attribute__((vector_size(64), may_alias));
typedef uint8_t v8u8 __attribute__((vector_size(8), may_alias));
enum { LANES = 8, MAX_BLOCK = 16 };

#define V8F(p) (*(v8f *)(p))
#define V8F_CONST(p) (*(const v8f *)(p))
/* Lanes of a where the mask (a comparison's result) is set, otherwise 0. */
#define V8F_KEEP(mask, a) ((v8f)((v8i)(a) & (mask)))

/* Inlined with constant block, so that the loops over a pixel's lanes disappear. */
#define INLINE static inline __attribute__((always_inline))

#endif
