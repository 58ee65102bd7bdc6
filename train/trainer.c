/* SPDX-License-Identifier: MIT */
#include "train/trainer.h"

#include "common/base/cli.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/nn/optim.h"
#include "train/memory_plan.h"
#include "train/record.h"
#include "train/step.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct trainer {
    const struct trainer_options *opt;
    struct stage stage;
    struct network net;
    struct loader *train, *val, *train_again; /* the last: in order, where something needs it */
    struct optim optim;
    struct lr_schedule schedule;
    struct run_state state;
    struct record record;
    struct ntk *ntk;
    struct param_snapshot *best; /* of the best epoch, where it is not written at once */
    struct run_state best_state; /* at its end */
    bool best_unsaved;
    float *initial;     /* [params_block_count] weights at the run's start, for method->renew */
    float *readout;     /* [B][width] of a training batch */
    int64_t waited_ms;  /* of this epoch, as far as this process saw it */
    int64_t saved_step; /* of last.safetensors; -1: there is none */
};

static bool stop_wanted(const struct trainer *t)
{
    return cli_stop_requested() || (t->opt->steps_left != NULL && *t->opt->steps_left <= 0);
}

static bool measures_train(const struct trainer *t)
{
    return method_measures_train(t->opt->method, &t->opt->config);
}

/* ---- saving ---- */

/* True when the end of this epoch (counted by the state already) is to be on disk. */
static bool saves_epoch(const struct trainer *t)
{
    int64_t every = t->opt->config.checkpoint_epochs;

    return t->opt->dir != NULL && (t->state.done || (every > 0 && t->state.epoch % every == 0));
}

/* best.safetensors of an epoch that has passed. */
static enum err_code save_kept_best(struct trainer *t, struct err *e)
{
    struct param_snapshot *now = NULL;

    if (!t->best_unsaved)
        return ERR_OK;
    TRY(params_snapshot(t->net.params, &now, e));
    params_restore(t->net.params, t->best);
    t->best_unsaved = record_save_best(&t->record, &t->best_state, e) != ERR_OK;
    params_restore(t->net.params, now);
out:
    params_snapshot_free(now);
    return e->code;
}

static enum err_code save_all(struct trainer *t, struct err *e)
{
    record_lengths(&t->record, &t->state);
    TRY(record_sync(&t->record, e));
    TRY(save_kept_best(t, e));
    TRY(record_save_last(&t->record, &t->state, e));
    t->saved_step = t->state.step;
out:
    return e->code;
}

/* The best checkpoint must be there and not older than the state says (a kill between the two
 * files leaves it newer; training on then writes it again, the same). */
static enum err_code check_best(const char *dir, const struct run_state *state, struct err *e)
{
    struct tensorfile *f = NULL;
    struct run_state best = {0};
    char *path = NULL;

    if (state->best_epoch == 0)
        return ERR_OK;
    TRY(path_join(&path, dir, run_best_name, e));
    TRY(checkpoint_open(&f, path, e));
    TRY(checkpoint_state(f, &best, e));
    if (best.best_epoch < state->best_epoch)
        err_set(e, ERR_DATA, "%s: is of epoch %lld, the run's best is of epoch %lld", path,
                (long long)best.best_epoch, (long long)state->best_epoch);
out:
    tensorfile_close(f);
    free(path);
    return err_in(e,
                  "%s: the best checkpoint is missing or damaged, remove the folder or start over "
                  "with --force",
                  dir);
}

/* ---- one step ---- */

/* Puts the samples of a batch (clips as CLIP, or CLIP<-DONOR) into the message of what went wrong
 * with it. */
static enum err_code blame_batch(const struct trainer *t, const struct batch *b, struct err *e)
{
    char samples[ERR_TEXT_SIZE / 2] = "", one[2 * CLIP_NAME_SIZE + 4], rest[32] = "";
    char kept[96] = "";
    int64_t named = t->opt->dir != NULL ? b->n : 4;
    size_t n = 0;
    int64_t i;

