/* SPDX-License-Identifier: MIT */
#include "prep/synth_face.h"

#include "prep/synth_math.h"

#include <string.h>

enum { OUTLINE = 48, ARC = 13 };

static const double pi = 3.14159265358979323846;

/* One frame's pen: where the head is and what it does. */
struct pen {
    struct studio *s;
    const struct face_identity *who;
    double x_px, y_px, cos_roll, sin_roll, scale_px, yaw, pitch;
    double move[FACE_MOVES];
};

/* Head coordinates to pixels. Points near the middle of the face move more with yaw and pitch than
 * its rim does: a hint of depth. */
static struct point place(const struct pen *p, double x, double y)
{
    double rim = x * x / (p->who->half_width * p->who->half_width) + 0.6 * y * y;
    double depth = rim < 1 ? 1 - rim : 0;
    double u = (x + 0.13 * p->yaw * depth) * p->scale_px;
    double v = (y + 0.10 * p->pitch * depth) * p->scale_px;

    return (struct point){(float)(p->x_px + u * p->cos_roll - v * p->sin_roll),
                          (float)(p->y_px + u * p->sin_roll + v * p->cos_roll)};
}

static void fill(const struct pen *p, const struct point *pts, int n, struct colour c,
                 double opacity)
{
    draw_polygon(&p->s->work, &p->s->raster, pts, n, c, opacity);
}

static void line(const struct pen *p, const struct point *pts, int n, double width, double ends,
                 struct colour c, double opacity)
{
    draw_stroke(&p->s->work, &p->s->raster, pts, n, width * p->scale_px, ends, c, opacity);
}

static void ellipse(const struct pen *p, double x, double y, double rx, double ry, struct colour c,
                    double opacity)
{
    struct point pts[24];

    for (int i = 0; i < 24; i++)
        pts[i] = place(p, x + rx * synth_cos(2 * pi * i / 24), y + ry * synth_sin(2 * pi * i / 24));
    fill(p, pts, 24, c, opacity);
}

/* A bow through (x0, y0) and (x1, y1) that is `sag` lower in the middle. */
static void bow(const struct pen *p, double x0, double y0, double x1, double y1, double sag,
                double width, struct colour c, double opacity)
{
    struct point pts[7];

    for (int i = 0; i < 7; i++) {
        double t = i / 6.0;

        pts[i] = place(p, x0 + t * (x1 - x0), y0 + t * (y1 - y0) + 4 * t * (1 - t) * sag);
    }
    line(p, pts, 7, width, 0.4, c, synth_clamp(opacity, 0, 1));
}

/* The head's rim at angle a (0 = right, growing downwards), drawn `grow` times as large. */
static struct point rim(const struct pen *p, double a, double grow)
{
    double c = synth_cos(a), s = synth_sin(a), x = p->who->half_width * c, y = s;

    if (s > 0) {
        x *= (1.3 - 0.3 * c * c) * (1 - (1 - p->who->jaw) * s * s); /* square below the cheeks */
        y *= 1 + 0.07 * synth_clamp(p->move[FACE_MOUTH_OPEN], 0, 1.5);
    }
    return place(p, x * grow, y * grow);
}

static void draw_hair_behind(const struct pen *p)
{
    const struct face_identity *w = p->who;
    struct point pts[OUTLINE];

    for (int i = 0; i < OUTLINE; i++) {
        double a = 2 * pi * i / OUTLINE, c = synth_cos(a), s = synth_sin(a);
        double y = s < 0 ? s * (1 + w->hair_top) : s * w->hair_length;
        double wide = s < 0 ? c : c * (1.5 - 0.5 * c * c); /* falls straight beside the face */

        pts[i] = place(p, wide * (w->half_width + w->hair_side), y - 0.05);
    }
    fill(p, pts, OUTLINE, w->hair, 1);
}

