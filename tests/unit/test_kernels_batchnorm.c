/* SPDX-License-Identifier: MIT */
#include "tests/support/kernel_ref.h"

#include "tests/support/cmocka.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Batch norm against its definition in double; gradients also against central differences of that
 * definition. Tolerances are relative to the largest value: a few float32 roundings per element. */
static const double TOLERANCE = 2e-6;
static const float EPS = 1e-5F;

static const struct bn_shape SHAPES[] = {
    {2, 16, 1, 1}, {1, 16, 3, 5}, {3, 32, 7, 7}, {5, 48, 4, 9}, {37, 16, 13, 11}, {2, 16, 40, 33},
};
enum { N_SHAPES = sizeof SHAPES / sizeof SHAPES[0] };

struct mode {
    bool relu, residual, constant;
};
static const struct mode MODES[] = {{false, false, false}, {true, false, false},
                                    {false, true, false},  {true, true, false},
                                    {false, false, true},  {true, true, true}};
enum { N_MODES = sizeof MODES / sizeof MODES[0] };

struct data {
    struct bn_shape s;
    struct mode mode;
    int64_t count, pixels;
    float *x, *residual, *dy, *gamma, *beta, *mean, *var; /* plain; statistics given or computed */
    float *y, *dx, *dres, *dgamma, *dbeta;                /* results, plain */
};

static struct data make_data(struct bn_shape s, struct mode mode)
{
    struct data d = {.s = s, .mode = mode, .pixels = s.h * s.w};

    d.count = s.n * s.c * d.pixels;
    d.x = ref_random(d.count, 1);
    d.residual = ref_random(d.count, 2);
    d.dy = ref_random(d.count, 3);
    d.gamma = ref_random(s.c, 4);
    d.beta = ref_random(s.c, 5);
    d.mean = ref_random(s.c, 6);
    d.var = ref_random(s.c, 7);
    for (int64_t c = 0; c < s.c; c++)
        d.var[c] = d.var[c] * d.var[c] + 0.1F;
    for (int64_t i = 0; i < d.count; i++) /* channels differ in mean and spread */
        d.x[i] = d.x[i] * (float)(1 + i / d.pixels % 5) + (float)(i / d.pixels % 7);
    return d;
}

static void free_data(struct data *d)
{
    float *all[] = {d->x,   d->residual, d->dy, d->gamma, d->beta,   d->mean,
                    d->var, d->y,        d->dx, d->dres,  d->dgamma, d->dbeta};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
}

static float *blocked(const struct nn *nn, const struct data *d, const float *plain)
{
    return ref_blocked(plain, d->s.n, d->s.c, d->pixels, nn_block(nn));
}

static float *plain_of(const struct nn *nn, const struct data *d, float *kernel)
{
    float *plain = ref_plain(kernel, d->s.n, d->s.c, d->pixels, nn_block(nn));

    free(kernel);
    return plain;
}

static struct bn_layer layer_of(struct data *d, bool relu)
{
    return (struct bn_layer){.gamma = d->gamma,
                             .beta = d->beta,
                             .mean = d->mean,
                             .var = d->var,
                             .eps = EPS,
                             .relu = relu};
}

/* Forward and backward through the kernels. */
static void run(struct nn *nn, struct data *d)
{
    float *x = blocked(nn, d, d->x), *residual = blocked(nn, d, d->residual);
    float *dy = blocked(nn, d, d->dy);
    float *y = ref_random(d->count, 11), *dx = ref_random(d->count, 12);
    float *dres = ref_random(d->count, 13);
    struct mode m = d->mode;
    const float *add = m.residual ? residual : NULL;
    struct bn_gradients to = {.x = dx, .residual = m.residual ? dres : NULL};
    struct bn_layer layer = layer_of(d, m.relu);
    struct err e = {0};
    enum err_code rc;

    to.gamma = d->dgamma = ref_floats(d->s.c);
    to.beta = d->dbeta = ref_floats(d->s.c);
    rc = (m.constant ? k_batchnorm_eval : k_batchnorm_train)(nn, &d->s, &layer, x, add, y, &e);
    if (rc == ERR_OK)
        rc = k_batchnorm_backward(nn, &d->s, &layer, m.constant, x, m.residual && m.relu ? y : NULL,
                                  dy, &to, &e);
    if (rc != ERR_OK)
        fail_msg("%s", e.text);
    d->y = plain_of(nn, d, y);
    d->dx = plain_of(nn, d, dx);
    d->dres = plain_of(nn, d, dres);
    free(x);
    free(residual);
    free(dy);
}

static int64_t at(const struct data *d, int64_t n, int64_t c, int64_t p)
{
    return (n * d->s.c + c) * d->pixels + p;
}

