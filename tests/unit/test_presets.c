/* SPDX-License-Identifier: MIT */
#include "common/nn/kernels.h"
#include "tests/support/check.h"
#include "train/config_table.h"
#include "train/methods/method.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Every number of the presets, typed from the dossiers of the sources: R cremad-irony.md, X xor.md
 * and their sections. "ours": they do not say; "no effect": another setting makes it idle. The
 * preset demo is all ours. */

enum { PAPER, RELEASED, SPURIOUS, PID, REGRESSION, PRESETS };
static const char *const names[PRESETS] = {"paper", "released", "xor-spurious", "xor-pid",
                                           "xor-regression"};

#define NONE NAN /* no such key for that kind of data */
#define WHOLE(field) false, offsetof(struct config, field)
#define REAL(field) true, offsetof(struct config, field)

enum { NO, YES };
/* The first period where nothing restarts: no effect. More epochs without improvement than any. */
enum { NO_RESTARTS = 4, NEVER_STOPS = 100000 };

/* In the order of the settings. xor-regression is all ours. */
static const struct row {
    const char *key;
    bool real;
    size_t offset;
    double value[PRESETS];
} ROWS[] = {
    {"data.kind", WHOLE(kind), {KIND_MEDIA, KIND_MEDIA, KIND_VECTORS, KIND_VECTORS, KIND_VECTORS}},
    /* R 1.5: 257 x 188; R 1.4 */
    {"audio.pool", WHOLE(audio_pool), {1, 1, NONE, NONE, NONE}},
    {"video.size", WHOLE(video_size), {224, 224, NONE, NONE, NONE}},
    {"augment.train", WHOLE(augment), {YES, YES, NONE, NONE, NONE}},
    {"augment.crop", WHOLE(crop_unit), {CROP_FRAME, CROP_FRAME, NONE, NONE, NONE}},
    {"augment.scale_min", REAL(scale_min), {0.08, 0.08, NONE, NONE, NONE}},
    /* R 3.1, 3.3, 5 (fp32); X 2 and 3, the width of a head without hidden layers: no effect */
    {"model.width", WHOLE(width), {64, 64, NONE, NONE, NONE}},
    {"model.precision", WHOLE(precision), {NN_FLOAT32, NN_FLOAT32, NONE, NONE, NONE}},
    {"model.encoder_width", WHOLE(encoder_width), {NONE, NONE, 16, 1024, 64}},
    {"model.encoder_depth", WHOLE(encoder_depth), {NONE, NONE, 1, 2, 2}},
    {"model.head_width", WHOLE(head_width), {NONE, NONE, 16, 1024, 64}},
    {"model.head_depth", WHOLE(head_depth), {NONE, NONE, 0, 1, 1}},
    {"model.trunk", WHOLE(trunk), {64, 64, 32, 128, 64}},
    {"model.trunk_depth", WHOLE(trunk_depth), {NONE, NONE, 1, 2, 2}},
    {"model.dropout", REAL(dropout), {0.1, 0.1, 0, 0, 0}},
    {"model.fusion",
     WHOLE(fuse),
     {FUSION_TRUNK, FUSION_TRUNK, FUSION_TRUNK, FUSION_TRUNK, FUSION_TRUNK}},
    /* R 11 rows 8 and 17; X 2: "not detached", X 3: "on detached features" */
    {"model.layernorm", WHOLE(layernorm), {YES, YES, NO, NO, NO}},
    {"model.detach_heads", WHOLE(detach_heads), {YES, YES, NO, YES, YES}},
    {"init.encoders", WHOLE(init), {INIT_PRETRAINED, INIT_PRETRAINED, NONE, NONE, NONE}},
    /* R 5 and 11 row 18; X 2 (SynIB's, here for all but vanilla) and 3 (all arms). X 3 has no word
     * on Adam's constants: ours, the same as X 2 */
    {"optim.lr", REAL(lr), {1e-4, 1e-4, 3e-4, 3e-4, 1e-3}},
    {"optim.weight_decay", REAL(weight_decay), {1e-4, 1e-4, 1e-5, 1e-5, 1e-5}},
    {"optim.beta1", REAL(beta1), {0.9, 0.9, 0.9, 0.9, 0.9}},
    {"optim.beta2", REAL(beta2), {0.999, 0.999, 0.999, 0.999, 0.999}},
    {"optim.eps", REAL(eps), {1e-7, 1e-7, 1e-8, 1e-8, 1e-8}},
    {"optim.batch", WHOLE(batch), {64, 32, 128, 64, 64}},
    {"optim.epochs", WHOLE(epochs), {1500, 1500, 100, 30, 100}},
    {"optim.patience", WHOLE(patience), {30, 30, NEVER_STOPS, NEVER_STOPS, NEVER_STOPS}},
    /* R 5 and 11 rows 19 and 20; X 2: "no selection: last epoch", X 3 likewise */
    {"schedule.kind",
     WHOLE(schedule),
     {SCHEDULE_RESTARTS, SCHEDULE_RESTARTS, SCHEDULE_CONSTANT, SCHEDULE_CONSTANT,
      SCHEDULE_CONSTANT}},
    {"schedule.warmup_steps", WHOLE(warmup_steps), {780, 780, 0, 0, 0}},
    {"schedule.t0_steps", WHOLE(t0_steps), {4, 4, NO_RESTARTS, NO_RESTARTS, NO_RESTARTS}},
    {"stop.rule",
     WHOLE(stop_rule),
     {STOP_ANY, STOP_ANY, STOP_ACCURACY, STOP_ACCURACY, STOP_ACCURACY}},
    {"select.metric",
     WHOLE(select),
     {SELECT_ACCURACY, SELECT_ACCURACY, SELECT_LAST, SELECT_LAST, SELECT_LAST}},
    /* R 3.6; the most epochs: R 5 */
    {"pretrain.audio.lr", REAL(pretrain_audio_lr), {1e-3, 1e-3, NONE, NONE, NONE}},
    {"pretrain.video.lr", REAL(pretrain_video_lr), {1e-4, 1e-4, NONE, NONE, NONE}},
    {"pretrain.weight_decay", REAL(pretrain_weight_decay), {1e-4, 1e-4, NONE, NONE, NONE}},
    {"pretrain.batch", WHOLE(pretrain_batch), {64, 64, NONE, NONE, NONE}},
    {"pretrain.epochs", WHOLE(pretrain_epochs), {1500, 1500, NONE, NONE, NONE}},
    {"pretrain.patience", WHOLE(pretrain_patience), {100, 100, NONE, NONE, NONE}},
    /* R 11 rows 17 and 21; X 2 and 3. Where no warm-up is named it is 0 */
    {"loss.unimodal", REAL(unimodal_weight), {1, 1, 0.05, 1, 1}},
    {"synib.lambda", REAL(lambda), {1, 1, 10, 10, 1}},
    {"synib.warmup_epochs", WHOLE(warmup_epochs), {0, 0, 0, 0, 0}},
    /* R 11 rows 10, 11, 14 and 16, R 4.2; X 6: uniform holds for the XOR tasks */
    {"synib.divergence",
     WHOLE(divergence),
     {DIVERGENCE_FAMILY, DIVERGENCE_GAUSSIAN, DIVERGENCE_FAMILY, DIVERGENCE_FAMILY,
      DIVERGENCE_FAMILY}},
    {"synib.reference",
     WHOLE(reference),
     {REFERENCE_UNMASKED, REFERENCE_UNIFORM, REFERENCE_UNIFORM, REFERENCE_UNIFORM,
      REFERENCE_UNIFORM}},
    {"synib.reverse", WHOLE(reverse), {NO, NO, NO, NO, NO}},
    {"synib.detach", WHOLE(detach), {NO, YES, NO, NO, NO}},
    {"synib.masked_ce", REAL(masked_ce), {0, 1, 0, 0, 0}},
    {"synib.ce_masks",
     WHOLE(ce_masks),
     {CE_MASKS_SAME, CE_MASKS_SHUFFLE, CE_MASKS_SAME, CE_MASKS_SAME, CE_MASKS_SAME}},
    /* X 4; on CREMA-D ours */
    {"masking.copies", WHOLE(copies), {3, 3, 3, 3, 3}},
    /* R 11 rows 12, 13, 15 and 21, R 4.2; X 2 and 3, there the kind that is shipped and what of EMA
     * noise: ours. X 2 names no clipping */
    {"mask.kind", WHOLE(mask), {MASK_RANDOM, MASK_LEARNED, MASK_RANDOM, MASK_RANDOM, MASK_RANDOM}},
    {"mask.space",
     WHOLE(mask_space),
     {SPACE_LATENT, SPACE_LATENT, SPACE_INPUT, SPACE_INPUT, SPACE_INPUT}},
    {"mask.p", REAL(mask_p), {0.2, 0.5, 0.4, 0.5, 0.5}},
    {"mask.fill", WHOLE(fill), {FILL_EMA, FILL_EMA, FILL_NORMAL, FILL_NORMAL, FILL_NORMAL}},
    {"mask.noise_std", REAL(noise_std), {1, 1, 1, 1, 1}},
    {"mask.ema_momentum", REAL(ema_momentum), {0.99, 0.99, 0.99, 0.99, 0.99}},
    {"mask.ema_var_floor", REAL(ema_var_floor), {1e-6, 1e-6, 1e-6, 1e-6, 1e-6}},
    {"mask.complement", WHOLE(complement), {YES, NO, YES, YES, YES}},
    {"mask.soft", WHOLE(soft), {NO, YES, NO, NO, NO}},
    {"mask.threshold", REAL(threshold), {0.5, 0.5, 0.5, 0.5, 0.5}},
    {"mask.temperature", REAL(temperature), {1, 1, 1, 1, 1}},
    {"mask.sparsity", REAL(sparsity), {1, 1, 0.03, 1, 1}},
    {"mask.steps", WHOLE(mask_steps), {20, 20, 50, 20, 20}},
    {"mask.lr_schedule",
     WHOLE(mask_schedule),
     {MASK_LR_CONSTANT, MASK_LR_CONSTANT, MASK_LR_CONSTANT, MASK_LR_COSINE, MASK_LR_COSINE}},
    {"mask.lr", REAL(mask_lr), {0.1, 0.1, 3, 0.1, 0.1}},
    {"mask.clip", REAL(mask_clip), {1, 1, 0, 1, 1}},
    /* there +1 of the kept share (R 4.2, X 3), here of the flagged one; X 2: -4 */
    {"mask.init", REAL(mask_init), {-1, -1, -4, -1, -1}},
    /* paper's: ours; R 4.2: "gets layer-normed z"; X: no layer norm, no effect */
    {"mask.head_on",
     WHOLE(head_on),
     {HEAD_ON_FEATURES, HEAD_ON_FUSION_INPUT, HEAD_ON_FEATURES, HEAD_ON_FEATURES,
      HEAD_ON_FEATURES}},
    /* ours */
    {"mask.net_width", WHOLE(mask_width), {64, 64, 64, 256, 64}},
    {"mask.net_lr", REAL(mask_net_lr), {1e-3, 1e-3, 1e-3, 1e-3, 1e-3}},
    /* R 6.2 and 11 row 25 */
    {"ensemble.standardise", WHOLE(standardise), {NO, YES, NONE, NONE, NONE}},
    {"ensemble.batch", WHOLE(ensemble_batch), {32, 32, NONE, NONE, NONE}},
    /* R 6.4 and 11 row 22; the paper's clusters, as many as classes, and from here on all of the
     * vectors': ours */
    {"dnr.alpha", REAL(dnr_alpha), {3, 3, 3, 3, 3}},
    {"dnr.every", WHOLE(dnr_every), {10, 10, 10, 10, 10}},
    {"dnr.times", WHOLE(dnr_times), {3, 3, 3, 3, 3}},
    {"dnr.clusters", WHOLE(dnr_clusters), {7, 6, 2, 2, 2}},
    {"dnr.val_features", WHOLE(dnr_features), {DNR_OWN, DNR_LAST, DNR_OWN, DNR_OWN, DNR_OWN}},
    {"dnr.eval_epoch", WHOLE(dnr_eval_epoch), {NO, YES, NO, NO, NO}},
    /* R 6.5, 6.6 */
    {"mmpareto.alpha", REAL(pareto_alpha), {0.8, 0.8, 0.8, 0.8, 0.8}},
    {"mmpareto.rescale", WHOLE(pareto_rescale), {YES, YES, YES, YES, YES}},
    {"reconboost.epochs", WHOLE(boost_epochs), {4, 4, 4, 4, 4}},
    {"reconboost.ce", REAL(boost_ce), {5, 5, 5, 5, 5}},
    {"reconboost.residual", REAL(boost_residual), {1, 1, 1, 1, 1}},
    /* R 6.7 and 11 row 23: l = 0.1, released adds neither; the contrastive weight, "tuned", and the
     * shuffle: ours */
    {"mcr.weight", REAL(mcr_weight), {0.1, 0, 0.1, 0.1, 0.1}},
    {"mcr.contrastive", REAL(mcr_contrastive), {0.1, 0, 0.1, 0.1, 0.1}},
    {"mcr.temperature", REAL(mcr_temperature), {0.5, 0.5, 0.5, 0.5, 0.5}},
    {"mcr.game",
     WHOLE(mcr_game),
     {GAME_GREEDY, GAME_GREEDY, GAME_GREEDY, GAME_GREEDY, GAME_GREEDY}},
    {"mcr.shuffle",
     WHOLE(mcr_shuffle),
     {SHUFFLE_ALL, SHUFFLE_ALL, SHUFFLE_ALL, SHUFFLE_ALL, SHUFFLE_ALL}},
    {"mcr.permutations", WHOLE(mcr_permutations), {32, 32, 32, 32, 32}},
    /* ours */
    {"checkpoint.steps", WHOLE(checkpoint_steps), {0, 0, 0, 0, 0}},
    {"checkpoint.epochs", WHOLE(checkpoint_epochs), {1, 1, 0, 0, 0}},
    {"diag.ntk", WHOLE(ntk_steps), {0, 0, 0, 0, 0}},
    {"diag.train_pass", WHOLE(train_pass), {NO, NO, NO, NO, NO}},
};
enum { N_ROWS = sizeof ROWS / sizeof *ROWS };

