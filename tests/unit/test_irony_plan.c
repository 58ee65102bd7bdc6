/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "prep/irony_plan.h"
#include "tests/support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MANIFESTS SOURCE_DIR "/manifests"

enum { MAX_CLIPS = 120 };

/* R section 2 in words: HAP against SAD FEA DIS ANG both ways, NEU gets anything but NEU. */
static bool contradicts(int base, int donor)
{
    if (base == 0)
        return donor != 0;
    if (base == 1)
        return donor >= 2;
    return donor == 1;
}

static struct contradiction shipped_map(void)
{
    struct contradiction map;
    struct err e = {0};

    ASSERT_OK(contradiction_read(&map, MANIFESTS, &e), e);
    return map;
}

static void test_map(void **state)
{
    struct contradiction map = shipped_map();

    (void)state;
    for (int b = 0; b < N_EMOTIONS; b++)
        for (int d = 0; d < N_EMOTIONS; d++)
            assert_int_equal(map.allowed[b][d], contradicts(b, d));
}

/* Python's round(): halves to even, written out apart from rint(). */
static size_t round_half_even(double x)
{
    double low = floor(x);
    double part = x - low;

    if (part > 0.5 || (part == 0.5 && fmod(low, 2.0) != 0.0))
        low += 1.0;
    return (size_t)low;
}

/* Random clips; every label of 0..labels-1 occurs. */
static size_t make_clips(struct plan_clip *clips, struct rng *r, int labels)
{
    size_t n = (size_t)labels + rng_below(r, MAX_CLIPS - 6);

    for (size_t i = 0; i < n; i++)
        clips[i] = (struct plan_clip){
            .label = i < (size_t)labels ? (int32_t)i : (int32_t)rng_below(r, (uint32_t)labels),
            .actor = 1001 + (int32_t)rng_below(r, 4),
            .sentence = (int32_t)rng_below(r, 3),
        };
    return n;
}

static void check_donors(const struct irony_plan *plan, const struct plan_clip *clips,
                         const struct plan_options *opt)
{
    size_t mutated = 0, fallbacks = 0;

    for (size_t i = 0; i < plan->n; i++) {
        int64_t d = plan->donor[i];

        fallbacks += plan->fell_back[i];
        if (d < 0) {
            assert_int_equal(irony_plan_label(plan, clips, i), clips[i].label);
            assert_false(plan->fell_back[i]);
            continue;
        }
        mutated++;
        assert_int_equal(irony_plan_label(plan, clips, i), LABEL_IRONY);
        assert_in_range(d, 0, plan->n - 1);
        assert_true((size_t)d != i);
        assert_true(contradicts(clips[i].label, clips[d].label));
        if (opt->rule == DONORS_SAME_ACTOR && !plan->fell_back[i])
            assert_int_equal(clips[d].actor, clips[i].actor);
        if (opt->rule == DONORS_SAME_SENTENCE && !plan->fell_back[i])
            assert_int_equal(clips[d].sentence, clips[i].sentence);
    }
    assert_int_equal(mutated, plan->mutated);
    assert_int_equal(fallbacks, plan->fallbacks);
}

/* The bases of the smaller rate are a prefix of those of the larger, with the same donors. */
static void check_prefix(const struct irony_plan *small, const struct irony_plan *large)
{
    assert_true(small->mutated <= large->mutated);
    for (size_t b = 0; b < small->mutated; b++) {
        assert_int_equal(small->base[b], large->base[b]);
        assert_int_equal(small->donor[small->base[b]], large->donor[large->base[b]]);
    }
}

static void test_properties(void **state)
{
    static struct plan_clip clips[MAX_CLIPS];
    struct contradiction map = shipped_map();

    (void)state;
    for (uint32_t trial = 0; trial < 10000; trial++) {
        struct rng r = rng_at(11, rng_stream("test.plan"), 0, trial);
        struct plan_options opt = {.map = map, .seed = rng_u32(&r), .fallback = true};
        int labels = 3 + (int)rng_below(&r, 4);
        size_t n = make_clips(clips, &r, labels);
        double rates[2] = {3.0 * rng_double(&r), 0.0};
        struct irony_plan plan[2];
        struct err e = {0};

        opt.rule = (enum donor_rule)rng_below(&r, 3);
        rates[1] = rates[0] + 4.0 * rng_double(&r);
        for (int k = 0; k < 2; k++) {
            size_t want = round_half_even(rates[k] * ((double)n / labels));

            opt.rate = rates[k];
            ASSERT_OK(irony_plan_make(&plan[k], clips, n, &opt, &e), e);
            assert_int_equal(plan[k].n, n);
            assert_int_equal(plan[k].mutated, want < n ? want : n);
            check_donors(&plan[k], clips, &opt);
        }
        check_prefix(&plan[0], &plan[1]);
        irony_plan_free(&plan[0]);
        irony_plan_free(&plan[1]);
    }
}

