/* SPDX-License-Identifier: MIT */
/* Which instruction sets a build needs, and which a processor has. */
#include "common/base/cpu.h"
#include "tests/support/check.h"

#include <string.h>

static bool has_avx2(const char *name)
{
    return strcmp(name, "avx2") == 0;
}

static bool has_none(const char *name)
{
    (void)name;
    return false;
}

static void test_lacking_sets_are_named(void **state)
{
    static const char *const needed[] = {"fma", "avx2", "avx512f", NULL};
    static const char *const nothing[] = {NULL};
    struct err e = {0};
    (void)state;

    ASSERT_OK(cpu_check(nothing, has_none, &e), e);
    assert_int_equal(cpu_check(needed, has_avx2, &e), ERR_IO);
    assert_string_equal(e.text,
                        "this program was built for a processor with fma, avx512f, which this one "
                        "lacks: build it here, or for any with make "
                        "CMAKE_ARGS=-DSYNIB_NATIVE=OFF BUILD=build-any");
}

/* This machine built it; every name is one that the check knows. */
static void test_this_machine(void **state)
{
    struct err e = {0};
    bool avx2 = false;
    (void)state;

    ASSERT_OK(cpu_check(cpu_needed, cpu_has, &e), e);
    for (const char *const *name = cpu_needed; *name != NULL; name++)
        avx2 |= strcmp(*name, "avx2") == 0;
#ifdef NATIVE
    assert_int_equal(avx2, cpu_has("avx2"));
#else
    assert_false(avx2);
#endif
    assert_false(cpu_has("no such set"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lacking_sets_are_named),
        cmocka_unit_test(test_this_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
