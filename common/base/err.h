/* SPDX-License-Identifier: MIT */
#ifndef COMMON_BASE_ERR_H
#define COMMON_BASE_ERR_H

#include <stdbool.h>

/* Errors: one code to branch on, one line of text for a person, one exit status.
 *
 * A function that can fail takes a clean `struct err *e` that the caller owns, fills it once at the
 * place of failure and returns the same code. Callers add context on the way up with err_in().
 * Only main() prints an error (through cli_finish); no library function prints or exits.
 *
 * The text reads "file: what: why: what to do" on one line. A manifest with several faults may hold
 * several lines; each names file and line.
 *
 * Threads: a struct err belongs to one thread. Workers have one each. */

#define NODISCARD __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

enum err_code {
    ERR_OK = 0,
    ERR_USAGE,     /* bad command line, unknown setting, value out of its range     exit 2 */
    ERR_REJECTED,  /* finished, but some inputs were rejected (they are listed)     exit 3 */
    ERR_DATA,      /* a rule about the data is violated: speaker overlap, schema    exit 4 */
    ERR_FORMAT,    /* a file is not what its format says                            exit 4 */
    ERR_TRUNCATED, /* a file ends too early                                         exit 4 */
    ERR_CHECKSUM,  /* bytes differ from their checksum or digest                    exit 4 */
    ERR_IO,        /* the system refused: errno text is in the message              exit 1 */
    ERR_NOMEM,     /*                                                               exit 1 */
    ERR_EXISTS,    /* an output exists and --force was not given, or is being made  exit 1 */
    ERR_NONFINITE, /* a loss, gradient or weight is not finite                      exit 1 */
    ERR_INTERNAL,  /* our own mistake                                               exit 1 */
    ERR_STOPPED,   /* stopped on request; the same command resumes                  exit 75 */
};

enum { ERR_TEXT_SIZE = 4096 };

struct err {
    enum err_code code;
    char
        text[ERR_TEXT_SIZE]; /* NUL-terminated, without a final newline; cut with "..." if longer */
};

/* Sets code and text and returns code. The first failure wins: on an err that already holds one,
 * nothing changes and the old code is returned. e may be NULL (the text is dropped). Control
 * characters become '?', line ends too: what files say cannot steer a terminal or forge a line. */
enum err_code err_set(struct err *e, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* As err_set with ERR_IO (ERR_NOMEM for ENOMEM, EMFILE and ENFILE), text followed by ": " and
 * strerror(errno). */
enum err_code err_sys(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Takes over another err with all of its lines, by the same rules. */
enum err_code err_copy(struct err *e, const struct err *from);

/* Puts "fmt: " before the text and returns the code. Does nothing on a clean err. */
enum err_code err_in(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Appends one more line to an err that collects the faults of one file; sets `code` on first use.
 * Lines past 20 are counted only by the caller's own total. */
enum err_code err_add_line(struct err *e, enum err_code code, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* Leaves the err clean, for a caller that has dealt with the failure. */
void err_clear(struct err *e);

/* The documented exit status of a code. */
int err_exit_status(enum err_code code);

/* On failure, leave by the one door: the function's label `out`. */
#define TRY(call)             \
    do {                      \
        if ((call) != ERR_OK) \
            goto out;         \
    } while (0)

/* The same after a call that puts a failure into words and never returns ERR_OK. */
#define FAIL(call)    \
    do {              \
        (void)(call); \
        goto out;     \
    } while (0)

#endif
