/* SPDX-License-Identifier: MIT */
/* What verify finds although every checksum is right: each file here opens. */
#include "common/base/atomic_file.h"
#include "common/base/bytes.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/data/shard_format.h"
#include "tests/support/check.h"
#include "tests/support/naive_reader.h"
#include "tests/support/scratch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct shard_field fields[2] = {
    {.name = "clip", .dtype = DTYPE_U8, .rank = 1, .dim = {8}},
    {.name = "blob", .dtype = DTYPE_U8, .ragged = true},
};
enum { MOST_BYTES = 1 << 17 };

/* Sample i is `content` and i, its blob has len[i] bytes. */
static void write_set(const char *dir, int content, const size_t *len, int samples, uint64_t target)
{
    struct shard_options opt = {.prefix = "x", .target_bytes = target, .force = true};
    static uint8_t bytes[MOST_BYTES];
    struct shard_writer *w = NULL;
    struct err e = {0};

    ASSERT_OK(shard_writer_open(&w, dir, &opt, fields, 2, &e), e);
    ASSERT_OK(shard_writer_meta(w, "synib.seed", "7", &e), e);
    for (int i = 0; i < samples; i++) {
        const struct shard_value value[2] = {{bytes, 8}, {bytes, len[i]}};

        for (size_t k = 0; k < len[i] || k < 8; k++)
            bytes[k] = (uint8_t)((size_t)content + (size_t)i * 31 + k * k % 251);
        ASSERT_OK(shard_writer_add(w, value, &e), e);
    }
    ASSERT_OK(shard_writer_index_meta(w, "synib.late", "after all", &e), e);
    ASSERT_OK(shard_writer_commit(w, &e), e);
}

static void write_small(const char *dir, int content)
{
    static const size_t len[3] = {5, 9, 2};

    write_set(dir, content, len, 3, 0);
}

static char *only_shard(const char *dir)
{
    struct name_list names = {0};
    struct err e = {0};
    char *path;

    ASSERT_OK(dir_list(&names, dir, ".safetensors", &e), e);
    assert_int_equal(names.count, 1);
    path = scratch_path(dir, names.name[0]);
    name_list_free(&names);
    return path;
}

static enum err_code verify_set(const char *dir, int jobs, struct err *e)
{
    struct shard_set *s = NULL;

    TRY(shard_set_open(&s, dir, e));
    TRY(shard_set_verify(s, jobs, e));
out:
    shard_set_close(s);
    return e->code;
}

static enum err_code verify_alone(const char *path, struct err *e)
{
    struct shard_set *s = NULL;

    TRY(shard_set_open_file(&s, path, e));
    TRY(shard_set_verify(s, 1, e));
out:
    shard_set_close(s);
    return e->code;
}

/* Opens and fails to verify, with this in its one line after the shard's path. */
static void refused(const char *dir, const char *shard, const char *message)
{
    char *want = NULL;
    struct shard_set *s = NULL;
    struct err e = {0};

    assert_true(asprintf(&want, "%s: %s", shard, message) > 0);
    ASSERT_OK(shard_set_open(&s, dir, &e), e);
    ASSERT_FAILS(shard_set_verify(s, 1, &e), e, ERR_CHECKSUM, want);
    shard_set_close(s);
    ASSERT_FAILS(verify_alone(shard, &e), e, ERR_CHECKSUM, want);
    free(want);
}

/* ---- files and indexes put right by hand ---- */

static struct file_view read_file(const char *path)
{
    struct file_view v = {0};
    struct err e = {0};

    ASSERT_OK(file_read(&v, path, 1 << 20, &e), e);
    return v;
}

static void write_file(const char *path, const void *data, size_t len)
{
    struct err e = {0};

    ASSERT_OK(atomic_file_put(path, data, len, true, &e), e);
}

/* Makes all checksums of a container's bytes right: those of the values that stand in the tensor
 * "crc32c" must be so already. */
static void seal(uint8_t *b, size_t len)
{
    size_t header = 8 + (size_t)load_le64(b);
    uint8_t *trailer = b + len - 64, *table = NULL;
    size_t tensors = load_le32(trailer + 12);
    struct tensorfile *f = NULL;
    struct err e = {0};

    store_le32(trailer + 32, naive_crc32c(b, header));
    store_le32(trailer + 60, naive_crc32c(trailer, 60));
    ASSERT_OK(tensorfile_open_mem(&f, "sealed", b, len, &e), e);
    table = trailer - (4 * tensors + 63) / 64 * 64;
    for (size_t i = 0; i < tensors; i++)
        store_le32(table + 4 * i, naive_crc32c(tensorfile_data(f, (int)i),
                                               (size_t)tensorfile_info(f, (int)i)->bytes));
    tensorfile_close(f);
    store_le32(trailer + 36, naive_crc32c(table, 4 * tensors));
    store_le32(trailer + 60, naive_crc32c(trailer, 60));
}

