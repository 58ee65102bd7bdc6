/* SPDX-License-Identifier: MIT */
#include "common/base/file.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny_dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_same_samples(const struct dataset *a, const struct dataset *b)
{
    struct err e = {0};

    assert_int_equal(dataset_count(a), dataset_count(b));
    for (int64_t i = 0; i < dataset_count(a); i++) {
        struct sample sa, sb;

        ASSERT_OK(dataset_get(a, i, &sa, &e), e);
        ASSERT_OK(dataset_get(b, i, &sb, &e), e);
        assert_memory_equal(sa.clip, sb.clip, CLIP_NAME_SIZE);
        assert_memory_equal(sa.donor, sb.donor, CLIP_NAME_SIZE);
        assert_int_equal(sa.label, sb.label);
        assert_int_equal(sa.base_label, sb.base_label);
        assert_int_equal(sa.donor_label, sb.donor_label);
        assert_int_equal(sa.actor, sb.actor);
        assert_int_equal(sa.flags, sb.flags);
        for (int f = 0; f < FRAMES_PER_CLIP; f++) {
            assert_int_equal(sa.jpeg_len[f], sb.jpeg_len[f]);
            assert_memory_equal(sa.jpeg[f], sb.jpeg[f], sa.jpeg_len[f]);
        }
        assert_memory_equal(sa.spectrogram, sb.spectrogram, 4 * TINY_BINS * TINY_FRAMES);
    }
}

/* An overlay and its materialised twin are the same dataset, digest included. */
static void test_twins(void **state)
{
    char overlay_digest[65], materialised_digest[65];
    struct dataset *overlay = NULL, *materialised = NULL;
    char *twin = scratch_path(*state, "twin");
    struct err e = {0};
    int bins, frames;

    ASSERT_OK(tiny_bases_write(*state, 20, 16, &e), e);
    ASSERT_OK(tiny_split_write(*state, "train", 2, 12, false, overlay_digest, &e), e);
    ASSERT_OK(dir_make(twin, &e), e);
    ASSERT_OK(tiny_split_write(*state, "twin/train", 2, 12, true, materialised_digest, &e), e);
    assert_string_equal(overlay_digest, materialised_digest);
    ASSERT_OK(dataset_open(&overlay, *state, "train", NULL, &e), e);
    ASSERT_OK(dataset_open(&materialised, twin, "train", NULL, &e), e);
    assert_true(dataset_is_overlay(overlay));
    assert_false(dataset_is_overlay(materialised));
    assert_string_equal(dataset_digest(overlay), overlay_digest);
    assert_string_equal(dataset_digest(materialised), overlay_digest);
    dataset_spectrogram_shape(materialised, &bins, &frames);
    assert_int_equal(bins, TINY_BINS);
    assert_int_equal(frames, TINY_FRAMES);
    assert_same_samples(overlay, materialised);
    for (int jobs = 1; jobs <= 3; jobs++) {
        ASSERT_OK(dataset_verify(overlay, jobs, &e), e);
        ASSERT_OK(dataset_verify(materialised, jobs, &e), e);
    }
    dataset_close(overlay);
    dataset_close(materialised);
    free(twin);
}

static void test_mutation(void **state)
{
    struct dataset *d = NULL;
    char digest[65], clip[CLIP_NAME_SIZE];
    struct err e = {0};
    struct sample s;

    ASSERT_OK(tiny_bases_write(*state, 8, 16, &e), e);
    ASSERT_OK(tiny_split_write(*state, "val", 0, 8, false, digest, &e), e);
    ASSERT_OK(dataset_open(&d, *state, "val", NULL, &e), e);
    ASSERT_OK(dataset_describe(d, 3, &s, &e), e);
    tiny_clip_name(4, clip);
    assert_int_equal(s.label, LABEL_IRONY);
    assert_string_equal(s.donor, clip);
    assert_int_equal(s.donor_label, 4);
    assert_null(s.jpeg[0]);
    ASSERT_OK(dataset_describe(d, 4, &s, &e), e);
    assert_int_equal(s.label, 4);
    assert_string_equal(s.donor, "");
    assert_int_equal(s.donor_label, -1);
    ASSERT_OK(dataset_describe(d, 5, &s, &e), e);
    assert_int_equal(s.flags, FLAG_SHORT_VIDEO | FLAG_TILED_AUDIO);
    ASSERT_FAILS(dataset_describe(d, 8, &s, &e), e, ERR_INTERNAL, "no sample 8");
    ASSERT_FAILS(dataset_describe(d, -1, &s, &e), e, ERR_INTERNAL, "no sample -1");
    dataset_close(d);
}

