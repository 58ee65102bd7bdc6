/* SPDX-License-Identifier: MIT */
#include "prep/xor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    KEY_STRENGTH = 0x100,
    KEY_MIX,
    KEY_MODALITIES,
    KEY_PROJECTION,
    KEY_TRAIN,
    KEY_VAL,
    KEY_TEST
};

static const struct argp_option options[] = {
    {"output", 'o', "DIR", 0, "Folder for the sets train, val and test", 0},
    {"strength", KEY_STRENGTH, "K", 0,
     "spurious, regression: strength of the shortcut in train and val, 0 to 1e6 (required)", 0},
    {"mix", KEY_MIX, "pU1,pU2,pR,pS", 0,
     "pid: probabilities of the sources unique1, unique2, redundant, synergistic (required)", 0},
    {"modalities", KEY_MODALITIES, "N", 0, "spurious: 2 to 4 (default 2)", 0},
    {"projection", KEY_PROJECTION, "N", 0,
     "pid: seed of the projections (default 999: the authors' matrices)", 0},
    {"train", KEY_TRAIN, "N", 0, "Training samples (default 300; pid 1800, regression 1000)", 0},
    {"val", KEY_VAL, "N", 0, "Validation samples (default 120; pid, regression 200)", 0},
    {"test", KEY_TEST, "N", 0, "Test samples (default 30000; pid, regression 4000)", 0},
    {0},
};

/* What was given besides the task, because the task sets the defaults and may come last. */
struct given {
    struct xor_tool_options *opt;
    const char *value[KEY_TEST + 1 - KEY_STRENGTH];
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct given *g = state->input;
    struct err *e = g->opt->cli.err;

    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &g->opt->cli; return 0;
    case 'o': g->opt->output = arg; return 0;
    case ARGP_KEY_ARG:
        if (g->opt->task >= 0) {
            err_set(e, ERR_USAGE, "'%s': one task only", arg);
            return EINVAL;
        }
        return cli_choice(&g->opt->task, arg, xor_task_name, "task", e) == ERR_OK ? 0 : EINVAL;
    default:
        if (key < KEY_STRENGTH || key > KEY_TEST)
            return ARGP_ERR_UNKNOWN;
        g->value[key - KEY_STRENGTH] = arg;
        return 0;
    }
}

static enum err_code refuse(const struct given *g, int key, const char *name, struct err *e)
{
    if (g->value[key - KEY_STRENGTH] == NULL)
        return ERR_OK;
    return err_set(e, ERR_USAGE, "%s: task %s has none", name, xor_task_name[g->opt->task]);
}

static enum err_code need(const struct given *g, int key, const char *name, const char **value,
                          struct err *e)
{
    *value = g->value[key - KEY_STRENGTH];
    if (*value == NULL)
        return err_set(e, ERR_USAGE, "%s: missing: task %s needs it", name,
                       xor_task_name[g->opt->task]);
    return ERR_OK;
}

static enum err_code take_counts(struct xor_options *o, const struct given *g, struct err *e)
{
    static const char *const names[] = {"--train", "--val", "--test"};

    for (int s = 0; s < XOR_SPLITS; s++) {
        const char *text = g->value[KEY_TRAIN + s - KEY_STRENGTH];

        if (text != NULL)
            TRY(cli_int(&o->count[s], text, 1, INT32_MAX, names[s], e));
    }
out:
    return e->code;
}

static enum err_code take_pid(struct xor_options *o, const struct given *g, struct err *e)
{
    const char *text;

    TRY(refuse(g, KEY_STRENGTH, "--strength", e));
    TRY(refuse(g, KEY_MODALITIES, "--modalities", e));
    TRY(need(g, KEY_MIX, "--mix", &text, e));
    TRY(xor_parse_mix(o->mix, text, e));
    text = g->value[KEY_PROJECTION - KEY_STRENGTH];
    if (text != NULL)
        TRY(cli_u64(&o->projection, text, "--projection", e));
out:
    return e->code;
}

static enum err_code take_strength(struct xor_options *o, const struct given *g, struct err *e)
{
    const char *text;
    int64_t modalities;

    TRY(refuse(g, KEY_MIX, "--mix", e));
    TRY(refuse(g, KEY_PROJECTION, "--projection", e));
    TRY(need(g, KEY_STRENGTH, "--strength", &text, e));
    TRY(cli_double(&o->strength, text, 0, XOR_STRENGTH_MAX, "--strength", e));
    if (o->task != XOR_SPURIOUS)
        TRY(refuse(g, KEY_MODALITIES, "--modalities", e));
    text = g->value[KEY_MODALITIES - KEY_STRENGTH];
    if (text != NULL) {
        TRY(cli_int(&modalities, text, 2, VECTORS_MODALITIES, "--modalities", e));
        o->modalities = (int)modalities;
    }
out:
    return e->code;
}

enum err_code xor_tool_parse(struct xor_tool_options *opt, int argc, char **argv, struct err *e)
{
    static const struct argp_child children[] = {CLI_CHILD, {0}};
    static const struct argp argp = {
        options,
        parse,
        "spurious|pid|regression",
        "Makes a synthetic dataset of feature vectors for two or more modalities: the tasks of the "
        "paper's Section 4.2 (spurious, pid) and one with a number to predict (regression)."
        "\vExamples:\n"
        "  synib-xor spurious --strength 0.6 --seed 0 -o xor/spurious-0.6\n"
        "  synib-xor pid --mix 0.45,0,0.45,0.1 --seed 0 -o xor/pid\n"
        "  synib-train xor/pid --preset xor-pid --method synib --mask random -o runs/random\n"
        "\n"
        "Exit codes: 0 done; 1 failed; 2 bad command line; 4 an existing set is damaged.",
        children,
        NULL,
        NULL};
    struct given g = {.opt = opt};

    *opt = (struct xor_tool_options){.task = -1};
    TRY(cli_parse(&argp, argc, argv, "synib-xor", &opt->cli, &g, e));
    if (opt->task < 0)
        return err_set(e, ERR_USAGE, "no task: give spurious, pid or regression");
    opt->data = xor_defaults((enum xor_task)opt->task);
    opt->data.seed = opt->cli.seed;
    TRY(take_counts(&opt->data, &g, e));
    TRY(opt->task == XOR_PID ? take_pid(&opt->data, &g, e) : take_strength(&opt->data, &g, e));
    TRY(xor_check(&opt->data, e));
    if (opt->output == NULL && !opt->cli.dry_run)
        return err_set(e, ERR_USAGE, "-o: missing: name the folder for train, val and test");
out:
    return e->code;
}
