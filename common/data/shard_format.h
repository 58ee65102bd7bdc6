/* SPDX-License-Identifier: MIT */
#ifndef COMMON_DATA_SHARD_FORMAT_H
#define COMMON_DATA_SHARD_FORMAT_H

#include "common/data/shard.h"

#include "common/base/hash.h"
#include "common/base/sha256_message.h"

#include <jansson.h>

/* What the reader and the writer of sets share and nobody else needs: docs/formats/shards.md. */

#define SHARD_INDEX_NAME "index.jsonl"
#define SHARD_CRC_NAME "crc32c"
#define SHARD_OFF_SUFFIX ".off"
#define SHARD_META_FIRST "synib.first"

enum { SHARD_NAME_DIGITS = 12, SHARD_MAX_PREFIX = 64, SHARD_MAX_INDEX = 256 << 20 };

/* One line of the index. */
struct shard_line {
    char *name;
    uint64_t bytes;
    int64_t first, count;
    char sha256[SHA256_HEX_SIZE];
};

/* The index as it is in the file. Zeroed = empty. */
struct shard_index {
    char prefix[SHARD_MAX_PREFIX + 1];
    struct shard_field field[SHARD_MAX_FIELDS];
    int n_fields;
    int64_t samples;
    char content[SHA256_HEX_SIZE];
    json_t *meta; /* object of strings */
    struct shard_line *line;
    size_t count, cap;
};

/* Reads and checks the text of an index; `path` for messages. */
NODISCARD enum err_code shard_index_parse(struct shard_index *x, const char *path, const char *text,
                                          size_t len, struct err *e);
/* Its text in a fresh string. meta is written in strcmp order. */
NODISCARD enum err_code shard_index_text(const struct shard_index *x, char **text, struct err *e);
/* Appends a copy of the line. */
NODISCARD enum err_code shard_index_add(struct shard_index *x, const struct shard_line *line,
                                        struct err *e);
void shard_index_free(struct shard_index *x);

/* ERR_DATA unless the list obeys the specification. */
NODISCARD enum err_code shard_fields_check(const char *path, const struct shard_field *f, int n,
                                           struct err *e);
bool shard_fields_equal(const struct shard_field *a, const struct shard_field *b);
/* True for PREFIX-NNNNN-hhhhhhhhhhhh.safetensors; prefix NULL = any, number -1 = any. */
bool shard_name_ok(const char *name, const char *prefix, int64_t number);

/* ---- digests ---- */
void shard_digest_fields(struct sha256 *h, const struct shard_field *f, int n);
/* A hash that has taken everything before the sample digests; NULL = no memory, which sha256_end
 * reports. */
struct sha256 *shard_content_begin(const struct shard_field *f, int n);
/* What a sample's digest is of: 8 bytes of length and the bytes of each value, which are borrowed.
 */
void shard_sample_message(const struct shard_value *values, int n, struct sha256_message *m);
NODISCARD enum err_code shard_sample_digest(const struct shard_value *values, int n,
                                            uint8_t out[SHA256_SIZE], struct err *e);
/* All that determines the bytes of a shard's file. Borrowed. */
struct shard_contents {
    const char *prefix;
    int64_t first; /* number of its first sample in the set */
    json_t *meta;  /* its provenance: strings */
    const struct shard_field *field;
    int n_fields;
    const uint8_t *digests; /* [count][SHA256_SIZE], of its samples */
    int64_t count;
};
/* The hexadecimal digits in its name, NUL-terminated. `path` for messages. */
NODISCARD enum err_code shard_name_digits(const char *path, const struct shard_contents *c,
                                          char digits[SHARD_NAME_DIGITS + 1], struct err *e);

/* A copy of an object of strings with its keys in strcmp order; NULL without memory. */
json_t *shard_sorted_meta(json_t *meta);

#endif
