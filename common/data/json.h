/* SPDX-License-Identifier: MIT */
#ifndef COMMON_DATA_JSON_H
#define COMMON_DATA_JSON_H

#include "common/base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Parses one JSON value; a key that stands twice in an object is a fault. NULL: *why says what is
 * wrong, or *no_memory is true (jansson calls that a syntax error). Caller decrefs. */
json_t *json_parse(const char *text, size_t len, json_error_t *why, bool *no_memory);

/* A JSON string. NULL: not UTF-8, or *no_memory is true. Caller decrefs. */
json_t *json_text(const char *value, bool *no_memory);

/* The same of a text for people: each byte that is no UTF-8 becomes '?', so that nothing is left
 * out of a report because of a path, a name or a text that was cut. NULL without memory, which
 * json_lost() tells too. Caller decrefs. */
json_t *json_shown(const char *text);

/* Takes value and puts it under the key as json_shown() shows it. As json_object_set_new(): -1 only
 * without memory, or when value is NULL, and value is gone then too. */
int json_set_shown(json_t *object, const char *key, json_t *value);

/* What goes before building a value whose steps are not all checked: json_write() then fails when
 * jansson lacked memory in between, in this thread, and may have left something out. */
void json_begin(void);
bool json_lost(void);

/* The text of a value; free() it. NULL without memory, since json_begin() or now. */
char *json_write(const json_t *root, size_t flags);

/* Prints a tool's report and a line end; takes root. ERR_NOMEM also when root is NULL, that is when
 * it could not be made; ERR_IO. */
NODISCARD enum err_code json_print(json_t *root, FILE *out, size_t flags, struct err *e);

#endif
