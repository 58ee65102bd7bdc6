/* SPDX-License-Identifier: MIT */
#include "common/base/file.h"
#include "common/base/rng.h"
#include "common/data/xor.h"
#include "tests/support/check.h"
#include "tests/support/kernel_ref.h"
#include "tests/support/scratch.h"
#include "tests/support/step_rig.h"
#include "train/step.h"
#include "train/trainer.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Losses far out: finite at logits of +-1e4, and where they cannot be, the step stops before the
 * weights change. */

enum { ROWS = 8, CLASSES = 7, SEED = 17, ROUNDS = 300 };

/* ---- single losses ---- */

enum loss {
    CROSS_ENTROPY,
    WEIGHTED,
    BERNOULLI,
    KL,
    KL_TO,
    BERNOULLI_KL,
    BERNOULLI_KL_TO,
    JS,
    LOSSES
};
static const char *const loss_names[] = {
    "cross entropy",       "weighted cross entropy", "Bernoulli nll", "KL to uniform", "KL",
    "Bernoulli KL to 1/2", "Bernoulli KL",           "Jensen-Shannon"};

static bool is_bernoulli(enum loss l)
{
    return l == BERNOULLI || l == BERNOULLI_KL || l == BERNOULLI_KL_TO;
}

struct far {
    _Alignas(64) float x[ROWS * 16], y[ROWS * 16], dx[ROWS * 16], dy[ROWS * 16];
    int32_t label[ROWS];
};

static struct tensor *build(struct tape *t, enum loss l, struct far *f, enum kl_direction way)
{
    static const float weight[ROWS] = {1, 0, 0.5f, 2, 1, 1, 3, 0.1f};
    int64_t dim[] = {ROWS, is_bernoulli(l) ? 1 : CLASSES};
    struct tensor *x = tape_leaf(t, 2, dim, TENSOR_PLAIN, f->x, f->dx), *y;

    y = l == JS ? tape_leaf(t, 2, dim, TENSOR_PLAIN, f->y, f->dy) : tape_constant(t, 2, dim, f->y);
    switch (l) {
    case CROSS_ENTROPY: return op_cross_entropy(t, x, f->label);
    case WEIGHTED: return op_weighted_cross_entropy(t, x, f->label, weight);
    case BERNOULLI: return op_bernoulli_nll(t, x, f->label);
    case KL: return op_kl(t, x, NULL, way);
    case KL_TO: return op_kl(t, x, y, way);
    case BERNOULLI_KL: return op_bernoulli_kl(t, x, NULL, way);
    case BERNOULLI_KL_TO: return op_bernoulli_kl(t, x, y, way);
    default: return op_js_divergence(t, x, y, NULL);
    }
}

static void draw(struct far *f, enum loss l, struct rng *r)
{
    static const float extreme[] = {1e4f, -1e4f, 1e4f, -1e4f, 0, 90, -90, 1e-30f, 750, -750};

    memset(f, 0, sizeof *f);
    for (int i = 0; i < ROWS * CLASSES; i++) {
        f->x[i] = extreme[rng_below(r, 10)];
        f->y[i] = extreme[rng_below(r, 10)];
    }
    for (int i = 0; i < ROWS; i++)
        f->label[i] = (int32_t)rng_below(r, is_bernoulli(l) ? 2 : CLASSES);
}

static void test_losses_far_out(void **state)
{
    struct nn *nn = ref_nn(1);
    struct tape *t = NULL;
    struct err e = {0};
    static struct far f;

    (void)state;
    ASSERT_OK(tape_new(&t, nn, &e), e);
    for (int l = 0; l < LOSSES; l++)
        for (int round = 0; round < ROUNDS; round++) {
            struct rng r = rng_at(SEED, rng_stream("test.far"), (uint32_t)l, (uint32_t)round);
            struct tensor *loss;

            draw(&f, (enum loss)l, &r);
            tape_begin(t, TAPE_KEEP);
            loss = build(t, (enum loss)l, &f, round % 2 ? KL_MODEL_REFERENCE : KL_REFERENCE_MODEL);
            ASSERT_OK(tape_backward(t, loss, &e), e);
            if (!(tape_value(loss) >= 0 && tape_value(loss) <= 6e4f))
                fail_msg("%s, round %d: %g", loss_names[l], round, (double)tape_value(loss));
            for (int i = 0; i < ROWS * 16; i++)
                if (!isfinite(f.dx[i]) || !isfinite(f.dy[i]))
                    fail_msg("%s, round %d: gradient %d is not finite", loss_names[l], round, i);
        }
    tape_free(t);
    nn_free(nn);
}

