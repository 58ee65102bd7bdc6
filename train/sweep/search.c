/* SPDX-License-Identifier: MIT */
#include "train/sweep/search.h"

#include "common/base/cli.h"
#include "common/base/mem.h"
#include "common/base/text_stream.h"
#include "train/sweep/dimension.h"
#include "train/sweep/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FAULTS = 20, NAME_SIZE = 512, CELL_SIZE = 16384 };

/* One row: runs for every point of its lists, draw of its distributions, and seed. */
struct search_row {
    struct plan_run base; /* its cells as they stand in the file */
    int dims;
    struct dimension dim[PLAN_SETTINGS];
    bool random;
    size_t grid;    /* points of the lists together */
    uint32_t *draw; /* [draws] the numbers of those that give values of their own */
    size_t draws;   /* 1 without anything to draw */
    uint64_t *seed; /* [seeds] */
    size_t seeds;
    bool one_seed; /* given as a single number */
};

/* A run's name and the line that it comes from. */
struct named {
    char *name;
    size_t line;
};

struct search {
    const struct search_options *opt;
    struct tsv *tsv;
    size_t rows;
    struct search_row *row;
    bool groups; /* has a column "group" */
    size_t runs;
    struct named *name; /* [runs] */
    size_t named;
    FILE *out;
};

/* ---- reading ---- */

static enum err_code add_seeds(struct search_row *r, size_t *cap, uint64_t from, uint64_t to,
                               struct err *e)
{
    if (from > to || (r->seeds > 0 && from <= r->seed[r->seeds - 1]))
        return err_set(e, ERR_DATA, "they do not rise");
    if (to - from >= SEARCH_RUNS - r->seeds)
        return err_set(e, ERR_DATA, "more than %d", SEARCH_RUNS);
    for (uint64_t i = 0; i <= to - from; i++) {
        TRY(mem_grow(&r->seed, cap, r->seeds + 1, sizeof *r->seed, "search", e));
        r->seed[r->seeds++] = from + i;
    }
out:
    return e->code;
}

/* "3", "0-4", "0,2,5-7". */
static enum err_code read_seeds(struct search_row *r, struct err *e)
{
    const char *cell = r->base.cell[PLAN_SEED];
    char *text = NULL, *rest, *part;
    size_t cap = 0;

    r->one_seed = strpbrk(cell, ",-") == NULL;
    TRY(mem_string(&text, cell, e));
    rest = text;
    while ((part = strsep(&rest, ",")) != NULL) {
        char *dash = strchr(part, '-');
        uint64_t from, to;

        if (dash != NULL)
            *dash = '\0';
        TRY(plan_seed(&from, part, e));
        to = from;
        if (dash != NULL)
            TRY(plan_seed(&to, dash + 1, e));
        TRY(add_seeds(r, &cap, from, to, e));
    }
out:
    free(text);
    return err_in(e, "seeds %s", cell);
}

/* The words of the settings as dimensions; plan_run_read says more about each run. */
static enum err_code read_dimensions(struct search_row *r, struct err *e)
{
    char *text = NULL, *rest, *word;

    r->grid = 1;
    TRY(mem_string(&text, r->base.cell[PLAN_SET], e));
    rest = text[0] != '\0' ? text : NULL;
    while ((word = strsep(&rest, " ")) != NULL) {
        struct dimension *d = &r->dim[r->dims];

        if (r->dims == PLAN_SETTINGS)
            FAIL(err_set(e, ERR_DATA, "settings: more than %d", PLAN_SETTINGS));
        if (word[0] == '\0')
            FAIL(err_set(e, ERR_DATA, "settings: one space between them, none at the ends"));
        r->dims++;
        TRY(dimension_read(d, word, e));
        r->random = r->random || dimension_is_random(d);
        if (d->kind == DIM_GRID)
            r->grid *= d->values;
        if (r->grid > SEARCH_RUNS)
            FAIL(err_set(e, ERR_DATA, "more than %d runs", SEARCH_RUNS));
    }
out:
    free(text);
    return e->code;
}

/* ---- draws ---- */

struct drawn {
    char *values;
    uint32_t number;
};

