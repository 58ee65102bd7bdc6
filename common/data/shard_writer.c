/* SPDX-License-Identifier: MIT */
#include "common/data/shard_format.h"

#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/data/json.h"
#include "common/data/tensorfile_format.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t default_target_bytes = 128u << 20;

/* One field's values of the shard being gathered. */
struct column {
    uint8_t *data;
    size_t len, cap;
    int64_t *off; /* ragged: offset and length per sample */
    size_t off_cap;
};

struct shard_writer {
    char *dir;
    bool made_dir;
    uint64_t target_bytes;
    struct atomic_file *index_file; /* its lock keeps a second writer out */
    struct shard_index index;
    json_t *index_meta; /* keys of the index alone */
    struct sha256 *content;
    struct column column[SHARD_MAX_FIELDS];
    size_t count; /* samples gathered */
    uint64_t gathered_bytes;
    int32_t *crc; /* [count][fields] */
    size_t crc_cap;
    uint8_t *digests; /* [count][32] sample digests */
    size_t digests_cap;
    struct name_list fresh; /* paths of shards that were not there before: removed on abort */
};

static void writer_free(struct shard_writer *w)
{
    if (w == NULL)
        return;
    for (int i = 0; i < SHARD_MAX_FIELDS; i++) {
        free(w->column[i].data);
        free(w->column[i].off);
    }
    atomic_file_abort(w->index_file);
    sha256_abort(w->content);
    json_decref(w->index_meta);
    shard_index_free(&w->index);
    name_list_free(&w->fresh);
    free(w->crc);
    free(w->digests);
    free(w->dir);
    free(w);
}

void shard_writer_abort(struct shard_writer *w)
{
    struct err ignored = {0};
    bool was_locked;

    if (w == NULL)
        return;
    was_locked = w->index_file != NULL && !w->made_dir;
    for (size_t i = 0; i < w->fresh.count; i++)
        (void)unlink(w->fresh.name[i]);
    atomic_file_abort(w->index_file);
    w->index_file = NULL;
    /* The writer before this one left its tidying to whoever held the lock. */
    if (was_locked && shard_set_tidy(w->dir, &ignored) != ERR_OK)
        err_clear(&ignored);
    if (w->made_dir)
        (void)rmdir(w->dir); /* fails, as it should, when somebody else put a file there */
    writer_free(w);
}

static enum err_code open_index(struct shard_writer *w, bool force, struct err *e)
{
    struct stat st;
    struct err ignored = {0};
    char *path = NULL;

    w->made_dir = stat(w->dir, &st) != 0 && errno == ENOENT;
    TRY(dir_make(w->dir, e));
    TRY(path_join(&path, w->dir, SHARD_INDEX_NAME, e));
    TRY(atomic_file_open(&w->index_file, path, force, e));
out:
    /* A finished set in the way: its writer may have been killed while it tidied. */
    if (e->code == ERR_EXISTS && !force && shard_set_tidy(w->dir, &ignored) != ERR_OK)
        err_clear(&ignored);
    free(path);
    return e->code;
}

enum err_code shard_writer_open(struct shard_writer **out, const char *dir,
                                const struct shard_options *opt, const struct shard_field *fields,
                                int n_fields, struct err *e)
{
    struct shard_writer *w = NULL;

    *out = NULL;
    TRY(shard_fields_check(dir, fields, n_fields, e));
    if (!tf_meta_key_ok(opt->prefix)) /* same alphabet and length as a metadata key */
        FAIL(err_set(e, ERR_DATA, "%s: '%s' cannot begin a file name", dir, opt->prefix));
    TRY(mem_array(&w, 1, sizeof *w, dir, e));
    w->target_bytes = opt->target_bytes > 0 ? opt->target_bytes : default_target_bytes;
    w->index.n_fields = n_fields;
    memcpy(w->index.field, fields, (size_t)n_fields * sizeof *fields);
    snprintf(w->index.prefix, sizeof w->index.prefix, "%s", opt->prefix);
    w->index.meta = json_object();
    w->index_meta = json_object();
    w->content = shard_content_begin(fields, n_fields);
    if (w->index.meta == NULL || w->index_meta == NULL || w->content == NULL)
        FAIL(err_set(e, ERR_NOMEM, "%s: no memory for a writer", dir));
    TRY(mem_string(&w->dir, dir, e));
    TRY(open_index(w, opt->force, e));
    *out = w;
    w = NULL;
out:
    if (w != NULL && w->dir != NULL)
        shard_writer_abort(w);
    else
        writer_free(w);
    return e->code;
}

