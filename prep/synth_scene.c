/* SPDX-License-Identifier: MIT */
#include "prep/synth_face.h"

#include "prep/synth_math.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

/* Shift of both chroma planes by a clip's light. */
struct cast {
    double u, v;
};

/* BT.601 from red, green, blue 0..255. */
static struct colour rgb(double r, double g, double b, struct cast cast)
{
    double y = 16 + 0.257 * r + 0.504 * g + 0.098 * b;
    double u = 128 - 0.148 * r - 0.291 * g + 0.439 * b + cast.u;
    double v = 128 + 0.439 * r - 0.368 * g - 0.071 * b + cast.v;

    return (struct colour){(uint8_t)floor(synth_clamp(y, 16, 235) + 0.5),
                           (uint8_t)floor(synth_clamp(u, 16, 240) + 0.5),
                           (uint8_t)floor(synth_clamp(v, 16, 240) + 0.5)};
}

struct tone {
    double r, g, b;
};

/* From light to dark; an actor's skin lies anywhere on this line. */
enum { SKIN_TONES = 6 };
static const struct tone skin_tones[SKIN_TONES] = {
    {244, 208, 182}, {228, 182, 148}, {201, 150, 113}, {160, 108, 76}, {112, 73, 52}, {80, 52, 40}};
static const struct tone hair_tones[] = {{26, 22, 20},   {58, 38, 26},    {96, 62, 36},
                                         {150, 106, 58}, {196, 160, 100}, {120, 50, 24}};
static const struct tone eye_tones[] = {{66, 42, 26}, {96, 66, 36}, {70, 100, 120}, {86, 110, 70}};
static const struct tone shirt_tones[] = {{44, 46, 54},    {30, 40, 80},  {120, 30, 36},
                                          {196, 196, 200}, {90, 84, 110}, {150, 110, 60},
                                          {60, 60, 62},    {70, 110, 150}};

static struct tone mix(struct tone a, struct tone b, double t)
{
    return (struct tone){a.r + t * (b.r - a.r), a.g + t * (b.g - a.g), a.b + t * (b.b - a.b)};
}

static struct colour paint(struct tone t, double bright, struct cast cast)
{
    return rgb(synth_clamp(t.r * bright, 0, 255), synth_clamp(t.g * bright, 0, 255),
               synth_clamp(t.b * bright, 0, 255), cast);
}

#define PICK(tones, r) (tones)[rng_below((r), sizeof(tones) / sizeof((tones)[0]))]

static void set_colours(struct face_identity *w, const struct synth_actor *who, struct rng *r,
                        struct cast cast)
{
    double u = rng_double(r), at = 0.999 * (0.4 * u + 0.6 * u * u) * (SKIN_TONES - 1);
    struct tone skin = mix(skin_tones[(int)at], skin_tones[(int)at + 1], at - (int)at);
    struct tone hair = PICK(hair_tones, r), shirt = PICK(shirt_tones, r);
    struct tone iris = PICK(eye_tones, r), grey = {150, 148, 146};
    double gray = synth_smooth(who->age, 45, 80), dye = rng_double(r);
    struct tone red = {178, 60, 60};

    if (dye > 0.35 || !who->female)
        hair = mix(hair, grey, gray);
    if (at > 2.5) /* dark skin comes with dark hair and eyes here */
        hair = mix(hair_tones[0], grey, gray), iris = eye_tones[0];
    w->skin = paint(skin, 1, cast);
    w->shade = paint(skin, 0.66, cast);
    w->blush = paint(mix(skin, red, 0.35), 1, cast);
    w->lip_colour = paint(mix(skin, red, who->female ? 0.62 : 0.4), 0.82, cast);
    w->hair = paint(hair, 1, cast);
    w->brow = paint(hair, 0.75, cast);
    w->iris = paint(iris, 1, cast);
    w->white = rgb(232, 230, 228, cast);
    w->shirt = paint(shirt, 1, cast);
    w->collar = paint(shirt, 0.72, cast);
    w->frame = rgb(40, 36, 36, cast);
}

