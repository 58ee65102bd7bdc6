/* SPDX-License-Identifier: MIT */
#include "common/data/image.h"
#include "tests/support/cmocka.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { W = 210, H = 160, SIZE = 48, SEED = 5 };

static const struct image_norm levels = {.std = {1 / 255.0f, 1 / 255.0f, 1 / 255.0f}};

static void paint(uint8_t *rgb)
{
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            uint8_t *p = rgb + ((size_t)y * W + (size_t)x) * 3;
            p[0] = (uint8_t)(128 + 100 * sin(x * 0.21) * cos(y * 0.13));
            p[1] = (uint8_t)(x + y / 4);
            p[2] = (uint8_t)(255 - y - (x / 20 % 2) * 60);
        }
}

/* The triangle filter as its definition says, in double, without any rounding. */
static double filtered(const uint8_t *rgb, struct jpeg_rect r, int c, int ox, int oy)
{
    double sx = (double)r.w / SIZE, sy = (double)r.h / SIZE;
    double wx = sx < 1 ? 1 : sx, wy = sy < 1 ? 1 : sy, sum = 0, norm = 0;

    for (int y = 0; y < r.h; y++)
        for (int x = 0; x < r.w; x++) {
            double dx = fabs(x + 0.5 - (ox + 0.5) * sx) / wx;
            double dy = fabs(y + 0.5 - (oy + 0.5) * sy) / wy;
            double w = dx < 1 && dy < 1 ? (1 - dx) * (1 - dy) : 0;
            sum += w * rgb[((size_t)(r.y + y) * W + (size_t)(r.x + x)) * 3 + (size_t)c];
            norm += w;
        }
    return sum / norm;
}

static void test_resize_against_definition(void **state)
{
    static const struct jpeg_rect rects[] = {
        {0, 0, W, H}, {13, 7, 100, 90}, {50, 50, 20, 31}, {W - 1, 0, 1, H}};
    uint8_t *rgb = malloc(W * H * 3);
    float *out = malloc(3 * SIZE * SIZE * sizeof *out);
    struct image_loader *l;
    struct err e = {0};

    (void)state;
    assert_non_null(rgb);
    assert_non_null(out);
    paint(rgb);
    assert_int_equal(image_loader_new(&l, SIZE, &levels, &e), ERR_OK);
    for (size_t i = 0; i < sizeof rects / sizeof rects[0]; i++) {
        struct image_crop crop = {.rect = rects[i], .flip = i % 2 != 0};
        assert_int_equal(image_from_rgb(l, rgb, W * 3, &crop, out, &e), ERR_OK);
        for (int k = 0; k < 3 * SIZE * SIZE; k += 7) {
            int c = k / (SIZE * SIZE), y = k / SIZE % SIZE, x = k % SIZE;
            double want = filtered(rgb, rects[i], c, crop.flip ? SIZE - 1 - x : x, y);
            /* two roundings to whole levels */
            if (fabs(out[k] - want) > 1.01)
                fail_msg("rect %zu, plane %d (%d, %d): %g, not %g", i, c, x, y, out[k], want);
        }
    }
    image_loader_free(l);
    free(out);
    free(rgb);
}

