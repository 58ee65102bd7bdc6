/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "common/nn/freelist.h"
#include "tests/support/check.h"
#include "tests/support/kernel_ref.h"
#include "tests/support/op_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the tape promises beyond the formulas of test_ops.c. */

enum { ROWS = 4, D = 6, CLASSES = 7 };

static const int32_t LABELS[ROWS] = {2, 0, 6, 3};
static const int64_t XDIM[] = {ROWS, D}, WDIM[] = {CLASSES, D};

struct fixture {
    struct nn *nn;
    struct tape *t;
    float *x, *w, *dw;
    struct tensor *leaf; /* w on the tape */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err e = {0};

    assert_non_null(f);
    f->nn = ref_nn(1);
    ASSERT_OK(tape_new(&f->t, f->nn, &e), e);
    f->x = ref_random(ROWS * D, 1);
    f->w = ref_random(CLASSES * D, 2);
    f->dw = ref_floats(CLASSES * D);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    tape_free(f->t);
    nn_free(f->nn);
    free(f->x);
    free(f->w);
    free(f->dw);
    free(f);
    return 0;
}

/* logits = x w^T, with w as a leaf whose gradient goes to dw. */
static struct tensor *logits(struct fixture *f)
{
    f->leaf = tape_leaf(f->t, 2, WDIM, TENSOR_PLAIN, f->w, f->dw);
    return op_linear(f->t, tape_constant(f->t, 2, XDIM, f->x), f->leaf, NULL);
}

static void test_gradients_are_added(void **state)
{
    struct fixture *f = *state;
    float first[CLASSES * D];
    struct err e = {0};

    for (int pass = 0; pass < 2; pass++) {
        tape_begin(f->t, 0);
        ASSERT_OK(tape_backward(f->t, op_cross_entropy(f->t, logits(f), LABELS), &e), e);
        if (pass == 0)
            memcpy(first, f->dw, sizeof first);
    }
    for (int i = 0; i < CLASSES * D; i++) {
        assert_true(first[i] != 0);
        assert_true(fabsf(f->dw[i] - 2 * first[i]) <= 1e-6f * fabsf(first[i]));
    }
}

enum { TWICE, ONCE, BIAS, HELD, UNUSED, WEIGHTS };

/* A loss of TWICE (two products), ONCE (picked rows), BIAS (three times, one of them as itself) and
 * HELD, which is frozen; not of UNUSED. */
static struct tensor *loss_of_weights(struct fixture *f, struct param *const w[WEIGHTS])
{
    static const int32_t rows[ROWS] = {3, 1, 3, 0};
    struct tape *t = f->t;
    struct tensor *x = tape_constant(t, 2, XDIM, f->x), *y, *z;

    y = op_linear(t, x, tape_param(t, w[TWICE]), tape_param(t, w[BIAS]));
    z = op_linear(t, op_scale(t, x, 0.5f), tape_param(t, w[TWICE]), tape_param(t, w[BIAS]));
    y = op_add(t, op_relu(t, y), z);
    y = op_add(t, y, op_linear(t, x, tape_param(t, w[HELD]), NULL));
    y = op_add(t, y, op_gather_rows(t, tape_param(t, w[ONCE]), ROWS, rows));
    return op_weighted_sum(
        t, 2,
        (struct tensor *[]){op_cross_entropy(t, y, LABELS), op_mean(t, tape_param(t, w[BIAS]))},
        (double[]){1, 0.5});
}

static struct params *weights_new(struct param *w[WEIGHTS])
{
    struct params *ps = NULL;
    struct param *counter, *buffer;
    struct err e = {0};

