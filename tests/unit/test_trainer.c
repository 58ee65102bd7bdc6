/* SPDX-License-Identifier: MIT */
#include "common/data/xor.h"
#include "common/nn/optim.h"
#include "tests/support/check.h"
#include "tests/support/step_rig.h"
#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What the trainer makes of validation results: which epoch is the best one and when it stops. A
 * method whose predictions are told stands in for a network: so there are ties. */

enum { TRAIN = 13, VAL = 8, TOLD_MAX = 12 };

static const struct log quiet = {.tool = "test", .level = LOG_QUIET};

struct told {
    int right; /* of VAL */
    double p;  /* of the class that is predicted */
};
static const struct told *told; /* of the next validation */

static void told_predict(const struct method_step *s, float *readout)
{
    assert_int_equal(s->batch->n, VAL);
    for (int b = 0; b < VAL; b++) {
        int label = s->batch->aim.label[b];

        readout[2 * b + label] = (float)log(b < told->right ? told->p : 1 - told->p);
        readout[2 * b + 1 - label] = (float)log(b < told->right ? 1 - told->p : told->p);
    }
    told += !nn_planning(s->nn);
}

static const struct method method_told = {
    .name = "told",
    .scopes = SCOPE_AUDIO | SCOPE_VIDEO | SCOPE_FUSED,
    .fusion = true,
    .trains = true,
    .loss = fusion_loss,
    .predict = told_predict,
};

/* ---- runs ---- */

struct run {
    struct trainer_options opt;
    struct data *train, *val;
    struct trainer *t;
};

static void run_open(struct run *r, const struct method *m)
{
    struct xor_options o = xor_defaults(XOR_PID);
    struct vectors v[XOR_SPLITS];
    struct err e = {0};

    o.seed = 5;
    o.count[XOR_TRAIN] = TRAIN;
    o.count[XOR_VAL] = VAL;
    o.count[XOR_TEST] = 1;
    ASSERT_OK(xor_make(v, &o, &e), e);
    *r = (struct run){.opt = {.method = m, .seed = 3, .jobs = 1, .log = &quiet}};
    ASSERT_OK(data_of_vectors(&r->train, &v[XOR_TRAIN], &e), e);
    ASSERT_OK(data_of_vectors(&r->val, &v[XOR_VAL], &e), e);
    vectors_free(&v[XOR_TEST]);
    r->opt.train = r->train;
    r->opt.val = r->val;
    rig_config(&r->opt.config, "xor-pid", "vanilla", NULL);
    rig_shrink(&r->opt.config);
    r->opt.config.train_pass = false;
    r->opt.config.batch = 5; /* the last one of an epoch is short */
    r->opt.config.lr = 0.01;
    r->opt.config.schedule = SCHEDULE_CONSTANT;
    r->opt.config.warmup_steps = 0;
    r->opt.config.select = SELECT_ACCURACY;
    r->opt.config.patience = TOLD_MAX;
}

static void run_go(struct run *r)
{
    struct err e = {0};

    ASSERT_OK(trainer_open(&r->t, &r->opt, &e), e);
    ASSERT_OK(trainer_train(r->t, &e), e);
}

static void run_close(struct run *r)
{
    trainer_close(r->t);
    data_close(r->train);
    data_close(r->val);
}

/* ---- the rules ---- */

/* R section 5: `any` counts one epoch less; equal is not better, by either number. */
static const struct rule {
    enum stop_rule rule;
    enum select_metric select;
    int patience, epochs; /* settings */
    int best, last;       /* wanted */
    struct told told[TOLD_MAX];
} RULES[] = {
    /* three times no better than the 6 of epoch 2; the loss that falls does not count */
    {STOP_ACCURACY,
     SELECT_ACCURACY,
     3,
     TOLD_MAX,
     2,
     5,
     {{5, 0.6}, {6, 0.6}, {6, 0.7}, {6, 0.8}, {5, 0.9}, {8, 0.9}}},
    /* the same, and the better one comes in time */
    {STOP_ACCURACY,
     SELECT_ACCURACY,
     3,
     7,
     5,
     7,
     {{5, 0.6}, {6, 0.6}, {6, 0.6}, {6, 0.6}, {7, 0.6}, {7, 0.6}, {7, 0.6}}},
    /* a lower loss counts, in epochs 2 and 3; the equal one of 4 does not */
    {STOP_ANY,
     SELECT_ACCURACY,
     3,
     TOLD_MAX,
     1,
     5,
     {{6, 0.6}, {6, 0.65}, {6, 0.7}, {6, 0.7}, {6, 0.7}, {8, 0.9}}},
    /* a higher accuracy counts with a higher loss too */
    {STOP_ANY,
     SELECT_ACCURACY,
     3,
     TOLD_MAX,
     3,
     5,
     {{5, 0.55}, {4, 0.55}, {6, 0.99}, {6, 0.99}, {6, 0.99}, {8, 0.9}}},
    /* the first of the lowest losses, whatever the accuracy */
    {STOP_ACCURACY,
     SELECT_LOSS,
     2,
     TOLD_MAX,
     3,
     5,
     {{6, 0.6}, {7, 0.999}, {6, 0.7}, {6, 0.7}, {8, 0.55}, {8, 0.9}}},
    /* the last one, and no more than there are to be */
    {STOP_ACCURACY, SELECT_LAST, 1, 4, 4, 4, {{6, 0.6}, {5, 0.6}, {4, 0.6}, {3, 0.6}}},
};

