/* SPDX-License-Identifier: MIT */
/* common/base with every call to the system and the allocator failing, interrupted or short, one at
 * a time. */
#include "tests/support/cmocka.h"

#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/text_stream.h"
#include "tests/support/check.h"
#include "tests/support/fault/place.h"
#include "tests/support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err_code put_files(void *ctx, struct err *e)
{
    static const uint8_t block[300000];
    const struct place *p = ctx;
    struct atomic_file *f = NULL, *done;
    char *path = NULL, *deep = NULL;

    TRY(path_join(&deep, p->out, "a/b/", e));
    TRY(dir_make(deep, e));
    TRY(path_join(&path, deep, "file", e));
    TRY(atomic_file_put(path, "abc", 3, false, e));
    assert_int_equal(chmod(path, 0440), 0); /* a mode to keep */
    TRY(atomic_file_open(&f, path, true, e));
    TRY(atomic_file_printf(f, e, "%d", 7));
    TRY(atomic_file_write(f, block, sizeof block, e));
    TRY(atomic_file_printf(f, e, "%300000d", 7)); /* more than its buffer holds */
    done = f;
    f = NULL;
    TRY(atomic_file_commit(done, e));
    TRY(atomic_file_put(path, block, sizeof block, true, e));
    TRY(atomic_file_put_part(path, block, sizeof block, false,
                             e)); /* there already, and the same */
    TRY(dir_room(p->out, 1, e));
out:
    atomic_file_abort(f);
    free(path);
    free(deep);
    return e->code;
}

static void test_writing_files(void **state)
{
    place_sweep("files written", put_files, state);
}

static enum err_code read_files(void *ctx, struct err *e)
{
    const struct place *p = ctx;
    struct name_list list = {0};
    struct file_view v = {0};
    uint8_t digest[SHA256_SIZE];
    char *path = NULL;

    TRY(path_join(&path, p->dir, "seven", e));
    TRY(file_read(&v, path, 100, e));
    TRY(sha256_bytes(v.data, v.len, digest, e));
    file_view_free(&v);
    TRY(file_map(&v, path, e));
    file_view_free(&v);
    TRY(file_read_beneath(&v, p->dir, "deep/seven", 100, e));
    TRY(dir_list(&list, p->dir, "", e));
out:
    name_list_free(&list);
    file_view_free(&v);
    free(path);
    return e->code;
}

static void test_reading_files(void **state)
{
    char *path = scratch_path(*state, "seven"), *deep = scratch_path(*state, "deep"),
         *link_path = scratch_path(*state, "deep/seven");
    struct err e = {0};

    ASSERT_OK(atomic_file_put(path, "seven..", 7, false, &e), e);
    ASSERT_OK(dir_make(deep, &e), e);
    assert_int_equal(symlink("../seven", link_path), 0);
    free(path);
    free(deep);
    free(link_path);
    place_sweep("files read", read_files, state);
}

static enum err_code allocate(void *ctx, struct err *e)
{
    void *array = NULL, *aligned = NULL;
    char *text = NULL;
    size_t cap = 0;

    (void)ctx;
    TRY(mem_grow(&array, &cap, 9, 8, "array", e));
    TRY(mem_grow(&array, &cap, 10, 8, "array", e));
    TRY(mem_aligned(&aligned, 0, 4, "aligned", e));
    TRY(mem_string(&text, "text", e));
out:
    free(array);
    free(aligned);
    free(text);
    return e->code;
}

static void test_memory(void **state)
{
    place_sweep("memory", allocate, state);
}

static enum err_code write_text(void *ctx, struct err *e)
{
    char *text = NULL;
    FILE *f = text_stream_open(&text, "words", e);

    (void)ctx;
    for (int i = 0; f != NULL && i < 3000; i++)
        fprintf(f, "word %d\n", i);
    TRY(text_stream_close(f, &text, "words", e));
    assert_int_equal(strlen(text), 10 * 7 + 90 * 8 + 900 * 9 + 2000 * 10);
    free(text);
    f = text_stream_open(&text, "nothing", e);
    TRY(text_stream_close(f, &text, "nothing", e));
    assert_string_equal(text, "");
out:
    free(text);
    return e->code;
}

static void test_text(void **state)
{
    place_sweep("text", write_text, state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_writing_files),
        TEST(test_reading_files),
        TEST(test_memory),
        TEST(test_text),
    };

    /* Not by cmocka's skip(), whose own leak ends a run under LeakSanitizer. */
    if (!fault_available()) {
        puts("skipped: a sanitizer owns the allocator");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
