/* SPDX-License-Identifier: MIT */
#ifndef COMMON_BASE_SPELLING_H
#define COMMON_BASE_SPELLING_H

#include <stddef.h>

/* More slips of the fingers than these make another word. */
enum { SPELLING_SLIPS = 2 };

/* Letters to change, add or leave out to turn a into b (Levenshtein), to find what a mistyped word
 * meant; SIZE_MAX where they are more than SPELLING_SLIPS, or a word is longer than 63 bytes. */
size_t spelling_distance(const char *a, const char *b);

#endif
