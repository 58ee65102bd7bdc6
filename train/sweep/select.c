/* SPDX-License-Identifier: MIT */
#include "train/sweep/select.h"

#include "common/base/mem.h"
#include "common/base/text_stream.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const select_names[] = {"score",    "accuracy", "loss", "macro-f1",
                                    "irony-f1", "mse",      "r2",   NULL};
static const char *const columns[] = {"best_score",   "val_accuracy", "val_loss", "val_macro_f1",
                                      "val_irony_f1", "val_mse",      "val_r2"};
static_assert(sizeof select_names / sizeof select_names[0] - 1 ==
                  sizeof columns / sizeof columns[0],
              "a column for every name");

enum { MAX_FAULTS = 20 };

/* Runs that differ in seed alone (and in data of one group). */
struct candidate {
    const struct plan_run *first;   /* of its runs, in the plan's order */
    const struct plan_run *contest; /* the first run of those that it is compared with */
    size_t n, not_finite;
    double mean, sd; /* of those that are finite; NaN where there are too few */
    bool smaller;    /* is better */
};

struct selection {
    const struct results *r;
    enum select_by by;
    int status, column; /* of the results: that, and the metric */
    const struct plan_run **run;
    struct candidate *candidate;
    size_t n;
};

/* ---- what belongs together ---- */

/* Order of what is compared: the same for runs of one comparison. */
static int compare_contests(const struct plan_run *a, const struct plan_run *b)
{
    static const int cells[] = {PLAN_PRESET, PLAN_METHOD, PLAN_MASK};
    int order = strcmp(a->group, b->group);

    for (size_t i = 0; order == 0 && i < sizeof cells / sizeof cells[0]; i++)
        order = strcmp(a->cell[cells[i]], b->cell[cells[i]]);
    return order;
}

/* Settings as values, not as words: config has no member that is not eight bytes long. */
static bool same_candidate(const struct plan_run *a, const struct plan_run *b)
{
    return compare_contests(a, b) == 0 && memcmp(&a->config, &b->config, sizeof a->config) == 0;
}

static int compare_runs(const void *a, const void *b)
{
    const struct plan_run *const *x = a, *const *y = b;
    int order = compare_contests(*x, *y);

    if (order == 0)
        order = memcmp(&(*x)->config, &(*y)->config, sizeof(*x)->config);
    return order != 0 ? order : (*x > *y) - (*x < *y);
}

/* ---- numbers ---- */

static const char *cell_of(const char *row, int column, size_t *len)
{
    for (; column > 0; column--)
        row += strcspn(row, "\t\n") + 1;
    *len = strcspn(row, "\t\n");
    return row;
}

/* Index of a column of the results, -1 without it. */
static int find_column(const struct results *r, const char *name)
{
    const char *header = strchr(r->header, '\n') + 1, *cell;
    size_t len;

    for (int c = 0;; c++) {
        cell = cell_of(header, c, &len);
        if (len == strlen(name) && memcmp(cell, name, len) == 0)
            return c;
        if (cell[len] != '\t')
            return -1;
    }
}

/* NaN for a run that is not finite. */
static double value_of(const struct selection *s, const struct plan_run *run, struct err *e)
{
    const struct results *r = s->r;
    const char *row = r->row[run - r->plan->run], *cell;
    size_t len;

    cell = cell_of(row, s->status, &len);
    if (len != 2 || memcmp(cell, "ok", 2) != 0)
        return NAN;
    cell = cell_of(row, s->column, &len);
    if (len > 0)
        return strtod(cell, NULL);
    err_set(e, ERR_DATA, "%s:%zu: run '%s' has no %s", r->plan->name, run->line,
            run->cell[PLAN_RUN], select_names[s->by]);
    return NAN;
}

/* As it is written: so sums in another order make no winner. */
static double nine_digits(double v)
{
    char text[32];

    snprintf(text, sizeof text, "%.9g", v);
    return strtod(text, NULL);
}

/* Fills the candidate of n runs. */
static enum err_code judge(const struct selection *s, struct candidate *c,
                           const struct plan_run *const *run, size_t n, struct err *e)
{
    double sum = 0, squares = 0;
    size_t finite;

    *c = (struct candidate){.first = run[0], .n = n, .mean = NAN, .sd = NAN};
    c->smaller = s->by == BY_LOSS || s->by == BY_MSE;
    for (size_t i = 0; i < n; i++) {
        double v = value_of(s, run[i], e);

        TRY(e->code);
        c->not_finite += isnan(v);
        sum += isnan(v) ? 0 : v;
    }
    finite = n - c->not_finite;
    if (finite == 0)
        return ERR_OK;
    c->mean = sum / (double)finite;
    for (size_t i = 0; i < n; i++) {
        double v = value_of(s, run[i], e);

        squares += isnan(v) ? 0 : (v - c->mean) * (v - c->mean);
    }
    if (finite > 1)
        c->sd = sqrt(squares / (double)(finite - 1));
    c->mean = nine_digits(c->mean);
out:
    return e->code;
}

