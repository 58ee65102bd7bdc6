/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_RUNS_H
#define TESTS_SUPPORT_RUNS_H

#include "train/train.h"
#include "train/trainer.h"

/* Training runs on the drawn dataset, small enough for hundreds of them in a test. */

/* Writes a preset file: the shipped preset `demo` of the source tree, cut down to a 16-wide model
 * on 32 x 32 pictures, batches of four clips and two epochs. */
NODISCARD enum err_code runs_write_preset(const char *path, const char *source_dir, struct err *e);

/* Both files exist and hold the same bytes; the test fails otherwise. */
void assert_same_file(const char *a, const char *b);
/* The same of the files in two folders; names: NULL-terminated. */
void assert_same_files(const char *a, const char *b, const char *const *name);

/* Options of `synib-train DATA -p PRESET -m METHOD -o OUT`, quiet, one thread. */
struct train_options runs_train_options(const char *data, const char *preset, const char *method,
                                        const char *out);

#endif
