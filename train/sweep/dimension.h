/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_SWEEP_DIMENSION_H
#define TRAIN_SWEEP_DIMENSION_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* One setting of a search (docs/formats/sweep.md): a value, a list of values to try all of, or a
 * distribution to draw from. Threads: read-only once read. */

enum dimension_kind { DIM_VALUE, DIM_GRID, DIM_CHOICE, DIM_UNIFORM, DIM_LOG_UNIFORM, DIM_INTEGER };

struct dimension {
    enum dimension_kind kind;
    char *key;          /* storage of the word, cut */
    size_t values;      /* of the first three kinds */
    const char **value; /* [values] */
    double low, high;   /* of the others; both can be drawn */
};

/* Reads "key=0.5", "key={a,b,c}", "key=choice(a,b,c)", "key=uniform(a,b)", "key=log-uniform(a,b)"
 * or "key=integer(a,b)". ERR_DATA. Free on failure too. */
NODISCARD enum err_code dimension_read(struct dimension *d, const char *word, struct err *e);
void dimension_free(struct dimension *d);

bool dimension_is_random(const struct dimension *d);

enum { DIMENSION_TEXT = 32 };
/* The quantile u of a random dimension, 0 <= u <= 1, in `buffer` or a loan of d: numbers of at most
 * four significant digits unless they are whole, and never outside [low, high]. */
const char *dimension_at(const struct dimension *d, double u, char buffer[DIMENSION_TEXT]);
/* What draw number `draw` gives: the same for a key in every row of a search, so that methods and
 * folds are compared at the same values. */
const char *dimension_draw(const struct dimension *d, uint64_t seed, uint32_t draw,
                           char buffer[DIMENSION_TEXT]);

/* Values that must be good ones for all others to be: all of a list, or both ends. */
size_t dimension_probes(const struct dimension *d);
const char *dimension_probe(const struct dimension *d, size_t i, char buffer[DIMENSION_TEXT]);

#endif
