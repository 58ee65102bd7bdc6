/* SPDX-License-Identifier: MIT */
#include "common/data/xor.h"
#include "tests/support/check.h"
#include "tests/support/drawn_dataset.h"
#include "tests/support/scratch.h"
#include "tests/support/step_rig.h"
#include "train/methods/dnr.h"
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What methods do around their steps: D&R's resets between epochs, ReconBoost's stages, MCR's
 * second pass of the encoders, the ensemble's standardised logits. */

enum { TRAIN = 24, VAL = 12, BATCH = 8, N = 6 };

static const struct log quiet = {.tool = "test", .level = LOG_QUIET};

/* ---- runs in memory ---- */

struct run {
    struct data *data[XOR_SPLITS];
    struct trainer_options opt;
    struct trainer *trainer;
};

static void run_data(struct run *r, const char *task)
{
    struct vectors v[XOR_SPLITS];
    struct xor_options o;
    struct err e = {0};

    ASSERT_OK(xor_parse(&o, task, &e), e);
    o.seed = 4;
    o.count[XOR_TRAIN] = TRAIN;
    o.count[XOR_VAL] = VAL;
    o.count[XOR_TEST] = 1;
    ASSERT_OK(xor_make(v, &o, &e), e);
    for (int s = 0; s < XOR_SPLITS; s++)
        ASSERT_OK(data_of_vectors(&r->data[s], &v[s], &e), e);
}

/* Trains `epochs` epochs of a small model; set: NULL-terminated. */
static void run_open(struct run *r, const char *task, const char *method, int epochs,
                     const char *const *set)
{
    struct err e = {0};

    memset(r, 0, sizeof *r);
    run_data(r, task);
    r->opt = (struct trainer_options){
        .seed = 3, .jobs = 1, .train = r->data[XOR_TRAIN], .val = r->data[XOR_VAL], .log = &quiet};
    ASSERT_OK(method_find(&r->opt.method, method, &e), e);
    rig_config(&r->opt.config, "xor-pid", method, NULL);
    rig_shrink(&r->opt.config);
    r->opt.config.batch = BATCH;
    r->opt.config.epochs = epochs;
    r->opt.config.select = SELECT_LAST;
    for (int i = 0; set != NULL && set[i] != NULL; i++)
        ASSERT_OK(config_set(&r->opt.config, set[i], &e), e);
    ASSERT_OK(trainer_open(&r->trainer, &r->opt, &e), e);
    ASSERT_OK(trainer_train(r->trainer, &e), e);
}

static void run_close(struct run *r)
{
    trainer_close(r->trainer);
    for (int s = 0; s < XOR_SPLITS; s++)
        data_close(r->data[s]);
}

/* Weights after `epochs` epochs; the caller frees. */
static float *weights_after(const char *task, const char *method, int epochs,
                            const char *const *set, size_t *count)
{
    struct run r;
    float *w;

    run_open(&r, task, method, epochs, set);
    *count = params_block_count(trainer_network(r.trainer)->params);
    w = malloc(*count * sizeof *w);
    assert_non_null(w);
    memcpy(w, params_value_block(trainer_network(r.trainer)->params), *count * sizeof *w);
    run_close(&r);
    return w;
}

/* ---- D&R ---- */

/* Features are scaled to [-1, 1], a constant one to 0, and purity is that of their clusters. */
static void test_purity(void **state)
{
    float raw[6 * 2] = {0, 5, 1, 5, 2, 5, 100, 5, 101, 5, 102, 5};
    int32_t label[6] = {0, 0, 1, 1, 1, 1};
    struct collected c = {.n = 6, .modalities = 1, .width = {2}, .raw = {raw}, .label = label};
    double purity;
    struct err e = {0};

    (void)state;
    ASSERT_OK(dnr_purity(&purity, &c, 0, 2, 2, 1, 1, &e), e);
    assert_float_equal(purity, 5.0 / 6, 1e-12);
    for (int i = 0; i < 6; i++) {
        assert_true(raw[2 * i + 1] == 0);
        assert_float_equal(raw[2 * i], 2 * (i % 3 + (i > 2 ? 100 : 0)) / 102.0 - 1, 1e-6);
    }
    ASSERT_FAILS(dnr_purity(&purity, &c, 0, 7, 2, 1, 1, &e), e, ERR_DATA, "7 clusters");
}

static bool is_of(const struct param *p, const char *modality)
{
    char own[32], share[32];

    snprintf(own, sizeof own, "%s.", modality);
    snprintf(share, sizeof share, "fusion.%s.", modality);
    return strncmp(p->name, own, strlen(own)) == 0 || strncmp(p->name, share, strlen(share)) == 0;
}

/* Encoder, head and fusion matrix of one modality move by w towards the initial weights; nothing
 * else does. */
