/* SPDX-License-Identifier: MIT */
#ifndef COMMON_DATA_JSON_H
#define COMMON_DATA_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Parses one JSON value; a key that stands twice in an object is a fault. NULL: *why says what is
 * wrong, or *no_memory is true (jansson calls that a syntax error). Caller decrefs. */
json_t *json_parse(const char *text, size_t len, json_error_t *why, bool *no_memory);

/* A JSON string. NULL: not UTF-8, or *no_memory is true. Caller decrefs. */
json_t *json_text(const char *value, bool *no_memory);

#endif
