/* SPDX-License-Identifier: MIT */
#include "tests/support/tiny_flv.h"

#include <stdlib.h>
#include <string.h>

static void check(enum err_code rc)
{
    if (rc != ERR_OK)
        abort();
}

void moving_flv(struct buffer *out, int w, int h, size_t frames)
{
    struct video_options opt = {.width = w, .height = h, .quantiser = 3};
    struct video_encoder *v;
    struct packets packets = {0};
    struct flv_content content = {.width = w, .height = h, .video = &packets};
    size_t luma = (size_t)w * (size_t)h, chroma = (size_t)(w / 2) * (size_t)(h / 2);
    uint8_t *y = malloc(luma), *c = malloc(chroma);
    struct err e = {0};

    if (y == NULL || c == NULL)
        abort();
    memset(c, 100, chroma);
    *out = (struct buffer){0};
    check(video_encoder_open(&v, &opt, &e));
    for (size_t f = 0; f < frames; f++) {
        for (size_t i = 0; i < luma; i++)
            y[i] = (uint8_t)(16 + (i % (size_t)w * 3 + i / (size_t)w + 5 * f) % 220);
        check(video_encoder_add(v, y, c, c, &packets, &e));
    }
    video_encoder_close(v);
    content.video_count = frames;
    content.seconds = (double)frames / 29.97;
    check(flv_write(out, &content, &e));
    packets_free(&packets);
    free(y);
    free(c);
}
