/* SPDX-License-Identifier: MIT */
#include "train/sweep/results.h"

#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/text_stream.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_SOURCES = 2 * VECTORS_SOURCES, MAX_BYTES = 256 << 20 };
static const char *const stage[] = {"last", "best"};

bool part_has(const struct sweep_part *part, size_t row)
{
    return row % (size_t)part->n == (size_t)part->i - 1;
}

void part_file(const struct sweep_part *part, char *out, size_t size)
{
    if (part->n == 1)
        snprintf(out, size, "results.tsv");
    else
        snprintf(out, size, "results.%d-of-%d.tsv", part->i, part->n);
}

/* ---- columns ---- */

static enum err_code add_source(struct results *r, const char *name, struct err *e)
{
    for (int g = 0; g < r->sources; g++)
        if (strcmp(r->source[g], name) == 0)
            return ERR_OK;
    if (r->sources == MAX_SOURCES)
        return err_set(e, ERR_DATA, "%s: more than %d sources of information", r->plan->name,
                       MAX_SOURCES);
    snprintf(r->source[r->sources++], VECTORS_NAME_SIZE, "%s", name);
    return ERR_OK;
}

/* Kind and identity of row i; `task` is that of the row before, replaced when it is another. */
static enum err_code look_at_run(struct results *r, size_t i, char **task, struct err *e)
{
    const struct plan_run *run = &r->plan->run[i];
    bool same = i > 0 && strcmp(run->cell[PLAN_TASK], run[-1].cell[PLAN_TASK]) == 0;

    if (same) {
        r->kind[i] = r->kind[i - 1];
    } else {
        free(*task);
        *task = NULL;
        TRY(sweep_run_kind(&r->kind[i], run, r->test, e));
        TRY(sweep_run_task(task, run, r->test, e));
        r->classes = r->classes || r->kind[i].traits.classes;
        r->numbers = r->numbers || !r->kind[i].traits.classes;
        r->media = r->media || r->kind[i].traits.media;
        for (int g = 0; g < r->kind[i].traits.sources; g++)
            TRY(add_source(r, r->kind[i].source[g], e));
    }
    TRY(sweep_run_identity(r->identity[i], run, *task, e));
out:
    return err_in(e, "%s:%zu", r->plan->name, run->line);
}

/* Rows whose method or settings are not for their data. */
static enum err_code check_runs(const struct results *r, struct err *e)
{
    for (size_t i = 0; i < r->plan->n; i++) {
        const struct plan_run *run = &r->plan->run[i];
        struct err why = {0};

        if (network_fits(run->method, &run->config, &r->kind[i].traits, &why) != ERR_OK)
            err_add_line(e, ERR_DATA, "%s:%zu: %s", r->plan->name, run->line, why.text);
    }
    return e->code;
}

static enum err_code make_header(struct results *r, struct err *e)
{
    FILE *f = text_stream_open(&r->header, "sweep", e);

    if (f == NULL)
        return e->code;
    fprintf(f, "#synib-results 1\n");
    for (int c = 0; plan_columns[c] != NULL; c++)
        fprintf(f, "%s\t", plan_columns[c]);
    fprintf(f, "identity\tstatus\tepochs\tsteps\tbest_epoch\tbest_score\tval_loss");
    if (r->classes)
        fprintf(f, "\tval_accuracy\tval_macro_f1");
    if (r->media)
        fprintf(f, "\tval_irony_f1");
    if (r->numbers)
        fprintf(f, "\tval_mse\tval_r2");
    for (int s = 0; s < 2 && r->test; s++) {
        if (r->classes)
            fprintf(f, "\t%s_accuracy", stage[s]);
        if (r->numbers)
            fprintf(f, "\t%s_mse\t%s_r2", stage[s], stage[s]);
        fprintf(f, "\t%s_loss", stage[s]);
        for (int g = 0; g < r->sources; g++) {
            if (r->classes)
                fprintf(f, "\t%s_accuracy_%s", stage[s], r->source[g]);
            fprintf(f, "\t%s_loss_%s", stage[s], r->source[g]);
        }
    }
    fprintf(f, "\n");
    return text_stream_close(f, &r->header, "sweep", e);
}

