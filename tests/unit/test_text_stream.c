/* SPDX-License-Identifier: MIT */
/* Text in memory, and JSON, as far as they go without missing memory; test_every_call_* take memory
 * away. */
#include "common/base/text_stream.h"
#include "common/data/json.h"
#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

static void test_text_is_whole(void **state)
{
    struct err e = {0};
    char *text = NULL;
    FILE *f = text_stream_open(&text, "test", &e);
    (void)state;

    assert_non_null(f);
    for (int i = 0; i < 100000; i++)
        fprintf(f, "%d ", i % 10);
    ASSERT_OK(text_stream_close(f, &text, "test", &e), e);
    assert_int_equal(strlen(text), 200000);
    assert_memory_equal(text, "0 1 2 3 4 5 6 7 8 9 0 ", 22);
    free(text);
    f = text_stream_open(&text, "test", &e);
    ASSERT_OK(text_stream_close(f, &text, "test", &e), e);
    assert_string_equal(text, "");
    free(text);
}

static void test_no_text_after_an_error(void **state)
{
    struct err e = {0};
    char *text = NULL;
    FILE *f = text_stream_open(&text, "test", &e);
    (void)state;

    fputs("half", f);
    err_set(&e, ERR_DATA, "what follows is bad");
    assert_int_equal(text_stream_close(f, &text, "test", &e), ERR_DATA);
    assert_null(text);
    assert_int_equal(text_stream_close(NULL, &text, "test", &e), ERR_DATA);
}

/* The parser gets its text in steps: values and faults are as if it came whole. */
static void test_json_in_steps(void **state)
{
    enum { LONG = 3000 };
    char *text = test_malloc(LONG + 3);
    json_error_t why;
    bool no_memory;
    json_t *root;
    (void)state;

    for (int len = 2; len < LONG; len += 61) {
        memset(text, 'x', LONG);
        text[0] = text[len - 1] = '"';
        root = json_parse(text, (size_t)len, &why, &no_memory);
        assert_null(root); /* a value alone is no document */
        assert_false(no_memory);
        text[len - 1] = 'x';
        text[0] = '[';
        text[1] = '"';
        text[len] = '"';
        text[len + 1] = ']';
        root = json_parse(text, (size_t)len + 2, &why, &no_memory);
        assert_int_equal(json_string_length(json_array_get(root, 0)), len - 2);
        json_decref(root);
        root = json_parse(text, (size_t)len + 1, &why, &no_memory);
        assert_null(root);
        assert_int_equal(why.line, 1);
    }
    root = json_parse("{\"a\": 1, \"a\": 2}", 16, &why, &no_memory);
    assert_null(root);
    assert_non_null(strstr(why.text, "duplicate"));
    test_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_is_whole),
        cmocka_unit_test(test_no_text_after_an_error),
        cmocka_unit_test(test_json_in_steps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
