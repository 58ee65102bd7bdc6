/* SPDX-License-Identifier: MIT */
#ifndef COMMON_BASE_TEXT_H
#define COMMON_BASE_TEXT_H

#include <stdio.h>

/* Names, cells, keys and values come from files of any origin and are shown on a terminal: what
 * could steer it, or look like a line of ours, becomes '?'. That are the control characters of
 * ASCII and the second set, U+0080 to U+009F, of which U+009B begins a sequence as ESC [ does.
 * Threads: any. */

/* In place, but for the characters in `keep`, of "\n\t". */
void text_mask_controls(char *text, const char *keep);

/* Prints text as text_mask_controls(text, "") leaves it. */
void text_print(FILE *out, const char *text);

#endif
