/* SPDX-License-Identifier: MIT */
#include "common/base/atomic_file.h"
#include "common/base/cli.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"
#include "tests/support/tools.h"
#include "train/checkpoint.h"
#include "train/report/run.h"
#include "train/run_dir.h"
#include "train/trainer.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Run folders as other programs, versions and people leave them: checkpoints whose metadata are not
 * ours, run.json, logs, the lock. */

static void *dir; /* holds data sp, run one with its evaluation, run stopped after one step */
static const char *model = "one"; /* what bad/ is a copy of */

#define SETTINGS                                                                     \
    " --preset xor-spurious --set optim.epochs=2 --set model.encoder_width=4 --set " \
    "model.head_width=4"
#define TRAIN "synib-train -q -j1 @/sp" SETTINGS " -m vanilla -o @/"

static void make(const char *line)
{
    struct err e = {0};

    ASSERT_OK(tool_run(line, dir, &e), e);
}

static int setup(void **state)
{
    struct err e = {0};

    (void)state;
    setenv("SYNIB_MANIFESTS", SOURCE_DIR "/manifests", 1);
    if (scratch_setup(&dir) != 0)
        return -1;
    make("synib-xor -q spurious --strength 0.6 --train 40 --val 20 --test 20 -o @/sp");
    make(TRAIN "one");
    make("synib-eval -q -j1 @/one --split test -o @/one/test");
    if (tool_run(TRAIN "stopped --max-steps 1", dir, &e) != ERR_STOPPED)
        fail_msg("not stopped: %s", e.text);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return scratch_teardown(&dir);
}

static void put(const char *name, const char *text)
{
    char *path = scratch_path(dir, name);
    struct err e = {0};

    ASSERT_OK(atomic_file_put(path, text, strlen(text), true, &e), e);
    free(path);
}

static void copy_file(const char *from, const char *to)
{
    struct file_view v = {0};
    struct err e = {0};

    ASSERT_OK(file_read(&v, from, 1 << 24, &e), e);
    ASSERT_OK(atomic_file_put(to, v.data, v.len, true, &e), e);
    file_view_free(&v);
}

/* bad/: the run `model`, file by file; bad/test with it. */
static void fresh(void)
{
    static const char *const sub[] = {"", "/test"};
    char *bad = scratch_path(dir, "bad");
    struct err e = {0};

    if (access(bad, F_OK) == 0)
        scratch_clear(bad);
    for (int s = 0; s < 2; s++) {
        struct name_list names = {0};
        char from[600], to[600];

        snprintf(from, sizeof from, "%s/%s%s", (const char *)dir, model, sub[s]);
        snprintf(to, sizeof to, "%s/bad%s", (const char *)dir, sub[s]);
        if (access(from, F_OK) != 0)
            continue;
        ASSERT_OK(dir_make(to, &e), e);
        ASSERT_OK(dir_list(&names, from, "", &e), e);
        for (size_t i = 0; i < names.count; i++) {
            char *a = scratch_path(from, names.name[i]), *b = scratch_path(to, names.name[i]);
            struct stat st;

            if (stat(a, &st) == 0 && S_ISREG(st.st_mode))
                copy_file(a, b);
            free(a);
            free(b);
        }
        name_list_free(&names);
    }
    free(bad);
}

static bool rename_tensor; /* one of them */

/* Writes bad/NAME anew: all its tensors and metadata, but `key` says `value`; NULL: it is not
 * there. `kind`: NULL = a checkpoint. */
