/* SPDX-License-Identifier: MIT */
#include "common/data/tensorfile_format.h"

#include "common/data/json.h"

#include <stdlib.h>
#include <string.h>

static const char *const dtype_names[] = {"U8", "I32", "I64", "F32"};
static const size_t dtype_sizes[] = {1, 4, 8, 4};

size_t dtype_size(enum dtype t)
{
    return dtype_sizes[t];
}

const char *dtype_name(enum dtype t)
{
    return dtype_names[t];
}

bool dtype_parse(enum dtype *t, const char *name)
{
    for (int i = 0; i < (int)(sizeof dtype_names / sizeof dtype_names[0]); i++) {
        if (strcmp(name, dtype_names[i]) == 0) {
            *t = (enum dtype)i;
            return true;
        }
    }
    return false;
}

/* Not isalnum(): a format must not depend on the locale. */
static bool letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool plain_text(const char *text, size_t max)
{
    size_t n = strlen(text);

    if (n < 1 || n > max)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!letter_or_digit(text[i]) && strchr("._-", text[i]) == NULL)
            return false;
    return true;
}

bool tf_name_ok(const char *name)
{
    return plain_text(name, TF_MAX_NAME) && letter_or_digit(name[0]);
}

bool tf_meta_key_ok(const char *key)
{
    return plain_text(key, TF_MAX_META_KEY);
}

bool tf_kind_ok(const char *kind)
{
    return strcmp(kind, "shard") == 0 || strcmp(kind, "checkpoint") == 0;
}

bool tf_tensor_bytes(enum dtype dtype, int rank, const int64_t *dim, uint64_t *bytes)
{
    uint64_t n = dtype_size(dtype);

    for (int i = 0; i < rank; i++)
        if (dim[i] < 1 || __builtin_mul_overflow(n, (uint64_t)dim[i], &n) || n > INT64_MAX)
            return false;
    *bytes = n;
    return true;
}

json_t *tf_shape_json(int rank, const int64_t *dim)
{
    json_t *shape = json_array();

    for (int i = 0; i < rank; i++) {
        if (json_array_append_new(shape, json_integer(dim[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    }
    return shape;
}

char *tf_json_text(const json_t *value)
{
    json_begin(); /* our callers look at what they have built */
    return json_write(value, JSON_COMPACT);
}
