/* SPDX-License-Identifier: MIT */
#include "prep/audio.h"
#include "prep/riff.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <stdlib.h>

/* WAV through the RIFF walker, libsndfile and libsoxr. At the file's own rate the samples are those
 * that the walker found. */

static void compare(const struct audio *a, const uint8_t *file, size_t size)
{
    struct riff_info riff;
    struct err e = {0};

    FUZZ_CHECK(riff_walk(&riff, "x", file, size, &e) == ERR_OK);
    FUZZ_CHECK(a->source_samples == (int64_t)riff.samples && a->source_rate_hz == riff.rate_hz);
    FUZZ_CHECK(a->count ==
               (size_t)ceil((double)riff.samples * ((double)AUDIO_RATE_HZ / riff.rate_hz)));
    for (size_t i = 0; i < a->count; i++) {
        FUZZ_CHECK(isfinite(a->pcm[i]));
        if (riff.rate_hz == AUDIO_RATE_HZ && riff.channels == 1)
            FUZZ_CHECK(a->pcm[i] ==
                       (float)(int16_t)(riff.pcm[2 * i] | riff.pcm[2 * i + 1] << 8) / 32768.0f);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct resampler *resampler; /* one for all inputs, as in a worker */
    uint8_t *file = fuzz_copy(data, size);
    struct audio a;
    struct err e = {0};

    if (resampler == NULL)
        FUZZ_CHECK(resampler_new(&resampler, &resampler_cremad, &e) == ERR_OK);
    if (audio_load(&a, "x", file, size, resampler, &e) != ERR_OK) {
        fuzz_check_err(&e, 1);
        FUZZ_CHECK(a.pcm == NULL && a.count == 0);
    } else {
        compare(&a, file, size);
    }
    audio_free(&a);
    free(file);
    return 0;
}
