/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_SCORED_H
#define TRAIN_SCORED_H

#include "train/evaluate.h"

/* A finished (or unfinished) run's best checkpoint, measured on a split. Zeroed = empty. */
struct scored {
    char method[32];
    uint64_t seed;
    int64_t epoch, step;          /* of the best checkpoint */
    char digest[65];              /* SHA-256 of the checkpoint file */
    char val_digest[65];          /* content digest of the val split that chose it */
    char init[AV_MODALITIES][65]; /* digests of the unimodal checkpoints it started from, or "" */
    const struct method *method_def;
    struct evaluation ev;
};

/* Reads RUN/best.safetensors (verified), rebuilds the model from what the checkpoint says of itself
 * and runs it over data. */
NODISCARD enum err_code scored_run(struct scored *s, const char *run, const struct dataset *data,
                                   int jobs, struct err *e);
void scored_free(struct scored *s);

/* The synergy subset: samples that both unimodal models get wrong. R section 7. */
struct synergy {
    int64_t n, right; /* size of the subset; how many of it `fused` gets right */
};
/* All arrays [n]. */
struct synergy synergy_count(int64_t n, const int32_t *label, const int32_t *audio,
                             const int32_t *video, const int32_t *fused);

#endif