static enum err_code set_meta(struct shard_writer *w, json_t *meta, const char *key,
                              const char *value, struct err *e)
{
    bool no_memory;
    json_t *text;

    if (!tf_meta_key_ok(key) || strcmp(key, SHARD_META_FIRST) == 0 ||
        strcmp(key, TF_META_CONTAINER) == 0 || strcmp(key, TF_META_KIND) == 0 ||
        strcmp(key, TF_META_FEATURES) == 0)
        return err_set(e, ERR_DATA, "%s: '%s' is not a metadata key that can be set", w->dir, key);
    if (json_object_get(w->index.meta, key) != NULL || json_object_get(w->index_meta, key) != NULL)
        return err_set(e, ERR_INTERNAL, "%s: metadata '%s' is set twice", w->dir, key);
    text = json_text(value, &no_memory);
    if (text == NULL && !no_memory)
        return err_set(e, ERR_DATA, "%s: value of metadata '%s' is not UTF-8", w->dir, key);
    if (json_object_set_new(meta, key, text) != 0)
        return err_set(e, ERR_NOMEM, "%s: no memory for metadata", w->dir);
    return ERR_OK;
}

enum err_code shard_writer_meta(struct shard_writer *w, const char *key, const char *value,
                                struct err *e)
{
    if (w->count > 0 || w->index.samples > 0)
        return err_set(e, ERR_INTERNAL, "%s: metadata '%s' comes after a sample", w->dir, key);
    return set_meta(w, w->index.meta, key, value, e);
}

enum err_code shard_writer_index_meta(struct shard_writer *w, const char *key, const char *value,
                                      struct err *e)
{
    return set_meta(w, w->index_meta, key, value, e);
}

static enum err_code check_values(const struct shard_writer *w, const struct shard_value *values,
                                  struct err *e)
{
    for (int i = 0; i < w->index.n_fields; i++) {
        const struct shard_field *f = &w->index.field[i];

        if (f->ragged && (values[i].len == 0 || values[i].len > INT32_MAX))
            return err_set(e, ERR_DATA, "%s: sample %" PRId64 " field %s: has %zu bytes", w->dir,
                           w->index.samples, f->name, values[i].len);
        if (!f->ragged && values[i].len != shard_field_bytes(f))
            return err_set(e, ERR_INTERNAL,
                           "%s: sample %" PRId64 " field %s: has %zu bytes instead of %zu", w->dir,
                           w->index.samples, f->name, values[i].len, shard_field_bytes(f));
    }
    return ERR_OK;
}

static enum err_code append(struct shard_writer *w, int i, const struct shard_value *v,
                            struct err *e)
{
    struct column *c = &w->column[i];
    size_t fields = (size_t)w->index.n_fields;

    TRY(mem_grow(&c->data, &c->cap, c->len + v->len, 1, "shard", e));
    memcpy(c->data + c->len, v->data, v->len);
    if (w->index.field[i].ragged) {
        TRY(mem_grow(&c->off, &c->off_cap, 2 * (w->count + 1), sizeof *c->off, "shard", e));
        c->off[2 * w->count] = (int64_t)c->len;
        c->off[2 * w->count + 1] = (int64_t)v->len;
    }
    c->len += v->len;
    w->gathered_bytes += v->len;
    w->crc[w->count * fields + (size_t)i] = (int32_t)hash_crc32c(0, v->data, v->len);
out:
    return e->code;
}

/* ---- one shard file ---- */

static enum err_code declare_field(struct tensorfile_writer *t, const struct shard_field *f,
                                   const struct column *c, int64_t n, struct err *e)
{
    char off[SHARD_NAME_SIZE + sizeof SHARD_OFF_SUFFIX];
    int64_t dim[TENSOR_MAX_RANK];

    if (!f->ragged) {
        dim[0] = n;
        memcpy(dim + 1, f->dim, (size_t)f->rank * sizeof *dim);
        return tensorfile_writer_declare(t, f->name, f->dtype, f->rank + 1, dim, e);
    }
    dim[0] = (int64_t)c->len;
    TRY(tensorfile_writer_declare(t, f->name, DTYPE_U8, 1, dim, e));
    dim[0] = n;
    dim[1] = 2;
    snprintf(off, sizeof off, "%s" SHARD_OFF_SUFFIX, f->name);
    TRY(tensorfile_writer_declare(t, off, DTYPE_I64, 2, dim, e));
out:
    return e->code;
}

