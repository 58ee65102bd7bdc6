/* SPDX-License-Identifier: MIT */
#ifndef COMMON_DATA_CANVAS_H
#define COMMON_DATA_CANVAS_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* A picture in memory to draw on: contact sheets, a gallery. Whatever falls outside is left out. */

struct rgb {
    uint8_t r, g, b;
};

struct canvas {
    int w, h;
    uint8_t *pixel; /* [h][w][3] */
};

NODISCARD enum err_code canvas_init(struct canvas *c, int w, int h, struct rgb background,
                                    struct err *e);
void canvas_free(struct canvas *c);

void canvas_fill(struct canvas *c, int x, int y, int w, int h, struct rgb colour);

enum { GLYPH_WIDTH = 6, GLYPH_HEIGHT = 8 }; /* of the 5x7 font, with its space, at scale 1 */
/* ASCII text, its upper left corner at (x, y), each dot `scale` pixels wide. Other characters show
 * as a box. */
void canvas_text(struct canvas *c, int x, int y, int scale, struct rgb colour, const char *text);

/* src [sh][*stride bytes] RGB, scaled to fit into w x h at (x, y), centred, shape kept; every pixel
 * is the mean of the source pixels that it covers, or the nearest one when enlarged. */
void canvas_picture(struct canvas *c, int x, int y, int w, int h, const uint8_t *src, int sw,
                    int sh, size_t stride);

/* values [bins][frames], bin 0 at the bottom, stretched to w x h at (x, y) in the "magma" colours
 * (perceptually uniform), the darkest being `range` below the largest value. Values that are not
 * finite show in green. */
void canvas_heat(struct canvas *c, int x, int y, int w, int h, const float *values, int bins,
                 int frames, float range);

#endif
