/* SPDX-License-Identifier: MIT */
#include "common/base/file.h"
#include "common/data/vectors.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sets of vectors: what is written reads back, and nothing else is read. */

enum { N = 5 };

struct recipe {                        /* what a written set differs in from a good one */
    const char *drop, *change, *value; /* a metadata key left out, or given another value */
    int32_t label;                     /* of sample 2; -1 = as it should be */
    int32_t source;
    float number, target;
    uint8_t oracle, block;
    bool no_field; /* the last field is missing */
};

static void fill(struct vectors *v, bool classes, bool oracle)
{
    struct err e = {0};

    *v = (struct vectors){.modalities = 2,
                          .modality = {{.name = "x1", .dim = 3}, {.name = "sound", .dim = 2}},
                          .sources = 2,
                          .source_name = {"unique1", "synergistic"}};
    v->classes = classes ? 3 : 0;
    v->targets = classes ? 0 : 2;
    for (int k = 0; k < v->classes; k++)
        snprintf(v->class_name[k], sizeof v->class_name[k], "c%d", k);
    ASSERT_OK(vectors_alloc(v, N, oracle, &e), e);
    for (int i = 0; i < N; i++) {
        for (int m = 0; m < 2; m++)
            for (int d = 0; d < v->modality[m].dim; d++) {
                v->modality[m].x[i * v->modality[m].dim + d] = (float)(10 * i + d) / 7;
                if (oracle) {
                    v->modality[m].block[i * v->modality[m].dim + d] = (uint8_t)(d + 2);
                    v->modality[m].oracle[i * v->modality[m].dim + d] = (uint8_t)(d % 2);
                }
            }
        if (classes)
            v->label[i] = i % 3;
        for (int k = 0; k < v->targets; k++)
            v->target[i * v->targets + k] = (float)(i - k);
        v->source[i] = i % 2;
    }
}

struct writing {
    struct shard_writer *w;
    const struct recipe *r;
};

static enum err_code put(void *ctx, const char *key, const char *value, struct err *e)
{
    const struct writing *x = ctx;

    if (x->r->drop != NULL && strcmp(x->r->drop, key) == 0)
        return ERR_OK;
    if (x->r->change != NULL && strcmp(x->r->change, key) == 0)
        value = x->r->value;
    return shard_writer_meta(x->w, key, value, e);
}

static void write_set(const char *dir, struct vectors *v, const struct recipe *r)
{
    struct shard_options opt = {.prefix = "vectors", .force = true};
    struct shard_field field[SHARD_MAX_FIELDS];
    int n = vectors_fields(v, field) - r->no_field;
    struct writing x = {.r = r};
    struct err e = {0};

    if (v->label != NULL && r->label != -1)
        v->label[2] = r->label;
    if (r->source != -1)
        v->source[2] = r->source;
    v->modality[1].x[4] += r->number;
    if (v->target != NULL)
        v->target[4] += r->target;
    if (v->modality[0].oracle != NULL) {
        v->modality[0].oracle[7] = (uint8_t)(v->modality[0].oracle[7] + r->oracle);
        v->modality[0].block[7] = (uint8_t)(v->modality[0].block[7] + r->block);
    }
    ASSERT_OK(shard_writer_open(&x.w, dir, &opt, field, n, &e), e);
    ASSERT_OK(vectors_meta(v, put, &x, &e), e);
    for (int64_t i = 0; i < v->count; i++) {
        struct shard_value value[SHARD_MAX_FIELDS];

        for (int f = 0; f < n; f++)
            value[f] = vectors_value(v, i, f);
        ASSERT_OK(shard_writer_add(x.w, value, &e), e);
    }
    ASSERT_OK(shard_writer_commit(x.w, &e), e);
}

static const struct recipe GOOD = {.label = -1, .source = -1};

static void test_round_trip(void **state)
{
    for (int kind = 0; kind < 4; kind++) {
        bool classes = kind & 1, oracle = kind & 2;
        struct vectors v, back;
        struct err e = {0};
        char *dir = scratch_path(*state, "val");

        fill(&v, classes, oracle);
        write_set(dir, &v, &GOOD);
        free(dir);
        ASSERT_OK(vectors_read(&back, *state, "val", &e), e);
        ASSERT_OK(vectors_digest(&v, &e), e);
        assert_string_equal(v.digest, back.digest); /* computed here, and by the set's writer */
        assert_int_equal(back.count, N);
        assert_int_equal(back.classes, v.classes);
        assert_int_equal(back.targets, v.targets);
        assert_string_equal(back.modality[1].name, "sound");
        assert_string_equal(back.source_name[1], "synergistic");
        assert_true((back.modality[0].oracle != NULL) == oracle);
        for (int m = 0; m < 2; m++) {
            size_t n = (size_t)N * (size_t)v.modality[m].dim;

            assert_int_equal(back.modality[m].dim, v.modality[m].dim);
            assert_memory_equal(back.modality[m].x, v.modality[m].x, n * sizeof(float));
            if (oracle) {
                assert_memory_equal(back.modality[m].oracle, v.modality[m].oracle, n);
                assert_memory_equal(back.modality[m].block, v.modality[m].block, n);
            }
        }
        if (classes)
            assert_memory_equal(back.label, v.label, N * sizeof(int32_t));
        else
            assert_memory_equal(back.target, v.target, N * 2 * sizeof(float));
        assert_memory_equal(back.source, v.source, N * sizeof(int32_t));
        vectors_free(&v);
        vectors_free(&back);
    }
}

