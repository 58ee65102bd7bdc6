/* SPDX-License-Identifier: MIT */
/* synib-frames and synib-stft from clips.tsv to a set, on tiny media. */
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/parallel.h"
#include "prep/frames.h"
#include "prep/ordered.h"
#include "prep/stft.h"
#include "tests/support/cmocka.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny_flv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CLIPS = 9 };

static void put(const char *path, const void *data, size_t len)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_true(fwrite(data, 1, len, f) == len);
    assert_int_equal(fclose(f), 0);
}

/* What is wrong with clip i of the corpus. */
enum fault { GOOD, BY_SCAN, CHANGED, MISSING, BROKEN, TOO_SHORT };
static const enum fault faults[CLIPS] = {GOOD,    GOOD,   BY_SCAN,   CHANGED, GOOD,
                                         MISSING, BROKEN, TOO_SHORT, GOOD};

static void add_medium(FILE *tsv, const void *state, int i, const char *ext,
                       const struct buffer *media)
{
    char name[32], *path;
    uint8_t digest[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];

    snprintf(name, sizeof name, "%d.%s", i, ext);
    path = scratch_path(state, name);
    if (faults[i] == BROKEN)
        media->data[media->len / 2] ^= 0x55, media->data[0] = 'x';
    assert_int_equal(sha256_bytes(media->data, media->len, digest, &(struct err){0}), ERR_OK);
    sha256_hex(digest, hex);
    if (faults[i] == CHANGED)
        media->data[media->len - 9] ^= 1;
    if (faults[i] != MISSING)
        put(path, media->data, media->len);
    fprintf(tsv, "\t%s\t%zu\t%s", name, media->len, hex);
    free(path);
}

/* media 0.flv, 0.wav, ... and clips.tsv in the scratch folder. Clip 1 is short in pictures and clip
 * 4 silent. */
static char *make_corpus(const void *state)
{
    static int16_t pcm[16000 * 2];
    char *path = scratch_path(state, "clips.tsv");
    FILE *tsv = fopen(path, "w");

    assert_non_null(tsv);
    fprintf(tsv, "#synib-clips 1\nclip\tactor\tlabel\tframes\tverdict\tflags\treason\tvideo\t"
                 "video_bytes\tvideo_sha256\taudio\taudio_bytes\taudio_sha256\n");
    for (int i = 0; i < CLIPS; i++) {
        struct buffer flv = {0}, wav = {0};
        bool shorter = faults[i] == TOO_SHORT;
        size_t frames = shorter ? 2 : i == 1 ? 31 : 60;

        for (int k = 0; k < 32000; k++)
            pcm[k] = (int16_t)(i == 4 ? 0 : k * (i + 3));
        moving_flv(&flv, 32, 32, frames);
        assert_int_equal(wav_write(&wav, pcm, shorter ? 15000 : 32000, 1, 16000, &(struct err){0}),
                         ERR_OK);
        fprintf(tsv, "%d_DFA_ANG_XX\t%d\t5\t%zu\t%s\t%s\t%s", 1001 + i, 1001 + i, frames,
                faults[i] == BY_SCAN ? "rejected" : "accepted",
                i == 8 ? "known_issue,reencoded,duplicate_audio" : "",
                faults[i] == BY_SCAN ? "seen before" : "");
        add_medium(tsv, state, i, "flv", &flv);
        add_medium(tsv, state, i, "wav", &wav);
        fprintf(tsv, "\n");
        buffer_free(&flv);
        buffer_free(&wav);
    }
    assert_int_equal(fclose(tsv), 0);
    return path;
}

static enum err_code run(bool video, const void *state, const char *clips, const char *out,
                         int jobs, struct err *e)
{
    char *dir = scratch_path(state, out);
    struct base_set_options base = {
        .cli = {.jobs = jobs, .seed = 7, .log = {.tool = "test", .level = LOG_QUIET}},
        .clips = clips,
        .root = state,
        .output = dir,
        .out = stdout,
    };
    struct frames_options frames = {.base = base, .grid = GRID_REFERENCE};
    enum err_code rc = video ? frames_run(&frames, e) : stft_run(&base, e);

    free(dir);
    return rc;
}

static const void *value(const struct shard_set *s, int64_t i, int field, size_t size)
{
    struct shard_value v;

    assert_int_equal(shard_set_get(s, i, field, &v, &(struct err){0}), ERR_OK);
    assert_int_equal(v.len, size);
    return v.data;
}

static int32_t number(const struct shard_set *s, int64_t i, int field)
{
    int32_t v;

    memcpy(&v, value(s, i, field, sizeof v), sizeof v);
    return v;
}

static void check_rejected(const void *state, const char *set)
{
    static const char *const columns[] = {"clip", "step", "reason", NULL};
    static const char *const want[] = {"seen before", "changed since the scan", "No such file", "",
                                       ""};
    char name[64], *path;
    struct tsv *t;

    snprintf(name, sizeof name, "%s/rejected.tsv", set);
    path = scratch_path(state, name);
    assert_int_equal(tsv_read(&t, path, "rejected", columns, &(struct err){0}), ERR_OK);
    assert_int_equal(tsv_rows(t), 5);
    for (size_t i = 0; i < 5; i++) {
        assert_non_null(strstr(tsv_cell(t, i, 2), want[i]));
        assert_null(strstr(tsv_cell(t, i, 2), state)); /* ROOT is not part of the data */
    }
    assert_string_equal(tsv_cell(t, 0, 1), "scan");
    assert_string_equal(tsv_cell(t, 4, 0), "1008_DFA_ANG_XX");
    tsv_free(t);
    free(path);
}

