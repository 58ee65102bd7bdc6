/* SPDX-License-Identifier: MIT */
#ifndef COMMON_NN_FREELIST_H
#define COMMON_NN_FREELIST_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* A free list of float buffers, for the tape. Sizes are rounded up to one of eight steps per
 * octave, and a request takes a buffer of its own step or a new one: a repeated sequence of
 * requests therefore allocates nothing the second time.
 *
 * A *pass* is what happens between two freelist_reset. The list never holds more than the largest
 * pass needed, or 32 MiB where that is more (small batches of different sizes then keep what they
 * need): before it grows beyond that, it frees idle buffers that this pass has not used.
 *
 * Threads: one at a time. */

enum { FREELIST_STEPS = 1024 };

struct free_buffer; /* sits in the 64 bytes before the floats */

struct freelist { /* zeroed = empty */
    struct free_buffer *idle[FREELIST_STEPS];
    struct free_buffer **all;
    size_t count, cap;
    size_t bytes;       /* held, idle ones included */
    size_t pass_bytes;  /* held and used in this pass */
    size_t limit_bytes; /* largest pass_bytes so far */
    uint64_t pass;
    uint64_t allocations; /* ever made */
};

/* 64-byte aligned, contents undefined; NULL with ERR_NOMEM. */
float *freelist_take(struct freelist *p, size_t count, struct err *e);
/* Back to the list; NULL is fine. */
void freelist_give(struct freelist *p, float *buffer);
/* Takes everything back and starts the next pass. */
void freelist_reset(struct freelist *p);
void freelist_free(struct freelist *p);

#endif
