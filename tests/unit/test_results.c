/* SPDX-License-Identifier: MIT */
#include "common/base/file.h"
#include "tests/support/check.h"
#include "tests/support/plan_sheet.h"
#include "tests/support/scratch.h"
#include "train/sweep/results.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Results of sweeps as files, whole and in parts: no run is trained here. */

enum { ROWS = 5 };
static const char *const MIXED[] = {
    "a|spurious:0.6|xor-spurious|vanilla||optim.epochs=3|0",
    "b|pid:0.25,0.25,0.25,0.25|xor-pid|synib|random||0",
    "c|regression:1|xor-regression|vanilla|||0",
    "d|spurious:0.6|xor-spurious|synib|oracle|synib.lambda=1 mask.noise_std=0.5|7",
    "e|spurious:0.6|xor-spurious|vanilla|||1",
    NULL,
};
static const struct sweep_part WHOLE = {1, 1};

/* Row d is the one that was not finite. */
static struct run_result result_of(size_t i)
{
    struct test_metrics m = {.loss = 0.5 + (double)i, .accuracy = 0.75, .mse = 0.125, .r2 = -0.5};
    struct run_result r = {.finite = i != 3,
                           .epochs = 3,
                           .steps = 9 + (int64_t)i,
                           .best_epoch = 2,
                           .best_score = 1.0 / 3,
                           .val = {.loss = 0.25,
                                   .accuracy = i == 2 ? NAN : 0.875,
                                   .macro_f1 = i == 2 ? NAN : 0.625,
                                   .irony_f1 = NAN,
                                   .mse = i == 2 ? 2 : NAN,
                                   .r2 = i == 2 ? -1 : NAN},
                           .last = m,
                           .best = m};

    for (int g = 0; g < 4; g++)
        r.last.source[g] = (struct source_sum){.n = 4, .right = g, .loss = 1 + g};
    r.best.source[0] = (struct source_sum){.n = 8, .right = 7, .loss = 2};
    return r;
}

static char *read_text(const char *dir, const char *name)
{
    struct file_view view = {0};
    char *path = NULL, *text;
    struct err e = {0};

    ASSERT_OK(path_join(&path, dir, name, &e), e);
    ASSERT_OK(file_read(&view, path, 1 << 20, &e), e);
    text = calloc(view.len + 1, 1);
    assert_non_null(text);
    if (view.len > 0)
        memcpy(text, view.data, view.len);
    file_view_free(&view);
    free(path);
    return text;
}

static void write_text(const char *dir, const char *name, const char *text, size_t len)
{
    char *path = NULL;
    struct err e = {0};
    FILE *f;

    ASSERT_OK(path_join(&path, dir, name, &e), e);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    free(path);
}

/* Adds rows of the part that are missing, the last ones first, and finishes unless told not to. */
static void write_results(const struct plan *plan, struct sweep_part part, const char *dir,
                          bool finish)
{
    struct results r;
    struct err e = {0};

    ASSERT_OK(dir_make(dir, &e), e);
    ASSERT_OK(results_init(&r, plan, part, true, dir, &e), e);
    ASSERT_OK(results_read(&r, &e), e);
    ASSERT_OK(results_start(&r, &e), e);
    for (size_t i = plan->n; i-- > 0;) {
        struct run_result one = result_of(i);

        if (part_has(&part, i) && r.row[i] == NULL)
            ASSERT_OK(results_add(&r, i, &one, &e), e);
    }
    if (finish)
        ASSERT_OK(results_finish(&r, &e), e);
    results_free(&r);
}

/* The bytes that every way must lead to; caller frees. */
static char *whole_text(const void *state, const struct plan *plan)
{
    char *dir = scratch_path(state, "whole"), *text;

    write_results(plan, WHOLE, dir, true);
    text = read_text(dir, "results.tsv");
    free(dir);
    return text;
}

