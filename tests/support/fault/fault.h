/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_FAULT_FAULT_H
#define TESTS_SUPPORT_FAULT_FAULT_H

#include "common/base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* Makes the n-th call of this thread to the system or to the allocator fail, or do less than it
 * was asked to, inside the test program.
 *
 * Calls that count: malloc, calloc, realloc, posix_memalign, memalign and aligned_alloc by our own
 * code, libc, libjansson, libcrypto and libjpeg; and access, close, fchmod, fcntl, flock, fstat,
 * fsync, ftruncate, link, lstat, mkdir, mmap, open, openat2, opendir, read, readdir, rename,
 * renameat2, stat, statvfs, unlink, write by our own code. A call that fails does nothing, except
 * close, which closes, and sets errno to ENOMEM (memory) or EIO. Other libraries end the process
 * when memory runs out.
 *
 * A program that uses this header gets its own allocator entries: not for sanitizer builds, where
 * fault_available() is false and nothing fails. One thread at a time. */

bool fault_available(void);

enum fault_kind {
    FAULT_FAIL,
    /* EINTR; counts only fcntl, flock, fsync, ftruncate, open, openat2, read, write. */
    FAULT_INTERRUPT,
    FAULT_SHORT, /* half of what was asked for; counts only read and write of 2 bytes or more */
};

/* Counts from now on; the n-th call fails, none for n = 0. */
void fault_begin(enum fault_kind kind, long n);
/* The n-th call named `name` (of the system's) fails with `error`. */
void fault_begin_call(const char *name, long n, int error);
/* Before the n-th call named `name` (of the system's) `hook` does what another process might do at
 * that instant. */
void fault_begin_race(const char *name, long n, void (*hook)(void *ctx), void *ctx);
/* Counts no more. Name of the call that was disturbed, NULL if none was. */
const char *fault_end(void);
/* Whether that call was one for memory. */
bool fault_was_memory(void);

/* Of the counted part that ended last: its calls, and (with n = 0 only) the numbers of those with a
 * call site among their callers that no earlier call of the same function had: when each of them
 * fails, every call in the program that can fail has failed once. Returns how many were stored. */
long fault_calls(void);
size_t fault_places(long *place, size_t max);

/* Blocks that were allocated and not freed, by all threads. */
long fault_live_blocks(void);

/* One piece of work, whole: it leaves nothing allocated. */
typedef enum err_code fault_work(void *ctx, struct err *e);

struct fault_job {
    const char *name;
    fault_work *work;
    void (*reset)(void *ctx); /* brings files back to where the work begins; NULL: nothing to do */
    void *ctx;
};

/* Runs the work undisturbed, then once for every `stride`th place, with the call there failing,
 * then so with each place interrupted and each made short, then undisturbed again. The test fails
 * unless every run with a failed call ends well or with a code and a text, ERR_NOMEM for memory,
 * every run with an interrupted or short call ends well, and no run leaves a block allocated.
 * Prints lines: how many calls and places, how many runs were refused and how many ended well.
 * $FAULT_STRIDE = K: every K-th place only. Only where faults are available: main() asks. */
void fault_sweep(const struct fault_job *job);

#endif
