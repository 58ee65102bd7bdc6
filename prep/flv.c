/* SPDX-License-Identifier: MIT */
#include "prep/flv.h"

#include "common/base/bytes.h"
#include "prep/riff.h"

enum {
    FLV_HEADER = 9,
    TAG_HEADER = 11,
    PREVIOUS_SIZE = 4,
    TAG_AUDIO = 8,
    TAG_VIDEO = 9,
    TAG_DATA = 18,
    FRAME_KEY = 1,
    FRAME_COMMAND = 5, /* a seek hint for players, not a picture */
};

const char *flv_video_codec_name(int id)
{
    switch (id) {
    case 1: return "JPEG";
    case FLV_VIDEO_H263: return "Sorenson H.263";
    case 3: return "Screen video";
    case FLV_VIDEO_VP6: return "VP6";
    case 5: return "VP6 with alpha";
    case 6: return "Screen video 2";
    case 7: return "AVC";
    default: return "unknown";
    }
}

struct walk {
    const char *name;
    const uint8_t *data;
    size_t len;
    struct flv_info *info;
};

static enum err_code check_header(const struct walk *w, struct err *e)
{
    char start[FILE_START_SIZE];

    if (w->len == 0)
        return err_set(e, ERR_TRUNCATED, "%s: is empty", w->name);
    if (is_git_lfs_pointer(w->data, w->len))
        return err_set(e, ERR_FORMAT, "%s: is a git-lfs pointer, not media: run 'git lfs pull'",
                       w->name);
    describe_start(start, w->data, w->len);
    if (memcmp(w->data, "FLV", w->len < 3 ? w->len : 3) != 0)
        return err_set(e, ERR_FORMAT, "%s: is not FLV (starts with %s)", w->name, start);
    if (w->len < FLV_HEADER + PREVIOUS_SIZE)
        return err_set(e, ERR_TRUNCATED, "%s: FLV: header of %d bytes is cut at byte %zu", w->name,
                       FLV_HEADER + PREVIOUS_SIZE, w->len);
    if (w->data[3] != 1)
        return err_set(e, ERR_FORMAT, "%s: FLV: version %u at byte 3, want 1", w->name, w->data[3]);
    if ((w->data[4] & ~0x05) != 0)
        return err_set(e, ERR_FORMAT, "%s: FLV: reserved bits set at byte 4 (0x%02x)", w->name,
                       w->data[4]);
    if (load_be32(w->data + 5) != FLV_HEADER)
        return err_set(e, ERR_FORMAT, "%s: FLV: header size %u at byte 5, want %d", w->name,
                       load_be32(w->data + 5), FLV_HEADER);
    if (load_be32(w->data + FLV_HEADER) != 0)
        return err_set(e, ERR_FORMAT, "%s: FLV: first previous-tag size at byte 9 is %u, want 0",
                       w->name, load_be32(w->data + FLV_HEADER));
    return ERR_OK;
}

/* Time stamps may repeat but not run backwards within one stream. */
static enum err_code check_time(const struct walk *w, size_t at, const char *what, bool first,
                                int64_t last_ms, int64_t ms, struct err *e)
{
    if (!first && ms < last_ms)
        return err_set(e, ERR_FORMAT,
                       "%s: FLV: %s time stamp at byte %zu runs back from %lld ms to %lld ms",
                       w->name, what, at, (long long)last_ms, (long long)ms);
    return ERR_OK;
}

static enum err_code take_video(struct walk *w, size_t at, uint32_t size, int64_t ms, struct err *e)
{
    struct flv_info *info = w->info;
    int codec, kind;

    if (size < 2)
        return err_set(e, ERR_FORMAT, "%s: FLV: video tag at byte %zu holds no picture", w->name,
                       at);
    codec = w->data[at + TAG_HEADER] & 0x0f;
    kind = w->data[at + TAG_HEADER] >> 4;
    if (codec != FLV_VIDEO_H263 && codec != FLV_VIDEO_VP6)
        return err_set(e, ERR_FORMAT,
                       "%s: FLV: video codec %d (%s) at byte %zu is not decoded here, only VP6 and "
                       "Sorenson H.263",
                       w->name, codec, flv_video_codec_name(codec), at + TAG_HEADER);
    if (info->video_codec >= 0 && codec != info->video_codec)
        return err_set(e, ERR_FORMAT, "%s: FLV: video codec changes from %d to %d at byte %zu",
                       w->name, info->video_codec, codec, at + TAG_HEADER);
    info->video_codec = codec;
    if (kind == FRAME_COMMAND)
        return ERR_OK;
    if (kind < FRAME_KEY || kind > FRAME_COMMAND)
        return err_set(e, ERR_FORMAT, "%s: FLV: unknown frame type %d at byte %zu", w->name, kind,
                       at + TAG_HEADER);
    if (info->frames == 0 && kind != FRAME_KEY)
        return err_set(e, ERR_FORMAT, "%s: FLV: first frame at byte %zu is not a key frame",
                       w->name, at);
    TRY(check_time(w, at, "video", info->frames == 0, info->last_video_ms, ms, e));
    if (info->frames == 0)
        info->first_video_ms = ms;
    info->last_video_ms = ms;
    info->frames++;
    info->key_frames += kind == FRAME_KEY;
out:
    return e->code;
}

