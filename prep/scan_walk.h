/* SPDX-License-Identifier: MIT */
#ifndef PREP_SCAN_WALK_H
#define PREP_SCAN_WALK_H

#include "prep/contain.h"
#include "prep/scan.h"

/* The parsers that synib-scan uses on clips, run in worker processes. */

/* What a walk over one file gave, in the ranges that its own rules allow. */
struct scan_walk {
    int32_t code; /* enum err_code of the walk: ERR_OK, or what the file breaks is in text */
    int32_t video_codec;
    int64_t frames, video_ms; /* also of what lies before a fault */
    uint64_t samples;
    uint32_t rate_hz;
    uint8_t silent, constant; /* 0 or 1 */
    double clipped_part;
    char text[ERR_TEXT_SIZE];
};

/* One worker per job. The names of `s` must be complete. */
NODISCARD enum err_code scan_walk_open(struct contain **workers, const struct scan_corpus *s,
                                       int jobs, struct err *e);

/* Walks medium m of clip number `clip` of the corpus in worker `slot`. A file that does to the
 * parser what no file may do is a fault of the file too. Errors: the run's. */
NODISCARD enum err_code scan_walk_run(struct scan_walk *w, struct contain *workers, int slot,
                                      int64_t clip, enum scan_media m, const char *name,
                                      const void *data, size_t len, struct err *e);

enum { SCAN_MEDIA_MAX_BYTES = 256 << 20 }; /* the longest real FLV has 8.5 MB */

#endif
