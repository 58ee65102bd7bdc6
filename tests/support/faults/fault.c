/* SPDX-License-Identifier: MIT */
#include "tests/support/faults/fault.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <jansson.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif

#ifdef SANITIZED

bool fault_available(void)
{
    return false;
}

void fault_begin(long n)
{
    (void)n;
}

const char *fault_end(void)
{
    return NULL;
}

long fault_live_blocks(void)
{
    return 0;
}

size_t fault_places(long *place, size_t max)
{
    (void)place;
    (void)max;
    return 0;
}

long fault_calls(void)
{
    return 0;
}

#else

enum { DEPTH = 24, MAX_STACKS = 1 << 16 };

/* The linker's marks around the program itself. */
extern const char __executable_start[], etext[];

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t items, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *p);

static __thread bool counting;
static long calls, fail_at;
static const char *failed;
static atomic_long live;

/* Stacks seen since fault_begin(), a hash table without removal, and the calls that brought a new
 * one. */
static uint64_t stack_seen[MAX_STACKS];
static long new_place[MAX_STACKS / 2];
static size_t places;

bool fault_available(void)
{
    return true;
}

void fault_begin(long n)
{
    void *frame[DEPTH];

    (void)backtrace(frame, DEPTH); /* its first call allocates */
    memset(stack_seen, 0, sizeof stack_seen);
    places = 0;
    calls = 0;
    fail_at = n;
    failed = NULL;
    counting = true;
}

const char *fault_end(void)
{
    counting = false;
    return failed;
}

long fault_live_blocks(void)
{
    return atomic_load(&live);
}

/* Of the run that ended last: its calls, and those that were reached in a way of their own. */
size_t fault_places(long *place, size_t max)
{
    size_t n = places < max ? places : max;

    memcpy(place, new_place, n * sizeof *place);
    return n;
}

long fault_calls(void)
{
    return calls;
}

static void note_stack(void)
{
    void *frame[DEPTH];
    int depth = backtrace(frame, DEPTH);
    uint64_t hash = 1469598103934665603u;
    size_t at;

    for (int i = 2; i < depth; i++)
        hash = (hash ^ (uintptr_t)frame[i]) * 1099511628211u;
    hash |= 1; /* 0 marks a free place */
    for (at = hash % MAX_STACKS; stack_seen[at] != 0; at = (at + 1) % MAX_STACKS)
        if (stack_seen[at] == hash)
            return;
    if (places == MAX_STACKS / 2)
        return;
    stack_seen[at] = hash;
    new_place[places++] = calls;
}

/* Whether this call is to fail. */
static bool denied(const char *name)
{
    if (!counting)
        return false;
    counting = false; /* what we call ourselves does not count */
    calls++;
    if (fail_at == 0)
        note_stack();
    counting = true;
    if (calls != fail_at)
        return false;
    failed = name;
    return true;
}

static bool ours(const void *caller)
{
    return (const char *)caller >= __executable_start && (const char *)caller < etext;
}

/* Whether this is a library that ends the process when it gets no memory. Asked for every
 * allocation: answers are kept. */
static bool hopeless(const void *caller)
{
    static const char *const library[] = {"libfftw3", "libgomp", "libopenblas", "libdnnl"};
    static struct {
        const void *caller;
        bool answer;
    } known[1024];
    size_t at = (uintptr_t)caller * 2654435761u % (sizeof known / sizeof known[0]);
    Dl_info info;

    if (ours(caller))
        return false;
    if (known[at].caller != caller) {
        known[at].caller = caller;
        known[at].answer = false;
        if (dladdr(caller, &info) != 0)
            for (size_t i = 0; i < sizeof library / sizeof library[0]; i++)
                known[at].answer |= strstr(info.dli_fname, library[i]) != NULL;
    }
    return known[at].answer;
}

static bool denied_memory(const char *name, const void *caller)
{
    bool no;

    if (!counting)
        return false;
    counting = false;
    no = hopeless(caller);
    counting = true;
    if (no || !denied(name))
        return false;
    errno = ENOMEM;
    return true;
}

static bool denied_call(const char *name, const void *caller)
{
    if (!ours(caller) || !denied(name))
        return false;
    errno = EIO;
    return true;
}

/* ---- memory: in the place of glibc's, which it offers under names of its own ---- */

#define HERE __builtin_return_address(0)

static void *given(void *p)
{
    if (p != NULL)
        atomic_fetch_add(&live, 1);
    return p;
}

