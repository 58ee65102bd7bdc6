/* SPDX-License-Identifier: MIT */
#include "common/data/tsv.h"
#include "tests/support/malloc_count.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

static enum err_code parse(struct tsv **t, const char *text, size_t len, struct err *e)
{
    static const char *const columns[] = {"clip", "label", NULL};

    return tsv_parse(t, "x.tsv", "clips", columns, text, len, e);
}

static void test_reads(void **state)
{
    static const char text[] =
        "#synib-clips 1\nlabel\textra\tclip\n3\t\t1001_DFA\n0\t\xc3\xa9\tb\n";
    struct err e = {0};
    struct tsv *t = NULL;

    (void)state;
    assert_int_equal(parse(&t, text, sizeof text - 1, &e), ERR_OK);
    assert_int_equal(tsv_rows(t), 2);
    assert_int_equal(tsv_column(t, "clip"), 2);
    assert_int_equal(tsv_column(t, "nothing"), -1);
    assert_string_equal(tsv_cell(t, 0, tsv_column(t, "clip")), "1001_DFA");
    assert_string_equal(tsv_cell(t, 0, 1), "");
    assert_string_equal(tsv_cell(t, 1, 1), "\xc3\xa9");
    assert_int_equal(tsv_line(t, 1), 4);
    assert_string_equal(tsv_name(t), "x.tsv");
    assert_int_equal(strlen(tsv_digest(t)), 64);
    tsv_free(t);
}

static void test_no_rows(void **state)
{
    static const char text[] = "#synib-clips 1\nclip\tlabel\n";
    struct err e = {0};
    struct tsv *t = NULL;

    (void)state;
    assert_int_equal(parse(&t, text, sizeof text - 1, &e), ERR_OK);
    assert_int_equal(tsv_rows(t), 0);
    tsv_free(t);
}

