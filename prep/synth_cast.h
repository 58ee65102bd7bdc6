/* SPDX-License-Identifier: MIT */
#ifndef PREP_SYNTH_CAST_H
#define PREP_SYNTH_CAST_H

#include "common/base/rng.h"

#include <stdbool.h>
#include <stdint.h>

/* Who says what and how: names of clips, and the one table that decides how hard the six emotions
 * are to tell apart. Everything is a pure function of (seed, actor, sentence, emotion, level).
 *
 * Names follow CREMA-D: actor, sentence, emotion, level. Labels are those of the benchmark:
 * NEU 0, HAP 1, SAD 2, FEA 3, DIS 4, ANG 5. Threads: any. */

enum {
    SYNTH_EMOTIONS = 6,
    SYNTH_SENTENCES = 12,
    SYNTH_FIRST_ACTOR = 1001,
    SYNTH_MAX_ACTORS = 8999,
    SYNTH_NAME_SIZE = 24, /* of a clip, with its NUL: room for the misnamed ones too */
};

enum synth_level { LEVEL_XX, LEVEL_LO, LEVEL_MD, LEVEL_HI };

/* What a face does, each about -1 to 1 at full strength; 0 is at rest. */
enum synth_face_move {
    FACE_BROW_INNER, /* inner ends up */
    FACE_BROW_OUTER, /* outer ends up */
    FACE_BROW_CLOSE, /* drawn together */
    FACE_EYE_OPEN,
    FACE_LID_LOW,    /* lower lid up, cheeks raised */
    FACE_CORNERS,    /* mouth corners up */
    FACE_MOUTH_OPEN, /* jaw */
    FACE_MOUTH_WIDE,
    FACE_UPPER_LIP, /* upper lip and nose wings raised, nose wrinkled */
    FACE_LIP_PRESS, /* lips thin */
    FACE_TEETH,
    FACE_HEAD_DOWN,
    FACE_GAZE_DOWN,
    FACE_MOVES
};

/* What a voice does. */
enum synth_voice_move {
    VOICE_PITCH,      /* semitones */
    VOICE_RANGE,      /* log2 of the size of the intonation */
    VOICE_FALL,       /* semitones lost from start to end */
    VOICE_ENERGY,     /* dB */
    VOICE_TEMPO,      /* log2 */
    VOICE_BRIGHTNESS, /* dB at 4 kHz */
    VOICE_BREATH,     /* aspiration beside voicing, dB */
    VOICE_TREMOR,     /* share of amplitude that swings at 6 Hz */
    VOICE_ROUGH,      /* share of period that is irregular */
    VOICE_FORMANTS,   /* percent; a smile shortens the tract */
    VOICE_STRESS,     /* dB between strong and weak syllables */
    VOICE_MOVES
};

struct synth_emotion {
    char code[4];
    int face_like;  /* the emotion its face is mistaken for most */
    int voice_like; /* the same for its voice: another one, so that two modalities beat one */
    double face[FACE_MOVES];
    double voice[VOICE_MOVES];
};
extern const struct synth_emotion synth_emotions[SYNTH_EMOTIONS];

/* How far clips of one emotion differ among themselves: the other half of the table. */
struct synth_spread {
    double face[FACE_MOVES], voice[VOICE_MOVES]; /* deviation of each move, added per clip */
    double level[4];                             /* strength at XX, LO, MD, HI */
    double level_deviation;                      /* of the clip's strength, relative */
    double actor_deviation;                      /* of the actor's expressiveness, relative */
    double face_blend; /* a clip is blended with face_like by 0 to this share, skewed to 0 */
    double voice_blend;
};
extern const struct synth_spread synth_spread;

struct synth_sentence {
    char code[4];
    const char *text;
    const char *phones; /* one letter each, as in synth_voice.c */
};
extern const struct synth_sentence synth_sentences[SYNTH_SENTENCES];

struct synth_clip {
    uint64_t seed;
    int actor; /* 1001.. */
    int sentence, emotion;
    enum synth_level level;
    int take; /* 0; another take of the same clip differs in every random choice */
    char name[SYNTH_NAME_SIZE];
};

/* Fills `name` from the other fields. */
void synth_clip_name(struct synth_clip *clip);

/* Clips of one actor for the first `sentences` sentences: as in CREMA-D, the first (IEO) comes at
 * LO, MD and HI for every emotion but neutral, all else at XX. */
int synth_clips_per_actor(int sentences);
/* Clip i of that actor, 0 <= i < synth_clips_per_actor(sentences), name included. */
struct synth_clip synth_clip_at(uint64_t seed, int actor, int i);

/* The draws of a clip for one purpose ("synth.face", "synth.voice", ...). */
struct rng synth_clip_rng(const struct synth_clip *clip, const char *stream);
/* The draws of an actor for one purpose: the same in all clips. */
struct rng synth_actor_rng(const struct synth_clip *clip, const char *stream);

/* Facts of an actor for VideoDemographics.csv, also behind voice and face. */
struct synth_actor {
    bool female;
    int age; /* 20..74 as in CREMA-D */
};
struct synth_actor synth_actor_of(uint64_t seed, int actor);

/* Strength of a clip's emotion: level, actor and clip together; 0.1 to 1.6. */
double synth_strength(const struct synth_clip *clip);
/* The clip's moves at full expression: table, blend, strength and spread. */
void synth_face_moves(const struct synth_clip *clip, double out[FACE_MOVES]);
void synth_voice_moves(const struct synth_clip *clip, double out[VOICE_MOVES]);

#endif
