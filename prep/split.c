/* SPDX-License-Identifier: MIT */
#include "prep/split.h"

#include "common/base/atomic_file.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/data/json.h"
#include "prep/clip_name.h"
#include "prep/manifests.h"
#include "prep/split_audit.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* ---- kfold ---- */

struct actor_load {
    int32_t actor;
    size_t clips;
    int fold;
};

static int by_actor(const void *a, const void *b)
{
    const struct actor_load *x = a, *y = b;

    return (x->actor > y->actor) - (x->actor < y->actor);
}

/* Actors of the accepted clips, ascending, with their clip counts. */
static enum err_code list_actors(struct actor_load **out, size_t *count, const struct corpus *c,
                                 struct err *e)
{
    size_t n = 0;

    *count = 0;
    TRY(mem_array(out, c->count, sizeof **out, "actors", e));
    for (size_t i = 0; i < c->count; i++)
        if (!c->clip[i].rejected)
            (*out)[n++] = (struct actor_load){.actor = c->clip[i].actor, .clips = 1};
    if (n > 0)
        qsort(*out, n, sizeof **out, by_actor);
    for (size_t i = 0; i < n; i++) {
        if (*count > 0 && (*out)[*count - 1].actor == (*out)[i].actor)
            (*out)[*count - 1].clips++;
        else
            (*out)[(*count)++] = (*out)[i];
    }
out:
    return e->code;
}

static void shuffle(struct actor_load *actor, size_t n, uint64_t seed)
{
    struct rng r = rng_at(seed, rng_stream("split.kfold"), 0, 0);

    for (size_t i = n; i > 1; i--) {
        size_t j = rng_below(&r, (uint32_t)i);
        struct actor_load swap = actor[i - 1];

        actor[i - 1] = actor[j];
        actor[j] = swap;
    }
}

static enum err_code deal(struct actor_load *actor, size_t n, int folds, struct err *e)
{
    struct load {
        size_t actors, clips;
    } *load = NULL;

    TRY(mem_array(&load, (size_t)folds, sizeof *load, "folds", e));
    for (size_t i = 0; i < n; i++) {
        int best = 0;

        for (int f = 1; f < folds; f++)
            if (load[f].actors < load[best].actors ||
                (load[f].actors == load[best].actors && load[f].clips < load[best].clips))
                best = f;
        actor[i].fold = best;
        load[best].actors++;
        load[best].clips += actor[i].clips;
    }
out:
    free(load);
    return e->code;
}

enum err_code split_kfold(struct split_table *out, const struct corpus *corpus, uint64_t seed,
                          int folds, int fold, struct err *e)
{
    struct actor_load *actor = NULL;
    size_t n = 0;

    *out = (struct split_table){.scheme = "kfold", .fold = fold};
    if (folds < 3)
        FAIL(err_set(e, ERR_USAGE, "--folds: %d is too few: train, val and test need 3", folds));
    if (fold < 0 || fold >= folds)
        FAIL(err_set(e, ERR_USAGE, "--fold: %d is not 0 to %d", fold, folds - 1));
    TRY(list_actors(&actor, &n, corpus, e));
    if (n < (size_t)folds)
        FAIL(err_set(e, ERR_DATA, "%s: %zu actors with accepted clips, fewer than %d folds",
                     tsv_name(corpus->table), n, folds));
    shuffle(actor, n, seed);
    TRY(deal(actor, n, folds, e));
    qsort(actor, n, sizeof *actor, by_actor);
    for (size_t i = 0; i < corpus->count; i++) {
        const struct corpus_clip *c = &corpus->clip[i];
        struct actor_load key = {.actor = c->actor}, *found;
        struct split_row row = {.actor = c->actor, .label = c->label, .part = PART_TRAIN};

        if (c->rejected)
            continue;
        found = bsearch(&key, actor, n, sizeof *actor, by_actor);
        if (found->fold == fold)
            row.part = PART_TEST;
        else if (found->fold == (fold + 1) % folds)
            row.part = PART_VAL;
        memcpy(row.clip, c->clip, sizeof row.clip);
        TRY(split_table_add(out, &row, e));
    }
out:
    free(actor);
    if (e->code != ERR_OK)
        split_table_free(out);
    return e->code;
}

