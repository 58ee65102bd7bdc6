/* SPDX-License-Identifier: MIT */
#include "prep/split_table.h"

#include "common/base/atomic_file.h"
#include "common/base/cli.h"
#include "common/base/mem.h"
#include "common/data/fields.h"
#include "prep/clip_name.h"
#include "prep/manifests.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const part_names[N_PARTS + 1] = {"train", "val", "test", NULL};
enum { FOLD_MAX = 9999 };

void split_table_free(struct split_table *t)
{
    free(t->row);
    *t = (struct split_table){0};
}

enum err_code split_table_add(struct split_table *t, const struct split_row *row, struct err *e)
{
    enum err_code rc = mem_grow(&t->row, &t->cap, t->count + 1, sizeof *t->row, "split", e);

    if (rc == ERR_OK)
        t->row[t->count++] = *row;
    return rc; /* not e->code: the caller may be collecting the faults of other rows */
}

/* ---- cells ---- */

/* A failed cell becomes one line of the manifest's list of faults. */
static bool cell_int(int32_t *out, const struct tsv *t, size_t row, const char *column, int64_t max,
                     struct err *e)
{
    struct err cell = {0};
    int64_t v = 0;

    if (cli_int(&v, tsv_cell(t, row, tsv_column(t, column)), 0, max, column, &cell) != ERR_OK) {
        (void)err_add_line(e, ERR_DATA, "%s:%zu: %s", tsv_name(t), tsv_line(t, row), cell.text);
        return false;
    }
    *out = (int32_t)v;
    return true;
}

static bool cell_clip(char out[CLIP_NAME_SIZE], const struct tsv *t, size_t row, struct err *e)
{
    const char *clip = tsv_cell(t, row, tsv_column(t, "clip"));

    if (clip[0] == '\0' || strlen(clip) >= CLIP_NAME_SIZE) {
        (void)err_add_line(e, ERR_DATA, "%s:%zu: clip name '%s' is not 1 to %d characters long",
                           tsv_name(t), tsv_line(t, row), clip, CLIP_NAME_SIZE - 1);
        return false;
    }
    memset(out, 0, CLIP_NAME_SIZE);
    memcpy(out, clip, strlen(clip));
    if (clip_name_ok((const uint8_t *)out))
        return true;
    (void)err_add_line(e, ERR_DATA,
                       "%s:%zu: clip name '%s' has other characters than A-Z a-z 0-9 _ -",
                       tsv_name(t), tsv_line(t, row), clip);
    return false;
}

static bool cell_part(enum part *out, const struct tsv *t, size_t row, struct err *e)
{
    const char *part = tsv_cell(t, row, tsv_column(t, "part"));

    for (int p = 0; p < N_PARTS; p++)
        if (strcmp(part, part_names[p]) == 0) {
            *out = (enum part)p;
            return true;
        }
    (void)err_add_line(e, ERR_DATA, "%s:%zu: part '%s' is not train, val or test", tsv_name(t),
                       tsv_line(t, row), part);
    return false;
}

static enum err_code no_twins(const struct tsv *t, struct err *e)
{
    struct tsv_index x = {0};

    TRY(tsv_index_init(&x, t, "clip", e));
    TRY(tsv_index_unique(&x, e));
out:
    tsv_index_free(&x);
    return e->code;
}

/* ---- reading and writing ---- */

/* scheme and fold are columns of which every row says the same. */
static enum err_code read_origin(struct split_table *out, const struct tsv *t, struct err *e)
{
    int scheme = tsv_column(t, "scheme"), fold = tsv_column(t, "fold");
    int32_t number = 0;

