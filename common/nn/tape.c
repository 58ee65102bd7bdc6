/* SPDX-License-Identifier: MIT */
#include "common/nn/tape.h"

#include "common/base/mem.h"
#include "common/nn/freelist.h"
#include "common/nn/tape_impl.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_CHUNK = 128 };

/* Items that keep their address, handed out in order and all taken back at once. */
struct arena {
    void **chunk;
    size_t chunks, cap, used, item_size;
};

struct tape {
    struct nn *nn;
    struct freelist list;
    struct arena tensors; /* struct tensor */
    struct arena nodes;   /* struct node */
    struct err err;
    int no_grad; /* depth */
    int frozen;  /* depth */
    bool training;
    bool keep;
    bool spent; /* a backward pass without TAPE_KEEP has released activations */
};

static void *arena_at(const struct arena *a, size_t i)
{
    return (char *)a->chunk[i / ARENA_CHUNK] + i % ARENA_CHUNK * a->item_size;
}

/* A zeroed item; NULL on failure. */
static void *arena_take(struct arena *a, struct err *e)
{
    void *item;

    if (a->used == a->chunks * ARENA_CHUNK) {
        if (mem_grow(&a->chunk, &a->cap, a->chunks + 1, sizeof(void *), "tape", e) != ERR_OK ||
            mem_array(&a->chunk[a->chunks], ARENA_CHUNK, a->item_size, "tape", e) != ERR_OK)
            return NULL;
        a->chunks++;
    }
    item = arena_at(a, a->used++);
    memset(item, 0, a->item_size);
    return item;
}

static void arena_free(struct arena *a)
{
    for (size_t i = 0; i < a->chunks; i++)
        free(a->chunk[i]);
    free(a->chunk);
}

enum err_code tape_new(struct tape **out, struct nn *nn, struct err *e)
{
    struct tape *t = NULL;
    enum err_code rc = mem_array(&t, 1, sizeof *t, "tape", e);

    if (rc != ERR_OK)
        return rc;
    t->nn = nn;
    t->tensors.item_size = sizeof(struct tensor);
    t->nodes.item_size = sizeof(struct node);
    *out = t;
    return ERR_OK;
}

void tape_free(struct tape *t)
{
    if (t == NULL)
        return;
    freelist_free(&t->list);
    arena_free(&t->tensors);
    arena_free(&t->nodes);
    free(t);
}

void tape_begin(struct tape *t, unsigned flags)
{
    freelist_reset(&t->list);
    t->tensors.used = 0;
    t->nodes.used = 0;
    err_clear(&t->err);
    t->no_grad = t->frozen = 0;
    t->training = (flags & TAPE_TRAIN) != 0;
    t->keep = (flags & TAPE_KEEP) != 0;
    t->spent = false;
}

struct nn *tape_nn(struct tape *t)
{
    return t->nn;
}

struct err *tape_err(struct tape *t)
{
    return &t->err;
}

bool tape_training(const struct tape *t)
{
    return t->training;
}

bool tape_set_training(struct tape *t, bool training)
{
    bool old = t->training;

    t->training = training;
    return old;
}

void tape_no_grad_begin(struct tape *t)
{
    t->no_grad++;
}

void tape_no_grad_end(struct tape *t)
{
    assert(t->no_grad > 0);
    t->no_grad--;
}

void tape_freeze_begin(struct tape *t)
{
    t->frozen++;
}

void tape_freeze_end(struct tape *t)
{
    assert(t->frozen > 0);
    t->frozen--;
}

float *tape_buffer(struct tape *t, int64_t count)
{
    return t->err.code == ERR_OK ? freelist_take(&t->list, (size_t)count, &t->err) : NULL;
}

void tape_buffer_release(struct tape *t, float *buffer)
{
    freelist_give(&t->list, buffer);
}