static void draw_head(const struct pen *p)
{
    const struct face_identity *w = p->who;
    struct point pts[OUTLINE];
    double side = p->s->pose.light.x > 0 ? -1 : 1;

    ellipse(p, -w->half_width * 1.0, 0.05, 0.09, 0.17, w->shade, 1);
    ellipse(p, w->half_width * 1.0, 0.05, 0.09, 0.17, w->shade, 1);
    for (int i = 0; i < OUTLINE; i++)
        pts[i] = rim(p, 2 * pi * i / OUTLINE, 1);
    fill(p, pts, OUTLINE, w->skin, 1);

    /* The cheek away from the light: between the rim and a flatter curve inside it. */
    for (int i = 0; i < OUTLINE / 2; i++) {
        double a = -0.5 * pi + pi * i / (OUTLINE / 2 - 1);
        double x = w->half_width * synth_cos(a) * side, y = synth_sin(a);
        double jaw = y > 0 ? 1 - (1 - w->jaw) * y * y : 1;

        pts[i] = rim(p, side > 0 ? a : pi - a, 0.995);
        pts[OUTLINE - 1 - i] = place(p, x * jaw * 0.62, y * 0.97);
    }
    fill(p, pts, OUTLINE, w->shade, 0.3);
    ellipse(p, -0.42 * w->half_width / 0.75, 0.28, 0.16, 0.12, w->blush, 0.25);
    ellipse(p, 0.42 * w->half_width / 0.75, 0.28, 0.16, 0.12, w->blush, 0.25);
    if (w->beard > 0) {
        for (int i = 0; i < OUTLINE / 2; i++) {
            double a = pi * i / (OUTLINE / 2 - 1), c = synth_cos(a);

            pts[i] = rim(p, a, 0.998);
            pts[OUTLINE - 1 - i] = place(p, w->half_width * c * 0.72, 0.36 + 0.12 * (1 - c * c));
        }
        fill(p, pts, OUTLINE, w->hair, w->beard);
    }
}

/* The fringe: from temple over the crown to temple, and back along the hair line. */
static void draw_hair_front(const struct pen *p)
{
    const struct face_identity *w = p->who;
    struct point pts[OUTLINE];
    const int half = OUTLINE / 2;

    for (int i = 0; i < half; i++) {
        double t = (double)i / (half - 1), a = pi * (1.03 + 0.94 * t);
        double c = synth_cos(a), s = synth_sin(a), k = 2 * t - 1, part = k - w->parting;

        pts[i] = place(p, c * (w->half_width + w->hair_side), s * (1 + w->hair_top) - 0.05);
        pts[OUTLINE - 1 - i] = place(p, k * w->half_width * 0.99,
                                     -w->hairline + 0.42 * k * k * k * k +
                                         w->fringe * part * part * (1 - k * k * k * k));
    }
    fill(p, pts, OUTLINE, w->hair, 1);
}

static void draw_eye(const struct pen *p, double side, double blink)
{
    const struct face_identity *w = p->who;
    struct colour dark = {30, 126, 130};
    double x = side * w->eye_x, y = -0.06, half = w->eye_width;
    double open = 1 + 0.75 * synth_clamp(p->move[FACE_EYE_OPEN], -1, 1.3);
    double up = w->eye_height * synth_clamp(open, 0.12, 2) * (1 - blink);
    double down =
        w->eye_height * 0.75 * (1 - blink) * (1 - 0.7 * synth_clamp(p->move[FACE_LID_LOW], 0, 1.2));
    double iris = 0.52 * half, gaze_y = 0.045 * synth_clamp(p->move[FACE_GAZE_DOWN], -1, 1.5);
    struct point lens[2 * ARC], disc[20], upper[ARC];

    for (int i = 0; i < ARC; i++) {
        double t = -1 + 2.0 * i / (ARC - 1), bend = 1 - t * t;

        upper[i] = lens[i] = place(p, x + t * half, y - up * bend);
        lens[2 * ARC - 1 - i] = place(p, x + t * half, y + down * bend);
    }
    ellipse(p, x, y - 0.02, half * 1.25, w->eye_height * 1.9, w->shade, 0.5);
    fill(p, lens, 2 * ARC, w->white, 1);
    for (int size = 0; size < 2; size++) {
        double r = size == 0 ? iris : 0.5 * iris;

        for (int i = 0; i < 20; i++) {
            double dx = 0.3 * half * p->yaw + r * synth_cos(2 * pi * i / 20);
            double dy = gaze_y + r * synth_sin(2 * pi * i / 20);
            double t = synth_clamp(dx / half, -1, 1), bend = 1 - t * t;

            disc[i] = place(p, x + dx, y + synth_clamp(dy, -up * bend, down * bend));
        }
        fill(p, disc, 20, size == 0 ? w->iris : dark, 1);
    }
    line(p, upper, ARC, 0.028, 0.5, dark, 1);
    bow(p, x - half, y + 0.01, x + half, y + 0.01, down, 0.016, w->shade, 0.9);
    if (p->move[FACE_LID_LOW] > 0)
        bow(p, x - half, y + 0.10, x + half, y + 0.10, 0.05, 0.02, w->shade, p->move[FACE_LID_LOW]);
}

