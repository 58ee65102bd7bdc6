/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_FAULT_FAULT_H
#define TESTS_SUPPORT_FAULT_FAULT_H

#include "common/base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* Makes the n-th call of this thread to the system or to the allocator fail, inside the test
 * program.
 *
 * Calls that count: malloc, calloc, realloc, posix_memalign, memalign and aligned_alloc by our own
 * code, libc, libjansson (but for its parser), libcrypto and libjpeg; and access, close, fcntl,
 * flock, fstat, fsync, ftruncate, link, lstat, mkdir, mmap, open, opendir, read, readdir, rename,
 * renameat2, stat, unlink, write by our own code. A call that fails does nothing, except close,
 * which closes, and sets errno to ENOMEM (memory) or EIO. Other libraries end the process when
 * memory runs out.
 *
 * A program that uses this header gets its own allocator entries: not for sanitizer builds, where
 * fault_available() is false and nothing fails. One thread at a time. */

bool fault_available(void);

/* Counts from now on; the n-th call fails, none for n = 0. */
void fault_begin(long n);
/* Counts no more. Name of the call that failed, NULL if none did. */
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
 * then undisturbed again. The test fails unless every run with a failed call ends well or with a
 * code and a text, ERR_NOMEM for memory, and leaves no block allocated. Prints a line: how many
 * calls and places, how many runs were refused and how many ended well. $FAULT_STRIDE = K: every
 * K-th place only. Only where faults are available: main() asks. */
void fault_sweep(const struct fault_job *job);

#endif
