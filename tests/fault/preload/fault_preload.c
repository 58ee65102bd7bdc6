/* SPDX-License-Identifier: MIT */
/* To be preloaded (LD_PRELOAD) into a tool: makes allocations fail and reads and writes fall short.
 * What to do comes from the environment; every number counts from 1, starts with main() and covers
 * all threads and forked children together.
 *
 *   FAULT_ALLOC=N      the N-th allocation by anybody (malloc, calloc, realloc, posix_memalign,
 *                      aligned_alloc, memalign, mmap of anonymous memory) fails; 0: none
 *   FAULT_STICKY=1     ... and so do all after it
 *   FAULT_SHORT=K      every K-th read or write transfers one byte only, or, with
 *   FAULT_HALF=1       half of what was asked
 *   FAULT_EINTR=N      the N-th read, write, fsync or ftruncate is interrupted by a signal
 *   FAULT_REPORT=FILE  FILE holds "allocations calls" at exit; and, where an allocation failed, a
 *                      line with the return addresses, innermost first, as object+offset
 *   FAULT_PLACES=FILE  at exit FILE holds, one a line, the numbers of the allocations with a stack
 *                      (its innermost DEPTH callers) that none before had
 *
 * glibc's stdio writes by system calls of its own, which nobody can step into from here; strace can
 * (docs/reliability/kill.md). Not for sanitizer builds, whose allocator must come first. */
/* The functions below are the real ones, not inlined wrappers. */
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum { DEPTH = 16, OWN_FRAMES = 3, PLACES = 1 << 16, STACK_TEXT = 8192 };

/* Shared with forked children, some of which may open no file. */
struct shared {
    atomic_long allocations, calls;
    atomic_size_t places;
    atomic_uint_least64_t stack[PLACES]; /* hashes, 0 = free */
    int32_t place[PLACES];
    char text[STACK_TEXT];
};

static struct shared *seen;
static long fail_at, eintr_at, short_every;
static bool started, sticky, half;
static const char *report, *places;
static pid_t first_process;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t items, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t align, size_t size);

/* ---- what happened ---- */

static void write_all(int fd, const char *text, size_t size)
{
    for (long n; size > 0; text += n, size -= (size_t)n) {
        n = syscall(SYS_write, fd, text, size);
        if (n <= 0)
            abort();
    }
}

