/* SPDX-License-Identifier: MIT */
#include "common/nn/cpu/bfloat16.h"

#include "tests/support/cmocka.h"

#include <math.h>
#include <string.h>

struct example {
    uint32_t bits; /* of a float */
    uint16_t want;
};

/* By hand: the upper half, plus one where the lower half is above 8000, or is 8000 and the upper
 * half odd. */
static const struct example EXAMPLES[] = {
    {0x00000000, 0x0000}, {0x80000000, 0x8000},                       /* both zeros */
    {0x3f800000, 0x3f80}, {0x3f807fff, 0x3f80}, {0x3f808000, 0x3f80}, /* 1, tie down to even */
    {0x3f808001, 0x3f81}, {0x3f818000, 0x3f82}, {0xbf818000, 0xbf82}, /* tie up to even */
    {0x3fffffff, 0x4000}, /* carries into the exponent */
    {0x00000001, 0x0000}, {0x00008001, 0x0001}, {0x007fffff, 0x0080}, /* subnormal */
    {0x7f7f7fff, 0x7f7f}, {0x7f7f8000, 0x7f80}, {0x7f800000, 0x7f80}, /* largest, infinite */
    {0xff800000, 0xff80}, {0x7f800001, 0x7fc0}, {0xffffffff, 0xffff}, /* NaN stays NaN */
    {0x7fc00000, 0x7fc0}, {0x7fbfffff, 0x7fff},
};
enum { COUNT = sizeof EXAMPLES / sizeof *EXAMPLES };

static void test_examples(void **state)
{
    float x[COUNT];
    uint16_t y[COUNT + 1];

    (void)state;
    for (int i = 0; i < COUNT; i++)
        memcpy(&x[i], &EXAMPLES[i].bits, sizeof x[i]);
    y[COUNT] = 0xabcd;
    bfloat16_round(COUNT, x, y);
    for (int i = 0; i < COUNT; i++)
        if (y[i] != EXAMPLES[i].want)
            fail_msg("%08x became %04x, not %04x", EXAMPLES[i].bits, y[i], EXAMPLES[i].want);
    assert_int_equal(y[COUNT], 0xabcd);
}

/* Nearest: no other bfloat16 number is nearer than the one chosen. */
static void test_nearest(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 200000; i++) {
        uint32_t bits = i * 2654435761u, got, next;
        float x, y, up, down;
        uint16_t half;
        memcpy(&x, &bits, sizeof x);
        bfloat16_round(1, &x, &half);
        got = (uint32_t)half << 16;
        memcpy(&y, &got, sizeof y);
        if (isnan(x)) {
            assert_true(isnan(y));
            continue;
        }
        if (!isfinite(y))
            continue;
        next = got + 0x10000;
        memcpy(&up, &next, sizeof up);
        next = got - 0x10000;
        memcpy(&down, &next, sizeof down);
        assert_true(!(fabs((double)up - x) < fabs((double)y - x)));
        assert_true((got & 0x7fffffff) == 0 || !(fabs((double)down - x) < fabs((double)y - x)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_nearest),
    };

    return cmocka_run_group_tests_name("bfloat16", tests, NULL, NULL);
}