static void draw_brow(const struct pen *p, double side)
{
    const struct face_identity *w = p->who;
    double inner = synth_clamp(p->move[FACE_BROW_INNER], -1.4, 1.5);
    double outer = synth_clamp(p->move[FACE_BROW_OUTER], -1.4, 1.5);
    double close = synth_clamp(p->move[FACE_BROW_CLOSE], -0.5, 1.5);
    double x_in = w->eye_x - 0.16 - 0.045 * close, x_out = w->eye_x + 0.20;
    double y_in = w->brow_y - 0.125 * inner, y_out = w->brow_y + w->brow_slant - 0.12 * outer;
    struct point pts[9];

    for (int i = 0; i < 9; i++) {
        double t = i / 8.0, arch = -0.16 * t * (1 - t) * (1 + 0.6 * outer);

        pts[i] = place(p, side * (x_in + t * (x_out - x_in)), y_in + t * (y_out - y_in) + arch);
    }
    line(p, pts, 9, w->brow_width, 0.45, w->brow, 0.95);
}

static void draw_nose(const struct pen *p)
{
    const struct face_identity *w = p->who;
    double raise = 0.035 * synth_clamp(p->move[FACE_UPPER_LIP], 0, 1.4);
    double tip = w->nose_length - raise, wide = w->nose_width * (1 + 4 * raise);
    struct colour dark = {(uint8_t)(w->shade.y / 2 + 10), w->shade.u, w->shade.v};

    for (int side = -1; side <= 1; side += 2) {
        bow(p, side * 0.05, 0.0, side * wide * 0.85, tip - 0.03, 0, 0.022, w->shade, 0.8);
        bow(p, side * wide, tip - 0.05, side * wide * 0.7, tip + 0.02, 0.03, 0.022, w->shade, 1);
        ellipse(p, side * wide * 0.45, tip + 0.012, 0.030, 0.017 + raise * 0.2, dark, 0.8);
    }
    bow(p, -wide * 0.5, tip + 0.02, wide * 0.5, tip + 0.02, 0.025, 0.018, w->shade, 1);
}

/* Folds of skin: brow raised, brows together, nose wrinkled, cheeks pushed up; and age. */
static void draw_folds(const struct pen *p)
{
    const struct face_identity *w = p->who;
    const double *m = p->move;
    double raised = 0.5 * (m[FACE_BROW_INNER] + m[FACE_BROW_OUTER]);
    double wrinkle = synth_clamp(m[FACE_UPPER_LIP], 0, 1.4);
    double cheek = synth_clamp(m[FACE_CORNERS], 0, 1.2) + 0.8 * wrinkle;
    double mouth = w->mouth_width * (1 + 0.3 * m[FACE_MOUTH_WIDE]);

    for (int i = 0; i < 3; i++)
        bow(p, -0.34, -0.47 - 0.09 * i, 0.34, -0.47 - 0.09 * i, -0.03, 0.02, w->shade,
            w->wrinkles * 0.5 + raised);
    for (int side = -1; side <= 1; side += 2) {
        bow(p, side * 0.05, -0.30, side * 0.035, -0.14, 0, 0.026, w->shade,
            1.2 * m[FACE_BROW_CLOSE]);
        bow(p, side * 0.10, -0.02, side * 0.03, 0.06, 0, 0.026, w->shade, wrinkle);
        bow(p, side * 0.13, 0.06, side * 0.05, 0.12, 0, 0.026, w->shade, wrinkle);
        bow(p, side * (w->nose_width + 0.03), w->nose_length - 0.05, side * (mouth + 0.09),
            w->mouth_y - 0.02, 0.02, 0.028, w->shade, w->wrinkles * 0.6 + cheek);
    }
}