    ASSERT_OK(params_new(&ps, &e), e);
    ASSERT_OK(params_add(ps, &w[TWICE], "twice", 2, WDIM, &e), e);
    ASSERT_OK(params_buffer(ps, &buffer, "buffer", 3, 1, &e), e);
    ASSERT_OK(params_add(ps, &w[ONCE], "once", 2, (int64_t[]){ROWS, CLASSES}, &e), e);
    ASSERT_OK(params_counter(ps, &counter, "counter", &e), e);
    ASSERT_OK(params_add(ps, &w[BIAS], "bias", 1, WDIM, &e), e);
    ASSERT_OK(params_add(ps, &w[HELD], "held", 2, WDIM, &e), e);
    ASSERT_OK(params_add(ps, &w[UNUSED], "unused", 2, WDIM, &e), e);
    ASSERT_OK(params_build(ps, &e), e);
    for (int i = 0; i < WEIGHTS; i++)
        param_init_normal(w[i], 1, 0, 1);
    w[HELD]->frozen = true;
    return ps;
}

static void spoil_gradients(struct param *const w[WEIGHTS])
{
    for (int i = 0; i < WEIGHTS; i++)
        for (int64_t k = 0; k < w[i]->count; k++)
            w[i]->grad[k] = NAN;
}

/* tape_gradients: the bits of tape_backward into zeros, whatever was in the gradients before. */
static void test_gradients_are_overwritten(void **state)
{
    struct fixture *f = *state;
    struct param *w[WEIGHTS];
    struct params *ps = weights_new(w);
    size_t count = params_block_count(ps);
    float *want = ref_floats((int64_t)count), *grad = params_grad_block(ps);
    struct tensor *loss;
    struct err e = {0};

    tape_begin(f->t, TAPE_KEEP);
    loss = loss_of_weights(f, w);
    ASSERT_OK(tape_backward(f->t, loss, &e), e);
    memcpy(want, grad, count * sizeof *want);
    assert_true(w[TWICE]->grad[0] != 0 && w[ONCE]->grad[0] != 0 && w[BIAS]->grad[0] != 0);
    for (int again = 0; again < 2; again++) {
        spoil_gradients(w);
        ASSERT_OK(tape_gradients(f->t, loss, ps, &e), e);
        assert_memory_equal(grad, want, count * sizeof *want);
    }
    ASSERT_OK(tape_backward(f->t, loss, &e), e); /* adds, as ever */
    for (size_t i = 0; i < count; i++)
        assert_true(fabsf(grad[i] - 2 * want[i]) <= 1e-6f * fabsf(want[i]));
    spoil_gradients(w);
    f->x[5] = NAN;
    tape_begin(f->t, 0);
    ASSERT_FAILS(tape_gradients(f->t, loss_of_weights(f, w), ps, &e), e, ERR_NONFINITE, "nan");
    for (size_t i = 0; i < count; i++)
        assert_true(grad[i] == 0);
    free(want);
    params_free(ps);
}

/* Two losses over one graph: each backward gives what a pass of its own gives. */
static void test_keep_allows_several_backwards(void **state)
{
    struct fixture *f = *state;
    float alone[2][CLASSES * D];
    struct tensor *y, *loss[2];
    struct err e = {0};

    for (int i = 0; i < 2; i++) {
        memset(f->dw, 0, sizeof alone[i]);
        tape_begin(f->t, 0);
        y = op_relu(f->t, logits(f));
        loss[0] = op_cross_entropy(f->t, y, LABELS);
        loss[1] = op_kl(f->t, y, NULL, KL_MODEL_REFERENCE);
        ASSERT_OK(tape_backward(f->t, loss[i], &e), e);
        memcpy(alone[i], f->dw, sizeof alone[i]);
    }
    assert_memory_not_equal(alone[0], alone[1], sizeof alone[0]);
    tape_begin(f->t, TAPE_KEEP);
    y = op_relu(f->t, logits(f));
    loss[0] = op_cross_entropy(f->t, y, LABELS);
    loss[1] = op_kl(f->t, y, NULL, KL_MODEL_REFERENCE);
    for (int i = 0; i < 4; i++) {
        memset(f->dw, 0, sizeof alone[0]);
        ASSERT_OK(tape_backward(f->t, loss[i % 2], &e), e);
        assert_memory_equal(f->dw, alone[i % 2], sizeof alone[0]);
    }
}