/* ---- a user's table ---- */

struct user_table {
    struct tsv *t;
    struct tsv_index index;
    bool by_actor;
    int column;
    bool *used; /* [rows] an accepted clip has this key */
};

static void user_table_free(struct user_table *u)
{
    tsv_index_free(&u->index);
    tsv_free(u->t);
    free(u->used);
}

static enum err_code user_table_open(struct user_table *u, const char *path, int fold,
                                     struct err *e)
{
    char name[24] = "fold0";

    TRY(tsv_read(&u->t, path, "folds", NULL, e));
    u->by_actor = tsv_column(u->t, "actor") >= 0;
    if (u->by_actor == (tsv_column(u->t, "clip") >= 0))
        FAIL(err_set(e, ERR_DATA, "%s:2: must have either a column 'actor' or a column 'clip'",
                     path));
    if (fold >= 0)
        snprintf(name, sizeof name, "fold%d", fold);
    else if (tsv_column(u->t, "part") >= 0)
        snprintf(name, sizeof name, "part");
    u->column = tsv_column(u->t, name);
    if (u->column < 0)
        FAIL(err_set(e, ERR_DATA, "%s:2: has no column '%s'", path, name));
    TRY(tsv_index_init(&u->index, u->t, u->by_actor ? "actor" : "clip", e));
    TRY(tsv_index_unique(&u->index, e));
    TRY(mem_array(&u->used, tsv_rows(u->t), sizeof *u->used, "folds", e));
out:
    return e->code;
}

/* What the table would call a clip. */
static void key_of(char key[CLIP_NAME_SIZE], const struct user_table *u,
                   const struct corpus_clip *c)
{
    if (u->by_actor)
        snprintf(key, CLIP_NAME_SIZE, "%" PRId32, c->actor);
    else
        memcpy(key, c->clip, CLIP_NAME_SIZE);
}

/* Row of the table that speaks of a key; false if none. */
static bool find_row(const struct user_table *u, const char *key, size_t *row)
{
    size_t first;

    if (tsv_index_find(&u->index, key, &first) == 0)
        return false;
    *row = u->index.row[first];
    return true;
}

/* Part in a row: false for "-", a fault for another name. */
static bool row_part(const struct user_table *u, size_t row, enum part *part, struct err *e)
{
    const char *cell = tsv_cell(u->t, row, u->column);

    for (int p = 0; p < N_PARTS; p++)
        if (strcmp(cell, part_names[p]) == 0) {
            *part = (enum part)p;
            return true;
        }
    if (strcmp(cell, "-") != 0)
        (void)err_add_line(e, ERR_DATA, "%s:%zu: part '%s' is not train, val, test or -",
                           tsv_name(u->t), tsv_line(u->t, row), cell);
    return false;
}

/* ---- what the corpus cannot give ---- */

void drop_list_free(struct drop_list *d)
{
    free(d->item);
    *d = (struct drop_list){0};
}

static enum err_code drop(struct drop_list *d, const char *key, enum part part, const char *reason,
                          struct err *e)
{
    TRY(mem_grow(&d->item, &d->cap, d->count + 1, sizeof *d->item, "dropped clips", e));
    d->item[d->count] = (struct dropped){.part = part, .reason = reason};
    snprintf(d->item[d->count++].key, CLIP_NAME_SIZE, "%.*s", CLIP_NAME_SIZE - 1, key);
out:
    return e->code;
}

