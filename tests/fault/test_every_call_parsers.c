/* SPDX-License-Identifier: MIT */
/* What prep/ and train/ read, with every call to the system and the allocator failing, one at a
 * time. The tools as a whole: test_every_call_prep, test_every_call_train. */
#include "tests/support/cmocka.h"

#include "common/base/atomic_file.h"
#include "common/base/cli.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "prep/clip_list.h"
#include "prep/manifests.h"
#include "prep/split_audit.h"
#include "prep/split_table.h"
#include "tests/support/check.h"
#include "tests/support/fault/fault.h"
#include "tests/support/fault/tool_sweep.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny_dataset.h"
#include "tests/support/tools.h"
#include "train/config.h"
#include "train/report/clips.h"
#include "train/run_dir.h"
#include "train/sweep/results.h"
#include "train/sweep/search.h"
#include "train/trainer.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static void *dir; /* what is read; jobs write to out/ */

/* '|' stands for the tab. */
static void put(const char *name, const char *text)
{
    char *path = scratch_path(dir, name), *copy = strdup(text);
    struct err e = {0};

    assert_non_null(copy);
    for (char *p = copy; (p = strchr(p, '|')) != NULL;)
        *p = '\t';
    ASSERT_OK(atomic_file_put(path, copy, strlen(copy), true, &e), e);
    free(copy);
    free(path);
}

/* Before a job: nothing there but an empty out/. */
static void clear_out(void *ctx)
{
    char *out = scratch_path(dir, "out");
    struct err e = {0};

    (void)ctx;
    if (access(out, F_OK) == 0)
        scratch_clear(out);
    ASSERT_OK(dir_make(out, &e), e);
    free(out);
}

static void sweep(const char *name, fault_work *work, void *ctx)
{
    fault_sweep(&(struct fault_job){.name = name, .work = work, .reset = clear_out, .ctx = ctx});
}

/* dir/NAME without an allocation that counts. */
struct path {
    char text[512];
};
static struct path in(const char *name)
{
    struct path p;

    snprintf(p.text, sizeof p.text, "%s/%s", (const char *)dir, name);
    return p;
}

/* ---- splits ---- */

static enum err_code audit(void *ctx, struct err *e)
{
    struct audit a = {0};

    TRY(audit_read(&a, ctx, e));
    assert_true(a.count > 0);
out:
    audit_free(&a);
    return e->code;
}

static void test_audit(void **state)
{
    static const struct {
        const char *name, *text;
    } file[] = {
        {"a.csv", "part,clip\ntrain,1001_DFA_ANG_XX\n"},
        {"b.csv", "1001_DFA_ANG_XX\n"},
        {"c.json", "[\"1001_DFA_ANG_XX\"]"},
        {"d.json", "{\"0\": {\"a\": [\"1001_DFA_ANG_XX\"]}, \"1\": {\"b\": []}}"},
        {"e.json", "{\"a\": [\"1001_DFA_ANG_XX\"]}"},
        {"f.tsv", "#synib-folds 1\nactor|fold0|fold1\n1001|train|test\n"},
        {"g.tsv", "#synib-clips 1\nclip\n1001_DFA_ANG_XX\n"},
        {"h.tsv", "#synib-split 1\nclip|part\n1001_DFA_ANG_XX|train\n"},
    };
    char spec[1200];

    (void)state;
    for (size_t i = 0; i < sizeof file / sizeof *file; i++) {
        struct path p = in(file[i].name);

        put(file[i].name, file[i].text);
        sweep(file[i].name, audit, p.text);
    }
    snprintf(spec, sizeof spec, "train=%s,test=%s", in("a.csv").text, in("c.json").text);
    sweep("PART=FILE", audit, spec);
}

static enum err_code tables(void *ctx, struct err *e)
{
    struct path clips = in("clips.tsv"), split = in("split.tsv"), out = in("out/split.tsv");
    struct part_counts counts[N_PARTS];
    struct split_table t = {0}, r = {0};
    struct clip_list list = {0};
    struct corpus c = {0};
    uint64_t seed;

