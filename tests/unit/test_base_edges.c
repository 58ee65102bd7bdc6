/* SPDX-License-Identifier: MIT */
/* The rarer ways through common/base: errors nobody listens to, lines on a terminal, signals, a
 * full stdout, options that are no numbers. */
#include "tests/support/cmocka.h"

#include "common/base/cli.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/parallel.h"
#include "tests/support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_errors_without_a_listener(void **state)
{
    struct err e = {0};
    (void)state;

    assert_int_equal(err_set(NULL, ERR_IO, "x"), ERR_IO);
    assert_int_equal(err_in(NULL, "x"), ERR_OK);
    errno = ENOMEM;
    assert_int_equal(err_sys(&e, "file"), ERR_NOMEM);
    assert_non_null(strstr(e.text, "file: "));
}

static void test_every_code_has_a_status(void **state)
{
    static const int want[] = {0, 2, 3, 4, 4, 4, 4, 1, 1, 1, 1, 1, 75};
    (void)state;

    for (int code = 0; code < (int)(sizeof want / sizeof want[0]); code++)
        assert_int_equal(err_exit_status((enum err_code)code), want[code]);
    assert_int_equal(err_exit_status((enum err_code)99), 1);
}

/* What `fn` writes to stderr, in 4 KiB at most. */
static void capture(char text[4096], void (*fn)(void *ctx), void *ctx)
{
    FILE *f = tmpfile();
    int saved = dup(STDERR_FILENO);
    size_t n;

    assert_true(f != NULL && saved >= 0);
    fflush(stderr);
    assert_true(dup2(fileno(f), STDERR_FILENO) >= 0);
    fn(ctx);
    fflush(stderr);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    rewind(f);
    n = fread(text, 1, 4095, f);
    text[n] = '\0';
    fclose(f);
}

static void say_all(void *ctx)
{
    const struct log *log = ctx;

    log_warn(log, "w\x1b[31m");
    log_note(log, "n");
    log_debug(log, "d");
}

static void test_levels(void **state)
{
    struct log log = {.tool = "t", .level = LOG_QUIET};
    char text[4096];
    (void)state;

    capture(text, say_all, &log);
    assert_string_equal(text, "t: warning: w?[31m\n");
    log.level = LOG_NORMAL;
    capture(text, say_all, &log);
    assert_string_equal(text, "t: warning: w?[31m\nt: n\n");
    log.level = LOG_VERBOSE;
    capture(text, say_all, &log);
    assert_string_equal(text, "t: warning: w?[31m\nt: n\nt: d\n");
    capture(text, say_all, NULL);
    assert_string_equal(text, "");
}

static void step_to_the_end(void *ctx)
{
    struct progress *p = ctx;

    p->shown_ms = p->start_ms = clock_ms() - 60000; /* it is time for a line */
    progress_step(p, 3);
    progress_step(p, 1); /* too soon for another */
    progress_end(p);
}

static void test_progress(void **state)
{
    struct log log = {.tool = "t", .level = LOG_VERBOSE};
    struct progress p;
    char text[4096];
    (void)state;

    progress_begin(&p, &log, "clips", 4);
    p.terminal = false;
    capture(text, step_to_the_end, &p);
    assert_non_null(strstr(text, "t: 3 of 4 clips, 60 s"));
    assert_non_null(strstr(text, "t: 4 of 4 clips"));
    progress_begin(&p, &log, "clips", 2);
    p.terminal = true;
    capture(text, step_to_the_end, &p); /* more than announced: the bar is full, no longer */
    assert_non_null(strstr(text, "[##############################] 3/2 clips"));
    progress_begin(&p, &log, "clips", 0);
    p.terminal = true;
    capture(text, step_to_the_end, &p);
    assert_non_null(strstr(text, "4/0 clips"));
    log.level = LOG_NORMAL;
    progress_begin(&p, &log, "clips", 9);
    p.terminal = false;
    capture(text, step_to_the_end, &p);
    assert_null(strstr(text, "t: 4 of"));
    log.level = LOG_QUIET;
    progress_begin(&p, &log, "clips", 4);
    capture(text, step_to_the_end, &p);
    assert_string_equal(text, "");
    progress_begin(&p, NULL, "clips", 4);
    capture(text, step_to_the_end, &p);
    assert_string_equal(text, "");
}

