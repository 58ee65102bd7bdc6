/* SPDX-License-Identifier: MIT */
#include "common/base/lost_mapping.h"

#include "common/base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* All of this runs in a signal handler: system calls and plain memory only, no stdio, no malloc. */

enum { LINE_SIZE = 4096 + 128, NUMBER_SIZE = 21 };

/* A line of /proc/self/maps: "from-to perms offset dev inode   path". */
struct mapping {
    uint64_t from, to, offset;
    char path[LINE_SIZE];
};

static uint64_t read_hex(const char **p)
{
    uint64_t v = 0;

    for (;; (*p)++) {
        if (**p >= '0' && **p <= '9')
            v = v * 16 + (uint64_t)(**p - '0');
        else if (**p >= 'a' && **p <= 'f')
            v = v * 16 + (uint64_t)(**p - 'a' + 10);
        else
            return v;
    }
}

static const char *skip_field(const char *p)
{
    while (*p != '\0' && *p != ' ')
        p++;
    while (*p == ' ')
        p++;
    return p;
}

/* False unless the line is of a file. */
static bool parse_line(struct mapping *m, const char *line)
{
    const char *p = line;

    m->from = read_hex(&p);
    p += *p == '-';
    m->to = read_hex(&p);
    p = skip_field(skip_field(p)); /* rest of the range, perms */
    m->offset = read_hex(&p);
    p = skip_field(skip_field(skip_field(p)));                /* rest of the offset, dev, inode */
    for (size_t i = 0; i == 0 || m->path[i - 1] != '\0'; i++) /* line and path have one size */
        m->path[i] = p[i] != '\0' && (unsigned char)p[i] < 0x20 ? '?' : p[i];
    return p[0] == '/';
}

/* Finds the file that is mapped at the address. */
static bool find_mapping(struct mapping *m, uint64_t at)
{
    char line[LINE_SIZE], chunk[1024];
    size_t len = 0;
    bool found = false;
    ssize_t n;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    while (!found && (n = read(fd, chunk, sizeof chunk)) > 0) {
        for (ssize_t i = 0; i < n && !found; i++) {
            if (chunk[i] != '\n') {
                line[len] = chunk[i];
                len += len < sizeof line - 1;
                continue;
            }
            line[len] = '\0';
            len = 0;
            found = parse_line(m, line) && at >= m->from && at < m->to;
        }
    }
    close(fd);
    return found;
}

static void say(const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        ssize_t n = write(STDERR_FILENO, text, left);

        if (n <= 0)
            return;
        text += n;
        left -= (size_t)n;
    }
}

static void say_number(uint64_t v)
{
    char text[NUMBER_SIZE + 1], *p = text + NUMBER_SIZE;

    *p = '\0';
    do {
        *--p = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    say(p);
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    struct mapping m;
    uint64_t at = (uint64_t)(uintptr_t)info->si_addr, byte;
    struct stat st;
    bool shorter;

    (void)context;
    if (info->si_code != BUS_ADRERR || !find_mapping(&m, at)) {
        signal(number, SIG_DFL); /* it is raised again on return */
        return;
    }
    byte = m.offset + (at - m.from);
    shorter = stat(m.path, &st) == 0 && (uint64_t)st.st_size <= byte;
    say(program_invocation_short_name);
    say(": ");
    say(m.path);
    say(": byte ");
    say_number(byte);
    if (shorter) {
        say(": the file shrank to ");
        say_number((uint64_t)st.st_size);
        say(" bytes while it was in use: restore it or make it again, then run again\n");
    } else {
        say(": cannot be read any more: the disk or its server fails, or the file shrank\n");
    }
    _exit(err_exit_status(shorter ? ERR_TRUNCATED : ERR_IO));
}

void lost_mapping_explain(void)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};

    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}
