/* SPDX-License-Identifier: MIT */
#include "common/data/jpeg.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

/* Pictures. A rectangle has the same pixels alone as in a larger one. */

enum { LARGE = 160, SMALL = 40 };

static int less(int a, int b)
{
    return a < b ? a : b;
}

/* A part of `in`, wherever the file's bytes say. */
static struct jpeg_rect part_of(struct jpeg_rect in, const uint8_t *data, size_t size)
{
    struct jpeg_rect r = {.w = less(in.w, SMALL), .h = less(in.h, SMALL)};

    r.x = in.x + data[size / 2] % (in.w - r.w + 1);
    r.y = in.y + data[size / 3] % (in.h - r.h + 1);
    return r;
}

static void compare(struct jpeg_decoder *d, const uint8_t *file, size_t size, int w, int h)
{
    struct jpeg_rect large = {.w = less(w, LARGE), .h = less(h, LARGE)};
    struct jpeg_rect small = part_of(large, file, size);
    const uint8_t *rgb;
    uint8_t keep[SMALL * SMALL * 3];
    size_t stride, row = (size_t)small.w * 3;
    struct err e = {0};

    if (jpeg_decoder_rect(d, file, size, large, &rgb, &stride, &e) != ERR_OK) {
        fuzz_check_err(&e, 1);
        return;
    }
    FUZZ_CHECK(stride >= (size_t)large.w * 3);
    for (int y = 0; y < small.h; y++)
        memcpy(keep + (size_t)y * row,
               rgb + (size_t)(small.y - large.y + y) * stride + (size_t)(small.x - large.x) * 3,
               row);
    /* Damage below a rectangle is not looked at, and what is above is needed: so this one is fine.
     */
    if (jpeg_decoder_rect(d, file, size, small, &rgb, &stride, &e) != ERR_OK)
        fuzz_fail(__FILE__, __LINE__, "a part of what decodes decodes", e.text);
    for (int y = 0; y < small.h; y++)
        FUZZ_CHECK(memcmp(keep + (size_t)y * row, rgb + (size_t)y * stride, row) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *file = fuzz_copy(data, size);
    struct jpeg_decoder *d;
    struct err e = {0};
    int w, h;

    FUZZ_CHECK(jpeg_decoder_new(&d, &e) == ERR_OK);
    if (jpeg_decoder_size(d, file, size, &w, &h, &e) != ERR_OK) {
        fuzz_check_err(&e, 1);
        FUZZ_CHECK(w == 0 && h == 0);
    } else {
        FUZZ_CHECK(w > 0 && h > 0 && w <= JPEG_MAX_SIDE && h <= JPEG_MAX_SIDE);
        compare(d, file, size, w, h);
    }
    jpeg_decoder_free(d);
    free(file);
    return 0;
}