static const int64_t kept[] = {1001, 1002, 1005, 1009};

static void test_frames(void **state)
{
    char *clips = make_corpus(*state), *dir = scratch_path(*state, "v");
    struct shard_set *s;
    struct err e = {0};
    int32_t index[3];

    assert_int_equal(run(true, *state, clips, "v", 2, &e), ERR_REJECTED);
    assert_non_null(strstr(e.text, "4 of 8 clips"));
    err_clear(&e);
    assert_int_equal(shard_set_open(&s, dir, &e), ERR_OK);
    assert_int_equal(shard_set_verify(s, 1, &e), ERR_OK);
    assert_int_equal(shard_set_count(s), 4);
    for (int64_t i = 0; i < 4; i++) {
        assert_int_equal(number(s, i, VIDEO_ACTOR), kept[i]);
        assert_int_equal(number(s, i, VIDEO_LABEL), 5);
        memcpy(index, value(s, i, VIDEO_FRAME_INDEX, sizeof index), sizeof index);
        assert_true(index[0] == 0 || i == 1);
        if (i != 1)
            assert_true(index[1] == 29 && index[2] == 58);
    }
    assert_string_equal(value(s, 3, VIDEO_CLIP, CLIP_NAME_SIZE), "1009_DFA_ANG_XX");
    assert_int_equal(number(s, 0, VIDEO_FLAGS), 0);
    assert_int_equal(number(s, 1, VIDEO_FLAGS), FLAG_SHORT_VIDEO);
    /* duplicate_audio does not concern the picture */
    assert_int_equal(number(s, 3, VIDEO_FLAGS), FLAG_KNOWN_ISSUE | FLAG_REENCODED);
    shard_set_close(s);
    check_rejected(*state, "v");
    free(dir);
    free(clips);
}

static void test_stft(void **state)
{
    char *clips = make_corpus(*state), *dir = scratch_path(*state, "a");
    struct shard_set *s;
    struct err e = {0};

    assert_int_equal(run(false, *state, clips, "a", 2, &e), ERR_REJECTED);
    err_clear(&e);
    assert_int_equal(shard_set_open(&s, dir, &e), ERR_OK);
    assert_int_equal(shard_set_verify(s, 1, &e), ERR_OK);
    assert_int_equal(shard_set_count(s), 4);
    for (int64_t i = 0; i < 4; i++)
        assert_int_equal(number(s, i, AUDIO_ACTOR), kept[i]);
    assert_int_equal(number(s, 0, AUDIO_FLAGS), FLAG_TILED_AUDIO);
    assert_int_equal(number(s, 2, AUDIO_FLAGS), FLAG_TILED_AUDIO | FLAG_SILENT_AUDIO);
    assert_int_equal(number(s, 3, AUDIO_FLAGS),
                     FLAG_TILED_AUDIO | FLAG_KNOWN_ISSUE | FLAG_DUPLICATE_AUDIO);
    (void)value(s, 0, AUDIO_LOGSTFT, sizeof(float) * SPECTROGRAM_BINS * SPECTROGRAM_FRAMES);
    shard_set_close(s);
    check_rejected(*state, "a");
    free(dir);
    free(clips);
}

/* One number for everything in a set's folder. */
static uint32_t folder_crc(const void *state, const char *name)
{
    char *dir = scratch_path(state, name), *path;
    struct name_list list = {0};
    struct err e = {0};
    uint32_t crc = 0;

    assert_int_equal(dir_list(&list, dir, "", &e), ERR_OK);
    assert_int_equal(list.count, 3);
    for (size_t i = 0; i < list.count; i++) {
        struct file_view file = {0};
        assert_int_equal(path_join(&path, dir, list.name[i], &e), ERR_OK);
        assert_int_equal(file_read(&file, path, 1 << 26, &e), ERR_OK);
        crc = hash_crc32c(crc, list.name[i], strlen(list.name[i]));
        crc = hash_crc32c(crc, file.data, file.len);
        file_view_free(&file);
        free(path);
    }
    name_list_free(&list);
    free(dir);
    return crc;
}

static void test_same_bytes_at_any_jobs(void **state)
{
    static const int jobs[] = {1, 2, 7};
    char *clips = make_corpus(*state), name[16];

    for (int video = 0; video < 2; video++) {
        uint32_t want = 0;
        for (size_t i = 0; i < 3; i++) {
            struct err e = {0};
            snprintf(name, sizeof name, "%d-%zu", video, i);
            assert_int_equal(run(video, *state, clips, name, jobs[i], &e), ERR_REJECTED);
            if (i == 0)
                want = folder_crc(*state, name);
            assert_int_equal(folder_crc(*state, name), want);
        }
    }
    free(clips);
}

