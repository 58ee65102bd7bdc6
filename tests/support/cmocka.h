/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_CMOCKA_H
#define TESTS_SUPPORT_CMOCKA_H

/* cmocka with the headers it wants first. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Exit status of a test program that cannot run at all here; one that leaves a part out prints a
 * line "skipped: reason", which .ci/run shows. */
enum { SKIPPED = 77 };

#endif
