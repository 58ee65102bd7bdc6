/* SPDX-License-Identifier: MIT */
#include "common/data/tensorfile_format.h"

#include "common/base/bytes.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/data/json.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A data tensor and where it lies. */
struct entry {
    struct tensor_info info;
    uint64_t offset; /* in the file */
};

struct tensorfile {
    char *path;
    struct file_view view; /* empty for tensorfile_open_mem */
    const uint8_t *data;
    uint64_t len;
    uint64_t header_len; /* H of the specification */
    json_t *root;        /* owns every string below */
    json_t *meta;
    struct entry *entry;
    size_t count, cap;
    const uint8_t *table; /* `_crc32c` */
};

/* Walks the header's tensors in file order. */
struct walk {
    uint64_t at; /* end of the tensor before, in the buffer */
    int pads;
    bool table_seen, trailer_seen;
    uint64_t table_at;
};

#define DAMAGED "the file is damaged: restore it or make it again"

static enum err_code bad(const struct tensorfile *f, struct err *e, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

static enum err_code bad(const struct tensorfile *f, struct err *e, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(e, ERR_FORMAT, "%s: %s", f->path, text);
}

/* Bytes that JSON allows but the profile does not, and nesting, before a JSON parser sees them. */
static enum err_code scan_header(const struct tensorfile *f, const uint8_t *p, size_t n,
                                 struct err *e)
{
    bool in_string = false;
    size_t last = n;
    int depth = 0;

    if (p[0] != '{')
        return bad(f, e, "header does not begin with '{': not a safetensors file");
    while (p[last - 1] == ' ')
        last--;
    if (p[last - 1] != '}')
        return bad(f, e, "header ends at byte %zu without '}': not a safetensors file",
                   TF_LENGTH_BYTES + last - 1);
    for (size_t i = 0; i < n; i++) {
        if (p[i] < 0x20)
            return bad(f, e, "header has a control character at byte %zu", TF_LENGTH_BYTES + i);
        if (in_string && p[i] == '\\')
            i++;
        else if (p[i] == '"')
            in_string = !in_string;
        else if (!in_string && (p[i] == '{' || p[i] == '['))
            depth++;
        else if (!in_string && (p[i] == '}' || p[i] == ']'))
            depth--;
        if (depth > TF_MAX_DEPTH)
            return bad(f, e, "header is nested deeper than %d levels at byte %zu", TF_MAX_DEPTH,
                       TF_LENGTH_BYTES + i);
    }
    return ERR_OK;
}

/* What a value is, for a message that says what it should be. */
static const char *kind_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "a list";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "a whole number";
    case JSON_REAL: return "a number with fraction or exponent";
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    case JSON_NULL: return "null";
    }
    return "nothing";
}

/* "I32 [2, 3]" into out. */
static void type_text(const struct tensor_info *info, char out[160])
{
    int n = snprintf(out, 160, "%s [", dtype_name(info->dtype));

    for (int i = 0; i < info->rank; i++)
        n += snprintf(out + n, 160 - (size_t)n, "%s%" PRId64, i > 0 ? ", " : "", info->dim[i]);
    snprintf(out + n, 160 - (size_t)n, "]");
}

static enum err_code check_meta(struct tensorfile *f, struct err *e)
{
    const char *key, *version, *kind, *features;
    json_t *value;

    if (json_object_size(f->meta) > TF_MAX_META)
        return bad(f, e, "__metadata__ has more than %d entries", TF_MAX_META);
    json_object_foreach(f->meta, key, value)
    {
        if (!tf_meta_key_ok(key))
            return bad(f, e, "__metadata__ has the key '%.80s', which is not a key", key);
        if (!json_is_string(value))
            return bad(f, e, "metadata '%s' is %s, not a string", key, kind_of(value));
    }
    version = tensorfile_meta(f, TF_META_CONTAINER);
    kind = tensorfile_meta(f, TF_META_KIND);
    features = tensorfile_meta(f, TF_META_FEATURES);
    if (version == NULL)
        return bad(f, e, "metadata '" TF_META_CONTAINER "' is missing: not a synib file");
    if (strcmp(version, "1") != 0)
        return bad(f, e, "is of container version '%.20s': this tool reads version 1", version);
    if (kind == NULL)
        return bad(f, e, "metadata '" TF_META_KIND "' is missing: not a synib file");
    if (!tf_kind_ok(kind))
        return bad(f, e, "is of an unknown kind '%.20s': it needs a newer tool", kind);
    if (features != NULL)
        return bad(f, e, "needs the feature '%.80s', which this tool does not know", features);
    return ERR_OK;
}