static void rewrite(const char *name, const char *kind, const char *key, const char *value)
{
    char *from, *to, file[64];
    struct tensorfile_writer *w = NULL;
    struct tensorfile *f = NULL;
    struct err e = {0};

    snprintf(file, sizeof file, "%s/%s", model, name);
    from = scratch_path(dir, file);
    snprintf(file, sizeof file, "bad/%s", name);
    to = scratch_path(dir, file);
    ASSERT_OK(tensorfile_open(&f, from, &e), e);
    ASSERT_OK(tensorfile_writer_open(&w, to, kind != NULL ? kind : "checkpoint", true, &e), e);
    for (int i = 0; tensorfile_meta_key(f, i) != NULL; i++) {
        const char *k = tensorfile_meta_key(f, i),
                   *v = strcmp(k, key) == 0 ? value : tensorfile_meta(f, k);

        if (v != NULL && strcmp(k, "synib.kind") != 0 && strcmp(k, "synib.container") != 0)
            ASSERT_OK(tensorfile_writer_meta(w, k, v, &e), e);
    }
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < tensorfile_count(f); i++) {
            const struct tensor_info *t = tensorfile_info(f, i);

            if (t->name[0] == '_')
                continue;
            if (pass == 0)
                ASSERT_OK(tensorfile_writer_declare(w, rename_tensor && i == 1 ? "other" : t->name,
                                                    t->dtype, t->rank, t->dim, &e),
                          e);
            else
                ASSERT_OK(tensorfile_writer_data(w, tensorfile_data(f, i), t->bytes, &e), e);
        }
    ASSERT_OK(tensorfile_writer_commit(w, NULL, &e), e);
    tensorfile_close(f);
    free(from);
    free(to);
}

/* synib.config of one/, with the line of `key` replaced by `line` ("": left out), and `more`. */
static char *config_with(const char *key, const char *line, const char *more)
{
    char *path = scratch_path(dir, "one/last.safetensors"), *text = NULL, *at, *end;
    struct tensorfile *f = NULL;
    struct err e = {0};

    ASSERT_OK(tensorfile_open(&f, path, &e), e);
    assert_true(asprintf(&text, "%4096s", "") == 4096);
    strcpy(text, tensorfile_meta(f, "synib.config"));
    tensorfile_close(f);
    free(path);
    at = key[0] != '\0' ? strstr(text, key) : NULL;
    if (at != NULL) {
        end = strchr(at, '\n') + 1;
        memmove(at + strlen(line), end, strlen(end) + 1);
        memcpy(at, line, strlen(line));
    }
    strcat(text, more);
    return text;
}

/* ---- checkpoints ---- */

#define EVAL "synib-eval -q -j1 @/bad --split val"
#define RESUME TRAIN "bad --resume"
#define REPORT "synib-report -q -j1 @/bad -o @/out"
#define LONG_LINE                                                                                  \
    "mask.kind = "                                                                                 \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901"           \
    "23456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123" \
    "45"                                                                                           \
    "67890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567" \
    "89"

static void fails(size_t number, const char *line, enum err_code code, const char *says)
{
    struct err e = {0};
    enum err_code rc = tool_run(line, dir, &e);
    char *out = scratch_path(dir, "out");

    if (rc != code || strstr(e.text, says) == NULL)
        fail_msg("case %zu: %s: %d: '%s' instead of %d: '%s'", number, line, rc, e.text, code,
                 says);
    assert_int_not_equal(access(out, F_OK), 0);
    free(out);
}

