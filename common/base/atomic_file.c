/* SPDX-License-Identifier: MIT */
#include "common/base/atomic_file.h"

#include "common/base/file.h"
#include "common/base/file_lock.h"
#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER_SIZE = 1 << 18, MODE_BITS = 0777, MODE_OWNER = 0600 };

struct atomic_file {
    char *path;
    char *partial; /* beside path */
    char *dir;
    int fd;
    bool force;
    bool part; /* of a set of outputs: the same bytes may be there already */
    int mode;  /* permissions of the file that is to be replaced; -1: there is none */
    uint64_t size;
    size_t fill;
    uint8_t buffer[BUFFER_SIZE];
};

static void free_names(struct atomic_file *f)
{
    free(f->path);
    free(f->partial);
    free(f->dir);
    free(f);
}

static enum err_code set_names(struct atomic_file *f, const char *path, struct err *e)
{
    const char *base = path_base(path);
    size_t dir_len = (size_t)(base - path);
    size_t size = strlen(path) + sizeof ".." + sizeof ".partial";

    TRY(mem_string(&f->path, path, e));
    TRY(mem_array(&f->dir, dir_len + 2, 1, "path", e));
    TRY(mem_array(&f->partial, size, 1, "path", e));
    memcpy(f->dir, dir_len > 0 ? path : ".", dir_len > 0 ? dir_len : 1);
    snprintf(f->partial, size, "%.*s.%s.partial", (int)dir_len, path, base);
out:
    return e->code;
}

static enum err_code refuse_existing(const char *path, struct err *e)
{
    return err_set(e, ERR_EXISTS, "%s: exists: use --force to replace it", path);
}

/* Whether the name may be written, and the permissions of the regular file that is there: -1 for
 * none. A link is not followed, for it may lead to anything, nor replaced, for it may be what a
 * user stores outputs elsewhere with. */
static enum err_code check_name(const char *path, bool force, int *mode, struct err *e)
{
    struct stat st;

    *mode = -1;
    if (lstat(path, &st) != 0)
        return errno == ENOENT || errno == ENOTDIR ? ERR_OK : err_sys(e, "%s: cannot stat", path);
    if (S_ISLNK(st.st_mode))
        return err_set(e, ERR_EXISTS,
                       "%s: is a symbolic link: remove it or name the file that it leads to", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_EXISTS,
                       "%s: exists and is not a regular file: remove it or give another name",
                       path);
    *mode = (int)(st.st_mode & MODE_BITS);
    return force ? ERR_OK : refuse_existing(path, e);
}

enum err_code atomic_file_check(const char *path, bool force, struct err *e)
{
    int mode;

    return check_name(path, force, &mode, e);
}

/* Locks the partial file, or closes it, and where the lock is refused for ever removes it again
 * when it was made for this. Who opens it meanwhile notices: see open_partial(). */
static enum err_code lock_partial(struct atomic_file *f, bool made, struct err *e)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (TEMP_FAILURE_RETRY(fcntl(f->fd, F_OFD_SETLK, &lock)) == 0)
        return ERR_OK;
    if (errno == EAGAIN || errno == EACCES) {
        (void)err_set(e, ERR_EXISTS, "%s: another process is writing it: wait for that one",
                      f->path);
    } else {
        (void)file_lock_refused(f->path, e);
        if (made)
            (void)unlink(f->partial);
    }
    close(f->fd);
    f->fd = -1;
    return e->code;
}

/* The new file is never more open than the one that it replaces. */
static enum err_code set_mode(struct atomic_file *f, int mode, struct err *e)
{
    struct stat st;

    if (fstat(f->fd, &st) == 0 && (st.st_mode & MODE_BITS) == (mode_t)mode)
        return ERR_OK;
    return fchmod(f->fd, (mode_t)mode) == 0 ? ERR_OK
                                            : err_sys(e, "%s: cannot keep its mode", f->path);
}

