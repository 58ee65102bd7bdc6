/* SPDX-License-Identifier: MIT */
#include "common/nn/freelist.h"

#include "common/base/mem.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 64, ALWAYS_KEPT = 32 << 20 };

struct free_buffer {
    struct free_buffer *next; /* idle list */
    size_t bytes;             /* header included */
    uint64_t pass;            /* last used in */
    int step;
    bool in_use;
};

static_assert(sizeof(struct free_buffer) <= LINE, "the floats behind the header stay aligned");

static float *floats_of(struct free_buffer *b)
{
    return (float *)(void *)((char *)b + LINE);
}

static struct free_buffer *buffer_of(float *f)
{
    return (struct free_buffer *)(void *)((char *)f - LINE);
}

/* Rounds a number of lines up to q * 2^shift with q in 8..15 (1..15 below 16); returns the number
 * of that step. */
static int step_of(size_t *lines)
{
    int shift = 0;
    size_t q;

    while (*lines >> shift >= 16)
        shift++;
    q = (*lines + ((size_t)1 << shift) - 1) >> shift;
    if (q == 16) {
        q = 8;
        shift++;
    }
    *lines = q << shift;
    return shift * 16 + (int)q;
}

/* Frees idle buffers that this pass has not used until `bytes` more fit under the limit. */
static void make_room(struct freelist *p, size_t bytes)
{
    size_t limit = p->limit_bytes > ALWAYS_KEPT ? p->limit_bytes : ALWAYS_KEPT;

    for (size_t i = p->count; i-- > 0 && p->bytes + bytes > limit;) {
        struct free_buffer *b = p->all[i];
        struct free_buffer **link = &p->idle[b->step];

        if (b->in_use || b->pass == p->pass)
            continue;
        while (*link != b)
            link = &(*link)->next;
        *link = b->next;
        p->bytes -= b->bytes;
        p->all[i] = p->all[--p->count];
        free(b);
    }
}

static struct free_buffer *buffer_new(struct freelist *p, size_t lines, int step, struct err *e)
{
    struct free_buffer *b = NULL;
    size_t bytes = (lines + 1) * LINE;

    if (p->pass_bytes + bytes > p->limit_bytes)
        p->limit_bytes = p->pass_bytes + bytes;
    make_room(p, bytes);
    if (mem_grow(&p->all, &p->cap, p->count + 1, sizeof(struct free_buffer *), "activations", e) !=
            ERR_OK ||
        mem_aligned(&b, bytes, 1, "activations", e) != ERR_OK)
        return NULL;
    *b = (struct free_buffer){.bytes = bytes, .step = step};
    p->all[p->count++] = b;
    p->bytes += bytes;
    p->allocations++;
    return b;
}

float *freelist_take(struct freelist *p, size_t count, struct err *e)
{
    size_t lines = (count + 15) / 16;
    struct free_buffer *b;
    int step;

    if (count > SIZE_MAX / LINE) {
        err_set(e, ERR_NOMEM, "activations: %zu floats: use a smaller batch", count);
        return NULL;
    }
    step = step_of(&lines);
    b = p->idle[step];
    if (b != NULL)
        p->idle[step] = b->next;
    else
        b = buffer_new(p, lines, step, e);
    if (b == NULL)
        return NULL;
    if (p->pass == 0)
        p->pass = 1; /* 0 marks new buffers */
    if (b->pass != p->pass) {
        b->pass = p->pass;
        p->pass_bytes += b->bytes;
    }
    b->in_use = true;
    return floats_of(b);
}

void freelist_give(struct freelist *p, float *buffer)
{
    struct free_buffer *b;

    if (buffer == NULL)
        return;
    b = buffer_of(buffer);
    assert(b->in_use);
    b->in_use = false;
    b->next = p->idle[b->step];
    p->idle[b->step] = b;
}

void freelist_reset(struct freelist *p)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->all[i]->in_use)
            freelist_give(p, floats_of(p->all[i]));
    }
    p->pass++;
    p->pass_bytes = 0;
}

void freelist_free(struct freelist *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->all[i]);
    free(p->all);
    memset(p, 0, sizeof *p);
}