static void test_second_backward_needs_keep(void **state)
{
    struct fixture *f = *state;
    struct tensor *loss;
    struct err e = {0};

    tape_begin(f->t, 0);
    loss = op_cross_entropy(f->t, logits(f), LABELS);
    ASSERT_OK(tape_backward(f->t, loss, &e), e);
    ASSERT_FAILS(tape_backward(f->t, loss, &e), e, ERR_INTERNAL, "TAPE_KEEP");
}

static void test_blocked_activations_are_released(void **state)
{
    struct fixture *f = *state;
    int64_t xdim[] = {2, 16, 4, 4}, wdim[] = {16, 16, 1, 1};
    float *x = ref_random(2 * 16 * 16, 3), *w = ref_random(16 * 16, 4), *dw = ref_floats(16 * 16);
    int32_t label[] = {3, 5};
    struct err e = {0};

    for (int keep = 0; keep < 2; keep++) {
        struct tensor *in, *c, *y;

        tape_begin(f->t, keep ? TAPE_KEEP : 0);
        in = op_detach(f->t, tape_leaf(f->t, 4, xdim, TENSOR_BLOCKED, x, NULL));
        c = op_conv2d(f->t, in, tape_leaf(f->t, 4, wdim, TENSOR_PLAIN, w, dw), 1, 0);
        y = op_meanpool(f->t, c, 1);
        ASSERT_OK(tape_backward(f->t, op_cross_entropy(f->t, y, label), &e), e);
        assert_true((c->data != NULL) == keep);
        assert_non_null(y->data);
        assert_null(c->grad);
    }
    free(x);
    free(w);
    free(dw);
}

static void test_detach_and_no_grad_stop_gradients(void **state)
{
    struct fixture *f = *state;
    struct tensor *y, *z, *ce, *through;
    float want[CLASSES * D];
    struct err e = {0};

    tape_begin(f->t, 0);
    ASSERT_OK(tape_backward(f->t, op_cross_entropy(f->t, logits(f), LABELS), &e), e);
    memcpy(want, f->dw, sizeof want);
    memset(f->dw, 0, sizeof want);

    tape_begin(f->t, 0);
    y = logits(f);
    ce = op_cross_entropy(f->t, y, LABELS);
    through = op_kl(f->t, op_detach(f->t, y), NULL, KL_MODEL_REFERENCE);
    assert_false(through->needs_grad);
    tape_no_grad_begin(f->t);
    tape_no_grad_begin(f->t);
    tape_no_grad_end(f->t);
    z = op_scale(f->t, y, 2);
    tape_no_grad_end(f->t);
    assert_false(z->needs_grad);
    through = op_weighted_sum(
        f->t, 3, (struct tensor *[]){ce, through, op_kl(f->t, z, NULL, KL_REFERENCE_MODEL)},
        (double[]){1, 1, 1});
    assert_true(tape_value(through) > tape_value(ce));
    ASSERT_OK(tape_backward(f->t, through, &e), e);
    assert_memory_equal(f->dw, want, sizeof want);

    tape_begin(f->t, 0);
    ce = op_cross_entropy(f->t, op_detach(f->t, logits(f)), LABELS);
    ASSERT_FAILS(tape_backward(f->t, ce, &e), e, ERR_INTERNAL, "depends on no parameter");
}

/* The reference of a KL term gets no gradient even when it is not detached. */
static void test_kl_reference_is_constant(void **state)
{
    struct fixture *f = *state;
    float *v = ref_random(CLASSES * D, 5), *dv = ref_floats(CLASSES * D);
    struct tensor *p, *r;
    struct err e = {0};
    double zero = 0;

    tape_begin(f->t, 0);
    r = logits(f);
    p = op_linear(f->t, tape_constant(f->t, 2, XDIM, f->x),
                  tape_leaf(f->t, 2, WDIM, TENSOR_PLAIN, v, dv), NULL);
    ASSERT_OK(tape_backward(f->t, op_kl(f->t, p, r, KL_REFERENCE_MODEL), &e), e);
    for (int i = 0; i < CLASSES * D; i++) {
        zero += fabs((double)f->dw[i]);
        assert_true(dv[i] != 0);
    }
    assert_true(zero == 0);
    tape_begin(f->t, 0);
    r = logits(f);
    assert_true(fabsf(tape_value(op_kl(f->t, r, r, KL_MODEL_REFERENCE))) < 1e-7f);
    free(v);
    free(dv);
}