static void set_identity(struct face_identity *w, const struct synth_clip *clip, struct cast cast)
{
    struct synth_actor who = synth_actor_of(clip->seed, clip->actor);
    struct rng r = synth_actor_rng(clip, "synth.face.actor");
    bool female = who.female;

    set_colours(w, &who, &r, cast);
    w->half_width = synth_uniform(&r, 0.68, 0.80);
    w->jaw = female ? synth_uniform(&r, 0.62, 0.78) : synth_uniform(&r, 0.70, 0.90);
    w->eye_x = synth_uniform(&r, 0.29, 0.35);
    w->eye_width = synth_uniform(&r, 0.13, 0.165);
    w->eye_height = synth_uniform(&r, 0.06, 0.08);
    w->brow_y = synth_uniform(&r, -0.31, -0.25);
    w->brow_width = female ? synth_uniform(&r, 0.05, 0.07) : synth_uniform(&r, 0.065, 0.09);
    w->brow_slant = synth_uniform(&r, -0.03, 0.04);
    w->nose_length = synth_uniform(&r, 0.22, 0.30);
    w->nose_width = synth_uniform(&r, 0.10, 0.15);
    w->mouth_y = synth_uniform(&r, 0.50, 0.57);
    w->mouth_width = synth_uniform(&r, 0.23, 0.30);
    w->lip = synth_uniform(&r, 0.035, 0.06) * (female ? 1.15 : 1);
    w->corner_bias = 0.15 * synth_normal(&r);
    w->hair_top = synth_uniform(&r, 0.06, 0.2);
    w->hair_side = female ? synth_uniform(&r, 0.08, 0.2) : synth_uniform(&r, 0.02, 0.06);
    w->hairline = synth_uniform(&r, 0.55, 0.72);
    w->hair_length = female ? synth_uniform(&r, 0.5, 1.3) : synth_uniform(&r, 0.05, 0.3);
    w->parting = synth_uniform(&r, -0.7, 0.7);
    w->fringe = synth_uniform(&r, 0, 0.16);
    if (!female && rng_double(&r) < synth_smooth(who.age, 30, 75)) { /* receding */
        w->hair_top = 0.02;
        w->hairline = 0.88;
        w->fringe = 0;
    }
    w->wrinkles = synth_smooth(who.age, 35, 80);
    w->beard = !female && rng_double(&r) < 0.3 ? synth_uniform(&r, 0.3, 0.95) : 0;
    w->glasses = rng_double(&r) < 0.15 ? 0.9 : 0;
    w->shoulder = female ? synth_uniform(&r, 1.35, 1.6) : synth_uniform(&r, 1.6, 1.9);
    w->neck = w->half_width * w->jaw * synth_uniform(&r, 0.52, 0.62);
    w->scale_px = synth_uniform(&r, 116, 130);
}

static void set_pose(struct face_pose *p, struct rng *r)
{
    p->centre_x_px = DRAW_WIDTH / 2 + 9 * synth_normal(r);
    p->centre_y_px = 174 + 5 * synth_normal(r);
    p->roll = 0.045 * synth_normal(r);
    p->yaw = 0.35 * synth_normal(r);
    p->pitch = 0.25 * synth_normal(r);
    p->sway_px = 2.5 + 1.2 * synth_normal(r);
    p->sway_roll = 0.02 * synth_normal(r);
    p->sway_yaw = 0.2 * synth_normal(r);
    p->sway_rate = synth_uniform(r, 0.25, 0.6);
    p->sway_phase = synth_uniform(r, 0, 2 * pi);
    p->onset = synth_uniform(r, 0, 0.12);
    p->apex = p->onset + synth_uniform(r, 0.2, 0.4);
    for (int k = 0; k < 3; k++)
        p->blink_s[k] = synth_uniform(r, 0.3 + 1.5 * k, 1.6 + 1.5 * k);
    p->light.x = (float)synth_uniform(r, -1, 1);
    p->light.y = (float)synth_uniform(r, -1, 1);
}

/* The hanging cloth: a colour with soft vertical folds. */
static void draw_screen(struct studio *s, struct rng *r, struct cast cast)
{
    /* Drawn one by one: C leaves the order of arguments to the compiler. */
    double blue = synth_uniform(r, 30, 70), green = synth_uniform(r, 135, 175);
    double red = synth_uniform(r, 10, 50);
    struct colour cloth = rgb(red, green, blue, cast);
    double fold[4][3];
    uint8_t row[DRAW_WIDTH];

    for (int k = 0; k < 4; k++) {
        fold[k][0] = synth_uniform(r, 0.004, 0.03);
        fold[k][1] = synth_uniform(r, 0, 2 * pi);
        fold[k][2] = synth_uniform(r, 0, 4);
    }
    picture_fill(&s->raw, cloth);
    for (int x = 0; x < DRAW_WIDTH; x++) {
        double v = cloth.y;

        for (int k = 0; k < 4; k++)
            v += fold[k][2] * synth_sin(2 * pi * fold[k][0] * x + fold[k][1]);
        row[x] = (uint8_t)floor(synth_clamp(v, 16, 235) + 0.5);
    }
    for (int y = 0; y < DRAW_HEIGHT; y++)
        for (int x = 0; x < DRAW_WIDTH; x++)
            s->raw.y[y][x] = row[x];
}

