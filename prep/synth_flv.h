/* SPDX-License-Identifier: MIT */
#ifndef PREP_SYNTH_FLV_H
#define PREP_SYNTH_FLV_H

#include "common/base/err.h"
#include "prep/video_encode.h"

#include <stddef.h>
#include <stdint.h>

/* The two containers of CREMA-D, written byte by byte in memory.
 *
 * FLV (Adobe Flash Video File Format 10.1, annex E) laid out as the dataset's: onMetaData with the
 * same keys, an onXMPData tag (which makes demuxers report a data stream first), then audio and
 * video by time stamp; sound starts at 0 ms, pictures at 27 ms (about the MP3 delay, so that both
 * agree once decoded). WAV: the 44-byte header and samples, nothing else. */

/* Growing bytes; zeroed = empty. */
struct buffer {
    uint8_t *data;
    size_t len, cap;
};
NODISCARD enum err_code buffer_add(struct buffer *b, const void *data, size_t len, struct err *e);
void buffer_free(struct buffer *b);

struct flv_content {
    int width, height;
    const struct packets *video; /* flv1; NULL: no video stream */
    const struct packets *audio; /* MP3, 44.1 kHz, mono; NULL: no audio stream */
    size_t video_count;          /* how many of the packets to write; 0: none, stream announced */
    double seconds;
    double audio_kbit; /* per second, for onMetaData */
};

enum { FLV_VIDEO_START_MS = 27, FLV_AUDIO_RATE_HZ = 44100 };

/* Time stamp of picture i. */
uint32_t flv_video_ms(size_t i);

/* Appends the whole file. */
NODISCARD enum err_code flv_write(struct buffer *b, const struct flv_content *c, struct err *e);

/* Appends a WAV file: 16-bit PCM, interleaved. */
NODISCARD enum err_code wav_write(struct buffer *b, const int16_t *pcm, size_t frames, int channels,
                                  int rate_hz, struct err *e);

#endif
