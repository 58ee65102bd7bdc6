/* SPDX-License-Identifier: MIT */
#ifndef PREP_XOR_H
#define PREP_XOR_H

#include "common/base/cli.h"
#include "common/data/xor.h"

/* synib-xor: writes the synthetic tasks of common/data/xor.h as a dataset of vectors: DIR/train,
 * DIR/val, DIR/test (docs/formats/vectors.md). */

struct xor_tool_options {
    struct cli cli;
    const char *output; /* loan from argv */
    int task;           /* enum xor_task; -1: not given */
    struct xor_options data;
};

NODISCARD enum err_code xor_tool_parse(struct xor_tool_options *opt, int argc, char **argv,
                                       struct err *e);

/* A split that is there already with the same content is kept, so that the same command finishes a
 * job that was killed; any other set is ERR_EXISTS without --force, and nothing is written. */
NODISCARD enum err_code xor_tool_run(const struct xor_tool_options *opt, struct err *e);

#endif
