/* SPDX-License-Identifier: MIT */
/* One chosen call to the system that fails with an error of its own, or before which another
 * process acts. */
#include "tests/support/cmocka.h"

#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "common/data/shard.h"
#include "tests/support/check.h"
#include "tests/support/fault/fault.h"
#include "tests/support/scratch.h"
#include "train/run_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void assert_holds(const char *path, const char *text)
{
    struct file_view v;
    struct err e = {0};

    ASSERT_OK(file_read(&v, path, 1 << 20, &e), e);
    assert_int_equal(v.len, strlen(text));
    assert_memory_equal(v.data, text, v.len);
    file_view_free(&v);
}

/* What another process does. */
struct rival {
    char *path, *other;
};

static struct rival rival_of(void *const *state, const char *path, const char *other)
{
    return (struct rival){.path = scratch_path(*state, path), .other = scratch_path(*state, other)};
}

static void rival_free(struct rival *r)
{
    free(r->path);
    free(r->other);
}

static void removes(void *ctx)
{
    const struct rival *r = ctx;

    assert_int_equal(unlink(r->path), 0);
}

static void empties(void *ctx)
{
    const struct rival *r = ctx;

    assert_int_equal(truncate(r->path, 0), 0);
}

static void moves(void *ctx)
{
    const struct rival *r = ctx;

    assert_int_equal(rename(r->path, r->other), 0);
}

static void puts_another(void *ctx)
{
    const struct rival *r = ctx;

    assert_int_equal(unlink(r->path), 0);
    write_text(r->path, "another");
}

static void puts_a_link(void *ctx)
{
    const struct rival *r = ctx;

    assert_int_equal(unlink(r->path), 0);
    assert_int_equal(symlink(r->other, r->path), 0);
}

/* ---- output files ---- */

/* File systems that cannot rename without replacing. */
static void test_publish_by_link(void **state)
{
    static const int errors[] = {EINVAL, ENOSYS};
    char *out = scratch_path(*state, "out");
    struct err e = {0};

    for (size_t i = 0; i < 2; i++) {
        fault_begin_call("renameat2", 1, errors[i]);
        ASSERT_OK(atomic_file_put(out, "new", 3, false, &e), e);
        assert_string_equal(fault_end(), "renameat2");
        assert_holds(out, "new");
        assert_int_equal(scratch_count(*state), 1);
        fault_begin_call("renameat2", 1, errors[i]); /* the name is taken: as with renameat2 */
        ASSERT_FAILS(atomic_file_put_part(out, "old", 3, false, &e), e, ERR_EXISTS, "differs");
        assert_string_equal(fault_end(), "renameat2");
        assert_holds(out, "new");
        assert_int_equal(unlink(out), 0);
    }
    fault_begin_call("renameat2", 1, EACCES);
    ASSERT_FAILS(atomic_file_put(out, "new", 3, false, &e), e, ERR_IO, "cannot rename");
    (void)fault_end();
    assert_int_equal(scratch_count(*state), 0);
    free(out);
}

static void test_locks(void **state)
{
    static const struct {
        int error;
        enum err_code code;
        const char *text;
    } refusals[] = {
        {EACCES, ERR_EXISTS, "out: another process is writing it"},
        {EAGAIN, ERR_EXISTS, "out: another process is writing it"},
        {EIO, ERR_IO, "out: cannot lock: Input/output error"},
        {ENOLCK, ERR_IO, "out: cannot lock: No locks available: this file system has no locks"},
        {ENOSYS, ERR_IO, "this file system has no locks: mount it with them (-o flock) or write"},
        {EOPNOTSUPP, ERR_IO, "out: cannot lock: Operation not supported: this file system has no"},
    };
    char *out = scratch_path(*state, "out"), *partial = scratch_path(*state, ".out.partial");
    struct err e = {0};

    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        fault_begin_call("fcntl", 1, refusals[i].error);
        ASSERT_FAILS(atomic_file_put(out, "new", 3, false, &e), e, refusals[i].code,
                     refusals[i].text);
        assert_string_equal(fault_end(), "fcntl");
        assert_int_not_equal(access(out, F_OK), 0);
        /* what was made for this goes again, unless another process has it */
        assert_int_equal(access(partial, F_OK) == 0, refusals[i].code == ERR_EXISTS);
        (void)unlink(partial);
        write_text(partial, "killed");
        fault_begin_call("fcntl", 1, refusals[i].error);
        ASSERT_FAILS(atomic_file_put(out, "new", 3, false, &e), e, refusals[i].code,
                     refusals[i].text);
        (void)fault_end();
        assert_holds(partial, "killed");
        assert_int_equal(unlink(partial), 0);
    }
    free(out);
    free(partial);
}

