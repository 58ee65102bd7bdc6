/* SPDX-License-Identifier: MIT */
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/data/dataset_bases.h"
#include "common/data/fields.h"
#include "common/data/irony.h"
#include "common/data/json.h"
#include "prep/clip_name.h"
#include "prep/irony_plan.h"
#include "prep/split_audit.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Datasets and runs, audited from what stands in their shards and not from any manifest. */

enum { RUN_JSON_MAX = 1 << 20, N_BASES = 64 };

static void add_fault(struct audit *a, int fold, struct err *e, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
static void add_fault(struct audit *a, int fold, struct err *e, const char *fmt, ...)
{
    va_list ap;

    if (mem_grow(&a->fault, &a->fault_cap, a->faults + 1, sizeof *a->fault, "audit", e) != ERR_OK)
        return;
    a->fault[a->faults].fold = fold;
    va_start(ap, fmt);
    vsnprintf(a->fault[a->faults++].text, AUDIT_FAULT_SIZE, fmt, ap);
    va_end(ap);
}

/* ---- one split ---- */

struct part_set {
    struct audit *a;
    int fold, which;  /* enum part */
    const char *part; /* its name */
    const struct dataset *d;
    struct clip_index *index;
    struct sample *sample; /* [n] without media */
    int64_t n;
    const struct contradiction *map;
};

/* Samples that break one rule: how many, and the first of them. */
struct breach {
    size_t count;
    const struct sample *first;
};

static void breach_add(struct breach *b, const struct sample *s)
{
    if (b->count++ == 0)
        b->first = s;
}

static void breach_report(const struct part_set *p, const struct breach *b, const char *what,
                          struct err *e)
{
    if (b->count > 0)
        add_fault(p->a, p->fold, e,
                  "%s: %zu of %" PRId64 " samples: %s (first: %s <- %s, actor %d)", p->part,
                  b->count, p->n, what, b->first->clip,
                  b->first->donor[0] != '\0' ? b->first->donor : "its own sound", b->first->actor);
}

/* A sound comes from another clip of this very part, at the place and with the label that the
 * sample says, and contradicts the picture; one of the same label is no irony. */
static enum err_code check_donors(const struct part_set *p, struct err *e)
{
    struct breach foreign = {0}, self = {0}, label = {0}, forbidden = {0};

    for (int64_t i = 0; i < p->n; i++) {
        const struct sample *s = &p->sample[i];
        int64_t at = s->donor[0] != '\0' ? clip_index_find(p->index, s->donor) : -1;
        int32_t said;

        if (s->donor[0] == '\0')
            continue;
        TRY(field_i32(dataset_set(p->d), i, IRONY_DONOR_INDEX, &said, e));
        if (at < 0 || said != at)
            breach_add(&foreign, s);
        else if (at == i)
            breach_add(&self, s);
        else if (p->sample[at].base_label != s->donor_label)
            breach_add(&label, s);
        else if (s->label == LABEL_IRONY && !p->map->allowed[s->base_label][s->donor_label])
            breach_add(&forbidden, s);
    }
    breach_report(p, &foreign, "the sound is of no clip of this part", e);
    breach_report(p, &self, "the sound is its own", e);
    breach_report(p, &label, "the label of the donor is another", e);
    breach_report(p, &forbidden, "the emotions do not contradict each other", e);
out:
    return e->code;
}

/* Where a clip is named as CREMA-D does, its name says who speaks. */
static enum err_code check_actors(const struct part_set *p, struct err *e)
{
    struct breach other = {0};

    for (int64_t i = 0; i < p->n; i++) {
        struct clip_name name;

        if (clip_name_parse(&name, p->sample[i].clip, NULL) && name.actor != p->sample[i].actor)
            breach_add(&other, &p->sample[i]);
    }
    breach_report(p, &other, "the actor is not the one in the clip's name", e);
    return e->code;
}

/* k = round(rate * n / C), halves to even, at most n: what the set says of itself, and the samples.
 */
static enum err_code check_rate(const struct part_set *p, struct err *e)
{
    const char *text = dataset_meta(p->d, "synib.rate");
    bool seen[N_EMOTIONS] = {false};
    int64_t irony = 0, labels = 0, want;
    double rate, k;
    char *end;

    for (int64_t i = 0; i < p->n; i++) {
        irony += p->sample[i].label == LABEL_IRONY;
        labels += !seen[p->sample[i].base_label];
        seen[p->sample[i].base_label] = true;
    }
    rate = text != NULL ? strtod(text, &end) : NAN;
    if (!isfinite(rate) || rate < 0.0 || *end != '\0') {
        add_fault(p->a, p->fold, e, "%s: says no rate: its irony cannot be counted", p->part);
        return e->code;
    }
    k = rint(rate * ((double)p->n / (double)labels));
    want = k < (double)p->n ? (int64_t)k : p->n;
    if (irony != want)
        add_fault(p->a, p->fold, e,
                  "%s: %" PRId64 " samples of irony, rate %s of %" PRId64 " clips of %" PRId64
                  " emotions gives %" PRId64,
                  p->part, irony, text, p->n, labels, want);
    return e->code;
}

static enum err_code add_entries(const struct part_set *p, struct err *e)
{
    struct audit *a = p->a;
    int part;

    TRY(audit_part(a, p->part, shard_set_dir(dataset_set(p->d)), &part, e));
    TRY(mem_grow(&a->entry, &a->cap, a->count + (size_t)p->n, sizeof *a->entry, "audit", e));
    for (int64_t i = 0; i < p->n; i++) {
        struct audit_entry *entry = &a->entry[a->count++];

        *entry = (struct audit_entry){.actor = p->sample[i].actor, .fold = p->fold, .part = part};
        memcpy(entry->clip, p->sample[i].clip, CLIP_NAME_SIZE);
    }
out:
    return e->code;
}

/* ---- source digests ---- */

struct source {
    uint8_t sha256[32];
    char clip[CLIP_NAME_SIZE];
    int part; /* enum part */
};
struct sources {
    struct source *item;
    size_t count, cap;
};

static int by_sha256(const void *a, const void *b)
{
    const struct source *x = a, *y = b;
    int order = memcmp(x->sha256, y->sha256, sizeof x->sha256);

    return order != 0 ? order : strcmp(x->clip, y->clip);
}

/* The digest of every clip that the part uses, looked up in its base set. */
static enum err_code add_sources(struct sources *s, const struct part_set *p, bool video,
                                 const char *dir, const char *const *bases, struct err *e)
{
    const char *key = video ? "synib.video.digest" : "synib.audio.digest";
    const char *digest = dataset_meta(p->d, key);
    struct shard_set *base = NULL;
    struct clip_index *index = NULL;
    int sha;

    if (digest == NULL)
        FAIL(err_set(e, ERR_DATA, "%s: does not name its base sets",
                     shard_set_dir(dataset_set(p->d))));
    TRY(dataset_base_open(&base, video ? "video" : "audio", digest, dir, bases, e));
    TRY(clip_index_new(&index, base, video ? (int)VIDEO_CLIP : (int)AUDIO_CLIP, e));
    sha = shard_set_find(base, "src.sha256");
    if (sha < 0 || shard_field_bytes(shard_set_field(base, sha)) != sizeof s->item->sha256)
        FAIL(err_set(e, ERR_DATA, "%s: has no field src.sha256", shard_set_dir(base)));
    TRY(mem_grow(&s->item, &s->cap, s->count + (size_t)p->n, sizeof *s->item, "audit", e));
    for (int64_t i = 0; i < p->n; i++) {
        struct source *item = &s->item[s->count];
        const struct sample *x = &p->sample[i];
        int64_t at = clip_index_find(index, x->clip);
        struct shard_value v;

        if (at < 0)
            FAIL(err_set(e, ERR_DATA, "%s: clip %s is not in it", shard_set_dir(base), x->clip));
        TRY(shard_set_get(base, at, sha, &v, e));
        memcpy(item->sha256, v.data, sizeof item->sha256);
        memcpy(item->clip, x->clip, CLIP_NAME_SIZE);
        item->part = p->which;
        s->count++;
    }
out:
    clip_index_free(index);
    shard_set_close(base);
    return e->code;
}

/* One file on both sides is a leak under whatever names. */
static void compare_sources(struct audit *a, int fold, struct sources *s, const char *what,
                            struct err *e)
{
    const struct source *first = NULL, *other = NULL;
    size_t begin = 0, count = 0, of_part[N_PARTS] = {0}; /* of one file, which begins at `begin` */

    if (s->count > 0)
        qsort(s->item, s->count, sizeof *s->item, by_sha256);
    for (size_t i = 0; i < s->count; i++) {
        const struct source *x = &s->item[i];
        size_t elsewhere;

        if (memcmp(x->sha256, s->item[begin].sha256, sizeof x->sha256) != 0) {
            memset(of_part, 0, sizeof of_part);
            begin = i;
        }
        elsewhere = i - begin - of_part[x->part]++; /* of those before */
        if (elsewhere > 0 && count == 0) {
            first = &s->item[begin];
            other = x;
        }
        count += elsewhere;
    }
    if (count > 0)
        add_fault(a, fold, e,
                  "%zu pairs of clips of different parts are the same %s file (first: %s in %s and "
                  "%s in %s)",
                  count, what, first->clip, part_names[first->part], other->clip,
                  part_names[other->part]);
}

/* ---- a dataset ---- */

struct audited {
    struct audit *a;
    int fold;
    const char *dir;
    const char *const *bases;
    struct contradiction map;
    struct sources video, audio;
    char digest[N_PARTS][65]; /* "": no such split */
    int splits;
};

static enum err_code read_samples(struct part_set *p, struct err *e)
{
    p->n = dataset_count(p->d);
    TRY(mem_array(&p->sample, (size_t)p->n, sizeof *p->sample, "audit", e));
    for (int64_t i = 0; i < p->n; i++)
        TRY(dataset_describe(p->d, i, &p->sample[i], e));
    TRY(clip_index_new(&p->index, dataset_set(p->d), IRONY_CLIP, e));
out:
    return e->code;
}

static enum err_code audit_split(struct audited *x, int which, struct err *e)
{
    struct part_set p = {
        .a = x->a, .fold = x->fold, .which = which, .part = part_names[which], .map = &x->map};
    struct dataset *d = NULL;

    TRY(dataset_open(&d, x->dir, p.part, x->bases, e));
    p.d = d;
    TRY(read_samples(&p, e));
    snprintf(x->digest[which], sizeof x->digest[which], "%s", dataset_digest(d));
    x->splits++;
    TRY(add_entries(&p, e));
    TRY(check_donors(&p, e));
    TRY(check_actors(&p, e));
    TRY(check_rate(&p, e));
    TRY(add_sources(&x->video, &p, true, x->dir, x->bases, e));
    TRY(add_sources(&x->audio, &p, false, x->dir, x->bases, e));
out:
    clip_index_free(p.index);
    free(p.sample);
    dataset_close(d);
    return e->code;
}

static bool has(const char *dir, const char *name)
{
    char *path = NULL;
    struct err none = {0};
    bool there = path_join(&path, dir, name, &none) == ERR_OK && access(path, F_OK) == 0;

    free(path);
    return there;
}

static enum err_code audit_dataset(struct audited *x, struct err *e)
{
    TRY(contradiction_read(&x->map, x->a->manifests, e));
    for (int p = 0; p < N_PARTS; p++)
        if (has(x->dir, part_names[p]))
            TRY(audit_split(x, p, e));
    if (x->splits == 0)
        FAIL(err_set(e, ERR_DATA, "%s: is a folder without a split train, val or test", x->dir));
    compare_sources(x->a, x->fold, &x->video, "video", e);
    compare_sources(x->a, x->fold, &x->audio, "sound", e);
out:
    free(x->video.item);
    free(x->audio.item);
    return e->code;
}

/* ---- a run: the data that it was trained on, which must still be those ---- */

static enum err_code run_json(json_t **root, const char *dir, struct err *e)
{
    struct file_view v = {0};
    json_error_t why;
    bool no_memory;
    char *path = NULL;

    TRY(path_join(&path, dir, "run.json", e));
    TRY(file_read(&v, path, RUN_JSON_MAX, e));
    *root = json_parse((const char *)v.data, v.len, &why, &no_memory);
    if (*root == NULL)
        FAIL(err_set(e, no_memory ? ERR_NOMEM : ERR_DATA, "%s: is not JSON", path));
    if (!json_is_string(json_object_get(*root, "data")))
        FAIL(err_set(e, ERR_DATA, "%s: does not say where the run's data are", path));
out:
    file_view_free(&v);
    free(path);
    return e->code;
}

/* Compares line "data.PART = DIGEST" of a checkpoint's identity with the split. */
static void check_trained_on(struct audited *x, const char *config, int which, const char *run,
                             struct err *e)
{
    char line[96];

    snprintf(line, sizeof line, "data.%s = %s\n", part_names[which], x->digest[which]);
    if (x->digest[which][0] == '\0' || strstr(config, line) == NULL)
        add_fault(x->a, x->fold, e, "%s: was trained on another split %s than that in %s", run,
                  part_names[which], x->dir);
}

static enum err_code check_run(struct audited *x, const char *dir, struct err *e)
{
    struct tensorfile *f = NULL;
    const char *config;
    char *path = NULL;

    TRY(path_join(&path, dir, "last.safetensors", e));
    TRY(tensorfile_open(&f, path, e));
    config = tensorfile_meta(f, "synib.config");
    if (config == NULL)
        FAIL(err_set(e, ERR_DATA, "%s: does not say what it was trained on", path));
    check_trained_on(x, config, PART_TRAIN, path_base(dir), e);
    check_trained_on(x, config, PART_VAL, path_base(dir), e);
out:
    tensorfile_close(f);
    free(path);
    return e->code;
}

static enum err_code audit_run(struct audited *x, const char *dir, struct err *e)
{
    char *data = NULL, *base[N_BASES] = {NULL};
    json_t *root = NULL, *bases;
    const char *place[SPLIT_MAX_BASES + N_BASES + 1] = {NULL};
    size_t given = 0, n = 0;

    TRY(run_json(&root, dir, e));
    for (; x->bases != NULL && x->bases[given] != NULL && given < SPLIT_MAX_BASES; given++)
        place[given] = x->bases[given];
    bases = json_object_get(root, "bases");
    for (size_t i = 0; i < json_array_size(bases) && n < N_BASES; i++)
        if (json_is_string(json_array_get(bases, i))) {
            TRY(path_join(&base[n], dir, json_string_value(json_array_get(bases, i)), e));
            place[given + n] = base[n];
            n++;
        }
    TRY(path_join(&data, dir, json_string_value(json_object_get(root, "data")), e));
    x->dir = data;
    x->bases = place;
    TRY(audit_dataset(x, e));
    TRY(check_run(x, dir, e));
out:
    json_decref(root);
    free(data);
    for (size_t i = 0; i < N_BASES; i++)
        free(base[i]);
    return e->code;
}

enum err_code audit_read_sets(struct audit *a, const char *dir, int fold, struct err *e)
{
    struct audited x = {.a = a, .fold = fold, .dir = dir, .bases = a->bases};

    if (has(dir, "run.json"))
        return audit_run(&x, dir, e);
    return audit_dataset(&x, e);
}
