/* SPDX-License-Identifier: MIT */
#include "common/base/file.h"
#include "common/data/xor.h"
#include "tests/support/check.h"
#include "tests/support/malloc_count.h"
#include "tests/support/scratch.h"
#include "tests/support/step_rig.h"
#include "train/trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A training step allocates nothing once its like has been seen: whole runs of the trainer make the
 * same number of allocations however many steps their epochs have. */

enum { BATCH = 128, EPOCHS = 2, REST = 44 };
/* Batches of two sizes, a full one and the last one, in the short run as in the long one. */
static const int64_t SAMPLES[] = {2 * BATCH + REST, 9 * BATCH + REST};

static const struct {
    const char *task, *preset, *method, *mask, *set[4];
} CASES[] = {
    {"spurious:0.6", "xor-spurious", "vanilla", NULL, {NULL}},
    {"spurious:0.6", "xor-spurious", "synib", "random", {NULL}},
    {"spurious:0.6", "xor-spurious", "synib", "random", {"mask.fill=ema", "model.layernorm=true"}},
    {"spurious:0.6", "xor-spurious", "synib", "random", {"mask.fill=shuffle", "mask.space=latent"}},
    {"spurious:0.6", "xor-spurious", "synib", "learned", {NULL}},
    {"spurious:0.6", "xor-spurious", "synib", "learned", {"mask.space=latent"}},
    {"spurious:0.6", "xor-spurious", "synib", "learned-mlp", {NULL}},
    {"spurious:0.6", "xor-spurious", "synib", "oracle", {NULL}},
    {"spurious:0.6", "xor-spurious", "synib", "none", {"synib.masked_ce=1", "synib.detach=true"}},
    {"spurious:0.6", "xor-spurious", "masking-only", "random", {NULL}},
    {"spurious:0.6", "xor-spurious", "masking-only", "oracle", {"masking.copies=2"}},
    {"spurious3:0.6", "xor-spurious", "synib", "random", {"synib.reference=unimodal-unmasked"}},
    {"pid:0.25,0.25,0.25,0.25", "xor-pid", "vanilla", NULL, {"diag.ntk=1"}},
    {"pid:0.3,0.3,0.2,0.2", "xor-pid", "synib", "oracle", {NULL}}, /* rows masked: of each batch */
    {"pid:0.25,0.25,0.25,0.25", "xor-pid", "synib", "learned", {"diag.ntk=1", "mask.steps=3"}},
    {"regression:1", "xor-regression", "synib", "random", {"select.metric=loss"}},
    {"spurious:0.6", "xor-spurious", "dnr", NULL, {"dnr.times=0"}}, /* resets read the split */
    {"spurious:0.6", "xor-spurious", "mmpareto", NULL, {NULL}},
    {"regression:1", "xor-regression", "mmpareto", NULL, {"select.metric=loss"}},
    {"spurious:0.6", "xor-spurious", "reconboost", NULL, {"reconboost.epochs=1"}},
    {"spurious:0.6", "xor-spurious", "mcr", NULL, {"mcr.permutations=4"}},
    {"spurious3:0.6", "xor-spurious", "mcr", NULL, {"mcr.permutations=4", "model.fusion=trunk"}},
    {"spurious:0.6",
     "xor-spurious",
     "mcr",
     NULL,
     {"mcr.permutations=4", "mcr.shuffle=other-label"}},
    {"spurious:0.6",
     "xor-spurious",
     "mcr",
     NULL,
     {"mcr.permutations=4", "mcr.shuffle=other-sample"}},
};

static const struct log quiet = {.tool = "test", .level = LOG_QUIET};

static void settings_of(struct config *c, size_t which)
{
    struct err e = {0};

    rig_config(c, CASES[which].preset, CASES[which].method, CASES[which].mask);
    if (strcmp(CASES[which].preset, "xor-pid") == 0)
        rig_shrink(c);
    c->batch = BATCH;
    c->epochs = EPOCHS;
    for (int i = 0; CASES[which].set[i] != NULL; i++)
        ASSERT_OK(config_set(c, CASES[which].set[i], &e), e);
    ASSERT_OK(config_check(c, &e), e);
}

static void make_data(struct data *out[XOR_SPLITS], const char *task, int64_t train)
{
    struct vectors v[XOR_SPLITS];
    struct xor_options o;
    struct err e = {0};

    ASSERT_OK(xor_parse(&o, task, &e), e);
    o.count[XOR_TRAIN] = train;
    o.count[XOR_VAL] = 100;
    o.count[XOR_TEST] = 1;
    ASSERT_OK(xor_make(v, &o, &e), e);
    for (int s = 0; s < XOR_SPLITS; s++)
        ASSERT_OK(data_of_vectors(&out[s], &v[s], &e), e);
}

/* Allocations of a run in a folder. */
static long count_run(void *const *state, size_t which, int64_t train, int jobs)
{
    struct data *data[XOR_SPLITS] = {0};
    struct run_places places = {0};
    struct run_summary summary;
    struct trainer_options o = {.seed = 3, .jobs = jobs, .places = &places, .log = &quiet};
    char name[64], *dir;
    struct err e = {0};
    long before, after;

    snprintf(name, sizeof name, "run-%zu-%d-%d", which, (int)train, jobs);
    dir = scratch_path(*state, name);
    ASSERT_OK(dir_make(dir, &e), e);
    ASSERT_OK(method_find(&o.method, CASES[which].method, &e), e);
    settings_of(&o.config, which);
    make_data(data, CASES[which].task, train);
    o.train = data[XOR_TRAIN];
    o.val = data[XOR_VAL];
    o.dir = dir;
    before = malloc_count();
    ASSERT_OK(trainer_run(&o, &summary, &e), e);
    after = malloc_count();
    assert_int_equal(summary.state.step, EPOCHS * (train / BATCH + 1));
    for (int s = 0; s < XOR_SPLITS; s++)
        data_close(data[s]);
    free(dir);
    return after - before;
}

static void test_steps_allocate_nothing(void **state)
{
    if (malloc_count() < 0) {
        print_message("skipped: a sanitizer owns the allocator\n");
        skip();
    }
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        for (int jobs = 1; jobs <= 2; jobs++) {
            long few = count_run(state, i, SAMPLES[0], jobs);
            long many = count_run(state, i, SAMPLES[1], jobs);

            assert_true(few > 0);
            if (few != many)
                fail_msg("%s %s %s %s, %d threads: %ld allocations in %d steps, %ld in %d",
                         CASES[i].task, CASES[i].method, CASES[i].mask != NULL ? CASES[i].mask : "",
                         CASES[i].set[1] != NULL ? CASES[i].set[1] : "", jobs, few,
                         (int)(EPOCHS * (SAMPLES[0] / BATCH + 1)), many,
                         (int)(EPOCHS * (SAMPLES[1] / BATCH + 1)));
        }
}

/* The counter sees allocations of this program, here and in other libraries of the project. */
static void test_counter_counts(void **state)
{
    struct err e = {0};
    long before = malloc_count();
    void *volatile block;
    char *path = NULL;

    (void)state;
    if (before < 0) {
        print_message("skipped: a sanitizer owns the allocator\n");
        skip();
    }
    block = malloc(10);
    assert_int_equal(malloc_count(), before + 1);
    free(block);
    ASSERT_OK(path_join(&path, "a", "b", &e), e);
    assert_true(malloc_count() > before + 1);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counter_counts),
        cmocka_unit_test_setup_teardown(test_steps_allocate_nothing, scratch_setup,
                                        scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
