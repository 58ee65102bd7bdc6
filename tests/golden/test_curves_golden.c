/* SPDX-License-Identifier: MIT */
#include "common/data/xor.h"
#include "tests/support/check.h"
#include "tests/support/drawn_dataset.h"
#include "tests/support/scratch.h"
#include "tests/support/step_rig.h"
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The training loss of every method, step by step: tests/golden/curves.tsv. A step is an epoch
 * here, so that stages, resets and warm-up are in the curves too. SYNIB_REGENERATE=1 writes the
 * file; say in the commit why it changed. */

enum { VECTOR_STEPS = 12, MEDIA_STEPS = 4, STEPS_MAX = 12, SAMPLES = 48 };

/* Largest difference, as a share of 1 + loss. Kernels add up in another order without AVX-512:
 * measured with DNNL_MAX_CPU_ISA=AVX2, 8.5e-4 on pictures and sound after four steps (Adam's first
 * steps magnify the smallest gradients), nothing on vectors. */
static const double VECTOR_BAR = 1e-4, MEDIA_BAR = 5e-3;

static const char *const golden = SOURCE_DIR "/tests/golden/curves.tsv";
static const struct log quiet = {.tool = "test", .level = LOG_QUIET};

static const struct curve_case {
    const char *method, *mask, *set[4];
} CASES[] = {
    {"vanilla", NULL, {NULL}},
    {"synib", "random", {"synib.warmup_epochs=3"}},
    {"synib", "learned", {"mask.steps=3"}},
    {"masking-only", "random", {NULL}},
    {"dnr", NULL, {"dnr.every=3"}},
    {"mmpareto", NULL, {NULL}},
    {"reconboost", NULL, {"reconboost.epochs=1"}},
    {"mcr", NULL, {"mcr.permutations=4", "mcr.weight=1"}},
    {"uni-audio", NULL, {NULL}}, /* pictures and sound alone */
    {"uni-video", NULL, {NULL}},
};
enum { N_CASES = sizeof CASES / sizeof CASES[0] };

struct place {
    bool media;
    struct data *train, *val;
};

static struct place open_vectors(void)
{
    struct place p = {0};
    struct vectors v[XOR_SPLITS];
    struct xor_options o = xor_defaults(XOR_PID);
    struct err e = {0};

    o.seed = 5;
    o.count[XOR_TRAIN] = o.count[XOR_VAL] = SAMPLES;
    o.count[XOR_TEST] = 1;
    ASSERT_OK(xor_make(v, &o, &e), e);
    ASSERT_OK(data_of_vectors(&p.train, &v[XOR_TRAIN], &e), e);
    ASSERT_OK(data_of_vectors(&p.val, &v[XOR_VAL], &e), e);
    vectors_free(&v[XOR_TEST]);
    return p;
}

static struct place open_media(void **state)
{
    struct place p = {.media = true};
    char *dir = scratch_path(*state, "drawn"), *data = scratch_path(*state, "drawn/data");
    struct err e = {0};

    ASSERT_OK(drawn_dataset_make(dir, &drawn_options_default, &e), e);
    ASSERT_OK(data_open(&p.train, data, "train", NULL, &e), e);
    ASSERT_OK(data_open(&p.val, data, "val", NULL, &e), e);
    free(dir);
    free(data);
    return p;
}

static void settings_of(struct config *c, const struct place *p, const struct curve_case *x)
{
    struct err e = {0};

    rig_config(c, p->media ? "demo" : "xor-pid", x->method, x->mask);
    if (p->media) {
        c->audio_pool = 4;
        c->video_size = 32;
        c->epochs = c->pretrain_epochs = MEDIA_STEPS;
        c->lr = c->pretrain_audio_lr = c->pretrain_video_lr = 1e-4;
    } else {
        rig_shrink(c);
        c->dropout = 0.1;
        c->epochs = VECTOR_STEPS;
        c->lr = 0.01;
    }
    c->batch = c->pretrain_batch = data_count(p->train);
    c->patience = c->pretrain_patience = 1000;
    for (int i = 0; x->set[i] != NULL; i++)
        ASSERT_OK(config_set(c, x->set[i], &e), e);
    ASSERT_OK(config_check(c, &e), e);
}

