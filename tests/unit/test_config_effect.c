/* SPDX-License-Identifier: MIT */
#include "train/config_effect.h"

#include "common/data/xor.h"
#include "tests/support/check.h"
#include "tests/support/drawn_dataset.h"
#include "tests/support/scratch.h"
#include "tests/support/step_rig.h"
#include "train/config_table.h"
#include "train/trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is said to be without effect is: a tiny run gives the same epochs.csv with another value of
 * the setting. And every setting that the table of config_effect.c names has an effect in one of
 * the contexts below: it gives another epochs.csv there. */

enum { TRAIN = 48, VAL = 24, WORDS_MAX = 16 };

static const struct log quiet = {.tool = "test", .level = LOG_QUIET};

/* The settings that a key is changed beside: method, mask ("" the preset's), and words for --set.
 */
struct context {
    const char *method, *mask, *set;
};

/* Of feature vectors: preset xor-pid, made tiny by vectors_tiny. */
static const char vectors_tiny[] =
    "model.encoder_width=6 model.encoder_depth=2 model.head_width=5 model.head_depth=1 "
    "model.trunk=7 model.trunk_depth=1 optim.batch=16 optim.epochs=3 optim.lr=0.01 mask.steps=3 "
    "mask.net_width=5 mask.clip=0 dnr.every=1 dnr.times=1 reconboost.epochs=1 mcr.permutations=3 "
    "loss.unimodal=0.5 model.detach_heads=false select.metric=loss optim.patience=2";

static const struct context VECTORS_CONTEXTS[] = {
    {"vanilla", "", ""},
    {"vanilla", "", "select.metric=last stop.rule=any"},
    {"vanilla", "", "select.metric=accuracy optim.epochs=12 optim.lr=0.1"},
    {"vanilla", "", "model.fusion=linear loss.unimodal=0 model.head_depth=0"},
    {"vanilla", "", "model.fusion=sum model.dropout=0.3 schedule.kind=restarts"},
    {"vanilla", "", "schedule.kind=linear-warmup schedule.warmup_steps=2"},
    {"vanilla", "", "schedule.kind=linear-warmup-restarts schedule.warmup_steps=2"},
    {"synib", "random", ""},
    {"synib", "random", "mask.space=latent model.layernorm=true mask.fill=ema"},
    {"synib", "random", "mask.space=latent mask.fill=ema mask.noise_std=0"},
    {"synib", "random", "mask.fill=shuffle synib.detach=true synib.warmup_epochs=2"},
    {"synib", "random", "mask.fill=zeros synib.divergence=gaussian"},
    {"synib", "random", "synib.lambda=0"},
    {"synib", "random", "synib.lambda=0 synib.masked_ce=1"},
    {"synib", "learned", "synib.lambda=0 synib.masked_ce=1 synib.ce_masks=random-shuffle"},
    {"synib", "none", "synib.masked_ce=1 synib.ce_masks=random-shuffle mask.space=latent"},
    {"synib", "none", ""},
    {"synib", "all", "mask.fill=ema mask.ema_var_floor=1"},
    {"synib", "oracle", "synib.reference=unimodal-unmasked loss.unimodal=0"},
    {"synib", "oracle-literal", "model.dropout=0.2 synib.reference=unimodal-masked"},
    {"synib", "learned", "mask.soft=true mask.clip=1e-8"},
    {"synib", "learned", "mask.init=0 mask.threshold=0.5 mask.clip=0.001"},
    {"synib", "learned", "mask.lr=0 mask.space=latent model.layernorm=true"},
    {"synib", "learned", "mask.space=latent model.layernorm=true mask.soft=true mask.fill=ema"},
    {"synib", "learned-mlp", "mask.space=latent model.layernorm=true"},
    {"synib", "learned-mlp", "mask.soft=true mask.fill=zeros"},
    {"synib", "learned-mlp", "mask.lr=0 synib.lambda=0 synib.masked_ce=1"},
    {"masking-only", "random", ""},
    {"masking-only", "none", "synib.lambda=0"},
    {"masking-only", "learned", "mask.space=latent"},
    {"masking-only", "oracle", "masking.copies=2 mask.fill=ema"},
    {"dnr", "", ""},
    {"dnr", "", "dnr.times=0"},
    {"dnr", "", "dnr.alpha=0"},
    {"dnr", "", "dnr.alpha=0 dnr.eval_epoch=true model.dropout=0.4"},
    {"mmpareto", "", ""},
    {"mmpareto", "", "mmpareto.alpha=0"},
    {"reconboost", "", ""},
    {"mcr", "", ""},
    {"mcr", "", "mcr.weight=0"},
    {"mcr", "", "mcr.contrastive=0"},
};

