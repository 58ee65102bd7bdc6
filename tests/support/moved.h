/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_MOVED_H
#define TESTS_SUPPORT_MOVED_H

#include <stddef.h>

/* The running program as DIR/NAME, so that nothing of ours is beside it. */
void moved_copy(const char *dir, const char *name);

/* Runs DIR/NAME with one argument and with SYNIB_MANIFESTS set to `manifests`. Returns its exit
 * status; `text` gets what it says. */
int moved_run(const char *dir, const char *name, const char *argument, const char *manifests,
              char *text, size_t size);

#endif
