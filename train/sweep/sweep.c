/* SPDX-License-Identifier: MIT */
#include "train/sweep/sweep.h"

#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/parallel.h"
#include "train/sweep/makers.h"
#include "train/sweep/pretrain.h"
#include "train/sweep/search.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- running ---- */

struct sweep {
    const struct sweep_options *opt;
    struct plan plan;
    struct results results;
    struct run_log timing;
    char maker[MAKER_SIZE]; /* of the rows to come */
    char *runs;             /* DIR/runs */
    size_t *todo;
    size_t count;
    struct pretraining pretraining;
    int pretraining_jobs; /* threads of one of its runs */
    struct progress progress;
    pthread_mutex_t lock; /* of results, timing and err */
    struct err *err;      /* of the first run that failed; read under the lock */
};

static bool has_failed(struct sweep *s)
{
    bool failed;

    pthread_mutex_lock(&s->lock);
    failed = s->err->code != ERR_OK;
    pthread_mutex_unlock(&s->lock);
    return failed;
}

/* Under the lock. */
static enum err_code keep_result(struct sweep *s, size_t i, const struct run_result *result,
                                 int64_t ms, struct err *e)
{
    const struct plan_run *run = &s->plan.run[i];
    char line[512];

    maker_line(line, sizeof line, run->cell[PLAN_RUN], ms, s->maker);
    TRY(results_add(&s->results, i, result, e));
    TRY(run_log_add(&s->timing, line, e));
    log_debug(&s->opt->cli.log, "%s: %.1f s, validation loss %.4f", run->cell[PLAN_RUN],
              (double)ms / 1000, result->val.loss);
out:
    return e->code;
}

/* Under the lock. The first failure stays. */
static void keep_failure(struct sweep *s, const struct err *e)
{
    if (s->err->code == ERR_OK)
        *s->err = *e;
}

static void one_pretraining(void *ctx, int64_t k, int worker)
{
    struct sweep *s = ctx;
    struct err e = {0};

    (void)worker;
    if (has_failed(s))
        return;
    if (pretraining_do(&s->pretraining, &s->plan, (size_t)k, s->pretraining_jobs, &s->opt->cli.log,
                       &e) != ERR_OK)
        err_in(&e, "%s: unimodal runs", s->plan.name);
    pthread_mutex_lock(&s->lock);
    keep_failure(s, &e);
    pthread_mutex_unlock(&s->lock);
    progress_step(&s->progress, 1);
}

/* All of it before the runs: of runs that share it, none waits for another. Few of them are done
 * one after the other, on all threads. */
static enum err_code pretrain(struct sweep *s, struct err *e)
{
    int jobs = s->opt->cli.jobs;
    int64_t n;

    TRY(pretraining_init(&s->pretraining, &s->plan, s->todo, s->count, s->opt->out, e));
    n = MEDIA_MODALITIES * (int64_t)s->pretraining.n;
    if (n == 0)
        goto out;
    s->pretraining_jobs = n < jobs ? jobs : 1;
    progress_begin(&s->progress, &s->opt->cli.log, "unimodal runs", n);
    parallel_for(n < jobs ? 1 : jobs, n, one_pretraining, s);
    progress_end(&s->progress);
out:
    return e->code;
}

static enum err_code do_run(struct sweep *s, size_t i, struct run_result *result, struct err *e)
{
    const struct plan_run *run = &s->plan.run[i];
    struct run_place place = {
        .folder = s->runs, .jobs = s->count == 1 ? s->opt->cli.jobs : 1, .log = &s->opt->cli.log};
    char *pretrained = NULL;

    TRY(pretraining_folder(&pretrained, &s->pretraining, i, e));
    place.pretrained = pretrained;
    TRY(sweep_run_do(result, run, s->results.test, &place, e));
out:
    free(pretrained);
    return err_in(e, "%s:%zu: run %s", s->plan.name, run->line, run->cell[PLAN_RUN]);
}

static void one_run(void *ctx, int64_t k, int worker)
{
    struct sweep *s = ctx;
    size_t i = s->todo[k];
    int64_t begun = clock_ms();
    struct run_result result;
    struct err e = {0};

    (void)worker;
    if (has_failed(s))
        return;
    if (cli_stop_requested())
        err_set(&e, ERR_STOPPED, "stopped on request");
    else
        (void)do_run(s, i, &result, &e);
    pthread_mutex_lock(&s->lock);
    if (e.code == ERR_OK)
        (void)keep_result(s, i, &result, clock_ms() - begun, &e);
    keep_failure(s, &e);
    pthread_mutex_unlock(&s->lock);
    progress_step(&s->progress, 1);
}

static enum err_code run_missing(struct sweep *s, struct err *e)
{
    TRY(mem_array(&s->todo, s->plan.n, sizeof *s->todo, "sweep", e));
    for (size_t i = 0; i < s->plan.n; i++)
        if (part_has(&s->opt->part, i) && s->results.row[i] == NULL)
            s->todo[s->count++] = i;
    log_note(&s->opt->cli.log, "%s: %zu runs to do, %zu there already", s->plan.name, s->count,
             s->results.done);
    if (s->opt->cli.dry_run || s->count == 0)
        goto out;
    TRY(maker_now(s->maker, e));
    TRY(makers_warn(&s->results, s->maker, &s->opt->cli.log, e));
    TRY(results_start(&s->results, e));
    TRY(run_log_open(&s->timing, s->opt->out, "timing.jsonl", -1, 0, e));
    if (pretrain(s, e) == ERR_OK) {
        progress_begin(&s->progress, &s->opt->cli.log, "runs", (int64_t)s->count);
        parallel_for(s->opt->cli.jobs, (int64_t)s->count, one_run, s);
        progress_end(&s->progress);
    }
    if (e->code == ERR_STOPPED) {
        err_clear(e);
        err_set(e, ERR_STOPPED, "%s: stopped with %zu runs there: the same command goes on",
                s->opt->out, s->results.done);
    }
out:
    return e->code;
}

