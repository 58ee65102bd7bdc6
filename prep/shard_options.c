/* SPDX-License-Identifier: MIT */
#include "prep/shard.h"

#include <errno.h>
#include <string.h>

enum { KEY_SPLIT = 0x100, KEY_BASE, KEY_CLIP, KEY_SAMPLE, KEY_COUNT, KEY_COLUMNS, KEY_TO };

static const char *const commands[] = {"ls",   "dump",   "verify",        "stat",
                                       "diff", "export", "contact-sheet", NULL};

/* What each command takes; whatever it looks into may be an overlay's split. */
enum { WHERE = INSPECT_SPLIT | INSPECT_BASE };
static const unsigned takes[N_INSPECT_COMMANDS] = {
    [INSPECT_LS] = WHERE,
    [INSPECT_DUMP] = WHERE | INSPECT_SAMPLE | INSPECT_CLIP,
    [INSPECT_VERIFY] = WHERE,
    [INSPECT_STAT] = WHERE,
    [INSPECT_DIFF] = WHERE,
    [INSPECT_EXPORT] = WHERE | INSPECT_OUTPUT | INSPECT_TO,
    [INSPECT_CONTACT_SHEET] = WHERE | INSPECT_OUTPUT | INSPECT_COUNT | INSPECT_COLUMNS,
};
static const struct {
    int key;
    enum inspect_option bit;
    const char *name;
} keys[] = {
    {KEY_SPLIT, INSPECT_SPLIT, "--split"},
    {KEY_BASE, INSPECT_BASE, "--base"},
    {KEY_SAMPLE, INSPECT_SAMPLE, "--sample"},
    {KEY_CLIP, INSPECT_CLIP, "--clip"},
    {'o', INSPECT_OUTPUT, "-o"},
    {KEY_TO, INSPECT_TO, "--to"},
    {KEY_COUNT, INSPECT_COUNT, "--count"},
    {KEY_COLUMNS, INSPECT_COLUMNS, "--columns"},
};
enum { N_KEYS = sizeof keys / sizeof *keys };

static const struct argp_option options[] = {
    {"split", KEY_SPLIT, "NAME", 0, "Only this split of a dataset: train, val or test", 0},
    {"base", KEY_BASE, "DIR", 0,
     "Where an overlay's base sets are, if not in or beside the dataset; may be repeated", 0},
    {"sample", KEY_SAMPLE, "N", 0, "dump: the sample of this number (default 0)", 0},
    {"clip", KEY_CLIP, "NAME", 0, "dump: the sample of this clip", 0},
    {"output", 'o', "PATH", 0, "export: folder to write; contact-sheet: JPEG file to write", 0},
    {"to", KEY_TO, "FORMAT", 0, "export: npy (arrays as .npy, pictures as .jpg; default)", 0},
    {"count", KEY_COUNT, "N", 0, "contact-sheet: samples to draw (default 12)", 0},
    {"columns", KEY_COLUMNS, "N", 0, "contact-sheet: samples per row (default 3)", 0},
    {0},
};

static error_t parse_number(struct inspect_options *opt, const char *arg, int64_t min, int64_t max,
                            const char *what, int64_t *out)
{
    return cli_int(out, arg, min, max, what, opt->cli.err) == ERR_OK ? 0 : EINVAL;
}