static void test_existing_set_is_kept(void **state)
{
    char *clips = make_corpus(*state);
    struct err e = {0};
    uint32_t before;

    assert_int_equal(run(true, *state, clips, "v", 1, &e), ERR_REJECTED);
    before = folder_crc(*state, "v");
    err_clear(&e);
    assert_int_equal(run(true, *state, clips, "v", 1, &e), ERR_EXISTS);
    assert_int_equal(folder_crc(*state, "v"), before);
    free(clips);
}

/* Faults of the list stop the run before anything is written. */
static void test_malformed_lists(void **state)
{
    static const char head[] =
        "#synib-clips 1\nclip\tactor\tlabel\tframes\tverdict\tflags\treason\t"
        "video\tvideo_bytes\tvideo_sha256\taudio\taudio_bytes\taudio_sha256\n";
#define SHA "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define REST "\tv\t1\t" SHA "\ta\t1\t" SHA "\n"
    static const char *const rows[] = {
        "c\tx\t5\t60\taccepted\t\t" REST, /* actor */
        "c\t1\t6\t60\taccepted\t\t" REST, /* label */
        "c\t1\t\t60\taccepted\t\t" REST,
        "c\t1\t5\t60\tmaybe\t\t" REST,           /* verdict */
        "c\t1\t5\t60\taccepted\tno_such\t" REST, /* flags */
        "c\t1\t5\t60\taccepted\tsilent_audio,\t" REST,
        "\t1\t5\t60\taccepted\t\t" REST, /* clip */
        "a_name_that_is_longer_than_23\t1\t5\t60\taccepted\t\t" REST,
        "c\t1\t5\t60\taccepted\t\t\t../v\t1\t" SHA "\t../a\t1\t" SHA "\n", /* paths */
        "c\t1\t5\t60\taccepted\t\t\t/v\t1\t" SHA "\t/a\t1\t" SHA "\n",
        "c\t1\t5\t60\taccepted\t\t\tx/../v\t1\t" SHA "\tx/../a\t1\t" SHA "\n",
        "c\t1\t5\t60\taccepted\t\t\t\t1\t" SHA "\t\t1\t" SHA "\n",
        "c\t1\t5\t60\taccepted\t\t\tv\t1\tABC\ta\t1\tABC\n",               /* digest */
        "c\t1\t5\t60\taccepted\t\t" REST "c\t1\t5\t60\taccepted\t\t" REST, /* twice */
    };
    char *clips = scratch_path(*state, "bad.tsv"), *dir = scratch_path(*state, "out");

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int video = 0; video < 2; video++) {
            struct err e = {0};
            char text[2048];
            /* REST begins with the reason's tab: the reason is empty */
            snprintf(text, sizeof text, "%s%s", head, rows[i]);
            put(clips, text, strlen(text));
            if (run(video, *state, clips, "out", 1, &e) != ERR_DATA)
                fail_msg("row %zu: %s", i, e.text);
            assert_non_null(strstr(e.text, "bad.tsv:"));
            assert_int_not_equal(access(dir, F_OK), 0);
        }
    free(dir);
    free(clips);
}

static void test_no_clip_left(void **state)
{
    char *clips = make_corpus(*state), *index = scratch_path(*state, "v/index.jsonl");
    struct err e = {0};

    for (int i = 0; i < CLIPS; i++) {
        char name[16], *path;
        snprintf(name, sizeof name, "%d.flv", i);
        path = scratch_path(*state, name);
        (void)unlink(path);
        free(path);
    }
    assert_int_equal(run(true, *state, clips, "v", 2, &e), ERR_DATA);
    assert_non_null(strstr(e.text, "no clip is left"));
    assert_int_not_equal(access(index, F_OK), 0);
    free(index);
    free(clips);
}

/* ---- the reorder buffer ---- */

enum { ITEMS = 5000, WINDOW = 12, THREADS = 6 };
struct stream {
    struct ordered order;
    int64_t made[WINDOW];
    int64_t next;
    bool wrong;
};

static void eat(void *ctx, int64_t i)
{
    struct stream *s = ctx;

    s->wrong = s->wrong || i != s->next || s->made[i % WINDOW] != i * i;
    s->next++;
}

static void make_one(void *ctx, int64_t i, int worker)
{
    struct stream *s = ctx;
    int64_t slot = ordered_begin(&s->order, i);

    (void)worker;
    for (volatile int spin = 0; spin < (int)(i * 7919 % 3000); spin++) {
    }
    s->made[slot] = i * i;
    ordered_end(&s->order, i);
}

static void test_ordered(void **state)
{
    struct stream s = {0};

    (void)state;
    assert_int_equal(ordered_init(&s.order, WINDOW, eat, &s, &(struct err){0}), ERR_OK);
    parallel_for(THREADS, ITEMS, make_one, &s);
    ordered_free(&s.order);
    assert_false(s.wrong);
    assert_int_equal(s.next, ITEMS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_frames, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_stft, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_same_bytes_at_any_jobs, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(test_existing_set_is_kept, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_malformed_lists, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_no_clip_left, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_ordered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