/* Replaces a word in the index and makes its checksum right again. */
static void edit_index(const char *dir, const char *key, const char *value)
{
    char *path = scratch_path(dir, "index.jsonl"), *at, crc[32];
    struct file_view v = read_file(path);
    size_t len = v.len - 22;

    at = strstr((char *)(uintptr_t)v.data, key);
    assert_non_null(at);
    memcpy(at + strlen(key), value, strlen(value));
    snprintf(crc, sizeof crc, "{\"crc32c\":\"%08" PRIx32 "\"}\n", hash_crc32c(0, v.data, len));
    memcpy((char *)(uintptr_t)v.data + len, crc, 22);
    write_file(path, v.data, v.len);
    file_view_free(&v);
    free(path);
}

/* ---- tests ---- */

/* The digits in a name are those of docs/formats/shards.md. */
static void test_digits_of_the_name(void **state)
{
    static const char head[] = "synib-shard 1\nx\n2\nsynib.seed=7\nclip U8 8\nblob ragged\n";
    static const size_t len[3] = {10, 20, 30};
    char *dir = scratch_path(*state, "set"), hex[SHA256_HEX_SIZE], want[80];
    uint8_t text[sizeof head - 1 + SHA256_SIZE], sample[8 + 8 + 8 + 30] = {8, [16] = 30};
    struct shard_set *s = NULL;
    struct shard_value v;
    struct err e = {0};
    int64_t first, count;

    write_set(dir, 3, len, 3, 33); /* the last one is alone */
    ASSERT_OK(shard_set_open(&s, dir, &e), e);
    assert_int_equal(shard_set_shards(s), 2);
    ASSERT_OK(shard_set_get(s, 2, 0, &v, &e), e);
    memcpy(sample + 8, v.data, 8);
    ASSERT_OK(shard_set_get(s, 2, 1, &v, &e), e);
    memcpy(sample + 24, v.data, 30);
    memcpy(text, head, sizeof head - 1);
    ASSERT_OK(sha256_bytes(sample, sizeof sample, text + sizeof head - 1, &e), e);
    ASSERT_OK(sha256_bytes(text, sizeof text, sample, &e), e);
    sha256_hex(sample, hex);
    snprintf(want, sizeof want, "x-00001-%.12s.safetensors", hex);
    assert_string_equal(path_base(tensorfile_path(shard_set_shard(s, 1, &first, &count))), want);
    shard_set_close(s);
    free(dir);
}

/* Bytes under no sample's checksum that change while the set is open. */
static void test_changes_while_open(void **state)
{
    char *dir = scratch_path(*state, "set"), *shard;
    struct shard_set *s = NULL;
    const struct tensorfile *f;
    struct err e = {0};
    long table;

    write_small(dir, 0);
    shard = only_shard(dir);
    ASSERT_OK(shard_set_open(&s, dir, &e), e);
    ASSERT_OK(shard_set_verify(s, 1, &e), e);
    f = shard_set_shard(s, 0, &(int64_t){0}, &(int64_t){0});
    /* The table of checksums is followed by padding to 64 bytes, and the trailer's 64 end it all.
     */
    table = (long)tensorfile_size(f) - 128;
    scratch_flip(shard, table);
    ASSERT_FAILS(shard_set_verify(s, 1, &e), e, ERR_CHECKSUM, "tensor 'clip' (bytes ");
    scratch_flip(shard, table);
    scratch_flip(shard, table + 60);
    ASSERT_FAILS(shard_set_verify(s, 1, &e), e, ERR_CHECKSUM, "trailer: byte ");
    scratch_flip(shard, table + 60);
    scratch_flip(shard, table + 127);
    ASSERT_FAILS(shard_set_verify(s, 1, &e), e, ERR_CHECKSUM, "trailer: byte ");
    scratch_flip(shard, table + 127);
    ASSERT_OK(shard_set_verify(s, 1, &e), e);
    shard_set_close(s);
    free(shard);
    free(dir);
}

