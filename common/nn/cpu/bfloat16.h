/* SPDX-License-Identifier: MIT */
#ifndef COMMON_NN_CPU_BFLOAT16_H
#define COMMON_NN_CPU_BFLOAT16_H

#include <stdint.h>

/* y[i] = the bfloat16 number (the upper half of a float) nearest to x[i], of two equally near the
 * even one, as torch and the processors' own instructions round; NaN stays NaN, and what is beyond
 * the largest becomes infinite. Does not use those instructions, which flush subnormal numbers. */
void bfloat16_round(int64_t count, const float *x, uint16_t *y);

#endif
