/* SPDX-License-Identifier: MIT */
#include "tests/support/fault/place.h"

#include "tests/support/scratch.h"

#include <stdlib.h>
#include <string.h>

static void remove_out(void *ctx)
{
    const struct place *p = ctx;
    void *dir = strdup(p->out);

    (void)scratch_teardown(&dir); /* frees the name */
}

void place_sweep(const char *name, fault_work *work, void **state)
{
    struct place p = {.dir = *state, .out = scratch_path(*state, "out")};

    fault_sweep(&(struct fault_job){.name = name, .work = work, .reset = remove_out, .ctx = &p});
    free(p.out);
}
