/* SPDX-License-Identifier: MIT */
#include "train/report/clips.h"

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/data/tsv.h"
#include "train/run_dir.h"

#include <stdlib.h>
#include <string.h>

enum { LEVELS = 4, MOST_ROWS = 200 };

void report_clips_free(struct report_clips *c)
{
    tsv_free(c->clips);
    for (size_t i = 0; i < c->n; i++)
        tsv_free(c->left[i]);
    free(c->left);
    memset(c, 0, sizeof *c);
}

/* DIR/NAME, unless the same content is there already or the file is not. */
static enum err_code add_left(struct report_clips *c, const char *dir, const char *name,
                              const char *kind, struct err *e)
{
    static const char *const columns[] = {"clip", "reason", NULL};
    struct tsv *t = NULL;
    char *path = NULL;

    if (!run_has(dir, name))
        return ERR_OK;
    TRY(path_join(&path, dir, name, e));
    TRY(tsv_read(&t, path, kind, columns, e));
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(tsv_digest(c->left[i]), tsv_digest(t)) == 0)
            goto out;
    TRY(mem_grow(&c->left, &c->cap, c->n + 1, sizeof(struct tsv *), "manifests", e));
    c->left[c->n++] = t;
    t = NULL;
out:
    tsv_free(t);
    free(path);
    return e->code;
}

static enum err_code read_clips(struct report_clips *c, const char *path, struct err *e)
{
    static const char *const columns[] = {"clip", "verdict", "reason", "checked", NULL};

    return c->clips != NULL ? ERR_OK : tsv_read(&c->clips, path, "clips", columns, e);
}

/* A folder that holds sets: clips.tsv, and rejected.tsv of the base sets in it. */
static enum err_code look_in(struct report_clips *c, const char *dir, struct err *e)
{
    struct name_list names = {0};
    char *path = NULL;

    TRY(path_join(&path, dir, "clips.tsv", e));
    if (run_has(dir, "clips.tsv"))
        TRY(read_clips(c, path, e));
    TRY(dir_list(&names, dir, "", e));
    for (size_t i = 0; i < names.count; i++) {
        free(path);
        path = NULL;
        TRY(path_join(&path, dir, names.name[i], e));
        if (run_has(path, "index.jsonl"))
            TRY(add_left(c, path, "rejected.tsv", "rejected", e));
    }
out:
    name_list_free(&names);
    free(path);
    return e->code;
}

static enum err_code look_above(struct report_clips *c, const char *dir, struct err *e)
{
    char *at = NULL, *above;

    TRY(mem_string(&at, dir, e));
    for (int level = 0; level < LEVELS; level++) {
        TRY(look_in(c, at, e));
        TRY(path_join(&above, at, "..", e));
        free(at);
        at = above;
    }
out:
    free(at);
    return e->code;
}

enum err_code report_clips_read(struct report_clips *c, const char *file,
                                const struct report_set *set, size_t sets, struct err *e)
{
    if (file != NULL)
        TRY(read_clips(c, file, e));
    for (size_t i = 0; i < sets; i++) {
        if (set[i].vectors)
            continue;
        TRY(add_left(c, set[i].dir, "dropped.tsv", "dropped", e));
        TRY(look_above(c, set[i].dir, e));
    }
out:
    return e->code;
}

static size_t count_cells(const struct tsv *t, const char *column, const char *value)
{
    size_t n = 0;

    for (size_t i = 0; i < tsv_rows(t); i++)
        n += strcmp(tsv_cell(t, i, tsv_column(t, column)), value) == 0;
    return n;
}

