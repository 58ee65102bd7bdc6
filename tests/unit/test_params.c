/* SPDX-License-Identifier: MIT */
#include "common/nn/optim.h"
#include "tests/support/check.h"
#include "tests/support/kernel_ref.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Parameters, Adam over them, learning-rate schedules. */

struct fixture {
    struct params *ps;
    struct param *a, *b, *c, *mean, *batches;
};

static struct params *make(struct fixture *f, const char *prefix, int64_t rows)
{
    struct params *ps = NULL;
    char name[64];
    struct err e = {0};

    ASSERT_OK(params_new(&ps, &e), e);
    snprintf(name, sizeof name, "%s.a.weight", prefix);
    ASSERT_OK(params_add(ps, &f->a, name, 2, (int64_t[]){rows, 7}, &e), e);
    snprintf(name, sizeof name, "%s.bn.running_mean", prefix);
    ASSERT_OK(params_buffer(ps, &f->mean, name, 5, 0.5f, &e), e);
    snprintf(name, sizeof name, "%s.bn.num_batches_tracked", prefix);
    ASSERT_OK(params_counter(ps, &f->batches, name, &e), e);
    snprintf(name, sizeof name, "%s.b.bias", prefix);
    ASSERT_OK(params_add(ps, &f->b, name, 1, (int64_t[]){3}, &e), e);
    snprintf(name, sizeof name, "%s.c.weight", prefix);
    ASSERT_OK(params_add(ps, &f->c, name, 1, (int64_t[]){33}, &e), e);
    ASSERT_OK(params_build(ps, &e), e);
    return ps;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->ps = make(f, "net", 3);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    params_free(f->ps);
    free(f);
    return 0;
}

static void test_declaration_and_lookup(void **state)
{
    struct fixture *f = *state;
    struct param *p = NULL;
    struct params *ps = NULL;
    struct err e = {0};
    char long_name[PARAM_NAME_SIZE + 1];

    assert_int_equal(params_count(f->ps), 5);
    assert_ptr_equal(params_at(f->ps, 3), f->b);
    assert_ptr_equal(params_find(f->ps, "net.c.weight"), f->c);
    assert_null(params_find(f->ps, "net.c"));
    assert_int_equal(params_weight_count(f->ps, ""), 21 + 3 + 33);
    assert_int_equal(params_weight_count(f->ps, "net.c"), 33);
    assert_int_equal(params_block_count(f->ps), 32 + 16 + 48);
    assert_int_equal((uintptr_t)f->b->data % 64, 0);
    assert_int_equal((uintptr_t)f->c->grad % 64, 0);
    assert_true(f->mean->data[4] == 0.5f);
    assert_null(f->mean->grad);
    ASSERT_FAILS(params_counter(f->ps, &p, "late", &e), e, ERR_INTERNAL, "after params_build");
    ASSERT_FAILS(params_build(f->ps, &e), e, ERR_INTERNAL, "twice");
    ASSERT_OK(params_new(&ps, &e), e);
    ASSERT_OK(params_counter(ps, &p, "x", &e), e);
    ASSERT_FAILS(params_buffer(ps, &p, "x", 3, 0, &e), e, ERR_INTERNAL, "x: declared twice");
    ASSERT_FAILS(params_buffer(ps, &p, "y", 0, 0, &e), e, ERR_INTERNAL, "impossible size 0");
    memset(long_name, 'n', PARAM_NAME_SIZE);
    long_name[PARAM_NAME_SIZE] = '\0';
    ASSERT_FAILS(params_counter(ps, &p, long_name, &e), e, ERR_INTERNAL, "name too long");
    params_free(ps);
}

static void test_initial_values_follow_name_and_seed(void **state)
{
    struct fixture *f = *state;
    struct fixture other;
    struct params *ps = make(&other, "net", 9); /* another shape of one must not move the rest */
    double sum = 0, squares = 0;
    struct params *wide = NULL;
    struct param *w = NULL;
    struct err e = {0};

    param_init_normal(f->c, 5, 0, 1);
    param_init_normal(other.c, 5, 0, 1);
    assert_memory_equal(f->c->data, other.c->data, 33 * sizeof(float));
    param_init_normal(other.c, 6, 0, 1);
    assert_memory_not_equal(f->c->data, other.c->data, 33 * sizeof(float));
    params_free(ps);

    ASSERT_OK(params_new(&wide, &e), e);
    ASSERT_OK(params_add(wide, &w, "w", 1, (int64_t[]){20000}, &e), e);
    ASSERT_OK(params_build(wide, &e), e);
    param_init_normal(w, 1, 2, 0.5);
    for (int i = 0; i < 20000; i++) {
        sum += (double)w->data[i];
        squares += pow((double)w->data[i] - 2, 2);
    }
    assert_true(fabs(sum / 20000 - 2) < 4 * 0.5 / sqrt(20000));
    assert_true(fabs(squares / 20000 - 0.25) < 4 * 0.25 * sqrt(2.0 / 20000));
    assert_memory_not_equal(w->data, w->data + 4096, 4096 * sizeof(float));
    param_init_uniform(w, 1, -3, -1);
    for (int i = 0; i < 20000; i++)
        assert_true(w->data[i] >= -3 && w->data[i] <= -1);
    params_free(wide);
}

