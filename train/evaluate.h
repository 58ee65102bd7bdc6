/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_EVALUATE_H
#define TRAIN_EVALUATE_H

#include "train/metrics.h"
#include "train/network.h"

/* Right predictions and summed loss of the samples of one source. */
struct source_sum {
    int64_t n, right;
    double loss;
};

/* One pass over a split in evaluation mode: running statistics, no dropout, whole frames, in order.
 */
struct evaluation {
    int64_t n;
    int classes;                    /* 0: numbers are predicted */
    struct confusion confusion;     /* of the method's prediction; with classes */
    struct calibration calibration; /* of the predicted classes' probabilities */
    double loss;                    /* mean over samples of -log p(label or target) */
    double mse, r2; /* numbers: mean squared error over samples and dimensions, and 1 - mse /
                     * variance, of the values of all dimensions together */
    struct confusion head[MODALITIES_MAX]; /* of the unimodal heads; with classes */
    bool has_head[MODALITIES_MAX];
    int sources; /* 0 = not known */
    struct source_sum source[VECTORS_SOURCES];
    /* per sample, [n]; kept when asked for */
    int32_t *label, *guess, *head_guess[MODALITIES_MAX];
    float *readout; /* [n][width]: probabilities of the classes, or means and log variances */
    int width;
};

/* Runs it from an epoch's start. `keep`: fill the per-sample arrays. `stop` (may be NULL) is asked
 * between batches; when it says true the result is ERR_STOPPED. ERR_NONFINITE when the loss is not
 * finite. Free ev on failure too. */
NODISCARD enum err_code evaluate(struct evaluation *ev, struct network *net, struct loader *loader,
                                 const struct data *data, bool keep, bool (*stop)(void),
                                 struct err *e);
void evaluation_free(struct evaluation *ev);

/* Share of right predictions of one source; NaN without samples. */
double source_accuracy(const struct source_sum *s);
double source_loss(const struct source_sum *s);

#endif
