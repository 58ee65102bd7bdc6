/* SPDX-License-Identifier: MIT */
#include "common/data/fields.h"

#include "common/data/shard_format.h"

#include <stdio.h>
#include <string.h>

static const struct shard_field clip_field = {
    .name = "clip", .dtype = DTYPE_U8, .rank = 1, .dim = {CLIP_NAME_SIZE}};
static const struct shard_field sha256_field = {
    .name = "src.sha256", .dtype = DTYPE_U8, .rank = 1, .dim = {32}};

static struct shard_field scalar(const char *name, enum dtype dtype)
{
    struct shard_field f = {.dtype = dtype};

    snprintf(f.name, sizeof f.name, "%s", name);
    return f;
}

static struct shard_field jpeg_field(int frame)
{
    struct shard_field f = {.dtype = DTYPE_U8, .ragged = true};

    snprintf(f.name, sizeof f.name, "video.jpeg%d", frame);
    return f;
}

static struct shard_field logstft_field(int bins, int frames)
{
    return (struct shard_field){
        .name = "audio.logstft", .dtype = DTYPE_F32, .rank = 2, .dim = {bins, frames}};
}

void fields_video(struct shard_field out[N_VIDEO_FIELDS])
{
    out[VIDEO_CLIP] = clip_field;
    out[VIDEO_FRAME_INDEX] = (struct shard_field){
        .name = "frame.index", .dtype = DTYPE_I32, .rank = 1, .dim = {FRAMES_PER_CLIP}};
    for (int f = 0; f < FRAMES_PER_CLIP; f++)
        out[VIDEO_JPEG0 + f] = jpeg_field(f);
    out[VIDEO_ACTOR] = scalar("actor", DTYPE_I32);
    out[VIDEO_LABEL] = scalar("label", DTYPE_I32);
    out[VIDEO_FLAGS] = scalar("flags", DTYPE_I32);
    out[VIDEO_SRC_SHA256] = sha256_field;
}

void fields_audio(struct shard_field out[N_AUDIO_FIELDS], int bins, int frames)
{
    out[AUDIO_CLIP] = clip_field;
    out[AUDIO_LOGSTFT] = logstft_field(bins, frames);
    out[AUDIO_ACTOR] = scalar("actor", DTYPE_I32);
    out[AUDIO_LABEL] = scalar("label", DTYPE_I32);
    out[AUDIO_FLAGS] = scalar("flags", DTYPE_I32);
    out[AUDIO_SRC_SHA256] = sha256_field;
}

/* The part that overlays and materialised sets share. */
static void fields_irony(struct shard_field *out)
{
    out[IRONY_CLIP] = clip_field;
    out[IRONY_DONOR] = clip_field;
    snprintf(out[IRONY_DONOR].name, sizeof out[IRONY_DONOR].name, "donor");
    out[IRONY_DONOR_INDEX] = scalar("donor.index", DTYPE_I32);
    out[IRONY_LABEL] = scalar("label", DTYPE_I32);
    out[IRONY_BASE_LABEL] = scalar("base_label", DTYPE_I32);
    out[IRONY_DONOR_LABEL] = scalar("donor_label", DTYPE_I32);
    out[IRONY_ACTOR] = scalar("actor", DTYPE_I32);
    out[IRONY_FLAGS] = scalar("flags", DTYPE_I32);
}

void fields_overlay(struct shard_field out[N_OVERLAY_FIELDS])
{
    fields_irony(out);
    out[OVERLAY_VIDEO_SAMPLE] = scalar("video.sample", DTYPE_I64);
    out[OVERLAY_AUDIO_SAMPLE] = scalar("audio.sample", DTYPE_I64);
}

void fields_materialised(struct shard_field out[N_MATERIALISED_FIELDS], int bins, int frames)
{
    fields_irony(out);
    for (int f = 0; f < FRAMES_PER_CLIP; f++)
        out[MATERIALISED_JPEG0 + f] = jpeg_field(f);
    out[MATERIALISED_LOGSTFT] = logstft_field(bins, frames);
}

enum err_code fields_check(const struct shard_set *s, const struct shard_field *want, int n,
                           const char *what, struct err *e)
{
    if (shard_set_field_count(s) != n)
        return err_set(e, ERR_DATA, "%s: is no %s set: it has %d fields, not %d", shard_set_dir(s),
                       what, shard_set_field_count(s), n);
    for (int i = 0; i < n; i++)
        if (!shard_fields_equal(shard_set_field(s, i), &want[i]))
            return err_set(e, ERR_DATA, "%s: is no %s set: field %d is '%s', not '%s' of its type",
                           shard_set_dir(s), what, i, shard_set_field(s, i)->name, want[i].name);
    return ERR_OK;
}

static enum err_code get_scalar(const struct shard_set *s, int64_t sample, int field, void *out,
                                size_t size, struct err *e)
{
    struct shard_value v;

    memset(out, 0, size);
    TRY(shard_set_get(s, sample, field, &v, e));
    if (v.len != size)
        FAIL(err_set(e, ERR_INTERNAL, "%s: field %d is not a scalar of %zu bytes", shard_set_dir(s),
                     field, size));
    memcpy(out, v.data, size);
out:
    return e->code;
}

enum err_code field_i32(const struct shard_set *s, int64_t sample, int field, int32_t *out,
                        struct err *e)
{
    return get_scalar(s, sample, field, out, sizeof *out, e);
}

enum err_code field_i64(const struct shard_set *s, int64_t sample, int field, int64_t *out,
                        struct err *e)
{
    return get_scalar(s, sample, field, out, sizeof *out, e);
}

static bool clip_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

enum err_code clip_name_pack(uint8_t out[CLIP_NAME_SIZE], const char *name, struct err *e)
{
    size_t n = strlen(name);

    if (n < 1 || n >= CLIP_NAME_SIZE)
        return err_set(e, ERR_DATA, "'%s': a clip name has 1 to %d characters", name,
                       CLIP_NAME_SIZE - 1);
    for (size_t i = 0; i < n; i++)
        if (!clip_char(name[i]))
            return err_set(e, ERR_DATA, "'%s': a clip name has A-Z a-z 0-9 _ - only", name);
    memset(out, 0, CLIP_NAME_SIZE);
    memcpy(out, name, n);
    return ERR_OK;
}

bool clip_name_ok(const uint8_t cell[CLIP_NAME_SIZE])
{
    size_t n = strnlen((const char *)cell, CLIP_NAME_SIZE);

    if (n == CLIP_NAME_SIZE)
        return false;
    for (size_t i = 0; i < CLIP_NAME_SIZE; i++)
        if (i < n ? !clip_char((char)cell[i]) : cell[i] != 0)
            return false;
    return true;
}
