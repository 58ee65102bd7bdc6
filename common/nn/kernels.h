/* SPDX-License-Identifier: MIT */
#ifndef COMMON_NN_KERNELS_H
#define COMMON_NN_KERNELS_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* What a back end provides: the heavy float32 kernels under the tape's operations. The CPU back end
 * is common/nn/cpu/; another one would implement the same functions over its own memory.
 *
 * Shape letters: N images (frames folded in), C channels, H height, W width, B batch rows, D
 * features. Layouts: *plain* is row-major [N, C, H, W]; *blocked* is [N, C/b, H, W, b] with b =
 * nn_block(nn), which every activation inside a convolutional network has; C is a multiple of b.
 * Weights, their gradients and everything else are plain.
 *
 * Determinism: what is summed in one piece depends on shapes only, and partial sums are added in a
 * fixed order, so bits do not depend on the thread count. Float sums over many elements accumulate
 * in double. Nothing is allocated after the first call with a given shape (primitives and scratch
 * are cached).
 *
 * Outputs are *overwritten* unless said to be *added to*. Buffers are 64-byte aligned and do not
 * overlap unless said so. Threads: one struct nn, one caller at a time; it uses its own team. */
struct nn;

/* threads: size of the team. */
NODISCARD enum err_code nn_new(struct nn **nn, int threads, struct err *e);
void nn_free(struct nn *nn);
/* What convolutions multiply; sums, results, weights and everything else are float32 either way.
 * NN_BFLOAT16: both factors rounded to bfloat16 (1 + 8 + 7 bits) wherever that is faster, which is
 * a fixed rule of shape and processor. NN_FLOAT32 is what nn_new sets. ERR_USAGE where the
 * processor has no instructions for bfloat16. */
enum nn_precision { NN_FLOAT32, NN_BFLOAT16 };
extern const char *const nn_precision_names[]; /* "float32", "bfloat16", NULL */
NODISCARD enum err_code nn_set_precision(struct nn *nn, enum nn_precision precision, struct err *e);
/* While planning, kernels neither read nor write any array: they make what they will need for the
 * shapes that they are given (primitives, scratch) and return; k_all_finite says true. */
void nn_set_planning(struct nn *nn, bool planning);
bool nn_planning(const struct nn *nn);
int nn_threads(const struct nn *nn);
/* Channels per block: 16 with AVX-512, otherwise 8. */
int nn_block(const struct nn *nn);
/* "AVX-512 with AMX, blocks of 16, oneDNN 2.6.3": provenance, and what may change bits. */
const char *nn_describe(const struct nn *nn);

/* ---- convolution: no bias, square stride and padding, groups 1, dilation 1 ---- */
struct conv_shape {
    int64_t n;          /* images */
    int64_t ic, ih, iw; /* input; plain when ic is not a multiple of the block (ic is 1 or 3) */
    int64_t oc, kh, kw; /* weights [oc, ic, kh, kw] */
    int64_t stride, pad;
};
int64_t conv_oh(const struct conv_shape *s); /* (ih + 2 pad - kh) / stride + 1 */
int64_t conv_ow(const struct conv_shape *s);

/* y [n, oc, oh, ow] blocked. */
NODISCARD enum err_code k_conv_forward(struct nn *nn, const struct conv_shape *s, const float *x,
                                       const float *w, float *y, struct err *e);
/* Where the gradients go; NULL: not wanted. */
struct conv_gradients {
    float *w;   /* [oc, ic, kh, kw] */
    bool add_w; /* add to w instead of overwriting it */
    float *x;   /* like x; only for blocked inputs */
};
/* From dy, like y. x is read for the gradient of w, w for that of x. */
NODISCARD enum err_code k_conv_backward(struct nn *nn, const struct conv_shape *s, const float *x,
                                        const float *w, const float *dy,
                                        const struct conv_gradients *to, struct err *e);

/* ---- batch norm over N, H, W (blocked), with optional residual and ReLU fused ----
 * y = act(gamma (x - mean) / sqrt(var + eps) + beta [+ residual]), act = ReLU or identity. */
