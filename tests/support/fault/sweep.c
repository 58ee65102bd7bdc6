/* SPDX-License-Identifier: MIT */
#include "tests/support/check.h"
#include "tests/support/fault/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* KEPT_ERRORS: libcrypto keeps its last 16 errors; what still grows after as many is a leak. */
enum { MAX_PLACES = 20000, KEPT_ERRORS = 20 };

static void reset(const struct fault_job *job)
{
    if (job->reset != NULL)
        job->reset(job->ctx);
}

static void undisturbed(const struct fault_job *job)
{
    struct err e = {0};

    reset(job);
    if (job->work(job->ctx, &e) != ERR_OK)
        fail_msg("%s: undisturbed: %d: %s", job->name, e.code, e.text);
}

/* One run with its n-th call failing. */
struct outcome {
    const char *call; /* NULL: none failed, a place that only the first run had */
    enum err_code rc;
    bool memory; /* that call asked for memory */
    long leaked;
    struct err e;
};

static void disturb(struct outcome *o, const struct fault_job *job, enum fault_kind kind, long n)
{
    long before;

    *o = (struct outcome){0};
    reset(job);
    before = fault_live_blocks();
    fault_begin(kind, n);
    o->rc = job->work(job->ctx, &o->e);
    o->call = fault_end();
    o->memory = fault_was_memory();
    o->leaked = fault_live_blocks() - before;
}

enum verdict { WELL, REFUSED, WRONG };

static bool right(const struct outcome *o, enum fault_kind kind)
{
    if (o->call == NULL)
        return o->rc == ERR_OK;
    if (o->leaked != 0 || o->rc != o->e.code || o->rc == ERR_INTERNAL)
        return false;
    return o->rc == ERR_OK ||
           (kind == FAULT_FAIL && o->e.text[0] != '\0' && (!o->memory || o->rc == ERR_NOMEM));
}

static enum verdict judge(const struct fault_job *job, enum fault_kind kind, long n)
{
    struct outcome o;

    disturb(&o, job, kind, n);
    for (int i = 0; i < KEPT_ERRORS && o.leaked != 0; i++)
        disturb(&o, job, kind, n);
    if (!right(&o, kind)) {
        print_message("%s: call %ld (%s): returns %d, says %d: '%s', %ld blocks leaked\n",
                      job->name, n, o.call != NULL ? o.call : "none", o.rc, o.e.code, o.e.text,
                      o.leaked);
        return WRONG;
    }
    return o.rc == ERR_OK ? WELL : REFUSED;
}

/* $FAULT_STRIDE: only every so many places, for a quick look. */
static size_t stride(void)
{
    const char *text = getenv("FAULT_STRIDE");
    long n = text != NULL ? strtol(text, NULL, 10) : 1;

    return n > 1 ? (size_t)n : 1;
}

/* Every place of one kind; how many ended wrongly. */
static int sweep(const struct fault_job *job, enum fault_kind kind)
{
    static const char *const names[] = {"failed", "interrupted", "short"};
    static long place[MAX_PLACES];
    struct err e = {0};
    size_t places;
    long calls;
    int count[WRONG + 1] = {0};

    reset(job);
    fault_begin(kind, 0);
    if (job->work(job->ctx, &e) != ERR_OK)
        fail_msg("%s: the second time: %d: %s", job->name, e.code, e.text);
    (void)fault_end();
    places = fault_places(place, MAX_PLACES);
    calls = fault_calls();
    for (size_t i = 0; i < places; i += stride())
        count[judge(job, kind, place[i])]++;
    print_message("%s: %s: %ld calls, %zu places, %d refused, %d ended well\n", job->name,
                  names[kind], calls, places, count[REFUSED], count[WELL]);
    return count[WRONG];
}

void fault_sweep(const struct fault_job *job)
{
    int wrong = 0;

    undisturbed(job);
    for (enum fault_kind kind = FAULT_FAIL; kind <= FAULT_SHORT; kind++)
        wrong += sweep(job, kind);
    undisturbed(job);
    if (wrong > 0)
        fail_msg("%s: %d ended wrongly", job->name, wrong);
}
