/* SPDX-License-Identifier: MIT */
#include "tests/support/kernel_ref.h"

#include "tests/support/cmocka.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Batch norm with the max pool behind it against the two alone, whose own tests compare them with
 * their definitions: the same bits. */

struct window {
    int k, stride, pad;
};
static const struct window WINDOWS[] = {{3, 2, 1}, {2, 2, 0}, {3, 1, 1}, {1, 1, 0},
                                        {1, 3, 0}, {4, 3, 2}, {2, 3, 1}, {15, 4, 7}};
/* The last two: rows longer and shorter than a segment of sums, more images than groups of them. */
static const struct bn_shape SHAPES[] = {{1, 16, 4, 4},  {2, 32, 7, 5},   {3, 16, 12, 9},
                                         {2, 48, 6, 13}, {2, 16, 5, 150}, {37, 16, 31, 17}};

struct mode {
    bool relu, constant;
};
static const struct mode MODES[] = {{true, false}, {false, false}, {true, true}, {false, true}};

struct data {
    struct bn_shape s;
    struct window w;
    struct mode mode;
    int64_t nx, ny;
    float *x, *dy, *gamma, *beta; /* blocked as they are: the kernels see the same numbers */
};

struct results {
    float *y, *dx, *mean, *var, *dgamma, *dbeta;
    uint8_t *argmax;
};

static int64_t out_size(int64_t in, struct window w)
{
    return (in + 2 * w.pad - w.k) / w.stride + 1;
}

static bool fits(const struct bn_shape *s, struct window w)
{
    return s->h + 2 * w.pad >= w.k && s->w + 2 * w.pad >= w.k;
}

/* On a coarse grid, so that windows hold equal values; one NaN in nan_every, 0: none. */
static struct data make_data(struct bn_shape s, struct window w, struct mode mode, int nan_every)
{
    struct data d = {.s = s, .w = w, .mode = mode, .nx = s.n * s.c * s.h * s.w};

    d.ny = s.n * s.c * out_size(s.h, w) * out_size(s.w, w);
    d.x = ref_random(d.nx, 1);
    d.dy = ref_random(d.ny, 2);
    d.gamma = ref_random(s.c, 3);
    d.beta = ref_random(s.c, 4);
    for (int64_t i = 0; i < d.nx; i++)
        d.x[i] = nan_every > 0 && i % nan_every == 5 ? NAN : rintf(d.x[i] * 9) / 4 + 1;
    return d;
}

static void free_data(struct data *d)
{
    free(d->x), free(d->dy), free(d->gamma), free(d->beta);
}

/* What is overwritten begins as something else, what is added to as 0.5. */
static struct results make_results(const struct data *d)
{
    struct results r = {.y = ref_random(d->ny, 11),
                        .dx = ref_random(d->nx, 12),
                        .mean = ref_random(d->s.c, 13),
                        .var = ref_random(d->s.c, 14),
                        .dgamma = ref_floats(d->s.c),
                        .dbeta = ref_floats(d->s.c),
                        .argmax = malloc((size_t)d->ny)};

    assert_non_null(r.argmax);
    memset(r.argmax, 0xee, (size_t)d->ny);
    for (int64_t c = 0; c < d->s.c; c++) {
        r.var[c] = r.var[c] * r.var[c] + 0.1F;
        r.dgamma[c] = r.dbeta[c] = 0.5F;
    }
    return r;
}

static void free_results(struct results *r)
{
    free(r->y), free(r->dx), free(r->mean), free(r->var), free(r->dgamma), free(r->dbeta);
    free(r->argmax);
}

static struct bn_layer layer_of(const struct data *d, const struct results *r)
{
    return (struct bn_layer){.gamma = d->gamma,
                             .beta = d->beta,
                             .mean = r->mean,
                             .var = r->var,
                             .eps = 1e-5F,
                             .relu = d->mode.relu};
}

static enum err_code apart(struct nn *nn, const struct data *d, struct results *r, struct err *e)
{
    struct bn_layer layer = layer_of(d, r);
    struct bn_gradients to = {r->dx, r->dgamma, r->dbeta, NULL};
    float *between = ref_random(d->nx, 15);
    struct window w = d->w;

    TRY((d->mode.constant ? k_batchnorm_eval : k_batchnorm_train)(nn, &d->s, &layer, d->x, NULL,
                                                                  between, e));
    TRY(k_maxpool_forward(nn, &d->s, w.k, w.stride, w.pad, between, r->y, r->argmax, e));
    TRY(k_maxpool_backward(nn, &d->s, w.k, w.stride, w.pad, d->dy, r->argmax, r->dx, e));
    TRY(k_batchnorm_backward(nn, &d->s, &layer, d->mode.constant, d->x, NULL, r->dx, &to, e));
out:
    free(between);
    return e->code;
}

