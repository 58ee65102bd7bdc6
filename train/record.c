/* SPDX-License-Identifier: MIT */
#include "train/record.h"

#include "common/base/cli.h"
#include "common/base/file.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_SIZE = 8192 };

/* A line of text under construction; what does not fit is cut, which LINE_SIZE never lets happen.
 */
struct line {
    size_t n;
    char text[LINE_SIZE];
};

static void put(struct line *l, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void put(struct line *l, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(l->text + l->n, sizeof l->text - l->n, fmt, args);
    va_end(args);
    l->n += strlen(l->text + l->n);
}

/* A cell of a CSV: empty for what is not a number. */
static void put_cell(struct line *l, double v)
{
    if (isnan(v))
        put(l, ",");
    else
        put(l, ",%.9g", v);
}

/* ---- files ---- */

enum err_code record_open(struct record *r, const char *dir, char *identity,
                          const struct network *net, const struct data *data, struct err *e)
{
    *r = (struct record){.dir = dir,
                         .data = data,
                         .net = net,
                         .identity = identity,
                         .metrics = {.fd = -1},
                         .epochs = {.fd = -1},
                         .timing = {.fd = -1},
                         .ntk = {.fd = -1},
                         .has_ntk = method_measures_ntk(net->method, &net->config)};
    if (dir == NULL)
        return ERR_OK;
    TRY(path_join(&r->last_path, dir, run_last_name, e));
    TRY(path_join(&r->best_path, dir, run_best_name, e));
out:
    return e->code;
}

void record_close(struct record *r)
{
    run_log_close(&r->metrics);
    run_log_close(&r->epochs);
    run_log_close(&r->timing);
    run_log_close(&r->ntk);
    free(r->last_path);
    free(r->best_path);
    free(r->identity);
    memset(r, 0, sizeof *r);
}

/* Columns of epochs.csv: docs/formats/run.md. */
static void epochs_header(const struct record *r, struct line *l)
{
    const struct model_options *model = model_opt(r->net->model);
    const struct data *d = r->data;
    bool classes = data_classes(d) > 0;
    char name[64];

    put(l, "epoch,step,lr");
    for (int i = 0; i < STEP_VALUES; i++)
        if (step_value_exists((enum step_value)i, model))
            put(l, ",%s", step_value_name((enum step_value)i, model, name, sizeof name));
    put(l, ",train_loss%s", classes ? ",train_accuracy" : "");
    for (int g = 0; g < data_sources(d); g++) {
        put(l, ",train_loss_%s", data_source(d, g));
        if (classes)
            put(l, ",train_accuracy_%s", data_source(d, g));
    }
    put(l, ",val_loss%s", classes ? ",val_accuracy,val_macro_f1" : ",val_mse,val_r2");
    if (data_media(d) != NULL)
        put(l, ",val_irony_f1");
    for (int m = 0; m < data_modalities(d) && classes; m++)
        put(l, ",val_%s_accuracy", data_modality(d, m));
    for (int g = 0; g < data_sources(d); g++) {
        put(l, ",val_loss_%s", data_source(d, g));
        if (classes)
            put(l, ",val_accuracy_%s", data_source(d, g));
    }
    put(l, ",best\n");
}

static void ntk_header(const struct record *r, struct line *l)
{
    int n = data_sources(r->data);

    put(l, "epoch,step");
    for (int g = 0; g < n; g++)
        put(l, ",strength_%s", data_source(r->data, g));
    for (int g = 0; g < n; g++)
        for (int h = g + 1; h < n; h++)
            put(l, ",alignment_%s_%s", data_source(r->data, g), data_source(r->data, h));
    for (int g = 0; g < n; g++)
        put(l, ",loss_%s", data_source(r->data, g));
    put(l, "\n");
}

/* Opens a table in the folder or in memory, and begins a new one with its header. */
static enum err_code open_table(struct record *r, struct run_log *log, const char *name,
                                int64_t bytes, int64_t crc,
                                void (*header)(const struct record *r, struct line *l),
                                struct err *e)
{
    struct line l = {0};

    if (r->dir == NULL)
        TRY(run_log_memory(log, e));
    else
        TRY(run_log_open(log, r->dir, name, bytes, crc, e));
    if (log->bytes == 0) {
        header(r, &l);
        TRY(run_log_add(log, l.text, e));
    }
out:
    return e->code;
}

enum err_code record_check(const struct record *r, const struct run_state *s, struct err *e)
{
    TRY(run_log_check(r->dir, "epochs.csv", s->epochs_bytes, s->epochs_crc, e));
    TRY(run_log_check(r->dir, "ntk.csv", s->ntk_bytes, s->ntk_crc, e));
    TRY(run_log_check(r->dir, "metrics.jsonl", s->metrics_bytes, s->metrics_crc, e));
out:
    return e->code;
}

enum err_code record_start(struct record *r, const struct run_state *s, struct err *e)
{
    TRY(open_table(r, &r->epochs, "epochs.csv", s->epochs_bytes, s->epochs_crc, epochs_header, e));
    if (r->has_ntk)
        TRY(open_table(r, &r->ntk, "ntk.csv", s->ntk_bytes, s->ntk_crc, ntk_header, e));
    if (r->dir == NULL)
        return ERR_OK;
    TRY(run_log_open(&r->metrics, r->dir, "metrics.jsonl", s->metrics_bytes, s->metrics_crc, e));
    TRY(run_log_open(&r->timing, r->dir, "timing.jsonl", -1, 0, e));
out:
    return e->code;
}

void record_lengths(const struct record *r, struct run_state *state)
{
    if (r->dir == NULL)
        return;
    state->metrics_bytes = r->metrics.bytes;
    state->metrics_crc = r->metrics.crc;
    state->epochs_bytes = r->epochs.bytes;
    state->epochs_crc = r->epochs.crc;
    state->ntk_bytes = r->ntk.bytes;
    state->ntk_crc = r->ntk.crc;
}

enum err_code record_sync(struct record *r, struct err *e)
{
    if (r->dir == NULL)
        return ERR_OK;
    TRY(run_log_sync(&r->metrics, e));
    TRY(run_log_sync(&r->epochs, e));
    if (r->has_ntk)
        TRY(run_log_sync(&r->ntk, e));
out:
    return e->code;
}

static enum err_code save(struct record *r, const char *path, const struct run_state *state,
                          bool weights_only, struct err *e)
{
    char tool[64];
    struct meta meta[] = {
        {"synib.tool", tool},
        {"synib.method", r->net->method->name},
        {"synib.config", r->identity},
        {"synib.machine", nn_describe(r->net->nn)},
    };

    if (r->dir == NULL)
        return ERR_OK;
    snprintf(tool, sizeof tool, "synib-train %s", cli_version);
    TRY(params_check_values(r->net->params, r->net->nn, e));
    TRY(checkpoint_save(path, r->net->params, state, meta, sizeof meta / sizeof meta[0],
                        weights_only, e));
out:
    return e->code;
}

/* A second name for the last checkpoint before a new one takes its first name. One that cannot have
 * two (some network file systems) has no second one to fall back on: no reason to stop. */
static enum err_code keep_prev(const struct record *r, struct err *e)
{
    char *prev = NULL;

    if (r->last_damaged)
        return ERR_OK;
    TRY(run_remove(r->dir, run_prev_name, e));
    TRY(path_join(&prev, r->dir, run_prev_name, e));
    if (link(r->last_path, prev) != 0 && errno == EIO)
        err_sys(e, "%s: cannot be kept as %s", r->last_path, run_prev_name);
out:
    free(prev);
    return e->code;
}

enum err_code record_save_last(struct record *r, const struct run_state *state, struct err *e)
{
    TRY(keep_prev(r, e));
    TRY(save(r, r->last_path, state, false, e));
    r->last_damaged = false;
    if (state->done)
        TRY(run_remove(r->dir, run_prev_name, e));
out:
    return e->code;
}

enum err_code record_save_best(struct record *r, const struct run_state *state, struct err *e)
{
    return save(r, r->best_path, state, true, e);
}

enum err_code record_open_last(struct tensorfile **f, const char *dir, struct err *why,
                               struct err *e)
{
    char *last = NULL, *prev = NULL;
    struct err none = {0};

    TRY(path_join(&last, dir, run_last_name, e));
    TRY(path_join(&prev, dir, run_prev_name, e));
    if (checkpoint_open(f, last, e) == ERR_OK || err_exit_status(e->code) != 4 ||
        checkpoint_open(f, prev, &none) != ERR_OK)
        goto out;
    (void)err_copy(why, e);
    err_clear(e);
out:
    free(last);
    free(prev);
    return e->code;
}

enum err_code record_load(struct record *r, struct run_state *state, const struct log *log,
                          struct err *e)
{
    struct tensorfile *f = NULL;
    const char *recorded, *machine;
    struct err why = {0};

    TRY(record_open_last(&f, r->dir, &why, e));
    TRY(checkpoint_meta(f, "synib.config", &recorded, e));
    TRY(config_compare(recorded, r->identity, tensorfile_path(f), e));
    TRY(checkpoint_state(f, state, e));
    r->last_damaged = why.code != ERR_OK;
    if (r->last_damaged)
        log_warn(log, "%s: going on from %s, step %lld", why.text, tensorfile_path(f),
                 (long long)state->step);
    TRY(checkpoint_read(f, r->net->params, "", true, e));
    TRY(checkpoint_meta(f, "synib.machine", &machine, e));
    if (strcmp(machine, nn_describe(r->net->nn)) != 0)
        log_warn(log, "%s: made with '%s', now '%s': the result may differ in its last bits",
                 r->last_path, machine, nn_describe(r->net->nn));
out:
    tensorfile_close(f);
    return e->code;
}

/* ---- lines ---- */

enum err_code record_step(struct record *r, const struct run_state *state, double lr,
                          const struct step_report *report, struct err *e)
{
    const struct model_options *model = model_opt(r->net->model);
    struct line l = {0};
    char name[64];

    if (r->dir == NULL)
        return ERR_OK;
    put(&l, "{\"epoch\": %lld, \"step\": %lld, \"lr\": %.9g", (long long)state->epoch + 1,
        (long long)state->step, lr);
    for (int i = 0; i < STEP_VALUES; i++)
        if (!isnan(report->value[i]))
            put(&l, ", \"%s\": %.9g", step_value_name((enum step_value)i, model, name, sizeof name),
                report->value[i]);
    put(&l, "}\n");
    return run_log_add(&r->metrics, l.text, e);
}

enum err_code record_ntk(struct record *r, const struct run_state *state,
                         const struct ntk_result *ntk, struct err *e)
{
    struct line l = {0};

    put(&l, "%lld,%lld", (long long)state->epoch + 1, (long long)state->step);
    for (int g = 0; g < ntk->sources; g++)
        put_cell(&l, ntk->strength[g]);
    for (int g = 0; g < ntk->sources; g++)
        for (int h = g + 1; h < ntk->sources; h++)
            put_cell(&l, ntk->alignment[g][h]);
    for (int g = 0; g < ntk->sources; g++)
        put_cell(&l, ntk->loss[g]);
    put(&l, "\n");
    return run_log_add(&r->ntk, l.text, e);
}

static struct source_sum total_of(const struct source_sum *source, int sources)
{
    struct source_sum total = {0};

    for (int g = 0; g < sources || g == 0; g++) {
        total.n += source[g].n;
        total.right += source[g].right;
        total.loss += source[g].loss;
    }
    return total;
}

/* Loss, accuracy; then the same of each source. */
static void put_train(const struct record *r, struct line *l, const struct run_state *state,
                      const struct evaluation *train)
{
    struct source_sum source[VECTORS_SOURCES], total;
    int sources = data_sources(r->data);
    bool classes = data_classes(r->data) > 0;

    for (int g = 0; g < VECTORS_SOURCES; g++)
        source[g] = train != NULL ? train->source[g]
                                  : (struct source_sum){state->source_n[g], state->source_right[g],
                                                        state->source_loss[g]};
    total = total_of(source, sources);
    put_cell(l, source_loss(&total));
    if (classes)
        put_cell(l, source_accuracy(&total));
    for (int g = 0; g < sources; g++) {
        put_cell(l, source_loss(&source[g]));
        if (classes)
            put_cell(l, source_accuracy(&source[g]));
    }
}

static void put_val(const struct record *r, struct line *l, const struct evaluation *ev)
{
    bool classes = ev->classes > 0;

    put_cell(l, ev->loss);
    put_cell(l, classes ? confusion_accuracy(&ev->confusion) : ev->mse);
    put_cell(l, classes ? confusion_macro_f1(&ev->confusion) : ev->r2);
    if (data_media(r->data) != NULL)
        put_cell(l, confusion_f1(&ev->confusion, LABEL_IRONY));
    for (int m = 0; m < data_modalities(r->data) && classes; m++)
        put_cell(l, ev->has_head[m] ? confusion_accuracy(&ev->head[m]) : NAN);
    for (int g = 0; g < ev->sources; g++) {
        put_cell(l, source_loss(&ev->source[g]));
        if (classes)
            put_cell(l, source_accuracy(&ev->source[g]));
    }
}

/* The epoch's line of metrics.jsonl. */
static enum err_code metrics_epoch(struct record *r, const struct run_state *state,
                                   const struct evaluation *ev, bool best, struct err *e)
{
    struct line l = {0};

    put(&l, "{\"epoch\": %lld, \"step\": %lld, \"val_loss\": %.9g", (long long)state->epoch + 1,
        (long long)state->step, ev->loss);
    if (ev->classes > 0)
        put(&l, ", \"val_accuracy\": %.9g, \"val_macro_f1\": %.9g",
            confusion_accuracy(&ev->confusion), confusion_macro_f1(&ev->confusion));
    else
        put(&l, ", \"val_mse\": %.9g, \"val_r2\": %.9g", ev->mse, ev->r2);
    if (data_media(r->data) != NULL)
        put(&l, ", \"val_irony_f1\": %.9g", confusion_f1(&ev->confusion, LABEL_IRONY));
    put(&l, ", \"best\": %s}\n", best ? "true" : "false");
    return run_log_add(&r->metrics, l.text, e);
}

enum err_code record_epoch(struct record *r, const struct run_state *state, double lr,
                           const struct evaluation *train, const struct evaluation *val, bool best,
                           struct err *e)
{
    const struct model_options *model = model_opt(r->net->model);
    struct line l = {0};

    put(&l, "%lld,%lld,%.9g", (long long)state->epoch + 1, (long long)state->step, lr);
    for (int i = 0; i < STEP_VALUES; i++)
        if (step_value_exists((enum step_value)i, model))
            put_cell(&l, state->samples[i] > 0 ? state->sum[i] / (double)state->samples[i] : NAN);
    put_train(r, &l, state, train);
    put_val(r, &l, val);
    put(&l, ",%d\n", best);
    TRY(run_log_add(&r->epochs, l.text, e));
    if (r->dir != NULL)
        TRY(metrics_epoch(r, state, val, best, e));
out:
    return e->code;
}

enum err_code record_timing(struct record *r, const struct run_state *state, int64_t train_ms,
                            int64_t wait_ms, int64_t val_ms, struct err *e)
{
    struct line l = {0};

    if (r->dir == NULL)
        return ERR_OK;
    put(&l,
        "{\"epoch\": %lld, \"step\": %lld, \"train_s\": %.3f, \"data_wait_s\": %.3f, \"val_s\": "
        "%.3f, \"activations_mb\": %.1f}\n",
        (long long)state->epoch + 1, (long long)state->step, (double)train_ms / 1e3,
        (double)wait_ms / 1e3, (double)val_ms / 1e3, (double)network_activations(r->net) / 1e6);
    return run_log_add(&r->timing, l.text, e);
}
