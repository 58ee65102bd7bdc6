/* SPDX-License-Identifier: MIT */
#ifndef COMMON_DATA_DATASET_BASES_H
#define COMMON_DATA_DATASET_BASES_H

#include "common/data/shard.h"

/* Opens the set whose index holds this content digest. Searched in order: every folder of `bases`
 * (NULL-terminated, or NULL), `dir`, the three folders above it; of each the folder itself, then
 * its direct sub-folders by name. `what` ("video") is for messages. ERR_DATA when there is none. */
NODISCARD enum err_code dataset_base_open(struct shard_set **out, const char *what,
                                          const char *digest, const char *dir,
                                          const char *const *bases, struct err *e);

#endif
