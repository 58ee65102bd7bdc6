/* SPDX-License-Identifier: MIT */
/* Digests and file names as docs/formats/shards.md and irony.md define them, compared with numbers
 * that tests/golden/make/digests.py computes from these pages alone. */
#include "common/base/file.h"
#include "common/data/irony.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char content_digest[] =
    "54eec8af97c941ebd1b1c44a93f6113bf3cebd617788c7f095407ff59c911c6f";
static const char shard_name[] = "x-00000-3a3c1abf67f2.safetensors";
static const char irony_digest[] =
    "0888d2e3a2dd0fc8fd08fee47fd86caba5461158dc36748b7a059c000ac1ec52";

static void write_set(const char *dir)
{
    static const struct shard_field fields[] = {
        {.name = "clip", .dtype = DTYPE_U8, .rank = 1, .dim = {24}},
        {.name = "blob", .dtype = DTYPE_U8, .ragged = true},
        {.name = "value", .dtype = DTYPE_F32, .rank = 2, .dim = {2, 1}},
        {.name = "label", .dtype = DTYPE_I32},
    };
    struct shard_options opt = {.prefix = "x"};
    struct shard_writer *w = NULL;
    struct err e = {0};

    ASSERT_OK(shard_writer_open(&w, dir, &opt, fields, 4, &e), e);
    ASSERT_OK(shard_writer_meta(w, "synib.seed", "7", &e), e);
    ASSERT_OK(shard_writer_meta(w, "a.key", "first", &e), e);
    for (int32_t i = 0; i < 3; i++) {
        const float value[2] = {(float)i, (float)i + 0.5f};
        const int32_t label = -i;
        const uint8_t blob[3] = {0, 1, 2};
        char clip[24] = "";

        snprintf(clip, sizeof clip, "100%d_DFA_ANG_XX", (int)i);
        ASSERT_OK(shard_writer_add(w,
                                   (const struct shard_value[]){{clip, sizeof clip},
                                                                {blob, (size_t)i + 1},
                                                                {value, sizeof value},
                                                                {&label, sizeof label}},
                                   &e),
                  e);
    }
    ASSERT_OK(shard_writer_commit(w, &e), e);
}

static void test_set(void **state)
{
    char *dir = scratch_path(*state, "set");
    struct shard_set *s = NULL;
    int64_t first, count;
    struct err e = {0};

    write_set(dir);
    ASSERT_OK(shard_set_open(&s, dir, &e), e);
    assert_string_equal(shard_set_digest(s), content_digest);
    assert_string_equal(path_base(tensorfile_path(shard_set_shard(s, 0, &first, &count))),
                        shard_name);
    shard_set_close(s);
    free(dir);
}

static void test_irony(void **state)
{
    static const float low[2] = {-1.5f, 2.0f}, high[2] = {0.0f, -16.0f};
    const struct sample samples[2] = {
        {.clip = "1001_DFA_ANG_XX",
         .donor = "1002_IEO_HAP_LO",
         .label = 6,
         .base_label = 5,
         .donor_label = 1,
         .actor = 1001,
         .flags = FLAG_SHORT_VIDEO | FLAG_TILED_AUDIO,
         .jpeg = {(const uint8_t *)"one", (const uint8_t *)"two", (const uint8_t *)"three"},
         .jpeg_len = {3, 3, 5},
         .spectrogram = low},
        {.clip = "1002_IEO_HAP_LO",
         .label = 1,
         .base_label = 1,
         .donor_label = -1,
         .actor = 1002,
         .jpeg = {(const uint8_t *)"4", (const uint8_t *)"5", (const uint8_t *)"6"},
         .jpeg_len = {1, 1, 1},
         .spectrogram = high},
    };
    uint8_t digests[2][32];
    struct sha256_message m;
    struct err e = {0};
    char hex[65];

    (void)state;
    for (int i = 0; i < 2; i++) {
        irony_sample_message(&samples[i], 2, 1, &m);
        ASSERT_OK(sha256_message_digest(&m, digests[i], &e), e);
    }
    ASSERT_OK(irony_content_digest(digests[0], 2, 2, 1, hex, &e), e);
    assert_string_equal(hex, irony_digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_set, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_irony),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
