/* SPDX-License-Identifier: MIT */
/* The rarer ways through common/base: errors nobody listens to, lines on a terminal, options that
 * are no numbers, files and folders that are none. */
#include "tests/support/cmocka.h"

#include "common/base/atomic_file.h"
#include "common/base/cli.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/text_stream.h"
#include "tests/support/capture.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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
    err_clear(&e);
    assert_int_equal(err_copy(&e, &(struct err){0}), ERR_OK);
    assert_int_equal(err_copy(NULL, &(struct err){.code = ERR_DATA}), ERR_DATA);
    assert_int_equal(err_copy(&e, &(struct err){ERR_DATA, "first"}), ERR_DATA);
    assert_int_equal(err_copy(&e, &(struct err){ERR_IO, "second"}), ERR_DATA);
    assert_string_equal(e.text, "first");
    err_clear(&e);
    (void)err_set(&e, ERR_DATA, "%s",
                  "a\x7f \xc2\x9b \xc2\xa9 \xc2"
                  "A");
    assert_string_equal(e.text, "a? ?? \xc2\xa9 \xc2"
                                "A");
    err_clear(&e);
    errno = ENFILE;
    assert_int_equal(err_sys(&e, "file"), ERR_NOMEM);
}

static void test_every_code_has_a_status(void **state)
{
    static const int want[] = {0, 2, 3, 4, 4, 4, 4, 1, 1, 1, 1, 1, 75};
    (void)state;

    for (int code = 0; code < (int)(sizeof want / sizeof want[0]); code++)
        assert_int_equal(err_exit_status((enum err_code)code), want[code]);
    assert_int_equal(err_exit_status((enum err_code)99), 1);
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

static void say_hostile(void *ctx)
{
    log_warn(ctx, "%s",
             "a\tb\nc\x7f \xc2\x9b \xc2\xa9 \xc2"
             "A \xc2");
}

/* No control of either set reaches a terminal; other characters do. */
static void test_controls(void **state)
{
    struct log log = {.tool = "t", .level = LOG_NORMAL};
    char text[4096];
    (void)state;

    capture(text, say_hostile, &log);
    assert_string_equal(text, "t: warning: a\tb\nc? ?? \xc2\xa9 \xc2"
                              "A \xc2\n");
}

static void end_at_once(void *ctx)
{
    struct progress *p = ctx;

    p->start_ms = clock_ms() + 60000; /* no time has passed */
    progress_end(p);
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
    progress_begin(&p, &log, "clips", 2);
    p.terminal = true;
    p.done = 1;
    capture(text, end_at_once, &p);
    assert_non_null(strstr(text, "1/2 clips, 0.0/s"));
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
    char text[32];
    double d;
    uint64_t u;
    (void)state;

    ASSERT_FAILS(cli_double(&d, "-1", 0, DBL_MAX, "--x", &e), e, ERR_USAGE, "from 0 up");
    ASSERT_FAILS(cli_double(&d, "3", 0, 1, "--x", &e), e, ERR_USAGE, "from 0 to 1");
    ASSERT_FAILS(cli_u64(&u, "99999999999999999999", "--x", &e), e, ERR_USAGE, "2^64");
    ASSERT_FAILS(cli_u64(&u, "12a", "--x", &e), e, ERR_USAGE, "2^64");
    ASSERT_FAILS(cli_u64(&u, "a", "--x", &e), e, ERR_USAGE, "2^64");
    cli_format_double(text, sizeof text, NAN); /* equal to nothing, itself included */
    assert_string_equal(text, "nan");
}

static void test_choices(void **state)
{
    static const char *const names[] = {
        "short", "a-name-that-is-longer-than-anything-that-one-would-compare-letter-by-letter",
        NULL};
    enum { MANY = 40 };
    char long_word[100], name[MANY][16];
    const char *many[MANY + 1] = {0};
    struct err e = {0};
    int i;
    (void)state;

    ASSERT_FAILS(cli_choice(&i, "other", names, "--x", &e), e, ERR_USAGE,
                 "unknown 'other': one of");
    /* of many: the nearest alone, or as many as fit and their number */
    for (int n = 0; n < MANY; n++) {
        snprintf(name[n], sizeof name[n], "setting-%02d", n);
        many[n] = name[n];
    }
    assert_int_equal(cli_choice(&i, "seting-17", many, "--x", &e), ERR_USAGE);
    assert_string_equal(e.text, "--x: unknown 'seting-17': did you mean 'setting-17'?");
    err_clear(&e);
    assert_int_equal(cli_choice(&i, "other", many, "--x", &e), ERR_USAGE);
    assert_non_null(strstr(e.text, "unknown 'other': one of setting-00, setting-01, "));
    assert_non_null(strstr(e.text, ", ... (40 in all)"));
    assert_true(strlen(e.text) < 300);
    err_clear(&e);
    memset(long_word, 'x', 99);
    long_word[99] = '\0';
    ASSERT_FAILS(cli_choice(&i, long_word, names, "--x", &e), e, ERR_USAGE, "one of short");
}

/* ---- memory and hashes ---- */

/* For AddressSanitizer: too much memory is refused as elsewhere, and is not the end. */
const char *__asan_default_options(void), *__tsan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
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

/* The checksum's code counts in int: more bytes than that are taken in parts. */
static void test_crc_of_much(void **state)
{
    const size_t part = (size_t)1 << 29, len = 2 * part + 5; /* zeros that take no memory */
    const uint8_t *p =
        mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uint32_t want;
    (void)state;

    if (p == MAP_FAILED) {
        print_message("skipped: this system does not allow a gigabyte of addresses\n");
        return;
    }
    want = hash_crc32c(hash_crc32c(hash_crc32c(0, p, part), p, part), p, 5);
    assert_int_equal(hash_crc32c(0, p, len), want);
    assert_int_equal(munmap((void *)(uintptr_t)p, len), 0);
}

/* ---- texts, files and folders ---- */

static void test_text_streams(void **state)
{
    struct err e = {0};
    char *text = NULL;
    FILE *f;
    (void)state;

    f = text_stream_open(&text, "words", &e);
    assert_non_null(f);
    ASSERT_OK(text_stream_close(f, &text, "words", &e), e);
    assert_string_equal(text, ""); /* nothing was written */
    free(text);
    f = text_stream_open(&text, "words", &e);
    assert_non_null(f);
    fputs("lost", f);
    (void)err_set(&e, ERR_DATA, "what it was for has failed");
    ASSERT_FAILS(text_stream_close(f, &text, "words", &e), e, ERR_DATA, "what it was for");
    assert_null(text);
}

static void test_paths(void **state)
{
    char *path = NULL, *file = scratch_path(*state, "file"),
         *dangling = scratch_path(*state, "link");
    struct name_list names = {0};
    struct file_view v;
    struct err e = {0};

    ASSERT_OK(path_join(&path, "", "name", &e), e);
    assert_string_equal(path, "/name");
    free(path);
    ASSERT_FAILS(dir_make("", &e), e, ERR_IO, "cannot make the folder");
    ASSERT_OK(atomic_file_put(file, "x", 1, false, &e), e);
    ASSERT_FAILS(dir_make(file, &e), e, ERR_IO, "file: cannot make the folder");
    assert_int_equal(symlink("nowhere", dangling), 0);
    ASSERT_FAILS(dir_make(dangling, &e), e, ERR_IO, "link: cannot make the folder");
    ASSERT_OK(dir_list(&names, *state, "ink", &e), e); /* not "file" */
    assert_int_equal(names.count, 1);
    assert_string_equal(names.name[0], "link");
    name_list_free(&names);
    ASSERT_OK(dir_list(&names, *state, ".no-name-of-this-folder-is-so-long", &e), e);
    assert_int_equal(names.count, 0);
    ASSERT_OK(file_read_beneath(&v, "/", file + 1, 10, &e), e); /* the root that ends in a slash */
    assert_int_equal(v.len, 1);
    file_view_free(&v);
    free(file);
    free(dangling);
}

/* One file of several that is there already: nothing in it, or another length. */
static void test_parts(void **state)
{
    char *file = scratch_path(*state, "file");
    struct err e = {0};

    ASSERT_OK(atomic_file_put_part(file, "", 0, false, &e), e);
    ASSERT_OK(atomic_file_put_part(file, "", 0, false, &e), e);
    ASSERT_FAILS(atomic_file_put_part(file, "x", 1, false, &e), e, ERR_EXISTS,
                 "exists and differs");
    free(file);
}

int main(void)
{
#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_without_a_listener),
        cmocka_unit_test(test_every_code_has_a_status),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_controls),
        cmocka_unit_test(test_crc_of_much),
        cmocka_unit_test(test_text_streams),
        IN_SCRATCH(test_paths),
        IN_SCRATCH(test_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
