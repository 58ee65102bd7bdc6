/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_TRAIN_H
#define TRAIN_TRAIN_H

#include "common/base/cli.h"
#include "train/run_dir.h"

/* synib-train. */
enum { TRAIN_MAX_SETS = 64 };

struct train_options {
    struct cli cli;
    const char *data, *preset, *method, *mask, *out, *pretrained;
    const char *set[TRAIN_MAX_SETS + 1]; /* NULL-terminated, in order */
    const char *base[RUN_MAX_BASES + 1];
    bool resume, print_config;
    bool settings_checked; /* for settings without effect, by the sweep that calls */
    int64_t max_steps;     /* -1 = no limit */
};

NODISCARD enum err_code train_options_parse(struct train_options *opt, int argc, char **argv,
                                            struct err *e);
NODISCARD enum err_code train_run(const struct train_options *opt, struct err *e);

#endif
