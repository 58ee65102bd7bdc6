/* SPDX-License-Identifier: MIT */
/* Indexes and shards with right checksums and wrong content; headers changed byte by byte. */
#include "common/base/bytes.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/data/shard_format.h"
#include "tests/support/check.h"
#include "tests/support/hostile.h"
#include "tests/support/scratch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the index ---- */

#define HEX63 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"
#define HEX64 HEX63 "f"
#define FIELD "{\"name\":\"label\",\"dtype\":\"I32\",\"shape\":[]}"
#define HEAD_FIELDS(samples, shards, fields)                                                       \
    "{\"synib\":\"set\",\"version\":1,\"prefix\":\"x\",\"samples\":" samples ",\"shards\":" shards \
    ",\"content_sha256\":\"" HEX64 "\",\"fields\":[" fields "],\"meta\":{\"a\":\"b\"}}\n"
#define HEAD_OF(prefix, content, fields, meta)                                            \
    "{\"synib\":\"set\",\"version\":1,\"prefix\":\"" prefix                               \
    "\",\"samples\":3,\"shards\":1,\"content_sha256\":\"" content "\",\"fields\":" fields \
    ",\"meta\":" meta "}\n"
#define HEAD HEAD_FIELDS("3", "1", FIELD)
#define LINE_OF(name, first, count)                                              \
    "{\"shard\":\"" name "\",\"bytes\":900,\"first\":" first ",\"count\":" count \
    ",\"sha256\":\"" HEX64 "\"}\n"
#define NAME "x-00000-0123456789ab.safetensors"
#define LINE LINE_OF(NAME, "0", "3")

/* Parses the text after adding its checksum line. */
static enum err_code parse(const char *text, struct err *e)
{
    struct shard_index x;
    char *full = NULL;

    if (asprintf(&full, "%s{\"crc32c\":\"%08" PRIx32 "\"}\n", text,
                 hash_crc32c(0, text, strlen(text))) < 0)
        abort();
    if (shard_index_parse(&x, "index", full, strlen(full), e) == ERR_OK)
        shard_index_free(&x);
    free(full);
    return e->code;
}