static void test_errors_stick(void **state)
{
    struct fixture *f = *state;
    int32_t bad[ROWS] = {0, 1, 7, 2};
    struct tensor *y;
    struct err e = {0};

    tape_begin(f->t, 0);
    y = op_cross_entropy(f->t, logits(f), bad);
    assert_null(y);
    assert_null(op_relu(f->t, f->leaf));
    assert_null(op_weighted_sum(f->t, 1, &y, (double[]){1}));
    ASSERT_FAILS(tape_error(f->t, &e), e, ERR_DATA, "label 7 of batch row 2");
    ASSERT_FAILS(tape_backward(f->t, y, &e), e, ERR_DATA, "label 7");
    assert_true(isnan(tape_value(y)));
    tape_begin(f->t, 0);
    ASSERT_OK(tape_error(f->t, &e), e);
    assert_null(op_add(f->t, logits(f), NULL));
    ASSERT_FAILS(tape_error(f->t, &e), e, ERR_INTERNAL, "add: operand 1 is missing");
    tape_begin(f->t, 0);
    assert_null(op_add(f->t, logits(f), f->leaf));
    ASSERT_FAILS(tape_error(f->t, &e), e, ERR_INTERNAL, "add: the operands differ in shape");
    tape_begin(f->t, 0);
    assert_null(op_linear(f->t, logits(f), f->leaf, NULL));
    ASSERT_FAILS(tape_error(f->t, &e), e, ERR_INTERNAL, "linear: [4, 7] does not fit");
    tape_begin(f->t, TAPE_TRAIN);
    assert_null(op_dropout(f->t, logits(f), 0.5f, NULL));
    ASSERT_FAILS(tape_error(f->t, &e), e, ERR_INTERNAL, "dropout: no key");
    tape_begin(f->t, TAPE_TRAIN);
    assert_null(op_dropout(f->t, logits(f), 1.0f, NULL));
    ASSERT_FAILS(tape_error(f->t, &e), e, ERR_USAGE, "dropout: probability 1");
}

