/* SPDX-License-Identifier: MIT */
#include "tests/support/runs.h"

#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum err_code runs_write_preset(const char *path, const char *source_dir, struct err *e)
{
    char *demo = NULL, *text = NULL;
    struct config c;

    TRY(path_join(&demo, source_dir, "manifests/presets/demo.conf", e));
    TRY(config_load(&c, demo, "synib", NULL, e));
    c.audio_pool = 1;
    c.video_size = 32;
    c.batch = c.pretrain_batch = 4;
    c.epochs = c.pretrain_epochs = 2;
    c.patience = c.pretrain_patience = 2;
    c.trunk = 8;
    TRY(config_text(&text, &c, ~0u, e));
    TRY(atomic_file_put(path, text, strlen(text), true, e));
out:
    free(demo);
    free(text);
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
