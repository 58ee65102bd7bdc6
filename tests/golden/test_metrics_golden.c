/* SPDX-License-Identifier: MIT */
#include "tests/support/check.h"
#include "train/metrics.h"
#include "train/scored.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_next(double value)
{
    double want = strtod(strtok(NULL, "\t\n"), NULL);

    if (isnan(want) ? !isnan(value) : !(fabs(value - want) <= 1e-15 * (1 + fabs(want))))
        fail_msg("%.17g instead of %.17g", value, want);
}

/* Accuracy, kappa, F1 and recall equal scikit-learn's: tests/golden/metrics.tsv, made by
 * make/metrics.py. */
static void test_sklearn(void **state)
{
    FILE *f = fopen(SOURCE_DIR "/tests/golden/metrics.tsv", "r");
    char line[4096];
    int rows = 0;

    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        struct confusion c;
        const char *labels = strtok(line, "\t\n"), *guesses = strtok(NULL, "\t\n");

        if (labels[0] < '0' || labels[0] > '9')
            continue;
        confusion_init(&c, 7);
        for (size_t i = 0; labels[i] != '\0'; i++)
            confusion_add(&c, labels[i] - '0', guesses[i] - '0');
        assert_int_equal(confusion_total(&c), strlen(labels));
        assert_next(confusion_accuracy(&c));
        assert_next(confusion_kappa(&c));
        assert_next(confusion_macro_f1(&c));
        for (int k = 0; k < 7; k++)
            assert_next(confusion_f1(&c, k));
        for (int k = 0; k < 7; k++)
            assert_next(confusion_recall(&c, k));
        rows++;
    }
    fclose(f);
    assert_int_equal(rows, 16);
}

/* No samples at all: nothing to divide by. */
static void test_empty(void **state)
{
    struct calibration none = {0};
    struct confusion c;

    (void)state;
    confusion_init(&c, 7);
    assert_true(confusion_accuracy(&c) == 0 && confusion_macro_f1(&c) == 0);
    assert_true(isnan(confusion_kappa(&c)) && isnan(confusion_recall(&c, 3)));
    assert_true(calibration_error(&none) == 0);
}

/* By the definition, with numbers on the edges of bins. */
static void test_calibration(void **state)
{
    static const struct {
        double p;
        bool right;
    } of[] = {{0.1, false}, {0.12, true},  {0.2, true}, {0.25, false}, {0.6, true},
              {0.65, true}, {0.66, false}, {1, true},   {0.99, true},  {0.95, false}};
    enum { N = sizeof of / sizeof of[0] };
    struct calibration c = {0};
    double want = 0;

    (void)state;
    for (int i = 0; i < N; i++)
        calibration_add(&c, of[i].p, of[i].right);
    for (int bin = 0; bin < 15; bin++) {
        double right = 0, sum = 0, n = 0;

        for (int i = 0; i < N; i++) {
            if (of[i].p * 15 < bin || (of[i].p * 15 >= bin + 1 && bin < 14))
                continue;
            n++;
            right += of[i].right;
            sum += of[i].p;
        }
        want += n > 0 ? n / N * fabs(right / n - sum / n) : 0;
    }
    assert_true(fabs(calibration_error(&c) - want) < 1e-15);
    assert_int_equal(c.n[14], 3);
    assert_int_equal(c.n[3], 2); /* 0.2 * 15 = 3 opens its bin */
}

static void test_argmax(void **state)
{
    (void)state;
    assert_int_equal(metrics_argmax((float[]){1, 3, 3, 2}, 4), 1);
    assert_int_equal(metrics_argmax((float[]){-5}, 1), 0);
    assert_int_equal(metrics_argmax((float[]){NAN, -INFINITY, -1}, 3), 2);
}

/* Only where both unimodal predictions are wrong does a sample count. */
static void test_synergy(void **state)
{
    const int32_t label[] = {0, 1, 2, 3, 4}, audio[] = {0, 2, 1, 0, 0}, video[] = {1, 1, 0, 0, 0};
    const int32_t fused[] = {0, 1, 2, 0, 4};
    const int32_t *const head[MODALITIES_MAX] = {audio, video};
    struct synergy s = synergy_count(5, label, 2, head, fused);

    (void)state;
    assert_int_equal(s.n, 3);
    assert_int_equal(s.right, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sklearn),     cmocka_unit_test(test_empty),
        cmocka_unit_test(test_calibration), cmocka_unit_test(test_argmax),
        cmocka_unit_test(test_synergy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
