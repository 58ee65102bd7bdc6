/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_SWEEP_PLAN_H
#define TRAIN_SWEEP_PLAN_H

#include "common/data/tsv.h"
#include "common/data/xor.h"
#include "train/methods/method.h"

/* The plan of a sweep: docs/formats/sweep.md. Threads: read-only once read. */

enum { PLAN_SETTINGS = 32 };

struct plan_run {
    const char *cell[7]; /* by plan_columns; loans of the plan */
    const char *group;   /* what stands for the task when runs are compared; a loan */
    size_t line;
    uint64_t seed;
    const struct method *method;
    struct config config;
    bool synthetic;
    struct xor_options data; /* of a synthetic task */
    char *text;              /* storage of set[] */
    const char *set[PLAN_SETTINGS + 1];
};

struct plan {
    const char *name; /* the file */
    struct tsv *tsv;
    size_t n;
    struct plan_run *run;
    const struct plan_run **by_name; /* sorted */
};

enum { PLAN_RUN, PLAN_TASK, PLAN_PRESET, PLAN_METHOD, PLAN_MASK, PLAN_SET, PLAN_SEED };
/* "run", "task", ...: NULL-terminated. */
extern const char *const plan_columns[];

/* Reads and checks all rows. ERR_DATA lists faults as FILE:LINE (ERR_IO when the first is a preset
 * that cannot be read). Free on failure too. */
NODISCARD enum err_code plan_read(struct plan *p, const char *path, struct err *e);
/* The same of a table that was read with plan_columns, which it takes; its name becomes the plan's.
 */
NODISCARD enum err_code plan_take(struct plan *p, struct tsv *t, struct err *e);
void plan_free(struct plan *p);

/* The code for a file whose row failed with `why`: what the system refused (ERR_IO, ERR_NOMEM)
 * stays, all else is ERR_DATA. */
enum err_code plan_fault(const struct err *why);

/* Checks the cells of one row, and fills the rest but for group and line. Free on failure too. */
NODISCARD enum err_code plan_run_read(struct plan_run *run, struct err *e);
/* The same, but for whether each setting has an effect beside the others. */
NODISCARD enum err_code plan_run_values(struct plan_run *run, struct err *e);
/* A row's mask, NULL: what the preset says. */
const char *plan_run_mask(const struct plan_run *run);
/* ERR_DATA unless it is one that every reader of JSON takes: 0 to 2^53 - 1. */
NODISCARD enum err_code plan_seed(uint64_t *seed, const char *text, struct err *e);
void plan_run_free(struct plan_run *run);

/* Row i of a table that has plan_columns and perhaps a column "group": its cells, group and line.
 */
void plan_run_cells(struct plan_run *run, const struct tsv *t, size_t i);

/* The run of that name, NULL without one. */
const struct plan_run *plan_find(const struct plan *p, const char *name);

#endif