/* The lock of a run's folder, where there are none. */
static void test_run_locks(void **state)
{
    static const struct {
        int error;
        bool left; /* another process may have it */
        const char *text;
    } refusals[] = {
        {EIO, true, "run/.lock: cannot lock: Input/output error"},
        {ENOLCK, true, "run/.lock: cannot lock: No locks available: this file system has no locks"},
        {ENOSYS, false, "mount it with them (-o flock) or write elsewhere"},
        {EOPNOTSUPP, false, "run/.lock: cannot lock: Operation not supported: this file system"},
    };
    char *dir = scratch_path(*state, "run"), *name = scratch_path(*state, "run/.lock");
    struct run_lock lock = {.fd = -1};
    struct err e = {0};

    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        fault_begin_call("flock", 1, refusals[i].error);
        ASSERT_FAILS(run_lock_take(&lock, dir, run_lock_name, false, NULL, &e), e, ERR_IO,
                     refusals[i].text);
        assert_string_equal(fault_end(), "flock");
        assert_int_equal(lock.fd, -1);
        assert_int_equal(access(name, F_OK) == 0, refusals[i].left);
        ASSERT_OK(run_lock_take(&lock, dir, run_lock_name, false, NULL, &e), e);
        run_lock_release(&lock);
        fault_begin_call("flock", 1, refusals[i].error);
        ASSERT_FAILS(run_lock_take(&lock, dir, run_lock_name, false, NULL, &e), e, ERR_IO,
                     refusals[i].text);
        (void)fault_end();
        assert_int_equal(unlink(name), 0);
    }
    free(dir);
    free(name);
}

/* A look at the lock, which takes a moment, is no process at work. */
static void test_run_lock_is_looked_at(void **state)
{
    char *dir = scratch_path(*state, "looked");
    struct run_lock lock = {.fd = -1};
    struct err e = {0};

    for (int wait = 0; wait < 2; wait++) {
        fault_begin_call("flock", 1, EWOULDBLOCK);
        ASSERT_OK(run_lock_take(&lock, dir, run_lock_name, wait == 1, NULL, &e), e);
        assert_string_equal(fault_end(), "flock");
        run_lock_release(&lock);
    }
    free(dir);
}

/* Between our lock and our look at the name, the partial file's last owner has published it, or
 * somebody has put another file there: neither is written to. */
static void test_partial_is_gone_after_the_lock(void **state)
{
    struct rival r = rival_of(state, ".out.partial", "published");
    char *out = scratch_path(*state, "out");
    struct err e = {0};

    write_text(r.path, "whole");
    fault_begin_race("stat", 1, moves, &r);
    ASSERT_OK(atomic_file_put(out, "new", 3, false, &e), e);
    assert_string_equal(fault_end(), "stat");
    assert_holds(r.other, "whole");
    assert_holds(out, "new");
    fault_begin_race("stat", 1, puts_another, &r);
    ASSERT_OK(atomic_file_put(out, "newer", 5, true, &e), e);
    assert_string_equal(fault_end(), "stat");
    assert_holds(out, "newer");
    assert_int_equal(scratch_count(*state), 2);
    rival_free(&r);
    free(out);
}