static void test_reset(void **state)
{
    struct step_rig r;
    struct config c;
    float *initial, *before;
    size_t count;
    int moved = 0;

    (void)state;
    rig_config(&c, "xor-pid", "dnr", NULL);
    rig_shrink(&c);
    rig_open(&r, &method_dnr, &c, "pid:0.25,0.25,0.25,0.25", N);
    count = params_block_count(r.net.params);
    initial = malloc(count * sizeof *initial);
    before = malloc(count * sizeof *before);
    assert_true(initial != NULL && before != NULL);
    for (size_t i = 0; i < count; i++)
        initial[i] = (float)(i % 17) - 8;
    memcpy(before, params_value_block(r.net.params), count * sizeof *before);
    dnr_reset(&r.net, 1, 0.25, initial);
    for (int i = 0; i < params_count(r.net.params); i++) {
        const struct param *p = params_at(r.net.params, i);

        for (int64_t k = 0; k < p->count; k++) {
            size_t at = p->offset + (size_t)k;
            double want = is_of(p, "x2") ? 0.25 * (double)initial[at] + 0.75 * (double)before[at]
                                         : (double)before[at];

            assert_float_equal(p->data[k], want, 1e-6);
            moved += p->data[k] != before[at];
        }
    }
    assert_true(moved > 100);
    free(initial);
    free(before);
    rig_close(&r);
}

/* Resets before epochs every + 1, 2 every + 1, ... and at most `times` of them. */
static void test_when(void **state)
{
    static const struct {
        const char *set[3];
        int first, last; /* epochs before which there are resets, counting those done */
    } cases[] = {
        {{"dnr.every=2", "dnr.times=1", NULL}, 2, 2},
        {{"dnr.every=1", "dnr.times=2", NULL}, 1, 2},
        {{"dnr.every=3", "dnr.times=5", NULL}, 3, 3},
        {{"dnr.every=1", "dnr.times=0", NULL}, 9, 9},
    };
    enum { EPOCHS = 4 };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int epochs = 1; epochs <= EPOCHS; epochs++) {
            static const char *const never[] = {"dnr.times=0", NULL};
            size_t count;
            float *with =
                weights_after("pid:0.25,0.25,0.25,0.25", "dnr", epochs, cases[i].set, &count);
            float *without = weights_after("pid:0.25,0.25,0.25,0.25", "dnr", epochs, never, &count);
            bool same = memcmp(with, without, count * sizeof *with) == 0;

            assert_true(same == (epochs <= cases[i].first));
            free(with);
            free(without);
        }
}

