/* SPDX-License-Identifier: MIT */
/* Sets whose index and shards are each whole and do not fit together, and writers that are asked
 * for what they cannot do. */
#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/data/shard_format.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- a set by hand: one shard of two samples, any tensors, any index ---- */

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define NAME "x-00000-0123456789ab.safetensors"
enum { MOST_TENSORS = 4 };

struct tensor {
    const char *name;
    enum dtype dtype;
    int rank;
    int64_t dim[2];
};

static const uint8_t zeros[64];

static void write_shard(const char *path, const char *kind, const char *const *meta,
                        const struct tensor *t)
{
    struct tensorfile_writer *w = NULL;
    struct err e = {0};

    ASSERT_OK(tensorfile_writer_open(&w, path, kind, true, &e), e);
    for (; meta[0] != NULL; meta += 2)
        ASSERT_OK(tensorfile_writer_meta(w, meta[0], meta[1], &e), e);
    for (int i = 0; i < MOST_TENSORS && t[i].name != NULL; i++)
        ASSERT_OK(tensorfile_writer_declare(w, t[i].name, t[i].dtype, t[i].rank, t[i].dim, &e), e);
    for (int i = 0; i < MOST_TENSORS && t[i].name != NULL; i++) {
        size_t bytes = dtype_size(t[i].dtype);

        for (int d = 0; d < t[i].rank; d++)
            bytes *= (size_t)t[i].dim[d];
        ASSERT_OK(tensorfile_writer_data(w, zeros, bytes, &e), e);
    }
    ASSERT_OK(tensorfile_writer_commit(w, NULL, &e), e);
}

static void write_index(const char *path, const char *shard, const char *fields, const char *meta)
{
    struct file_view view = {0};
    struct err e = {0};
    char *text = NULL, *full = NULL;
    int n;

    ASSERT_OK(file_map(&view, shard, &e), e);
    n = asprintf(&text,
                 "{\"synib\":\"set\",\"version\":1,\"prefix\":\"x\",\"samples\":2,\"shards\":1,"
                 "\"content_sha256\":\"" HEX64 "\",\"fields\":[%s],\"meta\":{%s}}\n"
                 "{\"shard\":\"" NAME "\",\"bytes\":%zu,\"first\":0,\"count\":2,\"sha256\":\"" HEX64
                 "\"}\n",
                 fields, meta, view.len);
    assert_true(n > 0);
    n = asprintf(&full, "%s{\"crc32c\":\"%08" PRIx32 "\"}\n", text,
                 hash_crc32c(0, text, (size_t)n));
    assert_true(n > 0);
    ASSERT_OK(atomic_file_put(path, full, (size_t)n, true, &e), e);
    file_view_free(&view);
    free(text);
    free(full);
}

#define N "{\"name\":\"n\",\"dtype\":\"I32\",\"shape\":[]}"
#define M "{\"name\":\"m\",\"dtype\":\"I32\",\"shape\":[]}"
#define B "{\"name\":\"b\",\"dtype\":\"U8\",\"ragged\":true}"
#define NUMBERS(name)       \
    {                       \
        name, DTYPE_I32, 1, \
        {                   \
            2               \
        }                   \
    }
#define CRC(fields)             \
    {                           \
        "crc32c", DTYPE_I32, 2, \
        {                       \
            2, fields           \
        }                       \
    }
#define OFFSETS                \
    {                          \
        "b.off", DTYPE_I64, 2, \
        {                      \
            2, 2               \
        }                      \
    }