static int compare_drawn(const void *a, const void *b)
{
    const struct drawn *x = a, *y = b;
    int order = strcmp(x->values, y->values);

    return order != 0 ? order : (x->number > y->number) - (x->number < y->number);
}

static int compare_numbers(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* All random values of one draw, one after the other. */
static enum err_code draw_values(char **values, const struct search_row *r, uint64_t seed,
                                 uint32_t draw, struct err *e)
{
    char text[CELL_SIZE], buffer[DIMENSION_TEXT];
    size_t n = 0;

    text[0] = '\0';
    for (int i = 0; i < r->dims; i++)
        if (dimension_is_random(&r->dim[i]) && n < sizeof text)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s ",
                                  dimension_draw(&r->dim[i], seed, draw, buffer));
    return mem_string(values, text, e);
}

/* Leaves out a draw whose values an earlier one has: it would be the same run again. */
static enum err_code choose_draws(struct search_row *r, const struct search_options *opt,
                                  struct err *e)
{
    size_t n = r->random ? (size_t)opt->draws : 1;
    struct drawn *all = NULL;

    TRY(mem_array(&r->draw, n, sizeof *r->draw, "search", e));
    TRY(mem_array(&all, n, sizeof *all, "search", e));
    for (size_t i = 0; i < n; i++) {
        all[i].number = (uint32_t)i;
        TRY(draw_values(&all[i].values, r, opt->seed, (uint32_t)i, e));
    }
    qsort(all, n, sizeof *all, compare_drawn);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(all[i - 1].values, all[i].values) != 0)
            r->draw[r->draws++] = all[i].number;
    qsort(r->draw, r->draws, sizeof *r->draw, compare_numbers);
out:
    for (size_t i = 0; all != NULL && i < n; i++)
        free(all[i].values);
    free(all);
    return e->code;
}

/* ---- runs ---- */

/* Appends "key=value" to settings of n characters; false when they do not fit. */
static bool put_setting(char settings[CELL_SIZE], size_t *n, const char *key, const char *value)
{
    int more = snprintf(settings + *n, CELL_SIZE - *n, "%s%s=%s", *n > 0 ? " " : "", key, value);

    *n += (size_t)more;
    return *n < CELL_SIZE;
}

/* Settings of point `grid` of the lists, the last of them running fastest, at draw `draw`. */
static enum err_code point_settings(char settings[CELL_SIZE], const struct search_row *r,
                                    uint64_t seed, size_t grid, uint32_t draw, struct err *e)
{
    size_t index[PLAN_SETTINGS] = {0}, n = 0;
    char buffer[DIMENSION_TEXT];

    settings[0] = '\0';
    for (int i = r->dims; i-- > 0;)
        if (r->dim[i].kind == DIM_GRID) {
            index[i] = grid % r->dim[i].values;
            grid /= r->dim[i].values;
        }
    for (int i = 0; i < r->dims; i++) {
        const struct dimension *d = &r->dim[i];
        const char *value =
            dimension_is_random(d) ? dimension_draw(d, seed, draw, buffer) : d->value[index[i]];

        if (!put_setting(settings, &n, d->key, value))
            return err_set(e, ERR_DATA, "settings: more than %d characters", CELL_SIZE - 1);
    }
    return ERR_OK;
}

/* The row's cells with these three in their place, checked as a run of a plan, or its values only:
 * at an end of a distribution, which is hardly ever drawn, others may be without effect. */
static enum err_code check_run(const struct search_row *r, const char *name, const char *settings,
                               const char *seed, bool values_only, struct err *e)
{
    struct plan_run run = r->base;
    enum err_code rc;

    run.cell[PLAN_RUN] = name;
    run.cell[PLAN_SET] = settings;
    run.cell[PLAN_SEED] = seed;
    rc = values_only ? plan_run_values(&run, e) : plan_run_read(&run, e);
    plan_run_free(&run);
    return rc;
}

/* The row with its first seed, key `which` at its probe v and all others at their first. */
static enum err_code check_value(const struct search_row *r, int which, size_t v, struct err *e)
{
    char settings[CELL_SIZE] = "", buffer[DIMENSION_TEXT], seed[32];
    size_t n = 0;

