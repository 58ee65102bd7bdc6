/* SPDX-License-Identifier: MIT */
#include "tests/support/check.h"
#include "tests/support/drawn_dataset.h"
#include "tests/support/malloc_count.h"
#include "tests/support/scratch.h"
#include "tests/support/step_rig.h"
#include "train/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What pictures and sound add to the tests of tests/unit/test_baselines.c and test_mcr.c: running
 * statistics, memory (of vectors: test_step_memory.c), and the ensemble. */

enum { N = 5 };

static void media_config(struct config *c, const char *method)
{
    rig_config(c, "demo", method, NULL);
    c->audio_pool = 4;
    c->video_size = 32;
}

static char *drawn(void **state, struct config *c, const char *method)
{
    char *dir = scratch_path(*state, "drawn");
    struct err e = {0};

    ASSERT_OK(drawn_dataset_make(dir, &drawn_options_default, &e), e);
    media_config(c, method);
    return dir;
}

/* All buffers, one after the other; returns how many numbers. */
static size_t statistics(const struct step_rig *r, const char *prefix, float *out)
{
    size_t n = 0;

    for (int i = 0; i < params_count(r->net.params); i++) {
        const struct param *p = params_at(r->net.params, i);

        if (p->kind != PARAM_BUFFER || strncmp(p->name, prefix, strlen(prefix)) != 0)
            continue;
        if (out != NULL)
            memcpy(out + n, p->data, (size_t)p->count * sizeof *out);
        n += (size_t)p->count;
    }
    assert_true(n > 0);
    return n;
}

static float *copy_of_statistics(const struct step_rig *r, const char *prefix, size_t *n)
{
    float *copy = malloc(statistics(r, prefix, NULL) * sizeof *copy);

    assert_non_null(copy);
    *n = statistics(r, prefix, copy);
    return copy;
}

/* MCR's second forward pass, in evaluation mode, leaves the running statistics to the first. */
static void test_mcr_statistics(void **state)
{
    float *moved[2];
    double gradient[2];
    size_t n[2];
    struct config c;
    char *dir = drawn(state, &c, "mcr");

    c.mcr_contrastive = 0;
    c.mcr_weight = 10;
    for (int i = 0; i < 2; i++) {
        struct step_rig r;

        rig_open_media(&r, i == 0 ? &method_vanilla : &method_mcr, &c, dir, N);
        for (uint32_t step = 0; step < 3; step++)
            rig_step(&r, step, 0);
        moved[i] = copy_of_statistics(&r, "", &n[i]);
        gradient[i] = rig_gradient(&r, "audio.conv1.weight");
        assert_true(i == 0 || r.report.value[VALUE_GAME] > 0);
        rig_close(&r);
    }
    assert_int_equal(n[0], n[1]);
    assert_memory_equal(moved[0], moved[1], n[0] * sizeof *moved[0]);
    assert_true(gradient[1] > 0 && gradient[1] != gradient[0]);
    free(moved[0]);
    free(moved[1]);
    free(dir);
}

/* In the audio's stage the video encoder keeps its weights, its running statistics move. */
static void test_reconboost_statistics(void **state)
{
    struct step_rig r;
    struct config c;
    char *dir = drawn(state, &c, "reconboost");
    float *before, *after;
    size_t n;

    rig_open_media(&r, &method_reconboost, &c, dir, N);
    before = copy_of_statistics(&r, "video.", &n);
    rig_step(&r, 0, 0);
    after = copy_of_statistics(&r, "video.", &n);
    assert_true(memcmp(before, after, n * sizeof *after) != 0);
    assert_true(rig_gradient(&r, "video.") == 0 && rig_gradient(&r, "audio.conv1") > 0);
    assert_true(params_find(r.net.params, "video.conv1.weight")->frozen);
    free(before);
    free(after);
    rig_close(&r);
    free(dir);
}

/* Once two steps have been seen, further ones allocate nothing: ReconBoost's stages and MCR's pairs
 * of rows among them. */
static void test_steps_allocate_nothing(void **state)
{
    static const struct method *const baselines[] = {&method_dnr, &method_mmpareto,
                                                     &method_reconboost, &method_mcr};
    struct config c;
    char *dir;

    if (malloc_count() < 0) {
        print_message("skipped: a sanitizer owns the allocator\n");
        skip();
    }
    dir = drawn(state, &c, "dnr");
    for (size_t i = 0; i < sizeof baselines / sizeof baselines[0]; i++) {
        struct step_rig r;
        long before;

        media_config(&c, baselines[i]->name);
        c.mcr_shuffle = SHUFFLE_OTHER_LABEL;
        c.mcr_permutations = 4;
        rig_open_media(&r, baselines[i], &c, dir, N);
        for (int64_t epoch = 0; epoch < 4; epoch++)
            rig_step(&r, (uint32_t)epoch, epoch);
        before = malloc_count();
        for (int64_t epoch = 4; epoch < 10; epoch++)
            rig_step(&r, (uint32_t)epoch, epoch);
        if (malloc_count() != before)
            fail_msg("%s: %ld allocations", baselines[i]->name, malloc_count() - before);
        rig_close(&r);
    }
    free(dir);
}

