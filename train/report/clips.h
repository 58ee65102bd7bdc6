/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_REPORT_CLIPS_H
#define TRAIN_REPORT_CLIPS_H

#include "train/report/doc.h"
#include "train/report/sets.h"

/* What was left out on the way from raw clips to the datasets, and whether the media are the
 * official ones: from the manifests that the other tools left. */

struct report_clips {  /* zeroed = none at hand */
    struct tsv *clips; /* of synib-scan */
    struct tsv **left; /* dropped.tsv of datasets and rejected.tsv of base sets */
    size_t n, cap;
};

/* `file`: the clips.tsv, or NULL: that in the folder of a set or in one of the three above, nearest
 * first. There also base sets are looked for, in direct sub-folders. What is not there is no error;
 * what is damaged is. */
NODISCARD enum err_code report_clips_read(struct report_clips *c, const char *file,
                                          const struct report_set *set, size_t sets, struct err *e);
void report_clips_free(struct report_clips *c);

/* One sentence for the top of a report: are these the official CREMA-D files? */
void report_clips_say(const struct report_clips *c, struct doc *d);
/* Counts, and a table of what was rejected. */
NODISCARD enum err_code report_clips_add(const struct report_clips *c, struct doc *d,
                                         struct err *e);

#endif
