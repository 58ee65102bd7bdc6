/* SPDX-License-Identifier: MIT */
#ifndef COMMON_DATA_JPEG_H
#define COMMON_DATA_JPEG_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* JPEG through libjpeg-turbo's libjpeg API. No libjpeg type shows here. Hostile input ends in an
 * error. Threads: one object per thread. */

enum { JPEG_MAX_SIDE = 4096 };

/* ---- encoding ---- */
/* rgb [h][w][3] at `stride` bytes per row -> a baseline JPEG, 4:2:0, integer DCT "islow", `quality`
 * 1..100, no metadata. *out (malloc) is the caller's. */
NODISCARD enum err_code jpeg_encode_rgb(const uint8_t *rgb, int w, int h, size_t stride,
                                        int quality, uint8_t **out, size_t *len, struct err *e);

/* ---- decoding ---- */
struct jpeg_decoder;
NODISCARD enum err_code jpeg_decoder_new(struct jpeg_decoder **d, struct err *e);
void jpeg_decoder_free(struct jpeg_decoder *d);

/* Size of a picture without decoding it. */
NODISCARD enum err_code jpeg_decoder_size(struct jpeg_decoder *d, const uint8_t *data, size_t len,
                                          int *w, int *h, struct err *e);

/* A rectangle of the picture, in pixels; inside the picture, w and h >= 1. */
struct jpeg_rect {
    int x, y, w, h;
};

/* Decodes only what `rect` needs (jpeg_crop_scanline, jpeg_skip_scanlines). *rgb: rows of the
 * rectangle, [rect.h][*stride], whose first pixel is the rectangle's; owned by d, valid until its
 * next call. The pixels equal those of a full decode of the same picture, except that libjpeg's
 * upsampling ignores neighbours outside the decoded columns at the outermost 2 columns; a margin is
 * decoded to avoid that, so they are equal. A warning of libjpeg (corrupt data) is an ERR_FORMAT;
 * damage below the rectangle is not looked at. Only baseline files are read. */
NODISCARD enum err_code jpeg_decoder_rect(struct jpeg_decoder *d, const uint8_t *data, size_t len,
                                          struct jpeg_rect rect, const uint8_t **rgb,
                                          size_t *stride, struct err *e);
/* The same with four bytes per pixel; the fourth is undefined. For code that works on whole words.
 */
NODISCARD enum err_code jpeg_decoder_rect_rgbx(struct jpeg_decoder *d, const uint8_t *data,
                                               size_t len, struct jpeg_rect rect,
                                               const uint8_t **rgbx, size_t *stride, struct err *e);

#endif
