/* SPDX-License-Identifier: MIT */
/* A dataset and its base sets with one value damaged at a time: whoever needs the value is told
 * which, whoever does not goes on. */
#include "common/base/file.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny_dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIPS = 6, SIDE = 16 };

/* One bit of a value in its file; twice, and it is whole again. */
struct bit {
    char path[4096];
    long at;
};

static struct bit bit_of(const struct shard_set *s, int64_t sample, int field)
{
    struct bit b = {0};
    struct shard_value v;
    struct err e = {0};

    ASSERT_OK(shard_set_get(s, sample, field, &v, &e), e);
    for (int k = 0; k < shard_set_shards(s); k++) {
        int64_t first, count;
        const struct tensorfile *f = shard_set_shard(s, k, &first, &count);
        int t = tensorfile_find(f, shard_set_field(s, field)->name);

        if (sample < first || sample >= first + count)
            continue;
        snprintf(b.path, sizeof b.path, "%s", tensorfile_path(f));
        b.at = (long)tensorfile_offset(f, t) +
               ((const char *)v.data - (const char *)tensorfile_data(f, t));
        return b;
    }
    fail();
    return b;
}

static void flip(const struct bit *b)
{
    scratch_flip(b->path, b->at);
}

/* What a call that met the damaged field, or none, must have returned; clears e. */
static void expect(enum err_code rc, struct err *e, bool damaged, const struct shard_set *s,
                   int field)
{
    char part[100];

    snprintf(part, sizeof part, " field %s: crc32c differs", shard_set_field(s, field)->name);
    if (rc != e->code || e->code != (damaged ? ERR_CHECKSUM : ERR_OK) ||
        (damaged && strstr(e->text, part) == NULL))
        fail_msg("%d: '%s': %s", rc, e->text, damaged ? part : "expected no error");
    err_clear(e);
}

/* Every sample, whole. */
static enum err_code get_all(const struct dataset *d, struct err *e)
{
    struct sample s;

    for (int64_t i = 0; i < dataset_count(d); i++)
        TRY(dataset_get(d, i, &s, e));
out:
    return e->code;
}

static enum err_code open_and_get(const char *dir, const char *split, struct err *e)
{
    struct dataset *d = NULL;

    TRY(dataset_open(&d, dir, split, NULL, e));
    TRY(get_all(d, e));
out:
    dataset_close(d);
    return e->code;
}

/* A field of a set that the split is or points to, damaged before the split is opened and after.
 * `used`: 'o' when it is opened, 'g' when a sample is read. */
static void damage_field(const char *dir, const char *split, const char *set, const char *field,
                         const char *used)
{
    char *path = scratch_path(dir, set);
    struct dataset *d = NULL;
    struct shard_set *s = NULL;
    struct err e = {0};
    struct bit b;
    int f;

    ASSERT_OK(shard_set_open(&s, path, &e), e);
    f = shard_set_find(s, field);
    b = bit_of(s, 1, f);
    flip(&b);
    expect(open_and_get(dir, split, &e), &e, used[0] != '\0', s, f);
    flip(&b);
    ASSERT_OK(dataset_open(&d, dir, split, NULL, &e), e);
    flip(&b);
    expect(get_all(d, &e), &e, strchr(used, 'g') != NULL, s, f);
    flip(&b);
    expect(get_all(d, &e), &e, false, s, f);
    dataset_close(d);
    shard_set_close(s);
    free(path);
}

static void test_splits(void **state)
{
    static const struct {
        const char *set, *field, *used;
    } fields[] = {
        {"train", "clip", "og"},         {"train", "donor", "og"},
        {"train", "donor.index", "o"},   {"train", "label", "og"},
        {"train", "base_label", "og"},   {"train", "donor_label", "og"},
        {"train", "actor", "og"},        {"train", "flags", "og"},
        {"train", "video.sample", "og"}, {"train", "audio.sample", "og"},
        {"video", "clip", "o"},          {"video", "label", "o"},
        {"video", "actor", "o"},         {"video", "video.jpeg0", "g"},
        {"video", "video.jpeg2", "g"},   {"audio", "clip", "o"},
        {"audio", "audio.logstft", "g"}, {"video", "flags", ""},
        {"audio", "src.sha256", ""},
    };
    static const struct {
        const char *field, *used;
    } whole[] = {{"clip", "og"}, {"flags", "og"}, {"video.jpeg1", "g"}, {"audio.logstft", "g"}};
    struct err e = {0};
    char digest[65];

    ASSERT_OK(tiny_bases_write(*state, CLIPS, SIDE, &e), e);
    ASSERT_OK(tiny_split_write(*state, "train", 0, CLIPS, false, digest, &e), e);
    ASSERT_OK(tiny_split_write(*state, "whole", 0, CLIPS, true, digest, &e), e);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        damage_field(*state, "train", fields[i].set, fields[i].field, fields[i].used);
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        damage_field(*state, "whole", "whole", whole[i].field, whole[i].used);
}

/* ---- verify ---- */

