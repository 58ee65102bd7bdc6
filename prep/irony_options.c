/* SPDX-License-Identifier: MIT */
#include "prep/irony.h"

#include "common/base/mem.h"

#include <errno.h>
#include <float.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_VIDEO = 0x100,
    KEY_AUDIO,
    KEY_SPLIT,
    KEY_PART,
    KEY_SCHEME,
    KEY_FOLD,
    KEY_PLAN,
    KEY_RATE,
    KEY_DONORS,
    KEY_MATCHED,
    KEY_MATCHED_DONORS,
    KEY_FALLBACK,
    KEY_MATERIALISE,
    KEY_ALLOW_OVERLAP,
    KEY_DROP,
    KEY_MANIFESTS,
    FOLD_MAX = 999,
};

static const struct argp_option options[] = {
    {"video", KEY_VIDEO, "DIR", 0, "Base set of frames (synib-frames)", 0},
    {"audio", KEY_AUDIO, "DIR", 0, "Base set of spectrograms (synib-stft)", 0},
    {"split", KEY_SPLIT, "FILE", 0,
     "Split manifest (synib-split); with --plan --scheme: train, val or test", 0},
    {"rate", KEY_RATE, "R", 0, "Irony samples per mean class size, any number >= 0", 0},
    {"output", 'o', "DATA", 0, "Folder for the sets train, val and test", 0},
    {"donors", KEY_DONORS, "RULE", 0,
     "reference (any clip of a contradicting emotion, default), same-actor or same-sentence", 0},
    {"matched", KEY_MATCHED, "R", 0,
     "Also swap the sound of R clips per mean class size for one of the same emotion; they keep "
     "their label (default 0)",
     0},
    {"matched-donors", KEY_MATCHED_DONORS, "RULE", 0,
     "Donors of --matched: same-actor (default), reference (any actor) or same-sentence", 0},
    {"donor-fallback", KEY_FALLBACK, NULL, 0,
     "Where the rule leaves no donor, take a reference donor and flag the sample", 0},
    {"drop", KEY_DROP, "CLIP", 0, "Drop a clip before mutation; may be repeated", 0},
    {"materialise", KEY_MATERIALISE, NULL, 0, "Write self-contained sets, not overlays", 0},
    {"allow-speaker-overlap", KEY_ALLOW_OVERLAP, NULL, 0,
     "Go on when a speaker is in two parts; stamped in the sets", 0},
    {"plan", KEY_PLAN, NULL, 0, "Only print the pairs '<base> <donor>'; needs no media", 0},
    {"scheme", KEY_SCHEME, "NAME", 0, "For --plan: reference, instead of a split manifest", 0},
    {"fold", KEY_FOLD, "N", 0, "For --plan --scheme: which fold (default 0)", 0},
    {"part", KEY_PART, "NAME", 0, "For --plan with a split manifest: train, val or test", 0},
    {"manifests", KEY_MANIFESTS, "DIR", 0, "Folder of the shipped manifests", 0},
    {0},
};

static error_t parse_value(int key, char *arg, struct irony_options *opt)
{
    struct err *e = opt->cli.err;
    int64_t number = 0;
    enum err_code rc = ERR_OK;

    switch (key) {
    case KEY_RATE: rc = cli_double(&opt->rate, arg, 0.0, DBL_MAX, "--rate", e); break;
    case KEY_DONORS: rc = cli_choice(&opt->donors, arg, donor_rule_names, "--donors", e); break;
    case KEY_MATCHED: rc = cli_double(&opt->matched, arg, 0.0, DBL_MAX, "--matched", e); break;
    case KEY_MATCHED_DONORS:
        rc = cli_choice(&opt->matched_donors, arg, donor_rule_names, "--matched-donors", e);
        break;
    case KEY_FOLD:
        rc = cli_int(&number, arg, 0, FOLD_MAX, "--fold", e);
        opt->fold = (int)number;
        break;
    case KEY_DROP:
        rc = mem_grow(&opt->drop, &opt->drop_cap, opt->drops + 1, sizeof *opt->drop, "--drop", e);
        if (rc == ERR_OK)
            opt->drop[opt->drops++] = arg;
        break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return rc == ERR_OK ? 0 : EINVAL;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct irony_options *opt = state->input;

    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &opt->cli; return 0;
    case KEY_VIDEO: opt->video = arg; return 0;
    case KEY_AUDIO: opt->audio = arg; return 0;
    case KEY_SPLIT: opt->split = arg; return 0;
    case KEY_PART: opt->part = arg; return 0;
    case KEY_SCHEME: opt->scheme = arg; return 0;
    case KEY_PLAN: opt->plan = true; return 0;
    case KEY_FALLBACK: opt->donor_fallback = true; return 0;
    case KEY_MATERIALISE: opt->materialise = true; return 0;
    case KEY_ALLOW_OVERLAP: opt->allow_overlap = true; return 0;
    case KEY_MANIFESTS: opt->manifests = arg; return 0;
    case 'o': opt->output = arg; return 0;
    default: return parse_value(key, arg, opt);
    }
}

