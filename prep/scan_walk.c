/* SPDX-License-Identifier: MIT */
#include "prep/scan_walk.h"

#include "prep/flv.h"
#include "prep/riff.h"

#include <string.h>

/* Time stamps have 32 bits, and the last frame lasts no longer than all before it. */
static const int64_t max_flv_ms = INT64_C(1) << 34;

/* ---- in the worker ---- */

static void walk_video(struct scan_walk *w, const char *name, const void *data, size_t len)
{
    struct flv_info info;
    struct err fault = {0};

    w->code = (int32_t)flv_walk(&info, name, data, len, &fault);
    memcpy(w->text, fault.text, sizeof w->text);
    w->video_codec = info.video_codec;
    w->frames = info.frames;
    w->video_ms = info.video_ms;
}

static void walk_audio(struct scan_walk *w, const char *name, const void *data, size_t len)
{
    struct riff_info info;
    struct riff_stats stats;
    struct err fault = {0};

    w->code = (int32_t)riff_walk(&info, name, data, len, &fault);
    memcpy(w->text, fault.text, sizeof w->text);
    if (w->code != ERR_OK)
        return;
    riff_measure(&stats, &info);
    w->samples = info.samples;
    w->rate_hz = info.rate_hz;
    w->silent = stats.silent;
    w->constant = stats.constant;
    w->clipped_part = stats.clipped_part;
}

/* tag = clip * N_SCAN_MEDIA + medium */
static enum err_code walk(void *ctx, int64_t tag, const void *data, size_t len, void *out,
                          size_t *out_len, struct err *e)
{
    const struct scan_corpus *s = ctx;
    enum scan_media m = (enum scan_media)(tag % N_SCAN_MEDIA);
    struct scan_walk w = {0};
    char name[SCAN_PATH_SIZE];

    scan_clip_path(name, &s->clip[tag / N_SCAN_MEDIA], m);
    if (m == SCAN_VIDEO)
        walk_video(&w, name, data, len);
    else
        walk_audio(&w, name, data, len);
    memcpy(out, &w, sizeof w);
    *out_len = sizeof w;
    return e->code;
}

/* ---- in the tool ---- */

enum err_code scan_walk_open(struct contain **workers, const struct scan_corpus *s, int jobs,
                             struct err *e)
{
    struct contain_options opt = {
        .workers = jobs,
        .in_max = SCAN_MEDIA_MAX_BYTES,
        .out_max = sizeof(struct scan_walk),
        .limits = CONTAIN_LIMITS_DEFAULT,
        .fn = walk,
        .ctx = (void *)(uintptr_t)s,
    };

    return contain_open(workers, &opt, e);
}

/* Whether a walk over a file of len bytes can have given this. */
static bool plausible(const struct scan_walk *w, enum scan_media m, size_t len)
{
    if (m == SCAN_VIDEO)
        return w->frames >= 0 && (uint64_t)w->frames <= len && w->video_ms >= 0 &&
               w->video_ms <= max_flv_ms && (w->code != ERR_OK || w->frames > 0);
    if (w->code != ERR_OK)
        return true;
    return w->samples >= 1 && w->samples <= len && w->rate_hz >= 8000 && w->rate_hz <= 192000 &&
           w->silent <= 1 && w->constant <= 1 && w->clipped_part >= 0 && w->clipped_part <= 1;
}

static void refuse(struct scan_walk *w, enum err_code code, const char *name, const char *text)
{
    *w = (struct scan_walk){.code = (int32_t)code, .video_codec = FLV_VIDEO_NONE};
    if (text != NULL)
        snprintf(w->text, sizeof w->text, "%s", text);
    else
        snprintf(w->text, sizeof w->text, "%s: its parser gave what no file can give", name);
}

enum err_code scan_walk_run(struct scan_walk *w, struct contain *workers, int slot, int64_t clip,
                            enum scan_media m, const char *name, const void *data, size_t len,
                            struct err *e)
{
    struct contain_result result;
    struct err fault = {0};

    *w = (struct scan_walk){.video_codec = FLV_VIDEO_NONE};
    TRY(contain_run(workers, slot, clip * N_SCAN_MEDIA + m, name, data, len, &result, &fault, e));
    if (fault.code != ERR_OK) {
        refuse(w, fault.code, name, fault.text);
        goto out;
    }
    if (result.len == sizeof *w)
        memcpy(w, result.data, sizeof *w);
    w->text[sizeof w->text - 1] = '\0';
    if (result.len != sizeof *w || !plausible(w, m, len))
        refuse(w, ERR_FORMAT, name, NULL);
    contain_result_free(&result);
out:
    return e->code;
}
