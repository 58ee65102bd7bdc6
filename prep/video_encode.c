/* SPDX-License-Identifier: MIT */
#include "prep/video_encode.h"

#include "common/base/mem.h"

#include <libavcodec/avcodec.h>
#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>
#include <stdlib.h>
#include <string.h>

void packets_free(struct packets *p)
{
    free(p->data);
    free(p->item);
    *p = (struct packets){0};
}

void packets_clear(struct packets *p)
{
    p->len = 0;
    p->count = 0;
}

static enum err_code packets_add(struct packets *p, const AVPacket *packet, struct err *e)
{
    size_t len = (size_t)packet->size;

    TRY(mem_grow(&p->data, &p->cap, p->len + len, 1, "compressed media", e));
    TRY(mem_grow(&p->item, &p->item_cap, p->count + 1, sizeof p->item[0], "packets", e));
    memcpy(p->data + p->len, packet->data, len);
    p->item[p->count++] = (struct packet){
        .offset = p->len, .len = len, .key = (packet->flags & AV_PKT_FLAG_KEY) != 0};
    p->len += len;
out:
    return e->code;
}

static enum err_code codec_error(int code, const char *what, struct err *e)
{
    char text[AV_ERROR_MAX_STRING_SIZE];

    if (code == AVERROR(ENOMEM))
        return err_set(e, ERR_NOMEM, "%s: out of memory", what);
    av_strerror(code, text, sizeof text);
    return err_set(e, ERR_INTERNAL, "%s: libavcodec: %s", what, text);
}

/* Hands one frame (NULL = the end) to the encoder and collects what it has ready. */
static enum err_code encode(AVCodecContext *codec, const AVFrame *frame, AVPacket *packet,
                            struct packets *out, const char *what, struct err *e)
{
    int rc = avcodec_send_frame(codec, frame);

    while (rc >= 0) {
        rc = avcodec_receive_packet(codec, packet);
        if (rc == AVERROR(EAGAIN) || rc == AVERROR_EOF)
            return ERR_OK;
        if (rc >= 0) {
            enum err_code code = packets_add(out, packet, e);

            av_packet_unref(packet);
            if (code != ERR_OK)
                return code;
        }
    }
    return codec_error(rc, what, e);
}

static enum err_code context_new(AVCodecContext **codec, const AVCodec **type, const char *name,
                                 struct err *e)
{
    *type = avcodec_find_encoder_by_name(name);
    if (*type == NULL)
        return err_set(e, ERR_INTERNAL, "this libavcodec has no encoder '%s'", name);
    *codec = avcodec_alloc_context3(*type);
    if (*codec == NULL)
        return err_set(e, ERR_NOMEM, "encoder '%s': out of memory", name);
    (*codec)->thread_count = 1;
    (*codec)->flags |= AV_CODEC_FLAG_BITEXACT;
    return ERR_OK;
}

struct video_encoder {
    AVCodecContext *codec;
    AVFrame *frame;
    AVPacket *packet;
    int64_t next;
};

void video_encoder_close(struct video_encoder *v)
{
    if (v == NULL)
        return;
    avcodec_free_context(&v->codec);
    av_frame_free(&v->frame);
    av_packet_free(&v->packet);
    free(v);
}

enum err_code video_encoder_open(struct video_encoder **v_out, const struct video_options *opt,
                                 struct err *e)
{
    struct video_encoder *v = NULL;
    const AVCodec *type;
    AVCodecContext *c;
    int rc;

