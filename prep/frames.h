/* SPDX-License-Identifier: MIT */
#ifndef PREP_FRAMES_H
#define PREP_FRAMES_H

#include "prep/base_set.h"
#include "prep/frame_choice.h"

/* synib-frames: FLV -> base set "video", three JPEGs per clip at source size. */

enum {
    FRAMES_JPEG_QUALITY = 95, /* OpenCV's default, which the reference uses: R section 1.3 */
    FRAMES_JPEG_MAX_BYTES = 16 << 20, /* 1920 x 1088 pictures of noise have 5 MB */
};

struct frames_options {
    struct base_set_options base;
    enum frame_grid grid;
};
#define FRAMES_OPTIONS_DEFAULT  \
    {                           \
        .grid = GRID_REFERENCE, \
    }

/* Loans from argv. Errors: ERR_USAGE. */
NODISCARD enum err_code frames_options_parse(struct frames_options *opt, int argc, char **argv,
                                             struct err *e);
/* Errors: as base_set_run(). */
NODISCARD enum err_code frames_run(const struct frames_options *opt, struct err *e);

#endif
