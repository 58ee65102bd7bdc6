/* SPDX-License-Identifier: MIT */
#include "prep/clip_name.h"

#include "common/data/dataset.h"

#include <string.h>

const char *const sentence_codes[N_SENTENCES + 1] = {
    "DFA", "IEO", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI", NULL};
static const char *const level_codes[] = {"LO", "MD", "HI", "XX", NULL};

enum { NAME_LEN = sizeof "1001_DFA_ANG_XX" - 1, AT_SENTENCE = 5, AT_EMOTION = 9, AT_LEVEL = 13 };

/* Index in `codes` of the code that starts at `text`, -1 if none. */
static int code_at(const char *text, const char *const *codes)
{
    for (int i = 0; codes[i] != NULL; i++)
        if (strncmp(text, codes[i], strlen(codes[i])) == 0)
            return i;
    return -1;
}

int emotion_index(const char *code)
{
    return strlen(code) == 3 ? code_at(code, emotion_codes) : -1;
}

static const char *name_fault(struct clip_name *out, const char *name)
{
    int level;

    if (strlen(name) == NAME_LEN - 1 && name[4] == '_' && name[8] == '_' && name[12] == '_')
        return "name is not NNNN_SSS_EEE_LV: the level has one letter, as in copies of CREMA-D "
               "from "
               "before 2022: rename the file";
    if (strlen(name) != NAME_LEN || name[4] != '_' || name[8] != '_' || name[12] != '_')
        return "name is not NNNN_SSS_EEE_LV (actor, sentence, emotion, level)";
    for (int i = 0; i < 4; i++) {
        if (name[i] < '0' || name[i] > '9')
            return "cannot read the actor: not four digits";
        out->actor = out->actor * 10 + (name[i] - '0');
    }
    if (out->actor < 1000)
        return "cannot read the actor: begins with 0";
    out->sentence = code_at(name + AT_SENTENCE, sentence_codes);
    if (out->sentence < 0)
        return "cannot read the sentence: not one of CREMA-D's 12 codes";
    out->label = code_at(name + AT_EMOTION, emotion_codes);
    if (out->label < 0)
        return "cannot read the emotion: not NEU, HAP, SAD, FEA, DIS or ANG";
    level = code_at(name + AT_LEVEL, level_codes);
    if (level < 0)
        return "cannot read the level: not LO, MD, HI or XX";
    memcpy(out->level, level_codes[level], sizeof out->level);
    return NULL;
}

bool clip_name_parse(struct clip_name *out, const char *name, const char **why)
{
    const char *fault;

    *out = (struct clip_name){0};
    fault = name_fault(out, name);
    if (why != NULL)
        *why = fault;
    return fault == NULL;
}
