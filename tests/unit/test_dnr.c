/* SPDX-License-Identifier: MIT */
#include "common/base/file.h"
#include "common/data/xor.h"
#include "tests/support/check.h"
#include "tests/support/drawn_dataset.h"
#include "tests/support/runs.h"
#include "tests/support/scratch.h"
#include "tests/support/step_rig.h"
#include "train/kmeans.h"
#include "train/methods/dnr.h"
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The resets of D&R (R section 6.4), its parts by hand and inside runs of the trainer. */

enum { TRAIN = 24, VAL = 37, BATCH = 8, STEPS = TRAIN / BATCH, EPOCHS = 8 };

static const struct log quiet = {.tool = "test", .level = LOG_QUIET};

/* ---- features ---- */

/* Those of a split are the encoders' own, before the fusion's layer norm and without dropout, in
 * the split's order and with its labels. */
static void test_features(void **state)
{
    static double x[REF_WIDTH_MAX], raw[REF_WIDTH_MAX];
    struct collected c;
    struct step_rig r;
    struct config config;
    struct err e = {0};

    (void)state;
    rig_config(&config, "xor-pid", "dnr", NULL);
    rig_shrink(&config);
    config.layernorm = true;
    config.dropout = 0.5;
    rig_open(&r, &method_dnr, &config, "pid:0.2,0.2,0.2,0.4", BATCH);
    ASSERT_OK(collect_features(&c, &r.net, r.loader, r.data, &e), e);
    assert_true(c.n == BATCH && c.modalities == 2);
    for (int m = 0; m < 2; m++) {
        assert_int_equal(c.width[m], config.encoder_width);
        for (int i = 0; i < BATCH; i++) {
            ref_row(r.batch.x[m], model_inputs(r.net.model, m), i, x);
            ref_encode(&r, m, x, raw);
            for (int k = 0; k < c.width[m]; k++)
                assert_float_equal(c.raw[m][i * c.width[m] + k], raw[k], 1e-5);
        }
    }
    assert_memory_equal(c.label, data_vectors(r.data)->label, BATCH * sizeof *c.label);
    collected_free(&c);
    rig_close(&r);
}

/* ---- purity ---- */

/* Scaled to [-1, 1] by column, a constant column to 0; then the purity of k-means' clusters. */
static void test_purity(void **state)
{
    enum { N = 6, WIDTH = 3 };
    static const float before[N][WIDTH] = {{0, 5, 1000}, {1, 5, 1001},  {0.5f, 5, 1000.5f},
                                           {9, 5, 3000}, {10, 5, 2999}, {9.5f, 5, 2990}};
    static float x[N][WIDTH];
    int32_t label[N] = {0, 0, 1, 2, 2, 2}, cluster[N];
    struct collected c = {.n = N, .modalities = 2, .width = {0, WIDTH}, .label = label};
    struct kmeans_options o = {2, 10, 300, 4, 1};
    double purity;
    struct err e = {0};

    (void)state;
    c.raw[1] = x[0];
    memcpy(x, before, sizeof x);
    ASSERT_OK(dnr_purity(&purity, &c, 1, 2, 3, 4, 1, &e), e);
    for (int i = 0; i < N; i++) {
        assert_float_equal(x[i][0], 2 * before[i][0] / 10 - 1, 1e-6);
        assert_true(x[i][1] == 0);
        assert_float_equal(x[i][2], 2 * (before[i][2] - 1000) / 2000 - 1, 1e-6);
    }
    assert_float_equal(purity, 5.0 / 6, 1e-15);
    ASSERT_OK(kmeans(cluster, NULL, N, WIDTH, x[0], &o, &e), e);
    assert_true(cluster_purity(N, 2, cluster, 3, label) == purity);
    ASSERT_FAILS(dnr_purity(&purity, &c, 1, N + 1, 3, 4, 1, &e), e, ERR_DATA,
                 "6 samples cannot make 7 clusters");
}

/* ---- one reset ---- */

