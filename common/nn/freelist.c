/* SPDX-License-Identifier: MIT */
#include "common/nn/freelist.h"

#include "common/base/mem.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* What is not in use is out of bounds for the address sanitizer, and so is the end of a buffer. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
#include <sanitizer/asan_interface.h>
enum { RED_ZONE = 64 };
#define FORBID(at, bytes) __asan_poison_memory_region(at, bytes)
#define ALLOW(at, bytes) __asan_unpoison_memory_region(at, bytes)
#else
enum { RED_ZONE = 0 };
#define FORBID(at, bytes) ((void)(at), (void)(bytes))
#define ALLOW(at, bytes) ((void)(at), (void)(bytes))
#endif

enum { LINE = 64, SLAB_LEAST = 1 << 20 };

struct free_buffer {
    struct free_buffer *below;       /* its neighbour in the slab; NULL: none */
    struct free_buffer *prev, *next; /* idle list */
    size_t bytes;                    /* header included */
    size_t slab;
    bool in_use;
};

static_assert(sizeof(struct free_buffer) <= LINE, "the floats behind the header stay aligned");

struct free_slab {
    char *data;
    size_t bytes;
    size_t reached; /* of them, by a buffer */
};

static float *floats_of(struct free_buffer *b)
{
    return (float *)(void *)((char *)b + LINE);
}

static struct free_buffer *buffer_of(float *f)
{
    return (struct free_buffer *)(void *)((char *)f - LINE);
}

static struct free_buffer *above(const struct freelist *p, struct free_buffer *b)
{
    char *end = (char *)b + b->bytes;
    const struct free_slab *s = &p->slab[b->slab];

    return end < s->data + s->bytes ? (struct free_buffer *)(void *)end : NULL;
}

static void push(struct freelist *p, struct free_buffer *b)
{
    b->in_use = false;
    b->prev = NULL;
    b->next = p->idle;
    if (p->idle != NULL)
        p->idle->prev = b;
    p->idle = b;
    FORBID(floats_of(b), b->bytes - LINE);
}

static void unlink_idle(struct freelist *p, struct free_buffer *b)
{
    if (b->prev != NULL)
        b->prev->next = b->next;
    else
        p->idle = b->next;
    if (b->next != NULL)
        b->next->prev = b->prev;
}

/* All of slab i as one idle piece. */
static void slab_whole(struct freelist *p, size_t i)
{
    struct free_buffer *b = (struct free_buffer *)(void *)p->slab[i].data;

    ALLOW(b, LINE);
    *b = (struct free_buffer){.bytes = p->slab[i].bytes, .slab = i};
    push(p, b);
}

/* A slab of `bytes`, on the idle list. */
static enum err_code slab_new(struct freelist *p, size_t bytes, struct err *e)
{
    struct free_slab s = {.bytes = bytes};

    TRY(mem_grow(&p->slab, &p->cap, p->slabs + 1, sizeof *p->slab, "activations", e));
    TRY(mem_aligned(&s.data, s.bytes, 1, "activations", e));
    p->slab[p->slabs] = s;
    slab_whole(p, p->slabs++);
    p->held += bytes;
    p->allocations++;
out:
    return e->code;
}

/* A slab with room for `bytes`: as large as all others, or, failing that, just large enough. */
static enum err_code grow(struct freelist *p, size_t bytes, struct err *e)
{
    size_t generous = p->held > SLAB_LEAST ? p->held : SLAB_LEAST;

    if (generous > bytes && slab_new(p, generous, e) == ERR_OK)
        return ERR_OK;
    err_clear(e);
    return slab_new(p, bytes, e);
}

static struct free_buffer *best_fit(const struct freelist *p, size_t bytes)
{
    struct free_buffer *best = NULL;

    for (struct free_buffer *b = p->idle; b != NULL; b = b->next) {
        if (b->bytes == bytes)
            return b;
        if (b->bytes > bytes && (best == NULL || b->bytes < best->bytes))
            best = b;
    }
    return best;
}

/* Leaves b with `bytes` and makes the rest an idle piece of its own, if it could hold anything. */
static void cut(struct freelist *p, struct free_buffer *b, size_t bytes)
{
    struct free_buffer *rest = (struct free_buffer *)(void *)((char *)b + bytes), *next;

    if (b->bytes - bytes < 2 * LINE)
        return;
    next = above(p, b);
    ALLOW(rest, LINE);
    *rest = (struct free_buffer){.below = b, .bytes = b->bytes - bytes, .slab = b->slab};
    if (next != NULL)
        next->below = rest;
    b->bytes = bytes;
    push(p, rest);
}

static void count_use(struct freelist *p, const struct free_buffer *b)
{
    struct free_slab *s = &p->slab[b->slab];
    size_t end = (size_t)((const char *)b - s->data) + b->bytes;

    if (end > s->reached) {
        p->bytes += end - s->reached;
        s->reached = end;
    }
    p->in_use += b->bytes;
    if (p->in_use > p->peak)
        p->peak = p->in_use;
}

float *freelist_take(struct freelist *p, size_t count, struct err *e)
{
    size_t bytes = (count + 15) / 16 * LINE + LINE + RED_ZONE;
    struct free_buffer *b;

    if (count > SIZE_MAX / (2 * LINE)) {
        err_set(e, ERR_NOMEM, "activations: %zu floats: use a smaller batch", count);
        return NULL;
    }
    b = best_fit(p, bytes);
    if (b == NULL) {
        if (grow(p, bytes, e) != ERR_OK)
            return NULL;
        b = p->idle;
    }
    unlink_idle(p, b);
    cut(p, b, bytes);
    b->in_use = true;
    count_use(p, b);
    ALLOW(floats_of(b), count * sizeof(float));
    return floats_of(b);
}

/* Makes b and the piece above it one. */
static void join_above(struct freelist *p, struct free_buffer *b)
{
    struct free_buffer *next = above(p, b), *after = above(p, next);

    b->bytes += next->bytes;
    if (after != NULL)
        after->below = b;
}

void freelist_give(struct freelist *p, float *buffer)
{
    struct free_buffer *b, *next;

    if (buffer == NULL)
        return;
    b = buffer_of(buffer);
    assert(b->in_use);
    p->in_use -= b->bytes;
    next = above(p, b);
    if (next != NULL && !next->in_use) {
        unlink_idle(p, next);
        join_above(p, b);
    }
    if (b->below != NULL && !b->below->in_use) {
        b = b->below;
        unlink_idle(p, b);
        join_above(p, b);
    }
    push(p, b);
}

void freelist_reset(struct freelist *p)
{
    p->idle = NULL;
    p->in_use = 0;
    for (size_t i = p->slabs; i-- > 0;)
        slab_whole(p, i);
}

enum err_code freelist_settle(struct freelist *p, struct err *e)
{
    size_t bytes = p->bytes / LINE / 4 * LINE + p->bytes;
    uint64_t allocations = p->allocations;

    if (bytes == 0)
        return ERR_OK;
    freelist_free(p);
    p->allocations = allocations;
    return slab_new(p, bytes, e);
}

void freelist_free(struct freelist *p)
{
    for (size_t i = 0; i < p->slabs; i++) {
        ALLOW(p->slab[i].data, p->slab[i].bytes);
        free(p->slab[i].data);
    }
    free(p->slab);
    memset(p, 0, sizeof *p);
}
