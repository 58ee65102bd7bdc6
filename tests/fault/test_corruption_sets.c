/* SPDX-License-Identifier: MIT */
/* Irony datasets (overlays with their base sets, self-contained ones) and sets of vectors, shards
 * and indexes: the readers of the trainer meet every damage before they use it, or do not use it at
 * all; then verify finds it. Full strength: nice build/bin/test_corruption_sets --full */
#include "common/base/file.h"
#include "common/data/vectors.h"
#include "common/data/xor.h"
#include "tests/support/check.h"
#include "tests/support/damage.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny_dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct strength strength;

/* ---- irony datasets ---- */

enum { CLIPS = 5, FIRST = 1, SIDE = 16 };

/* A split, and what its samples are when nothing is damaged. */
struct media {
    const char *dir, *split;
    struct sample sample[CLIPS]; /* media in copies */
};

static void *copy_of(const void *data, size_t len)
{
    void *copy = malloc(len);

    assert_non_null(copy);
    memcpy(copy, data, len);
    return copy;
}

static size_t spectrogram_bytes(void)
{
    return TINY_BINS * TINY_FRAMES * sizeof(float);
}

static void media_new(struct media *m, const char *dir, const char *split)
{
    struct dataset *d = NULL;
    struct err e = {0};

    *m = (struct media){.dir = dir, .split = split};
    ASSERT_OK(dataset_open(&d, dir, split, NULL, &e), e);
    assert_int_equal(dataset_count(d), CLIPS);
    for (int i = 0; i < CLIPS; i++) {
        struct sample *s = &m->sample[i];

        ASSERT_OK(dataset_get(d, i, s, &e), e);
        s->spectrogram = copy_of(s->spectrogram, spectrogram_bytes());
        for (int f = 0; f < FRAMES_PER_CLIP; f++)
            s->jpeg[f] = copy_of(s->jpeg[f], s->jpeg_len[f]);
    }
    dataset_close(d);
}

static void media_free(struct media *m)
{
    for (int i = 0; i < CLIPS; i++) {
        free((void *)(uintptr_t)m->sample[i].spectrogram);
        for (int f = 0; f < FRAMES_PER_CLIP; f++)
            free((void *)(uintptr_t)m->sample[i].jpeg[f]);
    }
}

static bool same_sample(const struct sample *a, const struct sample *b)
{
    for (int f = 0; f < FRAMES_PER_CLIP; f++)
        if (a->jpeg_len[f] != b->jpeg_len[f] || memcmp(a->jpeg[f], b->jpeg[f], a->jpeg_len[f]) != 0)
            return false;
    return memcmp(a->clip, b->clip, sizeof a->clip) == 0 &&
           memcmp(a->donor, b->donor, sizeof a->donor) == 0 && a->label == b->label &&
           a->base_label == b->base_label && a->donor_label == b->donor_label &&
           a->actor == b->actor && a->flags == b->flags &&
           memcmp(a->spectrogram, b->spectrogram, spectrogram_bytes()) == 0;
}

static enum err_code read_media(void *ctx, const struct damage_victim *v, struct damage_seen *seen,
                                struct err *e)
{
    const struct media *m = ctx;
    struct dataset *d = NULL;

    (void)v;
    TRY(dataset_open(&d, m->dir, m->split, NULL, e));
    seen->opened = true;
    if (dataset_count(d) != CLIPS)
        seen->wrong = true;
    for (int i = 0; i < CLIPS && !seen->wrong; i++) {
        struct err one = {0};
        struct sample s;

        if (dataset_get(d, i, &s, &one) == ERR_OK)
            seen->wrong = !same_sample(&s, &m->sample[i]);
        else
            (void)err_set(e, one.code, "%s", one.text);
    }
out:
    dataset_close(d);
    return e->code;
}

/* What `synib-shard verify` does with the set that the damaged file belongs to. */
static enum err_code verify_own_set(void *ctx, const struct damage_victim *v, struct err *e)
{
    char *dir = strdup(v->path);
    struct shard_set *s = NULL;

