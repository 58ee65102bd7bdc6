/* SPDX-License-Identifier: MIT */
#ifndef COMMON_NN_CPU_TRANSPOSE_H
#define COMMON_NN_CPU_TRANSPOSE_H

#include <stdint.h>

/* to [8][ld_to] = the transposed of from [8][ld_from]; neither need be aligned, no overlap. */
void transpose8(const float *from, int64_t ld_from, float *to, int64_t ld_to);

#endif