    for (i = 0; i < named && i < b->n && n < sizeof samples - sizeof one - 1; i++) {
        data_name(t->opt->train, b->sample[i], one, sizeof one);
        n += (size_t)snprintf(samples + n, sizeof samples - n, " %s", one);
    }
    if (i < b->n)
        snprintf(rest, sizeof rest, " and %lld more", (long long)(b->n - i));
    if (t->opt->dir != NULL && t->saved_step >= 0)
        snprintf(kept, sizeof kept, " (%s of step %lld is kept)", run_last_name,
                 (long long)t->saved_step);
    else if (t->opt->dir != NULL)
        snprintf(kept, sizeof kept, " (no checkpoint was saved yet)");
    return err_in(e, "epoch %lld, step %lld%s: batch of%s%s", (long long)t->state.epoch + 1,
                  (long long)t->state.step + 1, kept, samples, rest);
}

/* Adds what a step reported, and what its fused prediction got right by source. */
static void count_step(struct trainer *t, const struct batch *b, const struct step_report *report)
{
    struct run_state *st = &t->state;
    int classes = data_classes(t->opt->train);

    for (int i = 0; i < STEP_VALUES; i++) {
        if (isnan(report->value[i]))
            continue;
        st->sum[i] += report->value[i] * (double)b->n;
        st->samples[i] += b->n;
    }
    if (report->prediction == NULL || measures_train(t))
        return;
    t->net.objective->readout(b->n, report->prediction->dim[1], report->prediction->data,
                              t->readout);
    for (int64_t i = 0; i < b->n; i++) {
        const float *row = t->readout + i * t->net.readout_width;
        int source = b->source != NULL ? b->source[i] : 0;

        st->source_n[source]++;
        st->source_loss[source] +=
            t->net.objective->sample_nll(t->net.readout_width, row, &b->aim, i);
        if (classes > 0)
            st->source_right[source] += metrics_argmax(row, classes) == b->aim.label[i];
    }
}

static bool measures_ntk(const struct trainer *t)
{
    return t->ntk != NULL && t->state.step % t->opt->config.ntk_steps == 0;
}

static enum err_code train_step(struct trainer *t, const struct batch *b, struct err *e)
{
    double lr = lr_after(&t->schedule, t->state.step);
    bool ntk = measures_ntk(t);
    struct ntk_result kernel;
    struct step_report report;
    struct method_step s;

    TRY(step_gradients(&s, &report, &t->net, b, (uint32_t)t->state.step, t->state.epoch, ntk, e));
    if (ntk)
        TRY(ntk_measure(t->ntk, &s, report.prediction, &kernel, e));
    TRY(optim_step(&t->optim, t->net.nn, t->net.params, lr, e));
    count_step(t, b, &report);
    t->state.step++;
    t->state.batch++;
    TRY(record_step(&t->record, &t->state, lr, &report, e));
    if (ntk)
        TRY(record_ntk(&t->record, &t->state, &kernel, e));
    if (t->opt->steps_left != NULL)
        --*t->opt->steps_left;
    return ERR_OK;
out:
    if (e->code == ERR_NONFINITE || e->code == ERR_DATA)
        return blame_batch(t, b, e);
    return e->code;
}

/* ---- epochs ---- */

/* The error of a run that was asked to stop, once its state is on disk. */
static enum err_code stop_here(struct trainer *t, struct err *e)
{
    err_clear(e);
    if (t->opt->dir == NULL)
        return err_set(e, ERR_STOPPED, "stopped on request");
    TRY(save_all(t, e));
    err_set(e, ERR_STOPPED, "%s: stopped after step %lld: go on with --resume", t->opt->dir,
            (long long)t->state.step);
out:
    return e->code;
}

/* Once per epoch, before its first step: a run that goes on inside an epoch has it behind it. */
static enum err_code renew(struct trainer *t, struct err *e)
{
    struct epoch_start at = {
        .net = &t->net,
        .train = t->opt->train,
        .val = t->opt->val,
        .train_loader = t->train_again,
        .val_loader = t->val,
        .epoch = t->state.epoch,
        .initial = t->initial,
        .log = t->opt->log,
    };

