/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_REPORT_SVG_H
#define TRAIN_REPORT_SVG_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdio.h>

/* Line plots as inline SVG: axes, ticks, lines, legend. Same input, same bytes. */

struct svg_line {
    const char *name;
    const double *y; /* [n], of x = 1 ... n; a NaN breaks the line. One point alone where others
                      * have more is a level line. */
    size_t n;
    int style; /* colour and dashes, from 0: the same number looks the same in every plot */
};

struct svg_plot {
    const char *title, *x_label;
    const struct svg_line *line;
    int lines;
    bool from_zero; /* the y axis begins at 0 */
};

/* Nothing to draw (no finite value) is an empty frame. */
void svg_write(FILE *f, const struct svg_plot *plot);

/* A step of 1, 2 or 5 times a power of ten that cuts `span` > 0 into at most `most` pieces. */
double svg_step(double span, int most);

#endif
