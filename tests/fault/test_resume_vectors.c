/* SPDX-License-Identifier: MIT */
#include "common/base/file.h"
#include "common/base/parallel.h"
#include "common/data/xor.h"
#include "tests/support/check.h"
#include "tests/support/runs.h"
#include "tests/support/scratch.h"
#include "tests/support/step_rig.h"
#include "train/train.h"
#include "train/trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Training on vectors that is interrupted, on any number of threads or in memory; and sets that
 * cannot be trained on. tests/fault/test_resume.c is the same for pictures and sound. */

enum { TRAIN = 20, VAL = 12, BATCH = 8, EPOCHS = 3, STEPS = 9, MAX_SETS = 8 };

static const struct log quiet = {.tool = "test", .level = LOG_QUIET};

static const struct task_case {
    const char *method, *mask, *set;
} CASES[] = {
    {"vanilla", NULL, NULL},
    {"synib", "random", NULL},
    {"synib", "learned", "mask.steps=3"},
    {"synib", "learned-mlp", NULL},
    {"synib", "oracle", NULL},
    {"synib", "random", "mask.fill=ema"},
    {"synib", "random", "synib.warmup_epochs=3"},
    {"masking-only", "random", NULL},
    {"masking-only", "oracle", NULL},
    {"dnr", NULL, "dnr.every=1"},
    {"mmpareto", NULL, NULL},
    {"reconboost", NULL, "reconboost.epochs=1"},
    {"mcr", NULL, "mcr.permutations=2"},
};
enum { N_CASES = sizeof CASES / sizeof CASES[0] };

/* What is recorded, and when it is saved. Counted epochs and measured ones stop differently. */
static const char *const RECORDS[][MAX_SETS] = {
    {"diag.ntk=1", "diag.train_pass=true", "select.metric=synergy-accuracy", "checkpoint.epochs=0"},
    {"diag.ntk=2", "diag.train_pass=false", "select.metric=synergy-accuracy",
     "checkpoint.epochs=1"},
};
enum { N_RECORDS = sizeof RECORDS / sizeof RECORDS[0] };

static const char *const result_files[] = {"last.safetensors", "best.safetensors", "metrics.jsonl",
                                           "epochs.csv",       "ntk.csv",          NULL};

/* ---- runs ---- */

struct place {
    struct data *data[XOR_SPLITS];
};

static struct place place_new(int64_t train)
{
    struct place p = {0};
    struct vectors v[XOR_SPLITS];
    struct xor_options o = xor_defaults(XOR_PID);
    struct err e = {0};

    o.seed = 4;
    o.count[XOR_TRAIN] = train;
    o.count[XOR_VAL] = VAL;
    o.count[XOR_TEST] = 1;
    ASSERT_OK(xor_make(v, &o, &e), e);
    for (int s = 0; s < XOR_SPLITS; s++)
        ASSERT_OK(data_of_vectors(&p.data[s], &v[s], &e), e);
    return p;
}

static void place_free(struct place *p)
{
    for (int s = 0; s < XOR_SPLITS; s++)
        data_close(p->data[s]);
}

static void set_all(struct config *c, const char *const *set)
{
    struct err e = {0};

    for (int i = 0; set[i] != NULL; i++)
        ASSERT_OK(config_set(c, set[i], &e), e);
    ASSERT_OK(config_check(c, &e), e);
}

static struct trainer_options options_of(const struct place *p, const struct task_case *t,
                                         const char *const *records)
{
    static const struct run_places places;
    struct trainer_options o = {.seed = 3,
                                .jobs = 1,
                                .train = p->data[XOR_TRAIN],
                                .val = p->data[XOR_VAL],
                                .places = &places,
                                .log = &quiet};
    struct err e = {0};

    ASSERT_OK(method_find(&o.method, t->method, &e), e);
    rig_config(&o.config, "xor-pid", t->method, t->mask);
    rig_shrink(&o.config);
    o.config.batch = BATCH;
    o.config.epochs = EPOCHS;
    o.config.lr = 0.01;
    o.config.dropout = 0.2;
    set_all(&o.config, (const char *const[]){t->set, NULL});
    set_all(&o.config, records);
    return o;
}

static char *new_folder(void *const *state, const char *name)
{
    char *dir = scratch_path(*state, name);
    struct err e = {0};

    ASSERT_OK(dir_make(dir, &e), e);
    return dir;
}

