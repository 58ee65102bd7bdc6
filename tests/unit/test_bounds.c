/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "common/data/image.h"
#include "prep/audio.h"
#include "prep/spectrogram.h"
#include "prep/synth_flv.h"
#include "tests/support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Whatever sound or picture comes in, what comes out is finite and within the bounds of its
 * definition. BOUNDS_INPUTS=1000000 is the full form of the first test
 * (docs/reliability/bounds.md). */

enum { CELLS = SPECTROGRAM_BINS * SPECTROGRAM_FRAMES, SEED = 13, SHORT_INPUTS = 1500 };

/* Of the resampler on the worst of these sounds: 2.02 was seen in 57,000 of them. */
static const float OVERSHOOT = 4;

/* The window's sum is 256, so no magnitude is above it; EPS for the rounding of magnitude and
 * logarithm in float. */
static const float LOWEST = -16.11810f, EPS = 2e-6f; /* ln(1e-7) = -16.118096 */

enum sound {
    SILENCE,
    DC,
    FULL_SCALE,
    ALTERNATING,
    CLICK,
    NOISE,
    TINY,
    SQUARE,
    SINE,
    RANDOM_STEPS,
    KINDS
};

static int16_t sample(enum sound kind, struct rng *r, size_t i, size_t n, int level,
                      uint32_t period)
{
    switch (kind) {
    case SILENCE: return 0;
    case DC: return (int16_t)level;
    case FULL_SCALE: return level < 0 ? INT16_MIN : INT16_MAX;
    case ALTERNATING: return i % 2 == 0 ? INT16_MIN : INT16_MAX;
    case CLICK: return i == n / 2 ? (int16_t)level : 0;
    case NOISE: return (int16_t)(uint16_t)rng_u32(r);
    case TINY: return (int16_t)((int)rng_below(r, 3) - 1);
    case SQUARE: return i / period % 2 == 0 ? INT16_MIN : INT16_MAX;
    case SINE: return (int16_t)lrint(32767 * sin(2 * M_PI * (double)i / period));
    default: return (int16_t)(i % period == 0 ? (int)(uint16_t)rng_u32(r) - 32768 : level);
    }
}

static void check_spectrogram(const float *out, const char *what, uint32_t input)
{
    float highest = logf(256.0f + 1e-7f) + EPS;

    for (int i = 0; i < CELLS; i++)
        if (!isfinite(out[i]) || out[i] < LOWEST || out[i] > highest)
            fail_msg("%s, input %u, cell %d: %.9g is not in [%.9g, %.9g]", what, input, i,
                     (double)out[i], (double)LOWEST, (double)highest);
}

struct room {
    struct resampler *r;
    struct spectrogram *s;
    float *out, *pcm;
    int16_t *wav;
};
enum { ROOM_SAMPLES = 60 * 48000 };

static void room_open(struct room *m)
{
    struct err e = {0};

    ASSERT_OK(resampler_new(&m->r, &resampler_cremad, &e), e);
    ASSERT_OK(spectrogram_new(&m->s, &e), e);
    m->out = malloc(CELLS * sizeof *m->out);
    m->pcm = malloc(ROOM_SAMPLES * sizeof *m->pcm);
    m->wav = malloc(2 * ROOM_SAMPLES * sizeof *m->wav);
    assert_true(m->out != NULL && m->pcm != NULL && m->wav != NULL);
}

static void room_close(struct room *m)
{
    resampler_free(m->r);
    spectrogram_free(m->s);
    free(m->out);
    free(m->pcm);
    free(m->wav);
}

/* A WAV file of n samples through the loader. Too short for a spectrogram is an error with a code,
 * anything else gives numbers in bounds. */
