/* SPDX-License-Identifier: MIT */
#ifndef PREP_SPLIT_TABLE_H
#define PREP_SPLIT_TABLE_H

#include "common/base/err.h"
#include "common/data/dataset.h"
#include "common/data/tsv.h"

#include <stddef.h>
#include <stdint.h>

/* Split manifests (kind "split", docs/formats/manifests.md): which clip is in which part. The order
 * of rows is part of the data. */

enum part { PART_TRAIN, PART_VAL, PART_TEST, N_PARTS };
extern const char *const part_names[N_PARTS + 1]; /* "train" "val" "test" NULL */

struct split_row {
    char clip[CLIP_NAME_SIZE];
    int32_t actor;
    int32_t label; /* 0..5 */
    enum part part;
};

enum { SCHEME_NAME_SIZE = 16 };
struct split_table {
    struct split_row *row;
    size_t count;
    size_t cap;
    char scheme[SCHEME_NAME_SIZE]; /* "reference", "kfold" or "table" */
    int fold;
    char digest[65]; /* SHA-256 of the manifest it was read from, hex; "" otherwise */
};
void split_table_free(struct split_table *t);
NODISCARD enum err_code split_table_add(struct split_table *t, const struct split_row *row,
                                        struct err *e);

/* Reads and checks a manifest: names that fit, actors and labels that are numbers, known parts, no
 * clip twice, one scheme and fold. */
NODISCARD enum err_code split_table_read(struct split_table *t, const char *path, struct err *e);
/* The same of a table that was read with split_table_columns, which it takes, on failure too. */
NODISCARD enum err_code split_table_take(struct split_table *out, struct tsv *t, struct err *e);
extern const char *const split_table_columns[]; /* NULL-terminated */
NODISCARD enum err_code split_table_write(const struct split_table *t, const char *path, bool force,
                                          struct err *e);

/* The authors' partition `fold` of all 5,820 clips, in their order, from the shipped manifests. */
NODISCARD enum err_code split_table_reference(struct split_table *t, const char *manifests,
                                              int fold, struct err *e);

/* ERR_DATA with one line per actor that is in more than one part: "FILE: actor 1041 in train and
 * test (82 + 11 clips)". *actors counts them (may be NULL). `name` stands for the table. */
NODISCARD enum err_code split_table_check_speakers(const struct split_table *t, const char *name,
                                                   size_t *actors, struct err *e);

struct part_counts {
    size_t clips;
    size_t speakers;
    size_t label[N_EMOTIONS];
};
NODISCARD enum err_code split_table_count(const struct split_table *t,
                                          struct part_counts counts[N_PARTS], struct err *e);

/* What is known of the clips of a corpus: a clips manifest, checked. */
struct corpus_clip {
    char clip[CLIP_NAME_SIZE];
    int32_t actor;
    int32_t label;
    bool rejected;
    const char *reason; /* loan of the table */
};
struct corpus {
    struct tsv *table;
    struct corpus_clip *clip; /* sorted by name; misnamed clips (no actor) are left out */
    size_t count;
    size_t accepted;
    size_t misnamed; /* rows left out: rejected, without an actor */
};
NODISCARD enum err_code corpus_read(struct corpus *c, const char *path, struct err *e);
/* The same of a table that was read with corpus_columns, which it takes, on failure too. */
NODISCARD enum err_code corpus_take(struct corpus *c, struct tsv *t, struct err *e);
extern const char *const corpus_columns[]; /* NULL-terminated */
void corpus_free(struct corpus *c);
/* NULL if absent. */
const struct corpus_clip *corpus_find(const struct corpus *c, const char *clip);

#endif
