/* SPDX-License-Identifier: MIT */
#include "train/report/svg.h"

#include "train/report/doc.h"

#include <math.h>
#include <string.h>

/* In units of the picture: 480 wide, as high as the legend makes it. */
enum {
    WIDTH = 480,
    LEFT = 52,
    RIGHT = 12,
    TOP = 30,
    PLOT_W = WIDTH - LEFT - RIGHT,
    PLOT_H = 230,
    AXIS_H = 48,       /* tick labels and the x label */
    LEGEND_SHORT = 16, /* characters of a name that fit into a third of the width, */
    LEGEND_LONG = 60,  /* and into all of it; what is longer is cut */
    LEGEND_H = 20,     /* of one line of it */
    MOST_TICKS_X = 8,
    MOST_TICKS_Y = 6,
};

/* Okabe and Ito's colours, without their yellow, which is too pale on white: told apart by
 * colour-blind readers too. Past them the same colours come dashed. */
static const char *const colours[] = {"#000000", "#d55e00", "#0072b2", "#009e73",
                                      "#cc79a7", "#e69f00", "#56b4e9"};
enum { COLOURS = sizeof colours / sizeof colours[0] };
static const char *const dashes[] = {"", " stroke-dasharray=\"7 3\"", " stroke-dasharray=\"2 3\""};
enum { DASHES = sizeof dashes / sizeof dashes[0] };

double svg_step(double span, int most)
{
    double step = pow(10, floor(log10(span / most)));
    static const double factors[] = {1, 2, 5, 10};

    for (size_t i = 0; i < 3; i++)
        if (span / (step * factors[i]) <= most * (1 + 1e-9))
            return step * factors[i];
    return step * factors[3];
}

struct frame {
    double x_max;     /* x goes from 1 */
    double low, high; /* y */
    double x_step, y_step;
};

static double x_at(const struct frame *f, double x)
{
    return LEFT + PLOT_W * (f->x_max > 1 ? (x - 1) / (f->x_max - 1) : 0.5);
}

static double y_at(const struct frame *f, double y)
{
    return TOP + PLOT_H * (1 - (y - f->low) / (f->high - f->low));
}

static struct frame find_frame(const struct svg_plot *p)
{
    struct frame f = {.x_max = 1, .low = INFINITY, .high = -INFINITY};

    for (int k = 0; k < p->lines; k++)
        for (size_t i = 0; i < p->line[k].n; i++) {
            double y = p->line[k].y[i];

            if (!isfinite(y))
                continue;
            f.x_max = fmax(f.x_max, (double)(i + 1));
            f.low = fmin(f.low, y);
            f.high = fmax(f.high, y);
        }
    if (f.low > f.high)
        f.low = 0, f.high = 1;
    if (p->from_zero)
        f.low = fmin(f.low, 0);
    if (f.high - f.low < 1e-9)
        f.high = f.low + 1;
    f.y_step = svg_step(f.high - f.low, MOST_TICKS_Y);
    f.low = floor(f.low / f.y_step + 1e-9) * f.y_step;
    f.high = ceil(f.high / f.y_step - 1e-9) * f.y_step;
    f.x_step = f.x_max > 1 ? fmax(1, svg_step(f.x_max, MOST_TICKS_X)) : 1;
    return f;
}

static void text(FILE *f, double x, double y, const char *anchor, int size, const char *what)
{
    fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%d\">", x, y, anchor,
            size);
    html_escape(f, what);
    fputs("</text>\n", f);
}

static void line(FILE *f, double x1, double y1, double x2, double y2, const char *colour)
{
    fprintf(f, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n", x1, y1,
            x2, y2, colour);
}

static void write_y_axis(FILE *f, const struct frame *fr)
{
    int ticks = (int)lround((fr->high - fr->low) / fr->y_step);
    int decimals = fr->y_step < 1 ? (int)ceil(-log10(fr->y_step) - 1e-9) : 0;
    char label[32];

    for (int k = 0; k <= ticks; k++) {
        double y = fr->low + k * fr->y_step;

        snprintf(label, sizeof label, "%.*f", decimals, fabs(y) < fr->y_step / 2 ? 0.0 : y);
        line(f, LEFT, y_at(fr, y), LEFT + PLOT_W, y_at(fr, y), "#e4e4e4");
        text(f, LEFT - 6, y_at(fr, y) + 5, "end", 14, label);
    }
}

