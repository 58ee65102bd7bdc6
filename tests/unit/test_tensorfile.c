/* SPDX-License-Identifier: MIT */
#include "common/base/bytes.h"
#include "common/base/file.h"
#include "common/data/tensorfile_format.h"
#include "tests/support/check.h"
#include "tests/support/hostile.h"
#include "tests/support/naive_reader.h"
#include "tests/support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a small file with every dtype and rank ---- */

static const int32_t i32s[3] = {1, -2, 3};
static const int64_t i64s[1] = {-5000000000};
static float f32s[2 * 3 * 1 * 2 * 1];
static uint8_t u8s[70];

static enum err_code write_file(const char *path, bool force, size_t piece, uint8_t digest[32],
                                struct err *e)
{
    const int64_t dims[3][5] = {{3}, {2, 3, 1, 2, 1}, {70}};
    struct tensorfile_writer *w = NULL, *done;

    for (size_t i = 0; i < sizeof f32s / sizeof f32s[0]; i++)
        f32s[i] = (float)i / 4;
    for (size_t i = 0; i < sizeof u8s; i++)
        u8s[i] = (uint8_t)(3 * i);
    TRY(tensorfile_writer_open(&w, path, "checkpoint", force, e));
    TRY(tensorfile_writer_meta(w, "synib.tool", "a \"quoted\"\nline \xc3\xa9", e));
    TRY(tensorfile_writer_meta(w, "a.first", "", e));
    TRY(tensorfile_writer_declare(w, "i32", DTYPE_I32, 1, dims[0], e));
    TRY(tensorfile_writer_declare(w, "audio.conv1.weight", DTYPE_F32, 5, dims[1], e));
    TRY(tensorfile_writer_declare(w, "count", DTYPE_I64, 0, NULL, e));
    TRY(tensorfile_writer_declare(w, "blob", DTYPE_U8, 1, dims[2], e));
    TRY(tensorfile_writer_data(w, i32s, sizeof i32s, e));
    TRY(tensorfile_writer_data(w, f32s, sizeof f32s, e));
    TRY(tensorfile_writer_data(w, i64s, sizeof i64s, e));
    for (size_t at = 0; at < sizeof u8s; at += piece)
        TRY(tensorfile_writer_data(w, u8s + at, at + piece < sizeof u8s ? piece : sizeof u8s - at,
                                   e));
    done = w;
    w = NULL;
    TRY(tensorfile_writer_commit(done, digest, e));
out:
    tensorfile_writer_abort(w);
    return e->code;
}

static struct file_view read_file(const char *path)
{
    struct file_view v = {0};
    struct err e = {0};

    ASSERT_OK(file_read(&v, path, 1 << 20, &e), e);
    return v;
}

static void test_round_trip(void **state)
{
    char *path = scratch_path(*state, "x.safetensors");
    struct tensorfile *f = NULL;
    uint8_t digest[32], again[32];
    uint32_t crc[4];
    struct err e = {0};

    ASSERT_OK(write_file(path, false, 7, digest, &e), e);
    ASSERT_OK(tensorfile_open(&f, path, &e), e);
    assert_int_equal(tensorfile_count(f), 4);
    assert_string_equal(tensorfile_kind(f), "checkpoint");
    assert_string_equal(tensorfile_meta(f, "synib.tool"), "a \"quoted\"\nline \xc3\xa9");
    assert_string_equal(tensorfile_meta_key(f, 0), "a.first");
    assert_null(tensorfile_meta(f, "absent"));
    assert_null(tensorfile_meta_key(f, 4));
    assert_int_equal(tensorfile_find(f, "absent"), -1);
    assert_int_equal(tensorfile_find(f, "_trailer"), -1);
    assert_int_equal(tensorfile_find(f, "blob"), 3);
    assert_int_equal(tensorfile_info(f, 1)->rank, 5);
    assert_int_equal(tensorfile_info(f, 1)->dim[3], 2);
    assert_int_equal(tensorfile_info(f, 2)->rank, 0);
    assert_memory_equal(tensorfile_data(f, 0), i32s, sizeof i32s);
    assert_memory_equal(tensorfile_data(f, 1), f32s, sizeof f32s);
    assert_memory_equal(tensorfile_data(f, 2), i64s, sizeof i64s);
    assert_memory_equal(tensorfile_data(f, 3), u8s, sizeof u8s);
    for (int i = 0; i < 4; i++) {
        assert_int_equal((uintptr_t)tensorfile_data(f, i) % TENSORFILE_ALIGN, 0);
        crc[i] = naive_crc32c(tensorfile_data(f, i), (size_t)tensorfile_info(f, i)->bytes);
    }
    ASSERT_OK(tensorfile_verify_all(f, &e), e);
    ASSERT_OK(tensorfile_verify_written(f, crc, &e), e);
    ASSERT_OK(tensorfile_digest(f, again, &e), e);
    assert_memory_equal(digest, again, sizeof digest);
    tensorfile_close(f);
    free(path);
}

