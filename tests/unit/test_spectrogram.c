/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "prep/audio.h"
#include "prep/spectrogram.h"
#include "prep/synth_flv.h"
#include "tests/support/cmocka.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CELLS = SPECTROGRAM_BINS * SPECTROGRAM_FRAMES, SEED = 9 };

/* One cell by the definition, in double. */
static double cell(const float *pcm, size_t n, int bin, int frame)
{
    double re = 0, im = 0;

    for (int i = 0; i < SPECTROGRAM_FFT; i++) {
        long at = (long)frame * SPECTROGRAM_HOP + i - SPECTROGRAM_FFT / 2;
        double window = 0.5 * (1 - cos(2 * M_PI * i / SPECTROGRAM_FFT)), x = 0;
        if (at >= 0 && at < SPECTROGRAM_SAMPLES)
            x = fmin(fmax(pcm[(size_t)at % n], -1), 1);
        re += window * x * cos(2 * M_PI * bin * i / SPECTROGRAM_FFT);
        im -= window * x * sin(2 * M_PI * bin * i / SPECTROGRAM_FFT);
    }
    return log(hypot(re, im) + 1e-7);
}

static void test_against_definition(void **state)
{
    static const size_t lengths[] = {SPECTROGRAM_MIN_SAMPLES, 30001, 66150, 90000};
    float *out = malloc(CELLS * sizeof *out), *pcm = malloc(90000 * sizeof *pcm);
    struct spectrogram *s;
    struct err e = {0};

    (void)state;
    assert_true(out != NULL && pcm != NULL);
    assert_int_equal(spectrogram_new(&s, &e), ERR_OK);
    for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
        struct rng r = rng_at(SEED, rng_stream("test.pcm"), 0, (uint32_t)l);
        for (size_t i = 0; i < lengths[l]; i++) /* loud, quiet and beyond full scale */
            pcm[i] = (float)((0.7 * sin(0.05 * (double)i) + 0.6 * sin(0.9 * (double)i)) *
                             (i % 20000 < 10000 ? 1.0 : 1e-3)) +
                     rng_float(&r) * 1e-3f;
        assert_int_equal(spectrogram_make(s, pcm, lengths[l], out, &e), ERR_OK);
        for (int k = 0; k < 400; k++) {
            int bin = (int)rng_below(&r, SPECTROGRAM_BINS);
            int frame = (int)rng_below(&r, SPECTROGRAM_FRAMES);
            double want = cell(pcm, lengths[l], bin, frame);
            double got = out[bin * SPECTROGRAM_FRAMES + frame];
            if (!(fabs(got - want) < 2e-6))
                fail_msg("n %zu bin %d frame %d: %.8f, not %.8f", lengths[l], bin, frame, got,
                         want);
        }
    }
    spectrogram_free(s);
    free(pcm);
    free(out);
}

/* Silence, full scale and a single click stay finite and within the bounds of the definition:
 * ln(1e-7) below, ln of the window's sum (256) above. */
static void test_bounds(void **state)
{
    float *out = malloc(CELLS * sizeof *out), *pcm = calloc(30000, sizeof *pcm);
    struct spectrogram *s;
    struct err e = {0};

    (void)state;
    assert_true(out != NULL && pcm != NULL);
    assert_int_equal(spectrogram_new(&s, &e), ERR_OK);
    for (int kind = 0; kind < 4; kind++) {
        for (int i = 0; i < 30000; i++)
            pcm[i] = kind == 0   ? 0.0f
                     : kind == 1 ? 1.0f
                     : kind == 2 ? (i == 700 ? 1.0f : 0.0f)
                                 : (i % 2 ? 1e30f : -1e30f);
        assert_int_equal(spectrogram_make(s, pcm, 30000, out, &e), ERR_OK);
        for (int i = 0; i < CELLS; i++)
            assert_true(out[i] >= -16.1181f && out[i] <= logf(256.0f) + 1e-5f);
        if (kind == 0)
            for (int i = 0; i < CELLS; i++)
                assert_true(out[i] == out[0]);
    }
    spectrogram_free(s);
    free(pcm);
    free(out);
}

static void test_too_short(void **state)
{
    static float out[CELLS], pcm[SPECTROGRAM_MIN_SAMPLES];
    struct spectrogram *s;
    struct err e = {0};

    (void)state;
    assert_int_equal(spectrogram_new(&s, &e), ERR_OK);
    assert_int_equal(spectrogram_make(s, pcm, SPECTROGRAM_MIN_SAMPLES - 1, out, &e), ERR_DATA);
    err_clear(&e);
    assert_int_equal(spectrogram_make(s, pcm, 0, out, &e), ERR_DATA);
    spectrogram_free(s);
    spectrogram_free(NULL);
}

/* ---- audio_load ---- */

static struct resampler *resampler; /* of all tests */

