/* SPDX-License-Identifier: MIT */
#include "common/nn/ops.h"
#include "tests/support/check.h"
#include "tests/support/kernel_ref.h"
#include "train/models/resnet.h"

#include <stdlib.h>
#include <string.h>

/* What a pass keeps for backward, and that what it does not keep comes back with the same bits. */

enum { IMAGES = 2, CHANNELS = 16, SIDE = 5, PIXELS = SIDE * SIDE, WEIGHTS = CHANNELS * CHANNELS };

/* conv - batch norm, ReLU - conv, twice used, as in a residual block. */
struct small_net {
    struct nn *nn;
    struct tape *t;
    struct params *ps;
    struct batchnorm bn;
    struct param *w[3];
    float *x, *dx;
    struct tensor *conv, *hidden;
};

static struct small_net net_new(void)
{
    struct small_net s = {0};
    struct err e = {0};
    int64_t dim[] = {CHANNELS, CHANNELS, 1, 1};

    s.nn = ref_nn(2);
    ASSERT_OK(tape_new(&s.t, s.nn, &e), e);
    ASSERT_OK(params_new(&s.ps, &e), e);
    ASSERT_OK(params_add(s.ps, &s.w[0], "a", 4, dim, &e), e);
    ASSERT_OK(params_add(s.ps, &s.w[1], "b", 4, dim, &e), e);
    ASSERT_OK(params_add(s.ps, &s.w[2], "c", 4, dim, &e), e);
    ASSERT_OK(params_add(s.ps, &s.bn.gamma, "bn.weight", 1, dim, &e), e);
    ASSERT_OK(params_add(s.ps, &s.bn.beta, "bn.bias", 1, dim, &e), e);
    ASSERT_OK(params_buffer(s.ps, &s.bn.running_mean, "bn.running_mean", CHANNELS, 0, &e), e);
    ASSERT_OK(params_buffer(s.ps, &s.bn.running_var, "bn.running_var", CHANNELS, 1, &e), e);
    ASSERT_OK(params_counter(s.ps, &s.bn.batches, "bn.num_batches_tracked", &e), e);
    ASSERT_OK(params_build(s.ps, &e), e);
    for (int i = 0; i < 3; i++)
        param_init_normal(s.w[i], 1, 0, 0.3);
    param_init_normal(s.bn.gamma, 1, 1, 0.5);
    param_init_normal(s.bn.beta, 1, 0, 0.5);
    s.x = ref_random(IMAGES * CHANNELS * PIXELS, 3);
    s.dx = ref_floats(IMAGES * CHANNELS * PIXELS);
    return s;
}

static void net_free(struct small_net *s)
{
    params_free(s->ps);
    tape_free(s->t);
    nn_free(s->nn);
    free(s->x);
    free(s->dx);
}

/* The loss; hidden is read by two convolutions. */
static struct tensor *net_loss(struct small_net *s, bool drop)
{
    static const int32_t label[IMAGES] = {3, 14};
    int64_t dim[] = {IMAGES, CHANNELS, SIDE, SIDE};
    struct tape *t = s->t;
    struct tensor *x = op_detach(t, tape_leaf(t, 4, dim, TENSOR_BLOCKED, s->x, NULL));
    struct tensor *one, *two;

    s->conv = op_conv2d(t, x, tape_param(t, s->w[0]), 1, 0);
    s->hidden = op_batchnorm(t, s->conv, &s->bn, NULL, true);
    if (drop)
        tape_drop(t, s->conv);
    one = op_conv2d(t, s->hidden, tape_param(t, s->w[1]), 1, 0);
    two = op_conv2d(t, s->hidden, tape_param(t, s->w[2]), 1, 0);
    if (drop)
        tape_drop(t, s->hidden);
    return op_cross_entropy(t, op_add(t, op_meanpool(t, one, 1), op_meanpool(t, two, 1)), label);
}