/* The candidates written out as R section 2 says them. */
static void test_by_definition(void **state)
{
    static struct plan_clip clips[MAX_CLIPS];
    struct rng r = rng_at(5, rng_stream("test.plan.definition"), 0, 0);
    struct plan_options opt = {.rate = 2.5, .seed = 337, .map = shipped_map()};
    size_t n = make_clips(clips, &r, 6);
    struct irony_plan plan;
    struct err e = {0};

    (void)state;
    ASSERT_OK(irony_plan_make(&plan, clips, n, &opt, &e), e);
    for (size_t b = 0; b < plan.mutated; b++) {
        size_t i = plan.base[b], candidates[MAX_CLIPS], m = 0;
        struct mt19937 g;

        for (size_t j = 0; j < n; j++)
            if (j != i && contradicts(clips[i].label, clips[j].label))
                candidates[m++] = j;
        mt19937_seed(&g, (uint32_t)(337 + i));
        assert_int_equal(plan.donor[i], candidates[mt19937_u32(&g) % m]);
    }
    irony_plan_free(&plan);
}

/* Donors are uniform over the candidates: chi-square over 600 seeds, for bases of each emotion. */
static void test_uniform_donors(void **state)
{
    enum { N = 60, SEEDS = 600 };
    struct plan_options opt = {.rate = 6.0, .map = shipped_map()};
    static int hits[N][N];
    struct plan_clip clips[N];
    struct err e = {0};

    (void)state;
    memset(hits, 0, sizeof hits);
    for (int i = 0; i < N; i++)
        clips[i] = (struct plan_clip){.label = i % 6, .actor = 1001};
    /* Seeds far apart: base i draws from seed + i, so neighbours would share their donors. */
    for (int s = 0; s < SEEDS; s++) {
        struct irony_plan plan;

        opt.seed = (uint64_t)s * 1000;
        ASSERT_OK(irony_plan_make(&plan, clips, N, &opt, &e), e);
        assert_int_equal(plan.mutated, N);
        for (int i = 0; i < N; i++)
            hits[i][plan.donor[i]]++;
        irony_plan_free(&plan);
    }
    for (int i = 0; i < N; i++) {
        double chi = 0.0, expected;
        int m = 0;

        for (int j = 0; j < N; j++)
            m += j != i && contradicts(clips[i].label, clips[j].label);
        expected = (double)SEEDS / m;
        for (int j = 0; j < N; j++)
            if (j != i && contradicts(clips[i].label, clips[j].label))
                chi += (hits[i][j] - expected) * (hits[i][j] - expected) / expected;
        /* Wilson-Hilferty: 4.5 standard deviations, 60 tests of fixed seeds. */
        {
            double k = m - 1, z = (cbrt(chi / k) - (1 - 2 / (9 * k))) / sqrt(2 / (9 * k));

            if (fabs(z) > 4.5)
                fail_msg("base %d: chi-square %.1f over %d donors (z %.2f)", i, chi, m, z);
        }
    }
}

static void test_orphans(void **state)
{
    const struct plan_clip clips[] = {{0, 1001, 0}, {0, 1001, 0}, {1, 1002, 1}, {2, 1003, 2}};
    struct plan_options opt = {.rate = 9.0, .map = shipped_map(), .rule = DONORS_SAME_ACTOR};
    struct irony_plan plan;
    struct err e = {0};

    (void)state;
    ASSERT_FAILS(irony_plan_make(&plan, clips, 4, &opt, &e), e, ERR_DATA,
                 "4 of 4 base clips have no donor under 'same-actor'");
    assert_null(plan.donor);
    opt.fallback = true;
    ASSERT_OK(irony_plan_make(&plan, clips, 4, &opt, &e), e);
    assert_int_equal(plan.fallbacks, 4);
    irony_plan_free(&plan);
    /* Two neutral clips alone contradict nothing, and no fallback can help. */
    ASSERT_FAILS(irony_plan_make(&plan, clips, 2, &opt, &e), e, ERR_DATA, "have no donor");
    opt.rule = DONORS_REFERENCE;
    ASSERT_FAILS(irony_plan_make(&plan, clips, 2, &opt, &e), e, ERR_DATA,
                 "2 of 2 base clips have no donor under 'reference' (base positions");
}

/* ---- matched swaps ---- */

/* As make_clips, with two clips of every label at least: no matched clip is without a donor. */
static size_t make_pairs(struct plan_clip *clips, struct rng *r, int labels)
{
    size_t n = make_clips(clips, r, labels);

    for (int l = 0; l < labels; l++)
        clips[n++] = (struct plan_clip){.label = l, .actor = 1001, .sentence = 0};
    return n;
}

