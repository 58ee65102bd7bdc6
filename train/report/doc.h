/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_REPORT_DOC_H
#define TRAIN_REPORT_DOC_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdio.h>

/* A report before it is Markdown, LaTeX or HTML: headings, paragraphs, tables, and parts that only
 * the page has. Texts are plain UTF-8; each format escapes them as it must.
 *
 * What fails for want of memory is remembered and reported by the doc_write functions, so that
 * building needs no check at every line. One thread. */

enum doc_part {
    DOC_TITLE,
    DOC_SECTION,
    DOC_TEXT,
    DOC_WARNING,
    DOC_GRID,
    DOC_HTML, /* page only, written as it is */
};

struct grid_cell {
    char *text;   /* '\n' breaks the line; NULL = empty */
    double shade; /* 0 to 1 of a colour behind it, on the page; negative = none */
};

/* The first row and the first column are headings. */
struct grid {
    struct doc *doc;
    char *caption;
    const char *name; /* borrowed literal: part of the LaTeX label; NULL: not in report.tex */
    int number;       /* follows the name, where several have it; 0 = none */
    int rows, columns;
    bool narrow;            /* on the page beside its neighbours that are, where there is room */
    struct grid_cell *cell; /* [rows][columns] */
};

struct doc_block {
    enum doc_part part;
    char *text;
    struct grid *grid;
};

struct doc { /* zeroed = empty */
    struct doc_block *block;
    size_t n, cap;
    bool failed;
};

void doc_free(struct doc *d);
/* part: any but DOC_GRID and DOC_HTML. */
void doc_add(struct doc *d, enum doc_part part, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Takes `html` (malloc; NULL counts as no memory). */
void doc_add_html(struct doc *d, char *html);
/* An empty table at the end of d, to be filled; a loan until doc_free. rows, columns >= 1. */
NODISCARD enum err_code doc_grid(struct doc *d, struct grid **out, const char *name, int rows,
                                 int columns, const char *caption, struct err *e);
void grid_set(struct grid *g, int row, int column, const char *fmt, ...) PRINTF_LIKE(4, 5);
void grid_shade(struct grid *g, int row, int column, double shade);

/* The three formats, to a stream in memory; only f's own failures are the caller's to find. */
NODISCARD enum err_code doc_write_markdown(const struct doc *d, FILE *f, struct err *e);
NODISCARD enum err_code doc_write_latex(const struct doc *d, FILE *f, struct err *e);
NODISCARD enum err_code doc_write_html(const struct doc *d, FILE *f, struct err *e);

/* `text` with every character that means something to HTML replaced: for text and for attributes
 * in double quotes. */
void html_escape(FILE *f, const char *text);
void latex_escape(FILE *f, const char *text);
void markdown_escape(FILE *f, const char *text);

#endif
