/* SPDX-License-Identifier: MIT */
#include "tests/support/kernel_ref.h"

#include "tests/support/cmocka.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Convolutions against the definition in double. Tolerances are relative to the largest value:
 * float32 sums of up to 48 x 9 (direct) and the F(4,3) transforms, whose constants reach 5.25 and
 * cost about 4 bits (measured here: up to 1e-6). */
static const double TOLERANCE = 4e-6;

static const struct conv_shape SHAPES[] = {
    {.n = 1, .ic = 16, .ih = 5, .iw = 7, .oc = 16, .kh = 3, .kw = 3, .stride = 1, .pad = 1},
    {.n = 3, .ic = 16, .ih = 8, .iw = 8, .oc = 32, .kh = 3, .kw = 3, .stride = 1, .pad = 1},
    {.n = 5, .ic = 48, .ih = 7, .iw = 7, .oc = 48, .kh = 3, .kw = 3, .stride = 1, .pad = 1},
    {.n = 19, .ic = 32, .ih = 9, .iw = 6, .oc = 32, .kh = 3, .kw = 3, .stride = 1, .pad = 1},
    {.n = 37, .ic = 16, .ih = 1, .iw = 2, .oc = 16, .kh = 3, .kw = 3, .stride = 1, .pad = 1},
    {.n = 2, .ic = 64, .ih = 13, .iw = 11, .oc = 64, .kh = 3, .kw = 3, .stride = 1, .pad = 1},
    /* four chunks of unequal length in every pass; of one and two images */
    {.n = 9, .ic = 16, .ih = 31, .iw = 31, .oc = 16, .kh = 3, .kw = 3, .stride = 1, .pad = 1},
    {.n = 5, .ic = 16, .ih = 41, .iw = 41, .oc = 16, .kh = 3, .kw = 3, .stride = 1, .pad = 1},
    {.n = 4, .ic = 16, .ih = 9, .iw = 12, .oc = 32, .kh = 3, .kw = 3, .stride = 2, .pad = 1},
    {.n = 3, .ic = 32, .ih = 8, .iw = 7, .oc = 16, .kh = 3, .kw = 3, .stride = 2, .pad = 1},
    {.n = 6, .ic = 32, .ih = 9, .iw = 8, .oc = 48, .kh = 1, .kw = 1, .stride = 2, .pad = 0},
    {.n = 2, .ic = 16, .ih = 4, .iw = 4, .oc = 16, .kh = 1, .kw = 1, .stride = 1, .pad = 0},
    {.n = 2, .ic = 3, .ih = 20, .iw = 22, .oc = 16, .kh = 7, .kw = 7, .stride = 2, .pad = 3},
    {.n = 17, .ic = 3, .ih = 15, .iw = 17, .oc = 32, .kh = 7, .kw = 7, .stride = 2, .pad = 3},
    {.n = 3, .ic = 1, .ih = 33, .iw = 19, .oc = 16, .kh = 7, .kw = 7, .stride = 2, .pad = 3},
    {.n = 1, .ic = 1, .ih = 17, .iw = 12, .oc = 64, .kh = 7, .kw = 7, .stride = 2, .pad = 3},
};
enum { N_SHAPES = sizeof SHAPES / sizeof SHAPES[0] };

/* One shape's data, plain and as the kernels want it, and results. */
struct data {
    int64_t nx, ny, nw;
    float *x, *dy, *w;  /* plain */
    float *kx, *kdy;    /* for the kernels */
    float *y, *dx, *dw; /* results of the kernels, their layout */
};

static struct data make_data(const struct conv_shape *s, int block)
{
    struct data d = {.nx = s->n * s->ic * s->ih * s->iw,
                     .ny = s->n * s->oc * conv_oh(s) * conv_ow(s),
                     .nw = s->oc * s->ic * s->kh * s->kw};

    d.x = ref_random(d.nx, 1);
    d.dy = ref_random(d.ny, 2);
    d.w = ref_random(d.nw, 3);
    d.kx = s->ic % block == 0 ? ref_blocked(d.x, s->n, s->ic, s->ih * s->iw, block)
                              : ref_random(d.nx, 1);
    d.kdy = ref_blocked(d.dy, s->n, s->oc, conv_oh(s) * conv_ow(s), block);
    d.y = ref_random(d.ny, 4); /* outputs are overwritten: junk must not show */
    d.dx = ref_random(d.nx, 5);
    d.dw = ref_floats(d.nw);
    return d;
}

static void free_data(struct data *d)
{
    free(d->x);
    free(d->dy);
    free(d->w);
    free(d->kx);
    free(d->kdy);
    free(d->y);
    free(d->dx);
    free(d->dw);
}