/* The released code's faults are settings that change what happens. */
static void test_released_faults(void **state)
{
    static const char *const sets[][4] = {
        {"dnr.every=1", "dnr.times=1", NULL},
        {"dnr.every=1", "dnr.times=1", "dnr.val_features=last", NULL},
        {"dnr.every=1", "dnr.times=1", "dnr.eval_epoch=true", NULL},
    };
    const struct method *m = &method_dnr;
    struct config c;
    size_t count;
    float *w[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        w[i] = weights_after("pid:0.5,0,0.25,0.25", "dnr", 2, sets[i], &count);
    assert_memory_not_equal(w[0], w[1], count * sizeof(float));
    /* no batch norm and no dropout here: evaluation mode is training mode */
    assert_memory_equal(w[0], w[2], count * sizeof(float));
    for (int i = 0; i < 3; i++)
        free(w[i]);
    rig_config(&c, "xor-pid", "dnr", NULL);
    c.dnr_every = 3;
    c.dnr_times = 2;
    for (int epoch = 0; epoch < 12; epoch++) {
        c.dnr_eval_epoch = false;
        assert_int_equal(m->stage(&c, NULL, NULL, epoch), PASS_TRAINING);
        c.dnr_eval_epoch = true;
        assert_int_equal(m->stage(&c, NULL, NULL, epoch),
                         epoch == 3 || epoch == 6 ? PASS_EVALUATION : PASS_TRAINING);
    }
}

/* ---- ReconBoost ---- */

/* Which modality's weights an epoch moves, as bits; fusion by sum has no others. */
static int moved_in(const char *task, int epoch)
{
    static const char *const set[] = {"reconboost.epochs=2", NULL};
    size_t count;
    float *after = weights_after(task, "reconboost", epoch + 1, set, &count), *before = NULL;
    struct run r;
    int moved = 0;

    run_open(&r, task, "reconboost", epoch > 0 ? epoch : 1, set);
    if (epoch > 0)
        before = params_value_block(trainer_network(r.trainer)->params);
    for (int i = 0; i < params_count(trainer_network(r.trainer)->params) && before != NULL; i++) {
        const struct param *p = params_at(trainer_network(r.trainer)->params, i);

        if (memcmp(before + p->offset, after + p->offset, (size_t)p->count * sizeof(float)) != 0)
            moved |= 1 << (p->name[1] - '1');
    }
    run_close(&r);
    free(after);
    return moved;
}

static void test_reconboost_order(void **state)
{
    (void)state;
    for (int epoch = 1; epoch < 10; epoch++) { /* x1 x1 all all x2 x2 all all x1 x1 */
        int stage = epoch / 2;
        int want = stage % 2 == 1 ? 3 : 1 << (stage / 2 % 2);

        assert_int_equal(moved_in("pid:0.25,0.25,0.25,0.25", epoch), want);
    }
    assert_int_equal(moved_in("spurious3:0.5", 5), 1 << 1);
    assert_int_equal(moved_in("spurious3:0.5", 8), 1 << 2);
    assert_int_equal(moved_in("spurious3:0.5", 12), 1 << 0);
}

/* ---- pictures and sound ---- */

static char *drawn(void **state)
{
    struct drawn_options o = drawn_options_default;
    char *dir = scratch_path(*state, "drawn");
    struct err e = {0};

    ASSERT_OK(drawn_dataset_make(dir, &o, &e), e);
    return dir;
}

static void media_config(struct config *c, const char *method)
{
    rig_config(c, "demo", method, NULL);
    c->audio_pool = 1;
    c->video_size = 32;
    c->dropout = 0;
    c->mcr_permutations = 2;
}

static float *running_mean(struct step_rig *r, int64_t *count)
{
    const struct param *p = params_find(r->net.params, "audio.bn1.running_mean");
    float *copy;

    assert_non_null(p);
    *count = p->count;
    copy = malloc((size_t)p->count * sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, p->data, (size_t)p->count * sizeof *copy);
    return copy;
}

/* MCR's second pass uses the running statistics and does not touch them; an epoch of D&R in
 * evaluation mode does neither, and still trains the encoders. */
static void test_evaluation_passes(void **state)
{
    char *dir = drawn(state);
    float *mean[3];
    int64_t count;
    struct step_rig r;
    struct config c;

    for (int i = 0; i < 3; i++) {
        media_config(&c, i < 2 ? "mcr" : "dnr");
        c.mcr_weight = i == 0 ? 0 : 1;
        c.dnr_every = c.dnr_times = 1;
        c.dnr_eval_epoch = true;
        rig_open_media(&r, i < 2 ? &method_mcr : &method_dnr, &c, dir, N);
        if (i == 2) {
            rig_step(&r, 0, 1);
            mean[2] = running_mean(&r, &count);
            for (int64_t k = 0; k < count; k++)
                assert_true(mean[2][k] == 0);
            assert_true(rig_gradient(&r, "audio.conv1") > 0);
        } else {
            rig_step(&r, 0, 0);
            mean[i] = running_mean(&r, &count);
        }
        rig_close(&r);
    }
    assert_memory_equal(mean[0], mean[1], (size_t)count * sizeof(float));
    assert_memory_not_equal(mean[0], mean[2], (size_t)count * sizeof(float));
    for (int i = 0; i < 3; i++)
        free(mean[i]);
    free(dir);
}

/* Logits minus mean, by the unbiased deviation, of the batch; then their sum's log softmax. */
static void test_standardised_ensemble(void **state)
{
    enum { ALL = N * N_LABELS };
    char *dir = drawn(state);
    float got[ALL];
    double sum[ALL] = {0};
    struct step_rig r;
    struct config c;
    struct err e = {0};

    media_config(&c, "ensemble");
    c.standardise = 1;
    rig_open_media(&r, &method_ensemble, &c, dir, N);
    rig_encode(&r, 0);
    method_ensemble.predict(&r.step, got);
    ASSERT_OK(tape_error(r.net.tape, &e), e);
    for (int m = 0; m < 2; m++) {
        const float *u = r.step.features.unimodal[m]->data;
        double mean = 0, variance = 0;

        for (int i = 0; i < ALL; i++)
            mean += (double)u[i] / ALL;
        for (int i = 0; i < ALL; i++)
            variance += pow((double)u[i] - mean, 2) / (ALL - 1);
        for (int i = 0; i < ALL; i++)
            sum[i] += ((double)u[i] - mean) / sqrt(variance);
    }
    for (int i = 0; i < N; i++) {
        double norm = 0;

        for (int k = 0; k < N_LABELS; k++)
            norm += exp(sum[i * N_LABELS + k]);
        for (int k = 0; k < N_LABELS; k++)
            assert_float_equal(got[i * N_LABELS + k], sum[i * N_LABELS + k] - log(norm), 2e-5);
    }
    rig_close(&r);
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_purity),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_when),
        cmocka_unit_test(test_released_faults),
        cmocka_unit_test(test_reconboost_order),
        cmocka_unit_test_setup_teardown(test_evaluation_passes, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_standardised_ensemble, scratch_setup,
                                        scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