static enum err_code read_shape(const struct tensorfile *f, const char *name, const json_t *shape,
                                struct tensor_info *info, struct err *e)
{
    char type[160];

    if (json_typeof(shape) != JSON_ARRAY)
        return bad(f, e, "tensor '%s': shape is %s, not a list", name, kind_of(shape));
    if (json_array_size(shape) > TENSOR_MAX_RANK)
        return bad(f, e, "tensor '%s': rank %zu is more than %d", name, json_array_size(shape),
                   TENSOR_MAX_RANK);
    info->rank = (int)json_array_size(shape);
    for (int i = 0; i < info->rank; i++) {
        const json_t *dim = json_array_get(shape, (size_t)i);

        if (json_typeof(dim) != JSON_INTEGER)
            return bad(f, e, "tensor '%s': dimension %d is %s, not a whole number", name, i,
                       kind_of(dim));
        info->dim[i] = json_integer_value(dim);
        if (info->dim[i] < 1)
            return bad(f, e, "tensor '%s': dimension %d is %lld, less than 1", name, i,
                       (long long)info->dim[i]);
    }
    if (tf_tensor_bytes(info->dtype, info->rank, info->dim, &info->bytes))
        return ERR_OK;
    type_text(info, type);
    return bad(f, e, "tensor '%s': its size, %s, overflows", name, type);
}

static enum err_code read_offsets(const struct tensorfile *f, const char *name,
                                  const json_t *offsets, const struct tensor_info *info,
                                  struct walk *w, struct err *e)
{
    const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    json_int_t begin, end;

    if (json_typeof(offsets) != JSON_ARRAY)
        return bad(f, e, "tensor '%s': data_offsets is %s, not a pair", name, kind_of(offsets));
    if (json_array_size(offsets) != 2)
        return bad(f, e, "tensor '%s': data_offsets has %zu numbers, not 2", name,
                   json_array_size(offsets));
    if (json_typeof(first) != JSON_INTEGER)
        return bad(f, e, "tensor '%s': the begin of data_offsets is %s, not a whole number", name,
                   kind_of(first));
    if (json_typeof(last) != JSON_INTEGER)
        return bad(f, e, "tensor '%s': the end of data_offsets is %s, not a whole number", name,
                   kind_of(last));
    begin = json_integer_value(first);
    end = json_integer_value(last);
    if (begin < 0 || end < 0)
        return bad(f, e, "tensor '%s': data_offsets [%lld, %lld] are negative", name,
                   (long long)begin, (long long)end);
    if (end < begin)
        return bad(f, e, "tensor '%s': data_offsets [%lld, %lld] run backwards", name,
                   (long long)begin, (long long)end);
    if ((uint64_t)begin < w->at)
        return bad(f, e, "tensor '%s': overlaps the tensor before it by %" PRIu64 " bytes", name,
                   w->at - (uint64_t)begin);
    if ((uint64_t)begin > w->at)
        return bad(f, e, "tensor '%s': leaves a hole of %" PRIu64 " bytes before it", name,
                   (uint64_t)begin - w->at);
    if ((uint64_t)(end - begin) != info->bytes)
        return bad(f, e, "tensor '%s': data_offsets span %lld bytes, its shape takes %" PRIu64,
                   name, (long long)(end - begin), info->bytes);
    w->at = (uint64_t)end;
    return ERR_OK;
}

