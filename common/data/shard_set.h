/* SPDX-License-Identifier: MIT */
#ifndef COMMON_DATA_SHARD_SET_H
#define COMMON_DATA_SHARD_SET_H

#include "common/data/shard_format.h"

/* An opened set, for shard.c and shard_verify.c alone. */

struct shard_part {
    struct tensorfile *file;
    int64_t first, count;
    int blob[SHARD_MAX_FIELDS]; /* tensor of each field's values */
    int off[SHARD_MAX_FIELDS];  /* ragged: tensor of its offsets, verified */
    const uint8_t *crc;         /* [count][fields], verified */
};

struct shard_set {
    char *dir;
    struct shard_index index;
    struct shard_part *part; /* [index.count] */
    int clip_field;          /* -1: none */
};

#endif
