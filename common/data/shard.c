/* SPDX-License-Identifier: MIT */
#include "common/data/shard_set.h"

#include "common/base/bytes.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/data/tensorfile_format.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum err_code bad(const struct tensorfile *f, struct err *e, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

static enum err_code bad(const struct tensorfile *f, struct err *e, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(e, ERR_DATA, "%s: %s", tensorfile_path(f), text);
}

/* ---- one shard ---- */

/* Offsets of a ragged field: verified, contiguous, covering the blob. */
static enum err_code check_offsets(const struct shard_part *p, const char *name, int blob, int off,
                                   struct err *e)
{
    const uint8_t *data = tensorfile_data(p->file, off);
    uint64_t end = 0, total = tensorfile_info(p->file, blob)->bytes;

    TRY(tensorfile_verify(p->file, off, e));
    for (int64_t i = 0; i < p->count; i++) {
        uint64_t from = load_le64(data + 16 * i), len = load_le64(data + 16 * i + 8);

        if (from != end || len == 0 || len > total - end)
            FAIL(bad(p->file, e, "sample %" PRId64 " field %s: offset or length is out of order",
                     p->first + i, name));
        end += len;
    }
    if (end != total)
        FAIL(bad(p->file, e, "field %s: %" PRIu64 " bytes belong to no sample", name, total - end));
out:
    return e->code;
}

static bool has_shape(const struct tensor_info *info, enum dtype dtype, int rank,
                      const int64_t *dim)
{
    if (info->dtype != dtype || info->rank != rank)
        return false;
    for (int i = 0; i < rank; i++)
        if (info->dim[i] != dim[i])
            return false;
    return true;
}

/* Finds the tensors of field i, which must begin at *at, and moves on. */
static enum err_code bind_field(struct shard_part *p, const struct shard_field *f, int i, int *at,
                                struct err *e)
{
    char off[SHARD_NAME_SIZE + sizeof SHARD_OFF_SUFFIX];
    int64_t dim[TENSOR_MAX_RANK] = {p->count, 2};

    if (*at >= tensorfile_count(p->file) ||
        strcmp(tensorfile_info(p->file, *at)->name, f->name) != 0)
        return bad(p->file, e, "field '%s' is missing or out of order", f->name);
    p->blob[i] = (*at)++;
    if (!f->ragged) {
        memcpy(dim + 1, f->dim, (size_t)f->rank * sizeof *dim);
        if (!has_shape(tensorfile_info(p->file, p->blob[i]), f->dtype, f->rank + 1, dim))
            return bad(p->file, e, "field '%s' has another dtype or shape than its set", f->name);
        return ERR_OK;
    }
    snprintf(off, sizeof off, "%s" SHARD_OFF_SUFFIX, f->name);
    if (*at >= tensorfile_count(p->file) || strcmp(tensorfile_info(p->file, *at)->name, off) != 0)
        return bad(p->file, e, "field '%s' has no '%s'", f->name, off);
    p->off[i] = (*at)++;
    if (tensorfile_info(p->file, p->blob[i])->dtype != DTYPE_U8 ||
        tensorfile_info(p->file, p->blob[i])->rank != 1 ||
        !has_shape(tensorfile_info(p->file, p->off[i]), DTYPE_I64, 2, dim))
        return bad(p->file, e, "field '%s': bytes or offsets have another dtype or shape", f->name);
    return check_offsets(p, f->name, p->blob[i], p->off[i], e);
}

static enum err_code bind_part(struct shard_part *p, const struct shard_field *fields, int n,
                               struct err *e)
{
    int64_t dim[2] = {p->count, n};
    char first[32];
    const char *said = tensorfile_meta(p->file, SHARD_META_FIRST);
    int at = 0, crc;

    if (strcmp(tensorfile_kind(p->file), "shard") != 0)
        return bad(p->file, e, "is a %s, not a shard", tensorfile_kind(p->file));
    snprintf(first, sizeof first, "%" PRId64, p->first);
    if (said == NULL || strcmp(said, first) != 0)
        return bad(p->file, e, "says that its first sample is %.20s, not %s",
                   said != NULL ? said : "(nothing)", first);
    for (int i = 0; i < n; i++)
        TRY(bind_field(p, &fields[i], i, &at, e));
    crc = tensorfile_find(p->file, SHARD_CRC_NAME);
    if (crc != at || at + 1 != tensorfile_count(p->file) ||
        !has_shape(tensorfile_info(p->file, crc), DTYPE_I32, 2, dim))
        FAIL(
            bad(p->file, e, "must end in the tensor 'crc32c', I32 [%" PRId64 ", %d]", p->count, n));
    TRY(tensorfile_verify(p->file, crc, e));
    p->crc = tensorfile_data(p->file, crc);
out:
    return e->code;
}

