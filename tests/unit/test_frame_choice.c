/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "prep/frame_choice.h"
#include "tests/support/cmocka.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FRAMES = 2000 };
static const double FPS = 29.96969696;

/* Time stamps of CREMA-D's kind: 30000/1001 per second in whole milliseconds, from 27 ms on. */
static const int64_t *times(void)
{
    static int64_t ms[MAX_FRAMES];

    for (int i = 0; i < MAX_FRAMES; i++)
        ms[i] = llrint(27 + i * 1001 / 30.0);
    return ms;
}

static struct frame_choice choose(enum frame_grid grid, double fps, int64_t frames, uint64_t seed,
                                  const char *clip)
{
    struct frame_choice c;
    struct err e = {0};

    if (frames_choose(&c, grid, fps, frames, times(), seed, clip, &e) != ERR_OK)
        fail_msg("%lld frames: %s", (long long)frames, e.text);
    return c;
}

static void test_reference_grid(void **state)
{
    struct frame_choice c;

    (void)state;
    /* R section 1.3 and the table of media.md: 29.97 is cut to 29 */
    for (int64_t n = 59; n < 200; n++) {
        c = choose(GRID_REFERENCE, FPS, n, 1, "x");
        assert_true(c.index[0] == 0 && c.index[1] == 29 && c.index[2] == 58 && !c.topped_up);
    }
    c = choose(GRID_REFERENCE, 25.0, 80, 1, "x");
    assert_true(c.index[1] == 25 && c.index[2] == 50);
    c = choose(GRID_REFERENCE, 1.0, 3, 1, "x");
    assert_true(c.index[0] == 0 && c.index[1] == 1 && c.index[2] == 2 && !c.topped_up);
}

static void check_topped_up(struct frame_choice c, int64_t frames, int64_t must)
{
    bool found = false;

    assert_true(c.topped_up);
    for (int k = 0; k < FRAMES_PER_CLIP; k++) {
        assert_true(c.index[k] >= 0 && c.index[k] < frames);
        assert_true(k == 0 || c.index[k] > c.index[k - 1]);
        found = found || c.index[k] == must;
    }
    assert_true(found);
}

static void test_top_up(void **state)
{
    int differs = 0;

    (void)state;
    for (int64_t n = 3; n < 59; n++) {
        struct frame_choice a = choose(GRID_REFERENCE, FPS, n, 4, "1001_DFA_ANG_XX");
        struct frame_choice b = choose(GRID_REFERENCE, FPS, n, 4, "1001_DFA_ANG_XX");
        struct frame_choice c = choose(GRID_REFERENCE, FPS, n, 5, "1001_DFA_ANG_XX");
        struct frame_choice d = choose(GRID_REFERENCE, FPS, n, 4, "1001_DFA_ANG_HI");
        check_topped_up(a, n, 0);
        check_topped_up(a, n, n > 29 ? 29 : 0);
        assert_memory_equal(a.index, b.index, sizeof a.index);
        differs += memcmp(a.index, c.index, sizeof a.index) != 0;
        differs += memcmp(a.index, d.index, sizeof a.index) != 0;
    }
    assert_true(differs > 80); /* of 112: seed and name both matter */
}

/* Every frame that the grid leaves is drawn about equally often. */
static void test_top_up_is_uniform(void **state)
{
    enum { FRAMES = 40, N = 40000 };
    int count[FRAMES] = {0};

    (void)state;
    for (uint64_t seed = 0; seed < N; seed++) {
        struct frame_choice c = choose(GRID_REFERENCE, FPS, FRAMES, seed, "1042_IEO_HAP_LO");
        for (int k = 0; k < FRAMES_PER_CLIP; k++)
            count[c.index[k]]++;
    }
    assert_int_equal(count[0], N);
    assert_int_equal(count[29], N);
    for (int i = 1; i < FRAMES; i++)
        if (i != 29) /* mean 1053, sd 32 */
            assert_in_range(count[i], 1053 - 180, 1053 + 180);
}

/* What `ffmpeg -vf fps=1` of FFmpeg 5.1.9 kept of clips with these time stamps. */
static void test_ffmpeg_fps_grid(void **state)
{
    static const struct {
        int64_t frames;
        int kept;
    } cli[] = {{38, 1}, {44, 1}, {45, 2}, {52, 2}, {60, 2},  {67, 2}, {70, 2},
               {74, 2}, {75, 3}, {77, 3}, {90, 3}, {104, 3}, {135, 3}};

    (void)state;
    for (size_t i = 0; i < sizeof cli / sizeof cli[0]; i++) {
        struct frame_choice c = choose(GRID_FFMPEG_FPS, FPS, cli[i].frames, 0, "x");
        if (c.topped_up != (cli[i].kept < 3))
            fail_msg("%lld frames", (long long)cli[i].frames);
        for (int k = 0; k < cli[i].kept; k++) {
            int64_t want = 14 + 30 * k;
            assert_true(c.index[0] == want || c.index[1] == want || c.index[2] == want);
        }
    }
}

/* Half a second is the next one's: at two frames per second the last of each pair that rounds to a
 * second is taken. */
static void test_half_seconds(void **state)
{
    int64_t ms[8];
    struct frame_choice c;
    struct err e = {0};

    (void)state;
    for (int i = 0; i < 8; i++)
        ms[i] = 500 * i;
    assert_int_equal(frames_choose(&c, GRID_FFMPEG_FPS, 2.0, 8, ms, 0, "x", &e), ERR_OK);
    assert_true(c.index[0] == 0 && c.index[1] == 2 && c.index[2] == 4 && !c.topped_up);
}

static void test_uniform_grid(void **state)
{
    (void)state;
    for (int64_t n = 3; n < 400; n++) {
        struct frame_choice c = choose(GRID_UNIFORM, FPS, n, 0, "x");
        assert_false(c.topped_up);
        for (int k = 0; k < FRAMES_PER_CLIP; k++) {
            assert_int_equal(c.index[k], (2 * k + 1) * n / 6);
            assert_true(k == 0 || c.index[k] > c.index[k - 1]);
        }
    }
}

static void test_refused(void **state)
{
    static const struct {
        int64_t frames;
        double fps;
    } bad[] = {{0, 30}, {1, 30}, {2, 30}, {90, 0}, {90, 0.99}, {90, 1000.5}, {90, NAN}, {90, -30}};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        for (int grid = 0; frame_grid_names[grid] != NULL; grid++) {
            struct frame_choice c;
            struct err e = {0};
            assert_int_equal(frames_choose(&c, (enum frame_grid)grid, bad[i].fps, bad[i].frames,
                                           times(), 0, "x", &e),
                             ERR_DATA);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_grid),    cmocka_unit_test(test_top_up),
        cmocka_unit_test(test_top_up_is_uniform), cmocka_unit_test(test_ffmpeg_fps_grid),
        cmocka_unit_test(test_half_seconds),      cmocka_unit_test(test_uniform_grid),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
