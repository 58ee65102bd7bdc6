/* SPDX-License-Identifier: MIT */
#include "tests/support/fault/tool_sweep.h"

#include "tests/support/check.h"
#include "tests/support/fault/fault.h"
#include "tests/support/scratch.h"
#include "tests/support/tools.h"

struct line {
    struct tool *tool;
    const char *dir;
    void (*reset)(const char *dir);
};

void tool_make(const char *line, const char *dir)
{
    struct err e = {0};

    if (tool_run(line, dir, &e) != ERR_OK)
        fail_msg("%s: %d: %s", line, e.code, e.text);
}

static void remove_out(const char *dir)
{
    void *out = scratch_path(dir, "out");

    (void)scratch_teardown(&out);
}

static enum err_code again(void *ctx, struct err *e)
{
    struct line *l = ctx;

    return tool_again(l->tool, e);
}

static void reset(void *ctx)
{
    struct line *l = ctx;

    l->reset(l->dir);
}

void tool_sweep(const char *text, const char *dir, void (*reset_dir)(const char *dir))
{
    struct line l = {.dir = dir, .reset = reset_dir};
    struct err e = {0};

    ASSERT_OK(tool_parse(&l.tool, text, dir, &e), e);
    fault_sweep(&(struct fault_job){.name = text, .work = again, .reset = reset, .ctx = &l});
    tool_free(l.tool);
}

void tool_sweep_all(const char *const *line, const char *dir)
{
    for (; *line != NULL; line++)
        tool_sweep(*line, dir, remove_out);
}