/* Where tensors of the profile's own may stand, and what they look like. */
static enum err_code check_reserved(const struct tensorfile *f, const struct tensor_info *info,
                                    uint64_t begin, struct walk *w, struct err *e)
{
    uint64_t padding = tf_padding(begin);
    char pad[32], type[160];

    type_text(info, type);
    snprintf(pad, sizeof pad, TF_PAD_PREFIX "%d", w->pads);
    if (strcmp(info->name, pad) == 0) {
        if (padding == 0)
            return bad(f, e, "tensor '%s': no padding belongs here", info->name);
        if (info->dtype != DTYPE_U8 || info->rank != 1 || info->bytes != padding)
            return bad(f, e, "tensor '%s': is %s, the padding here is U8 [%" PRIu64 "]", info->name,
                       type, padding);
        w->pads++;
    } else if (strcmp(info->name, TF_CRC_NAME) == 0) {
        if (info->dtype != DTYPE_I32 || info->rank != 1 || info->dim[0] != (int64_t)f->count)
            return bad(f, e, "tensor '" TF_CRC_NAME "': is %s, must be I32 [%zu]", type, f->count);
        w->table_seen = true;
        w->table_at = begin;
    } else if (strcmp(info->name, TF_TRAILER_NAME) == 0) {
        if (!w->table_seen)
            return bad(f, e, "tensor '" TF_CRC_NAME "' is missing before '" TF_TRAILER_NAME "'");
        if (info->dtype != DTYPE_U8 || info->rank != 1 || info->bytes != TF_TRAILER_BYTES)
            return bad(f, e, "tensor '" TF_TRAILER_NAME "': is %s, must be U8 [%d]", type,
                       TF_TRAILER_BYTES);
        w->trailer_seen = true;
    } else if (strncmp(info->name, TF_PAD_PREFIX, strlen(TF_PAD_PREFIX)) == 0) {
        return bad(f, e, "tensor '%.80s': the next padding is '%s'", info->name, pad);
    } else {
        return bad(f, e, "tensor '%.80s': the name is reserved", info->name);
    }
    return ERR_OK;
}

/* Exactly the three keys that describe a tensor. */
static enum err_code check_keys(const struct tensorfile *f, const char *name, const json_t *spec,
                                struct err *e)
{
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};

    if (json_typeof(spec) != JSON_OBJECT)
        return bad(f, e, "tensor '%.80s': is %s, not an object", name, kind_of(spec));
    for (int i = 0; i < 3; i++)
        if (json_object_get(spec, keys[i]) == NULL)
            return bad(f, e, "tensor '%.80s': lacks %s", name, keys[i]);
    if (json_object_size(spec) != 3)
        return bad(f, e, "tensor '%.80s': has other keys than dtype, shape, data_offsets", name);
    return ERR_OK;
}

static enum err_code read_tensor(struct tensorfile *f, const char *name, const json_t *spec,
                                 struct walk *w, struct err *e)
{
    struct tensor_info info = {.name = name};
    uint64_t begin = w->at;
    const json_t *dtype;

    if (w->trailer_seen)
        return bad(f, e, "tensor '%.80s': comes after '" TF_TRAILER_NAME "'", name);
    if (name[0] != '_' && !tf_name_ok(name))
        return bad(f, e, "tensor '%.80s': is not a tensor name", name);
    TRY(check_keys(f, name, spec, e));
    dtype = json_object_get(spec, "dtype");
    if (json_typeof(dtype) != JSON_STRING)
        return bad(f, e, "tensor '%.80s': dtype is %s, not a string", name, kind_of(dtype));
    if (!dtype_parse(&info.dtype, json_string_value(dtype)))
        return bad(f, e, "tensor '%.80s': dtype '%.20s' is not one of U8, I32, I64, F32", name,
                   json_string_value(dtype));
    TRY(read_shape(f, name, json_object_get(spec, "shape"), &info, e));
    TRY(read_offsets(f, name, json_object_get(spec, "data_offsets"), &info, w, e));
    if (strncmp(name, TF_PAD_PREFIX, strlen(TF_PAD_PREFIX)) != 0 && begin % TENSORFILE_ALIGN != 0)
        return bad(f, e, "tensor '%.80s': begins at %" PRIu64 ", not a multiple of %d", name, begin,
                   TENSORFILE_ALIGN);
    if (name[0] == '_')
        return check_reserved(f, &info, begin, w, e);
    if (w->table_seen)
        return bad(f, e, "tensor '%s': comes after '" TF_CRC_NAME "'", name);
    if (f->count >= TENSORFILE_MAX_TENSORS)
        return bad(f, e, "has more than %d tensors", TENSORFILE_MAX_TENSORS);
    TRY(mem_grow(&f->entry, &f->cap, f->count + 1, sizeof *f->entry, f->path, e));
    f->entry[f->count++] = (struct entry){
        .info = info,
        .offset = TF_LENGTH_BYTES + f->header_len + begin,
    };
out:
    return e->code;
}