/* Opens the partial file and locks it. The lock belongs to the open file description and vanishes
 * with its process, so a partial file left by a kill is simply taken over. After the lock is
 * granted the name must still mean our inode: the previous owner may have renamed it into place
 * meanwhile. An inode with a second name is one that publish() linked into place before it was
 * killed: emptying it would empty the published file, so it only loses this name. */
static enum err_code open_partial(struct atomic_file *f, struct err *e)
{
    for (;;) {
        struct stat by_fd, by_name;
        bool made;

        f->fd = file_open_or_make(f->partial, &made);
        if (f->fd < 0)
            return err_sys(e,
                           errno == ENOENT ? "%s: cannot create: make its folder first"
                                           : "%s: cannot create",
                           f->path);
        if (lock_partial(f, made, e) != ERR_OK)
            return e->code;
        if (fstat(f->fd, &by_fd) != 0)
            return err_sys(e, "%s: cannot stat", f->partial);
        if (by_fd.st_nlink > 1 && unlink(f->partial) != 0)
            return err_sys(e, "%s: cannot remove", f->partial);
        if (stat(f->partial, &by_name) == 0 && by_fd.st_ino == by_name.st_ino &&
            by_fd.st_dev == by_name.st_dev)
            break;
        close(f->fd);
        f->fd = -1;
    }
    if (TEMP_FAILURE_RETRY(ftruncate(f->fd, 0)) != 0)
        err_sys(e, "%s: cannot empty", f->partial);
    else if (f->mode >= 0)
        (void)set_mode(f, f->mode | MODE_OWNER, e);
    if (e->code != ERR_OK)
        (void)unlink(f->partial);
    return e->code;
}

static enum err_code open_output(struct atomic_file **out, const char *path, bool force, bool part,
                                 struct err *e)
{
    struct atomic_file *f = NULL;
    int mode = -1;

    *out = NULL;
    if (force || !part)
        TRY(check_name(path, force, &mode, e));
    TRY(mem_array(&f, 1, sizeof *f, "output buffer", e));
    f->mode = mode;
    f->fd = -1;
    f->force = force;
    f->part = part;
    TRY(set_names(f, path, e));
    TRY(open_partial(f, e));
    *out = f;
    f = NULL;
out:
    if (f != NULL) {
        if (f->fd >= 0)
            close(f->fd);
        free_names(f);
    }
    return e->code;
}

enum err_code atomic_file_open(struct atomic_file **f, const char *path, bool force, struct err *e)
{
    return open_output(f, path, force, false, e);
}

enum err_code atomic_file_open_part(struct atomic_file **f, const char *path, bool force,
                                    struct err *e)
{
    return open_output(f, path, force, true, e);
}

static enum err_code write_all(struct atomic_file *f, const uint8_t *p, size_t len, struct err *e)
{
    while (len > 0) {
        ssize_t n = write(f->fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, "%s: cannot write", f->path);
        p += n;
        len -= (size_t)n;
    }
    return ERR_OK;
}

static enum err_code flush(struct atomic_file *f, struct err *e)
{
    size_t n = f->fill;

    f->fill = 0;
    return write_all(f, f->buffer, n, e);
}

enum err_code atomic_file_write(struct atomic_file *f, const void *data, size_t len, struct err *e)
{
    if (len > BUFFER_SIZE - f->fill)
        TRY(flush(f, e));
    if (len > BUFFER_SIZE) {
        TRY(write_all(f, data, len, e));
    } else {
        memcpy(f->buffer + f->fill, data, len);
        f->fill += len;
    }
    f->size += len;
out:
    return e->code;
}

enum err_code atomic_file_printf(struct atomic_file *f, struct err *e, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return err_set(e, ERR_NOMEM, "%s: cannot format a line: out of memory", f->path);
    TRY(atomic_file_write(f, text, (size_t)n, e));
out:
    free(text);
    return e->code;
}