/* From the JPEG with the crop decoded alone = from the whole decoded picture. */
static void test_jpeg_route_equals_rgb_route(void **state)
{
    uint8_t *rgb = malloc(W * H * 3), *jpeg = NULL;
    float *a = malloc(3 * SIZE * SIZE * sizeof *a), *b = malloc(3 * SIZE * SIZE * sizeof *b);
    const uint8_t *full;
    size_t len, stride;
    int w, h;
    struct image_loader *l;
    struct jpeg_decoder *d;
    struct rng r = rng_at(SEED, rng_stream("test.crop"), 0, 0);
    struct err e = {0};

    (void)state;
    assert_true(rgb != NULL && a != NULL && b != NULL);
    paint(rgb);
    assert_int_equal(jpeg_encode_rgb(rgb, W, H, W * 3, 95, &jpeg, &len, &e), ERR_OK);
    assert_int_equal(image_loader_new(&l, SIZE, &image_norm_imagenet, &e), ERR_OK);
    assert_int_equal(jpeg_decoder_new(&d, &e), ERR_OK);
    assert_int_equal(image_loader_size(l, jpeg, len, &w, &h, &e), ERR_OK);
    assert_true(w == W && h == H);
    assert_int_equal(
        jpeg_decoder_rect(d, jpeg, len, (struct jpeg_rect){0, 0, W, H}, &full, &stride, &e),
        ERR_OK);
    for (int i = 0; i < 50; i++) {
        struct image_crop crop = image_crop_random(&r, W, H);
        assert_int_equal(image_load(l, jpeg, len, &crop, a, &e), ERR_OK);
        assert_int_equal(image_from_rgb(l, full, stride, &crop, b, &e), ERR_OK);
        assert_memory_equal(a, b, 3 * SIZE * SIZE * sizeof *a);
    }
    jpeg[len / 2] = 0xff;
    jpeg[len / 2 + 1] = 0xd9; /* an early end */
    assert_int_equal(image_load(l, jpeg, len, &(struct image_crop){.rect = {0, 0, W, H}}, a, &e),
                     ERR_FORMAT);
    jpeg_decoder_free(d);
    image_loader_free(l);
    free(jpeg);
    free(a);
    free(b);
    free(rgb);
}

/* Moments of the crop's area and aspect ratio over many draws, from the definition.
 */
static void test_random_crops(void **state)
{
    enum { N = 40000 };
    struct rng r = rng_at(SEED, rng_stream("test.crops"), 0, 0);
    double area = 0, log_ratio = 0, flips = 0, x = 0, y = 0;

    (void)state;
    for (int i = 0; i < N; i++) {
        struct image_crop c = image_crop_random(&r, 360, 360);
        assert_true(c.rect.x >= 0 && c.rect.y >= 0 && c.rect.w >= 1 && c.rect.h >= 1);
        assert_true(c.rect.x + c.rect.w <= 360 && c.rect.y + c.rect.h <= 360);
        assert_true((double)c.rect.w / c.rect.h < 4.0 / 3 + 0.02);
        assert_true((double)c.rect.h / c.rect.w < 4.0 / 3 + 0.02);
        assert_true(c.rect.w * c.rect.h >= 0.078 * 360 * 360);
        area += (double)c.rect.w * c.rect.h / (360.0 * 360.0) / N;
        log_ratio += log((double)c.rect.w / c.rect.h) / N;
        flips += c.flip / (double)N;
        x += 360 - c.rect.w > 0 ? (double)c.rect.x / (360 - c.rect.w) / N : 0.5 / N;
        y += 360 - c.rect.h > 0 ? (double)c.rect.y / (360 - c.rect.h) / N : 0.5 / N;
    }
    /* torchvision 0.24's get_params gives 0.4805 (standard error 0.001) for a square picture. */
    assert_true(fabs(area - 0.4805) < 0.005);
    assert_true(fabs(log_ratio) < 0.005);
    assert_true(fabs(flips - 0.5) < 0.012);
    assert_true(fabs(x - 0.5) < 0.01);
    assert_true(fabs(y - 0.5) < 0.01);
}

/* Other smallest areas than the usual one: the least of many
 * crops has about that share. */
static void test_smallest_area(void **state)
{
    static const double shares[] = {0.08, 0.3, 0.6};

    (void)state;
    for (size_t k = 0; k < sizeof shares / sizeof shares[0]; k++) {
        struct rng r = rng_at(SEED, rng_stream("test.areas"), 0, 0);
        double least = 1;

        for (int i = 0; i < 2000; i++) {
            struct image_crop c = image_crop_from(&r, 360, 360, shares[k]);

            least = fmin(least, c.rect.w * c.rect.h / (360.0 * 360.0));
        }
        assert_true(least > shares[k] - 0.005 && least < shares[k] + 0.01);
    }
}

