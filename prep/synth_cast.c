/* SPDX-License-Identifier: MIT */
#include "prep/synth_cast.h"

#include "prep/synth_math.h"

#include <stdio.h>

enum { NEU, HAP, SAD, FEA, DIS, ANG };

/* The table. Faces after the usual action units (smile: cheek and corners; anger: brows down and
 * together, lips pressed; ...), voices after the usual acoustic correlates (anger loud, bright and
 * rough; sadness low, slow and dark; ...). Rows are what a clip shows at strength 1. */
/* clang-format off */
const struct synth_emotion synth_emotions[SYNTH_EMOTIONS] = {
    /*                     brow           eye          mouth                lip           head gaze
     * face                in   out close open   low  corn  open  wide  up    press teeth down down
     * voice             pitch range fall energy tempo bright breath tremor rough form  stress */
    [NEU] = {"NEU", SAD, SAD,
        {                  0,   0,   0,   0,     0,   0,    0,    0,    0,    0,    0,    0,   0},
        {                0,    0,    1,   0,     0,    0,     0,     0,     0,    0,    0}},
    [HAP] = {"HAP", NEU, ANG,
        {                 .15, .25, 0,   -.1,    .8,  1.0,  .35,  .7,   .1,   0,    1.0, -.1,  0},
        {                4.5,  .7,  -2,   4,     .12,  4,     0,     0,     0,    6,    2}},
    [SAD] = {"SAD", FEA, NEU,
        {                 .8, -.5,  .2,  -.5,    0,  -.85,  0,   -.25,  0,    .2,   0,    .7,  .7},
        {               -2,   -.7,   4,  -7,    -.28, -7,     5,     .08,   0,   -2,   -2}},
    [FEA] = {"FEA", SAD, HAP,
        {                 .75, .5,  .3,  .9,     0,  -.25,  .6,   .45,  0,    0,    .3,  -.3, -.1},
        {                6,   -.3,  -2,  -1,     .25,  1,     9,     .35,   .02,  2,   -1}},
    [DIS] = {"DIS", ANG, SAD,
        {                -.55, -.1, .5,  -.45,   .6,  -.45, .15,  .05, 1.1,   0,    .35, -.15, .2},
        {               -2.5,  .1,   3,   1,    -.3,  -2,     3,     0,     .08, -6,    4}},
    [ANG] = {"ANG", DIS, HAP,
        {                -1.0, .3, 1.0,   .25,   .35, -.4,  .1,   .1,   .25,  .9,   .45,  .15, 0},
        {                2,    .4,   1,   8,     .08,  8,    -4,     0,     .05,  0,    4}},
};

const struct synth_spread synth_spread = {
    .face =              {.1,  .1,  .1,   .12,   .1,  .12,  .08,  .1,   .1,   .1,   .12,  .2,  .25},
    .voice =            {.8,   .15,  .6,  .9,    .045, .9,    1.1,   .03,   .006, .9,   .6},
    .level = {1.15, .9, 1.1, 1.3},
    .level_deviation = .1,
    .actor_deviation = .1,
    .face_blend = .22,
    .voice_blend = .25,
};

const struct synth_sentence synth_sentences[SYNTH_SENTENCES] = {
    {"IEO", "It's eleven o'clock.",                      "Its ilevNn oklok"},
    {"TIE", "That is exactly what happened.",            "Zat Iz Igzaktli wot hapNnd"},
    {"IOM", "I'm on my way to the meeting.",             "aIm on maI weI tu ZN mitIn"},
    {"IWW", "I wonder what this is about.",              "aI wAndN wot ZIs Iz NbaUt"},
    {"TAI", "The airplane is almost full.",              "Zi ErpleIn Iz olmoUst fUl"},
    {"MTI", "Maybe tomorrow it will be cold.",           "meIbi tNmoroU It wIl bi koUld"},
    {"IWL", "I would like a new alarm clock.",           "aI wUd laIk N nu Nlarm klok"},
    {"ITH", "I think I have a doctor's appointment.",    "aI TInk aI hav N doktNz NpoIntmNnt"},
    {"DFA", "Don't forget a jacket.",                    "doUnt fNrget N jakIt"},
    {"ITS", "I think I've seen this before.",            "aI TInk aIv sin ZIs bIfor"},
    {"TSI", "The surface is slick.",                     "ZN sNrfIs Iz slIk"},
    {"WSI", "We'll stop in a couple of minutes.",        "wil stop In N kApl Nv mInIts"},
};
/* clang-format on */

