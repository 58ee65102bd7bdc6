/* SPDX-License-Identifier: MIT */
/* Video of a clip through FFmpeg (prep/video.h), behind our own walk as in the tools: all pictures.
 */
#include "prep/flv.h"
#include "prep/video.h"
#include "tests/fuzz/fuzz.h"

enum { MOST = 64, MAX_WIDTH = 320 };

static enum err_code touch(void *ctx, int k, const struct video_picture *p, struct err *e)
{
    (void)ctx;
    (void)k;
    fuzz_check(p->w >= 1 && p->w <= VIDEO_MAX_WIDTH && p->h >= 1 && p->h <= VIDEO_MAX_HEIGHT,
               "limits of the picture");
    if (p->w > MAX_WIDTH) /* no need to see them all */
        return err_set(e, ERR_DATA, "a.flv: large");
    for (int y = 0; y < p->h; y++) {
        fuzz_touch(p->rgb + (size_t)y * p->rgb_stride, 3 * (size_t)p->w);
        fuzz_touch(p->luma + (size_t)y * p->luma_stride, (size_t)p->w);
    }
    return ERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct video *v;
    struct video_info info = {0};
    struct err e = {0};
    int64_t wanted[MOST];
    int n = 0;

    if (v == NULL)
        fuzz_check(video_new(&v, &e) == ERR_OK, "a decoder");
    if (video_open(v, "a.flv", data, len, &info, &e) == ERR_OK) {
        fuzz_check(info.frames >= 1 && info.frames <= VIDEO_MAX_FRAMES && info.fps > 0, "limits");
        while (n < MOST && n < info.frames) {
            wanted[n] = n;
            n++;
        }
        if (video_decode(v, wanted, n, touch, NULL, &e) == ERR_OK)
            fuzz_check(n >= 1, "pictures");
    }
    fuzz_check_err(e.code, &e, "a.flv", fuzz_bad_file);
    return 0;
}
