/* SPDX-License-Identifier: MIT */
#include "tests/support/plan_sheet.h"

#include "common/base/atomic_file.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char plan_head[] = "#synib-plan 1\nrun|task|preset|method|mask|settings|seed\n";

char *put_file(void *const *state, const char *name, const char *text)
{
    char *path = scratch_path(*state, name), *copy = strdup(text);
    struct err e = {0};

    assert_non_null(copy);
    for (char *p = copy; (p = strchr(p, '|')) != NULL;)
        *p = '\t';
    ASSERT_OK(atomic_file_put(path, copy, strlen(copy), true, &e), e);
    free(copy);
    return path;
}

char *put_plan(void *const *state, const char *name, const char *const *rows)
{
    char text[16384];
    size_t n = (size_t)snprintf(text, sizeof text, "%s", plan_head);

    for (int i = 0; rows[i] != NULL; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s\n", rows[i]);
    assert_true(n < sizeof text);
    return put_file(state, name, text);
}

struct sheet sheet_open(void *const *state, const char *name, const char *const *rows)
{
    struct sheet s = {.path = put_plan(state, name, rows)};
    struct err e = {0};

    ASSERT_OK(plan_read(&s.plan, s.path, &e), e);
    return s;
}

void sheet_close(struct sheet *s)
{
    plan_free(&s->plan);
    free(s->path);
}
