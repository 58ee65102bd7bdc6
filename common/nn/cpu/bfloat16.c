/* SPDX-License-Identifier: MIT */
#include "common/nn/cpu/bfloat16.h"

#include <string.h>

/* The bits of a float, rounded by adding what carries into the upper half; the carry may run into
 * the exponent, which is right. A NaN would overflow and only gets a bit that survives. */
static uint16_t round_bits(uint32_t bits)
{
    uint32_t nearest = bits + 0x7fff + (bits >> 16 & 1);
    uint32_t quiet = bits | 0x400000;

    return (uint16_t)(((bits & 0x7fffffff) > 0x7f800000 ? quiet : nearest) >> 16);
}

void bfloat16_round(int64_t count, const float *restrict x, uint16_t *restrict y)
{
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        y[i] = round_bits(bits);
    }
}