static void test_index_and_shard(void **state)
{
    static const char *const first[] = {"synib.first", "0", NULL},
                             *const second[] = {"synib.first", "2", NULL},
                             *const seed[] = {"synib.first", "0", "synib.seed", "7", NULL},
                             *const none[] = {NULL};
    static const struct {
        const char *kind;
        const char *const *meta;
        struct tensor tensor[MOST_TENSORS];
        const char *fields, *message;
    } bad[] = {
        {"shard", first, {NUMBERS("n"), CRC(1)}, N, NULL},
        {"checkpoint", first, {NUMBERS("n"), CRC(1)}, N, "is a checkpoint, not a shard"},
        {"shard", none, {NUMBERS("n"), CRC(1)}, N, "its first sample is (nothing), not 0"},
        {"shard", second, {NUMBERS("n"), CRC(1)}, N, "its first sample is 2, not 0"},
        {"shard", seed, {NUMBERS("n"), CRC(1)}, N, "metadata 'synib.seed' differs from its set's"},
        {"shard", first, {NUMBERS("m"), CRC(1)}, N, "field 'n' is missing or out of order"},
        {"shard", first, {NUMBERS("n"), CRC(1)}, N "," M, "field 'm' is missing or out of order"},
        {"shard", first, {NUMBERS("n")}, N "," M, "field 'm' is missing or out of order"},
        {"shard", first, {{"n", DTYPE_F32, 1, {2}}, CRC(1)}, N, "another dtype or shape"},
        {"shard", first, {{"n", DTYPE_I32, 2, {2, 1}}, CRC(1)}, N, "another dtype or shape"},
        {"shard", first, {{"n", DTYPE_I32, 1, {3}}, CRC(1)}, N, "another dtype or shape"},
        {"shard", first, {NUMBERS("n")}, N, "must end in the tensor 'crc32c', I32 [2, 1]"},
        {"shard", first, {NUMBERS("n"), CRC(1), NUMBERS("m")}, N, "must end in the tensor"},
        {"shard", first, {NUMBERS("n"), CRC(2)}, N, "must end in the tensor 'crc32c', I32 [2, 1]"},
        {"shard", first, {{"b", DTYPE_U8, 1, {2}}}, B, "field 'b' has no 'b.off'"},
        {"shard", first, {{"b", DTYPE_U8, 1, {2}}, CRC(1)}, B, "field 'b' has no 'b.off'"},
        {"shard", first, {NUMBERS("b"), OFFSETS, CRC(1)}, B, "'b': bytes or offsets have another"},
        {"shard",
         first,
         {{"b", DTYPE_U8, 2, {2, 2}}, OFFSETS, CRC(1)},
         B,
         "'b': bytes or offsets have another"},
        {"shard",
         first,
         {{"b", DTYPE_U8, 1, {2}}, {"b.off", DTYPE_I64, 1, {2}}, CRC(1)},
         B,
         "'b': bytes or offsets have another"},
    };
    char *shard = scratch_path(*state, NAME), *index = scratch_path(*state, "index.jsonl");
    struct shard_set *s = NULL;
    struct err e = {0};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_shard(shard, bad[i].kind, bad[i].meta, bad[i].tensor);
        write_index(index, shard, bad[i].fields, "");
        if (bad[i].message == NULL) {
            ASSERT_OK(shard_set_open(&s, *state, &e), e);
            shard_set_close(s);
        } else {
            ASSERT_FAILS(shard_set_open(&s, *state, &e), e, ERR_DATA, bad[i].message);
            assert_null(s);
        }
    }
    write_index(index, shard, N, "\"synib.seed\":\"7\"");
    write_shard(shard, "shard", seed, bad[0].tensor); /* other bytes than the index was told */
    ASSERT_FAILS(shard_set_open(&s, *state, &e), e, ERR_DATA, " bytes, the index says ");
    free(shard);
    free(index);
}

/* ---- a shard alone ---- */

static void refuse_alone(const char *path, const char *message)
{
    struct shard_set *s = NULL;
    struct err e = {0};

    ASSERT_FAILS(shard_set_open_file(&s, path, &e), e, ERR_DATA, message);
    assert_null(s);
}

static void write_many_fields(const char *path, int n, const char *name)
{
    struct tensorfile_writer *w = NULL;
    const int64_t dim[2] = {1, n};
    struct err e = {0};
    char numbered[128];

    ASSERT_OK(tensorfile_writer_open(&w, path, "shard", true, &e), e);
    ASSERT_OK(tensorfile_writer_meta(w, "synib.first", "0", &e), e);
    for (int i = 0; i < n; i++) {
        snprintf(numbered, sizeof numbered, "%s%d", name, i);
        ASSERT_OK(tensorfile_writer_declare(w, numbered, DTYPE_U8, 1, dim, &e), e);
    }
    ASSERT_OK(tensorfile_writer_declare(w, "crc32c", DTYPE_I32, 2, dim, &e), e);
    for (int i = 0; i < n; i++)
        ASSERT_OK(tensorfile_writer_data(w, zeros, 1, &e), e);
    for (int i = 0; i < n; i++)
        ASSERT_OK(tensorfile_writer_data(w, zeros, 4, &e), e);
    ASSERT_OK(tensorfile_writer_commit(w, NULL, &e), e);
}

