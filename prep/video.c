/* SPDX-License-Identifier: MIT */
#include "prep/video.h"

#include "common/base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>

enum {
    IO_BUFFER_BYTES = 1 << 15,
    PROBE_BYTES = 5000000, /* libavformat's own default, whatever it becomes */
};

struct video {
    char *name;
    /* the file in memory */
    const uint8_t *data;
    size_t len, at;

    AVFormatContext *format;
    AVIOContext *io;
    AVCodecContext *codec;
    AVPacket **packets; /* of the video stream, in order */
    size_t n_packets, packets_cap;
    int64_t *time_ms;
    size_t times_cap;
    AVFrame *frame;

    /* conversion, kept while the size stays the same */
    struct SwsContext *sws;
    int sws_w, sws_h;
    uint8_t *rgb;
    size_t rgb_cap;
};

static void be_silent(void *object, int level, const char *fmt, va_list args)
{
    (void)object;
    (void)level;
    (void)fmt;
    (void)args;
}

static void silence_once(void)
{
    av_log_set_callback(be_silent);
}

static pthread_once_t silenced = PTHREAD_ONCE_INIT;

enum err_code video_new(struct video **out, struct err *e)
{
    struct video *v = NULL;

    *out = NULL;
    pthread_once(&silenced, silence_once);
    TRY(mem_array(&v, 1, sizeof *v, "video reader", e));
    v->frame = av_frame_alloc();
    if (v->frame == NULL) {
        free(v);
        return err_set(e, ERR_NOMEM, "video frame: out of memory");
    }
    *out = v;
out:
    return e->code;
}

static void close_container(struct video *v)
{
    for (size_t i = 0; i < v->n_packets; i++)
        av_packet_free(&v->packets[i]);
    v->n_packets = 0;
    avformat_close_input(&v->format);
    if (v->io != NULL)
        av_freep(&v->io->buffer);
    avio_context_free(&v->io);
    v->at = 0;
}

static void close_clip(struct video *v)
{
    close_container(v);
    avcodec_free_context(&v->codec);
    free(v->name);
    v->name = NULL;
    v->data = NULL;
    v->len = 0;
}

void video_free(struct video *v)
{
    if (v == NULL)
        return;
    close_clip(v);
    av_frame_free(&v->frame);
    sws_freeContext(v->sws);
    free(v->packets);
    free(v->time_ms);
    free(v->rgb);
    free(v);
}

static int read_memory(void *opaque, uint8_t *buffer, int size)
{
    struct video *v = opaque;
    size_t n = v->len - v->at < (size_t)size ? v->len - v->at : (size_t)size;

    if (n == 0)
        return AVERROR_EOF;
    memcpy(buffer, v->data + v->at, n);
    v->at += n;
    return (int)n;
}

static int64_t seek_memory(void *opaque, int64_t offset, int whence)
{
    struct video *v = opaque;
    int64_t base = 0;

    if (whence == AVSEEK_SIZE)
        return (int64_t)v->len;
    whence &= ~AVSEEK_FORCE;
    if (whence == SEEK_CUR)
        base = (int64_t)v->at;
    else if (whence == SEEK_END)
        base = (int64_t)v->len;
    if (offset < -base || offset > (int64_t)v->len - base)
        return AVERROR(EINVAL);
    v->at = (size_t)(base + offset);
    return base + offset;
}

/* FFmpeg's reason as an error of ours. */
static enum err_code refuse(struct video *v, int code, const char *what, struct err *e)
{
    char why[AV_ERROR_MAX_STRING_SIZE];

    if (code == AVERROR(ENOMEM))
        return err_set(e, ERR_NOMEM, "%s: %s: out of memory", v->name, what);
    av_strerror(code, why, sizeof why);
    return err_set(e, ERR_FORMAT, "%s: %s: %s", v->name, what, why);
}

static enum err_code open_container(struct video *v, bool probe, struct err *e)
{
    AVDictionary *options = NULL;
    uint8_t *buffer = av_malloc(IO_BUFFER_BYTES);
    int rc;

    v->io = buffer == NULL
                ? NULL
                : avio_alloc_context(buffer, IO_BUFFER_BYTES, 0, v, read_memory, NULL, seek_memory);
    v->format = avformat_alloc_context();
    if (v->io == NULL || v->format == NULL) {
        if (v->io == NULL)
            av_free(buffer);
        return err_set(e, ERR_NOMEM, "%s: out of memory", v->name);
    }
    v->format->pb = v->io;
    v->format->flags |= AVFMT_FLAG_CUSTOM_IO;
    av_dict_set(&options, "format_whitelist", "flv", 0);
    av_dict_set(&options, "codec_whitelist", "vp6f,flv,mp3float,mp3", 0);
    av_dict_set(&options, "protocol_whitelist", "none", 0);
    av_dict_set_int(&options, "probesize", PROBE_BYTES, 0);
    rc = avformat_open_input(&v->format, NULL, av_find_input_format("flv"), &options);
    av_dict_free(&options);
    if (rc < 0)
        return refuse(v, rc, "not FLV", e);
    rc = probe ? avformat_find_stream_info(v->format, NULL) : 0;
    if (rc < 0)
        return refuse(v, rc, "cannot read the FLV tags", e);
    return ERR_OK;
}