    (void)ctx;
    assert_non_null(dir);
    *strrchr(dir, '/') = '\0';
    TRY(shard_set_open(&s, dir, e));
    TRY(shard_set_verify(s, 1, e));
out:
    shard_set_close(s);
    free(dir);
    return e->code;
}

/* Everything that can happen to one file. At full strength all 255 other values at every byte of
 * the smaller ones; 15 of the larger ones, whose like test_corruption.c tries them at. */
static void damage_all(struct damage_victim *v, const char *what)
{
    int values = v->len < 8000 && !v->may_rest ? 255 : 15;
    struct rng r = rng_at(strength.seed, rng_stream(what), 0, 0);

    damage_try_good(v);
    damage_bytes(v, 0, strength.full ? 1 : 23, strength.full ? values : 2);
    damage_random(v, &r, strength.full ? 10000 : 300);
    damage_blocks(v, &r, strength.full ? 5000 : 100);
    damage_cuts(v, strength.full ? 1 : 53);
    damage_appends(v, &r, strength.full ? 7 : 511);
    damage_report(v, what);
}

/* Each file of ROOT/SET with this ending in turn. */
static void damage_media(const char *root, const char *set, const char *suffix, struct media *m,
                         bool may_rest)
{
    char *dir = scratch_path(root, set);
    struct name_list names = {0};
    struct err e = {0};

    ASSERT_OK(dir_list(&names, dir, suffix, &e), e);
    assert_true(names.count > 0);
    for (size_t i = 0; i < names.count; i++) {
        char *path = scratch_path(dir, names.name[i]), what[128];
        struct damage_victim v;

        snprintf(what, sizeof what, "%s/%s", set, names.name[i]);
        damage_open(&v, path);
        v.read = read_media;
        v.ctx = m;
        v.may_rest = may_rest;
        v.verify = verify_own_set;
        damage_all(&v, what);
        damage_close(&v);
        free(path);
    }
    name_list_free(&names);
    free(dir);
}

/* Base sets are looked for in the three folders above as well: here they hold nothing else. */
static const char deep[] = "a/b/c";

/* The overlay's own files are all of use; a base set holds clips and fields that it does not use.
 */
static void test_overlay(void **state)
{
    char *root = scratch_path(*state, deep);
    struct media m;
    struct err e = {0};
    char digest[65];

    ASSERT_OK(tiny_bases_write(root, CLIPS + FIRST, SIDE, &e), e);
    ASSERT_OK(tiny_split_write(root, "train", FIRST, CLIPS, false, digest, &e), e);
    media_new(&m, root, "train");
    damage_media(root, "train", ".safetensors", &m, false);
    damage_media(root, "train", ".jsonl", &m, false);
    damage_media(root, "video", ".safetensors", &m, true);
    damage_media(root, "video", ".jsonl", &m, false);
    damage_media(root, "audio", ".safetensors", &m, true);
    damage_media(root, "audio", ".jsonl", &m, false);
    media_free(&m);
    free(root);
}

static void test_materialised(void **state)
{
    char *root = scratch_path(*state, deep);
    struct media m;
    struct err e = {0};
    char digest[65];

    ASSERT_OK(tiny_bases_write(root, CLIPS + FIRST, SIDE, &e), e);
    ASSERT_OK(tiny_split_write(root, "val", FIRST, CLIPS, true, digest, &e), e);
    media_new(&m, root, "val");
    damage_media(root, "val", ".safetensors", &m, false);
    damage_media(root, "val", ".jsonl", &m, false);
    media_free(&m);
    free(root);
}

/* A base set that was made again with other content is another set: the overlay does not take it
 * for the one that it was made from. */