static const char MIXED_TEXT[] =
    "#synib-results 1\n"
    "run|task|preset|method|mask|settings|seed|identity|status|epochs|steps|best_epoch|best_score|"
    "val_loss|val_accuracy|val_macro_f1|val_mse|val_r2|"
    "last_accuracy|last_mse|last_r2|last_loss|"
    "last_accuracy_synergistic|last_loss_synergistic|last_accuracy_unique1|last_loss_unique1|"
    "last_accuracy_unique2|last_loss_unique2|last_accuracy_redundant|last_loss_redundant|"
    "best_accuracy|best_mse|best_r2|best_loss|"
    "best_accuracy_synergistic|best_loss_synergistic|best_accuracy_unique1|best_loss_unique1|"
    "best_accuracy_unique2|best_loss_unique2|best_accuracy_redundant|best_loss_redundant\n"
    "a|spurious:0.6|xor-spurious|vanilla||optim.epochs=3|0|#|ok|3|9|2|0.333333333|"
    "0.25|0.875|0.625|||"
    "0.75|||0.5|0|0.25|||||||0.75|||0.5|0.875|0.25||||||\n"
    "b|pid:0.25,0.25,0.25,0.25|xor-pid|synib|random||0|#|ok|3|10|2|0.333333333|"
    "0.25|0.875|0.625|||"
    "0.75|||1.5|0.75|1|0|0.25|0.25|0.5|0.5|0.75|0.75|||1.5|||0.875|0.25||||\n"
    "c|regression:1|xor-regression|vanilla|||0|#|ok|3|11|2|0.333333333|"
    "0.25|||2|-1|"
    "|0.125|-0.5|2.5||0.25||||||||0.125|-0.5|2.5||0.25||||||\n"
    "d|spurious:0.6|xor-spurious|synib|oracle|synib.lambda=1 mask.noise_std=0.5|7|#|not-finite||||"
    "|||||||||||||||||||||||||||||\n"
    "e|spurious:0.6|xor-spurious|vanilla|||1|#|ok|3|13|2|0.333333333|"
    "0.25|0.875|0.625|||"
    "0.75|||4.5|0|0.25|||||||0.75|||4.5|0.875|0.25||||||\n";

/* Every cell, the identities aside: tabs as '|', an identity of 16 hex digits as '#'. */
static void test_rows(void **state)
{
    struct sheet s = sheet_open(state, "plan.tsv", MIXED);
    char *text = whole_text(*state, &s.plan), shown[4096], *to = shown;

    assert_true(strlen(text) < sizeof shown);
    for (const char *p = text; *p != '\0'; p++)
        if (p > text && p[-1] == '\t' && strspn(p, "0123456789abcdef") == IDENTITY_SIZE - 1) {
            *to++ = '#';
            p += IDENTITY_SIZE - 2;
        } else {
            *to++ = *p == '\t' ? '|' : *p;
        }
    *to = '\0';
    assert_string_equal(shown, MIXED_TEXT);
    free(text);
    sheet_close(&s);
}

/* Identities differ with seed, method, task and settings, and with nothing else. */
static void test_identities(void **state)
{
    static const char *const rows[] = {
        "a|spurious:0.6|xor-spurious|vanilla|||1",
        "same1|spurious:0.60|" SOURCE_DIR "/manifests/presets/xor-spurious.conf|vanilla||"
        "optim.lr=0.01|1",
        "same2|spurious:0.6|xor-spurious|vanilla||checkpoint.epochs=5|1",
        "seed|spurious:0.6|xor-spurious|vanilla|||2",
        "task|spurious:0.7|xor-spurious|vanilla|||1",
        "modalities|spurious3:0.6|xor-spurious|vanilla|||1",
        "method|spurious:0.6|xor-spurious|synib|||1",
        "mask|spurious:0.6|xor-spurious|synib|all||1",
        "setting|spurious:0.6|xor-spurious|vanilla||optim.epochs=99|1",
        "preset|spurious:0.6|xor-pid|vanilla|||1",
        NULL,
    };
    struct sheet s = sheet_open(state, "plan.tsv", rows);
    struct results r;
    struct err e = {0};

    ASSERT_OK(results_init(&r, &s.plan, WHOLE, true, *state, &e), e);
    for (size_t i = 0; i < s.plan.n; i++) {
        assert_int_equal(strlen(r.identity[i]), IDENTITY_SIZE - 1);
        for (size_t j = 0; j < i; j++)
            if ((strcmp(r.identity[i], r.identity[j]) == 0) != (i <= 2))
                fail_msg("%s and %s", r.plan->run[i].cell[PLAN_RUN], r.plan->run[j].cell[PLAN_RUN]);
    }
    results_free(&r);
    sheet_close(&s);
}

/* The file cut, at the ends of lines and between: whole rows are taken over, what is left of a row
 * is dropped, and the end is the same. */