static error_t parse_target(struct inspect_options *opt, const char *arg)
{
    if (opt->command < 0)
        return cli_choice(&opt->command, arg, commands, "COMMAND", opt->cli.err) == ERR_OK ? 0
                                                                                           : EINVAL;
    if (opt->targets == INSPECT_MAX_TARGETS) {
        (void)err_set(opt->cli.err, ERR_USAGE, "more than %d targets", INSPECT_MAX_TARGETS);
        return EINVAL;
    }
    opt->target[opt->targets++] = arg;
    return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    static const char *const formats[] = {"npy", NULL};
    struct inspect_options *opt = state->input;
    int64_t number = 0;
    int choice;
    error_t rc;

    for (int i = 0; i < N_KEYS; i++)
        if (keys[i].key == key)
            opt->given |= keys[i].bit;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &opt->cli; return 0;
    case KEY_SPLIT: opt->split = arg; return 0;
    case KEY_CLIP: opt->clip = arg; return 0;
    case KEY_SAMPLE: return parse_number(opt, arg, 0, INT64_MAX, "--sample", &opt->sample);
    case KEY_COUNT:
        rc = parse_number(opt, arg, 1, 1000, "--count", &number);
        opt->count = (int)number;
        return rc;
    case KEY_COLUMNS:
        rc = parse_number(opt, arg, 1, 8, "--columns", &number);
        opt->columns = (int)number;
        return rc;
    case KEY_TO:
        return cli_choice(&choice, arg, formats, "--to", opt->cli.err) == ERR_OK ? 0 : EINVAL;
    case KEY_BASE:
        if (opt->bases == INSPECT_MAX_BASES) {
            (void)err_set(opt->cli.err, ERR_USAGE, "--base: more than %d", INSPECT_MAX_BASES);
            return EINVAL;
        }
        opt->base[opt->bases++] = arg;
        return 0;
    case 'o': opt->output = arg; return 0;
    case ARGP_KEY_ARG: return parse_target(opt, arg);
    default: return ARGP_ERR_UNKNOWN;
    }
}

static enum err_code check(const struct inspect_options *opt, struct err *e)
{
    bool writes = opt->command == INSPECT_EXPORT || opt->command == INSPECT_CONTACT_SHEET;
    int want = opt->command == INSPECT_DIFF ? 2 : 1;

    if (opt->command < 0)
        return err_set(e, ERR_USAGE, "COMMAND: missing: see --help");
    for (int i = 0; i < N_KEYS; i++)
        if ((opt->given & keys[i].bit & ~takes[opt->command]) != 0)
            return err_set(e, ERR_USAGE, "%s: takes no %s%s", commands[opt->command], keys[i].name,
                           keys[i].bit == INSPECT_OUTPUT ? ": it writes to standard output" : "");
    if (opt->targets < want)
        return err_set(e, ERR_USAGE, "%s: needs %d target%s", commands[opt->command], want,
                       want > 1 ? "s" : "");
    if (opt->targets > want && opt->command != INSPECT_VERIFY && opt->command != INSPECT_LS)
        return err_set(e, ERR_USAGE, "%s: takes only %d target%s", commands[opt->command], want,
                       want > 1 ? "s" : "");
    if (writes && opt->output == NULL)
        return err_set(e, ERR_USAGE, "%s: -o is missing: name what to write",
                       commands[opt->command]);
    if (opt->clip != NULL && opt->sample >= 0)
        return err_set(e, ERR_USAGE, "--clip and --sample: give one of them");
    return ERR_OK;
}

enum err_code inspect_options_parse(struct inspect_options *opt, int argc, char **argv,
                                    struct err *e)
{
    static const struct argp_child children[] = {CLI_CHILD, {0}};
    static const struct argp argp = {
        options,
        parse,
        "COMMAND TARGET...",
        "Looks into shard sets, irony datasets (DATA with train, val, test), single shards and "
        "checkpoints.\n\n"
        "  ls             what is in them: samples, fields or tensors, digests, provenance\n"
        "  dump           one sample (or all tensors of a checkpoint), readable\n"
        "  verify         checks every byte; names file, sample and field of any damage\n"
        "  stat           counts by class, actor, flag and mutation\n"
        "  diff A B       what differs: provenance, fields, samples\n"
        "  export         arrays as .npy, pictures as .jpg\n"
        "  contact-sheet  a picture of frames, spectrogram, label and donor\n\n"
        "Every COMMAND takes --split and --base; the other options only the command that they "
        "name.\v"
        "Examples:\n"
        "  synib-shard verify data/fold0 bases/video bases/audio\n"
        "  synib-shard dump data/fold0 --split val --clip 1001_DFA_ANG_XX\n"
        "  synib-shard contact-sheet data/fold0 --split train --count 12 -o sheet.jpg\n\n"
        "Exit codes: 0 done; 1 failed; 2 bad command line; 4 damaged, not one of our files, or "
        "diff found differences.",
        children,
        NULL,
        NULL};

    opt->out = stdout;
    TRY(cli_parse(&argp, argc, argv, "synib-shard", &opt->cli, opt, e));
    TRY(check(opt, e));
out:
    return e->code;
}
