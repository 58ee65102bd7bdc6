/* SPDX-License-Identifier: MIT */
#include "common/base/text_stream.h"

#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

struct growing {
    char **text; /* where the text goes when it is whole */
    char *data;
    size_t len, cap;
};

/* As cookie_write_function_t says: 0 is failure. */
static ssize_t append(void *cookie, const char *from, size_t n)
{
    struct growing *g = cookie;
    struct err e = {0};

    if (mem_grow(&g->data, &g->cap, g->len + n + 1, 1, "text", &e) != ERR_OK)
        return 0;
    memcpy(g->data + g->len, from, n);
    g->len += n;
    return (ssize_t)n;
}

static int finish(void *cookie)
{
    struct growing *g = cookie;
    struct err e = {0};
    int rc = 0;

    if (mem_grow(&g->data, &g->cap, g->len + 1, 1, "text", &e) == ERR_OK) {
        g->data[g->len] = '\0';
        *g->text = g->data;
    } else {
        free(g->data);
        rc = -1;
    }
    free(g);
    return rc;
}

FILE *text_stream_open(char **text, const char *what, struct err *e)
{
    struct growing *g = NULL;
    FILE *f;

    *text = NULL;
    if (mem_array(&g, 1, sizeof *g, what, e) != ERR_OK)
        return NULL;
    g->text = text;
    f = fopencookie(g, "w", (cookie_io_functions_t){.write = append, .close = finish});
    if (f == NULL) {
        free(g);
        err_set(e, ERR_NOMEM, "%s: out of memory", what);
    }
    return f;
}

enum err_code text_stream_close(FILE *f, char **text, const char *what, struct err *e)
{
    bool lost;

    if (f == NULL)
        return e->code;
    lost = ferror(f) != 0;
    lost = fclose(f) != 0 || lost;
    if (lost)
        err_set(e, ERR_NOMEM, "%s: out of memory", what);
    if (e->code != ERR_OK) {
        free(*text);
        *text = NULL;
    }
    return e->code;
}
