/* SPDX-License-Identifier: MIT */
#include "prep/contain.h"

#include "common/base/mem.h"
#include "prep/contain_guard.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a large clip has filled of the shared memory is given back beyond this. */
enum { KEEP_BYTES = 4 << 20 };

struct contain {
    struct contain_options opt;
    size_t in_room, out_room; /* whole pages */
    struct contain_slot *slot;
    int started;
};

static size_t whole_pages(size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (n + page - 1) / page * page;
}

static enum err_code share(void *out, size_t size, struct err *e)
{
    void *p =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        return err_sys(e, "memory for a worker (%zu bytes): cannot map", size);
    memcpy(out, &p, sizeof p);
    return ERR_OK;
}

static void unshare(struct contain *c, struct contain_slot *s)
{
    if (s->in != NULL)
        munmap(s->in, c->in_room + c->out_room);
    if (s->clock != NULL)
        munmap(s->clock, sizeof *s->clock);
    s->in = NULL;
    s->clock = NULL;
}

/* ---- opening and closing ---- */

static enum err_code start(struct contain *c, struct contain_slot *s, struct err *e)
{
    pid_t tool = getpid();
    int pair[2];

    TRY(share(&s->in, c->in_room + c->out_room, e));
    s->out = s->in + c->in_room;
    TRY(share(&s->clock, sizeof *s->clock, e));
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        FAIL(err_sys(e, "socket to a worker: cannot make"));
    s->guard = fork();
    if (s->guard == 0) {
        for (struct contain_slot *other = c->slot; other < s; other++)
            unshare(c, other);
        contain_guard(&c->opt, s, pair[1], tool);
    }
    close(pair[1]);
    s->fd = pair[0];
    if (s->guard < 0) {
        (void)err_sys(e, "worker process: cannot start: use fewer jobs (-j)");
        close(s->fd);
        goto out;
    }
    c->started++;
out:
    if (e->code != ERR_OK)
        unshare(c, s);
    return e->code;
}

static enum err_code ask(struct contain_slot *s, struct contain_request *q,
                         struct contain_reply *reply, struct err *e);

/* A worker that cannot be confined must not get any bytes. */
static enum err_code first_worker(struct contain_slot *s, struct err *e)
{
    struct contain_request q = {.ping = true};
    struct contain_reply reply;

    TRY(ask(s, &q, &reply, e));
    if (reply.end != END_DONE)
        (void)err_set(e, ERR_IO, "worker process: ended at once");
    else if (reply.code != ERR_OK)
        (void)err_set(e, ERR_IO, "worker process: %s", reply.text);
out:
    return e->code;
}

enum err_code contain_open(struct contain **out, const struct contain_options *opt, struct err *e)
{
    struct contain *c = NULL;

    *out = NULL;
    TRY(mem_array(&c, 1, sizeof *c, "workers", e));
    c->opt = *opt;
    if (c->opt.doing == NULL)
        c->opt.doing = "decoding";
    c->in_room = whole_pages(opt->in_max > 0 ? opt->in_max : 1);
    c->out_room = whole_pages(opt->out_max > 0 ? opt->out_max : 1);
    TRY(mem_array(&c->slot, (size_t)opt->workers, sizeof *c->slot, "workers", e));
    for (int i = 0; i < opt->workers; i++)
        TRY(start(c, &c->slot[i], e));
    for (int i = 0; i < opt->workers; i++)
        TRY(first_worker(&c->slot[i], e));
    *out = c;
    c = NULL;
out:
    contain_close(c);
    return e->code;
}

void contain_close(struct contain *c)
{
    if (c == NULL)
        return;
    for (int i = 0; i < c->started; i++)
        close(c->slot[i].fd);
    for (int i = 0; i < c->started; i++) {
        while (waitpid(c->slot[i].guard, NULL, 0) < 0 && errno == EINTR)
            ;
        unshare(c, &c->slot[i]);
    }
    free(c->slot);
    free(c);
}

/* ---- a job ---- */

/* recv() gives 0 for an empty message too, which a worker can send. */
static bool hung_up(int fd)
{
    struct pollfd p = {.fd = fd};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
}

/* The guard has left or was ended: errno is that of recv(), 0 at the end of what was sent. */
static enum err_code nobody_there(const struct contain_slot *s, struct err *e)
{
    int no_fork = __atomic_load_n(&s->clock->no_fork, __ATOMIC_ACQUIRE);

    if (no_fork != 0) {
        errno = no_fork;
        return err_sys(e, "worker process: cannot start: use fewer jobs (-j)");
    }
    if (errno != 0)
        return err_sys(e, "worker process: cannot be heard");
    return err_set(e, ERR_IO, "worker process: the process that guards it was ended");
}

static enum err_code receive(struct contain_slot *s, struct contain_reply *reply, struct err *e)
{
    ssize_t n;

