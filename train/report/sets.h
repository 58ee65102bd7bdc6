/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_REPORT_SETS_H
#define TRAIN_REPORT_SETS_H

#include "train/report/collect.h"
#include "train/report/run.h"

/* The datasets that runs were trained and tested on, found again by content digest. */

enum report_split { SPLIT_TRAIN, SPLIT_VAL, SPLIT_TEST, REPORT_SPLITS };
extern const char *const report_split_names[REPORT_SPLITS];

struct report_set { /* zeroed = empty */
    char *dir;
    bool vectors;
    char digest[REPORT_SPLITS][SHA256_HEX_SIZE];
    char *kind;   /* "rate 1.0", or the task: what its column is called first */
    char *facts;  /* lines "key = value" that tell datasets of one kind apart */
    char *origin; /* what else made it, for people: fold and seed */
    double rate;  /* NaN of vectors */

    /* Read anew from the shards, of pictures and sound. */
    int64_t clips[REPORT_SPLITS], irony[REPORT_SPLITS], actors[REPORT_SPLITS];
    int64_t shared_actors[REPORT_SPLITS], shared_clips[REPORT_SPLITS]; /* of split s and s + 1 */
    int64_t strange_voices; /* donors that are not in their own split */
};

/* Finds the dataset of r: the folder in its run.json, else one of `folders` (may be empty); looks
 * among sets[0..*n) first. *index: -1 when there is none. ERR_DATA when r was tested on other data
 * than that. */
NODISCARD enum err_code report_sets_find(int *index, struct report_set **sets, size_t *n,
                                         size_t *cap, const struct report_run *r,
                                         const struct name_list *folders, struct err *e);
/* Fills the last part. Vectors: clips alone. */
NODISCARD enum err_code report_set_audit(struct report_set *s, struct err *e);
void report_set_free(struct report_set *s);

#endif
