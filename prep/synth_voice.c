/* SPDX-License-Identifier: MIT */
#include "prep/synth_voice.h"

#include "prep/synth_math.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

/* One sound. Formants of vowels after Peterson and Barney 1952 (men); consonants by their loci. */
struct phone {
    char letter;
    bool vowel;
    float formant_hz[3];
    float voicing, noise, noise_hz, ms, open;
};

/* clang-format off */
static const struct phone phones[] = {
    /*       formants            voicing noise at_Hz  ms  open */
    {'a', true,  {730, 1090, 2440}, 1,   0,    0,     105, 1.0f},
    {'e', true,  {530, 1840, 2480}, 1,   0,    0,      95, .65f},
    {'E', true,  {560, 1750, 2450}, 1,   0,    0,     120, .7f},
    {'i', true,  {270, 2290, 3010}, 1,   0,    0,      95, .3f},
    {'I', true,  {390, 1990, 2550}, 1,   0,    0,      75, .4f},
    {'o', true,  {570,  840, 2410}, 1,   0,    0,     110, .8f},
    {'u', true,  {300,  870, 2240}, 1,   0,    0,     100, .3f},
    {'U', true,  {440, 1020, 2240}, 1,   0,    0,      80, .4f},
    {'A', true,  {640, 1190, 2390}, 1,   0,    0,      85, .7f},
    {'N', true,  {500, 1500, 2500}, .9f, 0,    0,      60, .4f},
    {'m', false, {280,  900, 2200}, .5f, 0,    0,      65, 0},
    {'n', false, {280, 1700, 2600}, .5f, 0,    0,      60, .2f},
    {'l', false, {360, 1300, 2700}, .7f, 0,    0,      60, .35f},
    {'r', false, {310, 1060, 1380}, .7f, 0,    0,      60, .3f},
    {'w', false, {290,  610, 2150}, .7f, 0,    0,      60, .15f},
    {'s', false, {320, 1390, 2530}, 0,   .8f,  5500,   90, .15f},
    {'z', false, {240, 1390, 2530}, .4f, .4f,  5500,   70, .15f},
    {'f', false, {340, 1100, 2080}, 0,   .3f,  4500,   80, .1f},
    {'v', false, {220, 1100, 2080}, .5f, .15f, 4500,   55, .1f},
    {'T', false, {320, 1290, 2540}, 0,   .25f, 5000,   80, .2f},
    {'Z', false, {270, 1290, 2540}, .5f, .12f, 5000,   50, .2f},
    {'h', false, {500, 1500, 2500}, 0,   .35f, 1600,   55, .5f},
    {'j', false, {260, 2070, 3020}, .4f, .5f,  3200,   80, .25f},
    {'t', false, {400, 1600, 2600}, 0,   .6f,  4500,   65, .2f},
    {'k', false, {300, 1990, 2850}, 0,   .6f,  2200,   65, .25f},
    {'p', false, {400, 1100, 2150}, 0,   .5f,  1000,   65, 0},
    {'d', false, {200, 1600, 2600}, .3f, .3f,  4000,   50, .2f},
    {'g', false, {200, 1990, 2850}, .3f, .3f,  2000,   50, .25f},
    {'b', false, {200, 1100, 2150}, .3f, .25f, 900,    50, 0},
};
/* clang-format on */

static const struct phone pause_phone = {.letter = ' ', .formant_hz = {500, 1500, 2500}, .ms = 25};

static const struct phone *phone_of(char letter)
{
    for (size_t i = 0; i < sizeof phones / sizeof phones[0]; i++)
        if (phones[i].letter == letter)
            return &phones[i];
    return &pause_phone;
}

static bool is_stop(const struct phone *p)
{
    return strchr("tkpdgb", p->letter) != NULL;
}

int voice_samples_of_frames(int frames, int rate_hz)
{
    return (int)(((int64_t)frames * 1001 * rate_hz + 15000) / 30000);
}

/* Puts one sound into steps [from, to): a stop is silent for its first 60 %, then a burst. */
static void plan_phone(struct voice_plan *plan, const struct phone *p, int from, int to,
                       double formant_scale, double stress)
{
    for (int i = from; i < to && i < plan->steps; i++) {
        struct voice_step *s = &plan->step[i];
        bool closed = is_stop(p) && (i - from) * 10 < (to - from) * 6;

        for (int k = 0; k < 3; k++)
            s->formant_hz[k] = (float)(p->formant_hz[k] * formant_scale);
        s->voicing = closed ? p->voicing * 0.3f : p->voicing;
        s->noise = closed ? 0 : p->noise;
        s->noise_hz = p->noise_hz;
        s->stress = p->vowel ? (float)stress : 0;
        s->open = p->open;
    }
}

