/* SPDX-License-Identifier: MIT */
#include "common/data/tsv.h"

#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/utf8.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_FILE_BYTES = 256 << 20,
    MAX_LINE_BYTES = 64 << 10, /* longer lines are binary data under a wrong name */
    MAX_COLUMNS = 256,
    MAX_FAULTS = 20, /* what one message can hold */
};

struct tsv {
    char *name;
    char *text; /* the file; tabs and line ends become NUL, cells point into it */
    size_t len;
    int n_columns;
    const char **column;
    size_t n_rows, cells_cap;
    const char **cell; /* [n_rows][n_columns] */
    char digest[SHA256_HEX_SIZE];
    int faults;
};

/* What is wrong with a line's bytes, NULL if nothing; *at is the 1-based byte. Tabs are fine here.
 */
static const char *line_fault(const char *text, size_t len, size_t *at)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t n;

    for (size_t i = 0; i < len; i += n) {
        n = 1;
        if (p[i] >= ' ' && p[i] < 0x7f)
            continue;
        *at = i + 1;
        n = utf8_length(text + i, len - i);
        if (n == 0)
            return "is not UTF-8";
        if (p[i] == '\r')
            return "has a carriage return: save it with LF line ends";
        if (p[i] == '\0')
            return "has a NUL byte";
        if ((p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f)
            return "has a control character";
        if (n == 2 && p[i] == 0xc2 && p[i + 1] < 0xa0)
            return "has a control character";
    }
    return NULL;
}

bool tsv_cell_ok(const char *text)
{
    size_t at;

    return strchr(text, '\t') == NULL && line_fault(text, strlen(text), &at) == NULL;
}

static void fault(struct tsv *t, size_t line, struct err *e, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

static void fault(struct tsv *t, size_t line, struct err *e, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    if (t->faults++ >= MAX_FAULTS)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)err_add_line(e, ERR_DATA, "%s:%zu: %s", t->name, line, text);
}

/* Takes the next line off *p; false when the file's last line has no LF or is too long, after which
 * line numbers would mean nothing. */
static bool next_line(struct tsv *t, char **p, size_t line, char **text, size_t *len, struct err *e)
{
    size_t left = (size_t)(t->text + t->len - *p);
    char *end = memchr(*p, '\n', left);

    if (end == NULL) {
        fault(t, line, e, "last line does not end in LF: the file may be cut short");
        return false;
    }
    if ((size_t)(end - *p) > MAX_LINE_BYTES) {
        fault(t, line, e, "line has %zu bytes: more than the limit of %d", (size_t)(end - *p),
              MAX_LINE_BYTES);
        return false;
    }
    *text = *p;
    *len = (size_t)(end - *p);
    *end = '\0';
    *p = end + 1;
    return true;
}

static bool line_ok(struct tsv *t, size_t line, const char *text, size_t len, struct err *e)
{
    size_t at = 0;
    const char *why = line_fault(text, len, &at);

    if (why != NULL)
        fault(t, line, e, "line %s (byte %zu)", why, at);
    return why == NULL;
}

/* Cuts a line at its tabs into at most `max` cells; returns how many there are. */
static int split(char *text, const char **cell, int max)
{
    int n = 0;

    for (char *p = text; p != NULL; n++) {
        char *tab = strchr(p, '\t');

        if (tab != NULL)
            *tab++ = '\0';
        if (n < max)
            cell[n] = p;
        p = tab;
    }
    return n;
}

static bool column_name_ok(const char *name)
{
    if (*name == '\0')
        return false;
    for (; *name != '\0'; name++)
        if (!isalnum((unsigned char)*name) && strchr("_.-", *name) == NULL)
            return false;
    return true;
}

