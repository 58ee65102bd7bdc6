/* SPDX-License-Identifier: MIT */
#include "prep/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A sanitizer's or gcov's run-time library reserves terabytes of addresses, opens files and writes
 * reports. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(SYNIB_COVERAGE)
#define OPEN_BUILD 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OPEN_BUILD 1
#endif
#endif

enum confine_level confine_level(void)
{
#ifdef OPEN_BUILD
    return CONFINE_BUILD;
#else
    unsigned action = SECCOMP_RET_KILL_PROCESS;

    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0 ? CONFINE_FULL
                                                                           : CONFINE_NO_FILTER;
#endif
}

const char *confine_describe(enum confine_level level)
{
    switch (level) {
    case CONFINE_FULL: return "limits and a filter of system calls";
    case CONFINE_NO_FILTER:
        return "limits only: this kernel does not filter system calls (seccomp)";
    case CONFINE_BUILD:
        return "processor time only: this build (sanitizers or coverage) cannot live "
               "under a memory limit and a filter of system calls";
    }
    return "?";
}

/* Address space now, in bytes. */
static enum err_code address_space(size_t *bytes, struct err *e)
{
    char text[256] = "";
    size_t got = 0;
    int fd = TEMP_FAILURE_RETRY(open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
    ssize_t n = fd < 0 ? -1 : 1;

    while (n > 0 && got < sizeof text - 1) {
        n = TEMP_FAILURE_RETRY(read(fd, text + got, sizeof text - 1 - got));
        got += n > 0 ? (size_t)n : 0;
    }
    if (n < 0)
        (void)err_sys(e, "/proc/self/statm: cannot read how much memory is in use");
    if (fd >= 0)
        close(fd);
    *bytes = (size_t)strtoull(text, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
    if (e->code == ERR_OK && *bytes == 0)
        (void)err_set(e, ERR_IO, "/proc/self/statm: does not say how much memory is in use");
    return e->code;
}

static enum err_code limit(__rlimit_resource_t what, const char *name, rlim_t value, struct err *e)
{
    struct rlimit now;

    if (getrlimit(what, &now) != 0)
        return err_sys(e, "%s: cannot read the limit", name);
    if (now.rlim_max != RLIM_INFINITY && now.rlim_max < value)
        value = now.rlim_max;
    now = (struct rlimit){value, value};
    return setrlimit(what, &now) == 0 ? ERR_OK : err_sys(e, "%s: cannot set the limit", name);
}

static enum err_code set_limits(size_t memory, struct err *e)
{
    size_t base;

    TRY(limit(RLIMIT_CORE, "RLIMIT_CORE", 0, e));
    if (confine_level() == CONFINE_BUILD)
        return ERR_OK;
    TRY(address_space(&base, e));
    /* No new descriptor: nothing can be opened, no socket be made. */
    TRY(limit(RLIMIT_NOFILE, "RLIMIT_NOFILE", 0, e));
    TRY(limit(RLIMIT_FSIZE, "RLIMIT_FSIZE", 0, e));
    TRY(limit(RLIMIT_AS, "RLIMIT_AS", base + memory, e));
out:
    return e->code;
}

/* What glibc's memory functions, the C library's exit paths and decoding use. */
static const int allowed[] = {
    SCMP_SYS(sendto),
    SCMP_SYS(recvfrom),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(sysinfo),
};

static int allow_all(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp self = {
        .arg = 0, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)getpid()};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof allowed / sizeof *allowed; i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    /* Memory, but never executable; no file can be mapped, as none can be opened. */
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    /* abort() signals its own thread; nobody else can be signalled. */
    if (rc == 0)
        rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &self);
    return rc;
}

static enum err_code filter_calls(struct err *e)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int rc;

    if (filter == NULL)
        return err_set(e, ERR_NOMEM, "filter of system calls: out of memory");
    rc = allow_all(filter);
    if (rc == 0)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    if (rc != 0) {
        errno = rc == -EFAULT ? ENOMEM : -rc; /* libseccomp says EFAULT where it has no memory */
        return err_sys(e, "filter of system calls: cannot be set");
    }
    return ERR_OK;
}

enum err_code confine_this_process(size_t memory, struct err *e)
{
    /* Else, where memory fails, glibc counts processors in order to try another arena. */
    mallopt(M_ARENA_MAX, 1);
    TRY(set_limits(memory, e));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        FAIL(err_sys(e, "prctl: cannot give up privileges"));
    if (confine_level() == CONFINE_FULL)
        TRY(filter_calls(e));
out:
    return e->code;
}
