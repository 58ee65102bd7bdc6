/* SPDX-License-Identifier: MIT */
#ifndef PREP_AUDIO_H
#define PREP_AUDIO_H

#include "common/base/err.h"
#include "prep/resampler.h"

#include <stddef.h>
#include <stdint.h>

/* Sound of a WAV file in memory as the reference loads it: librosa.load(path, sr=22050), i.e.
 * libsndfile, mean of the channels, libsoxr (prep/resampler.h). R section 1.5. The only file that
 * includes libsndfile. Threads: any. */

enum { AUDIO_RATE_HZ = 22050, AUDIO_MAX_SECONDS = 60 };

/* Mono samples in [-1, 1] give or take the resampler's overshoot; zeroed = empty. */
struct audio {
    float *pcm; /* [count] at AUDIO_RATE_HZ */
    size_t count;
    int64_t source_samples; /* per channel, in the file */
    uint32_t source_rate_hz;
    bool silent; /* every source sample is 0 */
};

/* The file first passes riff_walk(): libsndfile alone accepts cut files and may hang. Samples are
 * s16 / 32768; stereo becomes the mean; another rate than AUDIO_RATE_HZ is resampled by libsoxr's
 * "HQ" recipe in one piece and cut or zero-padded to ceil(n * 22050 / rate) samples. The resampler
 * (to AUDIO_RATE_HZ) is its thread's. Errors: ERR_FORMAT, ERR_TRUNCATED, ERR_DATA (longer than
 * AUDIO_MAX_SECONDS). */
NODISCARD enum err_code audio_load(struct audio *a, const char *name, const void *data, size_t len,
                                   struct resampler *r, struct err *e);
void audio_free(struct audio *a);

/* "libsndfile-1.2.0, libsoxr-0.1.3": provenance. Static. */
const char *audio_libraries(void);

#endif
