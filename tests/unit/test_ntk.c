/* SPDX-License-Identifier: MIT */
#include "common/data/xor.h"
#include "tests/support/check.h"
#include "tests/support/step_rig.h"
#include "train/ntk.h"
#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The tangent kernel by source against its definition in double: every sample's prediction
 * differentiated by every weight, one at a time (X section 5). */

enum { N = 24, SOURCES = PID_SOURCES, RAW_MAX = 32, OUTPUTS_MAX = 4 };

/* ---- by hand ---- */

struct by_hand {
    double *v[SOURCES];      /* v_g, over all weights of the model in order */
    double squares[SOURCES]; /* sum over rows of r^2 */
    double loss[SOURCES];
    int rows[SOURCES];
};

/* g [P]: the fused prediction of sample i. */
static void fused_by_hand(const struct step_rig *r, int64_t i, double *g)
{
    double x[MODALITIES_MAX][64], raw[RAW_MAX], z[MODALITIES_MAX][RAW_MAX];
    const double *all[MODALITIES_MAX] = {z[0], z[1], z[2], z[3]};

    for (int m = 0; m < data_modalities(r->data); m++) {
        ref_row(r->batch.x[m], model_inputs(r->net.model, m), i, x[m]);
        ref_encode(r, m, x[m], raw);
        ref_fusion_input(r, m, raw, z[m]);
    }
    ref_fuse(r, all, g, NULL);
}

/* residual [P] of sample i: the gradient of -log p towards its prediction. */
static void residual_by_hand(const struct step_rig *r, int64_t i, double *residual)
{
    int outputs = model_opt(r->net.model)->outputs;
    double g[OUTPUTS_MAX];

    fused_by_hand(r, i, g);
    for (int p = 0; p < outputs; p++) {
        double at = g[p], above;

        g[p] = at + 1e-5;
        above = ref_nll(r, g, i);
        g[p] = at - 1e-5;
        residual[p] = (above - ref_nll(r, g, i)) / 2e-5;
        g[p] = at;
    }
}

/* r_i . g_i as a function of the weights, with r_i held. */
static double projected(const struct step_rig *r, int64_t i, const double *residual)
{
    double g[OUTPUTS_MAX], sum = 0;

    fused_by_hand(r, i, g);
    for (int p = 0; p < model_opt(r->net.model)->outputs; p++)
        sum += residual[p] * g[p];
    return sum;
}

static int64_t weights(const struct step_rig *r)
{
    return params_weight_count(r->net.params, "");
}

/* Adds r_i dg_i / dw for every weight w that is trained. The steps are small enough to miss the
 * corners of ReLU; between them the prediction is linear in each weight. */
static void add_gradient(const struct step_rig *r, int64_t i, const double *residual, double *v)
{
    int64_t at = 0;

    for (int k = 0; k < params_count(r->net.params); k++) {
        struct param *p = params_at(r->net.params, k);

        if (p->kind != PARAM_WEIGHT)
            continue;
        for (int64_t j = 0; j < p->count; j++, at++) {
            float w = p->data[j], up = w + 1e-6f, down = w - 1e-6f;
            double above;

            if (p->frozen)
                continue;
            p->data[j] = up;
            above = projected(r, i, residual);
            p->data[j] = down;
            v[at] += (above - projected(r, i, residual)) / ((double)up - (double)down);
            p->data[j] = w;
        }
    }
}

static void measure_by_hand(const struct step_rig *r, struct by_hand *h)
{
    memset(h, 0, sizeof *h);
    for (int g = 0; g < SOURCES; g++) {
        h->v[g] = calloc((size_t)weights(r), sizeof(double));
        assert_non_null(h->v[g]);
    }
    for (int64_t i = 0; i < N; i++) {
        double residual[OUTPUTS_MAX], g[OUTPUTS_MAX];
        int source = r->batch.source[i];

        residual_by_hand(r, i, residual);
        fused_by_hand(r, i, g);
        h->rows[source]++;
        h->loss[source] += ref_nll(r, g, i);
        for (int p = 0; p < model_opt(r->net.model)->outputs; p++)
            h->squares[source] += residual[p] * residual[p];
        add_gradient(r, i, residual, h->v[source]);
    }
}

