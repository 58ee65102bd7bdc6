/* SPDX-License-Identifier: MIT */
#include "train/memory_plan.h"

#include "common/data/xor.h"
#include "tests/support/check.h"
#include "tests/support/drawn_dataset.h"
#include "tests/support/scratch.h"
#include "tests/support/step_rig.h"
#include "train/step.h"
#include "train/trainer.h"

#include <stdlib.h>
#include <string.h>

/* The memory of a run's passes is there before the first of them, for every method, and finding it
 * changes nothing. */

enum { CLIPS = 12, EPOCHS = 6 };

static uint64_t allocations(const struct network *net)
{
    return tape_allocations(net->tape) + tape_allocations(net->inner);
}

static void media_config(struct config *c, const char *method, const char *mask)
{
    rig_config(c, "demo", method, mask);
    c->audio_pool = 4;
    c->video_size = 32;
    c->batch = c->pretrain_batch = CLIPS;
    c->epochs = c->pretrain_epochs = EPOCHS;
    c->boost_epochs = 1;
}

/* Values of all weights and buffers, and the counters; caller frees. */
static char *state_of(const struct params *ps, size_t *bytes)
{
    size_t block = params_block_count(ps) * sizeof(float), n = 0;
    char *copy;

    *bytes = block;
    for (int i = 0; i < params_count(ps); i++)
        *bytes += (size_t)params_at(ps, i)->count * sizeof(float) + sizeof(int64_t);
    copy = calloc(1, *bytes);
    assert_non_null(copy);
    memcpy(copy, params_value_block(ps), block);
    n = block;
    for (int i = 0; i < params_count(ps); i++) {
        const struct param *p = params_at(ps, i);

        if (p->kind == PARAM_BUFFER)
            memcpy(copy + n, p->data, (size_t)p->count * sizeof(float));
        n += (size_t)p->count * sizeof(float);
        memcpy(copy + n, &p->counter, sizeof p->counter);
        n += sizeof p->counter;
    }
    return copy;
}

static void take_steps(struct step_rig *r)
{
    struct err e = {0};

    for (int64_t epoch = 0; epoch < EPOCHS; epoch++)
        ASSERT_OK(step_gradients(&r->step, &r->report, &r->net, &r->batch, (uint32_t)epoch, epoch,
                                 false, &e),
                  e);
}

/* Steps of a planned network and of one that was not: the same gradients in the memory of the plan,
 * which is not more than was needed without it. */
static void check_media(const char *dir, const struct method *m, const char *mask)
{
    struct step_rig planned, plain;
    struct config c;
    struct err e = {0};
    char *before, *after;
    size_t bytes, activations, most;
    uint64_t made;

    media_config(&c, m->name, mask);
    rig_open_media(&planned, m, &c, dir, CLIPS);
    rig_open_media(&plain, m, &c, dir, CLIPS);
    before = state_of(planned.net.params, &bytes);
    ASSERT_OK(network_plan(&planned.net, planned.data, planned.data, &e), e);
    after = state_of(planned.net.params, &bytes);
    assert_memory_equal(before, after, bytes);
    assert_false(nn_planning(planned.net.nn));
    made = allocations(&planned.net);
    activations = network_activations(&planned.net);
    assert_true(activations > 0);
    take_steps(&planned);
    take_steps(&plain);
    if (allocations(&planned.net) != made || network_activations(&planned.net) != activations)
        fail_msg("%s: %zu bytes were planned, %zu are used", m->name, activations,
                 network_activations(&planned.net));
    most = network_activations(&plain.net) + network_activations(&plain.net) / 4;
    assert_in_range(activations, most / 2, most); /* cut in another order */
    assert_memory_equal(params_grad_block(planned.net.params), params_grad_block(plain.net.params),
                        params_block_count(plain.net.params) * sizeof(float));
    free(before);
    free(after);
    rig_close(&planned);
    rig_close(&plain);
}

