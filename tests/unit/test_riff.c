/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "prep/riff.h"
#include "tests/support/cmocka.h"
#include "tests/support/tiny_media.h"

#include <stdlib.h>
#include <string.h>

/* The walk over an exact heap copy, so that the address sanitizer sees a read past its end. */
static enum err_code walk(struct riff_info *info, const void *data, size_t len, struct err *e)
{
    void *copy = malloc(len > 0 ? len : 1);
    enum err_code rc;

    memcpy(copy, data, len);
    rc = riff_walk(info, "x.wav", copy, len, e);
    if (rc == ERR_OK) {
        struct riff_stats stats;

        riff_measure(&stats, info);
        assert_true(info->pcm_offset + info->pcm_bytes <= len);
        assert_int_equal(info->samples * (uint64_t)info->channels * 2, info->pcm_bytes);
        info->pcm = NULL;
    }
    free(copy);
    return rc;
}

static void expect_refused(const struct tiny *t, enum err_code code, const char *message)
{
    struct riff_info info;
    struct err e = {0};
    enum err_code rc = walk(&info, t->data, t->len, &e);

    if (rc != code || strstr(e.text, message) == NULL)
        fail_msg("wanted %d '%s', got %d '%s'", code, message, rc, e.text);
    assert_int_equal(info.samples, 0);
}

static void test_accepts(void **state)
{
    struct tiny t, extended = {.len = 0};
    struct riff_info info;
    struct err e = {0};

    (void)state;
    tiny_wav(&t, 1, 16000, 10);
    assert_int_equal(t.len, 64);
    assert_int_equal(walk(&info, t.data, t.len, &e), ERR_OK);
    assert_int_equal(info.rate_hz, 16000);
    assert_int_equal(info.channels, 1);
    assert_int_equal(info.samples, 10);
    assert_int_equal(info.pcm_offset, 44);

    tiny_wav(&t, 2, 48000, 7);
    assert_int_equal(walk(&info, t.data, t.len, &e), ERR_OK);
    assert_int_equal(info.channels, 2);
    assert_int_equal(info.samples, 7);

    /* A LIST of two parts before and an odd unknown chunk after the samples. */
    tiny_wav(&t, 1, 8000, 4);
    tiny_add(&extended, t.data, 12);
    tiny_add(&extended, "LIST\x1a\0\0\0INFOIART\1\0\0\0a\0ICMT\4\0\0\0abcd", 34);
    tiny_add(&extended, t.data + 12, t.len - 12);
    tiny_add(&extended, "odd \3\0\0\0abc\0", 12);
    tiny_wav_fix(&extended);
    if (walk(&info, extended.data, extended.len, &e) != ERR_OK)
        fail_msg("%s", e.text);
    assert_int_equal(info.samples, 4);
    assert_int_equal(info.pcm_offset, 44 + 34);
}

static void test_extensible(void **state)
{
    static const uint8_t tail[] = {22,   0,    16,   0,    4,    0,    0,    0,
                                   0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00,
                                   0x80, 0x00, 0x00, 0xaa, 0x00, 0x38, 0x9b, 0x71};
    struct tiny plain, t = {.len = 0};
    struct riff_info info;
    struct err e = {0};

    (void)state;
    tiny_wav(&plain, 1, 22050, 5);
    tiny_add(&t, plain.data, 36);
    t.data[16] = 40;
    t.data[20] = 0xfe;
    t.data[21] = 0xff;
    tiny_add(&t, tail, sizeof tail);
    tiny_add(&t, plain.data + 36, plain.len - 36);
    tiny_wav_fix(&t);
    if (walk(&info, t.data, t.len, &e) != ERR_OK)
        fail_msg("%s", e.text);
    assert_int_equal(info.samples, 5);
    t.data[44] = 3; /* the sub-format is now float */
    expect_refused(&t, ERR_FORMAT, "extensible format at byte 20 is not 16-bit PCM");
}

static void refuse_patch(size_t at, uint8_t value, const char *message)
{
    struct tiny t;

    tiny_wav(&t, 1, 16000, 10);
    t.data[at] = value;
    expect_refused(&t, ERR_FORMAT, message);
}

