/* SPDX-License-Identifier: MIT */
#include "prep/ffmpeg.h"

#include <assert.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>

/* The functions of FFmpeg that this program calls, under their own names, so that callers do not
 * notice: each calls the one that was found in the library. */
#define FORWARD(result, name, parameters, arguments) \
    static __typeof__(name) *real_##name;            \
    result name parameters                           \
    {                                                \
        need();                                      \
        return real_##name arguments;                \
    }
#define FORWARD_VOID(name, parameters, arguments) \
    static __typeof__(name) *real_##name;         \
    void name parameters                          \
    {                                             \
        need();                                   \
        real_##name arguments;                    \
    }

static bool loaded; /* atomic */

/* For callers that have not asked with ffmpeg_load() first, which only tests do. */
static void need(void)
{
    struct err e = {0};

    if (!__atomic_load_n(&loaded, __ATOMIC_ACQUIRE) && ffmpeg_load(&e) != ERR_OK)
        assert(!"FFmpeg's libraries are used without ffmpeg_load()");
}

/* libavutil */
FORWARD(int, av_channel_layout_copy, (AVChannelLayout * dst, const AVChannelLayout *src),
        (dst, src))
FORWARD_VOID(av_channel_layout_default, (AVChannelLayout * ch_layout, int nb_channels),
             (ch_layout, nb_channels))
FORWARD_VOID(av_dict_free, (AVDictionary * *m), (m))
FORWARD(int, av_dict_set, (AVDictionary * *pm, const char *key, const char *value, int flags),
        (pm, key, value, flags))
FORWARD(int, av_dict_set_int, (AVDictionary * *pm, const char *key, int64_t value, int flags),
        (pm, key, value, flags))
FORWARD(AVFrame *, av_frame_alloc, (void), ())
FORWARD_VOID(av_frame_free, (AVFrame * *frame), (frame))
FORWARD(int, av_frame_get_buffer, (AVFrame * frame, int align), (frame, align))
FORWARD(int, av_frame_make_writable, (AVFrame * frame), (frame))
FORWARD_VOID(av_frame_unref, (AVFrame * frame), (frame))
FORWARD_VOID(av_free, (void *ptr), (ptr))
FORWARD_VOID(av_freep, (void *ptr), (ptr))
FORWARD_VOID(av_log_set_callback, (void (*callback)(void *, int, const char *, va_list)),
             (callback))
FORWARD_VOID(av_log_set_level, (int level), (level))
FORWARD(void *, av_malloc, (size_t size), (size))
FORWARD(int, av_opt_set_int, (void *obj, const char *name, int64_t val, int search_flags),
        (obj, name, val, search_flags))
FORWARD(int64_t, av_rescale_q, (int64_t a, AVRational bq, AVRational cq), (a, bq, cq))
FORWARD(int, av_strerror, (int errnum, char *errbuf, size_t errbuf_size),
        (errnum, errbuf, errbuf_size))

/* libavcodec */
FORWARD(AVPacket *, av_packet_alloc, (void), ())
FORWARD_VOID(av_packet_free, (AVPacket * *pkt), (pkt))
FORWARD_VOID(av_packet_unref, (AVPacket * pkt), (pkt))
FORWARD(AVCodecContext *, avcodec_alloc_context3, (const AVCodec *codec), (codec))
FORWARD(const AVCodec *, avcodec_find_decoder, (enum AVCodecID id), (id))
FORWARD(const AVCodec *, avcodec_find_encoder_by_name, (const char *name), (name))
FORWARD_VOID(avcodec_free_context, (AVCodecContext * *avctx), (avctx))
FORWARD(const char *, avcodec_get_name, (enum AVCodecID id), (id))
FORWARD(int, avcodec_open2, (AVCodecContext * avctx, const AVCodec *codec, AVDictionary **options),
        (avctx, codec, options))
FORWARD(int, avcodec_parameters_to_context, (AVCodecContext * codec, const AVCodecParameters *par),
        (codec, par))
