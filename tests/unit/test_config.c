/* SPDX-License-Identifier: MIT */
#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "tests/support/check.h"
#include "tests/support/moved.h"
#include "tests/support/scratch.h"
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
    assert_int_equal(config_scopes("no.setting=1"), ~0u);
    ASSERT_OK(config_compare("a = 1", "a = 1", "run", &e), e);
    ASSERT_FAILS(config_compare("a = 1\nb", "a = 1", "run", &e), e, ERR_DATA, "run: b differs");
    ASSERT_FAILS(config_compare("a = 1", "a = 1\nb", "run", &e), e, ERR_DATA, "run: b differs");
    ASSERT_FAILS(config_compare("a = 1\nb = ", "a = 1", "run", &e), e, ERR_DATA, "run: b differs");
    ASSERT_FAILS(config_compare("b\na = 1", "a = 1", "run", &e), e, ERR_DATA, "run: b differs");
    ASSERT_FAILS(config_compare("a = 12", "a = 1", "run", &e), e, ERR_DATA,
                 "run: a differs: recorded '12', now '1'");
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
        {"data.kind=media", "data.kind: is no setting of this preset's data.kind"},
        {"model.head_width=4", "model.head_width: is no setting of this preset's data.kind"},
    };
    struct config c;
    struct err e = {0};

    (void)state;
    load(&c, "paper", "synib");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        ASSERT_FAILS(config_set(&c, table[i].set, &e), e, ERR_USAGE, table[i].says);
}

static void test_long_setting(void **state)
{
    char set[600];
    struct config c;
    struct err e = {0};

    (void)state;
    load(&c, "demo", "synib");
    memset(set, 'x', sizeof set - 1);
    set[sizeof set - 1] = '\0';
    ASSERT_FAILS(config_set(&c, set, &e), e, ERR_USAGE,
                 "--set: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...' is too long");
}

/* Settings that are fine one by one and not together: up to three of a preset's, and what the last
 * of them is then refused with; NULL: they go together. */
static void test_together(void **state)
{
    static const struct {
        const char *preset, *set[4], *says;
    } table[] = {
        {"demo", {"model.width=24"}, "model.width: 24 is not a multiple of 16"},
        {"demo",
         {"schedule.kind=linear-warmup", "schedule.warmup_steps=0"},
         "schedule.warmup_steps: a linear ramp needs at least one step"},
        {"demo", {"schedule.kind=linear-warmup", "schedule.warmup_steps=1"}, NULL},
        {"demo",
         {"schedule.kind=linear-warmup-restarts", "schedule.warmup_steps=0"},
         "a linear ramp needs at least one step"},
        {"demo", {"stop.rule=any", "optim.patience=1"}, "must be at least 2"},
        {"demo", {"stop.rule=any", "optim.patience=2", "pretrain.patience=1"}, "at least 2"},
        {"demo", {"stop.rule=any", "optim.patience=2", "pretrain.patience=2"}, NULL},
        {"demo", {"stop.rule=accuracy", "optim.patience=1", "pretrain.patience=1"}, NULL},
        {"xor-pid", {"stop.rule=any", "optim.patience=1"}, "must be at least 2"},
        {"xor-pid", {"stop.rule=any", "optim.patience=2"}, NULL},
        {"demo",
         {"model.fusion=sum", "model.layernorm=true"},
         "model.fusion: a sum of unimodal predictions is without layer norm"},
        {"demo", {"model.fusion=sum", "model.layernorm=false"}, NULL},
        {"xor-pid",
         {"mask.space=latent", "mask.kind=oracle"},
         "mask.space: an oracle mask marks input values: use mask.space = input"},
        {"xor-pid", {"mask.space=latent", "mask.kind=oracle-literal"}, "an oracle mask marks"},
        {"xor-pid", {"mask.space=latent", "mask.kind=random"}, NULL},
        {"xor-pid", {"mask.space=input", "mask.kind=learned"}, NULL},
        {"demo",
         {"mask.space=input", "mask.kind=learned"},
         "mask.space: learned masks of pictures and sound are in latent space only"},
        {"demo", {"mask.space=input", "mask.kind=learned-mlp"}, "in latent space only"},
        {"demo", {"mask.space=input", "mask.kind=random"}, NULL},
        {"demo", {"mask.space=latent", "mask.kind=learned"}, NULL},
        {"demo", {"mask.kind=random", "mask.kind=random"}, NULL},
        {"demo",
         {"mask.kind=random", "mask.kind=none"},
         "mask.kind=none: the mask is random already"},
        {"demo", {"mask.kind"}, "--set: 'mask.kind' is not of the form key=value"},
        {"demo", {"mask.kind=oracel"}, "mask: unknown 'oracel': did you mean 'oracle'"},
    };
    char path[512];

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct config c;
        struct err e = {0};

        preset_path(path, table[i].preset);
        if (table[i].says == NULL)
            ASSERT_OK(config_resolve(&c, path, "synib", NULL, table[i].set, &e), e);
        else
            ASSERT_FAILS(config_resolve(&c, path, "synib", NULL, table[i].set, &e), e, ERR_USAGE,
                         table[i].says);
    }
}

