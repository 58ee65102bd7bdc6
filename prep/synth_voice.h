/* SPDX-License-Identifier: MIT */
#ifndef PREP_SYNTH_VOICE_H
#define PREP_SYNTH_VOICE_H

#include "prep/synth_cast.h"

#include <stdint.h>

/* Synthesised speech by the source-filter model: glottal pulses and breath noise through four
 * formants that follow the sentence's sounds, consonant noise beside them (after Klatt 1980,
 * "Software for a cascade/parallel formant synthesizer"). It is speech-like, not meant to be
 * understood. Threads: any; the structs are the caller's. */

enum {
    VOICE_RATE_HZ = 16000,
    VOICE_STEP_SAMPLES = 80, /* the plan changes every 5 ms */
    VOICE_MIN_FRAMES = 39,   /* of the picture: 1.30 s */
    VOICE_MAX_FRAMES = 149,  /* 4.97 s */
    VOICE_MAX_SAMPLES = 80000,
    VOICE_MAX_STEPS = VOICE_MAX_SAMPLES / VOICE_STEP_SAMPLES + 1,
};

struct voice_step {
    float formant_hz[3];
    float voicing;  /* 0..1 */
    float noise;    /* 0..1 */
    float noise_hz; /* its centre */
    float stress;   /* -1..1 */
    float open;     /* the mouth, 0 closed .. 1 wide */
};

/* What is said when; the face follows it too. */
struct voice_plan {
    int frames;                       /* pictures at 30000/1001 per second */
    int samples;                      /* at VOICE_RATE_HZ, the same duration within half a sample */
    int steps, first_step, last_step; /* speech is in [first_step, last_step) */
    struct voice_step step[VOICE_MAX_STEPS];
};

/* Samples at rate_hz that last as long as `frames` pictures, rounded. */
int voice_samples_of_frames(int frames, int rate_hz);

void voice_plan_make(struct voice_plan *plan, const struct synth_clip *clip);

/* pcm[plan->samples], mono at VOICE_RATE_HZ; work[VOICE_MAX_SAMPLES] is scratch. */
void voice_render(const struct voice_plan *plan, const struct synth_clip *clip, int16_t *pcm,
                  float *work);

/* Windowed-sinc interpolation from 16000 to 44100 Hz (441 / 160), 24 taps, Hann window. The table
 * is 42 KB; make it once per thread. out[upsampled_count(n)], which is
 * n * 441 / 160 rounded down. Sound outside in[0..n) counts as silence. */
enum { UPSAMPLE_PHASES = 441, UPSAMPLE_STEP = 160, UPSAMPLE_TAPS = 24 };
struct upsampler {
    float tap[UPSAMPLE_PHASES][UPSAMPLE_TAPS];
};
void upsampler_init(struct upsampler *u);
int upsampled_count(int n);
void upsample(const struct upsampler *u, const int16_t *in, int n, int16_t *out);

#endif
