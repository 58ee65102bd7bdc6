/* SPDX-License-Identifier: MIT */
#include "common/base/cli.h"

#include "common/base/cpu.h"
#include "common/base/lost_mapping.h"
#include "common/base/parallel.h"
#include "common/base/spelling.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef SYNIB_VERSION
#error "the build system defines SYNIB_VERSION"
#endif
const char cli_version[] = SYNIB_VERSION;

enum { KEY_SEED = 0x5000, KEY_JSON, KEY_FORCE, KEY_DRY_RUN, MAX_JOBS = 1024 };

static const struct argp_option common_options[] = {
    {"jobs", 'j', "N", 0, "Threads; 0 = every core this process may use (default)", 0},
    {"seed", KEY_SEED, "N", 0, "Seed of every random choice (default 0)", 0},
    {"quiet", 'q', NULL, 0, "Only warnings and errors", 0},
    {"verbose", 'v', NULL, 0, "Say more", 0},
    {"json", KEY_JSON, NULL, 0, "Machine-readable output on stdout", 0},
    {"force", KEY_FORCE, NULL, 0, "Replace an existing output", 0},
    {"dry-run", KEY_DRY_RUN, NULL, 0, "Say what would be done and do nothing", 0},
    {0},
};

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
    struct cli *cli = state->input;
    int64_t jobs, seed;

    switch (key) {
    case 'j':
        if (cli_int(&jobs, arg, 0, MAX_JOBS, "--jobs", cli->err) != ERR_OK)
            return EINVAL;
        cli->jobs = (int)jobs;
        return 0;
    case KEY_SEED:
        /* Up to 2^63 - 1: what JSON readers take as a whole number. */
        if (cli_int(&seed, arg, 0, INT64_MAX, "--seed", cli->err) != ERR_OK)
            return EINVAL;
        cli->seed = (uint64_t)seed;
        cli->seed_given = true;
        return 0;
    case 'q': cli->log.level = LOG_QUIET; return 0;
    case 'v': cli->log.level = LOG_VERBOSE; return 0;
    case KEY_JSON: cli->json = true; return 0;
    case KEY_FORCE: cli->force = true; return 0;
    case KEY_DRY_RUN: cli->dry_run = true; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const struct argp cli_argp = {common_options, parse_common, NULL, NULL, NULL, NULL, NULL};

static const char *version_tool;
static bool stdout_checked; /* by cli_finish */

static void print_version(FILE *stream, struct argp_state *state)
{
    (void)state;
    fprintf(stream, "%s (synib) %s\n", version_tool, cli_version);
}

bool cli_reader_gone(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};

    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

/* argp prints --help and exits by itself: a full disk must not pass for success there either. */
static void check_stdout(void)
{
    if (stdout_checked || (fflush(stdout) == 0 && !ferror(stdout)))
        return;
    if (!cli_reader_gone())
        fprintf(stderr, "%s: standard output: cannot write: %s\n", version_tool, strerror(errno));
    _Exit(err_exit_status(ERR_IO));
}

enum err_code cli_parse(const struct argp *argp, int argc, char **argv, const char *tool,
                        struct cli *cli, void *opt, struct err *e)
{
    error_t rc;

    version_tool = tool;
    argp_program_version_hook = print_version;
    argp_err_exit_status = err_exit_status(ERR_USAGE);
    cli->log.tool = tool;
    cli->log.level = LOG_NORMAL;
    cli->err = e;
    TRY(cpu_check(cpu_needed, cpu_has, e));
    signal(SIGPIPE, SIG_IGN);
    lost_mapping_explain();
    atexit(check_stdout);
    parallel_prepare();
    rc = argp_parse(argp, argc, argv, 0, NULL, opt);
    if (e->code == ERR_OK && rc == ENOMEM)
        return err_set(e, ERR_NOMEM, "cannot read the command line: out of memory");
    if (e->code == ERR_OK && rc != 0)
        return err_set(e, ERR_USAGE, "bad command line: %s: see --help", strerror(rc));
    if (cli->jobs == 0)
        cli->jobs = parallel_cores();
out:
    return e->code;
}

int cli_finish(const char *tool, struct err *e)
{
    bool lost = fflush(stdout) != 0 || ferror(stdout);

    if (lost && !cli_reader_gone())
        (void)err_sys(e, "standard output: cannot write");
    stdout_checked = true;
    for (char *line = e->text, *end; e->code != ERR_OK && line != NULL; line = end) {
        end = strchr(line, '\n');
        if (end != NULL)
            *end++ = '\0';
        log_error(&(struct log){.tool = tool}, line);
    }
    return err_exit_status(lost && e->code == ERR_OK ? ERR_IO : e->code);
}

enum err_code cli_int(int64_t *out, const char *text, int64_t min, int64_t max, const char *what,
                      struct err *e)
{
    char *end;
    long long v;

    errno = 0;
    v = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || strchr(" \t\n\v\f\r+", text[0]) != NULL ||
        v < min || v > max)
        return err_set(e, ERR_USAGE, "%s: '%s' is not a whole number from %lld to %lld", what, text,
                       (long long)min, (long long)max);
    *out = v;
    return ERR_OK;
}

