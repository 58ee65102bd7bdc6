/* SPDX-License-Identifier: MIT */
#include "train/report/report.h"

#include "common/base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void report_free(struct report *r)
{
    for (size_t i = 0; i < r->all; i++)
        report_run_free(&r->run[i]);
    for (size_t i = 0; i < r->sets; i++)
        report_set_free(&r->set[i]);
    for (int k = 0; k < r->rows; k++)
        free(r->row[k].label);
    for (int k = 0; k < r->columns; k++)
        free(r->column[k].label);
    free(r->run);
    free(r->set);
    free(r->row);
    free(r->column);
    free(r->cell);
    boot_free(&r->boot);
    report_clips_free(&r->clips);
    memset(r, 0, sizeof *r);
}

size_t report_cell_runs(const struct report *r, int row, int column, size_t *index)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n; i++) {
        if (r->run[i].row != row || r->run[i].column != column)
            continue;
        if (index != NULL)
            index[n] = i;
        n++;
    }
    return n;
}

const struct summary *report_cell(const struct report *r, int row, int column, int metric)
{
    return &r->cell[(row * r->columns + column) * REPORT_METRICS + metric];
}

/* A run that has parts, if there is one. */
static const struct report_run *with_parts(const struct report *r)
{
    size_t i = 0;

    while (i + 1 < r->n && r->run[i].parts == 0)
        i++;
    return &r->run[i];
}

void report_name_metric(const struct report *r, int metric, char *out, size_t size)
{
    report_metric_name(out, size, with_parts(r), metric);
}

const char *report_part_name(const struct report *r, int part)
{
    return with_parts(r)->part_name[part];
}

int report_find_row(const struct report *r, const char *method)
{
    for (int k = 0; k < r->rows; k++)
        if (strcmp(r->row[k].method, method) == 0)
            return k;
    return -1;
}

/* One metric of the n runs `index`; those without a value are left out. */
static enum err_code summarise(const struct report *r, const size_t *index, size_t n, int metric,
                               double *value, struct summary *s, struct err *e)
{
    size_t have = 0;

    for (size_t k = 0; k < n; k++)
        if (!isnan(r->run[index[k]].value[metric]))
            value[have++] = r->run[index[k]].value[metric];
    *s = stats_summary(value, have);
    /* the interval is of the same runs as the mean, or not given */
    if (metric < METRIC_RESAMPLED && have == n && n > 0)
        TRY(boot_interval(&r->boot, s, index, NULL, n, metric, e));
out:
    return e->code;
}

enum err_code report_measure(struct report *r, struct err *e)
{
    const struct report_run **run = NULL;
    size_t *index = NULL;
    double *value = NULL;

    TRY(mem_array(&run, r->n, sizeof *run, "cells", e));
    TRY(mem_array(&index, r->n, sizeof *index, "cells", e));
    TRY(mem_array(&value, r->n, sizeof *value, "cells", e));
    TRY(mem_array(&r->cell, (size_t)(r->rows * r->columns) * REPORT_METRICS, sizeof *r->cell,
                  "cells", e));
    for (size_t i = 0; i < r->n; i++)
        run[i] = &r->run[i];
    TRY(boot_init(&r->boot, run, r->n, r->opt->cli.seed, r->opt->cli.jobs, &r->opt->cli.log, e));
    for (int row = 0; row < r->rows; row++)
        for (int column = 0; column < r->columns; column++) {
            size_t n = report_cell_runs(r, row, column, index);

            for (int m = 0; m < REPORT_METRICS; m++)
                TRY(summarise(r, index, n, m, value,
                              &r->cell[(row * r->columns + column) * REPORT_METRICS + m], e));
        }
out:
    free(run);
    free(index);
    free(value);
    return e->code;
}

/* ---- paired differences ---- */

bool report_pair(const struct report *r, int k, int *row, int *against)
{
    int vanilla = report_find_row(r, "vanilla"), synib = report_find_row(r, "synib");

    for (int i = 0; i < r->rows && vanilla >= 0; i++)
        if (i != vanilla && k-- == 0) {
            *row = i;
            *against = vanilla;
            return true;
        }
    for (int i = 0; i < r->rows && synib >= 0; i++)
        if (i != synib && i != vanilla && k-- == 0) {
            *row = synib;
            *against = i;
            return true;
        }
    return false;
}