static bool obeys(enum donor_rule rule, const struct plan_clip *a, const struct plan_clip *b)
{
    return rule == DONORS_REFERENCE || (rule == DONORS_SAME_ACTOR && a->actor == b->actor) ||
           (rule == DONORS_SAME_SENTENCE && a->sentence == b->sentence);
}

/* Every matched swap is one, and everything else is as in `plain`, the plan without them. */
static void check_matched(const struct irony_plan *plan, const struct irony_plan *plain,
                          const struct plan_clip *clips, const struct plan_options *opt)
{
    size_t matched = 0, fallbacks = 0;

    assert_int_equal(plan->mutated, plain->mutated);
    assert_memory_equal(plan->base, plain->base, plan->mutated * sizeof *plan->base);
    assert_int_equal(plan->fallbacks, plain->fallbacks);
    for (size_t i = 0; i < plan->n; i++) {
        int64_t d = plan->donor[i];

        if (!plan->is_matched[i]) {
            assert_int_equal(d, plain->donor[i]);
            assert_int_equal(plan->fell_back[i], plain->fell_back[i]);
            continue;
        }
        matched++;
        fallbacks += plan->fell_back[i];
        assert_int_equal(plain->donor[i], -1); /* no irony */
        assert_int_equal(irony_plan_label(plan, clips, i), clips[i].label);
        assert_in_range(d, 0, plan->n - 1);
        assert_true((size_t)d != i);
        assert_int_equal(clips[d].label, clips[i].label);
        assert_true(plan->fell_back[i] != obeys(opt->matched_rule, &clips[i], &clips[d]));
    }
    assert_int_equal(matched, plan->matched);
    assert_int_equal(fallbacks, plan->matched_fallbacks);
}

static void test_matched_properties(void **state)
{
    static struct plan_clip clips[2 * MAX_CLIPS];
    size_t fallbacks = 0;

    (void)state;
    for (uint32_t trial = 0; trial < 3000; trial++) {
        struct rng r = rng_at(12, rng_stream("test.plan"), 0, trial);
        struct plan_options opt = {.map = shipped_map(), .seed = rng_u32(&r), .fallback = true};
        int labels = 3 + (int)rng_below(&r, 4);
        size_t n = make_pairs(clips, &r, labels), left;
        double rates[2] = {2.0 * rng_double(&r) + 0.01, 0.0};
        struct irony_plan plain, plan[2];
        struct err e = {0};

        opt.rate = 3.0 * rng_double(&r);
        opt.rule = (enum donor_rule)rng_below(&r, 3);
        opt.matched_rule = (enum donor_rule)rng_below(&r, 3);
        rates[1] = rates[0] + 4.0 * rng_double(&r);
        ASSERT_OK(irony_plan_make(&plain, clips, n, &opt, &e), e);
        assert_int_equal(plain.matched, 0);
        left = n - plain.mutated;
        for (int k = 0; k < 2; k++) {
            size_t want = round_half_even(rates[k] * ((double)n / labels));

            opt.matched_rate = rates[k];
            ASSERT_OK(irony_plan_make(&plan[k], clips, n, &opt, &e), e);
            assert_int_equal(plan[k].matched, want < left ? want : left);
            check_matched(&plan[k], &plain, clips, &opt);
        }
        for (size_t i = 0; i < n; i++)
            if (plan[0].is_matched[i]) { /* those of the smaller rate are among the larger's */
                assert_true(plan[1].is_matched[i]);
                assert_int_equal(plan[0].donor[i], plan[1].donor[i]);
            }
        fallbacks += plan[1].matched_fallbacks;
        irony_plan_free(&plain);
        irony_plan_free(&plan[0]);
        irony_plan_free(&plan[1]);
    }
    assert_true(fallbacks > 0); /* both sides were seen */
}

/* Over many seeds every clip is as likely to be swapped, and gets each of its donors as often. */
static void test_matched_uniform(void **state)
{
    enum { N = 24, SEEDS = 4000 };
    struct plan_options opt = {
        .matched_rate = 3.0, .matched_rule = DONORS_REFERENCE, .map = shipped_map()};
    static int chosen[N], hits[N][N];
    struct plan_clip clips[N];
    struct err e = {0};

    (void)state;
    for (int i = 0; i < N; i++)
        clips[i] = (struct plan_clip){.label = i % 6, .actor = 1001};
    for (int s = 0; s < SEEDS; s++) {
        struct irony_plan plan;

        opt.seed = (uint64_t)s; /* neighbouring seeds are independent here */
        ASSERT_OK(irony_plan_make(&plan, clips, N, &opt, &e), e);
        assert_int_equal(plan.matched, N / 2);
        for (int i = 0; i < N; i++)
            if (plan.is_matched[i]) {
                chosen[i]++;
                hits[i][plan.donor[i]]++;
            }
        irony_plan_free(&plan);
    }
    for (int i = 0; i < N; i++) {
        /* Five standard deviations of a binomial: 4000 of 1/2, then about 2000 of 1/3. */
        if (abs(chosen[i] - SEEDS / 2) > 158)
            fail_msg("clip %d was swapped %d times of %d", i, chosen[i], SEEDS);
        for (int d = 0; d < N; d++)
            if (d != i && d % 6 == i % 6 && fabs(hits[i][d] - chosen[i] / 3.0) > 105)
                fail_msg("clip %d got donor %d %d times of %d", i, d, hits[i][d], chosen[i]);
    }
}

