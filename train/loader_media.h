/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_LOADER_MEDIA_H
#define TRAIN_LOADER_MEDIA_H

#include "train/loader.h"

/* Batches of pictures and sound, made ahead of time by background threads; for loader.c alone.
 *
 * Up to MEDIA_SLOTS batches exist at a time, in buffers allocated once. */

enum { MEDIA_SLOTS = 3 }; /* one in use, two ahead */

struct media_loader;

/* order [count of data]: the samples of an epoch in order; borrowed, written by the caller only
 * inside media_loader_start's `reorder`. */
NODISCARD enum err_code media_loader_new(struct media_loader **l, const struct dataset *data,
                                         const struct loader_options *opt, const uint32_t *order,
                                         struct err *e);
void media_loader_free(struct media_loader *l);

/* Stops what is under way, calls reorder(ctx) and begins the epoch at batch `first`. */
void media_loader_start(struct media_loader *l, uint32_t epoch, int64_t first,
                        void (*reorder)(void *ctx), void *ctx);
/* As loader_next. */
NODISCARD enum err_code media_loader_next(struct media_loader *l, struct batch *b, struct err *e);

#endif
