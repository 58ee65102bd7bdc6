/* SPDX-License-Identifier: MIT */
#include "train/data.h"

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/data/shard_format.h"
#include "train/run_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct data {
    struct dataset *media; /* NULL: vectors */
    struct vectors vectors;
};

static const char *const media_name[MEDIA_MODALITIES] = {"audio", "video"};

/* Whether the set says that it holds vectors; one that is not there or not whole is judged by
 * dataset_open. */
static enum err_code is_vectors(bool *is, const char *path, struct err *e)
{
    struct shard_set *s = NULL;
    const char *layout = NULL;

    TRY(shard_set_probe(&s, path, e));
    if (s != NULL)
        layout = shard_set_meta(s, "synib.layout");
    *is = layout != NULL && strcmp(layout, vectors_layout) == 0;
out:
    shard_set_close(s);
    return e->code;
}

bool data_has_split(const char *dir, const char *split)
{
    char index[64];

    snprintf(index, sizeof index, "%s/%s", split, SHARD_INDEX_NAME);
    return run_has(dir, index);
}

/* Adds what to do where there is no such split. The folder above or below a dataset is easily taken
 * for one. */
static void name_dataset(const char *dir, const char *split, struct err *e)
{
    const struct err why = *e;

    if (data_has_split(dir, split))
        return;
    err_clear(e);
    if (data_has_split(dir, "train") || data_has_split(dir, "val") || data_has_split(dir, "test"))
        err_set(e, why.code,
                "%s: split %s is not there or not finished: run the command that made %s again",
                why.text, split, dir);
    else
        err_set(e, why.code, "%s: give the folder that holds train/, val/ and test/", why.text);
}

enum err_code data_open(struct data **out, const char *dir, const char *split,
                        const char *const *bases, struct err *e)
{
    struct data *d = NULL;
    char *path = NULL;
    bool vectors = false;

    *out = NULL;
    TRY(mem_array(&d, 1, sizeof *d, dir, e));
    TRY(path_join(&path, dir, split, e));
    TRY(is_vectors(&vectors, path, e));
    if (vectors)
        TRY(vectors_read(&d->vectors, dir, split, e));
    else
        TRY(dataset_open(&d->media, dir, split, bases, e));
    *out = d;
    d = NULL;
out:
    if (e->code == ERR_IO)
        name_dataset(dir, split, e);
    data_close(d);
    free(path);
    return e->code;
}

enum err_code data_of_vectors(struct data **out, struct vectors *v, struct err *e)
{
    struct data *d = NULL;

    *out = NULL;
    if (v->digest[0] == '\0')
        TRY(vectors_digest(v, e));
    TRY(mem_array(&d, 1, sizeof *d, "vectors", e));
    d->vectors = *v;
    memset(v, 0, sizeof *v);
    *out = d;
out:
    vectors_free(v);
    return e->code;
}

void data_close(struct data *d)
{
    if (d == NULL)
        return;
    dataset_close(d->media);
    vectors_free(&d->vectors);
    free(d);
}

const struct dataset *data_media(const struct data *d)
{
    return d->media;
}

const struct vectors *data_vectors(const struct data *d)
{
    return d->media == NULL ? &d->vectors : NULL;
}

int64_t data_count(const struct data *d)
{
    return d->media != NULL ? dataset_count(d->media) : d->vectors.count;
}

const char *data_digest(const struct data *d)
{
    return d->media != NULL ? dataset_digest(d->media) : d->vectors.digest;
}

int data_modalities(const struct data *d)
{
    return d->media != NULL ? MEDIA_MODALITIES : d->vectors.modalities;
}

const char *data_modality(const struct data *d, int which)
{
    return d->media != NULL ? media_name[which] : d->vectors.modality[which].name;
}

int data_classes(const struct data *d)
{
    return d->media != NULL ? N_LABELS : d->vectors.classes;
}

const char *data_class(const struct data *d, int k)
{
    return d->media != NULL ? label_names[k] : d->vectors.class_name[k];
}

int data_targets(const struct data *d)
{
    return d->media != NULL ? 0 : d->vectors.targets;
}

int data_sources(const struct data *d)
{
    return d->media != NULL ? 0 : d->vectors.sources;
}

const char *data_source(const struct data *d, int source)
{
    return d->vectors.source_name[source];
}

int data_synergy(const struct data *d)
{
    for (int s = 0; s < data_sources(d); s++)
        if (strcmp(data_source(d, s), "synergistic") == 0)
            return s;
    return -1;
}

bool data_has_oracle(const struct data *d)
{
    return d->media == NULL && d->vectors.modality[0].oracle != NULL;
}

struct data_traits data_traits_of(const struct data *d)
{
    return (struct data_traits){
        .media = data_media(d) != NULL,
        .classes = data_classes(d) > 0,
        .oracle = data_has_oracle(d),
        .sources = data_sources(d),
    };
}

void data_name(const struct data *d, int64_t i, char *out, size_t size)
{
    struct sample s = {0};
    struct err ignored = {0};

    if (d->media == NULL || dataset_describe(d->media, i, &s, &ignored) != ERR_OK)
        snprintf(out, size, "sample %lld", (long long)i);
    else
        snprintf(out, size, "%s%s%s", s.clip, s.donor[0] != '\0' ? "<-" : "", s.donor);
}

static enum err_code differs(const char *what, const char *how, struct err *e)
{
    return err_set(e, ERR_DATA, "%s: %s than the training split's", what, how);
}

enum err_code data_same_shape(const struct data *a, const struct data *b, const char *what,
                              struct err *e)
{
    const struct vectors *va = data_vectors(a), *vb = data_vectors(b);

    if ((va == NULL) != (vb == NULL))
        return differs(what, "is of another kind", e);
    if (data_modalities(a) != data_modalities(b) || data_classes(a) != data_classes(b) ||
        data_targets(a) != data_targets(b) || data_sources(a) != data_sources(b))
        return differs(what, "has other modalities, classes, targets or sources", e);
    for (int m = 0; m < data_modalities(a); m++)
        if (strcmp(data_modality(a, m), data_modality(b, m)) != 0 ||
            (va != NULL && va->modality[m].dim != vb->modality[m].dim))
            return differs(what, "has other features", e);
    return ERR_OK;
}