/* In training and evaluation, once or several times: gradients of a pass that dropped nothing. */
static void test_dropped_is_made_again(void **state)
{
    struct small_net s = net_new();
    size_t bytes = params_block_count(s.ps) * sizeof(float);
    float *want = malloc(bytes);
    struct err e = {0};

    (void)state;
    assert_non_null(want);
    for (unsigned flags = 0; flags <= (TAPE_TRAIN | TAPE_KEEP); flags++) {
        for (int drop = 0; drop < 2; drop++) {
            struct tensor *loss;

            tape_begin(s.t, flags);
            loss = net_loss(&s, drop != 0);
            assert_true((s.hidden->data == NULL) == (drop != 0));
            assert_non_null(s.conv->data); /* batch norm's backward reads it */
            for (int again = 0; again < ((flags & TAPE_KEEP) != 0 ? 3 : 1); again++) {
                params_zero_grad(s.ps);
                ASSERT_OK(tape_backward(s.t, loss, &e), e);
                if (drop == 0)
                    memcpy(want, params_grad_block(s.ps), bytes);
                assert_memory_equal(params_grad_block(s.ps), want, bytes);
                if (drop != 0)
                    assert_null(s.hidden->data);
            }
        }
    }
    free(want);
    net_free(&s);
}

/* What was computed unrecorded has nobody to make it again, and stays while a weight needs it. */
static void test_dropped_without_maker(void **state)
{
    struct small_net s = net_new();
    int64_t dim[] = {IMAGES, CHANNELS, SIDE, SIDE};
    static const int32_t label[IMAGES] = {3, 14};
    struct tensor *x, *h, *y;
    struct err e = {0};

    (void)state;
    for (int frozen = 0; frozen < 2; frozen++) {
        tape_begin(s.t, TAPE_TRAIN);
        tape_no_grad_begin(s.t);
        x = tape_leaf(s.t, 4, dim, TENSOR_BLOCKED, s.x, NULL);
        h = op_batchnorm(s.t, x, &s.bn, NULL, true);
        tape_no_grad_end(s.t);
        s.w[1]->frozen = frozen != 0;
        y = op_conv2d(s.t, h, tape_param(s.t, s.w[1]), 1, 0);
        tape_drop(s.t, h);
        assert_true((h->data == NULL) == (frozen != 0));
        if (frozen)
            continue;
        ASSERT_OK(tape_backward(s.t, op_cross_entropy(s.t, op_meanpool(s.t, y, 1), label), &e), e);
    }
    ASSERT_OK(tape_error(s.t, &e), e);
    net_free(&s);
}

/* conv - batch norm, ReLU, max pool; together or apart. */
static struct tensor *pooled_loss(struct small_net *s, bool together)
{
    static const int32_t label[IMAGES] = {3, 14};
    int64_t dim[] = {IMAGES, CHANNELS, SIDE, SIDE};
    struct tape *t = s->t;
    struct tensor *x = tape_leaf(t, 4, dim, TENSOR_BLOCKED, s->x, s->dx);
    struct tensor *y;

    s->conv = op_conv2d(t, x, tape_param(t, s->w[0]), 1, 0);
    if (together)
        s->hidden = op_batchnorm_maxpool(t, s->conv, &s->bn, true, 3, 2, 1);
    else
        s->hidden = op_maxpool(t, op_batchnorm(t, s->conv, &s->bn, NULL, true), 3, 2, 1);
    y = op_conv2d(t, s->hidden, tape_param(t, s->w[1]), 1, 0);
    return op_cross_entropy(t, op_meanpool(t, y, 1), label);
}

/* The gradients of all weights and of the input, and the running statistics, of one pass over
 * pooled_loss; frozen: bit 0 gamma, 1 beta, 2 the convolution before them. */