static void run(struct nn *nn, const struct conv_shape *s, struct data *d)
{
    struct err e = {0};

    if (k_conv_forward(nn, s, d->kx, d->w, d->y, &e) != ERR_OK ||
        k_conv_backward(nn, s, d->kx, NULL, d->kdy,
                        &(struct conv_gradients){.w = d->dw, .add_w = true}, &e) != ERR_OK)
        fail_msg("%s", e.text);
    if (s->ic % nn_block(nn) == 0 &&
        k_conv_backward(nn, s, NULL, d->w, d->kdy, &(struct conv_gradients){.x = d->dx}, &e) !=
            ERR_OK)
        fail_msg("%s", e.text);
}

static void expect(const char *what, const struct conv_shape *s, const float *got, double *want,
                   int64_t count)
{
    double error = ref_error(got, want, count);

    if (!(error <= TOLERANCE))
        fail_msg("%s of %lld images %lld x %lld x %lld to %lld, %lld x %lld: error %g", what,
                 (long long)s->n, (long long)s->ic, (long long)s->ih, (long long)s->iw,
                 (long long)s->oc, (long long)s->kh, (long long)s->kw, error);
    free(want);
}

static void test_against_definition(void **state)
{
    struct nn *nn = ref_nn(2);
    int block = nn_block(nn);

    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        const struct conv_shape *s = &SHAPES[i];
        struct data d = make_data(s, block);
        float *y, *dx;
        run(nn, s, &d);
        y = ref_plain(d.y, s->n, s->oc, conv_oh(s) * conv_ow(s), block);
        expect("output", s, y, ref_conv_forward(s, d.x, d.w), d.ny);
        expect("weight gradient", s, d.dw, ref_conv_weights(s, d.x, d.dy), d.nw);
        if (s->ic % block == 0) {
            dx = ref_plain(d.dx, s->n, s->ic, s->ih * s->iw, block);
            expect("input gradient", s, dx, ref_conv_data(s, d.dy, d.w), d.nx);
            free(dx);
        }
        free(y);
        free_data(&d);
    }
    nn_free(nn);
}

static void expect_same_bits(const struct data *a, const struct data *b)
{
    assert_memory_equal(a->y, b->y, (size_t)a->ny * sizeof *a->y);
    assert_memory_equal(a->dx, b->dx, (size_t)a->nx * sizeof *a->dx);
    assert_memory_equal(a->dw, b->dw, (size_t)a->nw * sizeof *a->dw);
}

/* The team's size must not show in a single bit, nor may a second call differ from the first. */
static void test_same_bits(void **state)
{
    static const int THREADS[] = {1, 2, 3, 7, 2};

    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        const struct conv_shape *s = &SHAPES[i];
        struct data first = {0};
        for (int t = 0; t < 5; t++) {
            struct nn *nn = ref_nn(THREADS[t]);
            struct data d = make_data(s, nn_block(nn));
            run(nn, s, &d);
            memset(d.dw, 0, (size_t)d.nw * sizeof *d.dw);
            run(nn, s, &d);
            nn_free(nn);
            if (t == 0) {
                first = d;
                continue;
            }
            expect_same_bits(&d, &first);
            free_data(&d);
        }
        free_data(&first);
    }
}

static void test_weight_gradient_is_added(void **state)
{
    struct nn *nn = ref_nn(2);
    struct conv_shape s = SHAPES[1];
    struct data d = make_data(&s, nn_block(nn));
    float *twice = ref_floats(d.nw);
    struct err e = {0};

    (void)state;
    run(nn, &s, &d);
    for (int64_t i = 0; i < d.nw; i++)
        twice[i] = 5 + d.dw[i];
    for (int64_t i = 0; i < d.nw; i++)
        d.dw[i] = 5;
    assert_int_equal(k_conv_backward(nn, &s, d.kx, NULL, d.kdy,
                                     &(struct conv_gradients){.w = d.dw, .add_w = true}, &e),
                     ERR_OK);
    assert_memory_equal(d.dw, twice, (size_t)d.nw * sizeof *twice);
    free(twice);
    free_data(&d);
    nn_free(nn);
}

/* In one call, dw overwritten: as by one call each, added to zeros. */
static void test_both_gradients_at_once(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof SHAPES / sizeof *SHAPES; k++) {
        struct nn *nn = ref_nn(2);
        struct conv_shape s = SHAPES[k];
        struct data d = make_data(&s, nn_block(nn));
        bool input = s.ic % nn_block(nn) == 0;
        float *dw = ref_floats(d.nw), *dx = ref_floats(s.n * s.ic * s.ih * s.iw);
        struct conv_gradients to = {.w = dw, .x = input ? dx : NULL};
        struct err e = {0};

        run(nn, &s, &d);
        for (int64_t i = 0; i < d.nw; i++)
            dw[i] = NAN;
        if (k_conv_backward(nn, &s, d.kx, d.w, d.kdy, &to, &e) != ERR_OK)
            fail_msg("%s", e.text);
        for (int64_t i = 0; i < d.nw; i++)
            assert_true(dw[i] == d.dw[i]);
        for (int64_t i = 0; input && i < s.n * s.ic * s.ih * s.iw; i++)
            assert_true(dx[i] == d.dx[i]);
        free(dw);
        free(dx);
        free_data(&d);
        nn_free(nn);
    }
}

