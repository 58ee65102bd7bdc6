/* SPDX-License-Identifier: MIT */
#include "prep/synth_draw.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { FULL = 256, LINE_SHARE = FULL / DRAW_SUBLINES, STROKE_POINTS = 32 };

void picture_fill(struct picture *p, struct colour c)
{
    memset(p->y, c.y, sizeof p->y);
    memset(p->u, c.u, sizeof p->u);
    memset(p->v, c.v, sizeof p->v);
}

/* The crossings of one edge with sub-scan-line centres (s + 0.5) / DRAW_SUBLINES. */
static void cross_edge(struct raster *r, struct point a, struct point b, int first, int last)
{
    struct point low = a.y < b.y ? a : b, high = a.y < b.y ? b : a;
    float y0 = low.y * DRAW_SUBLINES - 0.5f, y1 = high.y * DRAW_SUBLINES - 0.5f;
    float slope;
    int from, to;

    if (y1 <= y0)
        return;
    slope = (high.x - low.x) / (y1 - y0);
    from = y0 <= (float)first ? first : (int)ceilf(y0);
    to = y1 > (float)last ? last : (int)ceilf(y1);
    for (int s = from; s < to; s++)
        if (r->count[s] < DRAW_CROSSINGS)
            r->cross[s][r->count[s]++] = low.x + ((float)s - y0) * slope;
}

static void sort_crossings(float *x, int n)
{
    for (int i = 1; i < n; i++) {
        float v = x[i];
        int j = i;

        for (; j > 0 && x[j - 1] > v; j--)
            x[j] = x[j - 1];
        x[j] = v;
    }
}

/* Adds the span [x0, x1) of one sub-scan-line to a row of coverage. */
static void cover_span(uint16_t *row, float x0, float x1)
{
    int first, last;

    x0 = x0 < 0 ? 0 : x0;
    x1 = x1 > DRAW_WIDTH ? DRAW_WIDTH : x1;
    if (x1 <= x0)
        return;
    first = (int)x0;
    last = (int)x1;
    if (first == last) {
        row[first] = (uint16_t)(row[first] + (int)((x1 - x0) * LINE_SHARE));
        return;
    }
    row[first] = (uint16_t)(row[first] + (int)(((float)(first + 1) - x0) * LINE_SHARE));
    for (int x = first + 1; x < last; x++)
        row[x] = (uint16_t)(row[x] + LINE_SHARE);
    if (last < DRAW_WIDTH)
        row[last] = (uint16_t)(row[last] + (int)((x1 - (float)last) * LINE_SHARE));
}

static void blend_row(uint8_t *restrict out, const uint16_t *restrict cover, int from, int to,
                      int value, int opacity)
{
    for (int x = from; x < to; x++) {
        int a = cover[x] * opacity >> 8;

        out[x] = (uint8_t)(out[x] + (((value - out[x]) * a + 128) >> 8));
    }
}

static void blend_chroma(uint8_t *restrict u, uint8_t *restrict v, uint16_t (*restrict cover)[480],
                         int from, int to, struct colour c, int opacity)
{
    static_assert(DRAW_WIDTH == 480, "the type of `cover` above");

    for (int x = from / 2; x < to / 2; x++) {
        int a = (cover[0][2 * x] + cover[0][2 * x + 1] + cover[1][2 * x] + cover[1][2 * x + 1]) *
                    opacity >>
                10;

        u[x] = (uint8_t)(u[x] + (((c.u - u[x]) * a + 128) >> 8));
        v[x] = (uint8_t)(v[x] + (((c.v - v[x]) * a + 128) >> 8));
    }
}

static int clip_int(double v, int low, int high)
{
    return v < low ? low : v > high ? high : (int)v;
}

void draw_polygon(struct picture *pic, struct raster *r, const struct point *p, int n,
                  struct colour c, double opacity)
{
    float x_min = p[0].x, x_max = p[0].x, y_min = p[0].y, y_max = p[0].y;
    int left, right, top, bottom, strength = clip_int(opacity * FULL, 0, FULL);

    for (int i = 1; i < n; i++) {
        x_min = p[i].x < x_min ? p[i].x : x_min;
        x_max = p[i].x > x_max ? p[i].x : x_max;
        y_min = p[i].y < y_min ? p[i].y : y_min;
        y_max = p[i].y > y_max ? p[i].y : y_max;
    }
    left = clip_int(x_min, 0, DRAW_WIDTH) & ~1;
    right = (clip_int(x_max + 2, 0, DRAW_WIDTH) + 1) & ~1;
    top = clip_int(y_min, 0, DRAW_HEIGHT) & ~1;
    bottom = (clip_int(y_max + 2, 0, DRAW_HEIGHT) + 1) & ~1;
    if (left >= right || top >= bottom || strength == 0)
        return;

    memset(r->count + top * DRAW_SUBLINES, 0, (size_t)(bottom - top) * DRAW_SUBLINES);
    for (int i = 0; i < n; i++)
        cross_edge(r, p[i], p[i + 1 < n ? i + 1 : 0], top * DRAW_SUBLINES, bottom * DRAW_SUBLINES);

    for (int y = top; y < bottom; y += 2) {
        for (int half = 0; half < 2; half++) {
            memset(r->cover[half] + left, 0, (size_t)(right - left) * sizeof r->cover[0][0]);
            for (int k = 0; k < DRAW_SUBLINES; k++) {
                int s = (y + half) * DRAW_SUBLINES + k;

                sort_crossings(r->cross[s], r->count[s]);
                for (int i = 0; i + 1 < r->count[s]; i += 2)
                    cover_span(r->cover[half], r->cross[s][i], r->cross[s][i + 1]);
            }
            blend_row(pic->y[y + half], r->cover[half], left, right, c.y, strength);
        }
        blend_chroma(pic->u[y / 2], pic->v[y / 2], r->cover, left, right, c, strength);
    }
}

void draw_stroke(struct picture *pic, struct raster *r, const struct point *p, int n, double width,
                 double ends, struct colour c, double opacity)
{
    struct point outline[2 * STROKE_POINTS];

    assert(n >= 2 && n <= STROKE_POINTS);
    for (int i = 0; i < n; i++) {
        struct point a = p[i > 0 ? i - 1 : 0], b = p[i + 1 < n ? i + 1 : n - 1];
        double dx = b.x - a.x, dy = b.y - a.y, len = sqrt(dx * dx + dy * dy);
        double t = 2.0 * i / (n - 1) - 1;
        double half = 0.5 * width * (1 - (1 - ends) * t * t);
        float nx = len > 0 ? (float)(-dy / len * half) : 0;
        float ny = len > 0 ? (float)(dx / len * half) : 0;

        outline[i] = (struct point){p[i].x + nx, p[i].y + ny};
        outline[2 * n - 1 - i] = (struct point){p[i].x - nx, p[i].y - ny};
    }
    draw_polygon(pic, r, outline, 2 * n, c, opacity);
}