static void test_index(void **state)
{
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"\n", "index:1: is not valid JSON"},
        {"[]\n", "index:1: is not the index of a shard set"},
        {"{}\n", "index:1: is not the index of a shard set"},
        {"{\"synib\":\"set\",\"version\":2}\n", "index:1: is of another version"},
        {"{\"synib\":\"set\",\"version\":1,\"prefix\":\"x\"}\n", "index:1: lacks a key"},
        {"{\"synib\":\"set\",\"synib\":\"set\"}\n", "index:1: is not valid JSON"},
        {HEAD, "the shards listed are not those announced"},
        {HEAD LINE LINE, "index:3: the shard's name"},
        {HEAD LINE_OF(NAME, "0", "2"), "the shards listed are not those announced"},
        {HEAD LINE_OF(NAME, "1", "2"), "index:2: the shard's samples do not follow"},
        {HEAD LINE_OF(NAME, "0", "4"), "index:2: the shard's samples do not follow"},
        {HEAD LINE_OF(NAME, "0", "-3"), "index:2: the shard's samples do not follow"},
        {HEAD LINE_OF("../../etc/x-00000-0123456789ab.safetensors", "0", "3"),
         "index:2: the shard's name"},
        {HEAD LINE_OF("x-00001-0123456789ab.safetensors", "0", "3"), "index:2: the shard's name"},
        {HEAD LINE_OF("x-00000-0123456789AB.safetensors", "0", "3"), "index:2: the shard's name"},
        {HEAD LINE_OF("y-00000-0123456789ab.safetensors", "0", "3"), "index:2: the shard's name"},
        {HEAD LINE_OF("x-00000-0123456789ab.safetensors\\u0000", "0", "3"),
         "index:2: is not valid JSON"},
        {HEAD "{\"shard\":\"" NAME "\"}\n", "index:2: lacks a key"},
        {HEAD "not json\n", "index:2: is not valid JSON"},
        {HEAD_FIELDS("0", "1", FIELD) LINE, "index:1: lacks a key"},
        {HEAD_FIELDS("3.0", "1", FIELD) LINE, "index:1: lacks a key"},
        {HEAD_FIELDS("3", "0", FIELD), "index:1: lacks a key"},
        {HEAD_FIELDS("3", "9223372036854775807", FIELD) LINE, "index:1: lacks a key"},
        {HEAD_FIELDS("3", "1", "") LINE, "has 0 fields"},
        {HEAD_FIELDS("3", "1", FIELD "," FIELD) LINE, "field 'label' stands twice"},
        {HEAD_FIELDS("3", "1", "7") LINE, "a field lacks its name"},
        {HEAD_FIELDS("3", "1", "{\"name\":\"a\",\"dtype\":\"F64\",\"shape\":[]}") LINE,
         "a field lacks its name"},
        {HEAD_FIELDS("3", "1", "{\"name\":\"a\",\"dtype\":\"I32\",\"shape\":[0]}") LINE,
         "dimension is not a number above 0"},
        {HEAD_FIELDS("3", "1", "{\"name\":\"a\",\"dtype\":\"I32\",\"shape\":[1,1,1,1,1]}") LINE,
         "at most 4 numbers"},
        {HEAD_FIELDS("3", "1",
                     "{\"name\":\"a\",\"dtype\":\"I32\",\"shape\":[4294967296,4294967296]}") LINE,
         "field 'a': bad dtype or shape"},
        {HEAD_FIELDS("3", "1", "{\"name\":\"a\",\"dtype\":\"I32\",\"ragged\":true}") LINE,
         "field 'a': bad dtype or shape"},
        {HEAD_FIELDS("3", "1", "{\"name\":\"crc32c\",\"dtype\":\"I32\",\"shape\":[]}") LINE,
         "'crc32c' is not a field name"},
        {HEAD_FIELDS("3", "1", "{\"name\":\"a.off\",\"dtype\":\"I32\",\"shape\":[]}") LINE,
         "'a.off' is not a field name"},
        {HEAD_OF("x", HEX64, "[" FIELD "]", "7") LINE, "index:1: meta is not an object"},
        {HEAD_OF("x", HEX64, "[" FIELD "]", "{\"a\":7}") LINE,
         "index:1: meta holds something else"},
        {HEAD_OF("x", HEX64, "[" FIELD "]", "{\"a b\":\"c\"}") LINE, "index:1: meta holds"},
        {HEAD_OF("", HEX64, "[" FIELD "]", "{}") LINE, "index:1: lacks a key"},
        {HEAD_OF(HEX64 "0", HEX64, "[" FIELD "]", "{}") LINE, "index:1: lacks a key"},
        {HEAD_OF("x", "0123", "[" FIELD "]", "{}") LINE, "index:1: lacks a key"},
        {HEAD_OF("x", HEX64 "0", "[" FIELD "]", "{}") LINE, "index:1: lacks a key"},
        {HEAD_OF("x", HEX63 "F", "[" FIELD "]", "{}") LINE, "index:1: lacks a key"},
        {HEAD_OF("x", HEX64, FIELD, "{}") LINE, "index:1: lacks a key"},
        {HEAD_FIELDS("3", "1", "{\"name\":\"" HEX64 "\",\"dtype\":\"I32\",\"shape\":[]}") LINE,
         "a field lacks its name"},
        {HEAD_FIELDS("3", "1", "{\"name\":\"a\",\"dtype\":\"U8\",\"ragged\":false}") LINE,
         "a field's shape is not a list"},
        {HEAD_FIELDS("3", "1", "{\"name\":\"a\",\"dtype\":\"U8\",\"shape\":7}") LINE,
         "a field's shape is not a list"},
        {HEAD_FIELDS("3", "1", "{\"name\":\"a\",\"dtype\":\"U8\",\"shape\":[\"1\"]}") LINE,
         "dimension is not a number above 0"},
    };
    struct err e = {0};

    (void)state;
    ASSERT_OK(parse(HEAD LINE, &e), e);
    ASSERT_OK(parse(HEAD_OF("x", HEX64, "[" FIELD "]", "{}") LINE, &e), e);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (parse(bad[i].text, &e) == ERR_OK || err_exit_status(e.code) != 4 ||
            strstr(e.text, bad[i].message) == NULL)
            fail_msg("case %zu gave %d (%s), not \"%s\"", i, e.code, e.text, bad[i].message);
        err_clear(&e);
    }
}

/* More fields than a set can have, and a line longer than any that is read. */
static void test_index_limits(void **state)
{
    struct err e = {0};
    char *text = NULL, *many = NULL;
    size_t len;
    FILE *f;

    (void)state;
    f = open_memstream(&many, &len);
    assert_non_null(f);
    for (int i = 0; i <= SHARD_MAX_FIELDS; i++)
        fprintf(f, "%s{\"name\":\"n%d\",\"dtype\":\"I32\",\"shape\":[]}", i > 0 ? "," : "", i);
    assert_int_equal(fclose(f), 0);
    assert_true(asprintf(&text,
                         "{\"synib\":\"set\",\"version\":1,\"prefix\":\"x\",\"samples\":3,"
                         "\"shards\":1,\"content_sha256\":\"" HEX64
                         "\",\"fields\":[%s],\"meta\":{}}\n" LINE,
                         many) > 0);
    ASSERT_FAILS(parse(text, &e), e, ERR_FORMAT, "index:1: has too many fields");
    free(text);
    free(many);
    assert_true(asprintf(&text, HEAD "{\"shard\":\"%*s\"}\n", (1 << 20) + 1, "x") > 0);
    ASSERT_FAILS(parse(text, &e), e, ERR_FORMAT, "index:2: line is too long");
    free(text);
}

