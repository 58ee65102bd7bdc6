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

enum err_code json_print(json_t *root, FILE *out, size_t flags, struct err *e)
{
    errno = ENOMEM; /* what a missing root means */
    if (root == NULL || (errno = 0, json_dumpf(root, out, flags)) != 0 || fputc('\n', out) == EOF)
        (void)err_sys(e, "report: cannot write the JSON object");
    json_decref(root);
    return e->code;
}