static bool begins(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Encoder with batch norm's weights, head and the modality's own matrix move; buffers, counters,
 * moments, the bias and the other modality do not. */
static void test_reset(void **state)
{
    char *dir = scratch_path(*state, "drawn");
    struct param_snapshot *before = NULL;
    struct step_rig r;
    struct config c;
    struct err e = {0};
    float *initial, *now;
    size_t count;
    int moved = 0;

    ASSERT_OK(drawn_dataset_make(dir, &drawn_options_default, &e), e);
    rig_config(&c, "demo", "dnr", NULL);
    c.audio_pool = 4;
    c.video_size = 32;
    rig_open_media(&r, &method_dnr, &c, dir, 4);
    count = params_block_count(r.net.params);
    initial = malloc(count * sizeof *initial);
    now = malloc(count * sizeof *now);
    assert_true(initial != NULL && now != NULL);
    for (size_t k = 0; k < count; k++)
        initial[k] = 3 + params_value_block(r.net.params)[k];
    memcpy(now, params_value_block(r.net.params), count * sizeof *now);
    for (int i = 0; i < params_count(r.net.params); i++) {
        struct param *p = params_at(r.net.params, i);

        for (int64_t k = 0; k < p->count && p->kind == PARAM_WEIGHT; k++)
            p->m[k] = p->v[k] = 7;
        for (int64_t k = 0; k < p->count && p->kind == PARAM_BUFFER; k++)
            p->data[k] = 5;
    }
    ASSERT_OK(params_snapshot(r.net.params, &before, &e), e);
    dnr_reset(&r.net, MEDIA_VIDEO, 0.25, initial);
    for (int i = 0; i < params_count(r.net.params); i++) {
        const struct param *p = params_at(r.net.params, i);
        bool own = begins(p->name, "video.") || begins(p->name, "fusion.video.");

        for (int64_t k = 0; k < p->count && p->kind == PARAM_WEIGHT; k++) {
            float was = now[p->offset + (size_t)k];

            if (own)
                assert_float_equal(p->data[k], (double)was + 0.25 * 3, 1e-6);
            else
                assert_true(p->data[k] == was);
            assert_true(p->m[k] == 7 && p->v[k] == 7);
        }
        for (int64_t k = 0; k < p->count && p->kind == PARAM_BUFFER; k++)
            assert_true(p->data[k] == 5);
        moved += own && p->kind == PARAM_WEIGHT;
    }
    /* 20 convolutions and 20 batch norms, head and matrix; the bias stays */
    assert_int_equal(moved, 20 + 2 * 20 + 2 + 1);
    assert_non_null(params_find(r.net.params, "fusion.bias"));
    dnr_reset(&r.net, MEDIA_AUDIO, 1, initial); /* all the way */
    assert_float_equal(params_find(r.net.params, "audio.head.bias")->data[0],
                       initial[params_find(r.net.params, "audio.head.bias")->offset], 1e-6);
    params_snapshot_free(before);
    free(initial);
    free(now);
    rig_close(&r);
    free(dir);
}

/* ---- runs on vectors ---- */

static void make_data(struct data *out[XOR_SPLITS])
{
    struct xor_options o = xor_defaults(XOR_PID);
    struct vectors v[XOR_SPLITS];
    struct err e = {0};

    o.seed = 4;
    o.count[XOR_TRAIN] = TRAIN;
    o.count[XOR_VAL] = VAL;
    o.count[XOR_TEST] = 1;
    ASSERT_OK(xor_make(v, &o, &e), e);
    for (int s = 0; s < XOR_SPLITS; s++)
        ASSERT_OK(data_of_vectors(&out[s], &v[s], &e), e);
}

static void free_data(struct data *d[XOR_SPLITS])
{
    for (int s = 0; s < XOR_SPLITS; s++)
        data_close(d[s]);
}

/* Learning rate 0: resets alone move weights. */
static struct trainer_options run_options(struct data *const d[XOR_SPLITS])
{
    static const struct run_places places;
    struct trainer_options o = {.method = &method_dnr,
                                .seed = 3,
                                .jobs = 1,
                                .train = d[XOR_TRAIN],
                                .val = d[XOR_VAL],
                                .places = &places,
                                .log = &quiet};

    rig_config(&o.config, "xor-pid", "dnr", NULL);
    rig_shrink(&o.config);
    o.config.batch = BATCH;
    o.config.epochs = EPOCHS;
    o.config.lr = 0;
    o.config.dnr_every = 2;
    o.config.dnr_times = 2;
    return o;
}

/* Trains for `steps` more steps; false when the run was over before. */
static bool train_on(struct trainer *t, int64_t *left, int64_t steps)
{
    struct err e = {0};

    *left = steps;
    if (trainer_train(t, &e) == ERR_OK)
        return false;
    if (e.code != ERR_STOPPED)
        fail_msg("%d: %s", e.code, e.text);
    return true;
}

/* Reset strength of every modality by hand, for the weights as they are. */
static void strengths(const struct trainer_options *o, struct network *net, double w[2])
{
    const struct data *split[] = {o->train, o->val};
    double purity[2][2];
    struct err e = {0};

    for (int s = 0; s < 2; s++) {
        struct loader_options l = method_loader(o->method, &o->config, split[s], false, 3, 1);
        struct loader *loader = NULL;
        struct collected c;

        ASSERT_OK(loader_new(&loader, split[s], &l, &e), e);
        ASSERT_OK(collect_features(&c, net, loader, split[s], &e), e);
        assert_int_equal(c.n, data_count(split[s]));
        for (int m = 0; m < 2; m++)
            ASSERT_OK(dnr_purity(&purity[s][m], &c, m, (int)o->config.dnr_clusters, 2, 3, 1, &e),
                      e);
        collected_free(&c);
        loader_free(loader);
    }
    for (int m = 0; m < 2; m++) {
        int other = o->config.dnr_features == DNR_LAST ? 1 : m;

        w[m] = tanh(o->config.dnr_alpha * fabs(purity[0][m] - purity[1][other]));
    }
}

/* Weights stand 1 off their initial values; after a reset by w they stand 1 - w off. */
static void assert_off(const struct network *net, const float *initial, const double off[2])
{
    for (int i = 0; i < params_count(net->params); i++) {
        const struct param *p = params_at(net->params, i);
        double want = 1; /* the bias */

        if (begins(p->name, "x1.") || begins(p->name, "fusion.x1."))
            want = off[0];
        if (begins(p->name, "x2.") || begins(p->name, "fusion.x2."))
            want = off[1];
        for (int64_t k = 0; k < p->count && p->kind == PARAM_WEIGHT; k++)
            assert_float_equal(p->data[k] - initial[p->offset + (size_t)k], want, 1e-5);
    }
}

/* Before the epochs that are multiples of dnr.every, at most dnr.times times, once each, by
 * tanh(alpha |gap|); the released code's other features change the first modality's alone. */
static void test_when_and_how_far(void **state)
{
    struct data *d[XOR_SPLITS];
    double first[2][2];

    (void)state;
    make_data(d);
    for (int last = 0; last < 2; last++) {
        struct trainer_options o = run_options(d);
        double off[2] = {1, 1}, w[2];
        struct trainer *t = NULL;
        struct network *net;
        struct err e = {0};
        int64_t left;
        float *initial;
        int resets = 0;
        size_t count;

        o.config.dnr_features = last ? DNR_LAST : DNR_OWN;
        o.steps_left = &left;
        ASSERT_OK(trainer_open(&t, &o, &e), e);
        net = trainer_network(t);
        count = params_block_count(net->params);
        initial = malloc(count * sizeof *initial);
        assert_non_null(initial);
        memcpy(initial, params_value_block(net->params), count * sizeof *initial);
        for (int i = 0; i < params_count(net->params); i++)
            for (int64_t k = 0; k < params_at(net->params, i)->count; k++)
                params_at(net->params, i)->data[k] += 1;
        for (int epoch = 0; epoch < EPOCHS; epoch++) {
            strengths(&o, net, w);
            if (epoch == 2 || epoch == 4) {
                for (int m = 0; m < 2; m++)
                    off[m] *= 1 - w[m];
                resets++;
            }
            if (epoch == 2)
                memcpy(first[last], w, sizeof w);
            assert_true(train_on(t, &left, 1)); /* the reset, and a step */
            assert_off(net, initial, off);
            assert_true(train_on(t, &left, STEPS - 1));
            assert_off(net, initial, off);
        }
        assert_false(train_on(t, &left, 1)); /* the last validation */
        assert_int_equal(resets, 2);
        assert_true(off[0] < 0.95 && off[1] < 0.95);
        free(initial);
        trainer_close(t);
    }
    assert_true(first[0][0] != first[1][0] && first[0][1] == first[1][1]);
    free_data(d);
}

/* ---- the epoch after a reset in evaluation mode ---- */

/* A column of epochs.csv: EPOCHS numbers. */
static void column(const char *csv, const char *name, double *out)
{
    char copy[64 * 1024], *line, *rest = NULL, *cell, *inner = NULL;
    int at = -1, rows = 0;

    assert_true(strlen(csv) < sizeof copy);
    strcpy(copy, csv);
    line = strtok_r(copy, "\n", &rest);
    cell = strtok_r(line, ",", &inner);
    for (int k = 0; cell != NULL; k++, cell = strtok_r(NULL, ",", &inner))
        if (strcmp(cell, name) == 0)
            at = k;
    assert_true(at >= 0);
    while ((line = strtok_r(NULL, "\n", &rest)) != NULL) {
        for (int k = 0; k < at; k++)
            line = strchr(line, ',') + 1;
        out[rows++] = strtod(line, NULL);
    }
    assert_int_equal(rows, EPOCHS);
}

static void losses(struct data *const d[XOR_SPLITS], double dropout, bool eval_epoch,
                   double out[EPOCHS])
{
    struct trainer_options o = run_options(d);
    struct trainer *t = NULL;
    struct err e = {0};

    o.config.dropout = dropout;
    o.config.dnr_eval_epoch = eval_epoch;
    ASSERT_OK(trainer_open(&t, &o, &e), e);
    ASSERT_OK(trainer_train(t, &e), e);
    column(trainer_epochs_csv(t), "loss", out);
    trainer_close(t);
}

/* No dropout in the epochs after a reset, and only there; the weights never change here. */
static void test_eval_epoch_has_no_dropout(void **state)
{
    struct data *d[XOR_SPLITS];
    double still[EPOCHS], dropped[EPOCHS], released[EPOCHS];

    (void)state;
    make_data(d);
    losses(d, 0, false, still);
    losses(d, 0.5, false, dropped);
    losses(d, 0.5, true, released);
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        bool after_reset = epoch == 2 || epoch == 4;

        assert_true(dropped[epoch] != still[epoch]);
        assert_true(released[epoch] == (after_reset ? still : dropped)[epoch]);
    }
    free_data(d);
}