static void test_alone(void **state)
{
    static const char *const word[] = {"synib.first", "2x", NULL}, *const none[] = {NULL};
    static const struct tensor fine[MOST_TENSORS] = {NUMBERS("n"), CRC(1)},
                               flat[MOST_TENSORS] = {NUMBERS("n"), NUMBERS("crc32c")};
    char *path = scratch_path(*state, "x.safetensors");

    write_shard(path, "shard", none, fine);
    refuse_alone(path, "lacks 'crc32c' or 'synib.first': not a shard");
    write_shard(path, "shard", word, flat);
    refuse_alone(path, "lacks 'crc32c' or 'synib.first': not a shard");
    write_shard(path, "shard", word, fine);
    refuse_alone(path, "'synib.first' is not a sample's number");
    write_many_fields(path, SHARD_MAX_FIELDS + 1, "n");
    refuse_alone(path, "has too many fields or too long a name");
    write_many_fields(path, 1,
                      "a-name-of-more-than-the-63-characters-that-a-field-of-a-set-can-have");
    refuse_alone(path, "has too many fields or too long a name");
    free(path);
}

/* ---- whole sets ---- */

static const struct shard_field fields[2] = {
    {.name = "clip", .dtype = DTYPE_U8, .rank = 1, .dim = {8}},
    {.name = "blob", .dtype = DTYPE_U8, .ragged = true},
};

static void write_set(const char *dir, const struct shard_field *f, int n_fields, int samples)
{
    struct shard_options opt = {.prefix = "x", .target_bytes = 1, .force = true};
    struct shard_writer *w = NULL;
    struct err e = {0};

    ASSERT_OK(shard_writer_open(&w, dir, &opt, f, n_fields, &e), e);
    ASSERT_OK(shard_writer_meta(w, "synib.seed", "7", &e), e);
    for (int i = 0; i < samples; i++) {
        struct shard_value v[2];
        uint8_t bytes[128] = "a";

        bytes[1] = (uint8_t)('0' + i);
        for (int k = 0; k < n_fields; k++)
            v[k] = (struct shard_value){bytes, f[k].ragged ? 5 : shard_field_bytes(&f[k])};
        ASSERT_OK(shard_writer_add(w, v, &e), e);
    }
    ASSERT_OK(shard_writer_commit(w, &e), e);
}

static char *only_shard(const char *dir)
{
    struct name_list names = {0};
    struct err e = {0};
    char *path;

    ASSERT_OK(dir_list(&names, dir, ".safetensors", &e), e);
    assert_true(names.count > 0);
    path = scratch_path(dir, names.name[0]);
    name_list_free(&names);
    return path;
}

/* Whether a set is there: one that is not whole counts as none, one that cannot be read does not.
 */
static void test_probe(void **state)
{
    char *dir = scratch_path(*state, "set"), *index = scratch_path(*state, "set/index.jsonl"),
         *shard;
    struct shard_set *s = NULL;
    struct err e = {0};

    ASSERT_OK(shard_set_probe(&s, dir, &e), e);
    assert_null(s);
    write_set(dir, fields, 2, 2);
    ASSERT_OK(shard_set_probe(&s, dir, &e), e);
    assert_int_equal(shard_set_count(s), 2);
    shard_set_close(s);
    shard = only_shard(dir);
    assert_int_equal(unlink(shard), 0);
    ASSERT_FAILS(shard_set_probe(&s, dir, &e), e, ERR_IO, shard);
    assert_null(s);
    scratch_flip(index, 0);
    ASSERT_OK(shard_set_probe(&s, dir, &e), e);
    assert_null(s);
    free(shard);
    free(index);
    free(dir);
}

/* Damage is named by the clip where there is one whose name is short text. */
static void test_names_of_clips(void **state)
{
    static const struct shard_field number[2] = {
        {.name = "clip", .dtype = DTYPE_I32}, {.name = "blob", .dtype = DTYPE_U8, .ragged = true}};
    static const struct shard_field wide[2] = {
        {.name = "clip", .dtype = DTYPE_U8, .rank = 1, .dim = {100}},
        {.name = "blob", .dtype = DTYPE_U8, .ragged = true}};
    static const struct {
        const struct shard_field *fields;
        const char *name;
    } sets[] = {{fields, " (a0)"}, {number, ""}, {wide, ""}, {&fields[1], ""}};

    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        int n = sets[i].fields == &fields[1] ? 1 : 2, blob = n - 1;
        char *dir = scratch_path(*state, "set"), *shard, want[100];
        struct shard_set *s = NULL;
        const struct tensorfile *f;
        struct shard_value v;
        struct err e = {0};

        write_set(dir, sets[i].fields, n, 1);
        shard = only_shard(dir);
        ASSERT_OK(shard_set_open(&s, dir, &e), e);
        f = shard_set_shard(s, 0, &(int64_t){0}, &(int64_t){0});
        scratch_flip(shard, (long)tensorfile_offset(f, tensorfile_find(f, "blob")));
        snprintf(want, sizeof want, ": sample 0%s field blob: crc32c differs", sets[i].name);
        ASSERT_FAILS(shard_set_get(s, 0, blob, &v, &e), e, ERR_CHECKSUM, want);
        if (n == 2 && sets[i].name[0] != '\0') { /* the name itself is damaged: it is not shown */
            scratch_flip(shard, (long)tensorfile_offset(f, tensorfile_find(f, "clip")));
            ASSERT_FAILS(shard_set_get(s, 0, blob, &v, &e), e, ERR_CHECKSUM, ": sample 0 field");
        }
        shard_set_close(s);
        free(shard);
        free(dir);
    }
}

