/* SPDX-License-Identifier: MIT */
#ifndef COMMON_BASE_SHA256_PAIR_H
#define COMMON_BASE_SHA256_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SHA-256's compression (FIPS 180-4, 6.2.2) of two independent messages at once: the processor's
 * SHA instructions wait for one another within a message, so that two take hardly longer than one.
 *
 *   a, b   the chaining values, updated
 *   p, q   n whole blocks of 64 bytes each, any alignment, borrowed
 *
 * False, and nothing done, where the processor lacks the instructions. Threads: any. Only
 * common/base/hash.c uses it. */
bool sha256_blocks_pair(uint32_t a[8], const uint8_t *p, uint32_t b[8], const uint8_t *q, size_t n);

#endif
