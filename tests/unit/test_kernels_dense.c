/* SPDX-License-Identifier: MIT */
#include "tests/support/kernel_ref.h"

#include "tests/support/cmocka.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Matrix products, element-wise kernels and layouts. */

struct size {
    int64_t m, n, k;
};
static const struct size SIZES[] = {
    {1, 1, 1},      {1, 1, 128},   {128, 1, 128}, {128, 128, 64}, {64, 64, 1024},
    {64, 7, 512},   {7, 512, 64},  {64, 512, 7},  {5, 3, 2},      {17, 33, 65},
    {2, 31, 300},   {33, 2, 9},    {15, 16, 1},   {300, 270, 40}, {257, 31, 260},
    {3, 520, 2100}, {14, 32, 256}, {29, 97, 515}, {61, 530, 520}, {600, 530, 61},
};
enum { N_SIZES = sizeof SIZES / sizeof SIZES[0] };

/* op(A) element (i, p) of a matrix stored with leading dimension ld. */
static double element(const float *a, bool transposed, int64_t ld, int64_t i, int64_t p)
{
    return transposed ? a[p * ld + i] : a[i * ld + p];
}

/* With rows longer than needed (the rest must stay untouched) and C's old content NaN for beta 0.
 */
static void check_gemm(struct nn *nn, struct size s, bool ta, bool tb, float alpha, float beta)
{
    int64_t lda = (ta ? s.m : s.k) + 3, ldb = (tb ? s.k : s.n) + 1, ldc = s.n + 2;
    float *a = ref_random((ta ? s.k : s.m) * lda, 1), *b = ref_random((tb ? s.n : s.k) * ldb, 2);
    float *c = ref_random(s.m * ldc, 3), *old = ref_random(s.m * ldc, 3);
    struct err e = {0};

    for (int64_t i = 0; beta == 0 && i < s.m; i++)
        for (int64_t j = 0; j < s.n; j++)
            c[i * ldc + j] = NAN;
    if (k_gemm(nn, ta, tb, s.m, s.n, s.k, alpha, a, lda, b, ldb, beta, c, ldc, &e) != ERR_OK)
        fail_msg("%s", e.text);
    for (int64_t i = 0; i < s.m; i++)
        for (int64_t j = 0; j < ldc; j++) {
            double want = 0, size = 0;
            if (j >= s.n) {
                assert_true(c[i * ldc + j] == old[i * ldc + j]);
                continue;
            }
            for (int64_t p = 0; p < s.k; p++) {
                double term = element(a, ta, lda, i, p) * element(b, tb, ldb, p, j);
                want += term;
                size += fabs(term);
            }
            want = alpha * want + (double)beta * old[i * ldc + j];
            size = fabs(alpha) * size + fabs(beta) + 1e-30;
            /* float32 sums of k terms: error grows like sqrt(k), here bounded by 32 roundings */
            if (!(fabs(c[i * ldc + j] - want) <= 32 * 6e-8 * size))
                fail_msg("%lld x %lld x %lld %d%d alpha %g beta %g at %lld, %lld: %g, not %g",
                         (long long)s.m, (long long)s.n, (long long)s.k, ta, tb, alpha, beta,
                         (long long)i, (long long)j, c[i * ldc + j], want);
        }
    free(a), free(b), free(c), free(old);
}

static void test_gemm(void **state)
{
    struct nn *nn = ref_nn(2);

    (void)state;
    for (int i = 0; i < N_SIZES; i++)
        for (int t = 0; t < 4; t++) {
            check_gemm(nn, SIZES[i], t & 1, t & 2, 1, 0);
            check_gemm(nn, SIZES[i], t & 1, t & 2, 1, 1);
            check_gemm(nn, SIZES[i], t & 1, t & 2, 0.5F, -2);
        }
    check_gemm(nn, (struct size){4, 5, 0}, false, false, 1, 0);
    check_gemm(nn, (struct size){4, 5, 0}, false, false, 1, 0.5F);
    nn_free(nn);
}

