/* SPDX-License-Identifier: MIT */
#include "prep/spectrogram.h"

#include "common/base/mem.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <fftw3.h>

enum { FFT = SPECTROGRAM_FFT, PAD = FFT / 2, PADDED = PAD + SPECTROGRAM_SAMPLES + PAD };
enum { SPECTRUM = FFT + 8 }; /* room for one more element, aligned */
static_assert(FFT / 2 + 1 == SPECTROGRAM_BINS, "bins of the transform");
static_assert(1 + SPECTROGRAM_SAMPLES / SPECTROGRAM_HOP == SPECTROGRAM_FRAMES, "centred frames");
static_assert(SPECTROGRAM_TILES * SPECTROGRAM_MIN_SAMPLES >= SPECTROGRAM_SAMPLES, "tiles fill it");

static const float FLOOR = 1e-7f;

enum { PLAN_ROOM_BYTES = 4 << 20 };
enum { BLOCK = 16 }; /* frames whose logarithms are taken together, then turned into columns */
static_assert(BLOCK % 2 == 0 && SPECTROGRAM_FRAMES % 2 == 0, "frames are transformed in pairs");

/* In double, as librosa's: in float the rounding of a loud frame's large bins moves its quiet ones
 * (3e-3 in the logarithm at magnitude 1e-4 in real clips, against 1e-6). It costs 15 % more time.
 * Two frames at once, as the real and the imaginary part of one complex transform, which takes two
 * thirds of the time of two real ones. */
struct spectrogram {
    double window[FFT];
    double back_re[SPECTROGRAM_BINS], back_im[SPECTROGRAM_BINS]; /* spectrum, backwards */
    float padded[PADDED];
    float magnitude[BLOCK * SPECTROGRAM_BINS];
    double *frame;    /* [2][FFT], aligned by FFTW */
    double *spectrum; /* [2][SPECTRUM]: real and imaginary part, with element 0 again at FFT */
    fftw_plan plan;   /* NULL until the first clip */
};

static pthread_mutex_t planner = PTHREAD_MUTEX_INITIALIZER;

enum err_code spectrogram_new(struct spectrogram **out, struct err *e)
{
    struct spectrogram *s = NULL;
    char *room;

    *out = NULL;
    /* Not to begin with where the plan will lack it. */
    TRY(mem_array(&room, PLAN_ROOM_BYTES, 1, "FFTW plan", e));
    free(room);
    TRY(mem_array(&s, 1, sizeof *s, "spectrogram", e));
    for (int i = 0; i < FFT; i++)
        s->window[i] = 0.5 - 0.5 * cos(2 * M_PI * i / FFT);
    s->frame = fftw_alloc_real(2 * FFT);
    s->spectrum = fftw_alloc_real(2 * SPECTRUM);
    if (s->frame == NULL || s->spectrum == NULL) {
        spectrogram_free(s);
        return err_set(e, ERR_NOMEM, "spectrogram: out of memory");
    }
    *out = s;
out:
    return e->code;
}

void spectrogram_free(struct spectrogram *s)
{
    if (s == NULL)
        return;
    pthread_mutex_lock(&planner);
    if (s->plan != NULL)
        fftw_destroy_plan(s->plan);
    fftw_free(s->frame);
    fftw_free(s->spectrum);
    pthread_mutex_unlock(&planner);
    free(s);
}

/* FFTW's planner aborts where it lacks memory. In a worker of synib-stft that ends the worker, and
 * the tool goes on. */
static enum err_code make_plan(struct spectrogram *s, struct err *e)
{
    fftw_iodim points = {.n = FFT, .is = 1, .os = 1};

    pthread_mutex_lock(&planner);
    s->plan = fftw_plan_guru_split_dft(1, &points, 0, NULL, s->frame, s->frame + FFT, s->spectrum,
                                       s->spectrum + SPECTRUM, FFTW_ESTIMATE);
    pthread_mutex_unlock(&planner);
    return s->plan != NULL ? ERR_OK : err_set(e, ERR_NOMEM, "FFTW plan: out of memory");
}

/* Natural logarithm of positive normal numbers, in place: Cephes' logf (Moshier), within 1 unit in
 * the last place or so. Ours because compilers can work on several at once, and because its bits do
 * not depend on the C library. */