#define LONG_64 "################################################################"
#define LONG LONG_64 LONG_64 LONG_64 LONG_64 LONG_64 LONG_64 LONG_64 LONG_64

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
        {"", "[synib radnom]\n", "mask of a section: unknown 'radnom': did you mean 'random'"},
        {"", "[synib random]\noptim.lr = x\n", "is not a number"},
        {"", "[synib]\nmodel.head_width = 4\n", "model.head_width: is no setting of this preset's"},
        {"", "[vanilla]\nmodel.head_width = 4\n",
         "model.head_width: is no setting of this preset's"},
        {"", "[synib]\ndata.kind = vectors\n", "data.kind: is no setting of this preset's"},
        {"", "model.head_width = 4\n", "model.head_width is no setting of this data.kind"},
        {"", "optim.lr = 1", "optim.lr is set twice (first in line"},
        {LONG "\n", "", "preset:1: not a line of text"},
        {"# saved elsewhere\r\n", "", "preset:1: the line has a carriage return"},
        {"\xef\xbb\xbf# and elsewhere\n", "", "preset:1: starts with a byte order mark"},
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

/* ---- where presets are ---- */

static int find(const char *name)
{
    struct config c;
    struct err e = {0};
    enum err_code code = config_load(&c, name, "synib", NULL, &e);

    printf("%s\n", e.text);
    return (int)code;
}

static void test_names(void **state)
{
    static char name[5000];
    struct config c;
    struct err e = {0};

    (void)state;
    memset(name, 'x', sizeof name - 1);
    ASSERT_FAILS(config_load(&c, name, "synib", NULL, &e), e, ERR_USAGE, "--preset: unknown 'xxx");
    name[0] = '/';
    ASSERT_FAILS(config_load(&c, name, "synib", NULL, &e), e, ERR_USAGE,
                 "--preset: the path is too long");
    ASSERT_FAILS(config_load(&c, "none.conf", "synib", NULL, &e), e, ERR_IO, "none.conf: cannot");
    ASSERT_FAILS(config_load(&c, "papper", "synib", NULL, &e), e, ERR_USAGE,
                 "--preset: unknown 'papper': did you mean 'paper'");
    ASSERT_FAILS(config_load(&c, ".conf", "synib", NULL, &e), e, ERR_USAGE, "unknown '.conf'");
}

