/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_METRICS_H
#define TRAIN_METRICS_H

#include "common/base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Counts of predictions and what is computed from them. All results but the calibration error,
 * which adds up probabilities, are exact functions of the counts: they do not depend on order or
 * batches.
 *
 * F1 of a class = 2 TP / (2 TP + FP + FN), and 0 where a class is neither present nor predicted
 * (scikit-learn's zero_division=0). Macro F1 is the mean over *all* classes, also those that a
 * small split lacks, so that numbers of different splits mean the same thing; it equals
 * sklearn.metrics.f1_score(labels=range(7), average="macro", zero_division=0). */

enum { METRICS_MAX_CLASSES = 16 };

struct confusion {
    int classes;
    int64_t count[METRICS_MAX_CLASSES][METRICS_MAX_CLASSES]; /* [label][prediction] */
};

/* classes: 1..METRICS_MAX_CLASSES. */
void confusion_init(struct confusion *c, int classes);
/* label and prediction in 0..classes-1. */
void confusion_add(struct confusion *c, int label, int prediction);

int64_t confusion_total(const struct confusion *c);
/* Share of right predictions; 0 of none is 0. */
double confusion_accuracy(const struct confusion *c);
double confusion_f1(const struct confusion *c, int cls);
double confusion_macro_f1(const struct confusion *c);

/* Recall of a class; NaN where no sample has it. */
double confusion_recall(const struct confusion *c, int cls);
/* Cohen's kappa, (p_o - p_e) / (1 - p_e), with p_o the accuracy and p_e that of guesses drawn from
 * the predictions' frequencies. NaN where p_e is 1 (nothing but one class, there and predicted) and
 * of no samples, as sklearn.metrics.cohen_kappa_score. */
double confusion_kappa(const struct confusion *c);

/* Expected calibration error [Guo17]: the probability p of the predicted class in 15 bins [k / 15,
 * (k + 1) / 15), the last one with its end; sum over bins of n_bin / n |share right - mean p|. It
 * is what torchmetrics computes by default, but for p = 1, which has a bin of its own there. */
enum { CALIBRATION_BINS = 15 };
struct calibration {
    int64_t n[CALIBRATION_BINS], right[CALIBRATION_BINS];
    double sum[CALIBRATION_BINS]; /* of p */
};
/* p in [0, 1]; a NaN is not counted. */
void calibration_add(struct calibration *c, double p, bool right);
/* 0 of none. */
double calibration_error(const struct calibration *c);

/* Index of the largest of n > 0 values, the first of equals; a NaN never wins. */
int metrics_argmax(const float *values, int n);

#endif