/* Why a clip that a scheme names cannot be had; NULL when it can. */
static const char *why_not(const struct corpus *corpus, const char *clip)
{
    const struct corpus_clip *c = corpus_find(corpus, clip);

    if (c == NULL)
        return "is not in the clips manifest";
    return c->rejected ? c->reason : NULL;
}

/* ---- what the table leaves out ---- */

void left_out_free(struct left_out *l)
{
    free(l->name);
    *l = (struct left_out){0};
}

static enum err_code add_absent(struct left_out *l, const char *key, struct err *e)
{
    l->absent++;
    if (l->names > 0 && strcmp(l->name[l->names - 1], key) == 0)
        return ERR_OK; /* clips of an actor mostly stand together */
    TRY(mem_grow(&l->name, &l->cap, l->names + 1, sizeof *l->name, "clips left out", e));
    memcpy(l->name[l->names++], key, CLIP_NAME_SIZE);
out:
    return e->code;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void sort_absent(struct left_out *l)
{
    size_t kept = 0;

    if (l->names > 0)
        qsort(l->name, l->names, sizeof *l->name, by_text);
    for (size_t i = 0; i < l->names; i++)
        if (kept == 0 || strcmp(l->name[kept - 1], l->name[i]) != 0)
            memmove(l->name[kept++], l->name[i], sizeof *l->name);
    l->names = kept;
}

/* Checks every row's part, all faults in one error, and drops rows that no accepted clip used. */
static enum err_code check_rows(const struct user_table *u, const struct corpus *corpus,
                                struct drop_list *dropped, struct err *e)
{
    struct err faults = {0};

    for (size_t i = 0; i < tsv_rows(u->t); i++) {
        const char *key = tsv_cell(u->t, i, u->index.column), *why;
        enum part part;

        if (!row_part(u, i, &part, &faults) || u->used[i])
            continue;
        why = u->by_actor ? NULL : why_not(corpus, key);
        TRY(drop(dropped, key, part, why != NULL ? why : "has no accepted clip", e));
    }
    (void)err_copy(e, &faults);
out:
    return e->code;
}

enum err_code split_by_table(struct split_table *out, const struct corpus *corpus, const char *path,
                             int fold, struct left_out *left, struct drop_list *dropped,
                             struct err *e)
{
    struct user_table u = {0};
    struct err cell = {0}; /* check_rows reports bad parts, once per row */

    *out = (struct split_table){.scheme = "table", .fold = fold < 0 ? 0 : fold};
    *left = (struct left_out){0};
    TRY(user_table_open(&u, path, fold, e));
    left->actors = u.by_actor;
    for (size_t i = 0; i < corpus->count; i++) {
        const struct corpus_clip *c = &corpus->clip[i];
        struct split_row row = {.actor = c->actor, .label = c->label};
        char key[CLIP_NAME_SIZE] = "";
        size_t at;

        if (c->rejected)
            continue;
        key_of(key, &u, c);
        if (!find_row(&u, key, &at)) {
            TRY(add_absent(left, key, e));
            continue;
        }
        if (!row_part(&u, at, &row.part, &cell)) {
            left->marked++;
            continue;
        }
        u.used[at] = true;
        memcpy(row.clip, c->clip, sizeof row.clip);
        TRY(split_table_add(out, &row, e));
    }
    sort_absent(left);
    TRY(check_rows(&u, corpus, dropped, e));
out:
    user_table_free(&u);
    if (e->code != ERR_OK) {
        split_table_free(out);
        left_out_free(left);
    }
    return e->code;
}

/* The reference, as far as the corpus has it. */
static enum err_code restrict_to(struct split_table *t, const struct corpus *corpus,
                                 struct drop_list *dropped, struct err *e)
{
    size_t kept = 0;