/* Each fault is refused with the line that has it and words of its own. */
static void test_refuses(void **state)
{
#define HEAD "#synib-clips 1\nclip\tlabel\n"
    static const struct {
        const char *text;
        size_t len;
        const char *message;
    } bad[] = {
#define BAD(text, message) {text, sizeof(text) - 1, message}
        BAD("", "is empty"),
        BAD("#synib-clips 1", "x.tsv:1: last line does not end in LF"),
        BAD("#synib-split 1\n", "x.tsv:1: is not a clips manifest"),
        BAD("#synib-clips 2\nclip\tlabel\n", "x.tsv:1: is not a clips manifest"),
        BAD("\xef\xbb\xbf" HEAD, "x.tsv:1: starts with a byte order mark"),
        BAD("#synib-clips 1\n", "x.tsv:2: is missing"),
        BAD("#synib-clips 1\nclip\tlabel\tclip\n", "x.tsv:2: column 'clip' is named twice"),
        BAD("#synib-clips 1\nclip\n", "x.tsv:2: column 'label' is missing"),
        BAD("#synib-clips 1\nclip\tlabel\t\n", "x.tsv:2: column 3: '' is not a column name"),
        BAD("#synib-clips 1\nclip\tlabel\ta b\n", "x.tsv:2: column 3: 'a b' is not a column name"),
        BAD(HEAD "a\n", "x.tsv:3: has 1 cells: the header names 2 columns"),
        BAD(HEAD "a\t1\t2\n", "x.tsv:3: has 3 cells"),
        BAD(HEAD "\n", "x.tsv:3: has 1 cells"),
        BAD(HEAD "a\t1\r\n", "x.tsv:3: line has a carriage return"),
        BAD(HEAD "a\t1\0\n", "x.tsv:3: line has a NUL byte"),
        BAD(HEAD "a\t1\nb\t\x1b[31m\n", "x.tsv:4: line has a control character (byte 3)"),
        BAD(HEAD "a\t\x7f\n", "x.tsv:3: line has a control character"),
        BAD(HEAD "a\t\xc2\x85\n", "x.tsv:3: line has a control character"),
        BAD(HEAD "a\t\xc0\x80\n", "x.tsv:3: line is not UTF-8"),
        BAD(HEAD "a\t\xed\xa0\x80\n", "x.tsv:3: line is not UTF-8"),
        BAD(HEAD "a\t\xf4\x90\x80\x80\n", "x.tsv:3: line is not UTF-8"),
        BAD(HEAD "a\t\xe2\x82\n", "x.tsv:3: line is not UTF-8"),
        BAD(HEAD "a\t\xe2\x82", "x.tsv:3: last line does not end in LF"),
        BAD(HEAD "a\t\xe0\x9f\xbf\n", "x.tsv:3: line is not UTF-8"),     /* overlong */
        BAD(HEAD "a\t\xf0\x8f\xbf\xbf\n", "x.tsv:3: line is not UTF-8"), /* overlong */
        BAD(HEAD "a\t\xe2\x82"
                 "b\n",
            "x.tsv:3: line is not UTF-8"),
        BAD(HEAD "a\t\xe2\x82\xc0\n", "x.tsv:3: line is not UTF-8"),
        BAD(HEAD "a\t\xf0\x9f\x98"
                 "b\n",
            "x.tsv:3: line is not UTF-8"),
        BAD(HEAD "a\t\xc3\xc3\n", "x.tsv:3: line is not UTF-8"),
        BAD("#synib-clips\t1\x01\n", "x.tsv:1: line has a control character"),
        BAD("#synib-clips 1\nclip\tlabel", "x.tsv:2: last line does not end in LF"),
        BAD("#synib-clips 1\nclip\tlabel\xff\n", "x.tsv:2: line is not UTF-8"),
        BAD(HEAD "a\t1\nb\t2", "x.tsv:4: last line does not end in LF"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err e = {0};
        struct tsv *t = NULL;

        if (parse(&t, bad[i].text, bad[i].len, &e) != ERR_DATA || t != NULL ||
            strstr(e.text, bad[i].message) == NULL)
            fail_msg("case %zu gave %d (%s), not \"%s\"", i, (int)e.code, e.text, bad[i].message);
    }
}

static void test_long_line(void **state)
{
    size_t len = sizeof HEAD - 1 + 70000;
    char *text = malloc(len);
    struct err e = {0};
    struct tsv *t = NULL;

    (void)state;
    assert_non_null(text);
    memset(text, 'a', len);
    memcpy(text, HEAD, sizeof HEAD - 1);
    text[len - 1] = '\n';
    assert_int_equal(parse(&t, text, len, &e), ERR_DATA);
    assert_non_null(strstr(e.text, "x.tsv:3: line has 69999 bytes"));
    free(text);
}

/* Characters at both ends of every range of RFC 3629. */
static void test_utf8(void **state)
{
    static const char text[] = HEAD "\xc2\xa0\t\xdf\xbf\n"
                                    "\xe0\xa0\x80\t\xed\x9f\xbf\n"
                                    "\xee\x80\x80\t\xef\xbf\xbf\n"
                                    "\xf0\x90\x80\x80\t\xf4\x8f\xbf\xbf\n";
    struct err e = {0};
    struct tsv *t = NULL;

    (void)state;
    assert_int_equal(parse(&t, text, sizeof text - 1, &e), ERR_OK);
    assert_int_equal(tsv_rows(t), 4);
    assert_string_equal(tsv_cell(t, 3, 1), "\xf4\x8f\xbf\xbf");
    tsv_free(t);
}

/* More columns or bytes than any table of ours has. A reader that names no columns gets them all.
 */
static void test_limits(void **state)
{
    static const char any[] = "#synib-clips 1\na\tb\n1\t2\n";
    static char head[2048] = "#synib-clips 1\nc0";
    struct err e = {0};
    struct tsv *t = NULL;

    (void)state;
    assert_int_equal(tsv_parse(&t, "x.tsv", "clips", NULL, any, sizeof any - 1, &e), ERR_OK);
    assert_int_equal(tsv_column(t, "b"), 1);
    tsv_free(t);
    for (int i = 1; i <= 256; i++)
        sprintf(head + strlen(head), "\tc%d", i);
    strcat(head, "\n");
    assert_int_equal(parse(&t, head, strlen(head), &e), ERR_DATA);
    assert_non_null(strstr(e.text, "x.tsv:2: has 257 columns: more than the limit of 256"));
    err_clear(&e);
    assert_int_equal(parse(&t, any, (size_t)300 << 20, &e), ERR_DATA); /* before it is read */
    assert_non_null(strstr(e.text, "x.tsv: has 314572800 bytes, more than the limit"));
}

/* All faults of a file are shown, up to 20, and counted beyond. */
static void test_collects_faults(void **state)
{
    char text[1024] = HEAD;
    struct err e = {0};
    struct tsv *t = NULL;
    int lines = 1;

    (void)state;
    for (int i = 0; i < 30; i++)
        strcat(text, "one cell\n");
    assert_int_equal(parse(&t, text, strlen(text), &e), ERR_DATA);
    for (const char *p = e.text; *p != '\0'; p++)
        lines += *p == '\n';
    assert_int_equal(lines, 20);
    assert_non_null(strstr(e.text, "30 faults"));
    assert_non_null(strstr(e.text, "x.tsv:22: has 1 cells"));
}

/* Lines without their cells take no more memory than their text: with a row of cells for each,
 * these 200 KB took 400 MB. */
static void test_faults_take_no_memory(void **state)
{
    enum { COLUMNS = 256, LINES = 200000, ROOM = 128 << 20 };
    struct rlimit before, small;
    struct err e = {0};
    struct tsv *t = NULL;
    size_t len = 0;
    char *text;

    (void)state;
    if (malloc_count() < 0) {
        print_message("skipped: a sanitizer takes more memory than that for itself\n");
        skip();
        return;
    }
    text = malloc(COLUMNS * 8 + LINES);
    assert_non_null(text);
    len += (size_t)sprintf(text, "#synib-clips 1\nclip\tlabel");
    for (int i = 2; i < COLUMNS; i++)
        len += (size_t)sprintf(text + len, "\tc%d", i);
    text[len++] = '\n';
    memset(text + len, '\n', LINES);
    len += LINES;
    assert_int_equal(getrlimit(RLIMIT_DATA, &before), 0);
    small = (struct rlimit){.rlim_cur = ROOM, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_DATA, &small), 0);
    assert_int_equal(parse(&t, text, len, &e), ERR_DATA);
    assert_int_equal(setrlimit(RLIMIT_DATA, &before), 0);
    assert_non_null(strstr(e.text, "200000 faults"));
    free(text);
}

static void test_cell_ok(void **state)
{
    (void)state;
    assert_true(tsv_cell_ok("1001_DFA_ANG_XX"));
    assert_true(tsv_cell_ok(""));
    assert_true(tsv_cell_ok("caf\xc3\xa9"));
    assert_false(tsv_cell_ok("a\tb"));
    assert_false(tsv_cell_ok("a\nb"));
    assert_false(tsv_cell_ok("\xff"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_no_rows),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_cell_ok),
        cmocka_unit_test(test_collects_faults),
        cmocka_unit_test(test_faults_take_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
