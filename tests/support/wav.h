/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_WAV_H
#define TESTS_SUPPORT_WAV_H

#include <stddef.h>
#include <stdint.h>

/* A canonical 44-byte-header PCM WAV in memory. Aborts the test program when out of memory. */
struct wav {
    uint8_t *data;
    size_t len;
};
void wav_make(struct wav *w, uint32_t rate_hz, int channels, const int16_t *pcm, size_t samples);
void wav_free(struct wav *w);

#endif
