/* SPDX-License-Identifier: MIT */
#ifndef PREP_VIDEO_ENCODE_H
#define PREP_VIDEO_ENCODE_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* Compression of pictures and sound as an FLV carries them, through libavcodec (no muxer: see
 * prep/synth_flv.h). One thread per encoder, bit-exact settings: the same input gives the same
 * bytes. The only file of prep/ that encodes with FFmpeg; none of its types shows here.
 * Threads: one encoder, one thread. */

struct packet {
    size_t offset, len; /* in packets.data */
    bool key;
};

/* Compressed packets in order; zeroed = empty. */
struct packets {
    uint8_t *data;
    size_t len, cap;
    struct packet *item;
    size_t count, item_cap;
};
void packets_free(struct packets *p);
/* Forgets the packets, keeps the memory. */
void packets_clear(struct packets *p);

/* Sorenson H.263 (Flash's `flv1`), 4:2:0, constant quantiser, one key frame: the first. FFmpeg can
 * decode VP6, which most of CREMA-D uses, but has no encoder for it. */
struct video_encoder;

struct video_options {
    int width, height;
    int quantiser; /* 1 (best) .. 31 */
};

NODISCARD enum err_code video_encoder_open(struct video_encoder **v,
                                           const struct video_options *opt, struct err *e);
/* Appends one packet. Planes are tightly packed and borrowed for the call. */
NODISCARD enum err_code video_encoder_add(struct video_encoder *v, const uint8_t *y,
                                          const uint8_t *cb, const uint8_t *cr, struct packets *out,
                                          struct err *e);
void video_encoder_close(struct video_encoder *v);

enum { MP3_FRAME_SAMPLES = 1152 };

/* Mono MP3 through libmp3lame: pcm[n] at rate_hz, `bit_rate` in bit/s, one packet per frame of
 * MP3_FRAME_SAMPLES samples. A decoder gives the sound 1105 samples late, as with every MP3. */
NODISCARD enum err_code mp3_encode(const int16_t *pcm, size_t n, int rate_hz, int bit_rate,
                                   struct packets *out, struct err *e);

#endif
