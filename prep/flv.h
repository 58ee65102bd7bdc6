/* SPDX-License-Identifier: MIT */
#ifndef PREP_FLV_H
#define PREP_FLV_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* Strict walk over the tags of an FLV file in memory (Adobe Flash Video File Format Specification
 * 10.1, annex E). Pure: no I/O, bounded by len; packets are not decoded.
 *
 * Accepted: signature "FLV", version 1, header of 9 bytes, first previous-tag size 0; then tags of
 * type 8 (audio), 9 (video) or 18 (data) with stream id 0, each followed by its own size + 11, up
 * to the exact end of the file; timestamps that do not run backwards within audio or within video;
 * at least one video frame, the first one a key frame, all of one codec that we decode (2 =
 * Sorenson H.263, 4 = On2 VP6). Everything else is refused with the byte offset. */

enum flv_codec { FLV_VIDEO_NONE = -1, FLV_VIDEO_H263 = 2, FLV_VIDEO_VP6 = 4 };

struct flv_info {
    int video_codec; /* codec id of the first video tag, -1 without video */
    int audio_codec; /* sound format of the first audio tag (2 = MP3), -1 without sound */
    int64_t frames;  /* video tags that hold a picture */
    int64_t key_frames;
    int64_t audio_tags;
    int64_t data_tags;
    int64_t first_video_ms, last_video_ms; /* time stamps; 0 without video */
    int64_t first_audio_ms, last_audio_ms;
    int64_t video_ms; /* frames * mean frame distance, rounded; 0 if fewer than 2 frames */
};

/* `name` stands for the file in messages. Errors: ERR_TRUNCATED when the file ends inside a tag
 * ("ends inside a tag at byte N; K frames before it"), ERR_FORMAT otherwise. On failure *info holds
 * what was walked before the fault (zeros, codecs -1, when nothing was). Threads: any. */
NODISCARD enum err_code flv_walk(struct flv_info *info, const char *name, const void *data,
                                 size_t len, struct err *e);

/* "VP6", "Sorenson H.263", "AVC", ..., "unknown"; any id may be asked. */
const char *flv_video_codec_name(int id);

#endif
