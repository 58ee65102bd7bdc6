/* SPDX-License-Identifier: MIT */
#include "common/nn/param.h"

#include "common/base/mem.h"
#include "common/base/rng.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ALIGN_FLOATS = 16, /* 64 bytes, what the kernels ask for */
    INIT_CHUNK = 4096, /* draws per Philox sample index; part of the meaning of a seed */
};

struct params {
    struct param **item;
    size_t count, cap;
    size_t block_count;  /* floats in each of value, grad, m, v */
    size_t buffer_count; /* floats in buffer */
    float *value, *grad, *m, *v;
    float *buffer;
    bool built;
};

struct param_snapshot {
    float *value, *m, *v, *buffer;
    int64_t *counter; /* [count] */
};

enum err_code params_new(struct params **ps, struct err *e)
{
    return mem_array(ps, 1, sizeof **ps, "parameters", e);
}

void params_free(struct params *ps)
{
    if (ps == NULL)
        return;
    for (size_t i = 0; i < ps->count; i++)
        free(ps->item[i]);
    free(ps->item);
    free(ps->value);
    free(ps->grad);
    free(ps->m);
    free(ps->v);
    free(ps->buffer);
    free(ps);
}

static enum err_code declare(struct params *ps, struct param **out, const char *name,
                             enum param_kind kind, int rank, const int64_t *dim, struct err *e)
{
    struct param *p = NULL;
    size_t count = 1;
    enum err_code rc;

    if (ps->built)
        return err_set(e, ERR_INTERNAL, "%s: declared after params_build", name);
    if (strlen(name) >= PARAM_NAME_SIZE || rank < 0 || rank > TENSOR_RANK_MAX)
        return err_set(e, ERR_INTERNAL, "%s: name too long, or rank %d", name, rank);
    if (params_find(ps, name) != NULL)
        return err_set(e, ERR_INTERNAL, "%s: declared twice", name);
    for (int i = 0; i < rank; i++) {
        if (dim[i] <= 0 || !mem_size(count, (size_t)dim[i], &count) || count > SIZE_MAX / 64)
            return err_set(e, ERR_INTERNAL, "%s: impossible size %lld", name, (long long)dim[i]);
    }
    rc = mem_grow(&ps->item, &ps->cap, ps->count + 1, sizeof(struct param *), "parameters", e);
    if (rc != ERR_OK)
        return rc;
    rc = mem_array(&p, 1, sizeof *p, "parameter", e);
    if (rc != ERR_OK)
        return rc;
    snprintf(p->name, sizeof p->name, "%s", name);
    p->kind = kind;
    p->rank = rank;
    for (int i = 0; i < rank; i++)
        p->dim[i] = dim[i];
    p->count = (int64_t)count;
    ps->item[ps->count++] = p;
    *out = p;
    return ERR_OK;
}

