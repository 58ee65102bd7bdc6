/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "tests/support/cmocka.h"
#include "tests/support/kernel_ref.h"
#include "tests/support/op_check.h"

#include <math.h>
#include <stdlib.h>

/* The losses of all three families and both directions against their definitions in double. */

static const int32_t LABELS[] = {2, 0, 6, 3, 2};
static const int32_t BITS[] = {1, 0, 0, 1, 1};
static const float WEIGHTS[] = {0.5f, 2, 0, -0.25f, 3};
static const float VALUES[] = {0.5f, -1, 2, 0, 0.25f, -0.75f, 1, 1, -2, 3, 0.1f, 0.2f, 0, 4, -1};

enum { K = 7, NUMBERS = 3 }; /* classes; values of a Gaussian target */

/* ---- distributions as lists of probabilities, or means and variances ---- */

static void softmax(int64_t k, const double *x, double *p)
{
    double sum = 0;

    for (int64_t j = 0; j < k; j++)
        sum += exp(x[j]);
    for (int64_t j = 0; j < k; j++)
        p[j] = exp(x[j]) / sum;
}

static void bernoulli(int64_t k, const double *x, double *p)
{
    (void)k;
    p[1] = 1 / (1 + exp(-x[0]));
    p[0] = 1 - p[1];
}

static double discrete_kl(int64_t k, const double *p, const double *r)
{
    double kl = 0;

    for (int64_t j = 0; j < k; j++)
        kl += p[j] * log(p[j] / r[j]);
    return kl;
}

/* App. C.1 with the covariances of independent values. */
static double gaussian_kl(int64_t k, const double *p, const double *r)
{
    double trace = 0, square = 0, log_det = 0;

    for (int64_t j = 0; j < k; j++) {
        double variance = exp(p[k + j]), wanted = exp(r[k + j]);

        trace += variance / wanted;
        square += (p[j] - r[j]) * (p[j] - r[j]) / wanted;
        log_det += log(variance) - log(wanted);
    }
    return (trace + square - (double)k - log_det) / 2;
}

static double row_kl(const struct op_case *c, int64_t width, const double *x, const double *r)
{
    double p[2 * K], q[2 * K] = {0};
    bool model_first = c->arg[0] == KL_MODEL_REFERENCE;

    if (width == 2 * NUMBERS) {
        if (r != NULL)
            return model_first ? gaussian_kl(NUMBERS, x, r) : gaussian_kl(NUMBERS, r, x);
        return model_first ? gaussian_kl(NUMBERS, x, q) : gaussian_kl(NUMBERS, q, x);
    }
    (width == 1 ? bernoulli : softmax)(width, x, p);
    (width == 1 ? bernoulli : softmax)(width, r != NULL ? r : q, q);
    return model_first ? discrete_kl(width == 1 ? 2 : width, p, q)
                       : discrete_kl(width == 1 ? 2 : width, q, p);
}

static double row_nll(int64_t width, int64_t b, const double *x)
{
    double p[K], sum = 0;

    if (width == K) {
        softmax(K, x, p);
        return -log(p[LABELS[b]]);
    }
    if (width == 1) {
        bernoulli(1, x, p);
        return -log(p[BITS[b]]);
    }
    for (int k = 0; k < NUMBERS; k++) {
        double variance = exp(x[NUMBERS + k]);
        double off = x[k] - (double)VALUES[b * NUMBERS + k];

        sum += log(sqrt(2 * M_PI * variance)) + off * off / (2 * variance);
    }
    return sum;
}

/* ---- cases; the width of a prediction tells its family; args: direction ---- */

static struct tensor *build_nll(struct tape *t, struct tensor *const *in, const struct op_case *c)
{
    switch (c->in[0].dim[1]) {
    case K: return op_cross_entropy(t, in[0], LABELS);
    case 1: return op_bernoulli_nll(t, in[0], BITS);
    default: return op_gaussian_nll(t, in[0], VALUES);
    }
}

