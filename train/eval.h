/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_EVAL_H
#define TRAIN_EVAL_H

#include "common/base/cli.h"
#include "train/run_dir.h"

/* synib-eval. */
struct eval_options {
    struct cli cli;
    const char *run, *data, *split, *out, *unimodal;
    const char *base[RUN_MAX_BASES + 1];
    bool last; /* measure last.safetensors */
};

NODISCARD enum err_code eval_options_parse(struct eval_options *opt, int argc, char **argv,
                                           struct err *e);
NODISCARD enum err_code eval_run(const struct eval_options *opt, struct err *e);

#endif
