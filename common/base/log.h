/* SPDX-License-Identifier: MIT */
#ifndef COMMON_BASE_LOG_H
#define COMMON_BASE_LOG_H

#include "common/base/err.h"

#include <stdint.h>

/* Talk for a person, on stderr: one line per message, "tool: text". Products never go through here.
 * A NULL log is silent. Control characters in messages become '?', but for tabs and line ends: the
 * text of an err may hold several lines. Threads: any. */

enum log_level { LOG_QUIET, LOG_NORMAL, LOG_VERBOSE };

struct log {
    const char *tool; /* borrowed */
    enum log_level level;
};

void log_error(const struct log *log, const char *text); /* for cli_finish alone */
void log_warn(const struct log *log, const char *fmt, ...) PRINTF_LIKE(2, 3); /* always shown */
void log_note(const struct log *log, const char *fmt, ...) PRINTF_LIKE(2, 3); /* not with --quiet */
void log_debug(const struct log *log, const char *fmt, ...) PRINTF_LIKE(2, 3); /* with --verbose */

/* Progress over a known total: a bar on a terminal, otherwise one plain line every 30 s; nothing
 * with
 * --quiet. Starts with progress_begin, counts with progress_step (any thread), ends with
 * progress_end, which leaves one summary line with --verbose. The object must not move in between.
 */
struct progress {
    const struct log *log;
    const char *what; /* borrowed, e.g. "clips" */
    int64_t total;
    int64_t done;     /* atomic */
    int64_t start_ms; /* monotonic */
    int64_t shown_ms; /* atomic; when a line was last shown */
    bool terminal;
};

void progress_begin(struct progress *p, const struct log *log, const char *what, int64_t total);
void progress_step(struct progress *p, int64_t n);
void progress_end(struct progress *p);

/* Milliseconds on the monotonic clock. */
int64_t clock_ms(void);

#endif