enum err_code results_init(struct results *r, const struct plan *plan, struct sweep_part part,
                           bool test, const char *dir, struct err *e)
{
    char *task = NULL;

    *r = (struct results){.plan = plan, .part = part, .test = test, .log = {.fd = -1}};
    TRY(mem_string(&r->dir, dir, e));
    TRY(mem_array(&r->row, plan->n, sizeof(char *), "results", e));
    TRY(mem_array(&r->identity, plan->n, IDENTITY_SIZE, "results", e));
    TRY(mem_array(&r->kind, plan->n, sizeof *r->kind, "results", e));
    for (size_t i = 0; i < plan->n; i++)
        TRY(look_at_run(r, i, &task, e));
    TRY(check_runs(r, e));
    TRY(make_header(r, e));
out:
    free(task);
    return e->code;
}

void results_free(struct results *r)
{
    for (size_t i = 0; r->row != NULL && i < r->plan->n; i++)
        free(r->row[i]);
    free(r->row);
    free(r->identity);
    free(r->kind);
    free(r->header);
    free(r->dir);
    run_log_close(&r->log);
    *r = (struct results){.log = {.fd = -1}};
}

/* ---- rows ---- */

static void put_number(FILE *f, bool there, double v)
{
    if (there)
        fprintf(f, "\t%.9g", v);
    else
        fprintf(f, "\t");
}

static void put_val(FILE *f, const struct results *r, bool there, const struct val_metrics *v)
{
    put_number(f, there && !isnan(v->loss), v->loss);
    if (r->classes) {
        put_number(f, there && !isnan(v->accuracy), v->accuracy);
        put_number(f, there && !isnan(v->macro_f1), v->macro_f1);
    }
    if (r->media)
        put_number(f, there && !isnan(v->irony_f1), v->irony_f1);
    if (r->numbers) {
        put_number(f, there && !isnan(v->mse), v->mse);
        put_number(f, there && !isnan(v->r2), v->r2);
    }
}

static int source_of(const struct run_kind *kind, const char *name)
{
    for (int g = 0; g < kind->traits.sources; g++)
        if (strcmp(kind->source[g], name) == 0)
            return g;
    return -1;
}

static void put_metrics(FILE *f, const struct results *r, const struct run_kind *kind, bool there,
                        const struct test_metrics *m)
{
    if (r->classes)
        put_number(f, there && kind->traits.classes, m->accuracy);
    if (r->numbers) {
        put_number(f, there && !kind->traits.classes, m->mse);
        put_number(f, there && !kind->traits.classes, m->r2);
    }
    put_number(f, there, m->loss);
    for (int i = 0; i < r->sources; i++) {
        int g = source_of(kind, r->source[i]);
        bool has = there && g >= 0 && m->source[g].n > 0;

        if (r->classes)
            put_number(f, has && kind->traits.classes, has ? source_accuracy(&m->source[g]) : 0);
        put_number(f, has, has ? source_loss(&m->source[g]) : 0);
    }
}

static void put_cells(FILE *f, const struct plan_run *run)
{
    for (int c = 0; plan_columns[c] != NULL; c++)
        fprintf(f, "%s\t", run->cell[c]);
}

static enum err_code make_row(char **out, const struct results *r, size_t i,
                              const struct run_result *result, struct err *e)
{
    FILE *f = text_stream_open(out, "sweep", e);

    if (f == NULL)
        return e->code;
    put_cells(f, &r->plan->run[i]);
    fprintf(f, "%s\t%s", r->identity[i], result->finite ? "ok" : "not-finite");
    if (result->finite)
        fprintf(f, "\t%lld\t%lld\t%lld\t%.9g", (long long)result->epochs, (long long)result->steps,
                (long long)result->best_epoch, result->best_score);
    else
        fprintf(f, "\t\t\t\t");
    put_val(f, r, result->finite, &result->val);
    if (r->test) {
        put_metrics(f, r, &r->kind[i], result->finite, &result->last);
        put_metrics(f, r, &r->kind[i], result->finite, &result->best);
    }
    fprintf(f, "\n");
    return text_stream_close(f, out, "sweep", e);
}

/* A row that was read, behind the plan's cells as they are now: a plan may say the same in other
 * words ("0.60" for "0.6") than when the row was made. */
