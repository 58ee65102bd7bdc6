/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_REPORT_COLLECT_H
#define TRAIN_REPORT_COLLECT_H

#include "common/base/file.h"

/* Folders below `root`, itself included, that hold the file `marker` (a path below each, such as
 * "run.json" or "val/index.jsonl"), in strcmp order, with `root` before their path. Such a folder
 * is not looked into, nor are hidden folders and links; down to 16 levels. */
NODISCARD enum err_code collect_folders(struct name_list *found, const char *root,
                                        const char *marker, struct err *e);

#endif