    (void)ctx;
    TRY(clip_list_read(&list, clips.text, CLIP_AUDIO, e));
    TRY(corpus_read(&c, clips.text, e));
    TRY(split_table_read(&t, split.text, e));
    TRY(split_table_check_speakers(&t, "split", NULL, e));
    TRY(split_table_count(&t, counts, e));
    TRY(split_table_write(&t, out.text, true, e));
    TRY(split_table_reference(&r, dir, 0, e));
    TRY(manifests_fold_seed(&seed, dir, 0, e));
out:
    split_table_free(&t);
    split_table_free(&r);
    clip_list_free(&list);
    corpus_free(&c);
    return e->code;
}

static void test_tables(void **state)
{
    (void)state;
    put("clips.tsv", "#synib-clips 1\nclip|actor|label|video|audio|video_sha256|audio_sha256|"
                     "verdict|flags|reason|checked\n1001_DFA_ANG_XX|1001|5|||||rejected||bad|\n");
    put("split.tsv", "#synib-split 1\nclip|actor|label|part|scheme|fold\na|1|0|train|x|0\n");
    put("cremad-consensus.tsv", "#synib-consensus 1\nclip\n1001_DFA_ANG_XX\n");
    put("folds-reference.tsv", "#synib-folds 1\nactor|fold0\n1001|train\n");
    put("fold-seeds.tsv", "#synib-fold-seeds 1\nfold|seed\n0|5\n");
    sweep("tables", tables, NULL);
}

/* Beside the program, or where the variable says. */
static enum err_code find_manifests(void *ctx, struct err *e)
{
    char *found = NULL;

    (void)ctx;
    if (manifests_find(&found, NULL, e) == ERR_IO)
        err_clear(e); /* a build folder elsewhere: not found is an answer too */
    free(found);
    return e->code;
}

static void test_manifests(void **state)
{
    (void)state;
    unsetenv("SYNIB_MANIFESTS");
    sweep("manifests beside", find_manifests, NULL);
    setenv("SYNIB_MANIFESTS", SOURCE_DIR "/manifests", 1);
    sweep("manifests", find_manifests, NULL);
}

/* ---- settings, plans, searches, results ---- */

static enum err_code settings(void *ctx, struct err *e)
{
    static const char *const set[] = {"mask.kind=random", "optim.epochs=1", NULL};
    char *text = NULL, *described = NULL;
    struct config c;

    (void)ctx;
    TRY(config_resolve(&c, "xor-pid", "synib", NULL, set, e));
    TRY(config_text(&text, &c, ~0u, e));
    TRY(config_describe(&described, &c, e));
    TRY(config_compare(text, text, "run", e));
out:
    free(text);
    free(described);
    return e->code;
}

static enum err_code expand(void *ctx, struct err *e)
{
    struct path path = in("search.tsv");
    struct search_options o = {path.text, 3, 1};
    char *text = NULL;
    size_t runs;

    (void)ctx;
    TRY(search_expand(&text, &runs, &o, e));
out:
    free(text);
    return e->code;
}

static enum err_code add_all(struct results *r, const struct plan *p, struct sweep_part part,
                             const char *out, struct err *e)
{
    const struct run_result one = {.finite = true, .val = {.loss = 1}};

    TRY(results_init(r, p, part, true, out, e));
    TRY(results_read(r, e));
    TRY(results_start(r, e));
    for (size_t i = 0; i < p->n; i++)
        if (part_has(&part, i) && r->row[i] == NULL)
            TRY(results_add(r, i, &one, e));
    TRY(results_finish(r, e));
out:
    return e->code;
}

/* Two parts, the second of them gone on with, and merged. */
static enum err_code results(void *ctx, struct err *e)
{
    struct path path = in("plan.tsv"), out = in("out");
    struct results r = {.log = {.fd = -1}};
    struct plan p = {.n = 0};
    bool test = false;

    (void)ctx;
    TRY(plan_read(&p, path.text, e));
    for (int i = 0; i < 3; i++) {
        TRY(add_all(&r, &p, (struct sweep_part){i < 1 ? 1 : 2, 2}, out.text, e));
        results_free(&r);
    }
    TRY(results_have_test(&test, out.text, true, e));
    assert_true(test);
    TRY(results_init(&r, &p, (struct sweep_part){1, 1}, true, out.text, e));
    TRY(results_read_parts(&r, e));
    TRY(results_finish(&r, e));
out:
    results_free(&r);
    plan_free(&p);
    return e->code;
}

