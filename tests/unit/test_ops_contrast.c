/* SPDX-License-Identifier: MIT */
#include "tests/support/cmocka.h"
#include "tests/support/kernel_ref.h"
#include "tests/support/op_check.h"

#include <math.h>
#include <stdlib.h>

/* Operations that set rows against each other, against their definitions in double. */

static const int32_t INDEX[] = {2, 0, 0, 4, 3, 2, 2};
static const int32_t PLACES[] = {3, 0};
static const int32_t LABELS[] = {1, 0, 1, 2, 0};
static const float WEIGHTS[] = {1, 0, 2.5f, 1, 0.5f};
static const int32_t ALONE[] = {0, 1, 2, 3, 4};
static const int32_t EQUAL[] = {3, 3, 3, 3, 3};

enum { ROWS = 5, DIM = 6 };

static struct tensor *build_gather(struct tape *t, struct tensor *const *in,
                                   const struct op_case *c)
{
    return op_gather_rows(t, in[0], c->out.dim[0], INDEX);
}

static void ref_gather(const struct op_case *c, double *const *in, double *out)
{
    for (int64_t i = 0; i < op_count(&c->out); i++)
        out[i] = in[0][INDEX[i / DIM] * DIM + i % DIM];
}

static struct tensor *build_replace(struct tape *t, struct tensor *const *in,
                                    const struct op_case *c)
{
    (void)c;
    return op_replace_rows(t, in[0], in[1], PLACES);
}

static void ref_replace(const struct op_case *c, double *const *in, double *out)
{
    for (int64_t i = 0; i < op_count(&c->out); i++)
        out[i] = in[0][i];
    for (int64_t i = 0; i < 2 * DIM; i++)
        out[PLACES[i / DIM] * DIM + i % DIM] = in[1][i];
}

/* arg[0]: with weights. */
static struct tensor *build_js(struct tape *t, struct tensor *const *in, const struct op_case *c)
{
    return op_js_divergence(t, in[0], in[1], c->arg[0] ? WEIGHTS : NULL);
}

static void ref_js(const struct op_case *c, double *const *in, double *out)
{
    out[0] = 0;
    for (int b = 0; b < ROWS; b++) {
        double p[2][DIM], norm[2] = {0};

        for (int side = 0; side < 2; side++)
            for (int k = 0; k < DIM; k++)
                norm[side] += p[side][k] = exp(in[side][b * DIM + k]);
        for (int side = 0; side < 2; side++)
            for (int k = 0; k < DIM; k++) {
                double own = p[side][k] / norm[side];
                double mean = (p[0][k] / norm[0] + p[1][k] / norm[1]) / 2;

                out[0] += (c->arg[0] ? (double)WEIGHTS[b] : 1) * own * log(own / mean) / 2 / ROWS;
            }
    }
}

static const int32_t *labels_of(const struct op_case *c)
{
    return c->arg[0] == 0 ? LABELS : c->arg[0] == 1 ? ALONE : EQUAL;
}

/* arg[1]: temperature in percent. */
static struct tensor *build_nt_xent(struct tape *t, struct tensor *const *in,
                                    const struct op_case *c)
{
    return op_nt_xent(t, in[0], in[1], labels_of(c), c->arg[1] / 100.0);
}

static double cosine(double *const *in, int i, int j)
{
    const double *x = in[i / ROWS] + i % ROWS * DIM, *y = in[j / ROWS] + j % ROWS * DIM;
    double dot = 0, xx = 0, yy = 0;

    for (int k = 0; k < DIM; k++) {
        dot += x[k] * y[k];
        xx += x[k] * x[k];
        yy += y[k] * y[k];
    }
    return dot / sqrt(xx * yy);
}

static void ref_nt_xent(const struct op_case *c, double *const *in, double *out)
{
    const int32_t *label = labels_of(c);
    double temperature = c->arg[1] / 100.0;
    int pairs = 0;

    out[0] = 0;
    for (int i = 0; i < 2 * ROWS; i++)
        for (int j = 0; j < 2 * ROWS; j++) {
            double own = exp(cosine(in, i, j) / temperature), sum = own;

            if (i == j || label[i % ROWS] != label[j % ROWS])
                continue;
            for (int n = 0; n < 2 * ROWS; n++)
                if (label[n % ROWS] != label[i % ROWS])
                    sum += exp(cosine(in, i, n) / temperature);
            out[0] -= log(own / sum);
            pairs++;
        }
    out[0] /= pairs;
}

#define PAIR(name, function, ...)                                                                 \
    {                                                                                             \
        name, 2, {MATRIX(ROWS, DIM), MATRIX(ROWS, DIM)}, SCALAR, TAPE_TRAIN, {__VA_ARGS__}, 2e-6, \
            TABLE(function)                                                                       \
    }

static const struct op_case CASES[] = {
    {"gather rows", 1, {MATRIX(ROWS, DIM)}, MATRIX(7, DIM), TAPE_TRAIN, {0}, 1e-6, TABLE(gather)},
    {"replace rows",
     2,
     {MATRIX(ROWS, DIM), MATRIX(2, DIM)},
     MATRIX(ROWS, DIM),
     TAPE_TRAIN,
     {0},
     1e-6,
     TABLE(replace)},
    PAIR("Jensen-Shannon", js, 0),
    PAIR("Jensen-Shannon, weighted", js, 1),
    PAIR("NT-Xent", nt_xent, 0, 50),
    PAIR("NT-Xent, cold", nt_xent, 0, 5),
    PAIR("NT-Xent, one pair per row", nt_xent, 1, 50),
};

static void test_contrast(void **state)
{
    struct nn *nn = ref_nn(2);

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        op_check(nn, &CASES[i]);
    nn_free(nn);
}

/* Equal distributions: 0 with gradient 0. Disjoint ones: log 2, and nothing overflows. No other
 * label: 0 with gradient 0. */
static void test_limits(void **state)
{
    _Alignas(64) float a[16] = {900, 0, -900}, b[16] = {-900, 0, 900}, da[16], db[16];
    struct nn *nn = ref_nn(1);
    struct tape *t = NULL;
    struct err e = {0};

    (void)state;
    assert_int_equal(tape_new(&t, nn, &e), ERR_OK);
    for (int k = 0; k < 3; k++) {
        struct tensor *x, *y, *loss;

        for (int i = 0; i < 16; i++)
            da[i] = db[i] = 0;
        tape_begin(t, 0);
        x = tape_leaf(t, 2, (int64_t[]){1, 3}, TENSOR_PLAIN, a, da);
        y = tape_leaf(t, 2, (int64_t[]){1, 3}, TENSOR_PLAIN, k == 0 ? a : b, db);
        loss = k < 2 ? op_js_divergence(t, x, y, NULL) : op_nt_xent(t, x, y, EQUAL, 0.5);
        assert_int_equal(tape_backward(t, loss, &e), ERR_OK);
        assert_true(fabs((double)tape_value(loss) - (k == 1 ? M_LN2 : 0)) < 1e-6);
        for (int i = 0; i < 3; i++)
            assert_true(fabsf(da[i]) < 1e-6f && fabsf(db[i]) < 1e-6f);
    }
    tape_free(t);
    nn_free(nn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contrast),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