FORWARD(int, avcodec_receive_frame, (AVCodecContext * avctx, AVFrame *frame), (avctx, frame))
FORWARD(int, avcodec_receive_packet, (AVCodecContext * avctx, AVPacket *avpkt), (avctx, avpkt))
FORWARD(int, avcodec_send_frame, (AVCodecContext * avctx, const AVFrame *frame), (avctx, frame))
FORWARD(int, avcodec_send_packet, (AVCodecContext * avctx, const AVPacket *avpkt), (avctx, avpkt))

/* libavformat */
FORWARD(const AVInputFormat *, av_find_input_format, (const char *short_name), (short_name))
FORWARD(int, av_read_frame, (AVFormatContext * s, AVPacket *pkt), (s, pkt))
FORWARD(AVFormatContext *, avformat_alloc_context, (void), ())
FORWARD_VOID(avformat_close_input, (AVFormatContext * *s), (s))
FORWARD(int, avformat_find_stream_info, (AVFormatContext * ic, AVDictionary **options),
        (ic, options))
FORWARD(int, avformat_open_input,
        (AVFormatContext * *ps, const char *url, const AVInputFormat *fmt, AVDictionary **options),
        (ps, url, fmt, options))
FORWARD(AVIOContext *, avio_alloc_context,
        (unsigned char *buffer, int buffer_size, int write_flag, void *opaque,
         int (*read_packet)(void *opaque, uint8_t *buf, int buf_size),
         int (*write_packet)(void *opaque, uint8_t *buf, int buf_size),
         int64_t (*seek)(void *opaque, int64_t offset, int whence)),
        (buffer, buffer_size, write_flag, opaque, read_packet, write_packet, seek))
FORWARD_VOID(avio_context_free, (AVIOContext * *s), (s))

/* libswscale */
FORWARD_VOID(sws_freeContext, (struct SwsContext * swsContext), (swsContext))
FORWARD(const int *, sws_getCoefficients, (int colorspace), (colorspace))
FORWARD(struct SwsContext *, sws_getContext,
        (int srcW, int srcH, enum AVPixelFormat srcFormat, int dstW, int dstH,
         enum AVPixelFormat dstFormat, int flags, SwsFilter *srcFilter, SwsFilter *dstFilter,
         const double *param),
        (srcW, srcH, srcFormat, dstW, dstH, dstFormat, flags, srcFilter, dstFilter, param))
FORWARD(int, sws_scale,
        (struct SwsContext * c, const uint8_t *const srcSlice[], const int srcStride[],
         int srcSliceY, int srcSliceH, uint8_t *const dst[], const int dstStride[]),
        (c, srcSlice, srcStride, srcSliceY, srcSliceH, dst, dstStride))
FORWARD(int, sws_setColorspaceDetails,
        (struct SwsContext * c, const int inv_table[4], int srcRange, const int table[4],
         int dstRange, int brightness, int contrast, int saturation),
        (c, inv_table, srcRange, table, dstRange, brightness, contrast, saturation))

enum library { AVUTIL, SWSCALE, AVCODEC, AVFORMAT, LIBRARIES };

#define SONAME(name, MAJOR) "lib" name ".so." AV_STRINGIFY(MAJOR)
static const char *const soname[LIBRARIES] = {
    [AVUTIL] = SONAME("avutil", LIBAVUTIL_VERSION_MAJOR),
    [SWSCALE] = SONAME("swscale", LIBSWSCALE_VERSION_MAJOR),
    [AVCODEC] = SONAME("avcodec", LIBAVCODEC_VERSION_MAJOR),
    [AVFORMAT] = SONAME("avformat", LIBAVFORMAT_VERSION_MAJOR),
};

/* A pointer to a function is copied as bytes: ISO C has no conversion from dlsym's. */
#define ENTRY(library, name)         \
    {                                \
        library, #name, &real_##name \
    }