static const char *const level_codes[] = {
    [LEVEL_XX] = "XX", [LEVEL_LO] = "LO", [LEVEL_MD] = "MD", [LEVEL_HI] = "HI"};

void synth_clip_name(struct synth_clip *clip)
{
    snprintf(clip->name, sizeof clip->name, "%04d_%.3s_%.3s_%.2s", clip->actor,
             synth_sentences[clip->sentence].code, synth_emotions[clip->emotion].code,
             level_codes[clip->level]);
}

enum { CLIPS_OF_FIRST = 1 + 3 * (SYNTH_EMOTIONS - 1) };

int synth_clips_per_actor(int sentences)
{
    return CLIPS_OF_FIRST + SYNTH_EMOTIONS * (sentences - 1);
}

struct synth_clip synth_clip_at(uint64_t seed, int actor, int i)
{
    struct synth_clip clip = {.seed = seed, .actor = actor};

    if (i == 0) {
        clip.emotion = NEU;
    } else if (i < CLIPS_OF_FIRST) {
        clip.emotion = 1 + (i - 1) / 3;
        clip.level = (enum synth_level)(LEVEL_LO + (i - 1) % 3);
    } else {
        clip.sentence = 1 + (i - CLIPS_OF_FIRST) / SYNTH_EMOTIONS;
        clip.emotion = (i - CLIPS_OF_FIRST) % SYNTH_EMOTIONS;
    }
    synth_clip_name(&clip);
    return clip;
}

struct rng synth_clip_rng(const struct synth_clip *clip, const char *stream)
{
    uint32_t which = (uint32_t)(((clip->take * SYNTH_SENTENCES + clip->sentence) * SYNTH_EMOTIONS +
                                 clip->emotion) *
                                    4 +
                                (int)clip->level);

    return rng_at(clip->seed, rng_stream(stream), (uint32_t)clip->actor, which);
}

struct rng synth_actor_rng(const struct synth_clip *clip, const char *stream)
{
    return rng_at(clip->seed, rng_stream(stream), (uint32_t)clip->actor, UINT32_MAX);
}

struct synth_actor synth_actor_of(uint64_t seed, int actor)
{
    struct rng r = rng_at(seed, rng_stream("synth.actor"), (uint32_t)actor, 0);
    struct synth_actor a;

    a.female = rng_below(&r, 2) == 1;
    a.age = 20 + (int)rng_below(&r, 55);
    return a;
}

double synth_strength(const struct synth_clip *clip)
{
    struct rng actor = synth_actor_rng(clip, "synth.expressive");
    struct rng own = synth_clip_rng(clip, "synth.strength");
    double strength = synth_spread.level[clip->level] *
                      (1 + synth_spread.actor_deviation * synth_normal(&actor)) *
                      (1 + synth_spread.level_deviation * synth_normal(&own));

    return synth_clamp(strength, 0.1, 1.6);
}

/* table[emotion] and table[like] blended, times strength, plus spread. */
static void moves(const struct synth_clip *clip, const char *stream, const double *main,
                  const double *like, const double *spread, int n, double max_blend, double *out)
{
    struct rng r = synth_clip_rng(clip, stream);
    double u = rng_double(&r), blend = max_blend * u * u;
    double strength = synth_strength(clip);

    for (int i = 0; i < n; i++)
        out[i] =
            strength * ((1 - blend) * main[i] + blend * like[i]) + spread[i] * synth_normal(&r);
}

void synth_face_moves(const struct synth_clip *clip, double out[FACE_MOVES])
{
    const struct synth_emotion *em = &synth_emotions[clip->emotion];

    moves(clip, "synth.face.moves", em->face, synth_emotions[em->face_like].face, synth_spread.face,
          FACE_MOVES, synth_spread.face_blend, out);
}

void synth_voice_moves(const struct synth_clip *clip, double out[VOICE_MOVES])
{
    const struct synth_emotion *em = &synth_emotions[clip->emotion];

    moves(clip, "synth.voice.moves", em->voice, synth_emotions[em->voice_like].voice,
          synth_spread.voice, VOICE_MOVES, synth_spread.voice_blend, out);
}