    for (int i = 0; i < r->dims; i++)
        if (!put_setting(settings, &n, r->dim[i].key,
                         dimension_probe(&r->dim[i], i == which ? v : 0, buffer)))
            return err_set(e, ERR_DATA, "settings: more than %d characters", CELL_SIZE - 1);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)r->seed[0]);
    return check_run(r, r->base.cell[PLAN_RUN], settings, seed, r->random, e);
}

/* Every listed value and both ends of a distribution are values of their key, drawn or not. */
static enum err_code check_values(const struct search_row *r, struct err *e)
{
    TRY(check_value(r, 0, 0, e));
    for (int i = 0; i < r->dims; i++)
        for (size_t v = 1; v < dimension_probes(&r->dim[i]); v++)
            TRY(check_value(r, i, v, e));
out:
    return e->code;
}

static size_t digits_of(size_t n)
{
    size_t digits = 1;

    for (; n >= 10; n /= 10)
        digits++;
    return digits;
}

/* Adds one run to the plan. point: from 1; 0 where the row has one point only. Seeds rise, so of
 * those of a point the last has the longest name: with the first it is checked for all. */
static enum err_code put_run(struct search *s, const struct search_row *r, size_t point,
                             const char *settings, size_t which, struct err *e)
{
    const char *const *cell = r->base.cell;
    char name[NAME_SIZE], number[32] = "", seed_text[32], seed_name[40] = "";
    struct named *named = &s->name[s->named];

    snprintf(seed_text, sizeof seed_text, "%llu", (unsigned long long)r->seed[which]);
    if (point > 0)
        snprintf(number, sizeof number, "-%0*zu", (int)digits_of(r->grid * r->draws), point);
    if (!r->one_seed)
        snprintf(seed_name, sizeof seed_name, "_%s", seed_text);
    snprintf(name, sizeof name, "%.400s%s%s", cell[PLAN_RUN], number, seed_name);
    if (which == 0 || which + 1 == r->seeds)
        TRY(check_run(r, name, settings, seed_text, false, e));
    named->line = r->base.line;
    TRY(mem_string(&named->name, name, e));
    s->named++;
    fprintf(s->out, "%s\t%s\t%s\t%s\t%s\t%s\t%s", name, cell[PLAN_TASK], cell[PLAN_PRESET],
            cell[PLAN_METHOD], cell[PLAN_MASK], settings, seed_text);
    if (s->groups)
        fprintf(s->out, "\t%s", r->base.group);
    fprintf(s->out, "\n");
out:
    return e->code;
}

static enum err_code put_row(struct search *s, const struct search_row *r, struct err *e)
{
    size_t points = r->grid * r->draws;
    char settings[CELL_SIZE];

    for (size_t p = 0; p < points; p++) {
        TRY(point_settings(settings, r, s->opt->seed, p / r->draws, r->draw[p % r->draws], e));
        for (size_t i = 0; i < r->seeds; i++)
            TRY(put_run(s, r, points > 1 ? p + 1 : 0, settings, i, e));
    }
out:
    return e->code;
}

/* ---- the whole ---- */

/* All rows alone; counts their runs. */
static enum err_code read_rows(struct search *s, struct err *e)
{
    int faults = 0;

    for (size_t i = 0; i < s->rows && faults < MAX_FAULTS; i++) {
        struct search_row *r = &s->row[i];
        struct err why = {0};

        plan_run_cells(&r->base, s->tsv, i);
        if (read_seeds(r, &why) == ERR_OK && read_dimensions(r, &why) == ERR_OK &&
            check_values(r, &why) == ERR_OK)
            continue;
        err_add_line(e, plan_fault(&why), "%s:%zu: %s", s->opt->path, r->base.line, why.text);
        faults++;
    }
    return e->code;
}

/* --draws is there exactly when there is something to draw. */
static enum err_code check_draws(const struct search *s, struct err *e)
{
    bool random = false;

