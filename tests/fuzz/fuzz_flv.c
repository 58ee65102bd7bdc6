/* SPDX-License-Identifier: MIT */
/* prep/flv.h: counts of what is accepted fit the file. */
#include "prep/flv.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct flv_info info;
    struct err e = {0};
    enum err_code code = flv_walk(&info, "a.flv", data, len, &e);

    fuzz_check(info.frames >= 0 && info.audio_tags >= 0 && info.data_tags >= 0, "counts");
    fuzz_check((uint64_t)(info.frames + info.audio_tags + info.data_tags) * 15 <= len,
               "every tag has its bytes");
    fuzz_check(info.key_frames <= info.frames, "key frames are frames");
    if (code == ERR_OK) {
        fuzz_check(info.frames >= 1 && info.key_frames >= 1, "a picture");
        fuzz_check(info.video_codec == FLV_VIDEO_H263 || info.video_codec == FLV_VIDEO_VP6,
                   "a codec that we decode");
        fuzz_check(info.last_video_ms >= info.first_video_ms, "time runs forwards");
        fuzz_check(info.last_audio_ms >= info.first_audio_ms, "time runs forwards");
    }
    fuzz_check_err(code, &e, "a.flv", fuzz_bad_file);
    return 0;
}
