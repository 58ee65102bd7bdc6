/* SPDX-License-Identifier: MIT */
#ifndef COMMON_BASE_MEM_H
#define COMMON_BASE_MEM_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* Allocation that refuses overflow. All memory is released with free(). Threads: any. */

/* count * size into *out; false on overflow. */
NODISCARD bool mem_size(size_t count, size_t size, size_t *out);

/* A zeroed array of count elements of `size` bytes in *out (a `T **`). A count of 0 gives a
 * non-NULL pointer. ERR_NOMEM names `what`. */
NODISCARD enum err_code mem_array(void *out, size_t count, size_t size, const char *what,
                                  struct err *e);

/* As mem_array, 64-byte aligned and not zeroed: for tensors. */
NODISCARD enum err_code mem_aligned(void *out, size_t count, size_t size, const char *what,
                                    struct err *e);

/* Grows *array (a `T **`, NULL at first) to hold at least `need` elements; *cap counts elements and
 * at least doubles. New elements are not initialised. On failure the old array stays valid. */
NODISCARD enum err_code mem_grow(void *array, size_t *cap, size_t need, size_t size,
                                 const char *what, struct err *e);

/* A copy of a string. */
NODISCARD enum err_code mem_string(char **out, const char *text, struct err *e);

#endif
