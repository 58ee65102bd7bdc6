/* SPDX-License-Identifier: MIT */
#include "train/run_dir.h"

#include "common/base/atomic_file.h"
#include "common/base/cli.h"
#include "common/base/file.h"
#include "common/base/file_lock.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/data/json.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const char run_last_name[] = "last.safetensors";
const char run_prev_name[] = "prev.safetensors";
const char run_best_name[] = "best.safetensors";
const char run_lock_name[] = ".lock";

enum { MAX_LOG = 256 << 20 };
static const char places_name[] = "run.json";
static const char *const file_names[] = {
    run_last_name,   run_prev_name, run_best_name,  places_name,
    "metrics.jsonl", "epochs.csv",  "timing.jsonl", "ntk.csv",
};

bool run_has(const char *dir, const char *name)
{
    char path[PATH_MAX]; /* not allocated: no memory must not look like no file */
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);

    /* What cannot be looked at counts as there: whoever opens it is told why. */
    return n >= (int)sizeof path || access(path, F_OK) == 0 ||
           (errno != ENOENT && errno != ENOTDIR);
}

enum err_code run_remove(const char *dir, const char *name, struct err *e)
{
    char *path = NULL;

    TRY(path_join(&path, dir, name, e));
    if (unlink(path) != 0 && errno != ENOENT)
        err_sys(e, "%s: cannot be removed", path);
out:
    free(path);
    return e->code;
}

enum err_code run_clear(const char *dir, struct err *e)
{
    for (size_t i = 0; i < sizeof file_names / sizeof file_names[0]; i++)
        TRY(run_remove(dir, file_names[i], e));
out:
    return e->code;
}

/* ---- lock ---- */

static enum err_code wait_for_lock(const struct run_lock *lock, const char *path, struct err *e)
{
    const struct timespec pause = {.tv_nsec = 200 * 1000 * 1000};

    while (flock(lock->fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return file_lock_refused(path, e);
        if (cli_stop_requested())
            return err_set(e, ERR_STOPPED, "%s: stopped on request while waiting", path);
        nanosleep(&pause, NULL);
    }
    return ERR_OK;
}

/* Whether it was free. One that looks (run_lock_look) has it for a moment, and is not in the way.
 */
static bool lock_at_once(const struct run_lock *lock)
{
    const struct timespec moment = {.tv_nsec = 50 * 1000 * 1000};

    if (TEMP_FAILURE_RETRY(flock(lock->fd, LOCK_EX | LOCK_NB)) == 0)
        return true;
    if (errno != EWOULDBLOCK)
        return false;
    nanosleep(&moment, NULL);
    return TEMP_FAILURE_RETRY(flock(lock->fd, LOCK_EX | LOCK_NB)) == 0;
}

static enum err_code lock_taken(const char *dir, struct err *e)
{
    return err_set(e, ERR_EXISTS,
                   "%s: another process is at work here: wait for it or give another folder", dir);
}

enum err_code run_lock_take(struct run_lock *lock, const char *dir, const char *name, bool wait,
                            const struct log *log, struct err *e)
{
    char *path = NULL;
    bool made;

    lock->fd = -1;
    TRY(dir_make(dir, e));
    TRY(path_join(&path, dir, name, e));
    lock->fd = file_open_or_make(path, &made);
    if (lock->fd < 0) {
        err_sys(e, "%s", path);
        goto out;
    }
    if (lock_at_once(lock))
        goto out;
    if (errno == EWOULDBLOCK && wait) {
        log_note(log, "%s: another process works on this: waiting for it", dir);
        TRY(wait_for_lock(lock, path, e));
    } else if (errno == EWOULDBLOCK) {
        lock_taken(dir, e);
    } else {
        if (made && file_lock_unknown(errno))
            (void)unlink(path); /* else another process may have locked it meanwhile */
        file_lock_refused(path, e);
    }
out:
    free(path);
    if (e->code != ERR_OK)
        run_lock_release(lock);
    return e->code;
}

/* A shared lock shows who has the exclusive one, and may be had of a file that is open for reading.
 */
enum err_code run_lock_look(bool *busy, const char *dir, const char *name, bool wait, struct err *e)
{
    struct run_lock lock = {.fd = -1};
    char *path = NULL;