/* The index is whole, but of another content. A shard's sha256 in it is for sha256sum alone. */
static void test_content(void **state)
{
    char *dir = scratch_path(*state, "set");
    struct err e = {0};

    write_small(dir, 0);
    edit_index(dir, "\"sha256\":\"", "00000000");
    ASSERT_OK(verify_set(dir, 1, &e), e);
    edit_index(dir, "\"content_sha256\":\"", "00000000");
    ASSERT_FAILS(verify_set(dir, 1, &e), e, ERR_CHECKSUM,
                 "set: content digest differs from the index: its shards are not those of this "
                 "index: restore the set or make it again");
    free(dir);
}

/* Another set's shard of the same size, fields and provenance: under the name of this set's, and
 * under its own name, which the index was given. */
static void test_other_contents(void **state)
{
    char *dir = scratch_path(*state, "set"), *twin = scratch_path(*state, "twin"), *shard, *other,
         *moved;
    struct file_view v;
    struct err e = {0};

    write_small(dir, 0);
    write_small(twin, 100);
    shard = only_shard(dir);
    other = only_shard(twin);
    v = read_file(other);
    write_file(shard, v.data, v.len);
    refused(dir, shard, "its name says other contents, these have ");
    assert_int_equal(unlink(shard), 0);
    moved = scratch_path(dir, path_base(other));
    write_file(moved, v.data, v.len);
    edit_index(dir, "{\"shard\":\"", path_base(other));
    ASSERT_FAILS(verify_set(dir, 1, &e), e, ERR_CHECKSUM,
                 "set: content digest differs from the index: its shards are not those of this "
                 "index: restore the set or make it again");
    ASSERT_OK(verify_alone(moved, &e), e);
    file_view_free(&v);
    free(moved);
    free(other);
    free(shard);
    free(twin);
    free(dir);
}

/* The one shard of a small set, to be changed by hand. */
struct edited {
    char *dir, *shard;
    struct file_view view;
    uint8_t *b; /* its bytes */
};

static struct edited edit_begin(void *state)
{
    struct edited x = {.dir = scratch_path(state, "set")};

    write_small(x.dir, 0);
    x.shard = only_shard(x.dir);
    x.view = read_file(x.shard);
    x.b = (uint8_t *)(uintptr_t)x.view.data;
    return x;
}

/* Every checksum is put right; verify must say `message` nevertheless. */
static void edit_refused(const struct edited *x, const char *message)
{
    seal(x->b, x->view.len);
    write_file(x->shard, x->b, x->view.len);
    refused(x->dir, x->shard, message);
}

static void edit_end(struct edited *x)
{
    file_view_free(&x->view);
    free(x->shard);
    free(x->dir);
}

/* One value is another, and every checksum with it. */
static void test_changed_value(void **state)
{
    struct edited x = edit_begin(*state);
    struct tensorfile *f = NULL;
    struct err e = {0};
    uint8_t *b = x.b, *value;

    ASSERT_OK(tensorfile_open_mem(&f, "x", b, x.view.len, &e), e);
    value = b + tensorfile_offset(f, tensorfile_find(f, "clip")) + 8; /* of sample 1 */
    value[3] ^= 1;
    store_le32(b + tensorfile_offset(f, tensorfile_find(f, "crc32c")) + 8, naive_crc32c(value, 8));
    tensorfile_close(f);
    edit_refused(&x, "its name says other contents, these have ");
    edit_end(&x);
}

/* Values, fields and digests are this set's, a metadata entry of its index has come in. */
static void test_other_metadata(void **state)
{
    static const char seed[] = "\"synib.seed\":\"7\"", late[] = "\"synib.late\":\"after all\"";
    struct edited x = edit_begin(*state);
    struct err e = {0};
    size_t header = 8 + (size_t)load_le64(x.b), last = header;
    uint8_t *b = x.b;
    char *at;

    while (b[last - 1] == ' ')
        last--;
    assert_true(last + sizeof late <= header); /* takes the place of padding */
    at = memmem(b, header, seed, sizeof seed - 1);
    assert_non_null(at);
    memmove(at + sizeof late, at, last - (size_t)((uint8_t *)at - b));
    memcpy(at, late, sizeof late - 1);
    at[sizeof late - 1] = ',';
    edit_refused(&x, "its name says other contents, these have ");
    ASSERT_FAILS(verify_set(x.dir, 1, &e), e, ERR_CHECKSUM, "other contents");
    edit_end(&x);
}