/* ---- ensemble ---- */

/* Predictions of the first n clips in one batch, and the heads' logits. */
static void predict(const struct config *c, const char *dir, int n, float *out,
                    double u[2][N * N_LABELS])
{
    struct step_rig r;
    struct err e = {0};

    rig_open_media(&r, &method_ensemble, c, dir, n);
    tape_begin(r.net.tape, PASS_EVALUATION);
    r.step = network_encode(&r.net, &r.batch, 0, 0);
    method_ensemble.predict(&r.step, out);
    ASSERT_OK(tape_error(r.net.tape, &e), e);
    for (int m = 0; m < 2; m++)
        ref_row(r.step.features.unimodal[m]->data, n * N_LABELS, 0, u[m]);
    rig_close(&r);
}

/* (x - mean) / deviation over all values, the deviation with one degree of freedom less. */
static void standardise(int count, double *x)
{
    double mean = 0, squares = 0;

    for (int i = 0; i < count; i++)
        mean += x[i] / count;
    for (int i = 0; i < count; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    for (int i = 0; i < count; i++)
        x[i] = (x[i] - mean) / sqrt(squares / (count - 1));
}

/* R section 6.2: the mean of both probabilities, whatever else is in the batch; or the sum of
 * standardised logits, which depends on it. */
static void test_ensemble(void **state)
{
    double u[2][N * N_LABELS], fewer_u[2][N * N_LABELS];
    float whole[N * N_LABELS], fewer[N * N_LABELS];
    struct config c;
    char *dir = drawn(state, &c, "ensemble");

    for (int on = 0; on < 2; on++) {
        c.standardise = on;
        predict(&c, dir, N, whole, u);
        predict(&c, dir, N - 2, fewer, fewer_u);
        assert_true((memcmp(whole, fewer, (N - 2) * N_LABELS * sizeof *fewer) == 0) == (on == 0));
        assert_float_equal(u[0][1], fewer_u[0][1], 1e-6); /* not because the heads do */
        for (int m = 0; m < 2 && on; m++)
            standardise(N * N_LABELS, u[m]);
        for (int i = 0; i < N; i++) {
            double sum[3] = {0}, *a = u[0] + i * N_LABELS, *v = u[1] + i * N_LABELS;

            for (int k = 0; k < N_LABELS; k++) {
                sum[0] += exp(a[k]);
                sum[1] += exp(v[k]);
                sum[2] += exp(a[k] + v[k]);
            }
            for (int k = 0; k < N_LABELS; k++)
                assert_float_equal(exp((double)whole[i * N_LABELS + k]),
                                   on ? exp(a[k] + v[k]) / sum[2]
                                      : (exp(a[k]) / sum[0] + exp(v[k]) / sum[1]) / 2,
                                   1e-6);
        }
    }
    free(dir);
}

/* A pass over a split goes in batches of ensemble.batch, not of training's: its first one is that
 * of the test above. */
static void test_ensemble_batches(void **state)
{
    double u[2][N * N_LABELS];
    float first[N * N_LABELS];
    struct loader *loader = NULL;
    struct loader_options o;
    struct evaluation ev;
    struct step_rig r;
    struct config c;
    struct err e = {0};
    char *dir = drawn(state, &c, "ensemble");

    c.standardise = true;
    c.ensemble_batch = N;
    c.batch = c.pretrain_batch = N - 2;
    c.augment = false; /* the rig loads as training does */
    predict(&c, dir, N, first, u);
    rig_open_media(&r, &method_ensemble, &c, dir, N);
    o = method_loader(&method_ensemble, &c, r.data, false, 3, 1);
    ASSERT_OK(loader_new(&loader, r.data, &o, &e), e);
    ASSERT_OK(evaluate(&ev, &r.net, loader, r.data, true, NULL, &e), e);
    assert_true(ev.n > 2 * N && ev.width == N_LABELS);
    for (int k = 0; k < N * N_LABELS; k++)
        assert_float_equal(ev.readout[k], exp((double)first[k]), 1e-6);
    evaluation_free(&ev);
    loader_free(loader);
    rig_close(&r);
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mcr_statistics, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_reconboost_statistics, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(test_steps_allocate_nothing, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(test_ensemble, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_ensemble_batches, scratch_setup, scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
