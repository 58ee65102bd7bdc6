/* SPDX-License-Identifier: MIT */
#ifndef PREP_SYNTH_ENCODE_H
#define PREP_SYNTH_ENCODE_H

#include "prep/synth_cast.h"
#include "prep/synth_flv.h"

/* One clip, from its name to the bytes of its FLV and WAV. */

/* What a broken or unusual clip does differently; zeroed = a healthy clip. */
struct clip_change {
    int video_frames; /* pictures in the FLV; past the plan's the last one stays; 0 = as planned */
    int total_frames; /* length of both halves, cut or prolonged in silence; 0 = as planned */
    bool black;       /* black pictures */
    bool no_pictures; /* the video stream is announced but empty */
    bool no_video, no_audio; /* no such stream in the FLV */
};

/* Scratch of one thread, some megabytes. */
struct clip_maker;
NODISCARD enum err_code clip_maker_open(struct clip_maker **m, struct err *e);
void clip_maker_close(struct clip_maker *m);

/* Makes a clip. Afterwards clip_maker_flv(), _wav() and _pcm() are loans until the next call. */
NODISCARD enum err_code clip_maker_make(struct clip_maker *m, const struct synth_clip *clip,
                                        const struct clip_change *change, struct err *e);
const struct buffer *clip_maker_flv(const struct clip_maker *m);
const struct buffer *clip_maker_wav(const struct clip_maker *m);
/* The WAV's samples, mono at 16 kHz. */
const int16_t *clip_maker_pcm(const struct clip_maker *m, int *samples);

#endif