static enum err_code remake_row(char **out, const struct plan_run *run, const char *text,
                                size_t len, struct err *e)
{
    const char *rest = text;
    FILE *f = text_stream_open(out, "sweep", e);

    if (f == NULL)
        return e->code;
    put_cells(f, run);
    for (int c = 0; plan_columns[c] != NULL; c++) /* as many as the header says: read_lines */
        rest = (const char *)memchr(rest, '\t', (size_t)(text + len - rest)) + 1;
    fwrite(rest, 1, (size_t)(text + len - rest), f);
    return text_stream_close(f, out, "sweep", e);
}

/* Takes the line as the row of plan->run[i]; a second one must be the same. */
static enum err_code take_row(struct results *r, size_t i, char *line, struct err *e)
{
    if (r->row[i] != NULL) {
        bool same = strcmp(r->row[i], line) == 0;

        free(line);
        return same ? ERR_OK
                    : err_set(e, ERR_DATA, "run '%s' has two different rows",
                              r->plan->run[i].cell[PLAN_RUN]);
    }
    r->row[i] = line;
    r->done += part_has(&r->part, i);
    return ERR_OK;
}

/* ---- files ---- */

static enum err_code read_row(struct results *r, const struct tsv *t, size_t k, const char *text,
                              size_t len, struct err *e)
{
    const char *name = tsv_cell(t, k, tsv_column(t, "run"));
    const char *identity = tsv_cell(t, k, tsv_column(t, "identity"));
    const struct plan_run *run = plan_find(r->plan, name);
    size_t i;
    char *line = NULL;

    if (run == NULL)
        return err_set(e, ERR_DATA, "run '%s' is not in %s", name, r->plan->name);
    i = (size_t)(run - r->plan->run);
    if (strcmp(identity, r->identity[i]) != 0)
        return err_set(e, ERR_DATA, "run '%s' was made with other settings, data or task", name);
    TRY(remake_row(&line, run, text, len, e));
    r->failed = r->failed || strcmp(tsv_cell(t, k, tsv_column(t, "status")), "ok") != 0;
    TRY(take_row(r, i, line, e));
out:
    return e->code;
}

/* Whole lines of a file: `bytes` of them. */
static enum err_code read_lines(struct results *r, const char *path, const char *text, size_t bytes,
                                struct err *e)
{
    static const char *const columns[] = {"run", "identity", "status", NULL};
    size_t head = strlen(r->header);
    const char *p = text + head, *end = text + bytes;
    struct tsv *t = NULL;

    if (bytes < head || memcmp(text, r->header, head) != 0)
        return err_set(e, ERR_DATA,
                       "%s: has other columns than this plan gives%s: give another -o or --force",
                       path, r->test ? "" : " with --no-test");
    TRY(tsv_parse(&t, path, "results", columns, text, bytes, e));
    for (size_t k = 0; k < tsv_rows(t); k++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));

        if (read_row(r, t, k, p, (size_t)(stop + 1 - p), e) != ERR_OK) {
            err_in(e, "%s:%zu", path, tsv_line(t, k));
            goto out;
        }
        p = stop + 1;
    }
out:
    tsv_free(t);
    return e->code;
}

/* Sets log.bytes and log.crc to what is whole in the file; nothing there is fine. */
static enum err_code read_file(struct results *r, const char *path, bool must_be_whole,
                               struct err *e)
{
    struct file_view view = {0};
    const char *text, *last;

    if (access(path, F_OK) != 0 && errno == ENOENT)
        return ERR_OK;
    TRY(file_read(&view, path, MAX_BYTES, e));
    text = (const char *)view.data;
    last = view.len > 0 ? memrchr(text, '\n', view.len) : NULL;
    r->log.bytes = last != NULL ? last + 1 - text : 0;
    if (must_be_whole && (size_t)r->log.bytes != view.len)
        FAIL(err_set(e, ERR_TRUNCATED, "%s: its last line is cut", path));
    if (r->log.bytes < (int64_t)strlen(r->header) && view.len < strlen(r->header) &&
        memcmp(text, r->header, view.len) == 0)
        r->log.bytes = 0; /* not even the header was finished */
    else
        TRY(read_lines(r, path, text, (size_t)r->log.bytes, e));
    r->log.crc = hash_crc32c(0, text, (size_t)r->log.bytes);
out:
    file_view_free(&view);
    return e->code;
}

enum err_code results_read(struct results *r, struct err *e)
{
    char name[64], *path = NULL;

    part_file(&r->part, name, sizeof name);
    TRY(path_join(&path, r->dir, name, e));
    TRY(read_file(r, path, false, e));
out:
    free(path);
    return e->code;
}