static enum err_code check_plan(const struct irony_options *opt, struct err *e)
{
    if (opt->output != NULL || opt->video != NULL || opt->audio != NULL || opt->materialise)
        return err_set(e, ERR_USAGE,
                       "--plan: takes no --video, --audio, --materialise or -o: it only prints");
    if (opt->split == NULL)
        return err_set(e, ERR_USAGE, "--split: missing");
    if (opt->scheme != NULL && strcmp(opt->scheme, "reference") != 0)
        return err_set(e, ERR_USAGE,
                       "--scheme: '%s' is not reference: for others pass --split FILE --part NAME",
                       opt->scheme);
    if ((opt->part != NULL) == (opt->scheme != NULL))
        return err_set(e, ERR_USAGE,
                       "--plan: wants either --scheme reference --split PART or "
                       "--split FILE --part PART");
    return ERR_OK;
}

static enum err_code check(const struct irony_options *opt, struct err *e)
{
    if (opt->rate < 0.0)
        return err_set(e, ERR_USAGE, "--rate: missing: a number >= 0, for example 1.0");
    if (opt->matched_donors >= 0 && opt->matched <= 0.0)
        return err_set(e, ERR_USAGE, "--matched-donors: only with --matched above 0");
    if (opt->donor_fallback && opt->donors == DONORS_REFERENCE &&
        (opt->matched <= 0.0 || opt->matched_donors == DONORS_REFERENCE))
        return err_set(e, ERR_USAGE,
                       "--donor-fallback: only with same-actor or same-sentence for --donors or "
                       "--matched-donors");
    if (opt->plan)
        return check_plan(opt, e);
    if (opt->scheme != NULL || opt->part != NULL)
        return err_set(e, ERR_USAGE, "--scheme and --part: only with --plan");
    if (opt->video == NULL || opt->audio == NULL || opt->split == NULL)
        return err_set(e, ERR_USAGE, "%s: missing: --video, --audio and --split are needed",
                       opt->video == NULL   ? "--video"
                       : opt->audio == NULL ? "--audio"
                                            : "--split");
    if (opt->output == NULL && !opt->cli.dry_run)
        return err_set(e, ERR_USAGE, "-o: missing: name the folder for train, val and test");
    return ERR_OK;
}

void irony_options_free(struct irony_options *opt)
{
    free(opt->drop);
    opt->drop = NULL;
    opt->drops = opt->drop_cap = 0;
}

enum err_code irony_options_parse(struct irony_options *opt, int argc, char **argv, struct err *e)
{
    static const struct argp_child children[] = {CLI_CHILD, {0}};
    static const struct argp argp = {
        options,
        parse,
        NULL,
        "Makes an irony set per part of a split: a clip keeps its picture and gets the sound of a "
        "clip of a contradicting emotion.\v"
        "Examples:\n"
        "  synib-irony --video base/video --audio base/audio --split split.tsv --rate 1.0 -o data\n"
        "  synib-irony --plan --scheme reference --fold 0 --split train --rate 1.0\n"
        "  synib-irony --plan --scheme reference --split test --rate 1 --donors same-actor "
        "--matched 1\n"
        "Without --seed, a reference fold takes the authors' seed (109, 19, 337, 42, 7) and every "
        "other split 0.\n\n"
        "Exit codes: 0 done; 1 failed; 2 bad command line; 3 written, but clips of the split are "
        "not in the base sets (listed); 4 speakers leak, a clip has no donor, or an input is "
        "damaged.",
        children,
        NULL,
        NULL};

    opt->out = stdout;
    TRY(cli_parse(&argp, argc, argv, "synib-irony", &opt->cli, opt, e));
    TRY(check(opt, e));
out:
    return e->code;
}
