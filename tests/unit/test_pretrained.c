/* SPDX-License-Identifier: MIT */
#include "tests/support/check.h"
#include "tests/support/drawn_dataset.h"
#include "tests/support/runs.h"
#include "tests/support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a run starts from with `synib-train --pretrained`: encoders and heads of the best epochs of
 * the unimodal runs (R section 3.6: "whole encoder incl. head and BN buffers"). */

struct place {
    char *root, *data, *preset, *pretrained;
    const char *modality[MEDIA_MODALITIES];
    char *best[MEDIA_MODALITIES], *last[MEDIA_MODALITIES];
};

static struct train_options options(const struct place *p, const char *method, const char *out)
{
    struct train_options o = runs_train_options(p->data, p->preset, method, out);

    o.pretrained = p->pretrained;
    /* ends with an epoch that was no better, as twelve clips cannot get better twenty times */
    o.set[0] = "pretrain.epochs=20";
    o.set[1] = "pretrain.patience=1";
    return o;
}

static bool same(const struct tensorfile *a, int i, const struct tensorfile *b, int k)
{
    const struct tensor_info *x = tensorfile_info(a, i), *y = tensorfile_info(b, k);

    return x->bytes == y->bytes && x->dtype == y->dtype &&
           memcmp(tensorfile_data(a, i), tensorfile_data(b, k), x->bytes) == 0;
}

static struct tensorfile *open_checkpoint(const char *path)
{
    struct tensorfile *f = NULL;
    struct err e = {0};

    ASSERT_OK(checkpoint_open(&f, path, &e), e);
    return f;
}

/* Trains both encoders. */
static struct place place_new(void **state)
{
    struct place p = {
        .root = scratch_path(*state, "drawn"),
        .data = scratch_path(*state, "drawn/data"),
        .preset = scratch_path(*state, "tiny.conf"),
        .pretrained = scratch_path(*state, "pre"),
        .modality = {"audio", "video"},
        .best = {scratch_path(*state, "pre/uni-audio/best.safetensors"),
                 scratch_path(*state, "pre/uni-video/best.safetensors")},
        .last = {scratch_path(*state, "pre/uni-audio/last.safetensors"),
                 scratch_path(*state, "pre/uni-video/last.safetensors")},
    };
    char *out = scratch_path(*state, "first");
    struct train_options o;
    struct err e = {0};

    ASSERT_OK(drawn_dataset_make(p.root, &drawn_options_default, &e), e);
    ASSERT_OK(runs_write_preset(p.preset, SOURCE_DIR, &e), e);
    o = options(&p, "ensemble", out);
    ASSERT_OK(train_run(&o, &e), e);
    for (int m = 0; m < MEDIA_MODALITIES; m++) {
        struct tensorfile *best = open_checkpoint(p.best[m]), *last = open_checkpoint(p.last[m]);

        assert_false(same(best, 0, last, tensorfile_find(last, tensorfile_info(best, 0)->name)));
        tensorfile_close(best);
        tensorfile_close(last);
    }
    free(out);
    return p;
}

static void place_free(struct place *p)
{
    for (int m = 0; m < MEDIA_MODALITIES; m++) {
        free(p->best[m]);
        free(p->last[m]);
    }
    free(p->root);
    free(p->data);
    free(p->preset);
    free(p->pretrained);
}

/* The run's first checkpoint, made before a step. */
static struct tensorfile *begin(const struct place *p, const char *method, const char *out,
                                const char *set)
{
    char path[4200];
    struct train_options o = options(p, method, out);
    struct err e = {0};
    enum err_code code;

    o.set[2] = set;
    o.max_steps = 0;
    code = train_run(&o, &e);
    if (code != (strcmp(method, "ensemble") == 0 ? ERR_OK : ERR_STOPPED))
        fail_msg("%s: %d: %s", method, code, e.text);
    snprintf(path, sizeof path, "%s/last.safetensors", out);
    return open_checkpoint(path);
}

static int tensors_of(const struct tensorfile *f, const char *modality, const char *part)
{
    size_t len = strlen(modality);
    int n = 0;

    for (int i = 0; i < tensorfile_count(f); i++) {
        const char *name = tensorfile_info(f, i)->name;

        n += strncmp(name, modality, len) == 0 && name[len] == '.' && strstr(name, part) != NULL;
    }
    return n;
}

/* Every tensor of the modality is that of the unimodal run's best epoch. */
static void assert_from(const struct tensorfile *f, const struct place *p, int which,
                        const char *method)
{
    static const struct {
        const char *part;
        int n;
    } wanted[] = {{"conv", 17},
                  {"downsample", 18},
                  {".running_mean", 20},
                  {".running_var", 20},
                  {".head.", 2}};
    struct tensorfile *best = open_checkpoint(p->best[which]);
    const char *modality = p->modality[which];

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        assert_int_equal(tensors_of(best, modality, wanted[i].part), wanted[i].n);
    assert_int_equal(tensors_of(best, modality, ""), tensors_of(f, modality, ""));
    for (int i = 0; i < tensorfile_count(best); i++) {
        const char *name = tensorfile_info(best, i)->name;
        int at = tensorfile_find(f, name);

        if (strncmp(name, modality, strlen(modality)) == 0 && (at < 0 || !same(best, i, f, at)))
            fail_msg("%s: %s is not the unimodal run's", method, name);
    }
    tensorfile_close(best);
}

/* Every fused method, and the ensemble. */
static void test_every_method(void **state)
{
    struct place p = place_new(state);
    int n = 0;

    for (int i = 0; methods[i] != NULL; i++) {
        const char *name = methods[i]->name;
        struct tensorfile *f;
        char *out;

        if (methods[i]->only != NULL)
            continue;
        out = scratch_path(*state, name);
        f = begin(&p, name, out, NULL);
        for (int m = 0; m < MEDIA_MODALITIES; m++)
            assert_from(f, &p, m, name);
        tensorfile_close(f);
        free(out);
        n++;
    }
    assert_true(n >= 8);
    place_free(&p);
}

/* Nothing else of a run depends on them, and from scratch nothing does. */
static void test_scratch(void **state)
{
    struct place p = place_new(state);
    char *out[2] = {scratch_path(*state, "a"), scratch_path(*state, "b")};
    struct tensorfile *from = begin(&p, "vanilla", out[0], "init.encoders=pretrained");
    struct tensorfile *scratch = begin(&p, "vanilla", out[1], "init.encoders=scratch");
    int fusion = 0, encoders = 0;

    assert_int_equal(tensorfile_count(from), tensorfile_count(scratch));
    for (int i = 0; i < tensorfile_count(from); i++) {
        const char *name = tensorfile_info(from, i)->name;
        bool equal = same(from, i, scratch, tensorfile_find(scratch, name));

        if (strncmp(name, "fusion.", 7) == 0) {
            fusion++;
            assert_true(equal);
        } else if (strncmp(name, "opt.", 4) != 0 && strstr(name, ".weight") != NULL) {
            encoders++;
            assert_false(equal);
        }
    }
    assert_int_equal(fusion, 4);
    assert_int_equal(encoders, 2 * 41); /* 20 convolutions, 20 batch norms, the head */
    tensorfile_close(from);
    tensorfile_close(scratch);
    free(out[0]);
    free(out[1]);
    place_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_method, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_scratch, scratch_setup, scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
