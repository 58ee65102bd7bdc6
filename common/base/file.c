/* SPDX-License-Identifier: MIT */
#include "common/base/file.h"

#include "common/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* O_NONBLOCK keeps a FIFO from blocking the open itself. */
enum { READ_FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK };

static int open_to_read(const char *path, int more_flags)
{
    int fd;

    do
        fd = open(path, READ_FLAGS | more_flags);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* A regular file only. */
static enum err_code check_regular(int fd, size_t *len, const char *path, struct err *e)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return err_sys(e, "%s: cannot stat", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_FORMAT, "%s: is not a regular file", path);
    *len = (size_t)st.st_size;
    return ERR_OK;
}

static enum err_code open_regular(int *fd, size_t *len, const char *path, struct err *e)
{
    *fd = open_to_read(path, 0);
    if (*fd < 0)
        return err_sys(e, "%s: cannot open", path);
    return check_regular(*fd, len, path, e);
}

/* All of an open file. */
static enum err_code read_all(struct file_view *v, int fd, const char *path, size_t limit,
                              struct err *e)
{
    uint8_t *data = NULL;
    size_t len = 0, got = 0;

    TRY(check_regular(fd, &len, path, e));
    if (len > limit)
        FAIL(err_set(e, ERR_DATA, "%s: has %zu bytes, more than the limit of %zu", path, len,
                     limit));
    TRY(mem_array(&data, len + 1, 1, path, e)); /* + 1: text readers find a NUL at the end */
    while (got < len) {
        ssize_t n = read(fd, data + got, len - got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            FAIL(err_sys(e, "%s: cannot read", path));
        if (n == 0)
            FAIL(err_set(e, ERR_TRUNCATED, "%s: shrank while it was read", path));
        got += (size_t)n;
    }
    *v = (struct file_view){.data = data, .len = len};
    data = NULL;
out:
    free(data);
    return e->code;
}

enum err_code file_read(struct file_view *v, const char *path, size_t limit, struct err *e)
{
    int fd = open_to_read(path, 0);

    *v = (struct file_view){0};
    if (fd < 0)
        return err_sys(e, "%s: cannot open", path);
    TRY(read_all(v, fd, path, limit, e));
out:
    close(fd);
    return e->code;
}

/* ---- beneath a folder ---- */

/* Both as realpath() gives them; folder NULL: there is none. */
static bool beneath(const char *path, const char *folder)
{
    size_t n;

    if (folder == NULL)
        return false;
    n = strlen(folder);
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || folder[n - 1] == '/');
}

/* A path that realpath() has just resolved: a link that has come into it since is not followed. */
static int open_resolved(const char *path)
{
    struct open_how how = {.flags = READ_FLAGS, .resolve = RESOLVE_NO_SYMLINKS};
    int fd;

    do
        fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
    while (fd < 0 && errno == EINTR);
    /* Kernels before 5.6 do not know the call, some containers forbid it. */
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        fd = open_to_read(path, O_NOFOLLOW);
    return fd;
}

enum err_code file_read_beneath(struct file_view *v, const char *root, const char *name,
                                size_t limit, struct err *e)
{
    char *path = NULL, *first = NULL, *real = NULL, *real_root = NULL, *real_first = NULL;
    size_t first_len = strcspn(name, "/");
    bool in_folder = name[first_len] == '/';
    int fd = -1;

    *v = (struct file_view){0};
    TRY(path_join(&path, root, name, e));
    TRY(mem_string(&first, path, e));
    first[strlen(path) - strlen(name) + first_len] = '\0';
    real = realpath(path, NULL);
    if (real == NULL)
        FAIL(err_sys(e, "%s: cannot open", path));
    real_root = realpath(root, NULL);
    if (real_root == NULL)
        FAIL(err_sys(e, "%s: cannot open", root));
    real_first = in_folder ? realpath(first, NULL) : NULL;
    if (in_folder && real_first == NULL)
        FAIL(err_sys(e, "%s: cannot open", first));
    if (!beneath(real, real_root) && !beneath(real, real_first))
        FAIL(err_set(e, ERR_FORMAT, "%s: is a link that leaves the corpus", path));
    fd = open_resolved(real);
    if (fd < 0)
        FAIL(err_sys(e, "%s: cannot open", path));
    TRY(read_all(v, fd, path, limit, e));
out:
    if (fd >= 0)
        close(fd);
    free(path);
    free(first);
    free(real);
    free(real_root);
    free(real_first);
    return e->code;
}

enum err_code file_map(struct file_view *v, const char *path, struct err *e)
{
    void *p = NULL;
    size_t len = 0;
    int fd = -1;

    *v = (struct file_view){0};
    TRY(open_regular(&fd, &len, path, e));
    if (len > 0) {
        p = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
            FAIL(err_sys(e, "%s: cannot map", path));
        *v = (struct file_view){.data = p, .len = len, .mapped = true};
    }
out:
    if (fd >= 0)
        close(fd);
    return e->code;
}

