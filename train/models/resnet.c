/* SPDX-License-Identifier: MIT */
#include "train/models/resnet.h"

#include <math.h>
#include <stdio.h>

enum { WIDTH_STEP = 16, WIDTH_MAX = 1024 };

int resnet_features(const struct resnet_options *opt)
{
    return 8 * opt->width;
}

/* "prefix.suffix" in `out`, which our prefixes never fill. */
static const char *named(char out[PARAM_NAME_SIZE], const char *prefix, const char *suffix)
{
    snprintf(out, PARAM_NAME_SIZE, "%s.%s", prefix, suffix);
    return out;
}

/* Declares a convolution CONV.weight and its batch norm BN.*. */
static enum err_code layer_declare(struct resnet_layer *layer, struct params *ps, const char *conv,
                                   const char *bn, int in, int out, int kernel, struct err *e)
{
    char name[PARAM_NAME_SIZE];

    TRY(params_add(ps, &layer->conv, named(name, conv, "weight"), 4,
                   (int64_t[]){out, in, kernel, kernel}, e));
    TRY(params_add(ps, &layer->bn.gamma, named(name, bn, "weight"), 1, (int64_t[]){out}, e));
    TRY(params_add(ps, &layer->bn.beta, named(name, bn, "bias"), 1, (int64_t[]){out}, e));
    TRY(params_buffer(ps, &layer->bn.running_mean, named(name, bn, "running_mean"), out, 0, e));
    TRY(params_buffer(ps, &layer->bn.running_var, named(name, bn, "running_var"), out, 1, e));
    TRY(params_counter(ps, &layer->bn.batches, named(name, bn, "num_batches_tracked"), e));
    return ERR_OK;
out:
    return e->code;
}

static enum err_code block_declare(struct resnet_block *b, struct params *ps, const char *name,
                                   int in, int out, int stride, struct err *e)
{
    char conv[PARAM_NAME_SIZE], bn[PARAM_NAME_SIZE];

    b->stride = stride;
    for (int i = 0; i < 2; i++) {
        snprintf(conv, sizeof conv, "%s.conv%d", name, i + 1);
        snprintf(bn, sizeof bn, "%s.bn%d", name, i + 1);
        TRY(layer_declare(&b->conv[i], ps, conv, bn, i == 0 ? in : out, out, 3, e));
    }
    if (stride != 1 || in != out) {
        snprintf(conv, sizeof conv, "%s.downsample.0", name);
        snprintf(bn, sizeof bn, "%s.downsample.1", name);
        TRY(layer_declare(&b->shortcut, ps, conv, bn, in, out, 1, e));
    }
    return ERR_OK;
out:
    return e->code;
}

enum err_code resnet_declare(struct resnet *net, const struct resnet_options *opt,
                             struct params *ps, const char *prefix, struct err *e)
{
    char a[PARAM_NAME_SIZE / 2], b[PARAM_NAME_SIZE / 2];
    int in = opt->width;

    if (opt->width < WIDTH_STEP || opt->width > WIDTH_MAX || opt->width % WIDTH_STEP != 0)
        return err_set(e, ERR_USAGE, "encoder width %d: must be a multiple of %d up to %d",
                       opt->width, WIDTH_STEP, WIDTH_MAX);
    *net = (struct resnet){.opt = *opt};
    snprintf(a, sizeof a, "%s.conv1", prefix);
    snprintf(b, sizeof b, "%s.bn1", prefix);
    TRY(layer_declare(&net->stem, ps, a, b, opt->channels, opt->width, 7, e));
    for (int s = 0; s < RESNET_STAGES; s++) {
        int width = opt->width << s;

        for (int i = 0; i < RESNET_BLOCKS; i++) {
            snprintf(a, sizeof a, "%s.layer%d.%d", prefix, s + 1, i);
            TRY(block_declare(&net->block[s][i], ps, a, in, width, s > 0 && i == 0 ? 2 : 1, e));
            in = width;
        }
    }
    return ERR_OK;
out:
    return e->code;
}

static void layer_init(struct resnet_layer *layer, uint64_t seed)
{
    struct param *w = layer->conv;

    if (w == NULL)
        return;
    /* Kaiming normal, fan out, gain of ReLU: variance 2 / (OC KH KW). */
    param_init_normal(w, seed, 0, sqrt(2.0 / (double)(w->dim[0] * w->dim[2] * w->dim[3])));
    param_init_normal(layer->bn.gamma, seed, 1, 0.02);
    param_init_fill(layer->bn.beta, 0);
}

void resnet_init(struct resnet *net, uint64_t seed)
{
    layer_init(&net->stem, seed);
    for (int s = 0; s < RESNET_STAGES; s++) {
        for (int i = 0; i < RESNET_BLOCKS; i++) {
            layer_init(&net->block[s][i].conv[0], seed);
            layer_init(&net->block[s][i].conv[1], seed);
            layer_init(&net->block[s][i].shortcut, seed);
        }
    }
}

/* Convolution and batch norm; the convolution's result is not needed by anybody else. */
static struct tensor *layer_forward(const struct resnet_layer *layer, struct tape *t,
                                    struct tensor *x, int stride, struct tensor *residual,
                                    bool relu)
{
    int kernel = (int)layer->conv->dim[2];
    struct tensor *c = op_conv2d(t, x, tape_param(t, layer->conv), stride, kernel / 2);
    struct tensor *y = op_batchnorm(t, c, &layer->bn, residual, relu);

    tape_drop(t, c);
    return y;
}

/* Takes x: nobody may use it afterwards. */
static struct tensor *block_forward(const struct resnet_block *b, struct tape *t, struct tensor *x)
{
    struct tensor *h = layer_forward(&b->conv[0], t, x, b->stride, NULL, true);
    struct tensor *shortcut = x;
    struct tensor *y;

    if (b->shortcut.conv != NULL) {
        shortcut = layer_forward(&b->shortcut, t, x, b->stride, NULL, false);
        tape_drop(t, x);
    }
    y = layer_forward(&b->conv[1], t, h, 1, shortcut, true);
    tape_drop(t, h);
    tape_drop(t, shortcut);
    return y;
}

/* Convolution, batch norm, ReLU and max pool. */
static struct tensor *stem_forward(const struct resnet_layer *stem, struct tape *t,
                                   struct tensor *x)
{
    struct tensor *c = op_conv2d(t, x, tape_param(t, stem->conv), 2, 3);
    struct tensor *y = op_batchnorm_maxpool(t, c, &stem->bn, true, 3, 2, 1);

    tape_drop(t, c);
    return y;
}

struct tensor *resnet_forward(const struct resnet *net, struct tape *t, struct tensor *x,
                              int frames)
{
    struct tensor *h = stem_forward(&net->stem, t, x);
    struct tensor *y;

    for (int s = 0; s < RESNET_STAGES; s++) {
        for (int i = 0; i < RESNET_BLOCKS; i++)
            h = block_forward(&net->block[s][i], t, h);
    }
    y = op_meanpool(t, h, frames);
    tape_drop(t, h);
    return y;
}
