/* SPDX-License-Identifier: MIT */
#include "common/base/file.h"
#include "common/base/rng.h"
#include "prep/flv.h"
#include "tests/support/cmocka.h"
#include "tests/support/tiny_media.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum err_code walk(struct flv_info *info, const void *data, size_t len, struct err *e)
{
    void *copy = malloc(len > 0 ? len : 1);
    enum err_code rc;

    memcpy(copy, data, len);
    rc = flv_walk(info, "x.flv", copy, len, e);
    free(copy);
    return rc;
}

static void expect_refused(const struct tiny *t, enum err_code code, const char *message)
{
    struct flv_info info;
    struct err e = {0};
    enum err_code rc = walk(&info, t->data, t->len, &e);

    if (rc != code || strstr(e.text, message) == NULL)
        fail_msg("wanted %d '%s', got %d '%s'", code, message, rc, e.text);
}

static void test_accepts(void **state)
{
    struct flv_info info;
    struct err e = {0};
    struct tiny t;

    (void)state;
    tiny_flv(&t, FLV_VIDEO_VP6, 31);
    assert_int_equal(walk(&info, t.data, t.len, &e), ERR_OK);
    assert_int_equal(info.frames, 31);
    assert_int_equal(info.key_frames, 1);
    assert_int_equal(info.audio_tags, 31);
    assert_int_equal(info.data_tags, 1);
    assert_int_equal(info.video_codec, FLV_VIDEO_VP6);
    assert_int_equal(info.audio_codec, 2);
    assert_int_equal(info.first_video_ms, 0);
    assert_int_equal(info.last_video_ms, 1000);
    assert_int_equal(info.video_ms, 1033);
    assert_string_equal(flv_video_codec_name(info.video_codec), "VP6");

    /* Time stamps past 24 bits, a seek hint that is not a picture, no sound. */
    tiny_flv_begin(&t);
    tiny_flv_tag(&t, 9, 0x1000000, 0x12, 4);
    tiny_flv_tag(&t, 9, 0x1000000, 0x52, 1);
    tiny_flv_tag(&t, 9, 0x1000021, 0x22, 4);
    assert_int_equal(walk(&info, t.data, t.len, &e), ERR_OK);
    assert_int_equal(info.frames, 2);
    assert_int_equal(info.audio_codec, -1);
    assert_int_equal(info.last_video_ms, 0x1000021);
    assert_int_equal(info.video_ms, 66);
}

static void refuse_patch(size_t at, uint8_t value, const char *message)
{
    struct tiny t;

    tiny_flv(&t, FLV_VIDEO_H263, 3);
    t.data[at] = value;
    expect_refused(&t, ERR_FORMAT, message);
}

/* Offsets: header 0..12; data tag at 13 (11 + 13 + 4), sound at 41 (11 + 8 + 4), video at 64
 * (11 + 21 + 4), sound at 100, video at 123, ... */
static void test_refuses(void **state)
{
    struct tiny t;

    (void)state;
    refuse_patch(0, 'f', "is not FLV (starts with 'fLV");
    refuse_patch(3, 2, "version 2 at byte 3");
    refuse_patch(4, 7, "reserved bits set at byte 4");
    refuse_patch(8, 10, "header size 10 at byte 5");
    refuse_patch(12, 1, "first previous-tag size at byte 9 is 1");
    refuse_patch(13, 10, "unknown tag type 10 at byte 13");
    refuse_patch(13, 0x32, "unknown tag type 50 at byte 13");
    refuse_patch(23, 1, "stream id 1 at byte 21");
    refuse_patch(40, 25, "previous-tag size at byte 37 is 25, want 24");
    refuse_patch(75, 0x17, "video codec 7 (AVC) at byte 75");
    refuse_patch(75, 0x22, "first frame at byte 64 is not a key frame");
    refuse_patch(75, 0x02, "unknown frame type 0 at byte 75");
    refuse_patch(134, 0x24, "video codec changes from 2 to 4 at byte 134");
    refuse_patch(111, 0x3e, "sound format changes from 2 to 3 at byte 111");
    refuse_patch(70, 99, "video time stamp at byte 123 runs back from 99 ms to 33 ms");
    refuse_patch(47, 99, "audio time stamp at byte 100 runs back from 99 ms to 33 ms");
    tiny_flv_begin(&t);
    tiny_flv_tag(&t, 8, 0, 0x2e, 3);
    expect_refused(&t, ERR_FORMAT, "no video stream");
    tiny_flv_begin(&t);
    expect_refused(&t, ERR_FORMAT, "no video stream");
    tiny_flv_tag(&t, 9, 0, 0x52, 3);
    expect_refused(&t, ERR_FORMAT, "video stream without a frame");
    tiny_flv_begin(&t);
    tiny_flv_tag(&t, 9, 0, 0x12, 0);
    expect_refused(&t, ERR_FORMAT, "holds no picture");
    tiny_flv_begin(&t);
    tiny_add(&t, "\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\x0b", 15);
    expect_refused(&t, ERR_FORMAT, "audio tag at byte 13 is empty");
    tiny_flv(&t, 4, 2);
    tiny_add(&t, "x", 1);
    expect_refused(&t, ERR_TRUNCATED, "ends inside a tag header");
    t.len = 0;
    expect_refused(&t, ERR_TRUNCATED, "is empty");
    tiny_add(&t, "version https://git-lfs.github.com/spec/v1\n", 43);
    expect_refused(&t, ERR_FORMAT, "git-lfs pointer");
    t.len = 0;
    tiny_add(&t, "#EXTM3U\n", 8);
    expect_refused(&t, ERR_FORMAT, "is not FLV (starts with '#EXTM3U\\x0a')");
}

