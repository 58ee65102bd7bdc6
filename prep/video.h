/* SPDX-License-Identifier: MIT */
#ifndef PREP_VIDEO_H
#define PREP_VIDEO_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* Pictures of an FLV file in memory, through FFmpeg's libraries: the only file that decodes with
 * them (prep/video_encode.h is the other direction).
 *
 * What hostile bytes can reach is kept small: the FLV demuxer is forced, it reads from memory and
 * no protocol is allowed (so no other file can be opened), the decoders are VP6 and Sorenson H.263
 * (and MP3, when libavformat has to estimate a frame rate), a clip has at most 4096 pictures of at
 * most 1920 x 1088. Any error, corrupt packet or concealed damage is an ERR_FORMAT: nothing is
 * repaired.
 *
 * Threads: one object per thread; decoding itself uses one thread, so the pictures do not depend on
 * the machine. FFmpeg's own messages are switched off for the process by the first video_new(). */

enum { VIDEO_MAX_WIDTH = 1920, VIDEO_MAX_HEIGHT = 1088, VIDEO_MAX_FRAMES = 4096 };

struct video;

NODISCARD enum err_code video_new(struct video **v, struct err *e);
void video_free(struct video *v);

struct video_info {
    const char *codec; /* "vp6f" or "flv" (Sorenson H.263); static */
    /* Frames per second: libavformat's average frame rate, which is what OpenCV reports as
     * CAP_PROP_FPS: "framerate" of the FLV's metadata as a fraction with a small denominator (29.97
     * becomes 989 / 33 = 29.9697), or an estimate from the time stamps where that is missing. */
    double fps;
    int64_t frames;         /* packets of the video stream; each gives one picture */
    const int64_t *time_ms; /* [frames] presentation times; a loan until the next open or free */
};

/* Reads the container. `data` must stay until the next open or free; `name` for messages. The video
 * stream is chosen by type, never by index. Errors: ERR_FORMAT: not FLV, no video, unknown codec,
 * no frame rate, no frames, damaged packets. */
NODISCARD enum err_code video_open(struct video *v, const char *name, const void *data, size_t len,
                                   struct video_info *info, struct err *e);

struct video_picture {
    int w, h;
    /* [h][w][3]. Limited-range BT.601 (the range and matrix that FFmpeg and OpenCV assume when a
     * file does not say) through libswscale, "accurate rounding" and "bit exact". Each chroma
     * sample is used for its 2 x 2 pixels, as OpenCV's conversion does. */
    const uint8_t *rgb;
    size_t rgb_stride;
    const uint8_t *luma; /* the decoder's Y plane, [h][w] */
    size_t luma_stride;
};
/* Both loans end with the call. */
typedef enum err_code video_picture_fn(void *ctx, int k, const struct video_picture *p,
                                       struct err *e);

/* Decodes from the first frame on and calls fn for wanted[0..n), which ascends strictly within
 * 0..frames-1; stops after the last of them. Call once per open. */
NODISCARD enum err_code video_decode(struct video *v, const int64_t *wanted, int n,
                                     video_picture_fn *fn, void *ctx, struct err *e);

/* "avformat 59.27.100, ...": provenance. Static. */
const char *video_libraries(void);

#endif
