/* SPDX-License-Identifier: MIT */
/* Hostile clips among good ones, through synib-scan, synib-frames and synib-stft: each is accepted
 * or rejected with a reason, none stops the run, and the good ones give the same bytes as ever.
 * SYNIB_MUTANTS=2000 (clips per medium) is the full strength, TEST_SEED another sequence. */
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "prep/confine.h"
#include "prep/contain_guard.h"
#include "prep/frames.h"
#include "prep/scan.h"
#include "prep/stft.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny_flv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { CLIPS = 40, GOOD_EVERY = 2 }; /* clips of a round; every other one is left alone */

static bool is_good(int i)
{
    return i % GOOD_EVERY == 0;
}

static void put(const void *state, const char *name, const void *data, size_t len)
{
    char *path = scratch_path(state, name);
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_true(fwrite(data, 1, len, f) == len);
    assert_int_equal(fclose(f), 0);
    free(path);
}

/* ---- mutation ---- */

static size_t draw(struct rng *r, size_t n)
{
    return rng_below(r, (uint32_t)n);
}

/* One to eight changes: bits, bytes, runs, cuts, pieces taken out or doubled, large numbers. */
static void mutate(struct buffer *b, struct rng *r)
{
    for (size_t n = 1 + draw(r, 8); n > 0; n--) {
        size_t at = draw(r, b->len), left = b->len - at;
        size_t run = 1 + draw(r, left < 64 ? left : 64);

        switch (draw(r, 12)) {
        case 0: /* cut, or a piece taken out */
            if (draw(r, 4) == 0 && at > 0)
                b->len = at;
            else if (b->len > run)
                memmove(b->data + at, b->data + at + run, left - run), b->len -= run;
            break;
        case 1: memset(b->data + at, (int)draw(r, 2) * 255, run); break;
        case 2: memmove(b->data + draw(r, at + 1), b->data + at, run); break;
        case 3: b->data[draw(r, b->len < 64 ? b->len : 64)] = (uint8_t)draw(r, 256); break;
        case 4: b->data[at] ^= (uint8_t)(1U << draw(r, 8)); break;
        default: b->data[at] = (uint8_t)draw(r, 256);
        }
    }
}

/* ---- the corpus ---- */

static void one_file(const void *state, FILE *tsv, int i, bool video, struct rng *r)
{
    static int16_t pcm[24000];
    struct buffer b = {0};
    uint8_t digest[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE], name[64];
    struct err e = {0};

    for (int k = 0; k < 24000; k++)
        pcm[k] = (int16_t)(k * (i + 3));
    if (video)
        moving_flv(&b, 32, 32, 60);
    else
        ASSERT_OK(wav_write(&b, pcm, 24000, 1, 16000, &e), e);
    if (!is_good(i))
        mutate(&b, r);
    snprintf(name, sizeof name, "%s/%d_DFA_ANG_XX.%s", video ? "VideoFlash" : "AudioWAV", 1001 + i,
             video ? "flv" : "wav");
    put(state, name, b.data, b.len);
    ASSERT_OK(sha256_bytes(b.data, b.len, digest, &e), e);
    sha256_hex(digest, hex);
    fprintf(tsv, "\t%s\t%zu\t%s", name, b.len, hex);
    buffer_free(&b);
}

/* Both folders and a clip list that accepts everything, as the scan of hostile hands would. */
static void make_corpus(const void *state, struct rng *r)
{
    char *path = scratch_path(state, "all.tsv");
    FILE *tsv = fopen(path, "w");

    assert_non_null(tsv);
    fprintf(tsv, "#synib-clips 1\nclip\tactor\tlabel\tframes\tverdict\tflags\treason\tvideo\t"
                 "video_bytes\tvideo_sha256\taudio\taudio_bytes\taudio_sha256\n");
    for (int i = 0; i < CLIPS; i++) {
        /* "odd structure" leaves out our own walk: FFmpeg sees everything */
        fprintf(tsv, "%d_DFA_ANG_XX\t%d\t5\t60\tflagged\t%s\t", 1001 + i, 1001 + i,
                i % 4 == 1 ? "odd_structure" : "known_issue");
        one_file(state, tsv, i, true, r);
        one_file(state, tsv, i, false, r);
        fprintf(tsv, "\n");
    }
    assert_int_equal(fclose(tsv), 0);
    free(path);
}

