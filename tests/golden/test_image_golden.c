/* SPDX-License-Identifier: MIT */
/* The picture loader against Pillow and torchvision: tests/golden/image.tsv, made by
 * tests/golden/make/image.py. Bit for bit. */
#include "common/base/hash.h"
#include "common/data/image.h"
#include "common/data/image_resize.h"
#include "common/data/tsv.h"
#include "tests/support/cmocka.h"

#include <stdlib.h>
#include <string.h>

static uint8_t *paint(int w, int h)
{
    uint8_t *rgb = malloc((size_t)w * (size_t)h * 3);

    assert_non_null(rgb);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            uint8_t *p = rgb + ((size_t)y * (size_t)w + (size_t)x) * 3;
            p[0] = (uint8_t)(x * 5 + y * 3 + x * y % 61);
            p[1] = (uint8_t)(x * x / 7 + y);
            p[2] = (uint8_t)(255 - x / 2 + y / 9 % 2 * 120);
        }
    return rgb;
}

static uint32_t resized_crc(enum resize_unit unit, const struct resize_source *src, int size)
{
    struct resizer *r = NULL;
    struct err e = {0};
    uint8_t rgb[3];
    uint32_t crc = 0;

    if (resizer_new(&r, size, unit, &e) == ERR_USAGE) {
        print_message("skipped: this CPU lacks vector unit %d\n", (int)unit);
        return resized_crc(RESIZE_PLAIN, src, size);
    }
    assert_int_equal(resizer_begin(r, src, &e), ERR_OK);
    for (int y = 0; y < size; y++) {
        const uint8_t *row = resizer_row(r, y);
        for (int x = 0; x < size; x++) {
            memcpy(rgb, row + (size_t)x * 4, 3);
            crc = hash_crc32c(crc, rgb, 3);
        }
    }
    resizer_free(r);
    return crc;
}

static void check_row(const struct tsv *t, size_t row)
{
    int v[7];
    float want[3], *out;
    uint32_t crc = (uint32_t)strtoul(tsv_cell(t, row, 7), NULL, 16);
    struct image_crop crop;
    struct resize_source src = {.pixel_bytes = 3};
    struct image_loader *l;
    uint8_t *rgb;
    struct err e = {0};

    for (int i = 0; i < 7; i++)
        v[i] = atoi(tsv_cell(t, row, i));
    for (int i = 0; i < 3; i++)
        want[i] = strtof(tsv_cell(t, row, 8 + i), NULL);
    rgb = paint(v[0], v[1]);
    src.w = v[4];
    src.h = v[5];
    src.stride = (size_t)v[0] * 3;
    src.data = rgb + (size_t)v[3] * src.stride + (size_t)v[2] * 3;
    for (int unit = RESIZE_BEST; unit <= RESIZE_AVX512; unit++)
        if (resized_crc((enum resize_unit)unit, &src, v[6]) != crc)
            fail_msg("row %zu, vector unit %d: the resized picture differs", row, unit);

    crop = (struct image_crop){.rect = {v[2], v[3], v[4], v[5]}};
    out = malloc((size_t)v[6] * (size_t)v[6] * 3 * sizeof *out);
    assert_non_null(out);
    assert_int_equal(image_loader_new(&l, v[6], &image_norm_imagenet, &e), ERR_OK);
    assert_int_equal(image_from_rgb(l, rgb, src.stride, &crop, out, &e), ERR_OK);
    assert_true(out[0] == want[0]);
    assert_true(out[v[6] * v[6] + v[6] / 2 * v[6] + v[6] / 2] == want[1]);
    assert_true(out[3 * v[6] * v[6] - 1] == want[2]);
    image_loader_free(l);
    free(out);
    free(rgb);
}

static void test_pillow(void **state)
{
    static const char *const columns[] = {"w",    "h",      "x",     "y",      "cw",   "ch",
                                          "size", "crc32c", "first", "middle", "last", NULL};
    struct tsv *t = NULL;
    struct err e = {0};

    (void)state;
    if (tsv_read(&t, SOURCE_DIR "/tests/golden/image.tsv", "golden-image", columns, &e) != ERR_OK)
        fail_msg("%s", e.text);
    assert_int_equal(tsv_rows(t), 14);
    for (size_t row = 0; row < tsv_rows(t); row++)
        check_row(t, row);
    tsv_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pillow)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
