/* SPDX-License-Identifier: MIT */
#include "train/checkpoint.h"

#include "common/base/cli.h"

#include <assert.h>
#include <float.h>
#include <stdio.h>
#include <string.h>

/* The state's fields as metadata: "state.KEY", or "state.KEY.0", "state.KEY.1", ... of an array.
 * Doubles are written with 17 digits: they read back exactly. */
struct state_field {
    const char *key;
    size_t offset;
    int count; /* 0: not an array */
    bool real;
};

#define STATE_INT(name)                                   \
    {                                                     \
#name, offsetof(struct run_state, name), 0, false \
    }
#define STATE_REAL(name)                                 \
    {                                                    \
#name, offsetof(struct run_state, name), 0, true \
    }
#define STATE_INTS(name, count)                               \
    {                                                         \
#name, offsetof(struct run_state, name), count, false \
    }
#define STATE_REALS(name, count)                             \
    {                                                        \
#name, offsetof(struct run_state, name), count, true \
    }

static const struct state_field state_fields[] = {
    STATE_INT(epoch),
    STATE_INT(batch),
    STATE_INT(step),
    STATE_INT(done),
    STATE_INT(best_epoch),
    STATE_INT(best_step),
    STATE_REAL(best_score),
    STATE_REAL(best_accuracy),
    STATE_REAL(lowest_loss),
    STATE_INT(stale),
    STATE_REALS(sum, STEP_VALUES),
    STATE_INTS(samples, STEP_VALUES),
    STATE_INTS(source_n, VECTORS_SOURCES),
    STATE_INTS(source_right, VECTORS_SOURCES),
    STATE_REALS(source_loss, VECTORS_SOURCES),
    STATE_INT(metrics_bytes),
    STATE_INT(metrics_crc),
    STATE_INT(epochs_bytes),
    STATE_INT(epochs_crc),
    STATE_INT(ntk_bytes),
    STATE_INT(ntk_crc),
};
enum { N_STATE = sizeof state_fields / sizeof state_fields[0], STATE_ARRAYS = 5 };
static_assert(sizeof(struct run_state) ==
                  (N_STATE - STATE_ARRAYS + 2 * STEP_VALUES + 3 * VECTORS_SOURCES) * 8,
              "every field of the state is saved");

static void state_key(const struct state_field *f, int i, char out[64])
{
    if (f->count > 0)
        snprintf(out, 64, "state.%s.%d", f->key, i);
    else
        snprintf(out, 64, "state.%s", f->key);
}

static enum err_code write_field(struct tensorfile_writer *w, const struct run_state *state,
                                 const struct state_field *f, int i, struct err *e)
{
    const char *at = (const char *)state + f->offset + 8 * (size_t)i;
    char key[64], text[40];
    int64_t whole;
    double real;

    state_key(f, i, key);
    memcpy(&whole, at, sizeof whole);
    memcpy(&real, at, sizeof real);
    if (f->real)
        snprintf(text, sizeof text, "%.17g", real);
    else
        snprintf(text, sizeof text, "%lld", (long long)whole);
    return tensorfile_writer_meta(w, key, text, e);
}

static enum err_code write_meta(struct tensorfile_writer *w, const struct run_state *state,
                                const struct meta *meta, int n_meta, struct err *e)
{
    for (int i = 0; i < n_meta; i++)
        TRY(tensorfile_writer_meta(w, meta[i].key, meta[i].value, e));
    for (int f = 0; f < N_STATE; f++)
        for (int i = 0; i < state_fields[f].count || i == 0; i++)
            TRY(write_field(w, state, &state_fields[f], i, e));
out:
    return e->code;
}

/* Calls for every tensor of a checkpoint, in file order. */
typedef enum err_code tensor_fn(void *ctx, const char *name, enum dtype dtype, int rank,
                                const int64_t *dim, void *data, size_t bytes, struct err *e);

static enum err_code each_moment(struct param *p, tensor_fn *fn, void *ctx, struct err *e)
{
    char name[PARAM_NAME_SIZE + 16];
    size_t bytes = (size_t)p->count * sizeof(float);

