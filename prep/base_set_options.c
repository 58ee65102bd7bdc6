/* SPDX-License-Identifier: MIT */
#include "prep/base_set.h"

enum { KEY_ROOT = 0x200 };

static const struct argp_option options[] = {
    {"root", KEY_ROOT, "DIR", 0, "The corpus: what paths in CLIPS are relative to", 0},
    {"output", 'o', "DIR", 0, "The set to write: a folder of shards and an index", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct base_set_options *opt = state->input;

    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &opt->cli; return 0;
    case KEY_ROOT: opt->root = arg; return 0;
    case 'o': opt->output = arg; return 0;
    case ARGP_KEY_ARG:
        if (opt->clips != NULL)
            return ARGP_ERR_UNKNOWN;
        opt->clips = arg;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {CLI_CHILD, {0}};
const struct argp base_set_argp = {options, parse, NULL, NULL, children, NULL, NULL};

enum err_code base_set_options_parse(struct base_set_options *opt, const struct argp *argp,
                                     int argc, char **argv, const char *tool, void *input,
                                     struct err *e)
{
    opt->out = stdout;
    TRY(cli_parse(argp, argc, argv, tool, &opt->cli, input, e));
    if (opt->clips == NULL)
        (void)err_set(e, ERR_USAGE, "CLIPS: missing: name the manifest that synib-scan wrote");
    else if (opt->root == NULL)
        (void)err_set(e, ERR_USAGE, "--root: missing: name the folder that synib-scan looked at");
    else if (opt->output == NULL)
        (void)err_set(e, ERR_USAGE, "-o: missing: name the set to write");
out:
    return e->code;
}
