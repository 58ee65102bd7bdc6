/* SPDX-License-Identifier: MIT */
#include "train/report/sets.h"

#include "common/base/cli.h"
#include "common/base/mem.h"
#include "common/base/text_stream.h"
#include "common/data/fields.h"
#include "common/data/json.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const report_split_names[REPORT_SPLITS] = {"train", "val", "test"};

void report_set_free(struct report_set *s)
{
    free(s->dir);
    free(s->kind);
    free(s->facts);
    free(s->origin);
    memset(s, 0, sizeof *s);
}

static const char *meta_or(const struct shard_set *s, const char *key, const char *otherwise)
{
    const char *value = shard_set_meta(s, key);

    return value != NULL ? value : otherwise;
}

static bool is_vectors(const struct shard_set *s)
{
    return strcmp(meta_or(s, "synib.layout", ""), vectors_layout) == 0;
}

static void put_digest(char out[SHA256_HEX_SIZE], const struct shard_set *s)
{
    snprintf(out, SHA256_HEX_SIZE, "%s",
             is_vectors(s) ? shard_set_digest(s) : meta_or(s, "synib.content", ""));
}

/* Content digest of DIR/SPLIT as runs record it; "" when there is no such set, which is an error if
 * it is `required`. */
static enum err_code read_digest(char out[SHA256_HEX_SIZE], const char *dir, const char *split,
                                 bool required, struct err *e)
{
    struct shard_set *s = NULL;
    char *path = NULL;

    TRY(path_join(&path, dir, split, e));
    TRY(required ? shard_set_open(&s, path, e) : shard_set_probe(&s, path, e));
    out[0] = '\0';
    if (s != NULL)
        put_digest(out, s);
out:
    shard_set_close(s);
    free(path);
    return e->code;
}

/* Whether DIR holds the very train and val splits of the run. */
static enum err_code is_of(bool *is, const char *dir, const struct report_run *r, struct err *e)
{
    char train[SHA256_HEX_SIZE], val[SHA256_HEX_SIZE];

    TRY(read_digest(val, dir, "val", false, e));
    TRY(read_digest(train, dir, "train", false, e));
    *is = strcmp(val, r->val) == 0 && strcmp(train, r->train) == 0;
out:
    return e->code;
}

/* ---- what a set says of itself ---- */

static void put_value(FILE *f, const json_t *value)
{
    char number[32];

    if (json_is_string(value)) {
        fputs(json_string_value(value), f);
    } else if (json_is_number(value)) {
        cli_format_double(number, sizeof number, json_number_value(value));
        fputs(number, f);
    } else if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            fputs(i > 0 ? "/" : "", f);
            put_value(f, json_array_get(value, i));
        }
    }
}

/* kind and facts of vectors, from the task in synib.config: vectors of other makers need not have
 * one. */
static enum err_code describe_task(struct report_set *d, const struct shard_set *s, struct err *e)
{
    const char *config = meta_or(s, "synib.config", "{}"), *task;
    json_error_t why;
    bool no_memory;
    json_t *root = json_parse(config, strlen(config), &why, &no_memory);
    FILE *f = NULL;

    if (no_memory)
        FAIL(err_set(e, ERR_NOMEM, "%s: no memory to read its task", d->dir));
    task = json_string_value(json_object_get(root, "task"));
    TRY(mem_string(&d->kind, task != NULL ? task : "vectors", e));
    f = text_stream_open(&d->facts, "dataset", e);
    TRY(e->code);
    for (void *at = json_object_iter(root); at != NULL; at = json_object_iter_next(root, at)) {
        const char *key = json_object_iter_key(at);

        if (strcmp(key, "task") == 0)
            continue;
        fprintf(f, "%s = ", key);
        put_value(f, json_object_iter_value(at));
        fputs("\n", f);
    }
out:
    json_decref(root);
    return text_stream_close(f, &d->facts, "dataset", e);
}

/* Kind and facts of pictures and sound. */
static enum err_code describe_media(struct report_set *d, const struct shard_set *s, struct err *e)
{
    const char *rate = meta_or(s, "synib.rate", "?");
    struct err no_number = {0};
    FILE *f = text_stream_open(&d->kind, "dataset", e);

    TRY(e->code);
    fprintf(f, "rate %s", rate);
    TRY(text_stream_close(f, &d->kind, "dataset", e));
    f = text_stream_open(&d->facts, "dataset", e);
    TRY(e->code);
    fprintf(f, "donors = %s\nscheme = %s\n", meta_or(s, "synib.donors", "?"),
            meta_or(s, "synib.scheme", "?"));
    TRY(text_stream_close(f, &d->facts, "dataset", e));
    if (cli_double(&d->rate, rate, 0, DBL_MAX, "rate", &no_number) != ERR_OK)
        d->rate = NAN;
out:
    return e->code;
}

static enum err_code describe(struct report_set *d, struct err *e)
{
    struct shard_set *s = NULL;
    char *path = NULL;
    FILE *f;

    TRY(path_join(&path, d->dir, "test", e));
    TRY(shard_set_open(&s, path, e));
    d->vectors = is_vectors(s);
    d->rate = NAN;
    f = text_stream_open(&d->origin, "dataset", e);
    TRY(e->code);
    if (!d->vectors)
        fprintf(f, "fold %s, ", meta_or(s, "synib.fold", "?"));
    fprintf(f, "seed %s", meta_or(s, "synib.seed", "?"));
    TRY(text_stream_close(f, &d->origin, "dataset", e));
    TRY(d->vectors ? describe_task(d, s, e) : describe_media(d, s, e));
out:
    shard_set_close(s);
    free(path);
    return e->code;
}

/* ---- finding ---- */

static enum err_code add_set(struct report_set **sets, size_t *n, size_t *cap, const char *dir,
                             struct err *e)
{
    struct report_set d = {0};

    TRY(mem_string(&d.dir, dir, e));
    for (int s = 0; s < REPORT_SPLITS; s++)
        TRY(read_digest(d.digest[s], dir, report_split_names[s], true, e));
    TRY(describe(&d, e));
    TRY(mem_grow(sets, cap, *n + 1, sizeof **sets, "datasets", e));
    (*sets)[(*n)++] = d;
    d = (struct report_set){0};
out:
    report_set_free(&d);
    return e->code;
}

static int find_known(const struct report_set *sets, size_t n, const struct report_run *r)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(sets[i].digest[SPLIT_TRAIN], r->train) == 0 &&
            strcmp(sets[i].digest[SPLIT_VAL], r->val) == 0)
            return (int)i;
    return -1;
}

enum err_code report_sets_find(int *index, struct report_set **sets, size_t *n, size_t *cap,
                               const struct report_run *r, const struct name_list *folders,
                               struct err *e)
{
    const char *dir = NULL;
    bool found = false;

    *index = find_known(*sets, *n, r);
    if (*index < 0) {
        if (r->places.data != NULL)
            TRY(is_of(&found, r->places.data, r, e));
        if (found)
            dir = r->places.data;
        for (size_t i = 0; i < folders->count && !found; i++) {
            TRY(is_of(&found, folders->name[i], r, e));
            dir = folders->name[i];
        }
        if (!found)
            return ERR_OK;
        TRY(add_set(sets, n, cap, dir, e));
        *index = (int)*n - 1;
    }
    if (r->missing == NULL && strcmp((*sets)[*index].digest[SPLIT_TEST], r->test) != 0)
        err_set(e, ERR_DATA,
                "%s/test/metrics.json: was measured on other data than the test split of %s: run "
                "synib-eval again",
                r->path, (*sets)[*index].dir);
out:
    return e->code;
}
