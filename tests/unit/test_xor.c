/* SPDX-License-Identifier: MIT */
#include "common/data/xor.h"
#include "tests/support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The synthetic tasks by their statistics: every bound is five standard errors of what X sections 2
 * and 3 say. */

enum { MANY = 20000 };

struct moments {
    double n, sum, squares;
};

static void add(struct moments *m, double x)
{
    m->n++;
    m->sum += x;
    m->squares += x * x;
}

static double mean(const struct moments *m)
{
    return m->sum / m->n;
}

static double variance(const struct moments *m)
{
    return m->squares / m->n - mean(m) * mean(m);
}

static void assert_normal(const struct moments *m, double want_mean, double want_std)
{
    double off = fabs(mean(m) - want_mean), ratio = variance(m) / (want_std * want_std);

    if (off > 5 * want_std / sqrt(m->n) || fabs(ratio - 1) > 5 * sqrt(2 / m->n))
        fail_msg("mean %.5f, deviation %.5f: want %.5f and %.5f", mean(m), sqrt(variance(m)),
                 want_mean, want_std);
}

static void assert_share(double count, double of, double want)
{
    if (fabs(count / of - want) > 5 * sqrt(want * (1 - want) / of) + 1e-12)
        fail_msg("share %.5f: want %.5f", count / of, want);
}

static void make(struct vectors out[XOR_SPLITS], const struct xor_options *o)
{
    struct err e = {0};

    ASSERT_OK(xor_make(out, o, &e), e);
}

static void release(struct vectors v[XOR_SPLITS])
{
    for (int s = 0; s < XOR_SPLITS; s++)
        vectors_free(&v[s]);
}

static double at(const struct vectors *v, int m, int64_t i, int d)
{
    return (double)v->modality[m].x[i * v->modality[m].dim + d];
}

/* App. F.1: parity of the signs of the signals, block means and deviations, the shortcut of Eq. 20
 * in train and val and its absence in test. */
static void check_spurious(double strength, int modalities)
{
    struct xor_options o = xor_defaults(XOR_SPURIOUS);
    double shortcut_std = strength < 1 ? 1.3 * sqrt(1 - strength * strength) : 0;
    struct vectors v[XOR_SPLITS];

    o.strength = strength;
    o.modalities = modalities;
    o.seed = 5;
    for (int s = 0; s < XOR_SPLITS; s++)
        o.count[s] = MANY;
    make(v, &o);
    for (int s = 0; s < XOR_SPLITS; s++) {
        struct moments signal = {0}, shortcut = {0}, noise = {0}, between = {0};
        double ones = 0, wrong = 0, alone[VECTORS_MODALITIES] = {0};
        double kappa = s == XOR_TEST ? 0 : strength;

        assert_int_equal(v[s].modalities, modalities);
        for (int64_t i = 0; i < MANY; i++) {
            int parity = 0, y = v[s].label[i];

            for (int m = 0; m < modalities; m++) {
                double block = 0, sign;

                for (int d = 0; d < 4; d++)
                    block += at(&v[s], m, i, d) / 4;
                sign = block > 0 ? 1 : -1;
                parity ^= sign > 0;
                alone[m] += (sign > 0) == y;
                for (int d = 0; d < 4; d++)
                    add(&signal, at(&v[s], m, i, d) * sign);
                for (int d = m == 0 ? 10 : 4; d < 64; d++)
                    add(&noise, at(&v[s], m, i, d));
                add(&between, at(&v[s], m, i, 0) * at(&v[s], m, i, 40));
            }
            for (int d = 4; d < 10; d++)
                add(&shortcut, at(&v[s], 0, i, d) * (2 * y - 1));
            ones += y;
            wrong += parity != y;
        }
        assert_share(ones, MANY, 0.5);
        assert_true(wrong <= MANY * 1e-4); /* the mean of a block errs by 0.275 of 2.2: never */
        for (int m = 0; m < modalities; m++)
            assert_share(alone[m], MANY, 0.5);
        assert_normal(&signal, 2.2, 0.55);
        assert_normal(&noise, 0, 1);
        assert_true(fabs(mean(&between)) < 5 * 2.3 / sqrt(between.n));
        if (s != XOR_TEST && shortcut_std == 0)
            assert_true(fabs(mean(&shortcut) - 1.3 * kappa) < 1e-6 && variance(&shortcut) < 1e-9);
        else
            assert_normal(&shortcut, 1.3 * kappa, s == XOR_TEST ? 1.3 : shortcut_std);
    }
    release(v);
}

