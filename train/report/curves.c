/* SPDX-License-Identifier: MIT */
#include "common/base/text_stream.h"
#include "train/report/report.h"
#include "train/report/svg.h"

#include "common/base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Learning curves: a plot per column and quantity, a line per row. */

/* At each epoch the mean over the cell's runs that have a value there. */
static enum err_code mean_curve(double **out, size_t *points, const struct report *r, int row,
                                int column, int curve, size_t *index, struct err *e)
{
    size_t n = report_cell_runs(r, row, column, index);

    *out = NULL;
    *points = 0;
    for (size_t k = 0; k < n; k++)
        if (r->run[index[k]].points > *points)
            *points = r->run[index[k]].points;
    TRY(mem_array(out, *points, sizeof **out, "curves", e));
    for (size_t i = 0; i < *points; i++) {
        double sum = 0;
        size_t have = 0;

        for (size_t k = 0; k < n; k++) {
            const struct report_run *run = &r->run[index[k]];

            if (i >= run->points || isnan(run->curve[curve][i]))
                continue;
            sum += run->curve[curve][i];
            have++;
        }
        (*out)[i] = have > 0 ? sum / (double)have : NAN;
    }
out:
    return e->code;
}

static bool has_value(const double *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isfinite(y[i]))
            return true;
    return false;
}

/* One <figure>; nothing when no run of the column has such numbers. */
static enum err_code add_plot(const struct report *r, FILE *f, int column, int curve, size_t *index,
                              struct err *e)
{
    static const char *const titles[REPORT_CURVES] = {"validation accuracy", "validation irony F1",
                                                      "training loss"};
    struct svg_line *line = NULL;
    double **mean = NULL;
    char title[512];
    struct svg_plot plot = {.title = title, .x_label = "epoch"};

    TRY(mem_array(&line, (size_t)r->rows, sizeof *line, "curves", e));
    TRY(mem_array(&mean, (size_t)r->rows, sizeof *mean, "curves", e));
    for (int row = 0; row < r->rows; row++) {
        size_t points;

        TRY(mean_curve(&mean[row], &points, r, row, column, curve, index, e));
        if (has_value(mean[row], points))
            line[plot.lines++] = (struct svg_line){r->row[row].label, mean[row], points, row};
    }
    if (plot.lines == 0)
        goto out;
    plot.line = line;
    plot.from_zero = curve == CURVE_TRAIN_LOSS;
    snprintf(title, sizeof title, "%s, %s", r->column[column].label, titles[curve]);
    fputs("<figure>", f);
    svg_write(f, &plot);
    fputs("</figure>\n", f);
out:
    for (int row = 0; mean != NULL && row < r->rows; row++)
        free(mean[row]);
    free(mean);
    free(line);
    return e->code;
}

enum err_code report_add_curves(const struct report *r, struct doc *d, struct err *e)
{
    size_t *index = NULL;
    char *html = NULL;
    FILE *f = text_stream_open(&html, "curves", e);

    TRY(e->code);
    TRY(mem_array(&index, r->n, sizeof *index, "curves", e));
    for (int column = 0; column < r->columns; column++) {
        fputs("<div class=\"row\">\n", f);
        for (int curve = 0; curve < REPORT_CURVES; curve++)
            TRY(add_plot(r, f, column, curve, index, e));
        fputs("</div>\n", f);
    }
out:
    free(index);
    if (text_stream_close(f, &html, "curves", e) != ERR_OK)
        return e->code;
    doc_add(d, DOC_SECTION, "Learning curves");
    doc_add(d, DOC_TEXT,
            "At each epoch the mean over the runs that got so far; report.html has the plots. The "
            "training loss is that of the fused prediction (of unimodal methods, of their own). A "
            "method that trains nothing (ensemble) is a level line.");
    doc_add_html(d, html);
    return ERR_OK;
}
