/* SPDX-License-Identifier: MIT */
/* Files of a corpus from elsewhere: where links may lead. */
#include "common/base/file.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void put(const void *state, const char *name)
{
    char *path = scratch_path(state, name);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(name, f) >= 0);
    assert_int_equal(fclose(f), 0);
    free(path);
}

static void folder(const void *state, const char *name)
{
    char *path = scratch_path(state, name);

    assert_int_equal(mkdir(path, 0777), 0);
    free(path);
}

static void link_to(const void *state, const char *name, const char *to)
{
    char *path = scratch_path(state, name);

    assert_int_equal(symlink(to, path), 0);
    free(path);
}

/* `want`: the text in the file, NULL: refused with `part` in the message. */
static void expect(const void *state, const char *name, const char *want, const char *part)
{
    char *root = scratch_path(state, "root");
    struct file_view v;
    struct err e = {0};
    enum err_code rc = file_read_beneath(&v, root, name, 100, &e);

    if (want != NULL) {
        ASSERT_OK(rc, e);
        assert_string_equal((const char *)v.data, want);
    } else {
        assert_int_not_equal(rc, ERR_OK);
        if (strstr(e.text, part) == NULL)
            fail_msg("%s: %s", name, e.text);
        assert_null(v.data);
    }
    file_view_free(&v);
    free(root);
}

static void test_links(void **state)
{
    char *absolute = scratch_path(*state, "root/VideoFlash/a");

    folder(*state, "root");
    folder(*state, "root/VideoFlash");
    folder(*state, "root/objects");
    folder(*state, "disk");
    folder(*state, "rooted");
    put(*state, "root/VideoFlash/a");
    put(*state, "root/objects/b");
    put(*state, "disk/c");
    put(*state, "rooted/d");
    put(*state, "secret");
    link_to(*state, "root/AudioWAV", "../disk"); /* a media folder on another disk */
    link_to(*state, "root/VideoFlash/inside", "../objects/b");
    link_to(*state, "root/VideoFlash/absolute", absolute);
    link_to(*state, "root/VideoFlash/out", "../../secret");
    link_to(*state, "root/VideoFlash/sibling", "../../rooted/d"); /* not beneath "root" */
    link_to(*state, "root/VideoFlash/etc", "/etc/passwd");
    link_to(*state, "root/VideoFlash/loop", "loop");
    link_to(*state, "root/VideoFlash/sub", "../../disk"); /* a folder deeper down */
    link_to(*state, "disk/away", "../secret");
    link_to(*state, "root/top", "../secret");

    expect(*state, "VideoFlash/a", "root/VideoFlash/a", NULL);
    expect(*state, "AudioWAV/c", "disk/c", NULL);
    expect(*state, "VideoFlash/inside", "root/objects/b", NULL);
    expect(*state, "VideoFlash/absolute", "root/VideoFlash/a", NULL);
    expect(*state, "VideoFlash/out", NULL, "link that leaves the corpus");
    expect(*state, "VideoFlash/sibling", NULL, "link that leaves the corpus");
    expect(*state, "VideoFlash/etc", NULL, "link that leaves the corpus");
    expect(*state, "VideoFlash/sub/c", NULL, "link that leaves the corpus");
    expect(*state, "AudioWAV/away", NULL, "link that leaves the corpus");
    expect(*state, "top", NULL, "link that leaves the corpus");
    expect(*state, "VideoFlash/loop", NULL, "cannot open");
    expect(*state, "VideoFlash/none", NULL, "cannot open");
    expect(*state, "VideoFlash", NULL, "is not a regular file");
    free(absolute);
}

static void test_too_large(void **state)
{
    char *root = scratch_path(*state, "root");
    struct file_view v;
    struct err e = {0};

    folder(*state, "root");
    put(*state, "root/file");
    ASSERT_FAILS(file_read_beneath(&v, root, "file", 3, &e), e, ERR_DATA, "limit of 3");
    free(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_links, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_too_large, scratch_setup, scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
