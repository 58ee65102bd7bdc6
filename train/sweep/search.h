/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_SWEEP_SEARCH_H
#define TRAIN_SWEEP_SEARCH_H

#include "common/data/tsv.h"

#include <stddef.h>
#include <stdint.h>

/* A search: a plan whose rows may stand for many runs (docs/formats/sweep.md). */

struct search_options {
    const char *path;
    int64_t draws; /* of every random row; 0 = not given */
    uint64_t seed; /* of the draws */
};
enum { SEARCH_RUNS = 100000 }; /* most runs of one search */

/* The text of the plan that the search stands for, a function of the file's content and the
 * options; caller frees. Every run of it has been checked as plan_read checks it. ERR_DATA lists
 * faults as FILE:LINE; ERR_USAGE: draws are missing, or there is nothing to draw. */
NODISCARD enum err_code search_expand(char **text, size_t *runs, const struct search_options *opt,
                                      struct err *e);
/* The same of a table that was read with plan_columns, which it takes, on failure too; opt->path is
 * for messages. */
NODISCARD enum err_code search_expand_table(char **text, size_t *runs, struct tsv *t,
                                            const struct search_options *opt, struct err *e);

#endif