/* A NaN in one image reaches its output, and no other image's. */
static void test_nan_shows(void **state)
{
    struct nn *nn = ref_nn(2);
    struct conv_shape s = SHAPES[3];
    struct data d = make_data(&s, nn_block(nn));
    int64_t image = s.oc * conv_oh(&s) * conv_ow(&s);
    int64_t nans = 0;

    (void)state;
    d.kx[5 * s.ic * s.ih * s.iw + 7] = __builtin_nanf("");
    run(nn, &s, &d);
    for (int64_t i = 0; i < d.ny; i++) {
        if (d.y[i] == d.y[i])
            continue;
        nans++;
        assert_int_equal(i / image, 5);
    }
    assert_true(nans > 0);
    free_data(&d);
    nn_free(nn);
}

/* ---- bfloat16 ---- */

static struct nn *bfloat16_nn(int threads)
{
    struct nn *nn = ref_nn(threads);
    struct err e = {0};

    if (nn_set_precision(nn, NN_BFLOAT16, &e) == ERR_OK)
        return nn;
    assert_int_equal(e.code, ERR_USAGE);
    assert_non_null(strstr(e.text, "has no instructions for it"));
    print_message("skipped: %s\n", e.text);
    nn_free(nn);
    skip();
    return NULL;
}

/* Direct convolutions only: with Winograd the factors stay float32. */
static bool is_rounded(const struct conv_shape *s)
{
    return s->stride > 1 || s->kh != 3;
}

static float *rounded(const float *x, int64_t count)
{
    float *y = ref_floats(count);

    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
        memcpy(y + i, &bits, sizeof bits);
    }
    return y;
}

/* Sums of exact products of rounded factors: as near to the definition over these as float32 is to
 * its own, and not near to the definition over what was not rounded. */
static void test_bfloat16_against_definition(void **state)
{
    struct nn *nn = bfloat16_nn(2);
    int block = nn_block(nn), seen = 0;

    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        const struct conv_shape *s = &SHAPES[i];
        struct data d;
        float *x, *w, *dy, *y, *dx;
        double *exact;
        if (!is_rounded(s))
            continue;
        d = make_data(s, block);
        x = rounded(d.x, d.nx);
        w = rounded(d.w, d.nw);
        dy = rounded(d.dy, d.ny);
        exact = ref_conv_forward(s, d.x, d.w);
        run(nn, s, &d);
        seen++;
        y = ref_plain(d.y, s->n, s->oc, conv_oh(s) * conv_ow(s), block);
        expect("output", s, y, ref_conv_forward(s, x, w), d.ny);
        expect("weight gradient", s, d.dw, ref_conv_weights(s, x, dy), d.nw);
        assert_true(ref_error(y, exact, d.ny) > 1e-4);
        if (s->ic % block == 0 && s->kh == 3) {
            dx = ref_plain(d.dx, s->n, s->ic, s->ih * s->iw, block);
            expect("input gradient", s, dx, ref_conv_data(s, dy, w), d.nx);
            free(dx);
        }
        free(exact);
        free(x);
        free(w);
        free(dy);
        free(y);
        free_data(&d);
    }
    assert_true(seen >= 6);
    nn_free(nn);
}

static double input_gradient_seconds(struct nn *nn, const struct conv_shape *s)
{
    struct data d = make_data(s, nn_block(nn));
    struct err e = {0};
    clock_t start;

    assert_int_equal(
        k_conv_backward(nn, s, NULL, d.w, d.kdy, &(struct conv_gradients){.x = d.dx}, &e), ERR_OK);
    start = clock();
    assert_int_equal(
        k_conv_backward(nn, s, NULL, d.w, d.kdy, &(struct conv_gradients){.x = d.dx}, &e), ERR_OK);
    free_data(&d);
    return (double)(clock() - start) / CLOCKS_PER_SEC;
}

/* A layer of the audio encoder for whose input gradient oneDNN 2.6 has no bfloat16 but a reference
 * 2,000 times slower than float32. No other way is 100 times slower, however busy the machine. */
