/* SPDX-License-Identifier: MIT */
#include "train/report/label.h"
#include "train/report/report.h"
#include "train/report/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tables of scores, of differences and of confusions. */

static const char interval_note[] =
    "Mean ± sample standard deviation (ddof 1) over runs (folds and seeds); in brackets the 95 % "
    "percentile bootstrap interval over test clips (2000 replicates).";

static void heading_row(const struct report *r, struct grid *g, const char *corner)
{
    grid_set(g, 0, 0, "%s", corner);
    for (int column = 0; column < r->columns; column++)
        grid_set(g, 0, column + 1, "%s", r->column[column].label);
    for (int row = 0; row < r->rows; row++)
        grid_set(g, row + 1, 0, "%s", r->row[row].label);
}

/* ---- Table 1 ---- */

/* Two metrics (or one: second < 0) of a cell, their intervals, and the number of runs. */
static void set_scores(struct grid *g, int y, int x, const struct summary *first,
                       const struct summary *second, size_t runs)
{
    char a[SCORE_TEXT], b[SCORE_TEXT], ai[SCORE_TEXT], bi[SCORE_TEXT];

    if (runs == 0) {
        grid_set(g, y, x, "—\n(0 runs)");
        return;
    }
    text_score(a, first);
    text_interval(ai, first, false);
    if (second != NULL) {
        text_score(b, second);
        text_interval(bi, second, false);
        grid_set(g, y, x, "%s / %s\n%s / %s\n(%zu run%s)", a, b, ai, bi, runs,
                 runs == 1 ? "" : "s");
    } else {
        grid_set(g, y, x, "%s\n%s\n(%zu run%s)", a, ai, runs, runs == 1 ? "" : "s");
    }
}

static enum err_code add_main(const struct report *r, struct doc *d, struct err *e)
{
    char caption[512];
    struct grid *g;

    snprintf(caption, sizeof caption, "%s in per cent on test. %s",
             r->irony ? "Irony F1 / macro F1" : "Accuracy / macro F1", interval_note);
    TRY(doc_grid(d, &g, "scores", r->rows + 1, r->columns + 1, caption, e));
    heading_row(r, g, "method");
    for (int row = 0; row < r->rows; row++)
        for (int column = 0; column < r->columns; column++)
            set_scores(g, row + 1, column + 1,
                       report_cell(r, row, column, r->irony ? METRIC_IRONY_F1 : METRIC_ACCURACY),
                       report_cell(r, row, column, METRIC_MACRO_F1),
                       report_cell_runs(r, row, column, NULL));
out:
    return e->code;
}

/* ---- what else was measured: a table per kind of data ---- */

static const char *metric_title(const struct report *r, int metric)
{
    static const char *const titles[METRIC_PART] = {
        "irony F1", "macro F1", "accuracy", "Cohen's kappa", "ECE", "synergy accuracy"};

    return metric < METRIC_PART ? titles[metric] : report_part_name(r, metric - METRIC_PART);
}

static void set_metric(struct grid *g, int y, int x, const struct summary *s, bool percent)
{
    char score[SCORE_TEXT], interval[SCORE_TEXT];

    text_score_as(score, s, percent);
    text_interval_as(interval, s, percent, false);
    grid_set(g, y, x, "%s%s%s", score, interval[0] != '\0' ? "\n" : "", interval);
}

static enum err_code add_column_metrics(const struct report *r, struct doc *d, const char *name,
                                        const char *what, int column, const int *metric, int n,
                                        struct err *e)
{
    char caption[1024];
    struct grid *g;

    snprintf(caption, sizeof caption, "%s: %s", r->column[column].label, what);
    TRY(doc_grid(d, &g, name, r->rows + 1, n + 2, caption, e));
    g->number = column + 1;
    grid_set(g, 0, 0, "method");
    grid_set(g, 0, 1, "runs");
    for (int k = 0; k < n; k++)
        grid_set(g, 0, k + 2, "%s", metric_title(r, metric[k]));
    for (int row = 0; row < r->rows; row++) {
        grid_set(g, row + 1, 0, "%s", r->row[row].label);
        grid_set(g, row + 1, 1, "%zu", report_cell_runs(r, row, column, NULL));
        for (int k = 0; k < n; k++)
            set_metric(g, row + 1, k + 2, report_cell(r, row, column, metric[k]),
                       metric[k] != METRIC_KAPPA);
    }
out:
    return e->code;
}