void *malloc(size_t size)
{
    return denied_memory("malloc", HERE) ? NULL : given(__libc_malloc(size));
}

void *calloc(size_t items, size_t size)
{
    return denied_memory("calloc", HERE) ? NULL : given(__libc_calloc(items, size));
}

void *realloc(void *old, size_t size)
{
    void *p;

    if (denied_memory("realloc", HERE))
        return NULL;
    p = __libc_realloc(old, size);
    if (old == NULL)
        return given(p);
    if (size == 0)
        atomic_fetch_sub(&live, 1);
    return p;
}

void *memalign(size_t align, size_t size)
{
    return denied_memory("memalign", HERE) ? NULL : given(__libc_memalign(align, size));
}

void *aligned_alloc(size_t align, size_t size)
{
    return denied_memory("aligned_alloc", HERE) ? NULL : given(__libc_memalign(align, size));
}

int posix_memalign(void **out, size_t align, size_t size)
{
    if (denied_memory("posix_memalign", HERE))
        return ENOMEM;
    *out = given(__libc_memalign(align, size));
    return *out != NULL ? 0 : ENOMEM;
}

void free(void *p)
{
    if (p != NULL)
        atomic_fetch_sub(&live, 1);
    __libc_free(p);
}

/* ---- the system ---- */

/* NEXT(read): the function that comes after ours. */
#define NEXT(name) (__extension__(__typeof__(&name)) next(#name))

static void *next(const char *name)
{
    bool was = counting;
    void *p;

    counting = false;
    p = dlsym(RTLD_NEXT, name);
    counting = was;
    if (p == NULL)
        abort();
    return p;
}

#define WRAP(type, name, fails, params, args)                        \
    type name params                                                 \
    {                                                                \
        return denied_call(#name, HERE) ? (fails) : NEXT(name) args; \
    }

WRAP(int, access, -1, (const char *path, int mode), (path, mode))
WRAP(int, flock, -1, (int fd, int op), (fd, op))
WRAP(int, fstat, -1, (int fd, struct stat *st), (fd, st))
WRAP(int, fsync, -1, (int fd), (fd))
WRAP(int, ftruncate, -1, (int fd, off_t len), (fd, len))
WRAP(int, link, -1, (const char *from, const char *to), (from, to))
WRAP(int, lstat, -1, (const char *restrict path, struct stat *restrict st), (path, st))
WRAP(int, mkdir, -1, (const char *path, mode_t mode), (path, mode))
WRAP(void *, mmap, MAP_FAILED, (void *at, size_t len, int prot, int flags, int fd, off_t from),
     (at, len, prot, flags, fd, from))
WRAP(DIR *, opendir, NULL, (const char *path), (path))
WRAP(ssize_t, read, -1, (int fd, void *to, size_t n), (fd, to, n))
WRAP(struct dirent *, readdir, NULL, (DIR * dir), (dir))
WRAP(int, rename, -1, (const char *from, const char *to), (from, to))
WRAP(int, renameat2, -1, (int fd, const char *from, int fd2, const char *to, unsigned flags),
     (fd, from, fd2, to, flags))
WRAP(int, stat, -1, (const char *restrict path, struct stat *restrict st), (path, st))
WRAP(int, unlink, -1, (const char *path), (path))
WRAP(ssize_t, write, -1, (int fd, const void *from, size_t n), (fd, from, n))

/* jansson's lexer asserts that its buffer grew: what the parser allocates does not count. */
json_t *json_loadb(const char *text, size_t len, size_t flags, json_error_t *why)
{
    bool was = counting;
    json_t *value;

    counting = false;
    value = NEXT(json_loadb)(text, len, flags, why);
    counting = was;
    return value;
}

int close(int fd)
{
    const void *caller = HERE;
    int rc = NEXT(close)(fd);

    return denied_call("close", caller) ? -1 : rc;
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list ap;

    va_start(ap, flags);
    if ((flags & O_CREAT) != 0)
        mode = va_arg(ap, mode_t);
    va_end(ap);
    return denied_call("open", HERE) ? -1 : NEXT(open)(path, flags, mode);
}

int fcntl(int fd, int command, ...)
{
    void *argument;
    va_list ap;

    va_start(ap, command);
    argument = va_arg(ap, void *);
    va_end(ap);
    return denied_call("fcntl", HERE) ? -1 : NEXT(fcntl)(fd, command, argument);
}

#endif
