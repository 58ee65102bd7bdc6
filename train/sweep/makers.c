/* SPDX-License-Identifier: MIT */
#include "train/sweep/makers.h"

#include "common/base/cli.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/data/json.h"
#include "common/nn/kernels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_BYTES = 256 << 20 };

enum err_code maker_now(char text[MAKER_SIZE], struct err *e)
{
    struct nn *nn = NULL;

    TRY(nn_new(&nn, 1, e));
    snprintf(text, MAKER_SIZE, "%s, %s", cli_version, nn_describe(nn));
out:
    nn_free(nn);
    return e->code;
}

void maker_line(char *line, size_t size, const char *run, int64_t ms, const char *maker)
{
    snprintf(line, size, "{\"run\": \"%s\", \"seconds\": %.3f, \"made_with\": \"%s\"}\n", run,
             (double)ms / 1000, maker);
}

/* Keeps what a line says of a row that is there; a later line says it of a later row. */
static enum err_code take_line(char **maker, const struct results *r, const char *line, size_t len,
                               struct err *e)
{
    const struct plan_run *run = NULL;
    const char *name, *with;
    bool no_memory;
    json_error_t why;
    json_t *root = json_parse(line, len, &why, &no_memory);
    size_t i;

    if (no_memory)
        FAIL(err_set(e, ERR_NOMEM, "%s: no memory to read timing.jsonl", r->dir));
    name = json_string_value(json_object_get(root, "run"));
    with = json_string_value(json_object_get(root, "made_with"));
    if (name != NULL && with != NULL)
        run = plan_find(r->plan, name);
    if (run == NULL || r->row[run - r->plan->run] == NULL)
        goto out;
    i = (size_t)(run - r->plan->run);
    free(maker[i]);
    TRY(mem_string(&maker[i], with, e));
out:
    json_decref(root);
    return e->code;
}

static enum err_code read_makers(char **maker, const struct results *r, struct err *e)
{
    struct file_view view = {0};
    const char *p, *end, *stop;
    char *path = NULL;

    TRY(path_join(&path, r->dir, "timing.jsonl", e));
    if (access(path, F_OK) != 0 && errno == ENOENT)
        goto out;
    TRY(file_read(&view, path, MAX_BYTES, e));
    p = (const char *)view.data;
    end = p + view.len;
    for (; p < end && (stop = memchr(p, '\n', (size_t)(end - p))) != NULL; p = stop + 1)
        TRY(take_line(maker, r, p, (size_t)(stop - p), e));
out:
    file_view_free(&view);
    free(path);
    return e->code;
}

enum err_code makers_warn(const struct results *r, const char *now, const struct log *log,
                          struct err *e)
{
    const char *one = now;
    char **maker = NULL;

    TRY(mem_array(&maker, r->plan->n, sizeof *maker, "sweep", e));
    TRY(read_makers(maker, r, e));
    for (size_t i = 0; i < r->plan->n; i++) {
        if (maker[i] == NULL)
            continue;
        if (one == NULL)
            one = maker[i];
        if (strcmp(maker[i], one) == 0)
            continue;
        log_warn(log,
                 "%s: row '%s' was made with '%s', others with '%s': another machine may change "
                 "last bits, another version more",
                 r->dir, r->plan->run[i].cell[PLAN_RUN], maker[i], one);
        break;
    }
out:
    for (size_t i = 0; maker != NULL && i < r->plan->n; i++)
        free(maker[i]);
    free(maker);
    return e->code;
}
