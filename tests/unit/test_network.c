/* SPDX-License-Identifier: MIT */
#include "common/data/xor.h"
#include "tests/support/check.h"
#include "tests/support/drawn_dataset.h"
#include "tests/support/scratch.h"
#include "tests/support/step_rig.h"

#include <stdlib.h>
#include <string.h>

/* What of the settings arrives in a method's loader and in its model. */

enum { SEED = 77, THREADS = 3 };

/* ---- loaders ---- */

/* Every number another one. */
static const struct config SET = {
    .audio_pool = 5,
    .video_size = 96,
    .augment = true,
    .crop_unit = CROP_CLIP,
    .scale_min = 0.37,
    .batch = 21,
    .pretrain_batch = 22,
    .ensemble_batch = 23,
    .mask = MASK_RANDOM,
};

static struct data *open_media(void **state)
{
    char *root = scratch_path(*state, "drawn"), *path = scratch_path(*state, "drawn/data");
    struct data *d = NULL;
    struct err e = {0};

    ASSERT_OK(drawn_dataset_make(root, &drawn_options_default, &e), e);
    ASSERT_OK(data_open(&d, path, "val", NULL, &e), e);
    free(root);
    free(path);
    return d;
}

static struct data *make_vectors(void)
{
    struct xor_options o = xor_defaults(XOR_PID);
    struct vectors v[XOR_SPLITS];
    struct data *d = NULL;
    struct err e = {0};

    o.count[XOR_TRAIN] = 13;
    o.count[XOR_VAL] = o.count[XOR_TEST] = 1;
    ASSERT_OK(xor_make(v, &o, &e), e);
    ASSERT_OK(data_of_vectors(&d, &v[XOR_TRAIN], &e), e);
    vectors_free(&v[XOR_VAL]);
    vectors_free(&v[XOR_TEST]);
    return d;
}

static void check_media(const struct data *d, const struct method *m, const struct config *c,
                        bool training)
{
    struct loader_options o = method_loader(m, c, d, training, SEED, THREADS);
    bool audio = m != &method_uni_video, video = m != &method_uni_audio;
    int64_t batch = c->batch;

    if (m == &method_ensemble)
        batch = c->ensemble_batch;
    else if (!audio || !video)
        batch = c->pretrain_batch;
    if (o.training != training || o.batch != batch || o.seed != SEED || o.threads != THREADS ||
        o.oracle != ORACLE_NONE)
        fail_msg("%s: training %d, batch %d", m->name, o.training, (int)o.batch);
    if (o.use[MEDIA_AUDIO] != audio || o.use[MEDIA_VIDEO] != video ||
        (audio && o.audio_pool != c->audio_pool))
        fail_msg("%s: audio %d, video %d, pool %d", m->name, o.use[MEDIA_AUDIO], o.use[MEDIA_VIDEO],
                 o.audio_pool);
    if (o.augment != (training && video && c->augment))
        fail_msg("%s: augments: %d, training: %d", m->name, o.augment, training);
    if (video && (o.video_size != c->video_size || o.alike != (c->crop_unit == CROP_CLIP) ||
                  o.scale_min != c->scale_min))
        fail_msg("%s: size %d, alike %d, scale %g", m->name, o.video_size, o.alike, o.scale_min);
}

/* Pictures are cropped and flipped at random in training alone; sizes and batches are those of the
 * settings. */
static void test_loaders_of_media(void **state)
{
    struct data *d = open_media(state);

    for (int i = 0; methods[i] != NULL; i++)
        for (int training = 0; training < 2; training++) {
            struct config c = SET;

            check_media(d, methods[i], &c, training);
            c.crop_unit = CROP_FRAME;
            check_media(d, methods[i], &c, training);
            c.augment = false;
            check_media(d, methods[i], &c, training);
        }
    data_close(d);
}

/* Vectors are evaluated in batches of at least 512, and trained on in those of the settings. */
static void test_loaders_of_vectors(void **state)
{
    struct data *d = make_vectors();

    (void)state;
    for (int i = 0; methods[i] != NULL; i++) {
        struct config c = SET;

        if (methods[i]->media_only)
            continue;
        assert_int_equal(method_loader(methods[i], &c, d, true, SEED, 1).batch, 21);
        assert_int_equal(method_loader(methods[i], &c, d, false, SEED, 1).batch, 512);
        c.batch = 1024;
        for (int training = 0; training < 2; training++) {
            struct loader_options o = method_loader(methods[i], &c, d, training, SEED, THREADS);

            assert_int_equal(o.batch, 1024);
            assert_true(o.training == training && !o.augment && o.use[0] && o.use[1]);
            assert_true(o.seed == SEED && o.threads == THREADS);
        }
    }
    data_close(d);
}

/* Batches say what an oracle knows where masks are made of it: in training. */
static void test_oracles(void **state)
{
    static const struct {
        const struct method *method;
        enum mask_kind mask;
        enum oracle_kind wanted;
    } table[] = {
        {&method_synib, MASK_ORACLE, ORACLE_ACTIVE},
        {&method_synib, MASK_ORACLE_LITERAL, ORACLE_LITERAL},
        {&method_synib, MASK_RANDOM, ORACLE_NONE},
        {&method_masking_only, MASK_ORACLE, ORACLE_SHORTCUT},
        {&method_masking_only, MASK_ORACLE_LITERAL, ORACLE_SHORTCUT},
        {&method_masking_only, MASK_ALL, ORACLE_NONE},
        {&method_vanilla, MASK_ORACLE, ORACLE_NONE},
    };
    struct data *d = make_vectors();

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct config c = SET;

        c.mask = table[i].mask;
        assert_int_equal(method_loader(table[i].method, &c, d, true, SEED, 1).oracle,
                         table[i].wanted);
        assert_int_equal(method_loader(table[i].method, &c, d, false, SEED, 1).oracle, ORACLE_NONE);
    }
    data_close(d);
}

/* ---- models ---- */

/* An encoder alone learns from its head, whatever model.detach_heads says of fused models. */
static void test_alone_detaches_nothing(void **state)
{
    static const struct method *const alone[] = {&method_uni_audio, &method_uni_video};
    char *root = scratch_path(*state, "drawn");
    struct err e = {0};

    ASSERT_OK(drawn_dataset_make(root, &drawn_options_default, &e), e);
    for (int i = 0; i < 4; i++) {
        const struct method *m = alone[i / 2];
        struct step_rig r;
        struct config c;
        int found = 0;

        rig_config(&c, "demo", m->name, NULL);
        c.audio_pool = 1;
        c.video_size = 32;
        c.weight_decay = c.pretrain_weight_decay = 0;
        c.detach_heads = i % 2 == 0;
        rig_open_media(&r, m, &c, root, 4);
        rig_step(&r, 0, 0);
        for (int k = 0; k < params_count(r.net.params); k++) {
            const struct param *p = params_at(r.net.params, k);

            if (p->kind != PARAM_WEIGHT)
                continue;
            found += strstr(p->name, ".head.") == NULL;
            if (!(rig_gradient(&r, p->name) > 0))
                fail_msg("%s, model.detach_heads = %d: %s does not learn", m->name,
                         (int)c.detach_heads, p->name);
        }
        assert_int_equal(found, 60); /* 20 convolutions, and batch norms of two weights each */
        rig_close(&r);
    }
    free(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_loaders_of_media, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_loaders_of_vectors),
        cmocka_unit_test(test_oracles),
        cmocka_unit_test_setup_teardown(test_alone_detaches_nothing, scratch_setup,
                                        scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
