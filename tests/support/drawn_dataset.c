/* SPDX-License-Identifier: MIT */
#include "tests/support/drawn_dataset.h"

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/data/irony.h"
#include "common/data/jpeg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct drawn_options drawn_options_default = {
    .clips = {18, 12, 12}, .bins = 32, .frames = 24, .width = 48, .height = 40, .nan_clip = -1};

enum { QUALITY = 90, CLIPS_PER_ACTOR = 6, FIRST_ACTOR = 1001 };

/* Clips are numbered through the splits; one actor has six, one of each emotion. */
static int clip_emotion(int clip)
{
    return clip % N_EMOTIONS;
}

static int32_t clip_actor(int clip)
{
    return FIRST_ACTOR + clip / CLIPS_PER_ACTOR;
}

static void clip_name(char out[CLIP_NAME_SIZE], int clip)
{
    memset(out, 0, CLIP_NAME_SIZE);
    snprintf(out, CLIP_NAME_SIZE, "%d_DFA_%s_XX", (int)clip_actor(clip),
             emotion_codes[clip_emotion(clip)]);
}

/* A frame whose left half has the emotion's colour, over an actor's grey and noise. */
static enum err_code draw_frame(const struct drawn_options *o, int clip, int frame, uint8_t **jpeg,
                                size_t *len, struct err *e)
{
    struct rng r = rng_at(7, rng_stream("drawn.frame"), (uint32_t)frame, (uint32_t)clip);
    int emotion = clip_emotion(clip), grey = 60 + 30 * (clip_actor(clip) % 5);
    uint8_t *rgb = NULL;

    TRY(mem_array(&rgb, (size_t)o->width * (size_t)o->height * 3, 1, "frame", e));
    for (int y = 0; y < o->height; y++) {
        for (int x = 0; x < o->width; x++) {
            uint8_t *p = rgb + ((size_t)y * (size_t)o->width + (size_t)x) * 3;

            for (int c = 0; c < 3; c++) {
                bool on = x < o->width / 2 && ((emotion + 1) >> c & 1) != 0;

                p[c] = (uint8_t)((on ? 220 : grey) + (int)rng_below(&r, 24));
            }
        }
    }
    TRY(jpeg_encode_rgb(rgb, o->width, o->height, (size_t)o->width * 3, QUALITY, jpeg, len, e));
out:
    free(rgb);
    return e->code;
}

static void draw_spectrogram(const struct drawn_options *o, int clip, float *out)
{
    struct rng r = rng_at(7, rng_stream("drawn.audio"), 0, (uint32_t)clip);
    int band = o->bins / N_EMOTIONS, first = clip_emotion(clip) * band;

    for (int y = 0; y < o->bins; y++)
        for (int x = 0; x < o->frames; x++)
            *out++ = (y >= first && y < first + band ? -2.0f : -8.0f) + 2 * rng_float(&r);
}

static enum err_code add_video(struct shard_writer *w, const struct drawn_options *o, int clip,
                               struct err *e)
{
    struct shard_value v[N_VIDEO_FIELDS];
    uint8_t *jpeg[FRAMES_PER_CLIP] = {0}, source[32] = {0};
    int32_t index[FRAMES_PER_CLIP] = {0, 29, 58}, flags = 0;
    int32_t actor = clip_actor(clip), label = clip_emotion(clip);
    char name[CLIP_NAME_SIZE];

    clip_name(name, clip);
    v[VIDEO_CLIP] = (struct shard_value){name, sizeof name};
    v[VIDEO_FRAME_INDEX] = (struct shard_value){index, sizeof index};
    for (int f = 0; f < FRAMES_PER_CLIP; f++) {
        size_t len = 0;

        TRY(draw_frame(o, clip, f, &jpeg[f], &len, e));
        v[VIDEO_JPEG0 + f] = (struct shard_value){jpeg[f], len};
    }
    v[VIDEO_ACTOR] = (struct shard_value){&actor, sizeof actor};
    v[VIDEO_LABEL] = (struct shard_value){&label, sizeof label};
    v[VIDEO_FLAGS] = (struct shard_value){&flags, sizeof flags};
    v[VIDEO_SRC_SHA256] = (struct shard_value){source, sizeof source};
    TRY(shard_writer_add(w, v, e));
out:
    for (int f = 0; f < FRAMES_PER_CLIP; f++)
        free(jpeg[f]);
    return e->code;
}

static enum err_code add_audio(struct shard_writer *w, const struct drawn_options *o, int clip,
                               struct err *e)
{
    struct shard_value v[N_AUDIO_FIELDS];
    size_t count = (size_t)o->bins * (size_t)o->frames;
    int32_t actor = clip_actor(clip), label = clip_emotion(clip), flags = 0;
    uint8_t source[32] = {0};
    char name[CLIP_NAME_SIZE];
    float *values = NULL;

