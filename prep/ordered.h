/* SPDX-License-Identifier: MIT */
#ifndef PREP_ORDERED_H
#define PREP_ORDERED_H

#include "common/base/err.h"

#include <pthread.h>
#include <stdint.h>

/* A bounded reorder buffer: items are made by several threads in any order and consumed one by one
 * in index order, so that what is written does not depend on the number of threads. The items
 * themselves lie in an array of `window` entries that the caller owns: item i in entry i % window.
 */
struct ordered {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool *ready; /* [window] */
    int64_t window;
    int64_t next; /* index that is consumed next */
    void (*consume)(void *ctx, int64_t i);
    void *ctx;
};

/* `window`: how far an item may be ahead of the next one consumed; at least the number of threads.
 * Calls of consume() never overlap. */
NODISCARD enum err_code ordered_init(struct ordered *o, int64_t window,
                                     void (*consume)(void *ctx, int64_t i), void *ctx,
                                     struct err *e);
void ordered_free(struct ordered *o);

/* Waits until item i's entry is free and returns its number. There is no deadlock as long as
 * indices are taken up in increasing order (as parallel_for does), because the thread that holds
 * the smallest one never waits. */
int64_t ordered_begin(struct ordered *o, int64_t i);
/* Item i is made: consumes it, and those that waited for it, when its turn has come. */
void ordered_end(struct ordered *o, int64_t i);

#endif
