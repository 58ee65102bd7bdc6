/* SPDX-License-Identifier: MIT */
#undef _FORTIFY_SOURCE /* its headers define read, realpath and the like themselves, as inline \
                          functions */

#include "tests/support/fault/fault.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
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

void fault_begin(enum fault_kind kind, long n)
{
    (void)kind;
    (void)n;
}

void fault_begin_call(const char *name, long n, int error)
{
    (void)name;
    (void)n;
    (void)error;
}

void fault_begin_race(const char *name, long n, void (*hook)(void *ctx), void *ctx)
{
    (void)name;
    (void)n;
    (void)hook;
    (void)ctx;
}

const char *fault_end(void)
{
    return NULL;
}

bool fault_was_memory(void)
{
    return false;
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

enum { DEPTH = 48, MAX_SEEN = 1 << 16 };

/* The linker's marks around the program itself. */
extern const char __executable_start[], etext[];

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t items, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *p);

static __thread bool counting;
static enum fault_kind kind;
static long calls, fail_at;
static const char *failed;
static bool was_memory; /* it was a call for memory */
static atomic_long live;

/* The one call that is chosen by its name. */
static struct {
    const char *name; /* NULL: calls are chosen by number, whatever their name */
    long left;
    int error;
    void (*hook)(void *ctx);
    void *ctx;
} chosen;

/* Call sites seen on the way to each kind of call since fault_begin(), a hash table without
 * removal, and the calls that brought a new one. */
static uint64_t seen[MAX_SEEN];
static size_t seen_count;
static long new_place[MAX_SEEN / 2];
static size_t places;

bool fault_available(void)
{
    return true;
}

/* Worker processes have faults of their own (tests/unit/test_contain.c). */
static void in_child(void)
{
    counting = false;
}

void fault_begin(enum fault_kind how, long n)
{
    static bool begun;
    void *frame[DEPTH];

    if (!begun) {
        begun = true;
        (void)pthread_atfork(NULL, NULL, in_child);
        (void)backtrace(frame, DEPTH); /* its first call allocates */
    }
    memset(seen, 0, sizeof seen);
    seen_count = 0;
    places = 0;
    calls = 0;
    kind = how;
    fail_at = n;
    failed = NULL;
    was_memory = false;
    chosen.name = NULL;
    counting = true;
}

void fault_begin_call(const char *name, long n, int error)
{
    fault_begin(FAULT_FAIL, -1);
    chosen.left = n;
    chosen.error = error;
    chosen.hook = NULL;
    chosen.name = name;
}

void fault_begin_race(const char *name, long n, void (*hook)(void *ctx), void *ctx)
{
    fault_begin_call(name, n, 0);
    chosen.hook = hook;
    chosen.ctx = ctx;
}

const char *fault_end(void)
{
    counting = false;
    return failed;
}

