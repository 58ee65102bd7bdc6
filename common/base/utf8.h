/* SPDX-License-Identifier: MIT */
#ifndef COMMON_BASE_UTF8_H
#define COMMON_BASE_UTF8_H

#include <stddef.h>

/* Bytes of the UTF-8 character at text[0..left), left > 0; 0 if it is none: overlong forms,
 * surrogates and values past U+10FFFF are refused (RFC 3629). Threads: any. */
size_t utf8_length(const char *text, size_t left);

#endif
