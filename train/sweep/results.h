/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_SWEEP_RESULTS_H
#define TRAIN_SWEEP_RESULTS_H

#include "train/run_dir.h"
#include "train/sweep/run.h"

/* results.tsv: docs/formats/sweep.md. */

/* Which rows of a plan a file holds: part i of n, from 1; 1 of 1 is the whole. */
struct sweep_part {
    int i, n;
};
bool part_has(const struct sweep_part *part, size_t row);
/* "results.tsv" or "results.I-of-N.tsv". */
void part_file(const struct sweep_part *part, char *out, size_t size);

struct results {
    const struct plan *plan;
    struct sweep_part part;
    char *header;          /* both header lines */
    bool test;             /* runs are tested */
    bool classes, numbers; /* columns that there are */
    bool media;
    int sources;
    char source[2 * VECTORS_SOURCES][VECTORS_NAME_SIZE];
    struct run_kind *kind;           /* [plan->n] */
    char (*identity)[IDENTITY_SIZE]; /* [plan->n] */
    char **row;                      /* [plan->n] finished line, NULL = not yet */
    size_t done;                     /* rows of this part that are there */
    bool failed;                     /* any row that is not `ok` */
    char *dir;
    struct run_log log;
};

/* Columns and identities of all rows; opens nothing in dir yet. test: false leaves test splits
 * closed and their columns away. ERR_DATA lists rows whose data are of the wrong kind. */
NODISCARD enum err_code results_init(struct results *r, const struct plan *plan,
                                     struct sweep_part part, bool test, const char *dir,
                                     struct err *e);
void results_free(struct results *r);

/* Whether the results in dir, or with `parts` those of its parts, have columns of the test split;
 * as it was where there are none. */
NODISCARD enum err_code results_have_test(bool *test, const char *dir, bool parts, struct err *e);

/* Takes over the rows of the file that is there: ERR_DATA when they are of another plan. Whole rows
 * only; what a killed sweep left of a row is dropped at results_start. */
NODISCARD enum err_code results_read(struct results *r, struct err *e);
/* The rows of every part file in dir. */
NODISCARD enum err_code results_read_parts(struct results *r, struct err *e);
/* Opens the file for results_add. */
NODISCARD enum err_code results_start(struct results *r, struct err *e);
/* Row of plan->run[i], appended and on stable storage. Threads: one at a time. */
NODISCARD enum err_code results_add(struct results *r, size_t i, const struct run_result *result,
                                    struct err *e);
/* Replaces the file by one in the plan's order. ERR_DATA when a row is missing. */
NODISCARD enum err_code results_finish(struct results *r, struct err *e);

#endif