/* The partial file that is a published file's second name cannot lose that name. */
static void test_second_name_stays(void **state)
{
    char *out = scratch_path(*state, "out"), *partial = scratch_path(*state, ".out.partial");
    struct err e = {0};

    write_text(out, "whole");
    assert_int_equal(link(out, partial), 0);
    fault_begin_call("unlink", 1, EACCES);
    ASSERT_FAILS(atomic_file_put(out, "new", 3, true, &e), e, ERR_IO,
                 ".out.partial: cannot remove: Permission denied");
    assert_string_equal(fault_end(), "unlink");
    assert_holds(out, "whole");
    free(out);
    free(partial);
}

/* The first failure is the one that is told. */
static void test_rival_and_close(void **state)
{
    char *out = scratch_path(*state, "out");
    struct atomic_file *f = NULL;
    struct err e = {0};

    ASSERT_OK(atomic_file_open(&f, out, false, &e), e);
    write_text(out, "rival");
    fault_begin_call("close", 1, EIO);
    ASSERT_FAILS(atomic_file_commit(f, &e), e, ERR_EXISTS, "out: exists: use --force");
    assert_string_equal(fault_end(), "close");
    assert_holds(out, "rival");
    assert_int_equal(scratch_count(*state), 1);
    free(out);
}

/* ---- files read ---- */

static void test_shrinks_while_read(void **state)
{
    struct rival r = rival_of(state, "in", "");
    struct file_view v;
    struct err e = {0};

    write_text(r.path, "0123456789");
    fault_begin_race("read", 1, empties, &r);
    ASSERT_FAILS(file_read(&v, r.path, 100, &e), e, ERR_TRUNCATED, "in: shrank while it was read");
    assert_string_equal(fault_end(), "read");
    assert_null(v.data);
    rival_free(&r);
}

/* Kernels and containers without openat2 read all the same; a link that came after the check does
 * not. */
static void test_beneath(void **state)
{
    static const int unknown[] = {ENOSYS, EPERM};
    struct rival r = rival_of(state, "in", "other");
    struct file_view v;
    struct err e = {0};

    write_text(r.path, "mine");
    write_text(r.other, "theirs");
    for (size_t i = 0; i < 2; i++) {
        fault_begin_call("openat2", 1, unknown[i]);
        ASSERT_OK(file_read_beneath(&v, *state, "in", 100, &e), e);
        assert_string_equal(fault_end(), "openat2");
        assert_int_equal(v.len, 4);
        assert_memory_equal(v.data, "mine", 4);
        file_view_free(&v);
    }
    fault_begin_call("openat2", 1, EIO);
    ASSERT_FAILS(file_read_beneath(&v, *state, "in", 100, &e), e, ERR_IO, "in: cannot open");
    (void)fault_end();
    fault_begin_race("openat2", 1, puts_a_link, &r);
    ASSERT_FAILS(file_read_beneath(&v, *state, "in", 100, &e), e, ERR_IO, "in: cannot open");
    (void)fault_end();
    assert_null(v.data);
    rival_free(&r);
}

/* ---- folders ---- */

static void test_room(void **state)
{
    char *deep = scratch_path(*state, "not/there/yet");
    struct err e = {0};

    ASSERT_OK(dir_room(deep, 1, &e), e);
    ASSERT_FAILS(dir_room(deep, UINT64_MAX, &e), e, ERR_IO, "nothing was written");
    ASSERT_FAILS(dir_room("not-there", UINT64_MAX, &e), e, ERR_IO, "not-there: needs about");
    ASSERT_FAILS(dir_room("/", UINT64_MAX, &e), e, ERR_IO, "/: needs about");
    ASSERT_FAILS(dir_room("/not-there", UINT64_MAX, &e), e, ERR_IO, "/not-there: needs about");
    fault_begin_call("statvfs", 1, EACCES); /* what is not known is not refused */
    ASSERT_OK(dir_room(deep, UINT64_MAX, &e), e);
    assert_string_equal(fault_end(), "statvfs");
    free(deep);
}

