/* SPDX-License-Identifier: MIT */
#include "tests/support/tiny_media.h"

#include <assert.h>
#include <string.h>

enum { TAG_AUDIO = 8, TAG_VIDEO = 9, TAG_DATA = 18 };

void tiny_add(struct tiny *t, const void *data, size_t len)
{
    assert(len <= TINY_MAX - t->len);
    memcpy(t->data + t->len, data, len);
    t->len += len;
}

static void add_bytes(struct tiny *t, uint64_t v, int count, int big)
{
    for (int i = 0; i < count; i++) {
        uint8_t b = (uint8_t)(v >> 8 * (big ? count - 1 - i : i));

        tiny_add(t, &b, 1);
    }
}

void tiny_le16(struct tiny *t, unsigned v)
{
    add_bytes(t, v, 2, 0);
}

void tiny_le32(struct tiny *t, uint32_t v)
{
    add_bytes(t, v, 4, 0);
}

void tiny_be24(struct tiny *t, uint32_t v)
{
    add_bytes(t, v, 3, 1);
}

void tiny_be32(struct tiny *t, uint32_t v)
{
    add_bytes(t, v, 4, 1);
}

void tiny_wav_fix(struct tiny *t)
{
    size_t len = t->len;

    t->len = 4;
    tiny_le32(t, (uint32_t)len - 8);
    t->len = len;
}

void tiny_wav(struct tiny *t, int channels, uint32_t rate_hz, int samples)
{
    unsigned block = 2 * (unsigned)channels;

    t->len = 0;
    tiny_add(t, "RIFF\0\0\0\0WAVEfmt ", 16);
    tiny_le32(t, 16);
    tiny_le16(t, 1);
    tiny_le16(t, (unsigned)channels);
    tiny_le32(t, rate_hz);
    tiny_le32(t, rate_hz * block);
    tiny_le16(t, block);
    tiny_le16(t, 16);
    tiny_add(t, "data", 4);
    tiny_le32(t, (uint32_t)samples * block);
    for (int i = 0; i < samples * channels; i++)
        tiny_le16(t, (unsigned)(100 - i) & 0xffff);
    tiny_wav_fix(t);
}

void tiny_flv_begin(struct tiny *t)
{
    t->len = 0;
    tiny_add(t, "FLV\1\5\0\0\0\11\0\0\0\0", 13);
}

void tiny_flv_tag(struct tiny *t, int type, uint32_t ms, uint8_t first, size_t more)
{
    uint8_t kind = (uint8_t)type, high = (uint8_t)(ms >> 24);
    size_t size = 1 + more;

    tiny_add(t, &kind, 1);
    tiny_be24(t, (uint32_t)size);
    tiny_be24(t, ms & 0xffffff);
    tiny_add(t, &high, 1);
    tiny_be24(t, 0);
    tiny_add(t, &first, 1);
    for (size_t i = 0; i < more; i++)
        tiny_add(t, &(uint8_t){(uint8_t)(i * 37 + 5)}, 1);
    tiny_be32(t, (uint32_t)size + 11);
}

void tiny_flv(struct tiny *t, int codec, int frames)
{
    tiny_flv_begin(t);
    tiny_flv_tag(t, TAG_DATA, 0, 2, 12);
    for (int f = 0; f < frames; f++) {
        uint32_t ms = (uint32_t)(f * 1000 / 30);

        tiny_flv_tag(t, TAG_AUDIO, ms, 0x2e, 7);
        tiny_flv_tag(t, TAG_VIDEO, ms, (uint8_t)((f == 0 ? 0x10 : 0x20) | codec), 20);
    }
}