    TRY(mem_array(&values, count, sizeof *values, "spectrogram", e));
    draw_spectrogram(o, clip, values);
    if (clip == o->nan_clip)
        values[count / 2] = NAN;
    clip_name(name, clip);
    v[AUDIO_CLIP] = (struct shard_value){name, sizeof name};
    v[AUDIO_LOGSTFT] = (struct shard_value){values, count * sizeof *values};
    v[AUDIO_ACTOR] = (struct shard_value){&actor, sizeof actor};
    v[AUDIO_LABEL] = (struct shard_value){&label, sizeof label};
    v[AUDIO_FLAGS] = (struct shard_value){&flags, sizeof flags};
    v[AUDIO_SRC_SHA256] = (struct shard_value){source, sizeof source};
    TRY(shard_writer_add(w, v, e));
out:
    free(values);
    return e->code;
}

static enum err_code make_base(const char *dir, bool video, const struct drawn_options *o,
                               struct err *e)
{
    struct shard_field fields[N_VIDEO_FIELDS]; /* the longer list */
    struct shard_options options = {.prefix = video ? "video" : "audio"};
    struct shard_writer *w = NULL, *done;

    if (video)
        fields_video(fields);
    else
        fields_audio(fields, o->bins, o->frames);
    TRY(shard_writer_open(&w, dir, &options, fields, video ? N_VIDEO_FIELDS : N_AUDIO_FIELDS, e));
    for (int clip = 0; clip < o->clips[0] + o->clips[1] + o->clips[2]; clip++)
        TRY(video ? add_video(w, o, clip, e) : add_audio(w, o, clip, e));
    done = w;
    w = NULL;
    TRY(shard_writer_commit(done, e));
out:
    shard_writer_abort(w);
    return e->code;
}

/* The clip `i` of a split of `n` clips whose first is `first`; every sixth takes the sound of the
 * next clip that is not neutral. */
static enum err_code add_row(struct irony_writer *w, int first, int n, int i, struct err *e)
{
    char clip[CLIP_NAME_SIZE], donor[CLIP_NAME_SIZE];
    int from = (i + 2) % n;
    bool irony = i % 6 == 1 && clip_emotion(first + from) != 0;
    struct irony_row row = {
        .clip = clip,
        .donor = irony ? donor : NULL,
        .donor_index = irony ? from : -1,
        .label = irony ? LABEL_IRONY : clip_emotion(first + i),
        .base_label = clip_emotion(first + i),
        .donor_label = irony ? clip_emotion(first + from) : -1,
        .actor = clip_actor(first + i),
    };

    clip_name(clip, first + i);
    clip_name(donor, first + from);
    return irony_writer_add(w, &row, e);
}

static enum err_code make_split(const char *dir, const struct shard_set *video,
                                const struct shard_set *audio, int first, int n, struct err *e)
{
    const struct irony_writer_options options = {0};
    struct irony_writer *w = NULL, *done;

    TRY(irony_writer_open(&w, dir, video, audio, &options, e));
    for (int i = 0; i < n; i++)
        TRY(add_row(w, first, n, i, e));
    done = w;
    w = NULL;
    TRY(irony_writer_commit(done, NULL, e));
out:
    irony_writer_abort(w);
    return e->code;
}

enum err_code drawn_dataset_make(const char *dir, const struct drawn_options *opt, struct err *e)
{
    static const char *const splits[] = {"train", "val", "test"};
    struct shard_set *video = NULL, *audio = NULL;
    char *video_dir = NULL, *audio_dir = NULL, *split_dir = NULL;
    char name[32];
    int first = 0;

    TRY(dir_make(dir, e));
    TRY(path_join(&video_dir, dir, "video", e));
    TRY(path_join(&audio_dir, dir, "audio", e));
    TRY(make_base(video_dir, true, opt, e));
    TRY(make_base(audio_dir, false, opt, e));
    TRY(shard_set_open(&video, video_dir, e));
    TRY(shard_set_open(&audio, audio_dir, e));
    for (int i = 0; i < 3; i++) {
        free(split_dir);
        split_dir = NULL;
        snprintf(name, sizeof name, "data/%s", splits[i]);
        TRY(path_join(&split_dir, dir, name, e));
        TRY(make_split(split_dir, video, audio, first, opt->clips[i], e));
        first += opt->clips[i];
    }
out:
    shard_set_close(video);
    shard_set_close(audio);
    free(video_dir);
    free(audio_dir);
    free(split_dir);
    return e->code;
}