static void test_metadata_keys(void **state)
{
    char *dir = scratch_path(*state, "set");
    struct shard_set *s = NULL;
    struct err e = {0};

    write_set(dir, fields, 2, 1);
    ASSERT_OK(shard_set_open(&s, dir, &e), e);
    assert_string_equal(shard_set_meta_key(s, 0), "synib.seed");
    assert_null(shard_set_meta_key(s, 1));
    shard_set_close(s);
    free(dir);
}

/* ---- writers ---- */

static void test_writer_refuses(void **state)
{
    static const char *const reserved[] = {"a b", "synib.first", "synib.container", "synib.kind",
                                           "synib.features"};
    static const struct shard_value fine[2] = {{"clip0000", 8}, {"blob", 4}},
                                    narrow[2] = {{"clip000", 7}, {"blob", 4}},
                                    huge[2] = {{"clip0000", 8}, {"blob", (size_t)INT32_MAX + 1}};
    struct shard_options opt = {.prefix = "x", .target_bytes = 1};
    char *dir = scratch_path(*state, "set");
    struct shard_writer *w = NULL;
    struct err e = {0};

    ASSERT_OK(shard_writer_open(&w, dir, &opt, fields, 2, &e), e);
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        ASSERT_FAILS(shard_writer_meta(w, reserved[i], "1", &e), e, ERR_DATA,
                     "is not a metadata key that can be set");
    ASSERT_FAILS(shard_writer_meta(w, "a", "\xff", &e), e, ERR_DATA, "'a' is not UTF-8");
    ASSERT_OK(shard_writer_meta(w, "a", "1", &e), e);
    ASSERT_FAILS(shard_writer_meta(w, "a", "1", &e), e, ERR_INTERNAL, "'a' is set twice");
    ASSERT_FAILS(shard_writer_index_meta(w, "a", "1", &e), e, ERR_INTERNAL, "'a' is set twice");
    ASSERT_OK(shard_writer_index_meta(w, "b", "1", &e), e);
    ASSERT_FAILS(shard_writer_index_meta(w, "b", "1", &e), e, ERR_INTERNAL, "'b' is set twice");
    ASSERT_FAILS(shard_writer_add(w, narrow, &e), e, ERR_INTERNAL, "has 7 bytes instead of 8");
    ASSERT_FAILS(shard_writer_add(w, huge, &e), e, ERR_DATA, "has 2147483648 bytes");
    ASSERT_OK(shard_writer_add(w, fine, &e), e); /* fills a shard: none is gathered now */
    ASSERT_FAILS(shard_writer_meta(w, "c", "1", &e), e, ERR_INTERNAL, "comes after a sample");
    ASSERT_OK(shard_writer_commit(w, &e), e);
    opt.target_bytes = 0;
    opt.force = true;
    ASSERT_OK(shard_writer_open(&w, dir, &opt, fields, 2, &e), e);
    ASSERT_OK(shard_writer_add(w, fine, &e), e);
    ASSERT_FAILS(shard_writer_meta(w, "c", "1", &e), e, ERR_INTERNAL, "comes after a sample");
    shard_writer_abort(w);
    free(dir);
}

static void test_fields_are_checked(void **state)
{
    static const struct shard_field bad[] = {
        {.name = "a", .dtype = DTYPE_F32, .rank = -1},
        {.name = "a", .dtype = DTYPE_F32, .rank = TENSOR_MAX_RANK},
        {.name = "a", .dtype = DTYPE_F32, .rank = 1, .dim = {0}},
    };
    static const struct shard_field a = {.name = "a", .rank = 2, .dim = {3, 4}},
                                    b = {.name = "a", .rank = 2, .dim = {3, 5}};
    struct err e = {0};
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ASSERT_FAILS(shard_fields_check("set", &bad[i], 1, &e), e, ERR_DATA,
                     "set: field 'a': bad dtype or shape");
    assert_true(shard_fields_equal(&a, &a));
    assert_false(shard_fields_equal(&a, &b));
}

