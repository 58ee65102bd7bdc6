/* SPDX-License-Identifier: MIT */
#include "common/data/tensorfile_format.h"

#include "common/base/atomic_file.h"
#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/data/json.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct declared {
    char *name;
    enum dtype dtype;
    int rank;
    int64_t dim[TENSOR_MAX_RANK];
    uint64_t bytes;
};

struct tensorfile_writer {
    char *path;
    struct atomic_file *out;
    struct sha256 *hash; /* of everything written */
    json_t *meta;
    struct declared *tensor;
    size_t count, cap;
    bool started; /* header is written, nothing may be declared any more */
    uint64_t header_bytes;
    uint32_t header_crc;
    size_t current; /* tensor that the next data belong to */
    uint64_t got;   /* bytes of it so far */
    uint32_t crc;   /* of those */
    uint8_t *table; /* CRC32C per tensor, little-endian */
};

static enum err_code put(struct tensorfile_writer *w, const void *data, size_t len, struct err *e)
{
    sha256_add(w->hash, data, len);
    return atomic_file_write(w->out, data, len, e);
}

static void writer_free(struct tensorfile_writer *w)
{
    if (w == NULL)
        return;
    atomic_file_abort(w->out);
    sha256_abort(w->hash);
    for (size_t i = 0; i < w->count; i++)
        free(w->tensor[i].name);
    free(w->tensor);
    free(w->table);
    free(w->path);
    json_decref(w->meta);
    free(w);
}

void tensorfile_writer_abort(struct tensorfile_writer *w)
{
    writer_free(w);
}

/* A writer without its file, for the header alone. */
static enum err_code writer_new(struct tensorfile_writer **out, const char *path, const char *kind,
                                struct err *e)
{
    struct tensorfile_writer *w = NULL;

    *out = NULL;
    TRY(mem_array(&w, 1, sizeof *w, path, e));
    TRY(mem_string(&w->path, path, e));
    w->meta = json_object();
    if (w->meta == NULL)
        FAIL(err_set(e, ERR_NOMEM, "%s: no memory for a writer", path));
    TRY(tensorfile_writer_meta(w, TF_META_CONTAINER, "1", e));
    TRY(tensorfile_writer_meta(w, TF_META_KIND, kind, e));
    *out = w;
    w = NULL;
out:
    writer_free(w);
    return e->code;
}

enum err_code tensorfile_writer_open(struct tensorfile_writer **out, const char *path,
                                     const char *kind, bool force, struct err *e)
{
    struct tensorfile_writer *w = NULL;

    *out = NULL;
    if (!tf_kind_ok(kind))
        FAIL(err_set(e, ERR_INTERNAL, "%s: '%s' is no kind of container", path, kind));
    TRY(writer_new(&w, path, kind, e));
    w->hash = sha256_new();
    if (w->hash == NULL)
        FAIL(err_set(e, ERR_NOMEM, "%s: no memory for a writer", path));
    TRY(atomic_file_open(&w->out, path, force, e));
    *out = w;
    w = NULL;
out:
    writer_free(w);
    return e->code;
}

enum err_code tensorfile_writer_meta(struct tensorfile_writer *w, const char *key,
                                     const char *value, struct err *e)
{
    bool no_memory;
    json_t *text;

    if (w->started)
        return err_set(e, ERR_INTERNAL, "%s: metadata '%s' comes after data", w->path, key);
    if (!tf_meta_key_ok(key))
        return err_set(e, ERR_DATA, "%s: '%s' is not a metadata key", w->path, key);
    if (json_object_get(w->meta, key) != NULL)
        return err_set(e, ERR_INTERNAL, "%s: metadata '%s' is set twice", w->path, key);
    if (json_object_size(w->meta) >= TF_MAX_META)
        return err_set(e, ERR_DATA, "%s: more than %d metadata entries", w->path, TF_MAX_META);
    text = json_text(value, &no_memory);
    if (text == NULL && !no_memory)
        return err_set(e, ERR_DATA, "%s: value of metadata '%s' is not UTF-8", w->path, key);
    if (json_object_set_new(w->meta, key, text) != 0)
        return err_set(e, ERR_NOMEM, "%s: no memory for metadata", w->path);
    return ERR_OK;
}

