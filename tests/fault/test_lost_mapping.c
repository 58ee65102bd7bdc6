/* SPDX-License-Identifier: MIT */
/* What a process says and does when a page of a mapped file cannot be had, and which signals are
 * not of that kind. */
#include "tests/support/cmocka.h"

#include "common/base/lost_mapping.h"
#include "tests/support/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef SYNIB_COVERAGE
void __gcov_dump(void);

/* In place of the C library's: the handler ends the process by it, and nothing else would write the
 * counters. */
void _exit(int status)
{
    __gcov_dump();
    for (;;)
        syscall(SYS_exit_group, status);
}
#endif

enum { PAGES = 3, IS_DEFAULT = 77, IS_NOT = 78 };

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* A file of PAGES pages; its pages from `first` on in memory. */
static const volatile char *map_file(const char *path, size_t first)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    void *p;

    if (fd < 0 || ftruncate(fd, (off_t)(PAGES * page_size())) != 0)
        abort();
    p = mmap(NULL, (PAGES - first) * page_size(), PROT_READ, MAP_SHARED, fd,
             (off_t)(first * page_size()));
    if (p == MAP_FAILED)
        abort();
    close(fd);
    return p;
}

/* As the kernel names it: a folder for temporary files may be a link. */
static char *resolved(void *const *state, const char *name)
{
    char *dir = realpath(*state, NULL), *path;

    assert_non_null(dir);
    path = scratch_path(dir, name);
    free(dir);
    return path;
}

/* The signal as the kernel sends it for a page that it cannot get. */
static void send_bus_error(const volatile void *at, int code)
{
    siginfo_t info = {.si_signo = SIGBUS, .si_code = code};

    info.si_addr = (void *)(uintptr_t)at;
    if (syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGBUS, &info) != 0)
        abort();
}

/* Exit status of a child that does the work, and what it writes to stderr. */
static int in_child(void (*work)(const char *path), const char *path, char text[4096])
{
    int pipes[2], status;
    size_t got = 0;
    ssize_t n;
    pid_t child;

    assert_int_equal(pipe(pipes), 0);
    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (dup2(pipes[1], STDERR_FILENO) < 0)
            _exit(98);
        lost_mapping_explain();
        work(path);
        _exit(99);
    }
    close(pipes[1]);
    while ((n = read(pipes[0], text + got, 4095 - got)) > 0)
        got += (size_t)n;
    text[got] = '\0';
    close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* ---- pages that are gone ---- */

static void cut_and_read(const char *path)
{
    const volatile char *p = map_file(path, 0);

    if (truncate(path, (off_t)page_size()) != 0)
        abort();
    (void)p[page_size()]; /* the first byte that is not there */
}

static void cut_and_read_further_on(const char *path)
{
    const volatile char *p = map_file(path, 1);

    if (truncate(path, 0) != 0)
        abort();
    (void)p[page_size() + 6];
}

static void test_shrunk(void **state)
{
    char *path = resolved(state, "file"), text[4096], want[4096];

    assert_int_equal(in_child(cut_and_read, path, text), 4);
    snprintf(want, sizeof want,
             "%s: %s: byte %zu: the file shrank to %zu bytes while it was in use: restore it or "
             "make it again, then run again\n",
             program_invocation_short_name, path, page_size(), page_size());
    assert_string_equal(text, want);
    assert_int_equal(in_child(cut_and_read_further_on, path, text), 4);
    snprintf(want, sizeof want, "%s: byte %zu: the file shrank to 0 bytes", path,
             2 * page_size() + 6); /* of the file, not of the mapping */
    assert_non_null(strstr(text, want));
    free(path);
}

static void cut_remove_and_read(const char *path)
{
    const volatile char *p = map_file(path, 0);

    if (truncate(path, 0) != 0 || unlink(path) != 0)
        abort();
    (void)p[7];
}

static void fail_to_read(const char *path)
{
    send_bus_error(map_file(path, 0) + page_size() + 3, BUS_ADRERR);
}

/* A file that is as long as it was, or that has no name any more. */
static void test_unreadable(void **state)
{
    char *path = resolved(state, "file"), text[4096];

    assert_int_equal(in_child(cut_remove_and_read, path, text), 1);
    assert_non_null(strstr(text, "file (deleted): byte 7: cannot be read any more: the disk"));
    assert_int_equal(in_child(fail_to_read, path, text), 1);
    assert_non_null(strstr(text, ": cannot be read any more: the disk or its server fails"));
    free(path);
}

/* A name cannot drive the terminal. */
static void test_name_with_controls(void **state)
{
    char *path = resolved(state, "a\033[31mb"), text[4096];

    assert_int_equal(in_child(fail_to_read, path, text), 1);
    assert_non_null(strstr(text, "/a?[31mb: byte "));
    free(path);
}

static void cut_and_read_in_silence(const char *path)
{
    close(STDERR_FILENO);
    cut_and_read(path);
}

static void test_nobody_listens(void **state)
{
    char *path = resolved(state, "file"), text[4096];

    assert_int_equal(in_child(cut_and_read_in_silence, path, text), 4);
    assert_string_equal(text, "");
    free(path);
}

/* ---- signals that are of no file: the system's answer to them is back in its place ---- */

static void leave_when_default(void)
{
    struct sigaction now;

    _exit(sigaction(SIGBUS, NULL, &now) == 0 && now.sa_handler == SIG_DFL ? IS_DEFAULT : IS_NOT);
}

static void raise_it(const char *path)
{
    (void)path;
    raise(SIGBUS);
    leave_when_default();
}

static void misalign(const char *path)
{
    send_bus_error(map_file(path, 0), BUS_ADRALN);
    leave_when_default();
}

static void lose_no_file(const char *path)
{
    (void)path;
    send_bus_error((void *)16, BUS_ADRERR);
    leave_when_default();
}

/* Without /proc, here for want of file descriptors, the handler knows no file. */
static void lose_unknown(const char *path)
{
    const volatile char *p = map_file(path, 0);
    struct rlimit files, none;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        abort();
    none = files;
    none.rlim_cur = 0;
    if (setrlimit(RLIMIT_NOFILE, &none) != 0)
        abort();
    send_bus_error(p, BUS_ADRERR);
    (void)setrlimit(RLIMIT_NOFILE, &files);
    leave_when_default();
}

static void test_other_signals(void **state)
{
    static void (*const works[])(const char *) = {raise_it, misalign, lose_no_file, lose_unknown};
    char *path = resolved(state, "file"), text[4096];

    for (size_t i = 0; i < sizeof works / sizeof works[0]; i++) {
        assert_int_equal(in_child(works[i], path, text), IS_DEFAULT);
        assert_string_equal(text, "");
    }
    free(path);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_shrunk),         TEST(test_unreadable),    TEST(test_name_with_controls),
        TEST(test_nobody_listens), TEST(test_other_signals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
