/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_MODELS_MLP_H
#define TRAIN_MODELS_MLP_H

#include "common/nn/ops.h"

/* Linear layers with ReLU between them: encoders of feature vectors, heads, the fusion trunk.
 * Initial values are torch.nn.Linear's default: weights and biases uniform in +-1 / sqrt(fan in).
 */

enum { MLP_HIDDEN_MAX = 4, MLP_LAYERS_MAX = MLP_HIDDEN_MAX + 1 };

struct linear_layer {
    struct param *weight; /* [out, in] */
    struct param *bias;   /* [out] */
};

struct mlp { /* zeroed = absent; owns nothing, its params live in the struct params */
    int layers;
    struct linear_layer layer[MLP_LAYERS_MAX];
};

/* `depth` hidden layers of `width` units. */
struct mlp_shape {
    int depth, width;
};

/* Declares in -> width -> ... -> width -> out; out 0: without the last layer. A single layer is
 * named NAME.weight and NAME.bias, several NAME.0.weight, NAME.0.bias, NAME.1.weight, ... */
NODISCARD enum err_code mlp_declare(struct mlp *m, struct params *ps, const char *name, int in,
                                    struct mlp_shape hidden, int out, struct err *e);
/* After params_build. */
void mlp_init(struct mlp *m, uint64_t seed);

/* x [B, in] -> [B, out], ReLU after every layer but the last. */
struct tensor *mlp_forward(const struct mlp *m, struct tape *t, struct tensor *x);
/* The same with ReLU after the last layer too, and with dropout after the first ReLU. `key` may be
 * NULL outside training. */
struct tensor *mlp_features(const struct mlp *m, struct tape *t, struct tensor *x, float dropout,
                            const struct noise_key *key);

#endif