    snprintf(out->scheme, sizeof out->scheme, "table");
    out->fold = 0;
    if (tsv_rows(t) == 0)
        return ERR_OK;
    if (scheme >= 0) {
        snprintf(out->scheme, sizeof out->scheme, "%s", tsv_cell(t, 0, scheme));
        if (strlen(tsv_cell(t, 0, scheme)) >= SCHEME_NAME_SIZE)
            (void)err_add_line(e, ERR_DATA, "%s:%zu: scheme '%s' has more than %d characters",
                               tsv_name(t), tsv_line(t, 0), tsv_cell(t, 0, scheme),
                               SCHEME_NAME_SIZE - 1);
    }
    if (fold >= 0 && cell_int(&number, t, 0, "fold", FOLD_MAX, e))
        out->fold = number;
    for (size_t i = 0; i < tsv_rows(t); i++)
        if ((scheme >= 0 && strcmp(tsv_cell(t, i, scheme), tsv_cell(t, 0, scheme)) != 0) ||
            (fold >= 0 && strcmp(tsv_cell(t, i, fold), tsv_cell(t, 0, fold)) != 0))
            (void)err_add_line(e, ERR_DATA, "%s:%zu: scheme or fold differs from the first row",
                               tsv_name(t), tsv_line(t, i));
    return e->code;
}

const char *const split_table_columns[] = {"clip", "actor", "label", "part", NULL};

enum err_code split_table_read(struct split_table *out, const char *path, struct err *e)
{
    struct tsv *t = NULL;

    *out = (struct split_table){0};
    TRY(tsv_read(&t, path, "split", split_table_columns, e));
    TRY(split_table_take(out, t, e));
out:
    return e->code;
}

enum err_code split_table_take(struct split_table *out, struct tsv *t, struct err *e)
{
    *out = (struct split_table){0};
    TRY(no_twins(t, e));
    TRY(read_origin(out, t, e));
    snprintf(out->digest, sizeof out->digest, "%s", tsv_digest(t));
    for (size_t i = 0; i < tsv_rows(t); i++) {
        struct split_row row = {0};

        if (cell_clip(row.clip, t, i, e) && cell_int(&row.actor, t, i, "actor", ACTOR_MAX, e) &&
            cell_int(&row.label, t, i, "label", N_EMOTIONS - 1, e) && cell_part(&row.part, t, i, e))
            TRY(split_table_add(out, &row, e));
    }
out:
    tsv_free(t);
    if (e->code != ERR_OK)
        split_table_free(out);
    return e->code;
}

enum err_code split_table_write(const struct split_table *t, const char *path, bool force,
                                struct err *e)
{
    struct atomic_file *f = NULL;

    TRY(atomic_file_open(&f, path, force, e));
    TRY(atomic_file_printf(f, e, "#synib-split 1\nclip\tactor\tlabel\tpart\tscheme\tfold\n"));
    for (size_t i = 0; i < t->count; i++)
        TRY(atomic_file_printf(f, e, "%s\t%" PRId32 "\t%" PRId32 "\t%s\t%s\t%d\n", t->row[i].clip,
                               t->row[i].actor, t->row[i].label, part_names[t->row[i].part],
                               t->scheme, t->fold));
    {
        struct atomic_file *done = f;

        f = NULL;
        TRY(atomic_file_commit(done, e));
    }
out:
    atomic_file_abort(f);
    return e->code;
}

/* ---- the authors' partitions ---- */

static enum err_code reference_row(struct split_table *out, const struct tsv *order, size_t i,
                                   const struct tsv_index *actors, int column, struct err *e)
{
    struct split_row row = {0};
    struct clip_name name;
    char actor[16];
    const char *part;
    size_t first;

    if (!cell_clip(row.clip, order, i, e))
        return e->code;
    if (!clip_name_parse(&name, row.clip, NULL))
        return err_add_line(e, ERR_DATA, "%s:%zu: '%s' is not a clip name", tsv_name(order),
                            tsv_line(order, i), row.clip);
    row.actor = name.actor;
    row.label = name.label;
    snprintf(actor, sizeof actor, "%" PRId32, row.actor);
    if (tsv_index_find(actors, actor, &first) != 1)
        return err_add_line(e, ERR_DATA, "%s: actor %s of %s is not there exactly once",
                            tsv_name(actors->table), actor, tsv_name(order));
    part = tsv_cell(actors->table, actors->row[first], column);
    for (int p = 0; p < N_PARTS; p++)
        if (strcmp(part, part_names[p]) == 0) {
            row.part = (enum part)p;
            return split_table_add(out, &row, e);
        }
    return err_add_line(e, ERR_DATA, "%s:%zu: part '%s' is not train, val or test",
                        tsv_name(actors->table), tsv_line(actors->table, actors->row[first]), part);
}