/* Definition: everything of one channel, with g from the kernel's own y so that a sign at exactly 0
 * cannot differ. */
struct want {
    double *y, *dx, *dres, *dgamma, *dbeta, *mean, *var;
};

static void want_channel(const struct data *d, int64_t c, struct want *w)
{
    double m = (double)(d->s.n * d->pixels);
    double mean = 0, var = 0, sum = 0, product = 0;
    double sigma;

    for (int64_t n = 0; n < d->s.n; n++)
        for (int64_t p = 0; p < d->pixels; p++)
            mean += d->x[at(d, n, c, p)] / m;
    for (int64_t n = 0; n < d->s.n; n++)
        for (int64_t p = 0; p < d->pixels; p++)
            var += pow(d->x[at(d, n, c, p)] - mean, 2) / m;
    if (d->mode.constant) {
        mean = d->mean[c];
        var = d->var[c];
    }
    w->mean[c] = mean;
    w->var[c] = var;
    sigma = sqrt(var + EPS);
    for (int64_t n = 0; n < d->s.n; n++)
        for (int64_t p = 0; p < d->pixels; p++) {
            int64_t i = at(d, n, c, p);
            double v = d->gamma[c] * (d->x[i] - mean) / sigma + d->beta[c];
            double g = d->mode.relu && d->y[i] <= 0 ? 0 : d->dy[i];
            v += d->mode.residual ? d->residual[i] : 0;
            w->y[i] = d->mode.relu && v < 0 ? 0 : v;
            w->dres[i] = g;
            sum += g;
            product += g * (d->x[i] - mean) / sigma;
        }
    w->dbeta[c] = sum;
    w->dgamma[c] = product;
    for (int64_t n = 0; n < d->s.n; n++)
        for (int64_t p = 0; p < d->pixels; p++) {
            int64_t i = at(d, n, c, p);
            double whole = w->dres[i] - sum / m - (d->x[i] - mean) / sigma * product / m;
            w->dx[i] = d->gamma[c] / sigma * (d->mode.constant ? w->dres[i] : whole);
        }
}

static void expect(const struct data *d, const char *what, const float *got, const double *want,
                   int64_t count, double tolerance)
{
    double error = ref_error(got, want, count);

    if (!(error <= tolerance))
        fail_msg("%s of %lld x %lld x %lld x %lld, relu %d residual %d constant %d: error %g", what,
                 (long long)d->s.n, (long long)d->s.c, (long long)d->s.h, (long long)d->s.w,
                 d->mode.relu, d->mode.residual, d->mode.constant, error);
}

static void check(const struct data *d)
{
    double *memory = calloc((size_t)(3 * d->count + 4 * d->s.c), sizeof *memory);
    struct want w = {
        memory, memory + d->count, memory + 2 * d->count, memory + 3 * d->count, NULL, NULL, NULL};

    assert_non_null(memory);
    w.dbeta = w.dgamma + d->s.c;
    w.mean = w.dbeta + d->s.c;
    w.var = w.mean + d->s.c;
    for (int64_t c = 0; c < d->s.c; c++)
        want_channel(d, c, &w);
    expect(d, "mean", d->mean, w.mean, d->s.c, 1e-7);
    expect(d, "variance", d->var, w.var, d->s.c, 1e-7);
    expect(d, "output", d->y, w.y, d->count, TOLERANCE);
    expect(d, "dbeta", d->dbeta, w.dbeta, d->s.c, TOLERANCE);
    expect(d, "dgamma", d->dgamma, w.dgamma, d->s.c, TOLERANCE);
    /* one pixel per channel: the true gradient is 0, what remains is the rounding of its terms */
    if (d->s.n * d->pixels > 2)
        expect(d, "dx", d->dx, w.dx, d->count, 5 * TOLERANCE);
    if (d->mode.residual)
        expect(d, "dres", d->dres, w.dres, d->count, 0);
    free(memory);
}

static void test_against_definition(void **state)
{
    struct nn *nn = ref_nn(2);

    (void)state;
    for (int i = 0; i < N_SHAPES; i++)
        for (int k = 0; k < N_MODES; k++) {
            struct data d = make_data(SHAPES[i], MODES[k]);
            run(nn, &d);
            check(&d);
            free_data(&d);
        }
    nn_free(nn);
}

