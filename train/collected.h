/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_COLLECTED_H
#define TRAIN_COLLECTED_H

#include "train/network.h"

/* Encoded features of a whole split, in order, in evaluation mode. Zeroed = empty. */
struct collected {
    int64_t n;
    int modalities;
    int64_t width[MODALITIES_MAX]; /* D */
    float *raw[MODALITIES_MAX];    /* [n][D]; NULL where the model has no such encoder */
    int32_t *label;                /* [n], NULL without classes */
};

/* `loader` runs over all samples of `data` in order. */
NODISCARD enum err_code collect_features(struct collected *c, struct network *net,
                                         struct loader *loader, const struct data *data,
                                         struct err *e);
void collected_free(struct collected *c);

#endif
