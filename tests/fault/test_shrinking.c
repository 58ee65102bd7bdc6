/* SPDX-License-Identifier: MIT */
/* Files that change while they are mapped: what is gone or different is named, never used. */
#include "common/base/bytes.h"
#include "common/base/file.h"
#include "common/base/lost_mapping.h"
#include "common/data/shard.h"
#include "tests/support/check.h"
#include "tests/support/drawn_dataset.h"
#include "tests/support/runs.h"
#include "tests/support/scratch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SAMPLES = 250, BLOB = 800 };

/* One shard of a ragged and a fixed field, some 170 KB; its path. */
static char *write_set(const char *dir)
{
    static const struct shard_field fields[] = {
        {.name = "blob", .dtype = DTYPE_U8, .ragged = true},
        {.name = "number", .dtype = DTYPE_I32},
    };
    struct shard_options opt = {.prefix = "x"};
    struct shard_writer *w = NULL;
    struct name_list names = {0};
    struct err e = {0};
    uint8_t blob[BLOB];
    char *path = NULL;

    ASSERT_OK(shard_writer_open(&w, dir, &opt, fields, 2, &e), e);
    for (int32_t i = 0; i < SAMPLES; i++) {
        const struct shard_value values[] = {{blob, sizeof blob - (size_t)i}, {&i, sizeof i}};

        memset(blob, 'a' + i % 26, sizeof blob);
        ASSERT_OK(shard_writer_add(w, values, &e), e);
    }
    ASSERT_OK(shard_writer_commit(w, &e), e);
    ASSERT_OK(dir_list(&names, dir, ".safetensors", &e), e);
    assert_int_equal(names.count, 1);
    ASSERT_OK(path_join(&path, dir, names.name[0], &e), e);
    name_list_free(&names);
    return path;
}

/* Puts the bytes back into the file as it is. */
static void restore(const char *path, const struct file_view *whole)
{
    FILE *f = fopen(path, "r+b");

    assert_non_null(f);
    assert_int_equal(fwrite(whole->data, 1, whole->len, f), whole->len);
    assert_int_equal(fclose(f), 0);
}

/* Reads every value; the exit status as main would give it. */
static int read_all(const struct shard_set *s)
{
    struct err e = {0};

    for (int64_t i = 0; i < 2 * SAMPLES; i++) {
        struct shard_value v;

        if (shard_set_get(s, i / 2, i % 2, &v, &e) != ERR_OK)
            break;
    }
    fprintf(stderr, "%s\n", e.text);
    return err_exit_status(e.code);
}

/* The life of a tool whose data shrink to `len` bytes once it has opened them. */
static int open_cut_read(const char *dir, const char *shard, off_t len)
{
    struct shard_set *s = NULL;
    struct err e = {0};

    lost_mapping_explain();
    if (shard_set_open(&s, dir, &e) != ERR_OK || truncate(shard, len) != 0)
        return 99;
    return read_all(s);
}

/* Exit status of that in a child, and what it wrote to stderr. */
static int in_child(const char *dir, const char *shard, off_t len, char *out, size_t size)
{
    int pipes[2], status;
    size_t got = 0;
    ssize_t n;
    pid_t child;

    assert_int_equal(pipe(pipes), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (dup2(pipes[1], STDERR_FILENO) < 0)
            _exit(98);
        _exit(open_cut_read(dir, shard, len));
    }
    close(pipes[1]);
    while ((n = read(pipes[0], out + got, size - 1 - got)) > 0)
        got += (size_t)n;
    out[got] = '\0';
    close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Wherever the file is cut, within a page or between two: one line that names it, exit status 4. */
static void test_cut_while_mapped(void **state)
{
    char *dir = scratch_path(*state, "set"), *shard = write_set(dir), text[8192];
    off_t page = sysconf(_SC_PAGESIZE);
    struct file_view whole = {0};
    struct err e = {0};
    int lost = 0, differs = 0;

    ASSERT_OK(file_read(&whole, shard, 1 << 20, &e), e);
    for (off_t len = 0; len < (off_t)whole.len; len += page - 96) {
        int status = in_child(dir, shard, len, text, sizeof text);
        const char *end = strchr(text, '\n');

        if (status != 4 || strstr(text, shard) == NULL || end == NULL || end[1] != '\0')
            fail_msg("cut to %lld: status %d: %s", (long long)len, status, text);
        lost += strstr(text, ": the file shrank to ") != NULL;
        differs += strstr(text, "crc32c differs") != NULL;
        restore(shard, &whole);
    }
    /* the checksums stand last: all is lost with them, unless only the last page is cut, which
     * reads as zeros behind its end */
    if (lost < 20 || differs < 1)
        fail_msg("%d lost, %d differ", lost, differs);
    file_view_free(&whole);
    free(dir);
    free(shard);
}

/* ---- a training run whose data shrink under it ---- */

/* Waits until the log holds a few lines. */
static void wait_for_steps(const char *log)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    struct stat st;

    for (int i = 0; i < 6000; i++) {
        if (stat(log, &st) == 0 && st.st_size > 500)
            return;
        nanosleep(&pause, NULL);
    }
    fail_msg("%s: no step within a minute", log);
}

static pid_t train_in_child(const struct train_options *o, const char *messages)
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        struct err e = {0};

        if (freopen(messages, "w", stderr) == NULL)
            _exit(98);
        lost_mapping_explain();
        if (train_run(o, &e) != ERR_OK)
            fprintf(stderr, "%s\n", e.text);
        fflush(stderr);
        _exit(err_exit_status(e.code));
    }
    return child;
}