static enum err_code together(struct nn *nn, const struct data *d, struct results *r, struct err *e)
{
    struct bn_layer layer = layer_of(d, r);
    struct bn_gradients to = {r->dx, r->dgamma, r->dbeta, NULL};
    struct window w = d->w;

    TRY((d->mode.constant ? k_batchnorm_maxpool_eval : k_batchnorm_maxpool_train)(
        nn, &d->s, &layer, w.k, w.stride, w.pad, d->x, r->y, r->argmax, e));
    TRY(k_batchnorm_maxpool_backward(nn, &d->s, &layer, d->mode.constant, w.k, w.stride, w.pad,
                                     d->x, d->dy, r->argmax, &to, e));
out:
    return e->code;
}

static void same(const struct data *d, const char *what, const void *got, const void *want,
                 int64_t bytes)
{
    if (memcmp(got, want, (size_t)bytes) != 0)
        fail_msg("%s of %lld x %lld x %lld x %lld, window %d/%d/%d, relu %d, constant %d differs",
                 what, (long long)d->s.n, (long long)d->s.c, (long long)d->s.h, (long long)d->s.w,
                 d->w.k, d->w.stride, d->w.pad, d->mode.relu, d->mode.constant);
}

static void check(struct nn *one, struct nn *nn, const struct data *d)
{
    struct results want = make_results(d), got = make_results(d);
    int64_t c = d->s.c * (int64_t)sizeof(float);
    struct err e = {0};

    if (apart(one, d, &want, &e) != ERR_OK || together(nn, d, &got, &e) != ERR_OK)
        fail_msg("%s", e.text);
    same(d, "mean", got.mean, want.mean, c);
    same(d, "variance", got.var, want.var, c);
    same(d, "result", got.y, want.y, d->ny * (int64_t)sizeof(float));
    same(d, "winner", got.argmax, want.argmax, d->ny);
    same(d, "gamma's gradient", got.dgamma, want.dgamma, c);
    same(d, "beta's gradient", got.dbeta, want.dbeta, c);
    same(d, "input's gradient", got.dx, want.dx, d->nx * (int64_t)sizeof(float));
    free_results(&want);
    free_results(&got);
}

static void check_all(int nan_every)
{
    static const int THREADS[] = {1, 4};
    struct nn *one = ref_nn(1);

    for (int t = 0; t < 2; t++) {
        struct nn *nn = ref_nn(THREADS[t]);
        for (size_t i = 0; i < sizeof SHAPES / sizeof SHAPES[0]; i++)
            for (size_t k = 0; k < sizeof WINDOWS / sizeof WINDOWS[0]; k++)
                for (size_t m = 0; m < sizeof MODES / sizeof MODES[0]; m++) {
                    struct data d;
                    if (!fits(&SHAPES[i], WINDOWS[k]))
                        continue;
                    d = make_data(SHAPES[i], WINDOWS[k], MODES[m], nan_every);
                    check(one, nn, &d);
                    free_data(&d);
                }
        nn_free(nn);
    }
    nn_free(one);
}

static void test_bits_of_the_two_alone(void **state)
{
    (void)state;
    check_all(0);
}

/* One NaN in 1,009: most channels of the small shapes have none, and what is NaN without being the
 * first in a window shows in the winners. */
static void test_nan(void **state)
{
    (void)state;
    check_all(1009);
    check_all(31);
}

static void test_refuses(void **state)
{
    static const struct window BAD[] = {{0, 1, 0}, {3, 0, 1}, {3, 1, 2}, {5, 1, 0}, {16, 1, 8}};
    struct nn *nn = ref_nn(1);
    struct bn_shape thin = {1, nn_block(nn) / 2, 4, 4};
    float f[16] = {0};
    struct bn_layer layer = {f, f, f, f, 1, true};
    struct bn_gradients to = {f, f, f, NULL};
    uint8_t argmax[1];

    (void)state;
    for (size_t i = 0; i <= sizeof BAD / sizeof BAD[0]; i++) {
        bool bad = i < sizeof BAD / sizeof BAD[0];
        struct window w = bad ? BAD[i] : WINDOWS[0];
        const struct bn_shape *s = bad ? &SHAPES[0] : &thin;
        struct err forward = {0}, backward = {0};
        assert_int_equal(
            k_batchnorm_maxpool_train(nn, s, &layer, w.k, w.stride, w.pad, f, f, argmax, &forward),
            ERR_INTERNAL);
        assert_int_equal(k_batchnorm_maxpool_backward(nn, s, &layer, false, w.k, w.stride, w.pad, f,
                                                      f, argmax, &to, &backward),
                         ERR_INTERNAL);
    }
    nn_free(nn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits_of_the_two_alone),
        cmocka_unit_test(test_nan),
        cmocka_unit_test(test_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