struct bn_shape {
    int64_t n, c, h, w;
};
/* A layer. All arrays [c]. */
struct bn_layer {
    const float *gamma, *beta;
    float *mean, *var; /* statistics: the batch's, or running ones */
    float eps;
    bool relu;
};
/* Batch statistics: the layer's mean and var (biased) are written. residual may be NULL. y may be
 * x's buffer only if the caller does not need x for backward. */
NODISCARD enum err_code k_batchnorm_train(struct nn *nn, const struct bn_shape *s,
                                          const struct bn_layer *layer, const float *x,
                                          const float *residual, float *y, struct err *e);
/* With the statistics as they are: for evaluation, or, after k_batchnorm_train, its y once more,
 * bit for bit. */
NODISCARD enum err_code k_batchnorm_eval(struct nn *nn, const struct bn_shape *s,
                                         const struct bn_layer *layer, const float *x,
                                         const float *residual, float *y, struct err *e);
/* Where gradients go. */
struct bn_gradients {
    float *x;            /* overwritten; may be dy's buffer */
    float *gamma, *beta; /* [c], added to */
    float *residual;     /* overwritten with the gradient after the ReLU; NULL: there was none */
};
/* Backward of k_batchnorm_train, or, with `constant` statistics, of k_batchnorm_eval, for methods
 * that differentiate through a network in evaluation mode. y is read only where there was a
 * residual and a ReLU, and may be NULL otherwise: without a residual the ReLU's mask is computed
 * from x by forward's own arithmetic. */
NODISCARD enum err_code k_batchnorm_backward(struct nn *nn, const struct bn_shape *s,
                                             const struct bn_layer *layer, bool constant,
                                             const float *x, const float *y, const float *dy,
                                             const struct bn_gradients *to, struct err *e);

/* ---- pooling (blocked) ---- */
/* k x k windows; padding never wins. argmax [n, c/b, oh, ow, b] holds the winner's index in its
 * window (first of equals). */
NODISCARD enum err_code k_maxpool_forward(struct nn *nn, const struct bn_shape *s, int k,
                                          int stride, int pad, const float *x, float *y,
                                          uint8_t *argmax, struct err *e);
NODISCARD enum err_code k_maxpool_backward(struct nn *nn, const struct bn_shape *s, int k,
                                           int stride, int pad, const float *dy,
                                           const uint8_t *argmax, float *dx, struct err *e);
/* Mean over space and `frames` consecutive images: x [n, c, h, w] blocked -> y [n / frames, c]
 * plain. */
NODISCARD enum err_code k_meanpool_forward(struct nn *nn, const struct bn_shape *s, int frames,
                                           const float *x, float *y, struct err *e);
NODISCARD enum err_code k_meanpool_backward(struct nn *nn, const struct bn_shape *s, int frames,
                                            const float *dy, float *dx, struct err *e);

/* ---- batch norm and the max pool behind it (blocked) ----
 * What lies between them is not stored; arguments as of the two alone. Bits are those of
 * k_batchnorm_train or k_batchnorm_eval without residual, then k_maxpool_forward. */
NODISCARD enum err_code k_batchnorm_maxpool_train(struct nn *nn, const struct bn_shape *s,
                                                  const struct bn_layer *layer, int k, int stride,
                                                  int pad, const float *x, float *y,
                                                  uint8_t *argmax, struct err *e);
NODISCARD enum err_code k_batchnorm_maxpool_eval(struct nn *nn, const struct bn_shape *s,
                                                 const struct bn_layer *layer, int k, int stride,
                                                 int pad, const float *x, float *y, uint8_t *argmax,
                                                 struct err *e);
/* Bits of k_maxpool_backward, then k_batchnorm_backward. to->residual is NULL; to->x, of x's size,
 * overlaps none of the others. */
NODISCARD enum err_code k_batchnorm_maxpool_backward(struct nn *nn, const struct bn_shape *s,
                                                     const struct bn_layer *layer, bool constant,
                                                     int k, int stride, int pad, const float *x,
                                                     const float *dy, const uint8_t *argmax,
                                                     const struct bn_gradients *to, struct err *e);

/* ---- dense ---- */
/* C [m, n] = alpha op(A) op(B) + beta C, row-major, op = transpose if ta / tb. Single module that
 * owns GEMM (P "Decisions" 3); the bits do not depend on the thread count. */