/* ---- a disk that is full when the output's buffer is ---- */

enum { BUFFER = 1 << 18, HEADER_ROOM = 1 << 12 };

/* A container of two tensors of these lengths. */
static enum err_code write_container(const char *path, size_t first, size_t second, struct err *e)
{
    static const uint8_t zeros[BUFFER + 64];
    const int64_t dim[2] = {(int64_t)first, (int64_t)second};
    struct tensorfile_writer *w = NULL, *done;

    TRY(tensorfile_writer_open(&w, path, "checkpoint", false, e));
    TRY(tensorfile_writer_declare(w, "a", DTYPE_U8, 1, &dim[0], e));
    TRY(tensorfile_writer_declare(w, "b", DTYPE_U8, 1, &dim[1], e));
    TRY(tensorfile_writer_data(w, zeros, first, e));
    TRY(tensorfile_writer_data(w, zeros, second, e));
    done = w;
    w = NULL;
    TRY(tensorfile_writer_commit(done, NULL, e));
out:
    tensorfile_writer_abort(w);
    return e->code;
}

/* Wherever in the file the buffer is full: in a tensor, the padding, the table, the trailer. */
static void test_full_in_a_container(void **state)
{
    char *path = scratch_path(*state, "out");
    struct err e = {0};

    for (size_t len = BUFFER - HEADER_ROOM; len <= BUFFER + 1;
         len += len < BUFFER - 1200 ? 64 : 1) {
        fault_begin_call("write", 1, ENOSPC);
        ASSERT_FAILS(write_container(path, len, 1, &e), e, ERR_IO,
                     "out: cannot write: No space left on device");
        assert_string_equal(fault_end(), "write");
    }
    /* The first tensor is written past the buffer, which then begins at no multiple of 64. */
    for (size_t len = BUFFER - 1024; len <= BUFFER; len += 32) {
        fault_begin_call("write", 3, ENOSPC);
        ASSERT_FAILS(write_container(path, BUFFER + 20, len, &e), e, ERR_IO,
                     "out: cannot write: No space left on device");
        assert_string_equal(fault_end(), "write");
    }
    assert_int_equal(scratch_count(*state), 0);
    free(path);
}

/* Metadata that fill the buffer by themselves. */
static void test_full_in_a_header(void **state)
{
    char *path = scratch_path(*state, "out"), *text = calloc(1, BUFFER + 1);
    struct tensorfile_writer *w = NULL;
    const int64_t one = 1;
    struct err e = {0};

    assert_non_null(text);
    memset(text, 'x', BUFFER);
    ASSERT_OK(tensorfile_writer_open(&w, path, "checkpoint", false, &e), e);
    ASSERT_OK(tensorfile_writer_meta(w, "text", text, &e), e);
    ASSERT_OK(tensorfile_writer_declare(w, "a", DTYPE_U8, 1, &one, &e), e);
    fault_begin_call("write", 1, ENOSPC);
    ASSERT_FAILS(tensorfile_writer_data(w, "a", 1, &e), e, ERR_IO, "out: cannot write: No space");
    assert_string_equal(fault_end(), "write");
    tensorfile_writer_abort(w);
    assert_int_equal(scratch_count(*state), 0);
    free(text);
    free(path);
}

/* One sample of `len` bytes; `note` goes into the index alone. */
static enum err_code write_blob(const char *dir, size_t len, const char *note, bool force,
                                struct err *e)
{
    static const uint8_t zeros[BUFFER + 1];
    static const struct shard_field field = {.name = "blob", .dtype = DTYPE_U8, .ragged = true};
    struct shard_options opt = {.prefix = "x", .force = force};
    struct shard_writer *w = NULL, *done;

    TRY(shard_writer_open(&w, dir, &opt, &field, 1, e));
    TRY(shard_writer_index_meta(w, "note", note, e));
    TRY(shard_writer_add(w, &(struct shard_value){zeros, len}, e));
    done = w;
    w = NULL;
    TRY(shard_writer_commit(done, e));
out:
    shard_writer_abort(w);
    return e->code;
}