/* The column "loss" of epochs.csv, the fourth; returns how many numbers. */
static int read_losses(const char *csv, double *out)
{
    int n = 0;

    assert_true(strncmp(csv, "epoch,step,lr,loss,", 19) == 0);
    while ((csv = strchr(csv, '\n')) != NULL && *++csv != '\0') {
        const char *at = csv;

        for (int k = 0; k < 3; k++)
            at = strchr(at, ',') + 1;
        assert_true(n < STEPS_MAX);
        out[n++] = strtod(at, NULL);
    }
    return n;
}

static int train_case(const struct place *p, const struct curve_case *x, double *loss)
{
    struct trainer_options o = {
        .seed = 3, .jobs = 1, .train = p->train, .val = p->val, .log = &quiet};
    struct trainer *t = NULL;
    struct err e = {0};
    int n;

    ASSERT_OK(method_find(&o.method, x->method, &e), e);
    settings_of(&o.config, p, x);
    ASSERT_OK(trainer_open(&t, &o, &e), e);
    ASSERT_OK(trainer_train(t, &e), e);
    n = read_losses(trainer_epochs_csv(t), loss);
    assert_int_equal(n, p->media ? MEDIA_STEPS : VECTOR_STEPS);
    trainer_close(t);
    return n;
}

/* Moves on to the row of this case. */
static void find_row(FILE *f, const char *name, char line[1024])
{
    while (fgets(line, 1024, f) != NULL)
        if (line[0] != '#') {
            if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == '\t')
                return;
            break;
        }
    fail_msg("%s: no row %s where it should be", golden, name);
}

static void compare(FILE *f, const char *name, double bar, int n, const double *loss, double *worst)
{
    char line[1024], *at = line;

    find_row(f, name, line);
    at += strlen(name);
    for (int i = 0; i < n; i++) {
        double want = strtod(at, &at), off = fabs(loss[i] - want) / (1 + fabs(want));

        *worst = fmax(*worst, off);
        if (!(off <= bar))
            fail_msg("%s: step %d: %.9g instead of %.9g", name, i + 1, loss[i], want);
    }
    assert_true(*at == '\n');
}

static void write_row(FILE *f, const char *name, int n, const double *loss)
{
    fprintf(f, "%s", name);
    for (int i = 0; i < n; i++)
        fprintf(f, "\t%.9g", loss[i]);
    fprintf(f, "\n");
}

static void run_cases(FILE *f, const struct place *p, bool writes)
{
    double worst = 0;

    for (int i = 0; i < N_CASES; i++) {
        double loss[STEPS_MAX];
        char name[64];
        int n;

        if (strncmp(CASES[i].method, "uni-", 4) == 0 && !p->media)
            continue;
        snprintf(name, sizeof name, "%s-%s%s%s", p->media ? "media" : "vectors", CASES[i].method,
                 CASES[i].mask != NULL ? "-" : "", CASES[i].mask != NULL ? CASES[i].mask : "");
        n = train_case(p, &CASES[i], loss);
        if (writes)
            write_row(f, name, n, loss);
        else
            compare(f, name, p->media ? MEDIA_BAR : VECTOR_BAR, n, loss, &worst);
    }
    print_message("%s: largest difference %.1e\n", p->media ? "media" : "vectors", worst);
}

static void test_curves(void **state)
{
    bool writes = getenv("SYNIB_REGENERATE") != NULL;
    FILE *f = fopen(golden, writes ? "w" : "r");
    struct place place[] = {open_vectors(), open_media(state)};

    assert_non_null(f);
    if (writes)
        fprintf(f, "# made by tests/golden/test_curves_golden.c: a run, its loss step by step\n");
    for (int i = 0; i < 2; i++) {
        run_cases(f, &place[i], writes);
        data_close(place[i].train);
        data_close(place[i].val);
    }
    assert_int_equal(fclose(f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_curves, scratch_setup, scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
