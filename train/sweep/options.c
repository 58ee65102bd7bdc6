/* SPDX-License-Identifier: MIT */
#include "train/sweep/search.h"
#include "train/sweep/sweep.h"

#include <errno.h>
#include <string.h>

enum {
    KEY_PART = 0x100,
    KEY_MERGE,
    KEY_NO_TEST,
    KEY_SELECT,
    KEY_EXPAND,
    KEY_DRAWS,
    MOST_PARTS = 100000
};

static const struct argp_option option_table[] = {
    {"output", 'o', "DIR", 0, "Folder of results.tsv and of what each run leaves", 0},
    {"part", KEY_PART, "I/N", 0, "Only rows I, I + N, I + 2N, ... of the plan; I from 1", 0},
    {"merge", KEY_MERGE, NULL, 0, "Put the results of all parts in DIR into results.tsv", 0},
    {"no-test", KEY_NO_TEST, NULL, 0, "Leave test splits closed: results are of validation alone",
     0},
    {"select", KEY_SELECT, "METRIC", 0,
     "When all runs are there write DIR/selected.tsv: settings ranked by their mean validation "
     "score, accuracy, loss, macro-f1, irony-f1, mse or r2; a sweep that begins this way is "
     "--no-test",
     0},
    {"expand", KEY_EXPAND, NULL, 0,
     "Write the plan that a search stands for, and run nothing; -o is the plan's file, --seed that "
     "of random values",
     0},
    {"draws", KEY_DRAWS, "N", 0, "With --expand: how often rows with random values are drawn", 0},
    {0},
};

static const char doc[] =
    "Trains and tests every run of PLAN, several at a time, one thread each. A sweep that was "
    "stopped goes on with the runs that are missing."
    "\vExamples:\n"
    "  synib-sweep manifests/plans/xor-spurious.tsv -o sweeps/xor-spurious\n"
    "  synib-sweep big.tsv -o sweeps/big --part 3/8      # one of eight machines\n"
    "  synib-sweep big.tsv -o sweeps/big --merge\n"
    "  synib-sweep --expand search.tsv --draws 20 --seed 1 -o plan.tsv\n"
    "  synib-sweep plan.tsv -o sweeps/search --select accuracy\n"
    "\n"
    "docs/formats/sweep.md describes PLAN, searches and DIR; manifests/plans/ holds the plans of "
    "the paper's figures, manifests/searches/ searches.\n"
    "\n"
    "Exit codes: 0 all runs are there and finite (with --select: some settings of every "
    "comparison are); 1 failed, or some are not finite; 2 bad command "
    "line; 4 bad plan or data, or results of another plan are in DIR; 75 stopped on request, the "
    "same command goes on.";

static error_t parse_part(struct sweep_options *opt, const char *text)
{
    const char *slash = strchr(text, '/');
    int64_t i, n;
    char first[16];

    if (slash == NULL || (size_t)(slash - text) >= sizeof first) {
        err_set(opt->cli.err, ERR_USAGE, "--part: '%s' is not of the form I/N", text);
        return EINVAL;
    }
    memcpy(first, text, (size_t)(slash - text));
    first[slash - text] = '\0';
    if (cli_int(&n, slash + 1, 1, MOST_PARTS, "--part", opt->cli.err) != ERR_OK ||
        cli_int(&i, first, 1, n, "--part", opt->cli.err) != ERR_OK)
        return EINVAL;
    opt->part = (struct sweep_part){(int)i, (int)n};
    return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct sweep_options *opt = state->input;

    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &opt->cli; return 0;
    case 'o': opt->out = arg; return 0;
    case KEY_PART: return parse_part(opt, arg);
    case KEY_MERGE: opt->merge = true; return 0;
    case KEY_NO_TEST: opt->no_test = true; return 0;
    case KEY_SELECT:
        opt->select = true;
        return cli_choice(&opt->select_by, arg, select_names, "--select", opt->cli.err) == ERR_OK
                   ? 0
                   : EINVAL;
    case KEY_EXPAND: opt->expand = true; return 0;
    case KEY_DRAWS:
        return cli_int(&opt->draws, arg, 1, SEARCH_RUNS, "--draws", opt->cli.err) == ERR_OK
                   ? 0
                   : EINVAL;
    case ARGP_KEY_ARG:
        if (opt->plan != NULL) {
            err_set(opt->cli.err, ERR_USAGE, "'%s': one PLAN only", arg);
            return EINVAL;
        }
        opt->plan = arg;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* What excludes what. */
static enum err_code check_expand(const struct sweep_options *opt, struct err *e)
{
    if (opt->plan == NULL)
        return err_set(e, ERR_USAGE,
                       "SEARCH is missing: a table of searches "
                       "(docs/formats/sweep.md)");
    if (opt->out == NULL)
        return err_set(e, ERR_USAGE, "-o PLAN is missing: the file of the plan");
    if (opt->part.n > 1)
        return err_set(e, ERR_USAGE, "--expand and --part exclude each other");
    if (opt->merge || opt->no_test || opt->select)
        return err_set(e, ERR_USAGE, "--expand runs nothing: no --merge, --no-test or --select");
    return ERR_OK;
}

static enum err_code check_sweep(const struct sweep_options *opt, struct err *e)
{
    if (opt->plan == NULL)
        return err_set(e, ERR_USAGE, "PLAN is missing: a table of runs (docs/formats/sweep.md)");
    if (opt->out == NULL)
        return err_set(e, ERR_USAGE, "-o DIR is missing: the folder of the results");
    if (opt->cli.seed_given)
        return err_set(e, ERR_USAGE, "--seed: seeds are in the plan");
    if (opt->draws > 0)
        return err_set(e, ERR_USAGE, "--draws: goes with --expand");
    if (opt->merge && opt->part.n > 1)
        return err_set(e, ERR_USAGE, "--merge and --part exclude each other");
    if (opt->select && opt->part.n > 1)
        return err_set(e, ERR_USAGE, "--select needs all parts: give it with --merge");
    return ERR_OK;
}

enum err_code sweep_options_parse(struct sweep_options *opt, int argc, char **argv, struct err *e)
{
    static const struct argp_child children[] = {CLI_CHILD, {0}};
    static const struct argp argp = {
        option_table, parse_option, "PLAN\n--expand SEARCH", doc, children, NULL, NULL};

    *opt = (struct sweep_options){.part = {1, 1}};
    TRY(cli_parse(&argp, argc, argv, "synib-sweep", &opt->cli, opt, e));
    TRY(opt->expand ? check_expand(opt, e) : check_sweep(opt, e));
out:
    return e->code;
}