/* Every byte of a good index changed in turn and sealed again: an answer, never a crash. */
static void test_index_bytes(void **state)
{
    static const char changes[] = "\"{}[]:,0-9\x80\n ";
    char text[sizeof HEAD LINE];
    struct err e = {0};
    int accepted = 0;

    (void)state;
    for (size_t i = 0; i < sizeof text - 1; i++) {
        for (size_t c = 0; c < sizeof changes - 1; c++) {
            memcpy(text, HEAD LINE, sizeof text);
            text[i] = changes[c];
            accepted += parse(text, &e) == ERR_OK;
            assert_true(e.code == ERR_OK || err_exit_status(e.code) == 4);
            err_clear(&e);
        }
    }
    assert_true(accepted > 0 && accepted < (int)(sizeof text * (sizeof changes - 1)) / 2);
}

static void test_index_cut(void **state)
{
    struct shard_index x;
    struct err e = {0};

    (void)state;
    for (size_t n = 0; n < sizeof HEAD LINE - 1; n++)
        ASSERT_FAILS(shard_index_parse(&x, "index", HEAD LINE, n, &e), e, ERR_TRUNCATED, "cut");
}

/* ---- container headers ---- */

/* The same for the header of a container, whose checksum is made right again. */
static void test_header_bytes(void **state)
{
    static const char header[] = "{" HOSTILE_META "," HOSTILE_X "," HOSTILE_REST "}";
    static const char changes[] = "\"{}[]:,0-9\x80 _x";
    char text[sizeof header];
    struct err e = {0};
    int accepted = 0;

    (void)state;
    for (size_t i = 0; i < sizeof header - 1; i++) {
        for (size_t c = 0; c < sizeof changes - 1; c++) {
            struct tensorfile *f = NULL;
            uint8_t *bytes;
            size_t len;

            memcpy(text, header, sizeof header);
            text[i] = changes[c];
            bytes = hostile_build(text, HOSTILE_BUFFER, &len);
            if (tensorfile_open_mem(&f, "x", bytes, len, &e) == ERR_OK) {
                accepted++;
                assert_int_equal(tensorfile_verify_all(f, &e), ERR_OK);
            }
            assert_true(e.code == ERR_OK || err_exit_status(e.code) == 4);
            tensorfile_close(f);
            err_clear(&e);
            free(bytes);
        }
    }
    assert_true(accepted > 0 && accepted < (int)(sizeof header * (sizeof changes - 1)) / 2);
}

/* ---- shards ---- */

struct tensor {
    const char *name;
    enum dtype dtype;
    int rank;
    int64_t dim[2];
    const void *data;
    size_t len;
};

static void write_container(const char *path, const char *kind, const char *first,
                            const struct tensor *t, int n)
{
    struct tensorfile_writer *w = NULL;
    struct err e = {0};

    ASSERT_OK(tensorfile_writer_open(&w, path, kind, true, &e), e);
    if (first != NULL)
        ASSERT_OK(tensorfile_writer_meta(w, "synib.first", first, &e), e);
    for (int i = 0; i < n; i++)
        ASSERT_OK(tensorfile_writer_declare(w, t[i].name, t[i].dtype, t[i].rank, t[i].dim, &e), e);
    for (int i = 0; i < n; i++)
        ASSERT_OK(tensorfile_writer_data(w, t[i].data, t[i].len, &e), e);
    ASSERT_OK(tensorfile_writer_commit(w, NULL, &e), e);
}

static const uint8_t blob[10] = "abcdefghij";
static const int32_t labels[2] = {1, 2};
static int32_t crc[4];

#define BLOB                                \
    {                                       \
        "jpeg", DTYPE_U8, 1, {10}, blob, 10 \
    }
#define OFF(data)                                  \
    {                                              \
        "jpeg.off", DTYPE_I64, 2, {2, 2}, data, 32 \
    }
#define LABEL                                 \
    {                                         \
        "label", DTYPE_I32, 1, {2}, labels, 8 \
    }
#define CRC                                     \
    {                                           \
        "crc32c", DTYPE_I32, 2, {2, 2}, crc, 16 \
    }

/* Of two samples the second would have a number past the largest there is. */
#define LARGEST "9223372036854775806"

