/* SPDX-License-Identifier: MIT */
#include "train/report/run.h"

#include "common/base/cli.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/data/dataset.h"
#include "common/data/json.h"
#include "common/data/tsv.h"
#include "train/report/label.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* RUN/test: metrics.json and predictions.tsv of synib-eval, and what must hold between them. */

/* Among the first n. */
static int class_find(const struct report_run *r, int n, const char *name)
{
    for (int k = 0; k < n; k++)
        if (strcmp(r->class_name[k], name) == 0)
            return k;
    return -1;
}

/* ---- metrics.json ---- */

static enum err_code json_load(json_t **root, const char *path, const char *text, size_t len,
                               struct err *e)
{
    json_error_t why;
    bool no_memory;

    *root = json_parse(text, len, &why, &no_memory);
    if (no_memory)
        FAIL(err_set(e, ERR_NOMEM, "%s: no memory to read it", path));
    if (*root == NULL)
        FAIL(err_set(e, ERR_FORMAT, "%s:%d: %s", path, why.line, why.text));
    if (!json_is_object(*root))
        err_set(e, ERR_FORMAT, "%s:1: is no object", path);
out:
    return e->code;
}

static enum err_code need_text(const json_t *root, const char *key, char *out, size_t size,
                               struct err *e)
{
    const char *text = json_string_value(json_object_get(root, key));

    if (text == NULL || strlen(text) >= size)
        return err_set(e, ERR_FORMAT, "'%s' is missing or no such text", key);
    strcpy(out, text);
    return ERR_OK;
}

