/* SPDX-License-Identifier: MIT */
#include "common/base/parallel.h"
#include "common/base/rng.h"
#include "tests/support/check.h"
#include "tests/support/damage.h"
#include "tests/support/drawn_dataset.h"
#include "tests/support/runs.h"
#include "tests/support/scratch.h"
#include "tests/support/tools.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Training in a process of its own that gets SIGTERM or SIGKILL at a step, or SIGKILL at any
 * moment, and is resumed in another: the files are those of a run that nobody disturbed
 * (docs/reliability/repeatability.md). `test_interrupted --full` takes every step of every run; the
 * short form one step for each signal, drawn from the seed. */

static struct strength how;

enum { JOBS = 3, MAX_SETS = 8 };
static const int jobs_of[JOBS] = {1, 2, 4};

static const char *const result_files[] = {"last.safetensors", "best.safetensors", "metrics.jsonl",
                                           "epochs.csv",       "run.json",         NULL};

/* ---- the signal at a step ---- */

/* When the log of steps gets the line of step `at`, this process gets `number`. */
static struct {
    int64_t at;
    int number;
    bool sent;
} strike;

/* In place of the C library's: the trainer appends every line with one write(). */
ssize_t write(int fd, const void *data, size_t len)
{
    ssize_t n = syscall(SYS_write, fd, data, len);
    char line[64];
    long epoch, step;

    snprintf(line, sizeof line, "%.*s", (int)(len < 63 ? len : 63), (const char *)data);
    if (strike.number != 0 && !strike.sent && strstr(line, "\"lr\"") != NULL &&
        sscanf(line, "{\"epoch\": %ld, \"step\": %ld", &epoch, &step) == 2 && step == strike.at) {
        strike.sent = true;
        raise(strike.number);
    }
    return n;
}

/* ---- runs in processes ---- */

/* The options' run, in a child. `number`, if not 0, strikes at step `at`. */
static pid_t start(const struct train_options *o, int number, int64_t at)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct err e = {0};

        cli_catch_signals();
        strike.number = number;
        strike.at = at;
        if (train_run(o, &e) != ERR_OK && e.code != ERR_STOPPED)
            fprintf(stderr, "%s\n", e.text);
        _exit(err_exit_status(e.code));
    }
    return pid;
}