/* The first video stream; an FLV's streams appear as their first packets do. */
static const AVStream *video_stream(const struct video *v)
{
    for (unsigned i = 0; i < v->format->nb_streams; i++)
        if (v->format->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_VIDEO)
            return v->format->streams[i];
    return NULL;
}

/* Collects every packet of the video stream. */
static enum err_code read_packets(struct video *v, struct err *e)
{
    const AVStream *stream;
    AVPacket *packet = av_packet_alloc();
    int rc;

    if (packet == NULL)
        return err_set(e, ERR_NOMEM, "%s: out of memory", v->name);
    while ((rc = av_read_frame(v->format, packet)) >= 0) {
        stream = video_stream(v);
        if (stream == NULL || packet->stream_index != stream->index) {
            av_packet_unref(packet);
            continue;
        }
        if (packet->flags & AV_PKT_FLAG_CORRUPT) {
            (void)err_set(e, ERR_FORMAT, "%s: packet of frame %zu is cut", v->name, v->n_packets);
            goto out;
        }
        if (v->n_packets >= VIDEO_MAX_FRAMES) {
            (void)err_set(e, ERR_FORMAT, "%s: more than %d frames", v->name, VIDEO_MAX_FRAMES);
            goto out;
        }
        TRY(mem_grow(&v->packets, &v->packets_cap, v->n_packets + 1, sizeof *v->packets, "packets",
                     e));
        TRY(mem_grow(&v->time_ms, &v->times_cap, v->n_packets + 1, sizeof *v->time_ms, "packets",
                     e));
        v->time_ms[v->n_packets] =
            av_rescale_q(packet->pts == AV_NOPTS_VALUE ? packet->dts : packet->pts,
                         stream->time_base, (AVRational){1, 1000});
        v->packets[v->n_packets++] = packet;
        packet = av_packet_alloc();
        if (packet == NULL)
            return err_set(e, ERR_NOMEM, "%s: out of memory", v->name);
    }
    if (rc != AVERROR_EOF)
        (void)refuse(v, rc, "cannot read the FLV tags", e);
out:
    av_packet_free(&packet);
    return e->code;
}

static enum err_code open_decoder(struct video *v, const AVStream *stream, struct err *e)
{
    const AVCodecParameters *par = stream->codecpar;
    const AVCodec *decoder;
    int rc;

    if (par->codec_id != AV_CODEC_ID_VP6F && par->codec_id != AV_CODEC_ID_FLV1)
        return err_set(e, ERR_FORMAT, "%s: video codec '%s': only VP6 and Sorenson H.263 are read",
                       v->name, avcodec_get_name(par->codec_id));
    decoder = avcodec_find_decoder(par->codec_id);
    if (decoder == NULL)
        return err_set(e, ERR_FORMAT, "%s: this FFmpeg has no decoder for '%s'", v->name,
                       avcodec_get_name(par->codec_id));
    v->codec = avcodec_alloc_context3(decoder);
    if (v->codec == NULL)
        return err_set(e, ERR_NOMEM, "%s: out of memory", v->name);
    rc = avcodec_parameters_to_context(v->codec, par);
    if (rc < 0)
        return refuse(v, rc, "bad stream parameters", e);
    v->codec->thread_count = 1;
    v->codec->error_concealment = 0;
    v->codec->err_recognition = AV_EF_EXPLODE | AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER;
    v->codec->max_pixels = (int64_t)VIDEO_MAX_WIDTH * VIDEO_MAX_HEIGHT;
    rc = avcodec_open2(v->codec, decoder, NULL);
    return rc < 0 ? refuse(v, rc, "cannot open the decoder", e) : ERR_OK;
}

enum err_code video_open(struct video *v, const char *name, const void *data, size_t len,
                         struct video_info *info, struct err *e)
{
    const AVStream *stream = NULL;

    *info = (struct video_info){0};
    close_clip(v);
    TRY(mem_string(&v->name, name, e));
    v->data = data;
    v->len = len;
    TRY(open_container(v, false, e));
    TRY(read_packets(v, e));
    if (video_stream(v) != NULL && video_stream(v)->avg_frame_rate.num == 0) {
        /* Not in the metadata: libavformat must look at the time stamps, which takes decoding. */
        close_container(v);
        TRY(open_container(v, true, e));
        TRY(read_packets(v, e));
    }
    stream = video_stream(v);
    if (stream == NULL)
        (void)err_set(e, ERR_FORMAT, "%s: no video stream", v->name);
    else if (v->n_packets == 0)
        (void)err_set(e, ERR_FORMAT, "%s: no video frames", v->name);
    else if (stream->avg_frame_rate.num <= 0 || stream->avg_frame_rate.den <= 0)
        (void)err_set(e, ERR_FORMAT, "%s: the frame rate is unknown", v->name);
    TRY(e->code);
    TRY(open_decoder(v, stream, e));
    info->codec = v->codec->codec->name;
    info->fps = av_q2d(stream->avg_frame_rate);
    info->frames = (int64_t)v->n_packets;
    info->time_ms = v->time_ms;
out:
    return e->code;
}

