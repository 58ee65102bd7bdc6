/* SPDX-License-Identifier: MIT */
/* prep/riff.h: what is accepted lies inside the file. */
#include "prep/riff.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct riff_info info;
    struct riff_stats stats;
    struct err e = {0};
    enum err_code code = riff_walk(&info, "a.wav", data, len, &e);

    if (code == ERR_OK) {
        fuzz_check(info.pcm_offset <= len && info.pcm_bytes <= len - info.pcm_offset, "PCM inside");
        fuzz_check(info.pcm == data + info.pcm_offset, "PCM where it is said to be");
        fuzz_check(info.samples >= 1 && (info.channels == 1 || info.channels == 2), "ranges");
        fuzz_check(info.samples * (uint64_t)info.channels * 2 == info.pcm_bytes, "sizes agree");
        fuzz_check(info.rate_hz >= 8000 && info.rate_hz <= 192000, "rate");
        riff_measure(&stats, &info);
        fuzz_check(stats.peak >= 0 && stats.peak <= 32768, "peak");
        fuzz_check(stats.clipped_part >= 0 && stats.clipped_part <= 1, "clipped part");
        fuzz_check(!stats.silent || (stats.constant && stats.peak == 0), "silence");
    }
    fuzz_check_err(code, &e, "a.wav", fuzz_bad_file);
    return 0;
}
