/* SPDX-License-Identifier: MIT */
#include "common/base/file.h"
#include "common/base/parallel.h"
#include "tests/support/check.h"
#include "tests/support/drawn_dataset.h"
#include "tests/support/runs.h"
#include "tests/support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Training that is interrupted, damaged or repeated. Every method runs with its unimodal runs. */

static const char *const result_files[] = {"last.safetensors", "best.safetensors", "metrics.jsonl",
                                           "epochs.csv",       "run.json",         NULL};

struct place {
    char *root, *data, *preset, *a, *b;
};

static struct place place_with(void **state, int nan_clip)
{
    struct drawn_options o = drawn_options_default;
    struct err e = {0};
    struct place p = {
        .root = scratch_path(*state, "drawn"),
        .data = scratch_path(*state, "drawn/data"),
        .preset = scratch_path(*state, "tiny.conf"),
        .a = scratch_path(*state, "a"),
        .b = scratch_path(*state, "b"),
    };

    o.clips[0] = 12;
    o.nan_clip = nan_clip;
    ASSERT_OK(drawn_dataset_make(p.root, &o, &e), e);
    ASSERT_OK(runs_write_preset(p.preset, SOURCE_DIR, &e), e);
    return p;
}

static struct place place_new(void **state)
{
    return place_with(state, -1);
}

static void place_free(struct place *p)
{
    free(p->root);
    free(p->data);
    free(p->preset);
    free(p->a);
    free(p->b);
}

/* Runs to the end in calls of `steps` steps each; returns how many calls it took. */
static int run_in_pieces(struct train_options *o, int64_t steps)
{
    for (int calls = 1;; calls++) {
        struct err e = {0};

        assert_true(calls < 100);
        o->max_steps = steps;
        o->resume = true;
        if (train_run(o, &e) == ERR_OK)
            return calls;
        if (e.code != ERR_STOPPED)
            fail_msg("call %d: %d: %s", calls, e.code, e.text);
        assert_non_null(strstr(e.text, "--resume"));
    }
}

/* A run stopped after every step, or every few, gives the bytes of an uninterrupted one, through
 * pretraining and whatever the number of threads. */
static void test_every_step(void **state)
{
    static const int64_t pieces[] = {1, 5};
    struct place p = place_new(state);
    struct err e = {0};
    struct train_options o = runs_train_options(p.data, p.preset, "synib", p.a);
    char *pre_a, *pre_b;

    ASSERT_OK(train_run(&o, &e), e);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        int64_t steps = pieces[i];
        struct err none = {0};
        char name[16], *dir;
        int calls;

        snprintf(name, sizeof name, "pieces%d", (int)steps);
        dir = scratch_path(*state, name);
        o = runs_train_options(p.data, p.preset, "synib", dir);
        o.cli.jobs = 1 + (int)(steps % 3);
        calls = run_in_pieces(&o, steps);
        /* 3 runs of 2 epochs of 3 steps */
        assert_in_range(calls, (18 + steps - 1) / steps, 18 / steps + 2);
        assert_same_files(p.a, dir, result_files);
        pre_a = scratch_path(*state, "a/pretrain/uni-video");
        ASSERT_OK(path_join(&pre_b, dir, "pretrain/uni-video", &none), none);
        assert_same_files(pre_a, pre_b, result_files);
        free(pre_a);
        free(pre_b);
        free(dir);
    }
    place_free(&p);
}

/* Same bytes at 1 and 2 threads, for every method; and checkpoints within an epoch change nothing.
 */
static void test_threads(void **state)
{
    struct place p = place_new(state);

    for (int m = 0; methods[m] != NULL; m++) {
        char *dir[2];

        for (int i = 0; i < 2; i++) {
            struct train_options o;
            struct err e = {0};
            char name[64];

            snprintf(name, sizeof name, "jobs%d/%s", i + 1, methods[m]->name);
            dir[i] = scratch_path(*state, name);
            o = runs_train_options(p.data, p.preset, methods[m]->name, dir[i]);
            o.cli.jobs = i + 1;
            if (i == 1)
                o.set[0] = "checkpoint.steps=1";
            ASSERT_OK(train_run(&o, &e), e);
        }
        assert_same_files(dir[0], dir[1], result_files);
        for (int i = 0; i < 2; i++)
            free(dir[i]);
    }
    place_free(&p);
}

