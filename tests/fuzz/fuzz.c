/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const enum err_code fuzz_bad_file[] = {ERR_DATA, ERR_FORMAT, ERR_TRUNCATED, ERR_CHECKSUM, ERR_OK};

void fuzz_check(int ok, const char *promise)
{
    if (ok)
        return;
    fprintf(stderr, "broken: %s\n", promise);
    abort();
}

void fuzz_check_err(enum err_code code, struct err *e, const char *name,
                    const enum err_code *allowed)
{
    fuzz_check(code == e->code, "the returned code is that of the err");
    if (code == ERR_OK)
        return;
    while (*allowed != ERR_OK && *allowed != code)
        allowed++;
    if (*allowed == ERR_OK)
        fprintf(stderr, "code %d: %s\n", (int)code, e->text);
    fuzz_check(*allowed == code, "only these codes may come back");
    fuzz_check(strstr(e->text, name) != NULL, "the text names the file");
    fuzz_check(e->text[0] != '\0', "there is a text");
    err_clear(e);
}

void fuzz_touch(const void *data, size_t len)
{
    const volatile uint8_t *p = data;

    while (len-- > 0)
        (void)*p++;
}

const char *fuzz_file(const uint8_t *data, size_t len)
{
    static char path[64];
    static int fd = -1;

    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        fuzz_check(fd >= 0, "memory for a file");
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    fuzz_check(ftruncate(fd, 0) == 0 && pwrite(fd, data, len, 0) == (ssize_t)len,
               "memory for a file");
    return path;
}
