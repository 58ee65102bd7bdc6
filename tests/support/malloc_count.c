/* SPDX-License-Identifier: MIT */
#include "tests/support/malloc_count.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif

#ifdef SANITIZED

long malloc_count(void)
{
    return -1;
}

#else

/* The linker's marks around the program itself. */
extern const char __executable_start[], etext[];

static atomic_long calls;

long malloc_count(void)
{
    return atomic_load(&calls);
}

static void count(const void *caller)
{
    const char *at = caller;

    if (at >= __executable_start && at < etext)
        atomic_fetch_add(&calls, 1);
}

/* The following take the place of glibc's in the whole process; glibc offers its own under these
 * names. free stays glibc's. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t items, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t align, size_t size);

void *malloc(size_t size)
{
    count(__builtin_return_address(0));
    return __libc_malloc(size);
}

void *calloc(size_t items, size_t size)
{
    count(__builtin_return_address(0));
    return __libc_calloc(items, size);
}

void *realloc(void *old, size_t size)
{
    count(__builtin_return_address(0));
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    count(__builtin_return_address(0));
    return __libc_memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    count(__builtin_return_address(0));
    *out = __libc_memalign(align, size);
    return *out != NULL ? 0 : ENOMEM;
}

#endif