static enum err_code parse_header(struct tsv *t, char **p, const char *kind,
                                  const char *const *columns, struct err *e)
{
    const char *names[MAX_COLUMNS];
    char *text, want[128];
    size_t len;

    snprintf(want, sizeof want, "#synib-%s 1", kind);
    if (t->len >= 3 && memcmp(t->text, "\xef\xbb\xbf", 3) == 0)
        return err_set(e, ERR_DATA, "%s:1: starts with a byte order mark: save it as plain UTF-8",
                       t->name);
    if (t->len == 0)
        return err_set(e, ERR_DATA, "%s: is empty: the first line must be \"%s\"", t->name, want);
    if (!next_line(t, p, 1, &text, &len, e) || !line_ok(t, 1, text, len, e))
        return e->code;
    if (strcmp(text, want) != 0)
        return err_set(e, ERR_DATA, "%s:1: is not a %s manifest: the first line must be \"%s\"",
                       t->name, kind, want);
    if ((size_t)(*p - t->text) == t->len)
        return err_set(e, ERR_DATA, "%s:2: is missing: the second line names the columns", t->name);
    if (!next_line(t, p, 2, &text, &len, e) || !line_ok(t, 2, text, len, e))
        return e->code;
    t->n_columns = split(text, names, MAX_COLUMNS);
    if (t->n_columns > MAX_COLUMNS)
        return err_set(e, ERR_DATA, "%s:2: has %d columns: more than the limit of %d", t->name,
                       t->n_columns, MAX_COLUMNS);
    TRY(mem_array(&t->column, (size_t)t->n_columns, sizeof *t->column, t->name, e));
    memcpy(t->column, names, (size_t)t->n_columns * sizeof *names);
    for (int i = 0; i < t->n_columns; i++) {
        if (!column_name_ok(names[i]))
            fault(t, 2, e, "column %d: '%s' is not a column name: use letters, digits, _ . -",
                  i + 1, names[i]);
        for (int j = 0; j < i; j++)
            if (strcmp(names[i], names[j]) == 0)
                fault(t, 2, e, "column '%s' is named twice", names[i]);
    }
    for (; columns != NULL && *columns != NULL; columns++)
        if (tsv_column(t, *columns) < 0)
            fault(t, 2, e, "column '%s' is missing", *columns);
out:
    return e->code;
}

static enum err_code parse_rows(struct tsv *t, char *p, struct err *e)
{
    size_t columns = (size_t)t->n_columns, line = 3, len;
    char *text;

    for (; p < t->text + t->len; line++) {
        int n;

        if (!next_line(t, &p, line, &text, &len, e))
            break;
        if (!line_ok(t, line, text, len, e))
            continue;
        TRY(mem_grow(&t->cell, &t->cells_cap, (t->n_rows + 1) * columns, sizeof *t->cell, t->name,
                     e));
        n = split(text, t->cell + t->n_rows * columns, t->n_columns);
        if (n != t->n_columns)
            fault(t, line, e, "has %d cells: the header names %d columns", n, t->n_columns);
        t->n_rows += t->faults == 0; /* of a table with faults none is kept */
    }
    if (t->faults > MAX_FAULTS)
        FAIL(err_in(e, "%s: %d faults, the first %d", t->name, t->faults, MAX_FAULTS));
out:
    return e->code;
}

enum err_code tsv_parse(struct tsv **out, const char *name, const char *kind,
                        const char *const *columns, const void *data, size_t len, struct err *e)
{
    uint8_t digest[SHA256_SIZE];
    struct tsv *t = NULL;
    char *p;

    *out = NULL;
    if (len > MAX_FILE_BYTES)
        FAIL(err_set(e, ERR_DATA, "%s: has %zu bytes, more than the limit of %d", name, len,
                     MAX_FILE_BYTES));
    TRY(mem_array(&t, 1, sizeof *t, name, e));
    TRY(mem_string(&t->name, name, e));
    TRY(mem_array(&t->text, len + 1, 1, name, e));
    if (len > 0)
        memcpy(t->text, data, len);
    t->len = len;
    TRY(sha256_bytes(t->text, len, digest, e));
    sha256_hex(digest, t->digest);
    p = t->text;
    TRY(parse_header(t, &p, kind, columns, e));
    TRY(parse_rows(t, p, e));
    *out = t;
    t = NULL;
out:
    tsv_free(t);
    return e->code;
}

enum err_code tsv_read(struct tsv **t, const char *path, const char *kind,
                       const char *const *columns, struct err *e)
{
    struct file_view view = {0};

    *t = NULL;
    TRY(file_read(&view, path, MAX_FILE_BYTES, e));
    TRY(tsv_parse(t, path, kind, columns, view.data, view.len, e));
out:
    file_view_free(&view);
    return e->code;
}

void tsv_free(struct tsv *t)
{
    if (t == NULL)
        return;
    free(t->name);
    free(t->text);
    free(t->column);
    free(t->cell);
    free(t);
}

const char *tsv_name(const struct tsv *t)
{
    return t->name;
}

size_t tsv_rows(const struct tsv *t)
{
    return t->n_rows;
}

int tsv_column(const struct tsv *t, const char *name)
{
    for (int i = 0; i < t->n_columns; i++)
        if (strcmp(t->column[i], name) == 0)
            return i;
    return -1;
}

const char *tsv_cell(const struct tsv *t, size_t row, int column)
{
    assert(row < t->n_rows && column >= 0 && column < t->n_columns);
    return t->cell[row * (size_t)t->n_columns + (size_t)column];
}

size_t tsv_line(const struct tsv *t, size_t row)
{
    assert(row < t->n_rows);
    (void)t;        /* where assert is compiled out */
    return row + 3; /* after the kind and the column names; every line is a row */
}

const char *tsv_digest(const struct tsv *t)
{
    return t->digest;
}
