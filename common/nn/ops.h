/* SPDX-License-Identifier: MIT */
#ifndef COMMON_NN_OPS_H
#define COMMON_NN_OPS_H

#include "common/nn/tape.h"

/* The differentiable operations. Each returns a tensor that the tape owns, or NULL once the tape
 * holds an error (see tape.h); wrong shapes are ERR_INTERNAL. Sums over many elements accumulate in
 * double. x, y below are [B, D] plain unless said otherwise; a backward pass *adds to* the
 * gradients of its inputs. */

/* ---- convolutional part; y is blocked ---- */
/* x [N, C, H, W]: blocked, or plain when C is not a multiple of the block (then x must not need a
 * gradient). w [OC, C, KH, KW] plain. */
struct tensor *op_conv2d(struct tape *t, struct tensor *x, struct tensor *w, int stride, int pad);

/* One batch-norm layer: weights and running statistics [C], as torch.nn.BatchNorm2d. */
struct batchnorm {
    struct param *gamma, *beta;               /* `weight`, `bias` */
    struct param *running_mean, *running_var; /* buffers */
    struct param *batches;                    /* counter `num_batches_tracked` */
};
/* y = gamma (x - mean) / sqrt(var + 1e-5) + beta [+ residual], then ReLU if `relu`. Training: mean
 * and biased variance of the batch over N, H, W; running = 0.9 running + 0.1 batch, where the
 * running variance takes the unbiased one. Otherwise the running statistics, as constants. */
struct tensor *op_batchnorm(struct tape *t, struct tensor *x, const struct batchnorm *bn,
                            struct tensor *residual, bool relu);
/* k x k windows; padding never wins; of equals the first gets the gradient. */
struct tensor *op_maxpool(struct tape *t, struct tensor *x, int k, int stride, int pad);
/* op_maxpool of op_batchnorm without residual, the same bits; what lies between them is never
 * stored, and takes no part in backward. */
struct tensor *op_batchnorm_maxpool(struct tape *t, struct tensor *x, const struct batchnorm *bn,
                                    bool relu, int k, int stride, int pad);
/* Mean over space and `frames` consecutive images: [N, C, H, W] -> plain [N / frames, C]. */
struct tensor *op_meanpool(struct tape *t, struct tensor *x, int frames);

/* ---- dense part ---- */
/* y [B, O] = x w^T + b; w [O, D], b [O] or NULL. */
struct tensor *op_linear(struct tape *t, struct tensor *x, struct tensor *w, struct tensor *b);
struct tensor *op_relu(struct tape *t, struct tensor *x);
/* Over the last dimension, biased variance; gamma and beta [D], or both NULL for no affine part. */
struct tensor *op_layernorm(struct tape *t, struct tensor *x, struct tensor *gamma,
                            struct tensor *beta, float eps);
/* [B, D1], [B, D2], ... -> [B, D1 + D2 + ...]; 1 <= n <= 8 operands. */
struct tensor *op_concat(struct tape *t, int n, struct tensor *const *x);
/* y [B, D] = scale[b] x + shift[b]; scale and shift [B] are constants, borrowed until backward. */
struct tensor *op_row_affine(struct tape *t, struct tensor *x, const float *scale,
                             const float *shift);
/* y = 1 / (1 + exp(-scale x)). */
struct tensor *op_sigmoid(struct tape *t, struct tensor *x, float scale);
/* Mean of all elements, a scalar. */
struct tensor *op_mean(struct tape *t, struct tensor *x);
/* Sum of x * weight over all elements, a scalar; weight has x's shape, borrowed until backward. */
struct tensor *op_dot(struct tape *t, struct tensor *x, const float *weight);
/* Same shape and layout. */
struct tensor *op_add(struct tape *t, struct tensor *a, struct tensor *b);
struct tensor *op_scale(struct tape *t, struct tensor *x, float factor);
/* The same values as a constant; shares x's memory. */
struct tensor *op_detach(struct tape *t, struct tensor *x);

/* y [n, D]: row i is row index[i] of x, 0..B-1 and any number of times; index is borrowed until
 * backward. */
