/* SPDX-License-Identifier: MIT */
#include "prep/split_audit.h"

#include <errno.h>
#include <string.h>

enum {
    KEY_SCHEME = 0x100,
    KEY_FOLD,
    KEY_FOLDS,
    KEY_MANIFESTS,
    KEY_ALLOW_OVERLAP,
    KEY_AUDIT,
    KEY_MEDIA,
    KEY_BASE,
    FOLD_MAX = 999,
};

static const struct argp_option options[] = {
    {"scheme", KEY_SCHEME, "NAME", 0,
     "reference (the authors' five partitions, default), kfold (every actor tested once), or a "
     "manifest of kind folds with the part of each actor or clip (- leaves it out; those that it "
     "does not name are left out with a warning)",
     0},
    {"fold", KEY_FOLD, "N", 0, "Which fold (default 0)", 0},
    {"folds", KEY_FOLDS, "K", 0, "Number of folds of kfold (default 5)", 0},
    {"output", 'o', "FILE", 0, "The split manifest to write", 0},
    {"audit", KEY_AUDIT, "SPEC", 0,
     "Report who is where in FILE, in PART=FILE,PART=FILE, in a dataset or in that of a run; may "
     "be repeated, one fold each; further arguments are more of them. The parts of FILE are in a "
     "column called " AUDIT_PART_COLUMNS_TEXT "; files without one are one part each",
     0},
    {"media", KEY_MEDIA, "FILE", 0,
     "For --audit: digests that tell identical sound (default: CREMA-D's; none = do not look)", 0},
    {"base", KEY_BASE, "DIR", 0,
     "For --audit: where to look for the base sets of an overlay; again for more", 0},
    {"allow-speaker-overlap", KEY_ALLOW_OVERLAP, NULL, 0, "Go on when a speaker is in two parts",
     0},
    {"manifests", KEY_MANIFESTS, "DIR", 0, "Folder of the shipped manifests", 0},
    {0},
};

static error_t add_audit(struct split_options *opt, const char *spec)
{
    if (opt->audits == SPLIT_MAX_AUDITS) {
        (void)err_set(opt->cli.err, ERR_USAGE, "--audit: more than %d", SPLIT_MAX_AUDITS);
        return EINVAL;
    }
    opt->audit[opt->audits++] = spec;
    return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct split_options *opt = state->input;
    int64_t number = 0;

    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &opt->cli; return 0;
    case KEY_SCHEME:
        opt->scheme = arg;
        opt->scheme_given = true;
        return 0;
    case KEY_FOLD:
        if (cli_int(&number, arg, 0, FOLD_MAX, "--fold", opt->cli.err) != ERR_OK)
            return EINVAL;
        opt->fold = (int)number;
        return 0;
    case KEY_FOLDS:
        if (cli_int(&number, arg, 3, FOLD_MAX, "--folds", opt->cli.err) != ERR_OK)
            return EINVAL;
        opt->folds = (int)number;
        opt->folds_given = true;
        return 0;
    case 'o': opt->output = arg; return 0;
    case KEY_MANIFESTS: opt->manifests = arg; return 0;
    case KEY_ALLOW_OVERLAP: opt->allow_overlap = true; return 0;
    case KEY_MEDIA: opt->media = arg; return 0;
    case KEY_BASE:
        if (opt->bases == SPLIT_MAX_BASES) {
            (void)err_set(opt->cli.err, ERR_USAGE, "--base: more than %d times", SPLIT_MAX_BASES);
            return EINVAL;
        }
        opt->base[opt->bases++] = arg;
        return 0;
    case KEY_AUDIT: return add_audit(opt, arg);
    case ARGP_KEY_ARG:
        /* argp hands out the options first, wherever they stand. */
        if (opt->audits > 0)
            return add_audit(opt, arg);
        if (state->arg_num > 0)
            return ARGP_ERR_UNKNOWN;
        opt->clips = arg;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* What makes a split has no effect on an audit. */
static enum err_code check_audit(const struct split_options *opt, struct err *e)
{
    const char *other = opt->scheme_given  ? "--scheme"
                        : opt->fold >= 0   ? "--fold"
                        : opt->folds_given ? "--folds"
                                           : NULL;

    if (opt->output != NULL)
        return err_set(e, ERR_USAGE, "--audit: takes no -o: it only reports");
    if (other != NULL)
        return err_set(e, ERR_USAGE, "--audit: takes no %s: it reports what the files say", other);
    return ERR_OK;
}

static enum err_code check(const struct split_options *opt, struct err *e)
{
    bool reference = strcmp(opt->scheme, "reference") == 0;

    if (opt->audits > 0)
        return check_audit(opt, e);
    if (opt->media != NULL || opt->bases > 0)
        return err_set(e, ERR_USAGE, "%s: only with --audit",
                       opt->media != NULL ? "--media" : "--base");
    if (opt->folds_given && strcmp(opt->scheme, "kfold") != 0)
        return err_set(e, ERR_USAGE, "--folds: only with --scheme kfold, not with '%s'",
                       opt->scheme);
    if (opt->clips == NULL && !reference)
        return err_set(e, ERR_USAGE, "CLIPS: missing: only --scheme reference can do without");
    if (opt->output == NULL && !opt->cli.dry_run)
        return err_set(e, ERR_USAGE, "-o: missing: name the split manifest to write");
    return ERR_OK;
}

enum err_code split_options_parse(struct split_options *opt, int argc, char **argv, struct err *e)
{
    static const struct argp_child children[] = {CLI_CHILD, {0}};
    static const struct argp argp = {
        options,
        parse,
        "[CLIPS]\n--audit SPEC [SPEC...]",
        "Splits the clips that synib-scan accepted into train, val and test, with no speaker in "
        "two of them; or audits a split of any origin.\v"
        "Examples:\n"
        "  synib-split clips.tsv --scheme reference --fold 0 -o split.tsv\n"
        "  synib-split clips.tsv --scheme kfold --folds 5 --fold 2 --seed 1 -o split.tsv\n"
        "  synib-split --audit train.csv test.csv\n"
        "  synib-split --audit train=a.csv,test=b.csv --audit train=c.csv,test=d.csv\n"
        "  synib-split --audit irony/fold0-r1.0 runs/synib\n"
        "Without CLIPS, the reference scheme gives all of its 5,820 clips.\n\n"
        "Exit codes: 0 done; 1 failed; 2 bad command line; 3 written, but clips of the reference "
        "are missing or rejected (listed); 4 a speaker is in two parts, a part has no "
        "clip, a dataset breaks a rule, a manifest is broken, or an audit found fewer than two "
        "parts to compare.",
        children,
        NULL,
        NULL};

    opt->out = stdout;
    TRY(cli_parse(&argp, argc, argv, "synib-split", &opt->cli, opt, e));
    TRY(check(opt, e));
out:
    return e->code;
}
