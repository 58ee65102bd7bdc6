/* SPDX-License-Identifier: MIT */
#ifndef PREP_SPLIT_H
#define PREP_SPLIT_H

#include "common/base/cli.h"
#include "prep/split_table.h"

#include <stdio.h>

/* synib-split: clips + a scheme -> a split manifest; or --audit of splits of any origin. */

enum { SPLIT_MAX_AUDITS = 64, SPLIT_MAX_BASES = 16 };

struct split_options {
    struct cli cli;
    const char *clips;     /* clips manifest; NULL with the reference scheme: every clip of it */
    const char *scheme;    /* "reference", "kfold" or the path of a folds manifest */
    bool scheme_given;     /* by --scheme */
    int fold;              /* -1: not given */
    int folds;             /* K of kfold */
    bool folds_given;      /* by --folds */
    const char *output;    /* split manifest */
    const char *manifests; /* folder, NULL = find it */
    bool allow_overlap;    /* an actor in two parts is a warning */
    const char *audit[SPLIT_MAX_AUDITS];
    int audits;
    const char *media; /* digest manifest for --audit; NULL = the official one */
    const char *base[SPLIT_MAX_BASES + 1]; /* --audit: NULL-terminated folders with base sets */
    int bases;
    FILE *out; /* reports (--json and --audit); stdout */
};
#define SPLIT_OPTIONS_DEFAULT                         \
    {                                                 \
        .scheme = "reference", .fold = -1, .folds = 5 \
    }

/* Loans from argv. Errors: ERR_USAGE. */
NODISCARD enum err_code split_options_parse(struct split_options *opt, int argc, char **argv,
                                            struct err *e);

/* Errors: ERR_REJECTED when the split was written but clips that the scheme names were dropped
 * (the log lists them), ERR_DATA when speakers leak (nothing is written), ERR_USAGE, ERR_EXISTS,
 * ERR_IO. */
NODISCARD enum err_code split_run(const struct split_options *opt, struct err *e);

/* True K-fold over actors: every actor is tested in exactly one fold; part `val` of fold f is the
 * test part of fold f + 1 mod folds. Actors are shuffled by Philox (seed, "split.kfold") and dealt
 * one by one to the fold with the fewest actors, among these the fewest clips. Rejected clips are
 * left out. Independent of the order of the corpus. Errors: ERR_USAGE (folds < 3, fold out of
 * range), ERR_DATA (fewer actors than folds). */
NODISCARD enum err_code split_kfold(struct split_table *out, const struct corpus *corpus,
                                    uint64_t seed, int folds, int fold, struct err *e);

/* Clips (or actors) that a scheme names and the corpus cannot give. */
struct dropped {
    char key[CLIP_NAME_SIZE]; /* clip name, or the actor of a table of actors */
    enum part part;
    const char *reason; /* loan of the corpus, or static */
};
struct drop_list {
    struct dropped *item;
    size_t count, cap;
};
void drop_list_free(struct drop_list *d);

/* Accepted clips that a table leaves out: those whose actor (or clip) it marks "-", on purpose, and
 * those whose actor (or clip) it does not name, perhaps by a typing error. */
struct left_out {
    size_t marked, absent;        /* clips */
    bool actors;                  /* the table is one of actors */
    char (*name)[CLIP_NAME_SIZE]; /* actors or clips that are not named, ascending, each once */
    size_t names, cap;
};
void left_out_free(struct left_out *l);

/* Parts from a user's table (kind "folds", keyed by actor or clip), in the order of the corpus.
 * fold < 0: column "part", or fold0. Accepted clips that the table does not name, or marks "-", are
 * left out and told in *left, which is overwritten; keys that the corpus has no accepted clip for
 * are added to `dropped`. ERR_DATA when a key stands twice or a part has another name. */
NODISCARD enum err_code split_by_table(struct split_table *out, const struct corpus *corpus,
                                       const char *path, int fold, struct left_out *left,
                                       struct drop_list *dropped, struct err *e);

#endif
