/* SPDX-License-Identifier: MIT */
#ifndef COMMON_DATA_IMAGE_RESIZE_H
#define COMMON_DATA_IMAGE_RESIZE_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* Pillow's antialiased bilinear resize to a square, bit for bit (its 8-bit path: Resample.c).
 *
 * Output pixel i of `out` from `in` pixels has its centre at (i + 1/2) in / out and a triangle of
 * half width max(in / out, 1); weights are normalised, rounded to 22 fractional bits, and each of
 * the two passes (columns, then rows) rounds to 8 bits.
 *
 * Threads: one resizer per thread. The bits do not depend on the CPU: the arithmetic is integer,
 * and wider vector units only do more of it at once. */
struct resizer;

/* The vector unit that does the work: RESIZE_BEST for use, the others so that a test can compare.
 */
enum resize_unit { RESIZE_BEST, RESIZE_PLAIN, RESIZE_AVX2, RESIZE_AVX512 };

/* The result is size x size. ERR_USAGE if this CPU lacks the unit. */
NODISCARD enum err_code resizer_new(struct resizer **r, int size, enum resize_unit unit,
                                    struct err *e);
void resizer_free(struct resizer *r);

struct resize_source {
    const uint8_t
        *data; /* first pixel; rows of `stride` bytes; borrowed until resizer_begin ends */
    size_t stride;
    int w, h;
    int pixel_bytes; /* 3 (RGB) or 4 (RGBX) */
};

/* Does the first pass; scratch grows to the largest source seen. */
NODISCARD enum err_code resizer_begin(struct resizer *r, const struct resize_source *src,
                                      struct err *e);
/* Row y of the result, RGBX (the fourth byte is undefined), 4 * size bytes; valid until the next
 * call. */
const uint8_t *resizer_row(struct resizer *r, int y);

#endif
