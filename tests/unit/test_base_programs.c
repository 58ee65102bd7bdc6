/* SPDX-License-Identifier: MIT */
/* Programs by common/base: options, signals, a full stdout, the exit status; threads. */
#include "tests/support/cmocka.h"

#include "common/base/cli.h"
#include "common/base/parallel.h"
#include "tests/support/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef SYNIB_COVERAGE
void __gcov_dump(void);

/* In place of the C library's: signal handlers and what runs at exit end the process by it, and
 * nothing else would write the counters. */
void _Exit(int status)
{
    __gcov_dump();
    for (;;)
        syscall(SYS_exit_group, status);
}

/* Nor is it known to the compiler, which writes the counters before execv() of GNU C. */
int execv(const char *path, char *const argv[])
{
    __gcov_dump();
    return (int)syscall(SYS_execve, path, argv, environ);
}
#endif

struct tool {
    struct cli cli;
};

/* An option of its own, --errno=N, which its reader answers with N and no words. */
static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct tool *t = state->input;

    if (key == ARGP_KEY_INIT)
        state->child_inputs[0] = &t->cli;
    if (key == 'E')
        return atoi(arg);
    return key == ARGP_KEY_INIT ? 0 : ARGP_ERR_UNKNOWN;
}

static int tool_main(const char *option, struct tool *t)
{
    static const struct argp_child children[] = {CLI_CHILD, {0}};
    static const struct argp_option own[] = {{"errno", 'E', "N", 0, "Fail", 0}, {0}};
    static const struct argp argp = {own, parse, NULL, NULL, children, NULL, NULL};
    char name[] = "tool", word[64];
    char *argv[] = {name, word, NULL};
    struct err e = {0};

    snprintf(word, sizeof word, "%s", option);
    if (cli_parse(&argp, 2, argv, "tool", &t->cli, t, &e) != e.code)
        return 96;
    return cli_finish("tool", &e);
}

/* Exit status of a child that runs the tool with one option, its stdout on `out`. */
static int status_with(const char *option, const char *out, int buffering)
{
    int status;
    pid_t child;

    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int fd = open(out, O_WRONLY), quiet = open("/dev/null", O_WRONLY);
        struct tool t = {0};

        if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(quiet, STDERR_FILENO) < 0)
            _exit(99);
        setvbuf(stdout, NULL, buffering, BUFSIZ);
        exit(tool_main(option, &t));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int status_of(const char *option, const char *out)
{
    return status_with(option, out, _IOFBF);
}

static void test_options(void **state)
{
    (void)state;
    assert_int_equal(status_of("-j3", "/dev/null"), 0);
    assert_int_equal(status_of("-jx", "/dev/null"), 2);
    assert_int_equal(status_of("--seed=7", "/dev/null"), 0);
    assert_int_equal(status_of("--seed=-7", "/dev/null"), 2);
    assert_int_equal(status_of("--nonsense", "/dev/null"), 2);
    assert_int_equal(status_of("too-much", "/dev/null"), 2);
    assert_int_equal(status_of("--version", "/dev/null"), 0);
    assert_int_equal(status_of("--help", "/dev/full"), 1);
    assert_int_equal(status_with("--help", "/dev/full", _IONBF), 1); /* seen when it was written */
}

static void parse_failing(void *ctx)
{
    struct tool *t = ctx;
    char word[32];

    snprintf(word, sizeof word, "--errno=%d", t->cli.jobs);
    t->cli.jobs = tool_main(word, t);
}

/* Readers of options that fail without a word. */
static void test_failing_options(void **state)
{
    static const struct {
        int error, status;
        const char *text;
    } cases[] = {
        {ENOMEM, 1, "tool: cannot read the command line: out of memory\n"},
        {EINVAL, 2, "tool: bad command line: Invalid argument: see --help\n"},
    };
    char text[4096];
    (void)state;

    for (int i = 0; i < 2; i++) {
        struct tool t = {.cli.jobs = cases[i].error};

        capture(text, parse_failing, &t);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(t.cli.jobs, cases[i].status);
    }
}

static void finish_two_lines(void *ctx)
{
    struct err *e = ctx;

    assert_int_equal(cli_finish("tool", e), 4);
}

static void test_lines_of_an_error(void **state)
{
    struct err e = {0};
    char text[4096];
    (void)state;

    (void)err_add_line(&e, ERR_DATA, "a:1: bad");
    (void)err_add_line(&e, ERR_DATA, "a:7: worse");
    capture(text, finish_two_lines, &e);
    assert_string_equal(text, "tool: a:1: bad\ntool: a:7: worse\n");
}

