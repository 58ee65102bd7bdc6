/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_NETWORK_H
#define TRAIN_NETWORK_H

#include "train/methods/method.h"

/* A method's model with all it runs on: kernels, tapes, params. Zeroed = empty. */
struct network {
    const struct method *method;
    const struct objective *objective;
    struct config config;
    uint64_t seed;
    int readout_width;
    struct nn *nn;
    struct tape *tape, *inner;
    struct params *params;
    struct model *model;
    float *spare[METHOD_SPARES_MAX]; /* gradient blocks for method->gradients */
};

/* Whether method and settings are for such data: ERR_USAGE when they are for another kind, ERR_DATA
 * when the data lack what they need. */
NODISCARD enum err_code network_fits(const struct method *method, const struct config *config,
                                     const struct data_traits *data, struct err *e);

/* Builds the model of `method` for data like `data`, with initial values from `seed`, on a team of
 * `threads`. Errors of network_fits. */
NODISCARD enum err_code network_init(struct network *net, const struct method *method,
                                     const struct config *config, uint64_t seed,
                                     const struct data *data, int threads, struct err *e);
void network_free(struct network *net);

/* Bytes of activations, gradients and the like that passes have used so far. */
size_t network_activations(const struct network *net);

/* Encodes a batch on the tape (begun by the caller) and fills the step that the method's functions
 * take. `step`, `epoch`: those done before this one. The batch is borrowed until the pass is over.
 */
struct method_step network_encode(const struct network *net, const struct batch *b, uint32_t step,
                                  int64_t epoch);

/* What training depends on and the settings name differently for the two stages (R section 3.6). */
struct stage {
    double lr, weight_decay;
    int64_t batch, epochs, patience;
};
struct stage method_stage(const struct method *method, const struct config *config);

/* Whether some steps also measure the tangent kernel. */
bool method_measures_ntk(const struct method *method, const struct config *config);

/* Whether the training split is also read whole, in order: evaluated after every epoch, or looked
 * at when the method alters weights. */
bool method_measures_train(const struct method *method, const struct config *config);
bool method_reads_train_again(const struct method *method, const struct config *config);

/* Options of a loader that feeds this method. */
struct loader_options method_loader(const struct method *method, const struct config *config,
                                    const struct data *data, bool training, uint64_t seed,
                                    int threads);

#endif