static void test_cut_file(void **state)
{
    struct sheet s = sheet_open(state, "plan.tsv", MIXED);
    char *want = whole_text(*state, &s.plan), *dir = scratch_path(*state, "cut"), *text;

    write_results(&s.plan, WHOLE, dir, false);
    text = read_text(dir, "results.tsv");
    assert_int_equal(strlen(text), strlen(want));
    assert_string_not_equal(text, want); /* in the order in which they ended */
    for (size_t n = 0; n <= strlen(text); n++) {
        struct results r;
        struct err e = {0};
        size_t lines = 0;

        if (n % 7 != 0 && text[n - 1] != '\n' && text[n] != '\n')
            continue;
        for (size_t i = 0; i < n; i++)
            lines += text[i] == '\n';
        write_text(dir, "results.tsv", text, n);
        ASSERT_OK(results_init(&r, &s.plan, WHOLE, true, dir, &e), e);
        ASSERT_OK(results_read(&r, &e), e);
        assert_int_equal(r.done, lines < 2 ? 0 : lines - 2);
        assert_int_equal(r.failed, r.row[3] != NULL);
        results_free(&r);
        if (n % 91 == 0 || (n > 0 && text[n - 1] == '\n')) {
            char *got;

            write_results(&s.plan, WHOLE, dir, true);
            got = read_text(dir, "results.tsv");
            assert_string_equal(got, want);
            free(got);
        }
    }
    free(text);
    free(want);
    free(dir);
    sheet_close(&s);
}

static void assert_read_fails(const struct plan *plan, const char *dir, enum err_code code,
                              const char *says)
{
    struct results r;
    struct err e = {0};

    ASSERT_OK(results_init(&r, plan, WHOLE, true, dir, &e), e);
    ASSERT_FAILS(results_read(&r, &e), e, code, says);
    results_free(&r);
}

/* Results of another plan are neither continued nor changed. */
static void test_other_plan(void **state)
{
    const char *const others[][ROWS + 1] = {
        {MIXED[0], MIXED[1], MIXED[2], "d|spurious:0.6|xor-spurious|synib|oracle|synib.lambda=2|7",
         MIXED[4]},
        {MIXED[0], MIXED[1], MIXED[2], MIXED[3], "f|spurious:0.6|xor-spurious|vanilla|||1"},
        {MIXED[0], MIXED[1], MIXED[3], MIXED[4]},
        {MIXED[0], MIXED[2], MIXED[3], MIXED[4]},
    };
    static const char *const says[] = {
        "results.tsv:6: run 'd' was made with other settings, data or task",
        "results.tsv:7: run 'e' is not in ",
        "results.tsv: has other columns than this plan gives",
        "results.tsv: has other columns than this plan gives",
    };
    struct sheet s = sheet_open(state, "plan.tsv", MIXED);
    char *dir = scratch_path(*state, "whole"), *want = whole_text(*state, &s.plan), *text;

    for (size_t i = 0; i < sizeof says / sizeof says[0]; i++) {
        struct sheet other = sheet_open(state, "other.tsv", others[i]);

        assert_read_fails(&other.plan, dir, ERR_DATA, says[i]);
        sheet_close(&other);
        text = read_text(dir, "results.tsv");
        assert_string_equal(text, want);
        free(text);
    }
    write_text(dir, "results.tsv", "hello\n", 6);
    assert_read_fails(&s.plan, dir, ERR_DATA, "has other columns");
    free(want);
    free(dir);
    sheet_close(&s);
}

/* A plan that says the same in other words: its rows are taken over and say it as the plan does. */
static void test_other_words(void **state)
{
    const char *const rows[] = {
        "a|spurious:0.60|xor-spurious|vanilla||optim.epochs=3|0",
        MIXED[1],
        MIXED[2],
        "d|spurious:0.6|xor-spurious|synib|oracle|mask.noise_std=0.5 synib.lambda=1|7",
        MIXED[4],
        NULL,
    };
    struct sheet s = sheet_open(state, "plan.tsv", MIXED);
    struct sheet other = sheet_open(state, "other.tsv", rows);
    char *want = whole_text(*state, &other.plan), *dir = scratch_path(*state, "kept"), *text;

    write_results(&s.plan, WHOLE, dir, true);
    write_results(&other.plan, WHOLE, dir, true);
    text = read_text(dir, "results.tsv");
    assert_string_equal(text, want);
    assert_non_null(strstr(text, "spurious:0.60\t"));
    free(text);
    free(want);
    free(dir);
    sheet_close(&other);
    sheet_close(&s);
}

/* ---- parts ---- */

static enum err_code merge(const struct plan *plan, const char *dir, struct err *e)
{
    struct results r;

    ASSERT_OK(results_init(&r, plan, WHOLE, true, dir, e), *e);
    TRY(results_read_parts(&r, e));
    TRY(results_finish(&r, e));
    assert_int_equal(r.done, plan->n);
    assert_true(r.failed);
out:
    results_free(&r);
    return e->code;
}

