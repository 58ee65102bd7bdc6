/* SPDX-License-Identifier: MIT */
#include "tests/support/check.h"
#include "tests/support/drawn_dataset.h"
#include "tests/support/plan_sheet.h"
#include "tests/support/scratch.h"
#include "train/sweep/pretrain.h"
#include "train/sweep/results.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Plans of sweeps as files. */

static void test_good_plan(void **state)
{
    static const char *const rows[] = {
        "a|spurious:0.6|xor-spurious|vanilla||optim.epochs=3 optim.lr=0.5|0",
        "B.2_x-y|pid@7:0.25,0.25,0,0.5|xor-pid|synib|learned||9007199254740991",
        "c|spurious3:1|xor-spurious|synib|learned||1",
        "d|regression:2|xor-regression|masking-only||mask.kind=all mask.fill=zeros|2",
        "e|data/set|xor-pid|synib|||3",
        NULL,
    };
    struct sheet s = sheet_open(state, "plan.tsv", rows);
    const struct plan_run *r = s.plan.run;

    assert_int_equal(s.plan.n, 5);
    for (size_t i = 0; i < s.plan.n; i++) {
        assert_int_equal(r[i].line, i + 3);
        assert_ptr_equal(plan_find(&s.plan, r[i].cell[PLAN_RUN]), &r[i]);
    }
    assert_null(plan_find(&s.plan, "b.2_x-y"));
    assert_true(r[0].synthetic && r[0].method == &method_vanilla && r[0].seed == 0);
    assert_true(r[0].config.epochs == 3 && r[0].config.lr == 0.5);
    assert_string_equal(r[0].set[0], "optim.epochs=3");
    assert_string_equal(r[0].set[1], "optim.lr=0.5");
    assert_null(r[0].set[2]);
    assert_true(r[1].seed == ((uint64_t)1 << 53) - 1 && r[1].config.mask == MASK_LEARNED);
    assert_int_equal(r[2].config.warmup_epochs, 20); /* of the preset's [synib learned] */
    assert_int_equal(r[2].config.mask, MASK_LEARNED);
    assert_true(r[3].config.mask == MASK_ALL && r[3].config.fill == FILL_ZEROS);
    assert_true(r[3].method == &method_masking_only);
    assert_true(!r[4].synthetic && r[4].config.mask == MASK_RANDOM);
    sheet_close(&s);
}

/* Columns are found by name, and others are nobody's business. */
static void test_columns_in_any_order(void **state)
{
    char *path = put_file(state, "plan.tsv",
                          "#synib-plan 1\nseed|note|settings|mask|method|preset|task|run\n"
                          "5|hello|mask.p=0.8|random|synib|xor-pid|pid:0,0,0,1|a\n");
    struct plan p;
    struct err e = {0};

    ASSERT_OK(plan_read(&p, path, &e), e);
    assert_true(p.n == 1 && p.run[0].seed == 5 && p.run[0].config.mask_p == 0.8);
    assert_string_equal(p.run[0].cell[PLAN_RUN], "a");
    plan_free(&p);
    free(path);
}

#define NAME_64 "0123456789012345678901234567890123456789012345678901234567890123"
#define EIGHT \
    "optim.lr=1 optim.lr=1 optim.lr=1 optim.lr=1 optim.lr=1 optim.lr=1 optim.lr=1 optim.lr=1"

