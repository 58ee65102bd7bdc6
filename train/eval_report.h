/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_EVAL_REPORT_H
#define TRAIN_EVAL_REPORT_H

#include "train/scored.h"

/* What synib-eval says of a measured run: docs/formats/run.md, "synib-eval". */

/* The run, and the unimodal runs behind it where there are any. */
struct measured {
    const struct data *data;
    const char *split;
    struct scored run, unimodal[MODALITIES_MAX];
    bool has_unimodal; /* of all modalities */
    bool has_synergy;
    struct synergy synergy;
    int32_t *base_label; /* [n] of pictures and sound: what the face shows, 0..5; NULL otherwise */
};

/* metrics.json; caller frees. */
NODISCARD enum err_code eval_json(char **text, const struct measured *m, struct err *e);
/* The same for a person, on stdout. */
void eval_print(const struct measured *m);
/* Manifest of kind "predictions". */
NODISCARD enum err_code eval_predictions(const struct measured *m, const char *path, bool force,
                                         struct err *e);

#endif