static void test_snapshot(void **state)
{
    struct fixture *f = *state;
    struct param_snapshot *s = NULL;
    float a[21];
    struct err e = {0};

    param_init_normal(f->a, 1, 0, 1);
    memcpy(a, f->a->data, sizeof a);
    f->batches->counter = 12;
    f->mean->data[2] = 7;
    f->a->m[3] = 4;
    f->a->steps = 3;
    ASSERT_OK(params_snapshot(f->ps, &s, &e), e);
    f->a->data[0] = f->a->m[3] = f->mean->data[2] = 99;
    f->batches->counter = f->a->steps = 99;
    params_restore(f->ps, s);
    assert_memory_equal(f->a->data, a, sizeof a);
    assert_true(f->a->m[3] == 4 && f->mean->data[2] == 7);
    assert_int_equal(f->batches->counter, 12);
    assert_int_equal(f->a->steps, 3);
    f->c->data[1] = 5;
    ASSERT_OK(params_snapshot(f->ps, &s, &e), e);
    f->c->data[1] = 6;
    params_restore(f->ps, s);
    assert_true(f->c->data[1] == 5);
    params_snapshot_free(s);
}

static void test_nonfinite_is_named(void **state)
{
    struct fixture *f = *state;
    struct nn *nn = ref_nn(2);
    struct err e = {0};

    ASSERT_OK(params_check_gradients(f->ps, nn, &e), e);
    ASSERT_OK(params_check_values(f->ps, nn, &e), e);
    f->c->grad[32] = -INFINITY;
    ASSERT_FAILS(params_check_gradients(f->ps, nn, &e), e, ERR_NONFINITE,
                 "net.c.weight: a gradient is not finite");
    f->a->grad[0] = NAN;
    ASSERT_FAILS(params_check_gradients(f->ps, nn, &e), e, ERR_NONFINITE, "net.a.weight: a grad");
    params_zero_grad(f->ps);
    f->mean->data[1] = NAN;
    ASSERT_FAILS(params_check_values(f->ps, nn, &e), e, ERR_NONFINITE,
                 "net.bn.running_mean: a value");
    nn_free(nn);
}

/* The first step of a weight that was frozen so far has length lr, as every first step of Adam's:
 * its moments are corrected by the steps that it took, not by those of others. */
static void test_thawed(struct optim *o, struct nn *nn, struct fixture *f)
{
    struct err e = {0};
    float before[3];

    params_freeze(f->ps, "net.b", false);
    memcpy(before, f->b->data, sizeof before);
    for (int i = 0; i < 3; i++)
        f->b->grad[i] = 5;
    assert_int_equal(f->b->steps, 0);
    ASSERT_OK(optim_step(o, nn, f->ps, 0.01, &e), e);
    assert_int_equal(f->b->steps, 1);
    assert_int_equal(f->a->steps, 6);
    for (int i = 0; i < 3; i++)
        assert_true(fabs((double)before[i] - (double)f->b->data[i] - 0.01) < 1e-6);
}

/* torch.optim.Adam in double, five steps; frozen weights and the gaps between tensors stay. */
static void test_adam(void **state)
{
    struct fixture *f = *state;
    struct optim o = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-7, .weight_decay = 0.1};
    struct param *trained[] = {f->a, f->c};
    double w[2][33], m[2][33] = {{0}}, v[2][33] = {{0}};
    struct nn *nn = ref_nn(2);
    struct err e = {0};

    for (int i = 0; i < params_count(f->ps); i++) {
        if (params_at(f->ps, i)->kind == PARAM_WEIGHT)
            param_init_normal(params_at(f->ps, i), 2, 0, 1);
    }
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < trained[k]->count; i++)
            w[k][i] = (double)trained[k]->data[i];
    }
    params_freeze(f->ps, "net.b", true);
    for (int step = 1; step <= 5; step++) {
        float before[3];

        memcpy(before, f->b->data, sizeof before);
        f->b->grad[0] = 1;
        for (int k = 0; k < 2; k++) {
            for (int64_t i = 0; i < trained[k]->count; i++) {
                double g = sin((double)(i + 10 * step + k));

                trained[k]->grad[i] = (float)g;
                g += 0.1 * w[k][i];
                m[k][i] = 0.9 * m[k][i] + 0.1 * g;
                v[k][i] = 0.999 * v[k][i] + 0.001 * g * g;
                w[k][i] -= 0.01 / (1 - pow(0.9, step)) * m[k][i] /
                           (sqrt(v[k][i]) / sqrt(1 - pow(0.999, step)) + 1e-7);
            }
        }
        ASSERT_OK(optim_step(&o, nn, f->ps, 0.01, &e), e);
        assert_memory_equal(before, f->b->data, sizeof before);
    }
    assert_int_equal(o.step, 5);
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < trained[k]->count; i++)
            assert_true(fabs((double)trained[k]->data[i] - w[k][i]) < 1e-6);
    }
    test_thawed(&o, nn, f);
    for (int64_t i = f->a->count; i < 32; i++)
        assert_true(f->a->data[i] == 0 && f->a->m[i] == 0 && f->a->v[i] == 0);
    o.eps = 0;
    ASSERT_FAILS(optim_step(&o, nn, f->ps, 0.01, &e), e, ERR_USAGE, "eps 0");
    o.eps = 1e-7;
    ASSERT_FAILS(optim_step(&o, nn, f->ps, NAN, &e), e, ERR_USAGE, "lr nan");
    o.beta2 = 1;
    ASSERT_FAILS(optim_step(&o, nn, f->ps, 0.01, &e), e, ERR_USAGE, "betas");
    assert_int_equal(o.step, 6);
    nn_free(nn);
}

