/* SPDX-License-Identifier: MIT */
#ifndef COMMON_DATA_IMAGE_H
#define COMMON_DATA_IMAGE_H

#include "common/base/err.h"
#include "common/base/rng.h"
#include "common/data/jpeg.h"

#include <stddef.h>
#include <stdint.h>

/* From a JPEG to the network's input: crop, resize, flip, normalise. R section 1.4.
 *
 * Resizing is the antialiased bilinear filter of Pillow (before 13, which may begin with the rows),
 * bit for bit: a triangle of the scale's width, columns first, 22-bit fixed-point weights, rounded
 * to 8 bits after each pass. The authors resize float tensors with the same filter, without the two
 * roundings: values differ by at most about one part in 255. The result does not depend on the CPU.
 */

enum { IMAGE_MAX_SIZE = 1024 };

/* What is taken from the picture: a rectangle, mirrored left to right afterwards if `flip`. */
struct image_crop {
    struct jpeg_rect rect;
    bool flip;
};

/* The reference's training augmentation: torchvision's RandomResizedCrop (area 8 to 100 % of w x h,
 * aspect ratio log-uniform in [3/4, 4/3], ten tries, then the largest centred crop of an allowed
 * ratio) and a flip with probability 1/2. Draws from `r`: per try two doubles and, for the try that
 * fits, two rng_below; then one float. w, h >= 1. */
struct image_crop image_crop_random(struct rng *r, int w, int h);
/* The same with crops of at least `scale_min` of the area, 0 < scale_min <= 1; 0.08 gives the very
 * crops of image_crop_random. */
struct image_crop image_crop_from(struct rng *r, int w, int h, double scale_min);

/* The reference's evaluation: the whole picture, aspect ratio not kept, no flip. */
struct image_crop image_crop_whole(int w, int h);

/* (value / 255 - mean) / std per channel. */
struct image_norm {
    float mean[3], std[3];
};
extern const struct image_norm image_norm_imagenet; /* .485 .456 .406, .229 .224 .225 */

/* Scratch for one thread: decoder, weights, rows. Grows to the largest picture seen and is then
 * used again: no allocation per call beyond libjpeg's own small pool. */
struct image_loader;

/* Pictures become size x size; 1 <= size <= IMAGE_MAX_SIZE. norm is copied. */
NODISCARD enum err_code image_loader_new(struct image_loader **l, int size,
                                         const struct image_norm *norm, struct err *e);
void image_loader_free(struct image_loader *l);

/* Size of a picture without decoding it: what image_crop_random() needs. */
NODISCARD enum err_code image_loader_size(struct image_loader *l, const uint8_t *jpeg, size_t len,
                                          int *w, int *h, struct err *e);

/* Decodes only the crop and writes it, resized, flipped and normalised.
 *
 *   jpeg  [len]                a baseline JPEG                       borrowed
 *   out   [3][size][size]      red, green, blue planes, row-major    caller's, overwritten
 *
 * Errors: ERR_FORMAT for a damaged picture or a rectangle outside of it; out is then undefined. */
NODISCARD enum err_code image_load(struct image_loader *l, const uint8_t *jpeg, size_t len,
                                   const struct image_crop *crop, float *out, struct err *e);

/* The same for a crop of an RGB picture in memory, `stride` bytes per row; crop->rect must lie
 * inside it. For tests and for pictures that are not JPEGs. */
NODISCARD enum err_code image_from_rgb(struct image_loader *l, const uint8_t *rgb, size_t stride,
                                       const struct image_crop *crop, float *out, struct err *e);

#endif