static float *copy_of(const struct param *p)
{
    float *copy = malloc((size_t)p->count * sizeof *copy);

    assert_non_null(copy);
    memcpy(copy, p->data, (size_t)p->count * sizeof *copy);
    return copy;
}

/* Running statistics stand still in such an epoch, weights do not. */
static void test_eval_epoch_keeps_statistics(void **state)
{
    char *dir = scratch_path(*state, "drawn"), *path = scratch_path(*state, "drawn/data");
    struct data *train = NULL, *val = NULL;
    struct trainer_options o = {.method = &method_dnr, .seed = 3, .jobs = 1, .log = &quiet};
    struct trainer *t = NULL;
    struct err e = {0};
    int64_t left;

    ASSERT_OK(drawn_dataset_make(dir, &drawn_options_default, &e), e);
    ASSERT_OK(data_open(&train, path, "train", NULL, &e), e);
    ASSERT_OK(data_open(&val, path, "val", NULL, &e), e);
    rig_config(&o.config, "demo", "dnr", NULL);
    o.config.audio_pool = 4;
    o.config.video_size = 32;
    o.config.batch = data_count(train); /* a step is an epoch */
    o.config.epochs = 4;
    o.config.dnr_every = 1;
    o.config.dnr_times = 1;
    o.config.dnr_eval_epoch = true;
    o.train = train;
    o.val = val;
    o.steps_left = &left;
    ASSERT_OK(trainer_open(&t, &o, &e), e);
    for (int epoch = 0; epoch < 4; epoch++) {
        struct params *ps = trainer_network(t)->params;
        const struct param *mean = params_find(ps, "video.layer2.0.bn1.running_mean");
        const struct param *var = params_find(ps, "audio.bn1.running_var");
        const struct param *weight = params_find(ps, "video.conv1.weight");
        float *old_mean = copy_of(mean), *old_var = copy_of(var), *old = copy_of(weight);
        bool still;

        assert_true(train_on(t, &left, 1));
        still = memcmp(old_mean, mean->data, (size_t)mean->count * sizeof(float)) == 0 &&
                memcmp(old_var, var->data, (size_t)var->count * sizeof(float)) == 0;
        assert_true(still == (epoch == 1));
        assert_true(memcmp(old, weight->data, (size_t)weight->count * sizeof(float)) != 0);
        free(old_mean);
        free(old_var);
        free(old);
    }
    trainer_close(t);
    data_close(train);
    data_close(val);
    free(dir);
    free(path);
}

