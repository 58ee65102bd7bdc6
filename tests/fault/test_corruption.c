/* SPDX-License-Identifier: MIT */
/* Shards: whatever is changed is found before a value is handed out. The full strength is the
 * record of docs/reliability/corruption.md:
 *
 *   nice build/bin/test_corruption --full
 */
#include "common/base/file.h"
#include "common/data/shard.h"
#include "tests/support/check.h"
#include "tests/support/damage.h"
#include "tests/support/scratch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct strength strength;

/* ---- a set of one shard ---- */

enum { CLIP, JPEG, LOGSTFT, LABEL, N_FIELDS };

struct shape {
    int samples;
    size_t jpeg;     /* about */
    int64_t dims[2]; /* of the spectrogram */
};

/* Where a value lies in the file. */
struct place {
    uint64_t from, to;
    int64_t sample;
    int field;
};

struct shard_victim {
    char *dir;
    struct damage_victim file;
    bool alone;          /* the shard is opened by itself, without its index */
    bool touched;        /* only samples that the damage touches, and their neighbours, are read */
    int64_t samples;     /* of the set */
    struct place *place; /* [samples * N_FIELDS], in file order */
    size_t places;
};

static void write_set(const char *dir, const struct shape *s, uint64_t seed)
{
    const struct shard_field fields[N_FIELDS] = {
        [CLIP] = {.name = "clip", .dtype = DTYPE_U8, .rank = 1, .dim = {24}},
        [JPEG] = {.name = "video.jpeg0", .dtype = DTYPE_U8, .ragged = true},
        [LOGSTFT] = {.name = "audio.logstft",
                     .dtype = DTYPE_F32,
                     .rank = 2,
                     .dim = {s->dims[0], s->dims[1]}},
        [LABEL] = {.name = "label", .dtype = DTYPE_I32},
    };
    struct shard_options opt = {.prefix = "x", .target_bytes = (uint64_t)1 << 40};
    struct rng r = rng_at(seed, rng_stream("test.corruption.data"), 0, 0);
    size_t n = (size_t)(s->dims[0] * s->dims[1]);
    uint8_t *jpeg = malloc(2 * s->jpeg);
    float *logstft = malloc(n * sizeof *logstft);
    struct shard_writer *w = NULL;
    struct err e = {0};

    assert_true(jpeg != NULL && logstft != NULL);
    ASSERT_OK(shard_writer_open(&w, dir, &opt, fields, N_FIELDS, &e), e);
    ASSERT_OK(shard_writer_meta(w, "synib.tool", "test", &e), e);
    for (int32_t i = 0; i < s->samples; i++) {
        char clip[24] = {0};
        size_t len = s->jpeg / 2 + rng_below(&r, (uint32_t)s->jpeg);
        const struct shard_value values[N_FIELDS] = {
            {clip, sizeof clip}, {jpeg, len}, {logstft, n * sizeof *logstft}, {&i, sizeof i}};

        snprintf(clip, sizeof clip, "1001_TST_ANG_%02d", i % 100);
        for (size_t k = 0; k < len; k++)
            jpeg[k] = (uint8_t)rng_u32(&r);
        rng_uniforms(&r, logstft, n);
        ASSERT_OK(shard_writer_add(w, values, &e), e);
    }
    ASSERT_OK(shard_writer_commit(w, &e), e);
    free(jpeg);
    free(logstft);
}

static int by_place(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    return x->from < y->from ? -1 : x->from > y->from;
}

static enum err_code open_set(const struct shard_victim *v, struct shard_set **s, struct err *e)
{
    return v->alone ? shard_set_open_file(s, v->file.path, e) : shard_set_open(s, v->dir, e);
}

