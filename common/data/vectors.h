/* SPDX-License-Identifier: MIT */
#ifndef COMMON_DATA_VECTORS_H
#define COMMON_DATA_VECTORS_H

#include "common/data/shard.h"

/* One split of a dataset of feature vectors, whole in memory: what synib-xor makes and any other
 * program can (docs/formats/vectors.md). A dataset folder holds a set per split, as for irony
 * datasets: DATA/train, DATA/val, DATA/test.
 *
 * A sample has one vector per modality and either a class or a vector of numbers to predict.
 * Synthetic tasks also say which source of information made the label, what each coordinate
 * carries, and which coordinates the oracle mask corrupts. */

enum {
    VECTORS_MODALITIES = 4,
    VECTORS_SOURCES = 8,
    VECTORS_CLASSES = 16,
    VECTORS_NAME_SIZE = 16,
    VECTORS_MAX_DIM = 1 << 20,
};

/* What a coordinate carries, whether or not its source is active in the sample. X sections 2, 3. */
enum block_kind { BLOCK_NOISE, BLOCK_UNIQUE, BLOCK_REDUNDANT, BLOCK_SYNERGISTIC, BLOCK_SPURIOUS };
/* "noise", "unique", ...; NULL for another number. */
const char *block_name(int kind);

struct vector_modality {
    char name[VECTORS_NAME_SIZE];
    int dim;
    float *x;        /* [count, dim], 64-byte aligned */
    uint8_t *block;  /* [count, dim] enum block_kind; NULL = not known */
    uint8_t *oracle; /* [count, dim] 1: the oracle mask corrupts it (Eq. 16); NULL likewise */
};

struct vectors { /* zeroed = empty */
    int64_t count;
    int modalities; /* at least 1 */
    struct vector_modality modality[VECTORS_MODALITIES];
    int classes; /* K >= 2, or 0 where numbers are predicted */
    char class_name[VECTORS_CLASSES][VECTORS_NAME_SIZE];
    int32_t *label; /* [count] 0..K-1; NULL with K = 0 */
    int targets;    /* length of the vector to predict; 0 with classes */
    float *target;  /* [count, targets] */
    int sources;    /* 0 = not known */
    char source_name[VECTORS_SOURCES][VECTORS_NAME_SIZE];
    int32_t *source; /* [count] 0..sources-1 */
    char digest[65]; /* content digest of the set, hex */
};

/* Allocates all arrays of `count` samples for the sizes and names that v already has; `oracle` also
 * those of blocks and masks. Everything but x and targets is zero. */
NODISCARD enum err_code vectors_alloc(struct vectors *v, int64_t count, bool oracle, struct err *e);
void vectors_free(struct vectors *v);

/* The field list of such a set. Returns their number, at most SHARD_MAX_FIELDS. */
int vectors_fields(const struct vectors *v, struct shard_field out[SHARD_MAX_FIELDS]);
/* Value of field f of sample i; a loan of v. */
struct shard_value vectors_value(const struct vectors *v, int64_t i, int f);
/* Fills v->digest as a set that holds these samples has it. */
NODISCARD enum err_code vectors_digest(struct vectors *v, struct err *e);

/* Metadata that describes v besides its fields: call fn for every key. */
NODISCARD enum err_code vectors_meta(const struct vectors *v,
                                     enum err_code (*fn)(void *ctx, const char *key,
                                                         const char *value, struct err *e),
                                     void *ctx, struct err *e);

/* Reads the split DIR/SPLIT, every value verified. ERR_DATA when it is no such set, or a label or
 * source is out of range, or a number is not finite. */
NODISCARD enum err_code vectors_read(struct vectors *v, const char *dir, const char *split,
                                     struct err *e);
/* Value of metadata key "synib.layout" in such sets. */
extern const char vectors_layout[]; /* "vectors" */

#endif