static void through_file(struct room *m, enum sound kind, struct rng *r, size_t n, int rate_hz,
                         int channels, uint32_t input)
{
    uint32_t period = 1 + rng_below(r, 300);
    int level = (int)rng_below(r, 65536) - 32768;
    struct buffer w = {0};
    struct audio a;
    struct err e = {0};

    for (size_t i = 0; i < n * (size_t)channels; i++)
        m->wav[i] = sample(kind, r, i / (size_t)channels, n, level, period);
    ASSERT_OK(wav_write(&w, m->wav, n, channels, rate_hz, &e), e);
    ASSERT_OK(audio_load(&a, "t.wav", w.data, w.len, m->r, &e), e);
    assert_int_equal(a.count, (size_t)ceil((double)n * (double)AUDIO_RATE_HZ / rate_hz));
    for (size_t i = 0; i < a.count; i++)
        if (!isfinite(a.pcm[i]) || fabsf(a.pcm[i]) > OVERSHOOT)
            fail_msg("input %u: sample %zu is %g", input, i, (double)a.pcm[i]);
    if (a.count < SPECTROGRAM_MIN_SAMPLES) {
        ASSERT_FAILS(spectrogram_make(m->s, a.pcm, a.count, m->out, &e), e, ERR_DATA, "3 s");
    } else {
        ASSERT_OK(spectrogram_make(m->s, a.pcm, a.count, m->out, &e), e);
        check_spectrogram(m->out, "file", input);
    }
    audio_free(&a);
    buffer_free(&w);
}

/* Samples as a resampler may leave them: beyond full scale, denormal, of any size. */
static void through_samples(struct room *m, enum sound kind, struct rng *r, uint32_t input)
{
    size_t n = SPECTROGRAM_MIN_SAMPLES + rng_below(r, 3000);
    uint32_t period = 1 + rng_below(r, 300);
    int level = (int)rng_below(r, 65536) - 32768;
    float scale = ldexpf(1.0f, (int)rng_below(r, 160) - 150);
    struct err e = {0};

    for (size_t i = 0; i < n; i++)
        m->pcm[i] = (float)sample(kind, r, i, n, level, period) * scale;
    ASSERT_OK(spectrogram_make(m->s, m->pcm, n, m->out, &e), e);
    check_spectrogram(m->out, "samples", input);
}

static void test_spectrogram_in_bounds(void **state)
{
    static const int rates[] = {8000, 16000, 22050, 44100, 48000};
    const char *asked = getenv("BOUNDS_INPUTS");
    uint32_t inputs = asked != NULL ? (uint32_t)strtoul(asked, NULL, 10) : SHORT_INPUTS;
    struct room m;

    (void)state;
    room_open(&m);
    for (uint32_t i = 0; i < inputs; i++) {
        struct rng r = rng_at(SEED, rng_stream("test.bounds"), 0, i);
        enum sound kind = (enum sound)(i % KINDS);
        int rate = rates[i / KINDS % 5];

        if (i / KINDS % 8 == 0)
            through_file(&m, kind, &r, 1 + rng_below(&r, 2 * (uint32_t)rate), rate,
                         1 + (int)(i % 3 == 0), i);
        else
            through_samples(&m, kind, &r, i);
    }
    print_message("%u inputs, seed %d\n", inputs, SEED);
    room_close(&m);
}

/* One sample and the longest clip that is read, of every kind. */
static void test_shortest_and_longest(void **state)
{
    struct room m;

    (void)state;
    room_open(&m);
    for (uint32_t kind = 0; kind < KINDS; kind++) {
        struct rng r = rng_at(SEED, rng_stream("test.lengths"), 0, kind);

        through_file(&m, (enum sound)kind, &r, 1, 22050, 1, kind);
        through_file(&m, (enum sound)kind, &r, 1, 48000, 2, kind);
        through_file(&m, (enum sound)kind, &r, AUDIO_MAX_SECONDS * 22050, 22050, 1, kind);
    }
    for (uint32_t kind = ALTERNATING; kind <= NOISE; kind++) {
        struct rng r = rng_at(SEED, rng_stream("test.lengths"), 1, kind);

        through_file(&m, (enum sound)kind, &r, AUDIO_MAX_SECONDS * 48000, 48000, 2, kind);
    }
    room_close(&m);
}

/* One second more is refused by name. */
static void test_too_long(void **state)
{
    size_t n = (AUDIO_MAX_SECONDS + 1) * 8000;
    int16_t *pcm = calloc(n, sizeof *pcm);
    struct buffer w = {0};
    struct audio a;
    struct err e = {0};

    (void)state;
    assert_non_null(pcm);
    ASSERT_OK(wav_write(&w, pcm, n, 1, 8000, &e), e);
    ASSERT_FAILS(audio_load(&a, "t.wav", w.data, w.len, NULL, &e), e, ERR_DATA,
                 "t.wav: longer than 60 s");
    assert_null(a.pcm);
    buffer_free(&w);
    free(pcm);
}

