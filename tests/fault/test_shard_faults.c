/* SPDX-License-Identifier: MIT */
/* A set is replaced whole or not at all: killed at every system call, and without room to write. */
#include "common/base/file.h"
#include "common/data/shard.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OLD_SAMPLES = 5, NEW_SAMPLES = 3, TARGET_BYTES = 200 };

static enum err_code write_set(const char *dir, int samples, struct err *e)
{
    static const struct shard_field fields[] = {
        {.name = "blob", .dtype = DTYPE_U8, .ragged = true},
        {.name = "number", .dtype = DTYPE_I32},
    };
    struct shard_options opt = {.prefix = "x", .target_bytes = TARGET_BYTES, .force = true};
    struct shard_writer *w = NULL, *done;
    uint8_t blob[100];

    TRY(shard_writer_open(&w, dir, &opt, fields, 2, e));
    for (int32_t i = 0; i < samples; i++) {
        const struct shard_value values[] = {{blob, sizeof blob - (size_t)i}, {&i, sizeof i}};

        memset(blob, samples + i, sizeof blob);
        TRY(shard_writer_add(w, values, e));
    }
    done = w;
    w = NULL;
    TRY(shard_writer_commit(done, e));
out:
    shard_writer_abort(w);
    return e->code;
}

/* Samples of the whole, verified set in the folder; 0 when there is no set. Fails for anything
 * between. */
static int64_t samples_in(const char *dir, const char *when, int step)
{
    struct shard_set *s = NULL;
    struct err e = {0};
    char *index = NULL;
    int64_t n;

    ASSERT_OK(path_join(&index, dir, "index.jsonl", &e), e);
    n = access(index, F_OK);
    free(index);
    if (n != 0)
        return 0;
    if (shard_set_open(&s, dir, &e) != ERR_OK || shard_set_verify(s, 1, &e) != ERR_OK)
        fail_msg("%s %d: the set is broken: %s", when, step, e.text);
    n = shard_set_count(s);
    shard_set_close(s);
    return n;
}

/* Runs the writer in a child and kills it before its n-th system call. True when it was killed,
 * false when it had finished before. *skip: tracing is not allowed here. */
static bool killed_at(const char *dir, int n, bool *skip)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        struct err e = {0};

        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(99);
        raise(SIGSTOP);
        _exit(write_set(dir, NEW_SAMPLES, &e) == ERR_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    *skip = WIFEXITED(status) && WEXITSTATUS(status) == 99;
    if (*skip)
        return false;
    for (int stop = 0; stop <= 2 * n; stop++) { /* two stops per call: entry and exit */
        assert_int_equal(ptrace(PTRACE_SYSCALL, child, NULL, NULL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0);
            return false;
        }
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return true;
}

/* `old`: whether a set is there to be replaced. */
static void kill_everywhere(const char *dir, bool old)
{
    struct err e = {0};
    bool killed = true, skip = false;
    int n, seen_old = 0, seen_new = 0;
    size_t files;

    ASSERT_OK(write_set(dir, NEW_SAMPLES, &e), e);
    files = scratch_count(dir);
    for (n = 0; killed; n++) {
        int64_t samples;

        if (old) {
            ASSERT_OK(write_set(dir, OLD_SAMPLES, &e), e);
        } else {
            void *state = strdup(dir);

            assert_non_null(state);
            assert_int_equal(scratch_teardown(&state), 0);
        }
        killed = killed_at(dir, n, &skip);
        if (skip) {
            print_message("skipped: this system does not allow ptrace\n");
            return;
        }
        if (access(dir, F_OK) == 0) {
            samples = samples_in(dir, "killed at call", n);
            if (samples != NEW_SAMPLES && samples != (old ? OLD_SAMPLES : 0))
                fail_msg("killed at call %d: %d samples", n, (int)samples);
            seen_old += samples != NEW_SAMPLES;
            seen_new += samples == NEW_SAMPLES;
        }
        ASSERT_OK(write_set(dir, NEW_SAMPLES, &e), e); /* the same command again */
        assert_int_equal(samples_in(dir, "after the kill at call", n), NEW_SAMPLES);
        assert_int_equal(scratch_count(dir), files);
    }
    assert_true(n > 50 && seen_old > 0 && seen_new > 0);
}

static void test_kill_replacing(void **state)
{
    char *dir = scratch_path(*state, "set");

    kill_everywhere(dir, true);
    free(dir);
}

static void test_kill_fresh(void **state)
{
    char *dir = scratch_path(*state, "set");

    kill_everywhere(dir, false);
    free(dir);
}

/* Files may not grow past `limit`, as on a full disk: an error, the old set whole, nothing left. */
static void test_no_room(void **state)
{
    char *dir = scratch_path(*state, "set");
    struct err e = {0};
    int failures = 0;
    size_t files;

    ASSERT_OK(write_set(dir, OLD_SAMPLES, &e), e);
    files = scratch_count(dir);
    for (rlim_t limit = 0; limit < 2000; limit += 61) {
        pid_t child = fork();
        int status;

        assert_true(child >= 0);
        if (child == 0) {
            struct rlimit r = {limit, limit};

            signal(SIGXFSZ, SIG_IGN);
            if (setrlimit(RLIMIT_FSIZE, &r) != 0)
                _exit(99);
            _exit(err_exit_status(write_set(dir, NEW_SAMPLES, &e)));
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 0)
            continue; /* enough room */
        failures++;
        assert_int_equal(WEXITSTATUS(status), 1);
        assert_int_equal(scratch_count(dir), files);
        assert_int_equal(samples_in(dir, "limit", (int)limit), OLD_SAMPLES);
    }
    assert_true(failures > 5);
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kill_replacing, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_kill_fresh, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_no_room, scratch_setup, scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
