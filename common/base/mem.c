/* SPDX-License-Identifier: MIT */
#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

/* One cache line; also the alignment that oneDNN and AVX-512 loads want. */
enum { MEM_ALIGN = 64 };

bool mem_size(size_t count, size_t size, size_t *out)
{
    return !__builtin_mul_overflow(count, size, out);
}

static enum err_code no_memory(struct err *e, const char *what, size_t count, size_t size)
{
    return err_set(e, ERR_NOMEM,
                   "%s: cannot allocate %zu x %zu bytes: use fewer jobs or a smaller batch", what,
                   count, size);
}

enum err_code mem_array(void *out, size_t count, size_t size, const char *what, struct err *e)
{
    size_t bytes;
    void *p;

    if (!mem_size(count, size, &bytes))
        return no_memory(e, what, count, size);
    p = calloc(bytes > 0 ? bytes : 1, 1);
    if (p == NULL)
        return no_memory(e, what, count, size);
    memcpy(out, &p, sizeof p);
    return ERR_OK;
}

enum err_code mem_aligned(void *out, size_t count, size_t size, const char *what, struct err *e)
{
    void *p = NULL;
    size_t bytes;

    if (!mem_size(count, size, &bytes) || bytes > SIZE_MAX - MEM_ALIGN)
        return no_memory(e, what, count, size);
    bytes = (bytes + MEM_ALIGN - 1) / MEM_ALIGN * MEM_ALIGN;
    if (posix_memalign(&p, MEM_ALIGN, bytes > 0 ? bytes : MEM_ALIGN) != 0)
        return no_memory(e, what, count, size);
    memcpy(out, &p, sizeof p);
    return ERR_OK;
}

enum err_code mem_grow(void *array, size_t *cap, size_t need, size_t size, const char *what,
                       struct err *e)
{
    size_t want = *cap > SIZE_MAX / 2 ? need : *cap * 2;
    size_t bytes;
    void *old;
    void *p;

    if (need <= *cap)
        return ERR_OK;
    if (want < need)
        want = need;
    if (want < 8)
        want = 8;
    if (!mem_size(want, size, &bytes))
        return no_memory(e, what, want, size);
    memcpy(&old, array, sizeof old);
    p = realloc(old, bytes);
    if (p == NULL)
        return no_memory(e, what, want, size);
    memcpy(array, &p, sizeof p);
    *cap = want;
    return ERR_OK;
}

enum err_code mem_string(char **out, const char *text, struct err *e)
{
    *out = strdup(text);
    return *out != NULL ? ERR_OK : no_memory(e, "string", strlen(text) + 1, 1);
}
