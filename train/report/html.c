/* SPDX-License-Identifier: MIT */
#include "train/report/doc.h"

#include <string.h>

/* Dark on white, one column, tables that scroll within themselves on a narrow screen. */
static const char style[] =
    "body{font:16px/1.5 system-ui,sans-serif;color:#1c1c1f;background:#fff;max-width:72rem;"
    "margin:0 auto;padding:1rem}\n"
    "h1{font-size:1.6rem;line-height:1.25}\n"
    "h2{font-size:1.25rem;margin-top:2.5rem;border-bottom:1px solid #ccc;padding-bottom:.2rem}\n"
    "p{max-width:48rem}\n"
    ".warning{border-left:.3rem solid #b3261e;background:#fdf1f0;padding:.6rem 1rem;"
    "overflow-wrap:anywhere}\n"
    ".scroll{overflow-x:auto}\n"
    "table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}\n"
    ".caption{font-size:.9rem;color:#444;margin:0 0 .3rem}\n"
    ".table{margin:1rem 0 1.5rem;max-width:100%}\n"
    "th,td{padding:.3rem .6rem;border-bottom:1px solid #ddd;text-align:center;vertical-align:top}\n"
    "td{white-space:nowrap}\n"
    "thead th{border-top:2px solid #1c1c1f;border-bottom:1px solid #1c1c1f}\n"
    "tbody tr:last-child>*{border-bottom:2px solid #1c1c1f}\n"
    "th:first-child{text-align:left;font-weight:500}\n"
    "td.wide{white-space:normal;overflow-wrap:anywhere;text-align:left;min-width:16rem}\n"
    ".row{display:flex;flex-wrap:wrap;gap:1rem;margin:1rem 0}\n"
    ".row .table{margin:0}\n"
    ".row td,.row th{padding:.2rem .35rem}\n"
    "figure{margin:0;flex:1 1 20rem;max-width:30rem}\n"
    "figcaption{font-size:.9rem;overflow-wrap:anywhere}\n"
    "svg{width:100%;height:auto;display:block}\n"
    ".frames{display:flex}\n"
    ".frames img{width:33.334%;height:auto;display:block}\n"
    "img.heat{width:100%;height:6rem;display:block}\n"
    "@media print{.scroll{overflow:visible}h2{break-after:avoid}figure{break-inside:avoid}}\n";

void html_escape(FILE *f, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        switch (*p) {
        case '&': fputs("&amp;", f); break;
        case '<': fputs("&lt;", f); break;
        case '>': fputs("&gt;", f); break;
        case '"': fputs("&quot;", f); break;
        case '\'': fputs("&#39;", f); break;
        case '\n': fputs("<br>", f); break;
        default: fputc(*p, f); break;
        }
    }
}

/* Behind the text: white to a blue on which dark text still reads. */
static void write_shade(double shade, FILE *f)
{
    int s = (int)(shade * 100 + 0.5);

    fprintf(f, " style=\"background:rgb(%d,%d,%d)\"", 255 - 125 * s / 100, 255 - 70 * s / 100,
            255 - 15 * s / 100);
}

static void write_cell(const struct grid *g, int row, int c, FILE *f)
{
    const struct grid_cell *cell = &g->cell[row * g->columns + c];
    const char *text = cell->text != NULL ? cell->text : "";
    bool heading = row == 0 || c == 0;
    enum { WIDE = 60 }; /* characters without a break that are sentences, not numbers */

    if (heading)
        fprintf(f, "<th scope=\"%s\"", row == 0 ? "col" : "row");
    else
        fprintf(f, "<td%s",
                strlen(text) > WIDE && strchr(text, '\n') == NULL ? " class=\"wide\"" : "");
    if (cell->shade >= 0)
        write_shade(cell->shade, f);
    fputs(">", f);
    html_escape(f, text);
    fputs(heading ? "</th>" : "</td>", f);
}

static void write_grid(const struct grid *g, FILE *f)
{
    fputs("<div class=\"table\"><p class=\"caption\">", f);
    html_escape(f, g->caption);
    fputs("</p>\n<div class=\"scroll\"><table>\n", f);
    for (int row = 0; row < g->rows; row++) {
        fputs(row == 0 ? "<thead>\n<tr>" : row == 1 ? "<tbody>\n<tr>" : "<tr>", f);
        for (int c = 0; c < g->columns; c++)
            write_cell(g, row, c, f);
        fputs(row == 0 ? "</tr>\n</thead>\n" : "</tr>\n", f);
    }
    fputs(g->rows > 1 ? "</tbody>\n</table></div></div>\n" : "</table></div></div>\n", f);
}

static void write_element(const char *open, const char *text, const char *close, FILE *f)
{
    fputs(open, f);
    html_escape(f, text);
    fputs(close, f);
}

static void write_head(const struct doc *d, FILE *f)
{
    const char *title = "Report";

    for (size_t i = d->n; i-- > 0;)
        if (d->block[i].part == DOC_TITLE)
            title = d->block[i].text;
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
          f);
    write_element("<title>", title, "</title>\n", f);
    fprintf(f, "<style>\n%s</style>\n</head>\n<body>\n", style);
}

static bool is_narrow(const struct doc *d, size_t i)
{
    return i < d->n && d->block[i].part == DOC_GRID && d->block[i].grid->narrow;
}

/* Neighbours that are narrow share a row. */
static void write_grid_block(const struct doc *d, size_t i, FILE *f)
{
    bool narrow = is_narrow(d, i);

    if (narrow && (i == 0 || !is_narrow(d, i - 1)))
        fputs("<div class=\"row\">\n", f);
    write_grid(d->block[i].grid, f);
    if (narrow && !is_narrow(d, i + 1))
        fputs("</div>\n", f);
}

enum err_code doc_write_html(const struct doc *d, FILE *f, struct err *e)
{
    write_head(d, f);
    for (size_t i = 0; i < d->n; i++) {
        const struct doc_block *b = &d->block[i];

        switch (b->part) {
        case DOC_TITLE: write_element("<h1>", b->text, "</h1>\n", f); break;
        case DOC_SECTION: write_element("<h2>", b->text, "</h2>\n", f); break;
        case DOC_TEXT: write_element("<p>", b->text, "</p>\n", f); break;
        case DOC_WARNING:
            write_element("<p class=\"warning\"><strong>Warning:</strong> ", b->text, "</p>\n", f);
            break;
        case DOC_GRID: write_grid_block(d, i, f); break;
        case DOC_HTML: fputs(b->text, f); break;
        }
    }
    fputs("</body>\n</html>\n", f);
    return d->failed ? err_set(e, ERR_NOMEM, "report: no memory") : ERR_OK;
}
