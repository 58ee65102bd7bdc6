/* SPDX-License-Identifier: MIT */
#include "prep/flv.h"
#include "tests/fuzz/fuzz.h"

/* FLV structure. A file that is cut behind the header is refused wherever the cut is not between
 * two tags. */

static void check(const struct flv_info *info, size_t size)
{
    int64_t tags = info->frames + info->audio_tags + info->data_tags;

    FUZZ_CHECK(info->video_codec == FLV_VIDEO_H263 || info->video_codec == FLV_VIDEO_VP6);
    FUZZ_CHECK(info->frames > 0 && info->key_frames > 0 && info->key_frames <= info->frames);
    FUZZ_CHECK((info->audio_codec >= 0) == (info->audio_tags > 0));
    FUZZ_CHECK(info->first_video_ms <= info->last_video_ms);
    FUZZ_CHECK(info->first_audio_ms <= info->last_audio_ms && info->video_ms >= 0);
    FUZZ_CHECK((uint64_t)tags * 15 <= size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flv_info info, cut;
    struct err e = {0};

    if (flv_walk(&info, "x", data, size, &e) != ERR_OK) {
        fuzz_check_err(&e, 1);
    } else {
        check(&info, size);
        FUZZ_CHECK(flv_walk(&cut, "x", data, size - 1, &e) == ERR_TRUNCATED);
        fuzz_check_err(&e, 1);
    }
    return 0;
}