struct tensor *tape_alias(struct tape *t, int rank, const int64_t *dim, enum tensor_layout layout,
                          float *data)
{
    struct tensor *x;

    if (t->err.code != ERR_OK)
        return NULL;
    if (rank < 0 || rank > TENSOR_RANK_MAX) {
        err_set(&t->err, ERR_INTERNAL, "tensor of rank %d", rank);
        return NULL;
    }
    for (int i = 0; i < rank; i++) {
        if (dim[i] <= 0) {
            err_set(&t->err, ERR_INTERNAL, "tensor of size %lld", (long long)dim[i]);
            return NULL;
        }
    }
    x = arena_take(&t->tensors, &t->err);
    if (x == NULL)
        return NULL;
    x->rank = rank;
    for (int i = 0; i < rank; i++)
        x->dim[i] = dim[i];
    x->layout = layout;
    x->data = data;
    return x;
}

struct tensor *tape_result(struct tape *t, int rank, const int64_t *dim, enum tensor_layout layout)
{
    struct tensor *x = tape_alias(t, rank, dim, layout, NULL);

    if (x == NULL)
        return NULL;
    x->data = tape_buffer(t, tensor_count(x));
    x->owns_data = true;
    return x->data != NULL ? x : NULL;
}

struct tensor *tape_constant(struct tape *t, int rank, const int64_t *dim, const float *data)
{
    /* Nothing writes through the data of a leaf; struct tensor has one type of pointer for all. */
    return tape_alias(t, rank, dim, TENSOR_PLAIN, (float *)data);
}

struct tensor *tape_leaf(struct tape *t, int rank, const int64_t *dim, enum tensor_layout layout,
                         float *data, float *grad)
{
    struct tensor *x = tape_alias(t, rank, dim, layout, data);

    if (x == NULL)
        return NULL;
    x->grad = grad;
    x->needs_grad = true;
    return x;
}

struct tensor *tape_param(struct tape *t, struct param *p)
{
    struct tensor *x;

    if (p->kind != PARAM_WEIGHT || p->frozen || t->frozen > 0)
        return tape_constant(t, p->rank, p->dim, p->data);
    x = tape_leaf(t, p->rank, p->dim, TENSOR_PLAIN, p->data, p->grad);
    if (x != NULL)
        x->param = p;
    return x;
}

struct tensor *tape_scratch(struct tape *t, int rank, const int64_t *dim)
{
    return tape_result(t, rank, dim, TENSOR_PLAIN);
}

bool tape_ready(struct tape *t, const char *op, int n, struct tensor *const *in)
{
    if (t->err.code != ERR_OK)
        return false;
    for (int i = 0; i < n; i++) {
        if (in[i] == NULL || in[i]->data == NULL) {
            err_set(&t->err, ERR_INTERNAL, "%s: operand %d is missing or was released", op, i);
            return false;
        }
    }
    return true;
}

bool tape_is_matrix(struct tape *t, const char *op, const struct tensor *x)
{
    if (x->rank == 2 && x->layout == TENSOR_PLAIN)
        return true;
    err_set(tape_err(t), ERR_INTERNAL, "%s: the operand is not a plain [B, D]", op);
    return false;
}

bool tape_same_shape(struct tape *t, const char *op, const struct tensor *a, const struct tensor *b)
{
    bool same = a->rank == b->rank && a->layout == b->layout;

    for (int i = 0; same && i < a->rank; i++)
        same = a->dim[i] == b->dim[i];
    if (!same)
        err_set(tape_err(t), ERR_INTERNAL, "%s: the operands differ in shape", op);
    return same;
}