enum err_code tensorfile_writer_declare(struct tensorfile_writer *w, const char *name,
                                        enum dtype dtype, int rank, const int64_t *dim,
                                        struct err *e)
{
    struct declared t = {.dtype = dtype, .rank = rank};

    if (w->started)
        return err_set(e, ERR_INTERNAL, "%s: tensor '%s' is declared after data", w->path, name);
    if (!tf_name_ok(name))
        return err_set(e, ERR_DATA, "%s: '%s' is not a tensor name", w->path, name);
    if (w->count >= TENSORFILE_MAX_TENSORS)
        return err_set(e, ERR_DATA, "%s: more than %d tensors", w->path, TENSORFILE_MAX_TENSORS);
    if (rank < 0 || rank > TENSOR_MAX_RANK)
        return err_set(e, ERR_DATA, "%s: tensor '%s': rank %d", w->path, name, rank);
    if (!tf_tensor_bytes(dtype, rank, dim, &t.bytes))
        return err_set(e, ERR_DATA, "%s: tensor '%s': a dimension is below 1 or it is too large",
                       w->path, name);
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->tensor[i].name, name) == 0)
            return err_set(e, ERR_DATA, "%s: tensor '%s' is declared twice", w->path, name);
    for (int i = 0; i < rank; i++)
        t.dim[i] = dim[i];
    TRY(mem_grow(&w->tensor, &w->cap, w->count + 1, sizeof *w->tensor, w->path, e));
    TRY(mem_string(&t.name, name, e));
    w->tensor[w->count++] = t;
out:
    return e->code;
}

/* Adds one tensor to the header at *at and moves *at to its end. A failed allocation leaves a
 * smaller object, which header_text() notices. */
static void add_entry(json_t *root, const char *name, enum dtype dtype, int rank,
                      const int64_t *dim, uint64_t bytes, uint64_t *at)
{
    (void)json_object_set_new(root, name,
                              json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype_name(dtype), "shape",
                                        tf_shape_json(rank, dim), "data_offsets", (json_int_t)*at,
                                        (json_int_t)(*at + bytes)));
    *at += bytes;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static json_t *sorted_meta(json_t *meta)
{
    const char *keys[TF_MAX_META]; /* two at least: container and kind */
    json_t *sorted = json_object();
    json_t *value;
    const char *key;
    size_t n = 0;

    json_object_foreach(meta, key, value) keys[n++] = key;
    qsort(keys, n, sizeof keys[0], by_key);
    for (size_t i = 0; i < n; i++)
        (void)json_object_set(sorted, keys[i], json_object_get(meta, keys[i]));
    return sorted;
}

/* The header without its padding; free() it. */
static char *header_text(const struct tensorfile_writer *w)
{
    const int64_t count = (int64_t)w->count, trailer = TF_TRAILER_BYTES;
    json_t *root = json_object();
    uint64_t at = 0;
    int pads = 0;
    size_t want = 1; /* __metadata__ */
    char *text = NULL;

    (void)json_object_set_new(root, "__metadata__", sorted_meta(w->meta));
    for (size_t i = 0; i < w->count + 2; i++) {
        int64_t pad = (int64_t)tf_padding(at);
        char name[32];

        if (pad > 0) {
            snprintf(name, sizeof name, TF_PAD_PREFIX "%d", pads++);
            add_entry(root, name, DTYPE_U8, 1, &pad, (uint64_t)pad, &at);
        }
        if (i < w->count)
            add_entry(root, w->tensor[i].name, w->tensor[i].dtype, w->tensor[i].rank,
                      w->tensor[i].dim, w->tensor[i].bytes, &at);
        else if (i == w->count)
            add_entry(root, TF_CRC_NAME, DTYPE_I32, 1, &count, w->count * 4, &at);
        else
            add_entry(root, TF_TRAILER_NAME, DTYPE_U8, 1, &trailer, TF_TRAILER_BYTES, &at);
        want += pad > 0 ? 2 : 1;
    }
    if (json_object_size(root) == want &&
        json_object_size(json_object_get(root, "__metadata__")) == json_object_size(w->meta))
        text = tf_json_text(root);
    json_decref(root);
    return text;
}

