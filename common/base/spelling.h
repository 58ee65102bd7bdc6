/* SPDX-License-Identifier: MIT */
#ifndef COMMON_BASE_SPELLING_H
#define COMMON_BASE_SPELLING_H

#include <stddef.h>

/* Letters to change, add or leave out to turn a into b (Levenshtein), to find what a mistyped word
 * meant. SIZE_MAX where that cannot be a slip of the fingers: lengths differ by more than two, or
 * one is longer than 63 bytes. */
size_t spelling_distance(const char *a, const char *b);

#endif
