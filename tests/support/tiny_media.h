/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_TINY_MEDIA_H
#define TESTS_SUPPORT_TINY_MEDIA_H

#include <stddef.h>
#include <stdint.h>

/* WAV and FLV files of a few hundred bytes, whole in structure; their packets hold no pictures. */

enum { TINY_MAX = 8192 };
struct tiny {
    uint8_t data[TINY_MAX];
    size_t len;
};

void tiny_add(struct tiny *t, const void *data, size_t len);
void tiny_le16(struct tiny *t, unsigned v);
void tiny_le32(struct tiny *t, uint32_t v);
void tiny_be24(struct tiny *t, uint32_t v);
void tiny_be32(struct tiny *t, uint32_t v);

/* 44-byte header and n samples per channel of a falling saw; *t is overwritten. */
void tiny_wav(struct tiny *t, int channels, uint32_t rate_hz, int samples);
/* Sets the RIFF size to what the file now has. */
void tiny_wav_fix(struct tiny *t);

/* Header and first previous-tag size. */
void tiny_flv_begin(struct tiny *t);
/* A tag with its previous-tag size: type 8, 9 or 18; `first` is the first body byte, then `more`
 * bytes. */
void tiny_flv_tag(struct tiny *t, int type, uint32_t ms, uint8_t first, size_t more);
/* onMetaData, then frames at 30 per second of `codec`, each with a sound tag (MP3). */
void tiny_flv(struct tiny *t, int codec, int frames);

#endif
