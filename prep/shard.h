/* SPDX-License-Identifier: MIT */
#ifndef PREP_SHARD_H
#define PREP_SHARD_H

#include "common/base/cli.h"

#include <stdio.h>

/* synib-shard: looks into shard sets, irony datasets and single container files. The formats are in
 * docs/formats/. */

enum { INSPECT_MAX_BASES = 16, INSPECT_MAX_TARGETS = 64 };

enum inspect_command {
    INSPECT_LS,
    INSPECT_DUMP,
    INSPECT_VERIFY,
    INSPECT_STAT,
    INSPECT_DIFF,
    INSPECT_EXPORT,
    INSPECT_CONTACT_SHEET,
    N_INSPECT_COMMANDS
};

/* Options that not every command takes; bits of inspect_options.given. */
enum inspect_option {
    INSPECT_SPLIT = 1 << 0,
    INSPECT_BASE = 1 << 1,
    INSPECT_SAMPLE = 1 << 2,
    INSPECT_CLIP = 1 << 3,
    INSPECT_OUTPUT = 1 << 4,
    INSPECT_TO = 1 << 5,
    INSPECT_COUNT = 1 << 6,
    INSPECT_COLUMNS = 1 << 7
};

struct inspect_options {
    struct cli cli;
    int command;    /* enum inspect_command; -1: not given */
    unsigned given; /* enum inspect_option, those on the command line */
    const char *target[INSPECT_MAX_TARGETS];
    int targets;
    const char *base[INSPECT_MAX_BASES + 1]; /* NULL-terminated folders with base sets */
    int bases;
    const char *split;  /* one split of a dataset; NULL = all (contact-sheet: the first) */
    const char *clip;   /* dump: by name */
    int64_t sample;     /* dump: by number; -1 = not given */
    const char *output; /* export: folder; contact-sheet: file */
    int count;          /* contact-sheet: samples to draw */
    int columns;        /* contact-sheet: samples per row */
    FILE *out;          /* reports; stdout */
};
#define INSPECT_OPTIONS_DEFAULT                                \
    {                                                          \
        .command = -1, .sample = -1, .count = 12, .columns = 3 \
    }

/* Loans from argv. Errors: ERR_USAGE. */
NODISCARD enum err_code inspect_options_parse(struct inspect_options *opt, int argc, char **argv,
                                              struct err *e);

/* Errors: ERR_CHECKSUM, ERR_FORMAT, ERR_TRUNCATED for damage; ERR_DATA for a target of another kind
 * and for `diff` when the targets differ; ERR_USAGE for a sample or split that is not there. */
NODISCARD enum err_code inspect_run(const struct inspect_options *opt, struct err *e);

#endif
