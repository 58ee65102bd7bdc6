/* SPDX-License-Identifier: MIT */
/* Pictures drawn dot by dot: what is outside stays out, what is scaled keeps its shape. */
#include "common/data/canvas.h"
#include "tests/support/check.h"

#include <math.h>
#include <string.h>

static const struct rgb BACK = {10, 20, 30}, INK = {200, 100, 50};

static struct rgb at(const struct canvas *c, int x, int y)
{
    const uint8_t *p = c->pixel + 3 * ((size_t)y * (size_t)c->w + (size_t)x);

    return (struct rgb){p[0], p[1], p[2]};
}

static bool same(struct rgb a, struct rgb b)
{
    return a.r == b.r && a.g == b.g && a.b == b.b;
}

/* Dots of the background in a rectangle of the picture. */
static int background_in(const struct canvas *c, int x, int y, int w, int h)
{
    int n = 0;

    for (int j = y; j < y + h; j++)
        for (int i = x; i < x + w; i++)
            n += same(at(c, i, j), BACK);
    return n;
}

static void start(struct canvas *c, int w, int h)
{
    struct err e = {0};

    ASSERT_OK(canvas_init(c, w, h, BACK, &e), e);
    assert_int_equal(background_in(c, 0, 0, w, h), w * h);
}

static void test_sizes(void **state)
{
    static const int bad[][2] = {{0, 1}, {1, 0}, {-1, 1}, {1, -1}, {32769, 1}, {1, 32769}};
    struct err e = {0};
    struct canvas c;
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ASSERT_FAILS(canvas_init(&c, bad[i][0], bad[i][1], BACK, &e), e, ERR_USAGE,
                     "pixels cannot be drawn");
        canvas_free(&c);
    }
}

static void test_outside_is_left_out(void **state)
{
    struct canvas c;
    (void)state;

    start(&c, 6, 4);
    canvas_fill(&c, -3, -3, 4, 4, INK); /* one dot is inside */
    assert_true(same(at(&c, 0, 0), INK));
    assert_int_equal(background_in(&c, 0, 0, 6, 4), 23);
    canvas_fill(&c, 5, 3, 9, 9, INK);
    assert_true(same(at(&c, 5, 3), INK));
    assert_int_equal(background_in(&c, 0, 0, 6, 4), 22);
    canvas_fill(&c, 6, 0, 3, 3, INK);
    canvas_fill(&c, 0, 4, 3, 3, INK);
    assert_int_equal(background_in(&c, 0, 0, 6, 4), 22);
    canvas_free(&c);
}

/* Letters of 5 x 7 dots; what the font lacks is a box. */
static void test_text(void **state)
{
    struct canvas c;
    (void)state;

    start(&c, 3 * GLYPH_WIDTH, GLYPH_HEIGHT);
    canvas_text(&c, 0, 0, 1, INK, "I \x7f");
    assert_true(same(at(&c, 2, 0), INK) && same(at(&c, 2, 6), INK)); /* the stroke of the I */
    assert_int_equal(background_in(&c, GLYPH_WIDTH, 0, GLYPH_WIDTH, GLYPH_HEIGHT),
                     GLYPH_WIDTH * GLYPH_HEIGHT);
    assert_true(same(at(&c, 2 * GLYPH_WIDTH, 3), INK));
    assert_int_equal(background_in(&c, 2 * GLYPH_WIDTH + 1, 1, 3, 5), 15); /* hollow */
    canvas_free(&c);
    start(&c, GLYPH_WIDTH, GLYPH_HEIGHT);
    canvas_text(&c, 0, 0, 1, INK, "\xc3"); /* below ' ' where char is signed */
    assert_true(same(at(&c, 0, 3), INK) && same(at(&c, 4, 3), INK));
    canvas_free(&c);
}

/* 2 x 1 source pixels, black and white. */
static const uint8_t pair[6] = {0, 0, 0, 255, 255, 255};

static void test_picture(void **state)
{
    uint8_t tall[4 * 2 * 3];
    struct canvas c;
    (void)state;

    start(&c, 8, 8); /* enlarged, centred from top to bottom */
    canvas_picture(&c, 0, 0, 8, 8, pair, 2, 1, 6);
    assert_int_equal(background_in(&c, 0, 0, 8, 2) + background_in(&c, 0, 6, 8, 2), 32);
    assert_true(same(at(&c, 0, 2), (struct rgb){0, 0, 0}));
    assert_true(same(at(&c, 3, 5), (struct rgb){0, 0, 0}));
    assert_true(same(at(&c, 4, 2), (struct rgb){255, 255, 255}));
    canvas_free(&c);
    start(&c, 4, 4); /* to one pixel: the mean */
    canvas_picture(&c, 1, 1, 1, 1, pair, 2, 1, 6);
    assert_int_equal(background_in(&c, 0, 0, 4, 4), 16); /* half a pixel high: none */
    for (int i = 0; i < 24; i++)
        tall[i] = (uint8_t)(i < 12 ? 100 : 200);
    canvas_picture(&c, 0, 0, 4, 4, tall, 2, 4, 6); /* as high as there is room: centred */
    assert_int_equal(background_in(&c, 0, 0, 1, 4) + background_in(&c, 3, 0, 1, 4), 8);
    assert_true(same(at(&c, 1, 0), (struct rgb){100, 100, 100}));
    assert_true(same(at(&c, 2, 3), (struct rgb){200, 200, 200}));
    canvas_picture(&c, 0, 0, 1, 1, tall, 2, 4, 6);
    canvas_picture(&c, 0, 0, 1, 2, tall, 2, 4, 6);
    assert_true(same(at(&c, 0, 0), (struct rgb){100, 100, 100}));
    assert_true(same(at(&c, 0, 1), (struct rgb){200, 200, 200}));
    canvas_free(&c);
}

/* The largest value is the brightest, `range` below it the darkest; what is not finite is green. */
static void test_heat(void **state)
{
    static const float values[2][4] = {{0, -5, -10, -99}, {NAN, INFINITY, -INFINITY, -20}};
    static const struct rgb top = {252, 253, 191}, bottom = {0, 0, 4}, middle = {181, 54, 122},
                            green = {0, 255, 0};
    struct canvas c;
    (void)state;

    start(&c, 8, 4);
    canvas_heat(&c, 0, 0, 8, 4, values[0], 2, 4, 10);
    assert_true(same(at(&c, 0, 3), top) && same(at(&c, 1, 2), top)); /* bin 0 at the bottom */
    assert_true(same(at(&c, 2, 3), middle));
    assert_true(same(at(&c, 4, 3), bottom));
    assert_true(same(at(&c, 7, 3), bottom)); /* further below than the range */
    for (int i = 0; i < 6; i++)
        assert_true(same(at(&c, i, 0), green));
    assert_true(same(at(&c, 7, 0), bottom));
    canvas_heat(&c, 0, 0, 8, 4, values[1], 1, 3, 10); /* nothing finite */
    for (int i = 0; i < 8; i++)
        assert_true(same(at(&c, i, 1), green));
    canvas_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes), cmocka_unit_test(test_outside_is_left_out),
        cmocka_unit_test(test_text),  cmocka_unit_test(test_picture),
        cmocka_unit_test(test_heat),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
