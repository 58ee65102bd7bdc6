/* SPDX-License-Identifier: MIT */
#include "train/report/sets.h"

#include "common/base/mem.h"
#include "common/data/fields.h"
#include "common/data/irony.h"

#include <stdlib.h>
#include <string.h>

/* What is in the splits of a dataset of pictures and sound, read from the shards themselves. */

struct part {
    struct shard_set *set;
    struct clip_index *index;
    int32_t *actor; /* each once, rising */
    int64_t actors;
};

static int by_number(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

static void part_close(struct part *p)
{
    clip_index_free(p->index);
    shard_set_close(p->set);
    free(p->actor);
    memset(p, 0, sizeof *p);
}

static enum err_code clip_at(const struct part *p, int64_t i, int field, char out[CLIP_NAME_SIZE],
                             struct err *e)
{
    struct shard_value v;

    TRY(shard_set_get(p->set, i, field, &v, e));
    if (!clip_name_ok(v.data))
        FAIL(err_set(e, ERR_DATA, "%s: sample %lld: a clip is not named like one",
                     shard_set_dir(p->set), (long long)i));
    memcpy(out, v.data, CLIP_NAME_SIZE);
out:
    return e->code;
}

/* The fields that say what a sample is, at their places. */
static enum err_code check_fields(const struct shard_set *s, struct err *e)
{
    struct shard_field want[N_OVERLAY_FIELDS];

    fields_overlay(want);
    for (int f = 0; f < N_IRONY_FIELDS; f++) {
        const struct shard_field *has = f < shard_set_field_count(s) ? shard_set_field(s, f) : NULL;

        if (has == NULL || strcmp(has->name, want[f].name) != 0 || has->dtype != want[f].dtype ||
            has->ragged || shard_field_bytes(has) != shard_field_bytes(&want[f]))
            return err_set(e, ERR_DATA, "%s: is no split of an irony dataset: no field %s",
                           shard_set_dir(s), want[f].name);
    }
    return ERR_OK;
}

/* Actors of the faces; those of the voices are among them when every donor is in the split. */
static enum err_code count_part(struct part *p, struct report_set *d, int split, struct err *e)
{
    char donor[CLIP_NAME_SIZE];
    int32_t label;

    d->clips[split] = shard_set_count(p->set);
    TRY(mem_array(&p->actor, (size_t)d->clips[split], sizeof *p->actor, "actors", e));
    for (int64_t i = 0; i < d->clips[split]; i++) {
        TRY(field_i32(p->set, i, IRONY_ACTOR, &p->actor[i], e));
        TRY(field_i32(p->set, i, IRONY_LABEL, &label, e));
        TRY(clip_at(p, i, IRONY_DONOR, donor, e));
        d->irony[split] += label == LABEL_IRONY;
        d->strange_voices += donor[0] != '\0' && clip_index_find(p->index, donor) < 0;
    }
    qsort(p->actor, (size_t)d->clips[split], sizeof *p->actor, by_number);
    for (int64_t i = 0; i < d->clips[split]; i++)
        if (p->actors == 0 || p->actor[i] != p->actor[p->actors - 1])
            p->actor[p->actors++] = p->actor[i];
    d->actors[split] = p->actors;
out:
    return e->code;
}

static enum err_code part_open(struct part *p, struct report_set *d, int split, struct err *e)
{
    char *path = NULL;

    TRY(path_join(&path, d->dir, report_split_names[split], e));
    TRY(shard_set_open(&p->set, path, e));
    if (d->vectors) {
        d->clips[split] = shard_set_count(p->set);
        goto out;
    }
    TRY(check_fields(p->set, e));
    TRY(clip_index_new(&p->index, p->set, IRONY_CLIP, e));
    TRY(count_part(p, d, split, e));
out:
    free(path);
    return e->code;
}

static enum err_code count_shared(const struct part *a, const struct part *b, int64_t *actors,
                                  int64_t *clips, struct err *e)
{
    char clip[CLIP_NAME_SIZE];

    for (int64_t i = 0; i < a->actors; i++)
        *actors +=
            bsearch(&a->actor[i], b->actor, (size_t)b->actors, sizeof *b->actor, by_number) != NULL;
    for (int64_t i = 0; i < shard_set_count(a->set); i++) {
        TRY(clip_at(a, i, IRONY_CLIP, clip, e));
        *clips += clip_index_find(b->index, clip) >= 0;
    }
out:
    return e->code;
}

enum err_code report_set_audit(struct report_set *d, struct err *e)
{
    struct part part[REPORT_SPLITS] = {0};

    for (int s = 0; s < REPORT_SPLITS; s++)
        TRY(part_open(&part[s], d, s, e));
    for (int s = 0; s < REPORT_SPLITS && !d->vectors; s++)
        TRY(count_shared(&part[s], &part[(s + 1) % REPORT_SPLITS], &d->shared_actors[s],
                         &d->shared_clips[s], e));
out:
    for (int s = 0; s < REPORT_SPLITS; s++)
        part_close(&part[s]);
    return e->code;
}