/* A finished run is left alone; an unfinished one wants --resume or --force; other settings, seeds
 * or data are refused with the keys that differ. */
static void test_rerun(void **state)
{
    struct place p = place_new(state);
    struct train_options o = runs_train_options(p.data, p.preset, "uni-audio", p.a);
    struct err e = {0};
    struct stat before, after;
    char *last = scratch_path(*state, "a/last.safetensors");

    o.max_steps = 2;
    ASSERT_FAILS(train_run(&o, &e), e, ERR_STOPPED, "stopped after step 2: go on with --resume");
    o.max_steps = -1;
    ASSERT_FAILS(train_run(&o, &e), e, ERR_EXISTS, "--resume or start over with --force");
    o.resume = true;
    o.cli.seed = 4;
    ASSERT_FAILS(train_run(&o, &e), e, ERR_DATA, "seed differs: recorded '3', now '4'");
    o.cli.seed = 3;
    o.set[0] = "pretrain.audio.lr=0.5";
    ASSERT_FAILS(train_run(&o, &e), e, ERR_DATA, "pretrain.audio.lr differs");
    o.set[0] = "pretrain.video.lr=0.5"; /* of no importance to audio */
    ASSERT_OK(train_run(&o, &e), e);
    o.resume = false;
    assert_int_equal(stat(last, &before), 0);
    ASSERT_OK(train_run(&o, &e), e);
    assert_int_equal(stat(last, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    o.method = "uni-video";
    ASSERT_FAILS(train_run(&o, &e), e, ERR_DATA, "method differs");
    o.method = "uni-audio";
    o.cli.force = true;
    ASSERT_OK(train_run(&o, &e), e);
    assert_int_equal(stat(last, &after), 0);
    assert_int_not_equal(before.st_ino, after.st_ino);
    free(last);
    place_free(&p);
}

static void flip_byte(const char *path, long at)
{
    FILE *f = fopen(path, "r+b");
    int c;

    assert_non_null(f);
    assert_int_equal(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    c = fgetc(f);
    assert_int_equal(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    fputc(c ^ 1, f);
    assert_int_equal(fclose(f), 0);
}

static bool is_damage(enum err_code code)
{
    return err_exit_status(code) == 4;
}

/* One flipped bit in a checkpoint or log is found before training goes on. */
static void test_damage(void **state)
{
    static const char *const files[] = {"b/last.safetensors", "b/metrics.jsonl", "b/epochs.csv"};
    struct place p = place_new(state);
    struct train_options o = runs_train_options(p.data, p.preset, "uni-audio", p.b);
    char *prev = scratch_path(*state, "b/prev.safetensors");
    struct err e = {0};

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *path = scratch_path(*state, files[i]);

        o.cli.force = true;
        o.resume = false;
        o.max_steps = 4;
        assert_int_equal(train_run(&o, &e), ERR_STOPPED);
        err_clear(&e);
        o.cli.force = false;
        o.resume = true;
        (void)unlink(
            prev); /* with it a damaged last checkpoint is no end: test_corruption_runs.c */
        for (long at = 20; at < (i == 0 ? 2000000 : 21); at = at * 3 + 7) {
            struct stat st;

            assert_int_equal(stat(path, &st), 0);
            if (at >= st.st_size)
                break;
            flip_byte(path, at);
            if (!is_damage(train_run(&o, &e)))
                fail_msg("%s: byte %ld: %d: %s", path, at, e.code, e.text);
            assert_non_null(strstr(e.text, path));
            err_clear(&e);
            flip_byte(path, at);
        }
        free(path);
    }
    o.max_steps = -1;
    ASSERT_OK(train_run(&o, &e), e); /* all flips are undone: it goes on */
    free(prev);
    place_free(&p);
}

/* A run, finished or not, whose best checkpoint is damaged or gone is neither called done nor
 * continued. */
static void test_best_lost(void **state)
{
    struct place p = place_new(state);
    struct train_options o = runs_train_options(p.data, p.preset, "uni-audio", p.a);
    char *best = scratch_path(*state, "a/best.safetensors");
    struct err e = {0};

    for (int finished = 0; finished < 2; finished++) {
        struct stat st;

        o.cli.force = true;
        o.resume = false;
        o.set[0] = finished ? NULL : "pretrain.epochs=30";
        o.max_steps = finished ? -1 : 4;
        assert_int_equal(train_run(&o, &e), finished ? ERR_OK : ERR_STOPPED);
        err_clear(&e);
        o.cli.force = false;
        o.resume = !finished;
        assert_int_equal(stat(best, &st), 0);
        flip_byte(best, st.st_size / 2);
        assert_true(is_damage(train_run(&o, &e)));
        assert_non_null(strstr(e.text, "start over with --force"));
        assert_non_null(strstr(e.text, best));
        err_clear(&e);
        assert_int_equal(unlink(best), 0);
        ASSERT_FAILS(train_run(&o, &e), e, ERR_IO, "missing or damaged");
    }
    free(best);
    place_free(&p);
}

/* A flipped bit in the data is found too; the message names the shard. */
static void test_damaged_data(void **state)
{
    struct place p = place_new(state);
    struct train_options o = runs_train_options(p.data, p.preset, "uni-video", p.b);
    char *folder = scratch_path(*state, "drawn/video"), *shard = NULL;
    struct name_list names = {0};
    struct err e = {0};

    ASSERT_OK(dir_list(&names, folder, ".safetensors", &e), e);
    assert_int_equal(names.count, 1);
    ASSERT_OK(path_join(&shard, folder, names.name[0], &e), e);
    flip_byte(shard, 20000);
    if (!is_damage(train_run(&o, &e)))
        fail_msg("%d: %s", e.code, e.text);
    if (strstr(e.text, names.name[0]) == NULL || strstr(e.text, "_DFA_") == NULL)
        fail_msg("%s", e.text);
    name_list_free(&names);
    free(folder);
    free(shard);
    place_free(&p);
}

/* A value that is not finite stops the run before it reaches the weights: epoch, step and clips are
 * named, and the checkpoint of the step before stays. */
static void test_nonfinite(void **state)
{
    struct place p = place_with(state, 3);
    struct train_options o = runs_train_options(p.data, p.preset, "uni-audio", p.a);
    char *last = scratch_path(*state, "a/last.safetensors");
    struct run_state before = {0}, after = {0};
    struct tensorfile *f = NULL;
    struct err e = {0};

    o.set[0] = "checkpoint.steps=1";
    o.max_steps = 0;
    ASSERT_FAILS(train_run(&o, &e), e, ERR_STOPPED, "stopped after step 0");
    ASSERT_OK(checkpoint_open(&f, last, &e), e);
    ASSERT_OK(checkpoint_state(f, &before, &e), e);
    tensorfile_close(f);
    o.max_steps = -1;
    o.resume = true;
    assert_int_equal(train_run(&o, &e), ERR_NONFINITE);
    assert_int_equal(err_exit_status(e.code), 1);
    assert_non_null(strstr(e.text, "epoch 1, step "));
    if (strstr(e.text, "1001_DFA_HAP_XX<-1001_DFA_FEA_XX") == NULL)
        fail_msg("%s", e.text);
    err_clear(&e);
    ASSERT_OK(checkpoint_open(&f, last, &e), e);
    ASSERT_OK(checkpoint_state(f, &after, &e), e);
    tensorfile_close(f);
    assert_in_range(after.step, before.step, 2);
    free(last);
    place_free(&p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_step, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_threads, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_rerun, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_damage, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_best_lost, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_damaged_data, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_nonfinite, scratch_setup, scratch_teardown),
    };

    (void)argc;
    parallel_sleep_when_idle(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
