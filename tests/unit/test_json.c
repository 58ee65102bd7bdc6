/* SPDX-License-Identifier: MIT */
/* Reports that cannot be printed, and texts that cannot be held. */
#include "common/data/json.h"
#include "tests/support/check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void test_too_long(void **state)
{
    bool no_memory = false;
    json_error_t why;

    (void)state;
    assert_null(json_parse("{}", SIZE_MAX, &why, &no_memory));
    assert_true(no_memory);
}

static void test_parse(void **state)
{
    bool no_memory = true;
    json_error_t why;
    json_t *value;

    (void)state;
    value = json_parse("{\"a\": 1}", 8, &why, &no_memory);
    assert_false(no_memory);
    assert_int_equal(json_integer_value(json_object_get(value, "a")), 1);
    json_decref(value);
    assert_null(json_parse("{\"a\": 1, \"a\": 2}", 16, &why, &no_memory));
    assert_false(no_memory);
    assert_non_null(strstr(why.text, "duplicate object key"));
}

static void test_shown(void **state)
{
    static const struct {
        const char *text, *shown;
    } texts[] = {
        {"", ""},
        {"caf\303\251 \360\237\230\200", "caf\303\251 \360\237\230\200"},
        {"\377a\303", "?a?"},                      /* no UTF-8; cut */
        {"\300\257 \355\240\200 \364\220\200\200", /* overlong, surrogate, past U+10FFFF */
         "?? ??? ????"},
        {"\342\202x\342\202\254", "??x\342\202\254"},
    };
    json_t *object = json_object();

    (void)state;
    json_begin();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_t *value = json_shown(texts[i].text);

        assert_string_equal(json_string_value(value), texts[i].shown);
        json_decref(value);
        assert_int_equal(json_set_shown(object, texts[i].text, json_integer((json_int_t)i)), 0);
        assert_int_equal(json_integer_value(json_object_get(object, texts[i].shown)), i);
    }
    assert_false(json_lost());
    assert_int_equal(json_set_shown(object, "x", NULL), -1);
    json_decref(object);
}

/* A full disk is noticed when the text is written, or only at the end of its line. */
static void test_full_disk(void **state)
{
    static char buffer[64], word[62];
    struct err e = {0};

    (void)state;
    memset(word, 'x', sizeof word - 1);
    for (int at_end = 0; at_end < 2; at_end++) {
        FILE *f = fopen("/dev/full", "w");

        assert_non_null(f);
        json_begin();
        assert_int_equal(setvbuf(f, buffer, at_end ? _IOFBF : _IONBF, at_end ? sizeof buffer : 0),
                         0);
        if (at_end) /* this, the word and its quotes fill the buffer */
            assert_int_equal(fputc(' ', f), ' ');
        ASSERT_FAILS(json_print(json_string(word), f, JSON_ENCODE_ANY, &e), e, ERR_IO,
                     "cannot write the JSON object");
        (void)fclose(f);
    }
}

static void test_without_a_report(void **state)
{
    struct err e = {0};

    (void)state;
    json_begin();
    ASSERT_FAILS(json_print(NULL, stdout, 0, &e), e, ERR_NOMEM, "no memory for the JSON object");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_without_a_report),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
