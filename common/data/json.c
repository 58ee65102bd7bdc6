/* SPDX-License-Identifier: MIT */
#include "common/data/json.h"

#include <errno.h>

json_t *json_parse(const char *text, size_t len, json_error_t *why, bool *no_memory)
{
    json_t *value;

    errno = 0;
    value = json_loadb(text, len, JSON_REJECT_DUPLICATES, why);
    *no_memory = value == NULL && errno == ENOMEM;
    return value;
}

json_t *json_text(const char *value, bool *no_memory)
{
    json_t *text;

    errno = 0;
    text = json_string(value);
    *no_memory = text == NULL && errno == ENOMEM;
    return text;
}