NODISCARD enum err_code k_gemm(struct nn *nn, bool ta, bool tb, int64_t m, int64_t n, int64_t k,
                               float alpha, const float *a, int64_t lda, const float *b,
                               int64_t ldb, float beta, float *c, int64_t ldc, struct err *e);

/* y [rows, out] = x [rows, in] w^T + b, with k_gemm's bits; w [out, in], b [out] or NULL. */
NODISCARD enum err_code k_linear(struct nn *nn, int64_t rows, int64_t in, int64_t out,
                                 const float *x, const float *w, const float *b, float *y,
                                 struct err *e);

/* ---- random numbers ----
 * Where random numbers of a sample come from: Philox at (seed, stream, epoch, row[b]), column d
 * being draw d. rows are the dataset's sample indices, so that a sample gets the same numbers
 * wherever it stands in a batch. Give every use in a step (clean pass, masked passes) a stream of
 * its own, e.g. rng_stream("dropout.clean"). */
struct noise_key {
    uint64_t seed;
    uint32_t stream;
    uint32_t epoch;      /* or step: whatever must change between two uses of a sample */
    const uint32_t *row; /* [B]; borrowed for the call */
};
/* x [rows, cols] = rng_uniforms or rng_normals of each row (common/base/rng.h), from the draw
 * counter at 16 ceil(cols / 64) `index` on: index 0, 1, 2, ... number fills of one key. */
NODISCARD enum err_code k_random_uniform(struct nn *nn, const struct noise_key *key, uint32_t index,
                                         int64_t rows, int64_t cols, float *x, struct err *e);
NODISCARD enum err_code k_random_normal(struct nn *nn, const struct noise_key *key, uint32_t index,
                                        int64_t rows, int64_t cols, float *x, struct err *e);

/* ---- gates of learned masks, element-wise over `count` floats ----
 * gate = sigmoid(logit * scale), x~ = (1 - gate) x + gate fill. */
NODISCARD enum err_code k_gate(struct nn *nn, int64_t count, float scale, const float *logit,
                               const float *x, const float *fill, float *gate, float *mixed,
                               struct err *e);
/* dlogit = (d (fill - x) + extra) gate (1 - gate) scale, where d is the gradient towards x~ and
 * extra one number that is added to every gate's; overwritten. */
NODISCARD enum err_code k_gate_backward(struct nn *nn, int64_t count, float scale, float extra,
                                        const float *gate, const float *x, const float *fill,
                                        const float *d, float *dlogit, struct err *e);

/* ---- element-wise over `count` floats ---- */
NODISCARD enum err_code k_add(struct nn *nn, int64_t count, const float *a, float *inout,
                              struct err *e); /* inout += a */
/* y = max(x, 0), NaN stays NaN; dx = dy where y > 0, otherwise 0. */
NODISCARD enum err_code k_relu(struct nn *nn, int64_t count, const float *x, float *y,
                               struct err *e);
NODISCARD enum err_code k_relu_backward(struct nn *nn, int64_t count, const float *y,
                                        const float *dy, float *dx, struct err *e);
/* sums [cols] += sums over the rows of x [rows, cols], each in double. */
NODISCARD enum err_code k_column_sums(struct nn *nn, int64_t rows, int64_t cols, const float *x,
                                      float *sums, struct err *e);

/* *finite: none of x is Inf or NaN. */
NODISCARD enum err_code k_all_finite(struct nn *nn, int64_t count, const float *x, bool *finite,
                                     struct err *e);

/* One Adam step with coupled L2 (g = grad + weight_decay * w), bias-corrected, in place, for one
 * parameter block. step counts from 1. torch.optim.Adam's formula and order of operations:
 * w -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps). */
struct adam_step {
    double lr, beta1, beta2, eps, weight_decay;
    int64_t step;
};
NODISCARD enum err_code k_adam(struct nn *nn, const struct adam_step *a, int64_t count, float *w,
                               const float *grad, float *m, float *v, struct err *e);

/* ---- layout, for tests and inspection ---- */
NODISCARD enum err_code k_to_blocked(struct nn *nn, const struct bn_shape *s, const float *plain,
                                     float *blocked, struct err *e);
NODISCARD enum err_code k_to_plain(struct nn *nn, const struct bn_shape *s, const float *blocked,
                                   float *plain, struct err *e);

#endif
