/* SPDX-License-Identifier: MIT */
/* Training runs: whatever is changed in a checkpoint, a log or run.json is found before training,
 * measuring or reporting uses it, and nothing is written then. Full strength:
 * nice build/bin/test_corruption_runs --full */
#include "common/base/file.h"
#include "common/base/parallel.h"
#include "prep/xor.h"
#include "tests/support/check.h"
#include "tests/support/damage.h"
#include "tests/support/runs.h"
#include "tests/support/scratch.h"
#include "train/checkpoint.h"
#include "train/eval.h"
#include "train/report/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct strength strength;

/* ---- a run on vectors ---- */

struct place {
    char *data, *other; /* datasets */
    char *run;
};

static void write_data(const char *dir, uint64_t seed)
{
    struct xor_tool_options o = {
        .cli = {.log = {.tool = "test", .level = LOG_QUIET}, .jobs = 1},
        .output = dir,
        .task = XOR_PID,
        .data = xor_defaults(XOR_PID),
    };
    struct err e = {0};

    o.data.seed = seed;
    o.data.count[XOR_TRAIN] = 24;
    o.data.count[XOR_VAL] = o.data.count[XOR_TEST] = 12;
    ASSERT_OK(xor_tool_run(&o, &e), e);
}

static struct train_options options_of(const struct place *p)
{
    static const char *const set[] = {"model.encoder_width=6",
                                      "model.head_width=4",
                                      "model.trunk=4",
                                      "optim.batch=8",
                                      "optim.epochs=4",
                                      "checkpoint.epochs=1",
                                      "diag.ntk=2",
                                      "model.trunk_depth=1",
                                      NULL};
    struct train_options o = runs_train_options(
        p->data, SOURCE_DIR "/manifests/presets/xor-pid.conf", "vanilla", p->run);

    for (int i = 0; set[i] != NULL; i++)
        o.set[i] = set[i];
    return o;
}

/* Stopped in its second epoch, so that there is everything to go on from, or finished. */
static struct place place_new(void *const *state, bool finished)
{
    struct place p = {
        .data = scratch_path(*state, "data"),
        .other = scratch_path(*state, "dat1"),
        .run = scratch_path(*state, "run"),
    };
    struct train_options o = options_of(&p);
    struct err e = {0};

    write_data(p.data, 5);
    o.max_steps = finished ? -1 : 5;
    assert_int_equal(train_run(&o, &e), finished ? ERR_OK : ERR_STOPPED);
    return p;
}

static void place_free(struct place *p)
{
    free(p->data);
    free(p->other);
    free(p->run);
}

/* Names, inodes, lengths and times of a folder's files: differs once a file was replaced, added,
 * removed or written to. */