/* The naive reader, which knows only the specification, sees the same. */
static void test_naive_reads(void **state)
{
    char *path = scratch_path(*state, "x.safetensors");
    struct naive_file f;
    struct err e = {0};

    ASSERT_OK(write_file(path, false, 70, NULL, &e), e);
    if (!naive_open(&f, path))
        fail_msg("%s", f.why);
    assert_int_equal(f.count, 4);
    assert_string_equal(naive_meta(&f, "synib.tool"), "a \"quoted\"\nline \xc3\xa9");
    assert_string_equal(naive_meta(&f, "synib.kind"), "checkpoint");
    assert_memory_equal(naive_find(&f, "audio.conv1.weight")->data, f32s, sizeof f32s);
    assert_int_equal(naive_find(&f, "audio.conv1.weight")->dim[1], 3);
    assert_memory_equal(naive_find(&f, "blob")->data, u8s, sizeof u8s);
    assert_string_equal(naive_find(&f, "count")->dtype, "I64");
    naive_close(&f);
    free(path);
}

/* How data are cut into pieces does not show in the file. */
static void test_same_bytes(void **state)
{
    char *path = scratch_path(*state, "x.safetensors");
    uint8_t first[32], digest[32];
    struct err e = {0};

    ASSERT_OK(write_file(path, false, 70, first, &e), e);
    for (size_t piece = 1; piece < 70; piece += 13) {
        ASSERT_OK(write_file(path, true, piece, digest, &e), e);
        assert_memory_equal(first, digest, sizeof digest);
    }
    ASSERT_FAILS(write_file(path, false, 70, digest, &e), e, ERR_EXISTS, "--force");
    free(path);
}

static void test_cut_anywhere(void **state)
{
    char *path = scratch_path(*state, "x.safetensors");
    struct file_view full;
    struct err e = {0};

    ASSERT_OK(write_file(path, false, 70, NULL, &e), e);
    full = read_file(path);
    for (size_t n = 0; n < full.len; n++) {
        struct tensorfile *f = NULL;
        uint8_t *cut = malloc(n > 0 ? n : 1); /* its own block: a read past n is seen by ASan */

        assert_non_null(cut);
        memcpy(cut, full.data, n);
        if (tensorfile_open_mem(&f, "cut", cut, n, &e) != ERR_TRUNCATED || f != NULL)
            fail_msg("cut at %zu gave %d (%s)", n, e.code, e.text);
        err_clear(&e);
        free(cut);
    }
    file_view_free(&full);
    free(path);
}