static void test_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof RULES / sizeof RULES[0]; i++) {
        const struct rule *x = &RULES[i];
        const struct run_state *s;
        struct run r;

        run_open(&r, &method_told);
        r.opt.config.stop_rule = x->rule;
        r.opt.config.select = x->select;
        r.opt.config.patience = x->patience;
        r.opt.config.epochs = x->epochs;
        told = x->told;
        run_go(&r);
        s = trainer_state(r.t);
        if (s->best_epoch != x->best || s->epoch != x->last)
            fail_msg("rule %zu: best epoch %d, stopped after %d", i, (int)s->best_epoch,
                     (int)s->epoch);
        assert_true(s->done && told == x->told + x->last);
        assert_int_equal(s->best_step, 3 * x->best);
        assert_float_equal(s->best_accuracy, x->told[x->best - 1].right / (double)VAL, 1e-12);
        run_close(&r);
    }
}

/* The weights that are kept are those of the last epoch that was better. */
static void test_best_weights(void **state)
{
    static const struct told better[] = {{5, 0.6}, {6, 0.6}, {6, 0.6}};
    struct run whole, part;
    size_t count;

    (void)state;
    run_open(&whole, &method_told);
    run_open(&part, &method_told);
    whole.opt.config.epochs = 3;
    part.opt.config.epochs = 2;
    told = better;
    run_go(&whole);
    trainer_use_best(whole.t);
    told = better;
    run_go(&part);
    count = params_block_count(trainer_network(part.t)->params);
    assert_memory_equal(params_value_block(trainer_network(whole.t)->params),
                        params_value_block(trainer_network(part.t)->params), count * sizeof(float));
    run_close(&whole);
    run_close(&part);
}

/* ---- an epoch's steps ---- */

/* A column of a row of epochs.csv; rows from 1. */
static double cell(const struct run *r, int row, int column)
{
    const char *at = trainer_epochs_csv(r->t);

    while (row-- > 0)
        at = strchr(at, '\n') + 1;
    while (column-- > 0)
        at = strchr(at, ',') + 1;
    return strtod(at, NULL);
}

enum { CSV_LR = 2, CSV_LOSS = 3 };

/* Every sample weighs the same in an epoch's mean, in a short batch too. */
static void test_mean_over_samples(void **state)
{
    double loss[2];

    (void)state;
    for (int whole = 0; whole < 2; whole++) {
        struct run r;

        run_open(&r, &method_vanilla);
        r.opt.config.epochs = 1;
        r.opt.config.lr = 1e-12; /* the weights stay */
        r.opt.config.batch = whole ? TRAIN : 5;
        run_go(&r);
        loss[whole] = cell(&r, 1, CSV_LOSS);
        run_close(&r);
    }
    assert_float_equal(loss[0], loss[1], 1e-6);
}

/* Step n takes the rate after n others: Adam's first step moves weights by it. The table names the
 * rate of an epoch's last step. */
static void test_rate_of_a_step(void **state)
{
    const float *now;
    double most = 0;
    struct run r;
    float *initial;
    size_t count;
    struct err e = {0};

    (void)state;
    run_open(&r, &method_vanilla);
    r.opt.config.schedule = SCHEDULE_LINEAR_WARMUP;
    r.opt.config.warmup_steps = 10;
    r.opt.config.weight_decay = 0;
    r.opt.config.batch = TRAIN;
    r.opt.config.epochs = 1;
    ASSERT_OK(trainer_open(&r.t, &r.opt, &e), e);
    now = params_value_block(trainer_network(r.t)->params);
    count = params_block_count(trainer_network(r.t)->params);
    initial = malloc(count * sizeof *initial);
    assert_non_null(initial);
    memcpy(initial, now, count * sizeof *initial);
    ASSERT_OK(trainer_train(r.t, &e), e);
    for (size_t k = 0; k < count; k++)
        most = fmax(most, fabs((double)now[k] - (double)initial[k]));
    assert_float_equal(most, 0.001, 1e-6);
    assert_float_equal(cell(&r, 1, CSV_LR), 0.001, 1e-9);
    free(initial);
    run_close(&r);
}