/* Of numbers: preset xor-regression, made as tiny. */
static const struct context NUMBERS_CONTEXTS[] = {
    {"synib", "random", ""},
    {"synib", "random", "synib.divergence=gaussian synib.reference=unimodal-unmasked"},
    {"vanilla", "", "select.metric=last"},
};

/* Of pictures and sound: preset demo. */
static const char media_tiny[] =
    "model.width=16 video.size=32 audio.pool=8 model.trunk=4 optim.batch=18 optim.epochs=1 "
    "init.encoders=scratch pretrain.epochs=1 pretrain.batch=18";

static const struct context MEDIA_CONTEXTS[] = {
    {"vanilla", "", "model.fusion=linear"},
    {"uni-video", "", "augment.train=false"},
    {"uni-video", "", ""},
    {"synib", "random", "synib.divergence=gaussian model.layernorm=false"},
};

/* ---- runs ---- */

struct task {
    const char *preset, *tiny;
    enum config_targets targets;
    struct data *train, *val;
};

static void set_words(struct config *c, const char *words)
{
    char text[512], *rest = text, *word;
    struct err e = {0};

    assert_true(strlen(words) < sizeof text);
    strcpy(text, words);
    while ((word = strsep(&rest, " ")) != NULL) {
        if (*word == '\0')
            continue;
        ASSERT_OK(config_set(c, word, &e), e);
    }
}

static const struct method *configure(struct config *c, const struct task *t,
                                      const struct context *x)
{
    const struct method *m;
    struct err e = {0};

    ASSERT_OK(method_find(&m, x->method, &e), e);
    rig_config(c, t->preset, x->method, x->mask[0] != '\0' ? x->mask : NULL);
    set_words(c, t->tiny);
    if (m->heads_reach_encoders)
        c->detach_heads = false;
    set_words(c, x->set);
    return m;
}

/* epochs.csv of a run; NULL when the settings do not go together. Caller frees. */
static char *table_of(const struct task *task, const struct method *m, const struct config *c)
{
    struct data_traits traits = data_traits_of(task->train);
    struct trainer_options o = {
        .method = m,
        .config = *c,
        .seed = 3,
        .jobs = 1,
        .train = task->train,
        .val = task->val,
        .log = &quiet,
    };
    struct trainer *t = NULL;
    char *table = NULL;
    struct err e = {0};

    if (config_check(c, &e) != ERR_OK || network_fits(m, c, &traits, &e) != ERR_OK)
        return NULL;
    ASSERT_OK(trainer_open(&t, &o, &e), e);
    ASSERT_OK(trainer_train(t, &e), e);
    table = strdup(trainer_epochs_csv(t));
    assert_non_null(table);
    trainer_close(t);
    return table;
}

/* ---- other values ---- */

/* The n-th value of a setting other than the one that it has; false: there is no such. */
static bool change(struct config *c, const struct setting *s, int n)
{
    void *field = (char *)c + s->offset;
    int64_t i, choices = 0;
    double v;

    if (s->type == VALUE_REAL) {
        memcpy(&v, field, sizeof v);
        v = v == 0 ? (s->max < 0.5 ? s->max : 0.5) : v / 2;
        memcpy(field, &v, sizeof v);
        return n == 0;
    }
    memcpy(&i, field, sizeof i);
    while (s->type == VALUE_CHOICE && s->choices[choices] != NULL)
        choices++;
    if (choices > 0)
        i = (i + 1 + n) % choices;
    else if (strcmp(s->key, "model.width") == 0)
        i += 16;
    else if (strcmp(s->key, "synib.warmup_epochs") == 0)
        i += 3;
    else
        i += i < (int64_t)s->max ? 1 : -1;
    memcpy(field, &i, sizeof i);
    return choices > 0 ? n + 1 < choices : n == 0;
}

/* Whether another value of the setting gives another table; *known: there is one to be had. */
static bool shows(const struct task *t, const struct method *m, const struct config *c,
                  const struct setting *s, const char *table, bool *known)
{
    bool differs = false;

    *known = false;
    for (int n = 0; !differs; n++) {
        struct config other = *c;
        char *text;

        if (!change(&other, s, n))
            break;
        text = table_of(t, m, &other);
        *known = *known || text != NULL;
        differs = text != NULL && strcmp(text, table) != 0;
        free(text);
    }
    return differs;
}

