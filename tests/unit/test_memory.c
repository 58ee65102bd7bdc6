/* SPDX-License-Identifier: MIT */
#include "common/base/file.h"
#include "common/data/xor.h"
#include "tests/support/check.h"
#include "tests/support/drawn_dataset.h"
#include "tests/support/malloc_count.h"
#include "tests/support/runs.h"
#include "tests/support/scratch.h"
#include "tests/support/step_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Memory over time: each job runs in a process of its own, whose largest resident size the kernel
 * tells. Twice, a short and a long one: the long one takes no more. Full form: MEMORY_FULL=1
 * (docs/reliability/bounds.md). */

enum { FLAT_PERCENT = 1, SLACK_KB = 256, PREP_BASE_KB = 256 << 10, PREP_JOB_KB = 160 << 10 };

static bool is_full(void)
{
    return getenv("MEMORY_FULL") != NULL;
}

/* Exit status and largest resident size of a job that `run` starts in a child. */
static long peak_kb(void (*run)(void *ctx), void *ctx, int want)
{
    struct rusage used = {0};
    int status = 0;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        run(ctx);
        _exit(0);
    }
    assert_int_equal(wait4(pid, &status, 0, &used), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != want)
        fail_msg("the job ended with status %x instead of %d", (unsigned)status, want);
    return used.ru_maxrss;
}

static void assert_flat(const char *what, long few, long many)
{
    print_message("%s: %ld KiB, longer %ld KiB (%+.2f %%)\n", what, few, many,
                  100.0 * (double)(many - few) / (double)few);
    if (many > few + few * FLAT_PERCENT / 100 + (is_full() ? 0 : SLACK_KB))
        fail_msg("%s: %ld KiB, and %ld KiB in the longer run", what, few, many);
}

/* ---- training ---- */

struct training {
    const char *dir, *method;
    int64_t epochs;
};

/* exit status 1 with the message on failure */
static void must(enum err_code rc, const struct err *e)
{
    if (rc == ERR_OK)
        return;
    fprintf(stderr, "%s\n", e->text);
    _exit(1);
}

static void train_vectors(void *ctx)
{
    static const struct log quiet = {.tool = "test", .level = LOG_QUIET};
    const struct training *job = ctx;
    struct trainer_options o = {.seed = 3, .jobs = 1, .log = &quiet};
    struct data *data[XOR_SPLITS] = {0};
    struct run_places places = {0};
    struct vectors v[XOR_SPLITS];
    struct xor_options task;
    struct run_summary summary;
    struct err e = {0};

    must(xor_parse(&task, "spurious:0.6", &e), &e);
    task.count[XOR_TRAIN] = is_full() ? 1500 : 500;
    task.count[XOR_VAL] = 100;
    task.count[XOR_TEST] = 1;
    must(xor_make(v, &task, &e), &e);
    for (int s = 0; s < XOR_SPLITS; s++)
        must(data_of_vectors(&data[s], &v[s], &e), &e);
    must(method_find(&o.method, job->method, &e), &e);
    rig_config(&o.config, "xor-spurious", job->method, NULL);
    o.config.epochs = job->epochs;
    o.config.patience = 1000;
    o.config.dnr_every = 1; /* every phase of a method within two epochs */
    o.config.dnr_times = 0;
    o.config.checkpoint_epochs = 1; /* the writer takes part */
    o.train = data[XOR_TRAIN];
    o.val = data[XOR_VAL];
    o.places = &places;
    o.dir = job->dir;
    o.force = true;
    must(trainer_run(&o, &summary, &e), &e);
    if (summary.state.epoch != job->epochs)
        _exit(2);
}

static void test_training_on_vectors(void **state)
{
    static const char *const names[] = {"vanilla", "synib", "dnr", "mmpareto", "mcr"};
    char *dir = scratch_path(*state, "run");
    struct err e = {0};

    ASSERT_OK(dir_make(dir, &e), e);
    for (size_t i = 0; i < (is_full() ? sizeof names / sizeof names[0] : 2); i++) {
        struct training job = {dir, names[i], 2};
        long few = peak_kb(train_vectors, &job, 0);

        job.epochs = is_full() ? 100 : 30;
        assert_flat(names[i], few, peak_kb(train_vectors, &job, 0));
    }
    free(dir);
}