    for (size_t i = 0; i < s->rows; i++) {
        random = random || s->row[i].random;
        if (s->row[i].random && s->opt->draws == 0)
            return err_set(e, ERR_USAGE, "%s:%zu: has values to draw: give --draws N", s->opt->path,
                           s->row[i].base.line);
    }
    if (!random && s->opt->draws > 0)
        return err_set(e, ERR_USAGE, "--draws: %s has nothing to draw", s->opt->path);
    return ERR_OK;
}

static enum err_code count_runs(struct search *s, struct err *e)
{
    for (size_t i = 0; i < s->rows; i++) {
        struct search_row *r = &s->row[i];

        TRY(choose_draws(r, s->opt, e));
        /* no factor is above SEARCH_RUNS */
        if (r->grid * r->draws > SEARCH_RUNS ||
            r->grid * r->draws * r->seeds > SEARCH_RUNS - s->runs)
            return err_set(e, ERR_DATA, "%s:%zu: makes more than %d runs with those before it",
                           s->opt->path, r->base.line, SEARCH_RUNS);
        s->runs += r->grid * r->draws * r->seeds;
    }
out:
    return e->code;
}

static int compare_named(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

static enum err_code check_names(struct search *s, struct err *e)
{
    qsort(s->name, s->named, sizeof *s->name, compare_named);
    for (size_t i = 1; i < s->named; i++)
        if (strcmp(s->name[i - 1].name, s->name[i].name) == 0)
            return err_set(e, ERR_DATA, "%s: run '%s' comes from lines %zu and %zu", s->opt->path,
                           s->name[i].name, s->name[i - 1].line, s->name[i].line);
    return ERR_OK;
}

static enum err_code put_rows(struct search *s, struct err *e)
{
    int faults = 0;

    TRY(mem_array(&s->name, s->runs, sizeof *s->name, "search", e));
    fprintf(s->out, "#synib-plan 1\n");
    for (int c = 0; plan_columns[c] != NULL; c++)
        fprintf(s->out, "%s%s", c > 0 ? "\t" : "", plan_columns[c]);
    fprintf(s->out, "%s\n", s->groups ? "\tgroup" : "");
    for (size_t i = 0; i < s->rows && faults < MAX_FAULTS; i++) {
        struct err why = {0};

        if (put_row(s, &s->row[i], &why) == ERR_OK)
            continue;
        err_add_line(e, plan_fault(&why), "%s:%zu: %s", s->opt->path, s->row[i].base.line,
                     why.text);
        faults++;
    }
    TRY(e->code);
    TRY(check_names(s, e));
out:
    return e->code;
}

static void search_free(struct search *s)
{
    for (size_t i = 0; s->row != NULL && i < s->rows; i++) {
        for (int d = 0; d < s->row[i].dims; d++)
            dimension_free(&s->row[i].dim[d]);
        free(s->row[i].draw);
        free(s->row[i].seed);
    }
    for (size_t i = 0; i < s->named; i++)
        free(s->name[i].name);
    free(s->name);
    free(s->row);
    tsv_free(s->tsv);
}

enum err_code search_expand(char **text, size_t *runs, const struct search_options *opt,
                            struct err *e)
{
    struct tsv *t = NULL;

    *text = NULL;
    TRY(tsv_read(&t, opt->path, "search", plan_columns, e));
    TRY(search_expand_table(text, runs, t, opt, e));
out:
    return e->code;
}

enum err_code search_expand_table(char **text, size_t *runs, struct tsv *t,
                                  const struct search_options *opt, struct err *e)
{
    struct search s = {.opt = opt, .tsv = t};

    *text = NULL;
    s.groups = tsv_column(s.tsv, "group") >= 0;
    if (tsv_rows(s.tsv) == 0)
        FAIL(err_set(e, ERR_DATA, "%s: has no rows", opt->path));
    TRY(mem_array(&s.row, tsv_rows(s.tsv), sizeof *s.row, "search", e));
    s.rows = tsv_rows(s.tsv);
    TRY(read_rows(&s, e));
    TRY(check_draws(&s, e));
    TRY(count_runs(&s, e));
    s.out = text_stream_open(text, "search", e);
    TRY(e->code);
    TRY(put_rows(&s, e));
    *runs = s.runs;
out:
    (void)text_stream_close(s.out, text, "search", e);
    search_free(&s);
    return e->code;
}
