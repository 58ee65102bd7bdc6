/* SPDX-License-Identifier: MIT */
#ifndef PREP_FRAME_CHOICE_H
#define PREP_FRAME_CHOICE_H

#include "common/base/err.h"
#include "common/data/dataset.h"

#include <stdint.h>

/* Which three frames of a clip are kept. Pure. docs/base-sets.md has the reasons.
 *
 *   reference   0, F, 2F with F = the frame rate cut to a whole number (29.97 -> 29): what the
 *               authors' OpenCV script saves and their loader reads (R section 1.3).
 *   ffmpeg-fps  what `ffmpeg -vf fps=1` keeps: for second s the last frame before s + 1/2, for as
 *               many seconds as the clip's end, one frame distance after its last frame, rounds to.
 *   uniform     the middles of three equal parts: floor((2 k + 1) frames / 6).
 *
 * When a grid gives fewer than three frames, the rest are drawn from the others: rng_below(frames)
 * of Philox stream "frames.topup" keyed by the seed and the clip's name (its FNV-1a hash as
 * sample), again while the frame is taken already. Frames ascend. */

enum frame_grid { GRID_REFERENCE, GRID_FFMPEG_FPS, GRID_UNIFORM };
extern const char *const frame_grid_names[]; /* "reference" "ffmpeg-fps" "uniform" NULL */

struct frame_choice {
    int64_t index[FRAMES_PER_CLIP]; /* strictly ascending */
    bool topped_up;
};

/* fps and time_ms[frames] (ascending) as video_open() gives them. ERR_DATA: fewer than three
 * frames, a frame rate outside 1 to 1000; the message does not name the file. */
NODISCARD enum err_code frames_choose(struct frame_choice *choice, enum frame_grid grid, double fps,
                                      int64_t frames, const int64_t *time_ms, uint64_t seed,
                                      const char *clip, struct err *e);

#endif