/* Parses the header and leaves in *end where the file must end. */
static enum err_code read_header(struct tensorfile *f, struct walk *w, struct err *e)
{
    const char *text = (const char *)f->data + TF_LENGTH_BYTES, *key;
    json_error_t why;
    json_t *value;
    bool first = true, no_memory;

    TRY(scan_header(f, f->data + TF_LENGTH_BYTES, f->header_len, e));
    f->root = json_parse(text, f->header_len, &why, &no_memory);
    if (no_memory)
        FAIL(err_set(e, ERR_NOMEM, "%s: no memory for the header", f->path));
    if (f->root == NULL)
        FAIL(bad(f, e, "header is not valid JSON: %s (byte %d)", why.text,
                 TF_LENGTH_BYTES + why.position));
    json_object_foreach(f->root, key, value)
    {
        if (first && strcmp(key, "__metadata__") != 0)
            FAIL(bad(f, e, "header does not begin with __metadata__: not a synib file"));
        if (first && !json_is_object(value))
            FAIL(bad(f, e, "__metadata__ is %s, not an object", kind_of(value)));
        if (first) {
            f->meta = value;
            TRY(check_meta(f, e));
        } else {
            TRY(read_tensor(f, key, value, w, e));
        }
        first = false;
    }
    if (first)
        FAIL(bad(f, e, "header is empty"));
    if (f->count == 0)
        FAIL(bad(f, e, "holds no tensor"));
    if (!w->trailer_seen)
        FAIL(bad(f, e, "tensor '" TF_TRAILER_NAME "' is missing: not a synib file"));
out:
    return e->code;
}

static bool trailer_intact(const uint8_t *t)
{
    return memcmp(t, TF_MAGIC, 8) == 0 &&
           load_le32(t + TF_AT_SELF_CRC) == hash_crc32c(0, t, TF_AT_SELF_CRC);
}

/* What an intact trailer says, compared with the file, before the header is believed. */
static enum err_code check_trailer(const struct tensorfile *f, const uint8_t *t, struct err *e)
{
    if (load_le32(t + TF_AT_VERSION) != TF_VERSION)
        return bad(f, e, "trailer is of version %" PRIu32 ": this tool reads version %d",
                   load_le32(t + TF_AT_VERSION), TF_VERSION);
    if (load_le64(t + TF_AT_FILE_LENGTH) != f->len)
        return bad(f, e, "has %" PRIu64 " bytes, its trailer says %" PRIu64, f->len,
                   load_le64(t + TF_AT_FILE_LENGTH));
    if (load_le64(t + TF_AT_HEADER_LENGTH) != f->header_len)
        return err_set(e, ERR_CHECKSUM, "%s: header length differs from the trailer: " DAMAGED,
                       f->path);
    if (load_le32(t + TF_AT_HEADER_CRC) != hash_crc32c(0, f->data, TF_LENGTH_BYTES + f->header_len))
        return err_set(e, ERR_CHECKSUM, "%s: header: crc32c differs: " DAMAGED, f->path);
    for (int i = TF_AT_ZERO; i < TF_AT_SELF_CRC; i++)
        if (t[i] != 0)
            return bad(f, e, "trailer: reserved bytes are not zero");
    return ERR_OK;
}

