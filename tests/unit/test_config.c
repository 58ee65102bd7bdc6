/* SPDX-License-Identifier: MIT */
#include "common/base/file.h"
#include "tests/support/check.h"
#include "train/config_table.h"
#include "train/methods/method.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const presets[] = {"paper", "released", "demo"};

static void preset_path(char path[512], const char *name)
{
    snprintf(path, 512, "%s/manifests/presets/%s.conf", SOURCE_DIR, name);
}

static void load(struct config *c, const char *name, const char *method)
{
    struct err e = {0};
    char path[512];

    preset_path(path, name);
    ASSERT_OK(config_load(c, path, method, NULL, &e), e);
    ASSERT_OK(config_check(c, &e), e);
}

/* The numbers of R sections 5 and 11. */
static void test_paper(void **state)
{
    struct config c;

    (void)state;
    load(&c, "paper", "synib");
    assert_true(c.lr == 1e-5 && c.weight_decay == 1e-5 && c.batch == 64);
    assert_true(c.pretrain_audio_lr == 1e-3 && c.pretrain_video_lr == 1e-4);
    assert_true(c.pretrain_weight_decay == 1e-4 && c.pretrain_batch == 64);
    assert_true(c.beta1 == 0.9 && c.beta2 == 0.999 && c.eps == 1e-7);
    assert_true(c.schedule == SCHEDULE_RESTARTS && c.warmup_steps == 780 && c.t0_steps == 4);
    assert_true(c.stop_rule == STOP_ANY && c.patience == 30 && c.pretrain_patience == 100);
    assert_true(c.width == 64 && c.trunk == 64 && c.dropout == 0.1 && c.layernorm);
    assert_true(c.audio_pool == 1 && c.video_size == 224 && c.augment);
    assert_true(c.lambda == 1 && c.mask_p == 0.2 && c.fill == FILL_EMA);
    assert_true(c.reference == REFERENCE_UNMASKED && !c.reverse && !c.detach);
    assert_true(c.masked_ce == 0 && c.unimodal_weight == 1 && c.ema_momentum == 0.99);
    load(&c, "paper", "vanilla");
    assert_true(c.lr == 1e-4 && c.weight_decay == 1e-4 && c.batch == 64);
    load(&c, "released", "synib");
    assert_true(c.lr == 1e-5 && c.batch == 128 && c.mask_p == 0.5 && c.masked_ce == 1);
    assert_true(c.mask == MASK_LEARNED && c.soft && !c.complement && c.detach);
    assert_true(c.divergence == DIVERGENCE_GAUSSIAN && c.ce_masks == CE_MASKS_SHUFFLE);
}

/* Every method can be run with every preset as it is. */
static void test_every_method(void **state)
{
    static const char *const all[] = {"paper",        "released", "demo",
                                      "xor-spurious", "xor-pid",  "xor-regression"};
    struct config c;

    (void)state;
    for (size_t p = 0; p < sizeof all / sizeof all[0]; p++)
        for (int m = 0; methods[m] != NULL; m++)
            load(&c, all[p], methods[m]->name);
}

/* What --print-config and checkpoints say reads back to the same values. */
static void test_round_trip(void **state)
{
    (void)state;
    for (size_t p = 0; p < sizeof presets / sizeof presets[0]; p++) {
        struct config c, again;
        struct err e = {0};
        char *text = NULL, *described = NULL;

        load(&c, presets[p], "synib");
        c.lr = 0.1 + 0.2; /* needs 17 digits */
        ASSERT_OK(config_text(&text, &c, ~0u, &e), e);
        ASSERT_OK(config_describe(&described, &c, &e), e);
        ASSERT_OK(config_parse(&again, "text", "synib", NULL, text, strlen(text), &e), e);
        assert_memory_equal(&c, &again, sizeof c);
        ASSERT_OK(config_parse(&again, "text", "synib", NULL, described, strlen(described), &e), e);
        assert_memory_equal(&c, &again, sizeof c);
        free(text);
        free(described);
    }
}

/* Settings outside a method's scopes do not make it another run. */
static void test_scopes(void **state)
{
    struct config a, b;
    char *ta = NULL, *tb = NULL;
    struct err e = {0};

    (void)state;
    load(&a, "paper", "uni-audio");
    b = a;
    ASSERT_OK(config_set(&b, "synib.lambda=7", &e), e);
    ASSERT_OK(config_set(&b, "video.size = 64", &e), e);
    ASSERT_OK(config_set(&b, "checkpoint.steps=3", &e), e);
    ASSERT_OK(config_text(&ta, &a, SCOPE_AUDIO, &e), e);
    ASSERT_OK(config_text(&tb, &b, SCOPE_AUDIO, &e), e);
    assert_string_equal(ta, tb);
    ASSERT_OK(config_compare(ta, tb, "run", &e), e);
    free(tb);
    ASSERT_OK(config_set(&b, "pretrain.audio.lr=0.5", &e), e);
    ASSERT_OK(config_text(&tb, &b, SCOPE_AUDIO, &e), e);
    ASSERT_FAILS(config_compare(ta, tb, "run", &e), e, ERR_DATA,
                 "pretrain.audio.lr differs: recorded '0.001', now '0.5'");
    ASSERT_FAILS(config_compare("a = 1\n", "a = 1\nb = 2\n", "run", &e), e, ERR_DATA,
                 "b differs: recorded '', now '2'");
    assert_int_equal(config_scopes("synib.lambda=1"), SCOPE_SYNIB);
    assert_int_equal(config_scopes("checkpoint.steps=1"), ~0u);
    free(ta);
    free(tb);
}

