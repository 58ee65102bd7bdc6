/* SPDX-License-Identifier: MIT */
#include "train/report/label.h"

#include "common/base/text_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const label_paper_methods[] = {"uni-video", "uni-audio",  "ensemble", "vanilla", "dnr",
                                           "mmpareto",  "reconboost", "mcr",      "synib",   NULL};

int label_method_rank(const char *method)
{
    int i = 0;

    while (label_paper_methods[i] != NULL && strcmp(label_paper_methods[i], method) != 0)
        i++;
    return i;
}

void label_method(char *out, size_t size, const char *method, const char *mask)
{
    if (mask[0] == '\0' || strcmp(mask, "random") == 0)
        snprintf(out, size, "%s", method);
    else
        snprintf(out, size, "%s (%s)", method, mask);
}

const char *label_find(const char *text, const char *key, size_t key_len, size_t *value_len)
{
    for (const char *p = text, *end; *p != '\0'; p = end + (*end == '\n')) {
        end = strchrnul(p, '\n');
        if (strncmp(p, key, key_len) == 0 && strncmp(p + key_len, " = ", 3) == 0) {
            *value_len = (size_t)(end - p) - key_len - 3;
            return p + key_len + 3;
        }
    }
    *value_len = 0;
    return NULL;
}

/* True when the key stands with the same value in both texts. */
static bool same_value(const char *a, const char *b, const char *key, size_t key_len)
{
    size_t a_len, b_len;
    const char *x = label_find(a, key, key_len, &a_len);
    const char *y = label_find(b, key, key_len, &b_len);

    return x != NULL && y != NULL && a_len == b_len && memcmp(x, y, a_len) == 0;
}

/* True when some text with base[i] says something else of the key than text[i] does. */
static bool differs(const char *const *base, const char *const *text, size_t n, size_t i,
                    const char *key, size_t key_len)
{
    for (size_t j = 0; j < n; j++)
        if (text[j] != text[i] && strcmp(base[j], base[i]) == 0 &&
            !same_value(text[i], text[j], key, key_len))
            return true;
    return false;
}

static enum err_code make(char **out, const char *const *base, const char *const *text, size_t n,
                          size_t i, struct err *e)
{
    FILE *f = text_stream_open(out, "labels", e);

    if (f == NULL)
        return e->code;
    fputs(base[i], f);
    for (const char *p = text[i], *end; *p != '\0'; p = end + (*end == '\n')) {
        const char *equals = strstr(p, " = ");

        end = strchrnul(p, '\n');
        if (equals != NULL && equals < end && differs(base, text, n, i, p, (size_t)(equals - p)))
            fprintf(f, ", %.*s=%.*s", (int)(equals - p), p, (int)(end - equals - 3), equals + 3);
    }
    return text_stream_close(f, out, "labels", e);
}

/* An item before i that has the same base and text; n when there is none. */
static size_t twin_of(const char *const *base, const char *const *text, size_t n, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (strcmp(base[j], base[i]) == 0 && strcmp(text[j], text[i]) == 0)
            return j;
    return n;
}

enum err_code labels_make(char **out, const char *const *base, const char *const *text, size_t n,
                          struct err *e)
{
    const char **shared = calloc(n + 1, sizeof *shared); /* equal texts: one pointer */

    memset(out, 0, n * sizeof *out);
    if (shared == NULL)
        return err_set(e, ERR_NOMEM, "labels: no memory");
    for (size_t i = 0; i < n; i++) {
        size_t twin = twin_of(base, text, n, i);

        shared[i] = twin < n ? shared[twin] : text[i];
    }
    for (size_t i = 0; i < n; i++)
        TRY(make(&out[i], base, shared, n, i, e));
out:
    free(shared);
    for (size_t i = 0; e->code != ERR_OK && i < n; i++) {
        free(out[i]);
        out[i] = NULL;
    }
    return e->code;
}

/* ---- settings ---- */

static bool begins(const char *line, const char *with)
{
    return strncmp(line, with, strlen(with)) == 0;
}

static bool is_setting(const char *line)
{
    if (begins(line, "method = ") || begins(line, "seed = ") || begins(line, "mask.kind = ") ||
        begins(line, "data."))
        return false;
    return !begins(line, "init.") || begins(line, "init.encoders = ");
}

enum err_code label_settings(char **out, const char *identity, struct err *e)
{
    FILE *f = text_stream_open(out, "settings", e);

    if (f == NULL)
        return e->code;
    for (const char *p = identity, *end; *p != '\0'; p = end + (*end == '\n')) {
        end = strchrnul(p, '\n');
        if (is_setting(p))
            fprintf(f, "%.*s\n", (int)(end - p), p);
    }
    return text_stream_close(f, out, "settings", e);
}
