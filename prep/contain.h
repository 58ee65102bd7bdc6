/* SPDX-License-Identifier: MIT */
#ifndef PREP_CONTAIN_H
#define PREP_CONTAIN_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* Work on hostile bytes in processes of their own: whatever the bytes do to the decoder, the tool
 * goes on. Linux. docs/security.md says what is promised.
 *
 * Each slot is a worker process, confined by confine_this_process(), and a guard, its parent, that
 * ends it when it uses too much time, starts the next one when it has died, and tells the tool why.
 * Bytes and results go through memory that tool and worker share; a result is copied before anybody
 * looks at it, and what it says is the caller's to check.
 *
 * The processes are forked, not started anew: a job sees the tool's memory as it was at
 * contain_open(), so tables that jobs need are read before, and what a job changes nobody sees.
 * When the tool ends, in whatever way, the kernel ends guards and workers. */

/* A job, in the worker: in[in_len] -> out[*out_len], of which the caller has room for out_max. An
 * error is the clip's fault. `tag` says which clip. */
typedef enum err_code contain_fn(void *ctx, int64_t tag, const void *in, size_t in_len, void *out,
                                 size_t *out_len, struct err *e);

struct contain_limits {
    int64_t cpu_ms;  /* processor time of one job */
    int64_t idle_ms; /* of a job that waits and computes nothing: no decoder does */
    size_t memory;   /* bytes that jobs may use beside what is shared */
};
/* [reliability.md R12]: 20 s; the largest clip that we accept (60 s of 192 kHz stereo sound)
 * takes 0.2 GB. */
#define CONTAIN_LIMITS_DEFAULT                                                 \
    {                                                                          \
        .cpu_ms = 20 * 1000, .idle_ms = 60 * 1000, .memory = (size_t)512 << 20 \
    }

struct contain_options {
    int workers;
    size_t in_max, out_max; /* bytes; memory is used as far as it is filled */
    struct contain_limits limits;
    const char *doing; /* what messages call the job; NULL = "decoding" */
    contain_fn *fn;
    void *ctx;
};

struct contain;

/* Call it from the thread that outlives the pool, before other threads run. Errors: ERR_IO (no
 * process, no socket), ERR_NOMEM. */
NODISCARD enum err_code contain_open(struct contain **c, const struct contain_options *opt,
                                     struct err *e);
/* Ends all workers and waits for them. */
void contain_close(struct contain *c);

/* What a job gave: a copy that nobody else holds. */
struct contain_result {
    void *data; /* 64-byte aligned; owned, contain_result_free() */
    size_t len; /* 0 to out_max */
};
void contain_result_free(struct contain_result *r);

/* Runs the job on in[in_len] in worker `slot` and waits for it. Threads: one per slot.
 *
 * *fault is the clip's trouble, text beginning with `name`: what the job said (as ERR_FORMAT,
 * ERR_TRUNCATED or ERR_DATA, without control characters), ERR_DATA when it ran out of time or
 * memory, ERR_FORMAT when the worker crashed or did what is forbidden. The returned code and *e are
 * the run's: ERR_NOMEM here, ERR_IO when the guard is gone or workers cannot be had. */
NODISCARD enum err_code contain_run(struct contain *c, int slot, int64_t tag, const char *name,
                                    const void *in, size_t in_len, struct contain_result *out,
                                    struct err *fault, struct err *e);

#endif
