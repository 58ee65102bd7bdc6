/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_LOADER_H
#define TRAIN_LOADER_H

#include "common/data/dataset.h"

#include <stdint.h>

/* Batches of one split, made ahead of time by background threads.
 *
 * Training: samples in an order drawn anew each epoch, Philox (seed, "loader.shuffle", epoch);
 * every frame cropped and flipped on its own, Philox (seed, "loader.crop", epoch, sample).
 * Otherwise: samples in order, whole frames. The last, smaller batch is kept. So a batch is a
 * function of (dataset, seed, epoch, its number) alone, at any number of threads. R sections 1.4
 * and 1.6.
 *
 * Up to LOADER_SLOTS batches exist at a time, in buffers allocated once.
 *
 * Threads: one caller. */

enum { LOADER_SLOTS = 3 }; /* one in use, two ahead */

struct loader_options {
    int64_t batch;    /* B, at least 1 */
    bool training;    /* shuffle */
    bool augment;     /* random crops and flips; only with training */
    double scale_min; /* with augment: smallest crop, as a share of the picture */
    bool audio;       /* which modalities are wanted */
    bool video;
    int audio_pool; /* p: spectrograms are averaged over p x p squares; what does not fill a square
                       at the upper and right end is left out */
    int video_size; /* S */
    uint64_t seed;
    int threads; /* at least 1 */
};

struct batch {
    int64_t n;              /* samples; 0 = the epoch is over */
    const float *audio;     /* [n, 1, H, W] or NULL */
    const float *video;     /* [n * 3, 3, S, S] or NULL */
    const int32_t *label;   /* [n] */
    const uint32_t *sample; /* [n] indices in the dataset */
};

struct loader;

/* data is borrowed until loader_free. ERR_DATA when the split is empty or a spectrogram is smaller
 * than one square. */
NODISCARD enum err_code loader_new(struct loader **l, const struct dataset *data,
                                   const struct loader_options *opt, struct err *e);
void loader_free(struct loader *l);

/* Batches per epoch. */
int64_t loader_batches(const struct loader *l);
/* H and W after pooling. */
void loader_audio_shape(const struct loader *l, int *height, int *width);

/* Begins (or begins again) an epoch at batch number `first`, 0..loader_batches. */
void loader_start(struct loader *l, uint32_t epoch, int64_t first);
/* The next batch, valid until the next call. A sample that cannot be read is the error of its
 * batch: "sample I (CLIP): ...". */
NODISCARD enum err_code loader_next(struct loader *l, struct batch *b, struct err *e);

/* Milliseconds that loader_next has waited so far. */
int64_t loader_waited_ms(const struct loader *l);

#endif