/* ---- pictures ---- */

/* A picture of one colour stays that colour, whatever its size and the crop. */
static void check_flat(int w, int h, int size, const uint8_t rgb[3])
{
    size_t pixels = (size_t)w * (size_t)h;
    uint8_t *picture = malloc(pixels * 3);
    float *out = malloc(3 * (size_t)size * (size_t)size * sizeof *out);
    struct image_loader *l = NULL;
    struct err e = {0};

    assert_true(picture != NULL && out != NULL);
    for (size_t i = 0; i < pixels * 3; i++)
        picture[i] = rgb[i % 3];
    ASSERT_OK(image_loader_new(&l, size, &image_norm_imagenet, &e), e);
    for (int flip = 0; flip < 2; flip++) {
        struct image_crop crop = image_crop_whole(w, h);

        crop.flip = flip != 0;
        ASSERT_OK(image_from_rgb(l, picture, (size_t)w * 3, &crop, out, &e), e);
        for (int c = 0; c < 3; c++) {
            float want =
                ((float)rgb[c] / 255 - image_norm_imagenet.mean[c]) / image_norm_imagenet.std[c];
            for (int i = 0; i < size * size; i++) {
                float got = out[c * size * size + i];
                if (!(fabsf(got - want) < 1e-5f))
                    fail_msg("%d x %d to %d, plane %d, %d: %g, not %g", w, h, size, c, i,
                             (double)got, (double)want);
            }
        }
    }
    image_loader_free(l);
    free(out);
    free(picture);
}

static void test_flat_pictures(void **state)
{
    static const int sizes[][3] = {
        {1, 1, 1},    {1, 1, 224},     {1, 1, IMAGE_MAX_SIZE}, {1, 300, 32},
        {300, 1, 32}, {2, 3, 7},       {480, 360, 224},        {4096, 1, 8},
        {1, 4096, 8}, {1920, 1088, 1}, {1920, 1088, 224},      {1920, 1088, IMAGE_MAX_SIZE}};
    static const uint8_t colours[][3] = {{0, 0, 0}, {255, 255, 255}, {255, 0, 1}};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t c = 0; c < sizeof colours / sizeof colours[0]; c++)
            check_flat(sizes[i][0], sizes[i][1], sizes[i][2], colours[c]);
}

/* Noise in any rectangle of any picture stays between the smallest and largest level. */
static void test_noise_pictures(void **state)
{
    enum { SIDE = 90, SIZE = 24, ROUNDS = 400 };
    static uint8_t rgb[SIDE * SIDE * 3];
    static float out[3 * SIZE * SIZE];
    struct rng r = rng_at(SEED, rng_stream("test.pictures"), 0, 0);
    struct image_loader *l = NULL;
    struct err e = {0};

    (void)state;
    ASSERT_OK(image_loader_new(&l, SIZE, &image_norm_imagenet, &e), e);
    for (int round = 0; round < ROUNDS; round++) {
        int w = 1 + (int)rng_below(&r, SIDE), h = 1 + (int)rng_below(&r, SIDE);
        struct image_crop crop = image_crop_random(&r, w, h);

        for (size_t i = 0; i < (size_t)w * (size_t)h * 3; i++)
            rgb[i] = round % 2 != 0 ? (uint8_t)rng_u32(&r) : (uint8_t)(rng_below(&r, 2) * 255);
        ASSERT_OK(image_from_rgb(l, rgb, (size_t)w * 3, &crop, out, &e), e);
        for (int i = 0; i < 3 * SIZE * SIZE; i++) {
            int c = i / (SIZE * SIZE);
            float low = (0 - image_norm_imagenet.mean[c]) / image_norm_imagenet.std[c];
            float high = (1 - image_norm_imagenet.mean[c]) / image_norm_imagenet.std[c];
            if (!(out[i] >= low - 1e-5f && out[i] <= high + 1e-5f))
                fail_msg("round %d, %d x %d, %d: %g", round, w, h, i, (double)out[i]);
        }
    }
    image_loader_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spectrogram_in_bounds),
        cmocka_unit_test(test_shortest_and_longest),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_flat_pictures),
        cmocka_unit_test(test_noise_pictures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
