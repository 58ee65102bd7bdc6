/* SPDX-License-Identifier: MIT */
/* An output file appears whole or not at all: kills, second writers, existing files. */
#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "tests/support/check.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "atomic-file-XXXXXX";

static int enter(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL || chdir(dir) != 0;
}

static int leave(void **state)
{
    (void)state;
    (void)unlink("out");
    return chdir("..") != 0 || rmdir(dir) != 0; /* fails when anything else was left behind */
}

static void expect_content(const char *text)
{
    struct file_view v;
    struct err e = {0};

    assert_int_equal(file_read(&v, "out", 1 << 20, &e), ERR_OK);
    assert_int_equal(v.len, strlen(text));
    assert_memory_equal(v.data, text, v.len);
    file_view_free(&v);
}

static void expect_no_partial(void)
{
    assert_int_not_equal(access(".out.partial", F_OK), 0);
}

static void test_replaces_only_with_force(void **state)
{
    struct err e = {0};
    (void)state;

    (void)unlink("out");
    assert_int_equal(atomic_file_put("out", "one", 3, false, &e), ERR_OK);
    assert_int_equal(atomic_file_put("out", "two", 3, false, &e), ERR_EXISTS);
    assert_non_null(strstr(e.text, "--force"));
    expect_content("one");
    err_clear(&e);
    assert_int_equal(atomic_file_put("out", "two", 3, true, &e), ERR_OK);
    expect_content("two");
    expect_no_partial();
}

static mode_t mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

/* From the first byte on; a new file has what umask leaves. */
static void test_mode_is_kept(void **state)
{
    static const mode_t mode[] = {0600, 0640, 0666, 0755, 0444, 0400};
    struct atomic_file *f = NULL;
    struct err e = {0};
    mode_t mask = umask(027);
    (void)state;

    (void)unlink("out");
    ASSERT_OK(atomic_file_put("out", "one", 3, false, &e), e);
    assert_int_equal(mode_of("out"), 0640);
    for (size_t i = 0; i < sizeof mode / sizeof mode[0]; i++)
        for (int part = 0; part < 2; part++) {
            assert_int_equal(chmod("out", mode[i]), 0);
            ASSERT_OK(part ? atomic_file_open_part(&f, "out", true, &e)
                           : atomic_file_open(&f, "out", true, &e),
                      e);
            assert_int_equal(mode_of(".out.partial"), mode[i] | 0600);
            ASSERT_OK(atomic_file_write(f, "two", 3, &e), e);
            ASSERT_OK(atomic_file_commit(f, &e), e);
            assert_int_equal(mode_of("out"), mode[i]);
            expect_content("two");
            expect_no_partial();
        }
    (void)umask(mask);
}

/* With --force too: what a link leads to, and the link, stay; so does what is no file. */
static void test_only_regular_files_are_replaced(void **state)
{
    struct err e = {0};
    char to[16];
    (void)state;

    (void)unlink("out");
    ASSERT_OK(atomic_file_put("kept", "kept", 4, false, &e), e);
    for (int force = 0; force < 2; force++) {
        for (int dangling = 0; dangling < 2; dangling++) {
            assert_int_equal(symlink(dangling ? "nothing" : "kept", "out"), 0);
            ASSERT_FAILS(atomic_file_check("out", force, &e), e, ERR_EXISTS,
                         "out: is a symbolic link: remove it or name the file");
            ASSERT_FAILS(atomic_file_put("out", "new", 3, force, &e), e, ERR_EXISTS,
                         "out: is a symbolic link: remove it or name the file");
            if (force)
                ASSERT_FAILS(atomic_file_put_part("out", "new", 3, true, &e), e, ERR_EXISTS,
                             "out: is a symbolic link");
            assert_true(readlink("out", to, sizeof to) > 0 && unlink("out") == 0);
            expect_no_partial();
        }
        assert_int_equal(mkdir("out", 0777), 0);
        ASSERT_FAILS(atomic_file_put("out", "new", 3, force, &e), e, ERR_EXISTS,
                     "out: exists and is not a regular file");
        assert_int_equal(rmdir("out"), 0);
    }
    assert_int_equal(symlink("kept", "out"), 0);
    expect_content("kept");
    assert_true(unlink("out") == 0 && unlink("kept") == 0);
}