static int open_resampler(void **state)
{
    (void)state;
    return resampler_new(&resampler, &resampler_cremad, &(struct err){0}) != ERR_OK;
}

static int close_resampler(void **state)
{
    (void)state;
    resampler_free(resampler);
    return 0;
}

static void wav_make(struct buffer *w, int rate_hz, int channels, const int16_t *pcm, size_t n)
{
    *w = (struct buffer){0};
    assert_int_equal(wav_write(w, pcm, n, channels, rate_hz, &(struct err){0}), ERR_OK);
}

static void load(struct audio *a, const struct buffer *w)
{
    struct err e = {0};

    if (audio_load(a, "test.wav", w->data, w->len, resampler, &e) != ERR_OK)
        fail_msg("%s", e.text);
}

static void test_load_without_resampling(void **state)
{
    static const int16_t stereo[] = {0, 0, 100, 300, -32768, -32768, 32767, -32768};
    struct buffer w;
    struct audio a;

    (void)state;
    wav_make(&w, 22050, 2, stereo, 4);
    load(&a, &w);
    assert_int_equal(a.count, 4);
    assert_true(a.pcm[0] == 0 && a.pcm[1] == 200 / 32768.0f && a.pcm[2] == -1);
    assert_true(a.pcm[3] == -0.5f / 32768 && !a.silent);
    audio_free(&a);
    buffer_free(&w);
}

/* A tone keeps its pitch and level; the length is librosa's ceil(n * 22050 / rate). */
static void test_resampling(void **state)
{
    static const int rates[] = {8000, 16000, 44100, 48000};
    enum { N = 16001 };
    int16_t *pcm = calloc(N, sizeof *pcm);

    (void)state;
    assert_non_null(pcm);
    for (size_t k = 0; k < 4; k++) {
        struct buffer w;
        struct audio a;
        double worst = 0;
        for (int i = 0; i < N; i++)
            pcm[i] = (int16_t)lrint(16384 * sin(2 * M_PI * 440 * i / rates[k]));
        wav_make(&w, rates[k], 1, pcm, N);
        load(&a, &w);
        assert_int_equal(a.count, (size_t)ceil(N * 22050.0 / rates[k]));
        for (size_t i = 500; i + 500 < a.count; i++)
            worst = fmax(worst, fabs(a.pcm[i] - 0.5 * sin(2 * M_PI * 440 * (double)i / 22050)));
        if (worst > 1e-4)
            fail_msg("%d Hz: off by %g", rates[k], worst);
        audio_free(&a);
        buffer_free(&w);
    }
    free(pcm);
}

static void test_silence_is_seen(void **state)
{
    int16_t *pcm = calloc(20000, sizeof *pcm);
    struct buffer w;
    struct audio a;

    (void)state;
    assert_non_null(pcm);
    wav_make(&w, 16000, 1, pcm, 20000);
    load(&a, &w);
    assert_true(a.silent);
    audio_free(&a);
    buffer_free(&w);
    pcm[19999] = 1;
    wav_make(&w, 16000, 1, pcm, 20000);
    load(&a, &w);
    assert_false(a.silent);
    audio_free(&a);
    buffer_free(&w);
    free(pcm);
}

/* Whatever is cut or flipped: an error or a sound, never a crash; a cut is always an error. */
static void test_hostile_wav(void **state)
{
    static int16_t pcm[2000];
    struct buffer w;
    struct rng r = rng_at(SEED, rng_stream("test.wav"), 0, 0);

    (void)state;
    for (int i = 0; i < 2000; i++)
        pcm[i] = (int16_t)(i * 7);
    wav_make(&w, 16000, 1, pcm, 2000);
    for (size_t n = 0; n < w.len; n++) {
        struct audio a;
        struct err e = {0};
        uint8_t *cut = malloc(n + 1);
        assert_non_null(cut);
        memcpy(cut, w.data, n);
        if (audio_load(&a, "cut.wav", cut, n, resampler, &e) == ERR_OK)
            fail_msg("cut at %zu is read", n);
        assert_null(a.pcm);
        free(cut);
    }
    for (int i = 0; i < 3000; i++) {
        struct audio a;
        struct err e = {0};
        size_t at = i % 3 != 0 ? rng_below(&r, 44) : rng_below(&r, (uint32_t)w.len);
        uint8_t old = w.data[at];
        w.data[at] = (uint8_t)rng_u32(&r);
        if (audio_load(&a, "bad.wav", w.data, w.len, resampler, &e) == ERR_OK)
            assert_true(a.count > 0);
        audio_free(&a);
        w.data[at] = old;
    }
    buffer_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_definition), cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_too_short),          cmocka_unit_test(test_load_without_resampling),
        cmocka_unit_test(test_resampling),         cmocka_unit_test(test_silence_is_seen),
        cmocka_unit_test(test_hostile_wav),
    };
    return cmocka_run_group_tests(tests, open_resampler, close_resampler);
}
