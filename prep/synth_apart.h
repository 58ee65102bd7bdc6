/* SPDX-License-Identifier: MIT */
#ifndef PREP_SYNTH_APART_H
#define PREP_SYNTH_APART_H

#include "prep/contain.h"
#include "prep/synth_defects.h"

/* Clips are made in processes of their own (prep/contain.h): LAME and libavcodec crash where they
 * lack memory, and that must not end synib-synth. */

/* In a worker: makes clip i; d zeroed. */
typedef enum err_code synth_make_fn(void *ctx, int64_t i, struct defect_clip *d, struct err *e);

struct synth_workers {
    synth_make_fn *make;
    void *ctx;
    struct contain *pool; /* synth_workers_open() to contain_close() */
};
/* As contain_open(). `w` stays where it is until the pool is closed. */
NODISCARD enum err_code synth_workers_open(struct synth_workers *w, int jobs, struct err *e);

/* Clip i, made in worker `slot`; d's buffers are loans of `bytes`, which is owned. Errors:
 * ERR_NOMEM, which an encoder that crashes on pictures and sound of our own is taken for; ERR_IO as
 * contain_run(). Threads: one per slot. */
NODISCARD enum err_code synth_workers_make(struct synth_workers *w, int slot, int64_t i,
                                           const char *name, struct contain_result *bytes,
                                           struct defect_clip *d, struct err *e);

#endif