void file_view_free(struct file_view *v)
{
    void *p = (void *)(uintptr_t)v->data;

    if (v->mapped)
        munmap(p, v->len);
    else
        free(p);
    *v = (struct file_view){0};
}

enum err_code file_sha256(char hex[SHA256_HEX_SIZE], const char *path, struct err *e)
{
    struct file_view view = {0};
    uint8_t digest[SHA256_SIZE];

    TRY(file_map(&view, path, e));
    TRY(sha256_bytes(view.data, view.len, digest, e));
    sha256_hex(digest, hex);
out:
    file_view_free(&view);
    return e->code;
}

/* Codes of file systems that cannot sync a folder at all: some on a network, some in user space. */
static bool cannot_sync_folders(int error)
{
    return error == EINVAL || error == ENOSYS || error == ENOTSUP; /* here also EOPNOTSUPP */
}

enum err_code dir_sync(const char *path, struct err *e)
{
    int fd = TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    enum err_code code = ERR_OK;

    if (fd < 0 && errno == EACCES)
        return ERR_OK;
    if (fd < 0 || (TEMP_FAILURE_RETRY(fsync(fd)) != 0 && !cannot_sync_folders(errno)))
        code = err_sys(e, "%s: cannot sync the folder", path);
    if (fd >= 0)
        close(fd);
    return code;
}

/* The folder that holds `path` learns of it for good. */
static enum err_code sync_parent(const char *path, struct err *e)
{
    size_t len = (size_t)(path_base(path) - path);
    char *parent = NULL;

    TRY(mem_string(&parent, len > 0 ? path : ".", e));
    if (len > 0)
        parent[len] = '\0';
    TRY(dir_sync(parent, e));
out:
    free(parent);
    return e->code;
}

static enum err_code make_one(const char *path, struct err *e)
{
    struct stat st;

    if (mkdir(path, 0777) == 0)
        return sync_parent(path, e);
    if (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return ERR_OK;
    return err_sys(e, "%s: cannot make the folder", path);
}

enum err_code dir_make(const char *path, struct err *e)
{
    char *copy = NULL;

    TRY(mem_string(&copy, path, e));
    for (char *p = copy + 1; copy[0] != '\0' && *p != '\0'; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        TRY(make_one(copy, e));
        *p = '/';
    }
    TRY(make_one(copy, e));
out:
    free(copy);
    return e->code;
}

/* Of the nearest folder at or above `path` that exists. */
static bool free_bytes(const char *path, uint64_t *out, struct err *e)
{
    struct statvfs fs;
    char *copy = NULL, *slash;
    bool known = false;

    TRY(mem_string(&copy, path, e));
    while (!(known = statvfs(copy, &fs) == 0) && errno == ENOENT) {
        slash = strrchr(copy, '/');
        if (slash == NULL || slash == copy) {
            known = statvfs(slash == NULL ? "." : "/", &fs) == 0;
            break;
        }
        *slash = '\0';
    }
    if (known)
        *out = (uint64_t)fs.f_bavail * fs.f_frsize;
out:
    free(copy);
    return known;
}

enum err_code dir_room(const char *path, uint64_t bytes, struct err *e)
{
    uint64_t there = 0;

    if (!free_bytes(path, &there, e) || there >= bytes)
        return e->code;
    return err_set(e, ERR_IO,
                   "%s: needs about %.3f GB, %.3f GB are free there: nothing was written", path,
                   (double)bytes / 1e9, (double)there / 1e9);
}

enum err_code path_join(char **out, const char *dir, const char *name, struct err *e)
{
    size_t size = strlen(dir) + strlen(name) + 2;
    size_t len = strlen(dir);

    TRY(mem_array(out, size, 1, "path", e));
    snprintf(*out, size, "%s%s%s", dir, len > 0 && dir[len - 1] == '/' ? "" : "/", name);
out:
    return e->code;
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t n = strlen(name), s = strlen(suffix);

    return n >= s && strcmp(name + n - s, suffix) == 0;
}

enum err_code dir_list(struct name_list *list, const char *path, const char *suffix, struct err *e)
{
    struct dirent *d;
    DIR *dir = opendir(path);

    *list = (struct name_list){0};
    if (dir == NULL)
        return err_sys(e, "%s: cannot list", path);
    while (errno = 0, (d = readdir(dir)) != NULL) {
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        if (!ends_with(d->d_name, suffix))
            continue;
        TRY(mem_grow(&list->name, &list->cap, list->count + 1, sizeof *list->name, path, e));
        TRY(mem_string(&list->name[list->count], d->d_name, e));
        list->count++;
    }
    if (errno != 0)
        FAIL(err_sys(e, "%s: cannot list", path));
    if (list->count > 0)
        qsort(list->name, list->count, sizeof *list->name, by_name);
out:
    closedir(dir);
    if (e->code != ERR_OK)
        name_list_free(list);
    return e->code;
}

void name_list_free(struct name_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->name[i]);
    free(list->name);
    *list = (struct name_list){0};
}