/* Every kind of schedule from the settings to the table, an epoch of one step each: 3 steps of
 * warm-up, then restarts of periods 4, 8, ... counted from step 0. */
static void test_schedules(void **state)
{
    static const double cosine[] = {0, 0, 0, 3.0 / 4, 0, 1.0 / 8, 2.0 / 8, 3.0 / 8};
    enum { STEPS = sizeof cosine / sizeof *cosine, WARM = 3 };

    (void)state;
    for (int kind = SCHEDULE_CONSTANT; kind <= SCHEDULE_LINEAR_WARMUP_RESTARTS; kind++) {
        bool ramp = kind == SCHEDULE_LINEAR_WARMUP || kind == SCHEDULE_LINEAR_WARMUP_RESTARTS;
        bool restarts = kind == SCHEDULE_RESTARTS || kind == SCHEDULE_LINEAR_WARMUP_RESTARTS;
        struct run r;

        run_open(&r, &method_vanilla);
        r.opt.config.schedule = kind;
        r.opt.config.warmup_steps = WARM;
        r.opt.config.t0_steps = 4;
        r.opt.config.batch = TRAIN;
        r.opt.config.epochs = STEPS;
        run_go(&r);
        for (int n = 0; n < STEPS; n++) {
            double want = 0.01;

            if (ramp && n < WARM)
                want *= (n + 1.0) / WARM;
            if (restarts)
                want *= (1 + cos(M_PI * cosine[n])) / 2;
            assert_float_equal(cell(&r, n + 1, CSV_LR), want, 1e-8);
        }
        run_close(&r);
    }
}

/* ---- Adam's constants ---- */

static float *copy_of(const float *x, size_t n)
{
    float *copy = malloc(n * sizeof *copy);

    assert_non_null(copy);
    memcpy(copy, x, n * sizeof *copy);
    return copy;
}

/* The weights after `steps` steps on the whole split, and the gradient of the last of them. */
static size_t run_steps(const struct optim *o, int steps, float **weights, float **gradient)
{
    const struct params *ps;
    struct run r;
    size_t count;
    struct err e = {0};

    run_open(&r, &method_vanilla);
    r.opt.config.beta1 = o->beta1;
    r.opt.config.beta2 = o->beta2;
    r.opt.config.eps = o->eps;
    r.opt.config.weight_decay = o->weight_decay;
    r.opt.config.batch = TRAIN;
    r.opt.config.epochs = steps > 0 ? steps : 1;
    ASSERT_OK(trainer_open(&r.t, &r.opt, &e), e);
    if (steps > 0)
        ASSERT_OK(trainer_train(r.t, &e), e);
    ps = trainer_network(r.t)->params;
    count = params_block_count(ps);
    *weights = copy_of(params_value_block(ps), count);
    *gradient = copy_of(params_grad_block(ps), count);
    run_close(&r);
    return count;
}

/* Adam in double, from the gradients of the steps: each constant comes from its own setting. They
 * are far from the usual ones, and eps is of the gradients' size, so that each tells in every step
 * from the second on. */
static void test_constants_of_adam(void **state)
{
    static const struct optim o = {.beta1 = 0.6, .beta2 = 0.8, .eps = 0.02, .weight_decay = 0.3};
    enum { STEPS = 3 };
    float *weight[STEPS + 1], *gradient[STEPS + 1];
    double moved = 0;
    size_t count = 0;

    (void)state;
    for (int n = 0; n <= STEPS; n++)
        count = run_steps(&o, n, &weight[n], &gradient[n]);
    for (size_t k = 0; k < count; k++) {
        double w = (double)weight[0][k], m = 0, v = 0;

        for (int n = 1; n <= STEPS; n++) {
            double g = (double)gradient[n][k] + o.weight_decay * w;

            m = o.beta1 * m + (1 - o.beta1) * g;
            v = o.beta2 * v + (1 - o.beta2) * g * g;
            w -= 0.01 * m / (1 - pow(o.beta1, n)) / (sqrt(v / (1 - pow(o.beta2, n))) + o.eps);
            assert_float_equal(w, (double)weight[n][k], 2e-6);
        }
        moved = fmax(moved, fabs(w - (double)weight[0][k]));
    }
    assert_true(moved > 0.02);
    for (int n = 0; n <= STEPS; n++) {
        free(weight[n]);
        free(gradient[n]);
    }
}

