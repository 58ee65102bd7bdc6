/* SPDX-License-Identifier: MIT */
#include "train/report/doc.h"

#include <ctype.h>
#include <string.h>

/* An underscore inside a word is no emphasis, and names of clips are full of them. */
static bool in_word(const char *text, const char *p)
{
    return p > text && isalnum((unsigned char)p[-1]) && isalnum((unsigned char)p[1]);
}

void markdown_escape(FILE *f, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\n') {
            fputs("<br>", f);
            continue;
        }
        if (*p == '&' || *p == '<') {
            fputs(*p == '&' ? "&amp;" : "&lt;", f);
            continue;
        }
        if (strchr("\\`*|~", *p) != NULL || (*p == '_' && !in_word(text, p)))
            fputc('\\', f);
        fputc(*p, f);
    }
}

static void write_grid(const struct grid *g, FILE *f)
{
    fputs("**", f);
    markdown_escape(f, g->caption);
    fputs("**\n\n", f);
    for (int row = 0; row < g->rows; row++) {
        for (int c = 0; c < g->columns; c++) {
            const char *text = g->cell[row * g->columns + c].text;

            fputs(c == 0 ? "| " : " | ", f);
            markdown_escape(f, text != NULL ? text : "");
        }
        fputs(" |\n", f);
        if (row > 0)
            continue;
        for (int c = 0; c < g->columns; c++)
            fputs(c == 0 ? "|---|" : "---|", f);
        fputs("\n", f);
    }
    fputs("\n", f);
}

enum err_code doc_write_markdown(const struct doc *d, FILE *f, struct err *e)
{
    static const char *const before[] = {[DOC_TITLE] = "# ",
                                         [DOC_SECTION] = "## ",
                                         [DOC_TEXT] = "",
                                         [DOC_WARNING] = "**Warning:** "};

    for (size_t i = 0; i < d->n; i++) {
        const struct doc_block *b = &d->block[i];

        if (b->part == DOC_GRID) {
            write_grid(b->grid, f);
        } else if (b->part != DOC_HTML) {
            fputs(before[b->part], f);
            markdown_escape(f, b->text);
            fputs("\n\n", f);
        }
    }
    return d->failed ? err_set(e, ERR_NOMEM, "report: no memory") : ERR_OK;
}
