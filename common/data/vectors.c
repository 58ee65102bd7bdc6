/* SPDX-License-Identifier: MIT */
#include "common/data/vectors.h"

#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/data/shard_format.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char vectors_layout[] = "vectors";

static const char key_layout[] = "synib.layout", key_modalities[] = "synib.modalities",
                  key_classes[] = "synib.classes", key_sources[] = "synib.sources";
static const char suffix_block[] = ".block", suffix_oracle[] = ".oracle";

static const char *const block_names[] = {"noise", "unique", "redundant", "synergistic",
                                          "spurious"};

const char *block_name(int kind)
{
    return kind >= BLOCK_NOISE && kind <= BLOCK_SPURIOUS ? block_names[kind] : NULL;
}

/* ---- memory ---- */

enum err_code vectors_alloc(struct vectors *v, int64_t count, bool oracle, struct err *e)
{
    size_t n = (size_t)count;

    v->count = count;
    for (int m = 0; m < v->modalities; m++) {
        struct vector_modality *x = &v->modality[m];
        size_t row = (size_t)x->dim;

        TRY(mem_aligned(&x->x, n, row * sizeof *x->x, "vectors", e));
        if (oracle) {
            TRY(mem_array(&x->block, n, row, "blocks", e));
            TRY(mem_array(&x->oracle, n, row, "oracle masks", e));
        }
    }
    if (v->classes > 0)
        TRY(mem_array(&v->label, n, sizeof *v->label, "labels", e));
    if (v->targets > 0)
        TRY(mem_aligned(&v->target, n, (size_t)v->targets * sizeof *v->target, "targets", e));
    if (v->sources > 0)
        TRY(mem_array(&v->source, n, sizeof *v->source, "sources", e));
out:
    if (e->code != ERR_OK)
        vectors_free(v);
    return e->code;
}

void vectors_free(struct vectors *v)
{
    for (int m = 0; m < VECTORS_MODALITIES; m++) {
        free(v->modality[m].x);
        free(v->modality[m].block);
        free(v->modality[m].oracle);
    }
    free(v->label);
    free(v->target);
    free(v->source);
    memset(v, 0, sizeof *v);
}

/* ---- fields: x1, x1.block, x1.oracle, x2, ..., label or target, source ---- */

static struct shard_field field_of(const char *name, const char *suffix, enum dtype dtype, int dim)
{
    struct shard_field f = {.dtype = dtype, .rank = dim > 0, .dim = {dim}};

    snprintf(f.name, sizeof f.name, "%s%s", name, suffix);
    return f;
}

/* Where one field's values lie: `base` + sample * `bytes`. */
struct column {
    struct shard_field field;
    void *base;
    size_t bytes;
};

static int columns(const struct vectors *v, struct column out[SHARD_MAX_FIELDS])
{
    int n = 0;

    for (int m = 0; m < v->modalities; m++) {
        const struct vector_modality *x = &v->modality[m];

        out[n++] = (struct column){field_of(x->name, "", DTYPE_F32, x->dim), x->x, 0};
        if (x->block != NULL)
            out[n++] =
                (struct column){field_of(x->name, suffix_block, DTYPE_U8, x->dim), x->block, 0};
        if (x->oracle != NULL)
            out[n++] =
                (struct column){field_of(x->name, suffix_oracle, DTYPE_U8, x->dim), x->oracle, 0};
    }
    if (v->classes > 0)
        out[n++] = (struct column){field_of("label", "", DTYPE_I32, 0), v->label, 0};
    if (v->targets > 0)
        out[n++] = (struct column){field_of("target", "", DTYPE_F32, v->targets), v->target, 0};
    if (v->sources > 0)
        out[n++] = (struct column){field_of("source", "", DTYPE_I32, 0), v->source, 0};
    for (int i = 0; i < n; i++)
        out[i].bytes = shard_field_bytes(&out[i].field);
    return n;
}

int vectors_fields(const struct vectors *v, struct shard_field out[SHARD_MAX_FIELDS])
{
    struct column c[SHARD_MAX_FIELDS];
    int n = columns(v, c);

    for (int i = 0; i < n; i++)
        out[i] = c[i].field;
    return n;
}

struct shard_value vectors_value(const struct vectors *v, int64_t i, int f)
{
    struct column c[SHARD_MAX_FIELDS];

    (void)columns(v, c);
    return (struct shard_value){(const char *)c[f].base + (size_t)i * c[f].bytes, c[f].bytes};
}

enum err_code vectors_digest(struct vectors *v, struct err *e)
{
    struct column c[SHARD_MAX_FIELDS];
    struct shard_field field[SHARD_MAX_FIELDS];
    int n = columns(v, c);
    struct sha256 *h;
    uint8_t digest[SHA256_SIZE];