/* Operands of wrong shape or layout are our mistakes, but never undefined behaviour. */
static void test_shapes_are_checked(void **state)
{
    struct fixture *f = *state;
    float *memory = ref_floats(4 * 16 * 16), *grad = ref_floats(4 * 16 * 16);
    struct param p = {
        .kind = PARAM_WEIGHT, .rank = 1, .dim = {16}, .count = 16, .data = memory, .grad = grad};
    struct param batches = {.kind = PARAM_COUNTER};
    struct batchnorm bn = {&p, &p, &p, &p, &batches};
    struct err e = {0};

    snprintf(p.name, sizeof p.name, "gamma");
#define LEAF(layout, rank, ...) \
    tape_leaf(f->t, rank, (int64_t[]){__VA_ARGS__}, layout, memory, grad)
#define PLAIN(...) LEAF(TENSOR_PLAIN, __VA_ARGS__)
#define BLOCKED(...) LEAF(TENSOR_BLOCKED, __VA_ARGS__)
#define REFUSED(call, text)                                          \
    do {                                                             \
        tape_begin(f->t, TAPE_TRAIN);                                \
        assert_null(call);                                           \
        ASSERT_FAILS(tape_error(f->t, &e), e, ERR_INTERNAL, (text)); \
    } while (0)
    REFUSED(op_conv2d(f->t, BLOCKED(4, 1, 16, 4, 4), PLAIN(4, 16, 32, 1, 1), 1, 0), "conv2d: ");
    REFUSED(op_conv2d(f->t, PLAIN(4, 1, 16, 4, 4), PLAIN(4, 16, 16, 1, 1), 1, 0), "conv2d: ");
    REFUSED(op_conv2d(f->t, PLAIN(4, 1, 3, 4, 4), PLAIN(4, 16, 3, 3, 3), 1, 1), "conv2d: ");
    REFUSED(op_conv2d(f->t, BLOCKED(4, 1, 16, 4, 4), PLAIN(4, 7, 16, 1, 1), 1, 0), "conv2d: ");
    REFUSED(op_conv2d(f->t, BLOCKED(4, 1, 16, 2, 2), PLAIN(4, 16, 16, 3, 3), 2, 0), "conv2d: ");
    REFUSED(op_maxpool(f->t, BLOCKED(4, 1, 16, 1, 4), 4, 2, 1), "maxpool: window 4");
    REFUSED(op_maxpool(f->t, PLAIN(2, 4, 4), 3, 2, 1), "maxpool: the operand is not");
    REFUSED(op_maxpool(f->t, BLOCKED(4, 1, 16, 4, 4), 3, 0, 1), "maxpool: window 3, stride 0");
    REFUSED(op_batchnorm_maxpool(f->t, BLOCKED(4, 1, 16, 1, 4), &bn, true, 4, 2, 1),
            "maxpool: window 4");
    REFUSED(op_batchnorm_maxpool(f->t, BLOCKED(4, 1, 32, 4, 4), &bn, true, 3, 2, 1),
            "batchnorm: gamma has 16 channels, its input 32");
    REFUSED(op_batchnorm_maxpool(f->t, PLAIN(2, 4, 4), &bn, true, 3, 2, 1),
            "batchnorm: the operand is not");
    REFUSED(op_batchnorm_maxpool(f->t, NULL, &bn, true, 3, 2, 1),
            "batchnorm_maxpool: operand 0 is missing");
    REFUSED(op_meanpool(f->t, BLOCKED(4, 4, 16, 2, 2), 3), "4 images are not a multiple of 3");
    REFUSED(op_linear(f->t, PLAIN(1, 4), PLAIN(2, 4, 4), NULL), "linear: the operand is not");
    REFUSED(op_linear(f->t, PLAIN(2, 4, 4), PLAIN(2, 4, 4), PLAIN(1, 3)), "linear: ");
    REFUSED(op_layernorm(f->t, PLAIN(2, 4, 4), PLAIN(1, 3), PLAIN(1, 4), 1e-5f), "layernorm: the");
    REFUSED(op_layernorm(f->t, PLAIN(2, 4, 4), PLAIN(1, 4), NULL, 1e-5f), "operand 2 is missing");
    REFUSED(op_concat(f->t, 2, (struct tensor *[]){PLAIN(2, 4, 4), PLAIN(2, 3, 4)}),
            "concat: 4 and 3 rows");
    REFUSED(op_concat(f->t, 9, NULL), "concat: 9 operands");
    REFUSED(op_mix(f->t, PLAIN(2, 4, 4), PLAIN(2, 4, 4), PLAIN(2, 4, 3)), "mix: the operands");
    REFUSED(op_kl(f->t, PLAIN(2, 4, 4), PLAIN(2, 4, 3), KL_MODEL_REFERENCE), "kl: the reference");
    REFUSED(op_kl(f->t, PLAIN(3, 4, 4, 1), NULL, KL_MODEL_REFERENCE), "kl: the operand is not");
    REFUSED(op_bernoulli_kl(f->t, PLAIN(2, 4, 2), NULL, KL_MODEL_REFERENCE),
            "instead of one logit");
    REFUSED(op_bernoulli_nll(f->t, PLAIN(2, 4, 2), LABELS), "instead of one logit");
    REFUSED(op_gaussian_kl(f->t, PLAIN(2, 4, 3), NULL, KL_MODEL_REFERENCE),
            "3 values are no means");
    REFUSED(op_gaussian_nll(f->t, PLAIN(2, 4, 3), memory), "3 values are no means");
    REFUSED(op_weighted_sum(f->t, 1, (struct tensor *[]){PLAIN(1, 4)}, (double[]){1}),
            "term 0 is not a scalar");
    REFUSED(op_weighted_sum(f->t, 9, NULL, NULL), "weighted_sum: 9 terms");
    REFUSED(PLAIN(5, 1, 1, 1, 1, 1), "tensor of rank 5");
    REFUSED(PLAIN(2, 4, -1), "tensor of size -1");
#undef REFUSED
#undef BLOCKED
#undef PLAIN
#undef LEAF
    tape_begin(f->t, 0);
    ASSERT_FAILS(tape_backward(f->t, logits(f), &e), e, ERR_INTERNAL, "the loss is not a scalar");
    free(memory);
    free(grad);
}