static void log_all(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int32_t bits, exponent;
        float m, e, z, y;

        memcpy(&bits, &x[i], sizeof bits);
        exponent = (bits - 0x3f3504f3) >> 23; /* of x / sqrt(1/2) */
        bits -= exponent * (1 << 23);
        memcpy(&m, &bits, sizeof m); /* in [sqrt(1/2), sqrt(2)) */
        m -= 1.0f;
        e = (float)exponent;
        z = m * m;
        y = 7.0376836292e-2f;
        y = y * m - 1.1514610310e-1f;
        y = y * m + 1.1676998740e-1f;
        y = y * m - 1.2420140846e-1f;
        y = y * m + 1.4249322787e-1f;
        y = y * m - 1.6668057665e-1f;
        y = y * m + 2.0000714765e-1f;
        y = y * m - 2.4999993993e-1f;
        y = y * m + 3.3333331174e-1f;
        y = y * m * z - 2.12194440e-4f * e - 0.5f * z;
        x[i] = m + y + 0.693359375f * e;
    }
}

/* Three copies end to end, cut, clipped. */
static void tile(float *out, const float *pcm, size_t n)
{
    for (size_t at = 0; at < SPECTROGRAM_SAMPLES; at += n) {
        size_t part = SPECTROGRAM_SAMPLES - at < n ? SPECTROGRAM_SAMPLES - at : n;

        for (size_t i = 0; i < part; i++) {
            float x = pcm[i] < -1.0f ? -1.0f : pcm[i];
            out[at + i] = x > 1.0f ? 1.0f : x;
        }
    }
}

/* Magnitudes + floor of frames t and t + 1. With Z the transform of x + iy, that of x is
 * (Z[k] + conj Z[-k]) / 2 and that of y (Z[k] - conj Z[-k]) / 2i. */
static void transform(struct spectrogram *s, size_t t, float *restrict first,
                      float *restrict second)
{
    const float *x = s->padded + t * SPECTROGRAM_HOP, *y = x + SPECTROGRAM_HOP;
    double *re = s->spectrum, *im = re + SPECTRUM;

    for (size_t i = 0; i < FFT; i++) {
        s->frame[i] = x[i] * s->window[i];
        s->frame[FFT + i] = y[i] * s->window[i];
    }
    fftw_execute(s->plan);
    re[FFT] = re[0];
    im[FFT] = im[0];
    /* Apart from what follows: compilers vectorise one direction at a time. */
    for (size_t k = 0; k < SPECTROGRAM_BINS; k++) {
        s->back_re[k] = re[FFT - k];
        s->back_im[k] = im[FFT - k];
    }
    for (size_t k = 0; k < SPECTROGRAM_BINS; k++) {
        double x_re = re[k] + s->back_re[k], x_im = im[k] - s->back_im[k];
        double y_re = im[k] + s->back_im[k], y_im = s->back_re[k] - re[k];

        first[k] = (float)(0.5 * sqrt(x_re * x_re + x_im * x_im)) + FLOOR;
        second[k] = (float)(0.5 * sqrt(y_re * y_re + y_im * y_im)) + FLOOR;
    }
}

enum err_code spectrogram_make(struct spectrogram *s, const float *pcm, size_t n, float *out,
                               struct err *e)
{
    if (n < SPECTROGRAM_MIN_SAMPLES)
        return err_set(e, ERR_DATA, "%.3f s of sound: three times that does not fill 3 s",
                       (double)n / SPECTROGRAM_MIN_SAMPLES);
    if (s->plan == NULL)
        TRY(make_plan(s, e));
    tile(s->padded + PAD, pcm, n);
    for (size_t first = 0; first < SPECTROGRAM_FRAMES; first += BLOCK) {
        size_t count = SPECTROGRAM_FRAMES - first < BLOCK ? SPECTROGRAM_FRAMES - first : BLOCK;

        for (size_t t = 0; t < count; t += 2)
            transform(s, first + t, s->magnitude + t * SPECTROGRAM_BINS,
                      s->magnitude + (t + 1) * SPECTROGRAM_BINS);
        log_all(s->magnitude, count * SPECTROGRAM_BINS);
        for (size_t k = 0; k < SPECTROGRAM_BINS; k++)
            for (size_t t = 0; t < count; t++)
                out[k * SPECTROGRAM_FRAMES + first + t] = s->magnitude[t * SPECTROGRAM_BINS + k];
    }
out:
    return e->code;
}

const char *spectrogram_library(void)
{
    return fftw_version;
}
