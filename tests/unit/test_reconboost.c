/* SPDX-License-Identifier: MIT */
#include "common/data/xor.h"
#include "tests/support/check.h"
#include "tests/support/step_rig.h"
#include "train/trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Which weights move in which epoch of a run: R section 6.6. The losses of the stages are in
 * tests/unit/test_baselines.c. */

enum { N = 16 }; /* one batch: an epoch is a step */

static const struct log quiet = {.tool = "test", .level = LOG_QUIET};

/* 'a': all weights of the prefix moved, '-': none did, '?': some. */
static char moved(const struct params *ps, const char *prefix, const float *before)
{
    int changed = 0, same = 0;

    for (int i = 0; i < params_count(ps); i++) {
        const struct param *p = params_at(ps, i);

        if (p->kind != PARAM_WEIGHT || strncmp(p->name, prefix, strlen(prefix)) != 0)
            continue;
        if (memcmp(p->data, before + p->offset, (size_t)p->count * sizeof *before) != 0)
            changed++;
        else
            same++;
    }
    assert_true(changed + same > 0);
    return changed == 0 ? '-' : same == 0 ? 'a' : '?';
}

/* Which modalities moved, epoch after epoch: "a-" is the first one of two. */
static void assert_stages(const char *task, int64_t stage_epochs, const char *const *want)
{
    struct trainer_options o = {.method = &method_reconboost, .seed = 3, .jobs = 1, .log = &quiet};
    struct vectors v[XOR_SPLITS];
    struct data *d[XOR_SPLITS];
    struct trainer *t = NULL;
    struct xor_options x;
    struct err e = {0};
    int64_t left, epochs = 0;

    ASSERT_OK(xor_parse(&x, task, &e), e);
    x.count[XOR_TRAIN] = x.count[XOR_VAL] = N;
    x.count[XOR_TEST] = 1;
    ASSERT_OK(xor_make(v, &x, &e), e);
    for (int s = 0; s < XOR_SPLITS; s++)
        ASSERT_OK(data_of_vectors(&d[s], &v[s], &e), e);
    while (want[epochs] != NULL)
        epochs++;
    rig_config(&o.config, "xor-pid", "reconboost", NULL);
    rig_shrink(&o.config);
    o.config.batch = N;
    o.config.epochs = epochs;
    o.config.boost_epochs = stage_epochs;
    o.config.weight_decay = 0.1; /* not for frozen weights */
    o.train = d[XOR_TRAIN];
    o.val = d[XOR_VAL];
    o.steps_left = &left;
    ASSERT_OK(trainer_open(&t, &o, &e), e);
    for (int epoch = 0; epoch < epochs; epoch++) {
        const struct params *ps = trainer_network(t)->params;
        size_t bytes = params_block_count(ps) * sizeof(float);
        float *before = malloc(bytes);
        char got[MODALITIES_MAX + 1] = "";

        assert_non_null(before);
        memcpy(before, params_value_block(ps), bytes);
        left = 1;
        assert_int_equal(trainer_train(t, &e), ERR_STOPPED);
        err_clear(&e);
        for (int m = 0; m < data_modalities(d[XOR_TRAIN]); m++) {
            char prefix[64];

            snprintf(prefix, sizeof prefix, "%s.", data_modality(d[XOR_TRAIN], m));
            got[m] = moved(ps, prefix, before);
        }
        if (strcmp(got, want[epoch]) != 0)
            fail_msg("%s, epoch %d: %s instead of %s", task, epoch, got, want[epoch]);
        free(before);
    }
    trainer_close(t);
    for (int s = 0; s < XOR_SPLITS; s++)
        data_close(d[s]);
}

static void test_two_modalities(void **state)
{
    (void)state;
    assert_stages("pid:0.2,0.2,0.2,0.4", 1,
                  (const char *const[]){"a-", "aa", "-a", "aa", "a-", NULL});
    assert_stages(
        "pid:0.2,0.2,0.2,0.4", 2,
        (const char *const[]){"a-", "a-", "aa", "aa", "-a", "-a", "aa", "aa", "a-", NULL});
}

static void test_three_modalities(void **state)
{
    (void)state;
    assert_stages("spurious3:0.5", 1,
                  (const char *const[]){"a--", "aaa", "-a-", "aaa", "--a", "aaa", "a--", NULL});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_modalities),
        cmocka_unit_test(test_three_modalities),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
