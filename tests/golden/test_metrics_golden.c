/* SPDX-License-Identifier: MIT */
#include "tests/support/check.h"
#include "train/metrics.h"
#include "train/scored.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Accuracy and F1 equal scikit-learn's: tests/golden/metrics.tsv, made by make/metrics.py. */
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
        assert_float_equal(confusion_accuracy(&c), strtod(strtok(NULL, "\t\n"), NULL), 1e-15);
        assert_float_equal(confusion_macro_f1(&c), strtod(strtok(NULL, "\t\n"), NULL), 1e-15);
        for (int k = 0; k < 7; k++)
            assert_float_equal(confusion_f1(&c, k), strtod(strtok(NULL, "\t\n"), NULL), 1e-15);
        rows++;
    }
    fclose(f);
    assert_int_equal(rows, 16);
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
        cmocka_unit_test(test_sklearn),
        cmocka_unit_test(test_argmax),
        cmocka_unit_test(test_synergy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