static void test_crops_of_odd_pictures(void **state)
{
    struct rng r = rng_at(SEED, rng_stream("test.odd"), 0, 0);
    struct image_crop c;

    (void)state;
    for (int i = 0; i < 200; i++) {
        c = image_crop_random(&r, 1, 1);
        assert_true(c.rect.x == 0 && c.rect.y == 0 && c.rect.w == 1 && c.rect.h == 1);
        /* No try can fit: the centred crop of the widest allowed ratio. */
        c = image_crop_random(&r, 4000, 3);
        assert_true(c.rect.w == 4 && c.rect.h == 3 && c.rect.x == 1998 && c.rect.y == 0);
        c = image_crop_random(&r, 3, 4000);
        assert_true(c.rect.w == 3 && c.rect.h == 4 && c.rect.x == 0 && c.rect.y == 1998);
    }
}

/* torchvision's get_params, in its order: area, log of the aspect ratio (width by height), until a
 * try fits; then the crop's top, its left; the flip comes last. False where no try fits. */
static bool crop_by_hand(struct rng *r, int w, int h, struct image_crop *c)
{
    bool fits = false;

    for (int i = 0; i < 10 && !fits; i++) {
        double area = w * h * (0.08 + 0.92 * rng_double(r));
        double ratio = exp(log(0.75) + (log(4.0 / 3) - log(0.75)) * rng_double(r));

        c->rect.w = (int)rint(sqrt(area * ratio));
        c->rect.h = (int)rint(sqrt(area / ratio));
        fits = c->rect.w > 0 && c->rect.w <= w && c->rect.h > 0 && c->rect.h <= h;
    }
    if (fits) {
        c->rect.y = (int)rng_below(r, (uint32_t)(h - c->rect.h + 1));
        c->rect.x = (int)rng_below(r, (uint32_t)(w - c->rect.w + 1));
    }
    c->flip = rng_float(r) < 0.5f;
    return fits;
}

/* Every draw is taken for what it is documented to be, and no other is taken: the numbers after a
 * crop are the same. */
static void test_draws(void **state)
{
    static const int sizes[][2] = {{64, 64}, {360, 240}, {40, 300}};
    int wide = 0, flips = 0, none = 0;

    (void)state;
    for (uint32_t i = 0; i < 300; i++) {
        int w = sizes[i % 3][0], h = sizes[i % 3][1];
        struct rng a = rng_at(SEED, rng_stream("loader.crop"), 3, i), b = a;
        struct image_crop got = image_crop_random(&a, w, h), want;

        if (crop_by_hand(&b, w, h, &want))
            assert_memory_equal(&got.rect, &want.rect, sizeof want.rect);
        else
            none++;
        assert_int_equal(got.flip, want.flip);
        assert_int_equal(rng_u32(&a), rng_u32(&b));
        wide += got.rect.w > got.rect.h;
        flips += got.flip;
    }
    assert_true(wide > 50 && wide < 250 && flips > 100 && flips < 200 && none > 5);
}

static void test_bad_size(void **state)
{
    struct image_loader *l;

    (void)state;
    assert_int_equal(image_loader_new(&l, 0, &levels, &(struct err){0}), ERR_USAGE);
    assert_int_equal(image_loader_new(&l, IMAGE_MAX_SIZE + 1, &levels, &(struct err){0}),
                     ERR_USAGE);
    assert_null(l);
    image_loader_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resize_against_definition),
        cmocka_unit_test(test_jpeg_route_equals_rgb_route),
        cmocka_unit_test(test_random_crops),
        cmocka_unit_test(test_smallest_area),
        cmocka_unit_test(test_crops_of_odd_pictures),
        cmocka_unit_test(test_draws),
        cmocka_unit_test(test_bad_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