/* A weight with a learning rate of its own keeps to it whatever the schedule says, beside others of
 * the schedule's rate, of its own rate, and frozen ones. With one gradient throughout each of
 * Adam's steps has length lr. */
static void test_learning_rate_per_weight(void **state)
{
    static const struct {
        double lr[3]; /* of a, b and c; 0: the schedule's */
        int frozen;   /* one of them, -1: none */
    } CASES[] = {
        {{0, 0, 0}, -1},       {{0.3, 0, 0}, -1}, {{0, 0.3, 0}, -1},    {{0, 0, 0.3}, -1},
        {{0.3, 0.3, 0.3}, -1}, {{0.3, 0, 7}, -1}, {{0.3, 0.3, 0}, -1},  {{0, 0.3, 0.3}, -1},
        {{0.3, 0, 0.3}, 1},    {{0.3, 0, 0}, 0},  {{0, 0.3, 0.01}, -1}, {{0, 0, 0.3}, 2},
    };
    struct nn *nn = ref_nn(1);

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct optim o = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-12};
        struct fixture f;
        struct params *ps = make(&f, "net", 3);
        struct param *p[] = {f.a, f.b, f.c};
        struct err e = {0};

        for (int k = 0; k < 3; k++) {
            assert_true(p[k]->lr == 0); /* unless asked for */
            p[k]->lr = CASES[i].lr[k];
            p[k]->frozen = k == CASES[i].frozen;
            for (int64_t j = 0; j < p[k]->count; j++)
                p[k]->grad[j] = j % 2 == 0 ? 0.5f : -2;
        }
        for (int step = 1; step <= 2; step++)
            ASSERT_OK(optim_step(&o, nn, ps, 0.02 * step, &e), e);
        for (int k = 0; k < 3; k++) {
            double lr = CASES[i].lr[k] > 0 ? 2 * CASES[i].lr[k] : 0.02 + 0.04;

            for (int64_t j = 0; j < p[k]->count; j++)
                assert_float_equal(p[k]->data[j],
                                   k == CASES[i].frozen ? 0
                                   : j % 2 == 0         ? -lr
                                                        : lr,
                                   1e-5 * lr);
        }
        params_free(ps);
    }
    nn_free(nn);
}

/* The check values of R section 5. */
static void test_schedules(void **state)
{
    static const struct {
        int64_t n;
        double lr, tolerance;
    } CHECKS[] = {
        {0, 1, 0},
        {1, 1, 0},
        {779, 1, 0},
        {780, 0.45099143, 5e-9},
        {900, 0.12952444, 5e-9},
        {1019, 9.41e-6, 5e-9},
        {1020, 1, 0},
        {1500, 0.54900857, 5e-9},
        {2044, 1, 0},
        {4092, 1, 0},
        {8188, 1, 0},
        {16380, 1, 0},
        {32764, 1, 0},
    };
    struct lr_schedule s = {.kind = LR_RESTARTS, .base = 1, .warm_steps = 780, .t0 = 4};
    struct lr_schedule half = s,
                       ramp = {.kind = LR_CONSTANT, .base = 0.5, .warm_steps = 4, .ramp = true};

    (void)state;
    half.base = 0.5;
    for (size_t i = 0; i < sizeof CHECKS / sizeof CHECKS[0]; i++) {
        assert_true(fabs(lr_after(&s, CHECKS[i].n) - CHECKS[i].lr) <= CHECKS[i].tolerance);
        assert_true(lr_after(&half, CHECKS[i].n) == lr_after(&s, CHECKS[i].n) / 2);
    }
    assert_true(lr_after(&ramp, 0) == 0.125);
    assert_true(lr_after(&ramp, 3) == 0.5);
    assert_true(lr_after(&ramp, 1000) == 0.5);
    s.ramp = true;
    assert_true(lr_after(&s, 389) == 0.5);
    assert_true(lr_after(&s, 1020) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_declaration_and_lookup, setup, teardown),
        cmocka_unit_test_setup_teardown(test_initial_values_follow_name_and_seed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_snapshot, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nonfinite_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_adam, setup, teardown),
        cmocka_unit_test(test_learning_rate_per_weight),
        cmocka_unit_test(test_schedules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
