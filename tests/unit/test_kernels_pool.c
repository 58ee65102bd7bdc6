/* SPDX-License-Identifier: MIT */
#include "tests/support/kernel_ref.h"

#include "tests/support/cmocka.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Pooling. Max pooling only moves values, so it must be exact. */

struct window {
    int k, stride, pad;
};
static const struct window WINDOWS[] = {{3, 2, 1}, {2, 2, 0}, {3, 1, 1},
                                        {1, 1, 0}, {4, 3, 2}, {15, 4, 7}};
static const struct bn_shape SHAPES[] = {
    {1, 16, 4, 4}, {2, 32, 7, 5}, {3, 16, 12, 9}, {1, 48, 6, 13}};

static int64_t out_size(int64_t in, struct window w)
{
    return (in + 2 * w.pad - w.k) / w.stride + 1;
}

/* Values on a coarse grid, so that windows hold equal maxima; some NaN. */
static float *coarse(int64_t count, int nan_every)
{
    float *x = ref_random(count, 3);

    for (int64_t i = 0; i < count; i++)
        x[i] = nan_every > 0 && i % nan_every == 5 ? NAN : rintf(x[i] * 3);
    return x;
}

/* The first NaN, otherwise the first of the largest; its index in the window. */
static float naive_max(const float *plane, const struct bn_shape *s, struct window w, int64_t oy,
                       int64_t ox, int *index)
{
    float best = -INFINITY;

    *index = -1;
    for (int i = 0; i < w.k; i++)
        for (int j = 0; j < w.k; j++) {
            int64_t y = oy * w.stride - w.pad + i, x = ox * w.stride - w.pad + j;
            float v;
            if (y < 0 || x < 0 || y >= s->h || x >= s->w)
                continue;
            v = plane[y * s->w + x];
            if (*index < 0 || (!isnan(best) && (v > best || isnan(v)))) {
                best = v;
                *index = i * w.k + j;
            }
        }
    return best;
}

static void check_max(struct nn *nn, const struct bn_shape *s, struct window w, int nan_every)
{
    int64_t oh = out_size(s->h, w), ow = out_size(s->w, w), b = nn_block(nn);
    int64_t nx = s->n * s->c * s->h * s->w, ny = s->n * s->c * oh * ow;
    float *x = coarse(nx, nan_every), *dy = ref_random(ny, 8), *want = ref_floats(nx);
    float *kx = ref_blocked(x, s->n, s->c, s->h * s->w, (int)b);
    float *kdy = ref_blocked(dy, s->n, s->c, oh * ow, (int)b);
    float *ky = ref_random(ny, 9), *kdx = ref_random(nx, 10), *y, *dx;
    uint8_t *argmax = malloc((size_t)ny);
    struct err e = {0};

    assert_non_null(argmax);
    assert_int_equal(k_maxpool_forward(nn, s, w.k, w.stride, w.pad, kx, ky, argmax, &e), ERR_OK);
    assert_int_equal(k_maxpool_backward(nn, s, w.k, w.stride, w.pad, kdy, argmax, kdx, &e), ERR_OK);
    y = ref_plain(ky, s->n, s->c, oh * ow, (int)b);
    dx = ref_plain(kdx, s->n, s->c, s->h * s->w, (int)b);
    for (int64_t nc = 0; nc < s->n * s->c; nc++)
        for (int64_t oy = 0; oy < oh; oy++)
            for (int64_t ox = 0; ox < ow; ox++) {
                int64_t i = (nc * oh + oy) * ow + ox, c = nc % s->c, iy, ix;
                int64_t ki = (((nc / s->c) * (s->c / b) + c / b) * oh + oy) * ow + ox;
                int index;
                float best = naive_max(x + nc * s->h * s->w, s, w, oy, ox, &index);
                assert_memory_equal(&y[i], &best, sizeof best);
                assert_int_equal(argmax[ki * b + c % b], index);
                iy = oy * w.stride - w.pad + index / w.k;
                ix = ox * w.stride - w.pad + index % w.k;
                want[(nc * s->h + iy) * s->w + ix] += dy[i];
            }
    assert_memory_equal(dx, want, (size_t)nx * sizeof *dx);
    free(x), free(dy), free(want), free(kx), free(kdy), free(ky), free(kdx), free(y), free(dx);
    free(argmax);
}

static void test_max(void **state)
{
    static const int THREADS[] = {1, 2, 3, 7};

    (void)state;
    for (int t = 0; t < 4; t++) {
        struct nn *nn = ref_nn(THREADS[t]);
        for (size_t i = 0; i < sizeof SHAPES / sizeof SHAPES[0]; i++)
            for (size_t k = 0; k < sizeof WINDOWS / sizeof WINDOWS[0]; k++) {
                check_max(nn, &SHAPES[i], WINDOWS[k], 0);
                check_max(nn, &SHAPES[i], WINDOWS[k], 31);
            }
        nn_free(nn);
    }
}

static void test_max_refuses(void **state)
{
    static const struct window BAD[] = {{0, 1, 0}, {3, 0, 1}, {3, 1, 2}, {5, 1, 0}, {16, 1, 8}};
    struct nn *nn = ref_nn(1);
    float buffer[1] = {0};
    uint8_t argmax[1];

    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        struct err e = {0};
        assert_int_equal(k_maxpool_forward(nn, &SHAPES[0], BAD[i].k, BAD[i].stride, BAD[i].pad,
                                           buffer, buffer, argmax, &e),
                         ERR_INTERNAL);
    }
    nn_free(nn);
}

/* Mean over space and frames, and back; one rounding at the end. */
static void check_mean(struct nn *nn, const struct bn_shape *s, int frames)
{
    int64_t pixels = s->h * s->w, nx = s->n * s->c * pixels, rows = s->n / frames;
    float *x = ref_random(nx, 1), *dy = ref_random(rows * s->c, 2);
    float *kx = ref_blocked(x, s->n, s->c, pixels, nn_block(nn));
    float *y = ref_random(rows * s->c, 3), *kdx = ref_random(nx, 4), *dx;
    double scale = 1.0 / ((double)frames * (double)pixels);
    struct err e = {0};

    assert_int_equal(k_meanpool_forward(nn, s, frames, kx, y, &e), ERR_OK);
    assert_int_equal(k_meanpool_backward(nn, s, frames, dy, kdx, &e), ERR_OK);
    dx = ref_plain(kdx, s->n, s->c, pixels, nn_block(nn));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < s->c; c++) {
            double mean = 0;
            for (int64_t f = 0; f < frames; f++)
                for (int64_t p = 0; p < pixels; p++) {
                    int64_t i = ((r * frames + f) * s->c + c) * pixels + p;
                    mean += x[i] * scale;
                    assert_true(fabs(dx[i] - dy[r * s->c + c] * scale) <= 1e-7 * scale);
                }
            assert_true(fabs(y[r * s->c + c] - mean) <= 1e-7);
        }
    free(x), free(dy), free(kx), free(y), free(kdx), free(dx);
}

static void test_mean(void **state)
{
    struct nn *nn = ref_nn(3);
    struct bn_shape s = {6, 32, 7, 5};
    struct err e = {0};
    float buffer[1] = {0};

    (void)state;
    check_mean(nn, &s, 1);
    check_mean(nn, &s, 3);
    check_mean(nn, &s, 6);
    assert_int_equal(k_meanpool_forward(nn, &s, 4, buffer, buffer, &e), ERR_INTERNAL);
    nn_free(nn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_max),
        cmocka_unit_test(test_max_refuses),
        cmocka_unit_test(test_mean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
