/* SPDX-License-Identifier: MIT */
#include "train/report/report.h"

#include "common/base/mem.h"
#include "train/report/label.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- split audit ---- */

static void set_split(struct grid *g, int y, int s, const struct report_set *set)
{
    if (set->vectors)
        grid_set(g, y, 2 + s, "%lld samples", (long long)set->clips[s]);
    else
        grid_set(g, y, 2 + s, "%lld actors\n%lld clips\n%lld irony", (long long)set->actors[s],
                 (long long)set->clips[s], (long long)set->irony[s]);
}

static const char *column_of_set(const struct report *r, size_t set)
{
    for (size_t i = 0; i < r->all; i++)
        if (r->run[i].data == (int)set)
            return r->column[r->run[i].column].label;
    return r->set[set].kind;
}

static void warn_overlap(struct doc *d, const char *name, const struct report_set *s)
{
    for (int k = 0; k < REPORT_SPLITS; k++)
        if (s->shared_actors[k] > 0 || s->shared_clips[k] > 0)
            doc_add(d, DOC_WARNING,
                    "%s, %s: %s and %s share %lld actors and %lld clips. Numbers on it are not of "
                    "unseen speakers.",
                    name, s->origin, report_split_names[k],
                    report_split_names[(k + 1) % REPORT_SPLITS], (long long)s->shared_actors[k],
                    (long long)s->shared_clips[k]);
    if (s->strange_voices > 0)
        doc_add(d, DOC_WARNING, "%s, %s: %lld voices are of clips outside their own split.", name,
                s->origin, (long long)s->strange_voices);
}

enum err_code report_add_audit(const struct report *r, struct doc *d, struct err *e)
{
    struct grid *g;

    doc_add(d, DOC_SECTION, "Split audit");
    if (r->sets == 0) {
        doc_add(d, DOC_TEXT, "The datasets are not at hand: nothing could be audited.");
        goto out;
    }
    doc_add(d, DOC_TEXT,
            "Counted anew from the shards. No actor and no clip may be in two splits of a dataset, "
            "and every voice must come from a clip of the split it is heard in.");
    for (size_t i = 0; i < r->sets; i++)
        warn_overlap(d, column_of_set(r, i), &r->set[i]);
    TRY(doc_grid(d, &g, NULL, (int)r->sets + 1, 7,
                 "Datasets: what is in their splits, and what splits share", e));
    for (int k = 0; k < 7; k++)
        grid_set(g, 0, k, "%s",
                 (const char *const[]){"data", "made by", "train", "val", "test",
                                       "actors in two splits", "test digest"}[k]);
    for (size_t i = 0; i < r->sets; i++) {
        const struct report_set *s = &r->set[i];

        grid_set(g, (int)i + 1, 0, "%s", column_of_set(r, i));
        grid_set(g, (int)i + 1, 1, "%s", s->origin);
        for (int k = 0; k < REPORT_SPLITS; k++)
            set_split(g, (int)i + 1, k, s);
        if (s->vectors)
            grid_set(g, (int)i + 1, 5, "—");
        else
            grid_set(g, (int)i + 1, 5, "%lld",
                     (long long)(s->shared_actors[0] + s->shared_actors[1] + s->shared_actors[2]));
        grid_set(g, (int)i + 1, 6, "%.12s", s->digest[SPLIT_TEST]);
    }
out:
    return e->code;
}

/* ---- settings ---- */

/* Every key of the settings of any row, in order of first appearance. */
struct keys {
    const char **key; /* into the settings' texts */
    size_t *len, n, cap, len_cap;
};

static bool has_key(const struct keys *k, const char *key, size_t len)
{
    for (size_t i = 0; i < k->n; i++)
        if (k->len[i] == len && memcmp(k->key[i], key, len) == 0)
            return true;
    return false;
}

static enum err_code add_keys(struct keys *k, const char *text, struct err *e)
{
    for (const char *p = text, *end; *p != '\0'; p = end + (*end == '\n')) {
        const char *equals = strstr(p, " = ");

        end = strchrnul(p, '\n');
        if (equals == NULL || equals > end || has_key(k, p, (size_t)(equals - p)))
            continue;
        TRY(mem_grow(&k->key, &k->cap, k->n + 1, sizeof *k->key, "settings", e));
        TRY(mem_grow(&k->len, &k->len_cap, k->n + 1, sizeof *k->len, "settings", e));
        k->key[k->n] = p;
        k->len[k->n++] = (size_t)(equals - p);
    }
out:
    return e->code;
}

/* True when every row that has the key has one and the same value. */
static bool is_common(char *const *text, int rows, const char *key, size_t len)
{
    const char *first = NULL;
    size_t first_len = 0;

    for (int row = 0; row < rows; row++) {
        size_t n;
        const char *value = label_find(text[row], key, len, &n);

        if (value == NULL)
            continue;
        if (first != NULL && (n != first_len || memcmp(first, value, n) != 0))
            return false;
        first = value;
        first_len = n;
    }
    return true;
}

