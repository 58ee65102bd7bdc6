/* SPDX-License-Identifier: MIT */
#include "tests/support/naive_json.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static void *(*take)(size_t) = malloc;
static void (*release)(void *) = free;

void naive_json_memory(void *(*new_take)(size_t), void (*new_release)(void *))
{
    take = new_take;
    release = new_release;
}

static int skip(const char **p, const char *end, char want)
{
    if (*p >= end || **p != want)
        return 0;
    ++*p;
    return 1;
}

static int hex4(const char *p, const char *end, unsigned *out)
{
    *out = 0;
    if (end - p < 4)
        return 0;
    for (int i = 0; i < 4; i++) {
        const char *digits = "0123456789abcdef", *at = strchr(digits, p[i] | 0x20);

        if (p[i] == '\0' || at == NULL)
            return 0;
        *out = *out * 16 + (unsigned)(at - digits);
    }
    return 1;
}

/* A string at *p, without its quotes, in fresh memory. \u escapes below U+0800 only: a writer
 * escapes nothing but control characters. */
static char *string(const char **p, const char *end)
{
    char *out = take((size_t)(end - *p) + 1);
    size_t n = 0;

    if (out == NULL || !skip(p, end, '"'))
        goto bad;
    while (*p < end && **p != '"') {
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        const char *at;
        unsigned code;

        if (**p != '\\') {
            out[n++] = *(*p)++;
            continue;
        }
        if (end - *p < 2)
            goto bad;
        at = strchr(from, (*p)[1]);
        if (at != NULL && *at != '\0') {
            out[n++] = to[at - from];
            *p += 2;
        } else if ((*p)[1] == 'u' && hex4(*p + 2, end, &code) && code > 0 && code < 0x800) {
            if (code >= 0x80)
                out[n++] = (char)(0xc0 | code >> 6);
            out[n++] = (char)(code < 0x80 ? code : 0x80 | (code & 0x3f));
            *p += 6;
        } else {
            goto bad;
        }
    }
    if (!skip(p, end, '"'))
        goto bad;
    out[n] = '\0';
    return out;
bad:
    release(out);
    return NULL;
}

static int members(struct naive_node *n, const char **p, const char *end, int depth)
{
    char close = n->kind == '{' ? '}' : ']';
    struct naive_node **tail = &n->child;

    ++*p;
    if (skip(p, end, close))
        return 1;
    do {
        char *key = NULL;

        if (n->kind == '{') {
            key = string(p, end);
            if (key == NULL)
                return 0;
            for (struct naive_node *c = n->child; c != NULL; c = c->next) {
                if (c->key[0] == key[0] && strcmp(c->key, key) == 0) { /* a key stands twice */
                    release(key);
                    return 0;
                }
            }
            if (!skip(p, end, ':')) {
                release(key);
                return 0;
            }
        }
        *tail = naive_json(p, end, depth + 1);
        if (*tail == NULL) {
            release(key);
            return 0;
        }
        (*tail)->key = key;
        tail = &(*tail)->next;
    } while (skip(p, end, ','));
    return skip(p, end, close);
}

struct naive_node *naive_json(const char **p, const char *end, int depth)
{
    struct naive_node *n = take(sizeof *n);
    int ok = 0;

    if (n == NULL)
        return NULL;
    memset(n, 0, sizeof *n);
    if (*p >= end || depth > 4)
        goto out;
    if (**p == '{' || **p == '[') {
        n->kind = **p;
        ok = members(n, p, end, depth);
    } else if (**p == '"') {
        n->kind = '"';
        n->text = string(p, end);
        ok = n->text != NULL;
    } else if (end - *p >= 4 && memcmp(*p, "true", 4) == 0) {
        n->kind = 't';
        *p += 4;
        ok = 1;
    } else if (**p >= '0' && **p <= '9') {
        n->kind = '0';
        for (; *p < end && **p >= '0' && **p <= '9' && n->number < LLONG_MAX / 10 - 1; ++*p)
            n->number = n->number * 10 + (**p - '0');
        ok = *p == end || **p < '0' || **p > '9';
    }
out:
    if (!ok) {
        naive_json_free(n);
        n = NULL;
    }
    return n;
}

void naive_json_free(struct naive_node *n)
{
    while (n != NULL) {
        struct naive_node *next = n->next;

        naive_json_free(n->child);
        release(n->key);
        release(n->text);
        release(n);
        n = next;
    }
}

struct naive_node *naive_get(const struct naive_node *n, const char *key)
{
    struct naive_node *c = n != NULL && n->kind == '{' ? n->child : NULL;

    while (c != NULL && strcmp(c->key, key) != 0)
        c = c->next;
    return c;
}

const char *naive_text(const struct naive_node *n, const char *key)
{
    const struct naive_node *c = naive_get(n, key);

    return c != NULL && c->kind == '"' ? c->text : NULL;
}

long long naive_number(const struct naive_node *n, const char *key)
{
    const struct naive_node *c = naive_get(n, key);

    return c != NULL && c->kind == '0' ? c->number : -1;
}
