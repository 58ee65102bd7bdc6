/* SPDX-License-Identifier: MIT */
#include "common/data/dataset_bases.h"

#include "common/base/file.h"
#include "common/data/shard_format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct search {
    const char *digest;
    char *found;           /* folder */
    struct err unreadable; /* the first index or folder that could not be read: it may be the one */
};

/* Looks at one folder's index. Whatever is wrong with it matters only if nothing else is found. */
static enum err_code try_folder(struct search *s, const char *dir, struct err *e)
{
    struct file_view view = {0};
    struct shard_index x = {0};
    struct err why = {0};
    char *path = NULL;

    TRY(path_join(&path, dir, SHARD_INDEX_NAME, e));
    if (access(path, F_OK) != 0)
        goto out;
    if (file_read(&view, path, SHARD_MAX_INDEX, &why) == ERR_OK &&
        shard_index_parse(&x, path, (const char *)view.data, view.len, &why) == ERR_OK) {
        if (strcmp(x.content, s->digest) == 0)
            TRY(path_join(&s->found, dir, "", e));
    } else if (why.code == ERR_NOMEM) { /* nobody knows whether this was the one */
        *e = why;
    } else if (s->unreadable.code == ERR_OK) {
        s->unreadable = why;
    }
out:
    shard_index_free(&x);
    file_view_free(&view);
    free(path);
    return e->code;
}

static enum err_code try_tree(struct search *s, const char *dir, struct err *e)
{
    struct name_list names = {0};
    struct err why = {0};
    char *path = NULL;

    TRY(try_folder(s, dir, e));
    if (s->found != NULL || access(dir, F_OK) != 0)
        goto out; /* a folder that is not there holds no base */
    if (dir_list(&names, dir, "", &why) == ERR_NOMEM)
        FAIL(err_copy(e, &why));
    if (why.code != ERR_OK) {
        if (s->unreadable.code == ERR_OK)
            s->unreadable = why;
        goto out;
    }
    for (size_t i = 0; i < names.count && s->found == NULL; i++) {
        TRY(path_join(&path, dir, names.name[i], e));
        TRY(try_folder(s, path, e));
        free(path);
        path = NULL;
    }
out:
    free(path);
    name_list_free(&names);
    return e->code;
}

/* It says nothing about the data. */
static bool system_refused(const struct err *why)
{
    return why->code == ERR_IO || why->code == ERR_NOMEM;
}

enum err_code dataset_base_open(struct shard_set **out, const char *what, const char *digest,
                                const char *dir, const char *const *bases, struct err *e)
{
    struct search s = {.digest = digest};
    static const char *const above[] = {"..", "../..", "../../.."}; /* as folds/rates/data nest */
    char *ancestor = NULL;

    *out = NULL;
    for (; bases != NULL && *bases != NULL && s.found == NULL; bases++)
        TRY(try_tree(&s, *bases, e));
    if (s.found == NULL)
        TRY(try_tree(&s, dir, e));
    for (size_t i = 0; i < sizeof above / sizeof *above && s.found == NULL; i++) {
        free(ancestor);
        ancestor = NULL;
        TRY(path_join(&ancestor, dir, above[i], e));
        TRY(try_tree(&s, ancestor, e));
    }
    if (s.found == NULL)
        FAIL(err_set(
            e, system_refused(&s.unreadable) ? s.unreadable.code : ERR_DATA,
            "%s: its %s base set (content digest %.16s...) is neither in the folders given "
            "for it nor in or beside %s or the three folders above: link it into one of these, or "
            "name its folder with --base where the tool has it%s%s",
            dir, what, digest, dir, s.unreadable.code != ERR_OK ? "; could not be read: " : "",
            s.unreadable.text));
    TRY(shard_set_open(out, s.found, e));
out:
    free(s.found);
    free(ancestor);
    return e->code;
}
