/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_KMEANS_H
#define TRAIN_KMEANS_H

#include "common/base/err.h"

#include <stdint.h>

/* k-means: Lloyd's rounds from k-means++ starts [Arthur07], the best of several by its inertia (sum
 * of squared distances to the nearest centre; the first of equals). A round moves every centre to
 * the mean of its rows; a cluster without rows takes the row that is farthest from its centre. It
 * ends when no row changes its cluster, or after `most_rounds`.
 *
 * Sums are in double and in order, and random numbers are functions of (seed, stream "kmeans",
 * start), so the result depends on neither threads nor addresses. */
struct kmeans_options {
    int clusters; /* 1..n */
    int starts;
    int most_rounds;
    uint64_t seed;
    int threads;
};

/* cluster [n], 0..clusters-1, overwritten; x [n][width]. ERR_DATA when there are fewer rows than
 * clusters. *inertia may be NULL. */
NODISCARD enum err_code kmeans(int32_t *cluster, double *inertia, int64_t n, int64_t width,
                               const float *x, const struct kmeans_options *opt, struct err *e);

/* Share of rows whose label is the most frequent one of their cluster: the accuracy of labelling
 * every cluster by majority. labels 0..classes-1; n > 0. */
double cluster_purity(int64_t n, int clusters, const int32_t *cluster, int classes,
                      const int32_t *label);

#endif