struct pictures {
    const char *data, *preset, *out;
    int64_t epochs;
};

static void train_pictures(void *ctx)
{
    const struct pictures *job = ctx;
    struct train_options o = runs_train_options(job->data, job->preset, "vanilla", job->out);
    char epochs[64], patience[64];
    struct err e = {0};

    snprintf(epochs, sizeof epochs, "optim.epochs=%lld", (long long)job->epochs);
    snprintf(patience, sizeof patience, "optim.patience=%lld", (long long)job->epochs);
    o.set[0] = epochs;
    o.set[1] = patience;
    o.cli.force = true;
    must(train_run(&o, &e), &e);
}

static void test_training_on_pictures(void **state)
{
    char *drawn = scratch_path(*state, "drawn"), *data = scratch_path(*state, "drawn/data");
    char *preset = scratch_path(*state, "small.conf"), *out = scratch_path(*state, "run");
    struct pictures job = {data, preset, out, 2};
    struct err e = {0};
    long few;

    ASSERT_OK(drawn_dataset_make(drawn, &drawn_options_default, &e), e);
    ASSERT_OK(runs_write_preset(preset, SOURCE_DIR, &e), e);
    few = peak_kb(train_pictures, &job, 0);
    job.epochs = is_full() ? 100 : 6;
    assert_flat("pictures", few, peak_kb(train_pictures, &job, 0));
    free(drawn);
    free(data);
    free(preset);
    free(out);
}

/* ---- preparation: the programs themselves ---- */

enum { WORDS = 16 };
struct command {
    const char *word[WORDS]; /* NULL-terminated */
};

static void run_command(void *ctx)
{
    const struct command *c = ctx;
    char program[1024], *argv[WORDS + 1];
    int n = 0;

    snprintf(program, sizeof program, "%s/%s", BIN_DIR, c->word[0]);
    for (; c->word[n] != NULL; n++)
        argv[n] = (char *)(uintptr_t)c->word[n];
    argv[n] = NULL;
    execv(program, argv);
    _exit(127);
}

enum { SYNTH, SCAN, FRAMES, STFT, SPLIT, IRONY, TOOLS };
static const char *const tool_names[TOOLS] = {"synth", "scan", "frames", "stft", "split", "irony"};

/* A corpus of so many actors; what drawing it took. */
static long draw(const char *root, long actors)
{
    char n[24];
    struct command c = {
        {"synib-synth", "-q", "-j", "2", "--actors", n, "--sentences", "1", "-o", root}};

    snprintf(n, sizeof n, "%ld", actors);
    return peak_kb(run_command, &c, 0);
}

/* Every clip of `from` under the names of five actors: more clips without drawing them. */
static void copy_clips(const char *from, const char *to, int actors)
{
    static const char *const folders[] = {"VideoFlash", "AudioWAV"};
    char old[1024], new[1024];
    struct err e = {0};

    for (int m = 0; m < 2; m++) {
        struct name_list names = {0};

        snprintf(old, sizeof old, "%s/%s", from, folders[m]);
        snprintf(new, sizeof new, "%s/%s", to, folders[m]);
        ASSERT_OK(dir_make(new, &e), e);
        ASSERT_OK(dir_list(&names, old, "", &e), e);
        for (size_t i = 0; i < names.count * 5; i++) {
            const char *name = names.name[i / 5];

            snprintf(old, sizeof old, "%s/%s/%s", from, folders[m], name);
            snprintf(new, sizeof new, "%s/%s/%d%s", to, folders[m],
                     atoi(name) + (int)(i % 5) * actors, name + 4);
            assert_int_equal(link(old, new), 0);
        }
        name_list_free(&names);
    }
}