static void test_spurious(void **state)
{
    (void)state;
    check_spurious(0, 2);
    check_spurious(0.6, 2);
    check_spurious(1, 2);
    check_spurious(2, 2);
    check_spurious(0.6, 3);
    check_spurious(0, 4);
}

static void test_spurious_blocks(void **state)
{
    struct xor_options o = xor_defaults(XOR_SPURIOUS);
    struct vectors v[XOR_SPLITS];

    (void)state;
    make(v, &o);
    assert_int_equal(v[XOR_TRAIN].count, 300);
    assert_int_equal(v[XOR_VAL].count, 120);
    assert_int_equal(v[XOR_TEST].count, 30000);
    for (int m = 0; m < 2; m++)
        for (int64_t i = 0; i < 300; i++)
            for (int d = 0; d < 64; d++) {
                int want = d < 4              ? BLOCK_SYNERGISTIC
                           : m == 0 && d < 10 ? BLOCK_SPURIOUS
                                              : BLOCK_NOISE;

                assert_int_equal(v[0].modality[m].block[i * 64 + d], want);
                assert_int_equal(v[0].modality[m].oracle[i * 64 + d], d < 4);
            }
    release(v);
}

/* The product is uncorrelated with either factor and its square is not: no linear reader of one
 * modality finds it. */
static void test_regression(void **state)
{
    struct xor_options o = xor_defaults(XOR_REGRESSION);
    struct vectors v[XOR_SPLITS];

    (void)state;
    o.strength = 0.6;
    o.count[XOR_TEST] = o.count[XOR_TRAIN] = MANY;
    make(v, &o);
    for (int s = 0; s < XOR_SPLITS; s += 2) {
        struct moments target = {0}, against[2] = {{0}}, product = {0}, shortcut = {0};

        assert_int_equal(v[s].classes, 0);
        assert_int_equal(v[s].targets, 1);
        for (int64_t i = 0; i < MANY; i++) {
            double y = (double)v[s].target[i], value[2] = {0};

            for (int m = 0; m < 2; m++) {
                for (int d = 0; d < 4; d++)
                    value[m] += at(&v[s], m, i, d) / (4 * 2.2);
                add(&against[m], value[m] * y);
            }
            add(&target, y);
            add(&product, y * value[0] * value[1]);
            add(&shortcut, at(&v[s], 0, i, 5) * y);
        }
        assert_true(fabs(mean(&target)) < 5 / sqrt(MANY));
        assert_true(fabs(variance(&target) - 1) < 5 * sqrt(8.0 / MANY)); /* fourth moment 9 */
        for (int m = 0; m < 2; m++)
            assert_true(fabs(mean(&against[m])) < 5 * 2 / sqrt(MANY));
        assert_true(fabs(mean(&product) - 1) < 5 * 3.2 / sqrt(MANY));
        assert_true(fabs(mean(&shortcut) - (s == XOR_TEST ? 0 : 1.3 * 0.6)) < 5 * 3 / sqrt(MANY));
    }
    release(v);
}

/* App. F.2: shares of the sources, fair labels, and what each source's blocks say about the label,
 * by the projected latents themselves: a linear reader of the block that the matrices suggest. */
static void test_pid(void **state)
{
    static const double MIX[] = {0.35, 0.15, 0.2, 0.3};
    struct xor_options o = xor_defaults(XOR_PID);
    struct vectors v[XOR_SPLITS];
    struct moments whole = {0};

    (void)state;
    memcpy(o.mix, MIX, sizeof MIX);
    o.count[XOR_TRAIN] = MANY;
    o.count[XOR_VAL] = MANY / 10;
    o.count[XOR_TEST] = MANY;
    o.seed = 3;
    make(v, &o);
    for (int s = 0; s < XOR_SPLITS; s++) {
        double share[PID_SOURCES] = {0}, ones = 0;

        for (int64_t i = 0; i < v[s].count; i++) {
            share[v[s].source[i]]++;
            ones += v[s].label[i];
            for (int m = 0; m < 2; m++)
                for (int d = 0; d < 32; d++) {
                    int block = d < 18 ? BLOCK_UNIQUE + d / 6 : BLOCK_NOISE;

                    assert_int_equal(v[s].modality[m].block[i * 32 + d], block);
                    assert_int_equal(v[s].modality[m].oracle[i * 32 + d],
                                     block == BLOCK_SYNERGISTIC &&
                                         v[s].source[i] == PID_SYNERGISTIC);
                }
        }
        for (int k = 0; k < PID_SOURCES; k++)
            assert_share(share[k], (double)v[s].count, MIX[k]);
        assert_share(ones, (double)v[s].count, 0.5);
    }
    /* standardised with train and val together */
    for (int s = XOR_TRAIN; s <= XOR_VAL; s++)
        for (int64_t i = 0; i < v[s].count; i++)
            add(&whole, at(&v[s], 1, i, 13));
    assert_true(fabs(mean(&whole)) < 1e-5);
    assert_true(fabs(variance(&whole) * whole.n / (whole.n - 1) - 1) < 1e-4);
    release(v);
}

