/* SPDX-License-Identifier: MIT */
/* Frames of real CREMA-D clips against an independent decode: tests/golden/frames.tsv, made by
 * tests/golden/make/frames.sh. Needs the clips (not part of this project) in ../shared/clips. */
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/data/jpeg.h"
#include "common/data/tsv.h"
#include "prep/video.h"
#include "tests/support/cmocka.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLIPS SOURCE_DIR "/../shared/clips/flv"

static const char *const columns[] = {"clip", "frame", "w", "h", "luma_sha256", NULL};

struct got {
    char sha[SHA256_HEX_SIZE];
    int w, h;
    double psnr; /* after JPEG at quality 95 */
};

static double jpeg_psnr(const struct video_picture *p)
{
    struct jpeg_decoder *d = NULL;
    uint8_t *jpeg = NULL;
    const uint8_t *rgb;
    size_t len, stride;
    struct err e = {0};
    double sum = 0;

    assert_int_equal(jpeg_encode_rgb(p->rgb, p->w, p->h, p->rgb_stride, 95, &jpeg, &len, &e),
                     ERR_OK);
    assert_int_equal(jpeg_decoder_new(&d, &e), ERR_OK);
    assert_int_equal(
        jpeg_decoder_rect(d, jpeg, len, (struct jpeg_rect){0, 0, p->w, p->h}, &rgb, &stride, &e),
        ERR_OK);
    for (int y = 0; y < p->h; y++)
        for (int x = 0; x < p->w * 3; x++) {
            double diff = (double)rgb[(size_t)y * stride + (size_t)x] -
                          p->rgb[(size_t)y * p->rgb_stride + (size_t)x];
            sum += diff * diff;
        }
    jpeg_decoder_free(d);
    free(jpeg);
    return 10 * log10(255.0 * 255.0 * 3 * p->w * p->h / sum);
}

static enum err_code keep(void *ctx, int k, const struct video_picture *p, struct err *e)
{
    struct got *got = (struct got *)ctx + k;
    struct sha256 *h = sha256_new();
    uint8_t digest[SHA256_SIZE];

    for (int y = 0; y < p->h; y++)
        sha256_add(h, p->luma + (size_t)y * p->luma_stride, (size_t)p->w);
    assert_int_equal(sha256_end(h, digest, e), ERR_OK);
    sha256_hex(digest, got->sha);
    got->w = p->w;
    got->h = p->h;
    got->psnr = jpeg_psnr(p);
    return ERR_OK;
}

static void check_clip(struct video *v, const struct tsv *t, size_t first, size_t rows)
{
    struct file_view file = {0};
    struct video_info info;
    struct got got[3];
    int64_t wanted[3];
    char path[512];
    struct err e = {0};

    assert_in_range(rows, 1, 3);
    snprintf(path, sizeof path, CLIPS "/%s.flv", tsv_cell(t, first, 0));
    if (file_read(&file, path, 1 << 26, &e) != ERR_OK ||
        video_open(v, path, file.data, file.len, &info, &e) != ERR_OK)
        fail_msg("%s", e.text);
    assert_string_equal(info.codec, "vp6f");
    assert_true(fabs(info.fps - 29.97) < 0.01); /* what OpenCV reports: cut to 29 */
    for (size_t i = 0; i < rows; i++)
        wanted[i] = atoll(tsv_cell(t, first + i, 1));
    if (video_decode(v, wanted, (int)rows, keep, got, &e) != ERR_OK)
        fail_msg("%s", e.text);
    for (size_t i = 0; i < rows; i++) {
        assert_int_equal(got[i].w, atoi(tsv_cell(t, first + i, 2)));
        assert_int_equal(got[i].h, atoi(tsv_cell(t, first + i, 3)));
        assert_string_equal(got[i].sha, tsv_cell(t, first + i, 4));
        if (got[i].psnr <= 38)
            fail_msg("%s frame %lld: PSNR %.2f dB", path, (long long)wanted[i], got[i].psnr);
    }
    file_view_free(&file);
}

static void test_luma_of_real_clips(void **state)
{
    struct tsv *t = NULL;
    struct video *v = NULL;
    struct err e = {0};

    (void)state;
    if (access(CLIPS, R_OK) != 0) {
        print_message("skipped: no real clips in ../shared/clips\n");
        skip();
    }
    if (tsv_read(&t, SOURCE_DIR "/tests/golden/frames.tsv", "golden-frames", columns, &e) !=
            ERR_OK ||
        video_new(&v, &e) != ERR_OK)
        fail_msg("%s", e.text);
    for (size_t row = 0, end; row < tsv_rows(t); row = end) {
        for (end = row; end < tsv_rows(t); end++)
            if (strcmp(tsv_cell(t, end, 0), tsv_cell(t, row, 0)) != 0)
                break;
        check_clip(v, t, row, end - row);
    }
    video_free(v);
    tsv_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_luma_of_real_clips)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
