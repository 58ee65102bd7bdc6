/* SPDX-License-Identifier: MIT */
/* Random numbers against published answers. */
#include "tests/support/cmocka.h"

#include "common/base/rng.h"

#include <math.h>
#include <string.h>

/* Random123 1.14, kat_vectors, "philox4x32 10". */
static void test_philox_known_answers(void **state)
{
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } kat[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    (void)state;

    for (size_t i = 0; i < sizeof kat / sizeof *kat; i++) {
        uint32_t out[4];
        rng_philox4x32(kat[i].counter, kat[i].key, out);
        assert_memory_equal(out, kat[i].out, sizeof out);
    }
}

/* R section 2: torch.randperm(10) and five draws mod 10 after torch.manual_seed(0). */
static void test_mt19937_like_torch(void **state)
{
    static const uint32_t perm_expected[10] = {4, 1, 7, 5, 3, 9, 0, 8, 6, 2};
    static const uint32_t draws_expected[5] = {4, 9, 3, 0, 3};
    struct mt19937 g;
    uint32_t perm[10];
    (void)state;

    mt19937_seed(&g, 0);
    mt19937_randperm(&g, perm, 10);
    assert_memory_equal(perm, perm_expected, sizeof perm);
    mt19937_seed(&g, 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(mt19937_u32(&g) % 10, draws_expected[i]);
}

/* ISO C++ [rand.predef]: the 10,000th output of seed 5489. */
static void test_mt19937_ten_thousandth(void **state)
{
    struct mt19937 g;
    uint32_t last = 0;
    (void)state;

    mt19937_seed(&g, 5489);
    for (int i = 0; i < 10000; i++)
        last = mt19937_u32(&g);
    assert_int_equal(last, 4123659995u);
}

static void test_positions_are_independent(void **state)
{
    struct rng a = rng_at(7, rng_stream("a"), 1, 2);
    struct rng copy = a;
    struct rng other[] = {rng_at(8, rng_stream("a"), 1, 2), rng_at(7, rng_stream("b"), 1, 2),
                          rng_at(7, rng_stream("a"), 2, 2), rng_at(7, rng_stream("a"), 1, 3),
                          rng_at(7 + (1ull << 32), rng_stream("a"), 1, 2)};
    uint32_t first = rng_u32(&a);
    (void)state;

    assert_int_equal(first, rng_u32(&copy));
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        assert_int_not_equal(first, rng_u32(&other[i]));
}

static void test_distributions(void **state)
{
    enum { N = 200000, BINS = 7 };
    struct rng r = rng_at(1, rng_stream("test"), 0, 0);
    double sum = 0, sum2 = 0, usum = 0, chi2 = 0;
    long bin[BINS] = {0};
    (void)state;

    for (int i = 0; i < N; i++) {
        double x = rng_normal(&r);
        float u = rng_float(&r);
        double d = rng_double(&r);

        sum += x;
        sum2 += x * x;
        usum += u;
        assert_true(u >= 0 && u < 1 && d >= 0 && d < 1);
        bin[rng_below(&r, BINS)]++;
    }
    assert_true(fabs(sum / N) < 5 / sqrt(N));
    assert_true(fabs(sum2 / N - 1) < 5 * sqrt(2.0 / N));
    assert_true(fabs(usum / N - 0.5) < 5 * sqrt(1.0 / 12 / N));
    for (int i = 0; i < BINS; i++)
        chi2 += pow((double)bin[i] - (double)N / BINS, 2) / ((double)N / BINS);
    assert_true(chi2 < 33.1); /* p = 1e-5 with 6 degrees of freedom */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox_known_answers), cmocka_unit_test(test_mt19937_like_torch),
        cmocka_unit_test(test_mt19937_ten_thousandth),
        cmocka_unit_test(test_positions_are_independent), cmocka_unit_test(test_distributions)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
