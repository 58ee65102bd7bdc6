/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "tests/support/check.h"
#include "tests/support/kernel_ref.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Kernels of masks: random rows and gates. */

enum { ROWS = 37, COLS = 70 };

/* Row b is the stream of row[b], whatever the batch and the team; fills of one key do not overlap.
 */
static void test_random_rows(void **state)
{
    uint32_t row[ROWS];
    struct noise_key key = {.seed = 3, .stream = 7, .epoch = 9, .row = row};
    float *x = ref_floats(ROWS * COLS), *y = ref_floats(ROWS * COLS), want[3 * 128];
    struct err e = {0};

    (void)state;
    for (int b = 0; b < ROWS; b++)
        row[b] = (uint32_t)(b * b);
    for (int threads = 1; threads <= 3; threads++) {
        struct nn *nn = ref_nn(threads);

        for (uint32_t index = 0; index < 3; index++) {
            ASSERT_OK(k_random_normal(nn, &key, index, ROWS, COLS, x, &e), e);
            ASSERT_OK(k_random_uniform(nn, &key, index, ROWS, COLS, y, &e), e);
            for (int b = 0; b < ROWS; b++) {
                struct rng at = rng_at(3, 7, 9, row[b]);

                rng_normals(&at, want, 3 * 128); /* 70 numbers take two groups of 64 */
                assert_memory_equal(x + b * COLS, want + 128 * index, COLS * sizeof *x);
                rng_uniforms(&at, want, 3 * 128);
                assert_memory_equal(y + b * COLS, want + 128 * index, COLS * sizeof *y);
            }
        }
        nn_free(nn);
    }
    free(x);
    free(y);
}

/* Against the definition in double, far logits included, at any team. */
static void test_gates(void **state)
{
    enum { COUNT = 40000 };
    float *logit = ref_random(COUNT, 1), *x = ref_random(COUNT, 2), *fill = ref_random(COUNT, 3);
    float *d = ref_random(COUNT, 4), *gate = ref_floats(COUNT), *mixed = ref_floats(COUNT);
    float *dlogit = ref_floats(COUNT), *again = ref_floats(COUNT);
    struct err e = {0};

    (void)state;
    for (int i = 0; i < COUNT; i++)
        logit[i] *= i % 3 == 0 ? 200 : 6;
    for (int threads = 1; threads <= 2; threads++) {
        struct nn *nn = ref_nn(threads);

        ASSERT_OK(k_gate(nn, COUNT, 0.5f, logit, x, fill, gate, mixed, &e), e);
        ASSERT_OK(k_gate_backward(nn, COUNT, 0.5f, 0.25f, gate, x, fill, d,
                                  threads == 1 ? dlogit : again, &e),
                  e);
        for (int i = 0; i < COUNT; i++) {
            double g = 1 / (1 + exp(-0.5 * (double)logit[i]));
            double want =
                ((double)d[i] * ((double)fill[i] - (double)x[i]) + 0.25) * g * (1 - g) / 2;

            assert_true(fabs((double)gate[i] - g) < 2e-7);
            assert_true(fabs((double)mixed[i] - (1 - g) * (double)x[i] - g * (double)fill[i]) <
                        1e-6);
            assert_true(fabs((double)dlogit[i] - want) < 1e-6);
        }
        nn_free(nn);
    }
    assert_memory_equal(dlogit, again, COUNT * sizeof *again);
    free(logit);
    free(x);
    free(fill);
    free(d);
    free(gate);
    free(mixed);
    free(dlogit);
    free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_rows),
        cmocka_unit_test(test_gates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