/* ---- whose settings ---- */

/* Encoders alone have the settings of pretraining, each its own rate. */
static void test_stages(void **state)
{
    const struct config c = {.lr = 1,
                             .weight_decay = 2,
                             .batch = 3,
                             .epochs = 4,
                             .patience = 5,
                             .pretrain_audio_lr = 6,
                             .pretrain_video_lr = 7,
                             .pretrain_weight_decay = 8,
                             .pretrain_batch = 9,
                             .pretrain_epochs = 10,
                             .pretrain_patience = 11};
    const struct stage fused = method_stage(&method_synib, &c);
    const struct stage audio = method_stage(&method_uni_audio, &c);
    const struct stage video = method_stage(&method_uni_video, &c);

    (void)state;
    assert_true(fused.lr == 1 && fused.weight_decay == 2 && fused.batch == 3 && fused.epochs == 4 &&
                fused.patience == 5);
    assert_true(audio.lr == 6 && video.lr == 7);
    for (int i = 0; i < 2; i++) {
        const struct stage *s = i == 0 ? &audio : &video;

        assert_true(s->weight_decay == 8 && s->batch == 9 && s->epochs == 10 && s->patience == 11);
    }
}

static struct tensor *alone_loss(const struct method_step *s, struct step_report *report)
{
    return unimodal_loss(s, 0, report);
}

static void alone_predict(const struct method_step *s, float *readout)
{
    predict_readout(s, s->features.unimodal[0], readout);
}

static const struct method method_alone = {
    .name = "alone",
    .scopes = SCOPE_AUDIO,
    .only = "x1",
    .trains = true,
    .loss = alone_loss,
    .predict = alone_predict,
};

/* The optimiser has the rate and the weight decay of the stage: those of fusion change nothing. */
static void test_optimiser_of_the_stage(void **state)
{
    enum { OWN, OF_FUSION, DECAY, RATE, RUNS };
    float *after[RUNS];
    size_t count = 0;

    (void)state;
    for (int i = 0; i < RUNS; i++) {
        struct run r;

        run_open(&r, &method_alone);
        r.opt.config.lr = i == OF_FUSION ? 0.02 : 0.01;
        r.opt.config.pretrain_audio_lr = i == RATE ? 0.02 : 0.01;
        r.opt.config.pretrain_batch = TRAIN;
        r.opt.config.pretrain_epochs = r.opt.config.pretrain_patience = 1;
        r.opt.config.weight_decay = i == OF_FUSION ? 1 : 0;
        r.opt.config.pretrain_weight_decay = i == DECAY ? 1 : 0;
        run_go(&r);
        count = params_block_count(trainer_network(r.t)->params);
        after[i] = malloc(count * sizeof *after[i]);
        assert_non_null(after[i]);
        memcpy(after[i], params_value_block(trainer_network(r.t)->params),
               count * sizeof *after[i]);
        run_close(&r);
    }
    assert_memory_equal(after[OWN], after[OF_FUSION], count * sizeof *after[OWN]);
    assert_true(memcmp(after[OWN], after[DECAY], count * sizeof *after[OWN]) != 0);
    assert_true(memcmp(after[OWN], after[RATE], count * sizeof *after[OWN]) != 0);
    for (int i = 0; i < RUNS; i++)
        free(after[i]);
}

/* diag.train_pass is a setting of fusion: it changes nothing that pretraining writes. */
static void test_train_pass_is_of_fusion(void **state)
{
    static const struct method *const of[] = {&method_alone, &method_vanilla};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct run run[2];
        bool same;

        for (int on = 0; on < 2; on++) {
            struct config *c = &run[on].opt.config;

            run_open(&run[on], of[i]);
            c->epochs = c->pretrain_epochs = c->pretrain_patience = 2;
            c->pretrain_batch = c->batch;
            c->pretrain_audio_lr = c->lr;
            c->train_pass = on;
            run_go(&run[on]);
        }
        same = strcmp(trainer_epochs_csv(run[0].t), trainer_epochs_csv(run[1].t)) == 0;
        assert_true(same == (of[i] == &method_alone));
        run_close(&run[0]);
        run_close(&run[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_best_weights),
        cmocka_unit_test(test_mean_over_samples),
        cmocka_unit_test(test_rate_of_a_step),
        cmocka_unit_test(test_schedules),
        cmocka_unit_test(test_constants_of_adam),
        cmocka_unit_test(test_stages),
        cmocka_unit_test(test_optimiser_of_the_stage),
        cmocka_unit_test(test_train_pass_is_of_fusion),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
