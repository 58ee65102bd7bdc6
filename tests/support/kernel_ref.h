/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_KERNEL_REF_H
#define TESTS_SUPPORT_KERNEL_REF_H

#include "common/nn/kernels.h"

#include <stdint.h>

/* Naive double references of the kernels, written from the definitions, over plain [N, C, H, W]
 * arrays, and what kernel tests share. Memory comes from ref_* and ends with free(). */

/* 64-byte aligned, zeroed; fails the test when there is no memory. */
float *ref_floats(int64_t count);
/* The same, uniform in [-1, 1), a function of seed and index. */
float *ref_random(int64_t count, uint64_t seed);

/* A blocked copy of plain and back; block 16 or 8. */
float *ref_blocked(const float *plain, int64_t n, int64_t c, int64_t pixels, int block);
float *ref_plain(const float *blocked, int64_t n, int64_t c, int64_t pixels, int block);

/* Largest |got - want| over largest |want| (at least 1e-30). NaN if any difference is NaN. */
double ref_error(const float *got, const double *want, int64_t count);

double *ref_conv_forward(const struct conv_shape *s, const float *x, const float *w);
double *ref_conv_data(const struct conv_shape *s, const float *dy, const float *w);
double *ref_conv_weights(const struct conv_shape *s, const float *x, const float *dy);

/* A struct nn, failing the test if there is none. */
struct nn *ref_nn(int threads);

#endif