static void test_numbers(void **state)
{
    struct err e = {0};
    double d;
    uint64_t u;
    (void)state;

    ASSERT_FAILS(cli_double(&d, "-1", 0, DBL_MAX, "--x", &e), e, ERR_USAGE, "from 0 up");
    ASSERT_FAILS(cli_double(&d, "3", 0, 1, "--x", &e), e, ERR_USAGE, "from 0 to 1");
    ASSERT_FAILS(cli_u64(&u, "99999999999999999999", "--x", &e), e, ERR_USAGE, "2^64");
    ASSERT_FAILS(cli_u64(&u, "12a", "--x", &e), e, ERR_USAGE, "2^64");
    ASSERT_FAILS(cli_u64(&u, "a", "--x", &e), e, ERR_USAGE, "2^64");
}

static void test_choices(void **state)
{
    static const char *const names[] = {
        "short", "a-name-that-is-longer-than-anything-that-one-would-compare-letter-by-letter",
        NULL};
    char long_word[100];
    struct err e = {0};
    int i;
    (void)state;

    ASSERT_FAILS(cli_choice(&i, "other", names, "--x", &e), e, ERR_USAGE,
                 "unknown 'other': one of");
    memset(long_word, 'x', 99);
    long_word[99] = '\0';
    ASSERT_FAILS(cli_choice(&i, long_word, names, "--x", &e), e, ERR_USAGE, "one of short");
}

/* ---- whole programs, in a child of their own ---- */

struct tool {
    struct cli cli;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct tool *t = state->input;

    (void)arg;
    if (key == ARGP_KEY_INIT)
        state->child_inputs[0] = &t->cli;
    return key == ARGP_KEY_INIT ? 0 : ARGP_ERR_UNKNOWN;
}

static int tool_main(const char *option, struct tool *t)
{
    static const struct argp_child children[] = {CLI_CHILD, {0}};
    static const struct argp argp = {NULL, parse, NULL, NULL, children, NULL, NULL};
    char name[] = "tool", word[64];
    char *argv[] = {name, word, NULL};
    struct err e = {0};

    snprintf(word, sizeof word, "%s", option);
    if (cli_parse(&argp, 2, argv, "tool", &t->cli, t, &e) != e.code)
        return 96;
    return cli_finish("tool", &e);
}

/* Exit status of a child that runs the tool with one option, its stdout on `out`. */
static int status_of(const char *option, const char *out)
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
        exit(tool_main(option, &t));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
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
}

/* ---- memory, hashes, threads ---- */

/* For AddressSanitizer: too much memory is refused as elsewhere, and is not the end. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void test_sizes(void **state)
{
    size_t cap = SIZE_MAX / 2 + 1;
    struct err e = {0};
    void *p = NULL;
    (void)state;

    ASSERT_FAILS(mem_aligned(&p, SIZE_MAX / 2, 4, "x", &e), e, ERR_NOMEM, "x: cannot allocate");
    ASSERT_FAILS(mem_grow(&p, &cap, SIZE_MAX, 2, "x", &e), e, ERR_NOMEM, "x: cannot allocate");
    ASSERT_FAILS(mem_array(&p, SIZE_MAX / 4, 1, "x", &e), e, ERR_NOMEM, "x: cannot allocate");
    ASSERT_OK(mem_array(&p, 0, 8, "x", &e), e);
    free(p);
    sha256_add(NULL, "abc", 3);
    ASSERT_FAILS(sha256_end(NULL, (uint8_t[SHA256_SIZE]){0}, &e), e, ERR_NOMEM, "SHA-256");
    sha256_abort(NULL);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_without_a_listener),
        cmocka_unit_test(test_every_code_has_a_status),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_nested_loops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
