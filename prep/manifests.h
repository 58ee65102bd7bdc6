/* SPDX-License-Identifier: MIT */
#ifndef PREP_MANIFESTS_H
#define PREP_MANIFESTS_H

#include "common/base/err.h"
#include "common/data/tsv.h"

#include <stdint.h>

/* Where the facts that ship with the toolkit are: manifests/README.md. */

/* The folder: `given` (--manifests) if not NULL, else $SYNIB_MANIFESTS, else ../../manifests or
 * ../share/synib/manifests beside the running program. *dir is the caller's. ERR_IO when there is
 * none. */
NODISCARD enum err_code manifests_find(char **dir, const char *given, struct err *e);

/* Reads `file` of that folder. */
NODISCARD enum err_code manifests_read(struct tsv **t, const char *given, const char *file,
                                       const char *kind, const char *const *columns, struct err *e);

/* Seed that the authors tie to a reference fold: fold-seeds.tsv. ERR_USAGE for another fold. */
NODISCARD enum err_code manifests_fold_seed(uint64_t *seed, const char *given, int fold,
                                            struct err *e);

/* Rows of one table, found by the text of a key column; points into the table, which must outlive
 * it. Threads: read-only once made. */
struct tsv_index {
    const struct tsv *table;
    int column;
    size_t *row; /* sorted by key, then by row */
    size_t count;
};
NODISCARD enum err_code tsv_index_init(struct tsv_index *x, const struct tsv *t, const char *column,
                                       struct err *e);
void tsv_index_free(struct tsv_index *x);
/* First position in x->row of `key`, and how many rows have it (0: absent). */
size_t tsv_index_find(const struct tsv_index *x, const char *key, size_t *first);
/* ERR_DATA naming both lines when a key stands twice. */
NODISCARD enum err_code tsv_index_unique(const struct tsv_index *x, struct err *e);

#endif
