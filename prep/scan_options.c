/* SPDX-License-Identifier: MIT */
#include "prep/scan.h"

#include <string.h>

enum { KEY_MEDIA = 0x100, KEY_ISSUES, KEY_MANIFESTS, KEY_NO_VERIFY, KEY_ALLOW_SILENT };

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0, "The clips manifest to write", 0},
    {"media", KEY_MEDIA, "FILE", 0,
     "Digests to compare with (default: ROOT/media.tsv if there is one, else CREMA-D's own; none = "
     "do not compare)",
     0},
    {"no-verify", KEY_NO_VERIFY, NULL, 0, "A digest that differs is a flag, not a rejection", 0},
    {"allow-silent", KEY_ALLOW_SILENT, NULL, 0, "Silent sound is a flag, not a rejection", 0},
    {"issues", KEY_ISSUES, "FILE", 0,
     "Known issues (default: the shipped list when the digests are CREMA-D's own or none; none = "
     "no list)",
     0},
    {"manifests", KEY_MANIFESTS, "DIR", 0, "Folder of the shipped manifests", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct scan_options *opt = state->input;

    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &opt->cli; return 0;
    case 'o': opt->output = arg; return 0;
    case KEY_MEDIA: opt->media = arg; return 0;
    case KEY_ISSUES: opt->issues = arg; return 0;
    case KEY_MANIFESTS: opt->manifests = arg; return 0;
    case KEY_NO_VERIFY: opt->no_verify = true; return 0;
    case KEY_ALLOW_SILENT: opt->allow_silent = true; return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0)
            return ARGP_ERR_UNKNOWN;
        opt->root = arg;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

enum err_code scan_options_parse(struct scan_options *opt, int argc, char **argv, struct err *e)
{
    static const struct argp_child children[] = {CLI_CHILD, {0}};
    static const struct argp argp = {
        options,
        parse,
        "ROOT",
        "Looks at every clip of a CREMA-D checkout (ROOT/VideoFlash/*.flv and "
        "ROOT/AudioWAV/*.wav) and writes a manifest that says of each: accepted, accepted with a "
        "flag, or rejected, and why.\v"
        "Examples:\n"
        "  synib-scan CREMA-D -o clips.tsv\n"
        "  synib-scan my-corpus --media none -o clips.tsv --json\n\n"
        "Exit codes: 0 done; 1 failed; 2 bad command line; 3 done, but some clips are rejected "
        "(the manifest is written); 4 a manifest is broken or there is no clip at all, "
        "or nothing but git-lfs pointers.",
        children,
        NULL,
        NULL};

    opt->out = stdout;
    TRY(cli_parse(&argp, argc, argv, "synib-scan", &opt->cli, opt, e));
    if (opt->root == NULL)
        FAIL(err_set(e, ERR_USAGE, "ROOT: missing: name the folder of the corpus"));
    if (opt->output == NULL && !opt->cli.dry_run)
        FAIL(err_set(e, ERR_USAGE, "-o: missing: name the clips manifest to write"));
    if (opt->no_verify && opt->media != NULL && strcmp(opt->media, "none") == 0)
        FAIL(err_set(e, ERR_USAGE, "--no-verify: not with --media none, which compares nothing"));
out:
    return e->code;
}
