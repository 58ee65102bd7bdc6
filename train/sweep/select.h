/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_SWEEP_SELECT_H
#define TRAIN_SWEEP_SELECT_H

#include "train/sweep/results.h"

/* The best settings of a search, by validation alone: docs/formats/sweep.md, selected.tsv. */

enum select_by {
    BY_SCORE,
    BY_ACCURACY,
    BY_LOSS,
    BY_MACRO_F1,
    BY_IRONY_F1,
    BY_MSE,
    BY_R2,
};
extern const char *const select_names[]; /* by enum select_by, then NULL */

/* The text of selected.tsv; caller frees. Every row of the results is there. *undecided: candidates
 * of how many comparisons all have a run that is not finite. ERR_DATA lists runs without the
 * metric, and those whose scores are of several kinds. */
NODISCARD enum err_code select_text(char **text, size_t *undecided, const struct results *r,
                                    enum select_by by, struct err *e);

#endif