static void write_x_axis(FILE *f, const struct frame *fr, const char *name)
{
    char label[32];

    for (double x = fr->x_step > 1 ? fr->x_step : 1; x <= fr->x_max; x += fr->x_step) {
        snprintf(label, sizeof label, "%.0f", x);
        line(f, x_at(fr, x), TOP + PLOT_H, x_at(fr, x), TOP + PLOT_H + 4, "#1c1c1f");
        text(f, x_at(fr, x), TOP + PLOT_H + 19, "middle", 14, label);
    }
    line(f, LEFT, TOP + PLOT_H, LEFT + PLOT_W, TOP + PLOT_H, "#1c1c1f");
    text(f, LEFT + PLOT_W / 2.0, TOP + PLOT_H + 38, "middle", 15, name);
}

static void stroke(FILE *f, int style)
{
    fprintf(f, " stroke=\"%s\"%s", colours[style % COLOURS], dashes[style / COLOURS % DASHES]);
}

static void write_level(FILE *f, const struct frame *fr, const struct svg_line *l)
{
    fprintf(f,
            "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke-width=\"1.8\" "
            "stroke=\"%s\" stroke-dasharray=\"1 4\"/>\n",
            LEFT, y_at(fr, l->y[0]), LEFT + PLOT_W, y_at(fr, l->y[0]), colours[l->style % COLOURS]);
}

/* Stretches of finite values; one that stands alone is a dot. */
static void write_line(FILE *f, const struct frame *fr, const struct svg_line *l)
{
    if (l->n == 1 && fr->x_max > 1 && isfinite(l->y[0])) {
        write_level(f, fr, l);
        return;
    }
    for (size_t i = 0; i < l->n;) {
        size_t end = i;

        while (end < l->n && isfinite(l->y[end]))
            end++;
        if (end == i + 1)
            fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n",
                    x_at(fr, (double)(i + 1)), y_at(fr, l->y[i]), colours[l->style % COLOURS]);
        if (end > i + 1) {
            fputs("<polyline fill=\"none\" stroke-width=\"1.8\" stroke-linejoin=\"round\"", f);
            stroke(f, l->style);
            fputs(" points=\"", f);
            for (size_t k = i; k < end; k++)
                fprintf(f, "%s%.1f,%.1f", k > i ? " " : "", x_at(fr, (double)(k + 1)),
                        y_at(fr, l->y[k]));
            fputs("\"/>\n", f);
        }
        i = end + 1;
    }
}

/* As many columns as the longest name leaves room for. */
static int legend_columns(const struct svg_plot *p)
{
    size_t longest = 0;

    for (int k = 0; k < p->lines; k++)
        longest = strlen(p->line[k].name) > longest ? strlen(p->line[k].name) : longest;
    return longest <= LEGEND_SHORT ? 3 : 1;
}

static void write_legend(FILE *f, const struct svg_plot *p)
{
    int columns = legend_columns(p);

    for (int k = 0; k < p->lines; k++) {
        double x = 8 + k % columns * ((WIDTH - 16) / columns);
        double y = TOP + PLOT_H + AXIS_H + LEGEND_H * (k / columns + 0.6);
        size_t len = strlen(p->line[k].name);
        char name[LEGEND_LONG + 1];

        if (len > LEGEND_LONG)
            for (len = LEGEND_LONG; len > 0 && (p->line[k].name[len] & 0xc0) == 0x80;)
                len--; /* not inside a character */
        snprintf(name, sizeof name, "%.*s", (int)len, p->line[k].name);
        fprintf(f, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke-width=\"2.5\"", x,
                y, x + 22, y);
        stroke(f, p->line[k].style);
        fputs("/>\n", f);
        text(f, x + 27, y + 5, "start", 14, name);
    }
}

void svg_write(FILE *f, const struct svg_plot *p)
{
    struct frame fr = find_frame(p);
    int columns = legend_columns(p), legend = (p->lines + columns - 1) / columns * LEGEND_H;

    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" "
            "font-family=\"system-ui,sans-serif\" fill=\"#1c1c1f\">\n<title>",
            WIDTH, TOP + PLOT_H + AXIS_H + legend + 8);
    html_escape(f, p->title);
    fputs("</title>\n", f);
    text(f, LEFT, 18, "start", 17, p->title);
    write_y_axis(f, &fr);
    write_x_axis(f, &fr, p->x_label);
    for (int k = 0; k < p->lines; k++)
        write_line(f, &fr, &p->line[k]);
    write_legend(f, p);
    fputs("</svg>\n", f);
}
