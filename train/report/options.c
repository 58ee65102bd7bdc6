/* SPDX-License-Identifier: MIT */
#include "train/report/report.h"

#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>

enum {
    KEY_DATA = 0x100,
    KEY_BASE,
    KEY_CLIPS,
    KEY_TITLE,
    KEY_NOTE,
    KEY_GALLERY,
    KEY_GALLERY_COUNT,
    KEY_STRICT
};

static const struct argp_option option_table[] = {
    {"output", 'o', "DIR", 0, "Folder of the report", 0},
    {"data", KEY_DATA, "ROOT", 0,
     "Where to look for the datasets of runs whose run.json does not lead to them", 0},
    {"base", KEY_BASE, "DIR", 0,
     "Where to look for the base sets of overlays, for the gallery; again for more (default: what "
     "run.json says)",
     0},
    {"clips", KEY_CLIPS, "FILE", 0,
     "The clips.tsv behind the data (default: the one beside a dataset or in the three folders "
     "above it)",
     0},
    {"title", KEY_TITLE, "TEXT", 0, "Heading of the report", 0},
    {"note", KEY_NOTE, "TEXT", 0, "A paragraph under it, e.g. of which corpus this is", 0},
    {"gallery", KEY_GALLERY, "METHOD", 0,
     "Whose mistakes the gallery shows: a row's label (default: synib, else the last row)", 0},
    {"gallery-count", KEY_GALLERY_COUNT, "N", 0, "How many (default 12; 0: none)", 0},
    {"strict", KEY_STRICT, NULL, 0, "Runs that do not count are an error", 0},
    {0},
};

static const char doc[] =
    "Reports finished runs that were tested with `synib-eval RUN --split test -o RUN/test`: tables "
    "with deviations over runs and bootstrap intervals over clips, paired differences, learning "
    "curves, confusion matrices, the most confident mistakes, split audit and provenance. RUN is "
    "a run folder or a folder of any number of them."
    "\vExamples:\n"
    "  synib-report out -o out/report\n"
    "  synib-report runs/vanilla runs/synib -o report --note 'Synthetic corpus.'\n"
    "\n"
    "Writes report.html (one page with everything), report.md, report.tex, cells.tsv and "
    "pairs.tsv; docs/formats/report.md says how every number is made. --seed N draws other "
    "replicates of the bootstrap.\n"
    "\n"
    "Exit codes: 0 done; 1 failed, or DIR holds a report and --force was not given; 2 bad command "
    "line; 3 done, but some runs do not count (they are listed); 4 damaged or contradicting "
    "files, no run that counts, and with --strict any that does not: nothing is written.";

static error_t add_base(struct report_options *opt, const char *dir)
{
    int n = 0;

    while (opt->base[n] != NULL)
        n++;
    if (n == RUN_MAX_BASES) {
        err_set(opt->cli.err, ERR_USAGE, "--base: more than %d times", RUN_MAX_BASES);
        return EINVAL;
    }
    opt->base[n] = dir;
    return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct report_options *opt = state->input;

    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &opt->cli; return 0;
    case 'o': opt->out = arg; return 0;
    case KEY_DATA: opt->data = arg; return 0;
    case KEY_BASE: return add_base(opt, arg);
    case KEY_CLIPS: opt->clips = arg; return 0;
    case KEY_TITLE: opt->title = arg; return 0;
    case KEY_NOTE: opt->note = arg; return 0;
    case KEY_GALLERY: opt->gallery = arg; return 0;
    case KEY_GALLERY_COUNT:
        return cli_int(&opt->gallery_count, arg, 0, 1000, "--gallery-count", opt->cli.err) == ERR_OK
                   ? 0
                   : EINVAL;
    case KEY_STRICT: opt->strict = true; return 0;
    case ARGP_KEY_ARG: opt->run[opt->runs++] = arg; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

enum err_code report_options_parse(struct report_options *opt, int argc, char **argv, struct err *e)
{
    static const struct argp_child children[] = {CLI_CHILD, {0}};
    static const struct argp argp = {option_table, parse_option, "RUN...", doc,
                                     children,     NULL,         NULL};

    *opt = (struct report_options){.gallery_count = 12};
    TRY(mem_array(&opt->run, (size_t)argc + 1, sizeof *opt->run, "command line", e));
    TRY(cli_parse(&argp, argc, argv, "synib-report", &opt->cli, opt, e));
    if (opt->runs == 0)
        return err_set(e, ERR_USAGE,
                       "RUN is missing: a folder that synib-train made, or one that "
                       "holds some");
    if (opt->out == NULL)
        return err_set(e, ERR_USAGE, "-o DIR is missing: the folder of the report");
out:
    return e->code;
}

void report_options_free(struct report_options *opt)
{
    free(opt->run);
    opt->run = NULL;
}