static void test_nonfinite_loss_touches_nothing(void **state)
{
    struct fixture *f = *state;
    float before[CLASSES * D];
    struct err e = {0};

    f->dw[3] = 0.25f;
    memcpy(before, f->dw, sizeof before);
    f->x[5] = NAN;
    tape_begin(f->t, 0);
    ASSERT_FAILS(tape_backward(f->t, op_cross_entropy(f->t, logits(f), LABELS), &e), e,
                 ERR_NONFINITE, "nan");
    assert_memory_equal(f->dw, before, sizeof before);
}

/* A sample's dropout does not depend on where it stands in a batch, nor on its neighbours. */
static void test_dropout_follows_the_sample(void **state)
{
    struct fixture *f = *state;
    uint32_t rows[2][ROWS] = {{5, 6, 7, 8}, {8, 2, 5, 1}};
    struct tensor *y[2];
    float ones[ROWS * D];
    int dropped = 0;

    for (int i = 0; i < ROWS * D; i++)
        ones[i] = 1;
    tape_begin(f->t, TAPE_TRAIN);
    for (int i = 0; i < 2; i++) {
        struct noise_key key = {.seed = 3, .stream = rng_stream("d"), .epoch = 1, .row = rows[i]};

        y[i] = op_dropout(f->t, tape_constant(f->t, 2, XDIM, ones), 0.5f, &key);
    }
    assert_memory_equal(y[0]->data + 0 * D, y[1]->data + 2 * D, D * sizeof(float));
    assert_memory_equal(y[0]->data + 3 * D, y[1]->data + 0 * D, D * sizeof(float));
    for (int i = 0; i < ROWS * D; i++) {
        assert_true(y[0]->data[i] == 0 || y[0]->data[i] == 2);
        dropped += y[0]->data[i] == 0;
    }
    assert_in_range(dropped, 1, ROWS * D - 1);
    assert_true(tape_set_training(f->t, false));
    assert_ptr_equal(op_dropout(f->t, y[0], 0.5f, NULL), y[0]);
    assert_false(tape_set_training(f->t, true));
}

/* running = 0.9 running + 0.1 batch, unbiased variance; evaluation leaves them alone. */
static void test_running_statistics(void **state)
{
    struct fixture *f = *state;
    struct params *ps = NULL;
    struct batchnorm bn;
    float *plain = ref_random(3 * 16 * 4, 8);
    float *x = ref_blocked(plain, 3, 16, 4, nn_block(f->nn));
    int64_t dim[] = {3, 16, 2, 2}, one[] = {1, 16, 1, 1};
    struct err e = {0};

    ASSERT_OK(params_new(&ps, &e), e);
    ASSERT_OK(params_add(ps, &bn.gamma, "bn.weight", 1, (int64_t[]){16}, &e), e);
    ASSERT_OK(params_add(ps, &bn.beta, "bn.bias", 1, (int64_t[]){16}, &e), e);
    ASSERT_OK(params_buffer(ps, &bn.running_mean, "bn.running_mean", 16, 0.5f, &e), e);
    ASSERT_OK(params_buffer(ps, &bn.running_var, "bn.running_var", 16, 2, &e), e);
    ASSERT_OK(params_counter(ps, &bn.batches, "bn.num_batches_tracked", &e), e);
    ASSERT_OK(params_build(ps, &e), e);
    param_init_fill(bn.gamma, 1);
    for (int pass = 0; pass < 2; pass++) {
        tape_begin(f->t, pass == 0 ? TAPE_TRAIN : 0);
        (void)op_batchnorm(f->t, tape_leaf(f->t, 4, dim, TENSOR_BLOCKED, x, NULL), &bn, NULL,
                           false);
        ASSERT_OK(tape_error(f->t, &e), e);
        assert_int_equal(bn.batches->counter, 1);
        for (int c = 0; c < 16; c++) {
            double mean = 0, var = 0;

            for (int i = 0; i < 12; i++)
                mean += (double)plain[(i / 4 * 16 + c) * 4 + i % 4] / 12;
            for (int i = 0; i < 12; i++)
                var += pow((double)plain[(i / 4 * 16 + c) * 4 + i % 4] - mean, 2) / 11;
            assert_true(fabs((double)bn.running_mean->data[c] - (0.45 + 0.1 * mean)) < 1e-6);
            assert_true(fabs((double)bn.running_var->data[c] - (1.8 + 0.1 * var)) < 1e-6);
        }
    }
    tape_begin(f->t, TAPE_TRAIN);
    assert_null(
        op_batchnorm(f->t, tape_leaf(f->t, 4, one, TENSOR_BLOCKED, x, NULL), &bn, NULL, false));
    ASSERT_FAILS(tape_error(f->t, &e), e, ERR_USAGE, "bn.weight: batch norm of a single value");
    params_free(ps);
    free(plain);
    free(x);
}

