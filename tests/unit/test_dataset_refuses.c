/* SPDX-License-Identifier: MIT */
/* Sets that are whole, but are no dataset, no base set or not what they are said to be. */
#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny_dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIPS = 3 };

/* ---- overlays ---- */

/* One overlay of one sample. */
struct overlay {
    char clip[CLIP_NAME_SIZE], donor[CLIP_NAME_SIZE];
    int32_t donor_index, label, base_label, donor_label, actor;
    int64_t video, audio;
    const char *layout, *video_digest, *audio_digest, *content; /* NULL: does not say */
    int fields;
    enum dtype actor_dtype;
};

struct bases {
    char video[65], audio[65];
};

static void digest_of(const char *dir, const char *name, char out[65])
{
    char *path = scratch_path(dir, name);
    struct shard_set *s = NULL;
    struct err e = {0};

    ASSERT_OK(shard_set_open(&s, path, &e), e);
    snprintf(out, 65, "%s", shard_set_digest(s));
    shard_set_close(s);
    free(path);
}

static void make_bases(const char *dir, struct bases *b)
{
    struct err e = {0};

    ASSERT_OK(tiny_bases_write(dir, CLIPS, 16, &e), e);
    digest_of(dir, "video", b->video);
    digest_of(dir, "audio", b->audio);
}

/* Nothing wrong with it. */
static struct overlay good(const struct bases *b)
{
    struct overlay o = {.donor_index = -1,
                        .label = 1,
                        .base_label = 1,
                        .donor_label = -1,
                        .actor = 1002,
                        .video = 1,
                        .audio = 1,
                        .layout = "overlay",
                        .video_digest = b->video,
                        .audio_digest = b->audio,
                        .content = b->video,
                        .fields = N_OVERLAY_FIELDS,
                        .actor_dtype = DTYPE_I32};

    tiny_clip_name(1, o.clip);
    return o;
}

static void say(struct shard_writer *w, const char *key, const char *value)
{
    struct err e = {0};

    if (value != NULL)
        ASSERT_OK(shard_writer_meta(w, key, value, &e), e);
}

static void write_overlay(const char *dir, const struct overlay *o)
{
    struct shard_options opt = {.prefix = "irony", .force = true};
    struct shard_field fields[N_OVERLAY_FIELDS];
    struct shard_writer *w = NULL;
    struct err e = {0};
    const struct shard_value values[N_OVERLAY_FIELDS] = {
        [IRONY_CLIP] = {o->clip, sizeof o->clip},
        [IRONY_DONOR] = {o->donor, sizeof o->donor},
        [IRONY_DONOR_INDEX] = {&o->donor_index, 4},
        [IRONY_LABEL] = {&o->label, 4},
        [IRONY_BASE_LABEL] = {&o->base_label, 4},
        [IRONY_DONOR_LABEL] = {&o->donor_label, 4},
        [IRONY_ACTOR] = {&o->actor, 4},
        [IRONY_FLAGS] = {&(int32_t){0}, 4},
        [OVERLAY_VIDEO_SAMPLE] = {&o->video, 8},
        [OVERLAY_AUDIO_SAMPLE] = {&o->audio, 8},
    };

    fields_overlay(fields);
    fields[IRONY_ACTOR].dtype = o->actor_dtype;
    ASSERT_OK(shard_writer_open(&w, dir, &opt, fields, o->fields, &e), e);
    say(w, "synib.layout", o->layout);
    say(w, "synib.video.digest", o->video_digest);
    say(w, "synib.audio.digest", o->audio_digest);
    say(w, "synib.content", o->content);
    ASSERT_OK(shard_writer_add(w, values, &e), e);
    ASSERT_OK(shard_writer_commit(w, &e), e);
}

static void assert_opens(const char *dir, const char *const *bases)
{
    struct dataset *d = NULL;
    struct err e = {0};

    ASSERT_OK(dataset_open(&d, dir, "train", bases, &e), e);
    dataset_close(d);
}

static void refuse(void *const *state, const struct overlay *o, const char *message)
{
    char *dir = scratch_path(*state, "train");
    struct dataset *d = NULL;
    struct err e = {0};

    write_overlay(dir, o);
    ASSERT_FAILS(dataset_open(&d, *state, "train", NULL, &e), e, ERR_DATA, message);
    assert_null(d);
    free(dir);
}

