/* SPDX-License-Identifier: MIT */
/* Random numbers against published answers. */
#include "tests/support/cmocka.h"

#include "common/base/hash.h"
#include "common/base/rng.h"

#include <math.h>
#include <string.h>

/* CRC32C of the first 8192 numbers of (seed 1, stream "bits"), as floats. */
static const uint32_t NORMALS_CRC = 0x64453086, UNIFORMS_CRC = 0xa36e2ca8;

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

/* The definition in rng.h, number by number, for lengths that do and do not fill a group. */
static void test_fills_follow_their_definition(void **state)
{
    static const size_t LENGTHS[] = {1, 15, 63, 64, 65, 200, 256};
    float normal[256], uniform[256], part[256];
    struct rng at = rng_at(5, rng_stream("fill"), 3, 9);
    (void)state;

    rng_normals(&at, normal, 256);
    rng_uniforms(&at, uniform, 256);
    for (uint32_t block = 0; block < 64; block++) {
        const uint32_t counter[4] = {block, 9, 3, rng_stream("fill")}, key[2] = {5, 0};
        uint32_t word[4];

        rng_philox4x32(counter, key, word);
        for (int c = 0; c < 4; c++) {
            size_t i = block / 16 * 64 + (size_t)c * 16 + block % 16;
            double u = ((double)(word[c & 2] >> 8) + 0.5) / 16777216;
            double v = 2 * M_PI * (double)(word[(c & 2) + 1] >> 8) / 16777216;
            double want = sqrt(-2 * log(u)) * (c % 2 == 0 ? cos(v) : sin(v));

            assert_true(uniform[i] == (float)(word[c] >> 8) / 16777216);
            assert_true(fabs((double)normal[i] - want) < 3e-6);
        }
    }
    for (size_t k = 0; k < sizeof LENGTHS / sizeof *LENGTHS; k++) {
        rng_normals(&at, part, LENGTHS[k]);
        assert_memory_equal(part, normal, LENGTHS[k] * sizeof *part);
        rng_uniforms(&at, part, LENGTHS[k]);
        assert_memory_equal(part, uniform, LENGTHS[k] * sizeof *part);
    }
}

/* The same bits from every compiler, at every level and vector width. */
static void test_fills_have_the_same_bits(void **state)
{
    static float x[8192];
    struct rng at = rng_at(1, rng_stream("bits"), 0, 0);
    (void)state;

    rng_normals(&at, x, 8192);
    assert_int_equal(hash_crc32c(0, x, sizeof x), NORMALS_CRC);
    rng_uniforms(&at, x, 8192);
    assert_int_equal(hash_crc32c(0, x, sizeof x), UNIFORMS_CRC);
}

/* Moments and tails of a million normals; extremes of words. */
static void test_fill_distribution(void **state)
{
    enum { ROWS = 1000, N = 1000 };
    static float x[N];
    double sum[4] = {0}, n = (double)ROWS * N, beyond = 0, neighbours = 0;
    (void)state;

    for (uint32_t r = 0; r < ROWS; r++) {
        struct rng at = rng_at(2, rng_stream("test.fill"), 0, r);

        rng_normals(&at, x, N);
        for (int i = 0; i < N; i++) {
            double v = (double)x[i], power = 1;

            assert_true(fabs(v) < 6);
            for (int k = 0; k < 4; k++)
                sum[k] += power *= v;
            beyond += fabs(v) > 1.959963985;
            neighbours += i > 0 ? v * (double)x[i - 1] : 0;
        }
    }
    assert_true(fabs(sum[0] / n) < 5 / sqrt(n));
    assert_true(fabs(sum[1] / n - 1) < 5 * sqrt(2 / n));
    assert_true(fabs(sum[2] / n) < 5 * sqrt(15 / n));
    assert_true(fabs(sum[3] / n - 3) < 5 * sqrt(96 / n));
    assert_true(fabs(beyond / n - 0.05) < 5 * sqrt(0.05 * 0.95 / n));
    assert_true(fabs(neighbours / n) < 5 / sqrt(n));
}

static void test_streams_by_parts(void **state)
{
    (void)state;
    assert_int_equal(rng_stream_in(rng_stream("mask."), "audio"), rng_stream("mask.audio"));
    assert_int_equal(rng_stream_in(rng_stream("mask"), ""), rng_stream("mask"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_philox_known_answers),
                                       cmocka_unit_test(test_mt19937_like_torch),
                                       cmocka_unit_test(test_mt19937_ten_thousandth),
                                       cmocka_unit_test(test_positions_are_independent),
                                       cmocka_unit_test(test_distributions),
                                       cmocka_unit_test(test_fills_follow_their_definition),
                                       cmocka_unit_test(test_fills_have_the_same_bits),
                                       cmocka_unit_test(test_fill_distribution),
                                       cmocka_unit_test(test_streams_by_parts)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
