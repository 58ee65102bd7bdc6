/* SPDX-License-Identifier: MIT */
#include "common/data/xor.h"
#include "tests/support/check.h"
#include "tests/support/drawn_dataset.h"
#include "tests/support/scratch.h"
#include "tests/support/step_rig.h"
#include "train/eval_report.h"
#include "train/evaluate.h"
#include "train/trainer.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A pass over a split: what it counts is what counting the samples one by one gives, and those are
 * what the model's arithmetic in double says. */

enum { N = 45, BATCH = 7, OUTPUTS_MAX = 4 }; /* the last batch is smaller */

/* A loader as evaluations use it, but with several batches. */
static struct loader *open_loader(const struct data *d)
{
    struct loader_options o = {.batch = BATCH, .use = {true, true, true, true}, .threads = 1};
    struct loader *l = NULL;
    struct err e = {0};

    ASSERT_OK(loader_new(&l, d, &o, &e), e);
    return l;
}

static void open_rig(struct step_rig *r, const char *preset, const char *task)
{
    struct config c;

    rig_config(&c, preset, "vanilla", NULL);
    rig_shrink(&c);
    c.dropout = 0.5; /* of training alone */
    if (strcmp(task, "classes") == 0)
        rig_open_classes(r, &method_vanilla, &c, N);
    else
        rig_open(r, &method_vanilla, &c, task, N);
}

static void run(struct step_rig *r, bool keep, struct evaluation *ev)
{
    struct loader *l = open_loader(r->data);
    struct err e = {0};

    ASSERT_OK(evaluate(ev, &r->net, l, r->data, keep, NULL, &e), e);
    loader_free(l);
}

/* g [P] of sample i, and u [P] of each head. */
static void predict_by_hand(const struct step_rig *r, int64_t i, double *g,
                            double u[MODALITIES_MAX][OUTPUTS_MAX])
{
    double x[64], raw[16], z[MODALITIES_MAX][16];
    const double *all[MODALITIES_MAX] = {z[0], z[1], z[2], z[3]};

    for (int m = 0; m < data_modalities(r->data); m++) {
        ref_row(r->batch.x[m], model_inputs(r->net.model, m), i, x);
        ref_encode(r, m, x, raw);
        ref_head(r, m, raw, u[m]);
        ref_fusion_input(r, m, raw, z[m]);
    }
    ref_fuse(r, all, g, NULL);
}

static void assert_near(const char *what, int64_t i, double got, double want)
{
    if (!(fabs(got - want) <= 2e-5 * (1 + fabs(want))))
        fail_msg("%s %d: %.9g instead of %.9g", what, (int)i, got, want);
}

/* ---- numbers ---- */

static void test_numbers(void **state)
{
    double u[MODALITIES_MAX][OUTPUTS_MAX], g[OUTPUTS_MAX];
    double loss = 0, mean = 0, errors = 0, variance = 0;
    struct evaluation ev;
    struct step_rig r;

    (void)state;
    open_rig(&r, "xor-regression", "regression:1");
    run(&r, true, &ev);
    assert_true(ev.n == N && ev.classes == 0 && ev.width == 2 && !ev.has_head[0]);
    for (int i = 0; i < N; i++)
        mean += (double)r.batch.aim.target[i] / N;
    for (int i = 0; i < N; i++) {
        double y = (double)r.batch.aim.target[i];
        double off = (double)ev.readout[2 * i] - y, v = (double)ev.readout[2 * i + 1];

        predict_by_hand(&r, i, g, u);
        assert_near("mean", i, (double)ev.readout[2 * i], g[0]);
        assert_near("log variance", i, (double)ev.readout[2 * i + 1], g[1]);
        errors += off * off / N;
        variance += (y - mean) * (y - mean) / N;
        loss += (v + off * off / exp(v) + log(2 * M_PI)) / 2 / N;
        assert_true(ev.label[i] == 0 && ev.guess[i] == 0);
    }
    assert_true(variance > 0.01);
    assert_near("mean squared error", 0, ev.mse, errors);
    assert_near("R^2", 0, ev.r2, 1 - errors / variance);
    assert_near("loss", 0, ev.loss, loss);
    evaluation_free(&ev);
    rig_close(&r);
}

