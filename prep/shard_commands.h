/* SPDX-License-Identifier: MIT */
#ifndef PREP_SHARD_COMMANDS_H
#define PREP_SHARD_COMMANDS_H

#include "prep/shard.h"
#include "prep/shard_view.h"

#include <jansson.h>

/* The commands of synib-shard, one file each. Reports go to opt->out, as text or with --json as one
 * JSON object. Errors: see inspect_run. */

NODISCARD enum err_code inspect_ls(const struct inspect_options *opt, struct err *e);
NODISCARD enum err_code inspect_dump(const struct inspect_options *opt, struct err *e);
NODISCARD enum err_code inspect_verify(const struct inspect_options *opt, struct err *e);
NODISCARD enum err_code inspect_stat(const struct inspect_options *opt, struct err *e);
NODISCARD enum err_code inspect_diff(const struct inspect_options *opt, struct err *e);
NODISCARD enum err_code inspect_export(const struct inspect_options *opt, struct err *e);
NODISCARD enum err_code inspect_contact_sheet(const struct inspect_options *opt, struct err *e);

/* stat of one set of vectors: its report, or with --json an object appended to `list`. ERR_DATA for
 * a set that has no labels, sources or vectors to count. */
NODISCARD enum err_code inspect_stat_vectors(const struct inspect_options *opt,
                                             const struct target *t, const struct view *v,
                                             json_t *list, struct err *e);

/* Writes the object and a line end, and drops it; NULL is an ERR_NOMEM. */
NODISCARD enum err_code inspect_json(FILE *out, json_t *object, struct err *e);

/* Smallest, mean and largest of a tensor's numbers, and how many are not finite (left out). Doubles
 * round large I64; least and most, of whole numbers only, are exact. */
struct number_summary {
    double min, mean, max;
    int64_t least, most;
    uint64_t count, not_finite; /* no count: no min, mean and max */
};
struct number_summary summarise(enum dtype dtype, const void *data, size_t bytes);

#endif