    for (int f = 0; f < n; f++)
        field[f] = c[f].field;
    h = shard_content_begin(field, n);
    for (int64_t i = 0; i < v->count; i++) {
        struct shard_value value[SHARD_MAX_FIELDS];

        for (int f = 0; f < n; f++)
            value[f] =
                (struct shard_value){(const char *)c[f].base + (size_t)i * c[f].bytes, c[f].bytes};
        TRY(shard_sample_digest(value, n, digest, e));
        sha256_add(h, digest, sizeof digest);
    }
    {
        struct sha256 *all = h;

        h = NULL;
        TRY(sha256_end(all, digest, e));
    }
    sha256_hex(digest, v->digest);
out:
    sha256_abort(h);
    return e->code;
}

/* ---- metadata: lists of names, separated by commas ---- */

static void join(char *out, size_t size, const char *first, size_t stride, int n)
{
    size_t len = 0;

    out[0] = '\0';
    for (int i = 0; i < n; i++)
        len += (size_t)snprintf(out + len, size - len, "%s%s", i > 0 ? "," : "",
                                first + (size_t)i * stride);
}

enum err_code vectors_meta(const struct vectors *v,
                           enum err_code (*fn)(void *ctx, const char *key, const char *value,
                                               struct err *e),
                           void *ctx, struct err *e)
{
    char names[VECTORS_CLASSES * VECTORS_NAME_SIZE + 1];

    TRY(fn(ctx, key_layout, vectors_layout, e));
    join(names, sizeof names, v->modality[0].name, sizeof v->modality[0], v->modalities);
    TRY(fn(ctx, key_modalities, names, e));
    if (v->classes > 0) {
        join(names, sizeof names, v->class_name[0], VECTORS_NAME_SIZE, v->classes);
        TRY(fn(ctx, key_classes, names, e));
    }
    if (v->sources > 0) {
        join(names, sizeof names, v->source_name[0], VECTORS_NAME_SIZE, v->sources);
        TRY(fn(ctx, key_sources, names, e));
    }
out:
    return e->code;
}

static bool name_ok(const char *name, size_t len)
{
    if (len < 1 || len >= VECTORS_NAME_SIZE)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = name[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-'))
            return false;
    }
    return true;
}

/* Splits a list into names `stride` apart; the number of names, -1 for a bad list. */
static int split_names(const char *list, char *first, size_t stride, int most)
{
    int n = 0;

    while (list != NULL) {
        size_t len = strcspn(list, ",");

        if (n == most || !name_ok(list, len))
            return -1;
        memcpy(first + (size_t)n * stride, list, len);
        first[(size_t)n * stride + len] = '\0';
        for (int i = 0; i < n; i++)
            if (strcmp(first + (size_t)i * stride, first + (size_t)n * stride) == 0)
                return -1;
        n++;
        list = list[len] == ',' ? list + len + 1 : NULL;
    }
    return n;
}

/* ---- reading ---- */

static enum err_code bad_list(const struct shard_set *s, const char *key, struct err *e)
{
    const char *value = shard_set_meta(s, key);

    return err_set(e, ERR_DATA, "%s: %s: '%.60s' is not a list of names", shard_set_dir(s), key,
                   value != NULL ? value : "");
}

static enum err_code read_names(struct vectors *v, const struct shard_set *s, struct err *e)
{
    v->modalities = split_names(shard_set_meta(s, key_modalities), v->modality[0].name,
                                sizeof v->modality[0], VECTORS_MODALITIES);
    if (v->modalities < 1)
        return bad_list(s, key_modalities, e);
    v->classes = split_names(shard_set_meta(s, key_classes), v->class_name[0], VECTORS_NAME_SIZE,
                             VECTORS_CLASSES);
    if (v->classes < 0 || v->classes == 1)
        return bad_list(s, key_classes, e);
    v->sources = split_names(shard_set_meta(s, key_sources), v->source_name[0], VECTORS_NAME_SIZE,
                             VECTORS_SOURCES);
    if (v->sources < 0)
        return bad_list(s, key_sources, e);
    return ERR_OK;
}

static bool is_vector(const struct shard_field *f)
{
    return !f->ragged && f->dtype == DTYPE_F32 && f->rank == 1 && f->dim[0] <= VECTORS_MAX_DIM;
}

/* Length of a field that must be a vector, from the set's own list. */
static enum err_code vector_length(const struct shard_set *s, const char *name, int *length,
                                   struct err *e)
{
    int f = shard_set_find(s, name);

    if (f < 0 || !is_vector(shard_set_field(s, f)))
        return err_set(e, ERR_DATA, "%s: field %s is missing or no vector of up to %d numbers",
                       shard_set_dir(s), name, VECTORS_MAX_DIM);
    *length = (int)shard_set_field(s, f)->dim[0];
    return ERR_OK;
}

/* "F32 [64]", "I32", "U8 of any length". */
static void describe_type(const struct shard_field *f, char out[128])
{
    int n = snprintf(out, 128, "%s%s", dtype_name(f->dtype), f->ragged ? " of any length" : "");

    for (int i = 0; i < f->rank; i++)
        n += snprintf(out + n, 128 - (size_t)n, "%s%" PRId64 "%s", i == 0 ? " [" : ", ", f->dim[i],
                      i == f->rank - 1 ? "]" : "");
}

