/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "tests/support/cmocka.h"
#include "tests/support/kernel_ref.h"
#include "tests/support/op_check.h"

#include <math.h>
#include <stdlib.h>

/* Every operation but the losses (test_ops_loss.c) against its definition. Tolerances: float32
 * arithmetic alone is about 1e-7 of the largest value for element-wise operations and grows with
 * the length of sums; Winograd adds a few bits (tests/unit/test_kernels_conv.c). */

/* ---- convolution; args: stride, pad ---- */
static struct tensor *build_conv(struct tape *t, struct tensor *const *in, const struct op_case *c)
{
    return op_conv2d(t, in[0], in[1], c->arg[0], c->arg[1]);
}

static void ref_conv(const struct op_case *c, double *const *in, double *out)
{
    const int64_t *x = c->in[0].dim, *w = c->in[1].dim, *y = c->out.dim;

    for (int64_t i = 0; i < op_count(&c->out); i++) {
        int64_t ow = i % y[3], oh = i / y[3] % y[2], o = i / (y[3] * y[2]) % y[1];
        int64_t n = i / (y[3] * y[2] * y[1]);

        out[i] = 0;
        for (int64_t k = 0; k < w[1] * w[2] * w[3]; k++) {
            int64_t ci = k / (w[2] * w[3]);
            int64_t h = oh * c->arg[0] - c->arg[1] + k / w[3] % w[2];
            int64_t v = ow * c->arg[0] - c->arg[1] + k % w[3];

            if (h >= 0 && h < x[2] && v >= 0 && v < x[3])
                out[i] += in[0][((n * x[1] + ci) * x[2] + h) * x[3] + v] *
                          in[1][o * w[1] * w[2] * w[3] + k];
        }
    }
}

/* ---- batch norm; inputs x, gamma, beta [, residual]; args: relu ---- */
static _Alignas(64) float running[2][16]; /* mean, variance: set by test_operations */

static struct tensor *build_any_batchnorm(struct tape *t, struct tensor *const *in,
                                          const struct op_case *c, bool pool)
{
    /* backward looks at them again */
    static struct param gamma, beta, mean, var, batches;
    const struct param weight = {.kind = PARAM_WEIGHT, .rank = 1, .dim = {16}, .count = 16};
    struct batchnorm bn = {&gamma, &beta, &mean, &var, &batches};
    _Alignas(64) float moved[2][16];

    gamma = beta = mean = var = weight;
    batches = (struct param){.kind = PARAM_COUNTER};
    for (int i = 0; i < 32; i++) /* training moves them: on a copy */
        moved[i / 16][i % 16] = running[i / 16][i % 16];
    gamma.data = in[1]->data;
    gamma.grad = in[1]->grad;
    beta.data = in[2]->data;
    beta.grad = in[2]->grad;
    mean.data = moved[0];
    var.data = moved[1];
    if (pool)
        return op_batchnorm_maxpool(t, in[0], &bn, c->arg[3], c->arg[0], c->arg[1], c->arg[2]);
    return op_batchnorm(t, in[0], &bn, c->inputs > 3 ? in[3] : NULL, c->arg[0]);
}

static struct tensor *build_batchnorm(struct tape *t, struct tensor *const *in,
                                      const struct op_case *c)
{
    return build_any_batchnorm(t, in, c, false);
}

static void ref_batchnorm(const struct op_case *c, double *const *in, double *out)
{
    const int64_t *d = c->in[0].dim;
    int64_t pixels = d[2] * d[3];
    double count = (double)(d[0] * pixels);

    for (int64_t ch = 0; ch < d[1]; ch++) {
        double mean = (double)running[0][ch], var = (double)running[1][ch];

        if (c->flags & TAPE_TRAIN) {
            mean = var = 0;
            for (int64_t i = 0; i < d[0] * pixels; i++)
                mean += in[0][(i / pixels * d[1] + ch) * pixels + i % pixels] / count;
            for (int64_t i = 0; i < d[0] * pixels; i++) {
                double v = in[0][(i / pixels * d[1] + ch) * pixels + i % pixels] - mean;

                var += v * v / count;
            }
        }
        for (int64_t i = 0; i < d[0] * pixels; i++) {
            int64_t k = (i / pixels * d[1] + ch) * pixels + i % pixels;

            out[k] = in[1][ch] * (in[0][k] - mean) / sqrt(var + 1e-5) + in[2][ch];
            if (c->inputs > 3)
                out[k] += in[3][k];
            if (c->arg[0] && out[k] < 0)
                out[k] = 0;
        }
    }
}