/* Every byte, three changes each: found when opening or when verifying, never by a crash. */
static void test_flip_anywhere(void **state)
{
    static const uint8_t changes[] = {0x01, 0x80, 0xff};
    char *path = scratch_path(*state, "x.safetensors");
    struct file_view full;
    struct err e = {0};
    uint8_t *bytes;

    ASSERT_OK(write_file(path, false, 70, NULL, &e), e);
    full = read_file(path);
    bytes = malloc(full.len);
    assert_non_null(bytes);
    for (size_t i = 0; i < full.len; i++) {
        for (size_t c = 0; c < sizeof changes; c++) {
            struct tensorfile *f = NULL;

            memcpy(bytes, full.data, full.len);
            bytes[i] ^= changes[c];
            if (tensorfile_open_mem(&f, "flipped", bytes, full.len, &e) == ERR_OK &&
                tensorfile_verify_all(f, &e) == ERR_OK)
                fail_msg("byte %zu changed by %#x was not found", i, changes[c]);
            if (err_exit_status(e.code) != 4)
                fail_msg("byte %zu: %d: %s", i, e.code, e.text);
            tensorfile_close(f);
            err_clear(&e);
        }
    }
    free(bytes);
    file_view_free(&full);
    free(path);
}

static void test_appended(void **state)
{
    char *path = scratch_path(*state, "x.safetensors");
    struct file_view full;
    struct tensorfile *f = NULL;
    struct err e = {0};
    uint8_t *bytes;

    ASSERT_OK(write_file(path, false, 70, NULL, &e), e);
    full = read_file(path);
    bytes = calloc(1, full.len + 64);
    assert_non_null(bytes);
    memcpy(bytes, full.data, full.len);
    ASSERT_FAILS(tensorfile_open_mem(&f, "longer", bytes, full.len + 1, &e), e, ERR_FORMAT,
                 "1 bytes after its end");
    memcpy(bytes + full.len, full.data + full.len - 64, 64); /* a second trailer */
    ASSERT_FAILS(tensorfile_open_mem(&f, "longer", bytes, full.len + 64, &e), e, ERR_FORMAT,
                 "its trailer says");
    free(bytes);
    file_view_free(&full);
    free(path);
}

/* ---- headers and trailers with right checksums and wrong content; test_hostile_files.c has more
 * ---- */

/* Bytes outside the JSON. */
static void test_hostile_bytes(void **state)
{
    size_t len, at;
    uint8_t *b = hostile_build(HOSTILE_GOOD, HOSTILE_BUFFER, &len);
    struct tensorfile *f = NULL;
    uint64_t header = load_le64(b);
    struct err e = {0};

    (void)state;
    store_le64(b, UINT64_MAX);
    ASSERT_FAILS(tensorfile_open_mem(&f, "b", b, len, &e), e, ERR_FORMAT, "header length 184467");
    store_le64(b, 0);
    ASSERT_FAILS(tensorfile_open_mem(&f, "b", b, len, &e), e, ERR_FORMAT, "header length 0");
    store_le64(b, 1048577);
    ASSERT_FAILS(tensorfile_open_mem(&f, "b", b, len, &e), e, ERR_FORMAT, "header length 1048577");
    store_le64(b, len);
    ASSERT_FAILS(tensorfile_open_mem(&f, "b", b, len, &e), e, ERR_TRUNCATED, "inside its header");
    store_le64(b, header - 1);
    ASSERT_FAILS(tensorfile_open_mem(&f, "b", b, len, &e), e, ERR_CHECKSUM,
                 "header length differs");
    store_le64(b, header);
    b[len - 64 + 8] = 2;
    hostile_reseal(b, len);
    ASSERT_FAILS(tensorfile_open_mem(&f, "b", b, len, &e), e, ERR_FORMAT,
                 "trailer is of version 2");
    b[len - 64 + 8] = 1;
    b[len - 64 + 12] = 2;
    hostile_reseal(b, len);
    ASSERT_FAILS(tensorfile_open_mem(&f, "b", b, len, &e), e, ERR_FORMAT, "counts 2 tensors");
    b[len - 64 + 12] = 1;
    b[len - 64 + 50] = 1;
    hostile_reseal(b, len);
    ASSERT_FAILS(tensorfile_open_mem(&f, "b", b, len, &e), e, ERR_FORMAT, "reserved bytes");
    b[len - 64 + 50] = 0;
    hostile_reseal(b, len);
    at = hostile_buffer_at(b);
    b[at + 9] = 1;
    ASSERT_FAILS(tensorfile_open_mem(&f, "b", b, len, &e), e, ERR_CHECKSUM, "padding at byte");
    b[at + 9] = 0;
    b[at + 64] ^= 1;
    ASSERT_FAILS(tensorfile_open_mem(&f, "b", b, len, &e), e, ERR_CHECKSUM, "'_crc32c': crc32c");
    b[at + 64] ^= 1;
    b[at + 1] ^= 1;
    ASSERT_OK(tensorfile_open_mem(&f, "b", b, len, &e), e);
    ASSERT_FAILS(tensorfile_verify(f, 0, &e), e, ERR_CHECKSUM, "tensor 'x' (bytes");
    tensorfile_close(f);
    free(b);
}

