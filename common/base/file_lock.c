/* SPDX-License-Identifier: MIT */
#include "common/base/file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* O_NONBLOCK: a FIFO of that name blocks nobody. */
enum { LOCK_FLAGS = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK };

int file_open_or_make(const char *path, bool *made)
{
    for (;;) { /* it may come and go meanwhile */
        int fd = TEMP_FAILURE_RETRY(open(path, LOCK_FLAGS | O_CREAT | O_EXCL, 0666));

        *made = fd >= 0;
        if (fd >= 0 || errno != EEXIST)
            return fd;
        fd = TEMP_FAILURE_RETRY(open(path, LOCK_FLAGS));
        if (fd >= 0 || errno != ENOENT)
            return fd;
    }
}

bool file_lock_unknown(int error)
{
    return error == ENOSYS || error == ENOTSUP;
}

enum err_code file_lock_refused(const char *path, struct err *e)
{
    if (!file_lock_unknown(errno) && errno != ENOLCK)
        return err_sys(e, "%s: cannot lock", path);
    return err_set(e, ERR_IO,
                   "%s: cannot lock: %s: this file system has no locks: mount it with them "
                   "(-o flock) or write elsewhere",
                   path, strerror(errno));
}