static void test_metadata(void **state)
{
    static const struct {
        const char *line, *file, *kind, *key, *value;
        enum err_code code;
        const char *says;
    } bad[] = {
        {EVAL, "best.safetensors", "shard", "-", NULL, ERR_FORMAT,
         "best.safetensors: is a 'shard', not a checkpoint"},
        {EVAL, "best.safetensors", NULL, "synib.config", NULL, ERR_DATA,
         "best.safetensors: metadata synib.config is missing: not written by synib-train"},
        {EVAL, "best.safetensors", NULL, "state.step", NULL, ERR_DATA,
         "metadata state.step is missing"},
        {EVAL, "best.safetensors", NULL, "state.step", "-1", ERR_DATA,
         "state.step: '-1' is not a whole number from 0"},
        {EVAL, "best.safetensors", NULL, "state.step", "1.5", ERR_DATA, "state.step: '1.5' is not"},
        {EVAL, "best.safetensors", NULL, "state.best_score", "nan", ERR_DATA,
         "state.best_score: 'nan' is not a number"},
        {EVAL, "best.safetensors", NULL, "state.source_loss.1", "", ERR_DATA,
         "state.source_loss.1: '' is not a number"},
        {RESUME, "last.safetensors", NULL, "synib.config", NULL, ERR_DATA,
         "metadata synib.config is missing"},
        {RESUME, "last.safetensors", NULL, "state.done", "yes", ERR_DATA,
         "state.done: 'yes' is not a whole number"},
        {REPORT, "last.safetensors", NULL, "synib.config", NULL, ERR_DATA,
         "last.safetensors: metadata synib.config is missing"},
        {REPORT, "last.safetensors", NULL, "state.epoch", "x", ERR_DATA, "state.epoch: 'x' is not"},
        {REPORT, "best.safetensors", NULL, "state.epoch", "x", ERR_DATA, "state.epoch: 'x' is not"},
        {REPORT, "best.safetensors", NULL, "synib.config", "method = a\n", ERR_DATA,
         "best.safetensors: is of another run than the folder's last.safetensors"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fresh();
        rewrite(bad[i].file, bad[i].kind, bad[i].key, bad[i].value);
        fails(i, bad[i].line, bad[i].code, bad[i].says);
    }
}

/* synib.config line by line. */
static void test_identity(void **state)
{
    static const struct {
        const char *line, *file, *key, *with, *more;
        enum err_code code;
        const char *says;
    } bad[] = {
        {EVAL, "best.safetensors", "seed = ", "seed = x\n", "", ERR_DATA,
         "best.safetensors: seed: 'x' is not a whole number"},
        {EVAL, "best.safetensors", "method = ", "method = another\n", "", ERR_DATA,
         "best.safetensors: "},
        {EVAL, "best.safetensors", "method = ", "", "", ERR_DATA, "best.safetensors: "},
        {EVAL, "best.safetensors", "optim.lr = ", "optim.lr = fast\n", "", ERR_DATA,
         "optim.lr: 'fast' is not a number"},
        {EVAL, "best.safetensors", "optim.lr = ", "optim.rate = 1\n", "", ERR_DATA,
         "unknown 'optim.rate'"},
        {EVAL, "best.safetensors", "optim.lr = ", "no setting\n", "", ERR_FORMAT,
         "synib.config: 'no setting' is not of the form key = value"},
        {EVAL, "best.safetensors", "", "", LONG_LINE "\n", ERR_FORMAT,
         "synib.config: a line is too long"},
        {EVAL, "best.safetensors", "model.trunk = ", "model.trunk = 5\n", "", ERR_DATA,
         "the checkpoint is of another model"},
        {REPORT, "last.safetensors", "seed = ", "seed = -1\n", "", ERR_DATA,
         "last.safetensors: seed: '-1' is not a whole number"},
        {REPORT, "last.safetensors", "method = ", "", "", ERR_FORMAT,
         "last.safetensors: synib.config: names no method or no data"},
        {REPORT, "last.safetensors", "data.val = ", "", "", ERR_FORMAT,
         "last.safetensors: synib.config: names no method or no data"},
        {REPORT, "last.safetensors", "data.val = ", "nonsense\n", "", ERR_FORMAT,
         "synib.config: 'nonsense' is not of the form key = value"},
        {REPORT, "last.safetensors", "", "", LONG_LINE LONG_LINE "\n", ERR_FORMAT,
         "synib.config: a line is too long"},
        {RESUME, "last.safetensors", "seed = ", "seed = 9\n", "", ERR_DATA,
         "seed differs: recorded '9', now '0'"},
        {RESUME, "last.safetensors", "optim.lr = ", "", "", ERR_DATA,
         "optim.lr differs: recorded ''"},
        {RESUME, "last.safetensors", "", "", "more = 1\n", ERR_DATA,
         "more differs: recorded '1', now ''"},
        {RESUME, "last.safetensors", "", "", "no setting", ERR_DATA, "holds another"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *text = config_with(bad[i].key, bad[i].with, bad[i].more);

        fresh();
        rewrite(bad[i].file, NULL, "synib.config", text);
        fails(i, bad[i].line, bad[i].code, bad[i].says);
        free(text);
    }
}

/* A stopped run is gone on with from a checkpoint that is its own in every tensor. */
static void test_resumed(void **state)
{
    char *bad = scratch_path(dir, "bad");
    struct err e = {0};

    (void)state;
    model = "stopped";
    fresh();
    rewrite("last.safetensors", NULL, "synib.machine", NULL);
    fails(0, RESUME, ERR_DATA, "last.safetensors: metadata synib.machine is missing");
    fresh();
    rewrite("last.safetensors", NULL, "state.batch", "1000000");
    fails(1, RESUME, ERR_DATA, "its checkpoint says batch 1000000 of an epoch");
    fresh();
    rewrite("last.safetensors", NULL, "synib.machine", "another");
    make(RESUME); /* with a warning: last bits may differ */
    fresh();
    rewrite("last.safetensors", NULL, "state.step", "-1");
    fails(1, RESUME, ERR_DATA, "state.step: '-1' is not a whole number");
    fresh();
    ASSERT_OK(run_remove(bad, run_prev_name, &e), e);
    rename_tensor = true;
    rewrite("last.safetensors", NULL, "-", NULL);
    rename_tensor = false;
    fails(2, RESUME, ERR_DATA, "the checkpoint is of another model, 1 tensors differ");
    model = "one";
    free(bad);
}

/* Encoders come from runs that are named by the digest of their best checkpoint, and a run that is
 * looked at for reuse is refused as one that is gone on with. */
static void test_initial_runs(void **state)
{
    char *sp = scratch_path(dir, "sp"), *one = scratch_path(dir, "one");
    char *bad = scratch_path(dir, "bad"), *text = NULL;
    struct data *train = NULL, *val = NULL;
    struct trainer_options opt = {.method = &method_vanilla, .jobs = 1};
    const char *const none[] = {NULL};
    struct run_state at;
    struct err e = {0};

    (void)state;
    ASSERT_OK(data_open(&train, sp, "train", none, &e), e);
    ASSERT_OK(data_open(&val, sp, "val", none, &e), e);
    opt.train = train;
    opt.val = val;
    ASSERT_OK(config_load(&opt.config, "xor-spurious", "vanilla", NULL, &e), e);
    opt.unimodal[1] = one;
    ASSERT_OK(run_identity(&text, &opt, &e), e);
    assert_non_null(strstr(text, "\ninit.x2 = "));
    assert_null(strstr(text, "\ninit.x1 = "));
    free(text);
    opt.unimodal[0] = sp;
    ASSERT_FAILS(run_identity(&text, &opt, &e), e, ERR_IO, "sp/best.safetensors: cannot open");
    assert_null(text);
    ASSERT_FAILS(run_matches(one, &opt, &at, &e), e, ERR_IO, "sp/best.safetensors: cannot open");
    opt.unimodal[0] = opt.unimodal[1] = NULL;
    ASSERT_FAILS(run_matches(one, &opt, &at, &e), e, ERR_DATA, "one/last.safetensors: model.");
    ASSERT_FAILS(run_matches(sp, &opt, &at, &e), e, ERR_IO, "sp/last.safetensors: cannot open");
    fresh();
    rewrite("last.safetensors", NULL, "synib.config", NULL);
    ASSERT_FAILS(run_matches(bad, &opt, &at, &e), e, ERR_DATA, "metadata synib.config is missing");
    data_close(train);
    data_close(val);
    free(sp);
    free(one);
    free(bad);
}

/* Numbers to predict: the same files with other columns, and no accuracy for a report. */
static void test_numbers(void **state)
{
    struct report_run r = {.n = 0};
    struct err e = {0};

    (void)state;
    make("synib-xor -q regression --strength 0.6 --train 20 --val 10 --test 10 -o @/numbers");
    make("synib-train -q -j1 @/numbers --preset xor-regression --set optim.epochs=1 --set "
         "diag.train_pass=true -m vanilla -o @/reg");
    make("synib-eval -q -j1 @/reg --split val --checkpoint last");
    make("synib-eval -q -j1 @/reg --split test -o @/reg/test");
    r.path = scratch_path(dir, "reg");
    ASSERT_OK(report_run_read(&r, &e), e);
    assert_string_equal(r.missing, "predicts numbers: it has no accuracy");
    report_run_free(&r);
}

/* What may be missing or odd without harm. */
static void test_may_differ(void **state)
{
    char *text = config_with("", "", "init.x1 = 0123\ninit.x9 = 4567\n");
    struct report_run r = {.n = 0};
    struct err e = {0};

    (void)state;
    fresh();
    rewrite("best.safetensors", NULL, "synib.config", text);
    make(EVAL);
    free(text);
    fresh();
    rewrite("last.safetensors", NULL, "synib.tool", NULL);
    r.path = scratch_path(dir, "bad");
    ASSERT_OK(report_run_read(&r, &e), e);
    assert_string_equal(r.tool, "");
    report_run_free(&r);
    fresh();
    rewrite("last.safetensors", NULL, "synib.machine", NULL);
    r.path = scratch_path(dir, "bad");
    ASSERT_OK(report_run_read(&r, &e), e);
    assert_string_equal(r.machine, "");
    report_run_free(&r);
}

/* What a report says of a run that does not count. */
static void test_missing(void **state)
{
    static const struct {
        const char *file, *key, *value; /* NULL, NULL: the file goes */
        const char *says;
    } cases[] = {
        {"last.safetensors", NULL, NULL, "has no checkpoint yet"},
        {"best.safetensors", NULL, NULL, "has no best.safetensors"},
        {"last.safetensors", "state.done", "0", "is not finished"},
        {"test/metrics.json", NULL, NULL, "has no test evaluation: run synib-eval"},
        {"test/predictions.tsv", NULL, NULL, "has no test evaluation: run synib-eval"},
        {"epochs.csv", NULL, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct report_run r = {.path = scratch_path(dir, "bad")};
        struct err e = {0};

        fresh();
        if (cases[i].key != NULL)
            rewrite(cases[i].file, NULL, cases[i].key, cases[i].value);
        else
            ASSERT_OK(run_remove(r.path, cases[i].file, &e), e);
        ASSERT_OK(report_run_read(&r, &e), e);
        if (cases[i].says == NULL)
            assert_null(r.missing);
        else
            assert_string_equal(r.missing, cases[i].says);
        report_run_free(&r);
    }
}

/* A folder on the way that cannot be looked into is no absent run: to train there would replace it.
 */
static void test_cannot_be_told(void **state)
{
    char *loop = scratch_path(dir, "loop"), name[5000];

    (void)state;
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(symlink("loop", loop), 0);
    assert_true(run_has(loop, "last.safetensors"));
    assert_true(run_has(dir, name));
    assert_false(run_has(dir, "nowhere"));
    assert_false(run_has("/dev/null", "last.safetensors"));
    assert_true(run_has(dir, "one"));
    assert_int_equal(unlink(loop), 0);
    free(loop);
}

/* ---- run.json ---- */

static void test_places(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "run.json: is damaged: is empty: put a copy of it back"},
        {"[]", "run.json: is damaged: no object: put a copy of it back"},
        {"{\n\"data\"}", "run.json: is damaged: line 2: "},
        {"{\"data\": \"x\"}", "run.json: is damaged: 'bases' is missing or no list"},
        {"{\"bases\": {}}", "run.json: is damaged: 'bases' is missing or no list"},
        {"{\"bases\": [], \"dat\": \"x\"}",
         "run.json: is damaged: has other keys than data, bases, uni-audio"},
        {"{\"bases\": [], \"data\": 5}", "run.json: is damaged: a path is not a string"},
        {"{\"bases\": [\"a\", null]}", "run.json: is damaged: a path is not a string"},
        {"{\"bases\": [], \"uni-audio\": []}", "run.json: is damaged: a path is not a string"},
        {"{\"bases\": [], \"uni-video\": true}", "run.json: is damaged: a path is not a string"},
        {"{\"bases\": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}",
         "run.json: is damaged: more than 16 bases"},
    };
    char *run = scratch_path(dir, "places");
    struct run_places p;
    struct err e = {0};

    (void)state;
    ASSERT_OK(dir_make(run, &e), e);
    ASSERT_FAILS(run_places_load(&p, run, &e), e, ERR_IO,
                 "places: no run.json in it: give the folder that synib-train made");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put("places/run.json", bad[i].text);
        ASSERT_FAILS(run_places_load(&p, run, &e), e, ERR_FORMAT, bad[i].says);
        assert_true(p.data == NULL && p.base[0] == NULL && p.unimodal[0] == NULL);
    }
    put("places/run.json", "{\"bases\": [\"/a\", \"../b\"], \"uni-video\": \"v\"}");
    ASSERT_OK(run_places_load(&p, run, &e), e);
    assert_true(p.data == NULL && p.base[2] == NULL);
    assert_string_equal(p.base[0], "/a");
    assert_non_null(strstr(p.base[1], "/places/../b"));
    assert_non_null(strstr(p.unimodal[1], "/places/v"));
    run_places_free(&p);
    scratch_clear(run);
    free(run);
}

