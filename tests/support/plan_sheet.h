/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_PLAN_SHEET_H
#define TESTS_SUPPORT_PLAN_SHEET_H

#include "train/sweep/plan.h"

/* A plan file and what was read from it. Rows below are written with '|' for the tab. */
struct sheet {
    char *path;
    struct plan plan;
};

/* A file in the test's folder, whose path is the caller's to free. Fail the test where they cannot.
 */
char *put_file(void *const *state, const char *name, const char *text);
/* A plan of these rows, up to NULL. */
char *put_plan(void *const *state, const char *name, const char *const *rows);

struct sheet sheet_open(void *const *state, const char *name, const char *const *rows);
void sheet_close(struct sheet *s);

#endif