/* A run of its own without any disturbance; its folder. */
static char *run_whole(void *const *state, const char *name, struct trainer_options o)
{
    char *dir = new_folder(state, name);
    struct run_summary s;
    struct err e = {0};

    o.dir = dir;
    ASSERT_OK(trainer_run(&o, &s, &e), e);
    assert_true(s.state.done && !s.was_done && s.state.step > 0);
    return dir;
}

/* One call of at most `steps` steps; true when the run is over. */
static bool run_piece(struct trainer_options *o, int64_t steps)
{
    struct run_summary s;
    struct err e = {0};

    o->resume = true;
    o->steps_left = &steps;
    if (trainer_run(o, &s, &e) == ERR_OK)
        return true;
    if (e.code != ERR_STOPPED)
        fail_msg("%s: %d: %s", o->dir, e.code, e.text);
    assert_int_equal(steps, 0);
    return false;
}

/* ---- interruptions ---- */

/* Stopped after every step; the number of threads changes from piece to piece. */
static void test_every_step(void **state)
{
    struct place p = place_new(TRAIN);

    for (int i = 0; i < N_CASES; i++) {
        struct trainer_options o = options_of(&p, &CASES[i], RECORDS[i % N_RECORDS]);
        char name[32], *whole, *pieces;
        int calls = 0;

        snprintf(name, sizeof name, "whole%d", i);
        whole = run_whole(state, name, o);
        snprintf(name, sizeof name, "pieces%d", i);
        pieces = new_folder(state, name);
        o.dir = pieces;
        do
            o.jobs = 1 + calls % 3;
        while (calls++ < 2 * STEPS && !run_piece(&o, 1));
        assert_int_equal(calls, STEPS + 1);
        assert_same_files(whole, pieces, result_files);
        free(whole);
        free(pieces);
    }
    place_free(&p);
}

/* What a process that was killed after its last checkpoint leaves in the logs. */
static void append_to_logs(const char *dir)
{
    static const char *const logs[] = {"metrics.jsonl", "epochs.csv", "ntk.csv"};

    for (int i = 0; i < 3; i++) {
        struct err e = {0};
        char *path = NULL;
        FILE *f;

        ASSERT_OK(path_join(&path, dir, logs[i], &e), e);
        f = fopen(path, "ab");
        assert_non_null(f);
        assert_true(fputs("one line\nand a ha", f) >= 0);
        assert_int_equal(fclose(f), 0);
        free(path);
    }
}

/* Stopped once, after any step, where checkpoints are written at the end only: the best epoch so
 * far was in memory alone. What the logs hold beyond the checkpoint is cut off. */
static void test_any_step(void **state)
{
    struct place p = place_new(TRAIN);
    struct trainer_options o = options_of(&p, &CASES[5], RECORDS[0]);
    char *whole = run_whole(state, "whole", o);

    assert_int_equal(o.config.checkpoint_epochs, 0);
    for (int64_t k = 0; k <= STEPS; k++) {
        char name[32], *dir;

        snprintf(name, sizeof name, "at%d", (int)k);
        dir = new_folder(state, name);
        o.dir = dir;
        assert_false(run_piece(&o, k));
        append_to_logs(dir);
        assert_true(run_piece(&o, 2 * STEPS));
        assert_same_files(whole, dir, result_files);
        free(dir);
    }
    free(whole);
    place_free(&p);
}

/* How often checkpoints are written, and on how many threads, leaves no trace. The model is wide
 * enough that its products are cut into pieces. */
static void test_threads_and_saving(void **state)
{
    static const struct {
        int jobs;
        const char *const set[3];
    } ways[] = {
        {1, {"checkpoint.epochs=0"}},
        {2, {"checkpoint.epochs=1"}},
        {4, {"checkpoint.epochs=2", "checkpoint.steps=3"}},
    };
    struct place p = place_new(120);

    for (int i = 0; i < N_CASES; i++) {
        char name[32], *dir[3];

        for (int w = 0; w < 3; w++) {
            struct trainer_options o = options_of(&p, &CASES[i], RECORDS[i % N_RECORDS]);

            o.jobs = ways[w].jobs;
            o.config.batch = 64;
            o.config.epochs = 2;
            o.config.encoder_width = 256;
            o.config.trunk = 128;
            o.config.mask_width = 256;
            set_all(&o.config, ways[w].set);
            snprintf(name, sizeof name, "case%d-way%d", i, w);
            dir[w] = run_whole(state, name, o);
        }
        assert_same_files(dir[0], dir[1], result_files);
        assert_same_files(dir[0], dir[2], result_files);
        for (int w = 0; w < 3; w++)
            free(dir[w]);
    }
    place_free(&p);
}