/* Correlation of coordinate d of modality m with sign, over samples of one source. */
static double correlation(const struct vectors *v, int source, int m, int d, int other)
{
    struct moments x = {0}, xy = {0};

    for (int64_t i = 0; i < v->count; i++) {
        double y = 2 * v->label[i] - 1;

        if (v->source[i] != source)
            continue;
        if (other >= 0) /* the product of two coordinates, for synergy */
            y *= at(v, 1 - m, i, other);
        add(&x, at(v, m, i, d));
        add(&xy, at(v, m, i, d) * y);
    }
    return mean(&xy) / sqrt(variance(&x));
}

static double largest(const struct vectors *v, int source, int m, int first)
{
    double most = 0;

    for (int d = first; d < first + 6; d++)
        most = fmax(most, fabs(correlation(v, source, m, d, -1)));
    return most;
}

static void test_pid_signals(void **state)
{
    struct xor_options o = xor_defaults(XOR_PID);
    struct vectors v[XOR_SPLITS];
    double together = 0;

    (void)state;
    memcpy(o.mix, (double[]){0.25, 0.25, 0.25, 0.25}, sizeof o.mix);
    o.count[XOR_TEST] = 4 * MANY;
    make(v, &o);
    for (int m = 0; m < 2; m++) {
        const struct vectors *t = &v[XOR_TEST];
        double chance = 6 / sqrt(MANY);

        for (int source = 0; source < PID_SOURCES; source++)
            for (int block = 0; block < 3; block++) {
                bool tells = (source == m && block == 0) || (source == PID_REDUNDANT && block == 1);
                double r = largest(t, source, m, 6 * block);

                if (tells ? r < 0.3 : r > chance)
                    fail_msg("source %d, modality %d, block %d: correlation %.4f", source, m, block,
                             r);
            }
        for (int d = 12; d < 18; d++)
            for (int k = 12; k < 18; k++)
                together = fmax(together, fabs(correlation(t, PID_SYNERGISTIC, m, d, k)));
        assert_true(largest(t, PID_SYNERGISTIC, m, 18) < chance);
    }
    assert_true(together > 0.3); /* neither block alone tells the label, both together do */
    release(v);
}

/* The authors' matrices: torch.manual_seed(999), six torch.randn(32, 4) * 0.5. Seen through samples
 * of source unique1: coordinate d is sum over k of P[d][k] 3 |n_k| times the label's sign, so the
 * mean of its product with that sign, over its deviation, follows from row d. */
static void test_pid_projections(void **state)
{
    /* rows 0 and 1 of the first matrix, as PyTorch 2.15 gives them */
    static const double ROWS[2][4] = {{-0.1264, 0.7036, 0.1455, 0.5182},
                                      {-0.4908, -1.7110, 0.7455, 0.1211}};
    struct xor_options o = xor_defaults(XOR_PID);
    struct vectors v[XOR_SPLITS];

    (void)state;
    memcpy(o.mix, (double[]){1, 0, 0, 0}, sizeof o.mix);
    o.count[XOR_TRAIN] = 9 * MANY;
    o.count[XOR_TEST] = 9 * MANY;
    make(v, &o);
    for (int d = 0; d < 2; d++) {
        struct moments with_sign = {0};
        double row = 0, squares = 0, want, step;

        for (int k = 0; k < 4; k++) {
            row += ROWS[d][k];
            squares += ROWS[d][k] * ROWS[d][k];
        }
        step = sqrt(2 / M_PI) * row;
        want = step / sqrt((1 - 2 / M_PI) * squares + step * step);
        for (int64_t i = 0; i < v[XOR_TEST].count; i++)
            add(&with_sign, at(&v[XOR_TEST], 0, i, d) * (2 * v[XOR_TEST].label[i] - 1));
        if (fabs(mean(&with_sign) - want) > 0.01)
            fail_msg("coordinate %d: %.4f, the authors' matrix gives %.4f", d, mean(&with_sign),
                     want);
    }
    release(v);
}

