/* SPDX-License-Identifier: MIT */
#include "train/report/report.h"

#include "common/base/mem.h"
#include "common/data/tsv.h"
#include "train/report/label.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Which row and column a run belongs to, and the order of both. */

static void free_strings(char **list, size_t n)
{
    for (size_t i = 0; list != NULL && i < n; i++)
        free(list[i]);
    free(list);
}

/* ---- rows ---- */

static int by_row(const void *a, const void *b)
{
    const struct report_row *x = a, *y = b;
    int rank = label_method_rank(x->method) - label_method_rank(y->method);

    if (rank == 0)
        rank = strcmp(x->method, y->method);
    if (rank == 0)
        rank = (int)y->plain - (int)x->plain;
    return rank != 0 ? rank : strcmp(x->label, y->label);
}

static int by_column(const void *a, const void *b)
{
    const struct report_column *x = a, *y = b;

    if (isnan(x->rate) != isnan(y->rate))
        return isnan(x->rate) ? 1 : -1;
    if (x->rate < y->rate || x->rate > y->rate)
        return x->rate < y->rate ? -1 : 1;
    return strcmp(x->label, y->label);
}

static int find_row(const struct report *r, const char *label)
{
    for (int k = 0; k < r->rows; k++)
        if (strcmp(r->row[k].label, label) == 0)
            return k;
    return -1;
}

static int find_column(const struct report *r, const char *label)
{
    for (int k = 0; k < r->columns; k++)
        if (strcmp(r->column[k].label, label) == 0)
            return k;
    return -1;
}

/* The labels of all runs as rows; "" for those without a checkpoint. */
static enum err_code label_rows(char **label, const struct report *r, struct err *e)
{
    char **base = NULL, **text = NULL, name[2 * REPORT_NAME + 4];

    TRY(mem_array(&base, r->all, sizeof *base, "rows", e));
    TRY(mem_array(&text, r->all, sizeof *text, "rows", e));
    for (size_t i = 0; i < r->all; i++) {
        const struct report_run *run = &r->run[i];

        label_method(name, sizeof name, run->method, run->mask);
        TRY(mem_string(&base[i], name, e));
        TRY(label_settings(&text[i], run->identity != NULL ? run->identity : "", e));
    }
    TRY(labels_make(label, (const char *const *)base, (const char *const *)text, r->all, e));
out:
    free_strings(base, r->all);
    free_strings(text, r->all);
    return e->code;
}

static enum err_code label_columns(char **label, const struct report *r, struct err *e)
{
    const char **base = NULL, **text = NULL;

    TRY(mem_array(&base, r->all, sizeof *base, "columns", e));
    TRY(mem_array(&text, r->all, sizeof *text, "columns", e));
    for (size_t i = 0; i < r->all; i++) {
        const struct report_set *s = r->run[i].data >= 0 ? &r->set[r->run[i].data] : NULL;

        base[i] = s != NULL ? s->kind : r->irony ? "rate ?" : "task ?";
        text[i] = s != NULL ? s->facts : "";
    }
    TRY(labels_make(label, base, text, r->all, e));
out:
    free(base);
    free(text);
    return e->code;
}

static enum err_code add_row(struct report *r, const struct report_run *run, const char *label,
                             struct err *e)
{
    struct report_row *row = &r->row[r->rows];

    if (find_row(r, label) >= 0)
        return ERR_OK;
    TRY(mem_string(&row->label, label, e));
    snprintf(row->method, sizeof row->method, "%s", run->method);
    row->plain = label[strlen(run->method)] != ' ';
    r->rows++;
out:
    return e->code;
}

static enum err_code add_column(struct report *r, const struct report_run *run, const char *label,
                                struct err *e)
{
    if (find_column(r, label) >= 0)
        return ERR_OK;
    TRY(mem_string(&r->column[r->columns].label, label, e));
    r->column[r->columns++].rate = run->data >= 0 ? r->set[run->data].rate : NAN;
out:
    return e->code;
}

static enum err_code place_runs(struct report *r, struct err *e)
{
    char **row = NULL, **column = NULL;