/* Bases are found by digest: given, inside the dataset, beside it; never taken for another set. */
static void test_finds_bases(void **state)
{
    char *a = scratch_path(*state, "a"), *b = scratch_path(*state, "b"),
         *moved = scratch_path(*state, "b/deep"), *data = scratch_path(*state, "a/data");
    char *old[2], *elsewhere[2], digest[65];
    const char *bases[] = {moved, NULL};
    struct dataset *d = NULL;
    struct err e = {0};

    ASSERT_OK(dir_make(moved, &e), e);
    ASSERT_OK(dir_make(data, &e), e);
    ASSERT_OK(tiny_bases_write(a, 6, 16, &e), e);
    ASSERT_OK(tiny_split_write(a, "data/test", 0, 6, false, digest, &e), e);
    ASSERT_OK(dataset_open(&d, data, "test", NULL, &e), e); /* beside it */
    dataset_close(d);
    for (int i = 0; i < 2; i++) {
        old[i] = scratch_path(a, i == 0 ? "video" : "audio");
        elsewhere[i] = scratch_path(moved, i == 0 ? "video" : "audio");
        assert_int_equal(rename(old[i], elsewhere[i]), 0);
    }
    ASSERT_OK(tiny_bases_write(a, 7, 16, &e), e); /* other sets under the old names */
    ASSERT_FAILS(dataset_open(&d, data, "test", NULL, &e), e, ERR_DATA, "its video base set");
    ASSERT_OK(dataset_open(&d, data, "test", bases, &e), e);
    assert_string_equal(dataset_digest(d), digest);
    dataset_close(d);
    for (int i = 0; i < 2; i++) {
        free(old[i]);
        free(elsewhere[i]);
    }
    free(a);
    free(b);
    free(moved);
    free(data);
}

/* One overlay row as numbers, for a table of broken ones. */
struct row {
    int clip, donor; /* tiny clip numbers; donor -1 = none */
    int32_t donor_index, label, base_label, donor_label, actor;
    int64_t video, audio;
    const char *message; /* NULL: fine */
    int32_t flags;
};

/* An overlay of one sample that obeys the shard format, whatever the row says. */
static void write_row(const char *dir, const char *video_digest, const char *audio_digest,
                      const struct row *r)
{
    struct shard_options opt = {.prefix = "irony", .force = true};
    struct shard_field fields[N_OVERLAY_FIELDS];
    char clip[CLIP_NAME_SIZE], donor[CLIP_NAME_SIZE] = "";
    struct shard_writer *w = NULL;
    struct err e = {0};

    tiny_clip_name(r->clip, clip);
    if (r->donor >= 0)
        tiny_clip_name(r->donor, donor);
    const struct shard_value values[N_OVERLAY_FIELDS] = {
        [IRONY_CLIP] = {clip, sizeof clip},
        [IRONY_DONOR] = {donor, sizeof donor},
        [IRONY_DONOR_INDEX] = {&r->donor_index, 4},
        [IRONY_LABEL] = {&r->label, 4},
        [IRONY_BASE_LABEL] = {&r->base_label, 4},
        [IRONY_DONOR_LABEL] = {&r->donor_label, 4},
        [IRONY_ACTOR] = {&r->actor, 4},
        [IRONY_FLAGS] = {&r->flags, 4},
        [OVERLAY_VIDEO_SAMPLE] = {&r->video, 8},
        [OVERLAY_AUDIO_SAMPLE] = {&r->audio, 8},
    };

    fields_overlay(fields);
    ASSERT_OK(shard_writer_open(&w, dir, &opt, fields, N_OVERLAY_FIELDS, &e), e);
    ASSERT_OK(shard_writer_meta(w, "synib.layout", "overlay", &e), e);
    ASSERT_OK(shard_writer_meta(w, "synib.video.digest", video_digest, &e), e);
    ASSERT_OK(shard_writer_meta(w, "synib.audio.digest", audio_digest, &e), e);
    ASSERT_OK(shard_writer_index_meta(w, "synib.content", video_digest, &e), e);
    ASSERT_OK(shard_writer_add(w, values, &e), e);
    ASSERT_OK(shard_writer_commit(w, &e), e);
}

