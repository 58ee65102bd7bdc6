/* SPDX-License-Identifier: MIT */
#include "prep/shard_commands.h"

#include "common/data/json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Differences found so far, one line each. Counted apart: a line that was lost is still one. */
struct report {
    json_t *lines;
    size_t count;
    const char *split; /* which one is being compared, "" outside datasets */
};

static void say(struct report *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void say(struct report *r, const char *fmt, ...)
{
    char text[1024];
    size_t n = (size_t)snprintf(text, sizeof text, "%s%s", r->split, r->split[0] ? ": " : "");
    va_list ap;

    va_start(ap, fmt);
    if ((size_t)vsnprintf(text + n, sizeof text - n, fmt, ap) >= sizeof text - n)
        memcpy(text + sizeof text - 4, "...", 4); /* it goes on */
    va_end(ap);
    (void)json_array_append_new(r->lines, json_shown(text));
    r->count++;
}

static void diff_meta(struct report *r, const struct shard_set *a, const struct shard_set *b)
{
    const char *key, *va, *vb;

    for (int i = 0; (key = shard_set_meta_key(a, i)) != NULL; i++) {
        va = shard_set_meta(a, key);
        vb = shard_set_meta(b, key);
        if (vb == NULL)
            say(r, "metadata %s: only in A: %s", key, va);
        else if (strcmp(va, vb) != 0)
            say(r, "metadata %s: A %s, B %s", key, va, vb);
    }
    for (int i = 0; (key = shard_set_meta_key(b, i)) != NULL; i++)
        if (shard_set_meta(a, key) == NULL)
            say(r, "metadata %s: only in B: %s", key, shard_set_meta(b, key));
}

static void diff_fields(struct report *r, const struct view *a, const struct view *b)
{
    char ta[128], tb[128];

    for (int f = 0; f < a->fields; f++) {
        int g = view_find(b, a->field[f].name);

        field_type_text(&a->field[f], ta, sizeof ta);
        if (g < 0) {
            say(r, "field %s: only in A", a->field[f].name);
            continue;
        }
        field_type_text(&b->field[g], tb, sizeof tb);
        if (strcmp(ta, tb) != 0)
            say(r, "field %s: A %s, B %s", a->field[f].name, ta, tb);
    }
    for (int g = 0; g < b->fields; g++)
        if (view_find(a, b->field[g].name) < 0)
            say(r, "field %s: only in B", b->field[g].name);
}

/* Which sample of B belongs to each of A, -1 = none: by clip name where both sets have unique ones,
 * else by position. */
static enum err_code match(struct report *r, const struct view *a, const struct view *b,
                           int64_t *to, struct err *e)
{
    struct clip_index *index = NULL;
    struct err no_names = {0};
    int64_t missing = 0, moved = 0, found = 0;
    char clip[CLIP_NAME_SIZE], first[CLIP_NAME_SIZE] = "";
    int field = shard_set_find(b->set, "clip");
    bool by_name = field >= 0 && view_find(a, "clip") >= 0 &&
                   clip_index_new(&index, b->set, field, &no_names) == ERR_OK;

    for (int64_t i = 0; i < a->count; i++) {
        to[i] = i < b->count ? i : -1;
        if (by_name) {
            TRY(view_clip(a, i, "clip", clip, e));
            to[i] = clip_index_find(index, clip);
            if (to[i] < 0 && missing == 0)
                memcpy(first, clip, sizeof first);
        }
        missing += to[i] < 0;
        found += to[i] >= 0;
        moved += to[i] >= 0 && to[i] != i;
    }
    if (a->count != b->count)
        say(r, "samples: A %" PRId64 ", B %" PRId64, a->count, b->count);
    if (missing > 0)
        say(r, "samples: %" PRId64 " of A are not in B%s%s", missing,
            by_name ? ", the first is " : "", first);
    if (b->count > found)
        say(r, "samples: %" PRId64 " of B are not in A", b->count - found);
    if (moved > 0)
        say(r, "samples: %" PRId64 " stand at another position", moved);
out:
    clip_index_free(index);
    return e->code;
}

static enum err_code diff_values(struct report *r, const struct view *a, const struct view *b,
                                 const int64_t *to, struct err *e)
{
    for (int f = 0; f < a->fields; f++) {
        int g = view_find(b, a->field[f].name);
        int64_t differ = 0, common = 0, first = -1;
        char clip[CLIP_NAME_SIZE];

        for (int64_t i = 0; g >= 0 && i < a->count; i++) {
            struct shard_value va, vb;

            if (to[i] < 0)
                continue;
            TRY(view_get(a, i, f, &va, e));
            TRY(view_get(b, to[i], g, &vb, e));
            common++;
            if (va.len == vb.len && memcmp(va.data, vb.data, va.len) == 0)
                continue;
            if (differ++ == 0)
                first = i;
        }
        if (differ == 0)
            continue;
        TRY(view_clip(a, first, "clip", clip, e));
        say(r,
            "field %s: differs in %" PRId64 " of %" PRId64 " samples, the first is %" PRId64 "%s%s",
            a->field[f].name, differ, common, first, clip[0] != '\0' ? " " : "", clip);
    }
out:
    return e->code;
}

static enum err_code diff_views(struct report *r, const struct view *a, const struct view *b,
                                struct err *e)
{
    int64_t *to = calloc((size_t)a->count, sizeof *to);

    if (to == NULL)
        FAIL(err_set(e, ERR_NOMEM, "diff: no memory"));
    r->split = a->name;
    diff_meta(r, a->set, b->set);
    diff_fields(r, a, b);
    TRY(match(r, a, b, to, e));
    TRY(diff_values(r, a, b, to, e));
out:
    free(to);
    return e->code;
}

static enum err_code diff_files(struct report *r, const struct tensorfile *a,
                                const struct tensorfile *b, struct err *e)
{
    const char *key, *va, *vb;

    TRY(tensorfile_verify_all(a, e));
    TRY(tensorfile_verify_all(b, e));
    for (int i = 0; (key = tensorfile_meta_key(a, i)) != NULL; i++) {
        va = tensorfile_meta(a, key);
        vb = tensorfile_meta(b, key);
        if (vb == NULL || strcmp(va, vb) != 0)
            say(r, "metadata %s: A %s, B %s", key, va, vb != NULL ? vb : "(absent)");
    }
    for (int i = 0; (key = tensorfile_meta_key(b, i)) != NULL; i++)
        if (tensorfile_meta(a, key) == NULL)
            say(r, "metadata %s: only in B: %s", key, tensorfile_meta(b, key));
    for (int i = 0; i < tensorfile_count(a); i++) {
        const struct tensor_info *ia = tensorfile_info(a, i), *ib;
        int j = tensorfile_find(b, ia->name);

        if (j < 0) {
            say(r, "tensor %s: only in A", ia->name);
            continue;
        }
        ib = tensorfile_info(b, j);
        if (ia->dtype != ib->dtype || ia->rank != ib->rank ||
            memcmp(ia->dim, ib->dim, (size_t)ia->rank * sizeof ia->dim[0]) != 0)
            say(r, "tensor %s: another dtype or shape", ia->name);
        else if (memcmp(tensorfile_data(a, i), tensorfile_data(b, j), ia->bytes) != 0)
            say(r, "tensor %s: other values", ia->name);
    }
    for (int j = 0; j < tensorfile_count(b); j++)
        if (tensorfile_find(a, tensorfile_info(b, j)->name) < 0)
            say(r, "tensor %s: only in B", tensorfile_info(b, j)->name);
out:
    return e->code;
}

static const struct view *view_named(const struct target *t, const char *name)
{
    for (int v = 0; v < t->views; v++)
        if (strcmp(t->view[v].name, name) == 0)
            return &t->view[v];
    return NULL;
}

static enum err_code diff_targets(struct report *r, const struct target *a, const struct target *b,
                                  struct err *e)
{
    if ((a->file == NULL) != (b->file == NULL))
        return err_set(e, ERR_DATA, "%s and %s: one is a checkpoint, the other is not", a->path,
                       b->path);
    if (a->file != NULL)
        return diff_files(r, a->file, b->file, e);
    if (a->views == 1 && b->views == 1)
        return diff_views(r, &a->view[0], &b->view[0], e);
    if ((a->view[0].name[0] == '\0') != (b->view[0].name[0] == '\0'))
        return err_set(e, ERR_DATA, "%s and %s: one is a set, the other a dataset: name its split",
                       a->path, b->path);
    for (int v = 0; v < a->views; v++) {
        const struct view *other = view_named(b, a->view[v].name);

        r->split = "";
        if (other == NULL)
            say(r, "split %s: only in A", a->view[v].name);
        else
            TRY(diff_views(r, &a->view[v], other, e));
    }
    r->split = "";
    for (int v = 0; v < b->views; v++)
        if (view_named(a, b->view[v].name) == NULL)
            say(r, "split %s: only in B", b->view[v].name);
out:
    return e->code;
}

enum err_code inspect_diff(const struct inspect_options *opt, struct err *e)
{
    struct report r = {.lines = json_array(), .split = ""};
    struct target a = {0}, b = {0};
    json_t *line;
    size_t i;

    TRY(target_open(&a, opt->target[0], opt->split, opt->base, e));
    TRY(target_open(&b, opt->target[1], opt->split, opt->base, e));
    TRY(diff_targets(&r, &a, &b, e));
    if (json_lost())
        FAIL(err_set(e, ERR_NOMEM, "diff: no memory for what was found"));
    if (opt->cli.json)
        TRY(inspect_json(opt->out,
                         json_pack("{s:o, s:o, s:b, s:O}", "a", json_shown(a.path), "b",
                                   json_shown(b.path), "differ", r.count > 0, "differences",
                                   r.lines),
                         e));
    else
        json_array_foreach(r.lines, i, line) fprintf(opt->out, "%s\n", json_string_value(line));
    if (r.count > 0)
        FAIL(err_set(e, ERR_DATA, "%s and %s differ", a.path, b.path));
out:
    json_decref(r.lines);
    target_close(&a);
    target_close(&b);
    return e->code;
}
