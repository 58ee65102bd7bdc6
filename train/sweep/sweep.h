/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_SWEEP_SWEEP_H
#define TRAIN_SWEEP_SWEEP_H

#include "common/base/cli.h"
#include "train/sweep/select.h"

/* synib-sweep. */
struct sweep_options {
    struct cli cli;
    const char *plan, *out;
    struct sweep_part part;
    bool merge;
    bool no_test;  /* leave test splits closed */
    bool select;   /* write selected.tsv */
    int select_by; /* enum select_by */
    bool expand;   /* plan is a search, out the plan to write */
    int64_t draws; /* 0 = not given */
};

NODISCARD enum err_code sweep_options_parse(struct sweep_options *opt, int argc, char **argv,
                                            struct err *e);
/* Expands a search, or runs a plan: ERR_NONFINITE when some runs were not finite, after all others
 * are done. */
NODISCARD enum err_code sweep_run(const struct sweep_options *opt, struct err *e);

#endif