/* What the sections change. */
#define ONLY(preset) (1u << (preset))
#define ALL (ONLY(PRESETS) - 1)
static const struct section {
    unsigned presets;
    const char *method, *mask, *key; /* mask NULL: any */
    double value;
} SECTIONS[] = {
    /* R 3.4 and 3.5; on vectors as there: ours */
    {ALL, "dnr", NULL, "model.fusion", FUSION_LINEAR},
    {ALL, "dnr", NULL, "model.layernorm", NO},
    {ALL, "dnr", NULL, "model.detach_heads", NO},
    {ALL, "mmpareto", NULL, "model.fusion", FUSION_LINEAR},
    {ALL, "mmpareto", NULL, "model.layernorm", NO},
    {ALL, "mmpareto", NULL, "model.detach_heads", NO},
    {ALL, "reconboost", NULL, "model.fusion", FUSION_SUM},
    {ALL, "reconboost", NULL, "model.layernorm", NO},
    {ALL, "reconboost", NULL, "model.detach_heads", NO},
    {ALL, "mcr", NULL, "model.fusion", FUSION_LINEAR},
    {ALL, "mcr", NULL, "model.layernorm", NO},
    {ALL, "mcr", NULL, "model.detach_heads", NO},
    /* R 5 and 11 row 18 */
    {ONLY(PAPER) | ONLY(RELEASED), "synib", NULL, "optim.lr", 1e-5},
    {ONLY(PAPER) | ONLY(RELEASED), "synib", NULL, "optim.weight_decay", 1e-5},
    {ONLY(PAPER) | ONLY(RELEASED), "mcr", NULL, "optim.lr", 1e-5},
    {ONLY(PAPER) | ONLY(RELEASED), "mcr", NULL, "optim.weight_decay", 1e-5},
    /* R 5; R 6.3: plain fusion is SynIB's with lambda 0 */
    {ONLY(RELEASED), "synib", NULL, "optim.batch", 128},
    {ONLY(RELEASED), "vanilla", NULL, "optim.lr", 1e-5},
    {ONLY(RELEASED), "vanilla", NULL, "optim.weight_decay", 1e-5},
    {ONLY(RELEASED), "vanilla", NULL, "optim.batch", 128},
    /* R 3.6 and 11 row 9 */
    {ONLY(RELEASED), "dnr", NULL, "init.encoders", INIT_SCRATCH},
    {ONLY(RELEASED), "mmpareto", NULL, "init.encoders", INIT_SCRATCH},
    {ONLY(RELEASED), "reconboost", NULL, "init.encoders", INIT_SCRATCH},
    /* X 2 */
    {ONLY(SPURIOUS), "vanilla", NULL, "optim.lr", 1e-2},
    {ONLY(SPURIOUS), "vanilla", NULL, "optim.weight_decay", 1e-3},
    {ONLY(SPURIOUS), "synib", "learned", "synib.warmup_epochs", 20},
};
enum { N_SECTIONS = sizeof SECTIONS / sizeof *SECTIONS };