/* Targets that are all alike have no variance to explain. */
static void test_constant_target(void **state)
{
    struct evaluation ev;
    struct step_rig r;

    (void)state;
    open_rig(&r, "xor-regression", "regression:1");
    for (int i = 0; i < N; i++)
        data_vectors(r.data)->target[i] = 2;
    run(&r, false, &ev);
    assert_true(ev.r2 == 0 && ev.mse > 0);
    evaluation_free(&ev);
    rig_close(&r);
}

/* ---- classes ---- */

/* The class that a prediction of the rig's family prefers; *apart: by how much. */
static int choice(const struct step_rig *r, const double *g, double *apart)
{
    int outputs = model_opt(r->net.model)->outputs, best = 0;

    *apart = fabs(g[0]);
    if (outputs == 1)
        return g[0] > 0;
    for (int k = 1; k < outputs; k++)
        best = g[k] > g[best] ? k : best;
    *apart = INFINITY;
    for (int k = 0; k < outputs; k++)
        *apart = k == best ? *apart : fmin(*apart, g[best] - g[k]);
    return best;
}

/* Every kept value against the model by hand. */
static void assert_kept(const struct step_rig *r, const struct evaluation *ev)
{
    for (int i = 0; i < N; i++) {
        double u[MODALITIES_MAX][OUTPUTS_MAX], g[OUTPUTS_MAX], apart, sum = 0;
        int label = r->batch.aim.label[i], want;

        predict_by_hand(r, i, g, u);
        assert_int_equal(ev->label[i], label);
        assert_near("probability", i, (double)ev->readout[i * ev->width + label],
                    exp(-ref_nll(r, g, i)));
        for (int k = 0; k < ev->width; k++)
            sum += (double)ev->readout[i * ev->width + k];
        assert_near("sum of probabilities", i, sum, 1);
        want = choice(r, g, &apart);
        if (apart > 1e-5)
            assert_int_equal(ev->guess[i], want);
        for (int m = 0; m < 2; m++) {
            want = choice(r, u[m], &apart);
            if (apart > 1e-5)
                assert_int_equal(ev->head_guess[m][i], want);
        }
    }
}

/* Counts of the whole split and of each source from the kept values. */
static void assert_counts(const struct step_rig *r, const struct evaluation *ev)
{
    int64_t right = 0, heads[2] = {0}, n = 0;
    double loss = 0, by_source = 0;

    for (int s = 0; s < ev->sources; s++) {
        struct source_sum want = {0};

        for (int i = 0; i < N; i++) {
            if (r->batch.source[i] != s)
                continue;
            want.n++;
            want.right += ev->guess[i] == ev->label[i];
            want.loss -= log((double)ev->readout[i * ev->width + ev->label[i]]);
        }
        assert_true(ev->source[s].n == want.n && ev->source[s].right == want.right);
        assert_near("loss of source", s, ev->source[s].loss, want.loss);
        if (want.n > 0) {
            assert_true(source_accuracy(&ev->source[s]) == (double)want.right / (double)want.n);
            assert_near("mean loss of source", s, source_loss(&ev->source[s]),
                        want.loss / (double)want.n);
        } else {
            assert_true(isnan(source_accuracy(&want)) && isnan(source_loss(&want)));
        }
        n += ev->source[s].n;
        right += ev->source[s].right;
        by_source += ev->source[s].loss;
        loss += want.loss / N;
    }
    assert_true(n == N && ev->n == N && confusion_total(&ev->confusion) == N);
    assert_true(confusion_accuracy(&ev->confusion) == (double)right / N);
    assert_near("loss", 0, ev->loss, loss);
    assert_near("loss of all sources", 0, by_source, ev->loss * N);
    for (int i = 0; i < N; i++)
        for (int m = 0; m < 2; m++)
            heads[m] += ev->head_guess[m][i] == ev->label[i];
    for (int m = 0; m < 2; m++)
        assert_true(ev->has_head[m] && confusion_total(&ev->head[m]) == N &&
                    confusion_accuracy(&ev->head[m]) == (double)heads[m] / N);
    assert_false(ev->has_head[2]);
}