static void make_folders(const void *state)
{
    static const char *const names[] = {"VideoFlash", "AudioWAV"};

    for (int i = 0; i < 2; i++) {
        char *dir = scratch_path(state, names[i]);
        assert_int_equal(mkdir(dir, 0777), 0);
        free(dir);
    }
}

/* ---- the tools ---- */

static enum err_code decode(bool video, const void *state, const char *out, struct err *e)
{
    char *clips = scratch_path(state, "all.tsv"), *dir = scratch_path(state, out);
    struct frames_options frames = {
        .base = {.cli = {.jobs = 3, .force = true, .log = {.tool = "test", .level = LOG_QUIET}},
                 .clips = clips,
                 .root = state,
                 .output = dir,
                 .out = stdout},
        .grid = GRID_REFERENCE,
    };
    enum err_code rc = video ? frames_run(&frames, e) : stft_run(&frames.base, e);

    free(dir);
    free(clips);
    return rc;
}

static uint32_t sample_crc(const struct shard_set *s, int64_t i, int fields)
{
    uint32_t crc = 0;

    for (int f = 0; f < fields; f++) {
        struct shard_value v;
        struct err e = {0};

        ASSERT_OK(shard_set_get(s, i, f, &v, &e), e);
        crc = hash_crc32c(crc, v.data, v.len);
    }
    return crc;
}

/* Every clip stands once, in the set or among the rejected; good ones in the set with the bytes
 * that they had before. Returns how many were rejected. */
static int account(const void *state, const char *out, bool video, uint32_t known[CLIPS])
{
    static const char *const columns[] = {"clip", "step", "reason", NULL};
    int seen[CLIPS] = {0}, rejected;
    char *dir = scratch_path(state, out), *list;
    struct shard_set *s;
    struct tsv *t;
    struct err e = {0};

    ASSERT_OK(path_join(&list, dir, "rejected.tsv", &e), e);
    ASSERT_OK(shard_set_open(&s, dir, &e), e);
    ASSERT_OK(shard_set_verify(s, 1, &e), e);
    for (int64_t i = 0; i < shard_set_count(s); i++) {
        int32_t actor = 0;
        uint32_t crc = sample_crc(s, i, video ? N_VIDEO_FIELDS : N_AUDIO_FIELDS);

        ASSERT_OK(field_i32(s, i, video ? VIDEO_ACTOR : AUDIO_ACTOR, &actor, &e), e);
        actor -= 1001;
        assert_in_range(actor, 0, CLIPS - 1);
        seen[actor]++;
        if (is_good(actor) && known[actor] != 0)
            assert_int_equal(crc, known[actor]);
        known[actor] = crc;
    }
    ASSERT_OK(tsv_read(&t, list, "rejected", columns, &e), e);
    rejected = (int)tsv_rows(t);
    for (int i = 0; i < rejected; i++) {
        int clip = atoi(tsv_cell(t, (size_t)i, 0)) - 1001;

        assert_in_range(clip, 0, CLIPS - 1);
        assert_false(is_good(clip));
        assert_true(strlen(tsv_cell(t, (size_t)i, 2)) > 10);
        seen[clip]++;
    }
    for (int i = 0; i < CLIPS; i++)
        assert_int_equal(seen[i], 1);
    tsv_free(t);
    shard_set_close(s);
    free(list);
    free(dir);
    return rejected;
}

