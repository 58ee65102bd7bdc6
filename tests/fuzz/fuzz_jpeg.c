/* SPDX-License-Identifier: MIT */
/* Frames of a base set, through libjpeg-turbo (common/data/jpeg.h): whole pictures and corners of
 * them. */
#include "common/data/jpeg.h"
#include "tests/fuzz/fuzz.h"

/* Decoding takes time with the picture's size, not with the file's. */
enum { MAX_PIXELS = 512 * 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct jpeg_decoder *d;
    struct err e = {0};
    const uint8_t *rgb;
    size_t stride;
    int w = 0, h = 0;

    if (d == NULL)
        fuzz_check(jpeg_decoder_new(&d, &e) == ERR_OK, "a decoder");
    fuzz_check_err(jpeg_decoder_size(d, data, len, &w, &h, &e), &e, "", fuzz_bad_file);
    if (w == 0 || (int64_t)w * h > MAX_PIXELS)
        return 0;
    for (int corner = 0; corner < 2; corner++) {
        struct jpeg_rect rect = {corner * w / 2, corner * h / 2, w - corner * w / 2,
                                 h - corner * h / 2};

        if (jpeg_decoder_rect(d, data, len, rect, &rgb, &stride, &e) == ERR_OK)
            for (int y = 0; y < rect.h; y++)
                fuzz_touch(rgb + (size_t)y * stride, 3 * (size_t)rect.w);
        fuzz_check_err(e.code, &e, "", fuzz_bad_file);
    }
    return 0;
}
