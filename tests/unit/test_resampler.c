/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "prep/resampler.h"
#include "tests/support/check.h"
#include "tests/support/cmocka.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <soxr.h>

enum { FROM = 16000, TO = 22050, MOST = 60000, OUT = 90000, SEED = 5 };

static float pcm[MOST], want[OUT], got[OUT];

/* Full scale from the first sample to the last: the hardest beginning and end. */
static void noise(size_t n, uint32_t clip)
{
    struct rng r = rng_at(SEED, rng_stream("test.resampler"), 0, clip);

    for (size_t i = 0; i < n; i++)
        pcm[i] = 2 * rng_float(&r) - 1;
}

static size_t reference(size_t n, uint32_t from_hz, size_t wanted)
{
    soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
    size_t done = 0;

    memset(want, 0, sizeof want);
    assert_null(
        soxr_oneshot(from_hz, TO, 1, pcm, n, NULL, want, wanted, &done, NULL, &quality, NULL));
    return done;
}

static void run(struct resampler *r, size_t n, uint32_t from_hz, size_t wanted)
{
    struct err e = {0};

    memset(got, 0xff, sizeof got);
    ASSERT_OK(resampler_run(r, pcm, n, from_hz, got, wanted, &e), e);
}

/* From `head` on the bits of one call; before that the same numbers. */
static void compare(size_t n, size_t wanted, size_t head)
{
    for (size_t i = 0; i < wanted; i++)
        if (i < head ? !(fabsf(got[i] - want[i]) < 1e-6F)
                     : memcmp(&got[i], &want[i], sizeof *got) != 0)
            fail_msg("%zu samples, output %zu of %zu: %.9g, not %.9g", n, i, wanted, (double)got[i],
                     (double)want[i]);
}

static struct resampler *made(const struct resampler_grid *grid)
{
    struct resampler *r;
    struct err e = {0};

    ASSERT_OK(resampler_new(&r, grid, &e), e);
    return r;
}

static void check(struct resampler *r, size_t n, uint32_t clip, size_t wanted, size_t head)
{
    noise(n, clip);
    (void)reference(n, FROM, wanted);
    run(r, n, FROM, wanted);
    compare(n, wanted, head);
}

static void test_clip_after_clip(void **state)
{
    const struct resampler_grid *g = &resampler_cremad;
    const size_t edges[] = {1,
                            2,
                            119,
                            120,
                            121,
                            819,
                            820,
                            821,
                            2048,
                            2049,
                            g->period - g->gap - 1,
                            g->period - g->gap,
                            g->period - g->gap + 1,
                            g->period,
                            3 * g->period - g->gap,
                            58191};
    struct resampler *r = made(g);
    struct rng rng = rng_at(SEED, rng_stream("test.lengths"), 0, 0);

    (void)state;
    assert_false(resampler_streams(r));
    for (uint32_t i = 0; i < 60; i++) {
        size_t n = i < sizeof edges / sizeof *edges ? edges[i] : 1 + rng_below(&rng, MOST - 1);

        check(r, n, i, (size_t)ceil((double)n * ((double)TO / FROM)), g->head);
    }
    assert_true(resampler_streams(r)); /* this libsoxr is the one that the grid is of */
    resampler_free(r);
}

/* Which samples are libsoxr's and which are the zeros behind them. */
static void test_end_of_clip(void **state)
{
    struct resampler *r = made(&resampler_cremad);

    (void)state;
    for (size_t n = 1; n <= 700; n++) {
        size_t wanted = n * 2 + 10, done;

        noise(n, (uint32_t)n);
        done = reference(n, FROM, wanted);
        assert_true(done < wanted);
        run(r, n, FROM, wanted);
        compare(n, wanted, resampler_cremad.head);
        assert_true(got[done] == 0);
    }
    check(r, 30000, 0, 12345, resampler_cremad.head); /* less than there is */
    check(r, 30000, 1, 0, 0);
    check(r, 30000, 2, 41344, resampler_cremad.head); /* and the next clip is itself again */
    resampler_free(r);
}

static void test_clips_before_do_not_matter(void **state)
{
    static float alone[OUT];
    struct resampler *r = made(&resampler_cremad);

    (void)state;
    noise(40000, 0);
    run(r, 40000, FROM, 55125);
    memcpy(alone, got, sizeof alone);
    for (uint32_t i = 1; i < 20; i++) {
        noise(i * 2999, i);
        run(r, i * 2999, i % 3 == 0 ? 44100 : FROM, i * 500);
        noise(40000, 0);
        run(r, 40000, FROM, 55125);
        assert_memory_equal(alone, got, sizeof alone);
    }
    resampler_free(r);
}

/* Another libsoxr: every clip by a call of its own, to the last bit. */
static void test_other_grid(void **state)
{
    struct resampler_grid wrong[6];
    struct resampler *r;

    (void)state;
    for (int i = 0; i < 6; i++)
        wrong[i] = resampler_cremad;
    wrong[0].period -= 320; /* the phases repeat, the blocks do not */
    wrong[1].period -= 820; /* the blocks repeat, the phases do not */
    wrong[2].head = 4;
    wrong[3].gap = 400; /* the end does not come out */
    wrong[4].reach = 20;
    wrong[5].gap = 0;
    for (int i = 0; i < 6; i++) {
        r = made(&wrong[i]);
        check(r, 30000, 0, 41344, 0);
        check(r, 20000, 1, 27563, 0);
        if (resampler_streams(r))
            fail_msg("grid %d was taken for libsoxr's", i);
        resampler_free(r);
    }
}

static void test_other_rates(void **state)
{
    static const uint32_t rates[] = {8000, 11025, 44100, 48000};
    struct resampler *r = made(&resampler_cremad);

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        size_t wanted = (size_t)ceil(10001 * ((double)TO / rates[i]));

        noise(10001, (uint32_t)i);
        (void)reference(10001, rates[i], wanted);
        run(r, 10001, rates[i], wanted);
        compare(10001, wanted, 0);
        assert_false(resampler_streams(r));
    }
    resampler_free(r);
    resampler_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clip_after_clip),
        cmocka_unit_test(test_end_of_clip),
        cmocka_unit_test(test_clips_before_do_not_matter),
        cmocka_unit_test(test_other_grid),
        cmocka_unit_test(test_other_rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