    av_log_set_level(AV_LOG_QUIET); /* libraries here do not print */
    TRY(mem_array(&v, 1, sizeof *v, "video encoder", e));
    TRY(context_new(&v->codec, &type, "flv", e));
    v->frame = av_frame_alloc();
    v->packet = av_packet_alloc();
    if (v->frame == NULL || v->packet == NULL) {
        err_set(e, ERR_NOMEM, "video encoder: out of memory");
        goto out;
    }
    c = v->codec;
    c->width = opt->width;
    c->height = opt->height;
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->time_base = (AVRational){1001, 30000};
    c->framerate = (AVRational){30000, 1001};
    c->gop_size = 600; /* the most the encoder takes; longer than any clip's 149 frames */
    c->max_b_frames = 0;
    c->flags |= AV_CODEC_FLAG_QSCALE;
    c->global_quality = opt->quantiser * FF_QP2LAMBDA;
    c->qmin = c->qmax = opt->quantiser;
    /* Plain C transforms: the same bits whatever the processor. */
    c->dct_algo = FF_DCT_FASTINT;
    c->idct_algo = FF_IDCT_SIMPLE;
    (void)av_opt_set_int(c->priv_data, "sc_threshold", 1000000000, 0); /* no second key frame */
    rc = avcodec_open2(c, type, NULL);
    if (rc < 0) {
        (void)codec_error(rc, "video encoder", e);
        goto out;
    }
    v->frame->format = AV_PIX_FMT_YUV420P;
    v->frame->width = opt->width;
    v->frame->height = opt->height;
    v->frame->quality = c->global_quality;
    rc = av_frame_get_buffer(v->frame, 0);
    if (rc < 0)
        (void)codec_error(rc, "video encoder", e);
out:
    if (e->code != ERR_OK) {
        video_encoder_close(v);
        v = NULL;
    }
    *v_out = v;
    return e->code;
}

static void copy_plane(AVFrame *frame, int plane, const uint8_t *in, int width, int height)
{
    for (int y = 0; y < height; y++)
        memcpy(frame->data[plane] + (ptrdiff_t)y * frame->linesize[plane],
               in + (ptrdiff_t)y * width, (size_t)width);
}

enum err_code video_encoder_add(struct video_encoder *v, const uint8_t *y, const uint8_t *cb,
                                const uint8_t *cr, struct packets *out, struct err *e)
{
    int rc = av_frame_make_writable(v->frame), w = v->frame->width, h = v->frame->height;

    if (rc < 0)
        return codec_error(rc, "video encoder", e);
    copy_plane(v->frame, 0, y, w, h);
    copy_plane(v->frame, 1, cb, w / 2, h / 2);
    copy_plane(v->frame, 2, cr, w / 2, h / 2);
    v->frame->pts = v->next++;
    return encode(v->codec, v->frame, v->packet, out, "video encoder", e);
}

enum err_code mp3_encode(const int16_t *pcm, size_t n, int rate_hz, int bit_rate,
                         struct packets *out, struct err *e)
{
    AVCodecContext *c = NULL;
    AVFrame *frame = av_frame_alloc();
    AVPacket *packet = av_packet_alloc();
    const AVCodec *type;
    int rc;

    av_log_set_level(AV_LOG_QUIET);
    if (frame == NULL || packet == NULL) {
        err_set(e, ERR_NOMEM, "MP3 encoder: out of memory");
        goto out;
    }
    TRY(context_new(&c, &type, "libmp3lame", e));
    c->sample_fmt = AV_SAMPLE_FMT_S16P;
    c->sample_rate = rate_hz;
    c->bit_rate = bit_rate;
    c->compression_level = 9; /* LAME's fastest */
    av_channel_layout_default(&c->ch_layout, 1);
    rc = avcodec_open2(c, type, NULL);
    for (size_t at = 0; rc >= 0 && at < n; at += MP3_FRAME_SAMPLES) {
        size_t len = n - at < MP3_FRAME_SAMPLES ? n - at : MP3_FRAME_SAMPLES;

        av_frame_unref(frame);
        frame->format = AV_SAMPLE_FMT_S16P;
        frame->nb_samples = MP3_FRAME_SAMPLES;
        frame->pts = (int64_t)at;
        rc = av_channel_layout_copy(&frame->ch_layout, &c->ch_layout);
        if (rc >= 0)
            rc = av_frame_get_buffer(frame, 0);
        if (rc < 0)
            break;
        memset(frame->data[0], 0, MP3_FRAME_SAMPLES * sizeof pcm[0]);
        memcpy(frame->data[0], pcm + at, len * sizeof pcm[0]);
        TRY(encode(c, frame, packet, out, "MP3 encoder", e));
    }
    if (rc < 0) {
        (void)codec_error(rc, "MP3 encoder", e);
        goto out;
    }
    TRY(encode(c, NULL, packet, out, "MP3 encoder", e));
out:
    avcodec_free_context(&c);
    av_frame_free(&frame);
    av_packet_free(&packet);
    return e->code;
}