/* Every rule has words of its own. */
static void test_refuses(void **state)
{
    struct tiny t;

    (void)state;
    refuse_patch(3, 'X', "is not WAV (starts with 'RIFX8\\x00\\x00\\x00')");
    refuse_patch(8, 'B', "form at byte 8 is not 'WAVE'");
    refuse_patch(4, 48, "claims 56 bytes, file has 64: extra bytes");
    refuse_patch(16, 17, "has 17 bytes, want 16, 18 or 40");
    refuse_patch(20, 3, "format 3 at byte 20 is not PCM");
    refuse_patch(20, 6, "format 6 at byte 20 is not PCM");
    refuse_patch(22, 0, "0 channels at byte 22");
    refuse_patch(22, 3, "3 channels at byte 22");
    refuse_patch(25, 3, "896 Hz at byte 24, want 8000 to 192000");
    refuse_patch(26, 4, "278144 Hz");
    refuse_patch(28, 1, "byte rate 32001 at byte 28");
    refuse_patch(32, 4, "block size 4 at byte 32");
    refuse_patch(34, 8, "8-bit samples at byte 34");
    refuse_patch(12, 'g', "chunk 'data' at byte 44 before 'fmt '");
    refuse_patch(36, 'e', "no chunk 'data'");
    refuse_patch(36, 1, "bad chunk name '\\x01ata' at byte 36");
    refuse_patch(40, 18, "2 stray bytes at byte 62");
    tiny_wav(&t, 1, 16000, 10);
    t.data[40] = 21;
    expect_refused(&t, ERR_TRUNCATED, "chunk 'data' at byte 36 claims 21 bytes, 20 are left");
    tiny_wav(&t, 1, 16000, 0);
    expect_refused(&t, ERR_FORMAT, "holds no samples");
    tiny_wav(&t, 1, 16000, 10);
    tiny_add(&t, "x", 1);
    expect_refused(&t, ERR_FORMAT, "claims 64 bytes, file has 65");
    tiny_wav(&t, 1, 16000, 10);
    tiny_add(&t, "LIST\2\0\0\0ab", 10);
    tiny_wav_fix(&t);
    expect_refused(&t, ERR_FORMAT, "'LIST' at byte 72 has no type");
    tiny_wav(&t, 1, 16000, 10);
    tiny_add(&t, "odd \3\0\0\0abc", 11);
    tiny_wav_fix(&t);
    expect_refused(&t, ERR_TRUNCATED, "'odd ' at byte 64 lacks its padding byte");
    t.len = 0;
    tiny_add(&t, "version https://git-lfs.github.com/spec/v1\noid sha256:00\n", 57);
    expect_refused(&t, ERR_FORMAT, "is a git-lfs pointer, not media: run 'git lfs pull'");
    t.len = 0;
    expect_refused(&t, ERR_TRUNCATED, "is empty");
    tiny_add(&t, "<html>", 6);
    expect_refused(&t, ERR_FORMAT, "is not WAV (starts with '<html>')");
}

/* A format chunk of `size` bytes: 16 as of 10 samples of mono, then `tail`, then the samples. */
static void with_format(struct tiny *t, unsigned tag, uint8_t size, const uint8_t *tail)
{
    struct tiny plain;

    tiny_wav(&plain, 1, 16000, 10);
    *t = (struct tiny){.len = 0};
    tiny_add(t, plain.data, 36);
    t->data[16] = size;
    t->data[20] = (uint8_t)tag;
    t->data[21] = (uint8_t)(tag >> 8);
    tiny_add(t, tail, (size_t)size - 16);
    tiny_add(t, plain.data + 36, plain.len - 36);
    tiny_wav_fix(t);
}

