/* SPDX-License-Identifier: MIT */
#include "common/base/err.h"

#include "common/base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ERR_MAX_LINES = 20 };

/* Marks a text that did not fit, so that nobody takes its end for the whole. */
static void mark_cut(char *text, int wanted)
{
    if (wanted >= ERR_TEXT_SIZE)
        memcpy(text + ERR_TEXT_SIZE - 4, "...", 4);
}

enum err_code err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    va_list ap;

    if (e == NULL)
        return code;
    if (e->code != ERR_OK)
        return e->code;
    e->code = code;
    va_start(ap, fmt);
    mark_cut(e->text, vsnprintf(e->text, sizeof e->text, fmt, ap));
    va_end(ap);
    text_mask_controls(e->text, "");
    return code;
}

enum err_code err_copy(struct err *e, const struct err *from)
{
    if (e != NULL && e->code == ERR_OK && from->code != ERR_OK)
        *e = *from;
    return e != NULL ? e->code : from->code;
}

enum err_code err_sys(struct err *e, const char *fmt, ...)
{
    int saved = errno;
    /* What the process ran out of is no fault of the file that it was about to open. */
    enum err_code code = saved == ENOMEM || saved == EMFILE || saved == ENFILE ? ERR_NOMEM : ERR_IO;
    char text[ERR_TEXT_SIZE];
    va_list ap;

    va_start(ap, fmt);
    mark_cut(text, vsnprintf(text, sizeof text, fmt, ap));
    va_end(ap);
    return err_set(e, code, "%s: %s", text, strerror(saved));
}

enum err_code err_in(struct err *e, const char *fmt, ...)
{
    char text[ERR_TEXT_SIZE];
    size_t len;
    va_list ap;

    if (e == NULL || e->code == ERR_OK)
        return ERR_OK;
    va_start(ap, fmt);
    mark_cut(text, vsnprintf(text, sizeof text, fmt, ap));
    va_end(ap);
    text_mask_controls(text, "");
    len = strlen(text);
    mark_cut(text, snprintf(text + len, sizeof text - len, ": %s", e->text) + (int)len);
    memcpy(e->text, text, sizeof text);
    return e->code;
}

enum err_code err_add_line(struct err *e, enum err_code code, const char *fmt, ...)
{
    size_t len = e->code == ERR_OK ? 0 : strlen(e->text);
    int lines = 1;
    va_list ap;

    if (e->code == ERR_OK)
        e->code = code;
    for (const char *p = e->text; len > 0 && (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    if (len > 0 && lines >= ERR_MAX_LINES)
        return e->code;
    if (len > 0 && len + 1 < sizeof e->text)
        e->text[len++] = '\n';
    va_start(ap, fmt);
    mark_cut(e->text, vsnprintf(e->text + len, sizeof e->text - len, fmt, ap) + (int)len);
    va_end(ap);
    text_mask_controls(e->text + len, "\n"); /* a line may be the list of another err */
    return e->code;
}

void err_clear(struct err *e)
{
    e->code = ERR_OK;
    e->text[0] = '\0';
}

int err_exit_status(enum err_code code)
{
    switch (code) {
    case ERR_OK: return 0;
    case ERR_USAGE: return 2;
    case ERR_REJECTED: return 3;
    case ERR_DATA:
    case ERR_FORMAT:
    case ERR_TRUNCATED:
    case ERR_CHECKSUM: return 4;
    case ERR_STOPPED: return 75;
    case ERR_IO:
    case ERR_NOMEM:
    case ERR_EXISTS:
    case ERR_NONFINITE:
    case ERR_INTERNAL: return 1;
    }
    return 1;
}