/* A sample depends on its number, split and seed alone. */
static void test_repeatable(void **state)
{
    static const char *const TASKS[] = {"spurious:0.4", "pid:0.1,0.2,0.3,0.4", "regression:2",
                                        "spurious3:1"};
    struct err e = {0};

    (void)state;
    for (size_t k = 0; k < sizeof TASKS / sizeof TASKS[0]; k++) {
        struct xor_options o;
        struct vectors a[XOR_SPLITS], b[XOR_SPLITS], c[XOR_SPLITS];

        ASSERT_OK(xor_parse(&o, TASKS[k], &e), e);
        make(a, &o);
        o.count[XOR_TEST] = 77;
        make(b, &o);
        o.seed = 1;
        make(c, &o);
        for (int s = 0; s < XOR_SPLITS; s++) {
            size_t bytes = 77 * (size_t)a[s].modality[1].dim * sizeof(float);

            assert_memory_equal(a[s].modality[1].x, b[s].modality[1].x, bytes);
            assert_true(memcmp(a[s].modality[1].x, c[s].modality[1].x, bytes) != 0);
            assert_true(memcmp(a[s].modality[0].x, a[(s + 1) % 3].modality[0].x, bytes) != 0);
            assert_true(memcmp(a[s].modality[0].x, a[s].modality[1].x, bytes) != 0);
        }
        release(a);
        release(b);
        release(c);
    }
}

static void test_bad_options(void **state)
{
    static const struct {
        const char *task, *text;
    } BAD[] = {
        {"spurious", "is not of the form"},
        {"spurious:", "strength: ''"},
        {"spurious:-0.1", "strength: '-0.1' is not a number from 0 to 1e+06"},
        {"spurious:nan", "is not a number"},
        {"spurios:1", "did you mean 'spurious'"},
        {"pid:0.5,0.5", "mix: '0.5,0.5' is not four probabilities"},
        {"pid:0.5,0.5,0,0,0", "is not four probabilities"},
        {"pid:0.5,0.5,0.5,0", "sum to 1.5"},
        {"pid:0.5,0.5,0,1e-5", "sum to 1.00001"},
        {"pid:-0.5,1.5,0,0", "mix: '-0.5,1.5,0,0': unique1: '-0.5' is not a number from 0 to 1"},
        {"pid:0.1,0.2,0.3,x", "mix: '0.1,0.2,0.3,x': synergistic: 'x' is not a number"},
        {"regression:1e999", "is not a number"},
        {"spurious:1e300", "strength: '1e300' is not a number from 0 to 1e+06"},
        {"regression:1000001", "strength: '1000001' is not a number from 0 to 1e+06"},
        {"pid@:0.45,0,0.45,0.1", "projection seed: '' is not a whole number"},
        {"pid@-1:0.45,0,0.45,0.1", "projection seed: '-1' is not a whole number"},
        {"pid@4294967296:0.45,0,0.45,0.1", "must be below 2^32"},
        {"a-task-with-a-name-that-no-task-can-have:1", "is not of the form"},
        {"pid:0.4500000000000000000000000000000000000000000000000000000000000000000,0,0.45,0.1",
         "is not four probabilities"},
    };
    struct xor_options o;
    struct err e = {0};

    (void)state;
    for (size_t k = 0; k < sizeof BAD / sizeof BAD[0]; k++)
        ASSERT_FAILS(xor_parse(&o, BAD[k].task, &e), e, ERR_USAGE, BAD[k].text);
    ASSERT_OK(xor_parse(&o, "pid:0.45,0,0.45,0.10", &e), e);
    o.modalities = 3;
    ASSERT_FAILS(xor_check(&o, &e), e, ERR_USAGE, "task pid has 2");
    o = xor_defaults(XOR_SPURIOUS);
    o.count[XOR_VAL] = 0;
    ASSERT_FAILS(xor_check(&o, &e), e, ERR_USAGE, "val: 0 samples");
    o = xor_defaults(XOR_PID);
    o.projection = 1ull << 32;
    ASSERT_FAILS(xor_check(&o, &e), e, ERR_USAGE, "below 2^32");
    o = xor_defaults(XOR_PID);
    o.mix[1] = -0.1;
    ASSERT_FAILS(xor_check(&o, &e), e, ERR_USAGE, "probability -0.1 of unique2: must be in 0..1");
    o.mix[1] = 1.5;
    ASSERT_FAILS(xor_check(&o, &e), e, ERR_USAGE, "probability 1.5 of unique2: must be in 0..1");
    o = xor_defaults(XOR_SPURIOUS);
    o.modalities = 1;
    ASSERT_FAILS(xor_check(&o, &e), e, ERR_USAGE, "modalities 1: must be 2 to 4");
    o.modalities = 5;
    ASSERT_FAILS(xor_check(&o, &e), e, ERR_USAGE, "modalities 5: must be 2 to 4");
    o.modalities = 2;
    o.strength = INFINITY;
    ASSERT_FAILS(xor_check(&o, &e), e, ERR_USAGE, "strength inf: must be 0 to 1000000");
    o.strength = -1;
    struct vectors none[XOR_SPLITS];
    ASSERT_FAILS(xor_make(none, &o, &e), e, ERR_USAGE, "strength -1: must be 0 to 1000000");
}

