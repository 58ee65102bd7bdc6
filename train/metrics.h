/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_METRICS_H
#define TRAIN_METRICS_H

#include "common/base/err.h"

#include <stdint.h>

/* Counts of predictions and what is computed from them. All results are exact functions of the
 * counts, so they do not depend on order or batches.
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

/* Index of the largest of n > 0 values, the first of equals; a NaN never wins. */
int metrics_argmax(const float *values, int n);

#endif