/* Calibration is of what was predicted, right or not, in bins of the probability it was given. */
static void assert_calibration(const struct evaluation *ev)
{
    double sum[CALIBRATION_BINS] = {0};
    int64_t n[CALIBRATION_BINS] = {0}, right[CALIBRATION_BINS] = {0};

    for (int i = 0; i < N; i++) {
        double p = (double)ev->readout[i * ev->width + ev->guess[i]];
        int bin = (int)(p * CALIBRATION_BINS);

        assert_true(p >= 1.0 / ev->classes - 1e-6 && p < 1);
        n[bin]++;
        right[bin] += ev->guess[i] == ev->label[i];
        sum[bin] += p;
    }
    for (int k = 0; k < CALIBRATION_BINS; k++) {
        assert_true(ev->calibration.n[k] == n[k] && ev->calibration.right[k] == right[k]);
        assert_near("probabilities of bin", k, ev->calibration.sum[k], sum[k]);
    }
}

static void test_classes(void **state)
{
    static const char *const TASKS[] = {"pid:0.2,0.2,0.2,0.4", "pid:0.5,0,0,0.5", "classes"};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct evaluation ev;
        struct step_rig r;

        open_rig(&r, "xor-pid", TASKS[i]);
        run(&r, true, &ev);
        assert_int_equal(ev.classes, i == 2 ? 3 : 2);
        assert_int_equal(ev.width, ev.classes);
        assert_int_equal(ev.sources, PID_SOURCES);
        assert_kept(&r, &ev);
        assert_counts(&r, &ev);
        assert_calibration(&ev);
        evaluation_free(&ev);
        rig_close(&r);
    }
}

/* Keeping nothing counts the same. */
static void test_not_kept(void **state)
{
    struct evaluation kept, counted;
    struct step_rig r;

    (void)state;
    open_rig(&r, "xor-pid", "pid:0.2,0.2,0.2,0.4");
    run(&r, true, &kept);
    run(&r, false, &counted);
    assert_true(counted.label == NULL && counted.guess == NULL && counted.readout == NULL &&
                counted.head_guess[0] == NULL);
    assert_true(counted.loss == kept.loss);
    assert_memory_equal(&counted.confusion, &kept.confusion, sizeof kept.confusion);
    assert_memory_equal(&counted.head, &kept.head, sizeof kept.head);
    assert_memory_equal(&counted.source, &kept.source, sizeof kept.source);
    evaluation_free(&kept);
    evaluation_free(&counted);
    assert_null(kept.readout);
    rig_close(&r);
}

/* What select.metric counts, from the same pass. */
static void test_selection(void **state)
{
    struct evaluation ev;
    struct step_rig r;
    struct config *c;

    (void)state;
    open_rig(&r, "xor-pid", "pid:0.2,0.2,0.2,0.4");
    run(&r, false, &ev);
    c = &r.net.config;
    c->select = SELECT_LOSS;
    assert_true(selection_score(c, r.data, &ev) == -ev.loss);
    c->select = SELECT_ACCURACY;
    assert_true(selection_score(c, r.data, &ev) == confusion_accuracy(&ev.confusion));
    c->select = SELECT_SYNERGY;
    assert_true(selection_score(c, r.data, &ev) == source_accuracy(&ev.source[PID_SYNERGISTIC]));
    assert_true(source_accuracy(&ev.source[PID_SYNERGISTIC]) != confusion_accuracy(&ev.confusion));
    evaluation_free(&ev);
    rig_close(&r);
}

/* ---- what is said of it ---- */

/* Recall of irony by the face counts irony clips alone: what is taken for irony by mistake is none
 * of it, whatever the face. */