    if (t->opt->method->renew == NULL || t->state.batch > 0)
        return ERR_OK;
    return t->opt->method->renew(&at, e);
}

static enum err_code train_epoch(struct trainer *t, struct err *e)
{
    int64_t every = t->opt->config.checkpoint_steps, before = loader_waited_ms(t->train);
    struct progress progress = {0};

    if (stop_wanted(t))
        return stop_here(t, e);
    TRY(renew(t, e)); /* nothing is saved between this and the first step, so it happens once */
    progress_begin(&progress, t->opt->log, "steps", loader_batches(t->train) - t->state.batch);
    loader_start(t->train, (uint32_t)t->state.epoch, t->state.batch);
    for (;;) {
        struct batch b;

        TRY(loader_next(t->train, &b, e));
        if (b.n == 0)
            break;
        TRY(train_step(t, &b, e));
        progress_step(&progress, 1);
        if (every > 0 && t->opt->dir != NULL && t->state.step % every == 0)
            TRY(save_all(t, e));
        if (stop_wanted(t))
            TRY(stop_here(t, e));
    }
out:
    progress_end(&progress);
    t->waited_ms = loader_waited_ms(t->train) - before;
    return e->code;
}

/* Early stopping, R section 5. `any` counts as the authors' code does: one epoch less. */
static bool patience_is_over(const struct trainer *t)
{
    int64_t patience = t->stage.patience - (t->opt->config.stop_rule == STOP_ANY ? 1 : 0);

    return t->state.stale >= patience;
}

static double accuracy_of(const struct evaluation *ev)
{
    return ev->classes > 0 ? confusion_accuracy(&ev->confusion) : ev->r2;
}

const char *trainer_score_name(const struct data *data)
{
    return data_classes(data) > 0 ? "accuracy" : "R^2";
}

double selection_score(const struct config *c, const struct data *data, const struct evaluation *ev)
{
    int synergy = data_synergy(data);

    if (c->select == SELECT_LOSS)
        return -ev->loss;
    if (c->select == SELECT_SYNERGY && synergy >= 0 && ev->source[synergy].n > 0)
        return source_accuracy(&ev->source[synergy]);
    return accuracy_of(ev); /* and for SELECT_LAST, which does not ask */
}

/* Takes a validation result into the state; true when it is the best so far. */
static bool judge(struct trainer *t, const struct evaluation *ev)
{
    struct run_state *st = &t->state;
    bool last = t->opt->config.select == SELECT_LAST;
    double score = selection_score(&t->opt->config, t->opt->val, ev);
    bool best = last || st->best_epoch == 0 || score > st->best_score;
    bool lower = st->epoch == 0 || ev->loss < st->lowest_loss;

    st->stale = best || (lower && t->opt->config.stop_rule == STOP_ANY) ? 0 : st->stale + 1;
    if (best) {
        st->best_score = score;
        st->best_accuracy = accuracy_of(ev);
        st->best_epoch = st->epoch + 1;
        st->best_step = st->step;
    }
    if (lower)
        st->lowest_loss = ev->loss;
    return best;
}

static void note_epoch(const struct trainer *t, const struct evaluation *ev, bool best)
{
    char more[64] = "";

    if (t->opt->dir == NULL)
        return;
    if (data_media(t->opt->val) != NULL)
        snprintf(more, sizeof more, ", irony F1 %.4f", confusion_f1(&ev->confusion, LABEL_IRONY));
    log_note(t->opt->log, "%s: epoch %lld, step %lld: validation %s %.4f%s%s", t->opt->method->name,
             (long long)t->state.epoch + 1, (long long)t->state.step,
             trainer_score_name(t->opt->val), accuracy_of(ev), more, best ? " (best)" : "");
}

static void forget_epoch(struct run_state *st)
{
    st->batch = 0;
    memset(st->sum, 0, sizeof st->sum);
    memset(st->samples, 0, sizeof st->samples);
    memset(st->source_n, 0, sizeof st->source_n);
    memset(st->source_right, 0, sizeof st->source_right);
    memset(st->source_loss, 0, sizeof st->source_loss);
}