static void test_broken_overlays(void **state)
{
    enum { MATCHED = FLAG_MATCHED_DONOR };
    static const struct row rows[] = {
        /* clip donor index label base donor_label actor video audio */
        {1, -1, -1, 1, 1, -1, 1002, 1, 1, NULL, 0},
        {1, 2, 0, 6, 1, 2, 1002, 1, 2, NULL, 0},
        {1, 2, 0, 1, 1, 1, 1002, 1, 2, NULL, MATCHED},
        {1, -1, -1, 7, 1, -1, 1002, 1, 1, "a label that does not exist", 0},
        {1, -1, -1, -1, 1, -1, 1002, 1, 1, "a label that does not exist", 0},
        {1, -1, -1, 6, 6, -1, 1002, 1, 1, "a label that does not exist", 0},
        {1, -1, -1, 2, 1, -1, 1002, 1, 1, "do not fit together", 0},
        {1, -1, -1, 6, 1, -1, 1002, 1, 1, "do not fit together", 0},
        {1, 2, 0, 1, 1, 2, 1002, 1, 2, "do not fit together", 0},
        {1, 2, 1, 6, 1, 2, 1002, 1, 2, "do not fit together", 0},
        {1, 2, -1, 6, 1, 2, 1002, 1, 2, "do not fit together", 0},
        {1, 2, 0, 6, 1, -1, 1002, 1, 2, "do not fit together", 0},
        {1, 2, 0, 1, 1, 1, 1002, 1, 2, "do not fit together", 0},
        {1, 2, 0, 1, 1, 2, 1002, 1, 2, "do not fit together", MATCHED},
        {1, 2, 1, 1, 1, 1, 1002, 1, 2, "do not fit together", MATCHED},
        {1, 2, 0, 6, 1, 2, 1002, 1, 2, "do not fit together", MATCHED},
        {1, -1, -1, 1, 1, -1, 1002, 1, 1, "do not fit together", MATCHED},
        {1, -1, -1, 1, 1, -1, 1002, 3, 1, "points outside its base sets", 0},
        {1, -1, -1, 1, 1, -1, 1002, -1, 1, "points outside its base sets", 0},
        {1, -1, -1, 1, 1, -1, 1002, 1, INT64_MAX, "points outside its base sets", 0},
        {1, -1, -1, 1, 1, -1, 1002, 2, 1, "points at another clip", 0},
        {1, 2, 0, 6, 1, 2, 1002, 1, 1, "points at another clip", 0},
        {1, -1, -1, 2, 2, -1, 1002, 1, 1, "label or actor differ", 0},
        {1, -1, -1, 1, 1, -1, 1003, 1, 1, "label or actor differ", 0},
    };
    char *video_dir = scratch_path(*state, "video"), *audio_dir = scratch_path(*state, "audio"),
         *out = scratch_path(*state, "train");
    struct shard_set *video = NULL, *audio = NULL;
    struct dataset *d = NULL;
    struct err e = {0};

    ASSERT_OK(tiny_bases_write(*state, 3, 16, &e), e);
    ASSERT_OK(shard_set_open(&video, video_dir, &e), e);
    ASSERT_OK(shard_set_open(&audio, audio_dir, &e), e);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_row(out, shard_set_digest(video), shard_set_digest(audio), &rows[i]);
        (void)!dataset_open(&d, *state, "train", NULL, &e);
        if (rows[i].message == NULL ? e.code != ERR_OK
                                    : e.code != ERR_DATA || strstr(e.text, rows[i].message) == NULL)
            fail_msg("row %zu gave %d (%s)", i, e.code, e.text);
        if (rows[i].message == NULL) /* the content digest is not this one's */
            ASSERT_FAILS(dataset_verify(d, 1, &e), e, ERR_CHECKSUM,
                         "content digest differs from the index: it or its base sets have other "
                         "contents: restore them or make it again");
        dataset_close(d);
        err_clear(&e);
    }
    shard_set_close(video);
    shard_set_close(audio);
    free(video_dir);
    free(audio_dir);
    free(out);
}