    snprintf(name, sizeof name, "opt.m.%s", p->name);
    TRY(fn(ctx, name, DTYPE_F32, p->rank, p->dim, p->m, bytes, e));
    snprintf(name, sizeof name, "opt.v.%s", p->name);
    TRY(fn(ctx, name, DTYPE_F32, p->rank, p->dim, p->v, bytes, e));
    snprintf(name, sizeof name, "opt.steps.%s", p->name);
    TRY(fn(ctx, name, DTYPE_I64, 0, NULL, &p->steps, sizeof p->steps, e));
out:
    return e->code;
}

static enum err_code each_tensor(const struct params *ps, const char *prefix, bool moments,
                                 tensor_fn *fn, void *ctx, struct err *e)
{
    for (int i = 0; i < params_count(ps); i++) {
        struct param *p = params_at(ps, i);

        if (strncmp(p->name, prefix, strlen(prefix)) != 0)
            continue;
        if (p->kind == PARAM_COUNTER)
            TRY(fn(ctx, p->name, DTYPE_I64, 0, NULL, &p->counter, sizeof p->counter, e));
        else
            TRY(fn(ctx, p->name, DTYPE_F32, p->rank, p->dim, p->data,
                   (size_t)p->count * sizeof(float), e));
    }
    for (int i = 0; moments && i < params_count(ps); i++) {
        struct param *p = params_at(ps, i);

        if (p->kind == PARAM_WEIGHT && strncmp(p->name, prefix, strlen(prefix)) == 0)
            TRY(each_moment(p, fn, ctx, e));
    }
out:
    return e->code;
}

static enum err_code declare_tensor(void *ctx, const char *name, enum dtype dtype, int rank,
                                    const int64_t *dim, void *data, size_t bytes, struct err *e)
{
    (void)data;
    (void)bytes;
    return tensorfile_writer_declare(ctx, name, dtype, rank, dim, e);
}

static enum err_code write_tensor(void *ctx, const char *name, enum dtype dtype, int rank,
                                  const int64_t *dim, void *data, size_t bytes, struct err *e)
{
    (void)name;
    (void)dtype;
    (void)rank;
    (void)dim;
    return tensorfile_writer_data(ctx, data, bytes, e);
}

enum err_code checkpoint_save(const char *path, const struct params *ps,
                              const struct run_state *state, const struct meta *meta, int n_meta,
                              bool weights_only, struct err *e)
{
    struct tensorfile_writer *w = NULL;

    TRY(tensorfile_writer_open(&w, path, "checkpoint", true, e));
    TRY(write_meta(w, state, meta, n_meta, e));
    TRY(each_tensor(ps, "", !weights_only, declare_tensor, w, e));
    TRY(each_tensor(ps, "", !weights_only, write_tensor, w, e));
    {
        struct tensorfile_writer *done = w;

        w = NULL; /* commit frees it whatever happens */
        TRY(tensorfile_writer_commit(done, NULL, e));
    }
out:
    tensorfile_writer_abort(w);
    return e->code;
}

enum err_code checkpoint_open(struct tensorfile **f, const char *path, struct err *e)
{
    *f = NULL;
    TRY(tensorfile_open(f, path, e));
    if (strcmp(tensorfile_kind(*f), "checkpoint") != 0) {
        err_set(e, ERR_FORMAT, "%s: is a '%s', not a checkpoint", path, tensorfile_kind(*f));
        goto out;
    }
    TRY(tensorfile_verify_all(*f, e));
out:
    if (e->code != ERR_OK) {
        tensorfile_close(*f);
        *f = NULL;
    }
    return e->code;
}

struct reading {
    const struct tensorfile *file;
    int used;        /* tensors of the file that were wanted */
    int differences; /* wanted tensors that the file does not hold as wanted */
};

