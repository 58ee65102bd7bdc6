/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_SCORED_H
#define TRAIN_SCORED_H

#include "train/checkpoint.h"
#include "train/evaluate.h"

/* A checkpoint of a finished (or unfinished) run, measured on a split. Zeroed = empty. */
struct scored {
    char method[32];
    uint64_t seed;
    int64_t epoch, step;           /* of the checkpoint */
    struct run_state state;        /* that it holds */
    char digest[65];               /* SHA-256 of the checkpoint file */
    char val_digest[65];           /* content digest of the val split that chose it */
    char init[MODALITIES_MAX][65]; /* digests of the unimodal checkpoints it started from, or "" */
    const struct method *method_def;
    struct evaluation ev;
};

/* Reads RUN/NAME (run_best_name or run_last_name; verified), rebuilds the model from what the
 * checkpoint says of itself and runs it over data. */
NODISCARD enum err_code scored_run(struct scored *s, const char *run, const char *name,
                                   const struct data *data, int jobs, struct err *e);
void scored_free(struct scored *s);

/* The synergy subset: samples that every unimodal model gets wrong. R section 7. */
struct synergy {
    int64_t n, right; /* size of the subset; how many of it `fused` gets right */
};
/* All arrays [n]; head: one per modality. */
struct synergy synergy_count(int64_t n, const int32_t *label, int modalities,
                             const int32_t *const head[MODALITIES_MAX], const int32_t *fused);

#endif