/* One logit that is infinite or NaN: the backward pass says so. */
static void test_losses_of_infinity(void **state)
{
    static const float bad[] = {INFINITY, -INFINITY, NAN};
    struct nn *nn = ref_nn(1);
    struct tape *t = NULL;
    struct err e = {0};
    static struct far f;

    (void)state;
    ASSERT_OK(tape_new(&t, nn, &e), e);
    for (int l = 0; l < LOSSES; l++)
        for (size_t b = 0; b < sizeof bad / sizeof bad[0]; b++) {
            struct rng r = rng_at(SEED, rng_stream("test.bad"), (uint32_t)l, (uint32_t)b);
            struct tensor *loss;
            bool finite = true;

            draw(&f, (enum loss)l, &r);
            f.x[3] = bad[b];
            f.label[is_bernoulli((enum loss)l) ? 3 : 0] = l == BERNOULLI && bad[b] > 0 ? 0 : 1;
            tape_begin(t, TAPE_KEEP);
            loss = build(t, (enum loss)l, &f, KL_MODEL_REFERENCE);
            if (tape_backward(t, loss, &e) == ERR_OK) {
                for (int i = 0; i < ROWS * 16; i++)
                    finite = finite && isfinite(f.dx[i]);
                /* A logit of -infinity is a class of probability 0, which is no fault by itself. */
                if (finite && !(bad[b] < 0 && isfinite(tape_value(loss))))
                    fail_msg("%s takes %g for a number", loss_names[l], (double)bad[b]);
            } else {
                assert_int_equal(e.code, ERR_NONFINITE);
                err_clear(&e);
            }
        }
    tape_free(t);
    nn_free(nn);
}

static void test_softmax_far_out(void **state)
{
    float x[CLASSES] = {1e4f, -1e4f, 0, FLT_MAX, -FLT_MAX, 1e4f, -750}, p[CLASSES], q[CLASSES];
    double sum = 0;

    (void)state;
    softmax_rows(1, CLASSES, x, p);
    log_softmax_rows(1, CLASSES, x, q);
    for (int k = 0; k < CLASSES; k++) {
        assert_true(p[k] >= 0 && p[k] <= 1);
        assert_true(q[k] <= 0);
        sum += (double)p[k];
    }
    assert_true(fabs(sum - 1) < 1e-6);
}

/* ---- whole methods ---- */

static const struct {
    const char *method, *mask, *set;
} METHODS[] = {

    {"vanilla", NULL, NULL},
    {"synib", "random", NULL},
    {"synib", "random", "synib.reference=unimodal-unmasked"},
    {"synib", "learned", NULL},
    {"synib", "none", "synib.masked_ce=1"},
    {"masking-only", "random", NULL},
    {"dnr", NULL, NULL},
    {"mmpareto", NULL, NULL},
    {"reconboost", NULL, "reconboost.epochs=1"},
    {"mcr", NULL, "mcr.permutations=4"},
};

static void rig_for(struct step_rig *r, size_t which)
{
    const struct method *m;
    struct config c;
    struct err e = {0};

    ASSERT_OK(method_find(&m, METHODS[which].method, &e), e);
    rig_config(&c, "xor-spurious", METHODS[which].method, METHODS[which].mask);
    if (METHODS[which].set != NULL)
        ASSERT_OK(config_set(&c, METHODS[which].set, &e), e);
    ASSERT_OK(config_check(&c, &e), e);
    rig_open_classes(r, m, &c, 24);
}

