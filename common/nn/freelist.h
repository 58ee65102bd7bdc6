/* SPDX-License-Identifier: MIT */
#ifndef COMMON_NN_FREELIST_H
#define COMMON_NN_FREELIST_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* A free list of float buffers, for the tape. Buffers are cut out of a few large slabs, to the
 * 64 bytes; a buffer given back is joined with its idle neighbours, so that the memory of small
 * buffers serves for large ones later, which is what backward needs. A request takes the smallest
 * idle piece that it fits in.
 *
 * A *pass* is what happens between two freelist_reset, and begins with all slabs in one piece: a
 * repeated sequence of requests therefore finds the same places and allocates nothing the second
 * time. A new slab is as large as all others together, as long as there is memory for it. What is
 * never reached of it costs address space only and is not counted.
 *
 * Threads: one at a time. */

struct free_buffer; /* sits in the 64 bytes before the floats */
struct free_slab;

struct freelist { /* zeroed = empty */
    struct free_slab *slab;
    size_t slabs, cap;
    struct free_buffer *idle; /* the last one given first */
    size_t held;              /* in slabs */
    size_t bytes;             /* reached by any buffer so far */
    size_t in_use, peak;      /* by buffers now, and at most so far */
    uint64_t allocations;     /* of slabs, ever made */
};

/* 64-byte aligned, contents undefined; NULL with ERR_NOMEM. */
float *freelist_take(struct freelist *p, size_t count, struct err *e);
/* Back to the list; NULL is fine. */
void freelist_give(struct freelist *p, float *buffer);
/* Takes everything back and starts the next pass. */
void freelist_reset(struct freelist *p);
/* Between passes: one slab in place of all, a quarter larger than what buffers have reached: passes
 * whose buffers are not larger but cut it in another order then find their place, too. */
NODISCARD enum err_code freelist_settle(struct freelist *p, struct err *e);
void freelist_free(struct freelist *p);

#endif
