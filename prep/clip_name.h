/* SPDX-License-Identifier: MIT */
#ifndef PREP_CLIP_NAME_H
#define PREP_CLIP_NAME_H

#include "common/base/err.h"

#include <stdint.h>

/* CREMA-D clip names: NNNN_SSS_EEE_LV, e.g. 1001_DFA_ANG_XX: actor, sentence (12 codes), acted
 * emotion (6 codes), level (LO MD HI XX). */
struct clip_name {
    int32_t actor; /* 1000..9999 */
    int32_t label; /* class id 0..5, common/data/dataset.h */
    int sentence;  /* index into sentence_codes */
    char level[3];
};

enum { N_SENTENCES = 12, ACTOR_MAX = 999999 }; /* the largest number that manifests may give */
extern const char *const sentence_codes[N_SENTENCES + 1]; /* NULL-terminated, sorted */

/* Reads a name without its extension. False when it is not one; *why then says what is wrong (a
 * static string; why may be NULL). */
NODISCARD bool clip_name_parse(struct clip_name *out, const char *name, const char **why);

/* Index of an emotion code ("NEU" ...) in emotion_codes, -1 if it is none. */
int emotion_index(const char *code);

#endif