static enum err_code finish_epoch(struct trainer *t, const struct evaluation *train,
                                  const struct evaluation *val, struct err *e)
{
    struct run_state *st = &t->state;
    bool trains = t->opt->method->trains, best = judge(t, val);
    double lr = trains ? lr_after(&t->schedule, st->step > 0 ? st->step - 1 : 0) : 0;

    TRY(record_epoch(&t->record, st, lr, train, val, best, e));
    note_epoch(t, val, best);
    st->epoch++;
    forget_epoch(st);
    st->done = !trains || st->epoch >= t->stage.epochs || patience_is_over(t);
    record_lengths(&t->record, st);
    if (best) {
        t->best_state = *st;
        t->best_unsaved = !saves_epoch(t);
        if (t->best_unsaved)
            TRY(params_snapshot(t->net.params, &t->best, e));
    }
    if (!saves_epoch(t))
        goto out;
    TRY(record_sync(&t->record, e));
    if (best)
        TRY(record_save_best(&t->record, st, e));
    TRY(save_all(t, e));
out:
    return e->code;
}

static enum err_code measure(struct trainer *t, struct evaluation *train, struct evaluation *val,
                             struct err *e)
{
    if (measures_train(t))
        TRY(evaluate(train, &t->net, t->train_again, t->opt->train, false, cli_stop_requested, e));
    TRY(evaluate(val, &t->net, t->val, t->opt->val, false, cli_stop_requested, e));
out:
    return e->code;
}

static enum err_code run_epoch(struct trainer *t, struct err *e)
{
    int64_t begun = clock_ms(), trained;
    struct evaluation train = {0}, val = {0};

    if (t->opt->method->trains)
        TRY(train_epoch(t, e));
    trained = clock_ms();
    if (measure(t, &train, &val, e) == ERR_STOPPED) {
        stop_here(t, e);
        goto out;
    }
    TRY(err_in(e, "%s: validation after epoch %lld",
               t->opt->dir != NULL ? t->opt->dir : t->opt->method->name,
               (long long)t->state.epoch + 1));
    TRY(record_timing(&t->record, &t->state, trained - begun, t->waited_ms, clock_ms() - trained,
                      e));
    TRY(finish_epoch(t, measures_train(t) ? &train : NULL, &val, e));
out:
    evaluation_free(&train);
    evaluation_free(&val);
    return e->code;
}

enum err_code trainer_train(struct trainer *t, struct err *e)
{
    while (!t->state.done)
        TRY(run_epoch(t, e));
out:
    return e->code;
}

/* ---- set-up ---- */

static enum err_code read_unimodal(struct trainer *t, struct err *e)
{
    struct tensorfile *f = NULL;
    char *path = NULL, prefix[MODALITY_NAME_SIZE + 1];

    for (int m = 0; m < data_modalities(t->opt->train); m++) {
        if (t->opt->unimodal[m] == NULL)
            continue;
        free(path);
        path = NULL;
        TRY(path_join(&path, t->opt->unimodal[m], run_best_name, e));
        tensorfile_close(f);
        f = NULL;
        TRY(checkpoint_open(&f, path, e));
        snprintf(prefix, sizeof prefix, "%s.", data_modality(t->opt->train, m));
        TRY(checkpoint_read(f, t->net.params, prefix, false, e));
    }
out:
    tensorfile_close(f);
    free(path);
    return e->code;
}

static enum err_code open_loaders(struct trainer *t, struct err *e)
{
    const struct trainer_options *o = t->opt;
    const struct config *c = &o->config;
    struct loader_options opt = method_loader(o->method, c, o->train, true, o->seed, o->jobs);

