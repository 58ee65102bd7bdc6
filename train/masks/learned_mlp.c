/* SPDX-License-Identifier: MIT */
#include "train/masks/adversary.h"

#include <math.h>
#include <stdio.h>

/* App. D: logits by a small network per modality, one hidden layer of mask.net_width, trained along
 * with the model on the objective of Eq. 5 with gates drawn by the Gumbel-softmax relaxation:
 *
 *     gate = sigmoid((logit + g1 - g2) / mask.temperature),  g1, g2 Gumbel
 *
 * The difference of two Gumbel numbers is logistic: log u - log(1 - u). No gradient of this
 * objective reaches the model, and none of the model's the network: its input, the predictor and
 * the mask of the masked pass are constants. */

static void net_name(const struct model *m, int which, char out[PARAM_NAME_SIZE])
{
    snprintf(out, PARAM_NAME_SIZE, "mask.%s", model_opt(m)->modality[which].name);
}

static enum err_code mlp_net_declare(const struct config *c, const struct model *m,
                                     struct params *ps, struct err *e)
{
    struct mlp_shape hidden = {1, (int)c->mask_width};
    char name[PARAM_NAME_SIZE];

    for (int i = 0; i < model_opt(m)->modalities; i++) {
        int width = (int)mask_width(c, m, i);
        struct mlp net = {0};

        net_name(m, i, name);
        TRY(mlp_declare(&net, ps, name, width, hidden, width, e));
        for (int l = 0; l < net.layers; l++)
            net.layer[l].weight->lr = net.layer[l].bias->lr = c->mask_net_lr;
    }
out:
    return e->code;
}

/* The network's layers, found again by their names. */
static struct mlp find_net(const struct model *m, struct params *ps, int which)
{
    char name[PARAM_NAME_SIZE], full[PARAM_NAME_SIZE + 32];
    struct mlp net = {.layers = 2};

    net_name(m, which, name);
    for (int l = 0; l < net.layers; l++) {
        snprintf(full, sizeof full, "%s.%d.weight", name, l);
        net.layer[l].weight = params_find(ps, full);
        snprintf(full, sizeof full, "%s.%d.bias", name, l);
        net.layer[l].bias = params_find(ps, full);
    }
    return net;
}

static void mlp_net_init(const struct config *c, const struct model *m, struct params *ps,
                         uint64_t seed)
{
    (void)c;
    for (int i = 0; i < model_opt(m)->modalities; i++) {
        struct mlp net = find_net(m, ps, i);

        mlp_init(&net, seed);
    }
}

/* Logistic noise for the gates, tape memory. */
static struct tensor *logistic_noise(const struct method_step *s, const struct mask_site *site)
{
    struct tensor *x = tape_scratch(s->tape, 2, (int64_t[]){s->batch->n, site->width});
    struct noise_key key = step_key_of(s, "mask.gumbel.", site->which);

    if (x == NULL || k_random_uniform(s->nn, &key, 0, s->batch->n, site->width, x->data,
                                      tape_err(s->tape)) != ERR_OK)
        return NULL;
    for (int64_t i = 0; i < s->batch->n * site->width; i++) {
        double u = (double)x->data[i] + 0x1p-25; /* in (0, 1) */

        x->data[i] = (float)(log(u) - log(1 - u));
    }
    return x;
}

static void mlp_net_make(const struct method_step *s, const struct mask_site *site, float *mask,
                         struct loss_sum *sum, struct step_report *report)
{
    const struct config *c = s->config;
    struct mlp net = find_net(s->model, s->params, site->which);
    struct tensor *x = op_detach(s->tape, site->x), *noise = logistic_noise(s, site);
    struct tensor *logits = mlp_forward(&net, s->tape, x), *gate, *fill, *mixed, *nll;

    gate = op_sigmoid(s->tape, op_add(s->tape, logits, noise), (float)(1 / c->temperature));
    fill = tape_scratch(s->tape, 2, (int64_t[]){s->batch->n, site->width});
    if (gate == NULL || fill == NULL)
        return;
    fill_make(s, site, (enum fill_kind)c->fill, 1, fill->data);
    mixed = op_mix(s->tape, x, gate, fill);
    nll = s->objective->nll(s->tape, adversary_predict(s, s->tape, site, mixed), &s->batch->aim);
    nll = op_weighted_sum(s->tape, 2, (struct tensor *[]){nll, op_mean(s->tape, gate)},
                          (double[]){-1, c->sparsity});
    report_add(report, VALUE_MASK_LOSS, nll);
    loss_add(s, sum, nll, 1);
    if (!tape_failed(s->tape))
        gates_to_mask(c, s->batch->n * site->width, gate->data, mask);
}

const struct mask mask_learned_mlp = {
    .declare = mlp_net_declare,
    .init = mlp_net_init,
    .make = mlp_net_make,
};