static char *listing(const char *dir)
{
    struct name_list names = {0};
    struct err e = {0};
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    assert_non_null(f);
    ASSERT_OK(dir_list(&names, dir, "", &e), e);
    for (size_t i = 0; i < names.count; i++) {
        char *path = scratch_path(dir, names.name[i]);
        struct stat st;

        assert_int_equal(stat(path, &st), 0);
        fprintf(f, "%s %lu %lld", names.name[i], (unsigned long)st.st_ino, (long long)st.st_size);
        fprintf(f, " %lld.%09ld\n", (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
        free(path);
    }
    name_list_free(&names);
    assert_int_equal(fclose(f), 0);
    return text;
}

/* ---- checkpoints, as whoever opens one ---- */

struct opened {
    uint8_t *good; /* all tensors' bytes */
    size_t bytes;
    struct run_state state;
};

static enum err_code read_checkpoint(void *ctx, const struct damage_victim *v,
                                     struct damage_seen *seen, struct err *e)
{
    struct opened *o = ctx;
    struct tensorfile *f = NULL;
    struct run_state state = {0};
    size_t at = 0;

    TRY(checkpoint_open(&f, v->path, e));
    seen->opened = true;
    TRY(checkpoint_state(f, &state, e));
    for (int i = 0; i < tensorfile_count(f); i++) {
        size_t n = tensorfile_info(f, i)->bytes;

        seen->wrong |= at + n > o->bytes || memcmp(tensorfile_data(f, i), o->good + at, n) != 0;
        at += n;
    }
    seen->wrong |= at != o->bytes || memcmp(&state, &o->state, sizeof state) != 0;
out:
    tensorfile_close(f);
    return e->code;
}

static void remember(struct opened *o, const char *path)
{
    struct tensorfile *f = NULL;
    struct err e = {0};
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    *o = (struct opened){.good = malloc((size_t)st.st_size)};
    assert_non_null(o->good);
    ASSERT_OK(checkpoint_open(&f, path, &e), e);
    ASSERT_OK(checkpoint_state(f, &o->state, &e), e);
    for (int i = 0; i < tensorfile_count(f); i++) {
        memcpy(o->good + o->bytes, tensorfile_data(f, i), tensorfile_info(f, i)->bytes);
        o->bytes += tensorfile_info(f, i)->bytes;
    }
    tensorfile_close(f);
}

static void test_checkpoint(void **state)
{
    struct rng r = rng_at(strength.seed, rng_stream("test.corruption.checkpoint"), 0, 0);
    struct place p = place_new(state, false);
    char *path = scratch_path(p.run, run_last_name);
    struct damage_victim v;
    struct opened o;

    remember(&o, path);
    damage_open(&v, path);
    v.read = read_checkpoint;
    v.ctx = &o;
    damage_try_good(&v);
    damage_bytes(&v, 0, strength.full ? 1 : 31, strength.full ? 255 : 2);
    damage_random(&v, &r, strength.full ? 20000 : 300);
    damage_blocks(&v, &r, strength.full ? 20000 : 300);
    damage_cuts(&v, strength.full ? 1 : 97);
    damage_appends(&v, &r, strength.full ? 7 : 511);
    damage_report(&v, "checkpoint");
    damage_close(&v);
    free(o.good);
    free(path);
    place_free(&p);
}

/* ---- going on with a damaged run ---- */

static enum err_code resume(void *ctx, const struct damage_victim *v, struct damage_seen *seen,
                            struct err *e)
{
    const struct place *p = ctx;
    struct train_options o = options_of(p);
    char *before = listing(p->run), *after;

    (void)v;
    o.resume = true;
    o.max_steps = 0;
    if (train_run(&o, e) == ERR_STOPPED)
        err_clear(e); /* it would go on */
    after = listing(p->run);
    seen->wrong = e->code != ERR_OK && strcmp(before, after) != 0; /* refused, yet it has written */
    free(before);
    free(after);
    return e->code;
}

static void test_resume(void **state)
{
    static const char *const files[] = {"last.safetensors", "best.safetensors", "metrics.jsonl",
                                        "epochs.csv", "ntk.csv"};
    struct rng r = rng_at(strength.seed, rng_stream("test.corruption.resume"), 0, 0);
    struct place p = place_new(state, false);
    struct err e = {0};

    ASSERT_OK(run_remove(p.run, run_prev_name, &e), e); /* test_falls_back is with it */
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *path = scratch_path(p.run, files[i]);
        bool checkpoint = i < 2;
        struct damage_victim v;

        damage_open(&v, path);
        v.read = resume;
        v.ctx = &p;
        damage_bytes(&v, i, strength.full ? (checkpoint ? 7 : 1) : v.len / 9,
                     strength.full ? 3 : 1);
        damage_random(&v, &r, strength.full ? 1000 : 8);
        damage_cuts(&v, strength.full ? (checkpoint ? 101 : 7) : v.len / 5);
        if (checkpoint) /* what a log has behind the length in the checkpoint is cut off */
            damage_appends(&v, &r, strength.full ? 63 : 2500);
        damage_report(&v, files[i]);
        damage_close(&v);
        free(path);
    }
    {
        struct train_options o = options_of(&p); /* all damage is undone */

        o.resume = true;
        ASSERT_OK(train_run(&o, &e), e);
    }
    place_free(&p);
}

/* ---- the checkpoint before ---- */

static const char *const result_files[] = {"last.safetensors", "best.safetensors", "metrics.jsonl",
                                           "epochs.csv",       "ntk.csv",          NULL};

/* Changes one byte, or cuts the file there. */
static void hurt(const char *path, struct rng *r, bool cut)
{
    struct damage_victim v;

    damage_open(&v, path);
    v.from = rng_below(r, (uint32_t)v.len);
    if (cut)
        assert_int_equal(ftruncate(v.fd, (off_t)v.from), 0);
    else
        v.map[v.from] ^= (uint8_t)(1 + rng_below(r, 255));
    damage_close(&v);
}

/* A stopped run whose last checkpoint is damaged goes on from the one before and ends in the bytes
 * of an undisturbed run; with both damaged it stops where it is. */
static void test_falls_back(void **state)
{
    struct rng r = rng_at(strength.seed, rng_stream("test.corruption.prev"), 0, 0);
    struct place p = place_new(state, false);
    char *stopped = scratch_path(*state, "stopped"), *whole = scratch_path(*state, "whole"),
         *last = scratch_path(p.run, run_last_name), *prev = scratch_path(p.run, run_prev_name);
    struct train_options o = options_of(&p);
    int times = strength.full ? 400 : 6;
    struct err e = {0};

    scratch_copy(p.run, stopped);
    o.resume = true;
    ASSERT_OK(train_run(&o, &e), e);
    assert_false(run_has(p.run, run_prev_name)); /* a finished run needs none */
    scratch_copy(p.run, whole);
    for (int i = 0; i < times; i++) {
        scratch_copy(stopped, p.run);
        hurt(last, &r, i % 2 == 1);
        if (i % 3 == 2) { /* stopped once more: then there are two again */
            o.max_steps = 1;
            ASSERT_FAILS(train_run(&o, &e), e, ERR_STOPPED, "--resume");
            hurt(last, &r, false);
        }
        o.max_steps = -1;
        ASSERT_OK(train_run(&o, &e), e);
        assert_same_files(whole, p.run, result_files);
        assert_false(run_has(p.run, run_prev_name));
        scratch_copy(stopped, p.run);
        hurt(last, &r, i % 2 == 0);
        hurt(prev, &r, i % 4 == 0);
        if (err_exit_status(train_run(&o, &e)) != 4 || strstr(e.text, last) == NULL)
            fail_msg("both damaged: %d: %s", e.code, e.text);
        err_clear(&e);
    }
    printf("%d runs with a damaged last checkpoint went on from the one before, %d with both "
           "damaged stopped\n",
           times, times);
    free(stopped);
    free(whole);
    free(last);
    free(prev);
    place_free(&p);
}

/* ---- measuring and reporting ---- */

static enum err_code report(void *ctx, const struct damage_victim *v, struct damage_seen *seen,
                            struct err *e)
{
    const struct place *p = ctx;
    struct report_run r = {.path = strdup(p->run)};

    (void)v;
    assert_non_null(r.path);
    seen->opened = true;
    if (report_run_identify(&r, e) == ERR_OK)
        seen->wrong = r.points != 4 || r.epochs != 4;
    report_run_free(&r);
    return e->code;
}

/* The curves of a report are those that the run wrote. */
static void test_report(void **state)
{
    struct rng r = rng_at(strength.seed, rng_stream("test.corruption.report"), 0, 0);
    struct place p = place_new(state, true);
    char *path = scratch_path(p.run, "epochs.csv");
    struct damage_victim v;

    damage_open(&v, path);
    v.read = report;
    v.ctx = &p;
    damage_try_good(&v);
    damage_bytes(&v, 0, strength.full ? 1 : 7, strength.full ? 255 : 3);
    damage_random(&v, &r, strength.full ? 5000 : 100);
    damage_cuts(&v, strength.full ? 1 : 7);
    damage_report(&v, "epochs.csv, by a report");
    damage_close(&v);
    free(path);
    place_free(&p);
}

struct measuring {
    const struct place *place;
    char *out;
    struct file_view good; /* metrics.json of the undamaged run */
};

/* run.json holds paths. One that is damaged leads nowhere, or to the same place by another
 * spelling, or to data that the run was not trained on: never to another result. */
static enum err_code measure(void *ctx, const struct damage_victim *v, struct damage_seen *seen,
                             struct err *e)
{
    struct measuring *m = ctx;
    struct eval_options o = {
        .cli = {.log = {.tool = "test", .level = LOG_QUIET}, .jobs = 1, .force = true},
        .run = m->place->run,
        .split = "test",
        .out = m->out,
    };
    char *path = scratch_path(m->out, "metrics.json");
    struct file_view now = {0};

    (void)v;
    TRY(eval_run(&o, e));
    seen->opened = true;
    TRY(file_read(&now, path, 1 << 20, e));
    if (m->good.data == NULL)
        m->good = now;
    else
        seen->wrong = now.len != m->good.len || memcmp(now.data, m->good.data, now.len) != 0;
    if (now.data != m->good.data)
        file_view_free(&now);
out:
    free(path);
    return e->code;
}

static void test_run_json(void **state)
{
    struct place p = place_new(state, true);
    struct measuring m = {.place = &p, .out = scratch_path(*state, "out")};
    char *path = scratch_path(p.run, "run.json");
    int refused = 0, same = 0, other = 0;
    struct damage_victim v;

    write_data(p.other, 6); /* one letter beside the run's own */
    damage_open(&v, path);
    v.read = measure;
    v.ctx = &m;
    damage_try_good(&v);
    for (size_t i = 0; i < v.len; i++) {
        int stride = strength.full ? 1 : 37;

        for (int change = 1 + (int)i % stride; change < 256; change += stride) {
            struct damage_seen seen = {0};
            struct err e = {0};

            v.map[i] = v.good[i] ^ (uint8_t)change;
            if (measure(&m, &v, &seen, &e) == ERR_OK)
                same++;
            else
                refused++;
            if (seen.wrong)
                fail_msg("byte %zu changed by xor %d: another result", i, change);
            other += strstr(e.text, "is not the dataset that it was trained on") != NULL;
        }
        v.map[i] = v.good[i];
    }
    {
        char *at = strstr((char *)v.map, "/data");
        struct damage_seen seen = {0};
        struct err e = {0};

        assert_non_null(at);
        at[4] = '1';
        ASSERT_FAILS(measure(&m, &v, &seen, &e), e, ERR_DATA,
                     "which is not the dataset that it was trained on");
        at[4] = 'a';
    }
    printf("run.json: %d refused, %d of them for other data, %d with the same result\n", refused,
           other, same);
    assert_true(refused > same);
    damage_close(&v);
    file_view_free(&m.good);
    free(m.out);
    free(path);
    place_free(&p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
        IN_SCRATCH(test_checkpoint), IN_SCRATCH(test_resume),   IN_SCRATCH(test_falls_back),
        IN_SCRATCH(test_report),     IN_SCRATCH(test_run_json),
    };

    parallel_sleep_when_idle(argv);
    strength = strength_parse(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
