/* SPDX-License-Identifier: MIT */
#ifndef PREP_SPECTROGRAM_H
#define PREP_SPECTROGRAM_H

#include "common/base/err.h"
#include "common/data/fields.h"

#include <stddef.h>

/* The reference's input of the audio branch (R section 1.5): three seconds at 22,050 Hz, made by
 * repeating the clip three times and cutting, clipped to [-1, 1]; short-time Fourier transform of
 * 512 points every 353 samples under a periodic Hann window, frames centred on multiples of the hop
 * with zeros beyond both ends; natural logarithm of magnitude + 1e-7. */
enum {
    SPECTROGRAM_SAMPLES = 66150, /* 3 s */
    SPECTROGRAM_TILES = 3,
    SPECTROGRAM_MIN_SAMPLES = 22050, /* shorter clips do not fill 3 s in three tiles */
    SPECTROGRAM_FFT = 512,
    SPECTROGRAM_HOP = 353,
};

/* A plan and its scratch: one per thread. The plan is made with the first spectrogram, in the
 * process that makes it, as FFTW ends that process where it lacks memory; with FFTW_ESTIMATE, so
 * that the bits do not depend on timing, and under a lock, as FFTW wants it. */
struct spectrogram;

NODISCARD enum err_code spectrogram_new(struct spectrogram **s, struct err *e);
void spectrogram_free(struct spectrogram *s);

/* pcm [n] -> out [SPECTROGRAM_BINS][SPECTROGRAM_FRAMES], row-major, overwritten. n must be at least
 * SPECTROGRAM_MIN_SAMPLES: ERR_DATA otherwise (the message does not name the file). */
NODISCARD enum err_code spectrogram_make(struct spectrogram *s, const float *pcm, size_t n,
                                         float *out, struct err *e);

/* "fftw-3.3.10-sse2-avx": provenance. Static. */
const char *spectrogram_library(void);

#endif