/* What the file begins with, its length and its header; free() it. */
static enum err_code make_header(struct tensorfile_writer *w, uint8_t **out, size_t *bytes,
                                 struct err *e)
{
    char *text = header_text(w);
    size_t len, padded;

    *out = NULL;
    if (text == NULL)
        FAIL(err_set(e, ERR_NOMEM, "%s: no memory for the header", w->path));
    len = strlen(text);
    padded = len + tf_padding(TF_LENGTH_BYTES + len);
    if (padded > TF_MAX_HEADER)
        FAIL(err_set(e, ERR_DATA, "%s: the header would have %zu bytes, more than the limit of %d",
                     w->path, padded, TF_MAX_HEADER));
    *bytes = TF_LENGTH_BYTES + padded;
    TRY(mem_array(out, *bytes, 1, w->path, e));
    store_le64(*out, padded);
    memset(*out + TF_LENGTH_BYTES, ' ', padded);
    memcpy(*out + TF_LENGTH_BYTES, text, len);
    w->header_bytes = padded;
    w->header_crc = hash_crc32c(0, *out, *bytes);
out:
    free(text);
    return e->code;
}

static enum err_code start(struct tensorfile_writer *w, struct err *e)
{
    uint8_t *header = NULL;
    size_t bytes = 0;

    if (w->count == 0)
        return err_set(e, ERR_INTERNAL, "%s: no tensor is declared", w->path);
    w->started = true;
    TRY(mem_array(&w->table, w->count, 4, w->path, e));
    TRY(make_header(w, &header, &bytes, e));
    TRY(put(w, header, bytes, e));
out:
    free(header);
    return e->code;
}

static enum err_code put_padding(struct tensorfile_writer *w, struct err *e)
{
    static const uint8_t zeros[TENSORFILE_ALIGN];

    return put(w, zeros, tf_padding(atomic_file_size(w->out)), e);
}

enum err_code tensorfile_writer_data(struct tensorfile_writer *w, const void *data, size_t len,
                                     struct err *e)
{
    const uint8_t *p = data;

    if (!w->started)
        TRY(start(w, e));
    while (len > 0) {
        uint64_t left;
        size_t n;

        if (w->current == w->count)
            FAIL(err_set(e, ERR_INTERNAL, "%s: %zu bytes more than declared", w->path, len));
        left = w->tensor[w->current].bytes - w->got;
        n = len < left ? len : (size_t)left;
        TRY(put(w, p, n, e));
        w->crc = hash_crc32c(w->crc, p, n);
        w->got += n;
        p += n;
        len -= n;
        if (n == left) {
            store_le32(w->table + 4 * w->current, w->crc);
            w->current++;
            w->got = 0;
            w->crc = 0;
            TRY(put_padding(w, e));
        }
    }
out:
    return e->code;
}

/* What the file ends with, from its table on, which begins at byte `at`; free() it. */
static enum err_code make_end(const struct tensorfile_writer *w, uint64_t at, uint8_t **out,
                              size_t *bytes, struct err *e)
{
    size_t table_bytes = w->count * 4;
    uint8_t *trailer;

    *bytes = table_bytes + tf_padding(at + table_bytes) + TF_TRAILER_BYTES;
    TRY(mem_array(out, *bytes, 1, w->path, e));
    memcpy(*out, w->table, table_bytes);
    trailer = *out + *bytes - TF_TRAILER_BYTES;
    memcpy(trailer, TF_MAGIC, 8);
    store_le32(trailer + TF_AT_VERSION, TF_VERSION);
    store_le32(trailer + TF_AT_COUNT, (uint32_t)w->count);
    store_le64(trailer + TF_AT_FILE_LENGTH, at + *bytes);
    store_le64(trailer + TF_AT_HEADER_LENGTH, w->header_bytes);
    store_le32(trailer + TF_AT_HEADER_CRC, w->header_crc);
    store_le32(trailer + TF_AT_TABLE_CRC, hash_crc32c(0, w->table, table_bytes));
    store_le32(trailer + TF_AT_SELF_CRC, hash_crc32c(0, trailer, TF_AT_SELF_CRC));
out:
    return e->code;
}

