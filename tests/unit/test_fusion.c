/* SPDX-License-Identifier: MIT */
#include "tests/support/check.h"
#include "tests/support/kernel_ref.h"
#include "tests/support/op_check.h"
#include "train/models/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Prediction from all modalities by one layer or a sum of heads, against double; and what
 * model_fuse_towards takes for constant, in every kind of fusion. */

enum { BATCH = 5, WIDTH = 6, OUTPUTS = 3, MODALITIES = 3 };

/* The model of a test; op_check's callbacks need it. */
static struct params *ps;
static struct model *model;

static void open_model(struct nn **nn, enum fusion_kind fuse)
{
    struct model_options o = {
        .modalities = MODALITIES,
        .fusion = true,
        .fuse = fuse,
        .encoder = {1, WIDTH},
        .trunk = {1, 4},
        .outputs = OUTPUTS,
    };
    struct err e = {0};

    for (int m = 0; m < MODALITIES; m++) {
        o.modality[m] = (struct modality){.use = true, .encoder = ENCODER_MLP, .inputs = 2};
        snprintf(o.modality[m].name, MODALITY_NAME_SIZE, "x%d", m + 1);
    }
    *nn = ref_nn(1);
    ASSERT_OK(params_new(&ps, &e), e);
    ASSERT_OK(model_new(&model, &o, ps, &e), e);
    ASSERT_OK(params_build(ps, &e), e);
    model_init(model, 3);
    for (int k = 0; k < OUTPUTS && fuse == FUSION_LINEAR; k++) /* starts at 0 */
        params_find(ps, "fusion.bias")->data[k] = 0.5f + (float)k;
}

static void close_model(struct nn *nn)
{
    model_free(model);
    params_free(ps);
    nn_free(nn);
}

/* arg[0]: enum fusion_kind. */
static struct tensor *build_fuse(struct tape *t, struct tensor *const *in, const struct op_case *c)
{
    struct tensor *const z[MODALITIES_MAX] = {in[0], in[1], in[2]};

    (void)c;
    return model_fuse(model, t, z, NULL).prediction;
}

static void add_layer(const char *weight, const char *bias, const double *z, double *out)
{
    const struct param *w = params_find(ps, weight), *b = params_find(ps, bias);

    for (int i = 0; i < BATCH * OUTPUTS; i++) {
        out[i] += b != NULL ? (double)b->data[i % OUTPUTS] : 0;
        for (int d = 0; d < WIDTH; d++)
            out[i] += (double)w->data[i % OUTPUTS * WIDTH + d] * z[i / OUTPUTS * WIDTH + d];
    }
}

static void ref_fuse(const struct op_case *c, double *const *in, double *out)
{
    char weight[64], bias[64];

    memset(out, 0, BATCH * OUTPUTS * sizeof *out);
    for (int m = 0; m < MODALITIES; m++) {
        if (c->arg[0] == FUSION_SUM) {
            snprintf(weight, sizeof weight, "x%d.head.weight", m + 1);
            snprintf(bias, sizeof bias, "x%d.head.bias", m + 1);
        } else {
            snprintf(weight, sizeof weight, "fusion.x%d.weight", m + 1);
            snprintf(bias, sizeof bias, "%s", m == 1 ? "fusion.bias" : "none"); /* once */
        }
        add_layer(weight, bias, in[m], out);
    }
}

#define Z MATRIX(BATCH, WIDTH)
#define FUSE(name, kind)                                                                           \
    {                                                                                              \
        name, MODALITIES, {Z, Z, Z}, MATRIX(BATCH, OUTPUTS), TAPE_TRAIN, {kind}, 1e-6, TABLE(fuse) \
    }

static const struct op_case CASES[] = {
    FUSE("linear fusion", FUSION_LINEAR),
    FUSE("sum of heads", FUSION_SUM),
};

static void test_fuse(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct nn *nn;

        open_model(&nn, (enum fusion_kind)CASES[i].arg[0]);
        op_check(nn, &CASES[i]);
        close_model(nn);
    }
}

/* ---- towards one modality ---- */

struct pass {
    float value[BATCH * OUTPUTS];
    float *dz[MODALITIES]; /* [BATCH * WIDTH] */
    float *grad;           /* [params_block_count] */
};