/* Headers that a reader takes and no writer writes: all say what the good one says. Then bytes
 * around the tensor that change while the file is open. */
static void test_as_written(void **state)
{
#define META(first, second) "\"__metadata__\":{" first "," second "}"
#define VERSION "\"synib.container\":\"1\""
#define KIND "\"synib.kind\":\"checkpoint\""
#define TENSOR(first, second) "\"x\":{" first "," second ",\"data_offsets\":[0,8]}"
#define I32 "\"dtype\":\"I32\""
#define SHAPE "\"shape\":[2]"
#define SPACES "                                                                " /* 64 */
    static const char *const other[] = {
        "{" HOSTILE_META ", " HOSTILE_X "," HOSTILE_REST "}",
        "{" META(KIND, VERSION) "," HOSTILE_X "," HOSTILE_REST "}",
        "{" META("\"synib.container\":\"\\u0031\"", KIND) "," HOSTILE_X "," HOSTILE_REST "}",
        "{" HOSTILE_META "," TENSOR(SHAPE, I32) "," HOSTILE_REST "}",
        HOSTILE_GOOD SPACES,
    };
    size_t len, at;
    uint8_t *good = hostile_build(HOSTILE_GOOD, HOSTILE_BUFFER, &len), *b;
    const uint32_t crc[1] = {naive_crc32c((const uint8_t[8]){0}, 8)};
    struct tensorfile *f = NULL;
    struct err e = {0};
    char want[80];

    (void)state;
    ASSERT_OK(tensorfile_open_mem(&f, "b", good, len, &e), e);
    ASSERT_OK(tensorfile_verify_written(f, crc, &e), e);
    ASSERT_FAILS(tensorfile_verify_written(f, (const uint32_t[]){7}, &e), e, ERR_CHECKSUM,
                 "b: trailer: byte ");
    at = hostile_buffer_at(good);
    for (size_t i = 0; i < len; i++) {
        if (i >= at && i < at + 8)
            continue; /* the tensor */
        good[i] ^= 1;
        snprintf(want, sizeof want, "b: %s: byte %zu is not as a writer writes it",
                 i < at        ? "header"
                 : i < at + 64 ? "padding"
                               : "trailer",
                 i);
        ASSERT_FAILS(tensorfile_verify_written(f, crc, &e), e, ERR_CHECKSUM,
                     i >= at + 64 && i < at + 68 ? "b: tensor 'x' (bytes " : want);
        good[i] ^= 1;
    }
    ASSERT_OK(tensorfile_verify_written(f, crc, &e), e);
    tensorfile_close(f);
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        b = hostile_build(other[i], HOSTILE_BUFFER, &len);
        for (at = 0; b[at] == good[at];)
            at++;
        snprintf(want, sizeof want, "b: header: byte %zu is not as a writer writes it", at);
        ASSERT_OK(tensorfile_open_mem(&f, "b", b, len, &e), e);
        ASSERT_FAILS(tensorfile_verify_written(f, crc, &e), e, ERR_CHECKSUM, want);
        tensorfile_close(f);
        free(b);
    }
    free(good);
}