/* ---- ranks ---- */

/* A contest's place is that of its first run in the plan; within it the best candidate comes first,
 * those with a run that is not finite last, and of equals the first in the plan. */
static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    bool x_failed = x->not_finite > 0, y_failed = y->not_finite > 0;

    if (x->contest != y->contest)
        return x->contest < y->contest ? -1 : 1;
    if (x_failed != y_failed)
        return x_failed ? 1 : -1;
    if (!x_failed && x->mean != y->mean)
        return (x->mean > y->mean) != x->smaller ? -1 : 1;
    return x->first < y->first ? -1 : 1;
}

/* Makes the candidates; run[] is sorted. */
static enum err_code make_candidates(struct selection *s, struct err *e)
{
    size_t n = s->r->plan->n, faults = 0;

    for (size_t i = 0, end; i < n && faults < MAX_FAULTS; i = end) {
        struct err why = {0};

        for (end = i + 1; end < n && same_candidate(s->run[i], s->run[end]); end++)
            ;
        if (judge(s, &s->candidate[s->n++], &s->run[i], end - i, &why) == ERR_OK)
            continue;
        err_add_line(e, ERR_DATA, "%s", why.text);
        faults++;
    }
    return e->code;
}

/* Scores of one comparison are of one kind. */
static enum err_code check_scores(const struct selection *s, const struct plan_run *a,
                                  const struct plan_run *b, struct err *e)
{
    if (s->by != BY_SCORE || a->config.select == b->config.select)
        return ERR_OK;
    return err_set(e, ERR_DATA,
                   "%s:%zu: its score is by another select.metric than that of line %zu: select by "
                   "accuracy or loss",
                   s->r->plan->name, a->line < b->line ? b->line : a->line,
                   a->line < b->line ? a->line : b->line);
}

/* Says of each candidate which contest it is in: neighbours, as run[] was sorted. */
static enum err_code find_contests(struct selection *s, struct err *e)
{
    for (size_t i = 0, end; i < s->n; i = end) {
        const struct plan_run *contest = s->candidate[i].first;

        for (end = i; end < s->n; end++) {
            const struct plan_run *first = s->candidate[end].first;

            if (compare_contests(s->candidate[i].first, first) != 0)
                break;
            TRY(check_scores(s, s->candidate[i].first, first, e));
            contest = first < contest ? first : contest;
        }
        for (size_t k = i; k < end; k++)
            s->candidate[k].contest = contest;
    }
out:
    return e->code;
}

/* ---- the table ---- */

static void put_number(FILE *f, double v)
{
    if (isnan(v))
        fprintf(f, "\t");
    else
        fprintf(f, "\t%.9g", v);
}

static enum err_code put_table(char **text, size_t *undecided, const struct selection *s,
                               struct err *e)
{
    FILE *f = text_stream_open(text, "selection", e);
    size_t rank = 0;

    if (f == NULL)
        return e->code;
    fprintf(f, "#synib-selected 1\ngroup\tpreset\tmethod\tmask\trank\trun\tsettings\tmetric\tmean\t"
               "sd\tn\tnot_finite\n");
    for (size_t i = 0; i < s->n; i++) {
        const struct candidate *c = &s->candidate[i];
        const char *const *cell = c->first->cell;

        rank = i > 0 && c[-1].contest == c->contest ? rank + 1 : 1;
        *undecided += rank == 1 && c->not_finite > 0;
        fprintf(f, "%s\t%s\t%s\t%s\t%zu\t%s\t%s\t%s", c->first->group, cell[PLAN_PRESET],
                cell[PLAN_METHOD], cell[PLAN_MASK], rank, cell[PLAN_RUN], cell[PLAN_SET],
                select_names[s->by]);
        put_number(f, c->mean);
        put_number(f, c->sd);
        fprintf(f, "\t%zu\t%zu\n", c->n, c->not_finite);
    }
    return text_stream_close(f, text, "selection", e);
}

enum err_code select_text(char **text, size_t *undecided, const struct results *r,
                          enum select_by by, struct err *e)
{
    struct selection s = {.r = r, .by = by, .status = find_column(r, "status")};

    *text = NULL;
    *undecided = 0;
    s.column = find_column(r, columns[by]);
    if (s.column < 0)
        FAIL(err_set(e, ERR_DATA, "%s: no run has %s", r->plan->name, select_names[by]));
    TRY(mem_array(&s.run, r->plan->n, sizeof(struct plan_run *), "selection", e));
    TRY(mem_array(&s.candidate, r->plan->n, sizeof *s.candidate, "selection", e));
    for (size_t i = 0; i < r->plan->n; i++)
        s.run[i] = &r->plan->run[i];
    qsort(s.run, r->plan->n, sizeof *s.run, compare_runs);
    TRY(make_candidates(&s, e));
    TRY(find_contests(&s, e));
    qsort(s.candidate, s.n, sizeof *s.candidate, compare_candidates);
    TRY(put_table(text, undecided, &s, e));
out:
    free(s.run);
    free(s.candidate);
    return e->code;
}