/* Of the runs plus[0..n) and minus[0..m) those with a partner, in place; returns their number. */
static size_t pair_up(const struct report *r, size_t *plus, size_t n, size_t *minus, size_t m,
                      size_t *partner)
{
    size_t pairs = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++) {
            const struct report_run *a = &r->run[plus[i]], *b = &r->run[minus[j]];

            if (a->seed != b->seed || strcmp(a->test, b->test) != 0)
                continue;
            plus[pairs] = plus[i]; /* pairs <= i: a cell holds (test set, seed) once */
            partner[pairs++] = minus[j];
            break;
        }
    return pairs;
}

enum err_code report_difference(const struct report *r, int row, int against, int column,
                                int metric, struct summary *s, struct err *e)
{
    size_t *plus = NULL, *minus = NULL, *partner = NULL, n;
    double *value = NULL;

    TRY(mem_array(&plus, r->n, sizeof *plus, "pairs", e));
    TRY(mem_array(&minus, r->n, sizeof *minus, "pairs", e));
    TRY(mem_array(&partner, r->n, sizeof *partner, "pairs", e));
    TRY(mem_array(&value, r->n, sizeof *value, "pairs", e));
    n = pair_up(r, plus, report_cell_runs(r, row, column, plus), minus,
                report_cell_runs(r, against, column, minus), partner);
    for (size_t k = 0; k < n; k++)
        value[k] = r->run[plus[k]].value[metric] - r->run[partner[k]].value[metric];
    *s = stats_summary(value, n);
    if (n > 0)
        TRY(boot_interval(&r->boot, s, plus, partner, n, metric, e));
out:
    free(plus);
    free(minus);
    free(partner);
    free(value);
    return e->code;
}

/* ---- cells.tsv, pairs.tsv ---- */

/* NaN: an empty cell. */
static void put_numbers(FILE *f, const struct summary *s)
{
    const double number[] = {s->mean, s->sd, s->low, s->high};

    fprintf(f, "\t%zu", s->n);
    for (int k = 0; k < 4; k++) {
        fputs("\t", f);
        if (!isnan(number[k]))
            fprintf(f, "%.9g", number[k]);
    }
    fputs("\n", f);
}

/* True when some run has a value of it. */
static bool has_metric(const struct report *r, int metric)
{
    for (int row = 0; row < r->rows; row++)
        for (int column = 0; column < r->columns; column++)
            if (report_cell(r, row, column, metric)->n > 0)
                return true;
    return false;
}

enum err_code report_write_cells(const struct report *r, FILE *f, struct err *e)
{
    char name[2 * REPORT_NAME];

    (void)e;
    fputs("#synib-report-cells 1\nmethod\tdata\tmetric\truns\tmean\tsd\tlow\thigh\n", f);
    for (int row = 0; row < r->rows; row++)
        for (int column = 0; column < r->columns; column++)
            for (int m = 0; m < r->metrics; m++) {
                if (!has_metric(r, m))
                    continue;
                report_name_metric(r, m, name, sizeof name);
                fprintf(f, "%s\t%s\t%s", r->row[row].label, r->column[column].label, name);
                put_numbers(f, report_cell(r, row, column, m));
            }
    return ERR_OK;
}

enum err_code report_write_pairs(const struct report *r, FILE *f, struct err *e)
{
    char name[2 * REPORT_NAME];
    struct summary s;
    int row, against;

    fputs("#synib-report-pairs 1\nmethod\tagainst\tdata\tmetric\tpairs\tmean\tsd\tlow\thigh\n", f);
    for (int k = 0; report_pair(r, k, &row, &against); k++)
        for (int column = 0; column < r->columns; column++)
            for (int m = r->irony ? METRIC_IRONY_F1 : METRIC_MACRO_F1; m < PAIR_METRICS; m++) {
                TRY(report_difference(r, row, against, column, m, &s, e));
                report_name_metric(r, m, name, sizeof name);
                fprintf(f, "%s\t%s\t%s\t%s", r->row[row].label, r->row[against].label,
                        r->column[column].label, name);
                put_numbers(f, &s);
            }
out:
    return e->code;
}