static void find_places(struct shard_victim *v)
{
    struct shard_set *s = NULL;
    struct err e = {0};
    int64_t first;

    ASSERT_OK(open_set(v, &s, &e), e);
    v->samples = shard_set_count(s);
    v->place = calloc((size_t)v->samples * N_FIELDS, sizeof *v->place);
    assert_non_null(v->place);
    for (int f = 0; f < N_FIELDS; f++) {
        const struct tensorfile *file = shard_set_shard(s, 0, &first, &v->samples);
        int t = tensorfile_find(file, shard_set_field(s, f)->name);

        for (int64_t i = 0; i < v->samples; i++) {
            struct shard_value value;
            uint64_t from = tensorfile_offset(file, t);

            ASSERT_OK(shard_set_get(s, i, f, &value, &e), e);
            from += (uint64_t)((const char *)value.data - (const char *)tensorfile_data(file, t));
            v->place[v->places++] = (struct place){from, from + value.len, i, f};
        }
    }
    qsort(v->place, v->places, sizeof *v->place, by_place);
    shard_set_close(s);
}

/* ---- reading it ---- */

/* One value: what was written, or an error. */
static void read_value(const struct shard_victim *v, const struct shard_set *s,
                       const struct place *p, struct damage_seen *seen, struct err *e)
{
    struct shard_value value;

    if (shard_set_get(s, p->sample, p->field, &value, e) != ERR_OK)
        return;
    if (value.len != p->to - p->from || memcmp(value.data, v->file.good + p->from, value.len) != 0)
        seen->wrong = true;
}