/* A file of the plain format, as other programs write it. */
static void test_foreign_safetensors(void **state)
{
    static const char header[] = "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";
    uint8_t bytes[64 + 8] = {0};
    struct tensorfile *f = NULL;
    struct err e = {0};

    (void)state;
    store_le64(bytes, 56);
    memset(bytes + 8, ' ', 56);
    memcpy(bytes + 8, header, sizeof header - 1);
    ASSERT_FAILS(tensorfile_open_mem(&f, "w", bytes, sizeof bytes, &e), e, ERR_FORMAT,
                 "not a synib file");
    ASSERT_FAILS(tensorfile_open_mem(&f, "w", "GIF89a", 6, &e), e, ERR_TRUNCATED, "too short");
    ASSERT_FAILS(tensorfile_open(&f, "/dev/null", &e), e, ERR_FORMAT, "not a regular file");
    ASSERT_FAILS(tensorfile_open(&f, "/nothing/here", &e), e, ERR_IO, "/nothing/here");
}

static void test_too_many_tensors(void **state)
{
    char *path = scratch_path(*state, "x.safetensors");
    struct tensorfile_writer *w = NULL;
    const int64_t one = 1;
    struct tensorfile *f = NULL;
    struct err e = {0};
    uint8_t byte = 7;
    uint32_t crc[TENSORFILE_MAX_TENSORS];

    ASSERT_OK(tensorfile_writer_open(&w, path, "shard", false, &e), e);
    for (int i = 0; i < TENSORFILE_MAX_TENSORS; i++) {
        char name[32];

        crc[i] = naive_crc32c(&byte, 1);
        snprintf(name, sizeof name, "t%d", i);
        ASSERT_OK(tensorfile_writer_declare(w, name, DTYPE_U8, 1, &one, &e), e);
    }
    ASSERT_FAILS(tensorfile_writer_declare(w, "more", DTYPE_U8, 1, &one, &e), e, ERR_DATA,
                 "more than 1024");
    for (int i = 0; i < TENSORFILE_MAX_TENSORS; i++)
        ASSERT_OK(tensorfile_writer_data(w, &byte, 1, &e), e);
    ASSERT_OK(tensorfile_writer_commit(w, NULL, &e), e);
    ASSERT_OK(tensorfile_open(&f, path, &e), e);
    assert_int_equal(tensorfile_count(f), TENSORFILE_MAX_TENSORS);
    ASSERT_OK(tensorfile_verify_written(f, crc, &e), e);
    tensorfile_close(f);
    free(path);
}

/* ---- misuse and abandoned files ---- */

/* What a reader would refuse is not written. */
static void test_writer_limits(void **state)
{
    char *path = scratch_path(*state, "x.safetensors"), *text = malloc(TF_MAX_HEADER + 1), key[32];
    const int64_t dims[TENSOR_MAX_RANK + 1] = {1, 1, 1, 1, 1, 1};
    struct tensorfile_writer *w = NULL;
    struct err e = {0};

    assert_non_null(text);
    memset(text, 'x', TF_MAX_HEADER);
    text[TF_MAX_HEADER] = '\0';
    ASSERT_OK(tensorfile_writer_open(&w, path, "shard", false, &e), e);
    ASSERT_FAILS(tensorfile_writer_declare(w, "x", DTYPE_U8, -1, dims, &e), e, ERR_DATA, "rank -1");
    ASSERT_FAILS(tensorfile_writer_declare(w, "x", DTYPE_U8, TENSOR_MAX_RANK + 1, dims, &e), e,
                 ERR_DATA, "rank 6");
    ASSERT_OK(tensorfile_writer_declare(w, "x", DTYPE_U8, 1, dims, &e), e);
    ASSERT_OK(tensorfile_writer_meta(w, "long", text, &e), e);
    ASSERT_FAILS(tensorfile_writer_data(w, "a", 1, &e), e, ERR_DATA,
                 "more than the limit of 1048576");
    ASSERT_FAILS(tensorfile_writer_declare(w, "y", DTYPE_U8, 1, dims, &e), e, ERR_INTERNAL,
                 "tensor 'y' is declared after data");
    tensorfile_writer_abort(w);
    ASSERT_OK(tensorfile_writer_open(&w, path, "shard", false, &e), e);
    for (int i = 2; i < TF_MAX_META; i++) { /* two are there */
        snprintf(key, sizeof key, "key%d", i);
        ASSERT_OK(tensorfile_writer_meta(w, key, "", &e), e);
    }
    ASSERT_FAILS(tensorfile_writer_meta(w, "more", "", &e), e, ERR_DATA, "more than 128 metadata");
    ASSERT_FAILS(tensorfile_writer_commit(w, NULL, &e), e, ERR_INTERNAL, "no tensor is declared");
    ASSERT_OK(tensorfile_writer_open(&w, path, "shard", false, &e), e);
    ASSERT_OK(tensorfile_writer_declare(w, "x", DTYPE_U8, 1, dims, &e), e);
    ASSERT_FAILS(tensorfile_writer_commit(w, NULL, &e), e, ERR_INTERNAL,
                 "tensor 0 of 1 is not complete");
    assert_int_not_equal(access(path, F_OK), 0);
    free(text);
    free(path);
}