static enum err_code add_metrics(const struct report *r, struct doc *d, const char *name,
                                 const char *what, const int *metric, int n, struct err *e)
{
    for (int column = 0; column < r->columns; column++)
        TRY(add_column_metrics(r, d, name, what, column, metric, n, e));
out:
    return e->code;
}

/* Methods of the paper's table that no run is of. */
static void tell_absent(const struct report *r, struct doc *d)
{
    char list[256] = "";

    for (const char *const *paper = label_paper_methods; *paper != NULL; paper++)
        if (report_find_row(r, *paper) < 0)
            snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s",
                     list[0] != '\0' ? ", " : "", *paper);
    if (list[0] != '\0' && r->irony)
        doc_add(d, DOC_TEXT, "Rows of the paper's Table 1 without any run here: %s.", list);
}

enum err_code report_add_tables(const struct report *r, struct doc *d, struct err *e)
{
    static const int rest[] = {METRIC_ACCURACY, METRIC_KAPPA, METRIC_ECE, METRIC_SYNERGY};
    int part[REPORT_PARTS];
    int parts = r->metrics - METRIC_PART;

    doc_add(d, DOC_SECTION, "Scores");
    TRY(add_main(r, d, e));
    tell_absent(r, d);
    TRY(add_metrics(r, d, "more",
                    r->irony
                        ? "accuracy, expected calibration error (ECE) and accuracy on the samples "
                          "that all unimodal models get wrong (synergy accuracy: of runs that were "
                          "measured beside them) in per cent; Cohen's kappa. "
                          "Mean ± sample standard deviation over runs, 95 % bootstrap interval."
                        : "accuracy, expected calibration error (ECE) and accuracy on the samples "
                          "that all unimodal heads of the run get wrong (synergy accuracy) in per "
                          "cent; Cohen's kappa. "
                          "Mean ± sample standard deviation over runs, 95 % bootstrap interval.",
                    rest, 4, e));
    for (int k = 0; k < parts; k++)
        part[k] = METRIC_PART + k;
    if (parts > 0)
        TRY(add_metrics(r, d, r->irony ? "irony-recall" : "sources",
                        r->irony ? "irony recall by what the face shows, in per cent. Mean ± "
                                   "sample standard deviation over runs."
                                 : "accuracy by source of information, in per cent. Mean ± "
                                   "sample standard deviation over runs.",
                        part, parts, e));
out:
    return e->code;
}

/* ---- differences ---- */

static int first_metric(const struct report *r)
{
    return r->irony ? METRIC_IRONY_F1 : METRIC_MACRO_F1;
}

static enum err_code add_difference(const struct report *r, struct grid *g, int y, int row,
                                    int against, int column, struct err *e)
{
    char score[SCORE_TEXT], interval[SCORE_TEXT];
    struct summary s;
    int x = 2;

    grid_set(g, y, 0, "%s − %s", r->row[row].label, r->row[against].label);
    for (int m = first_metric(r); m < PAIR_METRICS; m++) {
        TRY(report_difference(r, row, against, column, m, &s, e));
        grid_set(g, y, 1, "%zu", s.n);
        text_difference(score, &s);
        text_interval(interval, &s, true);
        if (s.n == 0)
            grid_set(g, y, x++, "—");
        else
            grid_set(g, y, x++, "%s\n%s%s", score, interval,
                     s.low <= 0 && s.high >= 0 ? " covers 0" : "");
    }
out:
    return e->code;
}

static enum err_code add_column_pairs(const struct report *r, struct doc *d, int pairs, int column,
                                      struct err *e)
{
    int row, against;
    char caption[1024];
    struct grid *g;