/* A number, NaN where it is null or absent. */
static double maybe_number(const json_t *root, const char *key)
{
    const json_t *value = json_object_get(root, key);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

static bool is_media(const struct report_run *r)
{
    size_t len;
    const char *kind = label_find(r->identity, "data.kind", strlen("data.kind"), &len);

    return kind != NULL && len == strlen("media") && strncmp(kind, "media", len) == 0;
}

static enum err_code read_classes(struct report_run *r, const json_t *root, struct err *e)
{
    const json_t *names = json_object_get(root, "classes");

    r->classes = (int)json_array_size(names);
    if (r->classes < 2 || r->classes > METRICS_MAX_CLASSES)
        return err_set(e, ERR_FORMAT, "'classes' is not a list of 2 to %d names",
                       METRICS_MAX_CLASSES);
    for (int k = 0; k < r->classes; k++) {
        const char *name = json_string_value(json_array_get(names, (size_t)k));

        if (name == NULL || strlen(name) >= REPORT_NAME || !tsv_cell_ok(name))
            return err_set(e, ERR_FORMAT, "'classes' holds something that is no name");
        if (class_find(r, k, name) >= 0)
            return err_set(e, ERR_FORMAT, "'classes' holds '%s' twice", name);
        strcpy(r->class_name[k], name);
    }
    r->irony = is_media(r) ? class_find(r, r->classes, label_names[LABEL_IRONY]) : -1;
    return ERR_OK;
}

static enum err_code read_confusion(struct report_run *r, const json_t *root, struct err *e)
{
    const json_t *rows = json_object_get(root, "confusion");

    confusion_init(&r->confusion, r->classes);
    for (int label = 0; label < r->classes; label++)
        for (int guess = 0; guess < r->classes; guess++) {
            const json_t *cell = json_array_get(json_array_get(rows, (size_t)label), (size_t)guess);

            if (!json_is_integer(cell) || json_integer_value(cell) < 0)
                return err_set(e, ERR_FORMAT, "'confusion' is not %d x %d counts", r->classes,
                               r->classes);
            r->confusion.count[label][guess] = json_integer_value(cell);
        }
    return ERR_OK;
}

/* Accuracy by source; only of data without irony. */
static void read_sources(struct report_run *r, json_t *root)
{
    json_t *sources = json_object_get(root, "sources");

    if (r->irony >= 0)
        return;
    for (void *at = json_object_iter(sources); at != NULL;
         at = json_object_iter_next(sources, at)) {
        const char *name = json_object_iter_key(at);

        if (r->parts == REPORT_PARTS || strlen(name) >= REPORT_NAME || !tsv_cell_ok(name))
            return;
        strcpy(r->part_name[r->parts], name);
        r->value[METRIC_PART + r->parts++] = maybe_number(json_object_iter_value(at), "accuracy");
    }
}

/* Of pictures and sound only when the samples are those that the unimodal runs get wrong: those
 * that a run's own heads get wrong differ from run to run, and so does the accuracy on them. */
static double synergy_accuracy(const struct report_run *r, const json_t *root)
{
    const json_t *synergy = json_object_get(root, "synergy");
    const char *by = json_string_value(json_object_get(synergy, "by"));

    if (is_media(r) && (by == NULL || strcmp(by, "unimodal-runs") != 0))
        return NAN;
    return maybe_number(synergy, "accuracy");
}

static enum err_code check_owner(const struct report_run *r, const json_t *root, struct err *e)
{
    const json_t *seed = json_object_get(root, "seed");
    char text[SHA256_HEX_SIZE];

    TRY(need_text(root, "method", text, sizeof text, e));
    if (!json_is_integer(seed))
        FAIL(err_set(e, ERR_FORMAT, "'seed' is missing or no whole number"));
    if (strcmp(text, r->method) != 0 || (uint64_t)json_integer_value(seed) != r->seed)
        FAIL(err_set(e, ERR_DATA, "is of method %s, seed %lld, the run of %s, %" PRIu64, text,
                     (long long)json_integer_value(seed), r->method, r->seed));
    TRY(need_text(root, "checkpoint", text, sizeof text, e));
    if (strcmp(text, r->checkpoint) != 0)
        FAIL(err_set(e, ERR_DATA,
                     "measures the checkpoint %.12s..., the run's %s is %.12s...: run synib-eval "
                     "again",
                     text, run_best_name, r->checkpoint));
    TRY(need_text(root, "split", text, sizeof text, e));
    if (strcmp(text, "test") != 0)
        err_set(e, ERR_DATA, "is of the split '%s', not of test", text);
out:
    return e->code;
}

static enum err_code read_results(struct report_run *r, json_t *root, struct err *e)
{
    TRY(check_owner(r, root, e));
    TRY(need_text(root, "data", r->test, sizeof r->test, e));
    if (json_object_get(root, "mse") != NULL) {
        TRY(report_run_miss(r, "predicts numbers: it has no accuracy", e));
        goto out;
    }
    TRY(read_classes(r, root, e));
    TRY(read_confusion(r, root, e));
    read_sources(r, root);
    r->value[METRIC_ECE] = maybe_number(root, "ece");
    r->value[METRIC_SYNERGY] = synergy_accuracy(r, root);
out:
    return e->code;
}

enum err_code report_run_metrics(struct report_run *r, const char *path, const char *text,
                                 size_t len, struct err *e)
{
    json_t *root = NULL;

    TRY(json_load(&root, path, text, len, e));
    if (read_results(r, root, e) != ERR_OK)
        err_in(e, "%s", path);
out:
    json_decref(root);
    return e->code;
}

static enum err_code read_metrics(struct report_run *r, const char *path, struct err *e)
{
    struct file_view view = {0};

    TRY(file_read(&view, path, 16 << 20, e));
    TRY(report_run_metrics(r, path, (const char *)view.data, view.len, e));
out:
    file_view_free(&view);
    return e->code;
}

/* ---- predictions.tsv ---- */

static const char *const predictions_columns[] = {"label", "prediction", NULL};

struct columns {
    int label, guess, base;
    int p[METRICS_MAX_CLASSES];
};

static enum err_code find_columns(const struct report_run *r, const struct tsv *t,
                                  struct columns *c, struct err *e)
{
    char name[REPORT_NAME + 2];

    c->label = tsv_column(t, "label");
    c->guess = tsv_column(t, "prediction");
    c->base = r->irony >= 0 ? tsv_column(t, "base_label") : -1;
    for (int k = 0; k < r->classes; k++) {
        snprintf(name, sizeof name, "p_%s", r->class_name[k]);
        c->p[k] = tsv_column(t, name);
        if (c->p[k] < 0)
            return err_set(e, ERR_DATA, "%s:2: no column %s", tsv_name(t), name);
    }
    return ERR_OK;
}

static enum err_code read_class(const struct report_run *r, const struct tsv *t, size_t row,
                                int column, uint8_t *out, struct err *e)
{
    int k = class_find(r, r->classes, tsv_cell(t, row, column));

    if (k < 0)
        return err_set(e, ERR_DATA, "%s:%zu: '%s' is no class", tsv_name(t), tsv_line(t, row),
                       tsv_cell(t, row, column));
    *out = (uint8_t)k;
    return ERR_OK;
}

static enum err_code read_row(struct report_run *r, const struct tsv *t, const struct columns *c,
                              size_t row, struct err *e)
{
    double p;

    TRY(read_class(r, t, row, c->label, &r->label[row], e));
    TRY(read_class(r, t, row, c->guess, &r->guess[row], e));
    if (c->base >= 0)
        TRY(read_class(r, t, row, c->base, &r->base[row], e));
    if (cli_double(&p, tsv_cell(t, row, c->p[r->guess[row]]), 0, 1, "probability", e) != ERR_OK) {
        e->code = ERR_DATA;
        FAIL(err_in(e, "%s:%zu", tsv_name(t), tsv_line(t, row)));
    }
    r->p[row] = (float)p;
out:
    return e->code;
}

static enum err_code take_predictions(struct report_run *r, const struct tsv *t, struct err *e)
{
    const char *path = tsv_name(t);
    struct confusion counted;
    struct columns c;

    TRY(find_columns(r, t, &c, e));
    r->n = (int64_t)tsv_rows(t);
    TRY(mem_array(&r->label, tsv_rows(t), 1, path, e));
    TRY(mem_array(&r->guess, tsv_rows(t), 1, path, e));
    TRY(mem_array(&r->p, tsv_rows(t), sizeof *r->p, path, e));
    if (c.base >= 0)
        TRY(mem_array(&r->base, tsv_rows(t), 1, path, e));
    confusion_init(&counted, r->classes);
    for (size_t row = 0; row < tsv_rows(t); row++) {
        TRY(read_row(r, t, &c, row, e));
        confusion_add(&counted, r->label[row], r->guess[row]);
    }
    if (r->n == 0 || memcmp(&counted, &r->confusion, sizeof counted) != 0)
        err_set(e, ERR_DATA,
                "%s: its rows do not give the confusion matrix of metrics.json: run "
                "synib-eval again",
                path);
out:
    return e->code;
}

enum err_code report_run_predictions(struct report_run *r, const char *path, const void *data,
                                     size_t len, struct err *e)
{
    struct tsv *t = NULL;

    TRY(tsv_parse(&t, path, "predictions", predictions_columns, data, len, e));
    TRY(take_predictions(r, t, e));
out:
    tsv_free(t);
    return e->code;
}

static enum err_code read_predictions(struct report_run *r, const char *path, struct err *e)
{
    struct tsv *t = NULL;

    TRY(tsv_read(&t, path, "predictions", predictions_columns, e));
    TRY(take_predictions(r, t, e));
out:
    tsv_free(t);
    return e->code;
}

/* ---- both ---- */

/* Recall among the irony clips of each emotion of the face. */
static void count_irony_recall(struct report_run *r)
{
    int64_t n[REPORT_PARTS] = {0}, right[REPORT_PARTS] = {0};

    if (r->base == NULL)
        return;
    r->parts = r->irony < REPORT_PARTS ? r->irony : REPORT_PARTS;
    for (int64_t i = 0; i < r->n; i++) {
        if (r->label[i] != r->irony || r->base[i] >= r->parts)
            continue;
        n[r->base[i]]++;
        right[r->base[i]] += r->guess[i] == r->irony;
    }
    for (int k = 0; k < r->parts; k++) {
        strcpy(r->part_name[k], r->class_name[k]);
        if (n[k] > 0)
            r->value[METRIC_PART + k] = (double)right[k] / (double)n[k];
    }
}

enum err_code report_run_results(struct report_run *r, struct err *e)
{
    char *dir = NULL, *metrics = NULL, *predictions = NULL;

    TRY(path_join(&dir, r->path, "test", e));
    TRY(path_join(&metrics, dir, "metrics.json", e));
    TRY(path_join(&predictions, dir, "predictions.tsv", e));
    if (!run_has(dir, "metrics.json") || !run_has(dir, "predictions.tsv")) {
        TRY(report_run_miss(r, "has no test evaluation: run synib-eval", e));
        goto out;
    }
    TRY(read_metrics(r, metrics, e));
    if (r->missing != NULL)
        goto out;
    TRY(read_predictions(r, predictions, e));
    if (r->irony >= 0)
        r->value[METRIC_IRONY_F1] = confusion_f1(&r->confusion, r->irony);
    r->value[METRIC_MACRO_F1] = confusion_macro_f1(&r->confusion);
    r->value[METRIC_ACCURACY] = confusion_accuracy(&r->confusion);
    r->value[METRIC_KAPPA] = confusion_kappa(&r->confusion);
    count_irony_recall(r);
out:
    free(dir);
    free(metrics);
    free(predictions);
    return e->code;
}
