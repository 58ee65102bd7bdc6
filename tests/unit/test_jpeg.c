/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "common/data/jpeg.h"
#include "tests/support/cmocka.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { W = 173, H = 131, SEED = 20 };

/* Smooth colours with edges and some noise: every upsampling path matters. */
static void paint(uint8_t *rgb, int w, int h)
{
    struct rng r = rng_at(SEED, rng_stream("test.paint"), 0, 0);

    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            uint8_t *p = rgb + ((size_t)y * (size_t)w + (size_t)x) * 3;
            p[0] = (uint8_t)(x + (int)rng_below(&r, 8));
            p[1] = (uint8_t)(y * 2 / 3 + ((x / 17 + y / 13) % 2) * 90);
            p[2] = (uint8_t)(255 - x / 2 - y / 3);
        }
}

struct fixture {
    uint8_t rgb[W * H * 3];
    uint8_t *jpeg;
    size_t len;
    struct jpeg_decoder *d;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err e = {0};

    assert_non_null(f);
    paint(f->rgb, W, H);
    assert_int_equal(jpeg_encode_rgb(f->rgb, W, H, W * 3, 95, &f->jpeg, &f->len, &e), ERR_OK);
    assert_int_equal(jpeg_decoder_new(&f->d, &e), ERR_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    jpeg_decoder_free(f->d);
    free(f->jpeg);
    free(f);
    return 0;
}

static uint8_t *decode_all(struct fixture *f)
{
    struct jpeg_rect all = {0, 0, W, H};
    const uint8_t *p;
    size_t stride;
    struct err e = {0};
    uint8_t *copy = malloc((size_t)W * H * 3);

    assert_non_null(copy);
    assert_int_equal(jpeg_decoder_rect(f->d, f->jpeg, f->len, all, &p, &stride, &e), ERR_OK);
    for (size_t y = 0; y < H; y++)
        memcpy(copy + y * W * 3, p + y * stride, (size_t)W * 3);
    return copy;
}

static void test_round_trip(void **state)
{
    struct fixture *f = *state;
    uint8_t *full = decode_all(f);
    double sum = 0;
    int w, h;
    struct err e = {0};

    for (size_t i = 0; i < sizeof f->rgb; i++)
        sum += ((double)full[i] - f->rgb[i]) * ((double)full[i] - f->rgb[i]);
    /* The noise and the coloured chessboard under 4:2:0 cost most; a wrong channel costs 20 dB. */
    assert_true(10 * log10(255.0 * 255.0 * sizeof f->rgb / sum) > 28);
    assert_int_equal(jpeg_decoder_size(f->d, f->jpeg, f->len, &w, &h, &e), ERR_OK);
    assert_int_equal(w, W);
    assert_int_equal(h, H);
    free(full);
}

static void check_rect(struct fixture *f, const uint8_t *full, struct jpeg_rect rect)
{
    const uint8_t *p;
    size_t stride;
    struct err e = {0};

    assert_int_equal(jpeg_decoder_rect(f->d, f->jpeg, f->len, rect, &p, &stride, &e), ERR_OK);
    for (int y = 0; y < rect.h; y++)
        if (memcmp(p + (size_t)y * stride, full + ((size_t)(rect.y + y) * W + (size_t)rect.x) * 3,
                   (size_t)rect.w * 3) != 0)
            fail_msg("%dx%d at (%d,%d): row %d differs", rect.w, rect.h, rect.x, rect.y, y);
    assert_int_equal(jpeg_decoder_rect_rgbx(f->d, f->jpeg, f->len, rect, &p, &stride, &e), ERR_OK);
    for (int y = 0; y < rect.h; y++)
        for (int x = 0; x < rect.w; x++)
            assert_memory_equal(p + (size_t)y * stride + (size_t)x * 4,
                                full + ((size_t)(rect.y + y) * W + (size_t)(rect.x + x)) * 3, 3);
}

static void test_rect_equals_full_decode(void **state)
{
    struct fixture *f = *state;
    uint8_t *full = decode_all(f);
    struct rng r = rng_at(SEED, rng_stream("test.rect"), 0, 0);

    for (int i = 0; i < 600; i++) {
        struct jpeg_rect rect;
        rect.w = 1 + (int)rng_below(&r, W);
        rect.h = 1 + (int)rng_below(&r, H);
        if (i % 3 == 0)
            rect.w = 1 + rect.w % 5; /* narrow ones have their own code in libjpeg */
        rect.x = (int)rng_below(&r, (uint32_t)(W - rect.w + 1));
        rect.y = (int)rng_below(&r, (uint32_t)(H - rect.h + 1));
        check_rect(f, full, rect);
    }
    check_rect(f, full, (struct jpeg_rect){0, 0, 1, 1});
    check_rect(f, full, (struct jpeg_rect){W - 1, H - 1, 1, 1});
    free(full);
}

static void test_same_bytes_twice(void **state)
{
    struct fixture *f = *state;
    uint8_t *again;
    size_t len;
    struct err e = {0};

    assert_int_equal(jpeg_encode_rgb(f->rgb, W, H, W * 3, 95, &again, &len, &e), ERR_OK);
    assert_int_equal(len, f->len);
    assert_memory_equal(again, f->jpeg, len);
    free(again);
}

static void test_bad_arguments(void **state)
{
    struct fixture *f = *state;
    static const struct jpeg_rect outside[] = {
        {-1, 0, 5, 5}, {0, -1, 5, 5},    {0, 0, 0, 5},      {0, 0, 5, 0},
        {W, 0, 1, 1},  {0, H - 3, 5, 4}, {W - 3, 0, 4, 10}, {2147483647, 0, 2147483647, 1},
    };
    static const int sides[][2] = {
        {JPEG_MAX_SIDE + 1, 1}, {1, JPEG_MAX_SIDE + 1}, {0, 1}, {1, 0}, {-1, 1}};
    const uint8_t *p;
    uint8_t *out;
    size_t n;

    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        struct err e = {0};
        assert_int_equal(jpeg_decoder_rect(f->d, f->jpeg, f->len, outside[i], &p, &n, &e),
                         ERR_FORMAT);
    }
    for (int q = 0; q <= 101; q += 101) {
        struct err e = {0};
        assert_int_equal(jpeg_encode_rgb(f->rgb, W, H, W * 3, q, &out, &n, &e), ERR_USAGE);
    }
    for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
        struct err e = {0};
        assert_int_equal(jpeg_encode_rgb(f->rgb, sides[i][0], sides[i][1], W * 3, 95, &out, &n, &e),
                         ERR_FORMAT);
        assert_non_null(strstr(e.text, "is outside 1 x 1 to"));
    }
}