static void write_report(void)
{
    char line[64];
    int fd = open(report, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int n = snprintf(line, sizeof line, "%ld %ld\n", atomic_load(&seen->allocations),
                     atomic_load(&seen->calls));

    if (fd < 0)
        return;
    write_all(fd, line, (size_t)n);
    write_all(fd, seen->text, strlen(seen->text));
    close(fd);
}

static void write_places(void)
{
    int fd = open(places, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    char line[16];

    for (size_t i = 0; fd >= 0 && i < atomic_load(&seen->places) && i < PLACES; i++)
        write_all(fd, line, (size_t)snprintf(line, sizeof line, "%d\n", seen->place[i]));
    if (fd >= 0)
        close(fd);
}

static __attribute__((destructor)) void at_exit(void)
{
    if (!started || getpid() != first_process)
        return;
    started = false;
    if (report != NULL)
        write_report();
    if (places != NULL)
        write_places();
}

static void keep_stack(void)
{
    void *frame[2 * DEPTH];
    int depth = backtrace(frame, 2 * DEPTH);
    size_t at = 0;

    for (int i = OWN_FRAMES; i < depth && at + 1 < STACK_TEXT; i++) {
        Dl_info info;

        if (dladdr(frame[i], &info) != 0 && info.dli_fname != NULL)
            at += (size_t)snprintf(seen->text + at, STACK_TEXT - at, "%s+%#zx ", info.dli_fname,
                                   (size_t)((char *)frame[i] - (char *)info.dli_fbase));
    }
    if (report != NULL && getpid() == first_process)
        write_report(); /* the process may come to no good end */
}

/* Remembers allocation n when its stack is a new one. */
static void note_place(long n)
{
    void *frame[DEPTH + OWN_FRAMES];
    int depth = backtrace(frame, DEPTH + OWN_FRAMES);
    uint64_t hash = 14695981039346656037u; /* FNV-1a */

    for (int i = OWN_FRAMES; i < depth; i++)
        hash = (hash ^ (uintptr_t)frame[i]) * 1099511628211u;
    hash |= 1; /* never 0 */
    for (size_t i = (size_t)(hash >> 40), tries = 0; tries < PLACES; i++, tries++) {
        uint64_t was = 0;

        if (atomic_compare_exchange_strong(&seen->stack[i % PLACES], &was, hash)) {
            seen->place[atomic_fetch_add(&seen->places, 1)] = (int32_t)n;
            return;
        }
        if (was == hash)
            return;
    }
}

/* ---- allocations ---- */

/* Allocations while a library is loaded count as little as those before main(): GLib and others end
 * the process there. */
static _Thread_local bool loading;

void *dlopen(const char *name, int mode)
{
    void *(*real)(const char *, int);
    void *handle = dlsym(RTLD_NEXT, "dlopen");

    memcpy(&real, &handle, sizeof real);
    loading = true;
    handle = real(name, mode);
    loading = false;
    return handle;
}

/* Whether this allocation is to fail. */
static __attribute__((noinline)) bool denied(void)
{
    static _Thread_local bool inside; /* finding a stack may allocate */
    bool fails;
    long n;

    if (!started || inside || loading)
        return false;
    n = atomic_fetch_add(&seen->allocations, 1) + 1;
    fails = fail_at > 0 && (n == fail_at || (n > fail_at && sticky));
    inside = true;
    if (places != NULL)
        note_place(n);
    if (fails && n == fail_at)
        keep_stack();
    inside = false;
    if (fails)
        errno = ENOMEM;
    return fails;
}

void *malloc(size_t size)
{
    return denied() ? NULL : __libc_malloc(size);
}

void *calloc(size_t items, size_t size)
{
    return denied() ? NULL : __libc_calloc(items, size);
}

void *realloc(void *old, size_t size)
{
    return denied() ? NULL : __libc_realloc(old, size);
}

void *memalign(size_t align, size_t size)
{
    return denied() ? NULL : __libc_memalign(align, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    return denied() ? NULL : __libc_memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    void *p = denied() ? NULL : __libc_memalign(align, size);

    if (p == NULL)
        return ENOMEM;
    *out = p;
    return 0;
}

void *mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
    if ((flags & MAP_ANONYMOUS) && denied())
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, at, size, prot, flags, fd, offset);
}

/* ---- reads and writes ---- */

/* Counts a call; false when it is the one to be interrupted. *size becomes what it may transfer. */
static bool allowed(size_t *size)
{
    long n;

    if (!started)
        return true;
    n = atomic_fetch_add(&seen->calls, 1) + 1;
    if (n == eintr_at) {
        errno = EINTR;
        return false;
    }
    if (short_every > 0 && n % short_every == 0 && *size > 1)
        *size = half ? *size / 2 : 1;
    return true;
}

ssize_t read(int fd, void *data, size_t size)
{
    return allowed(&size) ? syscall(SYS_read, fd, data, size) : -1;
}

ssize_t write(int fd, const void *data, size_t size)
{
    return allowed(&size) ? syscall(SYS_write, fd, data, size) : -1;
}

ssize_t pread(int fd, void *data, size_t size, off_t at)
{
    return allowed(&size) ? syscall(SYS_pread64, fd, data, size, at) : -1;
}

ssize_t pread64(int fd, void *data, size_t size, off_t at)
{
    return allowed(&size) ? syscall(SYS_pread64, fd, data, size, at) : -1;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    return allowed(&size) ? syscall(SYS_pwrite64, fd, data, size, at) : -1;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t at)
{
    return allowed(&size) ? syscall(SYS_pwrite64, fd, data, size, at) : -1;
}

int fsync(int fd)
{
    size_t none = 0;

    return allowed(&none) ? (int)syscall(SYS_fsync, fd) : -1;
}

/* clang's libomp takes an interrupted ftruncate for an error, and maps an empty file. */
static bool is_libomp(void *caller)
{
    Dl_info info;

    return dladdr(caller, &info) != 0 && info.dli_fname != NULL &&
           strstr(info.dli_fname, "libomp") != NULL;
}

int ftruncate(int fd, off_t size)
{
    size_t none = 0;

    return is_libomp(__builtin_return_address(0)) || allowed(&none)
               ? (int)syscall(SYS_ftruncate, fd, size)
               : -1;
}

/* ---- around main ---- */

typedef int main_fn(int argc, char **argv, char **envp);
typedef int start_fn(main_fn *run, int argc, char **argv, void (*init)(void), void (*fini)(void),
                     void (*rtld_fini)(void), void *stack_end);
start_fn __libc_start_main;

static main_fn *real_main;

static long number(const char *name)
{
    const char *text = getenv(name);

    return text != NULL ? strtol(text, NULL, 10) : 0;
}

static int run_main(int argc, char **argv, char **envp)
{
    void *frame[1];

    (void)backtrace(frame, 1); /* loads what it needs now, not in the middle of a failure */
    fail_at = number("FAULT_ALLOC");
    sticky = number("FAULT_STICKY") != 0;
    short_every = number("FAULT_SHORT");
    half = number("FAULT_HALF") != 0;
    eintr_at = number("FAULT_EINTR");
    report = getenv("FAULT_REPORT");
    places = getenv("FAULT_PLACES");
    first_process = getpid();
    seen = (void *)syscall(SYS_mmap, NULL, sizeof *seen, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0L);
    if (seen == MAP_FAILED)
        abort();
    started = true;
    return real_main(argc, argv, envp);
}

int __libc_start_main(main_fn *run, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*rtld_fini)(void), void *stack_end)
{
    start_fn *start = NULL;
    void *found = dlsym(RTLD_NEXT, "__libc_start_main");

    memcpy(&start, &found, sizeof start);
    real_main = run;
    return start(run_main, argc, argv, init, fini, rtld_fini, stack_end);
}
