/* SPDX-License-Identifier: MIT */
#include "common/data/shard_format.h"

#include "common/base/bytes.h"
#include "common/base/mem.h"
#include "common/data/tensorfile_format.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t shard_field_bytes(const struct shard_field *f)
{
    uint64_t bytes;

    return tf_tensor_bytes(f->dtype, f->rank, f->dim, &bytes) ? bytes : 0;
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), s = strlen(suffix);

    return n >= s && strcmp(text + n - s, suffix) == 0;
}

enum err_code shard_fields_check(const char *path, const struct shard_field *f, int n,
                                 struct err *e)
{
    if (n < 1 || n > SHARD_MAX_FIELDS)
        return err_set(e, ERR_DATA, "%s: has %d fields, not 1 to %d", path, n, SHARD_MAX_FIELDS);
    for (int i = 0; i < n; i++) {
        if (!tf_name_ok(f[i].name) || strcmp(f[i].name, SHARD_CRC_NAME) == 0 ||
            ends_with(f[i].name, SHARD_OFF_SUFFIX))
            return err_set(e, ERR_DATA, "%s: '%s' is not a field name", path, f[i].name);
        for (int j = 0; j < i; j++)
            if (strcmp(f[i].name, f[j].name) == 0)
                return err_set(e, ERR_DATA, "%s: field '%s' stands twice", path, f[i].name);
        if (f[i].ragged
                ? f[i].dtype != DTYPE_U8
                : f[i].rank < 0 || f[i].rank > TENSOR_MAX_RANK - 1 || shard_field_bytes(&f[i]) == 0)
            return err_set(e, ERR_DATA, "%s: field '%s': bad dtype or shape", path, f[i].name);
    }
    return ERR_OK;
}

bool shard_fields_equal(const struct shard_field *a, const struct shard_field *b)
{
    if (strcmp(a->name, b->name) != 0 || a->dtype != b->dtype || a->ragged != b->ragged)
        return false;
    if (a->ragged)
        return true;
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

bool shard_name_ok(const char *name, const char *prefix, int64_t number)
{
    static const char end[] = ".safetensors";
    size_t tail = 1 + SHARD_NAME_DIGITS + sizeof end - 1, len = strlen(name), digits = 0;
    const char *p;

    if (len <= tail || strcmp(name + len - (sizeof end - 1), end) != 0)
        return false;
    p = name + len - tail; /* at the '-' before the hexadecimal digits */
    if (p[0] != '-' || strspn(p + 1, "0123456789abcdef") != SHARD_NAME_DIGITS)
        return false;
    while (p > name && p[-1] >= '0' && p[-1] <= '9') {
        p--;
        digits++;
    }
    if (digits < 5 || p - name < 2 || p[-1] != '-')
        return false;
    if (prefix != NULL &&
        (strlen(prefix) != (size_t)(p - 1 - name) || strncmp(name, prefix, strlen(prefix)) != 0))
        return false;
    if (number >= 0) {
        char want[32];

        snprintf(want, sizeof want, "%05" PRId64 "-", number);
        return strlen(want) == digits + 1 && strncmp(p, want, digits + 1) == 0;
    }
    return true;
}

void shard_digest_fields(struct sha256 *h, const struct shard_field *f, int n)
{
    char line[SHARD_NAME_SIZE + 16 + TENSOR_MAX_RANK * 24];

    for (int i = 0; i < n; i++) {
        int len = snprintf(line, sizeof line, "%s %s", f[i].name,
                           f[i].ragged ? "ragged" : dtype_name(f[i].dtype));

        for (int d = 0; !f[i].ragged && d < f[i].rank; d++)
            len += snprintf(line + len, sizeof line - (size_t)len, " %" PRId64, f[i].dim[d]);
        sha256_add(h, line, (size_t)len);
        sha256_add(h, "\n", 1);
    }
}

struct sha256 *shard_content_begin(const struct shard_field *f, int n)
{
    static const char head[] = "synib-content 1\n";
    struct sha256 *h = sha256_new();

    sha256_add(h, head, sizeof head - 1);
    shard_digest_fields(h, f, n);
    sha256_add(h, "\n", 1);
    return h;
}

void shard_sample_message(const struct shard_value *values, int n, struct sha256_message *m)
{
    sha256_message_begin(m);
    for (int i = 0; i < n; i++) {
        sha256_message_copy_u64(m, values[i].len);
        sha256_message_add(m, values[i].data, values[i].len);
    }
}

enum err_code shard_sample_digest(const struct shard_value *values, int n, uint8_t out[SHA256_SIZE],
                                  struct err *e)
{
    struct sha256_message m;

    shard_sample_message(values, n, &m);
    return sha256_message_digest(&m, out, e);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

json_t *shard_sorted_meta(json_t *meta)
{
    size_t n = 0, count = json_object_size(meta);
    const char **keys = NULL;
    json_t *sorted = json_object(), *value;
    const char *key;

    if (sorted == NULL || mem_array(&keys, count, sizeof *keys, "metadata", NULL) != ERR_OK)
        goto out;
    json_object_foreach(meta, key, value) keys[n++] = key;
    qsort(keys, n, sizeof *keys, by_key);
    for (size_t i = 0; i < n; i++)
        if (json_object_set(sorted, keys[i], json_object_get(meta, keys[i])) != 0)
            break;
out:
    free(keys);
    if (json_object_size(sorted) != count) {
        json_decref(sorted);
        sorted = NULL;
    }
    return sorted;
}

enum err_code shard_name_digits(const char *path, const struct shard_contents *c,
                                char digits[SHARD_NAME_DIGITS + 1], struct err *e)
{
    static const char head[] = "synib-shard 1\n";
    struct sha256 *h = sha256_new();
    json_t *meta = shard_sorted_meta(c->meta), *value;
    char first[32], hex[SHA256_HEX_SIZE];
    uint8_t digest[SHA256_SIZE];
    const char *key;

    sha256_add(h, head, sizeof head - 1);
    sha256_add(h, c->prefix, strlen(c->prefix));
    snprintf(first, sizeof first, "\n%" PRId64 "\n", c->first);
    sha256_add(h, first, strlen(first));
    json_object_foreach(meta, key, value)
    {
        sha256_add(h, key, strlen(key));
        sha256_add(h, "=", 1);
        sha256_add(h, json_string_value(value), json_string_length(value));
        sha256_add(h, "\n", 1);
    }
    shard_digest_fields(h, c->field, c->n_fields);
    sha256_add(h, c->digests, (size_t)c->count * SHA256_SIZE);
    TRY(sha256_end(h, digest, e));
    if (meta == NULL)
        FAIL(err_set(e, ERR_NOMEM, "%s: no memory for metadata", path));
    sha256_hex(digest, hex);
    memcpy(digits, hex, SHARD_NAME_DIGITS);
    digits[SHARD_NAME_DIGITS] = '\0';
out:
    json_decref(meta);
    return e->code;
}