/* Passes of one shape allocate in the first only; a smaller shape does not add to the memory. */
static void test_memory_is_reused(void **state)
{
    struct fixture *f = *state;
    int64_t big[] = {64, 20000}, small[] = {40, 20000};
    float *x = ref_random(64 * 20000, 1), *dx = ref_floats(64 * 20000);
    uint64_t seen = 0;
    size_t bytes = 0;
    struct err e = {0};

    for (int pass = 0; pass < 9; pass++) {
        const int64_t *dim = pass / 3 == 1 ? small : big;
        struct tensor *y;

        tape_begin(f->t, 0);
        y = tape_leaf(f->t, 2, dim, TENSOR_PLAIN, x, dx);
        for (int i = 0; i < 6; i++)
            y = op_scale(f->t, op_relu(f->t, y), 1.01f);
        ASSERT_OK(tape_backward(f->t, op_kl(f->t, y, NULL, KL_MODEL_REFERENCE), &e), e);
        if (pass % 3 == 0)
            seen = tape_allocations(f->t);
        assert_int_equal(tape_allocations(f->t), seen);
        if (pass == 0)
            bytes = tape_bytes(f->t);
        assert_true(tape_bytes(f->t) <= bytes);
    }
    assert_true(bytes < 20u * 64 * 20000 * sizeof(float)); /* gradients are reused on the way */
    free(x);
    free(dx);
}

/* Without recording, dropping makes a chain of n operations need two buffers. */
static void test_drop_saves_memory(void **state)
{
    struct fixture *f = *state;
    int64_t dim[] = {64, 1000};
    float *x = ref_random(64 * 1000, 1), *dx = ref_floats(64 * 1000);
    struct tensor *y, *last = NULL;
    struct err e = {0};

    tape_begin(f->t, 0);
    tape_no_grad_begin(f->t);
    y = tape_leaf(f->t, 2, dim, TENSOR_PLAIN, x, dx);
    for (int i = 0; i < 10; i++) {
        last = y;
        y = op_relu(f->t, y);
        tape_drop(f->t, last);
    }
    tape_no_grad_end(f->t);
    assert_in_range(tape_bytes(f->t), 2 * sizeof(float) * 64 * 1000, 3 * sizeof(float) * 64 * 1000);
    assert_null(op_relu(f->t, last));
    ASSERT_FAILS(tape_error(f->t, &e), e, ERR_INTERNAL, "relu: operand 0 is missing or was");
    tape_begin(f->t, 0); /* what backward will need is not dropped */
    last = op_relu(f->t, tape_leaf(f->t, 2, dim, TENSOR_PLAIN, x, dx));
    y = op_relu(f->t, last);
    tape_drop(f->t, last);
    assert_non_null(last->data);
    free(x);
    free(dx);
}

