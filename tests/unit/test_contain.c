/* SPDX-License-Identifier: MIT */
/* Jobs that do what hostile clips would like to do, in the worker processes of prep/contain.h: each
 * is one clip's fault with a reason of its own, and the next job runs as if nothing had been. */
#include "prep/confine.h"
#include "prep/contain.h"
#include "prep/contain_guard.h"
#include "tests/support/check.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { IN_MAX = 1 << 20, OUT_MAX = 1 << 20 };

/* What the jobs of the table find in their memory. */
struct world {
    pid_t tool;
    int canary; /* a descriptor that the tool has open */
};

enum job {
    COPY,
    SEGV,
    ABORT,
    TRAP,
    DIVIDE,
    STACK,
    EXIT,
    SPIN,
    SLEEP,
    MEMORY,
    MEMORY_USED,
    OPEN,
    CREATE,
    SOCKET,
    CONNECT,
    EXEC,
    FORK,
    THREAD,
    KILL_TOOL,
    KILL_SELF,
    TRACE,
    CODE,
    CODE_LATER,
    CANARY,
    TOO_MUCH,
    ERROR_TEXT,
    ERROR_CODE,
    FORGE,
    EMPTY,
    LIE,  /* sends the reply that it gets */
    PIDS, /* gives who_runs */
};

struct who_runs {
    pid_t worker, guard;
};

/* Seen by all processes: no fork() succeeds any more. */
static volatile bool *no_fork;

/* Takes the place of the C library's. */
pid_t fork(void)
{
    pid_t (*real)(void);
    void *symbol = dlsym(RTLD_NEXT, "fork");

    if (no_fork != NULL && *no_fork) {
        errno = EAGAIN;
        return -1;
    }
    memcpy(&real, &symbol, sizeof real);
    return real();
}

static volatile int sink;
static volatile int zero;

static int deeper(int n)
{
    volatile char page[4096];

    page[0] = (char)n;
    return n < 0 ? 0 : deeper(n + 1) + page[0];
}

static enum err_code all_memory(struct err *e)
{
    const size_t piece = (size_t)64 << 20;

    for (int i = 0; i < 1600; i++) {      /* 100 GB */
        volatile char *p = malloc(piece); /* likewise */

        if (p == NULL)
            return err_set(e, ERR_NOMEM, "out of memory");
        for (size_t at = 0; at < piece; at += 4096)
            p[at] = 1;
    }
    return ERR_OK;
}

static void *nothing(void *p)
{
    return p;
}

static void connect_somewhere(int fd)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};

    (void)connect(fd, (struct sockaddr *)&to, sizeof to);
}

