/* SPDX-License-Identifier: MIT */
#include "tests/support/check.h"
#include "tests/support/faults/fault.h"

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
    o->leaked = fault_live_blocks() - before;
}

/* True if the work ended well. */
static bool judge(const struct fault_job *job, long n)
{
    struct outcome o;
    bool memory;

    disturb(&o, job, n);
    for (int i = 0; i < KEPT_ERRORS && o.leaked != 0; i++)
        disturb(&o, job, n);
    if (o.call == NULL)
        return o.rc == ERR_OK;
    memory = strstr(o.call, "alloc") != NULL || strstr(o.call, "memalign") != NULL;
    if (o.leaked != 0)
        fail_msg("%s: call %ld (%s): %ld blocks leaked: %d: %s", job->name, n, o.call, o.leaked,
                 o.rc, o.e.text);
    if (o.rc != o.e.code || (o.rc != ERR_OK && o.e.text[0] == '\0'))
        fail_msg("%s: call %ld (%s): returns %d, says %d: '%s'", job->name, n, o.call, o.rc,
                 o.e.code, o.e.text);
    if (o.rc == ERR_INTERNAL || (memory && o.rc != ERR_OK && o.rc != ERR_NOMEM))
        fail_msg("%s: call %ld (%s): %d: %s", job->name, n, o.call, o.rc, o.e.text);
    return o.rc == ERR_OK;
}

void fault_sweep(const struct fault_job *job, int stride)
{
    static long place[MAX_PLACES];
    struct err e = {0};
    size_t places;
    long calls;
    int runs = 0, well = 0;

    if (!fault_available()) {
        print_message("%s: this build keeps its own allocator: skipped\n", job->name);
        skip();
    }
    undisturbed(job);
    reset(job);
    fault_begin(0);
    if (job->work(job->ctx, &e) != ERR_OK)
        fail_msg("%s: the second time: %d: %s", job->name, e.code, e.text);
    (void)fault_end();
    places = fault_places(place, MAX_PLACES);
    calls = fault_calls();
    for (size_t i = 0; i < places; i += (size_t)stride, runs++)
        well += judge(job, place[i]);
    undisturbed(job);
    print_message("%s: %ld calls in %zu places, %d runs: %d refused, %d ended well\n", job->name,
                  calls, places, runs, runs - well, well);
}