/* ---- pooling; args: k, stride, pad / frames ---- */
static struct tensor *build_maxpool(struct tape *t, struct tensor *const *in,
                                    const struct op_case *c)
{
    return op_maxpool(t, in[0], c->arg[0], c->arg[1], c->arg[2]);
}

static void ref_maxpool(const struct op_case *c, double *const *in, double *out)
{
    const int64_t *x = c->in[0].dim, *y = c->out.dim;

    for (int64_t i = 0; i < op_count(&c->out); i++) {
        const double *plane = in[0] + i / (y[2] * y[3]) * x[2] * x[3];

        out[i] = -INFINITY;
        for (int k = 0; k < c->arg[0] * c->arg[0]; k++) {
            int64_t h = i / y[3] % y[2] * c->arg[1] - c->arg[2] + k / c->arg[0];
            int64_t w = i % y[3] * c->arg[1] - c->arg[2] + k % c->arg[0];

            if (h >= 0 && h < x[2] && w >= 0 && w < x[3])
                out[i] = fmax(out[i], plane[h * x[3] + w]);
        }
    }
}

/* Batch norm before it; inputs x, gamma, beta; args: k, stride, pad, relu. */
static struct tensor *build_batchnorm_maxpool(struct tape *t, struct tensor *const *in,
                                              const struct op_case *c)
{
    return build_any_batchnorm(t, in, c, true);
}

static void ref_batchnorm_maxpool(const struct op_case *c, double *const *in, double *out)
{
    double *between = malloc((size_t)op_count(&c->in[0]) * sizeof *between);
    struct op_case normalise = *c;

    assert_non_null(between);
    normalise.arg[0] = c->arg[3];
    ref_batchnorm(&normalise, in, between);
    ref_maxpool(c, &between, out);
    free(between);
}

static struct tensor *build_meanpool(struct tape *t, struct tensor *const *in,
                                     const struct op_case *c)
{
    return op_meanpool(t, in[0], c->arg[0]);
}

static void ref_meanpool(const struct op_case *c, double *const *in, double *out)
{
    const int64_t *x = c->in[0].dim;
    int64_t pixels = x[2] * x[3];

    for (int64_t i = 0; i < op_count(&c->out); i++) {
        int64_t b = i / x[1], ch = i % x[1];

        out[i] = 0;
        for (int64_t k = 0; k < c->arg[0] * pixels; k++)
            out[i] += in[0][((b * c->arg[0] + k / pixels) * x[1] + ch) * pixels + k % pixels] /
                      (double)(c->arg[0] * pixels);
    }
}

/* ---- dense ---- */
static struct tensor *build_linear(struct tape *t, struct tensor *const *in,
                                   const struct op_case *c)
{
    return op_linear(t, in[0], in[1], c->inputs > 2 ? in[2] : NULL);
}

static void ref_linear(const struct op_case *c, double *const *in, double *out)
{
    int64_t d = c->in[0].dim[1], o = c->out.dim[1];

    for (int64_t i = 0; i < op_count(&c->out); i++) {
        out[i] = c->inputs > 2 ? in[2][i % o] : 0;
        for (int64_t k = 0; k < d; k++)
            out[i] += in[0][i / o * d + k] * in[1][i % o * d + k];
    }
}

static struct tensor *build_relu(struct tape *t, struct tensor *const *in, const struct op_case *c)
{
    (void)c;
    return op_relu(t, in[0]);
}

static void ref_relu(const struct op_case *c, double *const *in, double *out)
{
    for (int64_t i = 0; i < op_count(&c->out); i++)
        out[i] = in[0][i] > 0 ? in[0][i] : 0;
}

static const uint32_t ROWS[] = {7, 3, 1000000, 0, 5};