static void test_media(void **state)
{
    char *dir = scratch_path(*state, "drawn");
    struct err e = {0};

    ASSERT_OK(drawn_dataset_make(dir, &drawn_options_default, &e), e);
    for (size_t i = 0; methods[i] != NULL; i++) {
        bool masked = (methods[i]->scopes & SCOPE_MASKS) != 0;

        if (!methods[i]->trains)
            continue;
        check_media(dir, methods[i], masked ? "random" : NULL);
        if (masked)
            check_media(dir, methods[i], "learned");
    }
    free(dir);
}

/* Runs of vectors, where masks decide how many rows are encoded again, a running mean of features
 * is kept, and evaluation takes larger batches than training. */
static const struct {
    const char *task, *preset, *method, *mask, *set[3];
} RUNS[] = {
    {"spurious:0.6", "xor-spurious", "vanilla", NULL, {NULL}},
    {"spurious:0.6", "xor-spurious", "synib", "random", {NULL}},
    {"spurious:0.6", "xor-spurious", "synib", "random", {"mask.fill=ema", "model.layernorm=true"}},
    {"spurious:0.6", "xor-spurious", "synib", "learned", {"mask.space=latent"}},
    {"spurious:0.6", "xor-spurious", "synib", "learned-mlp", {NULL}},
    {"spurious:0.6", "xor-spurious", "masking-only", "oracle", {"masking.copies=2"}},
    {"pid:0.3,0.3,0.2,0.2", "xor-pid", "synib", "oracle", {"diag.ntk=1"}},
    {"regression:1", "xor-regression", "synib", "random", {"select.metric=loss"}},
    {"spurious:0.6", "xor-spurious", "reconboost", NULL, {"reconboost.epochs=1"}},
    {"spurious3:0.6",
     "xor-spurious",
     "mcr",
     NULL,
     {"mcr.permutations=4", "mcr.shuffle=other-label"}},
};

static void make_data(struct data *out[XOR_SPLITS], const char *task)
{
    static const int64_t count[XOR_SPLITS] = {300, 600, 1};
    struct vectors v[XOR_SPLITS];
    struct xor_options o;
    struct err e = {0};

    ASSERT_OK(xor_parse(&o, task, &e), e);
    memcpy(o.count, count, sizeof o.count);
    ASSERT_OK(xor_make(v, &o, &e), e);
    for (int s = 0; s < XOR_SPLITS; s++)
        ASSERT_OK(data_of_vectors(&out[s], &v[s], &e), e);
}

static void test_runs(void **state)
{
    static const struct log quiet = {.tool = "test", .level = LOG_QUIET};

    (void)state;
    for (size_t i = 0; i < sizeof RUNS / sizeof RUNS[0]; i++) {
        struct trainer_options o = {.seed = 3, .jobs = 2, .log = &quiet};
        struct data *data[XOR_SPLITS] = {0};
        struct trainer *t;
        struct err e = {0};
        uint64_t made;

        ASSERT_OK(method_find(&o.method, RUNS[i].method, &e), e);
        rig_config(&o.config, RUNS[i].preset, RUNS[i].method, RUNS[i].mask);
        rig_shrink(&o.config);
        o.config.batch = 128;
        o.config.epochs = EPOCHS;
        for (int k = 0; RUNS[i].set[k] != NULL; k++)
            ASSERT_OK(config_set(&o.config, RUNS[i].set[k], &e), e);
        make_data(data, RUNS[i].task);
        o.train = data[XOR_TRAIN];
        o.val = data[XOR_VAL];
        ASSERT_OK(trainer_open(&t, &o, &e), e);
        made = allocations(trainer_network(t));
        assert_true(made > 0);
        ASSERT_OK(trainer_train(t, &e), e);
        if (allocations(trainer_network(t)) != made)
            fail_msg("%s %s: the plan did not suffice", RUNS[i].task, RUNS[i].method);
        trainer_close(t);
        for (int s = 0; s < XOR_SPLITS; s++)
            data_close(data[s]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_media, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
