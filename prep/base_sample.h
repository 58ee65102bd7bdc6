/* SPDX-License-Identifier: MIT */
#ifndef PREP_BASE_SAMPLE_H
#define PREP_BASE_SAMPLE_H

#include "common/base/err.h"
#include "common/data/fields.h"

#include <stddef.h>
#include <stdint.h>

/* What decoding one clip gives, and its way from the worker process to the tool. */
enum { SAMPLE_MAX_PARTS = FRAMES_PER_CLIP };
struct base_sample {
    uint32_t flags;                 /* enum sample_flag */
    int32_t index[FRAMES_PER_CLIP]; /* frame.index; 0 where there is none */
    void *part[SAMPLE_MAX_PARTS];   /* JPEGs, or one spectrogram */
    size_t part_len[SAMPLE_MAX_PARTS];
};

/* Bytes that `parts` parts of at most part_max bytes need. */
size_t base_sample_room(int parts, size_t part_max);

/* In the worker: the sample as one run of bytes in out[base_sample_room()]. ERR_DATA when a part is
 * larger than part_max. */
NODISCARD enum err_code base_sample_pack(const struct base_sample *s, int parts, size_t part_max,
                                         void *out, size_t *len, struct err *e);
/* In the tool: looks into data[len], 8-byte aligned; the parts are loans of it, 64-byte aligned
 * like data. ERR_FORMAT unless the sizes fit each other and `len` exactly. */
NODISCARD enum err_code base_sample_unpack(struct base_sample *s, int parts, size_t part_max,
                                           void *data, size_t len, struct err *e);

#endif