enum err_code split_table_reference(struct split_table *out, const char *manifests, int fold,
                                    struct err *e)
{
    static const char *const clip_column[] = {"clip", NULL}, *const actor_column[] = {"actor",
                                                                                      NULL};
    struct tsv *order = NULL, *folds = NULL;
    struct tsv_index actors = {0};
    char name[24];

    *out = (struct split_table){.scheme = "reference", .fold = fold};
    TRY(manifests_read(&order, manifests, "cremad-consensus.tsv", "consensus", clip_column, e));
    TRY(manifests_read(&folds, manifests, "folds-reference.tsv", "folds", actor_column, e));
    TRY(no_twins(order, e));
    TRY(tsv_index_init(&actors, folds, "actor", e));
    snprintf(name, sizeof name, "fold%d", fold);
    if (tsv_column(folds, name) < 0)
        FAIL(err_set(e, ERR_USAGE, "--fold: the reference has no fold %d", fold));
    for (size_t i = 0; i < tsv_rows(order); i++)
        (void)reference_row(out, order, i, &actors, tsv_column(folds, name), e);
out:
    tsv_index_free(&actors);
    tsv_free(folds);
    tsv_free(order);
    if (e->code != ERR_OK)
        split_table_free(out);
    return e->code;
}

/* ---- counts ---- */

struct seat {
    int32_t actor;
    enum part part;
};

static int by_seat(const void *a, const void *b)
{
    const struct seat *x = a, *y = b;

    if (x->actor != y->actor)
        return (x->actor > y->actor) - (x->actor < y->actor);
    return (x->part > y->part) - (x->part < y->part);
}

/* Rows as (actor, part), sorted. */
static enum err_code seats_new(struct seat **out, const struct split_table *t, struct err *e)
{
    TRY(mem_array(out, t->count, sizeof **out, "split", e));
    for (size_t i = 0; i < t->count; i++)
        (*out)[i] = (struct seat){t->row[i].actor, t->row[i].part};
    if (t->count > 0)
        qsort(*out, t->count, sizeof **out, by_seat);
out:
    return e->code;
}

/* Counts actor seats[i]'s clips per part; returns the first position of the next actor. */
static size_t count_actor(size_t clips[N_PARTS], const struct seat *seats, size_t i, size_t n)
{
    int32_t actor = seats[i].actor;

    memset(clips, 0, N_PARTS * sizeof *clips);
    for (; i < n && seats[i].actor == actor; i++)
        clips[seats[i].part]++;
    return i;
}

static void describe_parts(char *text, size_t size, const size_t clips[N_PARTS])
{
    const char *glue = "";
    size_t at = 0;

    for (int p = 0; p < N_PARTS; p++)
        if (clips[p] > 0) {
            at += (size_t)snprintf(text + at, size - at, "%s%s", glue, part_names[p]);
            glue = " and ";
        }
    glue = " (";
    for (int p = 0; p < N_PARTS; p++)
        if (clips[p] > 0) {
            at += (size_t)snprintf(text + at, size - at, "%s%zu", glue, clips[p]);
            glue = " + ";
        }
    snprintf(text + at, size - at, " clips)");
}