/* All rows' value in one line, or one column per row. */
static enum err_code add_settings(const struct report *r, struct doc *d, const struct keys *k,
                                  char *const *text, bool common, struct err *e)
{
    int y = 1, n = 0, columns = common ? 2 : r->rows + 1;
    struct grid *g;

    for (size_t i = 0; i < k->n; i++)
        n += is_common(text, r->rows, k->key[i], k->len[i]) == common;
    if (n == 0)
        return ERR_OK;
    TRY(doc_grid(d, &g, NULL, n + 1, columns,
                 common ? "Settings with one value wherever they apply"
                        : "Settings that differ between methods",
                 e));
    grid_set(g, 0, 0, "setting");
    for (int c = 1; c < columns; c++)
        grid_set(g, 0, c, "%s", common ? "value" : r->row[c - 1].label);
    for (size_t i = 0; i < k->n; i++) {
        if (is_common(text, r->rows, k->key[i], k->len[i]) != common)
            continue;
        grid_set(g, y, 0, "%.*s", (int)k->len[i], k->key[i]);
        for (int row = 0; row < r->rows; row++) {
            size_t len;
            const char *value = label_find(text[row], k->key[i], k->len[i], &len);

            if (value != NULL || !common)
                grid_set(g, y, common ? 1 : row + 1, "%.*s", (int)len, value != NULL ? value : "");
        }
        y++;
    }
out:
    return e->code;
}

/* The settings of a row: equal for all its runs, by the rule of labels. */
static enum err_code row_settings(char **text, const struct report *r, int row, struct err *e)
{
    for (size_t i = 0; i < r->all; i++)
        if (r->run[i].row == row)
            return label_settings(text, r->run[i].identity, e);
    return mem_string(text, "", e);
}

static enum err_code add_all_settings(const struct report *r, struct doc *d, struct err *e)
{
    struct keys keys = {0};
    char **text = NULL;

    TRY(mem_array(&text, (size_t)r->rows, sizeof *text, "settings", e));
    for (int row = 0; row < r->rows; row++) {
        TRY(row_settings(&text[row], r, row, e));
        TRY(add_keys(&keys, text[row], e));
    }
    TRY(add_settings(r, d, &keys, text, true, e));
    TRY(add_settings(r, d, &keys, text, false, e));
out:
    for (int row = 0; text != NULL && row < r->rows; row++)
        free(text[row]);
    free(text);
    free(keys.key);
    free(keys.len);
    return e->code;
}

/* ---- runs ---- */

static enum err_code add_missing(const struct report *r, struct doc *d, struct err *e)
{
    struct grid *g;

    if (r->n == r->all)
        return ERR_OK;
    TRY(doc_grid(d, &g, NULL, (int)(r->all - r->n) + 1, 3, "Runs that do not count", e));
    grid_set(g, 0, 0, "run");
    grid_set(g, 0, 1, "method");
    grid_set(g, 0, 2, "why");
    for (size_t i = r->n; i < r->all; i++) {
        grid_set(g, (int)(i - r->n) + 1, 0, "%s", r->run[i].name);
        grid_set(g, (int)(i - r->n) + 1, 1, "%s",
                 r->run[i].row >= 0 ? r->row[r->run[i].row].label : "—");
        grid_set(g, (int)(i - r->n) + 1, 2, "%s", r->run[i].missing);
    }
out:
    return e->code;
}

static enum err_code add_runs(const struct report *r, struct doc *d, struct err *e)
{
    static const char *const titles[] = {"run",  "method",      "data",
                                         "seed", "epochs",      "best epoch",
                                         "init", "test digest", "best.safetensors, SHA-256"};
    enum { COLUMNS = sizeof titles / sizeof titles[0] };
    struct grid *g;

    TRY(doc_grid(d, &g, NULL, (int)r->n + 1, COLUMNS, "Runs", e));
    for (int k = 0; k < COLUMNS; k++)
        grid_set(g, 0, k, "%s", titles[k]);
    for (size_t i = 0; i < r->n; i++) {
        const struct report_run *run = &r->run[i];
        int y = (int)i + 1;
        size_t audio_len, video_len;
        const char *audio = label_find(run->identity, "init.audio", 10, &audio_len);
        const char *video = label_find(run->identity, "init.video", 10, &video_len);

        grid_set(g, y, 0, "%s", run->name);
        grid_set(g, y, 1, "%s", r->row[run->row].label);
        grid_set(g, y, 2, "%s", r->column[run->column].label);
        grid_set(g, y, 3, "%" PRIu64, run->seed);
        grid_set(g, y, 4, "%lld", (long long)run->epochs);
        grid_set(g, y, 5, "%lld", (long long)run->best_epoch);
        if (audio != NULL && video != NULL)
            grid_set(g, y, 6, "%.8s\n%.8s", audio, video);
        else
            grid_set(g, y, 6, "—");
        grid_set(g, y, 7, "%.12s", run->test);
        grid_set(g, y, 8, "%s", run->checkpoint);
    }
out:
    return e->code;
}

/* Distinct pairs of tool and machine. */
static void add_machines(const struct report *r, struct doc *d)
{
    for (size_t i = 0; i < r->n; i++) {
        size_t first = 0, n = 0;

        for (size_t j = 0; j < r->n; j++) {
            bool same = strcmp(r->run[j].tool, r->run[i].tool) == 0 &&
                        strcmp(r->run[j].machine, r->run[i].machine) == 0;

            if (same && n++ == 0)
                first = j;
        }
        if (first == i)
            doc_add(d, DOC_TEXT, "%zu of %zu runs: %s on %s.", n, r->n, r->run[i].tool,
                    r->run[i].machine);
    }
}

enum err_code report_add_provenance(const struct report *r, struct doc *d, struct err *e)
{
    doc_add(d, DOC_SECTION, "Provenance");
    add_machines(r, d);
    TRY(add_missing(r, d, e));
    TRY(add_runs(r, d, e));
    TRY(add_all_settings(r, d, e));
    doc_add(d, DOC_TEXT,
            "synib-report %s, bootstrap seed %" PRIu64 ". docs/formats/report.md says how every "
            "number is made.",
            cli_version, r->opt->cli.seed);
out:
    return e->code;
}