    for (size_t i = 0; i < t->count; i++) {
        const char *why = why_not(corpus, t->row[i].clip);

        if (why == NULL)
            t->row[kept++] = t->row[i];
        else
            TRY(drop(dropped, t->row[i].clip, t->row[i].part, why, e));
    }
    t->count = kept;
out:
    return e->code;
}

/* ---- the run ---- */

/* What a scheme does not use. */
struct unused {
    struct drop_list dropped;
    struct left_out left;
};

static enum err_code make_table(struct split_table *t, const struct split_options *opt,
                                struct corpus *corpus, struct unused *unused, struct err *e)
{
    int fold = opt->fold < 0 ? 0 : opt->fold;

    if (strcmp(opt->scheme, "reference") == 0) {
        TRY(split_table_reference(t, opt->manifests, fold, e));
        if (opt->clips != NULL)
            TRY(restrict_to(t, corpus, &unused->dropped, e));
    } else if (strcmp(opt->scheme, "kfold") == 0) {
        log_note(&opt->cli.log, "%s: leaves out %zu rejected clips", opt->clips,
                 corpus->count - corpus->accepted + corpus->misnamed);
        TRY(split_kfold(t, corpus, opt->cli.seed, opt->folds, fold, e));
    } else {
        TRY(split_by_table(t, corpus, opt->scheme, opt->fold, &unused->left, &unused->dropped, e));
    }
    if (t->count == 0)
        FAIL(err_set(e, ERR_DATA, "%s: no clip of scheme '%s' is left: nothing to split",
                     opt->clips != NULL ? opt->clips : "reference", opt->scheme));
out:
    return e->code;
}

static json_t *part_json(const struct part_counts *c)
{
    json_t *labels = json_object();

    for (int l = 0; l < N_EMOTIONS; l++)
        json_object_set_new(labels, emotion_codes[l], json_integer((json_int_t)c->label[l]));
    return json_pack("{s:I, s:I, s:o}", "clips", (json_int_t)c->clips, "speakers",
                     (json_int_t)c->speakers, "labels", labels);
}

static json_t *left_out_json(const struct left_out *l)
{
    json_t *names = json_array();

    for (size_t i = 0; i < l->names; i++)
        json_array_append_new(names, json_shown(l->name[i]));
    return json_pack("{s:I, s:I, s:o}", "marked_clips", (json_int_t)l->marked, "absent_clips",
                     (json_int_t)l->absent, "absent", names);
}

static enum err_code print_json(const struct split_options *opt, const struct split_table *t,
                                const struct part_counts counts[N_PARTS],
                                const struct unused *unused, struct err *e)
{
    const struct drop_list *dropped = &unused->dropped;
    json_t *list = json_array(), *parts = json_object(), *root;

    json_begin();
    for (int p = 0; p < N_PARTS; p++)
        json_object_set_new(parts, part_names[p], part_json(&counts[p]));
    for (size_t i = 0; i < dropped->count; i++)
        json_array_append_new(list,
                              json_pack("{s:o, s:s, s:o}", "clip", json_shown(dropped->item[i].key),
                                        "part", part_names[dropped->item[i].part], "reason",
                                        json_shown(dropped->item[i].reason)));
    root = json_pack("{s:s, s:i, s:o, s:o, s:o}", "scheme", t->scheme, "fold", t->fold, "parts",
                     parts, "dropped", list, "left_out", left_out_json(&unused->left));
    return json_print(root, opt->out, JSON_INDENT(2), e);
}

/* An actor whom a table does not name may be a typing error: always told. */
static void report_left_out(const struct split_options *opt, const struct left_out *l)
{
    enum { SHOWN = 5 };
    char names[SHOWN * (CLIP_NAME_SIZE + 2)] = "";
    size_t at = 0;

    if (l->marked > 0)
        log_note(&opt->cli.log, "%s: leaves out %zu accepted clips, marked -", opt->scheme,
                 l->marked);
    if (l->absent == 0)
        return;
    for (size_t i = 0; i < l->names && i < SHOWN; i++)
        at +=
            (size_t)snprintf(names + at, sizeof names - at, "%s%s", i > 0 ? ", " : "", l->name[i]);
    log_warn(
        &opt->cli.log,
        "%s: leaves out %zu accepted clips: it does not name %zu %s (%s%s): mark them - if that "
        "is meant",
        opt->scheme, l->absent, l->names, l->actors ? "actors" : "clips", names,
        l->names > SHOWN ? ", ..." : "");
}

static void report(const struct split_options *opt, const struct split_table *t,
                   const struct part_counts counts[N_PARTS], const struct unused *unused)
{
    enum { SHOWN = 10 };
    const struct drop_list *dropped = &unused->dropped;

    report_left_out(opt, &unused->left);
    for (size_t i = 0; i < dropped->count; i++) {
        const struct dropped *d = &dropped->item[i];

        if (i == SHOWN && opt->cli.log.level < LOG_VERBOSE) {
            log_warn(&opt->cli.log, "... and %zu more dropped clips (--verbose lists them)",
                     dropped->count - SHOWN);
            break;
        }
        log_warn(&opt->cli.log, "dropped %s (%s): %s", d->key, part_names[d->part], d->reason);
    }
    for (int p = 0; p < N_PARTS; p++)
        log_note(&opt->cli.log, "%s fold %d: %-5s %5zu clips, %2zu speakers", t->scheme, t->fold,
                 part_names[p], counts[p].clips, counts[p].speakers);
}

/* No tool after this one can use a split without one of the parts. */
static enum err_code check_parts(const struct split_options *opt,
                                 const struct part_counts counts[N_PARTS], struct err *e)
{
    for (int p = 0; p < N_PARTS; p++)
        if (counts[p].clips == 0)
            return err_set(e, ERR_DATA, "scheme '%s': part '%s' has no clip: nothing was written",
                           opt->scheme, part_names[p]);
    for (int l = 0; l < N_EMOTIONS; l++)
        if (counts[PART_TRAIN].label[l] == 0)
            log_warn(&opt->cli.log, "part 'train' has no clip of %s: it cannot be learned",
                     emotion_codes[l]);
    return ERR_OK;
}

static enum err_code check_speakers(const struct split_options *opt, const struct split_table *t,
                                    struct err *e)
{
    struct err leak = {0};
    size_t actors = 0;