static void test_sweeps(void **state)
{
#define COLUMNS "run|task|preset|method|mask|settings|seed\n"
    (void)state;
    put("search.tsv", "#synib-search 1\n" COLUMNS
                      "a|spurious:1|xor-spurious|vanilla||optim.batch=8 optim.lr=uniform(0,1) "
                      "optim.epochs={1,2}|0-1\n");
    put("plan.tsv", "#synib-plan 1\n" COLUMNS "a|spurious:1|xor-spurious|vanilla|||0\n"
                    "b|spurious:1|xor-spurious|vanilla|||1\n");
    sweep("settings", settings, NULL);
    sweep("search", expand, NULL);
    sweep("results", results, NULL);
}

/* ---- run folders ---- */

static enum err_code logs(void *ctx, struct err *e)
{
    struct path out = in("out");
    struct run_log log = {.fd = -1}, memory = {.fd = -1};
    uint32_t crc = hash_crc32c(0, "one\n", 4);
    char *text = NULL;

    (void)ctx;
    TRY(run_log_open(&log, out.text, "log", -1, 0, e));
    TRY(run_log_add(&log, "one\n", e));
    TRY(run_log_add(&log, "two\n", e));
    TRY(run_log_sync(&log, e));
    run_log_close(&log);
    TRY(run_log_check(out.text, "log", 4, crc, e));
    TRY(run_log_read(&text, out.text, "log", 4, crc, e));
    TRY(run_log_open(&log, out.text, "log", 4, crc, e));
    TRY(run_log_memory(&memory, e));
    for (int i = 0; i < 2000; i++)
        TRY(run_log_add(&memory, "line\n", e));
    TRY(run_clear(out.text, e));
out:
    run_log_close(&log);
    run_log_close(&memory);
    free(text);
    return e->code;
}

static enum err_code places(void *ctx, struct err *e)
{
    struct path out = in("out"), data = in("sp");
    const struct run_places p = {
        .data = data.text, .base = {data.text, out.text}, .unimodal = {data.text, data.text}};
    struct run_places back = {.data = NULL};

    (void)ctx;
    TRY(run_places_save(&p, out.text, e));
    TRY(run_places_load(&back, out.text, e));
    assert_non_null(back.unimodal[1]);
    run_places_free(&back);
out:
    return e->code;
}

/* Another has the lock, and the process is asked to stop. */
static enum err_code wait_for_lock(void *ctx, struct err *e)
{
    struct path out = in("out");
    struct run_lock lock = {.fd = -1};

    (void)ctx;
    if (run_lock_take(&lock, out.text, run_lock_name, true, NULL, e) == ERR_STOPPED)
        err_clear(e);
    run_lock_release(&lock);
    return e->code;
}

static int other = -1; /* holds it */