static void release(struct by_hand *h)
{
    for (int g = 0; g < SOURCES; g++)
        free(h->v[g]);
}

static double inner(const struct step_rig *r, const double *a, const double *b)
{
    double sum = 0;

    for (int64_t k = 0; k < weights(r); k++)
        sum += a[k] * b[k];
    return sum;
}

static void assert_near(const char *what, int g, int h, double got, double want)
{
    if (!(fabs(got - want) <= 1e-4 * fabs(want) + 1e-6))
        fail_msg("%s of sources %d, %d: %.9g, by hand %.9g", what, g, h, got, want);
}

static void assert_measured(const struct step_rig *r, const struct by_hand *h,
                            const struct ntk_result *got)
{
    assert_int_equal(got->sources, SOURCES);
    for (int g = 0; g < SOURCES; g++) {
        assert_true(got->has[g] == (h->rows[g] > 0));
        if (h->rows[g] == 0) {
            assert_true(isnan(got->strength[g]) && isnan(got->loss[g]));
        } else {
            assert_near("strength", g, g, got->strength[g],
                        inner(r, h->v[g], h->v[g]) / h->squares[g]);
            assert_near("loss", g, g, got->loss[g], h->loss[g] / h->rows[g]);
        }
        for (int k = 0; k < SOURCES; k++) {
            if (h->rows[g] == 0 || h->rows[k] == 0)
                assert_true(isnan(got->alignment[g][k]));
            else
                assert_near("alignment", g, k, got->alignment[g][k],
                            inner(r, h->v[g], h->v[k]) /
                                sqrt(inner(r, h->v[g], h->v[g]) * inner(r, h->v[k], h->v[k])));
        }
    }
}

/* ---- the measurement ---- */

static void measure(struct step_rig *r, struct ntk_result *out)
{
    struct ntk *n = NULL;
    struct err e = {0};

    ASSERT_OK(ntk_new(&n, r->net.params, SOURCES, &e), e);
    ASSERT_OK(ntk_measure(n, &r->step, r->report.prediction, out, &e), e);
    ntk_free(n);
}

static void settings(struct config *c, const char *preset, bool layernorm)
{
    rig_config(c, preset, "vanilla", NULL);
    rig_shrink(c);
    c->layernorm = layernorm;
}

static void compare(struct step_rig *r)
{
    struct by_hand h;
    struct ntk_result got;

    measure(r, &got);
    measure_by_hand(r, &h);
    assert_measured(r, &h, &got);
    release(&h);
}

/* Bernoulli: all four sources, and a mixture without one of them, whose cells stay empty. */
static void test_two_classes(void **state)
{
    static const char *const TASKS[] = {"pid:0.25,0.25,0.25,0.25", "pid:0.4,0,0.3,0.3"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct step_rig r;
        struct config c;
        int absent = 0;

        settings(&c, "xor-pid", i == 1);
        rig_open(&r, &method_vanilla, &c, TASKS[i], N);
        rig_step(&r, 0, 0);
        for (int b = 0; b < N; b++)
            absent += r.batch.source[b] == PID_UNIQUE2;
        assert_true((absent == 0) == (i == 1));
        compare(&r);
        rig_close(&r);
    }
}

/* Several values per prediction: the residual is a vector, and so is each row's share of v_g. */
static void test_other_families(void **state)
{
    int32_t source[N];
    struct step_rig r;
    struct config c;

    (void)state;
    settings(&c, "xor-pid", false);
    rig_open_classes(&r, &method_vanilla, &c, N);
    rig_step(&r, 0, 0);
    assert_int_equal(model_opt(r.net.model)->outputs, 3);
    compare(&r);
    rig_close(&r);
    settings(&c, "xor-regression", true);
    rig_open(&r, &method_vanilla, &c, "regression:1", N);
    for (int i = 0; i < N; i++)
        source[i] = i * i % SOURCES; /* 0 and 1 */
    r.batch.source = source;
    rig_step(&r, 0, 0);
    compare(&r);
    rig_close(&r);
}

