/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_MODELS_RESNET_H
#define TRAIN_MODELS_RESNET_H

#include "common/nn/ops.h"

/* ResNet18 without its classifier [HE2016; R section 3.1]: 7x7/2 convolution, batch norm, ReLU,
 * 3x3/2 max pool, four stages of two basic blocks (widths w, 2w, 4w, 8w; strides 1, 2, 2, 2, with
 * 1x1 projections), mean over space and frames. Any input size from 1x1 up. */

enum { RESNET_STAGES = 4, RESNET_BLOCKS = 2 };

struct resnet_options {
    int channels; /* of the input: 1 spectrogram, 3 picture */
    int width;    /* of the first stage, a multiple of 16; the paper's is 64 */
};

struct resnet_layer { /* convolution and its batch norm; conv NULL: absent */
    struct param *conv;
    struct batchnorm bn;
};

struct resnet_block {
    struct resnet_layer conv[2];
    struct resnet_layer shortcut;
    int stride;
};

struct resnet { /* zeroed = empty; owns nothing, its params live in the struct params */
    struct resnet_options opt;
    struct resnet_layer stem;
    struct resnet_block block[RESNET_STAGES][RESNET_BLOCKS];
};

/* Length of the pooled feature vector: 8 * width (512 at the paper's size). */
int resnet_features(const struct resnet_options *opt);

/* Declares weights and buffers as PREFIX.conv1.weight, PREFIX.bn1.weight, ...,
 * PREFIX.layer4.1.bn2.num_batches_tracked in torchvision's order. ERR_USAGE for a bad option. */
NODISCARD enum err_code resnet_declare(struct resnet *net, const struct resnet_options *opt,
                                       struct params *ps, const char *prefix, struct err *e);

/* After params_build: convolutions Kaiming normal (fan out, ReLU), batch-norm weights N(1, 0.02),
 * biases 0 (R section 3.1). */
void resnet_init(struct resnet *net, uint64_t seed);

/* x plain [B * frames, channels, H, W] -> [B, features]. */
struct tensor *resnet_forward(const struct resnet *net, struct tape *t, struct tensor *x,
                              int frames);

#endif