static enum err_code fill_file(const struct shard_writer *w, struct tensorfile_writer *t,
                               struct err *e)
{
    int64_t crc_dim[2] = {(int64_t)w->count, w->index.n_fields};
    char first[32];
    const char *key;
    json_t *value;

    snprintf(first, sizeof first, "%" PRId64, w->index.samples);
    TRY(tensorfile_writer_meta(t, SHARD_META_FIRST, first, e));
    json_object_foreach(w->index.meta, key, value)
        TRY(tensorfile_writer_meta(t, key, json_string_value(value), e));
    for (int i = 0; i < w->index.n_fields; i++)
        TRY(declare_field(t, &w->index.field[i], &w->column[i], crc_dim[0], e));
    TRY(tensorfile_writer_declare(t, SHARD_CRC_NAME, DTYPE_I32, 2, crc_dim, e));
    for (int i = 0; i < w->index.n_fields; i++) {
        const struct column *c = &w->column[i];

        TRY(tensorfile_writer_data(t, c->data, c->len, e));
        if (w->index.field[i].ragged)
            TRY(tensorfile_writer_data(t, c->off, 2 * w->count * sizeof *c->off, e));
    }
    TRY(tensorfile_writer_data(t, w->crc, w->count * (size_t)w->index.n_fields * sizeof *w->crc,
                               e));
out:
    return e->code;
}

/* Remembers a path that abort must remove; before the file can appear. */
static enum err_code note_fresh(struct shard_writer *w, const char *path, struct err *e)
{
    struct stat st;

    if (stat(path, &st) == 0)
        return ERR_OK; /* same name, same bytes: an older set may own it */
    TRY(mem_grow(&w->fresh.name, &w->fresh.cap, w->fresh.count + 1, sizeof *w->fresh.name, path,
                 e));
    TRY(mem_string(&w->fresh.name[w->fresh.count], path, e));
    w->fresh.count++;
out:
    return e->code;
}

static enum err_code flush(struct shard_writer *w, struct err *e)
{
    const struct shard_contents contents = {
        .prefix = w->index.prefix,
        .first = w->index.samples,
        .meta = w->index.meta,
        .field = w->index.field,
        .n_fields = w->index.n_fields,
        .digests = w->digests,
        .count = (int64_t)w->count,
    };
    char digits[SHARD_NAME_DIGITS + 1], name[SHARD_MAX_PREFIX + 64];
    struct shard_line line = {.first = w->index.samples, .count = (int64_t)w->count};
    struct tensorfile_writer *t = NULL, *done;
    uint8_t digest[SHA256_SIZE];
    struct stat st;
    char *path = NULL;

    TRY(shard_name_digits(w->dir, &contents, digits, e));
    snprintf(name, sizeof name, "%s-%05zu-%s.safetensors", w->index.prefix, w->index.count, digits);
    TRY(path_join(&path, w->dir, name, e));
    TRY(note_fresh(w, path, e));
    TRY(tensorfile_writer_open(&t, path, "shard", true, e));
    TRY(fill_file(w, t, e));
    done = t;
    t = NULL;
    TRY(tensorfile_writer_commit(done, digest, e));
    if (stat(path, &st) != 0)
        FAIL(err_sys(e, "%s: cannot stat", path));
    line.name = name;
    line.bytes = (uint64_t)st.st_size;
    sha256_hex(digest, line.sha256);
    TRY(shard_index_add(&w->index, &line, e));
    sha256_add(w->content, w->digests, w->count * SHA256_SIZE);
    w->index.samples += line.count;
    for (int i = 0; i < w->index.n_fields; i++)
        w->column[i].len = 0;
    w->count = 0;
    w->gathered_bytes = 0;
out:
    tensorfile_writer_abort(t);
    free(path);
    return e->code;
}

enum err_code shard_writer_add(struct shard_writer *w, const struct shard_value *values,
                               struct err *e)
{
    size_t fields = (size_t)w->index.n_fields;

    TRY(check_values(w, values, e));
    TRY(mem_grow(&w->crc, &w->crc_cap, (w->count + 1) * fields, sizeof *w->crc, "shard", e));
    TRY(mem_grow(&w->digests, &w->digests_cap, (w->count + 1) * SHA256_SIZE, 1, "shard", e));
    for (int i = 0; i < w->index.n_fields; i++)
        TRY(append(w, i, &values[i], e));
    TRY(shard_sample_digest(values, w->index.n_fields, w->digests + w->count * SHA256_SIZE, e));
    w->count++;
    if (w->gathered_bytes >= w->target_bytes)
        TRY(flush(w, e));
out:
    return e->code;
}

