/* SPDX-License-Identifier: MIT */
#include "train/report/doc.h"

#include "common/base/mem.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void grid_free(struct grid *g)
{
    if (g == NULL)
        return;
    for (int i = 0; g->cell != NULL && i < g->rows * g->columns; i++)
        free(g->cell[i].text);
    free(g->cell);
    free(g->caption);
    free(g);
}

void doc_free(struct doc *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free(d->block[i].text);
        grid_free(d->block[i].grid);
    }
    free(d->block);
    memset(d, 0, sizeof *d);
}

/* Takes text and grid. */
static void append(struct doc *d, enum doc_part part, char *text, struct grid *grid)
{
    struct err quiet = {0};

    if (mem_grow(&d->block, &d->cap, d->n + 1, sizeof *d->block, "report", &quiet) != ERR_OK ||
        (text == NULL && grid == NULL)) {
        d->failed = true;
        free(text);
        grid_free(grid);
        return;
    }
    d->block[d->n++] = (struct doc_block){part, text, grid};
}

static PRINTF_LIKE(1, 0) char *format(const char *fmt, va_list args)
{
    char *text;

    return vasprintf(&text, fmt, args) >= 0 ? text : NULL;
}

void doc_add(struct doc *d, enum doc_part part, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    append(d, part, format(fmt, args), NULL);
    va_end(args);
}

void doc_add_html(struct doc *d, char *html)
{
    append(d, DOC_HTML, html, NULL);
}

enum err_code doc_grid(struct doc *d, struct grid **out, const char *name, int rows, int columns,
                       const char *caption, struct err *e)
{
    struct grid *g = NULL;

    TRY(mem_array(&g, 1, sizeof *g, "table", e));
    *g = (struct grid){.doc = d, .name = name, .rows = rows, .columns = columns};
    TRY(mem_array(&g->cell, (size_t)rows * (size_t)columns, sizeof *g->cell, "table", e));
    for (int i = 0; i < rows * columns; i++)
        g->cell[i].shade = -1;
    TRY(mem_string(&g->caption, caption, e));
    append(d, DOC_GRID, NULL, g);
    *out = g;
    g = NULL;
    if (d->failed)
        err_set(e, ERR_NOMEM, "report: no memory");
out:
    grid_free(g);
    return e->code;
}

void grid_set(struct grid *g, int row, int column, const char *fmt, ...)
{
    struct grid_cell *cell = &g->cell[row * g->columns + column];
    va_list args;

    free(cell->text);
    va_start(args, fmt);
    cell->text = format(fmt, args);
    va_end(args);
    if (cell->text == NULL)
        g->doc->failed = true;
}

void grid_shade(struct grid *g, int row, int column, double shade)
{
    g->cell[row * g->columns + column].shade = shade;
}