static void test_bfloat16_is_never_the_reference(void **state)
{
    struct nn *nn = bfloat16_nn(2), *plain = ref_nn(2);
    struct conv_shape s = {
        .n = 16, .ic = 128, .ih = 33, .iw = 24, .oc = 256, .kh = 1, .kw = 1, .stride = 2, .pad = 0};

    (void)state;
    assert_true(input_gradient_seconds(nn, &s) < 100 * input_gradient_seconds(plain, &s));
    nn_free(nn);
    nn_free(plain);
}

/* 3 x 3 windows of 8 x 8 fill Winograd's tiles and stay float32, bit for bit, unless bfloat16
 * is always the fastest; of 9 x 6 they do not, and the factors are rounded. */
static void test_bfloat16_beside_winograd(void **state)
{
    struct nn *nn = bfloat16_nn(2), *plain = ref_nn(2);
    bool fast = strstr(nn_describe(nn), "AMX") != NULL || strstr(nn_describe(nn), "fast") != NULL;

    (void)state;
    for (int fills = 0; fills <= 1; fills++) {
        struct conv_shape s = {.n = 8, .ic = 16, .oc = 16, .kh = 3, .kw = 3, .stride = 1, .pad = 1};
        struct data a, b;
        s.ih = fills ? 8 : 9;
        s.iw = fills ? 8 : 6;
        a = make_data(&s, nn_block(nn));
        b = make_data(&s, nn_block(nn));
        run(nn, &s, &a);
        run(plain, &s, &b);
        if (fills && !fast)
            expect_same_bits(&a, &b);
        else
            assert_memory_not_equal(a.y, b.y, (size_t)a.ny * sizeof *a.y);
        free_data(&a);
        free_data(&b);
    }
    nn_free(nn);
    nn_free(plain);
}

static void test_bfloat16_same_bits(void **state)
{
    struct data first = {0};

    (void)state;
    for (int threads = 1; threads <= 5; threads += 2) {
        struct nn *nn = bfloat16_nn(threads);
        const struct conv_shape *s = &SHAPES[13];
        struct data d = make_data(s, nn_block(nn));
        run(nn, s, &d);
        nn_free(nn);
        if (threads == 1) {
            first = d;
            continue;
        }
        expect_same_bits(&d, &first);
        free_data(&d);
    }
    free_data(&first);
}

/* Back in float32, the bits are those of a struct nn that never left it. */
static void test_precision_can_be_changed(void **state)
{
    const struct conv_shape *s = &SHAPES[12];
    struct nn *nn = bfloat16_nn(1), *plain = ref_nn(1);
    struct data a = make_data(s, nn_block(nn)), b = make_data(s, nn_block(nn));
    struct err e = {0};

    (void)state;
    run(nn, s, &a);
    run(plain, s, &b);
    assert_memory_not_equal(a.y, b.y, (size_t)a.ny * sizeof *a.y);
    assert_int_equal(nn_set_precision(nn, NN_FLOAT32, &e), ERR_OK);
    run(nn, s, &a);
    assert_memory_equal(a.y, b.y, (size_t)a.ny * sizeof *a.y);
    free_data(&a);
    free_data(&b);
    nn_free(nn);
    nn_free(plain);
}

static void test_refuses_impossible_shapes(void **state)
{
    struct nn *nn = ref_nn(1);
    struct conv_shape good = SHAPES[0];
    struct conv_shape bad[] = {good, good, good, good};
    float *buffer = ref_floats(1 << 14);

    (void)state;
    bad[0].n = 0;
    bad[1].oc = 17;
    bad[2].ic = 2 * nn_block(nn) + 4;
    bad[3].ih = bad[3].iw = 1, bad[3].pad = 0;
    for (int i = 0; i < 4; i++) {
        struct err e = {0};
        assert_int_equal(k_conv_forward(nn, &bad[i], buffer, buffer, buffer, &e), ERR_INTERNAL);
    }
    bad[0] = SHAPES[12]; /* a first layer */
    {
        struct err e = {0};
        assert_int_equal(k_conv_backward(nn, &bad[0], NULL, buffer, buffer,
                                         &(struct conv_gradients){.x = buffer}, &e),
                         ERR_INTERNAL);
    }
    free(buffer);
    nn_free(nn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_definition),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_weight_gradient_is_added),
        cmocka_unit_test(test_both_gradients_at_once),
        cmocka_unit_test(test_nan_shows),
        cmocka_unit_test(test_bfloat16_against_definition),
        cmocka_unit_test(test_bfloat16_is_never_the_reference),
        cmocka_unit_test(test_bfloat16_beside_winograd),
        cmocka_unit_test(test_bfloat16_same_bits),
        cmocka_unit_test(test_precision_can_be_changed),
        cmocka_unit_test(test_refuses_impossible_shapes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
