/* SPDX-License-Identifier: MIT */
#include "tests/support/tiny_dataset.h"

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/data/jpeg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int actor_of(int i)
{
    return 1001 + i % 4;
}

static int32_t label_of(int i)
{
    return i % N_EMOTIONS;
}

void tiny_clip_name(int i, char out[CLIP_NAME_SIZE])
{
    memset(out, 0, CLIP_NAME_SIZE);
    snprintf(out, CLIP_NAME_SIZE, "%d_TST_%s_%02d", actor_of(i), emotion_codes[label_of(i)],
             i % 100);
}

static enum err_code flat_jpeg(int i, int frame, int side, uint8_t **jpeg, size_t *len,
                               struct err *e)
{
    uint8_t *rgb = NULL;
    size_t pixels = (size_t)side * (size_t)side;

    TRY(mem_array(&rgb, pixels, 3, "picture", e));
    for (size_t p = 0; p < pixels; p++) {
        rgb[3 * p] = (uint8_t)(40 * label_of(i) + 10 * frame);
        rgb[3 * p + 1] = (uint8_t)(50 * (i % 4));
        rgb[3 * p + 2] = (uint8_t)(p % (size_t)side);
    }
    TRY(jpeg_encode_rgb(rgb, side, side, 3 * (size_t)side, 95, jpeg, len, e));
out:
    free(rgb);
    return e->code;
}

static enum err_code add_video(struct shard_writer *w, int i, int side, struct err *e)
{
    const int32_t index[FRAMES_PER_CLIP] = {0, 29, 58}, actor = actor_of(i), label = label_of(i);
    const int32_t flags = i % 5 == 0 ? FLAG_SHORT_VIDEO : 0;
    uint8_t *jpeg[FRAMES_PER_CLIP] = {NULL}, src[32];
    struct shard_value v[N_VIDEO_FIELDS];
    char clip[CLIP_NAME_SIZE];

    tiny_clip_name(i, clip);
    memset(src, i, sizeof src);
    v[VIDEO_CLIP] = (struct shard_value){clip, sizeof clip};
    v[VIDEO_FRAME_INDEX] = (struct shard_value){index, sizeof index};
    for (int f = 0; f < FRAMES_PER_CLIP; f++) {
        TRY(flat_jpeg(i, f, side, &jpeg[f], &v[VIDEO_JPEG0 + f].len, e));
        v[VIDEO_JPEG0 + f].data = jpeg[f];
    }
    v[VIDEO_ACTOR] = (struct shard_value){&actor, 4};
    v[VIDEO_LABEL] = (struct shard_value){&label, 4};
    v[VIDEO_FLAGS] = (struct shard_value){&flags, 4};
    v[VIDEO_SRC_SHA256] = (struct shard_value){src, sizeof src};
    TRY(shard_writer_add(w, v, e));
out:
    for (int f = 0; f < FRAMES_PER_CLIP; f++)
        free(jpeg[f]);
    return e->code;
}

static enum err_code add_audio(struct shard_writer *w, int i, struct err *e)
{
    const int32_t actor = actor_of(i), label = label_of(i), flags = FLAG_TILED_AUDIO;
    float logstft[TINY_BINS * TINY_FRAMES];
    struct shard_value v[N_AUDIO_FIELDS];
    char clip[CLIP_NAME_SIZE];
    uint8_t src[32];

    tiny_clip_name(i, clip);
    memset(src, 255 - i, sizeof src);
    for (int k = 0; k < TINY_BINS * TINY_FRAMES; k++)
        logstft[k] = -16.0f + (float)((i * 7 + k * label) % 23) / 2;
    v[AUDIO_CLIP] = (struct shard_value){clip, sizeof clip};
    v[AUDIO_LOGSTFT] = (struct shard_value){logstft, sizeof logstft};
    v[AUDIO_ACTOR] = (struct shard_value){&actor, 4};
    v[AUDIO_LABEL] = (struct shard_value){&label, 4};
    v[AUDIO_FLAGS] = (struct shard_value){&flags, 4};
    v[AUDIO_SRC_SHA256] = (struct shard_value){src, sizeof src};
    return shard_writer_add(w, v, e);
}

static enum err_code write_base(const char *dir, bool video, int n, int side, struct err *e)
{
    struct shard_options opt = {.prefix = video ? "video" : "audio", .target_bytes = 8192};
    struct shard_field vf[N_VIDEO_FIELDS], af[N_AUDIO_FIELDS];
    struct shard_writer *w = NULL, *done;
    char *path = NULL;

    fields_video(vf);
    fields_audio(af, TINY_BINS, TINY_FRAMES);
    TRY(path_join(&path, dir, opt.prefix, e));
    TRY(shard_writer_open(&w, path, &opt, video ? vf : af,
                          video ? (int)N_VIDEO_FIELDS : (int)N_AUDIO_FIELDS, e));
    TRY(shard_writer_meta(w, "synib.tool", "tiny", e));
    for (int i = 0; i < n; i++)
        TRY(video ? add_video(w, i, side, e) : add_audio(w, i, e));
    done = w;
    w = NULL;
    TRY(shard_writer_commit(done, e));
out:
    shard_writer_abort(w);
    free(path);
    return e->code;
}

enum err_code tiny_bases_write(const char *dir, int n, int side, struct err *e)
{
    TRY(write_base(dir, true, n, side, e));
    TRY(write_base(dir, false, n, side, e));
out:
    return e->code;
}

static enum err_code add_rows(struct irony_writer *w, int first, int n, struct err *e)
{
    for (int k = 0; k < n; k++) {
        int i = first + k, donor = (k + 1) % n;
        char clip[CLIP_NAME_SIZE], donor_clip[CLIP_NAME_SIZE];
        bool irony = k % 3 == 0 && n > 1;

        tiny_clip_name(i, clip);
        tiny_clip_name(first + donor, donor_clip);
        TRY(irony_writer_add(w,
                             &(struct irony_row){
                                 .clip = clip,
                                 .donor = irony ? donor_clip : NULL,
                                 .donor_index = irony ? donor : -1,
                                 .label = irony ? LABEL_IRONY : label_of(i),
                                 .base_label = label_of(i),
                                 .donor_label = irony ? label_of(first + donor) : -1,
                                 .actor = actor_of(i),
                             },
                             e));
    }
out:
    return e->code;
}

enum err_code tiny_split_write(const char *dir, const char *name, int first, int n,
                               bool materialise, char digest[65], struct err *e)
{
    struct irony_writer_options opt = {.materialise = materialise};
    char *video_dir = NULL, *audio_dir = NULL, *path = NULL;
    struct shard_set *video = NULL, *audio = NULL;
    struct irony_writer *w = NULL, *done;

    TRY(path_join(&video_dir, dir, "video", e));
    TRY(path_join(&audio_dir, dir, "audio", e));
    TRY(path_join(&path, dir, name, e));
    TRY(shard_set_open(&video, video_dir, e));
    TRY(shard_set_open(&audio, audio_dir, e));
    TRY(irony_writer_open(&w, path, video, audio, &opt, e));
    TRY(irony_writer_meta(w, "synib.split", path_base(name), e));
    TRY(add_rows(w, first, n, e));
    done = w;
    w = NULL;
    TRY(irony_writer_commit(done, digest, e));
out:
    irony_writer_abort(w);
    shard_set_close(video);
    shard_set_close(audio);
    free(video_dir);
    free(audio_dir);
    free(path);
    return e->code;
}