/* One file of several: the same bytes may be there. */
static void test_part_keeps_the_same(void **state)
{
    struct stat before, after;
    struct err e = {0};
    (void)state;

    (void)unlink("out");
    assert_int_equal(atomic_file_put_part("out", "one", 3, false, &e), ERR_OK);
    assert_int_equal(stat("out", &before), 0);
    assert_int_equal(atomic_file_put_part("out", "one", 3, false, &e), ERR_OK);
    assert_int_equal(stat("out", &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    expect_no_partial();
    assert_int_equal(atomic_file_put_part("out", "two", 3, false, &e), ERR_EXISTS);
    assert_non_null(strstr(e.text, "differs"));
    expect_content("one");
    expect_no_partial();
    err_clear(&e);
    assert_int_equal(atomic_file_put_part("out", "two", 3, true, &e), ERR_OK);
    expect_content("two");
    expect_no_partial();
}

/* Which fsync() from now on fails, 0: none; with what; what another process does meanwhile. */
static int fsync_to_fail, fsync_error;
static void (*meanwhile)(void);
/* What was synced since synced_count = 0. */
static struct stat synced[8];
static int synced_count;

/* Takes the place of the C library's. */
int fsync(int fd)
{
    int (*real)(int);
    void *symbol = dlsym(RTLD_NEXT, "fsync");

    if (fsync_to_fail > 0 && --fsync_to_fail == 0) {
        if (meanwhile != NULL)
            meanwhile();
        errno = fsync_error;
        return -1;
    }
    if (synced_count < (int)(sizeof synced / sizeof synced[0]))
        assert_int_equal(fstat(fd, &synced[synced_count++]), 0);
    memcpy(&real, &symbol, sizeof real);
    return real(fd);
}

static bool was_synced(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    for (int i = 0; i < synced_count; i++)
        if (synced[i].st_ino == st.st_ino && synced[i].st_dev == st.st_dev)
            return true;
    return false;
}

static void begin_other_partial(void)
{
    FILE *other = fopen(".out.partial", "wx");

    assert_non_null(other);
    assert_int_equal(fclose(other), 0);
}

/* What the name .out.partial means after a file was published is not this writer's to remove. */
static void test_folder_cannot_be_synced(void **state)
{
    struct err e = {0};
    (void)state;

    (void)unlink("out");
    meanwhile = begin_other_partial;
    fsync_error = EIO;
    for (int part = 0; part < 2; part++) { /* new; the same as what is there */
        fsync_to_fail = 2;
        assert_int_equal(part ? atomic_file_put_part("out", "one", 3, false, &e)
                              : atomic_file_put("out", "one", 3, false, &e),
                         ERR_IO);
        assert_non_null(strstr(e.text, "cannot sync the folder"));
        err_clear(&e);
        expect_content("one");
        assert_int_equal(unlink(".out.partial"), 0);
    }
    meanwhile = NULL;
}

/* Of a folder; of a file no such answer is fine. */
static void test_file_system_that_does_not_sync_folders(void **state)
{
    static const int error[] = {EINVAL, ENOSYS, ENOTSUP, EOPNOTSUPP};
    struct err e = {0};
    (void)state;

    for (size_t i = 0; i < sizeof error / sizeof error[0]; i++) {
        (void)unlink("out");
        fsync_error = error[i];
        fsync_to_fail = 2;
        ASSERT_OK(atomic_file_put("out", "one", 3, false, &e), e);
        assert_int_equal(fsync_to_fail, 0);
        expect_content("one");
        fsync_to_fail = 1;
        ASSERT_FAILS(atomic_file_put("out", "two", 3, true, &e), e, ERR_IO, "out: cannot sync: ");
        expect_content("one");
        expect_no_partial();
    }
}

/* The folder above each folder that is made; none where nothing is made. */
static void test_new_folders_are_synced(void **state)
{
    char here[4096], deep[sizeof here + 8];
    struct err e = {0};
    (void)state;

    assert_non_null(getcwd(here, sizeof here));
    snprintf(deep, sizeof deep, "%s/p/q/r/", here);
    for (int whole = 0; whole < 2; whole++) {
        synced_count = 0;
        ASSERT_OK(dir_make(whole ? deep : "p/q/r", &e), e);
        assert_int_equal(synced_count, 3);
        assert_true(was_synced(".") && was_synced("p") && was_synced("p/q"));
        synced_count = 0;
        ASSERT_OK(dir_make("p/q/r", &e), e);
        assert_int_equal(synced_count, 0);
        assert_true(rmdir("p/q/r") == 0 && rmdir("p/q") == 0);
        ASSERT_OK(dir_make("p/q", &e), e);
        assert_true(synced_count == 1 && was_synced("p"));
        assert_true(rmdir("p/q") == 0 && rmdir("p") == 0);
    }
    fsync_error = EIO;
    fsync_to_fail = 2;
    ASSERT_FAILS(dir_make("p/q/r", &e), e, ERR_IO, "p/: cannot sync the folder: ");
    assert_true(rmdir("p/q") == 0 && rmdir("p") == 0);
}

/* Root reads every folder: an ordinary user there. */
static void test_folder_that_may_not_be_read(void **state)
{
    pid_t child = fork();
    int status;
    (void)state;

    assert_true(child >= 0);
    if (child == 0) {
        struct err e = {0};

        if (mkdir("drop", 0333) != 0 || chmod("drop", 0333) != 0 || chmod(".", 0711) != 0 ||
            (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0))
            _exit(10);
        if (atomic_file_put("drop/file", "one", 3, false, &e) != ERR_OK) {
            fprintf(stderr, "%s\n", e.text);
            _exit(11);
        }
        _exit(unlink("drop/file") == 0 ? 0 : 12);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(rmdir("drop"), 0);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 10)
        print_message("skipped: no way to run as an ordinary user here\n");
    else
        assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_abort_leaves_old(void **state)
{
    struct atomic_file *f = NULL;
    struct err e = {0};
    (void)state;

    assert_int_equal(atomic_file_put("out", "old", 3, true, &e), ERR_OK);
    assert_int_equal(atomic_file_open(&f, "out", true, &e), ERR_OK);
    assert_int_equal(atomic_file_write(f, "new", 3, &e), ERR_OK);
    atomic_file_abort(f);
    expect_content("old");
    expect_no_partial();
}

/* A commit by link and unlink (no RENAME_NOREPLACE, as on NFS) that was killed between the two. */
static void test_linked_partial_is_not_emptied(void **state)
{
    struct atomic_file *f = NULL;
    struct err e = {0};
    (void)state;

    assert_int_equal(atomic_file_put("out", "old", 3, true, &e), ERR_OK);
    assert_int_equal(link("out", ".out.partial"), 0);
    assert_int_equal(atomic_file_open(&f, "out", true, &e), ERR_OK);
    expect_content("old");
    atomic_file_abort(f);
    expect_content("old");
    expect_no_partial();
}

static void test_second_writer_is_told(void **state)
{
    struct atomic_file *f = NULL, *g = NULL;
    struct err e = {0};
    (void)state;

    (void)unlink("out");
    assert_int_equal(atomic_file_open(&f, "out", false, &e), ERR_OK);
    assert_int_equal(atomic_file_open(&g, "out", false, &e), ERR_EXISTS);
    assert_non_null(strstr(e.text, "another process"));
    err_clear(&e);
    assert_int_equal(atomic_file_write(f, "first", 5, &e), ERR_OK);
    assert_int_equal(atomic_file_commit(f, &e), ERR_OK);
    expect_content("first");
}

/* Appears between open and commit: still not overwritten without force. */
static void test_late_rival_is_not_overwritten(void **state)
{
    struct atomic_file *f = NULL;
    struct err e = {0};
    FILE *rival;
    (void)state;

    (void)unlink("out");
    assert_int_equal(atomic_file_open(&f, "out", false, &e), ERR_OK);
    rival = fopen("out", "w");
    assert_non_null(rival);
    fputs("rival", rival);
    fclose(rival);
    assert_int_equal(atomic_file_commit(f, &e), ERR_EXISTS);
    expect_content("rival");
    expect_no_partial();
}

/* A child that is killed after some writes leaves the old file, and the next writer takes over. */
static void test_kill_leaves_old_and_next_succeeds(void **state)
{
    static const char block[1 << 20];
    struct err e = {0};
    (void)state;

    assert_int_equal(atomic_file_put("out", "old", 3, true, &e), ERR_OK);
    for (int writes = 0; writes < 4; writes++) {
        pid_t child = fork();
        int status;

        assert_true(child >= 0);
        if (child == 0) {
            struct atomic_file *f = NULL;

            if (atomic_file_open(&f, "out", true, &e) != ERR_OK)
                _exit(1);
            for (int i = 0; i < writes; i++)
                if (atomic_file_write(f, block, sizeof block, &e) != ERR_OK)
                    _exit(1);
            raise(SIGKILL);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        expect_content("old");
        assert_int_equal(atomic_file_put("out", "old", 3, true, &e), ERR_OK);
        expect_content("old");
        expect_no_partial();
    }
}

static void test_only_regular_files_are_read(void **state)
{
    struct file_view v;
    struct err e = {0};
    (void)state;

    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(file_read(&v, "fifo", 10, &e), ERR_FORMAT);
    assert_int_equal(unlink("fifo"), 0);
    err_clear(&e);
    assert_int_equal(file_map(&v, ".", &e), ERR_FORMAT);
    err_clear(&e);
    assert_int_equal(file_map(&v, "absent", &e), ERR_IO);
    err_clear(&e);
    assert_int_equal(atomic_file_put("out", "0123456789", 10, true, &e), ERR_OK);
    assert_int_equal(file_read(&v, "out", 9, &e), ERR_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replaces_only_with_force),
        cmocka_unit_test(test_mode_is_kept),
        cmocka_unit_test(test_only_regular_files_are_replaced),
        cmocka_unit_test(test_part_keeps_the_same),
        cmocka_unit_test(test_folder_cannot_be_synced),
        cmocka_unit_test(test_file_system_that_does_not_sync_folders),
        cmocka_unit_test(test_new_folders_are_synced),
        cmocka_unit_test(test_folder_that_may_not_be_read),
        cmocka_unit_test(test_abort_leaves_old),
        cmocka_unit_test(test_linked_partial_is_not_emptied),
        cmocka_unit_test(test_second_writer_is_told),
        cmocka_unit_test(test_late_rival_is_not_overwritten),
        cmocka_unit_test(test_kill_leaves_old_and_next_succeeds),
        cmocka_unit_test(test_only_regular_files_are_read),
    };

    return cmocka_run_group_tests(tests, enter, leave);
}