/* towards < 0: model_fuse. */
static void run_pass(struct nn *nn, int towards, struct pass *p)
{
    struct tensor *z[MODALITIES_MAX] = {0}, *y;
    float *x[MODALITIES], *probe = ref_random(BATCH * OUTPUTS, 77);
    size_t bytes = params_block_count(ps) * sizeof(float);
    struct tape *t = NULL;
    struct err e = {0};

    ASSERT_OK(tape_new(&t, nn, &e), e);
    tape_begin(t, TAPE_TRAIN);
    for (int m = 0; m < MODALITIES; m++) {
        x[m] = ref_random(BATCH * WIDTH, (uint64_t)m + 1);
        p->dz[m] = ref_floats(BATCH * WIDTH);
        z[m] = tape_leaf(t, 2, (int64_t[]){BATCH, WIDTH}, TENSOR_PLAIN, x[m], p->dz[m]);
    }
    y = towards < 0 ? model_fuse(model, t, z, NULL).prediction
                    : model_fuse_towards(model, t, towards, z, NULL);
    assert_non_null(y);
    memcpy(p->value, y->data, sizeof p->value);
    params_zero_grad(ps);
    ASSERT_OK(tape_backward(t, op_dot(t, y, probe), &e), e);
    p->grad = malloc(bytes);
    assert_non_null(p->grad);
    memcpy(p->grad, params_grad_block(ps), bytes);
    for (int m = 0; m < MODALITIES; m++)
        free(x[m]);
    free(probe);
    tape_free(t);
}

static void free_pass(struct pass *p)
{
    for (int m = 0; m < MODALITIES; m++)
        free(p->dz[m]);
    free(p->grad);
}

static bool all_zero(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (x[i] != 0)
            return false;
    return true;
}

/* Weights that learn from model_fuse_towards: `which`'s own, the bias with the first modality, and
 * a trunk, which is no modality's. */
static bool learns(const char *name, enum fusion_kind fuse, int which)
{
    char own[64], head[64];

    snprintf(own, sizeof own, "fusion.x%d.weight", which + 1);
    snprintf(head, sizeof head, "x%d.head.", which + 1);
    switch (fuse) {
    case FUSION_TRUNK: return strncmp(name, "fusion.", 7) == 0;
    case FUSION_SUM: return strncmp(name, head, strlen(head)) == 0;
    case FUSION_LINEAR: break;
    }
    return strcmp(name, own) == 0 || (which == 0 && strcmp(name, "fusion.bias") == 0);
}

/* The same value to the bit, the same gradients of what is not constant, zeros for the rest. */
static void test_towards(void **state)
{
    (void)state;
    for (int i = 0; i < 3 * MODALITIES; i++) {
        enum fusion_kind fuse = (enum fusion_kind)(i / MODALITIES);
        int which = i % MODALITIES, learning = 0;
        struct pass all = {0}, one = {0};
        struct nn *nn;

        open_model(&nn, fuse);
        run_pass(nn, -1, &all);
        run_pass(nn, which, &one);
        assert_memory_equal(all.value, one.value, sizeof all.value);
        for (int m = 0; m < MODALITIES; m++) {
            assert_false(all_zero(all.dz[m], BATCH * WIDTH));
            if (m == which)
                assert_memory_equal(all.dz[m], one.dz[m], BATCH * WIDTH * sizeof(float));
            else
                assert_true(all_zero(one.dz[m], BATCH * WIDTH));
        }
        for (int k = 0; k < params_count(ps); k++) {
            const struct param *p = params_at(ps, k);
            const float *got = one.grad + p->offset;

            if (!learns(p->name, fuse, which)) {
                assert_true(all_zero(got, (size_t)p->count));
                continue;
            }
            learning++;
            assert_false(all_zero(got, (size_t)p->count));
            assert_memory_equal(got, all.grad + p->offset, (size_t)p->count * sizeof *got);
        }
        assert_int_equal(learning, fuse == FUSION_TRUNK               ? 4
                                   : fuse == FUSION_SUM || which == 0 ? 2
                                                                      : 1);
        free_pass(&all);
        free_pass(&one);
        close_model(nn);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fuse),
        cmocka_unit_test(test_towards),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