static void test_sets_that_are_no_split(void **state)
{
    char *dir = scratch_path(*state, "train");
    struct overlay o;
    struct bases b;

    make_bases(*state, &b);
    o = good(&b);
    write_overlay(dir, &o);
    assert_opens(*state, NULL);
    o.layout = NULL;
    refuse(state, &o, "synib.layout is ''");
    o.layout = "vectors";
    refuse(state, &o, "synib.layout is 'vectors'");
    o.layout = "materialised";
    refuse(state, &o, "is no materialised irony set: it has 10 fields");
    o = good(&b);
    o.fields--;
    refuse(state, &o, "is no irony overlay set: it has 9 fields, not 10");
    o = good(&b);
    o.actor_dtype = DTYPE_F32;
    refuse(state, &o, "is no irony overlay set: field 6 is 'actor', not 'actor' of its type");
    o = good(&b);
    o.content = NULL;
    refuse(state, &o, "lacks its content digest");
    free(dir);
}

static void test_bases_that_are_not(void **state)
{
    struct overlay o;
    struct bases b;

    make_bases(*state, &b);
    o = good(&b);
    o.video_digest = NULL;
    refuse(state, &o, "does not name its base sets");
    o = good(&b);
    o.audio_digest = NULL;
    refuse(state, &o, "does not name its base sets");
    o = good(&b);
    o.video_digest = b.audio;
    refuse(state, &o, "audio/: is no video base set");
    o = good(&b);
    o.audio_digest = b.video;
    refuse(state, &o, "video/: is no audio base set");
    o = good(&b);
    o.audio = -1;
    refuse(state, &o, "points outside its base sets");
}

static void test_rows(void **state)
{
    struct overlay o;
    struct bases b;

    make_bases(*state, &b);
    o = good(&b);
    o.clip[1] = '/';
    refuse(state, &o, "train: sample 0: a clip is not named like one");
    o = good(&b);
    o.donor[0] = '.';
    refuse(state, &o, "train: sample 0: a clip is not named like one");
    o = good(&b);
    memset(o.clip, 0, sizeof o.clip);
    refuse(state, &o, "has no clip");
    o = good(&b);
    o.label = o.base_label = -1;
    refuse(state, &o, "a label that does not exist");
    o = good(&b);
    o.base_label = -1;
    refuse(state, &o, "a label that does not exist");
    o = good(&b);
    o.label = LABEL_IRONY;
    o.donor_label = N_EMOTIONS;
    refuse(state, &o, "label and donor do not fit together");
    o.donor_label = 2; /* of no donor */
    refuse(state, &o, "label and donor do not fit together");
    o = good(&b);
    o.donor_index = 0;
    refuse(state, &o, "label and donor do not fit together");
    o = good(&b);
    o.label = LABEL_IRONY;
    o.donor_label = 2;
    tiny_clip_name(2, o.donor);
    refuse(state, &o, "label and donor do not fit together"); /* donor.index is -1 */
}

/* A materialised set whose spectrograms have no frames. */
static void test_materialised_shape(void **state)
{
    struct shard_options opt = {.prefix = "irony"};
    struct shard_field fields[N_MATERIALISED_FIELDS];
    struct shard_value values[N_MATERIALISED_FIELDS];
    static const char zeros[CLIP_NAME_SIZE];
    char *dir = scratch_path(*state, "train");
    struct shard_writer *w = NULL;
    struct dataset *d = NULL;
    struct err e = {0};

    fields_materialised(fields, 1, 1);
    fields[MATERIALISED_LOGSTFT].rank = 1;
    for (int f = 0; f < N_MATERIALISED_FIELDS; f++)
        values[f] =
            (struct shard_value){zeros, fields[f].ragged ? 1 : shard_field_bytes(&fields[f])};
    ASSERT_OK(shard_writer_open(&w, dir, &opt, fields, N_MATERIALISED_FIELDS, &e), e);
    say(w, "synib.layout", "materialised");
    ASSERT_OK(shard_writer_add(w, values, &e), e);
    ASSERT_OK(shard_writer_commit(w, &e), e);
    ASSERT_FAILS(dataset_open(&d, *state, "train", NULL, &e), e, ERR_DATA,
                 "is no materialised irony set: field 11 is 'audio.logstft'");
    free(dir);
}

/* ---- the search for base sets ---- */

static void put(void *const *state, const char *name, const char *text)
{
    char *path = scratch_path(*state, name);
    struct err e = {0};

    ASSERT_OK(atomic_file_put(path, text, strlen(text), true, &e), e);
    free(path);
}

static void make_dir(void *const *state, const char *name)
{
    char *path = scratch_path(*state, name);
    struct err e = {0};

    ASSERT_OK(dir_make(path, &e), e);
    free(path);
}

