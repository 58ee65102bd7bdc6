/* SPDX-License-Identifier: MIT */
#include "common/data/json.h"

#include "common/base/cli.h"
#include "common/base/utf8.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* jansson's parser drops a character where its text buffer cannot grow: another value is read, or
 * it crashes (2.14, lex_save and what relies on it). So while it parses, an allocation that fails
 * is served from memory set aside, the text ends soon afterwards, and the result is thrown away.
 *
 * What is set aside holds the text buffer, at most twice as long as the text, as often as it can
 * still double, and the values of the rest of one STEP. */
enum { STEP = 64, RESERVE_PER_BYTE = 4, RESERVE_REST = 64 << 10, ALIGN = 16 };

struct parse {
    const char *text;
    size_t len, at;
    char *reserve;
    size_t size, used;
    bool failed;
};

static _Thread_local struct parse *now; /* NULL outside json_parse */
static _Thread_local bool lost;         /* an allocation of jansson's failed outside json_parse */

static void *from_reserve(struct parse *p, size_t size)
{
    void *at;

    p->failed = true;
    if (size > p->size - p->used)
        return NULL;
    at = p->reserve + p->used;
    size = (size + ALIGN - 1) / ALIGN * ALIGN;
    p->used = size > p->size - p->used ? p->size : p->used + size;
    return at;
}

static void *take(size_t size)
{
    void *p = malloc(size);

    if (p == NULL && now != NULL)
        return from_reserve(now, size);
    lost = lost || p == NULL;
    return p;
}

static void release(void *p)
{
    uintptr_t at = (uintptr_t)p;

    if (now == NULL || at < (uintptr_t)now->reserve || at >= (uintptr_t)now->reserve + now->size)
        free(p);
}

/* Before main, so that no value is older than the functions. */
static __attribute__((constructor)) void hook(void)
{
    json_set_alloc_funcs(take, release);
}

static size_t feed(void *to, size_t room, void *ctx)
{
    struct parse *p = ctx;
    size_t n = p->len - p->at < STEP ? p->len - p->at : STEP;

    if (p->failed)
        return 0;
    n = n < room ? n : room;
    memcpy(to, p->text + p->at, n);
    p->at += n;
    return n;
}

json_t *json_parse(const char *text, size_t len, json_error_t *why, bool *no_memory)
{
    struct parse p = {.text = text, .len = len};
    json_t *value = NULL;

    *why = (json_error_t){.line = -1, .column = -1};
    *no_memory = true;
    if (len > (SIZE_MAX - RESERVE_REST) / RESERVE_PER_BYTE)
        return NULL;
    p.size = RESERVE_PER_BYTE * len + RESERVE_REST;
    p.reserve = malloc(p.size);
    if (p.reserve == NULL)
        return NULL;
    now = &p;
    value = json_load_callback(feed, &p, JSON_REJECT_DUPLICATES, why);
    if (p.failed) {
        json_decref(value);
        value = NULL;
    }
    now = NULL;
    free(p.reserve);
    *no_memory = p.failed;
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

/* A copy, to be given to release(). */
static char *shown(const char *text)
{
    size_t len = strlen(text);
    char *copy = take(len + 1);

    if (copy == NULL)
        return NULL;
    memcpy(copy, text, len + 1);
    for (size_t at = 0, n; at < len; at += n) {
        n = utf8_length(text + at, len - at);
        if (n == 0) {
            copy[at] = '?';
            n = 1;
        }
    }
    return copy;
}

json_t *json_shown(const char *text)
{
    char *copy = shown(text);
    json_t *value = copy != NULL ? json_string(copy) : NULL;

    release(copy);
    return value;
}

int json_set_shown(json_t *object, const char *key, json_t *value)
{
    char *copy = shown(key);
    int rc = -1;

    if (copy != NULL)
        rc = json_object_set_new(object, copy, value);
    else
        json_decref(value);
    release(copy);
    return rc;
}

void json_begin(void)
{
    lost = false;
}

bool json_lost(void)
{
    return lost;
}

char *json_write(const json_t *root, size_t flags)
{
    char *text = root != NULL ? json_dumps(root, flags) : NULL;

    if (lost) {
        free(text);
        text = NULL;
    }
    return text;
}

enum err_code json_print(json_t *root, FILE *out, size_t flags, struct err *e)
{
    char *text = json_write(root, flags);

    if (text == NULL)
        (void)err_set(e, ERR_NOMEM, "report: no memory for the JSON object");
    else if ((fputs(text, out) == EOF || fputc('\n', out) == EOF) &&
             (out != stdout || !cli_reader_gone()))
        (void)err_sys(e, "report: cannot write the JSON object");
    free(text);
    json_decref(root);
    return e->code;
}
