/* SPDX-License-Identifier: MIT */
#include "prep/shard_commands.h"

#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* .npy version 1.0: magic, header length, a Python literal padded with spaces so that the data
 * begin at a multiple of 64, data in C order.
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
enum { NPY_ALIGN = 64, NPY_HEADER_MAX = 1024 };

static enum err_code npy_header(struct atomic_file *f, const char *descr, int rank,
                                const int64_t *dim, struct err *e)
{
    char header[NPY_HEADER_MAX];
    const size_t fixed = 10; /* magic, version, length */
    size_t n = fixed, end;

    n += (size_t)snprintf(header + n, sizeof header - n,
                          "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (int i = 0; i < rank; i++)
        n += (size_t)snprintf(header + n, sizeof header - n, "%" PRId64 "%s", dim[i],
                              i + 1 < rank ? ", "
                              : rank == 1  ? ","
                                           : "");
    n += (size_t)snprintf(header + n, sizeof header - n, "), }");
    end = (n + 1 + NPY_ALIGN - 1) / NPY_ALIGN * NPY_ALIGN;
    memset(header + n, ' ', end - 1 - n);
    header[end - 1] = '\n';
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)((end - fixed) & 0xff);
    header[9] = (char)((end - fixed) >> 8);
    return atomic_file_write(f, header, end, e);
}

static const char *npy_descr(enum dtype dtype)
{
    static const char *const descr[] = {
        [DTYPE_U8] = "|u1", [DTYPE_I32] = "<i4", [DTYPE_I64] = "<i8", [DTYPE_F32] = "<f4"};

    return descr[dtype];
}

/* "DIR/NAME.SUFFIX", opened for writing. What a killed export left stays when it is the same. */
static enum err_code open_output(struct atomic_file **f, const char *dir, const char *name,
                                 const char *suffix, bool force, struct err *e)
{
    char *file = NULL, *path = NULL;

    TRY(mem_array(&file, strlen(name) + strlen(suffix) + 1, 1, "file name", e));
    strcpy(file, name);
    strcat(file, suffix);
    TRY(path_join(&path, dir, file, e));
    TRY(atomic_file_open_part(f, path, force, e));
out:
    free(file);
    free(path);
    return e->code;
}

static enum err_code commit(struct atomic_file **f, struct err *e)
{
    struct atomic_file *done = *f;

    *f = NULL;
    return atomic_file_commit(done, e);
}

/* A fixed field as one array [n, dim...]; clip names as strings, which NumPy shows as such. */
static enum err_code export_fixed(const struct view *v, int field, const char *dir, bool force,
                                  struct err *e)
{
    const struct shard_field *spec = &v->field[field];
    bool text = spec->dtype == DTYPE_U8 && spec->rank == 1 && spec->dim[0] == CLIP_NAME_SIZE;
    int64_t dim[TENSOR_MAX_RANK] = {v->count};
    struct atomic_file *f = NULL;

    memcpy(dim + 1, spec->dim, (size_t)spec->rank * sizeof *dim);
    TRY(open_output(&f, dir, spec->name, ".npy", force, e));
    TRY(npy_header(f, text ? "|S24" : npy_descr(spec->dtype), text ? 1 : spec->rank + 1, dim, e));
    for (int64_t i = 0; i < v->count; i++) {
        struct shard_value value;

        TRY(view_get(v, i, field, &value, e));
        TRY(atomic_file_write(f, value.data, value.len, e));
    }
    TRY(commit(&f, e));
out:
    atomic_file_abort(f);
    return e->code;
}

/* A ragged field as a folder with one file per sample: the clip's name, or its number. */
static enum err_code export_ragged(const struct view *v, int field, const char *dir, bool force,
                                   struct err *e)
{
    struct atomic_file *f = NULL;
    char *sub = NULL;

    TRY(path_join(&sub, dir, v->field[field].name, e));
    TRY(dir_make(sub, e));
    for (int64_t i = 0; i < v->count; i++) {
        char name[CLIP_NAME_SIZE];
        struct shard_value value;
        bool jpeg;

        TRY(view_get(v, i, field, &value, e));
        TRY(view_clip(v, i, "clip", name, e));
        if (name[0] == '\0')
            snprintf(name, sizeof name, "%08" PRId64, i);
        jpeg = value.len > 2 && memcmp(value.data, "\xff\xd8", 2) == 0;
        TRY(open_output(&f, sub, name, jpeg ? ".jpg" : ".bin", force, e));
        TRY(atomic_file_write(f, value.data, value.len, e));
        TRY(commit(&f, e));
    }
out:
    atomic_file_abort(f);
    free(sub);
    return e->code;
}

static enum err_code export_view(const struct inspect_options *opt, const struct view *v,
                                 struct err *e)
{
    char *dir = NULL;

    TRY(path_join(&dir, opt->output, v->name, e));
    TRY(dir_make(dir, e));
    for (int f = 0; f < v->fields; f++)
        TRY(v->field[f].ragged ? export_ragged(v, f, dir, opt->cli.force, e)
                               : export_fixed(v, f, dir, opt->cli.force, e));
    log_note(&opt->cli.log, "%s: %" PRId64 " samples, %d fields", dir, v->count, v->fields);
out:
    free(dir);
    return e->code;
}

/* Every value that will be written, before any is: a damaged set is not exported up to its damage.
 */
static enum err_code check_values(const struct view *v, struct err *e)
{
    int fields = v->data != NULL ? N_IRONY_FIELDS : v->fields;

    for (int64_t i = 0; i < v->count; i++) {
        struct shard_value value;
        struct sample s;

        for (int f = 0; f < fields; f++)
            TRY(view_get(v, i, f, &value, e));
        if (v->data != NULL)
            TRY(dataset_get(v->data, i, &s, e));
    }
out:
    return e->code;
}

static enum err_code export_tensors(const struct inspect_options *opt, const struct tensorfile *t,
                                    struct err *e)
{
    struct atomic_file *f = NULL;

    TRY(tensorfile_verify_all(t, e));
    TRY(dir_make(opt->output, e));
    for (int i = 0; i < tensorfile_count(t); i++) {
        const struct tensor_info *info = tensorfile_info(t, i);

        TRY(open_output(&f, opt->output, info->name, ".npy", opt->cli.force, e));
        TRY(npy_header(f, npy_descr(info->dtype), info->rank, info->dim, e));
        TRY(atomic_file_write(f, tensorfile_data(t, i), info->bytes, e));
        TRY(commit(&f, e));
    }
    log_note(&opt->cli.log, "%s: %d tensors", opt->output, tensorfile_count(t));
out:
    atomic_file_abort(f);
    return e->code;
}

enum err_code inspect_export(const struct inspect_options *opt, struct err *e)
{
    struct target t = {0};

    TRY(target_open(&t, opt->target[0], opt->split, opt->base, e));
    if (opt->cli.dry_run) {
        log_note(&opt->cli.log, "%s: would be exported to %s", t.path, opt->output);
        goto out;
    }
    for (int v = 0; v < t.views; v++)
        TRY(check_values(&t.view[v], e));
    for (int v = 0; v < t.views; v++)
        TRY(export_view(opt, &t.view[v], e));
    if (t.file != NULL)
        TRY(export_tensors(opt, t.file, e));
out:
    target_close(&t);
    return e->code;
}