static void test_same_bits(void **state)
{
    static const int THREADS[] = {1, 2, 3, 7};

    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        struct data first = make_data(SHAPES[i], MODES[3]);
        struct nn *one = ref_nn(1);
        run(one, &first);
        nn_free(one);
        for (int t = 0; t < 4; t++) {
            struct nn *nn = ref_nn(THREADS[t]);
            struct data d = make_data(SHAPES[i], MODES[3]);
            run(nn, &d);
            assert_memory_equal(d.y, first.y, (size_t)d.count * sizeof *d.y);
            assert_memory_equal(d.dx, first.dx, (size_t)d.count * sizeof *d.dx);
            assert_memory_equal(d.dgamma, first.dgamma, (size_t)d.s.c * sizeof *d.dgamma);
            assert_memory_equal(d.dbeta, first.dbeta, (size_t)d.s.c * sizeof *d.dbeta);
            assert_memory_equal(d.var, first.var, (size_t)d.s.c * sizeof *d.var);
            free_data(&d);
            nn_free(nn);
        }
        free_data(&first);
    }
}

/* Values of 1000 +- 0.01: sums of squares in float32 would leave nothing of the variance. */
static void test_small_variance_on_large_mean(void **state)
{
    struct nn *nn = ref_nn(2);
    struct data d = make_data((struct bn_shape){7, 16, 31, 29}, MODES[0]);
    float *noise = ref_random(d.count, 21);
    double mean = 0, var = 0;
    int64_t m = d.s.n * d.pixels;

    (void)state;
    for (int64_t i = 0; i < d.count; i++)
        d.x[i] = 1000 + 0.01F * noise[i];
    run(nn, &d);
    for (int64_t n = 0; n < d.s.n; n++)
        for (int64_t p = 0; p < d.pixels; p++)
            mean += d.x[at(&d, n, 3, p)] / (double)m;
    for (int64_t n = 0; n < d.s.n; n++)
        for (int64_t p = 0; p < d.pixels; p++)
            var += pow(d.x[at(&d, n, 3, p)] - mean, 2) / (double)m;
    assert_true(fabs(d.var[3] / var - 1) < 1e-6);
    free(noise);
    free_data(&d);
    nn_free(nn);
}

/* Gradients are added, dx may be dy's buffer, y may be x's. */
static void test_buffers(void **state)
{
    struct nn *nn = ref_nn(2);
    struct data d = make_data(SHAPES[3], MODES[1]);
    size_t bytes = (size_t)d.count * sizeof(float);
    float *x = blocked(nn, &d, d.x), *dy = blocked(nn, &d, d.dy), *y = blocked(nn, &d, d.x);
    float *dgamma = ref_floats(d.s.c), *dbeta = ref_floats(d.s.c), *dx, *plain;
    struct bn_layer layer = layer_of(&d, true);
    struct bn_gradients to = {.x = dy, .gamma = dgamma, .beta = dbeta};
    struct err e = {0};

    (void)state;
    run(nn, &d);
    for (int64_t c = 0; c < d.s.c; c++)
        dgamma[c] = dbeta[c] = 3;
    assert_int_equal(k_batchnorm_train(nn, &d.s, &layer, y, NULL, y, &e), ERR_OK);
    plain = ref_plain(y, d.s.n, d.s.c, d.pixels, nn_block(nn));
    assert_memory_equal(plain, d.y, bytes);
    assert_int_equal(k_batchnorm_backward(nn, &d.s, &layer, false, x, NULL, dy, &to, &e), ERR_OK);
    dx = ref_plain(dy, d.s.n, d.s.c, d.pixels, nn_block(nn));
    assert_memory_equal(dx, d.dx, bytes);
    for (int64_t c = 0; c < d.s.c; c++) {
        assert_true(dgamma[c] == 3 + d.dgamma[c]);
        assert_true(dbeta[c] == 3 + d.dbeta[c]);
    }
    free(x), free(y), free(dy), free(dgamma), free(dbeta), free(dx), free(plain);
    free_data(&d);
    nn_free(nn);
}

/* One NaN makes its channel NaN, through ReLU too, and no other channel. */
static void test_nan_shows(void **state)
{
    struct nn *nn = ref_nn(2);
    struct data d = make_data(SHAPES[2], MODES[3]);

    (void)state;
    d.x[at(&d, 1, 5, 3)] = NAN;
    run(nn, &d);
    for (int64_t n = 0; n < d.s.n; n++)
        for (int64_t c = 0; c < d.s.c; c++)
            for (int64_t p = 0; p < d.pixels; p++) {
                assert_int_equal(isnan(d.y[at(&d, n, c, p)]), c == 5);
                assert_int_equal(isnan(d.dx[at(&d, n, c, p)]), c == 5);
            }
    free_data(&d);
    nn_free(nn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_definition),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_small_variance_on_large_mean),
        cmocka_unit_test(test_buffers),
        cmocka_unit_test(test_nan_shows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
