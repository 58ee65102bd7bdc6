/* SPDX-License-Identifier: MIT */
#include "tests/support/check.h"

#include "common/nn/kernels.h"

#include <stdlib.h>
#include <string.h>

/* While nn is planning, no kernel writes an array. */

enum { N = 4, C = 16, SIDE = 6, FLOATS = N * C * C * SIDE * SIDE, ARRAYS = 8, FILL = 0x5a };

struct fixture {
    struct nn *nn;
    float *a[ARRAYS];
    uint8_t *winner;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err e = {0};

    assert_non_null(f);
    ASSERT_OK(nn_new(&f->nn, 2, &e), e);
    for (int i = 0; i < ARRAYS; i++) {
        f->a[i] = aligned_alloc(64, FLOATS * sizeof(float));
        assert_non_null(f->a[i]);
    }
    f->winner = aligned_alloc(64, FLOATS);
    assert_non_null(f->winner);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < ARRAYS; i++)
        free(f->a[i]);
    free(f->winner);
    nn_free(f->nn);
    free(f);
    return 0;
}

static void fill(const struct fixture *f)
{
    for (int i = 0; i < ARRAYS; i++)
        memset(f->a[i], FILL, FLOATS * sizeof(float));
    memset(f->winner, FILL, FLOATS);
}

/* Arrays that are not as fill left them. */
static int written(const struct fixture *f)
{
    uint8_t *old = malloc(FLOATS * sizeof(float));
    int n = 0;

    assert_non_null(old);
    memset(old, FILL, FLOATS * sizeof(float));
    for (int i = 0; i < ARRAYS; i++)
        n += memcmp(f->a[i], old, FLOATS * sizeof(float)) != 0;
    n += memcmp(f->winner, old, FLOATS) != 0;
    free(old);
    return n;
}

/* Every kernel once; all arrays of `a` but the first three are written to by some. */
static void conv(struct fixture *f, struct err *e)
{
    static const struct conv_shape shapes[] = {{N, C, SIDE, SIDE, C, 3, 3, 1, 1},
                                               {N, C, SIDE, SIDE, C, 1, 1, 2, 0}};

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        ASSERT_OK(k_conv_forward(f->nn, &shapes[i], f->a[0], f->a[1], f->a[3], e), *e);
        ASSERT_OK(k_conv_backward(f->nn, &shapes[i], NULL, f->a[1], f->a[0],
                                  &(struct conv_gradients){.x = f->a[4]}, e),
                  *e);
        ASSERT_OK(k_conv_backward(f->nn, &shapes[i], f->a[0], NULL, f->a[1],
                                  &(struct conv_gradients){.w = f->a[5], .add_w = true}, e),
                  *e);
    }
}

static void normalise(struct fixture *f, struct err *e)
{
    const struct bn_shape s = {N, C, SIDE, SIDE};
    const struct bn_layer layer = {f->a[0], f->a[1], f->a[3], f->a[4], 1e-5F, true};
    const struct bn_gradients to = {f->a[5], f->a[6], f->a[7], NULL};
    struct nn *nn = f->nn;

    ASSERT_OK(k_batchnorm_train(nn, &s, &layer, f->a[2], NULL, f->a[5], e), *e);
    ASSERT_OK(k_batchnorm_eval(nn, &s, &layer, f->a[2], NULL, f->a[5], e), *e);
    ASSERT_OK(k_batchnorm_backward(nn, &s, &layer, false, f->a[2], NULL, f->a[1], &to, e), *e);
    ASSERT_OK(k_batchnorm_maxpool_train(nn, &s, &layer, 3, 2, 1, f->a[2], f->a[5], f->winner, e),
              *e);
    ASSERT_OK(k_batchnorm_maxpool_eval(nn, &s, &layer, 3, 2, 1, f->a[2], f->a[5], f->winner, e),
              *e);
    ASSERT_OK(k_batchnorm_maxpool_backward(nn, &s, &layer, false, 3, 2, 1, f->a[2], f->a[1],
                                           f->winner, &to, e),
              *e);
}

static void pool(struct fixture *f, struct err *e)
{
    const struct bn_shape s = {N, C, SIDE, SIDE};
    struct nn *nn = f->nn;

    ASSERT_OK(k_maxpool_forward(nn, &s, 3, 2, 1, f->a[0], f->a[3], f->winner, e), *e);
    ASSERT_OK(k_maxpool_backward(nn, &s, 3, 2, 1, f->a[0], f->winner, f->a[3], e), *e);
    ASSERT_OK(k_meanpool_forward(nn, &s, 2, f->a[0], f->a[3], e), *e);
    ASSERT_OK(k_meanpool_backward(nn, &s, 2, f->a[0], f->a[3], e), *e);
    ASSERT_OK(k_to_blocked(nn, &s, f->a[0], f->a[3], e), *e);
    ASSERT_OK(k_to_plain(nn, &s, f->a[0], f->a[3], e), *e);
}

static void dense(struct fixture *f, struct err *e)
{
    const uint32_t row[N] = {0, 1, 2, 3};
    const struct noise_key key = {.row = row};
    const struct adam_step adam = {1e-3, 0.9, 0.999, 1e-8, 0, 1};
    struct nn *nn = f->nn;
    float **a = f->a;

    /* one column: dot products; many: tiles */
    ASSERT_OK(k_gemm(nn, false, true, N, 1, C, 1, a[0], C, a[1], C, 0, a[3], 1, e), *e);
    ASSERT_OK(k_gemm(nn, false, false, N, C, C, 1, a[0], C, a[1], C, 0, a[3], C, e), *e);
    ASSERT_OK(k_linear(nn, N, C, C, a[0], a[1], a[2], a[3], e), *e);
    ASSERT_OK(k_random_uniform(nn, &key, 0, N, C, a[3], e), *e);
    ASSERT_OK(k_random_normal(nn, &key, 0, N, C, a[3], e), *e);
    ASSERT_OK(k_gate(nn, FLOATS, 1, a[0], a[1], a[2], a[3], a[4], e), *e);
    ASSERT_OK(k_gate_backward(nn, FLOATS, 1, 0, a[0], a[1], a[2], a[2], a[3], e), *e);
    ASSERT_OK(k_add(nn, FLOATS, a[0], a[3], e), *e);
    ASSERT_OK(k_relu(nn, FLOATS, a[0], a[3], e), *e);
    ASSERT_OK(k_relu_backward(nn, FLOATS, a[0], a[1], a[3], e), *e);
    ASSERT_OK(k_column_sums(nn, N, C, a[0], a[3], e), *e);
    ASSERT_OK(k_adam(nn, &adam, FLOATS, a[3], a[0], a[4], a[5], e), *e);
}

static void (*const kernels[])(struct fixture *f, struct err *e) = {conv, normalise, pool, dense};

static void test_kernels_leave_arrays_alone(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};

    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        fill(f);
        nn_set_planning(f->nn, true);
        kernels[i](f, &e);
        assert_int_equal(written(f), 0);
        nn_set_planning(f->nn, false);
        kernels[i](f, &e);
        assert_true(written(f) > 0);
    }
}

static void test_all_is_finite(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool finite;

    memset(f->a[0], 0xff, FLOATS * sizeof(float)); /* NaN */
    for (int planning = 1; planning >= 0; planning--) {
        nn_set_planning(f->nn, planning);
        assert_int_equal(nn_planning(f->nn), planning);
        ASSERT_OK(k_all_finite(f->nn, FLOATS, f->a[0], &finite, &e), e);
        assert_int_equal(finite, planning);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kernels_leave_arrays_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_is_finite, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