static void draw_mouth(const struct pen *p)
{
    const struct face_identity *w = p->who;
    const double *m = p->move;
    const struct colour inside = {42, 122, 150}, teeth = {212, 124, 130};
    double half = w->mouth_width * synth_clamp(1 + 0.32 * m[FACE_MOUTH_WIDE], 0.6, 1.6);
    double corner = 0.17 * synth_clamp(m[FACE_CORNERS] + w->corner_bias, -1.5, 1.5);
    double gap = 0.30 * synth_clamp(m[FACE_MOUTH_OPEN], 0, 1.3);
    double lift = 0.085 * synth_clamp(m[FACE_UPPER_LIP], 0, 1.4);
    double bared = synth_clamp(m[FACE_TEETH], 0, 1.2);
    double lip = w->lip * synth_clamp(1 - 0.75 * m[FACE_LIP_PRESS], 0.15, 1.3), top[ARC], low[ARC];
    struct point pts[2 * ARC], seam[ARC];

    gap += bared * 0.07; /* teeth show only between parted lips */
    for (int i = 0; i < ARC; i++) {
        double t = -1 + 2.0 * i / (ARC - 1), bend = 1 - t * t, mid = w->mouth_y - corner * t * t;

        mid += 0.4 * corner;
        top[i] = mid - bend * (0.35 * gap + lift);
        low[i] = mid + bend * (0.65 * gap - 0.5 * lift);
        low[i] = low[i] < top[i] ? top[i] : low[i];
        pts[i] =
            place(p, t * half * 1.04, top[i] - lip * (bend + 0.1) * (1 - 0.35 * (t * t < .03)));
        pts[2 * ARC - 1 - i] = place(p, t * half * 1.04, low[i] + 1.25 * lip * (bend + 0.05));
        seam[i] = place(p, t * half, 0.5 * (top[i] + low[i]));
    }
    fill(p, pts, 2 * ARC, w->lip_colour, 1);
    for (int i = 0; i < ARC; i++) {
        double t = -1 + 2.0 * i / (ARC - 1);

        pts[i] = place(p, t * half * 0.97, top[i]);
        pts[2 * ARC - 1 - i] = place(p, t * half * 0.97, low[i]);
    }
    fill(p, pts, 2 * ARC, inside, 1);
    for (int i = 0; i < ARC; i++) {
        double t = -1 + 2.0 * i / (ARC - 1), show = top[i] + 0.075 * bared + 0.01;

        pts[2 * ARC - 1 - i] = place(p, t * half * 0.9, show < low[i] ? show : low[i]);
    }
    fill(p, pts, 2 * ARC, teeth, bared > 0.15 ? 0.95 : 0);
    line(p, seam, ARC, 0.022, 0.5, inside, gap < 0.05 ? 1 : 0);
    if (m[FACE_CORNERS] < 0) /* the chin bulges under drawn-down corners */
        bow(p, -0.13, w->mouth_y + 0.2, 0.13, w->mouth_y + 0.2, -0.04, 0.02, w->shade,
            -m[FACE_CORNERS]);
}

static void draw_glasses(const struct pen *p)
{
    const struct face_identity *w = p->who;
    struct point ring[17];

    if (w->glasses <= 0)
        return;
    for (int side = -1; side <= 1; side += 2) {
        for (int i = 0; i < 17; i++)
            ring[i] = place(p, side * w->eye_x + 0.21 * synth_cos(2 * pi * i / 16),
                            -0.04 + 0.17 * synth_sin(2 * pi * i / 16));
        line(p, ring, 17, 0.026, 1, w->frame, w->glasses);
        bow(p, side * (w->eye_x + 0.21), -0.06, side * w->half_width, -0.04, 0, 0.024, w->frame,
            w->glasses);
    }
    bow(p, -w->eye_x + 0.21, -0.05, w->eye_x - 0.21, -0.05, -0.03, 0.026, w->frame, w->glasses);
}