    *busy = false;
    TRY(path_join(&path, dir, name, e));
    lock.fd = TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (lock.fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        goto out;
    if (lock.fd < 0)
        FAIL(err_sys(e, "%s", path));
    if (TEMP_FAILURE_RETRY(flock(lock.fd, LOCK_SH | LOCK_NB)) == 0)
        goto out;
    *busy = errno == EWOULDBLOCK;
    if (!*busy)
        file_lock_refused(path, e);
    else if (!wait)
        lock_taken(dir, e);
out:
    run_lock_release(&lock);
    free(path);
    return e->code;
}

/* Its messages are those of dir_make. */
enum err_code run_dir_look(const char *dir, struct err *e)
{
    const char *at; /* the nearest that is there: dir, or one above it */
    struct stat st;
    char *path = NULL, *slash;
    bool there;

    TRY(mem_string(&path, dir, e));
    at = path;
    while (!(there = stat(at, &st) == 0) && (errno == ENOENT || errno == ENOTDIR) && at == path &&
           path[0] != '\0') {
        if (lstat(at, &st) == 0) { /* a link to nothing: no folder can be made of it */
            errno = ENOENT;
            break;
        }
        slash = strrchr(path, '/');
        if (slash == NULL)
            at = ".";
        else
            slash[slash == path ? 1 : 0] = '\0';
    }
    if (there && !S_ISDIR(st.st_mode)) {
        errno = EEXIST;
        there = false;
    }
    if (!there)
        err_sys(e, "%s: cannot make the folder", at);
    else if (access(at, W_OK | X_OK) != 0)
        err_sys(e, "%s: cannot write in it", at);
out:
    free(path);
    return e->code;
}

void run_lock_release(struct run_lock *lock)
{
    if (lock->fd >= 0)
        close(lock->fd);
    lock->fd = -1;
}

/* ---- logs ---- */

/* CRC32C of the first `bytes` bytes; ERR_CHECKSUM when the file is shorter. */
static enum err_code prefix_crc(const struct run_log *log, int64_t bytes, uint32_t *crc,
                                struct err *e)
{
    char buffer[65536];

    *crc = 0;
    for (int64_t at = 0; at < bytes;) {
        size_t want = sizeof buffer;
        ssize_t n;

        if ((int64_t)want > bytes - at)
            want = (size_t)(bytes - at);
        n = TEMP_FAILURE_RETRY(pread(log->fd, buffer, want, at));
        if (n < 0)
            return err_sys(e, "%s", log->path);
        if (n == 0)
            return err_set(e, ERR_CHECKSUM,
                           "%s: is shorter than the checkpoint says: start again "
                           "with --force",
                           log->path);
        *crc = hash_crc32c(*crc, buffer, (size_t)n);
        at += n;
    }
    return ERR_OK;
}

static enum err_code check_prefix(const struct run_log *log, int64_t bytes, int64_t crc,
                                  struct err *e)
{
    uint32_t have;

    TRY(prefix_crc(log, bytes, &have, e));
    if (have != crc)
        err_set(e, ERR_CHECKSUM,
                "%s: differs from what the checkpoint says: start again with "
                "--force",
                log->path);
out:
    return e->code;
}

enum err_code run_log_check(const char *dir, const char *name, int64_t bytes, int64_t crc,
                            struct err *e)
{
    struct run_log log = {.fd = -1};