static int finish(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void assert_done(const struct train_options *o)
{
    int status = finish(start(o, 0, 0));

    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s: status %x", o->out, (unsigned)status);
}

/* A run, struck at `step`, resumed with another number of threads. */
static void strike_at(struct train_options o, int number, int64_t step, int64_t steps,
                      const char *whole)
{
    int status;

    o.resume = true;
    o.cli.jobs = jobs_of[step % JOBS];
    status = finish(start(&o, number, step));
    if (number == SIGKILL)
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    else /* asked to stop in its last step, it is done */
        assert_true(WIFEXITED(status) &&
                    (WEXITSTATUS(status) == 75 || (step == steps && WEXITSTATUS(status) == 0)));
    o.cli.jobs = jobs_of[(step + 1) % JOBS];
    assert_done(&o);
    assert_same_files(whole, o.out, result_files);
}

/* ---- the runs ---- */

struct job {
    const char *data, *preset, *method, *mask;
    const char *set[MAX_SETS];
    int64_t steps;
};

static struct train_options options_of(const struct job *j, const char *out)
{
    struct train_options o = runs_train_options(j->data, j->preset, j->method, out);

    o.mask = j->mask;
    for (int i = 0; i < MAX_SETS && j->set[i] != NULL; i++)
        o.set[i] = j->set[i];
    return o;
}

/* Every step, or one that the seed chooses. */
static bool chosen(const struct job *j, const char *name, int64_t step, int number)
{
    struct rng r = rng_at(how.seed, rng_stream(name), 0, (uint32_t)number);

    return how.full || step == 1 + (int64_t)rng_below(&r, (uint32_t)j->steps);
}

/* The whole run at 1, 2 and 4 threads; then struck. Returns the milliseconds of one. */
static int64_t strike_everywhere(void *const *state, const struct job *j, const char *name)
{
    static const int numbers[] = {SIGTERM, SIGKILL};
    char *whole[JOBS];
    int64_t start_ms = 0, took_ms = 0;
    int strikes = 0;

    for (int i = 0; i < JOBS; i++) {
        char dir[64];
        struct train_options o;

        snprintf(dir, sizeof dir, "%s-whole%d", name, jobs_of[i]);
        whole[i] = scratch_path(*state, dir);
        o = options_of(j, whole[i]);
        o.cli.jobs = jobs_of[i];
        start_ms = clock_ms();
        assert_done(&o);
        took_ms = clock_ms() - start_ms;
        assert_same_files(whole[0], whole[i], result_files);
    }
    for (int n = 0; n < 2; n++)
        for (int64_t step = 1; step <= j->steps; step++) {
            char dir[64], *out;

            if (!chosen(j, name, step, numbers[n]))
                continue;
            snprintf(dir, sizeof dir, "%s-struck", name);
            out = scratch_path(*state, dir);
            strike_at(options_of(j, out), numbers[n], step, j->steps, whole[0]);
            scratch_clear(out);
            free(out);
            strikes++;
        }
    print_message("%s: %d signals, 0 differences\n", name, strikes);
    for (int i = 0; i < JOBS; i++)
        free(whole[i]);
    return took_ms;
}

/* SIGKILL at `kills` random moments, each followed by --resume. */
static void kill_at_random(void *const *state, const struct job *j, const char *name, int kills,
                           int64_t took_ms)
{
    char dir[64], *whole, *out;
    int killed = 0;

    snprintf(dir, sizeof dir, "%s-whole1", name);
    whole = scratch_path(*state, dir);
    for (int k = 0; k < kills; k++) {
        struct rng r = rng_at(how.seed, rng_stream("test.kill"), 0, (uint32_t)k);
        int64_t ns = (int64_t)(rng_double(&r) * (double)took_ms * 1e6);
        struct timespec pause = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
        struct train_options o;
        pid_t pid;
        int status;

        snprintf(dir, sizeof dir, "%s-killed", name);
        out = scratch_path(*state, dir);
        o = options_of(j, out);
        o.resume = true;
        o.cli.jobs = jobs_of[k % JOBS];
        pid = start(&o, 0, 0);
        nanosleep(&pause, NULL);
        kill(pid, SIGKILL);
        status = finish(pid);
        killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        assert_done(&o);
        assert_same_files(whole, out, result_files);
        scratch_clear(out);
        free(out);
    }
    print_message("%s: %d kills at random moments, %d while it ran, 0 differences\n", name, kills,
                  killed);
    free(whole);
}

/* ---- pictures and sound ---- */

/* 30 clips in batches of 3, five epochs: 50 steps (short form: two). Checkpoints fall within epochs
 * and at their ends, and a killed run loses up to 6 steps. */
static void test_media(void **state)
{
    static const char *const method[] = {"vanilla", "synib"};
    struct drawn_options drawn = drawn_options_default;
    char *root = scratch_path(*state, "drawn"), *data = scratch_path(*state, "drawn/data");
    char *preset = scratch_path(*state, "tiny.conf");
    struct err e = {0};

    drawn.clips[0] = 30;
    ASSERT_OK(drawn_dataset_make(root, &drawn, &e), e);
    ASSERT_OK(runs_write_preset(preset, SOURCE_DIR, &e), e);
    for (int m = 0; m < 2; m++) {
        struct job j = {.data = data,
                        .preset = preset,
                        .method = method[m],
                        .set = {how.full ? "optim.epochs=5" : "optim.epochs=2",
                                "optim.patience=100", "init.encoders=scratch", "checkpoint.steps=7",
                                "optim.batch=3"},
                        .steps = how.full ? 50 : 20};
        int64_t took_ms = strike_everywhere(state, &j, method[m]);

        kill_at_random(state, &j, method[m], how.full ? 20 : 1, took_ms);
    }
    free(root);
    free(data);
    free(preset);
}

/* ---- vectors ---- */

#define SMALL                                                                           \
    "optim.epochs=2", "optim.batch=16", "model.encoder_width=16", "model.head_width=8", \
        "model.trunk=16", "checkpoint.steps=2"

/* 80 samples in batches of 16, two epochs: 10 steps of every method. */
static void test_vectors(void **state)
{
    static const struct {
        const char *method, *mask, *set;
    } cases[] = {
        {"vanilla", NULL, NULL},
        {"synib", "random", NULL},
        {"synib", "random", "mask.fill=ema"},
        {"synib", "learned", "mask.steps=3"},
        {"synib", "learned-mlp", NULL},
        {"synib", "oracle", NULL},
        {"masking-only", "random", NULL},
        {"dnr", NULL, "dnr.every=1"},
        {"mmpareto", NULL, NULL},
        {"reconboost", NULL, "reconboost.epochs=1"},
        {"mcr", NULL, "mcr.permutations=2"},
    };
    char *data = scratch_path(*state, "pid");
    struct err e = {0};

    ASSERT_OK(tool_run("synib-xor -q pid --mix 0.3,0.2,0.3,0.2 --train 80 --val 16 --test 4 -o "
                       "@/pid",
                       *state, &e),
              e);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct job j = {.data = data,
                        .preset = SOURCE_DIR "/manifests/presets/xor-pid.conf",
                        .method = cases[i].method,
                        .mask = cases[i].mask,
                        .set = {SMALL, cases[i].set},
                        .steps = 10};
        char name[64];

        snprintf(name, sizeof name, "%zu-%s-%s", i, j.method, j.mask != NULL ? j.mask : "none");
        (void)strike_everywhere(state, &j, name);
    }
    free(data);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_media, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_vectors, scratch_setup, scratch_teardown),
    };

    parallel_sleep_when_idle(argv);
    how = strength_parse(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