/* True for "results.I-of-N.tsv". */
static bool is_part_file(const char *file)
{
    struct sweep_part part;
    char name[64];

    if (sscanf(file, "results.%d-of-%d.tsv", &part.i, &part.n) != 2 || part.n < 2)
        return false;
    part_file(&part, name, sizeof name);
    return strcmp(name, file) == 0;
}

enum err_code results_read_parts(struct results *r, struct err *e)
{
    struct name_list list = {0};
    char *path = NULL;
    int parts = 0;

    TRY(dir_list(&list, r->dir, ".tsv", e));
    for (size_t i = 0; i < list.count; i++) {
        if (!is_part_file(list.name[i]))
            continue;
        free(path);
        path = NULL;
        TRY(path_join(&path, r->dir, list.name[i], e));
        TRY(read_file(r, path, true, e));
        parts++;
    }
    if (parts == 0)
        err_set(e, ERR_USAGE, "%s: has no results.I-of-N.tsv to merge", r->dir);
out:
    free(path);
    name_list_free(&list);
    return e->code;
}

/* Column last_loss is there when anything was tested. */
static enum err_code look_for_test(bool *test, const char *path, struct err *e)
{
    struct file_view view = {0};
    const char *header, *end;

    TRY(file_read(&view, path, MAX_BYTES, e));
    header = view.len > 0 ? memchr(view.data, '\n', view.len) : NULL;
    if (header == NULL)
        goto out;
    end = (const char *)view.data + view.len;
    header++;
    end = memchr(header, '\n', (size_t)(end - header));
    if (end != NULL)
        *test = memmem(header, (size_t)(end - header), "\tlast_loss", 10) != NULL;
out:
    file_view_free(&view);
    return e->code;
}

enum err_code results_have_test(bool *test, const char *dir, bool parts, struct err *e)
{
    struct name_list list = {0};
    char *path = NULL;

    if (access(dir, F_OK) != 0 && errno == ENOENT)
        return ERR_OK;
    TRY(dir_list(&list, dir, ".tsv", e));
    for (size_t i = 0; i < list.count && path == NULL; i++)
        if (parts ? is_part_file(list.name[i]) : strcmp(list.name[i], "results.tsv") == 0) {
            TRY(path_join(&path, dir, list.name[i], e));
            TRY(look_for_test(test, path, e));
        }
out:
    free(path);
    name_list_free(&list);
    return e->code;
}

enum err_code results_start(struct results *r, struct err *e)
{
    int64_t bytes = r->log.bytes, crc = r->log.crc;
    char name[64];

    part_file(&r->part, name, sizeof name);
    TRY(run_log_open(&r->log, r->dir, name, bytes, crc, e));
    if (bytes == 0)
        TRY(run_log_add(&r->log, r->header, e));
    TRY(run_log_sync(&r->log, e));
out:
    return e->code;
}

enum err_code results_add(struct results *r, size_t i, const struct run_result *result,
                          struct err *e)
{
    char *line = NULL;

    TRY(make_row(&line, r, i, result, e));
    TRY(run_log_add(&r->log, line, e));
    TRY(run_log_sync(&r->log, e));
    r->failed = r->failed || !result->finite;
    return take_row(r, i, line, e);
out:
    free(line);
    return e->code;
}

enum err_code results_finish(struct results *r, struct err *e)
{
    struct atomic_file *f = NULL, *done;
    char name[64], *path = NULL;

    part_file(&r->part, name, sizeof name);
    TRY(path_join(&path, r->dir, name, e));
    TRY(atomic_file_open(&f, path, true, e));
    TRY(atomic_file_write(f, r->header, strlen(r->header), e));
    for (size_t i = 0; i < r->plan->n; i++) {
        if (!part_has(&r->part, i))
            continue;
        if (r->row[i] == NULL)
            FAIL(err_set(e, ERR_DATA, "%s: run '%s' (%s:%zu) is missing", r->dir,
                         r->plan->run[i].cell[PLAN_RUN], r->plan->name, r->plan->run[i].line));
        TRY(atomic_file_write(f, r->row[i], strlen(r->row[i]), e));
    }
    done = f;
    f = NULL;
    TRY(atomic_file_commit(done, e));
out:
    atomic_file_abort(f);
    free(path);
    return e->code;
}
