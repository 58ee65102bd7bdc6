/* SPDX-License-Identifier: MIT */
#include "prep/contain_guard.h"

#include "prep/confine.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHANNEL = 0, TICK_MS = 100 };

#ifdef SYNIB_COVERAGE
void __gcov_dump(void);
#endif

/* Without atexit handlers and stdio buffers, which are the tool's. */
static _Noreturn void leave(int status)
{
#ifdef SYNIB_COVERAGE
    __gcov_dump();
#endif
    _exit(status);
}

/* The kernel ends this process when its parent ends. */
static void die_with(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent)
        leave(1);
}

/* ---- the worker ---- */

static void answer(const struct contain_options *opt, const struct contain_slot *slot,
                   const struct contain_request *q, const struct err *unfit)
{
    struct contain_reply reply = {.number = q->number, .end = END_DONE};
    struct err e = *unfit;
    size_t out_len = 0;

    if (e.code == ERR_OK && !q->ping)
        (void)opt->fn(opt->ctx, q->tag, slot->in, (size_t)q->in_len, slot->out, &out_len, &e);
    reply.code = (int32_t)e.code;
    reply.out_len = e.code == ERR_OK ? out_len : 0;
    memcpy(reply.text, e.text, sizeof reply.text);
    if (send(CHANNEL, &reply, sizeof reply, MSG_NOSIGNAL) != (ssize_t)sizeof reply)
        leave(0); /* nobody listens any more */
}

static _Noreturn void work(const struct contain_options *opt, const struct contain_slot *slot)
{
    struct contain_request q;
    struct err unfit = {0};

    munmap(slot->clock, sizeof *slot->clock);
    TRY(confine_this_process(opt->limits.memory, &unfit));
out: /* one that cannot be confined says so to every request and does nothing else */
    for (;;) {
        ssize_t n = recv(CHANNEL, &q, sizeof q, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n != (ssize_t)sizeof q)
            leave(0);
        answer(opt, slot, &q, &unfit);
    }
}

/* ---- the guard ---- */

/* Waits until a request is there, which stays for the worker. False: the tool has hung up. */
static bool request_waits(int flags)
{
    struct contain_request q;
    ssize_t n;

    do
        n = recv(CHANNEL, &q, sizeof q, MSG_PEEK | flags);
    while (n < 0 && errno == EINTR);
    return n > 0;
}

static pid_t start_worker(const struct contain_options *opt, const struct contain_slot *slot)
{
    pid_t guard = getpid(), pid = fork();

    if (pid != 0)
        return pid;
    die_with(guard);
    work(opt, slot);
}

static int64_t cpu_time_ms(pid_t pid)
{
    struct timespec t;
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return 0;
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* What the guard knows of the job that runs. */
struct watch {
    uint64_t number; /* of the job */
    int64_t start_ms, last_ms;
    int64_t idle_ticks;
};

/* END_DONE: go on. */
static enum contain_end look(struct watch *w, const struct contain_limits *limits,
                             const struct contain_clock *clock, pid_t pid)
{
    uint64_t done = __atomic_load_n(&clock->done, __ATOMIC_ACQUIRE);
    uint64_t asked = __atomic_load_n(&clock->asked, __ATOMIC_ACQUIRE);
    int64_t now = cpu_time_ms(pid);

    if (asked == done || asked != w->number) {
        *w = (struct watch){.number = asked, .start_ms = now, .last_ms = now};
        return END_DONE;
    }
    /* Counted in our own waking moments: a stopped and continued job has lost nothing. */
    w->idle_ticks = now == w->last_ms ? w->idle_ticks + 1 : 0;
    w->last_ms = now;
    if (now - w->start_ms > limits->cpu_ms)
        return END_CPU;
    return w->idle_ticks * TICK_MS > limits->idle_ms ? END_IDLE : END_DONE;
}

/* Until the worker has ended, or was ended. */
static enum contain_end watch_over(const struct contain_options *opt,
                                   const struct contain_slot *slot, pid_t pid, int *status)
{
    const struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};
    enum contain_end end = END_DONE;
    struct watch w = {0};
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    while (end == END_DONE) {
        (void)sigtimedwait(&child, NULL, &tick);
        if (waitpid(pid, status, WNOHANG) == pid)
            return END_DIED;
        end = look(&w, &opt->limits, slot->clock, pid);
    }
    kill(pid, SIGKILL);
    while (waitpid(pid, status, 0) < 0 && errno == EINTR)
        ;
    return end;
}

static void report(const struct contain_slot *slot, enum contain_end end, int status)
{
    /* This order: a request that is sent after we look at the number is still in the queue. */
    struct contain_reply reply = {
        .number = __atomic_load_n(&slot->clock->asked, __ATOMIC_ACQUIRE),
        .end = end,
        .wait_status = status,
    };

    if (request_waits(MSG_DONTWAIT))
        return; /* nobody has taken it up: it is the next worker's */
    (void)send(CHANNEL, &reply, sizeof reply, MSG_NOSIGNAL);
}

/* Signals from the terminal are for the tool, which finishes the clips it has begun. */
static void own_signals(void)
{
    static const int theirs[] = {SIGINT, SIGTERM, SIGUSR1, SIGHUP, SIGQUIT};
    sigset_t child;

    for (int i = 1; i < NSIG; i++) /* the tool's handlers must not run here */
        signal(i, SIG_DFL);
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++)
        signal(theirs[i], SIG_IGN);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_SETMASK, &child, NULL);
}

_Noreturn void contain_guard(const struct contain_options *opt, const struct contain_slot *slot,
                             int fd, pid_t tool)
{
    int status = 0;

    die_with(tool);
    own_signals();
    if (dup2(fd, CHANNEL) != CHANNEL)
        leave(1);
    close(STDOUT_FILENO);
    if (confine_level() != CONFINE_BUILD) /* a sanitizer's report goes there */
        close(STDERR_FILENO);
    closefrom(STDERR_FILENO + 1);
    while (request_waits(0)) {
        pid_t pid = start_worker(opt, slot);
        enum contain_end end;

        if (pid < 0) {
            __atomic_store_n(&slot->clock->no_fork, errno, __ATOMIC_RELEASE);
            leave(1);
        }
        end = watch_over(opt, slot, pid, &status);
        report(slot, end, status);
    }
    leave(0);
}
