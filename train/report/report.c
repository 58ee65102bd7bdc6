/* SPDX-License-Identifier: MIT */
#include "train/report/report.h"

#include "common/base/atomic_file.h"
#include "common/base/mem.h"
#include "common/base/parallel.h"
#include "common/base/text_stream.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

static bool is_known(const struct report *r, const char *real, char *const *reals)
{
    for (size_t i = 0; i < r->all; i++)
        if (strcmp(reals[i], real) == 0)
            return true;
    return false;
}

/* `path` below `root`, or the last part of root's own path when they are one. */
static const char *name_below(const char *root, const char *path, const char *real)
{
    size_t len = strlen(root);

    if (strcmp(root, path) == 0)
        return path_base(real);
    return path + len + strspn(path + len, "/");
}

static enum err_code add_runs(struct report *r, size_t *cap, char ***reals, size_t *reals_cap,
                              const char *root, struct err *e)
{
    struct name_list found = {0};
    char *real = NULL;

    TRY(collect_folders(&found, root, "run.json", e));
    if (found.count == 0)
        FAIL(err_set(e, ERR_DATA, "%s: neither a run nor a folder of runs: no run.json in it",
                     root));
    for (size_t i = 0; i < found.count; i++) {
        struct report_run one = {.data = -1};

        real = realpath(found.name[i], NULL);
        if (real == NULL)
            FAIL(err_sys(e, "%s", found.name[i]));
        if (is_known(r, real, *reals)) {
            free(real);
            real = NULL;
            continue;
        }
        TRY(mem_grow(&r->run, cap, r->all + 1, sizeof *r->run, "runs", e));
        TRY(mem_grow(reals, reals_cap, r->all + 1, sizeof **reals, "runs", e));
        if (mem_string(&one.name, name_below(root, found.name[i], real), e) != ERR_OK ||
            mem_string(&one.path, found.name[i], e) != ERR_OK) {
            report_run_free(&one);
            goto out;
        }
        (*reals)[r->all] = real;
        real = NULL;
        r->run[r->all++] = one;
    }
out:
    free(real);
    name_list_free(&found);
    return e->code;
}

static enum err_code find_runs(struct report *r, struct err *e)
{
    size_t cap = 0, reals_cap = 0;
    char **reals = NULL;

    for (int i = 0; i < r->opt->runs; i++)
        TRY(add_runs(r, &cap, &reals, &reals_cap, r->opt->run[i], e));
out:
    for (size_t i = 0; i < r->all; i++)
        free(reals[i]);
    free(reals);
    return e->code;
}

struct reading {
    struct report *report;
    struct err *err; /* of each run */
    struct progress progress;
};

static void read_one(void *ctx, int64_t i, int worker)
{
    struct reading *c = ctx;

    (void)worker;
    if (report_run_read(&c->report->run[i], &c->err[i]) == ERR_OK)
        progress_step(&c->progress, 1);
}

static enum err_code read_runs(struct report *r, struct err *e)
{
    struct reading c = {.report = r};

    TRY(mem_array(&c.err, r->all, sizeof *c.err, "runs", e));
    progress_begin(&c.progress, &r->opt->cli.log, "runs", (int64_t)r->all);
    parallel_for(r->opt->cli.jobs, (int64_t)r->all, read_one, &c);
    progress_end(&c.progress);
    for (size_t i = 0; i < r->all && e->code == ERR_OK; i++)
        *e = c.err[i];
out:
    free(c.err);
    return e->code;
}

static enum err_code find_sets(struct report *r, struct err *e)
{
    struct name_list folders = {0};

    if (r->opt->data != NULL)
        TRY(collect_folders(&folders, r->opt->data, "val/index.jsonl", e));
    for (size_t i = 0; i < r->all; i++) {
        if (r->run[i].identity == NULL)
            continue;
        TRY(report_sets_find(&r->run[i].data, &r->set, &r->sets, &r->sets_cap, &r->run[i], &folders,
                             e));
        if (r->run[i].data < 0)
            log_warn(&r->opt->cli.log,
                     "%s: its dataset is not where run.json says: give --data ROOT",
                     r->run[i].path);
    }
    for (size_t i = 0; i < r->sets; i++)
        TRY(report_set_audit(&r->set[i], e));
    TRY(report_clips_read(&r->clips, r->opt->clips, r->set, r->sets, e));
out:
    name_list_free(&folders);
    return e->code;
}

/* Runs that do not count: a warning each, or with --strict an error that names them all. */
static enum err_code tell_missing(const struct report *r, struct err *e)
{
    size_t counted = 0;

    for (size_t i = 0; i < r->all; i++) {
        const struct report_run *run = &r->run[i];

        counted += run->missing == NULL;
        if (run->missing == NULL)
            continue;
        if (r->opt->strict)
            err_add_line(e, ERR_DATA, "%s: %s", run->path, run->missing);
        else
            log_warn(&r->opt->cli.log, "%s: %s: not counted", run->path, run->missing);
    }
    if (e->code == ERR_OK && counted == 0)
        err_set(e, ERR_DATA, "%s: no run that is finished and tested", r->opt->run[0]);
    return e->code;
}