uint64_t atomic_file_size(const struct atomic_file *f)
{
    return f->size;
}

/* NAME is there: fine when it holds what was written. */
static enum err_code keep_same(struct atomic_file *f, struct err *e)
{
    struct file_view old = {0}, new = {0};

    TRY(file_map(&old, f->path, e));
    TRY(file_map(&new, f->partial, e));
    if (old.len != new.len || (old.len > 0 && memcmp(old.data, new.data, old.len) != 0))
        FAIL(err_set(e, ERR_EXISTS, "%s: exists and differs: use --force to replace it", f->path));
    if (unlink(f->partial) != 0)
        FAIL(err_sys(e, "%s: cannot remove", f->partial));
out:
    file_view_free(&old);
    file_view_free(&new);
    return e->code;
}

/* RENAME_NOREPLACE closes the window between the check at open and now; file systems without it
 * (EINVAL) get link and unlink, which refuse an existing name too. */
static enum err_code publish(struct atomic_file *f, struct err *e)
{
    if (f->force)
        return rename(f->partial, f->path) == 0 ? ERR_OK : err_sys(e, "%s: cannot rename", f->path);
    if (renameat2(AT_FDCWD, f->partial, AT_FDCWD, f->path, RENAME_NOREPLACE) == 0)
        return ERR_OK;
    if ((errno == EINVAL || errno == ENOSYS) && link(f->partial, f->path) == 0) {
        (void)unlink(f->partial);
        return ERR_OK;
    }
    if (errno != EEXIST)
        return err_sys(e, "%s: cannot rename", f->path);
    return f->part ? keep_same(f, e) : refuse_existing(f->path, e);
}

/* An owner who may not write his file could not take over its partial file after a kill: that comes
 * last. */
static enum err_code take_from_owner(struct atomic_file *f, struct err *e)
{
    if (f->mode < 0 || (f->mode & MODE_OWNER) == MODE_OWNER)
        return ERR_OK;
    TRY(set_mode(f, f->mode, e));
    if (TEMP_FAILURE_RETRY(fsync(f->fd)) != 0)
        err_sys(e, "%s: cannot sync", f->path);
out:
    return e->code;
}

enum err_code atomic_file_commit(struct atomic_file *f, struct err *e)
{
    bool published = false; /* .partial is then nobody's, or already the next writer's */

    TRY(flush(f, e));
    if (TEMP_FAILURE_RETRY(fsync(f->fd)) != 0)
        FAIL(err_sys(e, "%s: cannot sync", f->path));
    TRY(publish(f, e));
    published = true;
    TRY(take_from_owner(f, e));
    TRY(dir_sync(f->dir, e));
out:
    if (!published)
        (void)unlink(f->partial);
    if (close(f->fd) != 0 && e->code == ERR_OK)
        (void)err_sys(e, "%s: cannot close", f->path);
    free_names(f);
    return e->code;
}

void atomic_file_abort(struct atomic_file *f)
{
    if (f == NULL)
        return;
    (void)unlink(f->partial);
    close(f->fd);
    free_names(f);
}

static enum err_code put(struct atomic_file *f, const void *data, size_t len, struct err *e)
{
    struct atomic_file *done;

    TRY(atomic_file_write(f, data, len, e));
    done = f;
    f = NULL;
    TRY(atomic_file_commit(done, e));
out:
    atomic_file_abort(f);
    return e->code;
}

enum err_code atomic_file_put(const char *path, const void *data, size_t len, bool force,
                              struct err *e)
{
    struct atomic_file *f;

    TRY(atomic_file_open(&f, path, force, e));
    TRY(put(f, data, len, e));
out:
    return e->code;
}

enum err_code atomic_file_put_part(const char *path, const void *data, size_t len, bool force,
                                   struct err *e)
{
    struct atomic_file *f;

    TRY(atomic_file_open_part(&f, path, force, e));
    TRY(put(f, data, len, e));
out:
    return e->code;
}