/* The strongest shortcut is still one that training can read. */
static void test_strongest(void **state)
{
    (void)state;
    for (int task = XOR_SPURIOUS; task <= XOR_REGRESSION; task += XOR_REGRESSION) {
        struct xor_options o = xor_defaults((enum xor_task)task);
        struct vectors v[XOR_SPLITS];
        struct err e = {0};

        o.strength = XOR_STRENGTH_MAX;
        ASSERT_OK(xor_make(v, &o, &e), e);
        for (int s = 0; s < XOR_SPLITS; s++) {
            const struct vector_modality *x = &v[s].modality[0];

            for (int64_t i = 0; i < v[s].count * x->dim; i++)
                assert_true(fabsf(x->x[i]) < 1e9f);
            vectors_free(&v[s]);
        }
    }
}

static void test_parses_and_describes(void **state)
{
    struct xor_options o;
    struct err e = {0};
    char text[256];

    (void)state;
    ASSERT_OK(xor_parse(&o, "spurious4:0.6", &e), e);
    assert_int_equal(o.modalities, 4);
    xor_describe(&o, text, sizeof text);
    assert_string_equal(text, "{\"task\":\"spurious\",\"train\":300,\"val\":120,\"test\":30000,"
                              "\"strength\":0.6,\"modalities\":4}");
    ASSERT_OK(xor_parse(&o, "spurious3:0", &e), e);
    assert_int_equal(o.modalities, 3);
    ASSERT_OK(xor_parse(&o, "pid@7:0.25,0.25,0.25,0.25", &e), e);
    assert_int_equal(o.projection, 7);
    xor_describe(&o, text, sizeof text);
    assert_string_equal(text, "{\"task\":\"pid\",\"train\":1800,\"val\":200,\"test\":4000,"
                              "\"mix\":[0.25,0.25,0.25,0.25],\"projection\":7}");
}

/* Train and val of one sample each: the deviation of two. */
static void test_smallest_pool(void **state)
{
    struct xor_options o = xor_defaults(XOR_PID);
    struct vectors v[XOR_SPLITS];
    struct err e = {0};

    (void)state;
    for (int s = 0; s < XOR_SPLITS; s++)
        o.count[s] = 1;
    ASSERT_OK(xor_make(v, &o, &e), e);
    for (int d = 0; d < v[XOR_TRAIN].modality[0].dim;
         d++) /* standardised: one is minus the other */
        assert_true(fabsf(v[XOR_TRAIN].modality[0].x[d] + v[XOR_VAL].modality[0].x[d]) < 1e-3f);
    for (int s = 0; s < XOR_SPLITS; s++)
        vectors_free(&v[s]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spurious),      cmocka_unit_test(test_spurious_blocks),
        cmocka_unit_test(test_regression),    cmocka_unit_test(test_pid),
        cmocka_unit_test(test_pid_signals),   cmocka_unit_test(test_pid_projections),
        cmocka_unit_test(test_repeatable),    cmocka_unit_test(test_strongest),
        cmocka_unit_test(test_bad_options),   cmocka_unit_test(test_parses_and_describes),
        cmocka_unit_test(test_smallest_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