static void test_irony_recall(void **state)
{
    enum { I = LABEL_IRONY, CLIPS = 7 };
    int32_t face[CLIPS] = {0, 0, 0, 1, 1, 2, 5};
    int32_t label[CLIPS] = {I, I, 0, I, 1, 2, I}, guess[CLIPS] = {I, 0, I, 1, I, 2, I};
    static const int n[N_EMOTIONS] = {2, 1, 0, 0, 0, 1};
    static const double recall[N_EMOTIONS] = {0.5, 0, NAN, NAN, NAN, 1};
    char *dir = scratch_path(*state, "drawn"), *path = scratch_path(*state, "drawn/data");
    struct measured m = {.split = "test", .base_label = face};
    struct data *data = NULL;
    json_t *root, *faces;
    struct err e = {0};
    char *text = NULL;

    ASSERT_OK(drawn_dataset_make(dir, &drawn_options_default, &e), e);
    ASSERT_OK(data_open(&data, path, "test", NULL, &e), e);
    m.data = data;
    m.run.ev = (struct evaluation){.n = CLIPS, .classes = N_LABELS, .label = label, .guess = guess};
    confusion_init(&m.run.ev.confusion, N_LABELS);
    for (int i = 0; i < CLIPS; i++)
        confusion_add(&m.run.ev.confusion, label[i], guess[i]);
    ASSERT_OK(eval_json(&text, &m, &e), e);
    root = json_loads(text, 0, NULL);
    faces = json_object_get(root, "irony_recall_by_emotion");
    assert_int_equal(json_object_size(faces), N_EMOTIONS);
    for (int k = 0; k < N_EMOTIONS; k++) {
        const json_t *one = json_object_get(faces, data_class(data, k));
        const json_t *share = json_object_get(one, "recall");

        assert_int_equal(json_integer_value(json_object_get(one, "n")), n[k]);
        assert_true(json_is_null(share) == isnan(recall[k]));
        assert_true(isnan(recall[k]) || json_real_value(share) == recall[k]);
    }
    json_decref(root);
    free(text);
    data_close(data);
    free(dir);
    free(path);
}

/* ---- what ends it ---- */

static bool stop_now(void)
{
    return true;
}

static void test_ends(void **state)
{
    struct evaluation ev;
    struct step_rig r;
    struct loader *l;
    struct err e = {0};

    (void)state;
    open_rig(&r, "xor-pid", "pid:0.2,0.2,0.2,0.4");
    l = open_loader(r.data);
    ASSERT_FAILS(evaluate(&ev, &r.net, l, r.data, true, stop_now, &e), e, ERR_STOPPED, "stopped");
    evaluation_free(&ev);
    params_find(r.net.params, "fusion.head.bias")->data[0] = NAN;
    ASSERT_FAILS(evaluate(&ev, &r.net, l, r.data, true, NULL, &e), e, ERR_NONFINITE,
                 "45 held-out samples is not finite");
    evaluation_free(&ev);
    params_find(r.net.params, "fusion.head.bias")->data[0] = 0;
    data_vectors(r.data)->label[N - 1] = 2;
    ASSERT_FAILS(evaluate(&ev, &r.net, l, r.data, false, NULL, &e), e, ERR_DATA,
                 "sample 44: label 2 is not one of 0..1");
    evaluation_free(&ev);
    loader_free(l);
    rig_close(&r);
    open_rig(&r, "xor-regression", "regression:1");
    params_find(r.net.params, "x1.encoder.0.weight")->data[3] = INFINITY;
    l = open_loader(r.data);
    ASSERT_FAILS(evaluate(&ev, &r.net, l, r.data, false, NULL, &e), e, ERR_NONFINITE, "not finite");
    evaluation_free(&ev);
    loader_free(l);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_constant_target),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_not_kept),
        cmocka_unit_test(test_selection),
        cmocka_unit_test(test_ends),
        cmocka_unit_test_setup_teardown(test_irony_recall, scratch_setup, scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