static const struct {
    const char *row, *says;
} BAD_ROWS[] = {
    {"|spurious:1|xor-spurious|vanilla|||1", "run '': a name has 1 to 64 letters"},
    {".a|spurious:1|xor-spurious|vanilla|||1", "run '.a': a name has 1 to 64 letters"},
    {"a/b|spurious:1|xor-spurious|vanilla|||1", "run 'a/b': a name has"},
    {"a b|spurious:1|xor-spurious|vanilla|||1", "run 'a b': a name has"},
    {NAME_64 "x|spurious:1|xor-spurious|vanilla|||1", "x': a name has 1 to 64 letters"},
    {"a|spurios:1|xor-spurious|vanilla|||1", "task: unknown 'spurios': did you mean 'spurious'?"},
    {"a|spurious5:1|xor-spurious|vanilla|||1", "task: unknown 'spurious5'"},
    {"a||xor-spurious|vanilla|||1", "task '': is not of the form TASK:PARAMETERS"},
    {"a|spurious|xor-spurious|vanilla|||1", "task 'spurious': is not of the form TASK:PARAMETERS"},
    {"a|spurious:-0.5|xor-spurious|vanilla|||1",
     "strength: '-0.5' is not a number from 0 to 1e+06"},
    {"a|spurious:inf|xor-spurious|vanilla|||1", "strength: 'inf' is not a number"},
    {"a|pid:0.5,0.5,0.5,0|xor-pid|vanilla|||1", "sum to 1.5: must be 1"},
    {"a|pid:0.4,0.3,0.2,0.0999|xor-pid|vanilla|||1", "sum to 0.9999: must be 1"},
    {"a|pid:1,0,0|xor-pid|vanilla|||1", "mix: '1,0,0' is not four probabilities"},
    {"a|pid:-1,1,1,0|xor-pid|vanilla|||1",
     "mix: '-1,1,1,0': unique1: '-1' is not a number from 0 to 1"},
    {"a|pid@4294967296:1,0,0,0|xor-pid|vanilla|||1", "projection seed 4294967296: must be below"},
    {"a|spurious:1|xor-spurios|vanilla|||1",
     "--preset: unknown 'xor-spurios': did you mean 'xor-spurious'"},
    {"a|spurious:1|xor-spurious|vanila|||1", "unknown 'vanila': did you mean 'vanilla'?"},
    {"a|spurious:1|xor-spurious||||1", "unknown '': one of uni-audio"},
    {"a|spurious:1|xor-spurious|synib|orcale||1", "mask: unknown 'orcale': did you mean 'oracle'?"},
    {"a|spurious:1|xor-spurious|synib||optim.epoch=1|1", "did you mean 'optim.epochs'?"},
    {"a|spurious:1|xor-spurious|synib||optim.epochs|1", "is not of the form key=value"},
    {"a|spurious:1|xor-spurious|synib||mask.p=1.5|1", "mask.p: '1.5' is not a number from 0 to 1"},
    {"a|spurious:1|xor-spurious|synib||video.size=64|1",
     "video.size: is no setting of this preset's data.kind"},
    {"a|spurious:1|xor-spurious|synib|oracle|mask.space=latent|1",
     "mask.space: an oracle mask marks input values"},
    {"a|spurious:1|xor-spurious|vanilla||synib.lambda=2|1",
     "synib.lambda=2: method vanilla has no use for it"},
    {"a|spurious:1|xor-spurious|masking-only||synib.lambda=2|1",
     "synib.lambda=2: method masking-only has no use for it"},
    {"a|spurious:1|xor-spurious|vanilla|random||1",
     "mask random: method vanilla has no use for it"},
    {"a|spurious:1|xor-spurious|synib|random|mask.net_width=12|1",
     "mask.net_width=12: has no effect without mask.kind = learned-mlp"},
    {"a|spurious:1|xor-spurious|synib|random|mask.steps=3|1",
     "mask.steps=3: has no effect without mask.kind = learned"},
    {"a|spurious:1|xor-spurious|synib|random|mask.sparsity=9|1",
     "mask.sparsity=9: has no effect without mask.kind = learned or learned-mlp"},
    {"a|spurious:1|xor-spurious|synib|random|mask.ema_momentum=0.5|1",
     "mask.ema_momentum=0.5: has no effect without mask.fill = ema"},
    {"a|spurious:1|xor-spurious|synib|learned|mask.p=0.5|1",
     "mask.p=0.5: has no effect without mask.kind = random, or"},
    {"a|spurious:1|xor-spurious|synib|random|synib.lambda=0 mask.p=0.5|1",
     "mask.p=0.5: has no effect without synib.lambda > 0 or synib.masked_ce > 0"},
    {"a|spurious:1|xor-spurious|vanilla||schedule.t0_steps=9|1",
     "schedule.t0_steps=9: has no effect without schedule.kind = restarts"},
    {"a|data/x|demo|vanilla||augment.train=false augment.scale_min=0.9|1",
     "augment.scale_min=0.9: has no effect without augment.train = true"},
    {"a|data/x|demo|vanilla||init.encoders=scratch pretrain.epochs=3|1",
     "pretrain.epochs=3: has no effect without init.encoders = pretrained"},
    {"a|regression:1|xor-regression|synib||synib.divergence=gaussian|1",
     "synib.divergence=gaussian: has no effect without classes to predict"},
    {"a|spurious:1|xor-spurious|synib|random|mask.kind=all|1",
     "mask.kind=all: the mask is random already"},
    {"a|spurious:1|xor-spurious|vanilla||optim.lr=1 optim.eps=0.1 optim.lr=2|1",
     "settings: optim.lr=2: optim.lr=1 stands before it"},
    {"a|spurious:1|xor-spurious|vanilla||optim.lr=1  optim.epochs=2|1", "one space between them"},
    {"a|spurious:1|xor-spurious|vanilla|| optim.lr=1|1", "none at the ends"},
    {"a|spurious:1|xor-spurious|vanilla||optim.lr=1 |1", "none at the ends"},
    {"a|spurious:1|xor-spurious|vanilla|| |1", "none at the ends"},
    {"a|spurious:1|xor-spurious|vanilla||" EIGHT " " EIGHT " " EIGHT " " EIGHT " optim.lr=1|1",
     "settings: more than 32"},
    {"a|spurious:1|xor-spurious|vanilla||" EIGHT " " EIGHT " " EIGHT " " EIGHT "|1",
     "optim.lr=1 stands before it"},
    {"a|spurious:1|xor-spurious|vanilla|||", "seed: '' is not a whole number"},
    {"a|spurious:1|xor-spurious|vanilla|||-1",
     "seed: '-1' is not a whole number from 0 to 2^53 - 1"},
    {"a|spurious:1|xor-spurious|vanilla|||1.0", "seed: '1.0' is not a whole number"},
    {"a|spurious:1|xor-spurious|vanilla|||9007199254740992",
     "seed: '9007199254740992' is not a whole number from 0 to 2^53 - 1"},
    {"a|spurious:1|xor-spurious|vanilla|||18446744073709551616", "is not a whole number from 0"},
    {"a|spurious:1|xor-spurious|vanilla||", "has 6 cells: the header names 7 columns"},
    {"a|spurious:1|xor-spurious|vanilla|||1|", "has 8 cells: the header names 7 columns"},
};