static void test_matched_orphans(void **state)
{
    /* Two clips each of neutral and happy, by other actors; one sad. */
    const struct plan_clip clips[] = {
        {0, 1001, 0}, {0, 1002, 0}, {1, 1001, 1}, {1, 1002, 1}, {2, 1003, 2}};
    struct plan_options opt = {
        .matched_rate = 9.0, .matched_rule = DONORS_SAME_ACTOR, .map = shipped_map()};
    struct irony_plan plan;
    struct err e = {0};

    (void)state;
    ASSERT_FAILS(irony_plan_make(&plan, clips, 5, &opt, &e), e, ERR_DATA,
                 "5 of 5 matched clips have no donor under 'same-actor' (matched positions 0 1 2 3 "
                 "4): pass --donor-fallback or lower --matched");
    assert_null(plan.is_matched);
    opt.fallback = true;
    ASSERT_FAILS(irony_plan_make(&plan, clips, 5, &opt, &e), e, ERR_DATA,
                 "1 of 5 matched clips have no donor under 'same-actor' nor any other (matched "
                 "positions 4): lower --matched or add clips");
    ASSERT_OK(irony_plan_make(&plan, clips, 4, &opt, &e), e);
    assert_int_equal(plan.matched_fallbacks, 4);
    assert_int_equal(plan.fallbacks, 0);
    assert_int_equal(plan.donor[2], 3);
    irony_plan_free(&plan);
    opt.matched_rate = -1.0;
    ASSERT_FAILS(irony_plan_make(&plan, clips, 4, &opt, &e), e, ERR_USAGE, "--matched: -1");
    opt.matched_rate = NAN;
    ASSERT_FAILS(irony_plan_make(&plan, clips, 4, &opt, &e), e, ERR_USAGE, "--matched");
}

static void test_edges(void **state)
{
    const struct plan_clip clips[] = {{1, 1001, 0}, {2, 1001, 0}, {7, 1001, 0}};
    struct plan_options opt = {.rate = 0.5, .map = shipped_map()};
    struct irony_plan plan;
    struct err e = {0};

    (void)state;
    /* n 2, C 2: target 1; 0.5 rounds to the even 0, 1.5 to 2. */
    ASSERT_OK(irony_plan_make(&plan, clips, 2, &opt, &e), e);
    assert_int_equal(plan.mutated, 0);
    irony_plan_free(&plan);
    opt.rate = 1.5;
    ASSERT_OK(irony_plan_make(&plan, clips, 2, &opt, &e), e);
    assert_int_equal(plan.mutated, 2);
    assert_int_equal(plan.donor[0], 1);
    assert_int_equal(plan.donor[1], 0);
    irony_plan_free(&plan);
    ASSERT_OK(irony_plan_make(&plan, clips, 0, &opt, &e), e);
    assert_int_equal(plan.mutated, 0);
    irony_plan_free(&plan);
    ASSERT_FAILS(irony_plan_make(&plan, clips, 3, &opt, &e), e, ERR_DATA, "label 7 at position 2");
    opt.rate = -0.5;
    ASSERT_FAILS(irony_plan_make(&plan, clips, 2, &opt, &e), e, ERR_USAGE, "--rate: -0.5");
    opt.rate = NAN;
    ASSERT_FAILS(irony_plan_make(&plan, clips, 2, &opt, &e), e, ERR_USAGE, "--rate");
    opt.rate = 1.0;
    opt.seed = (uint64_t)UINT32_MAX + 1;
    ASSERT_FAILS(irony_plan_make(&plan, clips, 2, &opt, &e), e, ERR_USAGE, "--seed: 4294967296");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_properties),
        cmocka_unit_test(test_by_definition),
        cmocka_unit_test(test_uniform_donors),
        cmocka_unit_test(test_orphans),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_matched_properties),
        cmocka_unit_test(test_matched_uniform),
        cmocka_unit_test(test_matched_orphans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
