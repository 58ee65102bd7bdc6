/* SPDX-License-Identifier: MIT */
#ifndef BENCH_LIB_RESNET18_H
#define BENCH_LIB_RESNET18_H

#include "common/nn/kernels.h"

#include <stdbool.h>

enum { RESNET18_LAYERS = 16 };

struct conv_layer {
    const char *name;
    int times; /* how often ResNet18 has it */
    struct conv_shape shape;
};

/* The different convolutions of the paper's video trunk (3x224x224) or audio trunk (1x257x188) for
 * n images; their number is returned. */
int resnet18(struct conv_layer l[RESNET18_LAYERS], int64_t n, bool audio);

/* Operations of one pass of a direct convolution, two per multiply-add. */
double conv_flop(const struct conv_shape *s);

/* Of all convolutions in a training step: forward, weights and, but for the first layer, input. */
double resnet18_flop(int64_t n, bool audio);

#endif
