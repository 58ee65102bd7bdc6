/* SPDX-License-Identifier: MIT */
#include "prep/manifests.h"

#include "common/base/cli.h"
#include "common/base/file.h"
#include "common/base/mem.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A folder relative to that of the running program. */
static enum err_code beside_program(char **dir, const char *relative, struct err *e)
{
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

    if (n < 0)
        return err_sys(e, "/proc/self/exe: cannot read");
    exe[n] = '\0';
    *strrchr(exe, '/') = '\0'; /* the system gives a full path */
    return path_join(dir, exe, relative, e);
}

enum err_code manifests_find(char **dir, const char *given, struct err *e)
{
    static const char *const places[] = {"../../manifests", "../share/synib/manifests"};
    const char *set = given != NULL ? given : getenv("SYNIB_MANIFESTS");

    *dir = NULL;
    if (set != NULL && set[0] != '\0') {
        if (!is_folder(set))
            return err_set(e, ERR_IO, "%s: is not a folder of manifests: check %s", set,
                           given != NULL ? "--manifests" : "SYNIB_MANIFESTS");
        return mem_string(dir, set, e);
    }
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        TRY(beside_program(dir, places[i], e));
        if (is_folder(*dir))
            return ERR_OK;
        free(*dir);
        *dir = NULL;
    }
    FAIL(err_set(e, ERR_IO,
                 "manifests: not found beside the program: pass --manifests DIR or set "
                 "SYNIB_MANIFESTS"));
out:
    return e->code;
}

enum err_code manifests_read(struct tsv **t, const char *given, const char *file, const char *kind,
                             const char *const *columns, struct err *e)
{
    char *dir = NULL, *path = NULL;

    *t = NULL;
    TRY(manifests_find(&dir, given, e));
    TRY(path_join(&path, dir, file, e));
    TRY(tsv_read(t, path, kind, columns, e));
out:
    free(path);
    free(dir);
    return e->code;
}

enum err_code manifests_fold_seed(uint64_t *seed, const char *given, int fold, struct err *e)
{
    static const char *const columns[] = {"fold", "seed", NULL};
    struct tsv_index x = {0};
    struct tsv *t = NULL;
    struct err cell = {0};
    char key[16];
    size_t first;

    TRY(manifests_read(&t, given, "fold-seeds.tsv", "fold-seeds", columns, e));
    TRY(tsv_index_init(&x, t, "fold", e));
    TRY(tsv_index_unique(&x, e));
    snprintf(key, sizeof key, "%d", fold);
    if (tsv_index_find(&x, key, &first) == 0)
        FAIL(err_set(e, ERR_USAGE, "--fold: the reference has no fold %d: %s has %zu folds", fold,
                     tsv_name(t), tsv_rows(t)));
    if (cli_u64(seed, tsv_cell(t, x.row[first], tsv_column(t, "seed")), "seed", &cell) != ERR_OK)
        FAIL(err_set(e, ERR_DATA, "%s:%zu: %s", tsv_name(t), tsv_line(t, x.row[first]), cell.text));
out:
    tsv_index_free(&x);
    tsv_free(t);
    return e->code;
}

struct keyed {
    const char *key;
    size_t row;
};

static int by_key(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    int order = strcmp(x->key, y->key);

    return order != 0 ? order : (x->row > y->row) - (x->row < y->row);
}

enum err_code tsv_index_init(struct tsv_index *x, const struct tsv *t, const char *column,
                             struct err *e)
{
    struct keyed *keyed = NULL;

    *x = (struct tsv_index){.table = t, .column = tsv_column(t, column), .count = tsv_rows(t)};
    if (x->column < 0)
        FAIL(err_set(e, ERR_DATA, "%s:2: has no column '%s'", tsv_name(t), column));
    TRY(mem_array(&keyed, x->count, sizeof *keyed, "index", e));
    TRY(mem_array(&x->row, x->count, sizeof *x->row, "index", e));
    for (size_t i = 0; i < x->count; i++)
        keyed[i] = (struct keyed){tsv_cell(t, i, x->column), i};
    qsort(keyed, x->count, sizeof *keyed, by_key);
    for (size_t i = 0; i < x->count; i++)
        x->row[i] = keyed[i].row;
out:
    free(keyed);
    if (e->code != ERR_OK)
        tsv_index_free(x);
    return e->code;
}

void tsv_index_free(struct tsv_index *x)
{
    free(x->row);
    *x = (struct tsv_index){0};
}

static const char *key_at(const struct tsv_index *x, size_t i)
{
    return tsv_cell(x->table, x->row[i], x->column);
}

size_t tsv_index_find(const struct tsv_index *x, const char *key, size_t *first)
{
    size_t low = 0, high = x->count, n = 0;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (strcmp(key_at(x, mid), key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *first = low;
    while (low + n < x->count && strcmp(key_at(x, low + n), key) == 0)
        n++;
    return n;
}

enum err_code tsv_index_unique(const struct tsv_index *x, struct err *e)
{
    for (size_t i = 1; i < x->count; i++)
        if (strcmp(key_at(x, i - 1), key_at(x, i)) == 0)
            (void)err_add_line(e, ERR_DATA, "%s:%zu: '%s' stands already in line %zu",
                               tsv_name(x->table), tsv_line(x->table, x->row[i]), key_at(x, i),
                               tsv_line(x->table, x->row[i - 1]));
    return e->code;
}