static void map_code(bool later)
{
    uint8_t *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | (later ? 0 : PROT_EXEC),
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (later && p != MAP_FAILED)
        (void)mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

/* What is forbidden: returns when the system let it pass, or refused it with an error only. */
static void forbidden(const struct world *w, enum job job)
{
    char *argv[] = {(char[]){"/bin/true"}, NULL};
    pthread_t thread;

    switch (job) {
    case OPEN: (void)!open("/etc/passwd", O_RDONLY); break;
    case CREATE: (void)!open("created-by-a-worker", O_CREAT | O_WRONLY, 0600); break;
    case SOCKET: (void)!socket(AF_INET, SOCK_STREAM, 0); break;
    case CONNECT: connect_somewhere(0); break;
    case EXEC: execv(argv[0], argv); break;
    case FORK: (void)!fork(); break;
    case THREAD: (void)pthread_create(&thread, NULL, nothing, NULL); break;
    case KILL_TOOL: kill(w->tool, SIGTERM); break;
    case TRACE: ptrace(PTRACE_ATTACH, w->tool, NULL, NULL); break;
    case CODE: map_code(false); break;
    case CODE_LATER: map_code(true); break;
    default: break;
    }
}

static void forge(void)
{
    char nonsense[64] = "a reply that nobody asked for";

    for (int i = 0; i < 8; i++)
        (void)send(0, nonsense, sizeof nonsense - (size_t)i, 0);
}

static enum err_code misbehave(const struct world *w, enum job job, size_t *out_len, struct err *e)
{
    switch (job) {
    case SEGV: *(volatile int *)(uintptr_t)zero = 1; break;
    case ABORT: abort();
    case TRAP: __builtin_trap();
    case DIVIDE: raise(SIGFPE); break;
    case STACK: sink = deeper(0); break;
    case EXIT: _exit(7);
    case SPIN:
        for (;;)
            sink++;
    case SLEEP:
        for (;;)
            (void)recv(0, &(char){0}, 0, MSG_PEEK);
    case MEMORY: {
        void *volatile p = malloc((size_t)100 << 30); /* or the compiler leaves it out */
        if (p == NULL)
            return err_set(e, ERR_NOMEM, "out of memory");
        free(p);
        break;
    }
    case MEMORY_USED: return all_memory(e);
    case KILL_SELF: raise(SIGKILL); break;
    case CANARY:
        if (send(w->canary, "", 1, 0) >= 0 || errno != EBADF)
            return err_set(e, ERR_DATA, "a descriptor of the tool is open here");
        return err_set(e, ERR_DATA, "no descriptor");
    case TOO_MUCH: *out_len = (size_t)OUT_MAX + 1; break;
    case ERROR_TEXT: return err_set(e, ERR_TRUNCATED, "clip: \033[31mred\r\n\tlines\177");
    case ERROR_CODE: return err_set(e, (enum err_code)9999, "clip: an unheard-of error");
    case FORGE: forge(); break;
    case EMPTY: (void)!send(0, "", 0, 0); break;
    default: forbidden(w, job); break;
    }
    return e->code;
}

static enum err_code job(void *ctx, int64_t tag, const void *in, size_t in_len, void *out,
                         size_t *out_len, struct err *e)
{
    if (tag == PIDS) {
        *(struct who_runs *)out = (struct who_runs){.worker = getpid()};
        *out_len = sizeof(struct who_runs);
        return ERR_OK;
    }
    if (tag == LIE && send(0, in, in_len, 0) != (ssize_t)in_len)
        return err_set(e, ERR_DATA, "the lie cannot be sent");
    if (tag != COPY && tag != LIE)
        return misbehave(ctx, (enum job)tag, out_len, e);
    if (in_len > 0)
        memcpy(out, in, in_len);
    *out_len = in_len;
    return e->code;
}

static struct contain *pool_with(int workers, int cpu_ms, int idle_ms, struct world *w)
{
    struct contain_options opt = {
        .workers = workers,
        .in_max = IN_MAX,
        .out_max = OUT_MAX,
        .limits = {.cpu_ms = cpu_ms, .idle_ms = idle_ms, .memory = (size_t)256 << 20},
        .fn = job,
        .ctx = w,
    };
    struct contain *c;
    struct err e = {0};

    *w = (struct world){.tool = getpid(), .canary = open("/", O_RDONLY)};
    assert_true(w->canary > 2);
    ASSERT_OK(contain_open(&c, &opt, &e), e);
    return c;
}

/* Time for any machine: what is no SPIN and no SLEEP takes microseconds when it gets a core. */
static struct contain *pool(int workers, struct world *w)
{
    return pool_with(workers, 20000, 60000, w);
}

static void end(struct contain *c, struct world *w)
{
    contain_close(c);
    close(w->canary);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left, living or dead */
    assert_int_equal(errno, ECHILD);
}

/* A good job in the slot gives its input back. */
static void works(struct contain *c, int slot, size_t len)
{
    static uint8_t in[IN_MAX];
    struct contain_result out;
    struct err fault = {0}, e = {0};

    for (size_t i = 0; i < len; i++)
        in[i] = (uint8_t)(i * 31 + len);
    ASSERT_OK(contain_run(c, slot, COPY, "good", in, len, &out, &fault, &e), e);
    assert_string_equal(fault.text, "");
    assert_int_equal(out.len, len);
    assert_memory_equal(out.data, in, len);
    contain_result_free(&out);
}

/* The reason that the job gets; the slot works afterwards. */
static void fails(struct contain *c, enum job what, enum err_code code, const char *reason)
{
    struct contain_result out;
    struct err fault = {0}, e = {0};

    ASSERT_OK(contain_run(c, 0, what, "clip", "bytes", 5, &out, &fault, &e), e);
    if (fault.code != code || strcmp(fault.text, reason) != 0)
        fail_msg("job %d: %d '%s' instead of %d '%s'", (int)what, fault.code, fault.text, code,
                 reason);
    assert_null(out.data);
    works(c, 0, 1000);
}

static bool sandboxed(void)
{
    return confine_level() != CONFINE_BUILD;
}

static void test_crashes(void **state)
{
    struct world w;
    struct contain *c = pool(1, &w);

    (void)state;
    works(c, 0, 0);
    works(c, 0, IN_MAX);
    fails(c, TRAP, ERR_FORMAT, "clip: decoding it crashed: Illegal instruction (SIGILL)");
    fails(c, EXIT, ERR_FORMAT, "clip: decoding it ended the process with status 7");
    fails(c, KILL_SELF, ERR_FORMAT, "clip: decoding it was killed from outside (SIGKILL)");
    if (sandboxed()) { /* a sanitizer makes an exit of these */
        fails(c, SEGV, ERR_FORMAT, "clip: decoding it crashed: Segmentation fault (SIGSEGV)");
        fails(c, STACK, ERR_FORMAT, "clip: decoding it crashed: Segmentation fault (SIGSEGV)");
        fails(c, ABORT, ERR_FORMAT, "clip: decoding it crashed: Aborted (SIGABRT)");
        fails(c, DIVIDE, ERR_FORMAT,
              "clip: decoding it crashed: Floating point exception (SIGFPE)");
    }
    end(c, &w);
}

static void test_time(void **state)
{
    struct world w;
    struct contain *c = pool_with(1, 300, 60000, &w);
    struct rusage before, after;

    (void)state;
    getrusage(RUSAGE_CHILDREN, &before);
    fails(c, SPIN, ERR_DATA, "clip: gave up after 0.3 s of processor time");
    end(c, &w);
    getrusage(RUSAGE_CHILDREN, &after);
    assert_true(after.ru_utime.tv_sec - before.ru_utime.tv_sec < 5);
}

static void test_memory(void **state)
{
    struct world w;
    struct contain *c;

    (void)state;
    if (!sandboxed()) {
        print_message("skipped: no memory limit in this build\n");
        skip();
    }
    c = pool(1, &w);
    fails(c, MEMORY, ERR_DATA, "clip: decoding it takes more than 256 MiB of memory");
    fails(c, MEMORY_USED, ERR_DATA, "clip: decoding it takes more than 256 MiB of memory");
    end(c, &w);
}

static void test_waiting(void **state)
{
    struct world w;
    struct contain *c = pool_with(1, 20000, 2500, &w);

    (void)state;
    fails(c, SLEEP, ERR_DATA, "clip: gave up: its decoder waited for 2.5 s");
    end(c, &w);
}

static void test_forbidden(void **state)
{
    struct world w;
    struct contain *c;

    (void)state;
    if (confine_level() != CONFINE_FULL) {
        print_message("skipped: no filter of system calls here: %s\n",
                      confine_describe(confine_level()));
        skip();
    }
    c = pool(1, &w);
    for (enum job what = OPEN; what <= CODE_LATER; what++)
        if (what != KILL_SELF)
            fails(c, what, ERR_FORMAT,
                  "clip: decoding it was stopped: it tried a forbidden system call");
    assert_int_equal(access("created-by-a-worker", F_OK), -1);
    end(c, &w);
}

/* What the tool had open is not there; what it is told is not believed. */
static void test_isolation_and_lies(void **state)
{
    struct world w;
    struct contain *c = pool(1, &w);

    (void)state;
    if (confine_level() == CONFINE_FULL)
        fails(c, CANARY, ERR_DATA, "no descriptor");
    fails(c, TOO_MUCH, ERR_FORMAT, "clip: its decoder claims more than it may give");
    fails(c, ERROR_TEXT, ERR_TRUNCATED, "clip: ?[31mred???lines?");
    fails(c, ERROR_CODE, ERR_FORMAT, "clip: an unheard-of error");
    for (int i = 0; i < 100; i++) {
        struct contain_result out;
        struct err fault = {0}, e = {0};

        ASSERT_OK(contain_run(c, 0, FORGE, "clip", "", 0, &out, &fault, &e), e);
        contain_result_free(&out);
        works(c, 0, 10);
    }
    end(c, &w);
}

/* A reply is the worker's word, whoever seems to say it: it can cost the clip, never the run. */
static void test_forged_ends(void **state)
{
    struct world w;
    struct contain *c = pool(1, &w);
    uint64_t number = 1; /* the first worker was asked whether it is confined */

    (void)state;
    for (int end = -1; end < 8; end++) {
        struct contain_reply lie = {.number = ++number, .end = end, .wait_status = EAGAIN << 8};
        struct contain_result out;
        struct err fault = {0}, e = {0};

        ASSERT_OK(contain_run(c, 0, LIE, "clip", &lie, sizeof lie, &out, &fault, &e), e);
        if (end != END_DONE && strncmp(fault.text, "clip: ", 6) != 0)
            fail_msg("end %d: %d '%s'", end, fault.code, fault.text);
        contain_result_free(&out);
        works(c, 0, 10);
        number++;
    }
    for (int i = 0; i < 10; i++) {
        struct contain_result out;
        struct err fault = {0}, e = {0};

        ASSERT_OK(contain_run(c, 0, EMPTY, "clip", "", 0, &out, &fault, &e), e);
        contain_result_free(&out);
        works(c, 0, 10);
    }
    end(c, &w);
}

static void test_too_large(void **state)
{
    static uint8_t in[IN_MAX + 1];
    struct world w;
    struct contain *c = pool(1, &w);
    struct contain_result out;
    struct err fault = {0}, e = {0};

    (void)state;
    ASSERT_OK(contain_run(c, 0, COPY, "clip", in, sizeof in, &out, &fault, &e), e);
    assert_int_equal(fault.code, ERR_DATA);
    works(c, 0, IN_MAX);
    end(c, &w);
}

static pid_t parent_of(pid_t pid)
{
    char path[64];
    int parent = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%*d %*s %*c %d", &parent), 1);
    fclose(f);
    return parent;
}

static struct who_runs who(struct contain *c, int slot)
{
    struct contain_result out;
    struct who_runs who;
    struct err fault = {0}, e = {0};

    ASSERT_OK(contain_run(c, slot, PIDS, "clip", "", 0, &out, &fault, &e), e);
    assert_int_equal(out.len, sizeof who);
    memcpy(&who, out.data, sizeof who);
    contain_result_free(&out);
    who.guard = parent_of(who.worker);
    return who;
}

static void nap(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* A worker: its guard has seen its end. */
static void wait_until_gone(pid_t worker)
{
    for (int i = 0; i < 10000 && kill(worker, 0) == 0; i++)
        nap(1);
    assert_int_equal(errno, ESRCH);
}

static int64_t cpu_us(pid_t pid)
{
    struct timespec t;
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return 0;
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* When it is at work. */
static void *kill_at_work(void *pid)
{
    pid_t worker = *(pid_t *)pid;
    int64_t before = cpu_us(worker);

    while (cpu_us(worker) < before + 50000)
        nap(1);
    kill(worker, SIGKILL);
    return NULL;
}

static void test_killed_from_outside(void **state)
{
    struct world w;
    struct contain *c = pool(1, &w);
    pthread_t thread;
    pid_t victim;

    (void)state;
    for (int i = 0; i < 5; i++) { /* between jobs: nobody's fault */
        victim = who(c, 0).worker;
        assert_int_equal(kill(victim, SIGKILL), 0);
        wait_until_gone(victim);
        works(c, 0, 100);
        assert_int_not_equal(who(c, 0).worker, victim);
    }
    victim = who(c, 0).worker; /* at work */
    assert_int_equal(pthread_create(&thread, NULL, kill_at_work, &victim), 0);
    fails(c, SPIN, ERR_FORMAT, "clip: decoding it was killed from outside (SIGKILL)");
    pthread_join(thread, NULL);
    end(c, &w);
}

static void test_guard_killed(void **state)
{
    struct world w;
    struct contain *c = pool(2, &w);
    pid_t guard = who(c, 0).guard;
    siginfo_t death;
    struct contain_result out;
    struct err fault = {0}, e = {0};

    (void)state;
    assert_int_equal(kill(guard, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)guard, &death, WEXITED | WNOWAIT), 0);
    assert_int_equal(contain_run(c, 0, COPY, "clip", "", 0, &out, &fault, &e), ERR_IO);
    assert_int_equal(fault.code, ERR_OK); /* not the clip's */
    works(c, 1, 100);
    end(c, &w);
}

/* That no worker can be had ends the run: it is no clip's fault. */
static void test_no_worker(void **state)
{
    void *shared = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct contain_result out;
    struct err fault = {0}, e = {0};
    struct contain *c;
    struct world w;
    pid_t victim;

    (void)state;
    assert_ptr_not_equal(shared, MAP_FAILED);
    no_fork = shared;
    c = pool(1, &w);
    victim = who(c, 0).worker;
    *no_fork = true;
    assert_int_equal(kill(victim, SIGKILL), 0);
    wait_until_gone(victim);
    ASSERT_FAILS(contain_run(c, 0, COPY, "clip", "", 0, &out, &fault, &e), e, ERR_IO,
                 "worker process: cannot start: use fewer jobs (-j): Resource temporarily");
    assert_int_equal(fault.code, ERR_OK);
    no_fork = NULL;
    munmap(shared, 1);
    end(c, &w);
}

/* In a process of its own: a pool whose worker is at work when the tool is killed. */
static _Noreturn void tool_to_be_killed(int report)
{
    struct world w;
    struct contain *c = pool(1, &w);
    struct who_runs ids = who(c, 0);
    struct contain_result out;

    if (write(report, &ids, sizeof ids) == (ssize_t)sizeof ids)
        (void)!contain_run(c, 0, SLEEP, "clip", "", 0, &out, &(struct err){0}, &(struct err){0});
    _exit(0);
}

/* Nobody outlives the tool. Orphans come to us, so that their end can be seen. */
static void test_tool_killed(void **state)
{
    struct who_runs ids;
    int pipes[2], ended = 0;
    pid_t tool;

    (void)state;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    assert_int_equal(pipe(pipes), 0);
    tool = fork();
    assert_true(tool >= 0);
    if (tool == 0)
        tool_to_be_killed(pipes[1]);
    close(pipes[1]);
    assert_int_equal(read(pipes[0], &ids, sizeof ids), sizeof ids);
    assert_int_equal(kill(tool, SIGKILL), 0);
    for (int i = 0; i < 500 && ended < 3; i++) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ended++;
        nap(10);
    }
    assert_int_equal(ended, 3); /* tool, guard, worker */
    close(pipes[0]);
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}

/* Ctrl-C at a terminal reaches every process of the group; jobs that have begun are finished. */
static void test_terminal_signals(void **state)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGUSR1, SIGHUP};
    struct world w;
    struct contain *c = pool(1, &w);
    struct who_runs ids = who(c, 0);

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        kill(ids.worker, numbers[i]);
        kill(ids.guard, numbers[i]);
    }
    assert_int_equal(who(c, 0).worker, ids.worker);
    end(c, &w);
}