/* "F32 [3, 4]" */
static void describe_tensor(char *out, size_t size, enum dtype dtype, int rank, const int64_t *dim)
{
    size_t n = (size_t)snprintf(out, size, "%s [", dtype_name(dtype));

    for (int i = 0; i < rank && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%lld", i > 0 ? ", " : "", (long long)dim[i]);
    if (n < size)
        snprintf(out + n, size - n, "]");
}

/* Goes on after a difference, so that one message lists them. */
static enum err_code read_tensor(void *ctx, const char *name, enum dtype dtype, int rank,
                                 const int64_t *dim, void *data, size_t bytes, struct err *e)
{
    struct reading *r = ctx;
    const char *path = tensorfile_path(r->file);
    const struct tensor_info *info;
    char have[96], want[96];
    int i = tensorfile_find(r->file, name);

    if (i < 0) {
        r->differences++;
        (void)err_add_line(e, ERR_DATA, "%s: tensor %s is missing", path, name);
        return ERR_OK;
    }
    info = tensorfile_info(r->file, i);
    if (info->dtype != dtype || info->rank != rank || info->bytes != bytes ||
        (rank > 0 && memcmp(info->dim, dim, (size_t)rank * sizeof *dim) != 0)) {
        r->differences++;
        describe_tensor(have, sizeof have, info->dtype, info->rank, info->dim);
        describe_tensor(want, sizeof want, dtype, rank, dim);
        (void)err_add_line(e, ERR_DATA, "%s: tensor %s is %s, the model wants %s", path, name, have,
                           want);
        return ERR_OK;
    }
    memcpy(data, tensorfile_data(r->file, i), bytes);
    r->used++;
    return ERR_OK;
}

/* Tensors of the file that are somebody's: names that begin with '_' belong to the container. */
static int payload_count(const struct tensorfile *f)
{
    int n = 0;

    for (int i = 0; i < tensorfile_count(f); i++)
        n += tensorfile_info(f, i)->name[0] != '_';
    return n;
}

enum err_code checkpoint_read(const struct tensorfile *f, struct params *ps, const char *prefix,
                              bool moments, struct err *e)
{
    struct reading r = {.file = f};
    int have = 0;

    (void)each_tensor(ps, prefix, moments, read_tensor, &r, e);
    if (r.differences > 0)
        FAIL(err_in(e, "%s: the checkpoint is of another model, %d tensors differ",
                    tensorfile_path(f), r.differences));
    for (int i = 0; i < tensorfile_count(f); i++)
        have += strncmp(tensorfile_info(f, i)->name, "opt.", 4) == 0;
    have = payload_count(f) - (moments ? 0 : have);
    if (prefix[0] == '\0' && r.used != have)
        err_set(e, ERR_DATA,
                "%s: holds %d tensors, the model has %d: the checkpoint is of another "
                "model",
                tensorfile_path(f), have, r.used);
out:
    return e->code;
}

enum err_code checkpoint_meta(const struct tensorfile *f, const char *key, const char **value,
                              struct err *e)
{
    *value = tensorfile_meta(f, key);
    if (*value == NULL)
        return err_set(e, ERR_DATA, "%s: metadata %s is missing: not written by synib-train",
                       tensorfile_path(f), key);
    return ERR_OK;
}

static enum err_code read_field(const struct tensorfile *file, struct run_state *state,
                                const struct state_field *f, int i, struct err *e)
{
    char *at = (char *)state + f->offset + 8 * (size_t)i;
    const char *text;
    int64_t whole;
    double real;
    char key[64];

    state_key(f, i, key);
    TRY(checkpoint_meta(file, key, &text, e));
    if (f->real) {
        TRY(cli_double(&real, text, -DBL_MAX, DBL_MAX, key, e));
        memcpy(at, &real, sizeof real);
    } else {
        TRY(cli_int(&whole, text, 0, INT64_MAX, key, e));
        memcpy(at, &whole, sizeof whole);
    }
out:
    return e->code;
}

enum err_code checkpoint_state(const struct tensorfile *f, struct run_state *state, struct err *e)
{
    for (int k = 0; k < N_STATE; k++)
        for (int i = 0; i < state_fields[k].count || i == 0; i++)
            TRY(read_field(f, state, &state_fields[k], i, e));
out:
    if (e->code == ERR_USAGE)
        e->code = ERR_DATA; /* the file's mistake, not the command line's */
    return err_in(e, "%s", tensorfile_path(f));
}
