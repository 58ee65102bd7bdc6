/* SPDX-License-Identifier: MIT */
#include "prep/synth.h"

#include "common/base/text_stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { KEY_ACTORS = 0x100, KEY_SENTENCES, KEY_DEFECTS, MAX_ACTORS = 8000, MAX_SENTENCES = 12 };

static const struct argp_option options[] = {
    {"output", 'o', "ROOT", 0, "Folder of the corpus; made if absent (required)", 0},
    {"actors", KEY_ACTORS, "N", 0, "Actors, numbered from 1001", 0},
    {"sentences", KEY_SENTENCES, "M", 0, "The first M of CREMA-D's 12 sentences", 0},
    {"defects", KEY_DEFECTS, NULL, 0,
     "Add clips that are broken in every known way, by further actors, and list them in "
     "ROOT/defects.tsv",
     0},
    {0},
};

static enum err_code parse_int(int *out, const char *text, int max, const char *what, struct err *e)
{
    int64_t v = 0;

    TRY(cli_int(&v, text, 1, max, what, e));
    *out = (int)v;
out:
    return e->code;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct synth_options *opt = state->input;
    struct err *e = opt->cli.err;

    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &opt->cli; return 0;
    case 'o': opt->root = arg; return 0;
    case KEY_ACTORS:
        return parse_int(&opt->actors, arg, MAX_ACTORS, "--actors", e) == ERR_OK ? 0 : EINVAL;
    case KEY_SENTENCES:
        return parse_int(&opt->sentences, arg, MAX_SENTENCES, "--sentences", e) == ERR_OK ? 0
                                                                                          : EINVAL;
    case KEY_DEFECTS: opt->defects = true; return 0;
    case ARGP_KEY_ARG:
        err_set(e, ERR_USAGE, "'%s': unexpected argument: the folder is given with -o ROOT", arg);
        return EINVAL;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* The defaults in --help are the live ones. */
static char *show_defaults(int key, const char *text, void *input)
{
    const struct synth_options opt = SYNTH_OPTIONS_DEFAULT;
    struct err e = {0};
    char *out = NULL;
    FILE *f;

    (void)input;
    if (key != KEY_ACTORS && key != KEY_SENTENCES)
        return (char *)text;
    f = text_stream_open(&out, "help", &e);
    if (f == NULL)
        return (char *)text;
    fprintf(f, "%s (default %d)", text, key == KEY_ACTORS ? opt.actors : opt.sentences);
    return text_stream_close(f, &out, "help", &e) == ERR_OK ? out : (char *)text;
}

enum err_code synth_options_parse(struct synth_options *opt, int argc, char **argv, struct err *e)
{
    static const struct argp_child children[] = {CLI_CHILD, {0}};
    static const struct argp argp = {
        options,
        parse,
        "-o ROOT",
        "Draw and speak a corpus in the shape of CREMA-D: FLV and WAV files of actors who say "
        "sentences in six emotions.\v"
        "Each actor makes 16 clips of the first sentence (three levels) and 6 of every other.\n\n"
        "Examples:\n"
        "  synib-synth -o corpus --actors 24 --sentences 2 --seed 1\n"
        "  synib-synth -o broken --actors 2 --sentences 1 --defects\n\n"
        "Exit status: 0 done; 1 failed (also: ROOT holds something else); 2 bad command line; "
        "75 stopped on request, the same command finishes.",
        children,
        show_defaults,
        NULL,
    };

    TRY(cli_parse(&argp, argc, argv, "synib-synth", &opt->cli, opt, e));
    if (opt->root == NULL || opt->root[0] == '\0')
        FAIL(err_set(e, ERR_USAGE, "no output folder: give one with -o ROOT"));
out:
    return e->code;
}
