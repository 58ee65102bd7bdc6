/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_TINY_FLV_H
#define TESTS_SUPPORT_TINY_FLV_H

#include "prep/synth_flv.h"

/* A small FLV that decodes: `frames` pictures of w x h (a moving ramp, Sorenson H.263), no sound.
 * Aborts the test program on failure; buffer_free() releases it. */
void moving_flv(struct buffer *out, int w, int h, size_t frames);

#endif