/* Index of the first place that ends behind byte `at`. */
static size_t place_after(const struct shard_victim *v, uint64_t at)
{
    size_t low = 0, high = v->places;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (v->place[middle].to > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* All values, or those in [from, to) and the ones before and after. Reading goes on behind an
 * error, as another sample's reader would; the first error stays. */
static enum err_code read_shard(void *ctx, const struct damage_victim *file,
                                struct damage_seen *seen, struct err *e)
{
    const struct shard_victim *v = ctx;
    size_t i = 0, end = v->places;
    struct shard_set *s = NULL;

    TRY(open_set(v, &s, e));
    seen->opened = true;
    if (v->touched) {
        i = place_after(v, file->from);
        end = place_after(v, file->to) + 2;
        i -= i > 0;
        end = end < v->places ? end : v->places;
    }
    for (; i < end; i++)
        read_value(v, s, &v->place[i], seen, e);
out:
    shard_set_close(s);
    return e->code;
}

/* What `synib-shard verify` does. */
static enum err_code verify_shard(void *ctx, const struct damage_victim *file,
                                  struct damage_seen *seen, struct err *e)
{
    const struct shard_victim *v = ctx;
    struct shard_set *s = NULL;

    (void)file;
    TRY(open_set(v, &s, e));
    seen->opened = true;
    TRY(shard_set_verify(s, 1, e));
out:
    shard_set_close(s);
    return e->code;
}

/* ---- the tests ---- */

/* 64 KiB. */
static const struct shape small = {.samples = 8, .jpeg = 5200, .dims = {16, 48}};

static void victim_new(struct shard_victim *v, const char *dir, const struct shape *shape,
                       uint64_t seed)
{
    struct name_list names = {0};
    struct err e = {0};
    char *path = NULL;

    *v = (struct shard_victim){.dir = strdup(dir)};
    assert_non_null(v->dir);
    write_set(dir, shape, seed);
    ASSERT_OK(dir_list(&names, dir, ".safetensors", &e), e);
    assert_int_equal(names.count, 1);
    ASSERT_OK(path_join(&path, dir, names.name[0], &e), e);
    damage_open(&v->file, path);
    v->file.read = read_shard;
    v->file.ctx = v;
    find_places(v);
    damage_try_good(&v->file);
    name_list_free(&names);
    free(path);
}

static void victim_free(struct shard_victim *v)
{
    damage_close(&v->file);
    free(v->place);
    free(v->dir);
}

/* The shard in its set, as a loader opens it, and by itself. */
static void test_every_byte(void **state)
{
    char *dir = scratch_path(*state, "small");
    struct shard_victim v;

    victim_new(&v, dir, &small, strength.seed);
    assert_in_range(v.file.len, 60000, 70000);
    if (strength.full)
        damage_bytes(&v.file, 0, 1, 255);
    else
        damage_bytes(&v.file, strength.seed % 13, 13, 5);
    damage_report(&v.file, "every byte of a shard in its set");
    v.file.cases = v.file.at_open = v.file.at_read = 0;
    v.alone = true;
    damage_bytes(&v.file, 0, strength.full ? 1 : 29, strength.full ? 15 : 2);
    damage_report(&v.file, "every byte of a shard by itself");
    victim_free(&v);
    free(dir);
}

static void test_verify_finds(void **state)
{
    char *dir = scratch_path(*state, "small");
    struct shard_victim v;

    victim_new(&v, dir, &small, strength.seed);
    v.file.read = verify_shard;
    for (int alone = 0; alone < 2; alone++) {
        v.alone = alone;
        damage_bytes(&v.file, 0, strength.full ? 1 : 97, strength.full ? 4 - 3 * alone : 2);
    }
    damage_report(&v.file, "every byte, by verify");
    victim_free(&v);
    free(dir);
}

static void test_cut_and_longer(void **state)
{
    struct rng r = rng_at(strength.seed, rng_stream("test.corruption.longer"), 0, 0);
    char *dir = scratch_path(*state, "small");
    struct shard_victim v;

    victim_new(&v, dir, &small, strength.seed);
    for (int alone = 0; alone < 2; alone++) {
        v.alone = alone;
        damage_cuts(&v.file, strength.full ? 1 : 41);
        damage_appends(&v.file, &r, strength.full ? 1 : 37);
    }
    damage_report(&v.file, "cut to every length, and longer by 1 to 4096 bytes");
    victim_free(&v);
    free(dir);
}

static void test_moved_blocks(void **state)
{
    struct rng r = rng_at(strength.seed, rng_stream("test.corruption.blocks"), 0, 0);
    char *dir = scratch_path(*state, "small"), *other_dir = scratch_path(*state, "other");
    int64_t n = strength.full ? 100000 : 2000;
    struct shard_victim v, other;

    victim_new(&v, dir, &small, strength.seed);
    victim_new(&other, other_dir, &small, strength.seed + 1);
    for (int alone = 0; alone < 2; alone++) {
        v.alone = alone;
        damage_blocks(&v.file, &r, n);
        damage_foreign(&v.file, &r, &other.file, n);
        damage_random(&v.file, &r, n);
    }
    damage_report(&v.file, "blocks exchanged, copied and of another shard; random changes");
    victim_free(&v);
    victim_free(&other);
    free(dir);
    free(other_dir);
}

/* A shard as large as ours are. Reading all of it after each change would take days and prove no
 * more: a value's verdict depends on its own bytes and on the header and tables, which are checked
 * whole on every opening; so the values that a change touches are read, and their neighbours. */
static void test_large(void **state)
{
    const struct shape shape = {.samples = strength.full ? 480 : 60,
                                .jpeg = strength.full ? 80000 : 20000,
                                .dims = {257, strength.full ? 188 : 20}};
    struct rng r = rng_at(strength.seed, rng_stream("test.corruption.large"), 0, 0);
    char *dir = scratch_path(*state, "large");
    struct shard_victim v;

    victim_new(&v, dir, &shape, strength.seed);
    if (strength.full)
        assert_true(v.file.len >= 100000000);
    v.touched = true;
    damage_random(&v.file, &r, strength.full ? 100000 : 3000);
    damage_report(&v.file, "random changes");
    damage_blocks(&v.file, &r, strength.full ? 2000 : 200);
    damage_report(&v.file, "and blocks exchanged or copied");
    victim_free(&v);
    free(dir);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
        IN_SCRATCH(test_every_byte),     IN_SCRATCH(test_verify_finds),
        IN_SCRATCH(test_cut_and_longer), IN_SCRATCH(test_moved_blocks),
        IN_SCRATCH(test_large),
    };

    strength = strength_parse(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