/* All settings beside those of a context. shown: of each setting, whether it had an effect. */
static void try_context(const struct task *t, const struct context *x, bool *shown)
{
    struct config c;
    const struct method *m = configure(&c, t, x);
    char *table = table_of(t, m, &c);

    if (table == NULL)
        fail_msg("%s %s %s: the settings do not go together", x->method, x->mask, x->set);
    for (int i = 0; i < config_setting_count; i++) {
        const struct setting *s = &config_settings[i];
        bool said, known, seen;

        if (i == 0 || (s->kinds >> c.kind & 1) == 0 || (s->scopes & m->scopes) == 0)
            continue;
        said = config_effect_needs(&c, m, t->targets, s->key) == NULL;
        seen = shows(t, m, &c, s, table, &known);
        if (!said && seen)
            fail_msg("%s %s %s: %s has an effect", x->method, x->mask, x->set, s->key);
        if (getenv("TEST_SHOW") != NULL && known && said && !seen)
            print_message("%s %s %s: %s shows none\n", x->method, x->mask, x->set, s->key);
        shown[i] = shown[i] || seen;
    }
    free(table);
}

/* ---- tests ---- */

static void open_task(struct task *t, enum xor_task kind)
{
    struct xor_options o = xor_defaults(kind);
    struct vectors v[XOR_SPLITS];
    struct err e = {0};

    o.seed = 5;
    o.count[XOR_TRAIN] = TRAIN;
    o.count[XOR_VAL] = VAL;
    o.count[XOR_TEST] = 1;
    ASSERT_OK(xor_make(v, &o, &e), e);
    ASSERT_OK(data_of_vectors(&t->train, &v[XOR_TRAIN], &e), e);
    ASSERT_OK(data_of_vectors(&t->val, &v[XOR_VAL], &e), e);
    vectors_free(&v[XOR_TEST]);
}

static void close_task(struct task *t)
{
    data_close(t->train);
    data_close(t->val);
}

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static void test_classes(void **state)
{
    struct task t = {.preset = "xor-pid", .tiny = vectors_tiny, .targets = TARGETS_CLASSES};
    bool shown[CONFIG_SETTINGS_MAX] = {false};

    (void)state;
    open_task(&t, XOR_PID);
    for (size_t i = 0; i < COUNT(VECTORS_CONTEXTS); i++)
        try_context(&t, &VECTORS_CONTEXTS[i], shown);
    for (int i = 1; i < config_setting_count; i++)
        if ((config_settings[i].kinds >> KIND_VECTORS & 1) != 0 &&
            config_settings[i].scopes != SCOPE_NONE && !shown[i] &&
            strcmp(config_settings[i].key, "diag.ntk") != 0) /* of ntk.csv */
            fail_msg("%s: had no effect in any context", config_settings[i].key);
    close_task(&t);
}

static void test_numbers(void **state)
{
    struct task t = {.preset = "xor-regression", .tiny = vectors_tiny, .targets = TARGETS_NUMBERS};
    bool shown[CONFIG_SETTINGS_MAX] = {false};

    (void)state;
    open_task(&t, XOR_REGRESSION);
    for (size_t i = 0; i < COUNT(NUMBERS_CONTEXTS); i++)
        try_context(&t, &NUMBERS_CONTEXTS[i], shown);
    close_task(&t);
}

static void test_media(void **state)
{
    struct task t = {.preset = "demo", .tiny = media_tiny, .targets = TARGETS_CLASSES};
    bool shown[CONFIG_SETTINGS_MAX] = {false};
    char *dir = scratch_path(*state, "drawn"), *data = scratch_path(*state, "drawn/data");
    struct err e = {0};

    ASSERT_OK(drawn_dataset_make(dir, &drawn_options_default, &e), e);
    ASSERT_OK(data_open(&t.train, data, "train", NULL, &e), e);
    ASSERT_OK(data_open(&t.val, data, "val", NULL, &e), e);
    for (size_t i = 0; i < COUNT(MEDIA_CONTEXTS); i++)
        try_context(&t, &MEDIA_CONTEXTS[i], shown);
    close_task(&t);
    free(data);
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test_setup_teardown(test_media, scratch_setup, scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
