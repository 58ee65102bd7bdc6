/* SPDX-License-Identifier: MIT */
#include "tests/support/tools.h"

#include "prep/frames.h"
#include "prep/irony.h"
#include "prep/scan.h"
#include "prep/shard.h"
#include "prep/split.h"
#include "prep/stft.h"
#include "prep/synth.h"
#include "prep/xor.h"
#include "train/eval.h"
#include "train/report/report.h"
#include "train/sweep/sweep.h"
#include "train/train.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_WORDS = 64 };

struct tool {
    char *text;
    char *word[MAX_WORDS + 1];
    int words;
    FILE *out;
    enum err_code (*parse)(struct tool *t, struct err *e);
    enum err_code (*run)(struct tool *t, struct err *e);
    union {
        struct synth_options synth;
        struct scan_options scan;
        struct split_options split;
        struct frames_options frames;
        struct base_set_options stft;
        struct irony_options irony;
        struct xor_tool_options xor_tool;
        struct inspect_options shard;
        struct train_options train;
        struct eval_options eval;
        struct report_options report;
        struct sweep_options sweep;
    } o;
};

/* PARSE(scan): parses into t->o.scan; where the tool prints to a stream of its options, that
 * becomes t->out. */
#define PARSE(field, type, initial, fn, ...)                          \
    static enum err_code parse_##field(struct tool *t, struct err *e) \
    {                                                                 \
        const type defaults = initial;                                \
        enum err_code rc;                                             \
                                                                      \
        t->o.field = defaults;                                        \
        rc = fn(&t->o.field, t->words, t->word, e);                   \
        __VA_ARGS__;                                                  \
        return rc;                                                    \
    }
#define ZERO \
    {        \
        0    \
    }
#define RUN(field, call)                                            \
    static enum err_code run_##field(struct tool *t, struct err *e) \
    {                                                               \
        return call;                                                \
    }

PARSE(synth, struct synth_options, SYNTH_OPTIONS_DEFAULT, synth_options_parse, )
RUN(synth, synth_run(&t->o.synth, NULL, e))
PARSE(scan, struct scan_options, SCAN_OPTIONS_DEFAULT, scan_options_parse, t->o.scan.out = t->out)
RUN(scan, scan_run(&t->o.scan, e))
PARSE(split, struct split_options, SPLIT_OPTIONS_DEFAULT, split_options_parse,
      t->o.split.out = t->out)
RUN(split, split_run(&t->o.split, e))
PARSE(frames, struct frames_options, FRAMES_OPTIONS_DEFAULT, frames_options_parse,
      t->o.frames.base.out = t->out)
RUN(frames, frames_run(&t->o.frames, e))
PARSE(stft, struct base_set_options, ZERO, stft_options_parse, t->o.stft.out = t->out)
RUN(stft, stft_run(&t->o.stft, e))
PARSE(irony, struct irony_options, IRONY_OPTIONS_DEFAULT, irony_options_parse,
      t->o.irony.out = t->out)
RUN(irony, irony_run(&t->o.irony, e))
PARSE(xor_tool, struct xor_tool_options, ZERO, xor_tool_parse, )
RUN(xor_tool, xor_tool_run(&t->o.xor_tool, e))
PARSE(shard, struct inspect_options, INSPECT_OPTIONS_DEFAULT, inspect_options_parse,
      t->o.shard.out = t->out)
RUN(shard, inspect_run(&t->o.shard, e))
PARSE(train, struct train_options, ZERO, train_options_parse, )
RUN(train, train_run(&t->o.train, e))
PARSE(eval, struct eval_options, ZERO, eval_options_parse, )
RUN(eval, eval_run(&t->o.eval, e))
PARSE(report, struct report_options, ZERO, report_options_parse, )
RUN(report, report_make(&t->o.report, e))
PARSE(sweep, struct sweep_options, ZERO, sweep_options_parse, )
RUN(sweep, sweep_run(&t->o.sweep, e))

static const struct {
    const char *name;
    enum err_code (*parse)(struct tool *t, struct err *e);
    enum err_code (*run)(struct tool *t, struct err *e);
} table[] = {
    {"synib-synth", parse_synth, run_synth},     {"synib-scan", parse_scan, run_scan},
    {"synib-split", parse_split, run_split},     {"synib-frames", parse_frames, run_frames},
    {"synib-stft", parse_stft, run_stft},        {"synib-irony", parse_irony, run_irony},
    {"synib-xor", parse_xor_tool, run_xor_tool}, {"synib-shard", parse_shard, run_shard},
    {"synib-train", parse_train, run_train},     {"synib-eval", parse_eval, run_eval},
    {"synib-report", parse_report, run_report},  {"synib-sweep", parse_sweep, run_sweep},
};

/* `line` with every @ replaced by dir. */
static char *filled(const char *line, const char *dir)
{
    size_t size = strlen(line) + 1, n = 0;
    char *text;

    for (const char *p = line; *p != '\0'; p++)
        size += *p == '@' ? strlen(dir) : 0;
    text = malloc(size);
    if (text == NULL)
        abort();
    for (const char *p = line; *p != '\0'; p++) {
        if (*p == '@') {
            memcpy(text + n, dir, strlen(dir));
            n += strlen(dir);
        } else {
            text[n++] = *p;
        }
    }
    text[n] = '\0';
    return text;
}

enum err_code tool_parse(struct tool **out, const char *line, const char *dir, struct err *e)
{
    struct tool *t = calloc(1, sizeof *t);
    char *rest;

    *out = t;
    if (t == NULL || (t->out = fopen("/dev/null", "w")) == NULL)
        abort();
    t->text = filled(line, dir);
    for (char *word = strtok_r(t->text, " ", &rest); word != NULL && t->words < MAX_WORDS;
         word = strtok_r(NULL, " ", &rest))
        t->word[t->words++] = word;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].name, t->word[0]) == 0) {
            t->parse = table[i].parse;
            t->run = table[i].run;
        }
    }
    return t->parse(t, e);
}

/* Some tools print by printf(): for so long, stdout is what t->out is. */
enum err_code tool_again(struct tool *t, struct err *e)
{
    int saved = dup(STDOUT_FILENO);

    fflush(stdout);
    if (saved < 0 || dup2(fileno(t->out), STDOUT_FILENO) < 0)
        abort();
    (void)t->run(t, e);
    fflush(stdout);
    if (dup2(saved, STDOUT_FILENO) < 0)
        abort();
    close(saved);
    return e->code;
}

void tool_free(struct tool *t)
{
    if (t == NULL)
        return;
    if (t->parse == parse_irony)
        irony_options_free(&t->o.irony);
    if (t->parse == parse_report)
        report_options_free(&t->o.report);
    fclose(t->out);
    free(t->text);
    free(t);
}

enum err_code tool_run(const char *line, const char *dir, struct err *e)
{
    struct tool *t = NULL;

    TRY(tool_parse(&t, line, dir, e));
    TRY(tool_again(t, e));
out:
    tool_free(t);
    return e->code;
}