/* ---- in memory ---- */

static void assert_same_text(const char *dir, const char *name, const char *text)
{
    struct file_view view = {0};
    char *path = NULL;
    struct err e = {0};

    ASSERT_OK(path_join(&path, dir, name, &e), e);
    ASSERT_OK(file_map(&view, path, &e), e);
    if (view.len != strlen(text) || memcmp(view.data, text, view.len) != 0)
        fail_msg("%s: the run in memory says\n%s", path, text);
    file_view_free(&view);
    free(path);
}

/* Values, buffers and counters of the network, bit by bit; and where the run stands. */
static void assert_same_weights(const char *dir, const char *name, struct trainer *t)
{
    const struct params *ps = trainer_network(t)->params;
    struct tensorfile *f = NULL;
    char *path = NULL;
    struct err e = {0};

    ASSERT_OK(path_join(&path, dir, name, &e), e);
    ASSERT_OK(checkpoint_open(&f, path, &e), e);
    assert_true(params_count(ps) > 10);
    for (int i = 0; i < params_count(ps); i++) {
        const struct param *p = params_at(ps, i);
        bool counts = p->kind == PARAM_COUNTER;
        size_t bytes = counts ? sizeof p->counter : (size_t)p->count * sizeof *p->data;
        int at = tensorfile_find(f, p->name);

        assert_true(at >= 0 && tensorfile_info(f, at)->bytes == bytes);
        if (memcmp(tensorfile_data(f, at), counts ? (const void *)&p->counter : p->data, bytes) !=
            0)
            fail_msg("%s: %s differs from the run in memory", path, p->name);
    }
    tensorfile_close(f);
    free(path);
}

static void assert_same_state(const char *dir, const struct run_state *memory)
{
    struct tensorfile *f = NULL;
    struct run_state disk = {0};
    char *path = NULL;
    struct err e = {0};

    ASSERT_OK(path_join(&path, dir, run_last_name, &e), e);
    ASSERT_OK(checkpoint_open(&f, path, &e), e);
    ASSERT_OK(checkpoint_state(f, &disk, &e), e);
    disk.metrics_bytes = disk.metrics_crc = disk.epochs_bytes = disk.epochs_crc = 0;
    disk.ntk_bytes = disk.ntk_crc = 0;
    assert_memory_equal(&disk, memory, sizeof disk);
    tensorfile_close(f);
    free(path);
}

/* A run without a folder: the same tables, state, last weights and best weights. */
static void test_in_memory(void **state)
{
    struct place p = place_new(TRAIN);
    int best_is_not_last = 0;

    for (int i = 0; i < N_CASES * N_RECORDS; i++) {
        struct trainer_options o = options_of(&p, &CASES[i % N_CASES], RECORDS[i / N_CASES]);
        struct trainer *t = NULL;
        char name[32], *dir;
        struct err e = {0};

        snprintf(name, sizeof name, "folder%d", i);
        dir = run_whole(state, name, o);
        o.jobs = 2;
        ASSERT_OK(trainer_open(&t, &o, &e), e);
        ASSERT_OK(trainer_train(t, &e), e);
        assert_same_text(dir, "epochs.csv", trainer_epochs_csv(t));
        assert_same_text(dir, "ntk.csv", trainer_ntk_csv(t));
        assert_same_state(dir, trainer_state(t));
        assert_same_weights(dir, run_last_name, t);
        trainer_use_best(t);
        assert_same_weights(dir, run_best_name, t);
        best_is_not_last += trainer_state(t)->best_epoch != EPOCHS;
        trainer_close(t);
        free(dir);
    }
    assert_true(best_is_not_last > 0);
    place_free(&p);
}

/* ---- sets that cannot be trained on ---- */

static enum err_code put_meta(void *w, const char *key, const char *value, struct err *e)
{
    return shard_writer_meta(w, key, value, e);
}

