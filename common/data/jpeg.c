/* SPDX-License-Identifier: MIT */
#include "common/data/jpeg.h"

#include "common/base/mem.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jerror.h>
#include <jpeglib.h>

enum {
    /* Columns decoded beyond the rectangle on either side. Fancy upsampling of 4:2:0 chroma looks
     * one chroma sample (two pixels) to each side; the rest keeps libjpeg's narrow-row special
     * cases out of the rectangle. */
    MARGIN = 8,
};

/* libjpeg reports by callbacks: an error must not return, a warning counts as one here. */
struct failure {
    struct jpeg_error_mgr manager; /* first: libjpeg hands out its address */
    jmp_buf escape;
    char text[JMSG_LENGTH_MAX];
};

static void on_error(j_common_ptr cinfo)
{
    struct failure *f = (struct failure *)cinfo->err;

    cinfo->err->format_message(cinfo, f->text);
    longjmp(f->escape, 1);
}

static void on_message(j_common_ptr cinfo, int level)
{
    if (level < 0) /* corrupt data */
        on_error(cinfo);
}

static void failure_install(struct failure *f)
{
    jpeg_std_error(&f->manager);
    f->manager.error_exit = on_error;
    f->manager.emit_message = on_message;
}

struct encoder {
    struct jpeg_compress_struct c;
    struct failure failure;
    unsigned char *out;
    unsigned long len;
};

/* Everything that may longjmp, in a frame of its own without variables that must survive. */
static bool encode(struct encoder *enc, const uint8_t *rgb, int w, int h, size_t stride,
                   int quality)
{
    if (setjmp(enc->failure.escape) != 0)
        return false;
    jpeg_create_compress(&enc->c);
    jpeg_mem_dest(&enc->c, &enc->out, &enc->len);
    enc->c.image_width = (JDIMENSION)w;
    enc->c.image_height = (JDIMENSION)h;
    enc->c.input_components = 3;
    enc->c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&enc->c); /* 4:2:0, islow, standard Huffman tables */
    jpeg_set_quality(&enc->c, quality, TRUE);
    jpeg_start_compress(&enc->c, TRUE);
    while (enc->c.next_scanline < enc->c.image_height) {
        /* libjpeg's row type is not const; it only reads. */
        JSAMPROW row = (JSAMPROW)(uintptr_t)(rgb + enc->c.next_scanline * stride);
        jpeg_write_scanlines(&enc->c, &row, 1);
    }
    jpeg_finish_compress(&enc->c);
    return true;
}

enum err_code jpeg_encode_rgb(const uint8_t *rgb, int w, int h, size_t stride, int quality,
                              uint8_t **out, size_t *len, struct err *e)
{
    struct encoder enc = {0};
    bool ok;

    *out = NULL;
    *len = 0;
    if (w < 1 || h < 1 || w > JPEG_MAX_SIDE || h > JPEG_MAX_SIDE)
        return err_set(e, ERR_FORMAT, "JPEG: a picture of %d x %d is outside 1 x 1 to %d x %d", w,
                       h, JPEG_MAX_SIDE, JPEG_MAX_SIDE);
    if (quality < 1 || quality > 100)
        return err_set(e, ERR_USAGE, "JPEG: quality %d is outside 1 to 100", quality);
    enc.c.err = &enc.failure.manager;
    failure_install(&enc.failure);
    ok = encode(&enc, rgb, w, h, stride, quality);
    if (!ok && enc.out != NULL) /* only this tells where a buffer that grew has gone */
        enc.c.dest->term_destination(&enc.c);
    jpeg_destroy_compress(&enc.c);
    if (!ok) {
        free(enc.out);
        return err_set(e, ERR_NOMEM, "JPEG: cannot encode: %s", enc.failure.text);
    }
    *out = enc.out;
    *len = enc.len;
    return ERR_OK;
}

struct jpeg_decoder {
    struct jpeg_decompress_struct d;
    struct failure failure;
    uint8_t *pixels;
    size_t cap;
    /* The decoded columns: at least the rectangle's and the margin. */
    JDIMENSION first_column, columns;
};

static bool decoder_create(struct jpeg_decoder *d)
{
    if (setjmp(d->failure.escape) != 0)
        return false;
    jpeg_create_decompress(&d->d);
    return true;
}

enum err_code jpeg_decoder_new(struct jpeg_decoder **out, struct err *e)
{
    struct jpeg_decoder *d;

    *out = NULL;
    TRY(mem_array(&d, 1, sizeof *d, "JPEG decoder", e));
    d->d.err = &d->failure.manager;
    failure_install(&d->failure);
    if (!decoder_create(d)) {
        (void)err_set(e, ERR_NOMEM, "JPEG: cannot make a decoder: %s", d->failure.text);
        free(d);
        goto out;
    }
    *out = d;
out:
    return e->code;
}

void jpeg_decoder_free(struct jpeg_decoder *d)
{
    if (d == NULL)
        return;
    jpeg_destroy_decompress(&d->d);
    free(d->pixels);
    free(d);
}

/* What libjpeg said when it left. */
static enum err_code refused(const struct jpeg_decoder *d, struct err *e)
{
    bool memory = d->failure.manager.msg_code == JERR_OUT_OF_MEMORY;

    return err_set(e, memory ? ERR_NOMEM : ERR_FORMAT, "JPEG: %s", d->failure.text);
}

