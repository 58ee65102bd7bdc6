/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_REPORT_RUN_H
#define TRAIN_REPORT_RUN_H

#include "common/base/hash.h"
#include "common/data/vectors.h"
#include "train/metrics.h"
#include "train/run_dir.h"

/* One run folder as a report reads it: who it is, what it said of the test split, sample by sample,
 * and how it learned. docs/formats/report.md. */

enum report_metric {
    METRIC_IRONY_F1,
    METRIC_MACRO_F1,
    METRIC_ACCURACY,
    METRIC_KAPPA,
    METRIC_RESAMPLED, /* those before it are functions of the confusion matrix */
    METRIC_ECE = METRIC_RESAMPLED,
    METRIC_SYNERGY,
    METRIC_PART, /* irony recall by emotion, or accuracy by source */
    REPORT_PARTS = 8,
    REPORT_METRICS = METRIC_PART + REPORT_PARTS,
};

enum report_curve { CURVE_VAL_ACCURACY, CURVE_VAL_IRONY_F1, CURVE_TRAIN_LOSS, REPORT_CURVES };

enum { REPORT_NAME = 64 }; /* room for names of methods, masks, classes */

struct report_run { /* zeroed = empty */
    char *name;     /* below the folder that was given */
    char *path;
    char *missing;  /* why it does not count; NULL: it does */
    char *identity; /* synib.config; NULL when there is no checkpoint */
    struct run_places places;
    char method[REPORT_NAME], mask[REPORT_NAME];
    uint64_t seed;
    char train[SHA256_HEX_SIZE], val[SHA256_HEX_SIZE]; /* content digests */
    char *tool, *machine;
    int64_t epochs, best_epoch;

    /* The rest is there when it counts. */
    char checkpoint[SHA256_HEX_SIZE], test[SHA256_HEX_SIZE];
    int classes;
    char class_name[METRICS_MAX_CLASSES][REPORT_NAME];
    int irony; /* its class; -1 = none */
    int parts;
    char part_name[REPORT_PARTS][REPORT_NAME];
    int64_t n;                     /* test samples */
    uint8_t *label, *guess, *base; /* [n]; base: what the face shows, NULL = not said */
    float *p;                      /* [n] of the guess */
    struct confusion confusion;
    double value[REPORT_METRICS]; /* NaN = none */
    size_t points;                /* epochs.csv */
    double *curve[REPORT_CURVES]; /* [points]; NaN = none */

    int data, row, column; /* set by the report; data -1 = not found */
    size_t given;          /* its place in the order of the command line */
};

/* Fills everything but name, path (given) and the last two lines. Unfinished or untested runs set
 * `missing` and are no error. */
NODISCARD enum err_code report_run_read(struct report_run *r, struct err *e);
void report_run_free(struct report_run *r);

/* Its two halves: who it is, from the checkpoints, run.json and epochs.csv; and RUN/test. */
NODISCARD enum err_code report_run_identify(struct report_run *r, struct err *e);
NODISCARD enum err_code report_run_results(struct report_run *r, struct err *e);

/* What RUN/test and epochs.csv say, of texts in memory; `path` for messages. metrics.json comes
 * before predictions.tsv, and identity, method, seed and checkpoint before both. curves cuts its
 * text up. */
NODISCARD enum err_code report_run_metrics(struct report_run *r, const char *path, const char *text,
                                           size_t len, struct err *e);
NODISCARD enum err_code report_run_predictions(struct report_run *r, const char *path,
                                               const void *data, size_t len, struct err *e);
NODISCARD enum err_code report_run_curves(struct report_run *r, char *text, const char *path,
                                          struct err *e);

/* Sets `missing`. */
NODISCARD enum err_code report_run_miss(struct report_run *r, const char *why, struct err *e);

/* A name for a metric in tables and in cells.tsv, of up to `size` bytes. */
void report_metric_name(char *out, size_t size, const struct report_run *r, int metric);

#endif