/* DIR/SPLIT of a small pid task without oracle, or with a field (NULL: none) one value short. */
static void write_split(const char *root, int split, bool oracle, const char *shorter)
{
    const struct shard_options opt = {.prefix = "vectors"};
    struct xor_options o = xor_defaults(XOR_PID);
    struct shard_field field[SHARD_MAX_FIELDS];
    struct vectors v[XOR_SPLITS], *one = &v[split];
    struct shard_writer *w = NULL;
    char *dir = NULL;
    struct err e = {0};
    int n;

    o.count[XOR_TRAIN] = TRAIN;
    o.count[XOR_VAL] = o.count[XOR_TEST] = VAL;
    ASSERT_OK(xor_make(v, &o, &e), e);
    for (int m = 0; m < one->modalities && !oracle; m++) {
        free(one->modality[m].oracle);
        free(one->modality[m].block);
        one->modality[m].oracle = one->modality[m].block = NULL;
    }
    n = vectors_fields(one, field);
    for (int f = 0; f < n && shorter != NULL; f++)
        field[f].dim[0] -= strcmp(field[f].name, shorter) == 0;
    ASSERT_OK(path_join(&dir, root, xor_split_name[split], &e), e);
    ASSERT_OK(shard_writer_open(&w, dir, &opt, field, n, &e), e);
    ASSERT_OK(vectors_meta(one, put_meta, w, &e), e);
    for (int64_t i = 0; i < one->count; i++) {
        struct shard_value value[SHARD_MAX_FIELDS];

        for (int f = 0; f < n; f++)
            value[f] =
                (struct shard_value){vectors_value(one, i, f).data, shard_field_bytes(&field[f])};
        ASSERT_OK(shard_writer_add(w, value, &e), e);
    }
    ASSERT_OK(shard_writer_commit(w, &e), e);
    free(dir);
    for (int s = 0; s < XOR_SPLITS; s++)
        vectors_free(&v[s]);
}

static struct train_options tool_options(const char *data, const char *mask, const char *out)
{
    struct train_options o =
        runs_train_options(data, SOURCE_DIR "/manifests/presets/xor-pid.conf", "synib", out);

    o.mask = mask;
    o.set[0] = "optim.epochs=1";
    o.set[1] = "model.encoder_width=8";
    o.set[2] = "model.head_width=8";
    return o;
}

/* Exit code 4 and one line; nothing in RUN that another command would take for a run. */
static void assert_refused(const struct train_options *o, const char *says)
{
    struct err e = {0};

    assert_int_equal(err_exit_status(train_run(o, &e)), 4);
    if (strstr(e.text, says) == NULL || strchr(e.text, '\n') != NULL)
        fail_msg("'%s' instead of '%s'", e.text, says);
    for (int i = 0; result_files[i] != NULL; i++)
        assert_false(run_has(o->out, result_files[i]));
    assert_false(run_has(o->out, "run.json"));
}

static void test_no_oracle(void **state)
{
    static const char *const oracles[] = {"oracle", "oracle-literal"};
    char *data = scratch_path(*state, "plain"), *out = scratch_path(*state, "run");
    struct train_options o = tool_options(data, "random", out);
    struct err e = {0};

    for (int s = 0; s < XOR_SPLITS; s++)
        write_split(data, s, false, NULL);
    for (int i = 0; i < 2; i++) {
        o.mask = oracles[i];
        assert_refused(&o, "an oracle mask needs data that say what it is");
        o.method = i == 0 ? "masking-only" : "synib";
    }
    o.mask = "random";
    ASSERT_OK(train_run(&o, &e), e);
    free(data);
    free(out);
}

/* Fields that do not fit their modality, in either split that training reads. */
static void test_field_sizes(void **state)
{
    static const struct {
        const char *field, *says;
    } table[] = {
        {"x2.oracle", "field x2.oracle is U8 [31]: must be U8 [32]"},
        {"x1.block", "field x1.block is U8 [31]: must be U8 [32]"},
        {"x1", "field x1.block is U8 [32]: must be U8 [31]"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        for (int split = XOR_TRAIN; split <= XOR_VAL; split++) {
            char name[32], *data, *out, says[256];
            struct train_options o;

            snprintf(name, sizeof name, "data%zu-%d", i, split);
            data = scratch_path(*state, name);
            out = scratch_path(*state, "run");
            write_split(data, XOR_TRAIN, true, split == XOR_TRAIN ? table[i].field : NULL);
            write_split(data, XOR_VAL, true, split == XOR_VAL ? table[i].field : NULL);
            o = tool_options(data, "oracle", out);
            snprintf(says, sizeof says, "%s/%s: %s", data, xor_split_name[split], table[i].says);
            assert_refused(&o, says);
            free(data);
            free(out);
        }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_step, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_any_step, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_threads_and_saving, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_in_memory, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_no_oracle, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_field_sizes, scratch_setup, scratch_teardown),
    };

    (void)argc;
    parallel_sleep_when_idle(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
