/* SPDX-License-Identifier: MIT */
#include "train/models/mlp.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

static enum err_code layer_declare(struct linear_layer *l, struct params *ps, const char *name,
                                   int in, int out, struct err *e)
{
    char full[PARAM_NAME_SIZE + 8]; /* too long a name is params_add's to refuse */

    snprintf(full, sizeof full, "%s.weight", name);
    TRY(params_add(ps, &l->weight, full, 2, (int64_t[]){out, in}, e));
    snprintf(full, sizeof full, "%s.bias", name);
    TRY(params_add(ps, &l->bias, full, 1, (int64_t[]){out}, e));
out:
    return e->code;
}

enum err_code mlp_declare(struct mlp *m, struct params *ps, const char *name, int in,
                          struct mlp_shape hidden, int out, struct err *e)
{
    char full[PARAM_NAME_SIZE];
    int layers = hidden.depth + (out > 0);

    assert(hidden.depth >= 0 && hidden.depth <= MLP_HIDDEN_MAX && layers > 0);
    m->layers = layers;
    for (int i = 0; i < layers; i++) {
        int units = i < hidden.depth ? hidden.width : out;

        if (layers > 1)
            snprintf(full, sizeof full, "%s.%d", name, i);
        else
            snprintf(full, sizeof full, "%s", name);
        TRY(layer_declare(&m->layer[i], ps, full, in, units, e));
        in = units;
    }
out:
    return e->code;
}

void mlp_init(struct mlp *m, uint64_t seed)
{
    for (int i = 0; i < m->layers; i++) {
        struct linear_layer *l = &m->layer[i];
        double bound = 1 / sqrt((double)l->weight->dim[1]);

        param_init_uniform(l->weight, seed, -bound, bound);
        param_init_uniform(l->bias, seed, -bound, bound);
    }
}

static struct tensor *layer_forward(const struct linear_layer *l, struct tape *t, struct tensor *x)
{
    return op_linear(t, x, tape_param(t, l->weight), tape_param(t, l->bias));
}

struct tensor *mlp_forward(const struct mlp *m, struct tape *t, struct tensor *x)
{
    for (int i = 0; i < m->layers; i++) {
        x = layer_forward(&m->layer[i], t, x);
        if (i + 1 < m->layers)
            x = op_relu(t, x);
    }
    return x;
}

struct tensor *mlp_features(const struct mlp *m, struct tape *t, struct tensor *x, float dropout,
                            const struct noise_key *key)
{
    for (int i = 0; i < m->layers; i++) {
        x = op_relu(t, layer_forward(&m->layer[i], t, x));
        if (i == 0)
            x = op_dropout(t, x, dropout, key);
    }
    return x;
}
