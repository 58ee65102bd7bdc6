/* SPDX-License-Identifier: MIT */
#include "prep/riff.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* WAV structure. The samples lie in the file, right behind the words "data" and their size. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct riff_info info;
    struct riff_stats stats;
    struct err e = {0};

    if (riff_walk(&info, "x", data, size, &e) != ERR_OK) {
        fuzz_check_err(&e, 1);
        FUZZ_CHECK(info.samples == 0 && info.pcm == NULL);
    } else {
        FUZZ_CHECK(info.samples > 0 && (info.channels == 1 || info.channels == 2));
        FUZZ_CHECK(info.rate_hz >= 8000 && info.rate_hz <= 192000);
        FUZZ_CHECK(info.pcm_offset >= 44 && info.pcm_bytes <= size - info.pcm_offset);
        FUZZ_CHECK(info.pcm_bytes == info.samples * (size_t)info.channels * 2);
        FUZZ_CHECK(info.pcm == data + info.pcm_offset);
        FUZZ_CHECK(memcmp(info.pcm - 8, "data", 4) == 0);
        riff_measure(&stats, &info);
        FUZZ_CHECK(stats.peak >= 0 && stats.peak <= 32768);
        FUZZ_CHECK(stats.silent == (stats.peak == 0) && (!stats.silent || stats.constant));
        FUZZ_CHECK(stats.clipped_part >= 0 && stats.clipped_part <= 1);
    }
    return 0;
}