/* More samples than a worker takes at once: each damaged one is listed, whoever found it. */
static void test_verify_lists_all(void **state)
{
    enum { MANY = 70 };
    static const int64_t damaged[] = {3, 68};
    char *path = scratch_path(*state, "video"), digest[65];
    struct dataset *d = NULL;
    struct shard_set *s = NULL;
    struct err e = {0};
    struct bit b[2];

    ASSERT_OK(tiny_bases_write(*state, MANY, SIDE, &e), e);
    ASSERT_OK(tiny_split_write(*state, "train", 0, MANY, false, digest, &e), e);
    ASSERT_OK(dataset_open(&d, *state, "train", NULL, &e), e);
    ASSERT_OK(dataset_verify(d, 2, &e), e);
    ASSERT_OK(shard_set_open(&s, path, &e), e);
    for (int k = 0; k < 2; k++) {
        b[k] = bit_of(s, damaged[k], VIDEO_JPEG0);
        flip(&b[k]);
    }
    assert_int_equal(dataset_verify(d, 2, &e), ERR_CHECKSUM);
    assert_non_null(strstr(e.text, "sample 3 ("));
    assert_non_null(strstr(e.text, "\n"));
    assert_non_null(strstr(e.text, "sample 68 ("));
    err_clear(&e);
    dataset_close(d);
    shard_set_close(s);
    free(path);
}

/* A set with more damaged values than a message lists says how many there are. */
static void test_verify_counts_faults(void **state)
{
    char *path = scratch_path(*state, "video");
    struct shard_set *s = NULL;
    struct err e = {0};
    struct bit b;
    int faults = 0;

    ASSERT_OK(tiny_bases_write(*state, CLIPS, SIDE, &e), e);
    ASSERT_OK(shard_set_open(&s, path, &e), e);
    for (int64_t i = 0; i < CLIPS; i++)
        for (int f = 0; f < 4; f++, faults++) {
            b = bit_of(s, i, f);
            flip(&b);
        }
    assert_true(faults > 20);
    assert_int_equal(shard_set_verify(s, 2, &e), ERR_CHECKSUM);
    assert_non_null(strstr(e.text, "/video: 24 faults, the first 20: "));
    shard_set_close(s);
    free(path);
}

/* ---- writing from damaged base sets ---- */

static void test_writer(void **state)
{
    static const int video_fields[] = {VIDEO_LABEL, VIDEO_ACTOR, VIDEO_FLAGS, VIDEO_JPEG0,
                                       VIDEO_JPEG0 + 2};
    static const int audio_fields[] = {AUDIO_FLAGS, AUDIO_LABEL, AUDIO_LOGSTFT};
    char *video_dir = scratch_path(*state, "video"), *audio_dir = scratch_path(*state, "audio"),
         *out = scratch_path(*state, "out"), clip[CLIP_NAME_SIZE];
    struct shard_set *video = NULL, *audio = NULL;
    struct irony_writer_options opt = {0};
    struct irony_row row = {.clip = clip,
                            .donor_index = -1,
                            .label = 1,
                            .base_label = 1,
                            .donor_label = -1,
                            .actor = 1002};
    struct irony_writer *w = NULL;
    struct err e = {0};
    struct bit b;

    tiny_clip_name(1, clip);
    ASSERT_OK(tiny_bases_write(*state, CLIPS, SIDE, &e), e);
    ASSERT_OK(shard_set_open(&video, video_dir, &e), e);
    ASSERT_OK(shard_set_open(&audio, audio_dir, &e), e);
    for (int k = 0; k < 2; k++) {
        b = bit_of(k == 0 ? video : audio, 1, k == 0 ? (int)VIDEO_CLIP : (int)AUDIO_CLIP);
        flip(&b);
        ASSERT_FAILS(irony_writer_open(&w, out, video, audio, &opt, &e), e, ERR_CHECKSUM,
                     "sample 1 field clip: crc32c differs");
        flip(&b);
    }
    ASSERT_OK(irony_writer_open(&w, out, video, audio, &opt, &e), e);
    for (size_t k = 0; k < sizeof video_fields / sizeof video_fields[0]; k++) {
        b = bit_of(video, 1, video_fields[k]);
        flip(&b);
        expect(irony_writer_add(w, &row, &e), &e, true, video, video_fields[k]);
        flip(&b);
    }
    for (size_t k = 0; k < sizeof audio_fields / sizeof audio_fields[0]; k++) {
        b = bit_of(audio, 1, audio_fields[k]);
        flip(&b);
        expect(irony_writer_add(w, &row, &e), &e, true, audio, audio_fields[k]);
        flip(&b);
    }
    ASSERT_OK(irony_writer_add(w, &row, &e), e);
    ASSERT_OK(irony_writer_commit(w, NULL, &e), e); /* what was refused left nothing behind */
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
        IN_SCRATCH(test_splits),
        IN_SCRATCH(test_verify_lists_all),
        IN_SCRATCH(test_verify_counts_faults),
        IN_SCRATCH(test_writer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