/* Paths as seen from a folder beside, above, below, and itself. */
static void test_relative(void **state)
{
    static const char *const folders[] = {"rel", "rel/a", "rel/a/b", "rel/ab", "rel/\xff"};
    static const struct {
        const char *from, *to, *want;
    } cases[] = {
        {"rel/a", "rel/a", "."},      {"rel/a", "rel/a/b", "b"},   {"rel/a/b", "rel/a", "../"},
        {"rel/a", "rel/ab", "../ab"}, {"rel/ab", "rel/a", "../a"}, {"rel/ab", "rel/a/b", "../a/b"},
    };
    struct run_places p = {.data = NULL};
    char *text, *from, *to;
    struct err e = {0};

    (void)state;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char *path = scratch_path(dir, folders[i]);

        ASSERT_OK(dir_make(path, &e), e);
        free(path);
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[64], want[64];
        struct file_view v = {0};

        from = scratch_path(dir, cases[i].from);
        p = (struct run_places){.data = scratch_path(dir, cases[i].to)};
        p.base[0] = p.unimodal[0] = p.unimodal[1] = p.data;
        ASSERT_OK(run_places_save(&p, from, &e), e);
        snprintf(name, sizeof name, "%s/run.json", cases[i].from);
        text = scratch_path(dir, name);
        ASSERT_OK(file_read(&v, text, 4096, &e), e);
        snprintf(want, sizeof want, "\"data\": \"%s\"", cases[i].want);
        if (strstr((const char *)v.data, want) == NULL)
            fail_msg("case %zu: %s is not in %s", i, want, (const char *)v.data);
        file_view_free(&v);
        free(p.data);
        free(from);
        free(text);
    }
    from = scratch_path(dir, "rel");
    to = scratch_path(dir, "rel/\xff");
    p = (struct run_places){.data = to};
    ASSERT_FAILS(run_places_save(&p, from, &e), e, ERR_DATA, "the path is not UTF-8");
    p = (struct run_places){.base = {to}};
    ASSERT_FAILS(run_places_save(&p, from, &e), e, ERR_DATA, "the path is not UTF-8");
    p = (struct run_places){.unimodal = {to}};
    ASSERT_FAILS(run_places_save(&p, from, &e), e, ERR_DATA, "the path is not UTF-8");
    p = (struct run_places){.unimodal = {NULL, to}};
    ASSERT_FAILS(run_places_save(&p, from, &e), e, ERR_DATA, "the path is not UTF-8");
    free(to);
    to = scratch_path(dir, "rel/none");
    p = (struct run_places){.data = to};
    ASSERT_FAILS(run_places_save(&p, from, &e), e, ERR_IO, "rel/none: No such file");
    p = (struct run_places){.data = from};
    ASSERT_FAILS(run_places_save(&p, to, &e), e, ERR_IO, "rel/none: No such file");
    free(from);
    free(to);
}