/* The header says the same in other bytes. */
static void test_other_white_space(void **state)
{
    struct edited x = edit_begin(*state);
    size_t header = 8 + (size_t)load_le64(x.b);
    uint8_t *b = x.b;

    assert_int_equal(b[header - 1], ' ');
    memmove(b + 10, b + 9, header - 10);
    b[9] = ' ';
    edit_refused(&x, "header: byte 9 is not as a writer writes it");
    edit_end(&x);
}

/* A name that does not follow the pattern says nothing of the contents. */
static void test_renamed(void **state)
{
    char *dir = scratch_path(*state, "set"), *shard, *path;
    struct file_view v;
    struct err e = {0};

    write_small(dir, 0);
    shard = only_shard(dir);
    v = read_file(shard);
    path = scratch_path(*state, "mine.safetensors");
    write_file(path, v.data, v.len);
    ASSERT_OK(verify_alone(path, &e), e);
    free(path);
    path = scratch_path(*state, "x-00000-0123456789ab.safetensors");
    write_file(path, v.data, v.len);
    ASSERT_FAILS(verify_alone(path, &e), e, ERR_CHECKSUM, "its name says other contents");
    free(path);
    path = scratch_path(*state, "a-prefix-longer-than-the-64-characters-that-a-prefix-of-a-set-may-"
                                "have-00000-0123456789ab.safetensors");
    write_file(path, v.data, v.len);
    ASSERT_FAILS(verify_alone(path, &e), e, ERR_CHECKSUM, "its name says other contents");
    free(path);
    file_view_free(&v);
    free(shard);
    free(dir);
}

/* Two samples are hashed side by side: in any number, of any lengths, in one shard or in many,
 * their digests are those that the writer computed one by one. */
static void test_side_by_side(void **state)
{
    static const size_t len[][6] = {
        {1, 1, 1, 1, 1, 1},          {MOST_BYTES, 1, 1, 1, 1, 1},
        {1, 1, 1, 1, 1, MOST_BYTES}, {1, MOST_BYTES, 63, 64, 65, MOST_BYTES - 1},
        {40, 47, 48, 49, 55, 56},    {1000, 90000, 1, 3, 5000, 200},
    };
    char *dir = scratch_path(*state, "set");
    struct err e = {0};

    for (size_t k = 0; k < sizeof len / sizeof len[0]; k++) {
        for (int n = 1; n <= 6; n++) {
            write_set(dir, (int)k, len[k], n, n % 2 == 0 ? 500 : 0);
            if (verify_set(dir, 1 + n % 2, &e) != ERR_OK)
                fail_msg("lengths %zu, %d samples: %s", k, n, e.text);
        }
    }
    free(dir);
}

/* Faults of several samples are all named, those between are read on. */
static void test_all_faults(void **state)
{
    static const size_t len[6] = {50, 60, 70, 80, 90, 100};
    char *dir = scratch_path(*state, "set"), *shard;
    struct tensorfile *f = NULL;
    struct shard_set *s = NULL;
    struct err e = {0};

    write_set(dir, 0, len, 6, 0);
    shard = only_shard(dir);
    ASSERT_OK(tensorfile_open(&f, shard, &e), e);
    scratch_flip(shard, (long)tensorfile_offset(f, tensorfile_find(f, "blob")));
    scratch_flip(shard, (long)tensorfile_offset(f, tensorfile_find(f, "blob")) + 449);
    scratch_flip(shard, (long)tensorfile_offset(f, tensorfile_find(f, "clip")) + 8 * 2);
    tensorfile_close(f);
    ASSERT_OK(shard_set_open(&s, dir, &e), e);
    assert_int_equal(shard_set_verify(s, 1, &e), ERR_CHECKSUM);
    assert_non_null(strstr(e.text, "sample 0 "));
    assert_non_null(strstr(e.text, "sample 2 field clip"));
    assert_non_null(strstr(e.text, "sample 5 "));
    assert_null(strstr(e.text, "sample 1 "));
    shard_set_close(s);
    free(shard);
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
        IN_SCRATCH(test_changes_while_open),
        IN_SCRATCH(test_content),
        IN_SCRATCH(test_other_contents),
        IN_SCRATCH(test_changed_value),
        IN_SCRATCH(test_other_metadata),
        IN_SCRATCH(test_other_white_space),
        IN_SCRATCH(test_renamed),
        IN_SCRATCH(test_side_by_side),
        IN_SCRATCH(test_all_faults),
        IN_SCRATCH(test_digits_of_the_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
