/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_LOADER_H
#define TRAIN_LOADER_H

#include "train/data.h"
#include "train/models/model.h"
#include "train/objectives/objective.h"

#include <stdint.h>

/* Batches of one split.
 *
 * Training: samples in an order drawn anew each epoch, Philox (seed, "loader.shuffle", epoch).
 * Otherwise: samples in order. The last, smaller batch is kept. R sections 1.4 and 1.6.
 *
 * Pictures and sound are decoded ahead of time by background threads (train/loader_media.h);
 * training frames are cropped and flipped each on its own, or those of a clip alike, Philox (seed,
 * "loader.crop", epoch, sample). Vectors are gathered when asked for. Either way a batch is a
 * function of (data, seed, epoch, its number) alone, at any number of threads, and all memory is
 * allocated once.
 *
 * Threads: one caller. */

/* What `oracle` of a batch marks with 1. */
enum oracle_kind {
    ORACLE_NONE,     /* there is no oracle in the batches */
    ORACLE_ACTIVE,   /* what the oracle mask corrupts: the active synergistic coordinates */
    ORACLE_LITERAL,  /* the synergistic block of every sample */
    ORACLE_SHORTCUT, /* the active coordinates of all other sources (App. G) */
};

struct loader_options {
    int64_t batch;            /* B, at least 1 */
    bool training;            /* shuffle */
    bool use[MODALITIES_MAX]; /* which modalities are wanted */
    enum oracle_kind oracle;  /* other than ORACLE_NONE: needs data_has_oracle */
    bool augment;             /* media: random crops and flips; only with training */
    bool alike;               /* with augment: one crop and flip for all frames of a clip */
    double scale_min;         /* with augment: smallest crop, as a share of the picture */
    int audio_pool; /* media: p: spectrograms are averaged over p x p squares; what does not
                       fill a square at the upper and right end is left out */
    int video_size; /* media: S */
    uint64_t seed;
    int threads; /* at least 1 */
};

struct batch {
    int64_t n;                      /* samples; 0 = the epoch is over */
    const float *x[MODALITIES_MAX]; /* audio [n, 1, H, W], video [n * 3, 3, S, S], vectors [n, dim];
                                       NULL where not wanted */
    const float *oracle[MODALITIES_MAX]; /* [n, dim] 0 or 1, or NULL */
    struct aim aim;
    const int32_t *source;  /* [n], or NULL */
    const uint32_t *sample; /* [n] numbers in the split */
};

struct loader;

/* Media: H and W of spectrograms in batches with audio_pool = pool; 0 where they are smaller than
 * one square. */
void loader_audio_shape(const struct dataset *data, int pool, int *height, int *width);

/* data is borrowed until loader_free. ERR_DATA when the split is empty, a spectrogram is smaller
 * than one square, or an oracle is wanted and not there. */
NODISCARD enum err_code loader_new(struct loader **l, const struct data *data,
                                   const struct loader_options *opt, struct err *e);
void loader_free(struct loader *l);

/* Batches per epoch, and samples of the longest one. */
int64_t loader_batches(const struct loader *l);
int64_t loader_batch_size(const struct loader *l);
/* Begins (or begins again) an epoch at batch number `first`, 0..loader_batches. */
void loader_start(struct loader *l, uint32_t epoch, int64_t first);
/* The next batch, valid until the next call. A sample that cannot be read is the error of its
 * batch: "sample I (CLIP): ...". */
NODISCARD enum err_code loader_next(struct loader *l, struct batch *b, struct err *e);

/* Milliseconds that loader_next has waited so far. */
int64_t loader_waited_ms(const struct loader *l);

#endif