/* Nothing found: the first thing that could not be read is named, for it may have been the base. */
static void test_unreadable_bases(void **state)
{
    char *first = scratch_path(*state, "first"), *file = scratch_path(*state, "file"),
         *absent = scratch_path(*state, "absent"), *dir = scratch_path(*state, "train");
    const char *only_file[] = {file, NULL}, *both[] = {first, file, NULL}, *none[] = {absent, NULL};
    struct dataset *d = NULL;
    struct err e = {0};
    struct overlay o;
    struct bases b;

    make_bases(*state, &b);
    o = good(&b);
    o.audio_digest = "00";
    write_overlay(dir, &o);
    make_dir(state, "first/set");
    put(state, "file", "no folder");
    ASSERT_FAILS(dataset_open(&d, *state, "train", none, &e), e, ERR_DATA,
                 "link it into one of these, or name its folder with --base where the tool has it");
    ASSERT_FAILS(dataset_open(&d, *state, "train", only_file, &e), e, ERR_IO,
                 "could not be read: ");
    assert_int_equal(dataset_open(&d, *state, "train", only_file, &e), ERR_IO);
    assert_non_null(strstr(e.text, "/file: cannot list: Not a directory"));
    err_clear(&e);
    put(state, "first/set/index.jsonl", "no index");
    put(state, "first/index.jsonl", "no index either");
    ASSERT_FAILS(dataset_open(&d, *state, "train", both, &e), e, ERR_DATA,
                 "/first/index.jsonl: does not end in its checksum line");
    free(first);
    free(file);
    free(absent);
    free(dir);
}

/* Bases that --base names, wherever they are. */
static void test_named_bases(void **state)
{
    char *away = scratch_path(*state, "away"), *apart = scratch_path(*state, "a/b/c/d/e"),
         *dir = scratch_path(*state, "a/b/c/d/e/train");
    char *video = scratch_path(away, "video"), *audio = scratch_path(away, "audio");
    const char *bases[] = {away, NULL}, *more[] = {away, away, NULL},
               *sets[] = {audio, video, NULL};
    struct overlay o;
    struct bases b;

    make_dir(state, "away");
    make_bases(away, &b);
    o = good(&b);
    make_dir(state, "a/b/c/d/e");
    write_overlay(dir, &o);
    assert_opens(apart, bases);
    assert_opens(apart, more);
    assert_opens(apart, sets);
    free(video);
    free(audio);
    free(away);
    free(apart);
    free(dir);
}

/* ---- fields and clips ---- */

static void test_fields(void **state)
{
    char *path = scratch_path(*state, "video");
    struct clip_index *x = NULL;
    struct shard_set *s = NULL;
    struct err e = {0};
    struct bases b;
    int64_t wide;

    make_bases(*state, &b);
    ASSERT_OK(shard_set_open(&s, path, &e), e);
    ASSERT_FAILS(field_i64(s, 1, VIDEO_LABEL, &wide, &e), e, ERR_INTERNAL,
                 "is not a scalar of 8 bytes");
    assert_int_equal(wide, 0);
    ASSERT_FAILS(clip_index_new(&x, s, VIDEO_LABEL, &e), e, ERR_DATA,
                 "sample 0: is not named like a clip");
    assert_null(x);
    ASSERT_OK(clip_index_new(&x, s, VIDEO_CLIP, &e), e);
    assert_int_equal(clip_index_find(x, "a-name-that-no-clip-can-have"), -1);
    assert_int_equal(clip_index_find(x, "1001_TST"), -1);
    clip_index_free(x);
    shard_set_close(s);
    free(path);
}

static void test_clip_names(void **state)
{
    static const struct {
        const char *first, *second, *message;
    } bad[] = {
        {"a", "a", "clip a stands twice"},
        {"a", "", "sample 1: is not named like a clip"},
        {"a", "b c", "sample 1: is not named like a clip"},
        {"a", "0123456789012345678901234", "sample 1: is not named like a clip"},
    };
    static const struct shard_field field = {
        .name = "clip", .dtype = DTYPE_U8, .rank = 1, .dim = {CLIP_NAME_SIZE}};
    struct shard_options opt = {.prefix = "x", .force = true};
    char *dir = scratch_path(*state, "set");

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct clip_index *x = NULL;
        struct shard_writer *w = NULL;
        struct shard_set *s = NULL;
        struct err e = {0};
        char cell[2][32] = {0};

        snprintf(cell[0], sizeof cell[0], "%s", bad[i].first);
        snprintf(cell[1], sizeof cell[1], "%s", bad[i].second);
        ASSERT_OK(shard_writer_open(&w, dir, &opt, &field, 1, &e), e);
        for (int k = 0; k < 2; k++)
            ASSERT_OK(shard_writer_add(w, &(struct shard_value){cell[k], CLIP_NAME_SIZE}, &e), e);
        ASSERT_OK(shard_writer_commit(w, &e), e);
        ASSERT_OK(shard_set_open(&s, dir, &e), e);
        ASSERT_FAILS(clip_index_new(&x, s, 0, &e), e, ERR_DATA, bad[i].message);
        shard_set_close(s);
    }
    free(dir);
}