    snprintf(caption, sizeof caption,
             "%s: differences in percentage points. Mean ± sample standard deviation over pairs, "
             "95 %% bootstrap interval.",
             r->column[column].label);
    TRY(doc_grid(d, &g, "pairs", pairs + 1, 2 + PAIR_METRICS - first_metric(r), caption, e));
    g->number = column + 1;
    grid_set(g, 0, 0, "difference");
    grid_set(g, 0, 1, "pairs");
    for (int m = first_metric(r); m < PAIR_METRICS; m++)
        grid_set(g, 0, 2 + m - first_metric(r), "%s", metric_title(r, m));
    for (int k = 0; report_pair(r, k, &row, &against); k++)
        TRY(add_difference(r, g, k + 1, row, against, column, e));
out:
    return e->code;
}

enum err_code report_add_pairs(const struct report *r, struct doc *d, struct err *e)
{
    int pairs = 0, row, against;

    while (report_pair(r, pairs, &row, &against))
        pairs++;
    doc_add(d, DOC_SECTION, "Paired differences");
    if (pairs == 0) {
        doc_add(d, DOC_TEXT, "No run of vanilla or synib beside others: nothing to compare.");
        goto out;
    }
    doc_add(
        d, DOC_TEXT,
        "Pairs are runs on the same test set with the same seed. In brackets the 95 %% "
        "bootstrap interval of the mean difference, the same resampled clips for both. An "
        "interval that covers 0 is no evidence of a difference, in either direction; one that "
        "does not speaks of these runs on other clips of these speakers, not of other speakers or "
        "other training runs.");
    for (int column = 0; column < r->columns; column++)
        TRY(add_column_pairs(r, d, pairs, column, e));
out:
    return e->code;
}

/* ---- confusions ---- */

/* Mean over runs of the share of each class's samples that got each prediction; runs without the
 * class are left out. */
static double mean_share(const struct report *r, const size_t *index, size_t n, int label,
                         int guess)
{
    double sum = 0;
    size_t have = 0;

    for (size_t k = 0; k < n; k++) {
        const struct confusion *c = &r->run[index[k]].confusion;
        int64_t total = 0;

        for (int j = 0; j < c->classes; j++)
            total += c->count[label][j];
        if (total == 0)
            continue;
        sum += (double)c->count[label][guess] / (double)total;
        have++;
    }
    return have > 0 ? sum / (double)have : NAN;
}

static enum err_code add_confusion(const struct report *r, struct doc *d, int row, int column,
                                   size_t *index, struct err *e)
{
    size_t n = report_cell_runs(r, row, column, index);
    const struct report_run *run = &r->run[index[0]];
    char caption[1024];
    struct grid *g;

    snprintf(caption, sizeof caption, "%s, %s: mean over %zu run%s", r->row[row].label,
             r->column[column].label, n, n == 1 ? "" : "s");
    TRY(doc_grid(d, &g, NULL, run->classes + 1, run->classes + 1, caption, e));
    g->narrow = true;
    grid_set(g, 0, 0, "true class");
    for (int k = 0; k < run->classes; k++) {
        grid_set(g, 0, k + 1, "%s", run->class_name[k]);
        grid_set(g, k + 1, 0, "%s", run->class_name[k]);
        for (int j = 0; j < run->classes; j++) {
            double share = mean_share(r, index, n, k, j);

            if (isnan(share)) {
                grid_set(g, k + 1, j + 1, "—");
                continue;
            }
            grid_set(g, k + 1, j + 1, "%.0f", 100 * share);
            grid_shade(g, k + 1, j + 1, share);
        }
    }
out:
    return e->code;
}

enum err_code report_add_confusions(const struct report *r, struct doc *d, struct err *e)
{
    size_t *index = calloc(r->n + 1, sizeof *index);

    if (index == NULL)
        return err_set(e, ERR_NOMEM, "report: no memory");
    doc_add(d, DOC_SECTION, "Confusion matrices");
    doc_add(d, DOC_TEXT,
            "Of the test samples of each true class (row), the per cent that were predicted as "
            "each class (column).");
    for (int column = 0; column < r->columns; column++)
        for (int row = 0; row < r->rows; row++)
            if (report_cell_runs(r, row, column, NULL) > 0)
                TRY(add_confusion(r, d, row, column, index, e));
out:
    free(index);
    return e->code;
}
