/* SPDX-License-Identifier: MIT */
#ifndef COMMON_NN_CPU_WINOGRAD_H
#define COMMON_NN_CPU_WINOGRAD_H

#include "common/nn/cpu/cpu.h"

/* Weights for oneDNN's F(4x4, 3x3) Winograd convolution, transformed by us: its own reorder takes
 * longer than the convolution (90 of 130 ms for 512 to 512 channels and 48 images of 7x7), and
 * without one every chunk of the batch would transform them again. */

/* Does a primitive want the transformed weights that winograd_weights writes? */
bool winograd_is_format(const dnnl_memory_desc_t *md);

/* w [oc, ic, 3, 3] plain -> out in the format of md, on nn's team. With `mirror` the weights are
 * those of the backward pass: input and output channels change places and the window is turned by
 * 180 degrees; md then describes weights from oc to ic channels. */
void winograd_weights(struct nn *nn, const dnnl_memory_desc_t *md, const float *w, int64_t oc,
                      int64_t ic, bool mirror, float *out);

#endif