enum err_code split_table_check_speakers(const struct split_table *t, const char *name,
                                         size_t *actors, struct err *e)
{
    struct seat *seats = NULL;
    size_t clips[N_PARTS];
    size_t found = 0;

    TRY(seats_new(&seats, t, e));
    for (size_t i = 0; i < t->count;) {
        int32_t actor = seats[i].actor;
        char where[128];

        i = count_actor(clips, seats, i, t->count);
        if ((clips[PART_TRAIN] > 0) + (clips[PART_VAL] > 0) + (clips[PART_TEST] > 0) < 2)
            continue;
        found++;
        describe_parts(where, sizeof where, clips);
        (void)err_add_line(e, ERR_DATA, "%s: actor %" PRId32 " in %s", name, actor, where);
    }
out:
    if (actors != NULL)
        *actors = found;
    free(seats);
    return e->code;
}

enum err_code split_table_count(const struct split_table *t, struct part_counts counts[N_PARTS],
                                struct err *e)
{
    struct seat *seats = NULL;
    size_t clips[N_PARTS];

    memset(counts, 0, N_PARTS * sizeof *counts);
    TRY(seats_new(&seats, t, e));
    for (size_t i = 0; i < t->count; i++) {
        counts[t->row[i].part].clips++;
        counts[t->row[i].part].label[t->row[i].label]++;
    }
    for (size_t i = 0; i < t->count;) {
        i = count_actor(clips, seats, i, t->count);
        for (int p = 0; p < N_PARTS; p++)
            counts[p].speakers += clips[p] > 0;
    }
out:
    free(seats);
    return e->code;
}

/* ---- clips manifests ---- */

static int by_clip(const void *a, const void *b)
{
    return strcmp(((const struct corpus_clip *)a)->clip, ((const struct corpus_clip *)b)->clip);
}

static void take_clip(struct corpus *c, size_t i, struct err *e)
{
    const struct tsv *t = c->table;
    const char *verdict = tsv_cell(t, i, tsv_column(t, "verdict"));
    struct corpus_clip row = {.reason = tsv_cell(t, i, tsv_column(t, "reason"))};

    row.rejected = strcmp(verdict, "rejected") == 0;
    if (!row.rejected && strcmp(verdict, "accepted") != 0 && strcmp(verdict, "flagged") != 0) {
        (void)err_add_line(e, ERR_DATA, "%s:%zu: verdict '%s' is not accepted, flagged or rejected",
                           tsv_name(t), tsv_line(t, i), verdict);
        return;
    }
    /* A misnamed file has no actor and may have a name of any length. */
    if (row.rejected && tsv_cell(t, i, tsv_column(t, "actor"))[0] == '\0') {
        c->misnamed++;
        return;
    }
    if (!cell_clip(row.clip, t, i, e) || !cell_int(&row.actor, t, i, "actor", ACTOR_MAX, e) ||
        !cell_int(&row.label, t, i, "label", N_EMOTIONS - 1, e))
        return;
    c->accepted += !row.rejected;
    c->clip[c->count++] = row;
}

const char *const corpus_columns[] = {"clip", "actor", "label", "verdict", "reason", NULL};

enum err_code corpus_read(struct corpus *c, const char *path, struct err *e)
{
    struct tsv *t = NULL;

    *c = (struct corpus){0};
    TRY(tsv_read(&t, path, "clips", corpus_columns, e));
    TRY(corpus_take(c, t, e));
out:
    return e->code;
}

enum err_code corpus_take(struct corpus *c, struct tsv *t, struct err *e)
{
    *c = (struct corpus){.table = t};
    TRY(no_twins(c->table, e));
    TRY(mem_array(&c->clip, tsv_rows(c->table), sizeof *c->clip, "clips", e));
    for (size_t i = 0; i < tsv_rows(c->table); i++)
        take_clip(c, i, e);
    if (c->count > 0)
        qsort(c->clip, c->count, sizeof *c->clip, by_clip);
out:
    if (e->code != ERR_OK)
        corpus_free(c);
    return e->code;
}

void corpus_free(struct corpus *c)
{
    tsv_free(c->table);
    free(c->clip);
    *c = (struct corpus){0};
}

const struct corpus_clip *corpus_find(const struct corpus *c, const char *clip)
{
    size_t low = 0, high = c->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(c->clip[mid].clip, clip);

        if (order == 0)
            return &c->clip[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}