/* Field f of the set is not the wanted one; NULL: there is none. */
static enum err_code wrong_field(const struct shard_set *s, int f, const struct shard_field *is,
                                 const struct shard_field *want, struct err *e)
{
    char type[2][128];

    if (is != NULL && want != NULL && strcmp(is->name, want->name) == 0) {
        describe_type(is, type[0]);
        describe_type(want, type[1]);
        return err_set(e, ERR_DATA, "%s: field %s is %s: must be %s", shard_set_dir(s), is->name,
                       type[0], type[1]);
    }
    return err_set(e, ERR_DATA, "%s: is no set of vectors: field %d is '%s', not '%s'",
                   shard_set_dir(s), f, is != NULL ? is->name : "missing",
                   want != NULL ? want->name : "none");
}

/* Sizes as the set's fields say; then the whole list must be the one that we would write. */
static enum err_code read_shape(struct vectors *v, const struct shard_set *s, struct err *e)
{
    struct shard_field want[SHARD_MAX_FIELDS];
    char oracle[2 * VECTORS_NAME_SIZE];
    int n;

    TRY(read_names(v, s, e));
    for (int m = 0; m < v->modalities; m++)
        TRY(vector_length(s, v->modality[m].name, &v->modality[m].dim, e));
    if (v->classes == 0)
        TRY(vector_length(s, "target", &v->targets, e));
    snprintf(oracle, sizeof oracle, "%s%s", v->modality[0].name, suffix_oracle);
    TRY(vectors_alloc(v, shard_set_count(s), shard_set_find(s, oracle) >= 0, e));
    n = vectors_fields(v, want);
    for (int f = 0; f < n || f < shard_set_field_count(s); f++) {
        const struct shard_field *is = f < shard_set_field_count(s) ? shard_set_field(s, f) : NULL;

        if (f >= n || is == NULL || !shard_fields_equal(is, &want[f]))
            FAIL(wrong_field(s, f, is, f < n ? &want[f] : NULL, e));
    }
out:
    return e->code;
}

static bool all_finite(const float *x, int n)
{
    for (int i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

static enum err_code check_sample(const struct vectors *v, int64_t i, struct err *e)
{
    if (v->classes > 0 && (v->label[i] < 0 || v->label[i] >= v->classes))
        return err_set(e, ERR_DATA, "sample %" PRId64 ": label %" PRId32 ": must be in 0..%d", i,
                       v->label[i], v->classes - 1);
    if (v->sources > 0 && (v->source[i] < 0 || v->source[i] >= v->sources))
        return err_set(e, ERR_DATA, "sample %" PRId64 ": source %" PRId32 ": must be in 0..%d", i,
                       v->source[i], v->sources - 1);
    if (v->targets > 0 && !all_finite(v->target + i * v->targets, v->targets))
        return err_set(e, ERR_DATA, "sample %" PRId64 ": a target is not finite", i);
    for (int m = 0; m < v->modalities; m++) {
        const struct vector_modality *x = &v->modality[m];

        if (!all_finite(x->x + i * x->dim, x->dim))
            return err_set(e, ERR_DATA, "sample %" PRId64 ": %s: a number is not finite", i,
                           x->name);
        for (int d = 0; x->oracle != NULL && d < x->dim; d++)
            if (x->oracle[i * x->dim + d] > 1 || block_name(x->block[i * x->dim + d]) == NULL)
                return err_set(e, ERR_DATA, "sample %" PRId64 ": %s: bad oracle mask or block", i,
                               x->name);
    }
    return ERR_OK;
}

static enum err_code read_samples(struct vectors *v, const struct shard_set *s, struct err *e)
{
    struct column c[SHARD_MAX_FIELDS];
    int n = columns(v, c);

    for (int64_t i = 0; i < v->count; i++) {
        for (int f = 0; f < n; f++) {
            struct shard_value value;

            TRY(shard_set_get(s, i, f, &value, e));
            memcpy((char *)c[f].base + (size_t)i * c[f].bytes, value.data, c[f].bytes);
        }
        if (check_sample(v, i, e) != ERR_OK)
            FAIL(err_in(e, "%s", shard_set_dir(s)));
    }
out:
    return e->code;
}

enum err_code vectors_read(struct vectors *v, const char *dir, const char *split, struct err *e)
{
    struct shard_set *s = NULL;
    const char *layout;
    char *path = NULL;

    memset(v, 0, sizeof *v);
    TRY(path_join(&path, dir, split, e));
    TRY(shard_set_open(&s, path, e));
    layout = shard_set_meta(s, key_layout);
    if (layout == NULL || strcmp(layout, vectors_layout) != 0)
        FAIL(err_set(e, ERR_DATA,
                     "%s: is not a split of a dataset of vectors: synib.layout is "
                     "'%.40s'",
                     path, layout != NULL ? layout : ""));
    TRY(read_shape(v, s, e));
    TRY(read_samples(v, s, e));
    memcpy(v->digest, shard_set_digest(s), sizeof v->digest);
out:
    shard_set_close(s);
    free(path);
    if (e->code != ERR_OK)
        vectors_free(v);
    return e->code;
}