    if (o->method->trains) {
        TRY(loader_new(&t->train, o->train, &opt, e));
        TRY(mem_array(&t->readout, (size_t)(loader_batch_size(t->train) * t->net.readout_width),
                      sizeof *t->readout, "predictions", e));
    }
    opt = method_loader(o->method, c, o->val, false, o->seed, o->jobs);
    TRY(loader_new(&t->val, o->val, &opt, e));
    if (method_reads_train_again(o->method, c))
        TRY(loader_new(&t->train_again, o->train, &opt, e));
out:
    return e->code;
}

static void set_schedule(struct trainer *t)
{
    const struct config *c = &t->opt->config;

    t->optim = (struct optim){
        .beta1 = c->beta1,
        .beta2 = c->beta2,
        .eps = c->eps,
        .weight_decay = t->stage.weight_decay,
    };
    t->schedule = (struct lr_schedule){
        .kind = config_restarts(c) ? LR_RESTARTS : LR_CONSTANT,
        .base = t->stage.lr,
        .warm_steps = c->warmup_steps,
        .t0 = c->t0_steps,
        .ramp = config_ramps(c),
    };
}

static enum err_code load_last(struct trainer *t, struct err *e)
{
    TRY(record_load(&t->record, &t->state, t->opt->log, e));
    TRY(check_best(t->opt->dir, &t->state, e));
    if (t->train != NULL && t->state.batch > loader_batches(t->train))
        FAIL(err_set(
            e, ERR_DATA,
            "%s: its checkpoint says batch %lld of an epoch, which has %lld: it is of other "
            "data: start a new run",
            t->opt->dir, (long long)t->state.batch, (long long)loader_batches(t->train)));
    t->optim.step = t->saved_step = t->state.step;
out:
    return e->code;
}

static enum err_code keep_initial(struct trainer *t, struct err *e)
{
    size_t count = params_block_count(t->net.params);

    TRY(mem_array(&t->initial, count, sizeof *t->initial, "initial weights", e));
    memcpy(t->initial, params_value_block(t->net.params), count * sizeof *t->initial);
out:
    return e->code;
}

static enum err_code check_splits(const struct trainer_options *o, struct err *e)
{
    int64_t least = o->method->least_samples != NULL ? o->method->least_samples(&o->config) : 1;
    int64_t train = data_count(o->train), val = data_count(o->val);

    TRY(data_same_shape(o->train, o->val, "the validation split", e));
    if (train < least || val < least)
        return err_set(
            e, ERR_DATA,
            "method %s: needs at least %lld sample%s in train and in val, there are %lld "
            "and %lld",
            o->method->name, (long long)least, least == 1 ? "" : "s", (long long)train,
            (long long)val);
out:
    return e->code;
}

/* With splits that fit. go_on: from last.safetensors of the folder. */
static enum err_code set_up(struct trainer *t, bool go_on, struct err *e)
{
    const struct trainer_options *o = t->opt;
    char *identity = NULL, *mine;

    TRY(run_identity(&identity, o, e));
    set_schedule(t);
    TRY(network_init(&t->net, o->method, &o->config, o->seed, o->train, o->jobs, e));
    TRY(network_plan(&t->net, o->train, o->val, e));
    log_debug(o->log, "%s: activations: %.1f MiB", o->method->name,
              (double)network_activations(&t->net) / (1 << 20));
    TRY(open_loaders(t, e));
    mine = identity;
    identity = NULL; /* the record's, even when it cannot be opened */
    TRY(record_open(&t->record, o->dir, mine, &t->net, o->train, e));
    if (t->record.has_ntk)
        TRY(ntk_new(&t->ntk, t->net.params, data_sources(o->train), e));
    if (!go_on || o->method->renew != NULL)
        TRY(read_unimodal(t, e));
    if (o->method->renew != NULL)
        TRY(keep_initial(t, e));
    if (go_on) {
        TRY(load_last(t, e));
        TRY(record_check(&t->record, &t->state, e));
    }
    if (o->dir != NULL)
        TRY(run_places_save(o->places, o->dir, e));
    TRY(record_start(&t->record, &t->state, e));
out:
    free(identity);
    return e->code;
}

