/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_RECORD_H
#define TRAIN_RECORD_H

#include "train/checkpoint.h"
#include "train/evaluate.h"
#include "train/ntk.h"
#include "train/run_dir.h"

/* What a training run leaves behind: checkpoints and logs in its folder (docs/formats/run.md), or,
 * without a folder, the tables of epochs and tangent kernels in memory and nothing else. */

struct record {
    const char *dir; /* borrowed; NULL: in memory */
    const struct data *data;
    const struct network *net;
    char *last_path, *best_path;
    bool last_damaged; /* gone on from the one before: not to be kept as such */
    char *identity;    /* metadata synib.config */
    struct run_log metrics, epochs, timing, ntk;
    bool has_ntk;
};

/* Names the files; net and data are borrowed until record_close. Takes identity. */
NODISCARD enum err_code record_open(struct record *r, const char *dir, char *identity,
                                    const struct network *net, const struct data *data,
                                    struct err *e);
/* Compares the logs in the folder with what `state` says of them; nothing is written. */
NODISCARD enum err_code record_check(const struct record *r, const struct run_state *state,
                                     struct err *e);
/* Opens the logs as `state` says they were (a zeroed one: new ones), and writes their headers. */
NODISCARD enum err_code record_start(struct record *r, const struct run_state *state,
                                     struct err *e);
void record_close(struct record *r);

/* Puts the logs' lengths in the state; then puts the logs on stable storage. Nothing in memory. */
void record_lengths(const struct record *r, struct run_state *state);
NODISCARD enum err_code record_sync(struct record *r, struct err *e);
/* Opens the last checkpoint of DIR, verified. Where it is damaged and prev.safetensors is not,
 * opens that, and *why (may be NULL; clean) is what is wrong with the last one. */
NODISCARD enum err_code record_open_last(struct tensorfile **f, const char *dir, struct err *why,
                                         struct err *e);
/* Write last.safetensors (with moments) or best.safetensors from what is in net. The last one
 * before becomes prev.safetensors until the run is over. */
NODISCARD enum err_code record_save_last(struct record *r, const struct run_state *state,
                                         struct err *e);
NODISCARD enum err_code record_save_best(struct record *r, const struct run_state *state,
                                         struct err *e);
/* Reads last.safetensors, or prev as above, into net and state. ERR_DATA when it is of another run.
 */
NODISCARD enum err_code record_load(struct record *r, struct run_state *state,
                                    const struct log *log, struct err *e);

/* ---- one line each ---- */
NODISCARD enum err_code record_step(struct record *r, const struct run_state *state, double lr,
                                    const struct step_report *report, struct err *e);
NODISCARD enum err_code record_ntk(struct record *r, const struct run_state *state,
                                   const struct ntk_result *ntk, struct err *e);
/* train: the training split measured anew, or NULL: what the state has counted. */
NODISCARD enum err_code record_epoch(struct record *r, const struct run_state *state, double lr,
                                     const struct evaluation *train, const struct evaluation *val,
                                     bool best, struct err *e);
/* The sidecar that may differ between two runs of the same command. */
NODISCARD enum err_code record_timing(struct record *r, const struct run_state *state,
                                      int64_t train_ms, int64_t wait_ms, int64_t val_ms,
                                      struct err *e);

#endif