static void test_gemm_same_bits(void **state)
{
    static const int THREADS[] = {1, 2, 3, 7, 1};

    (void)state;
    for (int i = 0; i < 4 * N_SIZES; i++) {
        struct size s = SIZES[i / 4];
        bool ta = (i & 1) != 0, tb = (i & 2) != 0;
        float *a = ref_random(s.m * s.k, 1), *b = ref_random(s.k * s.n, 2);
        float *first = ref_floats(s.m * s.n), *c = ref_floats(s.m * s.n);
        for (int t = 0; t < 5; t++) {
            struct nn *nn = ref_nn(THREADS[t]);
            struct err e = {0};
            assert_int_equal(k_gemm(nn, ta, tb, s.m, s.n, s.k, 1, a, ta ? s.m : s.k, b,
                                    tb ? s.k : s.n, 0, t == 0 ? first : c, s.n, &e),
                             ERR_OK);
            if (t > 0)
                assert_memory_equal(c, first, (size_t)(s.m * s.n) * sizeof *c);
            nn_free(nn);
        }
        free(a), free(b), free(first), free(c);
    }
}

/* The bits of a product added to rows that hold the bias. */
static void test_linear(void **state)
{
    struct nn *nn = ref_nn(3);

    (void)state;
    for (int i = 0; i < 2 * N_SIZES; i++) {
        struct size s = SIZES[i / 2];
        bool bias = i % 2 == 1;
        float *x = ref_random(s.m * s.k, 1), *w = ref_random(s.n * s.k, 2);
        float *b = ref_random(s.n, 3), *y = ref_random(s.m * s.n, 4), *want = ref_floats(s.m * s.n);
        struct err e = {0};

        for (int64_t k = 0; bias && k < s.m * s.n; k++)
            want[k] = b[k % s.n];
        assert_int_equal(
            k_gemm(nn, false, true, s.m, s.n, s.k, 1, x, s.k, w, s.k, bias ? 1 : 0, want, s.n, &e),
            ERR_OK);
        assert_int_equal(k_linear(nn, s.m, s.k, s.n, x, w, bias ? b : NULL, y, &e), ERR_OK);
        assert_memory_equal(y, want, (size_t)(s.m * s.n) * sizeof *y);
        free(x), free(w), free(b), free(y), free(want);
    }
    nn_free(nn);
}

static void test_gemm_nan_and_refusal(void **state)
{
    struct nn *nn = ref_nn(1);
    float a[4] = {1, NAN, 2, 3}, b[4] = {1, 0, 0, 1}, c[4];
    struct err e = {0};

    (void)state;
    assert_int_equal(k_gemm(nn, false, false, 2, 2, 2, 1, a, 2, b, 2, 0, c, 2, &e), ERR_OK);
    assert_true(isnan(c[0]) && isnan(c[1]) && c[2] == 2 && c[3] == 3);
    assert_int_equal(k_gemm(nn, false, false, 2, 2, 2, 1, a, 1, b, 2, 0, c, 2, &e), ERR_INTERNAL);
    nn_free(nn);
}

static void test_add(void **state)
{
    static const int64_t COUNTS[] = {0, 1, 17, 16384, 100003};
    struct nn *nn = ref_nn(3);
    struct err e = {0};

    (void)state;
    for (int i = 0; i < 5; i++) {
        float *a = ref_random(COUNTS[i], 1), *to = ref_random(COUNTS[i], 2);
        float *old = ref_random(COUNTS[i], 2);
        assert_int_equal(k_add(nn, COUNTS[i], a, to, &e), ERR_OK);
        for (int64_t k = 0; k < COUNTS[i]; k++)
            assert_true(to[k] == a[k] + old[k]);
        free(a), free(to), free(old);
    }
    nn_free(nn);
}

