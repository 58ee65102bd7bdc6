/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_REPORT_BOOT_H
#define TRAIN_REPORT_BOOT_H

#include "train/report/run.h"
#include "train/report/stats.h"

/* The bootstrap over test clips: for every replicate and run, the metrics of the run on the clips
 * that the replicate drew from its test set. Runs on one test set get the same clips.
 * docs/formats/report.md, "Numbers". */

enum { BOOT_REPLICATES = 2000 };

struct boot {
    size_t runs;
    double *value; /* [BOOT_REPLICATES][runs][METRIC_RESAMPLED] */
};

/* run: `n` pointers to runs that count, all of the same classes; those with equal `test` digest
 * must have equal labels, else ERR_DATA. The result does not depend on jobs. */
NODISCARD enum err_code boot_init(struct boot *b, const struct report_run *const *run, size_t n,
                                  uint64_t seed, int jobs, const struct log *log, struct err *e);
void boot_free(struct boot *b);

/* 95 % interval of the mean over k of metric(plus[k]) - metric(minus[k]), into s; minus NULL:
 * of metric(plus[k]). Indices into the runs of boot_init; n > 0. */
NODISCARD enum err_code boot_interval(const struct boot *b, struct summary *s, const size_t *plus,
                                      const size_t *minus, size_t n, int metric, struct err *e);

/* weight[0..n) becomes how often each clip of the test set `digest` (hex) is in replicate b. */
void boot_draw(uint32_t *weight, int64_t n, const char *digest, uint64_t seed, int replicate);

#endif