/* Weights that are not trained are no part of the kernel. */
static void test_frozen_weights(void **state)
{
    struct ntk_result whole, part;
    struct step_rig r;
    struct config c;

    (void)state;
    settings(&c, "xor-pid", false);
    rig_open(&r, &method_vanilla, &c, "pid:0.25,0.25,0.25,0.25", N);
    rig_step(&r, 0, 0);
    measure(&r, &whole);
    params_freeze(r.net.params, "x1.encoder", true);
    params_freeze(r.net.params, "fusion.trunk.0", true);
    rig_step(&r, 0, 0);
    compare(&r);
    measure(&r, &part);
    for (int g = 0; g < SOURCES; g++)
        assert_true(part.strength[g] < 0.99 * whole.strength[g]);
    rig_close(&r);
}

/* A prediction of bias alone whose residuals are all q, or q - 1. */
static void predict_constant(struct step_rig *r, double q)
{
    struct param *w = params_find(r->net.params, "fusion.head.weight");

    memset(w->data, 0, (size_t)w->count * sizeof *w->data);
    params_find(r->net.params, "fusion.head.bias")->data[0] = (float)(log(q) - log1p(-q));
}

/* Residuals below 1e-10 in sum of squares say nothing of a direction: the source counts as having
 * none, but for its loss. Just above, it has one. */
static void test_tiny_residuals(void **state)
{
    (void)state;
    for (int tiny = 0; tiny < 2; tiny++) {
        struct ntk_result got;
        int32_t source[N];
        struct step_rig r;
        struct config c;
        int zeros = 0;

        settings(&c, "xor-pid", false);
        rig_open(&r, &method_vanilla, &c, "pid:0.25,0.25,0.25,0.25", N);
        for (int i = 0; i < N; i++) {
            source[i] = 2 + r.batch.aim.label[i];
            zeros += r.batch.aim.label[i] == 0;
        }
        assert_true(zeros > 0 && zeros < N);
        r.batch.source = source;
        predict_constant(&r, sqrt((tiny ? 0.9e-10 : 1.1e-10) / zeros));
        rig_step(&r, 0, 0);
        measure(&r, &got);
        assert_true(got.has[2] == !tiny && got.has[3] && !got.has[0] && !got.has[1]);
        assert_true(isnan(got.strength[2]) == tiny && isnan(got.alignment[2][3]) == tiny);
        assert_true(isnan(got.alignment[2][2]) == tiny && got.strength[3] > 1);
        assert_float_equal(got.loss[2], sqrt(1e-10 / zeros), 0.1 * sqrt(1e-10 / zeros));
        if (!tiny) /* opposite signs, in the bias and in the head's weights */
            assert_true(got.alignment[2][3] < -0.5);
        rig_close(&r);
    }
}

/* ---- nothing else changes ---- */

static float *copy_of(const float *x, size_t count)
{
    float *y = malloc(count * sizeof *y);

    assert_non_null(y);
    memcpy(y, x, count * sizeof *y);
    return y;
}

/* The gaps between weights stay zero. */
static void number_gradients(struct params *ps)
{
    for (int i = 0; i < params_count(ps); i++) {
        const struct param *p = params_at(ps, i);

        for (int64_t k = 0; p->kind == PARAM_WEIGHT && k < p->count; k++)
            p->grad[k] = (float)(i + k);
    }
}

/* The same numbers before and after the step's own backward pass, twice over, whose gradients stay
 * as they are. */