static void test_freelist(void **state)
{
    struct freelist list = {0};
    struct err e = {0};
    float *a, *b;

    (void)state;
    for (size_t n = 1; n < 100000; n += n / 3 + 1) {
        a = freelist_take(&list, n, &e);
        assert_non_null(a);
        assert_int_equal((uintptr_t)a % 64, 0);
        memset(a, 0xff, n * sizeof *a); /* the address sanitizer sees a size that is too small */
    }
    freelist_reset(&list);
    a = freelist_take(&list, 1000, &e);
    b = freelist_take(&list, 1000, &e);
    assert_ptr_not_equal(a, b);
    freelist_give(&list, a);
    assert_ptr_equal(freelist_take(&list, 1000, &e), a);
    assert_null(freelist_take(&list, SIZE_MAX / 8, &e));
    assert_int_equal(e.code, ERR_NOMEM);
    freelist_free(&list);
    freelist_free(&list);
}

/* Small buffers given back become one large one, at whichever end the last of them was. */
static void test_freelist_joins(void **state)
{
    struct freelist list = {0};
    struct err e = {0};
    float *part[4];
    size_t bytes;

    (void)state;
    assert_non_null(freelist_take(&list, 500000, &e)); /* one slab for all that follows */
    for (int last = 0; last < 4; last++) {
        freelist_reset(&list);
        for (int i = 0; i < 4; i++)
            part[i] = freelist_take(&list, 100000, &e);
        bytes = list.bytes;
        for (int i = 0; i < 4; i++)
            if (i != last)
                freelist_give(&list, part[i]);
        freelist_give(&list, part[last]);
        assert_int_equal(list.in_use, 0);
        assert_ptr_equal(freelist_take(&list, 400000, &e), part[0]);
        assert_int_equal(list.bytes, bytes);
    }
    freelist_free(&list);
}

enum { LIVE = 40, MOVES = 20000, FLOATS_MOST = 5000 };

/* Takes and gives at random: buffers keep what is in them, so none overlaps another. The same
 * again, after a reset, gets the same places. */
static void test_freelist_any_order(void **state)
{
    struct freelist list = {0};
    float *buffer[LIVE] = {0}, *last[2] = {0};
    size_t count[LIVE], bytes = 0;
    uint64_t allocations = 0;
    struct err e = {0};

    (void)state;
    for (int pass = 0; pass < 2; pass++) {
        struct rng r = rng_at(1, rng_stream("freelist"), 0, 0);

        freelist_reset(&list);
        memset(buffer, 0, sizeof buffer);
        for (int move = 0; move < MOVES; move++) {
            int i = (int)(rng_float(&r) * LIVE);

            if (buffer[i] != NULL) {
                for (size_t k = 0; k < count[i]; k++)
                    assert_true(buffer[i][k] == (float)i);
                freelist_give(&list, buffer[i]);
                buffer[i] = NULL;
                continue;
            }
            count[i] = 1 + (size_t)(rng_float(&r) * FLOATS_MOST);
            buffer[i] = freelist_take(&list, count[i], &e);
            assert_non_null(buffer[i]);
            for (size_t k = 0; k < count[i]; k++)
                buffer[i][k] = (float)i;
            last[pass] = buffer[i];
        }
        if (pass == 0) {
            bytes = list.bytes;
            allocations = list.allocations;
        }
    }
    assert_ptr_equal(last[0], last[1]);
    assert_int_equal(list.bytes, bytes);
    assert_int_equal(list.allocations, allocations);
    assert_true(list.peak <= list.bytes);
    freelist_free(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_gradients_are_added, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gradients_are_overwritten, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keep_allows_several_backwards, setup, teardown),
        cmocka_unit_test_setup_teardown(test_second_backward_needs_keep, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blocked_activations_are_released, setup, teardown),
        cmocka_unit_test_setup_teardown(test_detach_and_no_grad_stop_gradients, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kl_reference_is_constant, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors_stick, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shapes_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nonfinite_loss_touches_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dropout_follows_the_sample, setup, teardown),
        cmocka_unit_test_setup_teardown(test_running_statistics, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_is_reused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drop_saves_memory, setup, teardown),
        cmocka_unit_test(test_freelist),
        cmocka_unit_test(test_freelist_joins),
        cmocka_unit_test(test_freelist_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