static float largest(const struct params *ps)
{
    const float *x = params_value_block(ps);
    float top = 0;

    for (size_t i = 0; i < params_block_count(ps); i++)
        top = fmaxf(top, fabsf(x[i]));
    return top;
}

/* Weights a hundred times as large make logits of thousands; the step stays finite, gradients
 * too. */
static void test_methods_far_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof METHODS / sizeof METHODS[0]; i++)
        for (float scale = 10; scale <= 1000; scale *= 10) {
            struct step_rig r = {0};
            struct err e = {0};
            float *w;

            rig_for(&r, i);
            w = params_value_block(r.net.params);
            for (size_t k = 0; k < params_block_count(r.net.params); k++)
                w[k] *= scale;
            assert_true(largest(r.net.params) > 1);
            if (step_gradients(&r.step, &r.report, &r.net, &r.batch, 0, 0, false, &e) != ERR_OK)
                fail_msg("%s %s, weights times %g: %s", METHODS[i].method,
                         METHODS[i].mask != NULL ? METHODS[i].mask : "", (double)scale, e.text);
            for (int v = 0; v < STEP_VALUES; v++)
                assert_false(isinf(r.report.value[v]));
            rig_close(&r);
        }
}

/* A weight that is not finite: every method's step says so, and none gives gradients. */
static void test_methods_stop(void **state)
{
    static const float bad[] = {INFINITY, NAN};

    (void)state;
    for (size_t i = 0; i < sizeof METHODS / sizeof METHODS[0]; i++)
        for (int b = 0; b < 2; b++) {
            struct step_rig r = {0};
            struct err e = {0};
            float *w;

            rig_for(&r, i);
            w = params_value_block(r.net.params);
            w[0] = bad[b];
            if (step_gradients(&r.step, &r.report, &r.net, &r.batch, 0, 0, false, &e) !=
                ERR_NONFINITE)
                fail_msg("%s: %d: %s", METHODS[i].method, e.code, e.text);
            rig_close(&r);
        }
}

/* 0, with a slope of 1e60. */
static struct tensor *steep_loss(const struct method_step *s, struct step_report *report)
{
    struct param *w = params_at(s->params, 0);

    (void)report;
    memset(w->data, 0, (size_t)w->count * sizeof *w->data);
    return op_scale(s->tape, op_scale(s->tape, op_mean(s->tape, tape_param(s->tape, w)), 1e30f),
                    1e30f);
}

/* A finite loss whose gradient is not: the step says so, and names the weight. */
static void test_steep_loss_stops(void **state)
{
    static const struct method steep = {.name = "steep", .trains = true, .loss = steep_loss};
    struct step_rig r = {0};
    struct err e = {0};

    (void)state;
    rig_for(&r, 0);
    r.net.method = &steep;
    ASSERT_FAILS(step_gradients(&r.step, &r.report, &r.net, &r.batch, 0, 0, false, &e), e,
                 ERR_NONFINITE, ".weight: a gradient is not finite");
    rig_close(&r);
}

/* ---- the trainer's guard ---- */

enum { TRAIN = 64, BATCH = 16, BAD = 37 };

static void vectors_with(struct data *out[XOR_SPLITS], float bad)
{
    struct vectors v[XOR_SPLITS];
    struct xor_options o;
    struct err e = {0};

    ASSERT_OK(xor_parse(&o, "spurious:0.6", &e), e);
    o.count[XOR_TRAIN] = TRAIN;
    o.count[XOR_VAL] = 32;
    o.count[XOR_TEST] = 1;
    ASSERT_OK(xor_make(v, &o, &e), e);
    v[XOR_TRAIN].modality[0].x[BAD * v[XOR_TRAIN].modality[0].dim] = bad;
    for (int s = 0; s < XOR_SPLITS; s++)
        ASSERT_OK(data_of_vectors(&out[s], &v[s], &e), e);
}

/* The step whose batch holds the value fails, neither later nor earlier: the state on disk is that
 * of the step before, and the message names step, checkpoint and samples. */