static void test_names(void **state)
{
    (void)state;
    assert_true(shard_name_ok("x-00012-0123456789ab.safetensors", "x", 12));
    assert_true(shard_name_ok("x-123456-0123456789ab.safetensors", "x", 123456));
    assert_false(shard_name_ok("x-123456-0123456789ab.safetensors", "x", 12345));
    assert_false(shard_name_ok("x-00012-0123456789ab.safetensors", "x", 13));
    assert_false(shard_name_ok("00012-0123456789ab.safetensors", NULL, -1));
    assert_false(shard_name_ok("xa00012-0123456789ab.safetensors", NULL, -1));
    assert_false(shard_name_ok("x-0001/-0123456789ab.safetensors", NULL, -1));
}

/* Files that are nobody's stay; what killed writers left goes. */
static void test_tidy(void **state)
{
    static const char *const stay[] = {"notes.txt", ".x", ".hidden-file-of-somebody",
                                       ".notes.txt.partial"};
    static const char *const go[] = {"x-00009-0123456789ab.safetensors",
                                     ".x-00009-0123456789ab.safetensors.partial"};
    char *dir = scratch_path(*state, "set"), *index = scratch_path(*state, "set/index.jsonl");
    struct atomic_file *lock = NULL;
    struct err e = {0};

    write_set(dir, fields, 2, 2);
    for (size_t i = 0; i < 6; i++) {
        char *path = scratch_path(dir, i < 4 ? stay[i] : go[i - 4]);

        ASSERT_OK(atomic_file_put(path, "x", 1, false, &e), e);
        free(path);
    }
    ASSERT_OK(atomic_file_open(&lock, index, true, &e), e);
    ASSERT_OK(shard_set_tidy(dir, &e), e); /* another writer is at work: not now */
    for (size_t i = 0; i < 6; i++) {
        char *path = scratch_path(dir, i < 4 ? stay[i] : go[i - 4]);

        assert_int_equal(access(path, F_OK), 0);
        free(path);
    }
    atomic_file_abort(lock);
    ASSERT_OK(shard_set_tidy(dir, &e), e);
    for (size_t i = 0; i < 6; i++) {
        char *path = scratch_path(dir, i < 4 ? stay[i] : go[i - 4]);

        assert_int_equal(access(path, F_OK), i < 4 ? 0 : -1);
        free(path);
    }
    free(index);
    free(dir);
}

/* A writer that commits cannot tidy while another one holds the lock: that one does, when it gives
 * up. */
static void test_tidy_of_one_that_gives_up(void **state)
{
    const struct shard_options options = {.prefix = "x", .force = true};
    char *dir = scratch_path(*state, "set");
    char *old = scratch_path(dir, "x-00009-0123456789ab.safetensors");
    struct shard_writer *w = NULL;
    struct err e = {0};

    write_set(dir, fields, 2, 2);
    ASSERT_OK(shard_writer_open(&w, dir, &options, fields, 2, &e), e);
    ASSERT_OK(atomic_file_put(old, "x", 1, false, &e), e); /* of the set that was replaced */
    ASSERT_OK(shard_set_tidy(dir, &e), e);                 /* by the one that commits */
    assert_int_equal(access(old, F_OK), 0);
    shard_writer_abort(w);
    assert_int_equal(access(old, F_OK), -1);
    free(old);
    free(dir);
}

/* A finished set is in the way, and its index is damaged: it stays what it is. */
static void test_damaged_set_in_the_way(void **state)
{
    struct shard_options opt = {.prefix = "x"};
    char *dir = scratch_path(*state, "set"), *index = scratch_path(*state, "set/index.jsonl");
    struct shard_writer *w = NULL;
    struct err e = {0};

    write_set(dir, fields, 2, 2);
    scratch_flip(index, 5);
    ASSERT_FAILS(shard_writer_open(&w, dir, &opt, fields, 2, &e), e, ERR_EXISTS,
                 "index.jsonl: exists: use --force");
    assert_null(w);
    free(index);
    free(dir);
}

int main(void)
{
#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(test_index_and_shard),
        IN_SCRATCH(test_alone),
        IN_SCRATCH(test_probe),
        IN_SCRATCH(test_names_of_clips),
        IN_SCRATCH(test_metadata_keys),
        IN_SCRATCH(test_writer_refuses),
        cmocka_unit_test(test_fields_are_checked),
        cmocka_unit_test(test_names),
        IN_SCRATCH(test_tidy),
        IN_SCRATCH(test_tidy_of_one_that_gives_up),
        IN_SCRATCH(test_damaged_set_in_the_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