/* ---- rows that the writer refuses ---- */

/* The audio set of clips whose labels are not those of the video set. */
static void write_audio(const char *dir, int rank)
{
    struct shard_options opt = {.prefix = "audio", .force = true};
    const int32_t actor = 1002, label = 5, flags = 0;
    float logstft[TINY_BINS * TINY_FRAMES] = {0};
    struct shard_field fields[N_AUDIO_FIELDS];
    char clip[CLIP_NAME_SIZE], src[32] = {0};
    struct shard_writer *w = NULL;
    struct err e = {0};

    tiny_clip_name(1, clip);
    fields_audio(fields, TINY_BINS, TINY_FRAMES);
    fields[AUDIO_LOGSTFT].rank = rank;
    const struct shard_value values[N_AUDIO_FIELDS] = {
        [AUDIO_CLIP] = {clip, sizeof clip},
        [AUDIO_LOGSTFT] = {logstft, shard_field_bytes(&fields[AUDIO_LOGSTFT])},
        [AUDIO_ACTOR] = {&actor, 4},
        [AUDIO_LABEL] = {&label, 4},
        [AUDIO_FLAGS] = {&flags, 4},
        [AUDIO_SRC_SHA256] = {src, sizeof src},
    };

    ASSERT_OK(shard_writer_open(&w, dir, &opt, fields, N_AUDIO_FIELDS, &e), e);
    ASSERT_OK(shard_writer_add(w, values, &e), e);
    ASSERT_OK(shard_writer_commit(w, &e), e);
}

static void test_writer_refuses_rows(void **state)
{
    static const struct {
        struct irony_row row;
        const char *message;
    } bad[] = {
        {{"", NULL, -1, 6, -1, 2, 0, 0}, "does not exist"},
        {{"", NULL, -1, 6, N_EMOTIONS, 2, 0, 0}, "does not exist"},
        {{"", NULL, -1, -1, 1, -1, 0, 0}, "does not exist"},
        {{"", NULL, 4, 1, 1, -1, 0, 0}, "do not fit together"},
        {{"", NULL, -1, 6, 1, 2, 0, 0}, "do not fit together"},
        {{"", "d", 0, 6, 1, -1, 0, 0}, "do not fit together"},
        {{"", "d", -1, 6, 1, 2, 0, 0}, "do not fit together"},
        {{"", "d", 0, 6, 1, N_EMOTIONS, 0, 0}, "do not fit together"},
        {{"", "1001_NOT_NEU_XX", 0, 6, 1, 2, 1002, 0}, "clip 1001_NOT_NEU_XX: is not in "},
        {{"", NULL, -1, 1, 1, -1, 1002, 0}, "label 5 of its audio is not as expected"},
    };
    char *video_dir = scratch_path(*state, "video"), *audio_dir = scratch_path(*state, "other"),
         *out = scratch_path(*state, "out"), clip[CLIP_NAME_SIZE];
    struct shard_set *video = NULL, *audio = NULL;
    struct irony_writer_options opt = {0};
    struct irony_writer *w = NULL;
    struct err e = {0};
    struct bases b;

    tiny_clip_name(1, clip);
    make_bases(*state, &b);
    ASSERT_OK(shard_set_open(&video, video_dir, &e), e);
    write_audio(audio_dir, 1);
    ASSERT_OK(shard_set_open(&audio, audio_dir, &e), e);
    ASSERT_FAILS(irony_writer_open(&w, out, video, audio, &opt, &e), e, ERR_DATA,
                 "other: is no audio base set");
    ASSERT_FAILS(irony_writer_open(&w, out, video, video, &opt, &e), e, ERR_DATA,
                 "video: is no audio base set");
    shard_set_close(audio);
    write_audio(audio_dir, 2);
    ASSERT_OK(shard_set_open(&audio, audio_dir, &e), e);
    ASSERT_OK(irony_writer_open(&w, out, video, audio, &opt, &e), e);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct irony_row row = bad[i].row;

        row.clip = clip;
        ASSERT_FAILS(irony_writer_add(w, &row, &e), e, ERR_DATA, bad[i].message);
    }
    irony_writer_abort(w);
    shard_set_close(video);
    shard_set_close(audio);
    free(video_dir);
    free(audio_dir);
    free(out);
}

int main(void)
{
#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(test_sets_that_are_no_split),
        IN_SCRATCH(test_bases_that_are_not),
        IN_SCRATCH(test_rows),
        IN_SCRATCH(test_materialised_shape),
        IN_SCRATCH(test_unreadable_bases),
        IN_SCRATCH(test_named_bases),
        IN_SCRATCH(test_fields),
        IN_SCRATCH(test_clip_names),
        IN_SCRATCH(test_writer_refuses_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