bool fault_was_memory(void)
{
    return was_memory;
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

/* True when it was not there. */
static bool remember(uint64_t hash)
{
    size_t at;

    hash |= 1; /* 0 marks a free place */
    for (at = hash % MAX_SEEN; seen[at] != 0; at = (at + 1) % MAX_SEEN)
        if (seen[at] == hash)
            return false;
    if (seen_count == MAX_SEEN / 2)
        return false;
    seen[at] = hash;
    seen_count++;
    return true;
}

static void note_place(const char *name)
{
    void *frame[DEPTH];
    int depth = backtrace(frame, DEPTH);
    bool fresh = false;

    for (int i = 2; i < depth; i++) {
        uint64_t hash = ((uintptr_t)frame[i] ^ (uintptr_t)name << 24) * 0x9e3779b97f4a7c15u;

        fresh |= remember(hash ^ hash >> 29);
    }
    if (fresh && places < MAX_SEEN / 2)
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
        note_place(name);
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

/* Whether this caller can do without memory: our code and what reports it as it should. Asked for
 * every allocation: answers are kept. */
static bool copes(const void *caller)
{
    static const char *const library[] = {"/libjansson", "/libcrypto", "/libjpeg"};
    static struct {
        const void *caller;
        bool answer;
    } known[1024];
    size_t at = (uintptr_t)caller * 2654435761u % (sizeof known / sizeof known[0]);
    Dl_info info;

    if (ours(caller))
        return true;
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
    bool yes;

    if (!counting || kind != FAULT_FAIL)
        return false;
    counting = false;
    yes = copes(caller);
    counting = true;
    if (!yes || !denied(name))
        return false;
    was_memory = true;
    errno = ENOMEM;
    return true;
}

/* The call that was chosen by its name. */
static bool denied_by_name(const char *name)
{
    if (strcmp(name, chosen.name) != 0 || --chosen.left != 0)
        return false;
    failed = name;
    if (chosen.hook == NULL) {
        errno = chosen.error;
        return true;
    }
    counting = false;
    chosen.hook(chosen.ctx);
    counting = true;
    return false;
}

static bool can_be_interrupted(const char *name)
{
    static const char *const names[] = {"fcntl", "flock",   "fsync", "ftruncate",
                                        "open",  "openat2", "read",  "write"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool denied_call(const char *name, const void *caller)
{
    if (!counting || !ours(caller) || kind == FAULT_SHORT)
        return false;
    if (chosen.name != NULL)
        return denied_by_name(name);
    if ((kind == FAULT_INTERRUPT && !can_be_interrupted(name)) || !denied(name))
        return false;
    errno = kind == FAULT_INTERRUPT ? EINTR : EIO;
    return true;
}

/* How many of n bytes are to be read or written. */
static size_t shortened(const char *name, const void *caller, size_t n)
{
    return counting && kind == FAULT_SHORT && ours(caller) && n > 1 && denied(name) ? n / 2 : n;
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

#define WRAP_MEMORY(type, name, fails, params, args)                   \
    type name params                                                   \
    {                                                                  \
        return denied_memory(#name, HERE) ? (fails) : NEXT(name) args; \
    }

WRAP_MEMORY(char *, strdup, NULL, (const char *text), (text))
WRAP_MEMORY(FILE *, open_memstream, NULL, (char **text, size_t *len), (text, len))
WRAP_MEMORY(FILE *, fopencookie, NULL,
            (void *restrict cookie, const char *restrict mode, cookie_io_functions_t functions),
            (cookie, mode, functions))
WRAP_MEMORY(char *, realpath, NULL, (const char *restrict path, char *restrict to), (path, to))
WRAP_MEMORY(int, vasprintf, -1, (char **text, const char *format, va_list ap), (text, format, ap))

/* ---- the system ---- */

#define WRAP(type, name, fails, params, args)                        \
    type name params                                                 \
    {                                                                \
        return denied_call(#name, HERE) ? (fails) : NEXT(name) args; \
    }

WRAP(int, access, -1, (const char *path, int mode), (path, mode))
WRAP(int, fchmod, -1, (int fd, mode_t mode), (fd, mode))
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
WRAP(ssize_t, read, -1, (int fd, void *to, size_t n), (fd, to, shortened("read", HERE, n)))
WRAP(struct dirent *, readdir, NULL, (DIR * dir), (dir))
WRAP(int, rename, -1, (const char *from, const char *to), (from, to))
WRAP(int, renameat2, -1, (int fd, const char *from, int fd2, const char *to, unsigned flags),
     (fd, from, fd2, to, flags))
WRAP(int, statvfs, -1, (const char *restrict path, struct statvfs *restrict fs), (path, fs))
WRAP(int, stat, -1, (const char *restrict path, struct stat *restrict st), (path, st))
WRAP(int, unlink, -1, (const char *path), (path))
WRAP(ssize_t, write, -1, (int fd, const void *from, size_t n),
     (fd, from, shortened("write", HERE, n)))

/* openat2 has no function of its own; the other calls that go this way do not count. */
long syscall(long number, ...)
{
    long a[6];
    va_list ap;

    va_start(ap, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(ap, long);
    va_end(ap);
    if (number == SYS_openat2 && denied_call("openat2", HERE))
        return -1;
    return NEXT(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
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