    do {
        errno = 0;
        n = recv(s->fd, reply, sizeof *reply, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0 || (n == 0 && hung_up(s->fd)))
        return nobody_there(s, e);
    if (n != (ssize_t)sizeof *reply)
        reply->number = 0; /* nonsense: no job has this number */
    reply->text[sizeof reply->text - 1] = '\0';
    return ERR_OK;
}

/* Sends the request and waits for the reply that belongs to it. */
static enum err_code ask(struct contain_slot *s, struct contain_request *q,
                         struct contain_reply *reply, struct err *e)
{
    q->number = s->clock->asked + 1;
    __atomic_store_n(&s->clock->asked, q->number, __ATOMIC_RELEASE);
    if (send(s->fd, q, sizeof *q, MSG_NOSIGNAL) != (ssize_t)sizeof *q)
        return err_sys(e, "worker process: cannot be reached");
    do
        TRY(receive(s, reply, e));
    while (reply->number != q->number);
    __atomic_store_n(&s->clock->done, q->number, __ATOMIC_RELEASE);
out:
    return e->code;
}

static void how_it_died(const struct contain *c, const char *name, int status, struct err *fault)
{
    const char *doing = c->opt.doing;
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

    if (signal == SIGSYS)
        (void)err_set(fault, ERR_FORMAT, "%s: %s it was stopped: it tried a forbidden system call",
                      name, doing);
    else if (signal == SIGKILL)
        (void)err_set(fault, ERR_FORMAT, "%s: %s it was killed from outside (SIGKILL)", name,
                      doing);
    else if (signal != 0)
        (void)err_set(fault, ERR_FORMAT, "%s: %s it crashed: %s (SIG%s)", name, doing,
                      strsignal(signal), sigabbrev_np(signal) ? sigabbrev_np(signal) : "?");
    else
        (void)err_set(fault, ERR_FORMAT, "%s: %s it ended the process with status %d", name, doing,
                      WEXITSTATUS(status));
}

/* The worker's own words: whatever it says, it is an error of the clip (err_set makes it safe to
 * print). */
static void what_it_said(const struct contain *c, const char *name, struct contain_reply *reply,
                         struct err *fault)
{
    enum err_code code = ERR_FORMAT;

    if (reply->code == ERR_NOMEM) {
        (void)err_set(fault, ERR_DATA, "%s: %s it takes more than %zu MiB of memory", name,
                      c->opt.doing, c->opt.limits.memory >> 20);
        return;
    }
    if (reply->code == ERR_TRUNCATED || reply->code == ERR_DATA)
        code = (enum err_code)reply->code;
    (void)err_set(fault, code, "%s", reply->text);
}

static void settle(const struct contain *c, const char *name, struct contain_reply *reply,
                   struct err *fault)
{
    const struct contain_limits *limits = &c->opt.limits;

    switch (reply->end) {
    case END_DONE:
        if (reply->code != ERR_OK)
            what_it_said(c, name, reply, fault);
        else if (reply->out_len > c->opt.out_max)
            (void)err_set(fault, ERR_FORMAT, "%s: its decoder claims more than it may give", name);
        break;
    case END_CPU:
        (void)err_set(fault, ERR_DATA, "%s: gave up after %g s of processor time", name,
                      (double)limits->cpu_ms / 1000);
        break;
    case END_IDLE:
        (void)err_set(fault, ERR_DATA, "%s: gave up: its decoder waited for %g s", name,
                      (double)limits->idle_ms / 1000);
        break;
    case END_DIED: how_it_died(c, name, reply->wait_status, fault); break;
    default:
        (void)err_set(fault, ERR_FORMAT, "%s: its decoder answered what no worker answers", name);
    }
}

static void give_back(uint8_t *shared, size_t used, size_t room)
{
    if (used > KEEP_BYTES)
        madvise(shared, room, MADV_REMOVE);
}

enum err_code contain_run(struct contain *c, int slot, int64_t tag, const char *name,
                          const void *in, size_t in_len, struct contain_result *out,
                          struct err *fault, struct err *e)
{
    struct contain_slot *s = &c->slot[slot];
    struct contain_request q = {.tag = tag, .in_len = in_len};
    struct contain_reply reply;

    *out = (struct contain_result){0};
    if (in_len > c->opt.in_max) {
        (void)err_set(fault, ERR_DATA, "%s: has %zu bytes, more than the limit of %zu", name,
                      in_len, c->opt.in_max);
        return ERR_OK;
    }
    if (in_len > 0)
        memcpy(s->in, in, in_len);
    TRY(ask(s, &q, &reply, e));
    settle(c, name, &reply, fault);
    if (fault->code == ERR_OK) {
        TRY(mem_aligned(&out->data, reply.out_len, 1, "result of a worker", e));
        out->len = reply.out_len;
        if (out->len > 0)
            memcpy(out->data, s->out, out->len);
    }
out:
    give_back(s->in, in_len, c->in_room);
    /* A worker that died may have filled all of it. */
    give_back(s->out, fault->code != ERR_OK ? c->out_room : out->len, c->out_room);
    return e->code;
}

void contain_result_free(struct contain_result *r)
{
    free(r->data);
    *r = (struct contain_result){0};
}