static void test_refused_settings(void **state)
{
    static const struct {
        const char *set, *says;
    } table[] = {
        {"synib.lamda=1", "did you mean 'synib.lambda'"},
        {"synib.lambda", "not of the form key=value"},
        {"synib.lambda=", "is not a number"},
        {"synib.lambda=-1", "is not a number from 0"},
        {"synib.lambda=nan", "is not a number"},
        {"synib.lambda=1x", "is not a number"},
        {"mask.p=1.01", "from 0 to 1"},
        {"optim.batch=1", "whole number from 2"},
        {"optim.batch=2.5", "whole number"},
        {"mask.fill=noise", "one of ema, normal, shuffle, zeros"},
        {"model.layernorm=yes", "one of false, true"},
        {"=1", "unknown ''"},
        {"optim=1", "unknown 'optim'"},
    };
    struct config c;
    struct err e = {0};

    (void)state;
    load(&c, "paper", "synib");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        ASSERT_FAILS(config_set(&c, table[i].set, &e), e, ERR_USAGE, table[i].says);
    c.width = 24;
    ASSERT_FAILS(config_check(&c, &e), e, ERR_USAGE, "not a multiple of 16");
    c.width = 32;
    c.patience = 1;
    ASSERT_FAILS(config_check(&c, &e), e, ERR_USAGE, "at least 2");
}

/* A whole preset with `extra` in front, after, or a line replaced. */
static void test_refused_presets(void **state)
{
    static const struct {
        const char *before, *after, *says;
    } table[] = {
        {"", "optim.lr = 1\n", "optim.lr is set twice (first in line"},
        {"", "[synib]\noptim.lr = 1\noptim.lr = 2\n", "is set twice"},
        {"", "[vanilla]\noptim.lr = x\n", "is not a number"},
        {"", "[sinib]\n", "did you mean 'synib'"},
        {"", "[synib\n", "one line of the form [METHOD]"},
        {"hello\n", "", "preset:1: 'hello' is not of the form key = value"},
        {"colour = 1\n", "", "preset:1: setting: unknown 'colour'"},
        {"[synib]\n", "", "audio.pool is missing"},
    };
    struct config c;
    struct err e = {0};
    char *text = NULL, all[8192];

    (void)state;
    load(&c, "demo", "synib");
    ASSERT_OK(config_text(&text, &c, ~0u, &e), e);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        snprintf(all, sizeof all, "%s%s%s", table[i].before, text, table[i].after);
        ASSERT_FAILS(config_parse(&c, "preset", "synib", NULL, all, strlen(all), &e), e, ERR_USAGE,
                     table[i].says);
    }
    /* every line is needed */
    for (char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        const char *rest = strchr(line, '\n') + 1;

        snprintf(all, sizeof all, "%.*s%s", (int)(line - text), text, rest);
        ASSERT_FAILS(config_parse(&c, "preset", "synib", NULL, all, strlen(all), &e), e, ERR_USAGE,
                     "is missing");
    }
    ASSERT_FAILS(config_parse(&c, "preset", "synib", NULL, "a\0b\n", 4, &e), e, ERR_USAGE,
                 "not a line of text");
    free(text);
}

/* Appends text to s, a '|' as a cell of a table wants it. */
static void put_cell(char *s, size_t size, const char *text)
{
    for (size_t n = strlen(s); *text != '\0' && n + 3 < size; text++) {
        if (*text == '|')
            s[n++] = '\\';
        s[n++] = *text;
        s[n] = '\0';
    }
}

/* The row of docs/formats/presets.md up to the presets' values. */
static void table_row(char *row, size_t size, const struct setting *s)
{
    size_t n = (size_t)snprintf(row, size, "\n| `%s` | ", s->key);

    if (s->type == VALUE_CHOICE)
        for (int i = 0; s->choices[i] != NULL; i++)
            n += (size_t)snprintf(row + n, size - n, "%s%s", i == 0 ? "one of " : ", ",
                                  s->choices[i]);
    else
        snprintf(row + n, size - n, "%s from %.10g to %.10g",
                 s->type == VALUE_INT ? "a whole number" : "a number", s->min, s->max);
    strcat(row, " | ");
    put_cell(row, size, s->help);
    strcat(row, " |");
}

/* Every setting has its row, in the order of the table in code. */
static void test_page(void **state)
{
    struct file_view page = {0};
    struct err e = {0};
    const char *at;

    (void)state;
    ASSERT_OK(file_read(&page, SOURCE_DIR "/docs/formats/presets.md", 1 << 20, &e), e);
    at = (const char *)page.data;
    for (int i = 0; i < config_setting_count; i++) {
        char row[1024];
        const char *found;

        table_row(row, sizeof row, &config_settings[i]);
        found = strstr(at, row);
        if (found == NULL)
            fail_msg("docs/formats/presets.md: not there, or not in its place:%s", row);
        at = found + 1;
    }
    file_view_free(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paper),           cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_scopes),          cmocka_unit_test(test_refused_settings),
        cmocka_unit_test(test_refused_presets), cmocka_unit_test(test_page),
        cmocka_unit_test(test_every_method),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
