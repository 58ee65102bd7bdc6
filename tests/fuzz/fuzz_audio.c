/* SPDX-License-Identifier: MIT */
/* Sound of a clip through our walk, libsndfile and libsoxr (prep/audio.h): finite samples. */
#include "prep/audio.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct audio a = {0};
    struct err e = {0};
    enum err_code code = audio_load(&a, "a.wav", data, len, &e);

    if (code == ERR_OK) {
        fuzz_check(a.count >= 1 && a.source_samples >= 1, "samples");
        for (size_t i = 0; i < a.count; i++)
            fuzz_check(isfinite(a.pcm[i]) && fabsf(a.pcm[i]) < 4, "samples are finite");
    }
    audio_free(&a);
    fuzz_check_err(code, &e, "a.wav", fuzz_bad_file);
    return 0;
}
