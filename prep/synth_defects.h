/* SPDX-License-Identifier: MIT */
#ifndef PREP_SYNTH_DEFECTS_H
#define PREP_SYNTH_DEFECTS_H

#include "prep/synth_encode.h"

/* Clips that are broken, each in one known way. Sources: the traps of CREMA-D itself, and damage
 * that users of such files report (docs/synthetic-corpus.md lists them with their reasons). */

enum disk_object { DISK_FILE, DISK_ABSENT, DISK_FOLDER, DISK_FIFO, DISK_LINK_OUT, DISK_LINK_LOOP };

/* What lands on the disk for one clip. */
struct defect_clip {
    struct buffer flv, wav; /* bytes of DISK_FILE halves */
    enum disk_object flv_as, wav_as;
    struct buffer listed_flv, listed_wav; /* what media.tsv knows, when it is not what is there */
    bool unlisted;                        /* media.tsv does not know the clip */
};
void defect_clip_free(struct defect_clip *d);

struct defect {
    const char *name;    /* short, stable */
    const char *media;   /* "video", "audio" or "both" */
    const char *verdict; /* what synib-scan must say: "accepted", "flagged" or "rejected" */
    const char *note;    /* what was done */
};

int defect_count(void);
const struct defect *defect_at(int i);

/* Name of the clip that carries defect i: by actors first_actor, first_actor + 1, ... */
void defect_clip_of(int i, uint64_t seed, int first_actor, struct synth_clip *clip);
/* How many actors that takes. */
int defect_actors(void);

/* Makes defect i's clip; d zeroed. */
NODISCARD enum err_code defect_make(int i, struct clip_maker *m, const struct synth_clip *clip,
                                    struct defect_clip *d, struct err *e);

#endif