/* Every cut is noticed but the ones between two tags, where the file is a shorter clip: those are
 * for the digest to find. */
static void test_cut_anywhere(void **state)
{
    struct tiny t;
    size_t whole = 0;

    (void)state;
    tiny_flv(&t, FLV_VIDEO_VP6, 5);
    for (size_t n = 0; n < t.len; n++) {
        struct flv_info info;
        struct err e = {0};
        enum err_code rc = walk(&info, t.data, n, &e);

        if (rc == ERR_OK)
            whole++;
        else if (rc != ERR_TRUNCATED && strstr(e.text, "no video stream") == NULL)
            fail_msg("cut at %zu gave %d (%s)", n, rc, e.text);
        assert_true(info.frames <= 5);
    }
    assert_int_equal(whole, 8); /* after the first picture and each tag from there but the last */
}

/* A flip in what the walker rules over is noticed: tag type, size, stream id, previous-tag size. */
static void test_flip_structure(void **state)
{
    static const size_t ruled[] = {123, 124, 125, 126, 131, 132, 133, 155, 156, 157, 158};
    struct tiny t;

    (void)state;
    tiny_flv(&t, FLV_VIDEO_VP6, 3);
    for (size_t i = 0; i < sizeof ruled / sizeof *ruled; i++)
        for (int bit = 0; bit < 8; bit++) {
            struct flv_info info;
            struct err e = {0};

            /* Types 8 and 9 differ in one bit, and a VP6 inter frame (0x24) reads as MP3. */
            if (ruled[i] == 123 && bit == 0)
                continue;
            t.data[ruled[i]] ^= (uint8_t)(1 << bit);
            if (walk(&info, t.data, t.len, &e) == ERR_OK)
                fail_msg("bit %d of byte %zu went unnoticed", bit, ruled[i]);
            t.data[ruled[i]] ^= (uint8_t)(1 << bit);
        }
}

static void test_random_damage(void **state)
{
    struct rng r = rng_at(7, rng_stream("test.flv"), 0, 0);
    struct tiny whole;

    (void)state;
    tiny_flv(&whole, FLV_VIDEO_H263, 6);
    for (int i = 0; i < 20000; i++) {
        struct tiny t = whole;
        struct flv_info info;
        struct err e = {0};
        int changes = 1 + (int)rng_below(&r, 5);
        size_t len = rng_below(&r, 4) == 0 ? rng_below(&r, (uint32_t)t.len + 1) : t.len;

        for (int c = 0; c < changes; c++)
            t.data[rng_below(&r, (uint32_t)t.len)] = (uint8_t)rng_u32(&r);
        if (walk(&info, t.data, len, &e) != ERR_OK)
            assert_true(e.text[0] != '\0');
        assert_in_range(info.frames, 0, 6 + 7 + 1); /* a tag may change its type, not appear */
        assert_true(info.video_ms >= 0 && info.key_frames <= info.frames);
    }
}

/* The real clips: what an independent count of their tags found. */
static void test_real_clips(void **state)
{
    static const struct {
        const char *name;
        int frames, audio, last_ms, video_ms;
    } clips[] = {{"1001_DFA_ANG_XX", 67, 87, 2229, 2235},
                 {"1001_DFA_DIS_XX", 70, 91, 2329, 2335},
                 {"1001_DFA_HAP_XX", 56, 73, 1862, 1868},
                 {"1001_DFA_SAD_XX", 60, 78, 1995, 2001}};

    (void)state;
    for (size_t i = 0; i < sizeof clips / sizeof *clips; i++) {
        char path[512];
        struct file_view v = {0};
        struct flv_info info;
        struct err e = {0};

        snprintf(path, sizeof path, "%s/../shared/clips/flv/%s.flv", SOURCE_DIR, clips[i].name);
        if (file_read(&v, path, 1 << 24, &e) != ERR_OK) {
            print_message("skipped: no %s.flv in ../shared/clips/flv\n", clips[i].name);
            skip();
        }
        if (flv_walk(&info, clips[i].name, v.data, v.len, &e) != ERR_OK)
            fail_msg("%s", e.text);
        assert_int_equal(info.frames, clips[i].frames);
        assert_int_equal(info.audio_tags, clips[i].audio);
        assert_int_equal(info.data_tags, 2);
        assert_int_equal(info.key_frames, 1);
        assert_int_equal(info.first_video_ms, 27);
        assert_int_equal(info.last_video_ms, clips[i].last_ms);
        assert_int_equal(info.video_ms, clips[i].video_ms);
        assert_int_equal(info.video_codec, FLV_VIDEO_VP6);
        assert_int_equal(info.audio_codec, 2);
        file_view_free(&v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),       cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_cut_anywhere),  cmocka_unit_test(test_flip_structure),
        cmocka_unit_test(test_random_damage), cmocka_unit_test(test_real_clips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