/* Called when the last 64 bytes are no trailer: says why, from what the header promises. */
static enum err_code explain_missing_trailer(const struct tensorfile *f, uint64_t want,
                                             struct err *e)
{
    if (f->len < want)
        return err_set(e, ERR_TRUNCATED,
                       "%s: has %" PRIu64 " of %" PRIu64 " bytes: restore it or make it again",
                       f->path, f->len, want);
    if (f->len > want)
        return bad(f, e, "has %" PRIu64 " bytes after its end at %" PRIu64, f->len - want, want);
    return err_set(e, ERR_CHECKSUM, "%s: trailer: %s differs: " DAMAGED, f->path,
                   memcmp(f->data + f->len - TF_TRAILER_BYTES, TF_MAGIC, 8) != 0 ? "magic"
                                                                                 : "crc32c");
}

static enum err_code check_table(struct tensorfile *f, const struct walk *w, const uint8_t *t,
                                 struct err *e)
{
    f->table = f->data + TF_LENGTH_BYTES + f->header_len + w->table_at;
    if (load_le32(t + TF_AT_COUNT) != f->count)
        return bad(f, e, "trailer counts %" PRIu32 " tensors, the header %zu",
                   load_le32(t + TF_AT_COUNT), f->count);
    if (load_le32(t + TF_AT_TABLE_CRC) != hash_crc32c(0, f->table, 4 * f->count))
        return err_set(e, ERR_CHECKSUM, "%s: tensor '" TF_CRC_NAME "': crc32c differs: " DAMAGED,
                       f->path);
    return ERR_OK;
}

/* Bytes between data tensors, and between the last one, the table and the trailer. */
static enum err_code check_padding(const struct tensorfile *f, const struct walk *w, struct err *e)
{
    uint64_t buffer = TF_LENGTH_BYTES + f->header_len;

    for (size_t i = 0; i <= f->count; i++) {
        uint64_t from = i < f->count ? f->entry[i].offset + f->entry[i].info.bytes
                                     : buffer + w->table_at + 4 * f->count;
        uint64_t to = from + tf_padding(from);

        for (; from < to; from++)
            if (f->data[from] != 0)
                return err_set(e, ERR_CHECKSUM,
                               "%s: padding at byte %" PRIu64 " is not zero: " DAMAGED, f->path,
                               from);
    }
    return ERR_OK;
}

static enum err_code check_file(struct tensorfile *f, struct err *e)
{
    const uint8_t *trailer = NULL;
    struct walk w = {0};
    uint64_t want;
    bool intact = false;

    if (f->len < TF_LENGTH_BYTES)
        return err_set(e, ERR_TRUNCATED, "%s: has %" PRIu64 " bytes: too short for any container",
                       f->path, f->len);
    f->header_len = load_le64(f->data);
    if (f->header_len < TF_MIN_HEADER || f->header_len > TF_MAX_HEADER)
        return bad(f, e, "header length %" PRIu64 " is not from %d to %d: not a safetensors file",
                   f->header_len, TF_MIN_HEADER, TF_MAX_HEADER);
    if (f->header_len > f->len - TF_LENGTH_BYTES)
        return err_set(e, ERR_TRUNCATED,
                       "%s: ends inside its header of %" PRIu64
                       " bytes: restore it or make it again",
                       f->path, f->header_len);
    if (f->len >= TF_LENGTH_BYTES + f->header_len + TF_TRAILER_BYTES) {
        trailer = f->data + f->len - TF_TRAILER_BYTES;
        intact = trailer_intact(trailer);
    }
    if (intact)
        TRY(check_trailer(f, trailer, e));
    if ((TF_LENGTH_BYTES + f->header_len) % TENSORFILE_ALIGN != 0)
        return bad(f, e, "header ends at %" PRIu64 ", not a multiple of %d",
                   TF_LENGTH_BYTES + f->header_len, TENSORFILE_ALIGN);
    TRY(read_header(f, &w, e));
    want = TF_LENGTH_BYTES + f->header_len + w.at;
    if (!intact)
        return explain_missing_trailer(f, want, e);
    if (f->len != want)
        return bad(f, e, "has %" PRIu64 " bytes, its header describes %" PRIu64, f->len, want);
    TRY(check_table(f, &w, trailer, e));
    TRY(check_padding(f, &w, e));
out:
    return e->code;
}

