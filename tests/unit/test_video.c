/* SPDX-License-Identifier: MIT */
#include "common/base/file.h"
#include "common/base/rng.h"
#include "prep/video.h"
#include "tests/support/cmocka.h"
#include "tests/support/tiny_flv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { W = 64, H = 48, FRAMES = 12, SEED = 3 };

struct seen {
    int calls, w, h;
    uint64_t sum[4]; /* of each picture's luma */
    double worst;    /* largest difference of a pixel from the BT.601 formula */
};

static enum err_code look(void *ctx, int k, const struct video_picture *p, struct err *e)
{
    struct seen *s = ctx;

    (void)e;
    assert_int_equal(k, s->calls);
    s->calls++;
    s->w = p->w;
    s->h = p->h;
    s->sum[k] = 0;
    for (int y = 0; y < p->h; y++)
        for (int x = 0; x < p->w; x++) {
            double luma = p->luma[(size_t)y * p->luma_stride + (size_t)x];
            double green = 1.164383 * (luma - 16) - (0.391762 + 0.812968) * (100 - 128);
            double got = p->rgb[(size_t)y * p->rgb_stride + (size_t)x * 3 + 1];
            s->sum[k] += (uint64_t)luma * (uint64_t)(x + y + 1);
            /* The encoder may move chroma by a level or two. */
            s->worst = fmax(s->worst, fabs(got - fmin(fmax(green, 0), 255)));
        }
    return ERR_OK;
}

static void test_wanted_frames(void **state)
{
    const int64_t all[4] = {0, 3, 7, 11}, late[1] = {7};
    struct buffer flv;
    struct video *v;
    struct video_info info;
    struct seen four = {0}, one = {0};
    struct err e = {0};

    (void)state;
    moving_flv(&flv, W, H, FRAMES);
    assert_int_equal(video_new(&v, &e), ERR_OK);
    assert_int_equal(video_open(v, "t.flv", flv.data, flv.len, &info, &e), ERR_OK);
    assert_string_equal(info.codec, "flv");
    assert_int_equal(info.frames, FRAMES);
    assert_true(fabs(info.fps - 29.97) < 0.3); /* from whole milliseconds */
    for (size_t i = 0; i < FRAMES; i++)
        assert_int_equal(info.time_ms[i], flv_video_ms(i));
    assert_int_equal(video_decode(v, all, 4, look, &four, &e), ERR_OK);
    assert_int_equal(four.calls, 4);
    assert_true(four.w == W && four.h == H);
    assert_true(four.worst < 6);
    for (int k = 1; k < 4; k++)
        assert_true(four.sum[k] != four.sum[k - 1]);

    /* The same object again: a frame does not depend on which others are wanted. */
    assert_int_equal(video_open(v, "t.flv", flv.data, flv.len, &info, &e), ERR_OK);
    assert_int_equal(video_decode(v, late, 1, look, &one, &e), ERR_OK);
    assert_true(one.sum[0] == four.sum[2]);
    video_free(v);
    video_free(NULL);
    buffer_free(&flv);
}

/* Without "framerate" in the metadata the time stamps decide, as in OpenCV. */
static void test_rate_without_metadata(void **state)
{
    struct buffer flv;
    struct video *v;
    struct video_info info;
    struct err e = {0};
    uint8_t *key;

    (void)state;
    moving_flv(&flv, W, H, 40);
    key = memmem(flv.data, flv.len, "framerate", 9);
    assert_non_null(key);
    key[0] = 'x';
    assert_int_equal(video_new(&v, &e), ERR_OK);
    assert_int_equal(video_open(v, "t.flv", flv.data, flv.len, &info, &e), ERR_OK);
    assert_int_equal(info.frames, 40);
    assert_true(fabs(info.fps - 29.97) < 0.1);
    video_free(v);
    buffer_free(&flv);
}

static enum err_code refuse(void *ctx, int k, const struct video_picture *p, struct err *e)
{
    (void)ctx;
    (void)k;
    (void)p;
    return err_set(e, ERR_NOMEM, "no room");
}

static void test_callback_error_is_passed_on(void **state)
{
    const int64_t wanted[2] = {1, 2};
    struct buffer flv;
    struct video *v;
    struct video_info info;
    struct err e = {0};

    (void)state;
    moving_flv(&flv, W, H, 4);
    assert_int_equal(video_new(&v, &e), ERR_OK);
    assert_int_equal(video_open(v, "t.flv", flv.data, flv.len, &info, &e), ERR_OK);
    assert_int_equal(video_decode(v, wanted, 2, refuse, NULL, &e), ERR_NOMEM);
    assert_string_equal(e.text, "no room");
    video_free(v);
    buffer_free(&flv);
}

/* Opens and decodes whatever the bytes are; the object must survive and stay usable. */
static enum err_code try_all(struct video *v, const void *data, size_t len, struct err *e)
{
    struct video_info info;
    int64_t wanted[3];
    struct seen seen = {0};

