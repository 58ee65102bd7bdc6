/* SPDX-License-Identifier: MIT */
#ifndef PREP_SYNTH_DRAW_H
#define PREP_SYNTH_DRAW_H

#include <stdint.h>

/* Filled shapes with smooth edges, straight into 4:2:0 planes: no RGB picture exists.
 *
 * Coverage is counted on four sub-scan-lines per row, exact along each; chroma takes the mean
 * coverage of its 2 x 2 luma pixels. All shapes are polygons; even-odd filling. Only sub-scan-lines
 * and columns that a shape touches are visited. Threads: one raster per thread. */

enum { DRAW_WIDTH = 480, DRAW_HEIGHT = 360, DRAW_SUBLINES = 4, DRAW_CROSSINGS = 8 };

struct colour {
    uint8_t y, u, v; /* BT.601, y 16..235 */
};

struct point {
    float x, y; /* pixels; (0, 0) is the corner of the first pixel, y downwards */
};

/* A picture: three planes, rows tightly packed. Zeroed memory is dark green, not black. */
struct picture {
    uint8_t y[DRAW_HEIGHT][DRAW_WIDTH];
    uint8_t u[DRAW_HEIGHT / 2][DRAW_WIDTH / 2];
    uint8_t v[DRAW_HEIGHT / 2][DRAW_WIDTH / 2];
};

/* Where the edges cross each sub-scan-line; scratch, about 58 KB, no initialisation needed. */
struct raster {
    float cross[DRAW_HEIGHT * DRAW_SUBLINES][DRAW_CROSSINGS];
    uint8_t count[DRAW_HEIGHT * DRAW_SUBLINES];
    uint16_t cover[2][DRAW_WIDTH]; /* 0..256 */
};

void picture_fill(struct picture *p, struct colour c);

/* Blends colour c with opacity 0..1 over the inside of the closed polygon p[n]. A sub-scan-line
 * keeps its first DRAW_CROSSINGS crossings (shapes here have at most six). */
void draw_polygon(struct picture *pic, struct raster *r, const struct point *p, int n,
                  struct colour c, double opacity);

/* A line through p[n] (n <= 32), `width` pixels wide at the middle and `ends` times that at both
 * ends. */
void draw_stroke(struct picture *pic, struct raster *r, const struct point *p, int n, double width,
                 double ends, struct colour c, double opacity);

#endif