/* Returns how many clips the scan rejects; each has a verdict. */
static int scan(const void *state, struct err *e)
{
    static const char *const columns[] = {"clip", "verdict", "reason", NULL};
    char *out = scratch_path(state, "scanned.tsv");
    struct scan_options opt = {
        .cli = {.jobs = 3, .force = true, .log = {.tool = "test", .level = LOG_QUIET}},
        .root = state,
        .output = out,
        .media = "none",
        .issues = "none",
        .out = stdout,
    };
    struct tsv *t;
    int rejected = 0;

    if (scan_run(&opt, e) != ERR_REJECTED)
        assert_int_equal(e->code, ERR_OK);
    err_clear(e);
    ASSERT_OK(tsv_read(&t, out, "clips", columns, e), *e);
    assert_int_equal(tsv_rows(t), CLIPS);
    for (int i = 0; i < CLIPS; i++)
        if (strcmp(tsv_cell(t, (size_t)i, tsv_column(t, "verdict")), "rejected") == 0) {
            assert_false(is_good(i));
            assert_true(strlen(tsv_cell(t, (size_t)i, tsv_column(t, "reason"))) > 10);
            rejected++;
        }
    tsv_free(t);
    free(out);
    return rejected;
}

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);

    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void test_mutants(void **state)
{
    static uint32_t known[2][CLIPS];
    uint64_t wanted = number_from("SYNIB_MUTANTS", 160), seed = number_from("TEST_SEED", 11);
    int rejected[3] = {0}, mutants = 0;

    make_folders(*state);
    for (uint32_t round = 0; (uint64_t)mutants < wanted; round++) {
        struct rng r = rng_at(seed, rng_stream("mutants"), 0, round);
        struct err e = {0};

        make_corpus(*state, &r);
        rejected[0] += scan(*state, &e);
        for (int video = 0; video < 2; video++) {
            if (decode(video, *state, video ? "v" : "a", &e) != ERR_REJECTED)
                assert_int_equal(e.code, ERR_OK);
            err_clear(&e);
            rejected[1 + video] += account(*state, video ? "v" : "a", video, known[video]);
        }
        mutants += CLIPS - CLIPS / GOOD_EVERY;
    }
    print_message("seed %llu: %d mutants of each medium; rejected: %d pairs by the scan, %d FLV by "
                  "frames, %d WAV by stft\n",
                  (unsigned long long)seed, mutants, rejected[0], rejected[2], rejected[1]);
    assert_true(rejected[0] > mutants / 4);
    assert_true(rejected[1] > 0 && rejected[2] > mutants / 4);
}

/* ---- a file that hangs libsndfile 1.2.0 ---- */

static const uint8_t hang[109] =
    "RIFF\xc6\x0c\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80\x3e\x00\x00\x00\x7d\x00\x00"
    "\x20\x00\x10\x00LIST\x05\x00\x00\x05\xe5WA\xe5\xff\xff\xff\xff\xff\xff\xff\xf8\xff\xff\xff"
    "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
    "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xe5\xe5\xe5V\xe5";

static void test_wav_that_hangs(void **state)
{
    struct rng r = rng_at(1, rng_stream("hang"), 0, 0);
    struct err e = {0};
    time_t start = time(NULL);

    make_folders(*state);
    make_corpus(*state, &r);
    put(*state, "AudioWAV/1002_DFA_ANG_XX.wav", hang, sizeof hang);
    assert_true(scan(*state, &e) > 0);
    assert_true(time(NULL) - start < 25);
}

/* ---- a decoder that clips have taken over ---- */

/* Jobs that all workers of a run with one slot have begun, in memory that they share; else NULL. */
static uint64_t *begun;

/* Answers in the guard's place: for this job, whose number is known, as the first was to tell
 * whether the worker is confined. */
static enum err_code lie(struct err *e)
{
    struct contain_reply reply = {.number = 1 + *begun, .end = END_IDLE + 1, .wait_status = EAGAIN};

    (void)!send(0, "", 0, 0);
    (void)!send(0, &reply, sizeof reply, 0);
    return err_set(e, ERR_FORMAT, "has lied");
}

/* Stands in for stft: what clips 1, 3, 5, ... do to it depends on their place. */
static enum err_code overtaken(void *ctx, void *scratch, const struct clip_row *row,
                               const void *data, size_t len, struct base_sample *sample,
                               struct err *e)
{
    static volatile int sink;
    int i = row->actor - 1001;

    (void)scratch;
    (void)data;
    if (begun != NULL)
        ++*begun;
    if (!is_good(i) && ctx != NULL)
        return err_set(e, ERR_FORMAT, "%s: bad", row->path);
    if (i == 1)
        __builtin_trap();
    if (i == 3)
        for (;;)
            sink++;
    if (i == 5)
        (void)!open("/etc/passwd", O_RDONLY);
    if (i == 7)
        return mem_array(&sample->part[0], (size_t)100 << 30, 1, "bomb", e);
    if (i == 9)
        sample->flags = FLAG_KNOWN_ISSUE; /* not for it to say */
    if (i == 11)
        return ERR_OK; /* no part */
    if (i == 15 && begun != NULL)
        return lie(e);
    if (!is_good(i) && i > 11)
        _exit(i);
    sample->part_len[0] = 64;
    TRY(mem_array(&sample->part[0], 64, 1, "part", e));
    memset(sample->part[0], (int)len + i, 64);
out:
    return e->code;
}