    TRY(video_open(v, "bad.flv", data, len, &info, e));
    for (int k = 0; k < 3; k++)
        wanted[k] = info.frames * k / 3;
    TRY(video_decode(v, wanted, info.frames < 3 ? 1 : 3, look, &seen, e));
    assert_true(seen.w <= VIDEO_MAX_WIDTH && seen.h <= VIDEO_MAX_HEIGHT);
out:
    return e->code;
}

/* Pictures of another size after the first one, and pictures that are too large. */
static void test_sizes(void **state)
{
    enum { HEADER = 13 };
    const int64_t wanted[2] = {0, 3};
    struct buffer flv, more;
    struct video_info info;
    struct seen seen = {0};
    struct video *v;
    struct err e = {0};

    (void)state;
    moving_flv(&flv, W, H, 2);
    moving_flv(&more, 2 * W, H, 2);
    assert_int_equal(buffer_add(&flv, more.data + HEADER, more.len - HEADER, &e), ERR_OK);
    assert_int_equal(video_new(&v, &e), ERR_OK);
    assert_int_equal(video_open(v, "t.flv", flv.data, flv.len, &info, &e), ERR_OK);
    assert_int_equal(video_decode(v, wanted, 2, look, &seen, &e), ERR_FORMAT);
    assert_string_equal(e.text, "t.flv: the picture size changes at frame 2");
    buffer_free(&flv);
    buffer_free(&more);
    err_clear(&e);
    moving_flv(&flv, VIDEO_MAX_WIDTH + 16, H, 2);
    assert_int_equal(try_all(v, flv.data, flv.len, &e), ERR_FORMAT);
    assert_non_null(strstr(e.text, "is larger than 1920 x 1088"));
    buffer_free(&flv);
    video_free(v);
}

static void test_not_flv(void **state)
{
    static const char *const texts[] = {
        "",
        "F",
        "FLV",
        "FLV\x01",
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
        "<!DOCTYPE html><html></html>",
        "#EXTM3U\n#EXTINF:1,\n/etc/passwd\n",
        "ffconcat version 1.0\nfile /etc/passwd\n"};
    struct video *v;
    struct err e = {0};

    (void)state;
    assert_int_equal(video_new(&v, &e), ERR_OK);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        err_clear(&e);
        assert_int_equal(try_all(v, texts[i], strlen(texts[i]), &e), ERR_FORMAT);
        assert_true(strncmp(e.text, "bad.flv: ", 9) == 0);
    }
    video_free(v);
}

static void damage(struct video *v, const struct buffer *flv, int rounds, uint32_t stream)
{
    struct rng r = rng_at(SEED, rng_stream("test.damage"), 0, stream);
    uint8_t *bad = malloc(flv->len);
    int refused = 0;

    assert_non_null(bad);
    for (int i = 0; i < rounds; i++) {
        struct err e = {0};
        size_t len = i % 5 == 0 ? rng_below(&r, (uint32_t)flv->len) : flv->len;
        memcpy(bad, flv->data, flv->len);
        for (int k = 0; len > 0 && k < 1 + i % 4; k++)
            bad[rng_below(&r, (uint32_t)len)] ^= (uint8_t)(1 << rng_below(&r, 8));
        if (try_all(v, bad, len, &e) != ERR_OK) {
            assert_int_equal(e.code, ERR_FORMAT);
            refused++;
        }
    }
    assert_true(refused > 0);
    free(bad);
}

static void test_damage_anywhere(void **state)
{
    struct buffer flv;
    struct video *v;
    struct err e = {0};

    (void)state;
    moving_flv(&flv, W, H, FRAMES);
    assert_int_equal(video_new(&v, &e), ERR_OK);
    damage(v, &flv, 600, 0);
    assert_int_equal(try_all(v, flv.data, flv.len, &e), ERR_OK);
    video_free(v);
    buffer_free(&flv);
}

static void test_damage_of_a_real_clip(void **state)
{
    static const char path[] = SOURCE_DIR "/../shared/clips/flv/1001_DFA_HAP_XX.flv";
    struct file_view file = {0};
    struct buffer flv;
    struct video *v;
    struct err e = {0};

    (void)state;
    if (access(path, R_OK) != 0) {
        print_message("skipped: no real clips in ../shared/clips\n");
        skip();
    }
    assert_int_equal(file_read(&file, path, 1 << 26, &e), ERR_OK);
    flv = (struct buffer){.data = malloc(file.len), .len = file.len};
    assert_non_null(flv.data);
    memcpy(flv.data, file.data, file.len);
    assert_int_equal(video_new(&v, &e), ERR_OK);
    damage(v, &flv, 40, 1);
    video_free(v);
    buffer_free(&flv);
    file_view_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wanted_frames),
        cmocka_unit_test(test_rate_without_metadata),
        cmocka_unit_test(test_callback_error_is_passed_on),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_not_flv),
        cmocka_unit_test(test_damage_anywhere),
        cmocka_unit_test(test_damage_of_a_real_clip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
