/* SPDX-License-Identifier: MIT */
#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"
#include "train/sweep/select.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Selection over results that no run has made. Rows are written with '|' for the tab. */

/* A row of a plan, and what its run is said to have given on validation. */
struct row {
    const char *plan;
    bool fails; /* is not finite */
    struct run_result result;
};

#define ACC(score)                                                       \
    {                                                                    \
        .finite = true, .best_epoch = 1, .best_score = (score), .val = { \
            .loss = 1 - (score),                                         \
            .accuracy = (score),                                         \
            .macro_f1 = (score) / 2,                                     \
            .irony_f1 = NAN,                                             \
            .mse = NAN,                                                  \
            .r2 = NAN                                                    \
        }                                                                \
    }
#define NUM(x)                                                      \
    {                                                               \
        .finite = true, .best_epoch = 1, .best_score = -1, .val = { \
            .loss = 3,                                              \
            .accuracy = NAN,                                        \
            .macro_f1 = NAN,                                        \
            .irony_f1 = NAN,                                        \
            .mse = 1 - (x),                                         \
            .r2 = (x)                                               \
        }                                                           \
    }

static char *put_plan(void *const *state, const struct row *row, size_t n)
{
    char text[16384], *path = scratch_path(*state, "plan.tsv");
    struct err e = {0};
    size_t len = (size_t)snprintf(
        text, sizeof text, "#synib-plan 1\nrun|task|preset|method|mask|settings|seed|group\n");

    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s\n", row[i].plan);
    assert_true(len < sizeof text);
    for (char *p = text; (p = strchr(p, '|')) != NULL;)
        *p = '\t';
    ASSERT_OK(atomic_file_put(path, text, len, true, &e), e);
    return path;
}

/* The text of selected.tsv, tabs as '|', in *text; caller frees. */
static enum err_code select_rows(void *const *state, const struct row *row, size_t n,
                                 enum select_by by, char **text, size_t *undecided, struct err *e)
{
    char *path = put_plan(state, row, n);
    struct plan plan;
    struct results r;

    ASSERT_OK(plan_read(&plan, path, e), *e);
    ASSERT_OK(results_init(&r, &plan, (struct sweep_part){1, 1}, false, *state, e), *e);
    ASSERT_OK(results_start(&r, e), *e);
    for (size_t i = n; i-- > 0;) {
        struct run_result result = row[i].result;

        result.finite = !row[i].fails;
        ASSERT_OK(results_add(&r, i, &result, e), *e);
    }
    TRY(select_text(text, undecided, &r, by, e));
out:
    for (char *p = *text; p != NULL && (p = strchr(p, '\t')) != NULL;)
        *p = '|';
    results_free(&r);
    plan_free(&plan);
    free(path);
    path = scratch_path(*state, "results.tsv");
    assert_int_equal(remove(path), 0);
    free(path);
    return e->code;
}

static void assert_selects(void *const *state, const struct row *row, size_t n, enum select_by by,
                           size_t undecided, const char *want)
{
    size_t not_decided;
    char *text;
    struct err e = {0};

    ASSERT_OK(select_rows(state, row, n, by, &text, &not_decided, &e), e);
    assert_int_equal(strncmp(text,
                             "#synib-selected 1\ngroup|preset|method|mask|rank|run|settings|"
                             "metric|mean|sd|n|not_finite\n",
                             89),
                     0);
    assert_string_equal(strchr(strchr(text, '\n') + 1, '\n') + 1, want);
    assert_int_equal(not_decided, undecided);
    free(text);
}

#define SPURIOUS(run, settings, seed) run "|spurious:1|xor-spurious|vanilla||" settings "|" seed "|"

/* The best mean first whatever the plan's order, deviation over n - 1, ties to the first, settings
 * in other words are the same ones. */
static void test_ranks(void **state)
{
    static const struct row rows[] = {
        {SPURIOUS("a", "optim.lr=0.1 optim.epochs=3", "1"), false, ACC(0.5)},
        {SPURIOUS("b", "optim.lr=0.2", "1"), false, ACC(0.9)},
        {SPURIOUS("c", "optim.lr=0.3", "1"), false, ACC(0.7)},
        {SPURIOUS("d", "optim.epochs=3 optim.lr=1e-1", "2"), false, ACC(0.75)},
        {SPURIOUS("e", "optim.lr=0.2", "2"), false, ACC(0.5)},
        {SPURIOUS("f", "optim.lr=0.3", "2"), false, ACC(0.7)},
        {"g|spurious:1|xor-spurious|synib|random||1|", false, ACC(0.125)},
        {"h|spurious:0|xor-spurious|vanilla||optim.lr=0.3|1|", false, ACC(1)},
    };
    const char *want =
        "spurious:1|xor-spurious|vanilla||1|b|optim.lr=0.2|accuracy|0.7|0.282842712|2|0\n"
        "spurious:1|xor-spurious|vanilla||2|c|optim.lr=0.3|accuracy|0.7|0|2|0\n"
        "spurious:1|xor-spurious|vanilla||3|a|optim.lr=0.1 optim.epochs=3|accuracy|0.625|"
        "0.176776695|2|0\n"
        "spurious:1|xor-spurious|synib|random|1|g||accuracy|0.125||1|0\n"
        "spurious:0|xor-spurious|vanilla||1|h|optim.lr=0.3|accuracy|1||1|0\n";

    assert_selects(state, rows, sizeof rows / sizeof rows[0], BY_ACCURACY, 0, want);
}