/* First-order smoothing forwards and backwards, so that nothing is delayed. */
static void smooth_field(struct voice_plan *plan, size_t offset, float keep)
{
    float last = *(float *)((char *)&plan->step[0] + offset);

    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < plan->steps; i++) {
            int at = pass == 0 ? i : plan->steps - 1 - i;
            float *v = (float *)((char *)&plan->step[at] + offset);

            last = *v = keep * last + (1 - keep) * *v;
        }
}

/* What makes an actor's voice. */
struct speaker {
    double pitch_hz, formant_scale, tempo, gain_db, floor_db, breath_db;
};

static struct speaker speaker_of(const struct synth_clip *clip)
{
    struct synth_actor who = synth_actor_of(clip->seed, clip->actor);
    struct rng r = synth_actor_rng(clip, "synth.voice.actor");
    struct speaker s;

    s.pitch_hz = who.female ? 205 + 20 * synth_normal(&r) : 118 + 14 * synth_normal(&r);
    s.pitch_hz = synth_clamp(s.pitch_hz, 75, 290);
    s.formant_scale = (who.female ? 1.14 : 1.0) * (1 + 0.035 * synth_normal(&r));
    s.tempo = 0.07 * synth_normal(&r);
    s.gain_db = -25 + 2.5 * synth_normal(&r);
    s.floor_db = -64 + 3 * synth_normal(&r);
    s.breath_db = -27 + 2 * synth_normal(&r);
    return s;
}

void voice_plan_make(struct voice_plan *plan, const struct synth_clip *clip)
{
    const char *text = synth_sentences[clip->sentence].phones;
    struct speaker who = speaker_of(clip);
    struct rng r = synth_clip_rng(clip, "synth.voice.plan");
    const double step_ms = 1000.0 * VOICE_STEP_SAMPLES / VOICE_RATE_HZ;
    double move[VOICE_MOVES], speech_ms = 0, lead_ms, trail_ms, stretch, at_ms, longest_ms;
    int vowel = 0;

    synth_voice_moves(clip, move);
    stretch = synth_exp2(-move[VOICE_TEMPO] - who.tempo + 0.04 * synth_normal(&r));
    for (const char *c = text; *c != '\0'; c++)
        speech_ms += phone_of(*c)->ms;
    lead_ms = synth_uniform(&r, 380, 620);
    trail_ms = synth_uniform(&r, 480, 760);
    longest_ms = VOICE_MAX_FRAMES * 1001.0 / 30 - lead_ms - trail_ms;
    if (speech_ms * stretch > longest_ms)
        stretch = longest_ms / speech_ms;

    plan->frames = (int)floor((lead_ms + speech_ms * stretch + trail_ms) * 30 / 1001 + 0.5);
    plan->frames = plan->frames < VOICE_MIN_FRAMES ? VOICE_MIN_FRAMES : plan->frames;
    plan->samples = voice_samples_of_frames(plan->frames, VOICE_RATE_HZ);
    plan->steps = (plan->samples + VOICE_STEP_SAMPLES - 1) / VOICE_STEP_SAMPLES;
    assert(plan->steps <= VOICE_MAX_STEPS);

    plan_phone(plan, &pause_phone, 0, plan->steps, who.formant_scale, 0);
    at_ms = lead_ms;
    for (const char *c = text; *c != '\0'; c++) {
        const struct phone *p = phone_of(*c);
        double end_ms = at_ms + p->ms * stretch;
        double scale = who.formant_scale * (1 + 0.01 * move[VOICE_FORMANTS]);
        double stress = vowel % 2 == 0 ? 1 : -1;

        plan_phone(plan, p, (int)(at_ms / step_ms), (int)(end_ms / step_ms), scale, stress);
        vowel += p->vowel;
        at_ms = end_ms;
    }
    plan->first_step = (int)(lead_ms / step_ms);
    plan->last_step = (int)(at_ms / step_ms);
    plan->last_step = plan->last_step > plan->steps ? plan->steps : plan->last_step;

    for (size_t k = 0; k < 3; k++)
        smooth_field(plan, offsetof(struct voice_step, formant_hz) + k * sizeof(float), 0.7f);
    smooth_field(plan, offsetof(struct voice_step, voicing), 0.5f);
    smooth_field(plan, offsetof(struct voice_step, noise), 0.3f);
    smooth_field(plan, offsetof(struct voice_step, stress), 0.8f);
    smooth_field(plan, offsetof(struct voice_step, open), 0.8f);
}

