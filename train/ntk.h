/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_NTK_H
#define TRAIN_NTK_H

#include "train/data.h"
#include "train/methods/method.h"

/* The empirical neural tangent kernel by source of information: App. K, X section 5. With f_i the
 * fused prediction of batch row i (one logit, or as many values as the family has), r_i the
 * gradient of its loss towards it (sigmoid(f_i) - y_i for one logit), and
 *
 *     v_g = sum over rows i of source g of r_i df_i / dtheta
 *
 *     strength g     |v_g|^2 / sum over i in g of |r_i|^2      (Rayleigh quotient r' K_g r / r' r)
 *     alignment g h  v_g . v_h / (|v_g| |v_h|)
 *
 * Exact over all parameters that reach the fused prediction, frozen ones aside: one backward pass
 * per source that the batch holds. */

struct ntk; /* scratch: the v_g and gradients of the caller's step */

struct ntk_result {
    int sources;
    bool has[VECTORS_SOURCES]; /* the batch has rows of it, and their residuals are not all tiny */
    double strength[VECTORS_SOURCES];
    double alignment[VECTORS_SOURCES][VECTORS_SOURCES]; /* NaN unless both have one */
    double loss[VECTORS_SOURCES];                       /* mean -log p of its rows */
};

NODISCARD enum err_code ntk_new(struct ntk **n, const struct params *ps, int sources,
                                struct err *e);
void ntk_free(struct ntk *n);

/* Measures on a pass that was begun with TAPE_KEEP and has the fused prediction; before or after
 * the step's own backward pass. Gradients in the params are as they were when it returns. */
NODISCARD enum err_code ntk_measure(struct ntk *n, const struct method_step *s,
                                    struct tensor *prediction, struct ntk_result *out,
                                    struct err *e);

#endif
