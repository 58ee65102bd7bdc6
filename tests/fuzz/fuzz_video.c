/* SPDX-License-Identifier: MIT */
#include "prep/flv.h"
#include "prep/video.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

/* Demultiplexing and decoding through FFmpeg, of any bytes: also those that flv_walk refuses, which
 * the tools do not hand on. Every byte of every picture can be read. */

static enum err_code look(void *ctx, int k, const struct video_picture *p, struct err *e)
{
    int *calls = ctx;
    unsigned sum = 0;

    (void)e;
    FUZZ_CHECK(k == (*calls)++);
    FUZZ_CHECK(p->w > 0 && p->h > 0 && p->w <= VIDEO_MAX_WIDTH && p->h <= VIDEO_MAX_HEIGHT);
    for (int y = 0; y < p->h; y++) {
        for (int x = 0; x < p->w * 3; x++)
            sum += p->rgb[(size_t)y * p->rgb_stride + (size_t)x];
        sum += p->luma[(size_t)y * p->luma_stride + (size_t)p->w - 1];
    }
    FUZZ_CHECK(sum < 0xffffffffu);
    return ERR_OK;
}

static void decode(struct video *v, const struct video_info *info)
{
    const int64_t wanted[] = {0, info->frames / 2, info->frames - 1};
    int n = info->frames > 2 ? 3 : 1, calls = 0;
    struct err e = {0};

    if (video_decode(v, wanted, n, look, &calls, &e) != ERR_OK)
        fuzz_check_err(&e, 1);
    else
        FUZZ_CHECK(calls == n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *file = fuzz_copy(data, size);
    struct video_info info;
    struct video *v;
    struct err e = {0};

    FUZZ_CHECK(video_new(&v, &e) == ERR_OK);
    if (video_open(v, "x", file, size, &info, &e) != ERR_OK) {
        fuzz_check_err(&e, 1);
    } else {
        FUZZ_CHECK(info.fps > 0 && info.frames > 0 && info.frames <= VIDEO_MAX_FRAMES);
        decode(v, &info);
    }
    video_free(v);
    free(file);
    return 0;
}