static void test_formats(void **state)
{
    static const uint8_t none[2] = {0}, extra[2] = {1, 0};
    uint8_t tail[24] = {22,   0,    16,   0,    4,    0,    0,    0,    0x01, 0x00, 0x00, 0x00,
                        0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xaa, 0x00, 0x38, 0x9b, 0x71};
    struct riff_info info;
    struct err e = {0};
    struct tiny t;

    (void)state;
    with_format(&t, 1, 18, none);
    assert_int_equal(walk(&info, t.data, t.len, &e), ERR_OK);
    assert_int_equal(info.pcm_offset, 46);
    with_format(&t, 1, 18, extra);
    expect_refused(&t, ERR_FORMAT, "extra format size at byte 36 is 1, want 0");
    with_format(&t, 1, 40, tail);
    expect_refused(&t, ERR_FORMAT, "format 1 at byte 20 does not go with a chunk of 40 bytes");
    with_format(&t, 0xfffe, 16, none);
    expect_refused(&t, ERR_FORMAT, "format 65534 at byte 20 does not go with a chunk of 16 bytes");
    with_format(&t, 0xfffe, 18, none);
    expect_refused(&t, ERR_FORMAT, "format 65534 at byte 20 does not go with a chunk of 18 bytes");
    for (size_t i = 0; i < 24; i++) {
        if (i >= 4 && i < 8) /* which speaker: any */
            continue;
        tail[i] ^= 1;
        with_format(&t, 0xfffe, 40, tail);
        expect_refused(&t, ERR_FORMAT, "extensible format at byte 20 is not 16-bit PCM");
        tail[i] ^= 1;
    }
}

/* Chunks that stand twice or not at all. */
static void test_chunks(void **state)
{
    struct tiny t, once;

    (void)state;
    tiny_wav(&once, 1, 16000, 10);
    t = once;
    tiny_add(&t, once.data + 12, 24);
    tiny_wav_fix(&t);
    expect_refused(&t, ERR_FORMAT, "second chunk 'fmt ' at byte 72");
    t = once;
    tiny_add(&t, once.data + 36, 28);
    tiny_wav_fix(&t);
    expect_refused(&t, ERR_FORMAT, "second chunk 'data' at byte 72");
    t = once;
    t.len = 12;
    tiny_wav_fix(&t);
    expect_refused(&t, ERR_FORMAT, "no chunk 'fmt '");
    tiny_wav(&t, 2, 16000, 10);
    t.data[40]--; /* 39 bytes, and one of padding */
    expect_refused(&t, ERR_FORMAT, "chunk 'data' at byte 44 has 39 bytes, not a multiple of 4");
    t = once;
    tiny_add(&t, "LIST\5\0\0\0INFOx\0", 14);
    tiny_wav_fix(&t);
    expect_refused(&t, ERR_FORMAT, "1 stray bytes at byte 76, no room for a chunk");
    t = once;
    tiny_add(&t, "LIST\x0e\0\0\0INFOICMT\x05\0\0\0ab", 22);
    tiny_wav_fix(&t);
    expect_refused(&t, ERR_TRUNCATED, "chunk 'ICMT' at byte 76 claims 5 bytes, 2 are left");
    tiny_add(&t, "odd \2\0\0\0ab", 10); /* the file goes on behind the LIST */
    tiny_wav_fix(&t);
    expect_refused(&t, ERR_FORMAT, "chunk 'ICMT' at byte 76 claims 5 bytes, 2 are left");
}

/* 109 bytes that hang libsndfile 1.2.0 (reported upstream as a fuzzing find), and the same with a
 * RIFF size that fits. */
static void test_hang_file(void **state)
{
    static const uint8_t start[] = {0x52, 0x49, 0x46, 0x46, 0xc6, 0x0c, 0x00, 0x00, 0x57, 0x41,
                                    0x56, 0x45, 0x66, 0x6d, 0x74, 0x20, 0x10, 0x00, 0x00, 0x00,
                                    0x01, 0x00, 0x01, 0x00, 0x80, 0x3e, 0x00, 0x00, 0x00, 0x7d,
                                    0x00, 0x00, 0x02, 0x00, 0x10, 0x00, 0x4c, 0x49, 0x53, 0x54,
                                    0x05, 0x00, 0x00, 0x05, 0xe5, 0x57, 0x41, 0xe5, 0xff, 0xff};
    struct tiny t = {.len = 0};

    (void)state;
    tiny_add(&t, start, sizeof start);
    while (t.len < 109)
        tiny_add(&t, "\xff", 1);
    expect_refused(&t, ERR_TRUNCATED, "header claims 3278 bytes, file has 109");
    tiny_wav_fix(&t);
    expect_refused(&t, ERR_TRUNCATED, "chunk 'LIST' at byte 36 claims 83886085 bytes");
}