    if (bytes == 0)
        return ERR_OK;
    TRY(path_join(&log.path, dir, name, e));
    log.fd = TEMP_FAILURE_RETRY(open(log.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (log.fd < 0 && errno == ENOENT)
        FAIL(err_set(e, ERR_CHECKSUM, "%s: is missing: start again with --force", log.path));
    if (log.fd < 0)
        FAIL(err_sys(e, "%s", log.path));
    TRY(check_prefix(&log, bytes, crc, e));
out:
    run_log_close(&log);
    return e->code;
}

enum err_code run_log_open(struct run_log *log, const char *dir, const char *name, int64_t bytes,
                           int64_t crc, struct err *e)
{
    *log = (struct run_log){.fd = -1};
    TRY(path_join(&log->path, dir, name, e));
    log->fd = TEMP_FAILURE_RETRY(
        open(log->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (log->fd < 0) {
        err_sys(e, "%s", log->path);
        goto out;
    }
    if (bytes < 0)
        goto out;
    TRY(check_prefix(log, bytes, crc, e));
    if (TEMP_FAILURE_RETRY(ftruncate(log->fd, bytes)) != 0) {
        err_sys(e, "%s", log->path);
        goto out;
    }
    log->bytes = bytes;
    log->crc = crc;
out:
    if (e->code != ERR_OK)
        run_log_close(log);
    return e->code;
}

enum err_code run_log_read(char **text, const char *dir, const char *name, int64_t bytes,
                           int64_t crc, struct err *e)
{
    struct file_view view = {0};
    char *path = NULL;

    *text = NULL;
    TRY(path_join(&path, dir, name, e));
    TRY(file_read(&view, path, MAX_LOG, e));
    if ((int64_t)view.len < bytes || hash_crc32c(0, view.data, (size_t)bytes) != crc)
        FAIL(err_set(e, ERR_CHECKSUM,
                     "%s: differs from what %s says: the log is damaged: restore it or train again",
                     path, run_last_name));
    TRY(mem_array(text, (size_t)bytes + 1, 1, path, e));
    memcpy(*text, view.data, (size_t)bytes);
out:
    file_view_free(&view);
    free(path);
    return e->code;
}

enum err_code run_log_memory(struct run_log *log, struct err *e)
{
    *log = (struct run_log){.fd = -1};
    return mem_grow(&log->text, &log->cap, 4096, 1, "log", e);
}

static enum err_code add_to_memory(struct run_log *log, const char *text, size_t len, struct err *e)
{
    TRY(mem_grow(&log->text, &log->cap, (size_t)log->bytes + len + 1, 1, "log", e));
    memcpy(log->text + log->bytes, text, len + 1);
    log->bytes += (int64_t)len;
out:
    return e->code;
}

enum err_code run_log_add(struct run_log *log, const char *text, struct err *e)
{
    size_t len = strlen(text), done = 0;

    if (log->text != NULL)
        return add_to_memory(log, text, len, e);
    while (done < len) {
        ssize_t n = TEMP_FAILURE_RETRY(write(log->fd, text + done, len - done));

        if (n > 0) {
            done += (size_t)n;
            continue;
        }
        if (n == 0)
            errno = ENOSPC;
        err_sys(e, "%s: cannot write", log->path);
        if (TEMP_FAILURE_RETRY(ftruncate(log->fd, log->bytes)) != 0)
            err_in(e, "and could not be cut back");
        return e->code;
    }
    log->bytes += (int64_t)len;
    log->crc = hash_crc32c((uint32_t)log->crc, text, len);
    return ERR_OK;
}

enum err_code run_log_sync(struct run_log *log, struct err *e)
{
    if (TEMP_FAILURE_RETRY(fsync(log->fd)) != 0)
        return err_sys(e, "%s", log->path);
    return ERR_OK;
}

void run_log_close(struct run_log *log)
{
    if (log->path != NULL && log->fd >= 0)
        close(log->fd);
    free(log->path);
    free(log->text);
    *log = (struct run_log){.fd = -1};
}

/* ---- places ---- */

/* `path` as seen from folder `dir`; both must exist. */
static enum err_code relative_path(char **out, const char *path, const char *dir, struct err *e)
{
    char *to, *from = NULL;
    size_t same = 0, slash = 0, ups = 0, len;

    *out = NULL;
    to = realpath(path, NULL);
    if (to == NULL)
        FAIL(err_sys(e, "%s", path));
    from = realpath(dir, NULL);
    if (from == NULL)
        FAIL(err_sys(e, "%s", dir));
    while (to[same] != '\0' && to[same] == from[same]) {
        if (to[same] == '/')
            slash = same;
        same++;
    }
    if ((to[same] == '\0' || to[same] == '/') && (from[same] == '\0' || from[same] == '/'))
        slash = same; /* one is a parent of the other, or they are one */
    for (const char *p = from + slash; *p != '\0'; p++)
        ups += *p == '/' && p[1] != '\0';
    len = 3 * ups + strlen(to + slash) + 3;
    TRY(mem_array(out, len, 1, "path", e));
    for (size_t i = 0; i < ups; i++)
        strcat(*out, "../");
    strcat(*out, to[slash] == '/' ? to + slash + 1 : to + slash);
    if ((*out)[0] == '\0')
        strcpy(*out, ".");
out:
    free(to);
    free(from);
    return e->code;
}

static enum err_code put_path(json_t *object, const char *key, const char *path, const char *dir,
                              struct err *e)
{
    char *relative = NULL;
    bool no_memory;
    json_t *text;

    if (path == NULL)
        return ERR_OK;
    TRY(relative_path(&relative, path, dir, e));
    text = json_text(relative, &no_memory);
    if (text == NULL && !no_memory)
        FAIL(err_set(e, ERR_DATA, "%s: the path is not UTF-8", path));
    if ((key != NULL ? json_object_set_new(object, key, text)
                     : json_array_append_new(object, text)) != 0)
        err_set(e, ERR_NOMEM, "%s: no memory for its path", path);
out:
    free(relative);
    return e->code;
}

enum err_code run_places_save(const struct run_places *p, const char *dir, struct err *e)
{
    json_t *root = json_object(), *bases = json_array();
    char *text = NULL, *path = NULL;

    json_begin();
    TRY(path_join(&path, dir, places_name, e));
    TRY(put_path(root, "data", p->data, dir, e));
    for (int i = 0; p->base[i] != NULL; i++)
        TRY(put_path(bases, NULL, p->base[i], dir, e));
    if (json_object_set(root, "bases", bases) != 0)
        FAIL(err_set(e, ERR_NOMEM, "%s: no memory", path));
    TRY(put_path(root, "uni-audio", p->unimodal[0], dir, e));
    TRY(put_path(root, "uni-video", p->unimodal[1], dir, e));
    text = json_write(root, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    if (text == NULL) {
        err_set(e, ERR_NOMEM, "%s: no memory", path);
        goto out;
    }
    TRY(atomic_file_put(path, text, strlen(text), true, e));
out:
    free(text);
    free(path);
    json_decref(bases);
    json_decref(root);
    return e->code;
}

static enum err_code places_damaged(const char *path, const char *how, struct err *e)
{
    return err_set(e, ERR_FORMAT,
                   "%s: is damaged: %s: put a copy of it back, or write it anew as "
                   "docs/formats/run.md says",
                   path, how);
}

/* A key that we do not know may be one of ours with a damaged letter, and what it says be missed.
 */
static enum err_code check_places(const json_t *root, const char *path, struct err *e)
{
    static const char *const keys[] = {"data", "bases", "uni-audio", "uni-video"};
    size_t known = 0;

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        known += json_object_get(root, keys[i]) != NULL;
    if (json_object_size(root) != known)
        return places_damaged(path, "has other keys than data, bases, uni-audio, uni-video", e);
    if (!json_is_array(json_object_get(root, "bases")))
        return places_damaged(path, "'bases' is missing or no list", e);
    return ERR_OK;
}

/* A path of run.json, seen from the working directory. */
static enum err_code get_path(char **out, const json_t *value, const char *dir, const char *file,
                              struct err *e)
{
    const char *text = json_string_value(value);

    *out = NULL;
    if (value == NULL)
        return ERR_OK;
    if (text == NULL)
        return places_damaged(file, "a path is not a string", e);
    if (text[0] == '/')
        return mem_string(out, text, e);
    return path_join(out, dir, text, e);
}

enum err_code run_places_load(struct run_places *p, const char *dir, struct err *e)
{
    struct file_view view = {0};
    json_t *root = NULL, *bases;
    json_error_t why;
    char *path = NULL, how[JSON_ERROR_TEXT_LENGTH + 32];
    bool no_memory;

    memset(p, 0, sizeof *p);
    TRY(path_join(&path, dir, places_name, e));
    if (!run_has(dir, places_name)) {
        err_set(e, ERR_IO, "%s: no run.json in it: give the folder that synib-train made", dir);
        goto out;
    }
    TRY(file_read(&view, path, 1 << 20, e));
    root = json_parse((const char *)view.data, view.len, &why, &no_memory);
    if (no_memory)
        FAIL(err_set(e, ERR_NOMEM, "%s: no memory to read it", path));
    if (root == NULL && view.len > 0)
        snprintf(how, sizeof how, "line %d: %s", why.line, why.text);
    if (!json_is_object(root))
        FAIL(places_damaged(path,
                            view.len == 0  ? "is empty"
                            : root == NULL ? how
                                           : "no object",
                            e));
    TRY(check_places(root, path, e));
    TRY(get_path(&p->data, json_object_get(root, "data"), dir, path, e));
    bases = json_object_get(root, "bases");
    if (json_array_size(bases) > RUN_MAX_BASES) {
        snprintf(how, sizeof how, "more than %d bases", RUN_MAX_BASES);
        FAIL(places_damaged(path, how, e));
    }
    for (size_t i = 0; i < json_array_size(bases); i++)
        TRY(get_path(&p->base[i], json_array_get(bases, i), dir, path, e));
    TRY(get_path(&p->unimodal[0], json_object_get(root, "uni-audio"), dir, path, e));
    TRY(get_path(&p->unimodal[1], json_object_get(root, "uni-video"), dir, path, e));
out:
    json_decref(root);
    file_view_free(&view);
    free(path);
    if (e->code != ERR_OK)
        run_places_free(p);
    return e->code;
}

void run_places_free(struct run_places *p)
{
    free(p->data);
    for (int i = 0; i <= RUN_MAX_BASES; i++)
        free(p->base[i]);
    free(p->unimodal[0]);
    free(p->unimodal[1]);
    memset(p, 0, sizeof *p);
}