/* Light and noise over the pixels of a box. */
static void expose(struct studio *s, int left, int right, int top, int bottom)
{
    for (int y = top; y < bottom; y++) {
        const uint8_t *restrict in = s->work.y[y];
        const int8_t *restrict noise = s->noise[y];
        const int16_t *restrict gain_x = s->gain_x;
        uint8_t *restrict out = s->out.y[y];
        int gain_y = s->gain_y[y];

        for (int x = left; x < right; x++) {
            int v = (in[x] * (gain_x[x] + gain_y) >> 8) + noise[x];

            v = v < 16 ? 16 : v;
            out[x] = (uint8_t)(v > 235 ? 235 : v);
        }
    }
    for (int y = top / 2; y < bottom / 2; y++) {
        memcpy(s->out.u[y] + left / 2, s->work.u[y] + left / 2, (size_t)(right - left) / 2);
        memcpy(s->out.v[y] + left / 2, s->work.v[y] + left / 2, (size_t)(right - left) / 2);
    }
}

static void restore_box(struct studio *s)
{
    for (int y = s->top; y < s->bottom; y++)
        memcpy(s->work.y[y] + s->left, s->raw.y[y] + s->left, (size_t)(s->right - s->left));
    for (int y = s->top / 2; y < s->bottom / 2; y++) {
        memcpy(s->work.u[y] + s->left / 2, s->raw.u[y] + s->left / 2,
               (size_t)(s->right - s->left) / 2);
        memcpy(s->work.v[y] + s->left / 2, s->raw.v[y] + s->left / 2,
               (size_t)(s->right - s->left) / 2);
    }
}

void studio_moves(const struct studio *s, const struct voice_plan *plan, int i,
                  double out[FACE_MOVES])
{
    double x = (double)i / plan->frames;
    double rise = 0.4 + 0.6 * synth_smooth(x, s->pose.onset, s->pose.apex);
    double fade = 1 - 0.2 * synth_smooth(x, 0.85, 1);
    int step = (int)((int64_t)voice_samples_of_frames(i, VOICE_RATE_HZ) / VOICE_STEP_SAMPLES);
    double speech = step < plan->steps ? plan->step[step].open * plan->step[step].voicing : 0;

    for (int m = 0; m < FACE_MOVES; m++)
        out[m] = s->move[m] * rise * fade;
    out[FACE_MOUTH_OPEN] = synth_clamp(out[FACE_MOUTH_OPEN], 0, 1.3) + 0.45 * speech;
}

void studio_frame(struct studio *s, const struct voice_plan *plan, int i)
{
    const struct face_pose *pose = &s->pose;
    double t = i * 1001.0 / 30000,
           sway = synth_sin(2 * pi * (pose->sway_rate * t) + pose->sway_phase);
    double slow = synth_sin(2 * pi * (0.6 * pose->sway_rate * t) + 2 * pose->sway_phase);
    double roll = pose->roll + pose->sway_roll * slow, blink = 0;
    struct pen p = {.s = s, .who = &s->who};

    studio_moves(s, plan, i, p.move);
    p.scale_px = s->who.scale_px;
    p.pitch = pose->pitch + synth_clamp(p.move[FACE_HEAD_DOWN], -1.2, 1.5);
    p.x_px = pose->centre_x_px + pose->sway_px * sway;
    p.y_px = pose->centre_y_px + 0.5 * pose->sway_px * slow + 5 * p.pitch;
    p.yaw = pose->yaw + pose->sway_yaw * sway;
    p.cos_roll = synth_cos(roll);
    p.sin_roll = synth_sin(roll);
    for (int k = 0; k < 3; k++) {
        double away = (t - pose->blink_s[k]) / 0.09;

        if (away > -1 && away < 1)
            blink = 1 - away * away;
    }

    restore_box(s);
    draw_hair_behind(&p);
    draw_head(&p);
    draw_hair_front(&p);
    for (int side = -1; side <= 1; side += 2) {
        draw_eye(&p, side, 0.92 * blink);
        draw_brow(&p, side);
    }
    draw_nose(&p);
    draw_folds(&p);
    draw_mouth(&p);
    draw_glasses(&p);
    expose(s, s->left, s->right, s->top, s->bottom);
}

void studio_begin(struct studio *s, const struct synth_clip *clip)
{
    studio_set(s, clip);
    s->work = s->raw;
    expose(s, 0, DRAW_WIDTH, 0, DRAW_HEIGHT);
}