static void ref_nll(const struct op_case *c, double *const *in, double *out)
{
    int64_t rows = c->in[0].dim[0], width = c->in[0].dim[1];

    out[0] = 0;
    for (int64_t b = 0; b < rows; b++)
        out[0] += row_nll(width, b, in[0] + b * width) / (double)rows;
}

static struct tensor *build_weighted_nll(struct tape *t, struct tensor *const *in,
                                         const struct op_case *c)
{
    (void)c;
    return op_weighted_cross_entropy(t, in[0], LABELS, WEIGHTS);
}

static void ref_weighted_nll(const struct op_case *c, double *const *in, double *out)
{
    (void)c;
    out[0] = 0;
    for (int64_t b = 0; b < 5; b++)
        out[0] += (double)WEIGHTS[b] * row_nll(K, b, in[0] + b * K) / 5;
}

static struct tensor *build_kl(struct tape *t, struct tensor *const *in, const struct op_case *c)
{
    struct tensor *reference = c->inputs > 1 ? in[1] : NULL;
    enum kl_direction direction = (enum kl_direction)c->arg[0];

    switch (c->in[0].dim[1]) {
    case K: return op_kl(t, in[0], reference, direction);
    case 1: return op_bernoulli_kl(t, in[0], reference, direction);
    default: return op_gaussian_kl(t, in[0], reference, direction);
    }
}

static void ref_kl(const struct op_case *c, double *const *in, double *out)
{
    int64_t rows = c->in[0].dim[0], width = c->in[0].dim[1];

    out[0] = 0;
    for (int64_t b = 0; b < rows; b++)
        out[0] += row_kl(c, width, in[0] + b * width, c->inputs > 1 ? in[1] + b * width : NULL) /
                  (double)rows;
}

static struct tensor *build_weighted_sum(struct tape *t, struct tensor *const *in,
                                         const struct op_case *c)
{
    struct tensor *ce = op_cross_entropy(t, in[0], LABELS);
    struct tensor *kl = op_kl(t, in[0], NULL, KL_MODEL_REFERENCE);

    (void)c;
    return op_weighted_sum(t, 3, (struct tensor *[]){ce, kl, ce}, (double[]){0.5, -2, 0.25});
}

static void ref_weighted_sum(const struct op_case *c, double *const *in, double *out)
{
    struct op_case kl = *c;
    double value;

    kl.arg[0] = KL_MODEL_REFERENCE;
    ref_kl(&kl, in, &value);
    ref_nll(c, in, out);
    out[0] = 0.75 * out[0] - 2 * value;
}

#define NLL(name, width)                                                       \
    {                                                                          \
        name, 1, {MATRIX(5, width)}, SCALAR, TAPE_TRAIN, {0}, 1e-6, TABLE(nll) \
    }
#define KL_UNIFORM(name, width, direction)                                            \
    {                                                                                 \
        name, 1, {MATRIX(5, width)}, SCALAR, TAPE_TRAIN, {direction}, 1e-6, TABLE(kl) \
    }
#define KL_TO(name, width, direction)                                                         \
    {                                                                                         \
        name, 2, {MATRIX(5, width), CONSTANT(5, width, -1)}, SCALAR, TAPE_TRAIN, {direction}, \
            1e-6, TABLE(kl)                                                                   \
    }

