/* SPDX-License-Identifier: MIT */
#include "prep/shard_view.h"

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/data/vectors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const split_names[] = {"train", "val", "test"};
enum { N_SPLITS = 3 };

/* ---- opening ---- */

static void view_of_set(struct view *v, struct shard_set *s)
{
    v->own_set = s;
    v->set = s;
    v->count = shard_set_count(s);
    v->fields = shard_set_field_count(s);
    for (int f = 0; f < v->fields; f++)
        v->field[f] = *shard_set_field(s, f);
}

static void view_of_dataset(struct view *v, struct dataset *d)
{
    int bins, frames;

    v->own_data = d;
    v->data = d;
    v->set = dataset_set(d);
    v->count = dataset_count(d);
    dataset_spectrogram_shape(d, &bins, &frames);
    v->fields = N_MATERIALISED_FIELDS;
    fields_materialised(v->field, bins, frames);
}

static enum err_code has_index(bool *found, const char *dir, const char *name, struct err *e)
{
    char *sub = NULL, *path = NULL;

    *found = false;
    TRY(path_join(&sub, dir, name, e));
    TRY(path_join(&path, sub, "index.jsonl", e));
    *found = access(path, F_OK) == 0;
out:
    free(sub);
    free(path);
    return e->code;
}

static bool has_vectors(const struct shard_set *s)
{
    const char *layout = shard_set_meta(s, "synib.layout");

    return layout != NULL && strcmp(layout, vectors_layout) == 0;
}

/* A split of vectors holds all it has; one of an irony dataset may be an overlay. */
static enum err_code open_split(struct target *t, const char *dir, const char *split,
                                const char *const *bases, struct err *e)
{
    struct view *v = &t->view[t->views];
    struct shard_set *s = NULL;
    struct dataset *d = NULL;
    char *path = NULL;

    TRY(path_join(&path, dir, split, e));
    TRY(shard_set_open(&s, path, e));
    if (has_vectors(s)) {
        view_of_set(v, s);
        s = NULL;
    } else {
        TRY(dataset_open(&d, dir, split, bases, e));
        view_of_dataset(v, d);
    }
    snprintf(v->name, sizeof v->name, "%s", split);
    t->views++;
out:
    shard_set_close(s);
    free(path);
    return e->code;
}

static enum err_code open_dataset(struct target *t, const char *split, const char *const *bases,
                                  struct err *e)
{
    for (int i = 0; i < N_SPLITS; i++) {
        bool found;

        TRY(has_index(&found, t->path, split_names[i], e));
        if (found && (split == NULL || strcmp(split, split_names[i]) == 0))
            TRY(open_split(t, t->path, split_names[i], bases, e));
    }
    if (t->views == 0 && split != NULL)
        FAIL(err_set(e, ERR_USAGE, "%s: has no split '%s'", t->path, split));
    if (t->views == 0)
        FAIL(err_set(e, ERR_DATA,
                     "%s: is neither a shard set (no index.jsonl) nor a dataset (no train, val or "
                     "test)",
                     t->path));
out:
    return e->code;
}

static enum err_code no_splits(const struct target *t, const char *split, struct err *e)
{
    return err_set(e, ERR_USAGE,
                   "%s: is one set or file, not a dataset with splits: leave out --split %s",
                   t->path, split);
}

/* A set of its own, or one split of a dataset given by its folder. */
static enum err_code open_set(struct target *t, const char *split, const char *const *bases,
                              struct err *e)
{
    struct shard_set *s = NULL;
    char *dir = NULL, *name = NULL;
    size_t len;

    TRY(shard_set_open(&s, t->path, e));
    if (split != NULL)
        TRY(no_splits(t, split, e));
    if (shard_set_meta(s, "synib.layout") == NULL || has_vectors(s)) {
        view_of_set(&t->view[t->views++], s);
        s = NULL;
        goto out;
    }
    TRY(mem_string(&dir, t->path, e));
    for (len = strlen(dir); len > 1 && dir[len - 1] == '/'; len--)
        dir[len - 1] = '\0';
    TRY(mem_string(&name, path_base(dir), e));
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        FAIL(err_set(e, ERR_USAGE, "%s: name the split's folder, not '%s'", t->path, name));
    len = (size_t)(path_base(dir) - dir);
    dir[len] = '\0';
    TRY(open_split(t, len > 0 ? dir : ".", name, bases, e));
out:
    shard_set_close(s);
    free(dir);
    free(name);
    return e->code;
}

static enum err_code open_file(struct target *t, struct err *e)
{
    struct shard_set *s = NULL;

    TRY(tensorfile_open(&t->file, t->path, e));
    if (strcmp(tensorfile_kind(t->file), "shard") != 0)
        return ERR_OK;
    tensorfile_close(t->file);
    t->file = NULL;
    TRY(shard_set_open_file(&s, t->path, e));
    view_of_set(&t->view[t->views++], s);
out:
    return e->code;
}