/* Reads the header; leaves the decompressor ready to start. */
static bool read_header(struct jpeg_decoder *d, const uint8_t *data, size_t len)
{
    if (setjmp(d->failure.escape) != 0)
        return false;
    jpeg_mem_src(&d->d, data, len);
    jpeg_read_header(&d->d, TRUE);
    return true;
}

static enum err_code open_picture(struct jpeg_decoder *d, const uint8_t *data, size_t len,
                                  struct err *e)
{
    if (len == 0)
        return err_set(e, ERR_FORMAT, "JPEG: empty");
    if (!read_header(d, data, len))
        return refused(d, e);
    if (d->d.image_width > JPEG_MAX_SIDE || d->d.image_height > JPEG_MAX_SIDE)
        return err_set(e, ERR_FORMAT, "JPEG: %u x %u is larger than %d x %d", d->d.image_width,
                       d->d.image_height, JPEG_MAX_SIDE, JPEG_MAX_SIDE);
    /* A few hostile kilobytes of progressive scans can keep a decoder busy for minutes. */
    if (jpeg_has_multiple_scans(&d->d) || d->d.arith_code)
        return err_set(e, ERR_FORMAT,
                       "JPEG: progressive, multi-scan or arithmetic coding: "
                       "only baseline is read");
    return ERR_OK;
}

enum err_code jpeg_decoder_size(struct jpeg_decoder *d, const uint8_t *data, size_t len, int *w,
                                int *h, struct err *e)
{
    enum err_code rc = open_picture(d, data, len, e);

    *w = rc == ERR_OK ? (int)d->d.image_width : 0;
    *h = rc == ERR_OK ? (int)d->d.image_height : 0;
    jpeg_abort_decompress(&d->d);
    return rc;
}

/* Starts decoding of d->columns from d->first_column on; both may grow to block edges. */
static bool start(struct jpeg_decoder *d, J_COLOR_SPACE space)
{
    if (setjmp(d->failure.escape) != 0)
        return false;
    d->d.out_color_space = space;
    jpeg_start_decompress(&d->d);
    if (d->columns < d->d.output_width)
        jpeg_crop_scanline(&d->d, &d->first_column, &d->columns);
    return true;
}

static bool read_rows(struct jpeg_decoder *d, struct jpeg_rect rect, size_t stride)
{
    JDIMENSION wanted = (JDIMENSION)rect.y, end = (JDIMENSION)(rect.y + rect.h);

    if (setjmp(d->failure.escape) != 0)
        return false;
    if (rect.y > 0 && jpeg_skip_scanlines(&d->d, wanted) != wanted)
        ERREXIT(&d->d, JERR_INPUT_EOF);
    while (d->d.output_scanline < end) {
        JSAMPROW row = d->pixels + (d->d.output_scanline - wanted) * stride;
        if (jpeg_read_scanlines(&d->d, &row, 1) != 1)
            ERREXIT(&d->d, JERR_INPUT_EOF);
    }
    if (end == d->d.output_height)
        jpeg_finish_decompress(&d->d);
    return true;
}

static enum err_code decode_rect(struct jpeg_decoder *d, const uint8_t *data, size_t len,
                                 struct jpeg_rect rect, J_COLOR_SPACE space, size_t pixel_bytes,
                                 const uint8_t **out, size_t *stride, struct err *e)
{
    size_t row_bytes;
    int left, right;

    *out = NULL;
    *stride = 0;
    TRY(open_picture(d, data, len, e));
    if (rect.x < 0 || rect.y < 0 || rect.w < 1 || rect.h < 1 ||
        rect.w > (int)d->d.image_width - rect.x || rect.h > (int)d->d.image_height - rect.y) {
        (void)err_set(e, ERR_FORMAT,
                      "JPEG: the rectangle %d x %d at (%d, %d) leaves the %u x %u "
                      "picture",
                      rect.w, rect.h, rect.x, rect.y, d->d.image_width, d->d.image_height);
        goto out;
    }
    left = rect.x > MARGIN ? rect.x - MARGIN : 0;
    right = rect.x + rect.w + MARGIN;
    if (right > (int)d->d.image_width)
        right = (int)d->d.image_width;
    d->first_column = (JDIMENSION)left;
    d->columns = (JDIMENSION)(right - left);
    if (!start(d, space))
        FAIL(refused(d, e));
    row_bytes = d->columns * pixel_bytes;
    TRY(mem_grow(&d->pixels, &d->cap, row_bytes * (size_t)rect.h, 1, "JPEG pixels", e));
    if (!read_rows(d, rect, row_bytes))
        FAIL(refused(d, e));
    *out = d->pixels + ((size_t)rect.x - d->first_column) * pixel_bytes;
    *stride = row_bytes;
out:
    jpeg_abort_decompress(&d->d);
    return e->code;
}

enum err_code jpeg_decoder_rect(struct jpeg_decoder *d, const uint8_t *data, size_t len,
                                struct jpeg_rect rect, const uint8_t **rgb, size_t *stride,
                                struct err *e)
{
    return decode_rect(d, data, len, rect, JCS_RGB, 3, rgb, stride, e);
}

enum err_code jpeg_decoder_rect_rgbx(struct jpeg_decoder *d, const uint8_t *data, size_t len,
                                     struct jpeg_rect rect, const uint8_t **rgbx, size_t *stride,
                                     struct err *e)
{
    return decode_rect(d, data, len, rect, JCS_EXT_RGBX, 4, rgbx, stride, e);
}