static void test_full_in_a_set(void **state)
{
    char *dir = scratch_path(*state, "set"), *text = calloc(1, BUFFER + 1);
    struct err e = {0};

    assert_non_null(text);
    memset(text, 'x', BUFFER);
    for (size_t len = BUFFER - HEADER_ROOM; len <= BUFFER; len += 16) {
        fault_begin_call("write", 1, ENOSPC);
        ASSERT_FAILS(write_blob(dir, len, "", false, &e), e, ERR_IO, "cannot write: No space left");
        assert_string_equal(fault_end(), "write");
        assert_int_not_equal(access(dir, F_OK), 0);
    }
    fault_begin_call("write", 2, ENOSPC); /* the shard is there: the index */
    ASSERT_FAILS(write_blob(dir, 1, text, false, &e), e, ERR_IO,
                 "index.jsonl: cannot write: No space");
    assert_string_equal(fault_end(), "write");
    assert_int_not_equal(access(dir, F_OK), 0);
    free(text);
    free(dir);
}

/* ---- sets ---- */

enum { SAMPLES = 3 };

static enum err_code write_set(const char *dir, int32_t first, bool force, struct err *e)
{
    static const struct shard_field fields[] = {{.name = "number", .dtype = DTYPE_I32}};
    struct shard_options opt = {.prefix = "x", .target_bytes = 1, .force = force};
    struct shard_writer *w = NULL, *done;

    TRY(shard_writer_open(&w, dir, &opt, fields, 1, e));
    for (int32_t i = first; i < first + SAMPLES; i++)
        TRY(shard_writer_add(w, &(struct shard_value){&i, sizeof i}, e));
    done = w;
    w = NULL;
    TRY(shard_writer_commit(done, e));
out:
    shard_writer_abort(w);
    return e->code;
}

/* The number of sample 0 of a set that is whole. */
static int32_t first_number(const char *dir)
{
    struct shard_set *s = NULL;
    struct shard_value v;
    struct err e = {0};
    int32_t first;

    ASSERT_OK(shard_set_open(&s, dir, &e), e);
    ASSERT_OK(shard_set_verify(s, 1, &e), e);
    ASSERT_OK(shard_set_get(s, 0, 0, &v, &e), e);
    memcpy(&first, v.data, sizeof first);
    shard_set_close(s);
    return first;
}

/* Of one set: index and shards. */
enum { FILES = SAMPLES + 1 };

/* The index cannot take its name: the old set stays, and nothing of the new one. */
static void test_index_is_not_published(void **state)
{
    char *dir = scratch_path(*state, "set");
    struct err e = {0};

    fault_begin_call("renameat2", 1, EIO);
    ASSERT_FAILS(write_set(dir, 1, false, &e), e, ERR_IO, "index.jsonl: cannot rename");
    assert_string_equal(fault_end(), "renameat2");
    assert_int_not_equal(access(dir, F_OK), 0);
    ASSERT_OK(write_set(dir, 1, false, &e), e);
    fault_begin_call("rename", SAMPLES + 1, EIO);
    ASSERT_FAILS(write_set(dir, 5, true, &e), e, ERR_IO, "index.jsonl: cannot rename");
    assert_string_equal(fault_end(), "rename");
    assert_int_equal(first_number(dir), 1);
    assert_int_equal(scratch_count(dir), FILES);
    free(dir);
}

/* The same, with an old index of another length. */
static void test_longer_index_is_not_published(void **state)
{
    char *dir = scratch_path(*state, "set");
    struct shard_set *s = NULL;
    struct err e = {0};

    ASSERT_OK(write_blob(dir, 1, "old", false, &e), e);
    fault_begin_call("rename", 2, EIO);
    ASSERT_FAILS(write_blob(dir, 2, "not so old", true, &e), e, ERR_IO, "index.jsonl: cannot");
    assert_string_equal(fault_end(), "rename");
    assert_int_equal(scratch_count(dir), 2);
    ASSERT_OK(shard_set_open(&s, dir, &e), e);
    assert_string_equal(shard_set_meta(s, "note"), "old");
    shard_set_close(s);
    free(dir);
}

