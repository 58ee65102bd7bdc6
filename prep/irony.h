/* SPDX-License-Identifier: MIT */
#ifndef PREP_IRONY_H
#define PREP_IRONY_H

#include "common/base/cli.h"
#include "prep/irony_plan.h"
#include "prep/split_table.h"

#include <stdio.h>

/* synib-irony: base sets + a split -> an irony set per part; or --plan, which needs no media. */

struct irony_options {
    struct cli cli;
    const char *video, *audio; /* base sets */
    const char *split;         /* split manifest; with --plan --scheme: the part */
    const char *part;          /* --plan with a split manifest */
    const char *scheme;        /* --plan: "reference", NULL = from a split manifest */
    int fold;                  /* -1: not given */
    bool plan;
    double rate;        /* -1: not given */
    int donors;         /* enum donor_rule */
    double matched;     /* rate of matched swaps; 0 = none */
    int matched_donors; /* enum donor_rule; -1: not given */
    bool donor_fallback;
    bool materialise;
    bool allow_overlap;
    const char **drop; /* clips to drop before mutation; owned by the options */
    size_t drops, drop_cap;
    const char *output;
    const char *manifests;
    FILE *out; /* the plan, --json; stdout */
};
#define IRONY_OPTIONS_DEFAULT                          \
    {                                                  \
        .fold = -1, .rate = -1.0, .matched_donors = -1 \
    }

/* Loans from argv, but for the list `drop`, which irony_options_free releases. */
NODISCARD enum err_code irony_options_parse(struct irony_options *opt, int argc, char **argv,
                                            struct err *e);
void irony_options_free(struct irony_options *opt);

/* Errors: ERR_REJECTED when the sets were written but clips of the split were dropped (the log and
 * DATA/dropped.tsv list them); ERR_DATA when speakers leak, a base clip has no donor or a manifest
 * is broken: nothing is written then; ERR_USAGE, ERR_EXISTS, ERR_IO. */
NODISCARD enum err_code irony_run(const struct irony_options *opt, struct err *e);

/* One part of a split, in order, with its plan. */
struct irony_part {
    enum part part;
    const struct split_row **row; /* [n] loans of the split table */
    struct plan_clip *clip;       /* [n] */
    size_t n;
    struct irony_plan plan;
    char digest[65]; /* hex SHA-256 of the plan's lines */
};
/* The rows of `part`, without the clips for which drop(ctx, row) is true. drop may be NULL. */
NODISCARD enum err_code irony_part_init(struct irony_part *p, const struct split_table *t,
                                        enum part part,
                                        bool (*drop)(const struct split_row *row, void *ctx),
                                        void *ctx, struct err *e);
/* Makes the plan and its digest. */
NODISCARD enum err_code irony_part_plan(struct irony_part *p, const struct plan_options *opt,
                                        struct err *e);
void irony_part_free(struct irony_part *p);

/* Lines "<base> <donor>\n", of a matched swap "<base> <donor> matched\n", in increasing base
 * position: what the digest is taken over. *text is the caller's. */
NODISCARD enum err_code irony_part_lines(char **text, size_t *len, const struct irony_part *p,
                                         struct err *e);

/* Full mode (irony_write.c): writes DATA/train, DATA/val and DATA/test. */
NODISCARD enum err_code irony_write(const struct irony_options *opt, const struct split_table *t,
                                    const struct plan_options *plan, struct err *e);

/* Counts of a part that was planned with `opt` as a JSON object of jansson (json_t *); NULL without
 * memory. */
struct json_t *irony_part_json(const struct irony_part *p, const struct plan_options *opt);

#endif