static void test_shards(void **state)
{
    static const int64_t good[4] = {0, 4, 4, 6}, hole[4] = {0, 4, 5, 5}, over[4] = {0, 4, 4, 7},
                         early[4] = {0, 4, 3, 7}, shorter[4] = {0, 4, 4, 5},
                         none[4] = {0, 0, 0, 10}, minus[4] = {0, 4, 4, -6},
                         wrap[4] = {0, INT64_MAX, INT64_MAX, 10};
    const struct {
        const char *kind, *first;
        struct tensor t[4];
        int n;
        const char *message;
    } bad[] = {
        {"checkpoint", "0", {BLOB, OFF(good), LABEL, CRC}, 4, "is a checkpoint, not a shard"},
        {"shard", NULL, {BLOB, OFF(good), LABEL, CRC}, 4, "lacks 'crc32c' or 'synib.first'"},
        {"shard", "x", {BLOB, OFF(good), LABEL, CRC}, 4, "is not a sample's number"},
        {"shard", "-1", {BLOB, OFF(good), LABEL, CRC}, 4, "is not a sample's number"},
        {"shard", LARGEST, {BLOB, OFF(hole), LABEL, CRC}, 4, "is not a sample's number"},
        {"shard", "00", {BLOB, OFF(good), LABEL, CRC}, 4, "its first sample is 00"},
        {"shard", "0", {BLOB, OFF(good), LABEL}, 3, "lacks 'crc32c'"},
        {"shard", "0", {CRC}, 1, "has 0 fields"},
        {"shard", "0", {BLOB, OFF(hole), LABEL, CRC}, 4, "sample 1 field jpeg: offset or length"},
        {"shard", "0", {BLOB, OFF(over), LABEL, CRC}, 4, "sample 1 field jpeg: offset or length"},
        {"shard", "0", {BLOB, OFF(early), LABEL, CRC}, 4, "sample 1 field jpeg: offset or length"},
        {"shard", "0", {BLOB, OFF(none), LABEL, CRC}, 4, "sample 0 field jpeg: offset or length"},
        {"shard", "0", {BLOB, OFF(minus), LABEL, CRC}, 4, "sample 1 field jpeg: offset or length"},
        {"shard", "0", {BLOB, OFF(wrap), LABEL, CRC}, 4, "sample 0 field jpeg: offset or length"},
        {"shard", "0", {BLOB, OFF(shorter), LABEL, CRC}, 4, "1 bytes belong to no sample"},
        {"shard", "0", {BLOB, LABEL, CRC}, 3, "field 'jpeg' has another dtype or shape"},
        {"shard", "0", {OFF(good), BLOB, LABEL, CRC}, 4, "'jpeg.off' is not a field name"},
        {"shard", "0", {BLOB, OFF(good), CRC, LABEL}, 4, "is not a field name"},
        {"shard",
         "0",
         {{"jpeg", DTYPE_I32, 1, {2}, labels, 8}, OFF(good), LABEL, CRC},
         4,
         "field 'jpeg': bad dtype or shape"},
        {"shard",
         "0",
         {BLOB, OFF(good), {"label", DTYPE_I32, 0, {0}, labels, 4}, CRC},
         4,
         "has no dimension for the samples"},
        {"shard",
         "0",
         {BLOB, OFF(good), LABEL, {"crc32c", DTYPE_I32, 2, {2, 1}, crc, 8}},
         4,
         "must end in the tensor 'crc32c', I32 [2, 2]"},
        {"shard",
         "0",
         {BLOB, OFF(good), LABEL, {"crc32c", DTYPE_F32, 2, {2, 2}, crc, 16}},
         4,
         "must end in the tensor 'crc32c'"},
    };
    const struct tensor fine[4] = {BLOB, OFF(good), LABEL, CRC};
    char *path = scratch_path(*state, "x.safetensors");
    struct shard_set *s = NULL;
    struct shard_value v;
    struct err e = {0};

    crc[0] = (int32_t)hash_crc32c(0, blob, 4);
    crc[1] = (int32_t)hash_crc32c(0, labels, 4);
    crc[2] = (int32_t)hash_crc32c(0, blob + 4, 6);
    crc[3] = (int32_t)hash_crc32c(0, labels + 1, 4);
    write_container(path, "shard", "0", fine, 4);
    ASSERT_OK(shard_set_open_file(&s, path, &e), e); /* what the cases start from */
    ASSERT_OK(shard_set_verify(s, 1, &e), e);
    ASSERT_OK(shard_set_get(s, 1, 0, &v, &e), e);
    assert_int_equal(v.len, 6);
    shard_set_close(s);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_container(path, bad[i].kind, bad[i].first, bad[i].t, bad[i].n);
        if (shard_set_open_file(&s, path, &e) != ERR_DATA || s != NULL ||
            strstr(e.text, bad[i].message) == NULL)
            fail_msg("case %zu gave %d (%s), not \"%s\"", i, e.code, e.text, bad[i].message);
        err_clear(&e);
    }
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_index_limits),
        cmocka_unit_test(test_index_bytes),
        cmocka_unit_test(test_index_cut),
        cmocka_unit_test(test_header_bytes),
        cmocka_unit_test_setup_teardown(test_shards, scratch_setup, scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
