/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_OBJECTIVES_OBJECTIVE_H
#define TRAIN_OBJECTIVES_OBJECTIVE_H

#include "common/nn/ops.h"

/* What a model predicts and how it is judged: a family of distributions (App. C), one file each.
 *
 *   categorical  K >= 3 classes           P = K    logits
 *   bernoulli    2 classes                P = 1    logit of class 1
 *   gaussian     K numbers                P = 2 K  means, then log variances
 *
 * A *readout* is a prediction as evaluation wants it: log probabilities of all classes [B,
 * classes], or means and log variances [B, 2 K]. */

/* What is to be predicted; loans. */
struct aim {
    const int32_t *label; /* [B], or NULL */
    const float *target;  /* [B, K], or NULL */
};

struct objective {
    const char *name;
    /* P for K classes or numbers, and the width of a readout. */
    int (*outputs)(int k);
    int (*readout_width)(int k);
    /* Mean of -log p(aim) over the batch. */
    struct tensor *(*nll)(struct tape *t, struct tensor *prediction, const struct aim *aim);
    /* Mean closed-form divergence; reference NULL: the uniform distribution, N(0, I) of a Gaussian.
     */
    struct tensor *(*divergence)(struct tape *t, struct tensor *prediction,
                                 struct tensor *reference, enum kl_direction direction);
    /* The prediction that mixes n > 1 others in equal parts, as a constant: mean probabilities, or
     * a Gaussian with the mixture's mean and variance. */
    struct tensor *(*mix)(struct tape *t, int n, struct tensor *const *prediction);
    /* out [rows, readout_width] */
    void (*readout)(int64_t rows, int64_t outputs, const float *prediction, float *out);
    /* -log p of one sample, from its readout. */
    double (*sample_nll)(int width, const float *readout, const struct aim *aim, int64_t i);
    /* d [rows, P] = d nll / d prediction; for closed-form gradients. */
    void (*gradient)(int64_t rows, int64_t outputs, const float *prediction, const struct aim *aim,
                     float *d);
};

extern const struct objective objective_categorical, objective_bernoulli, objective_gaussian;

/* The objective for data with that many classes, or 0 and numbers to predict. */
const struct objective *objective_for(int classes);

/* out [rows, classes] = log softmax of each row, in double inside; in place is fine. */
void log_softmax_rows(int64_t rows, int64_t classes, const float *logits, float *out);

#endif
