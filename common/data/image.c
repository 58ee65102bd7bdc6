/* SPDX-License-Identifier: MIT */
#include "common/data/image.h"

#include "common/base/mem.h"
#include "common/data/image_resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct image_norm image_norm_imagenet = {
    .mean = {0.485f, 0.456f, 0.406f},
    .std = {0.229f, 0.224f, 0.225f},
};

enum { TRIES = 10 };
static const double SCALE_MIN = 0.08, SCALE_MAX = 1.0;
static const double RATIO_MIN = 3.0 / 4.0, RATIO_MAX = 4.0 / 3.0;

/* Largest centred crop whose aspect ratio is allowed. */
static struct jpeg_rect centre_crop(int w, int h)
{
    struct jpeg_rect rect = {0, 0, w, h};
    double ratio = (double)w / h;

    if (ratio < RATIO_MIN)
        rect.h = (int)rint(w / RATIO_MIN);
    else if (ratio > RATIO_MAX)
        rect.w = (int)rint(h * RATIO_MAX);
    rect.x = (w - rect.w) / 2;
    rect.y = (h - rect.h) / 2;
    return rect;
}

struct image_crop image_crop_random(struct rng *r, int w, int h)
{
    return image_crop_from(r, w, h, SCALE_MIN);
}

struct image_crop image_crop_from(struct rng *r, int w, int h, double scale_min)
{
    struct image_crop crop = {.rect = centre_crop(w, h)};
    double area = (double)w * h;

    for (int i = 0; i < TRIES; i++) {
        double target = area * (scale_min + (SCALE_MAX - scale_min) * rng_double(r));
        double aspect = exp(log(RATIO_MIN) + (log(RATIO_MAX) - log(RATIO_MIN)) * rng_double(r));
        int cw = (int)rint(sqrt(target * aspect));
        int ch = (int)rint(sqrt(target / aspect));

        if (cw < 1 || ch < 1 || cw > w || ch > h)
            continue;
        crop.rect.w = cw;
        crop.rect.h = ch;
        crop.rect.y = (int)rng_below(r, (uint32_t)(h - ch + 1));
        crop.rect.x = (int)rng_below(r, (uint32_t)(w - cw + 1));
        break;
    }
    crop.flip = rng_float(r) < 0.5f;
    return crop;
}

struct image_crop image_crop_whole(int w, int h)
{
    return (struct image_crop){.rect = {0, 0, w, h}};
}

struct image_loader {
    int size;
    struct jpeg_decoder *decoder;
    struct resizer *resizer;
    float value[3][256]; /* normalised value of each channel's 8-bit level */
};

enum err_code image_loader_new(struct image_loader **out, int size, const struct image_norm *norm,
                               struct err *e)
{
    struct image_loader *l = NULL;

    *out = NULL;
    if (size < 1 || size > IMAGE_MAX_SIZE)
        return err_set(e, ERR_USAGE, "picture size %d is outside 1 to %d", size, IMAGE_MAX_SIZE);
    TRY(mem_array(&l, 1, sizeof *l, "picture loader", e));
    l->size = size;
    TRY(jpeg_decoder_new(&l->decoder, e));
    TRY(resizer_new(&l->resizer, size, RESIZE_BEST, e));
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++)
            l->value[c][v] = ((float)v / 255.0f - norm->mean[c]) / norm->std[c];
    *out = l;
    l = NULL;
out:
    image_loader_free(l);
    return e->code;
}

void image_loader_free(struct image_loader *l)
{
    if (l == NULL)
        return;
    jpeg_decoder_free(l->decoder);
    resizer_free(l->resizer);
    free(l);
}

enum err_code image_loader_size(struct image_loader *l, const uint8_t *jpeg, size_t len, int *w,
                                int *h, struct err *e)
{
    return jpeg_decoder_size(l->decoder, jpeg, len, w, h, e);
}

/* One row of RGBX bytes -> row y of the three planes. */
static void write_row(const struct image_loader *l, const uint8_t *row, int y, bool flip,
                      float *out)
{
    size_t size = (size_t)l->size, plane = size * size;
    float *p = out + (size_t)y * size;

    for (size_t c = 0; c < 3; c++, p += plane) {
        const float *value = l->value[c];
        if (flip)
            for (size_t x = 0; x < size; x++)
                p[x] = value[row[(size - 1 - x) * 4 + c]];
        else
            for (size_t x = 0; x < size; x++)
                p[x] = value[row[x * 4 + c]];
    }
}

static enum err_code resize_and_write(struct image_loader *l, const struct resize_source *src,
                                      bool flip, float *out, struct err *e)
{
    TRY(resizer_begin(l->resizer, src, e));
    for (int y = 0; y < l->size; y++)
        write_row(l, resizer_row(l->resizer, y), y, flip, out);
out:
    return e->code;
}

enum err_code image_load(struct image_loader *l, const uint8_t *jpeg, size_t len,
                         const struct image_crop *crop, float *out, struct err *e)
{
    struct resize_source src = {.w = crop->rect.w, .h = crop->rect.h, .pixel_bytes = 4};

    TRY(jpeg_decoder_rect_rgbx(l->decoder, jpeg, len, crop->rect, &src.data, &src.stride, e));
    TRY(resize_and_write(l, &src, crop->flip, out, e));
out:
    return e->code;
}

enum err_code image_from_rgb(struct image_loader *l, const uint8_t *rgb, size_t stride,
                             const struct image_crop *crop, float *out, struct err *e)
{
    struct resize_source src = {
        .data = rgb + (size_t)crop->rect.y * stride + (size_t)crop->rect.x * 3,
        .stride = stride,
        .w = crop->rect.w,
        .h = crop->rect.h,
        .pixel_bytes = 3,
    };

    return resize_and_write(l, &src, crop->flip, out, e);
}