static void lock_out(void *ctx)
{
    struct path path = in("out/.lock");

    clear_out(ctx);
    if (other >= 0)
        close(other);
    other = open(path.text, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    assert_true(other >= 0 && flock(other, LOCK_EX | LOCK_NB) == 0);
}

static void test_run_files(void **state)
{
    (void)state;
    sweep("logs", logs, NULL);
    sweep("places", places, NULL);
    cli_catch_signals();
    raise(SIGTERM);
    fault_sweep(&(struct fault_job){.name = "lock", .work = wait_for_lock, .reset = lock_out});
    close(other);
    other = -1;
}

static enum err_code manifests_beside(void *ctx, struct err *e)
{
    struct path data = in("a/b/c/data");
    const struct report_set set = {.dir = data.text};
    struct report_clips c = {0};
    struct doc d = {0};

    (void)ctx;
    TRY(report_clips_read(&c, NULL, &set, 1, e));
    report_clips_say(&c, &d);
    TRY(report_clips_add(&c, &d, e));
    if (d.failed)
        (void)err_set(e, ERR_NOMEM, "report: no memory");
out:
    report_clips_free(&c);
    doc_free(&d);
    return e->code;
}

static void test_clips(void **state)
{
    static const char *const folders[] = {"a", "a/b", "a/b/c", "a/b/c/data", "a/b/c/video"};
    struct err e = {0};

    (void)state;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        ASSERT_OK(dir_make(in(folders[i]).text, &e), e);
    put("a/b/c/clips.tsv", "#synib-clips 1\nclip|verdict|reason|checked\nx|rejected|bad|\n");
    put("a/b/c/data/dropped.tsv", "#synib-dropped 1\nclip|reason\nx|bad\n");
    put("a/b/c/video/index.jsonl", "");
    put("a/b/c/video/rejected.tsv", "#synib-rejected 1\nclip|step|reason\nx|scan|bad\n");
    sweep("manifests beside a set", manifests_beside, NULL);
}

/* ---- what a report reads ---- */

/* An evaluation of pictures and sound, and its curves. */
static enum err_code evaluation(void *ctx, struct err *e)
{
#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    static const char json[] =
        "{\"method\": \"x\", \"seed\": 0, \"checkpoint\": \"" DIGEST "\", \"split\": \"test\", "
        "\"data\": \"" DIGEST "\", \"classes\": [\"a\", \"irony\"], "
        "\"confusion\": [[1, 0], [0, 1]], \"sources\": {\"u\": {\"accuracy\": 1}}}";
    static const char table[] =
        "#synib-predictions 1\nlabel\tprediction\tbase_label\tp_a\tp_irony\n"
        "a\ta\ta\t1\t0\nirony\tirony\ta\t0\t1\n";
    char curves[] = "epoch,train_loss\n1,0.5\n";
    const bool *media = ctx;
    struct report_run r = {.method = "x", .checkpoint = DIGEST, .irony = -1};

    TRY(mem_string(&r.identity, *media ? "data.kind = media\n" : "data.kind = vectors\n", e));
    TRY(report_run_metrics(&r, "metrics.json", json, sizeof json - 1, e));
    TRY(report_run_predictions(&r, "predictions.tsv", table, sizeof table - 1, e));
    TRY(report_run_curves(&r, curves, "epochs.csv", e));
out:
    report_run_free(&r);
    return e->code;
}

/* Numbers to predict, and a run that does not count: why is said. */
static enum err_code no_accuracy(void *ctx, struct err *e)
{
    static const char json[] = "{\"method\": \"x\", \"seed\": 0, \"checkpoint\": \"" DIGEST
                               "\", \"split\": \"test\", \"data\": \"" DIGEST "\", \"mse\": 1}";
    struct report_run r = {.method = "x", .checkpoint = DIGEST};

    (void)ctx;
    TRY(report_run_metrics(&r, "metrics.json", json, sizeof json - 1, e));
out:
    report_run_free(&r);
    return e->code;
}

static enum err_code read_run(void *ctx, struct err *e)
{
    struct report_run r = {.n = 0};

    TRY(mem_string(&r.path, ctx, e));
    TRY(report_run_read(&r, e));
    assert_non_null(r.missing);
out:
    report_run_free(&r);
    return e->code;
}

static enum err_code identity(void *ctx, struct err *e)
{
    const struct trainer_options *opt = ctx;
    char *text = NULL;

    TRY(run_identity(&text, opt, e));
out:
    free(text);
    return e->code;
}

static enum err_code find_set(void *ctx, struct err *e)
{
    char *names[] = {ctx};
    const struct name_list folders = {.name = names, .count = 1};
    struct report_run r = {.missing = ctx};
    struct report_set *set = NULL;
    struct shard_set *one = NULL;
    size_t n = 0, cap = 0;
    int index;

    for (int s = 0; s < 2; s++) {
        struct path path;
        const char *content;

        snprintf(path.text, sizeof path.text, "%s/%s", (const char *)ctx, s == 0 ? "train" : "val");
        TRY(shard_set_open(&one, path.text, e));
        content = shard_set_meta(one, "synib.content");
        snprintf(s == 0 ? r.train : r.val, SHA256_HEX_SIZE, "%s",
                 content != NULL ? content : shard_set_digest(one));
        shard_set_close(one);
        one = NULL;
    }
    TRY(report_sets_find(&index, &set, &n, &cap, &r, &folders, e));
    assert_int_equal(index, 0);
out:
    for (size_t i = 0; i < n; i++)
        report_set_free(&set[i]);
    free(set);
    return e->code;
}

static void test_report(void **state)
{
    static const char *const splits[] = {"train", "val", "test"};
    bool media[] = {false, true};
    struct path root = in("media"), vectors = in("sp");
    struct err e = {0};

    (void)state;
    sweep("evaluation", evaluation, &media[0]);
    sweep("evaluation of media", evaluation, &media[1]);
    ASSERT_OK(dir_make(root.text, &e), e);
    ASSERT_OK(tiny_bases_write(root.text, 9, 16, &e), e);
    for (int s = 0; s < 3; s++) {
        char digest[65];

        ASSERT_OK(tiny_split_write(root.text, splits[s], 3 * s, 3, false, digest, &e), e);
    }
    sweep("media set", find_set, root.text);
    sweep("vectors set", find_set, vectors.text);
}

/* ---- runs ---- */

#define SMALL                                                                              \
    " --preset xor-spurious --set optim.epochs=2 --set model.encoder_width=2 --set "       \
    "model.head_width=2 --set model.trunk=2 --set diag.ntk=1 --set checkpoint.steps=1 -m " \
    "vanilla -o @/"

static void stopped_again(const char *at)
{
    (void)at;
    clear_out(NULL);
    scratch_copy(in("stopped").text, in("out").text);
}

static void test_resume(void **state)
{
    (void)state;
    tool_sweep("synib-train -q -j1 @/sp --resume" SMALL "out", dir, stopped_again);
}

/* Ones that are not finished, not tested, without their best or any checkpoint; and what a run that
 * starts from one of them is. */
static void test_runs(void **state)
{
    struct path stopped = in("stopped"), done = in("done"), best, last, sp = in("sp");
    struct trainer_options opt = {.method = &method_vanilla, .jobs = 1};
    struct data *train = NULL, *val = NULL;
    const char *const none[] = {NULL};
    struct err e = {0};

    (void)state;
    tool_make("synib-train -q -j1 @/sp" SMALL "done", dir);
    sweep("no accuracy", no_accuracy, NULL);
    sweep("unfinished run", read_run, stopped.text);
    sweep("untested run", read_run, done.text);
    ASSERT_OK(data_open(&train, sp.text, "train", none, &e), e);
    ASSERT_OK(data_open(&val, sp.text, "val", none, &e), e);
    opt.train = train;
    opt.val = val;
    ASSERT_OK(config_load(&opt.config, "xor-spurious", "vanilla", NULL, &e), e);
    opt.unimodal[0] = opt.unimodal[1] = done.text;
    sweep("identity", identity, &opt);
    data_close(train);
    data_close(val);
    best = in("done/best.safetensors");
    assert_int_equal(unlink(best.text), 0);
    sweep("run without its best", read_run, done.text);
    last = in("done/last.safetensors");
    assert_int_equal(unlink(last.text), 0);
    sweep("run without checkpoint", read_run, done.text);
}

static int setup(void **state)
{
    struct err e = {0};

    (void)state;
    setenv("SYNIB_MANIFESTS", SOURCE_DIR "/manifests", 1);
    if (scratch_setup(&dir) != 0)
        return -1;
    tool_make("synib-xor -q spurious --strength 0.6 --train 20 --val 10 --test 10 -o @/sp", dir);
    if (tool_run("synib-train -q -j1 @/sp --max-steps 1" SMALL "stopped", dir, &e) != ERR_STOPPED)
        fail_msg("not stopped: %s", e.text);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return scratch_teardown(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_audit),     cmocka_unit_test(test_tables),
        cmocka_unit_test(test_manifests), cmocka_unit_test(test_sweeps),
        cmocka_unit_test(test_clips),     cmocka_unit_test(test_report),
        cmocka_unit_test(test_resume),    cmocka_unit_test(test_runs),
        cmocka_unit_test(test_run_files), /* asks to stop */
    };

    /* Not by cmocka's skip(), whose own leak ends a run under LeakSanitizer. */
    if (!fault_available()) {
        puts("skipped: a sanitizer owns the allocator");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, setup, teardown);
}