/* Every provenance entry of a shard must stand in the index with the same value. */
static enum err_code check_meta(const struct shard_set *s, const struct shard_part *p,
                                struct err *e)
{
    const char *key;

    for (int i = 0; (key = tensorfile_meta_key(p->file, i)) != NULL; i++) {
        const char *said = shard_set_meta(s, key);

        if (strcmp(key, TF_META_CONTAINER) == 0 || strcmp(key, TF_META_KIND) == 0 ||
            strcmp(key, SHARD_META_FIRST) == 0)
            continue;
        if (said == NULL || strcmp(said, tensorfile_meta(p->file, key)) != 0)
            return bad(p->file, e, "metadata '%s' differs from its set's", key);
    }
    return ERR_OK;
}

/* ---- the set ---- */

static enum err_code open_part(struct shard_set *s, size_t i, struct err *e)
{
    const struct shard_line *line = &s->index.line[i];
    struct shard_part *p = &s->part[i];
    char *path = NULL;

    TRY(path_join(&path, s->dir, line->name, e));
    TRY(tensorfile_open(&p->file, path, e));
    if (tensorfile_size(p->file) != line->bytes)
        FAIL(bad(p->file, e, "has %" PRIu64 " bytes, the index says %" PRIu64,
                 tensorfile_size(p->file), line->bytes));
    p->first = line->first;
    p->count = line->count;
    TRY(bind_part(p, s->index.field, s->index.n_fields, e));
    TRY(check_meta(s, p, e));
out:
    free(path);
    return e->code;
}

static enum err_code set_new(struct shard_set **out, const char *dir, struct err *e)
{
    struct shard_set *s = NULL;

    *out = NULL;
    TRY(mem_array(&s, 1, sizeof *s, dir, e));
    TRY(mem_string(&s->dir, dir, e));
    *out = s;
    s = NULL;
out:
    free(s);
    return e->code;
}

enum err_code shard_set_open(struct shard_set **out, const char *dir, struct err *e)
{
    struct file_view view = {0};
    struct shard_set *s = NULL;
    char *path = NULL;

    *out = NULL;
    TRY(path_join(&path, dir, SHARD_INDEX_NAME, e));
    TRY(set_new(&s, dir, e));
    if (file_read(&view, path, SHARD_MAX_INDEX, e) == ERR_IO)
        FAIL(err_in(e, "%s: is not a finished shard set", dir));
    TRY(e->code);
    TRY(shard_index_parse(&s->index, path, (const char *)view.data, view.len, e));
    TRY(mem_array(&s->part, s->index.count, sizeof *s->part, dir, e));
    for (size_t i = 0; i < s->index.count; i++)
        TRY(open_part(s, i, e));
    s->clip_field = shard_set_find(s, "clip");
    *out = s;
    s = NULL;
out:
    file_view_free(&view);
    shard_set_close(s);
    free(path);
    return e->code;
}

/* The field list that a shard's own tensors imply. */
static enum err_code derive_fields(struct shard_index *x, const struct tensorfile *f, struct err *e)
{
    char off[TF_MAX_NAME + sizeof SHARD_OFF_SUFFIX];

    for (int i = 0; i + 1 < tensorfile_count(f); i++) {
        const struct tensor_info *info = tensorfile_info(f, i);
        struct shard_field *field = &x->field[x->n_fields];

        if (x->n_fields == SHARD_MAX_FIELDS || strlen(info->name) >= SHARD_NAME_SIZE)
            return bad(f, e, "has too many fields or too long a name");
        snprintf(field->name, sizeof field->name, "%s", info->name);
        field->dtype = info->dtype;
        snprintf(off, sizeof off, "%s" SHARD_OFF_SUFFIX, info->name);
        field->ragged = strcmp(tensorfile_info(f, i + 1)->name, off) == 0;
        if (field->ragged) {
            i++;
        } else if (info->rank < 1) {
            return bad(f, e, "field '%s' has no dimension for the samples", info->name);
        } else {
            field->rank = info->rank - 1;
            memcpy(field->dim, info->dim + 1, (size_t)field->rank * sizeof *field->dim);
        }
        x->n_fields++;
    }
    return shard_fields_check(tensorfile_path(f), x->field, x->n_fields, e);
}