static const struct op_case CASES[] = {
    NLL("cross entropy", K),
    {"weighted cross entropy",
     1,
     {MATRIX(5, K)},
     SCALAR,
     TAPE_TRAIN,
     {0},
     1e-6,
     TABLE(weighted_nll)},
    NLL("Bernoulli nll", 1),
    NLL("Gaussian nll", 2 * NUMBERS),
    KL_UNIFORM("KL(model || uniform)", K, KL_MODEL_REFERENCE),
    KL_UNIFORM("KL(uniform || model)", K, KL_REFERENCE_MODEL),
    KL_UNIFORM("KL(Bernoulli || 1/2)", 1, KL_MODEL_REFERENCE),
    KL_UNIFORM("KL(1/2 || Bernoulli)", 1, KL_REFERENCE_MODEL),
    KL_UNIFORM("KL(Gaussian || N(0, I))", 2 * NUMBERS, KL_MODEL_REFERENCE),
    KL_UNIFORM("KL(N(0, I) || Gaussian)", 2 * NUMBERS, KL_REFERENCE_MODEL),
    KL_TO("KL(model || reference)", K, KL_MODEL_REFERENCE),
    KL_TO("KL(reference || model)", K, KL_REFERENCE_MODEL),
    KL_TO("KL(Bernoulli || reference)", 1, KL_MODEL_REFERENCE),
    KL_TO("KL(reference || Bernoulli)", 1, KL_REFERENCE_MODEL),
    KL_TO("KL(Gaussian || reference)", 2 * NUMBERS, KL_MODEL_REFERENCE),
    KL_TO("KL(reference || Gaussian)", 2 * NUMBERS, KL_REFERENCE_MODEL),
    {"weighted sum", 1, {MATRIX(5, K)}, SCALAR, TAPE_TRAIN, {0}, 1e-6, TABLE(weighted_sum)},
};

static void test_losses(void **state)
{
    struct nn *nn = ref_nn(1);

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        op_check(nn, &CASES[i]);
    nn_free(nn);
}

/* X section 6: at most log 2, with gradient p (1 - p) f; far out nothing overflows. */
static void test_bernoulli_far_out(void **state)
{
    static const double LOGITS[] = {0, 0.5, -3, 20, -20, 90, -90, 700, -700};
    struct nn *nn = ref_nn(1);
    struct tape *t = NULL;
    struct err e = {0};

    (void)state;
    assert_int_equal(tape_new(&t, nn, &e), ERR_OK);
    for (size_t i = 0; i < sizeof LOGITS / sizeof LOGITS[0]; i++) {
        _Alignas(64) float f[16] = {(float)LOGITS[i]}, d[16] = {0};
        double p = 1 / (1 + exp(-LOGITS[i]));
        int32_t label = 1;
        struct tensor *x, *kl;

        tape_begin(t, TAPE_KEEP);
        x = tape_leaf(t, 2, (int64_t[]){1, 1}, TENSOR_PLAIN, f, d);
        kl = op_bernoulli_kl(t, x, NULL, KL_MODEL_REFERENCE);
        assert_int_equal(tape_backward(t, kl, &e), ERR_OK);
        assert_true(tape_value(kl) >= 0 && tape_value(kl) <= (float)M_LN2);
        assert_true(fabs((double)d[0] - p * (1 - p) * LOGITS[i]) < 1e-7);
        assert_true(isfinite(tape_value(op_bernoulli_nll(t, x, &label))));
    }
    tape_free(t);
    nn_free(nn);
}

/* A label that is no class, in the weighted loss as in the plain one. */
static void test_wrong_label(void **state)
{
    static const int32_t wrong[] = {0, 1, K};
    _Alignas(64) float x[3 * K] = {0};
    struct nn *nn = ref_nn(1);
    struct tape *t = NULL;
    struct err e = {0};

    (void)state;
    assert_int_equal(tape_new(&t, nn, &e), ERR_OK);
    for (int weighted = 0; weighted < 2; weighted++) {
        struct tensor *in;

        tape_begin(t, 0);
        in = tape_constant(t, 2, (int64_t[]){3, K}, x);
        assert_null(weighted ? op_weighted_cross_entropy(t, in, wrong, WEIGHTS)
                             : op_cross_entropy(t, in, wrong));
        assert_int_equal(tape_error(t, &e), ERR_DATA);
        assert_string_equal(e.text, "label 7 of batch row 2: must be in 0..6");
        err_clear(&e);
    }
    tape_free(t);
    nn_free(nn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_wrong_label),
        cmocka_unit_test(test_bernoulli_far_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
