/* SPDX-License-Identifier: MIT */
#include "tests/support/runs.h"

#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What demo.conf says of methods that have a fusion of their own. */
static const char sections[] =
    "[dnr]\nmodel.fusion = linear\nmodel.layernorm = false\nmodel.detach_heads = false\n"
    "[mmpareto]\nmodel.fusion = linear\nmodel.layernorm = false\nmodel.detach_heads = false\n"
    "[reconboost]\nmodel.fusion = sum\nmodel.layernorm = false\nmodel.detach_heads = false\n"
    "[mcr]\nmodel.fusion = linear\nmodel.layernorm = false\nmodel.detach_heads = false\n";

enum err_code runs_write_preset(const char *path, const char *source_dir, struct err *e)
{
    char *demo = NULL, *text = NULL, *all = NULL;
    struct config c;

    TRY(path_join(&demo, source_dir, "manifests/presets/demo.conf", e));
    TRY(config_load(&c, demo, "synib", NULL, e));
    c.audio_pool = 1;
    c.video_size = 32;
    c.batch = c.pretrain_batch = 4;
    c.epochs = c.pretrain_epochs = 2;
    c.patience = c.pretrain_patience = 2;
    c.trunk = 8;
    c.dnr_every = c.dnr_times = c.boost_epochs = 1;
    c.dnr_clusters = c.mcr_permutations = 2;
    TRY(config_text(&text, &c, ~0u, e));
    if (asprintf(&all, "%s%s", text, sections) < 0) {
        all = NULL;
        err_set(e, ERR_NOMEM, "preset: no memory");
        goto out;
    }
    TRY(atomic_file_put(path, all, strlen(all), true, e));
out:
    free(demo);
    free(text);
    free(all);
    return e->code;
}

void assert_same_file(const char *a, const char *b)
{
    struct file_view va = {0}, vb = {0};
    struct err e = {0};

    ASSERT_OK(file_map(&va, a, &e), e);
    ASSERT_OK(file_map(&vb, b, &e), e);
    if (va.len != vb.len || memcmp(va.data, vb.data, va.len) != 0)
        fail_msg("%s and %s differ", a, b);
    file_view_free(&va);
    file_view_free(&vb);
}

void assert_same_files(const char *a, const char *b, const char *const *name)
{
    for (; *name != NULL; name++) {
        struct err e = {0};
        char *x = NULL, *y = NULL;

        ASSERT_OK(path_join(&x, a, *name, &e), e);
        ASSERT_OK(path_join(&y, b, *name, &e), e);
        assert_same_file(x, y);
        free(x);
        free(y);
    }
}

struct train_options runs_train_options(const char *data, const char *preset, const char *method,
                                        const char *out)
{
    return (struct train_options){
        .cli = {.log = {.tool = "test", .level = LOG_QUIET}, .seed = 3, .jobs = 1},
        .data = data,
        .preset = preset,
        .method = method,
        .out = out,
        .max_steps = -1,
    };
}