/* ---- the index ---- */

static bool named(const struct shard_index *x, const char *name)
{
    for (size_t i = 0; i < x->count; i++)
        if (strcmp(x->line[i].name, name) == 0)
            return true;
    return false;
}

/* A shard's partial file that a killed writer left: ".NAME.partial". */
static bool stale_partial(const char *name)
{
    static const char end[] = ".partial";
    char inner[256];
    size_t n = strlen(name);

    if (name[0] != '.' || n < sizeof end || n >= sizeof inner ||
        strcmp(name + n - (sizeof end - 1), end) != 0)
        return false;
    memcpy(inner, name + 1, n - sizeof end);
    inner[n - sizeof end] = '\0';
    return shard_name_ok(inner, NULL, -1);
}

/* Removes what no index names any more and what killed writers left. Whoever holds the index's lock
 * is the only writer, so the lock is taken again and the index that is there now is the one that
 * counts; a writer who came in between removes the leftovers itself when it commits or
 * gives up. */
enum err_code shard_set_tidy(const char *dir, struct err *e)
{
    struct name_list names = {0};
    struct shard_index now = {0};
    struct file_view view = {0};
    struct atomic_file *lock = NULL;
    char *path = NULL;

    TRY(path_join(&path, dir, SHARD_INDEX_NAME, e));
    if (atomic_file_open(&lock, path, true, e) == ERR_EXISTS) {
        err_clear(e);
        goto out;
    }
    TRY(e->code);
    TRY(file_read(&view, path, SHARD_MAX_INDEX, e));
    TRY(shard_index_parse(&now, path, (const char *)view.data, view.len, e));
    TRY(dir_list(&names, dir, "", e));
    for (size_t i = 0; i < names.count; i++) {
        const char *name = names.name[i];

        if (!(shard_name_ok(name, NULL, -1) && !named(&now, name)) && !stale_partial(name))
            continue;
        free(path);
        path = NULL;
        TRY(path_join(&path, dir, name, e));
        if (unlink(path) != 0 && errno != ENOENT)
            FAIL(err_sys(e, "%s: cannot remove the old shard", path));
    }
out:
    atomic_file_abort(lock);
    file_view_free(&view);
    shard_index_free(&now);
    name_list_free(&names);
    free(path);
    return e->code;
}

/* True when the index in the folder is the one of this text. */
static bool is_published(const char *dir, const char *text)
{
    struct file_view view = {0};
    struct err ignored = {0};
    char *path = NULL;
    bool same = path_join(&path, dir, SHARD_INDEX_NAME, &ignored) == ERR_OK &&
                file_read(&view, path, SHARD_MAX_INDEX, &ignored) == ERR_OK &&
                view.len == strlen(text) && memcmp(view.data, text, view.len) == 0;

    file_view_free(&view);
    free(path);
    return same;
}

static enum err_code write_index(struct shard_writer *w, struct err *e)
{
    uint8_t digest[SHA256_SIZE];
    struct atomic_file *file;
    struct sha256 *content = w->content;
    char *text = NULL;

    w->content = NULL;
    TRY(sha256_end(content, digest, e));
    sha256_hex(digest, w->index.content);
    if (json_object_update(w->index.meta, w->index_meta) != 0)
        FAIL(err_set(e, ERR_NOMEM, "%s: no memory for metadata", w->dir));
    TRY(shard_index_text(&w->index, &text, e));
    TRY(atomic_file_write(w->index_file, text, strlen(text), e));
    file = w->index_file;
    w->index_file = NULL;
    /* When only the folder could not be synced, the index is there and its shards must stay. */
    if (atomic_file_commit(file, e) != ERR_OK && is_published(w->dir, text))
        name_list_free(&w->fresh);
out:
    free(text);
    return e->code;
}

enum err_code shard_writer_commit(struct shard_writer *w, struct err *e)
{
    bool published = false;

    if (w->count > 0)
        TRY(flush(w, e));
    if (w->index.count == 0)
        FAIL(err_set(e, ERR_DATA, "%s: no sample: an empty set is not written", w->dir));
    TRY(write_index(w, e));
    published = true;
    TRY(shard_set_tidy(w->dir, e));
out:
    if (published)
        writer_free(w);
    else
        shard_writer_abort(w);
    return e->code;
}