/* ---- logs ---- */

static void test_logs(void **state)
{
    char text[70001], *path, *copied;
    struct run_log log;
    uint32_t crc;
    struct err e = {0};

    (void)state;
    memset(text, 'x', 70000);
    text[70000] = '\0';
    crc = hash_crc32c(0, text, 70000);
    put("log.csv", text);
    ASSERT_OK(run_log_check(dir, "log.csv", 70000, crc, &e), e);
    ASSERT_OK(run_log_check(dir, "none.csv", 0, 0, &e), e);
    ASSERT_FAILS(run_log_check(dir, "none.csv", 1, 0, &e), e, ERR_CHECKSUM,
                 "none.csv: is missing: start again with --force");
    ASSERT_FAILS(run_log_check(dir, "log.csv", 70001, crc, &e), e, ERR_CHECKSUM,
                 "log.csv: is shorter than the checkpoint says: start again with --force");
    ASSERT_FAILS(run_log_check(dir, "log.csv", 69999, crc, &e), e, ERR_CHECKSUM,
                 "log.csv: differs from what the checkpoint says: start again with --force");
    ASSERT_FAILS(run_log_check(dir, "sp", 1, 0, &e), e, ERR_IO, "sp: Is a directory");
    path = scratch_path(dir, "link.csv");
    assert_int_equal(symlink("log.csv", path), 0);
    ASSERT_FAILS(run_log_check(dir, "link.csv", 1, 0, &e), e, ERR_IO, "link.csv: Too many levels");
    ASSERT_FAILS(run_log_open(&log, dir, "link.csv", -1, 0, &e), e, ERR_IO, "link.csv: Too many");
    assert_int_equal(unlink(path), 0);
    ASSERT_FAILS(run_log_open(&log, dir, "log.csv", 69999, crc, &e), e, ERR_CHECKSUM,
                 "log.csv: differs from what");
    ASSERT_FAILS(run_log_read(&copied, dir, "log.csv", 70001, crc, &e), e, ERR_CHECKSUM,
                 "log.csv: differs from what last.safetensors says: the log is damaged");
    ASSERT_FAILS(run_log_read(&copied, dir, "log.csv", 69999, crc, &e), e, ERR_CHECKSUM,
                 "log.csv: differs from what last.safetensors says: the log is damaged");
    assert_null(copied);
    ASSERT_OK(run_log_read(&copied, dir, "log.csv", 0, 0, &e), e);
    assert_string_equal(copied, "");
    free(copied);
    free(path);
}