/* Status of a child that writes to a full device. */
static int status_when_full(int buffering)
{
    int status;
    pid_t child;

    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int fd = open("/dev/full", O_WRONLY), quiet = open("/dev/null", O_WRONLY);
        struct err e = {0};

        if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(quiet, STDERR_FILENO) < 0)
            _exit(99);
        setvbuf(stdout, NULL, buffering, BUFSIZ);
        puts("lost");
        exit(cli_finish("tool", &e));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Seen when the buffer is written out at the end; or before, and nothing is left to write. */
static void test_full_stdout(void **state)
{
    (void)state;
    assert_int_equal(status_when_full(_IOFBF), 1);
    assert_int_equal(status_when_full(_IONBF), 1);
}

static void test_flags(void **state)
{
    struct tool t = {0};
    (void)state;

    assert_int_equal(tool_main("-qv", &t), 0);
    assert_int_equal(t.cli.log.level, LOG_VERBOSE);
    assert_true(t.cli.jobs >= 1);
    assert_int_equal(
        tool_main("--json", &t) | tool_main("--force", &t) | tool_main("--dry-run", &t), 0);
    assert_true(t.cli.json && t.cli.force && t.cli.dry_run);
}

/* Signals: the first asks, a second SIGINT ends the process; SIGTERM and SIGUSR1 only ask. */
static int status_after(int first, int second)
{
    int status;
    pid_t child;

    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        cli_catch_signals();
        if (cli_stop_requested())
            exit(98);
        raise(first);
        if (!cli_stop_requested())
            exit(97);
        raise(second);
        exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_signals(void **state)
{
    (void)state;
    assert_int_equal(status_after(SIGINT, SIGINT), 128 + SIGINT);
    assert_int_equal(status_after(SIGTERM, SIGTERM), 0);
    assert_int_equal(status_after(SIGUSR1, SIGINT), 128 + SIGINT);
    assert_int_equal(status_after(SIGINT, SIGTERM), 0);
}

/* ---- threads ---- */

static bool hide_cores;

/* In place of the C library's. */
int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
    if (hide_cores) {
        errno = EINVAL;
        return -1;
    }
    CPU_ZERO_S(size, set);
    return syscall(SYS_sched_getaffinity, pid, size, set) < 0 ? -1 : 0;
}

static void test_cores(void **state)
{
    (void)state;
    assert_true(parallel_cores() >= 1);
    hide_cores = true; /* more of them than the call can tell */
    assert_int_equal(parallel_cores(), 1);
    hide_cores = false;
}

static int status_of_sleeper(const char *policy)
{
    char self[] = "test_base_programs", again[] = "--again";
    char *argv[] = {self, again, NULL};
    int status;
    pid_t child;

    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        unsetenv("GOMP_SPINCOUNT");
        if (policy == NULL ? unsetenv("OMP_WAIT_POLICY") : setenv("OMP_WAIT_POLICY", policy, 1))
            _exit(99);
        parallel_sleep_when_idle(argv);
        exit(98);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* main() when test_sleep starts this program again. */
static int started_again(void)
{
    const char *policy = getenv("OMP_WAIT_POLICY"), *spin = getenv("GOMP_SPINCOUNT");

    return policy != NULL && strcmp(policy, "passive") == 0 && spin != NULL ? 42 : 43;
}

/* A program starts itself again, once, with threads that sleep when they wait. */
static void test_sleep(void **state)
{
    (void)state;
    assert_int_equal(status_of_sleeper(NULL), 42);
    assert_int_equal(status_of_sleeper("active"), 98); /* the user's choice */
}

static void inner(void *ctx, int64_t i, int worker)
{
    (void)i;
    (void)worker;
    __atomic_add_fetch((int *)ctx, 1, __ATOMIC_RELAXED);
}

static void outer(void *ctx, int64_t i, int worker)
{
    (void)i;
    (void)worker;
    parallel_for(4, 5, inner, ctx);
}

static void test_nested_loops(void **state)
{
    int n = 0;
    (void)state;

    parallel_for(2, 3, outer, &n);
    assert_int_equal(n, 15);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_failing_options),
        cmocka_unit_test(test_lines_of_an_error),
        cmocka_unit_test(test_full_stdout),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_cores),
        cmocka_unit_test(test_sleep),
        cmocka_unit_test(test_nested_loops),
    };

    if (argc == 2 && strcmp(argv[1], "--again") == 0)
        return started_again();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