struct node *tape_record(struct tape *t, struct tensor *y, int n, struct tensor *const *in,
                         node_backward_fn *backward)
{
    struct node *node;
    bool wanted = false;

    assert(n <= NODE_INPUTS_MAX);
    for (int i = 0; i < n; i++)
        wanted = wanted || (in[i] != NULL && in[i]->needs_grad);
    if (!wanted || t->no_grad > 0 || t->err.code != ERR_OK)
        return NULL;
    node = arena_take(&t->nodes, &t->err);
    if (node == NULL)
        return NULL;
    node->backward = backward;
    node->reads = NODE_RESULT;
    node->out = y;
    node->inputs = n;
    for (int i = 0; i < n; i++) {
        node->in[i] = in[i];
        if (in[i] == NULL)
            continue;
        node->reads |= 1u << i;
        in[i]->readers++;
    }
    y->readers++;
    y->maker = node;
    y->needs_grad = true;
    return node;
}

void node_reads(struct node *n, unsigned what)
{
    if (n == NULL)
        return;
    for (int i = 0; i < n->inputs; i++)
        if (n->in[i] != NULL && (n->reads & ~what & 1u << i) != 0)
            n->in[i]->readers--;
    if ((n->reads & ~what & NODE_RESULT) != 0)
        n->out->readers--;
    n->reads &= what;
}

struct tensor *tape_done(struct tape *t, struct tensor *y)
{
    return t->err.code == ERR_OK ? y : NULL;
}

static void release_data(struct tape *t, struct tensor *x)
{
    if (x->owns_data && x->data != NULL) {
        tape_buffer_release(t, x->data);
        x->data = NULL;
    }
}

static void release_grad(struct tape *t, struct tensor *x)
{
    if (x->owns_grad && x->grad != NULL) {
        tape_buffer_release(t, x->grad);
        x->grad = NULL;
        x->owns_grad = false;
    }
}

void tape_drop(struct tape *t, struct tensor *x)
{
    if (x == NULL)
        return;
    x->dropped = true;
    if (x->readers == 0 || (x->maker != NULL && x->maker->restore != NULL))
        release_data(t, x);
}

/* Makes the dropped data that n reads; what that takes may have been dropped itself. The tape's
 * error says when it could not. */
static void restore_operands(struct tape *t, struct node *n)
{
    for (int i = 0; i < n->inputs; i++) {
        struct tensor *x = n->in[i];

        if ((n->reads & 1u << i) == 0 || x->data != NULL)
            continue;
        restore_operands(t, x->maker);
        x->data = tape_buffer(t, tensor_count(x));
        if (x->data != NULL)
            x->maker->restore(t, x->maker);
    }
}

/* True once per tape_gradients and weight: x's gradient is the caller's to overwrite. */
static bool claim_unset(struct tensor *x)
{
    bool unset = x->param != NULL && x->param->grad_unset;

    if (unset)
        x->param->grad_unset = false;
    return unset;
}

float *grad_open(struct tape *t, struct tensor *x)
{
    float *d;

    if (x == NULL || !x->needs_grad || t->err.code != ERR_OK)
        return NULL;
    if (claim_unset(x))
        return x->grad;
    d = tape_buffer(t, tensor_count(x));
    if (d != NULL && x->grad == NULL) {
        x->grad = d;
        x->owns_grad = true;
    }
    return d;
}

void grad_close(struct tape *t, struct tensor *x, float *d)
{
    if (d == NULL || d == x->grad)
        return;
    if (t->err.code == ERR_OK && k_add(t->nn, tensor_count(x), d, x->grad, &t->err) != ERR_OK)
        err_in(&t->err, "gradient");
    tape_buffer_release(t, d);
}

float *grad_target(struct tape *t, struct tensor *x, float *beta)
{
    if (x == NULL || !x->needs_grad || t->err.code != ERR_OK)
        return NULL;
    *beta = 0;
    if (x->grad == NULL)
        return grad_open(t, x);
    *beta = claim_unset(x) ? 0 : 1;
    return x->grad;
}

float *grad_accumulator(struct tape *t, struct tensor *x)
{
    float beta, *d = grad_target(t, x, &beta);

    if (d != NULL && beta == 0)
        memset(d, 0, (size_t)tensor_count(x) * sizeof *d);
    return d;
}