/* A setting without which the row is refused has an effect, also where it decides no number. */
static void test_needed_settings(void **state)
{
    static const char task[] = "a|data/x|released|synib|random|";
    static const struct {
        const char *set, *says;
    } table[] = {
        {"model.fusion=linear synib.lambda=0 synib.masked_ce=1 synib.divergence=family", NULL},
        {"model.fusion=linear synib.lambda=0 synib.masked_ce=1",
         NULL}, /* told once data are known */
        {"synib.lambda=0 synib.masked_ce=1 synib.divergence=family",
         "synib.divergence=family: has no effect without synib.lambda > 0"},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char row[512], *path;
        const char *rows[] = {row, NULL};
        struct plan p;
        struct err e = {0};

        snprintf(row, sizeof row, "%s%s|1", task, table[i].set);
        path = put_plan(state, "plan.tsv", rows);
        if (table[i].says == NULL)
            ASSERT_OK(plan_read(&p, path, &e), e);
        else
            ASSERT_FAILS(plan_read(&p, path, &e), e, ERR_DATA, table[i].says);
        plan_free(&p);
        free(path);
    }
}

/* What the system refuses says nothing about the plan. */
static void test_preset_that_cannot_be_opened(void **state)
{
    const char *rows[] = {"a|spurious:1|./no.conf|vanilla|||1", NULL};
    char *path = put_plan(state, "plan.tsv", rows);
    struct plan p;
    struct err e = {0};

    ASSERT_FAILS(plan_read(&p, path, &e), e, ERR_IO, "plan.tsv:3: ./no.conf: cannot open");
    plan_free(&p);
    free(path);
}

