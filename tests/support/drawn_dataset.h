/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_DRAWN_DATASET_H
#define TESTS_SUPPORT_DRAWN_DATASET_H

#include "common/base/err.h"

/* A drawn dataset of a few clips, written by the project's own writers: DIR/video and DIR/audio are
 * base sets, DIR/data is an overlay with splits train, val and test of different actors. The
 * spectrogram carries a band whose place tells the emotion, the frames a colour; every sixth clip
 * of a split is an irony clip with a donor. */
struct drawn_options {
    int clips[3]; /* of train, val, test */
    int bins, frames;
    int width, height;
    int nan_clip; /* number of a clip whose spectrogram holds a NaN, -1 = none */
};
extern const struct drawn_options drawn_options_default; /* 18 + 12 + 12 clips, 32 x 24, 48 x 40 */

NODISCARD enum err_code drawn_dataset_make(const char *dir, const struct drawn_options *opt,
                                           struct err *e);

#endif
