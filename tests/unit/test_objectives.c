/* SPDX-License-Identifier: MIT */
#include "tests/support/check.h"
#include "tests/support/kernel_ref.h"
#include "train/objectives/objective.h"

#include <math.h>
#include <stdlib.h>

/* The families of predictions against their definitions in double: likelihoods, their gradients in
 * closed form, and mixtures. */

enum { ROWS = 6, MIXED = 3, WIDTH_MAX = 8 };

static const int32_t LABELS[ROWS] = {0, 1, 1, 0, 1, 0};
static const float TARGETS[3 * ROWS] = {0.5f, -1, 2,     0.1f,  -0.3f, 0,     1,    1,  1,
                                        -2,   0,  -0.5f, 0.25f, 0.7f,  -0.7f, 1.5f, -1, 0};
static const struct aim AIM = {LABELS, TARGETS};

static const struct family {
    const struct objective *objective;
    int k; /* classes or numbers */
} FAMILIES[] = {{&objective_categorical, 4}, {&objective_bernoulli, 2}, {&objective_gaussian, 3}};
enum { N_FAMILIES = sizeof FAMILIES / sizeof FAMILIES[0] };

/* Probabilities of the classes that a row predicts. */
static void probabilities(const struct family *f, const float *row, double *p)
{
    double sum = 0;

    for (int c = 0; c < f->k; c++) {
        p[c] = exp(f->k == 2 ? c * (double)row[0] : (double)row[c]);
        sum += p[c];
    }
    for (int c = 0; c < f->k; c++)
        p[c] /= sum;
}

/* -log p of row i. */
static double nll_by_hand(const struct family *f, const float *row, int64_t i)
{
    double p[WIDTH_MAX], sum = 0;

    if (f->objective != &objective_gaussian) {
        probabilities(f, row, p);
        return -log(p[LABELS[i]]);
    }
    for (int k = 0; k < f->k; k++) {
        double variance = exp((double)row[f->k + k]);
        double off = (double)row[k] - (double)TARGETS[i * f->k + k];

        sum += (log(2 * M_PI * variance) + off * off / variance) / 2;
    }
    return sum;
}

static double mean_nll(const struct family *f, const float *x)
{
    int width = f->objective->outputs(f->k);
    double sum = 0;

    for (int64_t i = 0; i < ROWS; i++)
        sum += nll_by_hand(f, x + i * width, i) / ROWS;
    return sum;
}

static void test_likelihoods(void **state)
{
    (void)state;
    for (int n = 0; n < N_FAMILIES; n++) {
        const struct family *f = &FAMILIES[n];
        int width = f->objective->outputs(f->k), wide = f->objective->readout_width(f->k);
        float *x = ref_random(ROWS * width, 7), readout[ROWS * WIDTH_MAX], d[ROWS * WIDTH_MAX];
        const double h = 1e-3;

        f->objective->readout(ROWS, width, x, readout);
        for (int64_t i = 0; i < ROWS; i++)
            assert_float_equal(f->objective->sample_nll(wide, readout + i * wide, &AIM, i),
                               nll_by_hand(f, x + i * width, i), 1e-5);
        f->objective->gradient(ROWS, width, x, &AIM, d);
        for (int64_t k = 0; k < ROWS * width; k++) {
            float at = x[k], up = at + (float)h, down = at - (float)h;
            double above;

            x[k] = up;
            above = mean_nll(f, x);
            x[k] = down;
            assert_float_equal(d[k], (above - mean_nll(f, x)) / ((double)up - (double)down), 1e-5);
            x[k] = at;
        }
        free(x);
    }
}

/* A row of a mixture: probabilities are the mean of the others', or mean and variance are those of
 * numbers that come from one of them by chance. */
static void assert_mixed(const struct family *f, const float *const part[MIXED], const float *mixed)
{
    for (int k = 0; k < f->k; k++) {
        double p[WIDTH_MAX], mean = 0, variance = 0;

        for (int i = 0; i < MIXED; i++) {
            if (f->objective != &objective_gaussian)
                probabilities(f, part[i], p);
            mean += (f->objective == &objective_gaussian ? (double)part[i][k] : p[k]) / MIXED;
        }
        if (f->objective != &objective_gaussian) {
            probabilities(f, mixed, p);
            assert_float_equal(p[k], mean, 1e-6);
            continue;
        }
        for (int i = 0; i < MIXED; i++)
            variance +=
                (exp((double)part[i][f->k + k]) + pow((double)part[i][k] - mean, 2)) / MIXED;
        assert_float_equal(mixed[k], mean, 1e-6);
        assert_float_equal(exp((double)mixed[f->k + k]), variance, 1e-5 * variance);
    }
}

static void test_mixtures(void **state)
{
    struct nn *nn = ref_nn(1);
    struct tape *t = NULL;
    struct err e = {0};

    (void)state;
    ASSERT_OK(tape_new(&t, nn, &e), e);
    for (int n = 0; n < N_FAMILIES; n++) {
        const struct family *f = &FAMILIES[n];
        int64_t width = f->objective->outputs(f->k);
        struct tensor *part[MIXED], *mixed;
        float *x[MIXED];

        tape_begin(t, 0);
        for (int i = 0; i < MIXED; i++) {
            x[i] = ref_random(ROWS * width, (uint32_t)i + 1);
            part[i] = tape_constant(t, 2, (int64_t[]){ROWS, width}, x[i]);
        }
        mixed = f->objective->mix(t, MIXED, part);
        ASSERT_OK(tape_error(t, &e), e);
        for (int64_t i = 0; i < ROWS; i++)
            assert_mixed(
                f, (const float *const[]){x[0] + i * width, x[1] + i * width, x[2] + i * width},
                mixed->data + i * width);
        for (int i = 0; i < MIXED; i++)
            free(x[i]);
    }
    tape_free(t);
    nn_free(nn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_likelihoods),
        cmocka_unit_test(test_mixtures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
