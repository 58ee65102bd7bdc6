/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_REPORT_STATS_H
#define TRAIN_REPORT_STATS_H

#include "train/metrics.h"

#include <stddef.h>

/* What a table says about the runs of a cell; docs/formats/report.md has the formulas. NaN =
 * there is none. */
struct summary {
    size_t n;
    double mean, sd;  /* sd: sample standard deviation, ddof 1; NaN of fewer than two */
    double low, high; /* 95 % bootstrap interval over clips */
};

/* Mean and sd of x[0..n); low and high are NaN. */
struct summary stats_summary(const double *x, size_t n);
/* The q-quantile of sorted[0..n), n > 0, linear between order statistics: numpy's default. */
double stats_quantile(const double *sorted, size_t n, double q);
/* Sorts x[0..n), n > 0, and sets low and high to its 2.5 % and 97.5 % quantiles. */
void stats_interval(struct summary *s, double *x, size_t n);

#endif
