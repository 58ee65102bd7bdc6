/* SPDX-License-Identifier: MIT */
#ifndef COMMON_DATA_TENSORFILE_FORMAT_H
#define COMMON_DATA_TENSORFILE_FORMAT_H

#include "common/data/tensorfile.h"

#include <jansson.h>

/* What the container's reader and writer share and nobody else needs: docs/formats/container.md. */

enum {
    TF_VERSION = 1,
    TF_LENGTH_BYTES = 8,
    TF_MIN_HEADER = 2,
    TF_MAX_HEADER = 1 << 20,
    TF_MAX_DEPTH = 3,
    TF_MAX_META = 128,
    TF_MAX_META_KEY = 64,
    TF_MAX_NAME = 127,
    TF_TRAILER_BYTES = 64,
    /* offsets in the trailer */
    TF_AT_VERSION = 8,
    TF_AT_COUNT = 12,
    TF_AT_FILE_LENGTH = 16,
    TF_AT_HEADER_LENGTH = 24,
    TF_AT_HEADER_CRC = 32,
    TF_AT_TABLE_CRC = 36,
    TF_AT_ZERO = 40,
    TF_AT_SELF_CRC = 60,
};

#define TF_MAGIC                                                                     \
    "\x89SIB\r\n\x1a\n" /* 8 bytes; after PNG: catches text-mode and 7-bit transfers \
                         */
#define TF_CRC_NAME "_crc32c"
#define TF_TRAILER_NAME "_trailer"
#define TF_PAD_PREFIX "_pad."
#define TF_META_CONTAINER "synib.container"
#define TF_META_KIND "synib.kind"
#define TF_META_FEATURES "synib.features"

/* Rules for names; see the specification. */
bool tf_name_ok(const char *name);
bool tf_meta_key_ok(const char *key);
/* "shard" or "checkpoint". */
bool tf_kind_ok(const char *kind);
/* Product of the dims times the dtype's size; false on overflow or a dimension below 1. */
NODISCARD bool tf_tensor_bytes(enum dtype dtype, int rank, const int64_t *dim, uint64_t *bytes);

/* The dims as a JSON list; NULL without memory. */
json_t *tf_shape_json(int rank, const int64_t *dim);

/* The compact text of a JSON value; free() it; NULL without memory. json_dumps() is not used,
 * because it drops an object's key when its buffer cannot grow, and says nothing. */
char *tf_json_text(const json_t *value);

/* Zero bytes between `at` and the next multiple of 64. */
static inline uint64_t tf_padding(uint64_t at)
{
    return (TENSORFILE_ALIGN - at % TENSORFILE_ALIGN) % TENSORFILE_ALIGN;
}

#endif
