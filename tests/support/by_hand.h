/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_BY_HAND_H
#define TESTS_SUPPORT_BY_HAND_H

#include "tests/support/step_rig.h"

/* The whole batch of a small vector rig by hand, for methods whose losses set its rows against each
 * other or take parts of it for constants. */

enum { HAND_ROWS = 6, HAND_WIDTH = 6, HAND_OUTPUTS = 4, HAND_TASKS = 3 };

typedef double hand_rows[HAND_ROWS][HAND_OUTPUTS];

struct by_hand {
    double raw[MODALITIES_MAX][HAND_ROWS][HAND_WIDTH], z[MODALITIES_MAX][HAND_ROWS][HAND_WIDTH];
    hand_rows u[MODALITIES_MAX], g;
};

/* Settings of preset xor-pid for `method` and encoders of HAND_WIDTH; loss.unimodal is 0.7. */
void hand_config(struct config *c, const char *method);
/* Two classes (one logit), three classes, two classes with three modalities; HAND_ROWS samples. */
extern const char *const hand_task_names[HAND_TASKS];
void hand_open(struct step_rig *r, const struct method *m, const struct config *c, int task);

/* With the weights of r->weight. */
void hand_forward(const struct step_rig *r, struct by_hand *f);
/* Mean of -log p(label) over the batch. */
double hand_nll(const struct step_rig *r, hand_rows prediction);

/* `got` is `want` up to the rounding of float sums. */
void assert_hand(const char *what, double got, double want);

#endif