static void test_other_base(void **state)
{
    char *root = scratch_path(*state, deep);
    char *train = scratch_path(root, "train"), *video = scratch_path(root, "video"),
         *old = scratch_path(root, "video-old");
    struct dataset *d = NULL;
    struct err e = {0};
    char digest[65];

    ASSERT_OK(tiny_bases_write(root, CLIPS + FIRST, SIDE, &e), e);
    ASSERT_OK(tiny_split_write(root, "train", FIRST, CLIPS, false, digest, &e), e);
    assert_int_equal(rename(video, old), 0);
    {
        char *other = scratch_path(root, "other"), *made = scratch_path(root, "other/video");

        ASSERT_OK(tiny_bases_write(other, CLIPS + FIRST, SIDE + 1, &e), e);
        assert_int_equal(rename(made, video), 0);
        free(other);
        free(made);
    }
    {
        struct err clean = {0};
        void *stale = strdup(old); /* or the search would find it beside the split */

        assert_non_null(stale);
        assert_int_equal(scratch_teardown(&stale), 0);
        ASSERT_FAILS(dataset_open(&d, root, "train", NULL, &clean), clean, ERR_DATA,
                     "its video base set (content digest");
    }
    free(train);
    free(video);
    free(old);
    free(root);
}

/* ---- whole shards in each other's place ---- */

/* Two shards of one size each; values and provenance from the seeds. */
static void write_pair(const char *dir, uint32_t content, const char *provenance)
{
    static const struct shard_field field = {
        .name = "x", .dtype = DTYPE_U8, .rank = 1, .dim = {100}};
    struct shard_options opt = {.prefix = "x", .target_bytes = 250};
    struct shard_writer *w = NULL;
    struct err e = {0};
    uint8_t x[100];

    ASSERT_OK(shard_writer_open(&w, dir, &opt, &field, 1, &e), e);
    ASSERT_OK(shard_writer_meta(w, "synib.seed", provenance, &e), e);
    for (int i = 0; i < 6; i++) {
        const struct shard_value value = {x, sizeof x};

        memset(x, (int)content + i, sizeof x);
        ASSERT_OK(shard_writer_add(w, &value, &e), e);
    }
    ASSERT_OK(shard_writer_commit(w, &e), e);
}

static char *shard_of(const char *dir, size_t i)
{
    struct name_list names = {0};
    struct err e = {0};
    char *path;

    ASSERT_OK(dir_list(&names, dir, ".safetensors", &e), e);
    assert_int_equal(names.count, 2);
    path = scratch_path(dir, names.name[i]);
    name_list_free(&names);
    return path;
}

static void test_exchanged_shards(void **state)
{
    char *dir = scratch_path(*state, "a"), *seed = scratch_path(*state, "b"),
         *twin = scratch_path(*state, "c");
    const struct {
        const char *dir;
        size_t shard;
        const char *message; /* on opening; NULL: by verify alone */
    } others[] = {{dir, 1, "says that its first sample is 3, not 0"},
                  {seed, 0, "metadata 'synib.seed' differs from its set's"},
                  {twin, 0, NULL}};
    char *victim;

    write_pair(dir, 10, "1");
    write_pair(seed, 90, "2");
    write_pair(twin, 50, "1");
    victim = shard_of(dir, 0);
    for (int i = 0; i < 3; i++) {
        char *path = shard_of(others[i].dir, others[i].shard);
        struct damage_victim v, other;
        struct shard_set *s = NULL;
        struct err e = {0};

        damage_open(&v, victim);
        damage_open(&other, path);
        assert_int_equal(v.len, other.len);
        memcpy(v.map, other.good, v.len);
        if (others[i].message != NULL) {
            ASSERT_FAILS(shard_set_open(&s, dir, &e), e, ERR_DATA, others[i].message);
        } else {
            ASSERT_OK(shard_set_open(&s, dir, &e), e);
            ASSERT_FAILS(shard_set_verify(s, 1, &e), e, ERR_CHECKSUM,
                         "its name says other contents");
            shard_set_close(s);
        }
        memcpy(v.map, v.good, v.len);
        damage_close(&v);
        damage_close(&other);
        free(path);
    }
    free(victim);
    free(dir);
    free(seed);
    free(twin);
}

/* ---- vectors ---- */

