/* SPDX-License-Identifier: MIT */
#ifndef COMMON_NN_PARAM_H
#define COMMON_NN_PARAM_H

#include "common/base/err.h"
#include "common/nn/kernels.h"
#include "common/nn/tensor.h"

#include <stddef.h>
#include <stdint.h>

/* The named numbers of a model: parameters (with gradient and Adam moments), buffers (batch-norm
 * statistics and the like, without) and counters.
 *
 * Modules first declare what they need (params_add, params_buffer, params_counter), then
 * params_build allocates everything: one block each for values, gradients, first and second
 * moments, in order of declaration, every tensor at a multiple of 64 bytes, the gaps zero and kept
 * zero. After that `data` and friends are valid until params_free. Declaring is a constant-size
 * struct per name; pointers to struct param never move.
 *
 * Names are torchvision's behind a prefix: `audio.conv1.weight`, `audio.bn1.running_mean`,
 * `video.layer2.0.downsample.0.weight`, `audio.head.bias`, `fusion.trunk.weight`.
 *
 * Threads: one at a time. */

enum param_kind {
    PARAM_WEIGHT,  /* trained */
    PARAM_BUFFER,  /* float state that no gradient reaches */
    PARAM_COUNTER, /* one int64 in `counter` */
};

enum { PARAM_NAME_SIZE = 96 };

struct param {
    char name[PARAM_NAME_SIZE];
    enum param_kind kind;
    int rank;
    int64_t dim[TENSOR_RANK_MAX];
    int64_t count;   /* elements; 1 for counters */
    bool frozen;     /* optim_step leaves it alone */
    double lr;       /* learning rate of its own, whatever the schedule; 0: the optimiser's */
    float *data;     /* weights and buffers */
    float *grad;     /* weights: overwritten by tape_gradients, added to by tape_backward */
    bool grad_unset; /* weights, inside tape_gradients: grad still holds anything */
    float *m, *v;    /* weights: Adam's moments */
    int64_t steps;   /* weights: and how many of its steps they are from */
    int64_t counter; /* counters */
    float fill;      /* buffers: the value they start with */
    size_t offset;   /* of data in its block, in floats */
};

struct params;

NODISCARD enum err_code params_new(struct params **ps, struct err *e);
void params_free(struct params *ps);

/* Declarations. A name twice, too long a name, or a declaration after params_build is
 * ERR_INTERNAL. The returned *p is a loan until params_free. dim holds `rank` sizes > 0. */
NODISCARD enum err_code params_add(struct params *ps, struct param **p, const char *name, int rank,
                                   const int64_t *dim, struct err *e);
NODISCARD enum err_code params_buffer(struct params *ps, struct param **p, const char *name,
                                      int64_t count, float fill, struct err *e);
NODISCARD enum err_code params_counter(struct params *ps, struct param **p, const char *name,
                                       struct err *e);

/* Allocates; weights, gradients and moments are zero, buffers hold their fill. */
NODISCARD enum err_code params_build(struct params *ps, struct err *e);

/* In order of declaration; index in 0..params_count-1. */
int params_count(const struct params *ps);
struct param *params_at(const struct params *ps, int index);
/* NULL if there is none. */
struct param *params_find(const struct params *ps, const char *name);
/* Elements of all weights (what papers call "parameters") whose name starts with prefix. */
int64_t params_weight_count(const struct params *ps, const char *prefix);

/* How many weights, gradients and moments one block holds, gaps included, and the blocks. */
size_t params_block_count(const struct params *ps);
float *params_value_block(const struct params *ps);
float *params_grad_block(const struct params *ps);
void params_zero_grad(struct params *ps);
/* Sets `frozen` of every weight whose name starts with prefix. */
void params_freeze(struct params *ps, const char *prefix, bool frozen);

/* ERR_NONFINITE naming the first weight whose gradient is not finite. */
NODISCARD enum err_code params_check_gradients(const struct params *ps, struct nn *nn,
                                               struct err *e);
/* The same for the values of weights and buffers. */
NODISCARD enum err_code params_check_values(const struct params *ps, struct nn *nn, struct err *e);

/* A copy of values, buffers, counters, moments and their steps, for "best so far" or a trial step.
 * It belongs to the params it was made from. params_snapshot on an existing *s refills it without
 * allocating. */
struct param_snapshot;
NODISCARD enum err_code params_snapshot(const struct params *ps, struct param_snapshot **s,
                                        struct err *e);
void params_restore(struct params *ps, const struct param_snapshot *s);
void params_snapshot_free(struct param_snapshot *s);

/* ---- initial values (R section 3.1): Philox stream "init:<name>" of seed, so that the value of a
 * weight depends on its name, shape and the seed alone ---- */
void param_init_fill(struct param *p, float value);
void param_init_normal(struct param *p, uint64_t seed, double mean, double std);
void param_init_uniform(struct param *p, uint64_t seed, double low, double high);

#endif