static void test_gradients_stay(void **state)
{
    struct ntk_result before, after;
    struct step_rig r;
    struct config c;
    struct tensor *loss;
    struct err e = {0};
    float *kept;
    size_t count;

    (void)state;
    rig_config(&c, "xor-pid", "synib", "random");
    rig_shrink(&c);
    rig_open(&r, &method_synib, &c, "pid:0.25,0.25,0.25,0.25", N);
    rig_encode(&r, 2);
    loss = method_synib.loss(&r.step, &r.report);
    count = params_block_count(r.net.params);
    number_gradients(r.net.params);
    kept = copy_of(params_grad_block(r.net.params), count);
    measure(&r, &before);
    assert_memory_equal(kept, params_grad_block(r.net.params), count * sizeof *kept);
    free(kept);
    params_zero_grad(r.net.params);
    ASSERT_OK(tape_backward(r.net.tape, loss, &e), e);
    kept = copy_of(params_grad_block(r.net.params), count);
    for (int i = 0; i < 2; i++) {
        measure(&r, &after);
        assert_memory_equal(kept, params_grad_block(r.net.params), count * sizeof *kept);
        for (int g = 0; g < SOURCES; g++)
            assert_true(after.strength[g] == before.strength[g] &&
                        after.alignment[g][0] == before.alignment[g][0]);
    }
    free(kept);
    rig_close(&r);
}

/* Weights after two epochs; *rows: lines of ntk.csv. */
static float *trained(const struct data *train, const struct data *val, int64_t every,
                      size_t *count, int *rows)
{
    struct trainer_options o = {
        .method = &method_synib, .seed = 5, .jobs = 1, .train = train, .val = val};
    struct trainer *t = NULL;
    struct err e = {0};
    float *all;

    rig_config(&o.config, "xor-pid", "synib", "learned");
    rig_shrink(&o.config);
    o.config.mask_steps = 3;
    o.config.epochs = 2;
    o.config.ntk_steps = every;
    ASSERT_OK(trainer_open(&t, &o, &e), e);
    ASSERT_OK(trainer_train(t, &e), e);
    *rows = 0;
    for (const char *p = trainer_ntk_csv(t); p != NULL && (p = strchr(p, '\n')) != NULL; p++)
        ++*rows;
    *count = params_block_count(trainer_network(t)->params);
    all = copy_of(params_at(trainer_network(t)->params, 0)->data, *count);
    trainer_close(t);
    return all;
}

/* A run that measures learns what one that does not learns, to the bit. */
static void test_training_is_untouched(void **state)
{
    struct data *data[XOR_SPLITS] = {0};
    struct vectors v[XOR_SPLITS];
    struct xor_options o;
    size_t count[3];
    int rows[3];
    float *w[3];
    struct err e = {0};

    (void)state;
    ASSERT_OK(xor_parse(&o, "pid:0.25,0.25,0.25,0.25", &e), e);
    o.count[XOR_TRAIN] = 300;
    o.count[XOR_VAL] = 50;
    o.count[XOR_TEST] = 1;
    ASSERT_OK(xor_make(v, &o, &e), e);
    for (int s = 0; s < XOR_SPLITS; s++)
        ASSERT_OK(data_of_vectors(&data[s], &v[s], &e), e);
    for (int i = 0; i < 3; i++)
        w[i] = trained(data[XOR_TRAIN], data[XOR_VAL], i, &count[i], &rows[i]);
    for (int i = 1; i < 3; i++) {
        assert_int_equal(rows[i], 1 + 2 * 5 / i); /* a header, and 5 steps per epoch */
        assert_int_equal(count[i], count[0]);
        assert_memory_equal(w[i], w[0], count[0] * sizeof *w[0]);
    }
    assert_int_equal(rows[0], 0);
    for (int i = 0; i < 3; i++)
        free(w[i]);
    for (int s = 0; s < XOR_SPLITS; s++)
        data_close(data[s]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_classes),    cmocka_unit_test(test_other_families),
        cmocka_unit_test(test_frozen_weights), cmocka_unit_test(test_tiny_residuals),
        cmocka_unit_test(test_gradients_stay), cmocka_unit_test(test_training_is_untouched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
