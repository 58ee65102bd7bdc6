/* SPDX-License-Identifier: MIT */
#include "prep/synth_flv.h"

#include "common/base/bytes.h"
#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

enum {
    TAG_AUDIO = 8,
    TAG_VIDEO = 9,
    TAG_SCRIPT = 18,
    TAG_HEADER = 11,
    CODEC_H263 = 2,
    FRAME_KEY = 1,
    FRAME_INTER = 2,
    MP3_44K_16BIT_MONO = 0x2e,
    AMF_NUMBER = 0,
    AMF_BOOLEAN = 1,
    AMF_STRING = 2,
    AMF_OBJECT = 3,
    AMF_ECMA_ARRAY = 8,
};

enum err_code buffer_add(struct buffer *b, const void *data, size_t len, struct err *e)
{
    if (len == 0)
        return ERR_OK;
    TRY(mem_grow(&b->data, &b->cap, b->len + len, 1, "media file", e));
    memcpy(b->data + b->len, data, len);
    b->len += len;
out:
    return e->code;
}

void buffer_free(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){0};
}

static void store_be(uint8_t *p, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
}

/* One tag and the size of it that follows; `lead` bytes stand before the data. */
static enum err_code add_tag(struct buffer *b, int type, uint32_t ms, const uint8_t *lead,
                             size_t n_lead, const uint8_t *data, size_t len, struct err *e)
{
    uint8_t head[TAG_HEADER] = {(uint8_t)type}, tail[4];

    store_be(head + 1, n_lead + len, 3);
    store_be(head + 4, ms & 0xffffff, 3);
    head[7] = (uint8_t)(ms >> 24);
    store_be(tail, TAG_HEADER + n_lead + len, 4);
    TRY(buffer_add(b, head, sizeof head, e));
    TRY(buffer_add(b, lead, n_lead, e));
    TRY(buffer_add(b, data, len, e));
    TRY(buffer_add(b, tail, sizeof tail, e));
out:
    return e->code;
}

/* A script tag being composed; long enough for the two below. */
struct script {
    uint8_t data[1024];
    size_t len;
};

static void put(struct script *s, const void *data, size_t len)
{
    memcpy(s->data + s->len, data, len);
    s->len += len;
}

static void put_be(struct script *s, uint64_t v, int bytes)
{
    store_be(s->data + s->len, v, bytes);
    s->len += (size_t)bytes;
}

static void put_name(struct script *s, const char *name)
{
    put_be(s, strlen(name), 2);
    put(s, name, strlen(name));
}

static void put_number(struct script *s, const char *name, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    put_name(s, name);
    put_be(s, AMF_NUMBER, 1);
    put_be(s, bits, 8);
}

static void put_end(struct script *s)
{
    put_be(s, 9, 3); /* an empty name and the end marker */
}

static double kbit_per_second(const struct packets *p, size_t count, double seconds)
{
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++)
        bytes += p->item[i].len;
    return seconds > 0 ? (double)bytes / 125 / seconds : 0;
}

static enum err_code add_scripts(struct buffer *b, const struct flv_content *c, struct err *e)
{
    static const char xmp[] =
        "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\" x:xmptk=\"synib-synth\"></x:xmpmeta>";
    struct script s = {0};

    put_be(&s, AMF_STRING, 1);
    put_name(&s, "onMetaData");
    put_be(&s, AMF_ECMA_ARRAY, 1);
    put_be(&s, 2 + (c->video != NULL ? 5 : 0) + (c->audio != NULL ? 3 : 0), 4);
    put_number(&s, "duration", c->seconds);
    if (c->video != NULL) {
        put_number(&s, "width", c->width);
        put_number(&s, "height", c->height);
        put_number(&s, "videodatarate", kbit_per_second(c->video, c->video_count, c->seconds));
        put_number(&s, "framerate", 30000.0 / 1001);
        put_number(&s, "videocodecid", CODEC_H263);
    }
    if (c->audio != NULL) {
        put_number(&s, "audiodatarate", c->audio_kbit);
        put_number(&s, "audiodelay", FLV_VIDEO_START_MS / 1000.0);
        put_number(&s, "audiocodecid", 2);
    }
    put_name(&s, "canSeekToEnd");
    put_be(&s, AMF_BOOLEAN, 1);
    put_be(&s, 1, 1);
    put_end(&s);
    TRY(add_tag(b, TAG_SCRIPT, 0, NULL, 0, s.data, s.len, e));

    s.len = 0;
    put_be(&s, AMF_STRING, 1);
    put_name(&s, "onXMPData");
    put_be(&s, AMF_OBJECT, 1);
    put_name(&s, "liveXML");
    put_be(&s, AMF_STRING, 1);
    put_name(&s, xmp);
    put_end(&s);
    TRY(add_tag(b, TAG_SCRIPT, 0, NULL, 0, s.data, s.len, e));
out:
    return e->code;
}

uint32_t flv_video_ms(size_t i)
{
    return FLV_VIDEO_START_MS + (uint32_t)((i * 1001 * 2 + 30) / 60);
}

static uint32_t audio_ms(size_t i)
{
    return (uint32_t)(i * MP3_FRAME_SAMPLES * 1000 / FLV_AUDIO_RATE_HZ);
}

enum err_code flv_write(struct buffer *b, const struct flv_content *c, struct err *e)
{
    uint8_t head[13] = {'F', 'L', 'V', 1, 0, 0, 0, 0, 9};
    size_t v = 0, a = 0, n_video = c->video != NULL ? c->video_count : 0;
    size_t n_audio = c->audio != NULL ? c->audio->count : 0;

    head[4] = (uint8_t)((c->video != NULL ? 1 : 0) | (c->audio != NULL ? 4 : 0));
    TRY(buffer_add(b, head, sizeof head, e));
    TRY(add_scripts(b, c, e));
    while (v < n_video || a < n_audio) {
        bool sound = v >= n_video || (a < n_audio && audio_ms(a) <= flv_video_ms(v));
        const struct packets *p = sound ? c->audio : c->video;
        const struct packet *item = &p->item[sound ? a : v];
        uint8_t lead = sound ? MP3_44K_16BIT_MONO
                             : (uint8_t)((item->key ? FRAME_KEY : FRAME_INTER) << 4 | CODEC_H263);

        TRY(add_tag(b, sound ? TAG_AUDIO : TAG_VIDEO, sound ? audio_ms(a) : flv_video_ms(v), &lead,
                    1, p->data + item->offset, item->len, e));
        *(sound ? &a : &v) += 1;
    }
out:
    return e->code;
}

enum err_code wav_write(struct buffer *b, const int16_t *pcm, size_t frames, int channels,
                        int rate_hz, struct err *e)
{
    uint8_t head[44] = "RIFF....WAVEfmt ";
    uint32_t frame_bytes = (uint32_t)channels * 2, len = (uint32_t)frames * frame_bytes;

    store_le32(head + 4, 36 + len);
    store_le32(head + 16, 16);
    store_le16(head + 20, 1); /* PCM */
    store_le16(head + 22, (uint16_t)channels);
    store_le32(head + 24, (uint32_t)rate_hz);
    store_le32(head + 28, (uint32_t)rate_hz * frame_bytes);
    store_le16(head + 32, (uint16_t)frame_bytes);
    store_le16(head + 34, 16);
    memcpy(head + 36, "data", 4);
    store_le32(head + 40, len);
    TRY(buffer_add(b, head, sizeof head, e));
    TRY(buffer_add(b, pcm, len, e)); /* little-endian as in memory: common/base/bytes.h */
out:
    return e->code;
}