static void test_relu(void **state)
{
    enum { COUNT = 20011 };
    struct nn *nn = ref_nn(3);
    float *x = ref_random(COUNT, 1), *dy = ref_random(COUNT, 2);
    float *y = ref_floats(COUNT), *dx = ref_floats(COUNT);
    struct err e = {0};

    (void)state;
    x[0] = 0, x[1] = NAN;
    assert_int_equal(k_relu(nn, COUNT, x, y, &e), ERR_OK);
    assert_int_equal(k_relu_backward(nn, COUNT, y, dy, dx, &e), ERR_OK);
    assert_true(isnan(y[1]) && dx[1] == 0);
    for (int i = 0; i < COUNT; i++) {
        if (i == 1)
            continue;
        assert_true(y[i] == (x[i] > 0 ? x[i] : 0));
        assert_true(dx[i] == (x[i] > 0 ? dy[i] : 0));
    }
    free(x), free(dy), free(y), free(dx);
    nn_free(nn);
}

/* One bad number anywhere, and the largest and smallest good ones. */
static void test_all_finite(void **state)
{
    enum { COUNT = 50021 };
    static const int64_t AT[] = {0, 1, 16383, 16384, 32768, COUNT - 1};
    static const float BAD[] = {NAN, -NAN, INFINITY, -INFINITY};
    struct nn *nn = ref_nn(3);
    float *x = ref_random(COUNT, 1);
    bool finite = true;
    struct err e = {0};

    (void)state;
    x[7] = FLT_MAX, x[8] = -FLT_MAX, x[9] = -0.0f, x[10] = 1e-45f;
    assert_int_equal(k_all_finite(nn, COUNT, x, &finite, &e), ERR_OK);
    assert_true(finite);
    for (int i = 0; i < 6 * 4; i++) {
        float old = x[AT[i / 4]];

        x[AT[i / 4]] = BAD[i % 4];
        assert_int_equal(k_all_finite(nn, COUNT, x, &finite, &e), ERR_OK);
        assert_false(finite);
        assert_int_equal(k_all_finite(nn, AT[i / 4], x, &finite, &e), ERR_OK);
        assert_true(finite);
        x[AT[i / 4]] = old;
    }
    free(x);
    nn_free(nn);
}

static void test_column_sums(void **state)
{
    static const int64_t SHAPES[][2] = {{1, 1}, {64, 1024}, {7, 300}, {129, 127}};
    struct err e = {0};

    (void)state;
    for (int i = 0; i < 4; i++) {
        int64_t rows = SHAPES[i][0], cols = SHAPES[i][1];
        float *x = ref_random(rows * cols, 1);
        float *one = ref_random(cols, 2), *many = ref_random(cols, 2), *old = ref_random(cols, 2);
        struct nn *nn = ref_nn(1), *team = ref_nn(3);

        assert_int_equal(k_column_sums(nn, rows, cols, x, one, &e), ERR_OK);
        assert_int_equal(k_column_sums(team, rows, cols, x, many, &e), ERR_OK);
        assert_memory_equal(one, many, (size_t)cols * sizeof *one);
        for (int64_t k = 0; k < cols; k++) {
            double sum = 0;

            for (int64_t row = 0; row < rows; row++)
                sum += (double)x[row * cols + k];
            assert_true(one[k] == old[k] + (float)sum);
        }
        free(x), free(one), free(many), free(old);
        nn_free(nn), nn_free(team);
    }
}