/* A resonator with unit gain at 0 Hz: y = a x + b y1 + c y2. */
struct resonator {
    double a, b, c, y1, y2;
};

static void resonator_tune(struct resonator *r, double hz, double bandwidth_hz)
{
    /* exp(-pi bw / rate) as a power of two: log2(e) = 1.4427 */
    double radius = synth_exp2(-pi * bandwidth_hz / VOICE_RATE_HZ * 1.44269504088896340736);

    r->c = -radius * radius;
    r->b = 2 * radius * synth_cos(2 * pi * hz / VOICE_RATE_HZ);
    r->a = 1 - r->b - r->c;
}

static double resonate(struct resonator *r, double x)
{
    double y = r->a * x + r->b * r->y1 + r->c * r->y2;

    r->y2 = r->y1;
    r->y1 = y;
    return y;
}

/* The voice source: pulses of the derivative of glottal flow (Klatt and Klatt 1990, KLGLOTT88 with
 * open quotient 0.6), then one pole for brightness. */
struct source {
    double phase, period_scale, pulse_scale, tilt_pole, tilted, rough;
    struct rng jitter;
};

static double source_next(struct source *s, double pitch_hz)
{
    const double open_quotient = 0.6;
    double x, pulse = 0;

    s->phase += pitch_hz / VOICE_RATE_HZ * s->period_scale;
    if (s->phase >= 1) {
        s->phase -= floor(s->phase);
        s->period_scale = synth_clamp(1 + s->rough * synth_normal(&s->jitter), 0.6, 1.6);
        s->pulse_scale = synth_clamp(1 + 2 * s->rough * synth_normal(&s->jitter), 0.2, 2);
    }
    x = s->phase / open_quotient;
    if (x < 1)
        pulse = x * (2 - 3 * x) * s->pulse_scale;
    s->tilted = s->tilt_pole * s->tilted + (1 - s->tilt_pole) * pulse;
    return s->tilted;
}

/* The pole of y = p y + (1 - p) x that gives `db` (< 0) at 4 kHz, a quarter of the rate. */
static double pole_of_tilt(double db)
{
    double power = synth_db(synth_clamp(db, -24, -0.5));
    double rest = 1 - power * power;

    return (1 - sqrt(1 - rest * rest)) / rest;
}

/* Pitch in hertz along the utterance: x from 0 to 1. */
static double pitch_at(const struct speaker *who, const double *move, const struct voice_step *s,
                       double x)
{
    double range = synth_exp2(move[VOICE_RANGE]);
    double semitones = move[VOICE_PITCH] + range * (1.5 * (1 - 2 * x) + 1.6 * s->stress) -
                       move[VOICE_FALL] * (x - 0.5);

    return synth_clamp(who->pitch_hz * synth_exp2(semitones / 12), 60, 520);
}

static double soft_limit(double x)
{
    const double knee = 0.6;
    double size = x < 0 ? -x : x, over;

    if (size <= knee)
        return x;
    over = (size - knee) / (1 - knee);
    size = knee + (1 - knee) * over / (1 + over);
    return x < 0 ? -size : size;
}