/* The table above is of all settings, and of nothing else. */
static void test_keys(void **state)
{
    (void)state;
    assert_int_equal(N_ROWS, config_setting_count);
    for (int i = 0; i < N_ROWS; i++) {
        const struct row *r = &ROWS[i];
        const struct setting *s = &config_settings[i];

        assert_string_equal(r->key, s->key);
        if (r->offset != s->offset || r->real != (s->type == VALUE_REAL))
            fail_msg("%s is of another field", r->key);
        for (int p = 0; p < PRESETS; p++)
            if ((isnan(r->value[p]) != 0) ==
                ((s->kinds >> (p <= RELEASED ? KIND_MEDIA : KIND_VECTORS) & 1) != 0))
                fail_msg("%s: %s", names[p], r->key);
    }
    for (int i = 0; i < N_SECTIONS; i++) {
        int found = 0;

        for (int k = 0; k < N_ROWS; k++)
            found += strcmp(ROWS[k].key, SECTIONS[i].key) == 0;
        assert_int_equal(found, 1);
    }
}

static double wanted(int preset, const char *method, const char *mask, const struct row *r)
{
    double value = r->value[preset];

    for (int i = 0; i < N_SECTIONS; i++) {
        const struct section *s = &SECTIONS[i];

        if ((s->presets & ONLY(preset)) != 0 && strcmp(s->method, method) == 0 &&
            (s->mask == NULL || strcmp(s->mask, mask) == 0) && strcmp(s->key, r->key) == 0)
            value = s->value;
    }
    return value;
}

static double number(const struct config *c, const struct row *r)
{
    const void *at = (const char *)c + r->offset;

    return r->real ? *(const double *)at : (double)*(const int64_t *)at;
}

/* Of every method with every mask. */
static void test_values(void **state)
{
    (void)state;
    for (int p = 0; p < PRESETS; p++)
        for (int m = 0; methods[m] != NULL; m++)
            for (int k = 0; k < MASK_KINDS; k++) {
                const char *method = methods[m]->name, *mask = config_mask_names[k];
                char path[512];
                struct config c;
                struct err e = {0};

                snprintf(path, sizeof path, "%s/manifests/presets/%s.conf", SOURCE_DIR, names[p]);
                ASSERT_OK(config_load(&c, path, method, mask, &e), e);
                for (int i = 0; i < N_ROWS; i++) {
                    double want = wanted(p, method, mask, &ROWS[i]);

                    if (!isnan(want) && number(&c, &ROWS[i]) != want)
                        fail_msg("%s, %s, %s: %s is %.10g, not %.10g", names[p], method, mask,
                                 ROWS[i].key, number(&c, &ROWS[i]), want);
                }
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