/* ---- writing ---- */

enum { OUT_MARKDOWN, OUT_LATEX, OUT_CELLS, OUT_PAIRS, OUT_HTML, OUTPUTS };
/* In the order in which they appear: the last one makes the report complete. */
static const char *const output_names[OUTPUTS] = {"report.md", "report.tex", "cells.tsv",
                                                  "pairs.tsv", "report.html"};

struct output {
    char *path, *text;
};

static enum err_code write_text(FILE *f, int kind, const struct report *r, const struct doc *d,
                                struct err *e)
{
    switch (kind) {
    case OUT_MARKDOWN: return doc_write_markdown(d, f, e);
    case OUT_LATEX: return doc_write_latex(d, f, e);
    case OUT_CELLS: return report_write_cells(r, f, e);
    case OUT_PAIRS: return report_write_pairs(r, f, e);
    default: return doc_write_html(d, f, e);
    }
}

static enum err_code make_text(struct output *o, int kind, const struct report *r,
                               const struct doc *d, struct err *e)
{
    FILE *f = text_stream_open(&o->text, o->path, e);

    if (f != NULL)
        (void)write_text(f, kind, r, d, e);
    return text_stream_close(f, &o->text, o->path, e);
}

static enum err_code build(const struct report *r, struct doc *d, struct err *e)
{
    const struct report_options *opt = r->opt;

    doc_add(d, DOC_TITLE, "%s", opt->title != NULL ? opt->title : "Runs of synib-train on test");
    if (opt->note != NULL)
        doc_add(d, DOC_TEXT, "%s", opt->note);
    if (r->irony)
        report_clips_say(&r->clips, d);
    else if (r->sets > 0)
        doc_add(d, DOC_TEXT, "Feature vectors, not CREMA-D.");
    if (r->n < r->all)
        doc_add(d, DOC_WARNING, "%zu of %zu runs do not count: they are listed under Provenance.",
                r->all - r->n, r->all);
    TRY(report_add_tables(r, d, e));
    TRY(report_add_pairs(r, d, e));
    TRY(report_add_curves(r, d, e));
    TRY(report_add_confusions(r, d, e));
    TRY(report_add_gallery(r, d, e));
    TRY(report_add_audit(r, d, e));
    if (r->irony)
        TRY(report_clips_add(&r->clips, d, e));
    TRY(report_add_provenance(r, d, e));
out:
    return e->code;
}

/* All texts are made before the first file is. */
static enum err_code write_report(const struct report *r, struct output *out, struct err *e)
{
    struct doc d = {0};

    TRY(build(r, &d, e));
    for (int i = 0; i < OUTPUTS; i++)
        TRY(make_text(&out[i], i, r, &d, e));
    TRY(dir_make(r->opt->out, e));
    for (int i = 0; i < OUTPUTS; i++)
        TRY(atomic_file_put_part(out[i].path, out[i].text, strlen(out[i].text), r->opt->cli.force,
                                 e));
    log_note(&r->opt->cli.log, "%s: %zu runs of %zu in %d rows and %d columns", r->opt->out, r->n,
             r->all, r->rows, r->columns);
    if (r->opt->cli.json)
        printf("{\"runs\": %zu, \"left_out\": %zu, \"rows\": %d, \"columns\": %d}\n", r->n,
               r->all - r->n, r->rows, r->columns);
out:
    doc_free(&d);
    return e->code;
}

static enum err_code make(struct report *r, struct output *out, struct err *e)
{
    TRY(find_runs(r, e));
    TRY(read_runs(r, e));
    TRY(tell_missing(r, e));
    TRY(find_sets(r, e));
    TRY(report_arrange(r, e));
    if (r->opt->cli.dry_run) {
        log_note(&r->opt->cli.log, "%s: would report %zu runs of %zu", r->opt->out, r->n, r->all);
        goto out;
    }
    TRY(report_measure(r, e));
    TRY(write_report(r, out, e));
out:
    return e->code;
}

enum err_code report_make(const struct report_options *opt, struct err *e)
{
    struct report r = {.opt = opt};
    struct output out[OUTPUTS] = {0};

    for (int i = 0; i < OUTPUTS; i++)
        TRY(path_join(&out[i].path, opt->out, output_names[i], e));
    TRY(atomic_file_check(out[OUTPUTS - 1].path, opt->cli.force, e));
    TRY(make(&r, out, e));
    if (r.n < r.all && !opt->cli.dry_run)
        err_set(e, ERR_REJECTED, "%s: %zu of %zu runs do not count: the report lists them",
                opt->out, r.all - r.n, r.all);
out:
    for (int i = 0; i < OUTPUTS; i++) {
        free(out[i].path);
        free(out[i].text);
    }
    report_free(&r);
    return e->code;
}
