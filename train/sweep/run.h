/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_SWEEP_RUN_H
#define TRAIN_SWEEP_RUN_H

#include "common/base/log.h"
#include "train/evaluate.h"
#include "train/sweep/plan.h"
#include "train/train.h"

/* One run of a plan: trained, then measured on the test split unless that is to stay closed. */

/* The parts of an evaluation that go into results. */
struct test_metrics {
    double loss, accuracy, mse, r2;
    struct source_sum source[VECTORS_SOURCES];
};

/* Validation after epoch best_epoch, as epochs.csv has it; NaN: has none. */
struct val_metrics {
    double loss, accuracy, macro_f1, irony_f1, mse, r2;
};

struct run_result {
    bool finite; /* false: nothing below is known */
    int64_t epochs, steps, best_epoch;
    double best_score; /* validation, by select.metric */
    struct val_metrics val;
    struct test_metrics last, best; /* of a run that is tested */
};

/* What a run's data have, for the columns of the results. test: false leaves the test split closed,
 * here and below. */
struct run_kind {
    struct data_traits traits;
    char source[VECTORS_SOURCES][VECTORS_NAME_SIZE];
};
NODISCARD enum err_code sweep_run_kind(struct run_kind *kind, const struct plan_run *run, bool test,
                                       struct err *e);

/* What the run's data are: the synthetic task, or the digests of the folder's splits. Caller frees.
 */
NODISCARD enum err_code sweep_run_task(char **text, const struct plan_run *run, bool test,
                                       struct err *e);

enum { IDENTITY_SIZE = 17 };
/* docs/formats/sweep.md, "identity"; task: of sweep_run_task. */
NODISCARD enum err_code sweep_run_identity(char out[IDENTITY_SIZE], const struct plan_run *run,
                                           const char *task, struct err *e);

/* The validation metrics in epochs.csv of an epoch. ERR_FORMAT without such a line. */
NODISCARD enum err_code sweep_val_metrics(struct val_metrics *v, const char *csv, int64_t epoch,
                                          struct err *e);

/* What synib-train would be told, but for the folder of the run. */
struct train_options sweep_train_options(const struct plan_run *run, int jobs,
                                         const struct log *log);

struct run_place {
    const char *folder;     /* DIR/runs, where NAME.epochs.csv and NAME.ntk.csv or NAME/ go */
    const char *pretrained; /* folder of the unimodal runs to start from, or NULL */
    int jobs;               /* threads of this run */
    const struct log *log;
};
/* Trains and measures. A loss that is not finite is a result, not an error. ERR_STOPPED when asked
 * to stop. */
NODISCARD enum err_code sweep_run_do(struct run_result *out, const struct plan_run *run, bool test,
                                     const struct run_place *place, struct err *e);

#endif