static enum err_code derive_index(struct shard_index *x, const struct tensorfile *f, struct err *e)
{
    const char *first = tensorfile_meta(f, SHARD_META_FIRST);
    int crc = tensorfile_find(f, SHARD_CRC_NAME);
    struct shard_line line = {.name = (char *)(uintptr_t)path_base(tensorfile_path(f))};
    char *end;

    if (strcmp(tensorfile_kind(f), "shard") != 0)
        return bad(f, e, "is a %s, not a shard", tensorfile_kind(f));
    if (crc < 0 || tensorfile_info(f, crc)->rank != 2 || first == NULL)
        return bad(f, e, "lacks 'crc32c' or '" SHARD_META_FIRST "': not a shard");
    line.count = tensorfile_info(f, crc)->dim[0];
    line.first = strtoll(first, &end, 10);
    line.bytes = tensorfile_size(f);
    if (end == first || *end != '\0' || line.first < 0 || line.first > INT64_MAX - line.count)
        return bad(f, e, "'" SHARD_META_FIRST "' is not a sample's number");
    x->samples = line.count;
    x->meta = json_object();
    TRY(derive_fields(x, f, e));
    for (int i = 0; tensorfile_meta_key(f, i) != NULL; i++) {
        const char *key = tensorfile_meta_key(f, i);

        if (json_object_set_new(x->meta, key, json_string(tensorfile_meta(f, key))) != 0)
            FAIL(err_set(e, ERR_NOMEM, "%s: no memory for metadata", tensorfile_path(f)));
    }
    TRY(shard_index_add(x, &line, e));
out:
    return e->code;
}

enum err_code shard_set_probe(struct shard_set **s, const char *dir, struct err *e)
{
    struct err why = {0};
    char *index = NULL;

    *s = NULL;
    TRY(path_join(&index, dir, SHARD_INDEX_NAME, e));
    if (shard_set_open(s, dir, &why) != ERR_OK &&
        (why.code == ERR_NOMEM || (why.code == ERR_IO && access(index, F_OK) == 0)))
        *e = why;
out:
    free(index);
    return e->code;
}

/* The file as a set; takes it, on failure too. */
static enum err_code set_of_file(struct shard_set **out, struct tensorfile *f, struct err *e)
{
    const char *path = tensorfile_path(f);
    struct shard_set *s = NULL;

    *out = NULL;
    TRY(set_new(&s, path, e));
    TRY(derive_index(&s->index, f, e));
    TRY(mem_array(&s->part, 1, sizeof *s->part, path, e));
    s->part[0] = (struct shard_part){
        .file = f,
        .first = s->index.line[0].first,
        .count = s->index.samples,
    };
    f = NULL;
    TRY(bind_part(&s->part[0], s->index.field, s->index.n_fields, e));
    s->part[0].first = 0; /* alone, it is numbered from 0 */
    s->index.line[0].first = 0;
    s->clip_field = shard_set_find(s, "clip");
    *out = s;
    s = NULL;
out:
    tensorfile_close(f);
    shard_set_close(s);
    return e->code;
}

enum err_code shard_set_open_file(struct shard_set **s, const char *path, struct err *e)
{
    struct tensorfile *f = NULL;

    *s = NULL;
    TRY(tensorfile_open(&f, path, e));
    TRY(set_of_file(s, f, e));
out:
    return e->code;
}

enum err_code shard_set_open_mem(struct shard_set **s, const char *name, const void *data,
                                 size_t len, struct err *e)
{
    struct tensorfile *f = NULL;

    *s = NULL;
    TRY(tensorfile_open_mem(&f, name, data, len, e));
    TRY(set_of_file(s, f, e));
out:
    return e->code;
}

void shard_set_close(struct shard_set *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; s->part != NULL && i < s->index.count; i++)
        tensorfile_close(s->part[i].file);
    free(s->part);
    shard_index_free(&s->index);
    free(s->dir);
    free(s);
}

const char *shard_set_dir(const struct shard_set *s)
{
    return s->dir;
}

int64_t shard_set_count(const struct shard_set *s)
{
    return s->index.samples;
}

