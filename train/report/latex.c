/* SPDX-License-Identifier: MIT */
#include "train/report/doc.h"

#include <string.h>

/* What LaTeX writes in another way: its own characters, and those beyond ASCII that we use. */
static const struct {
    const char *text, *latex;
} replacements[] = {
    {"\\", "\\textbackslash{}"},
    {"{", "\\{"},
    {"}", "\\}"},
    {"&", "\\&"},
    {"%", "\\%"},
    {"$", "\\$"},
    {"#", "\\#"},
    {"_", "\\_"},
    {"~", "\\textasciitilde{}"},
    {"^", "\\textasciicircum{}"},
    {"<", "\\textless{}"},
    {">", "\\textgreater{}"},
    {"±", "$\\pm$"},
    {"−", "$-$"},
    {"—", "---"},
    {"∩", "$\\cap$"},
};

void latex_escape(FILE *f, const char *text)
{
    for (const char *p = text; *p != '\0';) {
        size_t n = sizeof replacements / sizeof replacements[0], i;

        for (i = 0; i < n; i++)
            if (strncmp(p, replacements[i].text, strlen(replacements[i].text)) == 0)
                break;
        if (i < n) {
            fputs(replacements[i].latex, f);
            p += strlen(replacements[i].text);
        } else {
            fputc(*p++, f);
        }
    }
}

/* Lines of one cell stand above each other in a table of their own. */
static void write_cell(const char *text, FILE *f)
{
    char line[1024];
    bool several = strchr(text, '\n') != NULL;

    if (several)
        fputs("\\begin{tabular}[t]{@{}c@{}}", f);
    for (const char *p = text;;) {
        size_t len = strcspn(p, "\n");

        snprintf(line, sizeof line, "%.*s", (int)len, p);
        /* a '[' after '\\' would be read as its option */
        if (line[0] == '[')
            fputs("{}", f);
        latex_escape(f, line);
        if (p[len] == '\0')
            break;
        fputs("\\\\", f);
        p += len + 1;
    }
    if (several)
        fputs("\\end{tabular}", f);
}

static void write_grid(const struct grid *g, FILE *f)
{
    fputs("\\begin{table*}\n\\centering\n\\footnotesize\n\\caption{", f);
    latex_escape(f, g->caption);
    fprintf(f, "}\n\\label{tab:synib-%s", g->name);
    if (g->number > 0)
        fprintf(f, "-%d", g->number);
    fputs("}\n\\begin{tabular}{l", f);
    for (int c = 1; c < g->columns; c++)
        fputc('c', f);
    fputs("}\n\\toprule\n", f);
    for (int row = 0; row < g->rows; row++) {
        for (int c = 0; c < g->columns; c++) {
            const char *text = g->cell[row * g->columns + c].text;

            fputs(c > 0 ? " & " : "", f);
            write_cell(text != NULL ? text : "", f);
        }
        fputs(row == 0            ? " \\\\\n\\midrule\n"
              : row + 1 < g->rows ? " \\\\\n\\addlinespace\n"
                                  : " \\\\\n",
              f);
    }
    fputs("\\bottomrule\n\\end{tabular}\n\\end{table*}\n\n", f);
}

enum err_code doc_write_latex(const struct doc *d, FILE *f, struct err *e)
{
    fputs("% Made by synib-report; needs booktabs. Title, notes and warnings of the report:\n", f);
    for (size_t i = 0; i < d->n; i++) {
        const struct doc_block *b = &d->block[i];

        if (b->part == DOC_TITLE || b->part == DOC_WARNING) {
            fputs("% ", f);
            for (const char *p = b->text; *p != '\0'; p++)
                fputc(*p == '\n' ? ' ' : *p, f);
            fputs("\n", f);
        }
    }
    fputs("\n", f);
    for (size_t i = 0; i < d->n; i++)
        if (d->block[i].part == DOC_GRID && d->block[i].grid->name != NULL)
            write_grid(d->block[i].grid, f);
    return d->failed ? err_set(e, ERR_NOMEM, "report: no memory") : ERR_OK;
}