/* Comparisons stand in the order of their first runs in the plan, wherever their others and their
 * best are. */
static void test_order_of_comparisons(void **state)
{
    static const struct row rows[] = {
        {SPURIOUS("a", "optim.lr=0.1", "1"), false, ACC(0.25)},
        {"b|spurious:0|xor-spurious|vanilla|||1|", false, ACC(0.5)},
        {SPURIOUS("c", "optim.lr=0.2", "1"), false, ACC(0.75)},
    };
    const char *want = "spurious:1|xor-spurious|vanilla||1|c|optim.lr=0.2|accuracy|0.75||1|0\n"
                       "spurious:1|xor-spurious|vanilla||2|a|optim.lr=0.1|accuracy|0.25||1|0\n"
                       "spurious:0|xor-spurious|vanilla||1|b||accuracy|0.5||1|0\n";

    assert_selects(state, rows, sizeof rows / sizeof rows[0], BY_ACCURACY, 0, want);
}

/* For losses and squared errors less is better, and every metric reads its own column. */
static void test_metrics(void **state)
{
    static const struct row classes[] = {
        {SPURIOUS("a", "optim.lr=0.1", "1"), false, ACC(0.25)},
        {SPURIOUS("b", "optim.lr=0.2", "1"), false, ACC(0.75)},
    };
    static const struct row numbers[] = {
        {"a|regression:1|xor-regression|vanilla||optim.lr=0.1|1|", false, NUM(0.25)},
        {"b|regression:1|xor-regression|vanilla||optim.lr=0.2|1|", false, NUM(0.5)},
    };
    static const struct {
        const struct row *row;
        enum select_by by;
        const char *best, *worst;
    } table[] = {
        {classes, BY_SCORE, "score|0.75", "score|0.25"},
        {classes, BY_ACCURACY, "accuracy|0.75", "accuracy|0.25"},
        {classes, BY_MACRO_F1, "macro-f1|0.375", "macro-f1|0.125"},
        {classes, BY_LOSS, "loss|0.25", "loss|0.75"},
        {numbers, BY_R2, "r2|0.5", "r2|0.25"},
        {numbers, BY_MSE, "mse|0.5", "mse|0.75"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char want[512];
        const char *data =
            table[i].row == classes ? "spurious:1|xor-spurious" : "regression:1|xor-regression";

        snprintf(want, sizeof want,
                 "%s|vanilla||1|b|optim.lr=0.2|%s||1|0\n%s|vanilla||2|a|optim.lr=0.1|%s||1|0\n",
                 data, table[i].best, data, table[i].worst);
        assert_selects(state, table[i].row, 2, table[i].by, 0, want);
    }
}

/* One run that is not finite costs its settings the place, however good the others are. */
static void test_not_finite(void **state)
{
    static const struct row rows[] = {
        {SPURIOUS("a", "optim.lr=0.1", "1"), false, ACC(1)},
        {SPURIOUS("b", "optim.lr=0.1", "2"), true, ACC(0)},
        {SPURIOUS("c", "optim.lr=0.2", "1"), true, ACC(0)},
        {SPURIOUS("d", "optim.lr=0.3", "1"), false, ACC(0.25)},
        {"e|spurious:0|xor-spurious|vanilla|||1|", true, ACC(0)},
    };
    const char *want = "spurious:1|xor-spurious|vanilla||1|d|optim.lr=0.3|accuracy|0.25||1|0\n"
                       "spurious:1|xor-spurious|vanilla||2|a|optim.lr=0.1|accuracy|1||2|1\n"
                       "spurious:1|xor-spurious|vanilla||3|c|optim.lr=0.2|accuracy|||1|1\n"
                       "spurious:0|xor-spurious|vanilla||1|e||accuracy|||1|1\n";

    assert_selects(state, rows, sizeof rows / sizeof rows[0], BY_ACCURACY, 1, want);
}

/* Sums of the same values in another order differ in their last bits: still a tie. */
static void test_order_of_sums(void **state)
{
    static const struct row rows[] = {
        {SPURIOUS("a", "optim.lr=0.1", "1"), false, ACC(0.1)},
        {SPURIOUS("b", "optim.lr=0.1", "2"), false, ACC(0.2)},
        {SPURIOUS("c", "optim.lr=0.1", "3"), false, ACC(0.3)},
        {SPURIOUS("d", "optim.lr=0.2", "1"), false, ACC(0.3)},
        {SPURIOUS("e", "optim.lr=0.2", "2"), false, ACC(0.2)},
        {SPURIOUS("f", "optim.lr=0.2", "3"), false, ACC(0.1)},
    };
    double x = 0.1, y = 0.3, middle = 0.2;

    assert_true(x + middle + y != y + middle + x);
    assert_selects(state, rows, 6, BY_LOSS, 0,
                   "spurious:1|xor-spurious|vanilla||1|a|optim.lr=0.1|loss|0.8|0.1|3|0\n"
                   "spurious:1|xor-spurious|vanilla||2|d|optim.lr=0.2|loss|0.8|0.1|3|0\n");
}

/* Tasks of one group are one comparison. */
static void test_groups(void **state)
{
    static const struct row rows[] = {
        {"a|spurious:1|xor-spurious|vanilla||optim.lr=0.1|1|both", false, ACC(0.5)},
        {"b|spurious:0|xor-spurious|vanilla||optim.lr=0.1|1|both", false, ACC(1)},
        {"c|spurious:1|xor-spurious|vanilla||optim.lr=0.2|1|both", false, ACC(0.5)},
        {"d|spurious:0|xor-spurious|vanilla||optim.lr=0.2|1|both", false, ACC(0.25)},
    };

    assert_selects(state, rows, 4, BY_SCORE, 0,
                   "both|xor-spurious|vanilla||1|a|optim.lr=0.1|score|0.75|0.353553391|2|0\n"
                   "both|xor-spurious|vanilla||2|c|optim.lr=0.2|score|0.375|0.176776695|2|0\n");
}

static void test_refused(void **state)
{
    static const struct row rows[] = {
        {SPURIOUS("a", "select.metric=loss", "1"), false, ACC(0.5)},
        {SPURIOUS("b", "select.metric=accuracy", "1"), false, ACC(0.5)},
        {"c|regression:1|xor-regression|vanilla|||1|", false, NUM(0.5)},
    };
    size_t undecided;
    char *text;
    struct err e = {0};

    ASSERT_FAILS(select_rows(state, rows, 2, BY_SCORE, &text, &undecided, &e), e, ERR_DATA,
                 "plan.tsv:4: its score is by another select.metric than that of line 3");
    assert_null(text);
    ASSERT_FAILS(select_rows(state, rows, 3, BY_ACCURACY, &text, &undecided, &e), e, ERR_DATA,
                 "plan.tsv:5: run 'c' has no accuracy");
    ASSERT_FAILS(select_rows(state, rows, 3, BY_IRONY_F1, &text, &undecided, &e), e, ERR_DATA,
                 "plan.tsv: no run has irony-f1");
    ASSERT_OK(select_rows(state, rows, 2, BY_ACCURACY, &text, &undecided, &e), e);
    free(text);
}

/* Lines of epochs.csv, an empty cell among them. */
static void test_val_metrics(void **state)
{
    static const char csv[] =
        "epoch,step,val_loss,val_accuracy,val_audio_accuracy,val_irony_f1,best\n"
        "1,9,0.5,0.25,,0.125,1\n11,99,0.75,0.5,1,,1\n";
    struct val_metrics v;
    struct err e = {0};
    (void)state;

    ASSERT_OK(sweep_val_metrics(&v, csv, 1, &e), e);
    assert_true(v.loss == 0.5 && v.accuracy == 0.25 && v.irony_f1 == 0.125);
    assert_true(isnan(v.macro_f1) && isnan(v.mse) && isnan(v.r2));
    ASSERT_OK(sweep_val_metrics(&v, csv, 11, &e), e);
    assert_true(v.loss == 0.75 && v.accuracy == 0.5 && isnan(v.irony_f1));
    ASSERT_FAILS(sweep_val_metrics(&v, csv, 2, &e), e, ERR_FORMAT, "has no epoch 2");
    ASSERT_OK(sweep_val_metrics(&v, "epoch,step,val_loss,val_accuracy\n3,9,0.5\n", 3, &e), e);
    assert_true(v.loss == 0.5 && isnan(v.accuracy)); /* a line of fewer cells */
    ASSERT_OK(sweep_val_metrics(&v, "epoch,step,val_loss,val_accuracy\n3,", 3, &e), e);
    assert_true(isnan(v.loss) && isnan(v.accuracy));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ranks, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_order_of_comparisons, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_metrics, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_not_finite, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_order_of_sums, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_groups, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_refused, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_val_metrics),
    };

    setenv("SYNIB_MANIFESTS", SOURCE_DIR "/manifests", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
