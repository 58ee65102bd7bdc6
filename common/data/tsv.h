/* SPDX-License-Identifier: MIT */
#ifndef COMMON_DATA_TSV_H
#define COMMON_DATA_TSV_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* Manifests: strict tab-separated tables (docs/formats/manifests.md).
 *
 *   line 1   #synib-<kind> 1
 *   line 2   column names, tab-separated
 *   then     one row per line, as many cells as columns
 *
 * UTF-8, LF line ends, no quoting, no control characters, every line ends in LF. A fault names file
 * and line; up to 20 faults are collected (ERR_DATA). Columns are found by name, so a reader
 * ignores columns it does not know. Threads: a table is read-only after tsv_read. */
struct tsv;

/* Reads a manifest of the given kind ("clips", "split", ...). `columns`: NULL-terminated names that
 * must be there; NULL = any. */
NODISCARD enum err_code tsv_read(struct tsv **t, const char *path, const char *kind,
                                 const char *const *columns, struct err *e);
/* The same from memory; `name` stands for the path in messages. data is copied. */
NODISCARD enum err_code tsv_parse(struct tsv **t, const char *name, const char *kind,
                                  const char *const *columns, const void *data, size_t len,
                                  struct err *e);
void tsv_free(struct tsv *t);

const char *tsv_name(const struct tsv *t);
size_t tsv_rows(const struct tsv *t);
/* Index of a column, -1 if absent. */
int tsv_column(const struct tsv *t, const char *name);
/* A cell; a loan until tsv_free. Out of range is our bug (assert). */
const char *tsv_cell(const struct tsv *t, size_t row, int column);
/* Line number of a row, for messages. */
size_t tsv_line(const struct tsv *t, size_t row);
/* SHA-256 of the file's bytes, hex; for provenance. */
const char *tsv_digest(const struct tsv *t);

/* True when `text` may stand in a cell (UTF-8, no control characters). */
bool tsv_cell_ok(const char *text);

#endif
