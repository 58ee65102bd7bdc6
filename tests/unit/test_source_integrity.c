/* SPDX-License-Identifier: MIT */
#include "common/base/file.h"
#include "common/base/rng.h"
#include "prep/scan_walk.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny_media.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Any change of any byte of a clip is found by the scan, which compares with the digest manifest;
 * 10,000 random edits, of one bit and of whole blocks. */

enum { EDITS = 10000, SEED = 21, MAX_BYTES = 2 * TINY_MAX };

#define NAME "1001_DFA_ANG_XX"

struct place {
    char *path[N_SCAN_MEDIA];
    struct tiny whole[N_SCAN_MEDIA];
    struct scan_options opt;
    struct scan_rules rules;
    struct scan_clip clip;
    struct scan_corpus corpus;
    char *folder[N_SCAN_MEDIA];
};

static void put(const char *path, const void *data, size_t len)
{
    FILE *f;

    (void)unlink(path); /* writing over a file makes some file systems wait for the disk */
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void hex_of(const struct tiny *t, char hex[SHA256_HEX_SIZE])
{
    uint8_t digest[SHA256_SIZE];
    struct err e = {0};

    ASSERT_OK(sha256_bytes(t->data, t->len, digest, &e), e);
    sha256_hex(digest, hex);
}

static void place_open(struct place *p, const char *root)
{
    static const char *const columns[] = {"clip",      "flv_bytes",  "flv_sha256",
                                          "wav_bytes", "wav_sha256", NULL};
    static const struct scan_options defaults = SCAN_OPTIONS_DEFAULT;
    static char clip_name[] = NAME;
    char hex[N_SCAN_MEDIA][SHA256_HEX_SIZE], text[512], name[64];
    struct err e = {0};

    *p = (struct place){.opt = defaults};
    tiny_flv(&p->whole[SCAN_VIDEO], 4, 40);
    tiny_wav(&p->whole[SCAN_AUDIO], 1, 16000, 3000);
    for (int m = 0; m < N_SCAN_MEDIA; m++) {
        p->folder[m] = scratch_path(root, scan_media_folders[m]);
        ASSERT_OK(dir_make(p->folder[m], &e), e);
        snprintf(name, sizeof name, "%s%s", NAME, scan_media_suffixes[m]);
        ASSERT_OK(path_join(&p->path[m], p->folder[m], name, &e), e);
        put(p->path[m], p->whole[m].data, p->whole[m].len);
        hex_of(&p->whole[m], hex[m]);
        p->rules.folder[m] = p->folder[m];
    }
    snprintf(text, sizeof text,
             "#synib-media 1\nclip\tflv_bytes\tflv_sha256\twav_bytes\twav_sha256\n" NAME
             "\t%zu\t%s\t%zu\t%s\n",
             p->whole[SCAN_VIDEO].len, hex[SCAN_VIDEO], p->whole[SCAN_AUDIO].len, hex[SCAN_AUDIO]);
    p->opt.root = root;
    p->rules.opt = &p->opt;
    p->rules.checked = CHECKED_CORPUS;
    ASSERT_OK(tsv_parse(&p->rules.media, "media.tsv", "media", columns, text, strlen(text), &e), e);
    ASSERT_OK(tsv_index_init(&p->rules.media_index, p->rules.media, "clip", &e), e);
    p->clip.name = clip_name;
    p->corpus = (struct scan_corpus){.clip = &p->clip, .count = 1};
    ASSERT_OK(scan_walk_open(&p->rules.workers, &p->corpus, 1, &e), e);
}

static void place_close(struct place *p)
{
    contain_close(p->rules.workers);
    tsv_index_free(&p->rules.media_index);
    tsv_free(p->rules.media);
    for (int m = 0; m < N_SCAN_MEDIA; m++) {
        free(p->path[m]);
        free(p->folder[m]);
    }
}

/* The verdict on the clip as it lies there. */
static struct scan_clip judge(struct place *p)
{
    struct err e = {0};

    p->clip =
        (struct scan_clip){.name = p->clip.name, .half = {{.present = true}, {.present = true}}};
    ASSERT_OK(scan_clip_judge(&p->corpus, 0, 0, &p->rules, &e), e);
    return p->clip;
}

/* One edit of `len` bytes in place; returns the new length. May give the same bytes. */
static size_t edit(uint8_t *b, size_t len, struct rng *r)
{
    size_t at = rng_below(r, (uint32_t)len), other = rng_below(r, (uint32_t)len);
    size_t n = 1 + rng_below(r, 64);
    uint8_t block[64];

    if (n > len - at)
        n = len - at;
    switch (rng_below(r, 8)) {
    case 0: b[at] ^= (uint8_t)(1u << rng_below(r, 8)); return len;
    case 1: b[at] = (uint8_t)rng_u32(r); return len;
    case 2: /* one byte more */
        memmove(b + at + 1, b + at, len - at);
        b[at] = (uint8_t)rng_u32(r);
        return len + 1;
    case 3: memmove(b + at, b + at + 1, len - at - 1); return len - 1;
    case 4: return at; /* cut */
    case 5: memset(b + len, (int)rng_below(r, 256), n); return len + n;
    case 6: memset(b + at, 0, n); return len;
    default: /* two blocks change places */
        if (n > len - other)
            n = len - other;
        memcpy(block, b + at, n);
        memmove(b + at, b + other, n);
        memcpy(b + other, block, n);
        return len;
    }
}

static void test_random_edits(void **state)
{
    static uint8_t bytes[MAX_BYTES];
    int made = 0, same = 0;
    struct place p;
    struct scan_clip c;

    place_open(&p, *state);
    c = judge(&p);
    if (c.rejected)
        fail_msg("the whole clip is rejected: %s", c.reason);
    for (uint32_t i = 0; made < EDITS; i++) {
        struct rng r = rng_at(SEED, rng_stream("test.edits"), 0, i);
        int m = (int)(i % N_SCAN_MEDIA);
        const struct tiny *whole = &p.whole[m];
        size_t len;

        memcpy(bytes, whole->data, whole->len);
        len = edit(bytes, whole->len, &r);
        if (len == whole->len && memcmp(bytes, whole->data, len) == 0) {
            same++;
            continue;
        }
        made++;
        put(p.path[m], bytes, len);
        c = judge(&p);
        if (!c.rejected)
            fail_msg("edit %u of %s: accepted", i, scan_media_names[m]);
        /* an empty file has nothing to compare */
        if (len > 0 && strstr(c.reason, "sha256 differs") == NULL)
            fail_msg("edit %u of %s: no digest in: %s", i, scan_media_names[m], c.reason);
        put(p.path[m], whole->data, whole->len);
    }
    c = judge(&p);
    assert_false(c.rejected);
    assert_true(same < made / 4);
    print_message("%d edits, seed %d, all found\n", made, SEED);
    place_close(&p);
}

/* The two clips' files in each other's place, and a clip that the manifest does not know. */
static void test_swapped_and_unlisted(void **state)
{
    struct place p;
    struct tiny other;
    struct scan_clip c;

    place_open(&p, *state);
    tiny_wav(&other, 1, 16000, 3000);
    other.data[other.len - 1] ^= 1;
    put(p.path[SCAN_AUDIO], other.data, other.len);
    c = judge(&p);
    assert_true(c.rejected);
    assert_non_null(strstr(c.reason, "AudioWAV/" NAME ".wav: sha256 differs from media.tsv"));
    p.rules.media_index.count = 0;
    c = judge(&p);
    assert_true(c.rejected);
    assert_non_null(strstr(c.reason, "is not in media.tsv"));
    place_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random_edits, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_swapped_and_unlisted, scratch_setup, scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
