/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_FAULT_PLACE_H
#define TESTS_SUPPORT_FAULT_PLACE_H

#include "tests/support/fault/fault.h"

/* The folder of a test; work that writes begins without FOLDER/out, whatever a run before left. */
struct place {
    char *dir, *out;
};

/* fault_sweep() of the work, whose ctx is a struct place. `state` is the test's. */
void place_sweep(const char *name, fault_work *work, void **state);

#endif