enum err_code cli_u64(uint64_t *out, const char *text, const char *what, struct err *e)
{
    char *end;
    unsigned long long v;

    errno = 0;
    v = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0)
        return err_set(e, ERR_USAGE, "%s: '%s' is not a whole number from 0 to 2^64 - 1", what,
                       text);
    *out = v;
    return ERR_OK;
}

enum err_code cli_double(double *out, const char *text, double min, double max, const char *what,
                         struct err *e)
{
    char *end;
    double v;

    errno = 0;
    v = strtod(text, &end);
    if (end == text || *end != '\0' || strchr(" \t\n\v\f\r", text[0]) != NULL ||
        strpbrk(text, "xX") != NULL || !isfinite(v) || v < min || v > max)
        return max == DBL_MAX
                   ? err_set(e, ERR_USAGE, "%s: '%s' is not a number from %g up", what, text, min)
                   : err_set(e, ERR_USAGE, "%s: '%s' is not a number from %g to %g", what, text,
                             min, max);
    *out = v;
    return ERR_OK;
}

void cli_format_double(char *out, size_t size, double v)
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, size, "%.*g", digits, v);
        if (strtod(out, NULL) == v)
            break;
    }
    if (strstr(out, "e+") != NULL && fabs(v) < 1e6) /* 10, not 1e+01 */
        snprintf(out, size, "%.0f", v);
}

/* As many names as a line of text has room for; how many there are when that is not all. Returns
 * whether it is. */
static bool list_names(char *list, size_t size, const char *const *names)
{
    size_t len = 0, room = size - sizeof ", ... (1000000 in all)";
    int n = 0;

    list[0] = '\0';
    for (; names[n] != NULL && len + strlen(names[n]) + 2 <= room; n++)
        len += (size_t)snprintf(list + len, size - len, "%s%s", n > 0 ? ", " : "", names[n]);
    if (names[n] == NULL)
        return true;
    while (names[n] != NULL)
        n++;
    snprintf(list + len, size - len, ", ... (%d in all)", n);
    return false;
}

enum err_code cli_choice(int *out, const char *text, const char *const *names, const char *what,
                         struct err *e)
{
    char list[256];
    const char *nearest = NULL;
    size_t best = SPELLING_SLIPS + 1;
    bool all;

    for (int i = 0; names[i] != NULL; i++)
        if (text[0] == names[i][0] && strcmp(text, names[i]) == 0) {
            *out = i;
            return ERR_OK;
        }
    for (int i = 0; names[i] != NULL; i++) {
        size_t d = spelling_distance(text, names[i]);

        if (d < best) {
            best = d;
            nearest = names[i];
        }
    }
    all = list_names(list, sizeof list, names);
    if (nearest == NULL)
        return err_set(e, ERR_USAGE, "%s: unknown '%s': one of %s", what, text, list);
    if (!all)
        return err_set(e, ERR_USAGE, "%s: unknown '%s': did you mean '%s'?", what, text, nearest);
    return err_set(e, ERR_USAGE, "%s: unknown '%s': did you mean '%s'? (one of %s)", what, text,
                   nearest, list);
}

static volatile sig_atomic_t stop_signal;

static void on_signal(int number)
{
    if (stop_signal != 0 && number == SIGINT)
        _Exit(128 + number);
    stop_signal = number;
}

void cli_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
}

bool cli_stop_requested(void)
{
    return stop_signal != 0;
}