static enum err_code prepare_conversion(struct video *v, int w, int h, struct err *e)
{
    const int *bt601 = sws_getCoefficients(SWS_CS_ITU601);

    if (v->sws != NULL && v->sws_w == w && v->sws_h == h)
        return ERR_OK;
    v->sws_w = v->sws_h = 0; /* until all is made: the next clip must not find a half */
    TRY(mem_grow(&v->rgb, &v->rgb_cap, (size_t)w * (size_t)h * 3, 1, "RGB picture", e));
    sws_freeContext(v->sws);
    v->sws = sws_getContext(w, h, AV_PIX_FMT_YUV420P, w, h, AV_PIX_FMT_RGB24,
                            SWS_POINT | SWS_ACCURATE_RND | SWS_BITEXACT, NULL, NULL, NULL);
    if (v->sws == NULL)
        return err_set(e, ERR_NOMEM, "%s: no converter for %d x %d pictures", v->name, w, h);
    if (sws_setColorspaceDetails(v->sws, bt601, 0, bt601, 1, 0, 1 << 16, 1 << 16) < 0)
        return err_set(e, ERR_INTERNAL, "%s: libswscale refuses the colour space", v->name);
    v->sws_w = w;
    v->sws_h = h;
out:
    return e->code;
}

/* A frame that is whole and of the first frame's kind. */
static enum err_code check_frame(struct video *v, int64_t index, struct err *e)
{
    const AVFrame *f = v->frame;

    if (f->decode_error_flags != 0 || (f->flags & AV_FRAME_FLAG_CORRUPT))
        return err_set(e, ERR_FORMAT, "%s: frame %lld is damaged", v->name, (long long)index);
    if (f->format != AV_PIX_FMT_YUV420P)
        return err_set(e, ERR_FORMAT, "%s: frame %lld: pixel format is not yuv420p", v->name,
                       (long long)index);
    if (f->width < 1 || f->height < 1 || f->width > VIDEO_MAX_WIDTH || f->height > VIDEO_MAX_HEIGHT)
        return err_set(e, ERR_FORMAT, "%s: frame %lld: %d x %d is larger than %d x %d", v->name,
                       (long long)index, f->width, f->height, VIDEO_MAX_WIDTH, VIDEO_MAX_HEIGHT);
    return ERR_OK;
}

static enum err_code deliver(struct video *v, int k, video_picture_fn *fn, void *ctx, struct err *e)
{
    const AVFrame *f = v->frame;
    struct video_picture p = {
        .w = f->width,
        .h = f->height,
        .rgb_stride = (size_t)f->width * 3,
        .luma = f->data[0],
        .luma_stride = (size_t)f->linesize[0],
    };
    uint8_t *rows[4] = {0};
    int strides[4] = {f->width * 3};

    TRY(prepare_conversion(v, f->width, f->height, e));
    rows[0] = v->rgb;
    if (sws_scale(v->sws, (const uint8_t *const *)f->data, f->linesize, 0, f->height, rows,
                  strides) != f->height) {
        (void)err_set(e, ERR_INTERNAL, "%s: libswscale gave fewer rows", v->name);
        goto out;
    }
    p.rgb = v->rgb;
    TRY(fn(ctx, k, &p, e));
out:
    return e->code;
}

enum err_code video_decode(struct video *v, const int64_t *wanted, int n, video_picture_fn *fn,
                           void *ctx, struct err *e)
{
    int first_w = 0, first_h = 0, k = 0, rc;

    for (int64_t i = 0; k < n; i++) {
        if (i >= (int64_t)v->n_packets)
            return err_set(e, ERR_INTERNAL, "%s: frame %lld was asked for, there are %zu", v->name,
                           (long long)wanted[k], v->n_packets);
        rc = avcodec_send_packet(v->codec, v->packets[i]);
        if (rc >= 0)
            rc = avcodec_receive_frame(v->codec, v->frame);
        if (rc < 0) {
            char what[64];
            snprintf(what, sizeof what, "frame %lld cannot be decoded", (long long)i);
            return refuse(v, rc, what, e);
        }
        TRY(check_frame(v, i, e));
        if (i == 0) {
            first_w = v->frame->width;
            first_h = v->frame->height;
        } else if (v->frame->width != first_w || v->frame->height != first_h) {
            (void)err_set(e, ERR_FORMAT, "%s: the picture size changes at frame %lld", v->name,
                          (long long)i);
            goto out;
        }
        if (i == wanted[k]) {
            TRY(deliver(v, k, fn, ctx, e));
            k++;
        }
        av_frame_unref(v->frame);
    }
out:
    av_frame_unref(v->frame);
    return e->code;
}

const char *video_libraries(void)
{
    return "avformat " AV_STRINGIFY(LIBAVFORMAT_VERSION) ", avcodec " AV_STRINGIFY(
        LIBAVCODEC_VERSION) ", swscale " AV_STRINGIFY(LIBSWSCALE_VERSION);
}
