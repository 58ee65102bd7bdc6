/* SPDX-License-Identifier: MIT */
/* Programs that start themselves again keep their name. This one is its own subject: with an
 * argument it starts again as the training tools do, and prints its name and its setting. */
#include "common/base/parallel.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { NAME_SIZE = 16 }; /* what the kernel keeps of it */

/* `program` with `argument`; its one line. */
static void said(char *line, size_t size, const char *program, const char *argument)
{
    char command[8192];
    FILE *f;

    assert_true(snprintf(command, sizeof command, "'%s' %s", program, argument) <
                (int)sizeof command);
    assert_int_equal(unsetenv("OMP_WAIT_POLICY"), 0);
    f = popen(command, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, (int)size, f));
    assert_int_equal(pclose(f), 0);
}

static void test_keeps_its_name(void **state)
{
    char line[100], want[100];
    (void)state;

    said(line, sizeof line, BIN_DIR "/test_start_again", "name");
    snprintf(want, sizeof want, "%.*s passive\n", NAME_SIZE - 1, "test_start_again");
    assert_string_equal(line, want);
}

/* Another program, or none, has its path meanwhile: still itself. */
static void test_replaced_meanwhile(void **state)
{
    char *copy = scratch_path(*state, "copy"), command[8192], line[100];

    for (int replaced = 0; replaced < 2; replaced++) {
        snprintf(command, sizeof command, "cp %s/test_start_again '%s'", BIN_DIR, copy);
        assert_int_equal(system(command), 0);
        said(line, sizeof line, copy, replaced ? "replaced" : "removed");
        assert_non_null(strstr(line, " passive\n"));
    }
    free(copy);
}

static int subject(char **argv)
{
    char name[NAME_SIZE] = "", *other = argv[0];
    FILE *f;

    if (getenv("OMP_WAIT_POLICY") == NULL && strcmp(argv[1], "name") != 0) {
        if (unlink(other) != 0)
            return 1;
        if (strcmp(argv[1], "replaced") == 0) {
            f = fopen(other, "w");
            if (f == NULL || fputs("#!/bin/sh\necho another\n", f) < 0 || fclose(f) != 0)
                return 1;
        }
    }
    parallel_sleep_when_idle(argv);
    if (prctl(PR_GET_NAME, name) != 0)
        return 1;
    printf("%s %s\n", name, getenv("OMP_WAIT_POLICY"));
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_its_name),
        cmocka_unit_test_setup_teardown(test_replaced_meanwhile, scratch_setup, scratch_teardown),
    };

    return argc > 1 ? subject(argv) : cmocka_run_group_tests(tests, NULL, NULL);
}