/* Neck, shoulders and collar; they do not move within a clip. */
static void draw_body(struct studio *s)
{
    const struct face_identity *w = &s->who;
    double x = s->pose.centre_x_px, y = s->pose.centre_y_px, unit = w->scale_px;
    double wide = w->shoulder * unit, neck = w->neck * unit;
    struct point pts[28];

    for (int i = 0; i < 28; i++) { /* shoulders: a flat-topped bell to the lower edge */
        double t = -1 + 2.0 * i / 27, a = t < 0 ? -t : t;

        pts[i] =
            (struct point){(float)(x + t * wide),
                           (float)(y + unit * (1.28 + 0.28 * a * a + 1.2 * a * a * a * a * a * a))};
    }
    pts[0].y = pts[27].y = DRAW_HEIGHT + 40;
    draw_polygon(&s->raw, &s->raster, pts, 28, w->shirt, 1);
    pts[0] = (struct point){(float)(x - neck), (float)(y + 0.6 * unit)};
    pts[1] = (struct point){(float)(x + neck), (float)(y + 0.6 * unit)};
    for (int i = 0; i < 9; i++) {
        double t = 1 - i / 4.0;

        pts[2 + i] = (struct point){(float)(x + 1.15 * neck * t),
                                    (float)(y + unit * (1.27 + 0.16 * (1 - t * t)))};
    }
    draw_polygon(&s->raw, &s->raster, pts, 11, w->shade, 1);
    draw_stroke(&s->raw, &s->raster, pts + 2, 9, 0.07 * unit, 0.8, w->collar, 1);
}

/* Uniform noise of +-amplitude by a multiply-and-add generator: the quality of Philox is not needed
 * for sensor grain, its seed comes from there. */
static void set_grain(struct studio *s, struct rng *r)
{
    double amplitude = synth_uniform(r, 0.5, 2.5);
    uint32_t state = rng_u32(r);
    int span = (int)(amplitude * 512);

    for (int y = 0; y < DRAW_HEIGHT; y++)
        for (int x = 0; x < DRAW_WIDTH; x++) {
            state = state * 1664525u + 1013904223u;
            s->noise[y][x] = (int8_t)((((int)(state >> 16) - 32768) * span) >> 24);
        }
}

static int even_within(double v, int limit)
{
    return (int)synth_clamp(v, 0, limit) & ~1;
}

void studio_set(struct studio *s, const struct synth_clip *clip)
{
    struct rng r = synth_clip_rng(clip, "synth.scene");
    double u = 1.8 * synth_normal(&r), v = 1.8 * synth_normal(&r);
    struct cast cast = {u, v};
    double gain = 1 + 0.09 * synth_normal(&r), unit;

    set_pose(&s->pose, &r);
    set_identity(&s->who, clip, cast);
    synth_face_moves(clip, s->move);
    draw_screen(s, &r, cast);
    draw_body(s);
    set_grain(s, &r);
    for (int x = 0; x < DRAW_WIDTH; x++)
        s->gain_x[x] = (int16_t)(256 * (gain + 0.14 * s->pose.light.x * (x / 240.0 - 1)));
    for (int y = 0; y < DRAW_HEIGHT; y++)
        s->gain_y[y] = (int16_t)(256 * 0.10 * s->pose.light.y * (y / 180.0 - 1));

    unit = s->who.scale_px;
    s->left = even_within(s->pose.centre_x_px - 1.25 * unit, DRAW_WIDTH);
    s->right = even_within(s->pose.centre_x_px + 1.25 * unit, DRAW_WIDTH);
    s->top = even_within(s->pose.centre_y_px - 1.5 * unit, DRAW_HEIGHT);
    s->bottom = even_within(s->pose.centre_y_px + 1.45 * unit, DRAW_HEIGHT);
}
