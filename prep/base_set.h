/* SPDX-License-Identifier: MIT */
#ifndef PREP_BASE_SET_H
#define PREP_BASE_SET_H

#include "common/base/cli.h"
#include "common/data/fields.h"
#include "prep/base_sample.h"
#include "prep/clip_list.h"
#include "prep/contain.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What synib-frames and synib-stft share: clips.tsv -> one base set, one sample per clip.
 *
 * Every row of clips.tsv ends in the set or in OUT/rejected.tsv (docs/formats/manifests.md, kind
 * "rejected"): rows that the scan had rejected, and clips that this tool rejects. A clip is
 * rejected when its file cannot be read, when its SHA-256 is not the one in clips.tsv (it changed
 * since the scan), when the tool's work() finds a fault, or when work() crashes, hangs or does what
 * is forbidden: it runs in worker processes (prep/contain.h). Lack of memory in the tool itself
 * ends the run instead. Samples have the order of clips.tsv and the same bytes at any number of
 * threads. */

struct base_set_options {
    struct cli cli;
    const char *clips; /* clips.tsv */
    const char *root;
    const char *output;
    FILE *out; /* where --json goes; stdout */
};

/* CLIPS, --root and -o, with the common options below it: a child parser whose input is the tool's
 * struct base_set_options. */
extern const struct argp base_set_argp;
/* Parses the command line with the tool's argp, whose input is `input` (which holds opt), and
 * checks that nothing is missing. */
NODISCARD enum err_code base_set_options_parse(struct base_set_options *opt,
                                               const struct argp *argp, int argc, char **argv,
                                               const char *tool, void *input, struct err *e);

struct base_set_tool {
    const char *name; /* "synib-frames" */
    const char *step; /* in rejected.tsv: "frames" */
    enum clip_media media;
    const char *prefix; /* of the shard files */
    struct shard_field field[SHARD_MAX_FIELDS];
    int fields;
    uint64_t sample_bytes; /* about what a sample takes on disk, rather too little than too much */
    /* where the driver's own values go */
    int clip_field, actor_field, label_field, flags_field, sha256_field;
    /* where the sample's go: parts in `parts` fields from part_field on; -1 = no frame.index */
    int part_field, parts, index_field;
    size_t part_max;     /* bytes of one part */
    uint32_t keep_flags; /* which flags of the scan concern this medium */
    uint32_t may_flag;   /* which ones work() may add */
    const char *config;  /* canonical JSON; provenance */
    const char *libraries;

    /* Made once, before there are workers: each has a copy of its own. */
    enum err_code (*scratch_new)(void **scratch, struct err *e);
    void (*scratch_free)(void *scratch);
    /* In a worker. One clip: data[len] is the whole file, row->path its name for messages (never
     * with ROOT, so that rejected.tsv is the same everywhere). part[0..parts) from malloc(), freed
     * by the driver. An error rejects the clip. */
    enum err_code (*work)(void *ctx, void *scratch, const struct clip_row *row, const void *data,
                          size_t len, struct base_sample *sample, struct err *e);
    /* In the tool: whether what a worker gave can be a result of work(). ERR_FORMAT; the text does
     * not name the clip. */
    enum err_code (*check)(const struct base_sample *sample, struct err *e);
    void *ctx;
    struct contain_limits limits; /* of one work() */
};

/* ERR_REJECTED when clips were rejected here (the set is written); ERR_DATA when none is left;
 * ERR_STOPPED on a signal (nothing is published). With --dry-run only clips.tsv is read. With
 * --json one object with the counts goes to stdout. */
NODISCARD enum err_code base_set_run(const struct base_set_options *opt,
                                     const struct base_set_tool *tool, struct err *e);

#endif