int shard_set_field_count(const struct shard_set *s)
{
    return s->index.n_fields;
}

const struct shard_field *shard_set_field(const struct shard_set *s, int field)
{
    return &s->index.field[field];
}

int shard_set_find(const struct shard_set *s, const char *field)
{
    for (int i = 0; i < s->index.n_fields; i++)
        if (strcmp(s->index.field[i].name, field) == 0)
            return i;
    return -1;
}

const char *shard_set_meta(const struct shard_set *s, const char *key)
{
    return json_string_value(json_object_get(s->index.meta, key));
}

const char *shard_set_meta_key(const struct shard_set *s, int i)
{
    const char *key;
    json_t *value;

    json_object_foreach(s->index.meta, key, value) if (i-- == 0) return key;
    return NULL;
}

const char *shard_set_digest(const struct shard_set *s)
{
    return s->index.content;
}

int shard_set_shards(const struct shard_set *s)
{
    return (int)s->index.count;
}

const struct tensorfile *shard_set_shard(const struct shard_set *s, int shard, int64_t *first,
                                         int64_t *count)
{
    *first = s->part[shard].first;
    *count = s->part[shard].count;
    return s->part[shard].file;
}

/* ---- values ---- */

static const struct shard_part *part_of(const struct shard_set *s, int64_t sample)
{
    size_t low = 0, high = s->index.count;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (s->part[middle].first <= sample)
            low = middle;
        else
            high = middle;
    }
    return &s->part[low];
}

/* The file is mapped: what was right when it was opened need not be so now. An offset that leads
 * out of the tensor gives a value without bytes, which no checksum fits. */
static struct shard_value locate(const struct shard_set *s, const struct shard_part *p, int64_t i,
                                 int field)
{
    const uint8_t *data = tensorfile_data(p->file, p->blob[field]);
    uint64_t total = tensorfile_info(p->file, p->blob[field])->bytes, from, len;
    const uint8_t *off;

    if (!s->index.field[field].ragged) {
        size_t size = shard_field_bytes(&s->index.field[field]);
        return (struct shard_value){data + (size_t)i * size, size};
    }
    off = (const uint8_t *)tensorfile_data(p->file, p->off[field]) + 16 * i;
    from = load_le64(off);
    len = load_le64(off + 8);
    if (from > total || len > total - from)
        return (struct shard_value){data, 0};
    return (struct shard_value){data + from, len};
}

static bool intact(const struct shard_set *s, const struct shard_part *p, int64_t i, int field,
                   const struct shard_value *v)
{
    size_t at = (size_t)i * (size_t)s->index.n_fields + (size_t)field;

    return v->len > 0 && hash_crc32c(0, v->data, v->len) == load_le32(p->crc + 4 * at);
}

/* The sample's clip name if its set has one and it is not itself damaged, else "". */
static void name_clip(const struct shard_set *s, const struct shard_part *p, int64_t i,
                      char out[SHARD_NAME_SIZE])
{
    struct shard_value v;

    out[0] = '\0';
    if (s->clip_field < 0 || s->index.field[s->clip_field].dtype != DTYPE_U8)
        return;
    v = locate(s, p, i, s->clip_field);
    if (v.len < SHARD_NAME_SIZE - 4 && intact(s, p, i, s->clip_field, &v))
        snprintf(out, SHARD_NAME_SIZE, " (%.*s)", (int)strnlen(v.data, v.len),
                 (const char *)v.data);
}

enum err_code shard_set_get(const struct shard_set *s, int64_t sample, int field,
                            struct shard_value *v, struct err *e)
{
    const struct shard_part *p = part_of(s, sample);
    int64_t i = sample - p->first;
    const uint8_t *data = tensorfile_data(p->file, p->blob[field]);
    char clip[SHARD_NAME_SIZE];

    *v = locate(s, p, i, field);
    if (intact(s, p, i, field, v))
        return ERR_OK;
    name_clip(s, p, i, clip);
    return err_set(e, ERR_CHECKSUM,
                   "%s: sample %" PRId64 "%s field %s: crc32c differs (%zu bytes at byte %" PRIu64
                   "): the file is damaged: restore it or make it again",
                   tensorfile_path(p->file), sample, clip, s->index.field[field].name, v->len,
                   tensorfile_offset(p->file, p->blob[field]) +
                       (uint64_t)((const uint8_t *)v->data - data));
}
