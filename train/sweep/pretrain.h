/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_SWEEP_PRETRAIN_H
#define TRAIN_SWEEP_PRETRAIN_H

#include "train/sweep/run.h"

/* The unimodal runs that fused runs on pictures and sound start from, made once for all runs of a
 * sweep that start from the same ones: DIR/pretrained/KEY/uni-audio and uni-video, where KEY
 * follows from data, seed and the settings that unimodal methods depend on. */

struct pretraining {
    char (*key)[IDENTITY_SIZE]; /* [plan->n]; "" where a run needs none or was not asked for */
    const struct plan_run **of; /* [n] the first run of each key */
    size_t n;
    char *folder; /* DIR/pretrained */
};

/* Keys of the runs plan->run[todo[0..count)]. Reads their data's digests, trains nothing. Free on
 * failure too. */
NODISCARD enum err_code pretraining_init(struct pretraining *p, const struct plan *plan,
                                         const size_t *todo, size_t count, const char *dir,
                                         struct err *e);
void pretraining_free(struct pretraining *p);

/* The folder to give as --pretrained to plan->run[i], NULL when it needs none; caller frees. */
NODISCARD enum err_code pretraining_folder(char **path, const struct pretraining *p, size_t i,
                                           struct err *e);

/* There are 2 n unimodal runs; does number k of them, or what is left of it, under its lock. A loss
 * that is not finite is left to the runs that need it. */
NODISCARD enum err_code pretraining_do(const struct pretraining *p, const struct plan *plan,
                                       size_t k, int jobs, const struct log *log, struct err *e);

#endif