static void test_refused(void **state)
{
    static const struct {
        struct recipe recipe;
        bool numbers;
        const char *text;
    } BAD[] = {
        {{.drop = "synib.layout", .label = -1, .source = -1}, false, "synib.layout is ''"},
        {{.change = "synib.layout", .value = "overlay", .label = -1, .source = -1},
         false,
         "synib.layout is 'overlay'"},
        {{.drop = "synib.modalities", .label = -1, .source = -1}, false, "synib.modalities: ''"},
        {{.change = "synib.modalities", .value = "x1,x1", .label = -1, .source = -1},
         false,
         "'x1,x1' is not a list"},
        {{.change = "synib.modalities", .value = "x1,", .label = -1, .source = -1},
         false,
         "'x1,' is not a list"},
        {{.change = "synib.modalities", .value = "x1,a/b", .label = -1, .source = -1},
         false,
         "'x1,a/b' is not a list"},
        {{.change = "synib.modalities", .value = "x1,a,b,c,d", .label = -1, .source = -1},
         false,
         "is not a list"},
        {{.change = "synib.modalities", .value = "x1,picture", .label = -1, .source = -1},
         false,
         "field picture is missing"},
        {{.change = "synib.modalities", .value = "x1", .label = -1, .source = -1},
         false,
         "is no set of vectors: field 3 is 'sound', not 'label'"},
        {{.change = "synib.classes", .value = "only", .label = -1, .source = -1},
         false,
         "'only' is not a list"},
        {{.drop = "synib.classes", .label = -1, .source = -1}, false, "field target is missing"},
        {{.drop = "synib.sources", .label = -1, .source = -1},
         false,
         "field 7 is 'source', not 'none'"},
        {{.label = 3, .source = -1}, false, "sample 2: label 3: must be in 0..2"},
        {{.label = -2, .source = -1}, false, "sample 2: label -2"},
        {{.label = -1, .source = 2}, false, "sample 2: source 2: must be in 0..1"},
        {{.label = -1, .source = -3}, false, "sample 2: source -3: must be in 0..1"},
        {{.change = "synib.sources", .value = "a/b", .label = -1, .source = -1},
         false,
         "synib.sources: 'a/b' is not a list"},
        {{.label = -1, .source = -1, .number = INFINITY},
         false,
         "sample 2: sound: a number is not finite"},
        {{.label = -1, .source = -1, .target = NAN}, true, "sample 2: a target is not finite"},
        {{.label = -1, .source = -1, .oracle = 2}, false, "sample 2: x1: bad oracle mask or block"},
        {{.label = -1, .source = -1, .block = 9}, false, "sample 2: x1: bad oracle mask or block"},
        {{.label = -1, .source = -1, .no_field = true},
         false,
         "field 7 is 'missing', not 'source'"},
    };

    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        struct vectors v, back;
        struct err e = {0};
        char *dir = scratch_path(*state, "train");

        fill(&v, !BAD[i].numbers, true);
        write_set(dir, &v, &BAD[i].recipe);
        free(dir);
        ASSERT_FAILS(vectors_read(&back, *state, "train", &e), e, ERR_DATA, BAD[i].text);
        assert_int_equal(back.count, 0);
        vectors_free(&v);
    }
}

/* A set of one sample, all zeros, with these fields. */
static void write_fields(const char *dir, const char *modalities, const char *classes,
                         const struct shard_field *field, int n)
{
    struct shard_options opt = {.prefix = "vectors", .force = true};
    static const char zeros[4 * (VECTORS_MAX_DIM + 1)];
    struct shard_value value[SHARD_MAX_FIELDS];
    struct shard_writer *w = NULL;
    struct err e = {0};

    for (int f = 0; f < n; f++)
        value[f] = (struct shard_value){zeros, field[f].ragged ? 1 : shard_field_bytes(&field[f])};
    ASSERT_OK(shard_writer_open(&w, dir, &opt, field, n, &e), e);
    ASSERT_OK(shard_writer_meta(w, "synib.layout", "vectors", &e), e);
    ASSERT_OK(shard_writer_meta(w, "synib.modalities", modalities, &e), e);
    if (classes != NULL)
        ASSERT_OK(shard_writer_meta(w, "synib.classes", classes, &e), e);
    ASSERT_OK(shard_writer_add(w, value, &e), e);
    ASSERT_OK(shard_writer_commit(w, &e), e);
}