static enum err_code no_scratch(void **scratch, struct err *e)
{
    *scratch = NULL;
    return e->code;
}

static enum err_code any(const struct base_sample *sample, struct err *e)
{
    (void)sample;
    return e->code;
}

static enum err_code run_double(const void *state, const char *out, int jobs, void *polite,
                                struct err *e)
{
    char *clips = scratch_path(state, "all.tsv"), *dir = scratch_path(state, out);
    struct base_set_options opt = {
        .cli = {.jobs = jobs, .log = {.tool = "test", .level = LOG_QUIET}},
        .clips = clips,
        .root = state,
        .output = dir,
        .out = stdout,
    };
    struct base_set_tool tool = {
        .name = "double",
        .step = "double",
        .media = CLIP_AUDIO,
        .prefix = "audio",
        .fields = N_AUDIO_FIELDS,
        .clip_field = AUDIO_CLIP,
        .actor_field = AUDIO_ACTOR,
        .label_field = AUDIO_LABEL,
        .flags_field = AUDIO_FLAGS,
        .sha256_field = AUDIO_SRC_SHA256,
        .part_field = AUDIO_LOGSTFT,
        .parts = 1,
        .index_field = -1,
        .part_max = 64,
        .config = "{}",
        .libraries = "none",
        .scratch_new = no_scratch,
        .scratch_free = free,
        .work = overtaken,
        .check = any,
        .ctx = polite,
        .limits = {.cpu_ms = 300, .idle_ms = 5000, .memory = (size_t)256 << 20},
    };
    enum err_code rc;

    fields_audio(tool.field, 4, 4);
    rc = base_set_run(&opt, &tool, e);
    free(dir);
    free(clips);
    return rc;
}

static void expect_reason(const void *state, const char *out, int i, const char *part)
{
    static const char *const columns[] = {"clip", "step", "reason", NULL};
    char *dir = scratch_path(state, out), *path = scratch_path(dir, "rejected.tsv"), name[32];
    struct tsv *t;
    struct err e = {0};
    bool found = false;

    snprintf(name, sizeof name, "%d_DFA_ANG_XX", 1001 + i);
    ASSERT_OK(tsv_read(&t, path, "rejected", columns, &e), e);
    for (size_t row = 0; row < tsv_rows(t); row++)
        if (strcmp(tsv_cell(t, row, 0), name) == 0) {
            found = true;
            if (strstr(tsv_cell(t, row, 2), part) == NULL)
                fail_msg("clip %d: %s", i, tsv_cell(t, row, 2));
        }
    assert_true(found);
    tsv_free(t);
    free(path);
    free(dir);
}

static void test_overtaken_decoder(void **state)
{
    struct rng r = rng_at(2, rng_stream("double"), 0, 0);
    uint32_t known[CLIPS] = {0};
    struct err e = {0};

    make_folders(*state);
    make_corpus(*state, &r);
    assert_int_equal(run_double(*state, "polite", 3, &e, &e), ERR_REJECTED);
    err_clear(&e);
    account(*state, "polite", false, known);
    assert_int_equal(run_double(*state, "hostile", 3, NULL, &e), ERR_REJECTED);
    err_clear(&e);
    account(*state, "hostile", false, known);
    expect_reason(*state, "hostile", 1, "crashed: Illegal instruction (SIGILL)");
    expect_reason(*state, "hostile", 3, "gave up after 0.3 s of processor time");
    if (confine_level() == CONFINE_FULL)
        expect_reason(*state, "hostile", 5, "forbidden system call");
    if (confine_level() != CONFINE_BUILD)
        expect_reason(*state, "hostile", 7, "more than 256 MiB of memory");
    expect_reason(*state, "hostile", 9, "gave flags");
    expect_reason(*state, "hostile", 11, "parts that do not fit");
    expect_reason(*state, "hostile", 13, "ended the process with status 13");
    begun = mmap(NULL, sizeof *begun, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(begun, MAP_FAILED);
    assert_int_equal(run_double(*state, "liar", 1, NULL, &e), ERR_REJECTED);
    err_clear(&e);
    account(*state, "liar", false, known);
    expect_reason(*state, "liar", 15, "answered what no worker answers");
    munmap(begun, sizeof *begun);
    begun = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mutants, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_overtaken_decoder, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_wav_that_hangs, scratch_setup, scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