/* The decoder stays usable after every failure. */
static void test_cut_anywhere(void **state)
{
    struct fixture *f = *state;
    uint8_t *full = decode_all(f);
    struct jpeg_rect all = {0, 0, W, H};
    const uint8_t *p;
    size_t stride;

    for (size_t n = 0; n < f->len; n += n < 700 ? 1 : 97) {
        struct err e = {0};
        uint8_t *cut = malloc(n + 1); /* its own block: a read past the end is seen */
        assert_non_null(cut);
        memcpy(cut, f->jpeg, n);
        if (jpeg_decoder_rect(f->d, cut, n, all, &p, &stride, &e) != ERR_FORMAT)
            fail_msg("cut at %zu of %zu: %s", n, f->len, e.text);
        free(cut);
    }
    check_rect(f, full, all);
    free(full);
}

static void test_damage_anywhere(void **state)
{
    struct fixture *f = *state;
    struct rng r = rng_at(SEED, rng_stream("test.damage"), 0, 0);
    uint8_t *bad = malloc(f->len);
    int refused = 0;

    assert_non_null(bad);
    for (int i = 0; i < 2000; i++) {
        struct jpeg_rect rect = {3, 5, 20, 30};
        const uint8_t *p;
        size_t stride;
        struct err e = {0};
        memcpy(bad, f->jpeg, f->len);
        bad[i % 2 != 0 ? rng_below(&r, 700) : rng_below(&r, (uint32_t)f->len)] ^=
            (uint8_t)(1 + rng_below(&r, 255));
        if (jpeg_decoder_rect(f->d, bad, f->len, rect, &p, &stride, &e) != ERR_OK) {
            assert_int_equal(e.code, ERR_FORMAT);
            assert_true(strncmp(e.text, "JPEG: ", 6) == 0);
            refused++;
        }
    }
    assert_true(refused > 100);
    free(bad);
}

/* What a header may claim. */
static void test_hostile_headers(void **state)
{
    static const struct {
        int at; /* after the start-of-frame marker's 0xff */
        uint8_t value;
        const char *why;
    } cases[] = {
        {0, 0xc2, "progressive"},                       /* another kind of frame */
        {0, 0xc9, "arithmetic"},  {0, 0xc3, "JPEG: "},  /* lossless */
        {4, 0xff, "larger than"},                       /* height */
        {6, 0xff, "larger than"},                       /* width */
        {3, 12, "JPEG: "},                              /* bits per sample */
        {8, 0, "JPEG: "},                               /* components */
        {8, 4, "JPEG: "},         {10, 0x55, "JPEG: "}, /* sampling factors */
        {10, 0x00, "JPEG: "},
    };
    struct fixture *f = *state;
    uint8_t *bad = malloc(f->len);
    size_t frame = 0;

    assert_non_null(bad);
    while (f->jpeg[frame] != 0xff || f->jpeg[frame + 1] != 0xc0)
        frame++;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct jpeg_rect all = {0, 0, W, H};
        const uint8_t *p;
        size_t stride;
        struct err e = {0};
        memcpy(bad, f->jpeg, f->len);
        bad[frame + 1 + (size_t)cases[i].at] = cases[i].value;
        if (jpeg_decoder_rect(f->d, bad, f->len, all, &p, &stride, &e) != ERR_FORMAT ||
            strstr(e.text, cases[i].why) == NULL)
            fail_msg("case %zu: %s", i, e.text);
    }
    free(bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rect_equals_full_decode, setup, teardown),
        cmocka_unit_test_setup_teardown(test_same_bytes_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_arguments, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_anywhere, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