enum err_code target_open(struct target *t, const char *path, const char *split,
                          const char *const *bases, struct err *e)
{
    bool is_set = false;
    struct stat st;

    *t = (struct target){.path = path};
    if (stat(path, &st) != 0)
        FAIL(err_sys(e, "%s: cannot open as a dataset, a shard set or a container file", path));
    if (S_ISDIR(st.st_mode))
        TRY(has_index(&is_set, path, ".", e));
    if (!S_ISDIR(st.st_mode) && split != NULL)
        TRY(no_splits(t, split, e));
    else if (!S_ISDIR(st.st_mode))
        TRY(open_file(t, e));
    else if (is_set)
        TRY(open_set(t, split, bases, e));
    else
        TRY(open_dataset(t, split, bases, e));
out:
    if (e->code != ERR_OK)
        target_close(t);
    return e->code;
}

void target_close(struct target *t)
{
    for (int i = 0; i < t->views; i++) {
        shard_set_close(t->view[i].own_set);
        dataset_close(t->view[i].own_data);
    }
    tensorfile_close(t->file);
    *t = (struct target){0};
}

/* ---- values ---- */

int view_find(const struct view *v, const char *field)
{
    for (int f = 0; f < v->fields; f++)
        if (strcmp(v->field[f].name, field) == 0)
            return f;
    return -1;
}

enum err_code view_get(const struct view *v, int64_t sample, int field, struct shard_value *value,
                       struct err *e)
{
    struct sample s;

    *value = (struct shard_value){0};
    if (v->data == NULL || field < N_IRONY_FIELDS)
        return shard_set_get(v->set, sample, field, value, e);
    TRY(dataset_get(v->data, sample, &s, e));
    if (field == MATERIALISED_LOGSTFT)
        *value = (struct shard_value){s.spectrogram, shard_field_bytes(&v->field[field])};
    else
        *value = (struct shard_value){s.jpeg[field - MATERIALISED_JPEG0],
                                      s.jpeg_len[field - MATERIALISED_JPEG0]};
out:
    return e->code;
}

enum err_code view_i32(const struct view *v, int64_t sample, const char *field, int32_t absent,
                       int32_t *out, struct err *e)
{
    int f = view_find(v, field);
    struct shard_value value;

    *out = absent;
    if (f < 0 || v->field[f].dtype != DTYPE_I32 || v->field[f].rank != 0)
        return ERR_OK;
    TRY(view_get(v, sample, f, &value, e));
    memcpy(out, value.data, sizeof *out);
out:
    return e->code;
}

enum err_code view_clip(const struct view *v, int64_t sample, const char *field,
                        char out[CLIP_NAME_SIZE], struct err *e)
{
    int f = view_find(v, field);
    struct shard_value value;

    memset(out, 0, CLIP_NAME_SIZE);
    if (f < 0 || v->field[f].ragged || v->field[f].dtype != DTYPE_U8)
        return ERR_OK;
    TRY(view_get(v, sample, f, &value, e));
    if (value.len == CLIP_NAME_SIZE && clip_name_ok(value.data))
        memcpy(out, value.data, CLIP_NAME_SIZE);
out:
    return e->code;
}

/* ---- words ---- */

void field_type_text(const struct shard_field *f, char *out, size_t size)
{
    size_t n;

    if (f->ragged) {
        snprintf(out, size, "ragged %s", dtype_name(f->dtype));
        return;
    }
    n = (size_t)snprintf(out, size, "%s [", dtype_name(f->dtype));
    for (int i = 0; i < f->rank && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%" PRId64, i > 0 ? ", " : "", f->dim[i]);
    if (n < size)
        snprintf(out + n, size - n, "]");
}

void flags_text(uint32_t flags, char *out, size_t size)
{
    size_t n = 0;

    snprintf(out, size, "-");
    for (int bit = 0; bit < 32 && n < size; bit++) {
        const char *name = sample_flag_name((enum sample_flag)(1u << bit));

        if ((flags >> bit & 1) == 0)
            continue;
        if (name != NULL)
            n += (size_t)snprintf(out + n, size - n, "%s%s", n > 0 ? "," : "", name);
        else
            n += (size_t)snprintf(out + n, size - n, "%sbit%d", n > 0 ? "," : "", bit);
    }
}

const char *label_text(int32_t label)
{
    return label >= 0 && label < N_LABELS ? label_names[label] : "-";
}

const char *view_list_name(const struct view *v, const char *key, int i, char *out, size_t size)
{
    const char *list = shard_set_meta(v->set, key);

    for (; list != NULL && i > 0; i--) {
        list = strchr(list, ',');
        list = list != NULL ? list + 1 : NULL;
    }
    snprintf(out, size, "%.*s", list != NULL ? (int)strcspn(list, ",") : 1,
             list != NULL ? list : "-");
    return out;
}