struct tensor *op_gather_rows(struct tape *t, struct tensor *x, int64_t n, const int32_t *index);
/* y = x [B, D] with row i of rows [n, D] in place of row index[i]; n different numbers in 0..B-1,
 * borrowed until backward. */
struct tensor *op_replace_rows(struct tape *t, struct tensor *x, struct tensor *rows,
                               const int32_t *index);

/* Training: y = x / (1 - p) where uniform >= p, else 0. Otherwise, or with p = 0: x itself. */
struct tensor *op_dropout(struct tape *t, struct tensor *x, float p, const struct noise_key *key);

/* y = (1 - m) z + m fill, element by element (R section 4.1). Gradients reach those of the three
 * that need one. */
struct tensor *op_mix(struct tape *t, struct tensor *z, struct tensor *mask, struct tensor *fill);

/* ---- losses: scalars, mean over the batch, natural logarithm ----
 * A prediction is the parameters of a distribution, of one of three families:
 *
 *   categorical  [B, K]    logits of K classes
 *   Bernoulli    [B, 1]    logit of label 1
 *   Gaussian     [B, 2 K]  K means, then K log variances, of independent values
 *
 * Labels and targets are borrowed for the call. */

/* -log p(label); label[b] in 0..K-1 (Bernoulli: 0 or 1), ERR_DATA otherwise. */
struct tensor *op_cross_entropy(struct tape *t, struct tensor *logits, const int32_t *label);
/* Mean over the batch of weight[b] times -log p(label[b]); weight [B] is borrowed for the call. */
struct tensor *op_weighted_cross_entropy(struct tape *t, struct tensor *logits,
                                         const int32_t *label, const float *weight);
struct tensor *op_bernoulli_nll(struct tape *t, struct tensor *logit, const int32_t *label);
/* -log density of target [B, K]: sum over k of (v + (y - mean)^2 exp(-v) + log 2 pi) / 2. */
struct tensor *op_gaussian_nll(struct tape *t, struct tensor *prediction, const float *target);

enum kl_direction {
    KL_MODEL_REFERENCE, /* KL(p || r): the paper's, App. C */
    KL_REFERENCE_MODEL, /* KL(r || p): the released code's "unimodal_anchor" */
};
/* Closed-form divergences (App. C.1 and C.2) between the prediction p and a reference r of the same
 * family and shape; reference NULL: the uniform distribution, for the Gaussian N(0, I). No gradient
 * goes into the reference. Minimal (0) at p = r in both directions. */
struct tensor *op_kl(struct tape *t, struct tensor *logits, struct tensor *reference,
                     enum kl_direction direction);
struct tensor *op_bernoulli_kl(struct tape *t, struct tensor *logit, struct tensor *reference,
                               enum kl_direction direction);
struct tensor *op_gaussian_kl(struct tape *t, struct tensor *prediction, struct tensor *reference,
                              enum kl_direction direction);

/* ---- losses over two operands, both of which get gradients ---- */
/* Jensen-Shannon divergence of the distributions softmax(a) and softmax(b), mean over rows, times
 * weight[b] where weight [B] is not NULL; it is borrowed for the call. */
struct tensor *op_js_divergence(struct tape *t, struct tensor *a, struct tensor *b,
                                const float *weight);
/* Supervised contrastive loss (NT-Xent): the rows of a and b, 2 B vectors of length 1, s their
 * products divided by `temperature`; mean over all ordered pairs (i, j) of one label, i != j, of
 * -log(e^s_ij / (e^s_ij + sum over n of other labels e^s_in)). 0 without a pair. R section 6.7. */
struct tensor *op_nt_xent(struct tape *t, struct tensor *a, struct tensor *b, const int32_t *label,
                          double temperature);

/* sum of weight[i] * term[i] over n scalars, added in this order. A NULL term is an error passed
 * on, not a zero. */
struct tensor *op_weighted_sum(struct tape *t, int n, struct tensor *const *term,
                               const double *weight);

/* ---- readout, no tape ---- */
/* prob [B, K] = softmax of each row; in place is fine. */
void softmax_rows(int64_t rows, int64_t classes, const float *logits, float *prob);

#endif