/* Ten steps against the formula in double. */
static void test_adam(void **state)
{
    enum { COUNT = 20011 };
    struct nn *nn = ref_nn(3);
    struct adam_step a = {1e-3, 0.9, 0.999, 1e-8, 1e-2, 0};
    float *w = ref_random(COUNT, 1), *m = ref_floats(COUNT), *v = ref_floats(COUNT);
    double *want = calloc(3 * COUNT, sizeof *want);
    struct err e = {0};

    (void)state;
    assert_non_null(want);
    for (int64_t i = 0; i < COUNT; i++)
        want[i] = w[i];
    for (a.step = 1; a.step <= 10; a.step++) {
        float *grad = ref_random(COUNT, 100 + (uint64_t)a.step);
        assert_int_equal(k_adam(nn, &a, COUNT, w, grad, m, v, &e), ERR_OK);
        for (int64_t i = 0; i < COUNT; i++) {
            double *wi = &want[i], *mi = &want[COUNT + i], *vi = &want[2 * COUNT + i];
            double g = grad[i] + a.weight_decay * *wi;
            *mi = a.beta1 * *mi + (1 - a.beta1) * g;
            *vi = a.beta2 * *vi + (1 - a.beta2) * g * g;
            *wi -= a.lr / (1 - pow(a.beta1, (double)a.step)) * *mi /
                   (sqrt(*vi) / sqrt(1 - pow(a.beta2, (double)a.step)) + a.eps);
        }
        free(grad);
    }
    assert_true(ref_error(w, want, COUNT) < 2e-7);
    assert_true(ref_error(m, want + COUNT, COUNT) < 1e-6);
    assert_true(ref_error(v, want + 2 * COUNT, COUNT) < 1e-6);
    a.step = 0;
    assert_int_equal(k_adam(nn, &a, COUNT, w, m, m, v, &e), ERR_INTERNAL);
    free(w), free(m), free(v), free(want);
    nn_free(nn);
}

static void test_adam_nan_shows(void **state)
{
    struct nn *nn = ref_nn(1);
    struct adam_step a = {1e-3, 0.9, 0.999, 1e-8, 0, 1};
    float w[2] = {1, 1}, grad[2] = {NAN, 1}, m[2] = {0}, v[2] = {0};
    struct err e = {0};

    (void)state;
    assert_int_equal(k_adam(nn, &a, 2, w, grad, m, v, &e), ERR_OK);
    assert_true(isnan(w[0]));
    assert_false(isnan(w[1]));
    nn_free(nn);
}

static void test_layout(void **state)
{
    struct nn *nn = ref_nn(3);
    struct bn_shape s = {3, 48, 5, 7};
    int64_t count = s.n * s.c * s.h * s.w;
    float *x = ref_random(count, 1), *b = ref_floats(count), *back = ref_floats(count);
    float *want = ref_blocked(x, s.n, s.c, s.h * s.w, nn_block(nn));
    struct err e = {0};

    (void)state;
    assert_int_equal(k_to_blocked(nn, &s, x, b, &e), ERR_OK);
    assert_memory_equal(b, want, (size_t)count * sizeof *b);
    assert_int_equal(k_to_plain(nn, &s, b, back, &e), ERR_OK);
    assert_memory_equal(back, x, (size_t)count * sizeof *b);
    s.c = 20;
    assert_int_equal(k_to_plain(nn, &s, b, back, &e), ERR_INTERNAL);
    free(x), free(b), free(back), free(want);
    nn_free(nn);
}

static void test_context(void **state)
{
    struct nn *nn = NULL;
    struct err e = {0};

    (void)state;
    assert_int_equal(nn_new(&nn, 0, &e), ERR_USAGE);
    assert_null(nn);
    err_clear(&e);
    assert_int_equal(nn_new(&nn, 5, &e), ERR_OK);
    assert_int_equal(nn_threads(nn), 5);
    assert_true(nn_block(nn) == 16 || nn_block(nn) == 8);
    assert_non_null(strstr(nn_describe(nn), "oneDNN"));
    assert_non_null(strstr(nn_describe(nn), "products in "));
    nn_free(nn);
    nn_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm),       cmocka_unit_test(test_gemm_same_bits),
        cmocka_unit_test(test_linear),     cmocka_unit_test(test_gemm_nan_and_refusal),
        cmocka_unit_test(test_add),        cmocka_unit_test(test_relu),
        cmocka_unit_test(test_all_finite), cmocka_unit_test(test_column_sums),
        cmocka_unit_test(test_adam),       cmocka_unit_test(test_adam_nan_shows),
        cmocka_unit_test(test_layout),     cmocka_unit_test(test_context),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