static enum err_code open_trainer(struct trainer **out, const struct trainer_options *opt,
                                  bool go_on, struct err *e)
{
    struct trainer *t = NULL;

    *out = NULL;
    TRY(mem_array(&t, 1, sizeof *t, "trainer", e));
    t->opt = opt;
    t->saved_step = -1;
    t->stage = method_stage(opt->method, &opt->config);
    TRY(set_up(t, go_on, e));
    *out = t;
    t = NULL;
out:
    trainer_close(t);
    return e->code;
}

enum err_code trainer_open(struct trainer **t, const struct trainer_options *opt, struct err *e)
{
    *t = NULL;
    TRY(check_splits(opt, e));
    TRY(open_trainer(t, opt, false, e));
out:
    return e->code;
}

void trainer_close(struct trainer *t)
{
    if (t == NULL)
        return;
    record_close(&t->record);
    loader_free(t->train);
    loader_free(t->val);
    loader_free(t->train_again);
    ntk_free(t->ntk);
    params_snapshot_free(t->best);
    free(t->initial);
    free(t->readout);
    network_free(&t->net);
    free(t);
}

const struct run_state *trainer_state(const struct trainer *t)
{
    return &t->state;
}

struct network *trainer_network(struct trainer *t)
{
    return &t->net;
}

void trainer_use_best(struct trainer *t)
{
    if (t->best_unsaved)
        params_restore(t->net.params, t->best);
}

const char *trainer_epochs_csv(const struct trainer *t)
{
    return t->record.epochs.text;
}

const char *trainer_ntk_csv(const struct trainer *t)
{
    return t->record.ntk.text;
}

/* ---- a folder ---- */

/* State of the run in a folder, whatever its identity. */
static enum err_code read_state(struct run_state *state, const char *dir, struct err *e)
{
    struct tensorfile *f = NULL;

    TRY(record_open_last(&f, dir, NULL, e));
    TRY(checkpoint_state(f, state, e));
out:
    tensorfile_close(f);
    return e->code;
}

static bool knows_encoders(const struct trainer_options *opt)
{
    return !method_needs_unimodal(opt->method, &opt->config) ||
           (opt->unimodal[MEDIA_AUDIO] != NULL && opt->unimodal[MEDIA_VIDEO] != NULL);
}

enum err_code trainer_look(enum trainer_finds *finds, struct run_state *state,
                           const struct trainer_options *opt, struct err *e)
{
    *finds = FINDS_NOTHING;
    *state = (struct run_state){.done = false};
    TRY(check_splits(opt, e));
    if (opt->force || !run_has(opt->dir, run_last_name))
        return ERR_OK;
    if (!knows_encoders(opt)) {
        TRY(run_may_match(opt->dir, opt, e));
        TRY(read_state(state, opt->dir, e));
    } else if (run_matches(opt->dir, opt, state, e) != ERR_OK) {
        return err_in(e, "%s: holds another or a damaged run, give another folder or --force",
                      opt->dir);
    }
    *finds = state->done ? FINDS_FINISHED : FINDS_UNFINISHED;
    if (state->done)
        return check_best(opt->dir, state, e);
    if (!opt->resume)
        err_set(e, ERR_EXISTS,
                "%s: holds an unfinished run: go on with --resume or start over with --force",
                opt->dir);
out:
    return e->code;
}

enum err_code trainer_run(const struct trainer_options *opt, struct run_summary *out, struct err *e)
{
    struct trainer *t = NULL;
    enum trainer_finds finds;

    memset(out, 0, sizeof *out);
    TRY(trainer_look(&finds, &out->state, opt, e));
    if (finds == FINDS_FINISHED) {
        out->was_done = true;
        return run_remove(opt->dir, run_prev_name, e); /* left by a kill in the last moment */
    }
    if (opt->force)
        TRY(run_clear(opt->dir, e));
    TRY(open_trainer(&t, opt, finds == FINDS_UNFINISHED, e));
    TRY(trainer_train(t, e));
    out->state = t->state;
out:
    trainer_close(t);
    return e->code;
}