/* A program that was installed, or copied away from all that belongs to it. */
static void test_beside(void **state)
{
    static const char *const folders[] = {"x",
                                          "x/y",
                                          "x/y/bin",
                                          "x/y/share",
                                          "x/y/share/synib",
                                          "x/y/share/synib/manifests",
                                          "x/y/share/synib/manifests/presets"};
    char text[4096], from[512], *to;
    struct file_view v = {0};
    struct err e = {0};

    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        to = scratch_path(*state, folders[i]);
        ASSERT_OK(dir_make(to, &e), e);
        free(to);
    }
    moved_copy(*state, "x/y/bin/test");
    assert_int_equal(moved_run(*state, "x/y/bin/test", "demo", "/nowhere", text, sizeof text),
                     ERR_USAGE);
    assert_non_null(
        strstr(text, "--preset: demo.conf is not in the manifests folder: give a path"));
    to = scratch_path(*state, "mine.conf");
    ASSERT_OK(atomic_file_put(to, "optim.lr = 1\noptim\n", 19, true, &e), e);
    assert_int_equal(moved_run(*state, "x/y/bin/test", to, "", text, sizeof text), ERR_USAGE);
    assert_non_null(strstr(text, "/mine.conf:2: 'optim' is not of the form key = value"));
    free(to);
    preset_path(from, "demo");
    to = scratch_path(*state, "x/y/share/synib/manifests/presets/demo.conf");
    ASSERT_OK(file_read(&v, from, 1 << 20, &e), e);
    ASSERT_OK(atomic_file_put(to, v.data, v.len, true, &e), e);
    assert_int_equal(moved_run(*state, "x/y/bin/test", "demo", "/nowhere", text, sizeof text),
                     ERR_OK);
    assert_int_equal(
        moved_run(*state, "x/y/bin/test", "paper", SOURCE_DIR "/manifests", text, sizeof text),
        ERR_OK);
    file_view_free(&v);
    free(to);
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

/* The presets' values in that row, from the lines of their texts. */
static void table_values(char *row, size_t size, const struct setting *s, char *const text[2])
{
    size_t n = strlen(row);

    for (int i = 0; i < 2; i++) {
        char start[128];
        const char *line;

        snprintf(start, sizeof start, "\n%s = ", s->key);
        line = strstr(text[i], start);
        if (line != NULL) {
            line += strlen(start);
            n += (size_t)snprintf(row + n, size - n, " `%.*s`", (int)strcspn(line, "\n"), line);
        } else {
            n += (size_t)snprintf(row + n, size - n, " ");
        }
        n += (size_t)snprintf(row + n, size - n, " |");
    }
    snprintf(row + n, size - n, "\n");
}

/* "\n" and all settings of a preset, resolved as --print-config does. */
static char *preset_text(const char *name, const char *mask)
{
    static const char *const none[] = {NULL};
    struct config c;
    char path[512], *text = NULL, *all;
    struct err e = {0};

    preset_path(path, name);
    ASSERT_OK(config_resolve(&c, path, "synib", mask, none, &e), e);
    ASSERT_OK(config_text(&text, &c, ~0u, &e), e);
    assert_true(asprintf(&all, "\n%s", text) > 0);
    free(text);
    return all;
}

/* Every setting has its row, in the order of the table in code, with the values that the header
 * names: "`paper`, synib" and "`xor-pid`, synib, learned". */
static void test_page(void **state)
{
    char *text[2] = {preset_text("paper", NULL), preset_text("xor-pid", "learned")};
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
        table_values(row, sizeof row, &config_settings[i], text);
        found = strstr(at, row);
        if (found == NULL)
            fail_msg("docs/formats/presets.md: not there, or not in its place:%s", row);
        at = found + 1;
    }
    file_view_free(&page);
    free(text[0]);
    free(text[1]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paper),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_refused_settings),
        cmocka_unit_test(test_refused_presets),
        cmocka_unit_test(test_page),
        cmocka_unit_test(test_every_method),
        cmocka_unit_test(test_long_setting),
        cmocka_unit_test(test_together),
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_beside, scratch_setup, scratch_teardown),
    };

    if (argc == 2)
        return find(argv[1]);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