static struct tensor *build_dropout(struct tape *t, struct tensor *const *in,
                                    const struct op_case *c)
{
    struct noise_key key = {.seed = 11, .stream = rng_stream("drop"), .epoch = 2, .row = ROWS};

    (void)c;
    return op_dropout(t, in[0], 0.4f, &key);
}

static void ref_dropout(const struct op_case *c, double *const *in, double *out)
{
    int64_t d = c->out.dim[1];

    for (int64_t b = 0; b < c->out.dim[0]; b++) {
        struct rng r = rng_at(11, rng_stream("drop"), 2, ROWS[b]);

        for (int64_t j = 0; j < d; j++)
            out[b * d + j] = rng_float(&r) >= 0.4f ? in[0][b * d + j] / 0.6 : 0;
    }
}

static struct tensor *build_layernorm(struct tape *t, struct tensor *const *in,
                                      const struct op_case *c)
{
    return op_layernorm(t, in[0], c->inputs > 1 ? in[1] : NULL, c->inputs > 1 ? in[2] : NULL,
                        1e-5f);
}

static void ref_layernorm(const struct op_case *c, double *const *in, double *out)
{
    int64_t d = c->out.dim[1];

    for (int64_t b = 0; b < c->out.dim[0]; b++) {
        const double *x = in[0] + b * d;
        double mean = 0, var = 0;

        for (int64_t j = 0; j < d; j++)
            mean += x[j] / (double)d;
        for (int64_t j = 0; j < d; j++)
            var += (x[j] - mean) * (x[j] - mean) / (double)d;
        for (int64_t j = 0; j < d; j++) {
            double h = (x[j] - mean) / sqrt(var + 1e-5);

            out[b * d + j] = c->inputs > 1 ? h * in[1][j] + in[2][j] : h;
        }
    }
}

static struct tensor *build_concat(struct tape *t, struct tensor *const *in,
                                   const struct op_case *c)
{
    return op_concat(t, c->inputs, in);
}

static void ref_concat(const struct op_case *c, double *const *in, double *out)
{
    for (int64_t b = 0; b < c->out.dim[0]; b++)
        for (int k = 0; k < c->inputs; k++)
            for (int64_t j = 0; j < c->in[k].dim[1]; j++)
                *out++ = in[k][b * c->in[k].dim[1] + j];
}

/* Several uses of one tensor: 3 x + relu(x) + x, in an order that differs from its creation. */
static struct tensor *build_shared(struct tape *t, struct tensor *const *in,
                                   const struct op_case *c)
{
    struct tensor *x = op_add(t, in[0], in[1]);
    struct tensor *r = op_relu(t, x);

    (void)c;
    return op_add(t, op_add(t, r, x), op_scale(t, x, 3));
}

static void ref_shared(const struct op_case *c, double *const *in, double *out)
{
    for (int64_t i = 0; i < op_count(&c->out); i++) {
        double x = in[0][i] + in[1][i];

        out[i] = 4 * x + (x > 0 ? x : 0);
    }
}

static struct tensor *build_mix(struct tape *t, struct tensor *const *in, const struct op_case *c)
{
    (void)c;
    return op_mix(t, in[0], in[1], in[2]);
}

static void ref_mix(const struct op_case *c, double *const *in, double *out)
{
    for (int64_t i = 0; i < op_count(&c->out); i++)
        out[i] = (1 - in[1][i]) * in[0][i] + in[1][i] * in[2][i];
}

static const float AFFINE[2][5] = {{0.5f, -2, 1, 0, 3}, {1, 0, -1, 2, 0.25f}};

static struct tensor *build_row_affine(struct tape *t, struct tensor *const *in,
                                       const struct op_case *c)
{
    (void)c;
    return op_row_affine(t, in[0], AFFINE[0], AFFINE[1]);
}

static void ref_row_affine(const struct op_case *c, double *const *in, double *out)
{
    int64_t d = c->in[0].dim[1];

    for (int64_t i = 0; i < op_count(&c->out); i++)
        out[i] = (double)AFFINE[0][i / d] * in[0][i] + (double)AFFINE[1][i / d];
}