    TRY(mem_array(&r->row, r->all, sizeof *r->row, "rows", e));
    TRY(mem_array(&r->column, r->all, sizeof *r->column, "columns", e));
    TRY(mem_array(&row, r->all, sizeof *row, "rows", e));
    TRY(mem_array(&column, r->all, sizeof *column, "columns", e));
    TRY(label_rows(row, r, e));
    TRY(label_columns(column, r, e));
    for (size_t i = 0; i < r->all; i++) {
        if (r->run[i].identity == NULL)
            continue;
        if (!tsv_cell_ok(row[i]) || !tsv_cell_ok(column[i]))
            FAIL(err_set(e, ERR_DATA,
                         "%s: its settings or data are described by control characters",
                         r->run[i].path));
        TRY(add_row(r, &r->run[i], row[i], e));
        TRY(add_column(r, &r->run[i], column[i], e));
    }
    qsort(r->row, (size_t)r->rows, sizeof *r->row, by_row);
    qsort(r->column, (size_t)r->columns, sizeof *r->column, by_column);
    for (size_t i = 0; i < r->all; i++) {
        r->run[i].row = r->run[i].identity != NULL ? find_row(r, row[i]) : -1;
        r->run[i].column = r->run[i].identity != NULL ? find_column(r, column[i]) : -1;
    }
out:
    free_strings(row, r->all);
    free_strings(column, r->all);
    return e->code;
}

/* ---- runs ---- */

static int by_place(const void *a, const void *b)
{
    const struct report_run *x = a, *y = b;
    int order = (x->missing != NULL) - (y->missing != NULL);

    if (order == 0)
        order = x->row - y->row;
    if (order == 0)
        order = x->column - y->column;
    return order != 0 ? order : (x->given > y->given) - (x->given < y->given);
}

/* Runs of one cell stand beside each other. */
static enum err_code check_twins(const struct report *r, struct err *e)
{
    for (size_t i = 0; i < r->n; i++)
        for (size_t j = i + 1; j < r->n; j++) {
            const struct report_run *a = &r->run[i], *b = &r->run[j];

            if (a->row != b->row || a->column != b->column)
                break;
            if (a->seed == b->seed && strcmp(a->test, b->test) == 0)
                return err_set(e, ERR_DATA, "%s and %s: %s: give one of them", a->path, b->path,
                               strcmp(a->identity, b->identity) == 0
                                   ? "are the same run twice"
                                   : "differ in nothing but their initial encoders or training "
                                     "data");
        }
    return ERR_OK;
}

static enum err_code check_classes(const struct report *r, struct err *e)
{
    for (size_t i = 1; i < r->n; i++) {
        const struct report_run *a = &r->run[0], *b = &r->run[i];

        for (int k = 0; k < a->classes && b->classes == a->classes; k++)
            if (strcmp(a->class_name[k], b->class_name[k]) != 0)
                return err_set(e, ERR_DATA, "%s and %s: have other classes: report them apart",
                               a->path, b->path);
        if (a->classes != b->classes)
            return err_set(e, ERR_DATA, "%s and %s: have %d and %d classes: report them apart",
                           a->path, b->path, a->classes, b->classes);
    }
    return ERR_OK;
}

/* Which parts there are is the same for all: those of the first run that has any. */
static enum err_code check_parts(struct report *r, struct err *e)
{
    const struct report_run *first = NULL;

    r->metrics = METRIC_PART;
    for (size_t i = 0; i < r->n; i++) {
        const struct report_run *run = &r->run[i];

        if (run->parts == 0)
            continue;
        if (first == NULL)
            first = run;
        if (run->parts != first->parts ||
            memcmp(run->part_name, first->part_name, sizeof run->part_name) != 0)
            return err_set(e, ERR_DATA, "%s and %s: have other sources: report them apart",
                           first->path, run->path);
        r->metrics = METRIC_PART + first->parts;
    }
    return ERR_OK;
}

enum err_code report_arrange(struct report *r, struct err *e)
{
    for (size_t i = 0; i < r->all; i++) {
        r->run[i].given = i;
        r->n += r->run[i].missing == NULL;
        r->irony = r->irony || r->run[i].irony >= 0;
    }
    TRY(place_runs(r, e));
    qsort(r->run, r->all, sizeof *r->run, by_place);
    TRY(check_classes(r, e));
    TRY(check_parts(r, e));
    TRY(check_twins(r, e));
out:
    return e->code;
}