static enum err_code finish(struct tensorfile_writer *w, struct err *e)
{
    uint8_t *end = NULL;
    size_t bytes = 0;

    if (w->current != w->count)
        FAIL(err_set(e, ERR_INTERNAL, "%s: tensor %zu of %zu is not complete", w->path, w->current,
                     w->count));
    TRY(make_end(w, atomic_file_size(w->out), &end, &bytes, e));
    TRY(put(w, end, bytes, e));
out:
    free(end);
    return e->code;
}

enum err_code tensorfile_writer_commit(struct tensorfile_writer *w, uint8_t digest[32],
                                       struct err *e)
{
    uint8_t sha256[SHA256_SIZE];
    struct atomic_file *out;
    struct sha256 *hash;

    if (!w->started)
        TRY(start(w, e)); /* refuses a file without tensors */
    TRY(finish(w, e));
    hash = w->hash;
    w->hash = NULL;
    TRY(sha256_end(hash, sha256, e));
    out = w->out;
    w->out = NULL;
    TRY(atomic_file_commit(out, e));
    if (digest != NULL)
        memcpy(digest, sha256, sizeof sha256);
out:
    writer_free(w);
    return e->code;
}

/* ---- a file as a writer writes it ---- */

/* A writer that was told what the file's header says, and what its tensors' checksums are. */
static enum err_code writer_like(struct tensorfile_writer **w, const struct tensorfile *f,
                                 const uint32_t *crc, struct err *e)
{
    int count = tensorfile_count(f);
    const char *key;

    TRY(writer_new(w, tensorfile_path(f), tensorfile_kind(f), e));
    for (int i = 0; (key = tensorfile_meta_key(f, i)) != NULL; i++)
        if (strcmp(key, TF_META_CONTAINER) != 0 && strcmp(key, TF_META_KIND) != 0)
            TRY(tensorfile_writer_meta(*w, key, tensorfile_meta(f, key), e));
    TRY(mem_array(&(*w)->table, (size_t)count, 4, tensorfile_path(f), e));
    for (int i = 0; i < count; i++) {
        const struct tensor_info *info = tensorfile_info(f, i);

        TRY(tensorfile_writer_declare(*w, info->name, info->dtype, info->rank, info->dim, e));
        store_le32((*w)->table + 4 * i, crc[i]);
    }
out:
    return e->code;
}

static enum err_code compare(const struct tensorfile *f, const char *what, uint64_t at,
                             const uint8_t *want, size_t bytes, struct err *e)
{
    const uint8_t *is = tensorfile_bytes(f);

    for (size_t i = 0; i < bytes; i++)
        if (at + i >= tensorfile_size(f) || is[at + i] != want[i])
            return err_set(e, ERR_CHECKSUM,
                           "%s: %s: byte %" PRIu64 " is not as a writer writes it: the file was "
                           "changed or is another program's: restore it or make it again",
                           tensorfile_path(f), what, at + i);
    return ERR_OK;
}

enum err_code tensorfile_verify_written(const struct tensorfile *f, const uint32_t *crc,
                                        struct err *e)
{
    static const uint8_t zeros[TENSORFILE_ALIGN];
    uint8_t *header = NULL, *end = NULL;
    struct tensorfile_writer *w = NULL;
    size_t bytes = 0;
    uint64_t at = 0;

    TRY(writer_like(&w, f, crc, e));
    TRY(make_header(w, &header, &bytes, e));
    TRY(compare(f, "header", 0, header, bytes, e));
    for (int i = 0; i < tensorfile_count(f); i++) {
        at = tensorfile_offset(f, i) + tensorfile_info(f, i)->bytes;
        TRY(compare(f, "padding", at, zeros, tf_padding(at), e));
        at += tf_padding(at);
    }
    TRY(make_end(w, at, &end, &bytes, e));
    for (int i = 0; i < tensorfile_count(f); i++)
        if (memcmp((const uint8_t *)tensorfile_bytes(f) + at + 4 * i, end + 4 * i, 4) != 0)
            TRY(tensorfile_verify(f, i, e)); /* says where it lies */
    TRY(compare(f, "trailer", at, end, bytes, e));
out:
    free(header);
    free(end);
    writer_free(w);
    return e->code;
}
