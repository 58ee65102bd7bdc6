/* SPDX-License-Identifier: MIT */
#include "common/nn/cpu/transpose.h"

typedef float eight __attribute__((vector_size(32), aligned(4), may_alias));

/* Interleaves the halves of pairs of rows three times. */
void transpose8(const float *from, int64_t ld_from, float *to, int64_t ld_to)
{
    eight r[8], s[8];

    for (int i = 0; i < 8; i++)
        r[i] = *(const eight *)(from + i * ld_from);
    for (int i = 0; i < 8; i += 2) {
        s[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
        s[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; j++) {
            eight a = s[i + j], b = s[i + j + 2];
            r[i + j] = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13);
            r[i + j + 2] = __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
        }
    for (int i = 0; i < 4; i++) {
        *(eight *)(to + i * ld_to) =
            __builtin_shufflevector(r[i], r[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        *(eight *)(to + (i + 4) * ld_to) =
            __builtin_shufflevector(r[i], r[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}
