/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_REPORT_REPORT_H
#define TRAIN_REPORT_REPORT_H

#include "common/base/cli.h"
#include "train/report/boot.h"
#include "train/report/clips.h"
#include "train/report/doc.h"
#include "train/report/sets.h"

/* synib-report: tables, pictures and provenance of finished runs. docs/formats/report.md. */
struct report_options {
    struct cli cli;
    char **run; /* NULL-terminated; folders of runs or of trees of them; malloc, borrowed strings */
    int runs;
    const char *out, *data, *clips, *title, *note, *gallery;
    const char *base[RUN_MAX_BASES + 1]; /* NULL-terminated */
    int64_t gallery_count;
    bool strict;
};

NODISCARD enum err_code report_options_parse(struct report_options *opt, int argc, char **argv,
                                             struct err *e);
void report_options_free(struct report_options *opt);
/* ERR_REJECTED when runs were left out, after the report is written. */
NODISCARD enum err_code report_make(const struct report_options *opt, struct err *e);

/* ---- what is reported ---- */

struct report_row {
    char *label;
    char method[REPORT_NAME];
    bool plain; /* no mask in the label */
};

struct report_column {
    char *label;
    double rate; /* NaN = none */
};

struct report {
    const struct report_options *opt;
    struct report_run *run; /* those that count first, by row, column, and as given */
    size_t all, n;          /* runs; that count */
    struct report_set *set;
    size_t sets, sets_cap;
    struct report_row *row;
    struct report_column *column;
    int rows, columns;
    int metrics;          /* METRIC_PART + parts */
    struct summary *cell; /* [rows][columns][REPORT_METRICS] */
    struct boot boot;
    struct report_clips clips;
    bool irony; /* pictures and sound */
};

/* The number of runs that count in a cell; their indices, rising, into *index when it is not NULL
 * (room for r->n). */
size_t report_cell_runs(const struct report *r, int row, int column, size_t *index);
const struct summary *report_cell(const struct report *r, int row, int column, int metric);
/* The name of a metric, as in cells.tsv. */
void report_name_metric(const struct report *r, int metric, char *out, size_t size);
/* The emotion or source of metric METRIC_PART + part. */
const char *report_part_name(const struct report *r, int part);
/* The first row of a method; -1 when there is none. */
int report_find_row(const struct report *r, const char *method);

/* Rows, columns and their order; marks every run with its own. Sorts the runs. */
NODISCARD enum err_code report_arrange(struct report *r, struct err *e);
/* Bootstrap and cells. */
NODISCARD enum err_code report_measure(struct report *r, struct err *e);
/* Frees all but the options. */
void report_free(struct report *r);

/* ---- paired differences ---- */

enum { PAIR_METRICS = METRIC_ACCURACY + 1 };

/* Comparison number k: row minus row; false past the last. */
bool report_pair(const struct report *r, int k, int *row, int *against);
/* The difference in one column, over the pairs of runs with one test set and seed. */
NODISCARD enum err_code report_difference(const struct report *r, int row, int against, int column,
                                          int metric, struct summary *s, struct err *e);

/* ---- the parts of the document, in its order ---- */

NODISCARD enum err_code report_add_tables(const struct report *r, struct doc *d, struct err *e);
NODISCARD enum err_code report_add_pairs(const struct report *r, struct doc *d, struct err *e);
NODISCARD enum err_code report_add_curves(const struct report *r, struct doc *d, struct err *e);
NODISCARD enum err_code report_add_confusions(const struct report *r, struct doc *d, struct err *e);
NODISCARD enum err_code report_add_gallery(const struct report *r, struct doc *d, struct err *e);
NODISCARD enum err_code report_add_audit(const struct report *r, struct doc *d, struct err *e);
NODISCARD enum err_code report_add_provenance(const struct report *r, struct doc *d, struct err *e);

/* ---- the machine-readable tables, to a stream in memory ---- */

NODISCARD enum err_code report_write_cells(const struct report *r, FILE *f, struct err *e);
NODISCARD enum err_code report_write_pairs(const struct report *r, FILE *f, struct err *e);

#endif