/* The index has its name, but the folder was not synced: the new set is there, whole. */
static void test_folder_is_not_synced(void **state)
{
    char *dir = scratch_path(*state, "set");
    struct err e = {0};

    ASSERT_OK(write_set(dir, 1, false, &e), e);
    fault_begin_call("fsync", 2 * FILES, EIO); /* file and folder, for each */
    ASSERT_FAILS(write_set(dir, 5, true, &e), e, ERR_IO, "cannot sync the folder");
    assert_string_equal(fault_end(), "fsync");
    assert_int_equal(first_number(dir), 5);
    ASSERT_OK(shard_set_tidy(dir, &e), e);
    assert_int_equal(scratch_count(dir), FILES);
    free(dir);
}

/* Shards of the set before that cannot be removed, or that somebody else removes meanwhile. */
static void test_old_shards(void **state)
{
    char *dir = scratch_path(*state, "set");
    struct name_list names = {0};
    struct rival r = {0};
    struct err e = {0};

    ASSERT_OK(write_set(dir, 1, false, &e), e);
    fault_begin_call("unlink", 1, EACCES);
    ASSERT_FAILS(write_set(dir, 5, true, &e), e, ERR_IO, "cannot remove the old shard");
    assert_string_equal(fault_end(), "unlink");
    assert_int_equal(first_number(dir), 5); /* the new set is there */
    assert_true(scratch_count(dir) > FILES);
    ASSERT_OK(write_set(dir, 5, true, &e), e);
    assert_int_equal(scratch_count(dir), FILES);
    ASSERT_OK(dir_list(&names, dir, ".safetensors", &e), e);
    r.path = scratch_path(dir, names.name[0]);
    fault_begin_race("unlink", 1, removes, &r);
    ASSERT_OK(write_set(dir, 9, true, &e), e);
    assert_string_equal(fault_end(), "unlink");
    assert_int_equal(first_number(dir), 9);
    assert_int_equal(scratch_count(dir), FILES);
    name_list_free(&names);
    free(r.path);
    free(dir);
}

/* A shard that vanishes between its writing and the index. */
static void test_shard_vanishes(void **state)
{
    char *dir = scratch_path(*state, "set");
    struct name_list names = {0};
    struct rival r = {0};
    struct err e = {0};

    ASSERT_OK(write_set(dir, 1, false, &e), e);
    ASSERT_OK(dir_list(&names, dir, ".safetensors", &e), e);
    r.path = scratch_path(dir, names.name[0]);
    fault_begin_race("fsync", 2, removes, &r); /* of the folder: the shard has its name */
    ASSERT_FAILS(write_set(dir, 1, true, &e), e, ERR_IO, "safetensors: cannot stat");
    assert_string_equal(fault_end(), "fsync");
    name_list_free(&names);
    free(r.path);
    free(dir);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_publish_by_link),
        TEST(test_locks),
        TEST(test_run_locks),
        TEST(test_run_lock_is_looked_at),
        TEST(test_partial_is_gone_after_the_lock),
        TEST(test_second_name_stays),
        TEST(test_shrinks_while_read),
        TEST(test_beneath),
        TEST(test_room),
        TEST(test_rival_and_close),
        TEST(test_full_in_a_container),
        TEST(test_full_in_a_header),
        TEST(test_full_in_a_set),
        TEST(test_index_is_not_published),
        TEST(test_longer_index_is_not_published),
        TEST(test_folder_is_not_synced),
        TEST(test_old_shards),
        TEST(test_shard_vanishes),
    };

    /* Not by cmocka's skip(), whose own leak ends a run under LeakSanitizer. */
    if (!fault_available()) {
        puts("skipped: a sanitizer takes the place of the calls");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
