/* SPDX-License-Identifier: MIT */
#include "tests/support/check.h"
#include "train/kmeans.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The best of ten starts is scikit-learn's, where blobs make it easy to find:
 * tests/golden/kmeans.tsv, made by make/kmeans.py. */

enum { ROWS_MAX = 128, WIDTH_MAX = 16 };

static void read_row(FILE *f, int width, float *x, int *cluster)
{
    char line[1024], *at = line;

    assert_non_null(fgets(line, sizeof line, f));
    for (int d = 0; d < width; d++)
        x[d] = strtof(at, &at);
    *cluster = (int)strtol(at, &at, 10);
    assert_true(*at == '\n');
}

static void compare_case(FILE *f, const char *header)
{
    static float x[ROWS_MAX * WIDTH_MAX];
    static int want[ROWS_MAX];
    int32_t got[ROWS_MAX];
    struct kmeans_options opt = {.starts = 10, .most_rounds = 300, .seed = 1, .threads = 2};
    int rows, width, name[ROWS_MAX], names = 0;
    double inertia, best;
    struct err e = {0};

    assert_int_equal(sscanf(header, "case %*s %d %d %d %lf", &opt.clusters, &rows, &width, &best),
                     4);
    assert_true(rows <= ROWS_MAX && width <= WIDTH_MAX);
    for (int i = 0; i < rows; i++)
        read_row(f, width, x + i * width, &want[i]);
    ASSERT_OK(kmeans(got, &inertia, rows, width, x, &opt, &e), e);
    if (!(inertia <= best * (1 + 1e-9) && inertia >= best * (1 - 1e-9)))
        fail_msg("%.17g instead of %.17g in %s", inertia, best, header);
    for (int i = 0; i < rows; i++) {
        if (want[i] == names)
            name[names++] = got[i];
        assert_int_equal(got[i], name[want[i]]);
    }
    assert_int_equal(names, opt.clusters);
}

static void test_sklearn(void **state)
{
    FILE *f = fopen(SOURCE_DIR "/tests/golden/kmeans.tsv", "r");
    char line[1024];
    int cases = 0;

    (void)state;
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f)); /* who made it */
    while (fgets(line, sizeof line, f) != NULL) {
        compare_case(f, line);
        cases++;
    }
    fclose(f);
    assert_int_equal(cases, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sklearn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
