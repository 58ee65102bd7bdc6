/* SPDX-License-Identifier: MIT */
#ifndef PREP_SYNTH_FACE_H
#define PREP_SYNTH_FACE_H

#include "prep/synth_cast.h"
#include "prep/synth_draw.h"
#include "prep/synth_voice.h"

/* A drawn actor before a green screen: head and shoulders, 480 x 360.
 *
 * Identity (shape, skin, hair, clothes, distances) is the actor's; pose, light and sensor noise are
 * the clip's; brows, eyes, mouth and head follow the clip's emotion from onset to apex, and the
 * mouth also follows the speech. Background, clothes and noise are made once per clip; each frame
 * redraws the head's box alone. Threads: one studio per thread. */

/* Lengths are in half head heights unless named otherwise. */
struct face_identity {
    struct colour skin, shade, blush, hair, brow, lip_colour, iris, shirt, collar, frame, white;
    double half_width, jaw, eye_x, eye_width, eye_height, brow_y, brow_width, brow_slant;
    double nose_length, nose_width, mouth_y, mouth_width, lip, corner_bias;
    double hair_top, hair_side, hairline, hair_length, parting, fringe;
    double wrinkles, beard, glasses; /* opacities */
    double shoulder, neck, scale_px;
};

struct face_pose {
    double centre_x_px, centre_y_px, roll, yaw, pitch;          /* radians; yaw, pitch -1..1 */
    double sway_px, sway_roll, sway_yaw, sway_rate, sway_phase; /* slow movement; rate in Hz */
    double onset, apex;                                         /* shares of the clip */
    double blink_s[3];
    struct point light; /* -1..1: where it comes from */
};

struct studio {
    struct picture raw;  /* background and clothes without light */
    struct picture work; /* raw with the head */
    struct picture out;  /* work with light and noise: what the camera sees after studio_frame */
    struct raster raster;
    int8_t noise[DRAW_HEIGHT][DRAW_WIDTH];
    int16_t gain_x[DRAW_WIDTH], gain_y[DRAW_HEIGHT]; /* light: (gain_x + gain_y) / 256 */
    int left, right, top, bottom;                    /* the head's box, even */
    struct face_identity who;
    struct face_pose pose;
    double move[FACE_MOVES];
};

/* Identity, pose, light, moves, s->raw, s->noise and the box of a clip (synth_scene.c); for
 * studio_begin. */
void studio_set(struct studio *s, const struct synth_clip *clip);

/* Sets the scene for a clip; s need not be initialised. */
void studio_begin(struct studio *s, const struct synth_clip *clip);
/* Draws frame i of plan->frames into s->out. */
void studio_frame(struct studio *s, const struct voice_plan *plan, int i);

/* The moves at frame i, emotion and speech together (what studio_frame draws). */
void studio_moves(const struct studio *s, const struct voice_plan *plan, int i,
                  double out[FACE_MOVES]);

#endif
