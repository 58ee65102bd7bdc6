/* SPDX-License-Identifier: MIT */
#ifndef PREP_RESAMPLER_H
#define PREP_RESAMPLER_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* Sound to AUDIO_RATE_HZ by libsoxr's "HQ" recipe, one clip after the other. What comes out is what
 * soxr_oneshot() gives, which is what librosa.load() calls, but libsoxr designs its filter anew for
 * each call, and that is half of the call's time at the length of CREMA-D's clips. So clips at
 * CREMA-D's rate follow each other through one stream, with silence between them. The only file
 * that includes libsoxr. Source: R section 1.5; libsoxr 0.1.3, rate.h and cr.c. */

/* How libsoxr's stream repeats itself. libsoxr works on blocks at a fixed grid, and where a sample
 * lies in its block decides how its result is rounded; so a clip that begins where the grid and the
 * phases of the output repeat has the bits that it has alone. All but the first few: their filters
 * reach before the clip, where a stream has the filter's own ringing and a call has nothing. They
 * are weighted sums of the clip's first samples, by weights that libsoxr itself gives. */
struct resampler_grid {
    uint32_t from_hz, to_hz;
    size_t period; /* input samples after which blocks and phases repeat */
    size_t gap;    /* input samples from a clip's end to the next period, at least */
    size_t head;   /* output samples that a stream gets wrong */
    size_t reach;  /* input samples that those depend on */
};

enum { RESAMPLER_MAX_HEAD = 8, RESAMPLER_MAX_REACH = 128 };

/* CREMA-D's WAV files, 16,000 Hz, with libsoxr 0.1.3. */
extern const struct resampler_grid resampler_cremad;

/* A stream and its scratch: one per thread. The stream starts with the first clip at the grid's
 * rate, in the process that needs it (libsoxr may end a process that lacks memory); that takes
 * about 12 ms. It is first tried on noise: where the bits are not those of soxr_oneshot() (another
 * libsoxr), every clip goes through soxr_oneshot(). */
struct resampler;

NODISCARD enum err_code resampler_new(struct resampler **r, const struct resampler_grid *grid,
                                      struct err *e);
void resampler_free(struct resampler *r);

/* pcm [n] at from_hz -> out [wanted] at the grid's to_hz, overwritten: soxr_oneshot()'s samples,
 * then zeros. Those samples bit for bit; where a stream is used, the first grid->head of them to
 * 1e-6 of the loudest among the first grid->reach of pcm. Does not depend on the clips before it,
 * nor on one that failed. ERR_NOMEM (the message does not name the file). */
NODISCARD enum err_code resampler_run(struct resampler *r, const float *pcm, size_t n,
                                      uint32_t from_hz, float *out, size_t wanted, struct err *e);

/* Whether clips at the grid's rate go through a stream: false until the first of them. */
bool resampler_streams(const struct resampler *r);

/* "libsoxr-0.1.3": provenance. Static. */
const char *resampler_library(void);

#endif