static enum err_code take_audio(struct walk *w, size_t at, uint32_t size, int64_t ms, struct err *e)
{
    struct flv_info *info = w->info;
    int codec;

    if (size < 1)
        return err_set(e, ERR_FORMAT, "%s: FLV: audio tag at byte %zu is empty", w->name, at);
    codec = w->data[at + TAG_HEADER] >> 4;
    if (info->audio_codec >= 0 && codec != info->audio_codec)
        return err_set(e, ERR_FORMAT, "%s: FLV: sound format changes from %d to %d at byte %zu",
                       w->name, info->audio_codec, codec, at + TAG_HEADER);
    TRY(check_time(w, at, "audio", info->audio_tags == 0, info->last_audio_ms, ms, e));
    info->audio_codec = codec;
    if (info->audio_tags == 0)
        info->first_audio_ms = ms;
    info->last_audio_ms = ms;
    info->audio_tags++;
out:
    return e->code;
}

/* The tag at *at, all of it inside the file; moves *at behind its previous-tag size. */
static enum err_code take_tag(struct walk *w, size_t *at, struct err *e)
{
    const uint8_t *b = w->data + *at;
    size_t left = w->len - *at;
    uint32_t size, previous;
    int64_t ms;

    if (left < TAG_HEADER)
        return err_set(e, ERR_TRUNCATED,
                       "%s: FLV: ends inside a tag header at byte %zu; %lld frames before it",
                       w->name, *at, (long long)w->info->frames);
    if (b[0] != TAG_AUDIO && b[0] != TAG_VIDEO && b[0] != TAG_DATA)
        return err_set(e, ERR_FORMAT, "%s: FLV: unknown tag type %u at byte %zu", w->name, b[0],
                       *at);
    if (load_be24(b + 8) != 0)
        return err_set(e, ERR_FORMAT, "%s: FLV: stream id %u at byte %zu, want 0", w->name,
                       load_be24(b + 8), *at + 8);
    size = load_be24(b + 1);
    if (size > left - TAG_HEADER)
        return err_set(e, ERR_TRUNCATED,
                       "%s: FLV: ends inside a tag at byte %zu (claims %u bytes, %zu are left); "
                       "%lld frames before it",
                       w->name, *at, size, left - TAG_HEADER, (long long)w->info->frames);
    if (left - TAG_HEADER - size < PREVIOUS_SIZE)
        return err_set(e, ERR_TRUNCATED,
                       "%s: FLV: previous-tag size after the tag at byte %zu is cut; %lld frames "
                       "before it",
                       w->name, *at, (long long)w->info->frames);
    previous = load_be32(b + TAG_HEADER + size);
    if (previous != size + TAG_HEADER)
        return err_set(e, ERR_FORMAT,
                       "%s: FLV: previous-tag size at byte %zu is %u, want %u; %lld frames before "
                       "it",
                       w->name, *at + TAG_HEADER + size, previous, size + TAG_HEADER,
                       (long long)w->info->frames);
    ms = (int64_t)load_be24(b + 4) | (int64_t)b[7] << 24;
    if (b[0] == TAG_VIDEO)
        TRY(take_video(w, *at, size, ms, e));
    else if (b[0] == TAG_AUDIO)
        TRY(take_audio(w, *at, size, ms, e));
    else
        w->info->data_tags++;
    *at += TAG_HEADER + (size_t)size + PREVIOUS_SIZE;
out:
    return e->code;
}

enum err_code flv_walk(struct flv_info *info, const char *name, const void *data, size_t len,
                       struct err *e)
{
    struct walk w = {.name = name, .data = data, .len = len, .info = info};

    *info = (struct flv_info){.video_codec = FLV_VIDEO_NONE, .audio_codec = -1};
    TRY(check_header(&w, e));
    for (size_t at = FLV_HEADER + PREVIOUS_SIZE; at < len;)
        TRY(take_tag(&w, &at, e));
    if (info->video_codec < 0)
        FAIL(err_set(e, ERR_FORMAT, "%s: FLV: no video stream", name));
    if (info->frames == 0)
        FAIL(err_set(e, ERR_FORMAT, "%s: FLV: video stream without a frame", name));
out:
    if (info->frames >= 2) {
        int64_t span = info->last_video_ms - info->first_video_ms, gaps = info->frames - 1;

        info->video_ms = (span * info->frames + gaps / 2) / gaps;
    }
    return e->code;
}
