/* SPDX-License-Identifier: MIT */
#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"
#include "train/sweep/plan.h"
#include "train/sweep/results.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Plans of sweeps and their results as files: no run is trained here. */

/* A plan file and what was read from it. Rows below are written with '|' for the tab. */
struct sheet {
    char *path;
    struct plan plan;
};

static const char plan_head[] = "#synib-plan 1\nrun|task|preset|method|mask|settings|seed\n";

static char *put_file(void *const *state, const char *name, const char *text)
{
    char *path = scratch_path(*state, name), *copy = strdup(text);
    struct err e = {0};

    assert_non_null(copy);
    for (char *p = copy; (p = strchr(p, '|')) != NULL;)
        *p = '\t';
    ASSERT_OK(atomic_file_put(path, copy, strlen(copy), true, &e), e);
    free(copy);
    return path;
}

static char *put_plan(void *const *state, const char *name, const char *const *rows)
{
    char text[16384];
    size_t n = (size_t)snprintf(text, sizeof text, "%s", plan_head);

    for (int i = 0; rows[i] != NULL; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s\n", rows[i]);
    assert_true(n < sizeof text);
    return put_file(state, name, text);
}

static struct sheet sheet_open(void *const *state, const char *name, const char *const *rows)
{
    struct sheet s = {.path = put_plan(state, name, rows)};
    struct err e = {0};

    ASSERT_OK(plan_read(&s.plan, s.path, &e), e);
    return s;
}

static void sheet_close(struct sheet *s)
{
    plan_free(&s->plan);
    free(s->path);
}

/* ---- plans ---- */

static void test_good_plan(void **state)
{
    static const char *const rows[] = {
        "a|spurious:0.6|xor-spurious|vanilla||optim.epochs=3 optim.lr=0.5|0",
        "B.2_x-y|pid@7:0.25,0.25,0,0.5|xor-pid|synib|learned||9007199254740991",
        "c|spurious3:1|xor-spurious|synib|learned||1",
        "d|regression:2|xor-regression|masking-only||mask.kind=none mask.fill=zeros|2",
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
    assert_true(r[3].config.mask == MASK_NONE && r[3].config.fill == FILL_ZEROS);
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
    {"a|spurious:-0.5|xor-spurious|vanilla|||1", "strength: '-0.5' is not a number from 0 up"},
    {"a|spurious:inf|xor-spurious|vanilla|||1", "strength: 'inf' is not a number"},
    {"a|pid:0.5,0.5,0.5,0|xor-pid|vanilla|||1", "sum to 1.5: must be 1"},
    {"a|pid:0.4,0.3,0.2,0.0999|xor-pid|vanilla|||1", "sum to 0.9999: must be 1"},
    {"a|pid:1,0,0|xor-pid|vanilla|||1", "mix: '0' is not four probabilities"},
    {"a|pid:-1,1,1,0|xor-pid|vanilla|||1", "mix: '-1' is not a number from 0 to 1"},
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
    {"a|spurious:1|xor-spurious|vanilla|||-1", "seed: '-1' is not a whole number"},
    {"a|spurious:1|xor-spurious|vanilla|||1.0", "seed: '1.0' is not a whole number"},
    {"a|spurious:1|xor-spurious|vanilla|||9007199254740992", "seed 9007199254740992: 2^53 or more"},
    {"a|spurious:1|xor-spurious|vanilla|||18446744073709551616", "is not a whole number from 0"},
    {"a|spurious:1|xor-spurious|vanilla||", "has 6 cells: the header names 7 columns"},
    {"a|spurious:1|xor-spurious|vanilla|||1|", "has 8 cells: the header names 7 columns"},
};

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

/* ---- results ---- */

enum { ROWS = 5 };
static const char *const MIXED[] = {
    "a|spurious:0.6|xor-spurious|vanilla||optim.epochs=3|0",
    "b|pid:0.25,0.25,0.25,0.25|xor-pid|synib|random||0",
    "c|regression:1|xor-regression|vanilla|||0",
    "d|spurious:0.6|xor-spurious|synib|oracle|synib.lambda=1 mask.p=0.5|7",
    "e|spurious:0.6|xor-spurious|vanilla|||1",
    NULL,
};
static const struct sweep_part WHOLE = {1, 1};

/* Row d is the one that was not finite. */
static struct run_result result_of(size_t i)
{
    struct test_metrics m = {.loss = 0.5 + (double)i, .accuracy = 0.75, .mse = 0.125, .r2 = -0.5};
    struct run_result r = {.finite = i != 3,
                           .epochs = 3,
                           .steps = 9 + (int64_t)i,
                           .best_epoch = 2,
                           .best_score = 1.0 / 3,
                           .val = {.loss = 0.25,
                                   .accuracy = i == 2 ? NAN : 0.875,
                                   .macro_f1 = i == 2 ? NAN : 0.625,
                                   .irony_f1 = NAN,
                                   .mse = i == 2 ? 2 : NAN,
                                   .r2 = i == 2 ? -1 : NAN},
                           .last = m,
                           .best = m};

    for (int g = 0; g < 4; g++)
        r.last.source[g] = (struct source_sum){.n = 4, .right = g, .loss = 1 + g};
    r.best.source[0] = (struct source_sum){.n = 8, .right = 7, .loss = 2};
    return r;
}

static char *read_text(const char *dir, const char *name)
{
    struct file_view view = {0};
    char *path = NULL, *text;
    struct err e = {0};

    ASSERT_OK(path_join(&path, dir, name, &e), e);
    ASSERT_OK(file_read(&view, path, 1 << 20, &e), e);
    text = calloc(view.len + 1, 1);
    assert_non_null(text);
    if (view.len > 0)
        memcpy(text, view.data, view.len);
    file_view_free(&view);
    free(path);
    return text;
}

static void write_text(const char *dir, const char *name, const char *text, size_t len)
{
    char *path = NULL;
    struct err e = {0};
    FILE *f;

    ASSERT_OK(path_join(&path, dir, name, &e), e);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    free(path);
}

/* Adds rows of the part that are missing, the last ones first, and finishes unless told not to. */
static void write_results(const struct plan *plan, struct sweep_part part, const char *dir,
                          bool finish)
{
    struct results r;
    struct err e = {0};

    ASSERT_OK(dir_make(dir, &e), e);
    ASSERT_OK(results_init(&r, plan, part, true, dir, &e), e);
    ASSERT_OK(results_read(&r, &e), e);
    ASSERT_OK(results_start(&r, &e), e);
    for (size_t i = plan->n; i-- > 0;) {
        struct run_result one = result_of(i);

        if (part_has(&part, i) && r.row[i] == NULL)
            ASSERT_OK(results_add(&r, i, &one, &e), e);
    }
    if (finish)
        ASSERT_OK(results_finish(&r, &e), e);
    results_free(&r);
}

/* The bytes that every way must lead to; caller frees. */
static char *whole_text(const void *state, const struct plan *plan)
{
    char *dir = scratch_path(state, "whole"), *text;

    write_results(plan, WHOLE, dir, true);
    text = read_text(dir, "results.tsv");
    free(dir);
    return text;
}

static const char MIXED_TEXT[] =
    "#synib-results 1\n"
    "run|task|preset|method|mask|settings|seed|identity|status|epochs|steps|best_epoch|best_score|"
    "val_loss|val_accuracy|val_macro_f1|val_mse|val_r2|"
    "last_accuracy|last_mse|last_r2|last_loss|"
    "last_accuracy_synergistic|last_loss_synergistic|last_accuracy_unique1|last_loss_unique1|"
    "last_accuracy_unique2|last_loss_unique2|last_accuracy_redundant|last_loss_redundant|"
    "best_accuracy|best_mse|best_r2|best_loss|"
    "best_accuracy_synergistic|best_loss_synergistic|best_accuracy_unique1|best_loss_unique1|"
    "best_accuracy_unique2|best_loss_unique2|best_accuracy_redundant|best_loss_redundant\n"
    "a|spurious:0.6|xor-spurious|vanilla||optim.epochs=3|0|#|ok|3|9|2|0.333333333|"
    "0.25|0.875|0.625|||"
    "0.75|||0.5|0|0.25|||||||0.75|||0.5|0.875|0.25||||||\n"
    "b|pid:0.25,0.25,0.25,0.25|xor-pid|synib|random||0|#|ok|3|10|2|0.333333333|"
    "0.25|0.875|0.625|||"
    "0.75|||1.5|0.75|1|0|0.25|0.25|0.5|0.5|0.75|0.75|||1.5|||0.875|0.25||||\n"
    "c|regression:1|xor-regression|vanilla|||0|#|ok|3|11|2|0.333333333|"
    "0.25|||2|-1|"
    "|0.125|-0.5|2.5||0.25||||||||0.125|-0.5|2.5||0.25||||||\n"
    "d|spurious:0.6|xor-spurious|synib|oracle|synib.lambda=1 mask.p=0.5|7|#|not-finite||||"
    "|||||||||||||||||||||||||||||\n"
    "e|spurious:0.6|xor-spurious|vanilla|||1|#|ok|3|13|2|0.333333333|"
    "0.25|0.875|0.625|||"
    "0.75|||4.5|0|0.25|||||||0.75|||4.5|0.875|0.25||||||\n";

/* Every cell, the identities aside: tabs as '|', an identity of 16 hex digits as '#'. */
static void test_rows(void **state)
{
    struct sheet s = sheet_open(state, "plan.tsv", MIXED);
    char *text = whole_text(*state, &s.plan), shown[4096], *to = shown;

    assert_true(strlen(text) < sizeof shown);
    for (const char *p = text; *p != '\0'; p++)
        if (p > text && p[-1] == '\t' && strspn(p, "0123456789abcdef") == IDENTITY_SIZE - 1) {
            *to++ = '#';
            p += IDENTITY_SIZE - 2;
        } else {
            *to++ = *p == '\t' ? '|' : *p;
        }
    *to = '\0';
    assert_string_equal(shown, MIXED_TEXT);
    free(text);
    sheet_close(&s);
}

/* Identities differ with seed, method, task and settings, and with nothing else. */
static void test_identities(void **state)
{
    static const char *const rows[] = {
        "a|spurious:0.6|xor-spurious|vanilla|||1",
        "same1|spurious:0.60|" SOURCE_DIR "/manifests/presets/xor-spurious.conf|vanilla||"
        "optim.lr=0.01|1",
        "same2|spurious:0.6|xor-spurious|vanilla||checkpoint.epochs=5|1",
        "seed|spurious:0.6|xor-spurious|vanilla|||2",
        "task|spurious:0.7|xor-spurious|vanilla|||1",
        "modalities|spurious3:0.6|xor-spurious|vanilla|||1",
        "method|spurious:0.6|xor-spurious|synib|||1",
        "mask|spurious:0.6|xor-spurious|synib|all||1",
        "setting|spurious:0.6|xor-spurious|vanilla||optim.epochs=99|1",
        "preset|spurious:0.6|xor-pid|vanilla|||1",
        NULL,
    };
    struct sheet s = sheet_open(state, "plan.tsv", rows);
    struct results r;
    struct err e = {0};

    ASSERT_OK(results_init(&r, &s.plan, WHOLE, true, *state, &e), e);
    for (size_t i = 0; i < s.plan.n; i++) {
        assert_int_equal(strlen(r.identity[i]), IDENTITY_SIZE - 1);
        for (size_t j = 0; j < i; j++)
            if ((strcmp(r.identity[i], r.identity[j]) == 0) != (i <= 2))
                fail_msg("%s and %s", r.plan->run[i].cell[PLAN_RUN], r.plan->run[j].cell[PLAN_RUN]);
    }
    results_free(&r);
    sheet_close(&s);
}

/* The file cut, at the ends of lines and between: whole rows are taken over, what is left of a row
 * is dropped, and the end is the same. */
static void test_cut_file(void **state)
{
    struct sheet s = sheet_open(state, "plan.tsv", MIXED);
    char *want = whole_text(*state, &s.plan), *dir = scratch_path(*state, "cut"), *text;

    write_results(&s.plan, WHOLE, dir, false);
    text = read_text(dir, "results.tsv");
    assert_int_equal(strlen(text), strlen(want));
    assert_string_not_equal(text, want); /* in the order in which they ended */
    for (size_t n = 0; n <= strlen(text); n++) {
        struct results r;
        struct err e = {0};
        size_t lines = 0;

        if (n % 7 != 0 && text[n - 1] != '\n' && text[n] != '\n')
            continue;
        for (size_t i = 0; i < n; i++)
            lines += text[i] == '\n';
        write_text(dir, "results.tsv", text, n);
        ASSERT_OK(results_init(&r, &s.plan, WHOLE, true, dir, &e), e);
        ASSERT_OK(results_read(&r, &e), e);
        assert_int_equal(r.done, lines < 2 ? 0 : lines - 2);
        assert_int_equal(r.failed, r.row[3] != NULL);
        results_free(&r);
        if (n % 91 == 0 || (n > 0 && text[n - 1] == '\n')) {
            char *got;

            write_results(&s.plan, WHOLE, dir, true);
            got = read_text(dir, "results.tsv");
            assert_string_equal(got, want);
            free(got);
        }
    }
    free(text);
    free(want);
    free(dir);
    sheet_close(&s);
}

static void assert_read_fails(const struct plan *plan, const char *dir, enum err_code code,
                              const char *says)
{
    struct results r;
    struct err e = {0};

    ASSERT_OK(results_init(&r, plan, WHOLE, true, dir, &e), e);
    ASSERT_FAILS(results_read(&r, &e), e, code, says);
    results_free(&r);
}

/* Results of another plan are neither continued nor changed. */
static void test_other_plan(void **state)
{
    const char *const others[][ROWS + 1] = {
        {MIXED[0], MIXED[1], MIXED[2], "d|spurious:0.6|xor-spurious|synib|oracle|synib.lambda=2|7",
         MIXED[4]},
        {MIXED[0], MIXED[1], MIXED[2], MIXED[3], "f|spurious:0.6|xor-spurious|vanilla|||1"},
        {MIXED[0], MIXED[1], MIXED[3], MIXED[4]},
        {MIXED[0], MIXED[2], MIXED[3], MIXED[4]},
    };
    static const char *const says[] = {
        "results.tsv:6: run 'd' was made with other settings, data or task",
        "results.tsv:7: run 'e' is not in ",
        "results.tsv: has other columns than this plan gives",
        "results.tsv: has other columns than this plan gives",
    };
    struct sheet s = sheet_open(state, "plan.tsv", MIXED);
    char *dir = scratch_path(*state, "whole"), *want = whole_text(*state, &s.plan), *text;

    for (size_t i = 0; i < sizeof says / sizeof says[0]; i++) {
        struct sheet other = sheet_open(state, "other.tsv", others[i]);

        assert_read_fails(&other.plan, dir, ERR_DATA, says[i]);
        sheet_close(&other);
        text = read_text(dir, "results.tsv");
        assert_string_equal(text, want);
        free(text);
    }
    write_text(dir, "results.tsv", "hello\n", 6);
    assert_read_fails(&s.plan, dir, ERR_DATA, "has other columns");
    free(want);
    free(dir);
    sheet_close(&s);
}

/* A plan that says the same in other words: its rows are taken over and say it as the plan does. */
static void test_other_words(void **state)
{
    const char *const rows[] = {
        "a|spurious:0.60|xor-spurious|vanilla||optim.epochs=3|0",
        MIXED[1],
        MIXED[2],
        "d|spurious:0.6|xor-spurious|synib|oracle|mask.p=0.5 synib.lambda=1|7",
        MIXED[4],
        NULL,
    };
    struct sheet s = sheet_open(state, "plan.tsv", MIXED);
    struct sheet other = sheet_open(state, "other.tsv", rows);
    char *want = whole_text(*state, &other.plan), *dir = scratch_path(*state, "kept"), *text;

    write_results(&s.plan, WHOLE, dir, true);
    write_results(&other.plan, WHOLE, dir, true);
    text = read_text(dir, "results.tsv");
    assert_string_equal(text, want);
    assert_non_null(strstr(text, "spurious:0.60\t"));
    free(text);
    free(want);
    free(dir);
    sheet_close(&other);
    sheet_close(&s);
}

/* ---- parts ---- */

static enum err_code merge(const struct plan *plan, const char *dir, struct err *e)
{
    struct results r;

    ASSERT_OK(results_init(&r, plan, WHOLE, true, dir, e), *e);
    TRY(results_read_parts(&r, e));
    TRY(results_finish(&r, e));
    assert_int_equal(r.done, plan->n);
    assert_true(r.failed);
out:
    results_free(&r);
    return e->code;
}

/* In any number of parts, more than there are rows too: the same bytes as in one go. */
static void test_parts(void **state)
{
    struct sheet s = sheet_open(state, "plan.tsv", MIXED);
    char *want = whole_text(*state, &s.plan);

    for (int n = 2; n <= ROWS + 2; n++) {
        char name[32], *dir, *text;
        struct err e = {0};

        snprintf(name, sizeof name, "parts%d", n);
        dir = scratch_path(*state, name);
        for (int i = n; i >= 1; i--)
            write_results(&s.plan, (struct sweep_part){i, n}, dir, i % 2 == 0);
        assert_false(run_has(dir, "results.tsv"));
        ASSERT_OK(merge(&s.plan, dir, &e), e);
        text = read_text(dir, "results.tsv");
        assert_string_equal(text, want);
        free(text);
        free(dir);
    }
    free(want);
    sheet_close(&s);
}

static void test_bad_merge(void **state)
{
    struct sheet s = sheet_open(state, "plan.tsv", MIXED);
    char *dir = scratch_path(*state, "parts"), *text, *at;
    struct err e = {0};

    ASSERT_OK(dir_make(dir, &e), e);
    write_text(dir, "results.1-of-1.tsv", "x", 1); /* no names of parts */
    write_text(dir, "results.01-of-2.tsv", "x", 1);
    ASSERT_FAILS(merge(&s.plan, dir, &e), e, ERR_USAGE, "has no results.I-of-N.tsv to merge");
    write_results(&s.plan, (struct sweep_part){1, 2}, dir, true);
    ASSERT_FAILS(merge(&s.plan, dir, &e), e, ERR_DATA, "run 'b' (");
    assert_false(run_has(dir, "results.tsv"));
    write_results(&s.plan, (struct sweep_part){2, 2}, dir, true);
    ASSERT_OK(merge(&s.plan, dir, &e), e);
    write_results(&s.plan, (struct sweep_part){1, 3}, dir, true); /* the same rows once more */
    ASSERT_OK(merge(&s.plan, dir, &e), e);

    text = read_text(dir, "results.1-of-3.tsv");
    write_text(dir, "results.1-of-3.tsv", text, strlen(text) - 1);
    ASSERT_FAILS(merge(&s.plan, dir, &e), e, ERR_TRUNCATED,
                 "results.1-of-3.tsv: its last line is cut");
    at = strstr(text, "0.333333333");
    assert_non_null(at);
    at[10] = '4';
    write_text(dir, "results.1-of-3.tsv", text, strlen(text));
    ASSERT_FAILS(merge(&s.plan, dir, &e), e, ERR_DATA,
                 "results.1-of-3.tsv:3: run 'a' has two different rows");
    free(text);
    free(dir);
    sheet_close(&s);
}

static void test_bad_rows_of_results(void **state)
{
    struct sheet s = sheet_open(state, "plan.tsv", MIXED);
    char *dir = scratch_path(*state, "whole"), *want = whole_text(*state, &s.plan), *at, *path;
    struct results r;
    struct err e = {0};

    at = strrchr(want, '\t');
    memmove(at, at + 1, strlen(at)); /* two cells in one */
    write_text(dir, "results.tsv", want, strlen(want));
    assert_read_fails(&s.plan, dir, ERR_DATA, "results.tsv:7: has 4");
    write_text(dir, "results.tsv", "#synib-resul", 12); /* cut in its first line, */
    ASSERT_OK(results_init(&r, &s.plan, WHOLE, true, dir, &e), e);
    ASSERT_OK(results_read(&r, &e), e);
    assert_int_equal(r.log.bytes, 0);
    results_free(&r);
    write_text(dir, "results.tsv", "#synib-resux", 12); /* or of something else */
    assert_read_fails(&s.plan, dir, ERR_DATA, "results.tsv: has other columns");
    {
        char line[4096]; /* longer than the header, and no line */

        memset(line, '#', sizeof line);
        write_text(dir, "results.tsv", line, sizeof line);
        assert_read_fails(&s.plan, dir, ERR_DATA, "results.tsv: has other columns");
    }
    ASSERT_OK(results_init(&r, &s.plan, WHOLE, false, dir, &e), e);
    ASSERT_FAILS(results_read(&r, &e), e, ERR_DATA, "than this plan gives with --no-test: give");
    results_free(&r);
    path = scratch_path(dir, "results.tsv");
    assert_int_equal(remove(path), 0);
    ASSERT_OK(dir_make(path, &e), e);
    assert_read_fails(&s.plan, dir, ERR_FORMAT, "results.tsv: is not a regular file");
    free(path);
    path = scratch_path(*state, "gone");
    ASSERT_OK(results_init(&r, &s.plan, WHOLE, true, path, &e), e);
    ASSERT_FAILS(results_read_parts(&r, &e), e, ERR_IO, "gone: cannot list");
    results_free(&r);
    free(path);
    free(want);
    free(dir);
    sheet_close(&s);
}

/* Numbers that are not there are empty cells. */
static void test_no_numbers(void **state)
{
    const char *const rows[] = {MIXED[0], NULL};
    struct sheet s = sheet_open(state, "plan.tsv", rows);
    struct run_result one = result_of(0);
    char *text;
    struct results r;
    struct err e = {0};

    one.val.loss = one.val.accuracy = one.val.macro_f1 = NAN;
    ASSERT_OK(results_init(&r, &s.plan, WHOLE, false, *state, &e), e);
    ASSERT_OK(results_start(&r, &e), e);
    ASSERT_OK(results_add(&r, 0, &one, &e), e);
    ASSERT_OK(results_finish(&r, &e), e);
    text = read_text(*state, "results.tsv");
    assert_non_null(strstr(text, "\tok\t3\t9\t2\t0.333333333\t\t\t\n"));
    free(text);
    results_free(&r);
    sheet_close(&s);
}

/* Whether there are columns of the test split: by the header alone. */
static void test_have_test(void **state)
{
    static const struct {
        const char *name, *text;
        bool parts, was, is;
    } cases[] = {
        {"results.tsv", "#synib-results 1\nrun\tlast_loss\n", false, false, true},
        {"results.tsv", "#synib-results 1\nrun\tlast_loss\n", true, false, false}, /* no part */
        {"results.1-of-2.tsv", "#synib-results 1\nrun\tlast_loss\n", true, false, true},
        {"results.1-of-2.tsv", "#synib-results 1\nrun\tlast_loss\n", false, false, false},
        {"results.tsv", "#synib-results 1\nrun\tval_loss\nlast_loss\n", false, true, false},
        {"results.tsv", "#synib-results 1\nrun\tlast_loss", false, false, false}, /* cut */
        {"results.tsv", "#synib-results 1", false, true, true},
        {"results.tsv", "", false, true, true},
        {"other.tsv", "#synib-results 1\nrun\tlast_loss\n", false, false, false},
    };
    char *dir = scratch_path(*state, "results"), *path;
    struct err e = {0};
    bool test = true;

    ASSERT_OK(results_have_test(&test, dir, false, &e), e);
    assert_true(test); /* no folder: as it was */
    ASSERT_OK(dir_make(dir, &e), e);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_text(dir, cases[i].name, cases[i].text, strlen(cases[i].text));
        write_text(dir, "z.tsv", "", 0); /* not looked at any more */
        test = cases[i].was;
        ASSERT_OK(results_have_test(&test, dir, cases[i].parts, &e), e);
        if (test != cases[i].is)
            fail_msg("case %zu: %d", i, test);
        path = scratch_path(dir, cases[i].name);
        assert_int_equal(remove(path), 0);
        free(path);
    }
    path = scratch_path(dir, "results.tsv");
    ASSERT_OK(dir_make(path, &e), e);
    ASSERT_FAILS(results_have_test(&test, dir, false, &e), e, ERR_FORMAT,
                 "results.tsv: is not a regular file");
    free(path);
    path = scratch_path(*state, "file");
    write_text(*state, "file", "x", 1);
    ASSERT_FAILS(results_have_test(&test, path, false, &e), e, ERR_IO, "file: cannot");
    free(path);
    free(dir);
}

/* Every row is in exactly one part, and a part's file is named after it. */
static void test_part_numbers(void **state)
{
    char name[64];

    (void)state;
    for (int n = 1; n <= 7; n++)
        for (size_t row = 0; row < 20; row++) {
            int owners = 0;

            for (int i = 1; i <= n; i++)
                owners += part_has(&(struct sweep_part){i, n}, row);
            assert_int_equal(owners, 1);
        }
    assert_true(part_has(&(struct sweep_part){2, 3}, 4));
    part_file(&WHOLE, name, sizeof name);
    assert_string_equal(name, "results.tsv");
    part_file(&(struct sweep_part){2, 3}, name, sizeof name);
    assert_string_equal(name, "results.2-of-3.tsv");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good_plan, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_columns_in_any_order, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_preset_that_cannot_be_opened, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(test_bad_rows, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_bad_plans, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_many_faults, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_data, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_rows, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_identities, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_cut_file, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_other_plan, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_other_words, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_parts, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_bad_merge, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_part_numbers),
        cmocka_unit_test_setup_teardown(test_bad_rows_of_results, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_no_numbers, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_have_test, scratch_setup, scratch_teardown),
    };

    setenv("SYNIB_MANIFESTS", SOURCE_DIR "/manifests", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
