/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_METHODS_DNR_H
#define TRAIN_METHODS_DNR_H

#include "train/collected.h"

/* Parts of D&R (dnr.c), for its tests. */

/* How well k-means clusters of a modality's features agree with the labels: each feature scaled to
 * [-1, 1] by its smallest and largest value (in place; a constant one to 0), dnr.clusters clusters,
 * the best of ten starts, purity. ERR_DATA with fewer samples than clusters. */
NODISCARD enum err_code dnr_purity(double *purity, struct collected *c, int which, int clusters,
                                   int classes, uint64_t seed, int threads, struct err *e);

/* theta = w theta_0 + (1 - w) theta for the weights of modality `which`: encoder, unimodal head and
 * its matrix in a linear fusion. `initial` is a block of params. */
void dnr_reset(struct network *net, int which, double w, const float *initial);

#endif
