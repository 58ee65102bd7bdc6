/* SPDX-License-Identifier: MIT */
#include "common/data/shard_format.h"

#include "common/base/mem.h"
#include "common/data/json.h"
#include "common/data/tensorfile_format.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "{"crc32c":"01234567"}\n" */
#define END_FORMAT "{\"crc32c\":\"%08" PRIx32 "\"}\n"
enum { END_BYTES = 22, MAX_SHARDS = 1 << 20, MAX_LINE = 1 << 20 };

void shard_index_free(struct shard_index *x)
{
    for (size_t i = 0; i < x->count; i++)
        free(x->line[i].name);
    free(x->line);
    json_decref(x->meta);
    *x = (struct shard_index){0};
}

enum err_code shard_index_add(struct shard_index *x, const struct shard_line *line, struct err *e)
{
    struct shard_line copy = *line;

    TRY(mem_grow(&x->line, &x->cap, x->count + 1, sizeof *x->line, "index", e));
    TRY(mem_string(&copy.name, line->name, e));
    x->line[x->count++] = copy;
out:
    return e->code;
}

/* ---- writing ---- */

static json_t *field_json(const struct shard_field *f)
{
    if (f->ragged)
        return json_pack("{s:s, s:s, s:b}", "name", f->name, "dtype", dtype_name(f->dtype),
                         "ragged", 1);
    return json_pack("{s:s, s:s, s:o}", "name", f->name, "dtype", dtype_name(f->dtype), "shape",
                     tf_shape_json(f->rank, f->dim));
}

/* Appends the object's text and a line end; takes the object. */
static enum err_code add_line(char **text, size_t *len, size_t *cap, json_t *object, struct err *e)
{
    char *line = tf_json_text(object);
    size_t n = line != NULL ? strlen(line) : 0;

    if (line == NULL)
        FAIL(err_set(e, ERR_NOMEM, "index: no memory for a line"));
    TRY(mem_grow(text, cap, *len + n + 2 + END_BYTES, 1, "index", e));
    memcpy(*text + *len, line, n);
    *len += n;
    (*text)[(*len)++] = '\n';
    (*text)[*len] = '\0';
out:
    free(line);
    json_decref(object);
    return e->code;
}

enum err_code shard_index_text(const struct shard_index *x, char **text, struct err *e)
{
    json_t *fields = json_array();
    size_t len = 0, cap = 0;

    *text = NULL;
    for (int i = 0; i < x->n_fields; i++) {
        if (json_array_append_new(fields, field_json(&x->field[i])) != 0) {
            json_decref(fields);
            FAIL(err_set(e, ERR_NOMEM, "index: no memory for the fields"));
        }
    }
    TRY(add_line(text, &len, &cap,
                 json_pack("{s:s, s:i, s:s, s:I, s:I, s:s, s:o, s:o}", "synib", "set", "version", 1,
                           "prefix", x->prefix, "samples", (json_int_t)x->samples, "shards",
                           (json_int_t)x->count, "content_sha256", x->content, "fields", fields,
                           "meta", shard_sorted_meta(x->meta)),
                 e));
    for (size_t i = 0; i < x->count; i++) {
        const struct shard_line *l = &x->line[i];

        TRY(add_line(text, &len, &cap,
                     json_pack("{s:s, s:I, s:I, s:I, s:s}", "shard", l->name, "bytes",
                               (json_int_t)l->bytes, "first", (json_int_t)l->first, "count",
                               (json_int_t)l->count, "sha256", l->sha256),
                     e));
    }
    snprintf(*text + len, cap - len, END_FORMAT, hash_crc32c(0, *text, len));
out:
    if (e->code != ERR_OK) {
        free(*text);
        *text = NULL;
    }
    return e->code;
}

/* ---- reading ---- */

static enum err_code bad(const char *path, size_t line, struct err *e, const char *why)
{
    return err_set(e, ERR_FORMAT, "%s:%zu: %s", path, line, why);
}

static bool hex_ok(const char *text)
{
    return text != NULL && strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

/* A key's value as a number that is not negative; -1 otherwise. */
static int64_t number(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);

    return json_is_integer(v) ? json_integer_value(v) : -1;
}

