/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_MALLOC_COUNT_H
#define TESTS_SUPPORT_MALLOC_COUNT_H

/* Calls of malloc and its kin so far, in all threads, made by this program's own code; -1 where a
 * sanitizer owns the allocator. Calls inside shared libraries do not count: oneDNN makes a small
 * context for every primitive it runs and packs matrices in memory of its own, and we cannot change
 * that. A program that calls this gets the counting allocator linked in. */
long malloc_count(void);

#endif