struct lane {
    struct contain *c;
    int slot;
    int done;
};

/* Good and bad jobs in turn; counts those that ended as they must. */
static void *drive(void *ctx)
{
    static const enum job jobs[] = {COPY, TRAP, COPY, EXIT, COPY, ERROR_TEXT, TOO_MUCH, COPY};
    struct lane *lane = ctx;

    for (int i = 0; i < 40; i++) {
        enum job what = jobs[(i + lane->slot) % 8];
        struct contain_result out;
        struct err fault = {0}, e = {0};
        char text[32];

        snprintf(text, sizeof text, "lane %d job %d", lane->slot, i);
        if (contain_run(lane->c, lane->slot, what, "clip", text, sizeof text, &out, &fault, &e) !=
            ERR_OK)
            break;
        lane->done += what == COPY ? out.len == sizeof text && memcmp(out.data, text, out.len) == 0
                                   : fault.code != ERR_OK && out.data == NULL;
        contain_result_free(&out);
    }
    return NULL;
}

static void test_many_slots(void **state)
{
    enum { LANES = 4 };
    struct world w;
    struct contain *c = pool(LANES, &w);
    struct lane lane[LANES] = {0};
    pthread_t thread[LANES];

    (void)state;
    for (int i = 0; i < LANES; i++) {
        lane[i] = (struct lane){.c = c, .slot = i};
        assert_int_equal(pthread_create(&thread[i], NULL, drive, &lane[i]), 0);
    }
    for (int i = 0; i < LANES; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(lane[i].done, 40);
    }
    end(c, &w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crashes),          cmocka_unit_test(test_time),
        cmocka_unit_test(test_waiting),          cmocka_unit_test(test_memory),
        cmocka_unit_test(test_forbidden),        cmocka_unit_test(test_isolation_and_lies),
        cmocka_unit_test(test_too_large),        cmocka_unit_test(test_killed_from_outside),
        cmocka_unit_test(test_guard_killed),     cmocka_unit_test(test_tool_killed),
        cmocka_unit_test(test_terminal_signals), cmocka_unit_test(test_many_slots),
        cmocka_unit_test(test_forged_ends),      cmocka_unit_test(test_no_worker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