/* In any number of parts, more than there are rows too: the same bytes as in one go. */
static void test_parts(void **state)
{
    struct sheet s = sheet_open(state, "plan.tsv", MIXED);
    char *want = whole_text(*state, &s.plan);

    for (int n = 2; n <= ROWS + 2; n++) {
        char name[32], *dir, *text;
        struct err e = {0};

        snprintf(name, sizeof name, "parts%d", n);
        dir = scratch_path(*state, name);
        for (int i = n; i >= 1; i--)
            write_results(&s.plan, (struct sweep_part){i, n}, dir, i % 2 == 0);
        assert_false(run_has(dir, "results.tsv"));
        ASSERT_OK(merge(&s.plan, dir, &e), e);
        text = read_text(dir, "results.tsv");
        assert_string_equal(text, want);
        free(text);
        free(dir);
    }
    free(want);
    sheet_close(&s);
}

static void test_bad_merge(void **state)
{
    struct sheet s = sheet_open(state, "plan.tsv", MIXED);
    char *dir = scratch_path(*state, "parts"), *text, *at;
    struct err e = {0};

    ASSERT_OK(dir_make(dir, &e), e);
    write_text(dir, "results.1-of-1.tsv", "x", 1); /* no names of parts */
    write_text(dir, "results.01-of-2.tsv", "x", 1);
    ASSERT_FAILS(merge(&s.plan, dir, &e), e, ERR_USAGE, "has no results.I-of-N.tsv to merge");
    write_results(&s.plan, (struct sweep_part){1, 2}, dir, true);
    ASSERT_FAILS(merge(&s.plan, dir, &e), e, ERR_DATA, "run 'b' (");
    assert_false(run_has(dir, "results.tsv"));
    write_results(&s.plan, (struct sweep_part){2, 2}, dir, true);
    ASSERT_OK(merge(&s.plan, dir, &e), e);
    write_results(&s.plan, (struct sweep_part){1, 3}, dir, true); /* the same rows once more */
    ASSERT_OK(merge(&s.plan, dir, &e), e);

    text = read_text(dir, "results.1-of-3.tsv");
    write_text(dir, "results.1-of-3.tsv", text, strlen(text) - 1);
    ASSERT_FAILS(merge(&s.plan, dir, &e), e, ERR_TRUNCATED,
                 "results.1-of-3.tsv: its last line is cut");
    at = strstr(text, "0.333333333");
    assert_non_null(at);
    at[10] = '4';
    write_text(dir, "results.1-of-3.tsv", text, strlen(text));
    ASSERT_FAILS(merge(&s.plan, dir, &e), e, ERR_DATA,
                 "results.1-of-3.tsv:3: run 'a' has two different rows");
    free(text);
    free(dir);
    sheet_close(&s);
}

static void test_bad_rows_of_results(void **state)
{
    struct sheet s = sheet_open(state, "plan.tsv", MIXED);
    char *dir = scratch_path(*state, "whole"), *want = whole_text(*state, &s.plan), *at, *path;
    struct results r;
    struct err e = {0};

    at = strrchr(want, '\t');
    memmove(at, at + 1, strlen(at)); /* two cells in one */
    write_text(dir, "results.tsv", want, strlen(want));
    assert_read_fails(&s.plan, dir, ERR_DATA, "results.tsv:7: has 4");
    write_text(dir, "results.tsv", "#synib-resul", 12); /* cut in its first line, */
    ASSERT_OK(results_init(&r, &s.plan, WHOLE, true, dir, &e), e);
    ASSERT_OK(results_read(&r, &e), e);
    assert_int_equal(r.log.bytes, 0);
    results_free(&r);
    write_text(dir, "results.tsv", "#synib-resux", 12); /* or of something else */
    assert_read_fails(&s.plan, dir, ERR_DATA, "results.tsv: has other columns");
    {
        char line[4096]; /* longer than the header, and no line */

        memset(line, '#', sizeof line);
        write_text(dir, "results.tsv", line, sizeof line);
        assert_read_fails(&s.plan, dir, ERR_DATA, "results.tsv: has other columns");
    }
    ASSERT_OK(results_init(&r, &s.plan, WHOLE, false, dir, &e), e);
    ASSERT_FAILS(results_read(&r, &e), e, ERR_DATA, "than this plan gives with --no-test: give");
    results_free(&r);
    path = scratch_path(dir, "results.tsv");
    assert_int_equal(remove(path), 0);
    ASSERT_OK(dir_make(path, &e), e);
    assert_read_fails(&s.plan, dir, ERR_FORMAT, "results.tsv: is not a regular file");
    free(path);
    path = scratch_path(*state, "gone");
    ASSERT_OK(results_init(&r, &s.plan, WHOLE, true, path, &e), e);
    ASSERT_FAILS(results_read_parts(&r, &e), e, ERR_IO, "gone: cannot list");
    results_free(&r);
    free(path);
    free(want);
    free(dir);
    sheet_close(&s);
}

