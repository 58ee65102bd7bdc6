/* SPDX-License-Identifier: MIT */
#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "prep/scan.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny_media.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The rules of docs/scan.md that have a number in them, at that number and one beyond it. */

enum { RATE = 8000, WAV_HEADER = 44, FRAMES_MAX = 3 };
enum { VP6 = 4, H263 = 2 };

static const struct clip {
    const char *what;
    int samples, full; /* of sound; of those at full scale, -1: all samples have one value */
    int codec, frames;
    uint32_t at_ms[FRAMES_MAX]; /* the last frame lasts as long as the mean of the others */
    const char *verdict, *flags;
} CLIPS[] = {
    {"100 ms of sound", 800, 0, VP6, 3, {0, 33, 66}, "accepted", ""},
    {"not quite 100 ms", 799, 0, VP6, 3, {0, 33, 66}, "rejected", ""},
    {"10 % at full scale", 1000, 100, VP6, 3, {0, 33, 66}, "accepted", ""},
    {"more than 10 %", 1000, 101, VP6, 3, {0, 33, 66}, "flagged", "clipped_audio"},
    {"one value", 801, -1, VP6, 3, {0, 33, 66}, "rejected", ""},
    {"two pictures", 802, 0, VP6, 2, {0, 33}, "rejected", ""},
    {"500 ms more to see", 803, 0, VP6, 3, {0, 200, 400}, "accepted", ""},
    {"501 ms more to see", 804, 0, VP6, 3, {0, 200, 401}, "flagged", "lengths_differ"},
    {"500 ms more to hear", 4024, 0, VP6, 3, {0, 1, 2}, "accepted", ""},
    {"501 ms more to hear", 4032, 0, VP6, 3, {0, 1, 2}, "flagged", "lengths_differ"},
    {"another codec", 805, 0, H263, 3, {0, 33, 66}, "flagged", "reencoded"},
};
enum { N_CLIPS = sizeof CLIPS / sizeof CLIPS[0] };

static void put(const char *root, const char *folder, int number, const char *suffix,
                const struct tiny *t)
{
    char name[64], *dir = scratch_path(root, folder), *path;
    struct err e = {0};

    ASSERT_OK(dir_make(dir, &e), e);
    snprintf(name, sizeof name, "%d_DFA_ANG_XX%s", 1001 + number, suffix);
    path = scratch_path(dir, name);
    ASSERT_OK(atomic_file_put(path, t->data, t->len, false, &e), e);
    free(path);
    free(dir);
}

static void put_clip(const char *root, int number)
{
    const struct clip *c = &CLIPS[number];
    struct tiny t;

    tiny_flv_begin(&t);
    for (int i = 0; i < c->frames; i++)
        tiny_flv_tag(&t, 9, c->at_ms[i], (uint8_t)((i == 0 ? 0x10 : 0x20) | c->codec), 4);
    put(root, "VideoFlash", number, ".flv", &t);
    tiny_wav(&t, 1, RATE, c->samples);
    t.len = WAV_HEADER;
    for (int i = 0; i < c->samples; i++)
        tiny_le16(&t, i < c->full ? 0x7fff : c->full < 0 ? 77 : 1 + (unsigned)i % 500);
    put(root, "AudioWAV", number, ".wav", &t);
}

static void test_thresholds(void **state)
{
    static const char *const columns[] = {"clip", "verdict", "flags", "reason", NULL};
    struct scan_options opt = SCAN_OPTIONS_DEFAULT;
    char *root = scratch_path(*state, "raw"), *out = scratch_path(*state, "clips.tsv");
    struct tsv *t = NULL;
    struct err e = {0};

    ASSERT_OK(dir_make(root, &e), e);
    for (int i = 0; i < N_CLIPS; i++)
        put_clip(root, i);
    opt.cli.log = (struct log){.tool = "test", .level = LOG_QUIET};
    opt.root = root;
    opt.output = out;
    opt.media = opt.issues = "none";
    ASSERT_FAILS(scan_run(&opt, &e), e, ERR_REJECTED, "3 of 11 clips are rejected");
    ASSERT_OK(tsv_read(&t, out, "clips", columns, &e), e);
    assert_int_equal(tsv_rows(t), N_CLIPS);
    for (int i = 0; i < N_CLIPS; i++) {
        size_t row = (size_t)i;
        const char *verdict = tsv_cell(t, row, tsv_column(t, "verdict"));
        const char *flags = tsv_cell(t, row, tsv_column(t, "flags"));

        if (strcmp(verdict, CLIPS[i].verdict) != 0 || strcmp(flags, CLIPS[i].flags) != 0)
            fail_msg("%s: %s, flags '%s': %s", CLIPS[i].what, verdict, flags,
                     tsv_cell(t, row, tsv_column(t, "reason")));
    }
    tsv_free(t);
    free(root);
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_thresholds, scratch_setup, scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
