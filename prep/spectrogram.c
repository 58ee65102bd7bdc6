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
static_assert(FFT / 2 + 1 == SPECTROGRAM_BINS, "bins of the transform");
static_assert(1 + SPECTROGRAM_SAMPLES / SPECTROGRAM_HOP == SPECTROGRAM_FRAMES, "centred frames");
static_assert(SPECTROGRAM_TILES * SPECTROGRAM_MIN_SAMPLES >= SPECTROGRAM_SAMPLES, "tiles fill it");

static const float FLOOR = 1e-7f;

enum { PLAN_ROOM_BYTES = 4 << 20 };
enum { BLOCK = 16 }; /* frames whose logarithms are taken together, then turned into columns */

/* In double, as librosa's: in float the rounding of a loud frame's large bins moves its quiet ones
 * (3e-3 in the logarithm at magnitude 1e-4 in real clips, against 1e-6). It costs 15 % more time.
 */
struct spectrogram {
    double window[FFT];
    float padded[PADDED];
    float magnitude[BLOCK * SPECTROGRAM_BINS];
    double *frame;          /* [FFT], aligned by FFTW */
    fftw_complex *spectrum; /* [BINS], likewise */
    fftw_plan plan;         /* NULL until the first clip */
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
    s->frame = fftw_alloc_real(FFT);
    s->spectrum = fftw_alloc_complex(SPECTROGRAM_BINS);
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
    pthread_mutex_lock(&planner);
    s->plan = fftw_plan_dft_r2c_1d(FFT, s->frame, s->spectrum, FFTW_ESTIMATE);
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

/* Magnitudes + floor of frame t. */
static void transform(struct spectrogram *s, size_t t, float *magnitude)
{
    const float *x = s->padded + t * SPECTROGRAM_HOP;

    for (size_t i = 0; i < FFT; i++)
        s->frame[i] = x[i] * s->window[i];
    fftw_execute(s->plan);
    for (size_t k = 0; k < SPECTROGRAM_BINS; k++) {
        double re = s->spectrum[k][0], im = s->spectrum[k][1];
        magnitude[k] = (float)sqrt(re * re + im * im) + FLOOR;
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

        for (size_t t = 0; t < count; t++)
            transform(s, first + t, s->magnitude + t * SPECTROGRAM_BINS);
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
