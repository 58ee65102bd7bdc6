/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_DRY_RUN_H
#define TRAIN_DRY_RUN_H

#include "train/unimodal.h"

/* synib-train --dry-run: says what a run would do and where its encoders would come from, and fails
 * as the run would where something is in the way. Makes and changes nothing; it has the shared lock
 * of each folder for a moment (run_lock_look), which is in no run's way. `r` holds the run's
 * options, and those of unimodal runs where its method needs them. */
NODISCARD enum err_code train_dry_run(const struct unimodal_request *r, struct err *e);

#endif
