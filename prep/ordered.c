/* SPDX-License-Identifier: MIT */
#include "prep/ordered.h"

#include "common/base/mem.h"

#include <stdlib.h>

enum err_code ordered_init(struct ordered *o, int64_t window, void (*consume)(void *ctx, int64_t i),
                           void *ctx, struct err *e)
{
    *o = (struct ordered){.window = window, .consume = consume, .ctx = ctx};
    TRY(mem_array(&o->ready, (size_t)window, sizeof *o->ready, "reorder buffer", e));
    pthread_mutex_init(&o->lock, NULL);
    pthread_cond_init(&o->moved, NULL);
out:
    return e->code;
}

void ordered_free(struct ordered *o)
{
    if (o->ready == NULL)
        return;
    pthread_mutex_destroy(&o->lock);
    pthread_cond_destroy(&o->moved);
    free(o->ready);
    *o = (struct ordered){0};
}

int64_t ordered_begin(struct ordered *o, int64_t i)
{
    pthread_mutex_lock(&o->lock);
    while (i >= o->next + o->window)
        pthread_cond_wait(&o->moved, &o->lock);
    pthread_mutex_unlock(&o->lock);
    return i % o->window;
}

void ordered_end(struct ordered *o, int64_t i)
{
    pthread_mutex_lock(&o->lock);
    o->ready[i % o->window] = true;
    for (bool *ready; *(ready = &o->ready[o->next % o->window]); o->next++) {
        *ready = false;
        o->consume(o->ctx, o->next);
    }
    pthread_cond_broadcast(&o->moved);
    pthread_mutex_unlock(&o->lock);
}
