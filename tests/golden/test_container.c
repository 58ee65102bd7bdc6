/* SPDX-License-Identifier: MIT */
#include "common/base/file.h"
#include "common/data/tensorfile.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The example of docs/formats/container.md, byte for byte. A change of these bytes is a change of
 * the format: new version, new specification. SYNIB_REGENERATE=1 writes what the test makes into
 * the golden file. */

static const char golden[] = SOURCE_DIR "/tests/golden/container.hex";
static const char spec[] = SOURCE_DIR "/docs/formats/container.md";

static void make_example(const char *path)
{
    static const int32_t x[2] = {1, -2};
    const int64_t dim = 2;
    struct tensorfile_writer *w = NULL;
    struct err e = {0};

    ASSERT_OK(tensorfile_writer_open(&w, path, "checkpoint", false, &e), e);
    ASSERT_OK(tensorfile_writer_declare(w, "x", DTYPE_I32, 1, &dim, &e), e);
    ASSERT_OK(tensorfile_writer_data(w, x, sizeof x, &e), e);
    ASSERT_OK(tensorfile_writer_commit(w, NULL, &e), e);
}

/* As `hexdump -C`, every line shown. */
static char *hex_dump(const struct file_view *v)
{
    size_t size = (v->len / 16 + 2) * 80, n = 0;
    char *text = calloc(1, size);

    assert_non_null(text);
    for (size_t at = 0; at < v->len; at += 16) {
        size_t left = v->len - at < 16 ? v->len - at : 16;

        n += (size_t)snprintf(text + n, size - n, "%08zx ", at);
        for (size_t i = 0; i < left; i++)
            n += (size_t)snprintf(text + n, size - n, "%s%02x", i == 8 ? "  " : " ",
                                  v->data[at + i]);
        n += (size_t)snprintf(text + n, size - n, "  |");
        for (size_t i = 0; i < left; i++) {
            uint8_t c = v->data[at + i];
            text[n++] = c >= 0x20 && c < 0x7f ? (char)c : '.';
        }
        n += (size_t)snprintf(text + n, size - n, "|\n");
    }
    return text;
}

static void test_example(void **state)
{
    char *path = scratch_path(*state, "x.safetensors"), *text;
    struct file_view made = {0}, want = {0}, page = {0};
    struct err e = {0};

    make_example(path);
    ASSERT_OK(file_read(&made, path, 1 << 20, &e), e);
    text = hex_dump(&made);
    if (getenv("SYNIB_REGENERATE") != NULL) {
        FILE *f = fopen(golden, "w");

        assert_non_null(f);
        fputs(text, f);
        fclose(f);
    }
    ASSERT_OK(file_read(&want, golden, 1 << 20, &e), e);
    assert_string_equal(text, (const char *)want.data);
    ASSERT_OK(file_read(&page, spec, 1 << 20, &e), e);
    assert_non_null(strstr((const char *)page.data, text));
    file_view_free(&made);
    file_view_free(&want);
    file_view_free(&page);
    free(text);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_example, scratch_setup, scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