/* Speech at any loudness into work[]; returns the sum of squares over the spoken part. */
static double render_speech(const struct voice_plan *plan, const struct speaker *who,
                            const double *move, struct rng *noise, struct rng jitter, float *work)
{
    struct source src = {.period_scale = 1, .pulse_scale = 1};
    struct resonator formant[4] = {0}, hiss = {0};
    double breath = synth_db(synth_clamp(who->breath_db + move[VOICE_BREATH], -60, -8));
    double tremor = synth_clamp(move[VOICE_TREMOR], 0, 0.8), squares = 0, pitch = 100;

    src.jitter = jitter;
    src.rough = synth_clamp(move[VOICE_ROUGH] + 0.006, 0, 0.15);
    src.tilt_pole = pole_of_tilt(-11 + move[VOICE_BRIGHTNESS]);
    resonator_tune(&formant[3], 3500 * who->formant_scale, 220);

    for (int i = 0; i < plan->samples; i++) {
        int k = i / VOICE_STEP_SAMPLES;
        const struct voice_step *s = &plan->step[k];
        double white = 2 * rng_double(noise) - 1, loud, y;

        if (i % VOICE_STEP_SAMPLES == 0) {
            double x = (double)(k - plan->first_step) / (plan->last_step - plan->first_step);

            pitch = pitch_at(who, move, s, synth_clamp(x, 0, 1));
            resonator_tune(&formant[0], s->formant_hz[0], 70);
            resonator_tune(&formant[1], s->formant_hz[1], 100);
            resonator_tune(&formant[2], s->formant_hz[2], 150);
            resonator_tune(&hiss, s->noise_hz, 1200);
        }
        loud = 1 + tremor * synth_sin(2 * pi * 6.2 * i / VOICE_RATE_HZ);
        loud *= 1 + 0.115 * move[VOICE_STRESS] * 0.5 * s->stress; /* 0.115 = ln(10) / 20 */
        y = s->voicing * loud * (source_next(&src, pitch) + breath * white);
        for (int f = 0; f < 4; f++)
            y = resonate(&formant[f], y);
        y += 0.06 * s->noise * resonate(&hiss, white);
        work[i] = (float)y;
        if (k >= plan->first_step && k < plan->last_step)
            squares += y * y;
    }
    return squares;
}

void voice_render(const struct voice_plan *plan, const struct synth_clip *clip, int16_t *pcm,
                  float *work)
{
    struct speaker who = speaker_of(clip);
    struct rng noise = synth_clip_rng(clip, "synth.voice.noise");
    struct rng jitter = synth_clip_rng(clip, "synth.voice.jitter");
    struct rng room = synth_clip_rng(clip, "synth.voice.room");
    double move[VOICE_MOVES], squares, gain, floor_gain, last = 0;
    int spoken = (plan->last_step - plan->first_step) * VOICE_STEP_SAMPLES;

    synth_voice_moves(clip, move);
    squares = render_speech(plan, &who, move, &noise, jitter, work);
    gain = synth_db(who.gain_db + move[VOICE_ENERGY]) / sqrt(squares / spoken + 1e-12);
    floor_gain = synth_db(who.floor_db) * 2.5; /* the low-pass below and uniform noise cost 8 dB */
    for (int i = 0; i < plan->samples; i++) {
        last = 0.6 * last + 0.4 * (2 * rng_double(&room) - 1);
        pcm[i] = (int16_t)floor(32767 * soft_limit(gain * work[i] + floor_gain * last) + 0.5);
    }
}

void upsampler_init(struct upsampler *u)
{
    for (int phase = 0; phase < UPSAMPLE_PHASES; phase++) {
        double sum = 0, tap[UPSAMPLE_TAPS];

        for (int t = 0; t < UPSAMPLE_TAPS; t++) {
            double x = (double)phase / UPSAMPLE_PHASES + UPSAMPLE_TAPS / 2 - 1 - t;
            double sinc = x == 0 ? 1 : synth_sin(pi * x) / (pi * x);

            tap[t] = sinc * (0.5 + 0.5 * synth_cos(2 * pi * x / UPSAMPLE_TAPS));
            sum += tap[t];
        }
        for (int t = 0; t < UPSAMPLE_TAPS; t++)
            u->tap[phase][t] = (float)(tap[t] / sum);
    }
}

int upsampled_count(int n)
{
    return (int)((int64_t)n * UPSAMPLE_PHASES / UPSAMPLE_STEP);
}

void upsample(const struct upsampler *u, const int16_t *in, int n, int16_t *out)
{
    int count = upsampled_count(n);

    for (int i = 0; i < count; i++) {
        int64_t at = (int64_t)i * UPSAMPLE_STEP;
        int base = (int)(at / UPSAMPLE_PHASES) - (UPSAMPLE_TAPS / 2 - 1);
        const float *tap = u->tap[at % UPSAMPLE_PHASES];
        double sum = 0;

        for (int t = 0; t < UPSAMPLE_TAPS; t++)
            if (base + t >= 0 && base + t < n)
                sum += (double)tap[t] * in[base + t];
        out[i] = (int16_t)floor(synth_clamp(sum, -32768, 32767) + 0.5);
    }
}