/* Alone, and as the second row of a plan that is fine otherwise. */
static void test_bad_rows(void **state)
{
    static const char good[] = "zz|spurious:1|xor-spurious|vanilla|||1";

    for (size_t i = 0; i < sizeof BAD_ROWS / sizeof BAD_ROWS[0]; i++)
        for (int line = 3; line <= 4; line++) {
            const char *rows[] = {line == 3 ? BAD_ROWS[i].row : good, BAD_ROWS[i].row, NULL};
            bool absent = strstr(BAD_ROWS[i].says, "cannot open") != NULL; /* a preset */
            char *path, where[512];
            struct plan p;
            struct err e = {0};

            rows[line - 2] = NULL;
            path = put_plan(state, "plan.tsv", rows);
            snprintf(where, sizeof where, "%s:%d: ", path, line);
            if (plan_read(&p, path, &e) != (absent ? ERR_IO : ERR_DATA) ||
                strncmp(e.text, where, strlen(where)) != 0 ||
                strstr(e.text, BAD_ROWS[i].says) == NULL || strchr(e.text, '\n') != NULL)
                fail_msg("%s: %d: '%s' instead of '%s'", BAD_ROWS[i].row, e.code, e.text,
                         BAD_ROWS[i].says);
            plan_free(&p);
            free(path);
        }
}