    if (split_table_check_speakers(t, opt->scheme, &actors, &leak) == ERR_OK)
        return ERR_OK;
    if (leak.code != ERR_DATA || !opt->allow_overlap)
        return err_copy(e, &leak);
    log_warn(&opt->cli.log, "%zu speakers are in more than one part (allowed)", actors);
    return ERR_OK;
}

enum err_code split_run(const struct split_options *opt, struct err *e)
{
    struct corpus corpus = {0};
    struct split_table t = {0};
    struct unused unused = {0};
    struct part_counts counts[N_PARTS];

    if (opt->audits > 0)
        return split_audit_run(opt, e);
    if (opt->clips != NULL)
        TRY(corpus_read(&corpus, opt->clips, e));
    TRY(make_table(&t, opt, &corpus, &unused, e));
    TRY(check_speakers(opt, &t, e));
    TRY(split_table_count(&t, counts, e));
    TRY(check_parts(opt, counts, e));
    if (!opt->cli.dry_run)
        TRY(split_table_write(&t, opt->output, opt->cli.force, e));
    else if (opt->output != NULL)
        TRY(atomic_file_check(opt->output, opt->cli.force, e));
    report(opt, &t, counts, &unused);
    if (opt->cli.json)
        TRY(print_json(opt, &t, counts, &unused, e));
    if (unused.dropped.count > 0)
        FAIL(err_set(e, ERR_REJECTED, "%s: %zu of the clips or actors of scheme '%s' were dropped",
                     opt->clips, unused.dropped.count, opt->scheme));
out:
    drop_list_free(&unused.dropped);
    left_out_free(&unused.left);
    split_table_free(&t);
    corpus_free(&corpus);
    return e->code;
}
