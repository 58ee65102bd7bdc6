/* SPDX-License-Identifier: MIT */
#include "common/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_EVERY_MS = 30000, BAR_EVERY_MS = 200, BAR_WIDTH = 30 };

/* A file name may hold terminal escapes; a message never passes them on: neither ASCII's controls
 * nor the second set, U+0080 to U+009F, of which U+009B begins a sequence as ESC [ does. */
static void mask_controls(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++)
        if ((*p < 0x20 && *p != '\n' && *p != '\t') || *p == 0x7f)
            *p = '?';
        else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
            p[0] = p[1] = '?';
}

static void vsay(const struct log *log, const char *kind, const char *fmt, va_list ap)
{
    char text[ERR_TEXT_SIZE];

    vsnprintf(text, sizeof text, fmt, ap);
    mask_controls(text);
    fprintf(stderr, "%s: %s%s\n", log->tool, kind, text);
}

static PRINTF_LIKE(3, 4) void say(const struct log *log, const char *kind, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsay(log, kind, fmt, ap);
    va_end(ap);
}

void log_error(const struct log *log, const char *text)
{
    say(log, "", "%s", text);
}

void log_warn(const struct log *log, const char *fmt, ...)
{
    va_list ap;

    if (log == NULL)
        return;
    va_start(ap, fmt);
    vsay(log, "warning: ", fmt, ap);
    va_end(ap);
}

void log_note(const struct log *log, const char *fmt, ...)
{
    va_list ap;

    if (log == NULL || log->level < LOG_NORMAL)
        return;
    va_start(ap, fmt);
    vsay(log, "", fmt, ap);
    va_end(ap);
}

void log_debug(const struct log *log, const char *fmt, ...)
{
    va_list ap;

    if (log == NULL || log->level < LOG_VERBOSE)
        return;
    va_start(ap, fmt);
    vsay(log, "", fmt, ap);
    va_end(ap);
}

int64_t clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void progress_begin(struct progress *p, const struct log *log, const char *what, int64_t total)
{
    *p = (struct progress){
        .log = log,
        .what = what,
        .total = total,
        .start_ms = clock_ms(),
        .terminal = isatty(STDERR_FILENO) == 1,
    };
    p->shown_ms = p->start_ms;
}

static void show(const struct progress *p, int64_t done, int64_t now)
{
    double seconds = (double)(now - p->start_ms) / 1000.0;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    double share = p->total > 0 ? (double)done / (double)p->total : 1;

    if (p->terminal) {
        char bar[BAR_WIDTH + 1];
        int full = (int)(share * BAR_WIDTH);

        memset(bar, '.', BAR_WIDTH);
        memset(bar, '#', (size_t)(full > BAR_WIDTH ? BAR_WIDTH : full));
        bar[BAR_WIDTH] = '\0';
        fprintf(stderr, "\r%s: [%s] %lld/%lld %s, %.1f/s ", p->log->tool, bar, (long long)done,
                (long long)p->total, p->what, rate);
    } else {
        fprintf(stderr, "%s: %lld of %lld %s, %.0f s, %.1f/s\n", p->log->tool, (long long)done,
                (long long)p->total, p->what, seconds, rate);
    }
}

void progress_step(struct progress *p, int64_t n)
{
    int64_t done = __atomic_add_fetch(&p->done, n, __ATOMIC_RELAXED);
    int64_t shown = __atomic_load_n(&p->shown_ms, __ATOMIC_RELAXED);
    int64_t now;

    if (p->log == NULL || p->log->level < LOG_NORMAL)
        return;
    now = clock_ms();
    if (now - shown < (p->terminal ? BAR_EVERY_MS : LINE_EVERY_MS))
        return;
    /* Only the thread that moves the mark shows the line. */
    if (__atomic_compare_exchange_n(&p->shown_ms, &shown, now, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED))
        show(p, done, now);
}

void progress_end(struct progress *p)
{
    if (p->log == NULL || p->log->level < LOG_NORMAL)
        return;
    if (p->terminal) {
        show(p, p->done, clock_ms());
        fputc('\n', stderr);
    } else if (p->log->level >= LOG_VERBOSE) {
        show(p, p->done, clock_ms());
    }
}