static bool same_vectors(const struct vectors *a, const struct vectors *b)
{
    size_t n = (size_t)a->count;

    if (a->count != b->count || a->modalities != b->modalities || a->classes != b->classes ||
        a->sources != b->sources || memcmp(a->class_name, b->class_name, sizeof a->class_name) ||
        memcmp(a->source_name, b->source_name, sizeof a->source_name))
        return false;
    for (int m = 0; m < a->modalities; m++) {
        const struct vector_modality *x = &a->modality[m], *y = &b->modality[m];
        size_t bytes = n * (size_t)x->dim;

        if (strcmp(x->name, y->name) != 0 || x->dim != y->dim ||
            memcmp(x->x, y->x, bytes * sizeof *x->x) || memcmp(x->block, y->block, bytes) ||
            memcmp(x->oracle, y->oracle, bytes))
            return false;
    }
    return memcmp(a->label, b->label, n * sizeof *a->label) == 0 &&
           memcmp(a->source, b->source, n * sizeof *a->source) == 0 &&
           strcmp(a->digest, b->digest) == 0;
}

struct vector_set {
    const char *dir;
    struct vectors good;
};

static enum err_code read_vectors(void *ctx, const struct damage_victim *v,
                                  struct damage_seen *seen, struct err *e)
{
    const struct vector_set *s = ctx;
    struct vectors now;

    (void)v;
    if (vectors_read(&now, s->dir, "train", e) != ERR_OK)
        return e->code;
    seen->opened = true;
    seen->wrong = !same_vectors(&now, &s->good);
    vectors_free(&now);
    return ERR_OK;
}

static enum err_code put_meta(void *ctx, const char *key, const char *value, struct err *e)
{
    return shard_writer_meta(ctx, key, value, e);
}

static void write_vectors(const char *dir, const struct vectors *v)
{
    struct shard_options opt = {.prefix = "vectors"};
    struct shard_field field[SHARD_MAX_FIELDS];
    int n = vectors_fields(v, field);
    struct shard_writer *w = NULL;
    struct err e = {0};

    ASSERT_OK(shard_writer_open(&w, dir, &opt, field, n, &e), e);
    ASSERT_OK(vectors_meta(v, put_meta, w, &e), e);
    for (int64_t i = 0; i < v->count; i++) {
        struct shard_value value[SHARD_MAX_FIELDS];

        for (int f = 0; f < n; f++)
            value[f] = vectors_value(v, i, f);
        ASSERT_OK(shard_writer_add(w, value, &e), e);
    }
    ASSERT_OK(shard_writer_commit(w, &e), e);
}

static void test_vectors(void **state)
{
    char *dir = scratch_path(*state, "train");
    struct xor_options o = xor_defaults(XOR_PID);
    struct vector_set s = {.dir = *state};
    struct vectors v[XOR_SPLITS];
    struct name_list names = {0};
    struct err e = {0};

    o.seed = strength.seed;
    o.count[XOR_TRAIN] = 12;
    o.count[XOR_VAL] = o.count[XOR_TEST] = 1;
    ASSERT_OK(xor_make(v, &o, &e), e);
    write_vectors(dir, &v[XOR_TRAIN]);
    ASSERT_OK(vectors_read(&s.good, *state, "train", &e), e);
    assert_true(s.good.modality[0].oracle != NULL && s.good.classes > 0 && s.good.sources > 0);
    ASSERT_OK(dir_list(&names, dir, "", &e), e);
    assert_int_equal(names.count, 2); /* one shard and the index */
    for (size_t i = 0; i < names.count; i++) {
        char *path = scratch_path(dir, names.name[i]);
        struct damage_victim victim;

        damage_open(&victim, path);
        victim.read = read_vectors;
        victim.ctx = &s;
        damage_all(&victim, i == 0 ? "index of vectors" : "shard of vectors");
        damage_close(&victim);
        free(path);
    }
    name_list_free(&names);
    for (int k = 0; k < XOR_SPLITS; k++)
        vectors_free(&v[k]);
    vectors_free(&s.good);
    free(dir);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
        IN_SCRATCH(test_overlay),    IN_SCRATCH(test_materialised),
        IN_SCRATCH(test_other_base), IN_SCRATCH(test_exchanged_shards),
        IN_SCRATCH(test_vectors),
    };

    strength = strength_parse(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