void report_clips_say(const struct report_clips *c, struct doc *d)
{
    size_t rows, official, corpus;

    if (c->clips == NULL) {
        doc_add(d, DOC_TEXT,
                "Whether the media are CREMA-D's is not known here: there is no clips.tsv at hand "
                "(--clips FILE).");
        return;
    }
    rows = tsv_rows(c->clips);
    official = count_cells(c->clips, "checked", "official");
    corpus = count_cells(c->clips, "checked", "corpus");
    if (official == rows)
        doc_add(d, DOC_TEXT,
                "The media were compared with the digests of the official CREMA-D files.");
    else
        doc_add(d, DOC_WARNING,
                "These media are not known to be CREMA-D: of %zu clips %zu were compared with the "
                "official digests and %zu with a list that came with the corpus, as that of a "
                "synthetic corpus does. On a synthetic corpus the numbers say that the machinery "
                "works, not what a method scores on CREMA-D.",
                rows, official, corpus);
}

/* ---- rejected clips ---- */

static bool is_rejected(const struct tsv *t, size_t row)
{
    return strcmp(tsv_cell(t, row, tsv_column(t, "verdict")), "rejected") == 0;
}

/* A row of rejected.tsv that repeats what the scan said. */
static bool is_repeated(const struct tsv *t, size_t row)
{
    int step = tsv_column(t, "step");

    return step >= 0 && strcmp(tsv_cell(t, row, step), "scan") == 0;
}

static const char *step_of(const struct tsv *t, size_t row)
{
    int step = tsv_column(t, "step");

    return step >= 0 ? tsv_cell(t, row, step) : "irony";
}

static void put_row(struct grid *g, int *y, const char *step, const struct tsv *t, size_t row)
{
    if (*y >= g->rows)
        return;
    grid_set(g, *y, 0, "%s", tsv_cell(t, row, tsv_column(t, "clip")));
    grid_set(g, *y, 1, "%s", step);
    grid_set(g, (*y)++, 2, "%s", tsv_cell(t, row, tsv_column(t, "reason")));
}

static size_t count_rejected(const struct report_clips *c)
{
    size_t n = c->clips != NULL ? count_cells(c->clips, "verdict", "rejected") : 0;

    for (size_t i = 0; i < c->n; i++)
        for (size_t row = 0; row < tsv_rows(c->left[i]); row++)
            n += c->clips == NULL || !is_repeated(c->left[i], row);
    return n;
}

enum err_code report_clips_add(const struct report_clips *c, struct doc *d, struct err *e)
{
    size_t n = count_rejected(c);
    struct grid *g;
    int y = 1;

    doc_add(d, DOC_SECTION, "Rejected clips");
    if (c->clips != NULL)
        doc_add(d, DOC_TEXT, "Of %zu clips the scan accepted %zu, flagged %zu and rejected %zu.",
                tsv_rows(c->clips), count_cells(c->clips, "verdict", "accepted"),
                count_cells(c->clips, "verdict", "flagged"),
                count_cells(c->clips, "verdict", "rejected"));
    if (n == 0) {
        doc_add(d, DOC_TEXT,
                c->clips == NULL && c->n == 0 ? "No clips.tsv, rejected.tsv or dropped.tsv at hand."
                                              : "No clip was rejected on the way to the datasets.");
        goto out;
    }
    TRY(doc_grid(d, &g, NULL, (int)(n < MOST_ROWS ? n : MOST_ROWS) + 1, 3,
                 "Clips that did not get into the datasets", e));
    grid_set(g, 0, 0, "clip");
    grid_set(g, 0, 1, "step");
    grid_set(g, 0, 2, "reason");
    for (size_t row = 0; c->clips != NULL && row < tsv_rows(c->clips); row++)
        if (is_rejected(c->clips, row))
            put_row(g, &y, "scan", c->clips, row);
    for (size_t i = 0; i < c->n; i++)
        for (size_t row = 0; row < tsv_rows(c->left[i]); row++)
            if (c->clips == NULL || !is_repeated(c->left[i], row))
                put_row(g, &y, step_of(c->left[i], row), c->left[i], row);
    if (n > MOST_ROWS)
        doc_add(d, DOC_TEXT, "And %zu more.", n - MOST_ROWS);
out:
    return e->code;
}
