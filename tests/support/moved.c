/* SPDX-License-Identifier: MIT */
#include "tests/support/moved.h"

#include "common/base/file.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

void moved_copy(const char *dir, const char *name)
{
    char *path = scratch_path(dir, name);
    struct file_view v = {0};
    struct err e = {0};
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    ASSERT_OK(file_read(&v, "/proc/self/exe", (size_t)1 << 30, &e), e);
    assert_int_equal(fwrite(v.data, 1, v.len, f), v.len);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0755), 0);
    file_view_free(&v);
    free(path);
}

int moved_run(const char *dir, const char *name, const char *argument, const char *manifests,
              char *text, size_t size)
{
    char *command = NULL;
    int status;
    size_t n;
    FILE *f;

    assert_true(asprintf(&command, "SYNIB_MANIFESTS='%s' '%s/%s' '%s' 2>&1", manifests, dir, name,
                         argument) > 0);
    f = popen(command, "r");
    assert_non_null(f);
    n = fread(text, 1, size - 1, f);
    text[n] = '\0';
    status = pclose(f);
    assert_true(WIFEXITED(status));
    free(command);
    return WEXITSTATUS(status);
}