static void test_refuses_other_sets(void **state)
{
    struct dataset *d = NULL;
    struct err e = {0};

    ASSERT_OK(tiny_bases_write(*state, 3, 16, &e), e);
    ASSERT_FAILS(dataset_open(&d, *state, "video", NULL, &e), e, ERR_DATA, "synib.layout");
    ASSERT_FAILS(dataset_open(&d, *state, "nothing", NULL, &e), e, ERR_IO,
                 "not a finished shard set");
}

static void test_writer_refuses(void **state)
{
    struct irony_writer_options opt = {0};
    char *video_dir = scratch_path(*state, "video"), *audio_dir = scratch_path(*state, "audio"),
         *out = scratch_path(*state, "out");
    struct shard_set *video = NULL, *audio = NULL;
    struct irony_writer *w = NULL;
    char name[CLIP_NAME_SIZE];
    struct irony_row row = {.clip = name,
                            .donor_index = -1,
                            .label = 1,
                            .base_label = 1,
                            .donor_label = -1,
                            .actor = 1002};
    struct err e = {0};

    tiny_clip_name(1, name);
    ASSERT_OK(tiny_bases_write(*state, 3, 16, &e), e);
    ASSERT_OK(shard_set_open(&video, video_dir, &e), e);
    ASSERT_OK(shard_set_open(&audio, audio_dir, &e), e);
    ASSERT_FAILS(irony_writer_open(&w, out, audio, video, &opt, &e), e, ERR_DATA,
                 "is no video base set");
    ASSERT_OK(irony_writer_open(&w, out, video, audio, &opt, &e), e);
    ASSERT_OK(irony_writer_add(w, &row, &e), e);
    row.label = 2;
    ASSERT_FAILS(irony_writer_add(w, &row, &e), e, ERR_DATA, "do not fit together");
    row.label = 7;
    ASSERT_FAILS(irony_writer_add(w, &row, &e), e, ERR_DATA, "does not exist");
    row.label = LABEL_IRONY;
    ASSERT_FAILS(irony_writer_add(w, &row, &e), e, ERR_DATA, "do not fit together");
    row.label = 1;
    row.flags = FLAG_MATCHED_DONOR;
    ASSERT_FAILS(irony_writer_add(w, &row, &e), e, ERR_DATA, "do not fit together");
    row.flags = 0;
    row.label = row.base_label = 2;
    ASSERT_FAILS(irony_writer_add(w, &row, &e), e, ERR_DATA, "differ from the video set's");
    row.label = row.base_label = 1;
    row.actor = 1003;
    ASSERT_FAILS(irony_writer_add(w, &row, &e), e, ERR_DATA, "differ from the video set's");
    row.clip = "1001_NOT_NEU_XX";
    ASSERT_FAILS(irony_writer_add(w, &row, &e), e, ERR_DATA, "is not in");
    irony_writer_abort(w);
    shard_set_close(video);
    shard_set_close(audio);
    free(video_dir);
    free(audio_dir);
    free(out);
}

static void test_clip_names(void **state)
{
    uint8_t cell[CLIP_NAME_SIZE];
    struct err e = {0};

    (void)state;
    ASSERT_OK(clip_name_pack(cell, "1001_DFA_ANG_XX", &e), e);
    assert_true(clip_name_ok(cell));
    cell[20] = 'x';
    assert_false(clip_name_ok(cell));
    memset(cell, 'x', sizeof cell);
    assert_false(clip_name_ok(cell));
    ASSERT_FAILS(clip_name_pack(cell, "", &e), e, ERR_DATA, "1 to 23");
    ASSERT_FAILS(clip_name_pack(cell, "123456789012345678901234", &e), e, ERR_DATA, "1 to 23");
    ASSERT_FAILS(clip_name_pack(cell, "../up", &e), e, ERR_DATA, "A-Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_twins, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_mutation, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_finds_bases, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_broken_overlays, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_refuses_other_sets, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_writer_refuses, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_clip_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