static enum err_code file_new(struct tensorfile **out, const char *name, struct err *e)
{
    struct tensorfile *f = NULL;

    *out = NULL;
    TRY(mem_array(&f, 1, sizeof *f, name, e));
    TRY(mem_string(&f->path, name, e));
    *out = f;
    f = NULL;
out:
    free(f);
    return e->code;
}

enum err_code tensorfile_open(struct tensorfile **out, const char *path, struct err *e)
{
    struct tensorfile *f = NULL;

    *out = NULL;
    TRY(file_new(&f, path, e));
    TRY(file_map(&f->view, path, e));
    f->data = f->view.data;
    f->len = f->view.len;
    TRY(check_file(f, e));
    *out = f;
    f = NULL;
out:
    tensorfile_close(f);
    return e->code;
}

enum err_code tensorfile_open_mem(struct tensorfile **out, const char *name, const void *data,
                                  size_t len, struct err *e)
{
    struct tensorfile *f = NULL;

    *out = NULL;
    TRY(file_new(&f, name, e));
    f->data = data;
    f->len = len;
    TRY(check_file(f, e));
    *out = f;
    f = NULL;
out:
    tensorfile_close(f);
    return e->code;
}

void tensorfile_close(struct tensorfile *f)
{
    if (f == NULL)
        return;
    file_view_free(&f->view);
    json_decref(f->root);
    free(f->entry);
    free(f->path);
    free(f);
}

const char *tensorfile_path(const struct tensorfile *f)
{
    return f->path;
}

uint64_t tensorfile_size(const struct tensorfile *f)
{
    return f->len;
}

const void *tensorfile_bytes(const struct tensorfile *f)
{
    return f->data;
}

enum err_code tensorfile_digest(const struct tensorfile *f, uint8_t digest[32], struct err *e)
{
    return sha256_bytes(f->data, f->len, digest, e);
}

const char *tensorfile_kind(const struct tensorfile *f)
{
    return tensorfile_meta(f, TF_META_KIND);
}

const char *tensorfile_meta(const struct tensorfile *f, const char *key)
{
    return json_string_value(json_object_get(f->meta, key));
}

const char *tensorfile_meta_key(const struct tensorfile *f, int i)
{
    const char *key;
    json_t *value;

    json_object_foreach(f->meta, key, value) if (i-- == 0) return key;
    return NULL;
}

int tensorfile_count(const struct tensorfile *f)
{
    return (int)f->count;
}

const struct tensor_info *tensorfile_info(const struct tensorfile *f, int i)
{
    return &f->entry[i].info;
}

int tensorfile_find(const struct tensorfile *f, const char *name)
{
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->entry[i].info.name, name) == 0)
            return (int)i;
    return -1;
}

const void *tensorfile_data(const struct tensorfile *f, int i)
{
    return f->data + f->entry[i].offset;
}

uint64_t tensorfile_offset(const struct tensorfile *f, int i)
{
    return f->entry[i].offset;
}

enum err_code tensorfile_verify(const struct tensorfile *f, int i, struct err *e)
{
    const struct entry *t = &f->entry[i];

    if (hash_crc32c(0, f->data + t->offset, t->info.bytes) == load_le32(f->table + 4 * (size_t)i))
        return ERR_OK;
    return err_set(e, ERR_CHECKSUM,
                   "%s: tensor '%s' (bytes %" PRIu64 " to %" PRIu64 "): crc32c differs: " DAMAGED,
                   f->path, t->info.name, t->offset, t->offset + t->info.bytes - 1);
}

enum err_code tensorfile_verify_all(const struct tensorfile *f, struct err *e)
{
    struct err one = {0};

    for (size_t i = 0; i < f->count; i++) {
        if (tensorfile_verify(f, (int)i, &one) != ERR_OK)
            (void)err_add_line(e, one.code, "%s", one.text);
        err_clear(&one);
    }
    return e->code;
}