static float *pooled_pass(struct small_net *s, unsigned flags, unsigned frozen, bool together)
{
    size_t weights = params_block_count(s->ps), inputs = IMAGES * CHANNELS * PIXELS;
    float *got = malloc((weights + inputs + 2 * CHANNELS) * sizeof *got);
    struct err e = {0};

    assert_non_null(got);
    for (int c = 0; c < CHANNELS; c++) {
        s->bn.running_mean->data[c] = 0.1f * (float)c;
        s->bn.running_var->data[c] = 1 + 0.1f * (float)c;
    }
    s->bn.gamma->frozen = (frozen & 1) != 0;
    s->bn.beta->frozen = (frozen & 2) != 0;
    s->w[0]->frozen = (frozen & 4) != 0;
    params_zero_grad(s->ps);
    memset(s->dx, 0, inputs * sizeof *s->dx);
    tape_begin(s->t, flags);
    ASSERT_OK(tape_backward(s->t, pooled_loss(s, together), &e), e);
    memcpy(got, params_grad_block(s->ps), weights * sizeof *got);
    memcpy(got + weights, s->dx, inputs * sizeof *got);
    memcpy(got + weights + inputs, s->bn.running_mean->data, CHANNELS * sizeof *got);
    memcpy(got + weights + inputs + CHANNELS, s->bn.running_var->data, CHANNELS * sizeof *got);
    return got;
}

static void test_together_as_apart(void **state)
{
    struct small_net s = net_new();
    size_t count = params_block_count(s.ps) + IMAGES * CHANNELS * PIXELS + 2 * CHANNELS;

    (void)state;
    for (unsigned flags = 0; flags <= (TAPE_TRAIN | TAPE_KEEP); flags++) {
        for (unsigned frozen = 0; frozen < 8; frozen++) {
            float *want = pooled_pass(&s, flags, frozen, false);
            float *got = pooled_pass(&s, flags, frozen, true);

            assert_memory_equal(got, want, count * sizeof *got);
            free(want);
            free(got);
        }
    }
    net_free(&s);
}

enum { WIDTH = 16, PICTURE = 64, BATCH = 8 };

/* Floats that backward of the network needs at hand at once: of each convolution its output, of
 * each block its result, of the pooling its result and a byte for each. */
static size_t kept_floats(void)
{
    size_t stage = (size_t)BATCH * WIDTH * (PICTURE / 4) * (PICTURE / 4);
    size_t kept = 4 * stage + stage + stage / 4;

    for (int s = 0; s < RESNET_STAGES; s++, stage /= 2)
        kept += (size_t)RESNET_BLOCKS * 3 * stage + (s > 0 ? stage : 0);
    return kept;
}

/* The stem's result and those of the first batch norm of each block would be 23 % and 21 % more. */
static void test_network_keeps_what_it_needs(void **state)
{
    struct resnet_options opt = {.channels = 3, .width = WIDTH};
    static const int32_t label[BATCH] = {0, 5, 2, 90, 3, 4, 7, 8};
    float *x = ref_random(BATCH * 3 * PICTURE * PICTURE, 1);
    size_t kept = kept_floats() * sizeof(float);
    uint64_t allocations = 0;
    struct params *ps = NULL;
    struct nn *nn = ref_nn(2);
    struct tape *t = NULL;
    struct resnet net;
    struct err e = {0};

    (void)state;
    ASSERT_OK(tape_new(&t, nn, &e), e);
    ASSERT_OK(params_new(&ps, &e), e);
    ASSERT_OK(resnet_declare(&net, &opt, ps, "v", &e), e);
    ASSERT_OK(params_build(ps, &e), e);
    resnet_init(&net, 1);
    for (int step = 0; step < 4; step++) {
        int64_t dim[] = {BATCH - step % 2, 3, PICTURE, PICTURE}; /* the last batch is smaller */
        struct tensor *y;

        tape_begin(t, TAPE_TRAIN);
        y = resnet_forward(&net, t, tape_constant(t, 4, dim, x), 1);
        ASSERT_OK(tape_backward(t, op_cross_entropy(t, y, label), &e), e);
        if (step == 0)
            allocations = tape_allocations(t);
        assert_int_equal(tape_allocations(t), allocations);
        assert_in_range(tape_bytes(t), kept, kept + kept / 12);
    }
    params_free(ps);
    tape_free(t);
    nn_free(nn);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dropped_is_made_again),
        cmocka_unit_test(test_dropped_without_maker),
        cmocka_unit_test(test_together_as_apart),
        cmocka_unit_test(test_network_keeps_what_it_needs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