static void test_cut_anywhere(void **state)
{
    struct riff_info info;
    struct tiny t;

    (void)state;
    tiny_wav(&t, 2, 16000, 20);
    for (size_t n = 0; n < t.len; n++) {
        struct err e = {0};
        enum err_code rc = walk(&info, t.data, n, &e);

        if (rc != ERR_TRUNCATED)
            fail_msg("cut at %zu gave %d (%s)", n, rc, e.text);
    }
}

/* A flipped bit of the header is either refused or changes what we may not know better: the sample
 * rate with its byte rate cannot change by one bit. */
static void test_flip_header(void **state)
{
    struct riff_info info;
    struct tiny t;

    (void)state;
    tiny_wav(&t, 1, 16000, 10);
    for (size_t bit = 0; bit < (size_t)8 * 44; bit++) {
        struct err e = {0};

        t.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (walk(&info, t.data, t.len, &e) == ERR_OK)
            fail_msg("bit %zu of byte %zu went unnoticed", bit % 8, bit / 8);
        t.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = (size_t)8 * 44; bit < 8 * t.len; bit++) {
        struct err e = {0};

        t.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(walk(&info, t.data, t.len, &e), ERR_OK);
    }
}

static void test_random_damage(void **state)
{
    struct rng r = rng_at(7, rng_stream("test.riff"), 0, 0);
    struct tiny whole;

    (void)state;
    tiny_wav(&whole, 1, 16000, 30);
    tiny_add(&whole, "LIST\x12\0\0\0INFOIART\6\0\0\0abcdef", 26);
    tiny_wav_fix(&whole);
    for (int i = 0; i < 20000; i++) {
        struct tiny t = whole;
        struct riff_info info;
        struct err e = {0};
        int changes = 1 + (int)rng_below(&r, 6);
        size_t len = rng_below(&r, 4) == 0 ? rng_below(&r, (uint32_t)t.len + 1) : t.len;

        for (int c = 0; c < changes; c++)
            t.data[rng_below(&r, (uint32_t)t.len)] = (uint8_t)rng_u32(&r);
        if (walk(&info, t.data, len, &e) != ERR_OK)
            assert_true(e.text[0] != '\0');
    }
}

static void test_measure(void **state)
{
    struct riff_stats stats;
    struct riff_info info;
    struct err e = {0};
    struct tiny t;

    (void)state;
    tiny_wav(&t, 1, 16000, 20);
    assert_int_equal(riff_walk(&info, "x.wav", t.data, t.len, &e), ERR_OK);
    riff_measure(&stats, &info);
    assert_int_equal(stats.peak, 100);
    assert_false(stats.constant);
    memset(t.data + 44, 0, 40);
    riff_measure(&stats, &info);
    assert_true(stats.silent && stats.constant);
    for (int i = 0; i < 20; i++)
        t.data[44 + 2 * i] = 9;
    riff_measure(&stats, &info);
    assert_true(!stats.silent && stats.constant);
    memcpy(t.data + 44, "\xff\x7f\x00\x80\x01\x80\xfe\x7f", 8); /* 32767 -32768 -32767 32766 */
    riff_measure(&stats, &info);
    assert_int_equal(stats.peak, 32768);
    assert_float_equal(stats.clipped_part, 3.0 / 20.0, 1e-12);
    tiny_wav(&t, 2, 16000, 20); /* two channels of one value each */
    assert_int_equal(riff_walk(&info, "x.wav", t.data, t.len, &e), ERR_OK);
    for (int i = 0; i < 40; i++)
        memcpy(t.data + 44 + 2 * i, i % 2 == 0 ? "\x09\x00" : "\xf0\xff", 2);
    riff_measure(&stats, &info);
    assert_true(!stats.silent && stats.constant && stats.peak == 16);
    t.data[44 + 2 * 39] = 0xf1;
    riff_measure(&stats, &info);
    assert_false(stats.constant);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),       cmocka_unit_test(test_extensible),
        cmocka_unit_test(test_refuses),       cmocka_unit_test(test_hang_file),
        cmocka_unit_test(test_cut_anywhere),  cmocka_unit_test(test_flip_header),
        cmocka_unit_test(test_random_damage), cmocka_unit_test(test_measure),
        cmocka_unit_test(test_formats),       cmocka_unit_test(test_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
