/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_CHECKPOINT_H
#define TRAIN_CHECKPOINT_H

#include "common/data/tensorfile.h"
#include "train/methods/method.h"

/* Checkpoints: container files of kind "checkpoint" (docs/formats/run.md). One file holds all that
 * a run needs to go on: values, running statistics, Adam's moments, and this state. Nothing in it
 * depends on when, where or at how many threads it was made. */

/* Every member is eight bytes long and listed in checkpoint.c. */
struct run_state {
    int64_t epoch; /* epochs finished, hence also the number of the current one, from 0 */
    int64_t batch; /* batches of the current epoch that are done */
    int64_t step;  /* optimiser steps done */
    int64_t done;  /* 1: the run is over */
    int64_t best_epoch, best_step; /* epochs and steps done when the best was measured; 0 = none */
    double best_score;       /* validation, by select.metric (the loss with its sign turned) */
    double best_accuracy;    /* validation accuracy of best_epoch; R^2 where there are no classes */
    double lowest_loss;      /* validation; of all epochs so far */
    int64_t stale;           /* epochs in a row without improvement */
    double sum[STEP_VALUES]; /* of what the current epoch's steps reported, times their samples */
    int64_t samples[STEP_VALUES]; /* of those steps that reported value i */
    int64_t source_n[VECTORS_SOURCES], source_right[VECTORS_SOURCES]; /* of the current epoch, by */
    double source_loss[VECTORS_SOURCES];                              /* source; [0] without any */
    int64_t metrics_bytes, metrics_crc, epochs_bytes, epochs_crc, ntk_bytes,
        ntk_crc; /* logs as of this state */
};

/* One metadata string. */
struct meta {
    const char *key, *value;
};

/* Writes a checkpoint, replacing an older one of that name. weights_only leaves out the moments. */
NODISCARD enum err_code checkpoint_save(const char *path, const struct params *ps,
                                        const struct run_state *state, const struct meta *meta,
                                        int n_meta, bool weights_only, struct err *e);

/* Opens one and verifies every byte. ERR_FORMAT when it is no checkpoint. */
NODISCARD enum err_code checkpoint_open(struct tensorfile **f, const char *path, struct err *e);

/* Fills values, statistics and counters (and moments, if `moments`) of all params whose name starts
 * with prefix. With prefix "" the file must hold exactly these. ERR_DATA lists what is missing, has
 * another shape or is too much; then params may be partly filled. */
NODISCARD enum err_code checkpoint_read(const struct tensorfile *f, struct params *ps,
                                        const char *prefix, bool moments, struct err *e);
NODISCARD enum err_code checkpoint_state(const struct tensorfile *f, struct run_state *state,
                                         struct err *e);
/* A metadata string; ERR_DATA when it is missing. */
NODISCARD enum err_code checkpoint_meta(const struct tensorfile *f, const char *key,
                                        const char **value, struct err *e);

#endif