/* What is wrong with a plan as a whole. */
static void test_bad_plans(void **state)
{
    static const struct {
        const char *text, *says;
    } table[] = {
        {"", "plan.tsv: is empty"},
        {"#synib-plan 1\nrun|task|preset|method|mask|settings|seed\n", "plan.tsv: has no rows"},
        {"#synib-plan 2\nrun|task|preset|method|mask|settings|seed\n",
         "plan.tsv:1: is not a plan manifest"},
        {"#synib-plan 1\nrun|task|preset|method|mask|settings\n",
         "plan.tsv:2: column 'seed' is missing"},
        {"#synib-plan 1\nrun|task|preset|method|mask|settings|seed\n"
         "a|spurious:1|xor-spurious|vanilla|||1\nb|spurious:1|xor-spurious|vanilla|||1\n"
         "a|spurious:1|xor-spurious|vanilla|||2\n",
         "plan.tsv: run 'a' stands in lines 3 and 5"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char *path = put_file(state, "plan.tsv", table[i].text);
        struct plan p;
        struct err e = {0};

        ASSERT_FAILS(plan_read(&p, path, &e), e, ERR_DATA, table[i].says);
        plan_free(&p);
        free(path);
    }
}

/* Twenty faults are listed, one line each, and no more. */
static void test_many_faults(void **state)
{
    const char *rows[31] = {0};
    char *path, where[512];
    const char *line;
    struct plan p;
    struct err e = {0};
    int lines = 1;

    for (int i = 0; i < 30; i++)
        rows[i] = i % 2 == 0 ? "a|spurious:1|xor-spurious|vanilla|||x"
                             : "a|spurious:1|xor-spurious|vanilla||optim.lr=y|1";
    path = put_plan(state, "plan.tsv", rows);
    assert_int_equal(plan_read(&p, path, &e), ERR_DATA);
    line = e.text;
    for (; line != NULL; lines++) {
        snprintf(where, sizeof where, "%s:%d: ", path, lines + 2);
        assert_true(strncmp(line, where, strlen(where)) == 0);
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    assert_int_equal(lines - 1, 20);
    plan_free(&p);
    free(path);
}

/* Preset, method and settings are for the data of the row: known before anything runs. */
static void test_wrong_data(void **state)
{
    static const char *const rows[] = {
        "a|spurious:1|xor-spurious|vanilla|||1",
        "b|spurious:1|demo|vanilla|||1",
        "c|spurious:1|xor-spurious|uni-audio|||1",
        "d|regression:1|xor-regression|vanilla||select.metric=accuracy|1",
        "e|regression:1|xor-regression|vanilla||select.metric=loss|1",
        "f|regression:1|xor-regression|synib||select.metric=synergy-accuracy|1",
        NULL,
    };
    static const char *const says[] = {
        ":4: the settings are for data.kind = media, the data hold vectors: use preset "
        "xor-spurious, "
        "xor-pid, xor-regression or one of your own\n",
        ":5: method uni-audio: is for pictures and sound, the data hold vectors\n",
        ":6: select.metric: accuracy is for classes, the data have numbers to predict: use loss or "
        "last\n",
        ":8: select.metric: accuracy is for classes, the data have numbers to predict: use loss or "
        "last",
    };
    struct sheet s = sheet_open(state, "plan.tsv", rows);
    struct results r;
    struct err e = {0};
    const char *at = e.text;

    assert_int_equal(results_init(&r, &s.plan, (struct sweep_part){1, 1}, true, *state, &e),
                     ERR_DATA);
    for (size_t i = 0; i < sizeof says / sizeof says[0]; i++) {
        size_t name = strlen(s.path), len = strlen(says[i]);

        if (strncmp(at, s.path, name) != 0 || strncmp(at + name, says[i], len) != 0)
            fail_msg("'%s' instead of '%s'", at, says[i]);
        at += name + len;
    }
    assert_string_equal(at, "");
    results_free(&r);
    sheet_close(&s);
}
/* Runs share their unimodal runs exactly where these have the same seed, data and settings, of
 * either modality; methods that need none have none. */
static void test_shared_pretraining(void **state)
{
    enum { RUNS = 7 };
    static const struct {
        const char *method, *set, *seed;
        int as; /* the first run that has the same; -1: it has none */
    } runs[RUNS] = {
        {"vanilla", "", "1", 0},
        {"synib", "synib.lambda=0.5", "1", 0},
        {"vanilla", "pretrain.video.lr=0.5", "1", 2},
        {"vanilla", "pretrain.audio.lr=0.5", "1", 3},
        {"vanilla", "", "2", 4},
        {"vanilla", "init.encoders=scratch", "1", -1},
        {"ensemble", "pretrain.video.lr=0.5", "1", 2},
    };
    char *dir = scratch_path(*state, "drawn"), row[RUNS][256];
    const char *rows[RUNS + 1] = {NULL};
    size_t todo[RUNS];
    struct pretraining p;
    struct sheet s;
    struct err e = {0};

    ASSERT_OK(drawn_dataset_make(dir, &drawn_options_default, &e), e);
    for (int i = 0; i < RUNS; i++) {
        snprintf(row[i], sizeof row[i], "%c|%s/data|demo|%s||%s|%s", 'a' + i, dir, runs[i].method,
                 runs[i].set, runs[i].seed);
        rows[i] = row[i];
        todo[i] = (size_t)i;
    }
    s = sheet_open(state, "plan.tsv", rows);
    ASSERT_OK(pretraining_init(&p, &s.plan, todo, RUNS, "out", &e), e);
    assert_int_equal(p.n, 4);
    for (int i = 0; i < RUNS; i++)
        for (int j = 0; j < RUNS; j++)
            assert_true((strcmp(p.key[i], p.key[j]) == 0) == (runs[i].as == runs[j].as));
    assert_true(p.key[5][0] == '\0' && p.key[0][0] != '\0');
    pretraining_free(&p);
    sheet_close(&s);
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good_plan, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_columns_in_any_order, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_preset_that_cannot_be_opened, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(test_bad_rows, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_needed_settings, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_bad_plans, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_many_faults, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_data, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_shared_pretraining, scratch_setup, scratch_teardown),
    };

    setenv("SYNIB_MANIFESTS", SOURCE_DIR "/manifests", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