static long folder_kb(const char *dir)
{
    struct name_list names = {0};
    struct err e = {0};
    long sum = 0;

    ASSERT_OK(dir_list(&names, dir, ".safetensors", &e), e);
    for (size_t i = 0; i < names.count; i++) {
        struct file_view v = {0};
        char path[1200];

        snprintf(path, sizeof path, "%s/%s", dir, names.name[i]);
        ASSERT_OK(file_map(&v, path, &e), e);
        sum += (long)(v.len >> 10);
        file_view_free(&v);
    }
    name_list_free(&names);
    return sum;
}

/* The other tools over it, in a folder of their own. Mapped base sets are pages of the file cache,
 * which the kernel takes back when it wants memory: they do not count. */
static void prepare(const void *state, const char *name, const char *raw, long peak[TOOLS])
{
    char *dir = scratch_path(state, name), path[5][1024];
    static const char *const names[5] = {"clips.tsv", "video", "audio", "split.tsv", "data"};
    struct err e = {0};

    ASSERT_OK(dir_make(dir, &e), e);
    for (int i = 0; i < 5; i++)
        snprintf(path[i], sizeof path[i], "%s/%s", dir, names[i]);
    {
        struct command all[TOOLS] = {
            [SCAN] = {{"synib-scan", "-q", "-j", "2", raw, "--media", "none", "-o", path[0]}},
            [FRAMES] = {{"synib-frames", "-q", "-j", "2", path[0], "--root", raw, "-o", path[1]}},
            [STFT] = {{"synib-stft", "-q", "-j", "2", path[0], "--root", raw, "-o", path[2]}},
            [SPLIT] = {{"synib-split", "-q", path[0], "--scheme", "kfold", "--folds", "3", "-o",
                        path[3]}},
            [IRONY] = {{"synib-irony", "-q", "--video", path[1], "--audio", path[2], "--split",
                        path[3], "--rate", "1", "--materialise", "-o", path[4]}},
        };
        for (int i = SCAN; i < TOOLS; i++)
            peak[i] = peak_kb(run_command, &all[i], 0);
    }
    peak[IRONY] -= folder_kb(path[1]) + folder_kb(path[2]);
    free(dir);
}

/* What a further clip may add: a row of a table, or its place in the shard that is being gathered
 * (up to 128 MiB, in memory that at most doubles as it grows). */
static const long kb_per_clip[TOOLS] = {
    [SYNTH] = 4, [SCAN] = 4, [FRAMES] = 150, [STFT] = 400, [SPLIT] = 4, [IRONY] = 500};

/* Five times as many clips take no more than that, and never more than 256 MiB + 160 MiB per
 * thread. */
static void test_preparation(void **state)
{
    enum { JOBS = 2, CLIPS_PER_ACTOR = 16 };
    long actors = is_full() ? 20 : 3, few[TOOLS], many[TOOLS];
    char *raw = scratch_path(*state, "raw"), *fewer = scratch_path(*state, "fewer");
    char *copies = scratch_path(*state, "copies");

    few[SYNTH] = draw(fewer, actors / 3);
    many[SYNTH] = draw(raw, actors);
    copy_clips(raw, copies, (int)actors);
    prepare(*state, "few", raw, few);
    prepare(*state, "many", copies, many);
    for (int i = 0; i < TOOLS; i++) {
        print_message("%s: %ld KiB, five times the clips %ld KiB\n", tool_names[i], few[i],
                      many[i]);
        if (many[i] > PREP_BASE_KB + JOBS * PREP_JOB_KB ||
            many[i] - few[i] > 1024 + kb_per_clip[i] * 4 * actors * CLIPS_PER_ACTOR)
            fail_msg("%s: %ld KiB, and %ld KiB for five times the clips", tool_names[i], few[i],
                     many[i]);
    }
    free(raw);
    free(fewer);
    free(copies);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_training_on_vectors, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_training_on_pictures, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_preparation, scratch_setup, scratch_teardown),
    };

    if (malloc_count() < 0) {
        print_message("skipped: a sanitizer owns the allocator\n");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
