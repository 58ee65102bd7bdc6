/* SPDX-License-Identifier: MIT */
#include "tests/support/wav.h"

#include "common/base/bytes.h"

#include <stdlib.h>
#include <string.h>

enum { HEADER = 44 };

void wav_make(struct wav *w, uint32_t rate_hz, int channels, const int16_t *pcm, size_t samples)
{
    uint32_t frame = (uint32_t)channels * 2, bytes = (uint32_t)samples * frame;

    w->len = HEADER + bytes;
    w->data = calloc(1, w->len);
    if (w->data == NULL)
        abort();
    memcpy(w->data, "RIFF", 4);
    store_le32(w->data + 4, bytes + HEADER - 8);
    memcpy(w->data + 8, "WAVEfmt ", 8);
    store_le32(w->data + 16, 16);
    store_le16(w->data + 20, 1); /* PCM */
    store_le16(w->data + 22, (uint16_t)channels);
    store_le32(w->data + 24, rate_hz);
    store_le32(w->data + 28, rate_hz * frame);
    store_le16(w->data + 32, (uint16_t)frame);
    store_le16(w->data + 34, 16);
    memcpy(w->data + 36, "data", 4);
    store_le32(w->data + 40, bytes);
    memcpy(w->data + HEADER, pcm, bytes);
}

void wav_free(struct wav *w)
{
    free(w->data);
    *w = (struct wav){0};
}
