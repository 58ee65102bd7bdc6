/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_CAPTURE_H
#define TESTS_SUPPORT_CAPTURE_H

/* What `fn` writes to stderr, in 4 KiB at most. */
void capture(char text[4096], void (*fn)(void *ctx), void *ctx);

#endif
