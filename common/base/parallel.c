/* SPDX-License-Identifier: MIT */
#include "common/base/parallel.h"

#include <omp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ThreadSanitizer does not see into libgomp: tell it that the team starts after the caller's writes
 * and that the caller goes on after the team's. */
#if defined(__SANITIZE_THREAD__)
#define TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN 1
#endif
#endif
#ifdef TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
/* The compiler hands the team its variables in a block that it writes after our release. */
#define NO_TSAN __attribute__((no_sanitize("thread")))
#else
#define NO_TSAN
#define __tsan_acquire(addr) ((void)(addr))
#define __tsan_release(addr) ((void)(addr))
#endif

NO_TSAN void parallel_for(int threads, int64_t n, parallel_fn *fn, void *ctx)
{
    int64_t next = 0;
    char done; /* apart: a thread that starts late has not seen what others did */

    if (threads > n)
        threads = (int)n;
    omp_set_num_threads(1); /* what oneDNN asks for when it runs on the caller's own thread */
    if (threads <= 1 || omp_in_parallel()) {
        for (int64_t i = 0; i < n; i++)
            fn(ctx, i, 0);
        return;
    }
    __tsan_release(&next);
#pragma omp parallel num_threads(threads) default(none) shared(next, done, n, fn, ctx)
    {
        __tsan_acquire(&next);
        for (;;) {
            int64_t i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
            if (i >= n)
                break;
            fn(ctx, i, omp_get_thread_num());
        }
        __tsan_release(&done);
    }
    __tsan_acquire(&done);
}

/* By its own path, so that ps and pgrep know it by its name, unless another file has that path now.
 * Returns where that fails. */
static void start_again(char **argv)
{
    static const char self[] = "/proc/self/exe";
    char *path = realpath(self, NULL);
    struct stat mine, named;

    if (path != NULL && stat(self, &mine) == 0 && stat(path, &named) == 0 &&
        mine.st_ino == named.st_ino && mine.st_dev == named.st_dev)
        execv(path, argv);
    free(path);
    execv(self, argv);
}

void parallel_sleep_when_idle(char **argv)
{
    if (getenv("OMP_WAIT_POLICY") == NULL && setenv("GOMP_SPINCOUNT", "2000", 0) == 0 &&
        setenv("OMP_WAIT_POLICY", "passive", 0) == 0)
        start_again(argv); /* where that fails, go on: slower, nothing else */
}

void parallel_prepare(void)
{
    omp_set_num_threads(1);
}

int parallel_cores(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    return CPU_COUNT(&set);
}