static struct tensor *build_sigmoid(struct tape *t, struct tensor *const *in,
                                    const struct op_case *c)
{
    (void)c;
    return op_sigmoid(t, in[0], 2.5f);
}

static void ref_sigmoid(const struct op_case *c, double *const *in, double *out)
{
    for (int64_t i = 0; i < op_count(&c->out); i++)
        out[i] = 1 / (1 + exp(-2.5 * in[0][i]));
}

static struct tensor *build_mean(struct tape *t, struct tensor *const *in, const struct op_case *c)
{
    (void)c;
    return op_mean(t, in[0]);
}

static void ref_mean(const struct op_case *c, double *const *in, double *out)
{
    out[0] = 0;
    for (int64_t i = 0; i < op_count(&c->in[0]); i++)
        out[0] += in[0][i] / (double)op_count(&c->in[0]);
}

static struct tensor *build_dot(struct tape *t, struct tensor *const *in, const struct op_case *c)
{
    (void)c;
    return op_dot(t, in[0], AFFINE[0]);
}

static void ref_dot(const struct op_case *c, double *const *in, double *out)
{
    out[0] = 0;
    for (int64_t i = 0; i < op_count(&c->in[0]); i++)
        out[0] += in[0][i] * (double)AFFINE[0][i];
}

static const struct op_case CASES[] = {
    {"conv 3x3",
     2,
     {IMAGE(2, 16, 5, 4), PLAIN4(32, 16, 3, 3)},
     IMAGE(2, 32, 5, 4),
     TAPE_TRAIN,
     {1, 1},
     4e-6,
     TABLE(conv)},
    {"conv 3x3/2",
     2,
     {IMAGE(3, 16, 5, 4), PLAIN4(16, 16, 3, 3)},
     IMAGE(3, 16, 3, 2),
     TAPE_TRAIN,
     {2, 1},
     4e-6,
     TABLE(conv)},
    {"conv 1x1/2",
     2,
     {IMAGE(2, 16, 5, 6), PLAIN4(32, 16, 1, 1)},
     IMAGE(2, 32, 3, 3),
     0,
     {2, 0},
     4e-6,
     TABLE(conv)},
    {"conv 7x7/2 of a picture",
     2,
     {{.rank = 4, .dim = {2, 3, 9, 10}, .constant = true, .low = -1}, PLAIN4(16, 3, 7, 7)},
     IMAGE(2, 16, 5, 5),
     TAPE_TRAIN,
     {2, 3},
     4e-6,
     TABLE(conv)},
    {"batch norm",
     3,
     {IMAGE(3, 16, 4, 3), VECTOR(16, 0), VECTOR(16, -1)},
     IMAGE(3, 16, 4, 3),
     TAPE_TRAIN,
     {0},
     4e-6,
     TABLE(batchnorm)},
    {"batch norm, residual, ReLU",
     4,
     {IMAGE(3, 16, 4, 3), VECTOR(16, 0), VECTOR(16, -1), IMAGE(3, 16, 4, 3)},
     IMAGE(3, 16, 4, 3),
     TAPE_TRAIN,
     {1},
     4e-6,
     TABLE(batchnorm)},
    {"batch norm, residual, ReLU, evaluation",
     4,
     {IMAGE(3, 16, 4, 3), VECTOR(16, 0), VECTOR(16, -1), IMAGE(3, 16, 4, 3)},
     IMAGE(3, 16, 4, 3),
     0,
     {1},
     4e-6,
     TABLE(batchnorm)},
    {"max pool 3x3/2",
     1,
     {IMAGE(2, 16, 7, 6)},
     IMAGE(2, 16, 4, 3),
     TAPE_TRAIN,
     {3, 2, 1},
     1e-6,
     TABLE(maxpool)},
    {"batch norm, ReLU, max pool",
     3,
     {IMAGE(3, 16, 7, 6), VECTOR(16, 0), VECTOR(16, -1)},
     IMAGE(3, 16, 4, 3),
     TAPE_TRAIN,
     {3, 2, 1, 1},
     4e-6,
     TABLE(batchnorm_maxpool)},
    {"batch norm, max pool, evaluation",
     3,
     {IMAGE(2, 16, 5, 8), VECTOR(16, 0), VECTOR(16, -1)},
     IMAGE(2, 16, 2, 3),
     0,
     {4, 3, 2, 0},
     4e-6,
     TABLE(batchnorm_maxpool)},
    {"mean pool", 1, {IMAGE(6, 16, 3, 5)}, MATRIX(2, 16), TAPE_TRAIN, {3}, 1e-6, TABLE(meanpool)},
    {"linear",
     3,
     {MATRIX(5, 24), MATRIX(7, 24), VECTOR(7, -1)},
     MATRIX(5, 7),
     TAPE_TRAIN,
     {0},
     2e-6,
     TABLE(linear)},
    {"linear without bias",
     2,
     {MATRIX(3, 5), MATRIX(2, 5)},
     MATRIX(3, 2),
     TAPE_TRAIN,
     {0},
     2e-6,
     TABLE(linear)},
    {"relu", 1, {MATRIX(5, 9)}, MATRIX(5, 9), TAPE_TRAIN, {0}, 1e-6, TABLE(relu)},
    {"dropout", 1, {MATRIX(5, 9)}, MATRIX(5, 9), TAPE_TRAIN, {0}, 1e-6, TABLE(dropout)},
    {"layer norm", 1, {MATRIX(5, 13)}, MATRIX(5, 13), TAPE_TRAIN, {0}, 2e-6, TABLE(layernorm)},
    {"layer norm with affine part",
     3,
     {MATRIX(5, 13), VECTOR(13, -1), VECTOR(13, -1)},
     MATRIX(5, 13),
     TAPE_TRAIN,
     {0},
     2e-6,
     TABLE(layernorm)},
    {"concat", 2, {MATRIX(4, 3), MATRIX(4, 5)}, MATRIX(4, 8), TAPE_TRAIN, {0}, 1e-6, TABLE(concat)},
    {"concat of three",
     3,
     {MATRIX(4, 3), MATRIX(4, 1), MATRIX(4, 2)},
     MATRIX(4, 6),
     TAPE_TRAIN,
     {0},
     1e-6,
     TABLE(concat)},
    {"add, scale, a tensor used thrice",
     2,
     {MATRIX(4, 3), MATRIX(4, 3)},
     MATRIX(4, 3),
     TAPE_TRAIN,
     {0},
     1e-6,
     TABLE(shared)},
    {"mix",
     3,
     {MATRIX(4, 6), CONSTANT(4, 6, -0.5), CONSTANT(4, 6, -1)},
     MATRIX(4, 6),
     TAPE_TRAIN,
     {0},
     1e-6,
     TABLE(mix)},
    {"mix with a mask that has a gradient",
     3,
     {CONSTANT(4, 6, -1), MATRIX(4, 6), CONSTANT(4, 6, -1)},
     MATRIX(4, 6),
     TAPE_TRAIN,
     {0},
     1e-6,
     TABLE(mix)},
    {"row affine", 1, {MATRIX(5, 4)}, MATRIX(5, 4), TAPE_TRAIN, {0}, 1e-6, TABLE(row_affine)},
    {"sigmoid", 1, {MATRIX(5, 4)}, MATRIX(5, 4), TAPE_TRAIN, {0}, 1e-6, TABLE(sigmoid)},
    {"mean", 1, {MATRIX(5, 4)}, SCALAR, TAPE_TRAIN, {0}, 1e-6, TABLE(mean)},
    {"dot", 1, {MATRIX(1, 5)}, SCALAR, TAPE_TRAIN, {0}, 1e-6, TABLE(dot)},
    {"mix with a fill that has a gradient",
     3,
     {MATRIX(4, 6), CONSTANT(4, 6, -0.5), MATRIX(4, 6)},
     MATRIX(4, 6),
     TAPE_TRAIN,
     {0},
     1e-6,
     TABLE(mix)},
};

static void test_operations(void **state)
{
    struct nn *nn = ref_nn(1);

    (void)state;
    for (int c = 0; c < 16; c++) {
        running[0][c] = 0.1f * (float)(c - 8);
        running[1][c] = 0.5f + 0.1f * (float)c;
    }
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        op_check(nn, &CASES[i]);
    nn_free(nn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
