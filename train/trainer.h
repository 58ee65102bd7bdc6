/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include "train/checkpoint.h"
#include "train/evaluate.h"
#include "train/network.h"
#include "train/run_dir.h"

/* One training run: from a train and a val split to a run folder (docs/formats/run.md), or in
 * memory alone. Test data are never opened here.
 *
 * A run is a function of (method, settings, seed, contents of both splits, initial encoders): the
 * same bytes in checkpoints and logs at any thread count, and however often it was interrupted and
 * resumed. */

struct trainer_options {
    const struct method *method;
    struct config config;
    uint64_t seed;
    int jobs;
    const struct data *train, *val;
    const char *dir; /* NULL: in memory, nothing is written */
    /* Finished unimodal run folders to take encoder and head from; NULL = random initial values.
     * Methods that do not train need both. */
    const char *unimodal[MODALITIES_MAX];
    const struct run_places *places; /* goes to run.json; with a folder */
    bool resume;                     /* go on with an unfinished run */
    bool force;                      /* start over whatever is there */
    int64_t *steps_left;             /* stop when it reaches 0; NULL = no limit. Counted down. */
    const struct log *log;
};

struct run_summary {
    bool was_done; /* finished before this call */
    struct run_state state;
};

/* What a folder holds for who trains there. */
enum trainer_finds { FINDS_NOTHING, FINDS_UNFINISHED, FINDS_FINISHED };

/* What trainer_run would find and begin with, and nothing changed; it fails as that does. *state is
 * where the run that was found stands. Where the initial encoders are still to be trained, what
 * depends on them is left out. With `force` nothing is found. */
NODISCARD enum err_code trainer_look(enum trainer_finds *finds, struct run_state *state,
                                     const struct trainer_options *opt, struct err *e);

/* ERR_EXISTS: an unfinished run is there and !resume. ERR_DATA: a run of other settings or data is
 * there (one line per difference). ERR_STOPPED: stopped on request, resumable. ERR_NONFINITE names
 * epoch, step and clips; the last checkpoint stays. The caller holds the folder's lock. */
NODISCARD enum err_code trainer_run(const struct trainer_options *opt, struct run_summary *out,
                                    struct err *e);

/* ---- in steps of its own, for runs in memory ---- */
struct trainer;
/* opt is borrowed until trainer_close. */
NODISCARD enum err_code trainer_open(struct trainer **t, const struct trainer_options *opt,
                                     struct err *e);
/* To the end of the run. */
NODISCARD enum err_code trainer_train(struct trainer *t, struct err *e);
const struct run_state *trainer_state(const struct trainer *t);
/* With the weights of the last step, or after trainer_use_best those of the best epoch. */
struct network *trainer_network(struct trainer *t);
void trainer_use_best(struct trainer *t);
/* The tables that a folder holds as epochs.csv and ntk.csv (NULL without diag.ntk), of a run in
 * memory; loans. */
const char *trainer_epochs_csv(const struct trainer *t);
const char *trainer_ntk_csv(const struct trainer *t);
void trainer_close(struct trainer *t);

/* What run_state.best_accuracy is: "accuracy", or "R^2" where numbers are predicted. */
const char *trainer_score_name(const struct data *data);

/* What an evaluation counts for selection, by select.metric: larger is better. */
double selection_score(const struct config *c, const struct data *data,
                       const struct evaluation *ev);

/* The text that identifies a run, "key = value" lines: method, seed, data, initial encoders and the
 * settings that the method depends on. Stored as metadata synib.config. Caller frees. */
NODISCARD enum err_code run_identity(char **out, const struct trainer_options *opt, struct err *e);

/* Cuts the next line off such a text: `line` gets the key, *value is in it. ERR_FORMAT. */
NODISCARD enum err_code run_identity_line(const char **text, char *line, size_t size,
                                          const char **value, struct err *e);

/* Compares the identity of the run in dir with what opt would give: ERR_DATA lists the differences.
 * *state is where that run stands. */
NODISCARD enum err_code run_matches(const char *dir, const struct trainer_options *opt,
                                    struct run_state *state, struct err *e);
/* The same as far as it is known before the initial encoders are, and fine where no run is: another
 * run in dir is better known before hours of pretraining than after them. */
NODISCARD enum err_code run_may_match(const char *dir, const struct trainer_options *opt,
                                      struct err *e);

#endif