static size_t reserve(size_t *total, int64_t count)
{
    size_t offset = *total;

    *total += ((size_t)count + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    return offset;
}

enum err_code params_add(struct params *ps, struct param **p, const char *name, int rank,
                         const int64_t *dim, struct err *e)
{
    enum err_code rc = declare(ps, p, name, PARAM_WEIGHT, rank, dim, e);

    if (rc == ERR_OK)
        (*p)->offset = reserve(&ps->block_count, (*p)->count);
    return rc;
}

enum err_code params_buffer(struct params *ps, struct param **p, const char *name, int64_t count,
                            float fill, struct err *e)
{
    enum err_code rc = declare(ps, p, name, PARAM_BUFFER, 1, &count, e);

    if (rc == ERR_OK) {
        (*p)->offset = reserve(&ps->buffer_count, count);
        (*p)->fill = fill;
    }
    return rc;
}

enum err_code params_counter(struct params *ps, struct param **p, const char *name, struct err *e)
{
    return declare(ps, p, name, PARAM_COUNTER, 0, NULL, e);
}

static enum err_code block_new(float **block, size_t count, const char *what, struct err *e)
{
    enum err_code rc = mem_aligned(block, count, sizeof(float), what, e);

    if (rc == ERR_OK)
        memset(*block, 0, count * sizeof(float));
    return rc;
}

enum err_code params_build(struct params *ps, struct err *e)
{
    enum err_code rc = ERR_OK;

    if (ps->built)
        return err_set(e, ERR_INTERNAL, "params_build called twice");
    if ((rc = block_new(&ps->value, ps->block_count, "weights", e)) != ERR_OK ||
        (rc = block_new(&ps->grad, ps->block_count, "gradients", e)) != ERR_OK ||
        (rc = block_new(&ps->m, ps->block_count, "first moments", e)) != ERR_OK ||
        (rc = block_new(&ps->v, ps->block_count, "second moments", e)) != ERR_OK ||
        (rc = block_new(&ps->buffer, ps->buffer_count, "buffers", e)) != ERR_OK)
        return rc;
    for (size_t i = 0; i < ps->count; i++) {
        struct param *p = ps->item[i];

        if (p->kind == PARAM_WEIGHT) {
            p->data = ps->value + p->offset;
            p->grad = ps->grad + p->offset;
            p->m = ps->m + p->offset;
            p->v = ps->v + p->offset;
        } else if (p->kind == PARAM_BUFFER) {
            p->data = ps->buffer + p->offset;
            param_init_fill(p, p->fill);
        }
    }
    ps->built = true;
    return ERR_OK;
}

int params_count(const struct params *ps)
{
    return (int)ps->count;
}

struct param *params_at(const struct params *ps, int index)
{
    assert(index >= 0 && (size_t)index < ps->count);
    return ps->item[index];
}

struct param *params_find(const struct params *ps, const char *name)
{
    for (size_t i = 0; i < ps->count; i++) {
        if (strcmp(ps->item[i]->name, name) == 0)
            return ps->item[i];
    }
    return NULL;
}

static bool has_prefix(const struct param *p, const char *prefix)
{
    return strncmp(p->name, prefix, strlen(prefix)) == 0;
}

int64_t params_weight_count(const struct params *ps, const char *prefix)
{
    int64_t n = 0;

    for (size_t i = 0; i < ps->count; i++) {
        if (ps->item[i]->kind == PARAM_WEIGHT && has_prefix(ps->item[i], prefix))
            n += ps->item[i]->count;
    }
    return n;
}

size_t params_block_count(const struct params *ps)
{
    return ps->block_count;
}

float *params_value_block(const struct params *ps)
{
    return ps->value;
}

float *params_grad_block(const struct params *ps)
{
    return ps->grad;
}

void params_zero_grad(struct params *ps)
{
    memset(ps->grad, 0, ps->block_count * sizeof(float));
}

void params_freeze(struct params *ps, const char *prefix, bool frozen)
{
    for (size_t i = 0; i < ps->count; i++) {
        if (ps->item[i]->kind == PARAM_WEIGHT && has_prefix(ps->item[i], prefix))
            ps->item[i]->frozen = frozen;
    }
}

enum err_code params_check_gradients(const struct params *ps, struct nn *nn, struct err *e)
{
    bool finite;

    TRY(k_all_finite(nn, (int64_t)ps->block_count, ps->grad, &finite, e));
    for (size_t i = 0; !finite && i < ps->count; i++) {
        const struct param *p = ps->item[i];
        bool this_one = true;

        if (p->kind == PARAM_WEIGHT)
            TRY(k_all_finite(nn, p->count, p->grad, &this_one, e));
        if (!this_one)
            return err_set(e, ERR_NONFINITE, "%s: a gradient is not finite", p->name);
    }
out:
    return e->code;
}

enum err_code params_check_values(const struct params *ps, struct nn *nn, struct err *e)
{
    for (size_t i = 0; i < ps->count; i++) {
        const struct param *p = ps->item[i];
        bool finite = true;

        if (p->kind != PARAM_COUNTER)
            TRY(k_all_finite(nn, p->count, p->data, &finite, e));
        if (!finite)
            return err_set(e, ERR_NONFINITE, "%s: a value is not finite", p->name);
    }
out:
    return e->code;
}

/* What of an item is a whole number. */
static int64_t *count_of(struct param *p)
{
    return p->kind == PARAM_COUNTER ? &p->counter : &p->steps;
}

enum err_code params_snapshot(const struct params *ps, struct param_snapshot **snapshot,
                              struct err *e)
{
    struct param_snapshot *s = *snapshot;
    size_t block = ps->block_count * sizeof(float);

    if (s == NULL) {
        enum err_code rc = mem_array(&s, 1, sizeof *s, "snapshot", e);

        if (rc != ERR_OK)
            return rc;
        if ((rc = block_new(&s->value, ps->block_count, "snapshot", e)) != ERR_OK ||
            (rc = block_new(&s->m, ps->block_count, "snapshot", e)) != ERR_OK ||
            (rc = block_new(&s->v, ps->block_count, "snapshot", e)) != ERR_OK ||
            (rc = block_new(&s->buffer, ps->buffer_count, "snapshot", e)) != ERR_OK ||
            (rc = mem_array(&s->counter, ps->count, sizeof *s->counter, "snapshot", e)) != ERR_OK) {
            params_snapshot_free(s);
            return rc;
        }
        *snapshot = s;
    }
    memcpy(s->value, ps->value, block);
    memcpy(s->m, ps->m, block);
    memcpy(s->v, ps->v, block);
    memcpy(s->buffer, ps->buffer, ps->buffer_count * sizeof(float));
    for (size_t i = 0; i < ps->count; i++)
        s->counter[i] = *count_of(ps->item[i]);
    return ERR_OK;
}

void params_restore(struct params *ps, const struct param_snapshot *s)
{
    size_t block = ps->block_count * sizeof(float);

    memcpy(ps->value, s->value, block);
    memcpy(ps->m, s->m, block);
    memcpy(ps->v, s->v, block);
    memcpy(ps->buffer, s->buffer, ps->buffer_count * sizeof(float));
    for (size_t i = 0; i < ps->count; i++)
        *count_of(ps->item[i]) = s->counter[i];
}

void params_snapshot_free(struct param_snapshot *s)
{
    if (s == NULL)
        return;
    free(s->value);
    free(s->m);
    free(s->v);
    free(s->buffer);
    free(s->counter);
    free(s);
}

void param_init_fill(struct param *p, float value)
{
    for (int64_t i = 0; i < p->count; i++)
        p->data[i] = value;
}

/* The generator for chunk i / INIT_CHUNK of this parameter. */
static struct rng init_rng(const struct param *p, uint64_t seed, int64_t i)
{
    char name[PARAM_NAME_SIZE + 8];

    snprintf(name, sizeof name, "init:%s", p->name);
    return rng_at(seed, rng_stream(name), 0, (uint32_t)(i / INIT_CHUNK));
}

void param_init_normal(struct param *p, uint64_t seed, double mean, double std)
{
    struct rng r = {0};

    for (int64_t i = 0; i < p->count; i++) {
        if (i % INIT_CHUNK == 0)
            r = init_rng(p, seed, i);
        p->data[i] = (float)(mean + std * rng_normal(&r));
    }
}

void param_init_uniform(struct param *p, uint64_t seed, double low, double high)
{
    struct rng r = {0};

    for (int64_t i = 0; i < p->count; i++) {
        if (i % INIT_CHUNK == 0)
            r = init_rng(p, seed, i);
        p->data[i] = (float)(low + (high - low) * rng_double(&r));
    }
}
