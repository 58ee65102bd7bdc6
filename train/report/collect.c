/* SPDX-License-Identifier: MIT */
#include "train/report/collect.h"

#include "common/base/mem.h"
#include "train/run_dir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_LEVELS = 16 };

static enum err_code add(struct name_list *found, const char *path, struct err *e)
{
    TRY(mem_grow(&found->name, &found->cap, found->count + 1, sizeof *found->name, "folders", e));
    TRY(mem_string(&found->name[found->count], path, e));
    found->count++;
out:
    return e->code;
}

static enum err_code walk(struct name_list *found, const char *path, const char *marker, int level,
                          struct err *e)
{
    struct name_list names = {0};
    char *below = NULL;
    struct stat st;

    if (run_has(path, marker))
        return add(found, path, e);
    TRY(dir_list(&names, path, "", e));
    for (size_t i = 0; i < names.count && level < MOST_LEVELS; i++) {
        if (names.name[i][0] == '.')
            continue;
        free(below);
        below = NULL;
        TRY(path_join(&below, path, names.name[i], e));
        if (lstat(below, &st) == 0 && S_ISDIR(st.st_mode))
            TRY(walk(found, below, marker, level + 1, e));
    }
out:
    name_list_free(&names);
    free(below);
    return e->code;
}

enum err_code collect_folders(struct name_list *found, const char *root, const char *marker,
                              struct err *e)
{
    struct stat st;

    if (stat(root, &st) != 0)
        return err_sys(e, "%s", root);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_DATA, "%s: is not a folder", root);
    return walk(found, root, marker, 0, e);
}