/* The run ends with one line that names the shard, its checkpoints are whole, and once the shard is
 * back it goes on. */
static void test_training(void **state)
{
    char *root = scratch_path(*state, "drawn"), *data = scratch_path(*state, "drawn/data"),
         *audio = scratch_path(*state, "drawn/audio"), *preset = scratch_path(*state, "tiny.conf"),
         *run = scratch_path(*state, "run"), *log = scratch_path(*state, "run/metrics.jsonl"),
         *messages = scratch_path(*state, "messages"), *shard;
    struct train_options o = runs_train_options(data, preset, "uni-audio", run);
    struct file_view whole = {0}, said = {0};
    struct name_list names = {0};
    struct err e = {0};
    pid_t child;
    int status;

    ASSERT_OK(drawn_dataset_make(root, &drawn_options_default, &e), e);
    ASSERT_OK(runs_write_preset(preset, SOURCE_DIR, &e), e);
    ASSERT_OK(dir_list(&names, audio, ".safetensors", &e), e);
    shard = scratch_path(audio, names.name[0]);
    ASSERT_OK(file_read(&whole, shard, 1 << 26, &e), e);
    o.set[0] = "pretrain.epochs=100000";
    o.set[1] = "pretrain.patience=100000";
    o.set[2] = "checkpoint.steps=1";
    child = train_in_child(&o, messages);
    wait_for_steps(log);
    assert_int_equal(truncate(shard, 5000), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    ASSERT_OK(file_read(&said, messages, 1 << 16, &e), e);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 4 ||
        strstr((const char *)said.data, names.name[0]) == NULL ||
        strchr((const char *)said.data, '\n') != (const char *)said.data + said.len - 1)
        fail_msg("status %x: %s", (unsigned)status, (const char *)said.data);
    restore(shard, &whole);
    o.resume = true;
    o.max_steps = 3;
    ASSERT_FAILS(train_run(&o, &e), e, ERR_STOPPED, "go on with --resume");
    file_view_free(&whole);
    file_view_free(&said);
    name_list_free(&names);
    free(root);
    free(data);
    free(audio);
    free(preset);
    free(run);
    free(log);
    free(messages);
    free(shard);
}

/* A SIGBUS that is of no file stays what it is. */
static void test_other_bus_error(void **state)
{
    pid_t child = fork();
    int status;

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};

        (void)setrlimit(RLIMIT_CORE, &none);
        lost_mapping_explain();
        raise(SIGBUS);
        raise(SIGBUS);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

/* Values that were right at their first use are compared again at the next. */
static void test_changed_after_first_use(void **state)
{
    char *dir = scratch_path(*state, "set"), *shard = write_set(dir);
    struct shard_set *s = NULL;
    struct shard_value v;
    struct err e = {0};

    ASSERT_OK(shard_set_open(&s, dir, &e), e);
    ASSERT_OK(shard_set_get(s, 0, 0, &v, &e), e);
    scratch_flip(shard,
                 (long)tensorfile_offset(shard_set_shard(s, 0, &(int64_t){0}, &(int64_t){0}), 0));
    ASSERT_FAILS(shard_set_get(s, 0, 0, &v, &e), e, ERR_CHECKSUM, "sample 0 field blob: crc32c");
    ASSERT_OK(shard_set_get(s, 1, 0, &v, &e), e);
    shard_set_close(s);
    free(dir);
    free(shard);
}

/* Offsets that change after they were checked lead nowhere, least of all out of the mapping. */
static void test_changed_offsets(void **state)
{
    static const uint64_t hostile[] = {UINT64_MAX, UINT64_MAX - 5, INT64_MAX, 1, 1u << 31};
    char *dir = scratch_path(*state, "set"), *shard = write_set(dir);
    struct file_view whole = {0};
    struct shard_set *s = NULL;
    const struct tensorfile *f;
    struct shard_value v;
    struct err e = {0};
    uint64_t off;

    ASSERT_OK(file_read(&whole, shard, 1 << 20, &e), e);
    ASSERT_OK(shard_set_open(&s, dir, &e), e);
    f = shard_set_shard(s, 0, &(int64_t){0}, &(int64_t){0});
    off = tensorfile_offset(f, tensorfile_find(f, "blob.off"));
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        for (int which = 0; which < 2; which++) { /* offset, then length */
            FILE *out = fopen(shard, "r+b");
            uint8_t le[8];

            store_le64(le, hostile[i]);
            assert_non_null(out);
            assert_int_equal(fseek(out, (long)off + 16 * 7 + 8 * which, SEEK_SET), 0);
            assert_int_equal(fwrite(le, 1, sizeof le, out), sizeof le);
            assert_int_equal(fclose(out), 0);
            ASSERT_FAILS(shard_set_get(s, 7, 0, &v, &e), e, ERR_CHECKSUM, "sample 7 field blob");
            restore(shard, &whole);
        }
    }
    ASSERT_OK(shard_set_get(s, 7, 0, &v, &e), e);
    shard_set_close(s);
    file_view_free(&whole);
    free(dir);
    free(shard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
        IN_SCRATCH(test_cut_while_mapped),      IN_SCRATCH(test_training),
        cmocka_unit_test(test_other_bus_error), IN_SCRATCH(test_changed_after_first_use),
        IN_SCRATCH(test_changed_offsets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