static void test_writer_refuses(void **state)
{
    char *path = scratch_path(*state, "x.safetensors");
    const int64_t dims[2] = {2, 0};
    struct tensorfile_writer *w = NULL;
    struct err e = {0};

    ASSERT_FAILS(tensorfile_writer_open(&w, path, "other", false, &e), e, ERR_INTERNAL, "no kind");
    ASSERT_OK(tensorfile_writer_open(&w, path, "shard", false, &e), e);
    ASSERT_FAILS(tensorfile_writer_meta(w, "a b", "", &e), e, ERR_DATA, "not a metadata key");
    ASSERT_FAILS(tensorfile_writer_meta(w, "a", "\xff", &e), e, ERR_DATA, "not UTF-8");
    ASSERT_FAILS(tensorfile_writer_meta(w, "synib.kind", "x", &e), e, ERR_INTERNAL, "set twice");
    ASSERT_FAILS(tensorfile_writer_declare(w, "_x", DTYPE_U8, 1, dims, &e), e, ERR_DATA,
                 "not a tensor name");
    ASSERT_FAILS(tensorfile_writer_declare(w, "x", DTYPE_U8, 2, dims, &e), e, ERR_DATA, "below 1");
    ASSERT_OK(tensorfile_writer_declare(w, "x", DTYPE_U8, 1, dims, &e), e);
    ASSERT_FAILS(tensorfile_writer_declare(w, "x", DTYPE_U8, 1, dims, &e), e, ERR_DATA, "twice");
    ASSERT_FAILS(tensorfile_writer_data(w, "abc", 3, &e), e, ERR_INTERNAL, "more than declared");
    tensorfile_writer_abort(w);
    ASSERT_OK(tensorfile_writer_open(&w, path, "shard", false, &e), e);
    ASSERT_OK(tensorfile_writer_declare(w, "x", DTYPE_U8, 1, dims, &e), e);
    ASSERT_OK(tensorfile_writer_data(w, "a", 1, &e), e);
    ASSERT_FAILS(tensorfile_writer_meta(w, "late", "", &e), e, ERR_INTERNAL, "comes after data");
    ASSERT_FAILS(tensorfile_writer_commit(w, NULL, &e), e, ERR_INTERNAL, "is not complete");
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(rmdir(*state), 0); /* nothing is left in the folder */
    ASSERT_FAILS(tensorfile_writer_open(&w, path, "shard", false, &e), e, ERR_IO, "cannot create");
    assert_int_equal(mkdir(*state, 0700), 0); /* for the teardown */
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
        IN_SCRATCH(test_round_trip),          IN_SCRATCH(test_naive_reads),
        IN_SCRATCH(test_same_bytes),          IN_SCRATCH(test_cut_anywhere),
        IN_SCRATCH(test_flip_anywhere),       IN_SCRATCH(test_appended),
        cmocka_unit_test(test_hostile_bytes), cmocka_unit_test(test_foreign_safetensors),
        IN_SCRATCH(test_too_many_tensors),    IN_SCRATCH(test_writer_refuses),
        IN_SCRATCH(test_writer_limits),       cmocka_unit_test(test_as_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
