/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_EVALUATE_H
#define TRAIN_EVALUATE_H

#include "train/metrics.h"
#include "train/network.h"

/* One pass over a split in evaluation mode: running statistics, no dropout, whole frames, in order.
 */
struct evaluation {
    int64_t n;
    struct confusion confusion; /* of the method's prediction */
    double loss;                /* mean over samples of -log p(label) */
    struct confusion head[AV_MODALITIES];
    bool has_head[AV_MODALITIES];
    /* per sample, [n]; kept when asked for */
    int32_t *label, *guess, *head_guess[AV_MODALITIES];
    float *prob; /* [n][N_LABELS] */
};

/* Runs it from an epoch's start. `keep`: fill the per-sample arrays. `stop` (may be NULL) is asked
 * between batches; when it says true the result is ERR_STOPPED. ERR_NONFINITE when the loss is not
 * finite. Free ev on failure too. */
NODISCARD enum err_code evaluate(struct evaluation *ev, struct network *net, struct loader *loader,
                                 int64_t count, bool keep, bool (*stop)(void), struct err *e);
void evaluation_free(struct evaluation *ev);

#endif
