/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_SWEEP_MAKERS_H
#define TRAIN_SWEEP_MAKERS_H

#include "train/sweep/results.h"

/* What made the rows of a sweep: version and machine ("synib.machine", docs/formats/run.md). The
 * bytes of results.tsv do not say it; DIR/timing.jsonl does, in a line of each run. */

enum { MAKER_SIZE = 192 };

/* "VERSION, MACHINE" of this process. */
NODISCARD enum err_code maker_now(char text[MAKER_SIZE], struct err *e);

/* The line of timing.jsonl of a run that took `ms`. */
void maker_line(char *line, size_t size, const char *run, int64_t ms, const char *maker);

/* Warns when the rows that are there were not all made with the same, nor with `now`, which will
 * make more of them (NULL: nobody will). Rows whose line is missing or damaged, or older than this,
 * are taken for any. */
NODISCARD enum err_code makers_warn(const struct results *r, const char *now, const struct log *log,
                                    struct err *e);

#endif