float *grad_steal(struct node *n, struct tensor *x)
{
    struct tensor *y = n->out;

    if (!x->needs_grad || x->grad != NULL || !y->owns_grad)
        return NULL;
    x->grad = y->grad;
    x->owns_grad = true;
    y->grad = NULL;
    y->owns_grad = false;
    return x->grad;
}

/* Node i is done: nothing that runs later in this backward pass looks at its result. */
static void retire(struct tape *t, struct node *n)
{
    release_grad(t, n->out);
    if (n->out->dropped && n->restore != NULL)
        release_data(t, n->out);
    if (t->keep)
        return;
    for (int i = 0; i < NODE_SAVES_MAX; i++) {
        if (n->save[i] != NULL)
            tape_buffer_release(t, n->save[i]);
        n->save[i] = NULL;
    }
    if (n->out->layout == TENSOR_BLOCKED)
        release_data(t, n->out);
}

static enum err_code check_loss(struct tape *t, const struct tensor *loss, struct err *e)
{
    if (t->err.code != ERR_OK)
        return tape_error(t, e);
    if (loss == NULL || loss->rank != 0)
        return err_set(e, ERR_INTERNAL, "tape_backward: the loss is not a scalar");
    if (loss->maker == NULL)
        return err_set(e, ERR_INTERNAL, "tape_backward: the loss depends on no parameter");
    if (t->spent)
        return err_set(e, ERR_INTERNAL, "tape_backward: a second time without TAPE_KEEP");
    if (!nn_planning(t->nn) && !isfinite(loss->data[0]))
        return err_set(e, ERR_NONFINITE, "the loss is %g", (double)loss->data[0]);
    return ERR_OK;
}

enum err_code tape_backward(struct tape *t, struct tensor *loss, struct err *e)
{
    enum err_code rc = check_loss(t, loss, e);
    float *seed;

    if (rc != ERR_OK)
        return rc;
    t->spent = !t->keep;
    seed = grad_open(t, loss);
    if (seed != NULL)
        seed[0] = 1;
    for (size_t i = t->nodes.used; i-- > 0;) {
        struct node *n = arena_at(&t->nodes, i);

        if (n->out->grad != NULL && t->err.code == ERR_OK)
            restore_operands(t, n);
        if (n->out->grad != NULL && t->err.code == ERR_OK)
            n->backward(t, n);
        retire(t, n);
    }
    return tape_error(t, e);
}

enum err_code tape_gradients(struct tape *t, struct tensor *loss, struct params *ps, struct err *e)
{
    enum err_code rc;

    for (int i = 0; i < params_count(ps); i++)
        params_at(ps, i)->grad_unset = params_at(ps, i)->kind == PARAM_WEIGHT;
    rc = tape_backward(t, loss, e);
    if (rc != ERR_OK)
        params_zero_grad(ps);
    for (int i = 0; i < params_count(ps); i++) {
        struct param *p = params_at(ps, i);

        if (p->grad_unset && rc == ERR_OK)
            memset(p->grad, 0, (size_t)p->count * sizeof *p->grad);
        p->grad_unset = false;
    }
    return rc;
}

bool tape_failed(const struct tape *t)
{
    return t->err.code != ERR_OK;
}

enum err_code tape_error(const struct tape *t, struct err *e)
{
    return t->err.code == ERR_OK ? ERR_OK : err_copy(e, &t->err);
}

float tape_value(const struct tensor *scalar)
{
    return scalar != NULL && scalar->data != NULL ? scalar->data[0] : NAN;
}

enum err_code tape_settle(struct tape *t, struct err *e)
{
    tape_begin(t, 0);
    return freelist_settle(&t->list, e);
}

size_t tape_bytes(const struct tape *t)
{
    return t->list.bytes;
}

uint64_t tape_allocations(const struct tape *t)
{
    return t->list.allocations;
}
