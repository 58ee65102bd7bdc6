/* SPDX-License-Identifier: MIT */
/* A tool on a processor that lacks what it was built for. */
#include "common/base/cli.h"
#include "common/base/cpu.h"
#include "tests/support/check.h"

#include <string.h>

/* In the place of the one in common/base. */
const char *const cpu_needed[] = {"avx1024", NULL};

static void test_a_tool_says_so_first(void **state)
{
    static const struct argp_child children[] = {CLI_CHILD, {0}};
    const struct argp argp = {.children = children};
    char name[] = "synib-tool", option[] = "--no-such-option", *argv[] = {name, option, NULL};
    struct cli cli = {0};
    struct err e = {0};
    (void)state;

    ASSERT_FAILS(cli_parse(&argp, 2, argv, "synib-tool", &cli, &cli, &e), e, ERR_IO,
                 "this program was built for a processor with avx1024, which this one lacks: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_tool_says_so_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
