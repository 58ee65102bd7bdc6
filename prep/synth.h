/* SPDX-License-Identifier: MIT */
#ifndef PREP_SYNTH_H
#define PREP_SYNTH_H

#include "common/base/cli.h"

#include <stdint.h>
#include <stdio.h>

/* synib-synth: a raw corpus in the shape of CREMA-D, drawn and spoken from a seed.
 *
 *   ROOT/VideoFlash/<clip>.flv
 *   ROOT/AudioWAV/<clip>.wav
 *   ROOT/VideoDemographics.csv
 *   ROOT/defects.tsv  with `defects`: manifest kind "defects", docs/formats/manifests.md
 *   ROOT/media.tsv    digests of every clip (manifest kind "media"), written last:
 *                     a ROOT without it is incomplete
 *
 * The bytes depend on actors, sentences, seed and defects alone: not on jobs, place or machine.
 * docs/synthetic-corpus.md says what is in it and what it is not. */

struct synth_options {
    struct cli cli; /* seed, jobs, force, dry_run, json */
    const char *root;
    int actors;    /* 1 .. 8000 */
    int sentences; /* 1 .. 12 */
    bool defects;
};
#define SYNTH_OPTIONS_DEFAULT        \
    {                                \
        .actors = 24, .sentences = 2 \
    }

/* --help and --version print and exit 0. */
NODISCARD enum err_code synth_options_parse(struct synth_options *opt, int argc, char **argv,
                                            struct err *e);

struct synth_summary {
    int actors, clips, defects;    /* defects are among the clips; their actors among the actors */
    uint64_t flv_bytes, wav_bytes; /* of regular files */
    char media_sha256[65]; /* of media.tsv: one number for the whole corpus; "" if dry run */
};

/* Writes the corpus; `summary` may be NULL. With dry_run only counts and complains. Errors:
 * ERR_EXISTS when ROOT holds a finished corpus and force is not set, or files that this corpus
 * would not contain (they are never removed); ERR_STOPPED after SIGINT or SIGTERM: the same command
 * makes the rest. */
NODISCARD enum err_code synth_run(const struct synth_options *opt, struct synth_summary *summary,
                                  struct err *e);

/* One JSON object on one line. */
void synth_summary_json(const struct synth_summary *summary, FILE *out);

#endif