/* Numbers that are not there are empty cells. */
static void test_no_numbers(void **state)
{
    const char *const rows[] = {MIXED[0], NULL};
    struct sheet s = sheet_open(state, "plan.tsv", rows);
    struct run_result one = result_of(0);
    char *text;
    struct results r;
    struct err e = {0};

    one.val.loss = one.val.accuracy = one.val.macro_f1 = NAN;
    ASSERT_OK(results_init(&r, &s.plan, WHOLE, false, *state, &e), e);
    ASSERT_OK(results_start(&r, &e), e);
    ASSERT_OK(results_add(&r, 0, &one, &e), e);
    ASSERT_OK(results_finish(&r, &e), e);
    text = read_text(*state, "results.tsv");
    assert_non_null(strstr(text, "\tok\t3\t9\t2\t0.333333333\t\t\t\n"));
    free(text);
    results_free(&r);
    sheet_close(&s);
}

/* Whether there are columns of the test split: by the header alone. */
static void test_have_test(void **state)
{
    static const struct {
        const char *name, *text;
        bool parts, was, is;
    } cases[] = {
        {"results.tsv", "#synib-results 1\nrun\tlast_loss\n", false, false, true},
        {"results.tsv", "#synib-results 1\nrun\tlast_loss\n", true, false, false}, /* no part */
        {"results.1-of-2.tsv", "#synib-results 1\nrun\tlast_loss\n", true, false, true},
        {"results.1-of-2.tsv", "#synib-results 1\nrun\tlast_loss\n", false, false, false},
        {"results.tsv", "#synib-results 1\nrun\tval_loss\nlast_loss\n", false, true, false},
        {"results.tsv", "#synib-results 1\nrun\tlast_loss", false, false, false}, /* cut */
        {"results.tsv", "#synib-results 1", false, true, true},
        {"results.tsv", "", false, true, true},
        {"other.tsv", "#synib-results 1\nrun\tlast_loss\n", false, false, false},
    };
    char *dir = scratch_path(*state, "results"), *path;
    struct err e = {0};
    bool test = true;

    ASSERT_OK(results_have_test(&test, dir, false, &e), e);
    assert_true(test); /* no folder: as it was */
    ASSERT_OK(dir_make(dir, &e), e);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_text(dir, cases[i].name, cases[i].text, strlen(cases[i].text));
        write_text(dir, "z.tsv", "", 0); /* not looked at any more */
        test = cases[i].was;
        ASSERT_OK(results_have_test(&test, dir, cases[i].parts, &e), e);
        if (test != cases[i].is)
            fail_msg("case %zu: %d", i, test);
        path = scratch_path(dir, cases[i].name);
        assert_int_equal(remove(path), 0);
        free(path);
    }
    path = scratch_path(dir, "results.tsv");
    ASSERT_OK(dir_make(path, &e), e);
    ASSERT_FAILS(results_have_test(&test, dir, false, &e), e, ERR_FORMAT,
                 "results.tsv: is not a regular file");
    free(path);
    path = scratch_path(*state, "file");
    write_text(*state, "file", "x", 1);
    ASSERT_FAILS(results_have_test(&test, path, false, &e), e, ERR_IO, "file: cannot");
    free(path);
    free(dir);
}

/* Every row is in exactly one part, and a part's file is named after it. */
static void test_part_numbers(void **state)
{
    char name[64];

    (void)state;
    for (int n = 1; n <= 7; n++)
        for (size_t row = 0; row < 20; row++) {
            int owners = 0;

            for (int i = 1; i <= n; i++)
                owners += part_has(&(struct sweep_part){i, n}, row);
            assert_int_equal(owners, 1);
        }
    assert_true(part_has(&(struct sweep_part){2, 3}, 4));
    part_file(&WHOLE, name, sizeof name);
    assert_string_equal(name, "results.tsv");
    part_file(&(struct sweep_part){2, 3}, name, sizeof name);
    assert_string_equal(name, "results.2-of-3.tsv");
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_identities, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_cut_file, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_other_plan, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_other_words, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_parts, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_bad_merge, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_part_numbers),
        cmocka_unit_test_setup_teardown(test_bad_rows_of_results, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_no_numbers, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_have_test, scratch_setup, scratch_teardown),
    };

    setenv("SYNIB_MANIFESTS", SOURCE_DIR "/manifests", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
