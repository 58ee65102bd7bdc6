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
                 "is not a video base set");
    ASSERT_OK(irony_writer_open(&w, out, video, audio, &opt, &e), e);
    ASSERT_OK(irony_writer_add(w, &row, &e), e);
    row.label = 2;
    ASSERT_FAILS(irony_writer_add(w, &row, &e), e, ERR_DATA, "do not fit together");
    row.label = 7;
    ASSERT_FAILS(irony_writer_add(w, &row, &e), e, ERR_DATA, "does not exist");
    row.label = LABEL_IRONY;
    ASSERT_FAILS(irony_writer_add(w, &row, &e), e, ERR_DATA, "do not fit together");
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
        cmocka_unit_test_setup_teardown(test_refuses_other_sets, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_writer_refuses, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_clip_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
