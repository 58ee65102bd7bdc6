/* SPDX-License-Identifier: MIT */
#include "tests/support/scratch.h"

#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "tests/support/check.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int scratch_setup(void **state)
{
    const char *base = getenv("TMPDIR");
    char *dir = NULL;

    if (asprintf(&dir, "%s/synib-test-XXXXXX", base != NULL ? base : "/tmp") < 0)
        return -1;
    if (mkdtemp(dir) == NULL) {
        free(dir);
        return -1;
    }
    *state = dir;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

int scratch_teardown(void **state)
{
    int rc = nftw(*state, remove_one, 16, FTW_DEPTH | FTW_PHYS);

    free(*state);
    *state = NULL;
    return rc;
}

char *scratch_path(const void *state, const char *name)
{
    char *path = NULL;

    if (asprintf(&path, "%s/%s", (const char *)state, name) < 0)
        abort();
    return path;
}

void scratch_clear(const char *path)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        abort();
}

void scratch_flip(const char *path, long at)
{
    FILE *f = fopen(path, "r+b");
    int c;

    if (f == NULL || fseek(f, at, SEEK_SET) != 0 || (c = fgetc(f)) == EOF ||
        fseek(f, at, SEEK_SET) != 0 || fputc(c ^ 1, f) == EOF || fclose(f) != 0)
        abort();
}

size_t scratch_count(const char *dir)
{
    struct name_list names = {0};
    struct err e = {0};
    size_t n;

    ASSERT_OK(dir_list(&names, dir, "", &e), e);
    n = names.count;
    name_list_free(&names);
    return n;
}

void scratch_copy(const char *from, const char *to)
{
    struct name_list names = {0};
    struct err e = {0};

    ASSERT_OK(dir_make(to, &e), e);
    ASSERT_OK(dir_list(&names, from, "", &e), e);
    for (size_t i = 0; i < names.count; i++) {
        char *a = scratch_path(from, names.name[i]), *b = scratch_path(to, names.name[i]);
        struct file_view v = {0};

        ASSERT_OK(file_read(&v, a, 1 << 24, &e), e);
        ASSERT_OK(atomic_file_put(b, v.data, v.len, true, &e), e);
        file_view_free(&v);
        free(a);
        free(b);
    }
    name_list_free(&names);
}