static void test_guard_stops_at_once(void **state)
{
    static const struct log quiet = {.tool = "test", .level = LOG_QUIET};
    static const float bad[] = {INFINITY, -INFINITY, NAN};

    for (size_t b = 0; b < sizeof bad / sizeof bad[0]; b++) {
        struct data *data[XOR_SPLITS] = {0};
        struct run_places places = {0};
        struct run_summary summary;
        struct run_state last = {0};
        struct tensorfile *f = NULL;
        char name[32], *dir, *path = NULL, want[128];
        struct err e = {0}, none = {0};
        long long step = 0;

        snprintf(name, sizeof name, "run-%zu", b);
        dir = scratch_path(*state, name);
        ASSERT_OK(dir_make(dir, &none), none);
        vectors_with(data, bad[b]);
        {
            struct trainer_options o = {.seed = b, .jobs = 1, .places = &places, .log = &quiet};

            ASSERT_OK(method_find(&o.method, "vanilla", &none), none);
            rig_config(&o.config, "xor-spurious", "vanilla", NULL);
            o.config.batch = BATCH;
            o.config.epochs = 3;
            o.config.checkpoint_steps = 1;
            o.train = data[XOR_TRAIN];
            o.val = data[XOR_VAL];
            o.dir = dir;
            assert_int_equal(trainer_run(&o, &summary, &e), ERR_NONFINITE);
        }
        assert_int_equal(err_exit_status(e.code), 1);
        if (sscanf(e.text, "epoch 1, step %lld", &step) != 1)
            fail_msg("%s", e.text);
        assert_true(step >= 1 &&
                    step <= TRAIN / BATCH); /* in the first epoch all samples are seen */
        data_name(data[XOR_TRAIN], BAD, want, sizeof want);
        if (strstr(e.text, want) == NULL)
            fail_msg("no '%s' in: %s", want, e.text);
        ASSERT_OK(path_join(&path, dir, run_last_name, &none), none);
        if (step > 1) {
            snprintf(want, sizeof want, "last.safetensors of step %lld is kept", step - 1);
            ASSERT_OK(checkpoint_open(&f, path, &none), none);
            ASSERT_OK(checkpoint_state(f, &last, &none), none);
            assert_int_equal(last.step, step - 1);
        } else {
            snprintf(want, sizeof want, "no checkpoint was saved yet");
            assert_false(run_has(dir, run_last_name));
        }
        if (strstr(e.text, want) == NULL)
            fail_msg("no '%s' in: %s", want, e.text);
        tensorfile_close(f);
        for (int s = 0; s < XOR_SPLITS; s++)
            data_close(data[s]);
        free(path);
        free(dir);
    }
}

/* ---- evaluation of classes that are not there ---- */

static void test_empty_classes(void **state)
{
    struct confusion c;
    struct calibration cal = {0};

    (void)state;
    confusion_init(&c, 7);
    assert_true(confusion_accuracy(&c) == 0 && confusion_macro_f1(&c) == 0);
    assert_true(isnan(confusion_kappa(&c)));
    assert_true(calibration_error(&cal) == 0);
    for (int k = 0; k < 7; k++)
        assert_true(confusion_f1(&c, k) == 0 && isnan(confusion_recall(&c, k)));
    confusion_add(&c, 3, 5); /* a class that is never predicted, one that is never there */
    assert_true(confusion_accuracy(&c) == 0 && confusion_macro_f1(&c) == 0);
    assert_true(confusion_recall(&c, 3) == 0 && isnan(confusion_recall(&c, 5)));
    assert_true(isfinite(confusion_kappa(&c)));
    calibration_add(&cal, NAN, true);
    calibration_add(&cal, 1, true);
    assert_true(calibration_error(&cal) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_losses_far_out),
        cmocka_unit_test(test_losses_of_infinity),
        cmocka_unit_test(test_softmax_far_out),
        cmocka_unit_test(test_methods_far_out),
        cmocka_unit_test(test_methods_stop),
        cmocka_unit_test(test_steep_loss_stops),
        cmocka_unit_test_setup_teardown(test_guard_stops_at_once, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_empty_classes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