static const char *string(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static enum err_code read_field(struct shard_field *f, const json_t *spec, const char *path,
                                struct err *e)
{
    const char *name = string(spec, "name"), *dtype = string(spec, "dtype");
    const json_t *shape = json_object_get(spec, "shape");

    *f = (struct shard_field){0};
    if (json_object_size(spec) != 3 || name == NULL || strlen(name) >= sizeof f->name ||
        dtype == NULL || !dtype_parse(&f->dtype, dtype))
        return bad(path, 1, e, "a field lacks its name, dtype or shape");
    memcpy(f->name, name, strlen(name));
    f->ragged = json_is_true(json_object_get(spec, "ragged"));
    if (f->ragged)
        return ERR_OK;
    if (!json_is_array(shape) || json_array_size(shape) > TENSOR_MAX_RANK - 1)
        return bad(path, 1, e, "a field's shape is not a list of at most 4 numbers");
    f->rank = (int)json_array_size(shape);
    for (int i = 0; i < f->rank; i++) {
        const json_t *dim = json_array_get(shape, (size_t)i);

        if (json_typeof(dim) != JSON_INTEGER || json_integer_value(dim) < 1)
            return bad(path, 1, e, "a field's dimension is not a number above 0");
        f->dim[i] = json_integer_value(dim);
    }
    return ERR_OK;
}

static enum err_code read_meta(struct shard_index *x, json_t *meta, const char *path, struct err *e)
{
    const char *key;
    json_t *value;

    if (!json_is_object(meta))
        return bad(path, 1, e, "meta is not an object");
    json_object_foreach(meta, key, value)
    {
        if (!tf_meta_key_ok(key) || json_typeof(value) != JSON_STRING)
            return bad(path, 1, e, "meta holds something else than strings");
    }
    x->meta = json_incref(meta);
    return ERR_OK;
}

static enum err_code read_head(struct shard_index *x, const json_t *head, int64_t *shards,
                               const char *path, struct err *e)
{
    const json_t *fields = json_object_get(head, "fields");
    const char *kind = string(head, "synib"), *prefix = string(head, "prefix");
    const char *content = string(head, "content_sha256");

    if (kind == NULL || strcmp(kind, "set") != 0)
        return bad(path, 1, e, "is not the index of a shard set");
    if (number(head, "version") != 1)
        return bad(path, 1, e, "is of another version: this tool reads version 1");
    x->samples = number(head, "samples");
    *shards = number(head, "shards");
    if (json_object_size(head) != 8 || prefix == NULL || *prefix == '\0' ||
        strlen(prefix) > SHARD_MAX_PREFIX || !hex_ok(content) || x->samples < 1 || *shards < 1 ||
        *shards > MAX_SHARDS || !json_is_array(fields))
        return bad(path, 1, e, "lacks a key, has one too many, or a value of the wrong kind");
    memcpy(x->prefix, prefix, strlen(prefix));
    memcpy(x->content, content, sizeof x->content);
    if (json_array_size(fields) > SHARD_MAX_FIELDS)
        return bad(path, 1, e, "has too many fields");
    for (x->n_fields = 0; x->n_fields < (int)json_array_size(fields); x->n_fields++)
        TRY(read_field(&x->field[x->n_fields], json_array_get(fields, (size_t)x->n_fields), path,
                       e));
    TRY(shard_fields_check(path, x->field, x->n_fields, e));
    TRY(read_meta(x, json_object_get(head, "meta"), path, e));
out:
    return e->code;
}

static enum err_code read_line(struct shard_index *x, const json_t *object, const char *path,
                               struct err *e)
{
    size_t at = x->count + 2;
    const char *name = string(object, "shard"), *sha256 = string(object, "sha256");
    struct shard_line l = {
        .first = number(object, "first"),
        .count = number(object, "count"),
    };
    int64_t bytes = number(object, "bytes"), next = 0;

    if (x->count > 0)
        next = x->line[x->count - 1].first + x->line[x->count - 1].count;
    if (json_object_size(object) != 5 || name == NULL || !hex_ok(sha256) || bytes < 1)
        return bad(path, at, e, "lacks a key, has one too many, or a value of the wrong kind");
    if (!shard_name_ok(name, x->prefix, (int64_t)x->count))
        return bad(path, at, e, "the shard's name does not follow the pattern");
    if (l.first != next || l.count < 1 || l.count > x->samples - next)
        return bad(path, at, e, "the shard's samples do not follow the ones before");
    memcpy(l.sha256, sha256, sizeof l.sha256);
    l.bytes = (uint64_t)bytes;
    l.name = (char *)(uintptr_t)name; /* copied by shard_index_add */
    return shard_index_add(x, &l, e);
}

/* The last line's checksum, before anything else is believed. */
static enum err_code check_end(const char *path, const char *text, size_t len, struct err *e)
{
    char want[END_BYTES + 1];

    if (len <= END_BYTES || text[len - END_BYTES - 1] != '\n' ||
        memcmp(text + len - END_BYTES, "{\"crc32c\":\"", 11) != 0 || text[len - 1] != '\n')
        return err_set(e, ERR_TRUNCATED,
                       "%s: does not end in its checksum line: cut short or not an index", path);
    snprintf(want, sizeof want, END_FORMAT, hash_crc32c(0, text, len - END_BYTES));
    if (memcmp(want, text + len - END_BYTES, END_BYTES) != 0)
        return err_set(e, ERR_CHECKSUM,
                       "%s: crc32c differs: the index is damaged: restore it or make it again",
                       path);
    return ERR_OK;
}

enum err_code shard_index_parse(struct shard_index *x, const char *path, const char *text,
                                size_t len, struct err *e)
{
    json_t *object = NULL;
    int64_t shards = 0;
    size_t at = 1;

    *x = (struct shard_index){0};
    TRY(check_end(path, text, len, e));
    for (const char *p = text, *end = text + len - END_BYTES; p < end; at++) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        json_error_t why;
        bool no_memory;

        if (lf - p > MAX_LINE)
            FAIL(bad(path, at, e, "line is too long"));
        object = json_parse(p, (size_t)(lf - p), &why, &no_memory);
        if (no_memory)
            FAIL(err_set(e, ERR_NOMEM, "%s: no memory for the index", path));
        if (object == NULL)
            FAIL(bad(path, at, e, "is not valid JSON"));
        TRY(at == 1 ? read_head(x, object, &shards, path, e) : read_line(x, object, path, e));
        json_decref(object);
        object = NULL;
        p = lf + 1;
    }
    if ((int64_t)x->count != shards ||
        x->line[x->count - 1].first + x->line[x->count - 1].count != x->samples)
        FAIL(bad(path, at, e, "the shards listed are not those announced in line 1"));
out:
    json_decref(object);
    if (e->code != ERR_OK)
        shard_index_free(x);
    return e->code;
}