/* Half a line is cut off again; where that fails too, both are said. */
static void test_log_not_written(void **state)
{
    char *path = scratch_path(dir, "log.csv");
    struct run_log log = {.fd = open(path, O_RDONLY | O_CREAT, 0666), .path = path};
    struct err e = {0};

    (void)state;
    assert_true(log.fd >= 0);
    ASSERT_FAILS(run_log_add(&log, "line\n", &e), e, ERR_IO, "and could not be cut back: ");
    close(log.fd);
    log.fd = open("/dev/full", O_WRONLY);
    if (log.fd >= 0)
        ASSERT_FAILS(run_log_add(&log, "line\n", &e), e, ERR_IO, "log.csv: cannot write: No space");
    run_log_close(&log);
    log.fd = open("/dev/null", O_WRONLY); /* that has no stable storage */
    log.path = scratch_path(dir, "null");
    if (log.fd >= 0)
        ASSERT_FAILS(run_log_sync(&log, &e), e, ERR_IO, "null: Invalid argument");
    run_log_close(&log);
}

/* ---- the lock ---- */

static void test_lock(void **state)
{
    struct run_lock mine, other;
    struct err e = {0};
    char *run = scratch_path(dir, "locked"), *file = scratch_path(dir, "file");
    pid_t child;
    int status;

    (void)state;
    ASSERT_OK(run_lock_take(&mine, run, run_lock_name, false, NULL, &e), e);
    ASSERT_FAILS(run_lock_take(&other, run, run_lock_name, false, NULL, &e), e, ERR_EXISTS,
                 "locked: another process is at work here: wait for it or give another folder");
    assert_int_equal(other.fd, -1);
    /* asked to stop while it waits: in a process of its own, the flag never goes away */
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        cli_catch_signals();
        raise(SIGTERM);
        exit(run_lock_take(&other, run, run_lock_name, true, NULL, &e) == ERR_STOPPED ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    /* waits until the other process is through */
    run_lock_release(&mine);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        ASSERT_OK(run_lock_take(&mine, run, run_lock_name, false, NULL, &e), e);
        put("taken", "");
        usleep(100 * 1000);
        exit(0);
    }
    for (char *taken = scratch_path(dir, "taken"); taken != NULL;) {
        usleep(1000);
        if (access(taken, F_OK) == 0) {
            free(taken);
            taken = NULL;
        }
    }
    ASSERT_OK(run_lock_take(&other, run, run_lock_name, true, NULL, &e), e);
    assert_int_equal(waitpid(child, &status, 0), child);
    run_lock_release(&other);
    run_lock_release(&other);
    put("file", "x");
    ASSERT_FAILS(run_lock_take(&other, file, run_lock_name, false, NULL, &e), e, ERR_IO, "file");
    free(run);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metadata),   cmocka_unit_test(test_identity),
        cmocka_unit_test(test_may_differ), cmocka_unit_test(test_resumed),
        cmocka_unit_test(test_numbers),    cmocka_unit_test(test_initial_runs),
        cmocka_unit_test(test_missing),    cmocka_unit_test(test_cannot_be_told),
        cmocka_unit_test(test_places),     cmocka_unit_test(test_relative),
        cmocka_unit_test(test_logs),       cmocka_unit_test(test_log_not_written),
        cmocka_unit_test(test_lock),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
