/* SPDX-License-Identifier: MIT */
#ifndef PREP_CONTAIN_GUARD_H
#define PREP_CONTAIN_GUARD_H

#include "prep/contain.h"

#include <sys/types.h>

/* What contain.c, the tool's side, and contain_guard.c, the other side, agree on: a socket that
 * keeps messages whole, whose far end guard and worker both hold. The tool sends a request and
 * waits for the reply with its number; any other reply is a leftover of a job that is settled. */

struct contain_request {
    uint64_t number; /* 1, 2, ... */
    int64_t tag;
    uint64_t in_len;
    bool ping; /* only say whether the worker is confined */
};

/* Guard and worker hold the same end of the socket, so a worker that was taken over can say any of
 * these. Each costs the clip at most: what ends the run is not said here. */
enum contain_end {
    END_DONE, /* by the worker: code and text, or out_len */
    END_DIED, /* by the guard, as all others: wait_status */
    END_CPU,  /* used up cpu_ms */
    END_IDLE, /* waited for idle_ms */
};

struct contain_reply {
    uint64_t number;
    int32_t end; /* enum contain_end */
    int32_t wait_status;
    int32_t code; /* enum err_code */
    uint64_t out_len;
    char text[ERR_TEXT_SIZE];
};

/* Between tool and guard: whether a job is running, and what the guard alone may say. The worker
 * gives this memory back before it gets any bytes, and has no way to map it again. */
struct contain_clock {
    uint64_t asked;  /* atomic, the tool's: number of the last request, set before it is sent */
    uint64_t done;   /* atomic, the tool's: of the last one that is settled */
    int32_t no_fork; /* atomic, the guard's: why it could not start a worker (errno), and left */
};

struct contain_slot {
    int fd;
    pid_t guard;
    struct contain_clock *clock; /* shared */
    uint8_t *in, *out;           /* shared with the worker; out = in + in_room */
};

/* The guard's life, in the forked process: does not return. Holds `fd`, closes all else. */
_Noreturn void contain_guard(const struct contain_options *opt, const struct contain_slot *slot,
                             int fd, pid_t tool);

#endif
