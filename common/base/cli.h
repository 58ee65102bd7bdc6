/* SPDX-License-Identifier: MIT */
#ifndef COMMON_BASE_CLI_H
#define COMMON_BASE_CLI_H

#include "common/base/err.h"
#include "common/base/log.h"

#include <argp.h>
#include <stdint.h>

/* What every tool shares: options, exit codes, --help and --version, and the one place that prints
 * an error. Options that a tool adds go in its own struct argp with `cli_child` among its children,
 * and its parser hands `struct cli *` to the child with case ARGP_KEY_INIT: state->child_inputs[0]
 * = &opt->cli; break;
 * `--help` and `--version` print to stdout and exit 0. */

struct cli {
    struct log log;
    uint64_t seed; /* --seed N; meaning 0 unless given */
    bool seed_given;
    int jobs; /* -j N; 0 on the command line or not given: all cores this process may use */
    bool json;
    bool force;
    bool dry_run;
    struct err *err; /* where option parsers leave a bad value */
};

extern const struct argp cli_argp; /* -j --seed --quiet --verbose --json --force --dry-run */

/* A child entry for argp.children. */
#define CLI_CHILD                            \
    {                                        \
        &cli_argp, 0, "Common options:", 100 \
    }

/* Parses argv with the tool's argp, whose input is `opt` (which holds `cli`). Sets cli->log.tool,
 * ignores SIGPIPE, explains a SIGBUS (lost_mapping.h) and sees to it that stdout is checked at
 * exit. The locale stays "C", so numbers have a point. A bad option is
 * ERR_USAGE, a processor that lacks what the program was built for ERR_IO (cpu.h). */
NODISCARD enum err_code cli_parse(const struct argp *argp, int argc, char **argv, const char *tool,
                                  struct cli *cli, void *opt, struct err *e);

/* Prints the error, if any, as "tool: text" (one line each), checks that stdout could be written,
 * and returns the exit status. A reader of stdout that has gone is status 1 without a word. */
int cli_finish(const char *tool, struct err *e);
/* Standard output is a pipe whose reader has gone, as `head` does when it has seen enough. What
 * fails to write there says nothing: cli_finish knows. */
bool cli_reader_gone(void);

/* Numbers are parsed whole and checked against their range; `what` names the option in the message.
 * Base 10 only; no leading or trailing space; inf and nan are refused. */
NODISCARD enum err_code cli_int(int64_t *out, const char *text, int64_t min, int64_t max,
                                const char *what, struct err *e);
NODISCARD enum err_code cli_u64(uint64_t *out, const char *text, const char *what, struct err *e);
NODISCARD enum err_code cli_double(double *out, const char *text, double min, double max,
                                   const char *what, struct err *e);
/* The shortest decimal that reads back to the same double, whole numbers below a million without
 * exponent; 32 bytes are enough. */
void cli_format_double(char *out, size_t size, double v);
/* Index of text in the NULL-terminated list `names`. The message says the nearest, and lists them
 * all; of a long list some, where none is near. */
NODISCARD enum err_code cli_choice(int *out, const char *text, const char *const *names,
                                   const char *what, struct err *e);

/* After cli_catch_signals(), SIGINT, SIGTERM and SIGUSR1 only set a flag that cli_stop_requested()
 * reads; a second SIGINT ends the process. */
void cli_catch_signals(void);
bool cli_stop_requested(void);

/* Version of this toolkit, as in --version and provenance. */
extern const char cli_version[];

#endif