/* ---- going on ---- */

static char *path_in(const char *dir, const char *name)
{
    struct err e = {0};
    char *path = NULL;

    ASSERT_OK(path_join(&path, dir, name, &e), e);
    return path;
}

/* A finished run of one epoch, as the folder that others take their encoders from. */
static void train_start(const char *dir, struct data *const d[XOR_SPLITS])
{
    struct trainer_options o = run_options(d);
    struct run_summary s;
    struct err e = {0};

    o.seed = 8;
    o.config.epochs = 1;
    o.dir = dir;
    ASSERT_OK(dir_make(dir, &e), e);
    ASSERT_OK(trainer_run(&o, &s, &e), e);
}

/* A run that stopped where an epoch with a reset begins resets once, and towards what the run
 * started from: here other encoders than its seed gives. */
static void test_resume_at_a_reset(void **state)
{
    static const char *const files[] = {"last.safetensors", "best.safetensors", "epochs.csv",
                                        "metrics.jsonl"};
    char *whole = scratch_path(*state, "whole"), *pieces = scratch_path(*state, "pieces");
    char *start = scratch_path(*state, "start");
    struct data *d[XOR_SPLITS];
    struct run_summary s;
    struct err e = {0};

    make_data(d);
    train_start(start, d);
    for (int i = 0; i < 2; i++) {
        struct trainer_options o = run_options(d);
        int64_t left = INT64_MAX;

        o.config.lr = 0.01;
        o.config.checkpoint_epochs = 1;
        o.unimodal[0] = o.unimodal[1] = start;
        o.dir = i == 0 ? whole : pieces;
        o.steps_left = &left;
        ASSERT_OK(dir_make(o.dir, &e), e);
        for (int64_t stop = 2; i == 1 && stop <= 4; stop += 2) { /* epochs */
            left = 2 * STEPS;
            assert_int_equal(trainer_run(&o, &s, &e), ERR_STOPPED);
            assert_int_equal(left, 0);
            err_clear(&e);
            o.resume = true;
            left = 0; /* asked to stop before the reset */
            assert_int_equal(trainer_run(&o, &s, &e), ERR_STOPPED);
            err_clear(&e);
        }
        left = INT64_MAX;
        ASSERT_OK(trainer_run(&o, &s, &e), e);
        assert_int_equal(s.state.epoch, EPOCHS);
    }
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *a = path_in(whole, files[i]), *b = path_in(pieces, files[i]);

        assert_same_file(a, b);
        free(a);
        free(b);
    }
    free_data(d);
    free(start);
    free(whole);
    free(pieces);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_features),
        cmocka_unit_test(test_purity),
        cmocka_unit_test_setup_teardown(test_reset, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_when_and_how_far),
        cmocka_unit_test(test_eval_epoch_has_no_dropout),
        cmocka_unit_test_setup_teardown(test_eval_epoch_keeps_statistics, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(test_resume_at_a_reset, scratch_setup, scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