#define F32(name, ...)                                                \
    {                                                                 \
        name, DTYPE_F32, false, sizeof((int64_t[]){__VA_ARGS__}) / 8, \
        {                                                             \
            __VA_ARGS__                                               \
        }                                                             \
    }
#define OTHER(name, dtype)     \
    {                          \
        name, dtype, false, 0, \
        {                      \
            0                  \
        }                      \
    }
#define RAGGED(name)             \
    {                            \
        name, DTYPE_U8, true, 0, \
        {                        \
            0                    \
        }                        \
    }

/* Names and types of fields, but no sources: those are optional. */
static void test_fields(void **state)
{
    static const struct {
        struct shard_field field[2];
        const char *text;
    } BAD[] = {
        {{RAGGED("a-b_c"), OTHER("label", DTYPE_I32)}, "field a-b_c is missing or no vector"},
        {{{"a-b_c", DTYPE_I32, false, 1, {3}}, OTHER("label", DTYPE_I32)}, "or no vector"},
        {{F32("a-b_c", 3, 2), OTHER("label", DTYPE_I32)}, "or no vector"},
        {{OTHER("a-b_c", DTYPE_F32), OTHER("label", DTYPE_I32)}, "or no vector"},
        {{F32("a-b_c", VECTORS_MAX_DIM + 1), OTHER("label", DTYPE_I32)}, "or no vector"},
        {{F32("a-b_c", 3), OTHER("label", DTYPE_I64)}, "field label is I64: must be I32"},
        {{F32("a-b_c", 3), F32("label", 2, 5)}, "field label is F32 [2, 5]: must be I32"},
        {{F32("a-b_c", 3), RAGGED("label")}, "field label is U8 of any length: must be I32"},
    };
    static const struct shard_field good[2] = {F32("a-b_c", 3), OTHER("label", DTYPE_I32)};
    char *dir = scratch_path(*state, "train");
    struct vectors v;
    struct err e = {0};

    write_fields(dir, "a-b_c", "no,yes", good, 2);
    ASSERT_OK(vectors_read(&v, *state, "train", &e), e);
    assert_int_equal(v.sources, 0);
    assert_null(v.source);
    vectors_free(&v);
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        write_fields(dir, "a-b_c", "no,yes", BAD[i].field, 2);
        ASSERT_FAILS(vectors_read(&v, *state, "train", &e), e, ERR_DATA, BAD[i].text);
    }
    write_fields(dir, "a-b_c", NULL, BAD[6].field,
                 2); /* numbers to predict, but no field of them */
    ASSERT_FAILS(vectors_read(&v, *state, "train", &e), e, ERR_DATA, "field target is missing");
    free(dir);
}

static enum err_code ignore(void *ctx, const char *key, const char *value, struct err *e)
{
    int *keys = ctx;

    (void)value;
    (void)e;
    *keys += strcmp(key, "synib.sources") == 0 ? 100 : 1;
    return ERR_OK;
}

static void test_without_sources(void **state)
{
    struct vectors v;
    struct err e = {0};
    int keys = 0;

    (void)state;
    fill(&v, true, false);
    v.sources = 0;
    ASSERT_OK(vectors_meta(&v, ignore, &keys, &e), e);
    assert_int_equal(keys, 3); /* layout, modalities, classes */
    vectors_free(&v);
}

/* A value that was damaged since it was written. */
static void test_damaged(void **state)
{
    char *dir = scratch_path(*state, "train"), *shard;
    struct name_list names = {0};
    struct tensorfile *f = NULL;
    struct vectors v;
    struct err e = {0};

    fill(&v, true, true);
    write_set(dir, &v, &GOOD);
    vectors_free(&v);
    ASSERT_OK(dir_list(&names, dir, ".safetensors", &e), e);
    shard = scratch_path(dir, names.name[0]);
    ASSERT_OK(tensorfile_open(&f, shard, &e), e);
    scratch_flip(shard, (long)tensorfile_offset(f, tensorfile_find(f, "sound")));
    ASSERT_FAILS(vectors_read(&v, *state, "train", &e), e, ERR_CHECKSUM, "field sound: crc32c");
    tensorfile_close(f);
    name_list_free(&names);
    free(shard);
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_refused, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_fields, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_without_sources),
        cmocka_unit_test_setup_teardown(test_damaged, scratch_setup, scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