static_assert(sizeof(void *) == sizeof(void (*)(void)), "dlsym gives functions as void *");
static const struct {
    enum library library;
    const char *name;
    void *pointer;
} functions[] = {
    ENTRY(AVUTIL, av_channel_layout_copy),
    ENTRY(AVUTIL, av_channel_layout_default),
    ENTRY(AVUTIL, av_dict_free),
    ENTRY(AVUTIL, av_dict_set),
    ENTRY(AVUTIL, av_dict_set_int),
    ENTRY(AVUTIL, av_frame_alloc),
    ENTRY(AVUTIL, av_frame_free),
    ENTRY(AVUTIL, av_frame_get_buffer),
    ENTRY(AVUTIL, av_frame_make_writable),
    ENTRY(AVUTIL, av_frame_unref),
    ENTRY(AVUTIL, av_free),
    ENTRY(AVUTIL, av_freep),
    ENTRY(AVUTIL, av_log_set_callback),
    ENTRY(AVUTIL, av_log_set_level),
    ENTRY(AVUTIL, av_malloc),
    ENTRY(AVUTIL, av_opt_set_int),
    ENTRY(AVUTIL, av_rescale_q),
    ENTRY(AVUTIL, av_strerror),
    ENTRY(AVCODEC, av_packet_alloc),
    ENTRY(AVCODEC, av_packet_free),
    ENTRY(AVCODEC, av_packet_unref),
    ENTRY(AVCODEC, avcodec_alloc_context3),
    ENTRY(AVCODEC, avcodec_find_decoder),
    ENTRY(AVCODEC, avcodec_find_encoder_by_name),
    ENTRY(AVCODEC, avcodec_free_context),
    ENTRY(AVCODEC, avcodec_get_name),
    ENTRY(AVCODEC, avcodec_open2),
    ENTRY(AVCODEC, avcodec_parameters_to_context),
    ENTRY(AVCODEC, avcodec_receive_frame),
    ENTRY(AVCODEC, avcodec_receive_packet),
    ENTRY(AVCODEC, avcodec_send_frame),
    ENTRY(AVCODEC, avcodec_send_packet),
    ENTRY(AVFORMAT, av_find_input_format),
    ENTRY(AVFORMAT, av_read_frame),
    ENTRY(AVFORMAT, avformat_alloc_context),
    ENTRY(AVFORMAT, avformat_close_input),
    ENTRY(AVFORMAT, avformat_find_stream_info),
    ENTRY(AVFORMAT, avformat_open_input),
    ENTRY(AVFORMAT, avio_alloc_context),
    ENTRY(AVFORMAT, avio_context_free),
    ENTRY(SWSCALE, sws_freeContext),
    ENTRY(SWSCALE, sws_getCoefficients),
    ENTRY(SWSCALE, sws_getContext),
    ENTRY(SWSCALE, sws_scale),
    ENTRY(SWSCALE, sws_setColorspaceDetails),
};

static enum err_code find_all(struct err *e)
{
    void *handle[LIBRARIES];

    for (int i = 0; i < LIBRARIES; i++) {
        handle[i] = dlopen(soname[i], RTLD_NOW | RTLD_LOCAL);
        if (handle[i] == NULL)
            return err_set(e, ERR_IO, "FFmpeg's library cannot be loaded: %s", dlerror());
    }
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *found = dlsym(handle[functions[i].library], functions[i].name);

        if (found == NULL)
            return err_set(e, ERR_IO, "%s has no function '%s'", soname[functions[i].library],
                           functions[i].name);
        memcpy(functions[i].pointer, &found, sizeof found);
    }
    return ERR_OK;
}

enum err_code ffmpeg_load(struct err *e)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

    pthread_mutex_lock(&lock);
    if (!__atomic_load_n(&loaded, __ATOMIC_ACQUIRE) && find_all(e) == ERR_OK)
        __atomic_store_n(&loaded, true, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&lock);
    return e->code;
}
