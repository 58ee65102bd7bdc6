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

static void disturb(struct outcome *o, const struct fault_job *job, long n)
{
    long before;

    *o = (struct outcome){0};
    reset(job);
    before = fault_live_blocks();
    fault_begin(n);
    o->rc = job->work(job->ctx, &o->e);
    o->call = fault_end();
    o->memory = fault_was_memory();
    o->leaked = fault_live_blocks() - before;
}

enum verdict { WELL, REFUSED, WRONG };

static enum verdict judge(const struct fault_job *job, long n)
{
    struct outcome o;

    disturb(&o, job, n);
    for (int i = 0; i < KEPT_ERRORS && o.leaked != 0; i++)
        disturb(&o, job, n);
    if (o.call == NULL ? o.rc != ERR_OK
                       : o.leaked != 0 || o.rc != o.e.code || o.rc == ERR_INTERNAL ||
                             (o.rc != ERR_OK && o.e.text[0] == '\0') ||
                             (o.memory && o.rc != ERR_OK && o.rc != ERR_NOMEM)) {
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

void fault_sweep(const struct fault_job *job)
{
    static long place[MAX_PLACES];
    struct err e = {0};
    size_t places;
    long calls;
    int count[WRONG + 1] = {0};

    undisturbed(job);
    reset(job);
    fault_begin(0);
    if (job->work(job->ctx, &e) != ERR_OK)
        fail_msg("%s: the second time: %d: %s", job->name, e.code, e.text);
    (void)fault_end();
    places = fault_places(place, MAX_PLACES);
    calls = fault_calls();
    for (size_t i = 0; i < places; i += stride())
        count[judge(job, place[i])]++;
    undisturbed(job);
    print_message("%s: %ld calls, %zu places, %d refused, %d ended well\n", job->name, calls,
                  places, count[REFUSED], count[WELL]);
    if (count[WRONG] > 0)
        fail_msg("%s: %d ended wrongly", job->name, count[WRONG]);
}