/* What a run left: its folder would be taken for one to go on with, and a table stay where the new
 * run leaves none. */
static enum err_code forget_run(const struct sweep *s, const struct plan_run *run, struct err *e)
{
    static const char *const tables[] = {"epochs", "ntk"};
    char name[128], *dir = NULL;

    for (size_t i = 0; run->synthetic && i < sizeof tables / sizeof tables[0]; i++) {
        snprintf(name, sizeof name, "%s.%s.csv", run->cell[PLAN_RUN], tables[i]);
        TRY(run_remove(s->runs, name, e));
    }
    if (!run->synthetic) {
        TRY(path_join(&dir, s->runs, run->cell[PLAN_RUN], e));
        TRY(run_clear(dir, e));
    }
out:
    free(dir);
    return e->code;
}

/* With --force the results there are forgotten, and what the runs of this part left. */
static enum err_code forget(const struct sweep *s, struct err *e)
{
    char name[64];

    part_file(&s->opt->part, name, sizeof name);
    TRY(run_remove(s->opt->out, name, e));
    if (s->opt->part.n == 1)
        TRY(run_remove(s->opt->out, "timing.jsonl", e));
    for (size_t i = 0; i < s->plan.n; i++)
        if (part_has(&s->opt->part, i))
            TRY(forget_run(s, &s->plan.run[i], e));
out:
    return e->code;
}

static enum err_code write_selected(const struct sweep *s, struct err *e)
{
    char *text = NULL, *path = NULL;
    size_t undecided;

    TRY(select_text(&text, &undecided, &s->results, (enum select_by)s->opt->select_by, e));
    TRY(path_join(&path, s->opt->out, "selected.tsv", e));
    TRY(atomic_file_put(path, text, strlen(text), true, e));
    if (undecided > 0)
        err_set(e, ERR_NONFINITE,
                "%s: of %zu comparisons no settings were finite: rank 1 with not_finite above 0",
                path, undecided);
out:
    free(text);
    free(path);
    return e->code;
}

static enum err_code sweep_locked(struct sweep *s, struct err *e)
{
    const struct sweep_options *opt = s->opt;

    if (opt->cli.force && !opt->merge && !opt->cli.dry_run)
        TRY(forget(s, e));
    if (opt->merge) {
        TRY(results_read_parts(&s->results, e));
        TRY(makers_warn(&s->results, NULL, &opt->cli.log, e));
    } else {
        TRY(results_read(&s->results, e));
        TRY(run_missing(s, e));
    }
    if (opt->cli.dry_run)
        goto out;
    TRY(results_finish(&s->results, e));
    log_note(&opt->cli.log, "%s: %zu runs", opt->out, s->results.done);
    if (opt->select)
        TRY(write_selected(s, e));
    else if (s->results.failed)
        err_set(e, ERR_NONFINITE,
                "%s: some runs were not finite: rows with status not-finite in its results",
                opt->out);
out:
    return e->code;
}

/* ---- searches ---- */

static enum err_code expand(const struct sweep_options *opt, struct err *e)
{
    struct search_options search = {opt->plan, opt->draws, opt->cli.seed};
    char *text = NULL;
    size_t runs;

    TRY(atomic_file_check(opt->out, opt->cli.force, e));
    TRY(search_expand(&text, &runs, &search, e));
    if (!opt->cli.dry_run)
        TRY(atomic_file_put(opt->out, text, strlen(text), opt->cli.force, e));
    log_note(&opt->cli.log, "%s: %zu runs", opt->cli.dry_run ? opt->plan : opt->out, runs);
out:
    free(text);
    return e->code;
}

/* ---- the whole ---- */

/* A search is test-free unless it began otherwise; parts are merged as they are. */
static enum err_code choose_test(bool *test, const struct sweep_options *opt, struct err *e)
{
    *test = !opt->no_test && !opt->select;
    if (opt->no_test || (!opt->merge && (!opt->select || opt->cli.force)))
        return ERR_OK;
    return results_have_test(test, opt->out, opt->merge, e);
}

static enum err_code run_plan(const struct sweep_options *opt, struct err *e)
{
    struct sweep s = {.opt = opt,
                      .lock = PTHREAD_MUTEX_INITIALIZER,
                      .err = e,
                      .results = {.log = {.fd = -1}},
                      .timing = {.fd = -1}};
    struct run_lock lock = {.fd = -1};
    char name[80] = ".lock";
    bool test;

    TRY(plan_read(&s.plan, opt->plan, e));
    TRY(choose_test(&test, opt, e));
    TRY(results_init(&s.results, &s.plan, opt->part, test, opt->out, e));
    if (opt->part.n > 1)
        snprintf(name, sizeof name, ".lock.%d-of-%d", opt->part.i, opt->part.n);
    TRY(path_join(&s.runs, opt->out, "runs", e));
    if (!opt->cli.dry_run) {
        TRY(dir_make(s.runs, e));
        TRY(run_lock_take(&lock, opt->out, name, false, &opt->cli.log, e));
    }
    TRY(sweep_locked(&s, e));
out:
    run_lock_release(&lock);
    results_free(&s.results);
    run_log_close(&s.timing);
    pretraining_free(&s.pretraining);
    plan_free(&s.plan);
    free(s.todo);
    free(s.runs);
    return e->code;
}

enum err_code sweep_run(const struct sweep_options *opt, struct err *e)
{
    return opt->expand ? expand(opt, e) : run_plan(opt, e);
}
