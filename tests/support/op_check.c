/* SPDX-License-Identifier: MIT */
#include "tests/support/op_check.h"

#include "common/nn/tape_impl.h"
#include "tests/support/cmocka.h"
#include "tests/support/kernel_ref.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* In double, the truncation error of a central difference is about STEP^2, its rounding error about
 * 1e-16 / STEP. */
static const double STEP = 1e-5;
enum { DIFFERENCES_MAX = 150 }; /* elements per input that are differentiated, spread evenly */

struct data {
    double *plain[OP_INPUTS_MAX]; /* the reference's inputs, rounded to float32 */
    float *value[OP_INPUTS_MAX], *grad[OP_INPUTS_MAX];
    double *weight; /* r */
    float *r;       /* the same in the output's layout */
    double *out;
};

int64_t op_count(const struct op_shape *s)
{
    int64_t n = 1;

    for (int i = 0; i < s->rank; i++)
        n *= s->dim[i];
    return n;
}

static double *doubles(int64_t count)
{
    double *x = calloc((size_t)count, sizeof *x);

    assert_non_null(x);
    return x;
}

static double probe(const struct op_case *c, struct data *d)
{
    double sum = 0;

    c->reference(c, d->plain, d->out);
    for (int64_t i = 0; i < op_count(&c->out); i++)
        sum += d->weight[i] * d->out[i];
    return sum;
}

static int64_t pixels(const struct op_shape *s)
{
    return s->dim[2] * s->dim[3];
}

/* float32 copy in the layout of s. */
static float *laid_out(const struct op_shape *s, const float *plain, int block)
{
    float *x;

    if (s->blocked)
        return ref_blocked(plain, s->dim[0], s->dim[1], pixels(s), block);
    x = ref_floats(op_count(s));
    memcpy(x, plain, (size_t)op_count(s) * sizeof *x);
    return x;
}

static struct data make_data(const struct op_case *c, int block)
{
    struct data d = {0};
    float *r = ref_random(op_count(&c->out), 99);

    for (int i = 0; i < c->inputs; i++) {
        int64_t count = op_count(&c->in[i]);
        float *x = ref_random(count, 1 + (uint64_t)i);

        d.plain[i] = doubles(count);
        for (int64_t k = 0; k < count; k++) {
            x[k] += (float)(c->in[i].low + 1);
            d.plain[i][k] = (double)x[k];
        }
        d.value[i] = laid_out(&c->in[i], x, block);
        d.grad[i] = ref_floats(count);
        free(x);
    }
    d.weight = doubles(op_count(&c->out));
    for (int64_t k = 0; k < op_count(&c->out); k++)
        d.weight[k] = (double)r[k];
    d.r = laid_out(&c->out, r, block);
    d.out = doubles(op_count(&c->out));
    free(r);
    return d;
}

static void free_data(const struct op_case *c, struct data *d)
{
    for (int i = 0; i < c->inputs; i++) {
        free(d->plain[i]);
        free(d->value[i]);
        free(d->grad[i]);
    }
    free(d->weight);
    free(d->r);
    free(d->out);
}

static void check_gradient(const struct op_case *c, struct data *d, int i, int block)
{
    const struct op_shape *s = &c->in[i];
    int64_t count = op_count(s);
    int64_t stride = 1 + (count - 1) / DIFFERENCES_MAX;
    double *want = doubles(count);
    double scale = 1e-6; /* a gradient that is zero everywhere must come out as nearly zero */
    float *got =
        s->blocked ? ref_plain(d->grad[i], s->dim[0], s->dim[1], pixels(s), block) : d->grad[i];

    for (int64_t k = 0; k < count; k += stride) {
        double x = d->plain[i][k], up;

        d->plain[i][k] = x + STEP;
        up = probe(c, d);
        d->plain[i][k] = x - STEP;
        want[k] = (up - probe(c, d)) / (2 * STEP);
        d->plain[i][k] = x;
        scale = fmax(scale, fabs(want[k]));
    }
    for (int64_t k = 0; k < count; k += stride) {
        if (!(fabs((double)got[k] - want[k]) <= c->tolerance * scale))
            fail_msg("%s: gradient of input %d, element %lld: %.8g, by differences %.8g (largest "
                     "%.3g)",
                     c->name, i, (long long)k, (double)got[k], want[k], scale);
    }
    if (s->blocked)
        free(got);
    free(want);
}

void op_check(struct nn *nn, const struct op_case *c)
{
    int block = nn_block(nn);
    struct data d = make_data(c, block);
    struct tensor *in[OP_INPUTS_MAX] = {0};
    struct tensor *y, *loss;
    struct tape *t = NULL;
    struct err e = {0};
    float *got;
    double error;

    assert_int_equal(tape_new(&t, nn, &e), ERR_OK);
    tape_begin(t, c->flags);
    for (int i = 0; i < c->inputs; i++) {
        const struct op_shape *s = &c->in[i];
        enum tensor_layout layout = s->blocked ? TENSOR_BLOCKED : TENSOR_PLAIN;

        in[i] = s->constant ? tape_constant(t, s->rank, s->dim, d.value[i])
                            : tape_leaf(t, s->rank, s->dim, layout, d.value[i], d.grad[i]);
    }
    y = c->build(t, in, c);
    loss = op_dot(t, y, d.r);
    if (tape_error(t, &e) != ERR_OK)
        fail_msg("%s: %s", c->name, e.text);
    assert_int_equal(y->rank, c->out.rank);
    assert_int_equal(tensor_count(y), op_count(&c->out));
    (void)probe(c, &d);
    got =
        c->out.blocked ? ref_plain(y->data, y->dim[0], y->dim[1], pixels(&c->out), block) : y->data;
    error = ref_error(got, d.out, op_count(&c->out));
    if (!(error <= c->tolerance))
        fail_msg("%s: values differ by %.3g of the largest", c->name, error);
    if (c->out.blocked)
        free(got);
    if (tape_backward(t, loss, &e) != ERR_OK)
        fail_msg("%s: %s", c->name, e.text);
    for (int i = 0; i < c->inputs; i++) {
        if (!c->in[i].constant)
            check_gradient(c, &d, i, block);
    }
    tape_free(t);
    free_data(c, &d);
}
