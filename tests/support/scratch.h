/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_SCRATCH_H
#define TESTS_SUPPORT_SCRATCH_H

#include <stddef.h>

/* A folder of its own for each test, removed with all that is in it. cmocka fixtures: *state is the
 * folder's path. */
int scratch_setup(void **state);
int scratch_teardown(void **state);

/* "FOLDER/name" in a fresh string; `state` is the test's *state. Aborts without memory. */
char *scratch_path(const void *state, const char *name);

/* Removes a folder with all that is in it. Aborts when it cannot. */
void scratch_clear(const char *path);

/* Changes one bit of the byte at `at` of a file. Aborts when it cannot. */
void scratch_flip(const char *path, long at);

/* How many files and folders a folder holds; the test fails when it cannot be told. */
size_t scratch_count(const char *dir);

/* Copies a folder's files, each of at most 16 MiB, into another, which is made. The test fails when
 * it cannot. */
void scratch_copy(const char *from, const char *to);

#endif
