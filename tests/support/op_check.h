/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_OP_CHECK_H
#define TESTS_SUPPORT_OP_CHECK_H

#include "common/nn/ops.h"

/* One differentiable operation against a naive reference in double: values, and the gradients of
 * sum(r * y), r random, against central differences of the reference, sign included. */

enum { OP_INPUTS_MAX = 5, OP_ARGS_MAX = 4 };

struct op_shape {
    int rank;
    int64_t dim[TENSOR_RANK_MAX];
    bool blocked;
    bool constant; /* no gradient */
    double low;    /* values are uniform in low .. low + 2 */
};

struct op_case {
    const char *name;
    int inputs;
    struct op_shape in[OP_INPUTS_MAX];
    struct op_shape out;
    unsigned flags; /* of tape_begin */
    int arg[OP_ARGS_MAX];
    double tolerance; /* of values and gradients, relative to the largest */
    /* The operation. in[i] are leaves or constants. */
    struct tensor *(*build)(struct tape *t, struct tensor *const *in, const struct op_case *c);
    /* Its definition, on plain arrays. */
    void (*reference)(const struct op_case *c, double *const *in, double *out);
};

/* ---- shapes of a table of cases ---- */
#define IMAGE(n, c, h, w)                                          \
    {                                                              \
        .rank = 4, .dim = {n, c, h, w}, .blocked = true, .low = -1 \
    }
#define PLAIN4(n, c, h, w)                        \
    {                                             \
        .rank = 4, .dim = {n, c, h, w}, .low = -1 \
    }
#define MATRIX(b, d)                        \
    {                                       \
        .rank = 2, .dim = {b, d}, .low = -1 \
    }
#define VECTOR(d, from)                    \
    {                                      \
        .rank = 1, .dim = {d}, .low = from \
    }
#define CONSTANT(b, d, from)                                    \
    {                                                           \
        .rank = 2, .dim = {b, d}, .constant = true, .low = from \
    }
#define SCALAR    \
    {             \
        .rank = 0 \
    }
#define TABLE(f) .build = build_##f, .reference = ref_##f

/* Number of elements. */
int64_t op_count(const struct op_shape *s);

/* Fails the test with case, input and element. */
void op_check(struct nn *nn, const struct op_case *c);

#endif
