/* SPDX-License-Identifier: MIT */
#include "train/trainer.h"

#include "common/base/cli.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/nn/optim.h"
#include "train/evaluate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_SIZE = 2048 };

struct trainer {
    const struct trainer_options *opt;
    struct stage stage;
    struct network net;
    struct loader *train, *val;
    struct optim optim;
    struct lr_schedule schedule;
    struct run_state state;
    struct run_log metrics, epochs, timing;
    char *last_path, *best_path, *identity;
    int64_t epoch_start_ms, waited_ms; /* of this epoch, as far as this process saw it */
};

static bool stop_wanted(const struct trainer *t)
{
    return cli_stop_requested() || (t->opt->steps_left != NULL && *t->opt->steps_left <= 0);
}

/* ---- checkpoints ---- */

static enum err_code save(struct trainer *t, const char *path, bool weights_only, struct err *e)
{
    char tool[64];
    struct meta meta[] = {
        {"synib.tool", tool},
        {"synib.method", t->opt->method->name},
        {"synib.config", t->identity},
        {"synib.machine", nn_describe(t->net.nn)},
    };

    snprintf(tool, sizeof tool, "synib-train %s", cli_version);
    TRY(params_check_finite(t->net.params, e));
    TRY(checkpoint_save(path, t->net.params, &t->state, meta, sizeof meta / sizeof meta[0],
                        weights_only, e));
out:
    return e->code;
}

/* Puts the logs on stable storage and their length in the state, before checkpoints that name it.
 */
static enum err_code sync_logs(struct trainer *t, struct err *e)
{
    TRY(run_log_sync(&t->metrics, e));
    TRY(run_log_sync(&t->epochs, e));
    t->state.metrics_bytes = t->metrics.bytes;
    t->state.metrics_crc = t->metrics.crc;
    t->state.epochs_bytes = t->epochs.bytes;
    t->state.epochs_crc = t->epochs.crc;
out:
    return e->code;
}

static enum err_code save_last(struct trainer *t, struct err *e)
{
    TRY(sync_logs(t, e));
    TRY(save(t, t->last_path, false, e));
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

static enum err_code load_last(struct trainer *t, struct err *e)
{
    struct tensorfile *f = NULL;
    const char *recorded, *machine;

    TRY(checkpoint_open(&f, t->last_path, e));
    TRY(checkpoint_meta(f, "synib.config", &recorded, e));
    TRY(config_compare(recorded, t->identity, t->last_path, e));
    TRY(checkpoint_state(f, &t->state, e));
    TRY(checkpoint_read(f, t->net.params, "", true, e));
    TRY(check_best(t->opt->dir, &t->state, e));
    TRY(checkpoint_meta(f, "synib.machine", &machine, e));
    if (strcmp(machine, nn_describe(t->net.nn)) != 0)
        log_warn(t->opt->log,
                 "%s: made with '%s', now '%s': the result may differ in its last bits",
                 t->last_path, machine, nn_describe(t->net.nn));
    t->optim.step = t->state.step;
out:
    tensorfile_close(f);
    return e->code;
}

/* ---- logs ---- */

static const char epochs_header[] =
    "epoch,step,lr,loss,ce_fused,ce_audio,ce_video,kl_masked_audio,kl_masked_video,ce_masked,"
    "val_loss,val_accuracy,val_macro_f1,val_irony_f1,val_audio_accuracy,val_video_accuracy,best\n";

static enum err_code open_logs(struct trainer *t, struct err *e)
{
    const char *dir = t->opt->dir;

    TRY(run_log_open(&t->metrics, dir, "metrics.jsonl", t->state.metrics_bytes,
                     t->state.metrics_crc, e));
    TRY(run_log_open(&t->epochs, dir, "epochs.csv", t->state.epochs_bytes, t->state.epochs_crc, e));
    TRY(run_log_open(&t->timing, dir, "timing.jsonl", -1, 0, e));
    if (t->epochs.bytes == 0)
        TRY(run_log_add(&t->epochs, epochs_header, e));
out:
    return e->code;
}

static enum err_code log_step(struct trainer *t, double lr, struct tensor *const term[LOSS_TERMS],
                              struct err *e)
{
    char line[LINE_SIZE];
    size_t n;

    n = (size_t)snprintf(line, sizeof line, "{\"epoch\": %lld, \"step\": %lld, \"lr\": %.9g",
                         (long long)t->state.epoch + 1, (long long)t->state.step, lr);
    for (int i = 0; i < LOSS_TERMS; i++)
        if (term[i] != NULL)
            n += (size_t)snprintf(line + n, sizeof line - n, ", \"%s\": %.9g", loss_term_name[i],
                                  (double)tape_value(term[i]));
    snprintf(line + n, sizeof line - n, "}\n");
    return run_log_add(&t->metrics, line, e);
}

/* Mean losses of the epoch (empty cells for terms that the method lacks) and what validation gave.
 */
static enum err_code log_epoch(struct trainer *t, const struct evaluation *ev, double lr, bool best,
                               struct err *e)
{
    char line[LINE_SIZE];
    size_t n;

    n = (size_t)snprintf(line, sizeof line, "%lld,%lld,%.9g", (long long)t->state.epoch + 1,
                         (long long)t->state.step, lr);
    for (int i = 0; i < LOSS_TERMS; i++) {
        line[n++] = ',';
        line[n] = '\0';
        if ((t->state.terms >> i & 1) != 0)
            n += (size_t)snprintf(line + n, sizeof line - n, "%.9g",
                                  t->state.sum[i] / (double)t->state.seen);
    }
    n += (size_t)snprintf(line + n, sizeof line - n, ",%.9g,%.9g,%.9g,%.9g", ev->loss,
                          confusion_accuracy(&ev->confusion), confusion_macro_f1(&ev->confusion),
                          confusion_f1(&ev->confusion, LABEL_IRONY));
    for (int i = 0; i < AV_MODALITIES; i++) {
        line[n++] = ',';
        line[n] = '\0';
        if (ev->has_head[i])
            n += (size_t)snprintf(line + n, sizeof line - n, "%.9g",
                                  confusion_accuracy(&ev->head[i]));
    }
    snprintf(line + n, sizeof line - n, ",%d\n", best);
    TRY(run_log_add(&t->epochs, line, e));
    snprintf(line, sizeof line,
             "{\"epoch\": %lld, \"step\": %lld, \"val_loss\": %.9g, \"val_accuracy\": %.9g, "
             "\"val_macro_f1\": %.9g, \"val_irony_f1\": %.9g, \"best\": %s}\n",
             (long long)t->state.epoch + 1, (long long)t->state.step, ev->loss,
             confusion_accuracy(&ev->confusion), confusion_macro_f1(&ev->confusion),
             confusion_f1(&ev->confusion, LABEL_IRONY), best ? "true" : "false");
    TRY(run_log_add(&t->metrics, line, e));
out:
    return e->code;
}

/* The sidecar that may differ between two runs of the same command. */
static enum err_code log_timing(struct trainer *t, int64_t train_ms, int64_t val_ms, struct err *e)
{
    char line[LINE_SIZE];

    snprintf(line, sizeof line,
             "{\"epoch\": %lld, \"step\": %lld, \"train_s\": %.3f, \"data_wait_s\": %.3f, "
             "\"val_s\": %.3f}\n",
             (long long)t->state.epoch + 1, (long long)t->state.step, (double)train_ms / 1e3,
             (double)t->waited_ms / 1e3, (double)val_ms / 1e3);
    return run_log_add(&t->timing, line, e);
}

/* ---- one step ---- */

/* Puts the clips of a batch (CLIP, or CLIP<-DONOR) into the message of what went wrong with it. */
static enum err_code blame_batch(const struct trainer *t, const struct batch *b, struct err *e)
{
    char clips[ERR_TEXT_SIZE / 2] = "", rest[32] = "";
    size_t n = 0;
    int64_t i;

    for (i = 0; i < b->n && n < sizeof clips - 2 * CLIP_NAME_SIZE - 4; i++) {
        struct sample s = {0};
        struct err ignored = {0};

        if (dataset_describe(t->opt->train, b->sample[i], &s, &ignored) == ERR_OK)
            n += (size_t)snprintf(clips + n, sizeof clips - n, " %s%s%s", s.clip,
                                  s.donor[0] != '\0' ? "<-" : "", s.donor);
    }
    if (i < b->n)
        snprintf(rest, sizeof rest, " and %lld more", (long long)(b->n - i));
    return err_in(e, "epoch %lld, step %lld (the last checkpoint is kept): batch of%s%s",
                  (long long)t->state.epoch + 1, (long long)t->state.step + 1, clips, rest);
}

static void add_losses(struct run_state *st, struct tensor *const term[LOSS_TERMS], int64_t n)
{
    for (int i = 0; i < LOSS_TERMS; i++) {
        if (term[i] == NULL)
            continue;
        st->sum[i] += (double)tape_value(term[i]) * (double)n;
        st->terms |= 1 << i;
    }
    st->seen += n;
}

static enum err_code train_step(struct trainer *t, const struct batch *b, struct err *e)
{
    struct tensor *term[LOSS_TERMS] = {0};
    double lr = lr_after(&t->schedule, t->state.step);
    struct method_step s;

    tape_begin(t->net.tape, TAPE_TRAIN);
    s = network_encode(&t->net, b, (uint32_t)t->state.step);
    t->opt->method->loss(&s, term);
    params_zero_grad(t->net.params);
    TRY(tape_backward(t->net.tape, term[TERM_TOTAL], e));
    TRY(params_check_finite(t->net.params, e));
    TRY(optim_step(&t->optim, t->net.nn, t->net.params, lr, e));
    add_losses(&t->state, term, b->n);
    t->state.step++;
    t->state.batch++;
    TRY(log_step(t, lr, term, e));
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
    TRY(save_last(t, e));
    err_set(e, ERR_STOPPED, "%s: stopped after step %lld: go on with --resume", t->opt->dir,
            (long long)t->state.step);
out:
    return e->code;
}

static enum err_code train_epoch(struct trainer *t, struct err *e)
{
    int64_t every = t->opt->config.checkpoint_steps, before = loader_waited_ms(t->train);
    struct progress progress;

    progress_begin(&progress, t->opt->log, "steps", loader_batches(t->train) - t->state.batch);
    loader_start(t->train, (uint32_t)t->state.epoch, t->state.batch);
    for (;;) {
        struct batch b;

        if (stop_wanted(t)) {
            stop_here(t, e);
            goto out;
        }
        TRY(loader_next(t->train, &b, e));
        if (b.n == 0)
            break;
        TRY(train_step(t, &b, e));
        progress_step(&progress, 1);
        if (every > 0 && t->state.step % every == 0)
            TRY(save_last(t, e));
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

/* Takes a validation result into the state; true when it is the best so far. */
static bool judge(struct trainer *t, const struct evaluation *ev)
{
    struct run_state *st = &t->state;
    double accuracy = confusion_accuracy(&ev->confusion);
    bool best = st->best_epoch == 0 || accuracy > st->best_accuracy;
    bool lower = st->epoch == 0 || ev->loss < st->lowest_loss;

    st->stale = best || (lower && t->opt->config.stop_rule == STOP_ANY) ? 0 : st->stale + 1;
    if (best) {
        st->best_accuracy = accuracy;
        st->best_epoch = st->epoch + 1;
        st->best_step = st->step;
    }
    if (lower)
        st->lowest_loss = ev->loss;
    return best;
}

static enum err_code finish_epoch(struct trainer *t, const struct evaluation *ev, struct err *e)
{
    struct run_state *st = &t->state;
    bool trains = t->opt->method->trains, best = judge(t, ev);
    double lr = trains ? lr_after(&t->schedule, st->step > 0 ? st->step - 1 : 0) : 0;

    TRY(log_epoch(t, ev, lr, best, e));
    log_note(t->opt->log, "%s: epoch %lld, step %lld: validation accuracy %.4f, irony F1 %.4f%s",
             t->opt->method->name, (long long)st->epoch + 1, (long long)st->step,
             confusion_accuracy(&ev->confusion), confusion_f1(&ev->confusion, LABEL_IRONY),
             best ? " (best)" : "");
    st->epoch++;
    st->batch = st->seen = 0;
    memset(st->sum, 0, sizeof st->sum);
    st->done = !trains || st->epoch >= t->stage.epochs || patience_is_over(t);
    TRY(sync_logs(t, e));
    if (best)
        TRY(save(t, t->best_path, true, e));
    TRY(save(t, t->last_path, false, e));
out:
    return e->code;
}

static enum err_code run_epoch(struct trainer *t, struct err *e)
{
    int64_t begun = clock_ms(), trained;
    struct evaluation ev = {0};

    if (t->opt->method->trains)
        TRY(train_epoch(t, e));
    trained = clock_ms();
    if (evaluate(&ev, &t->net, t->val, dataset_count(t->opt->val), false, cli_stop_requested, e) ==
        ERR_STOPPED) {
        stop_here(t, e);
        goto out;
    }
    TRY(err_in(e, "%s: validation after epoch %lld", t->opt->dir, (long long)t->state.epoch + 1));
    TRY(log_timing(t, trained - begun, clock_ms() - trained, e));
    TRY(finish_epoch(t, &ev, e));
out:
    evaluation_free(&ev);
    return e->code;
}

/* ---- set-up ---- */

static enum err_code read_unimodal(struct trainer *t, struct err *e)
{
    struct tensorfile *f = NULL;
    char *path = NULL, prefix[16];

    for (int i = 0; i < AV_MODALITIES; i++) {
        if (t->opt->unimodal[i] == NULL)
            continue;
        free(path);
        path = NULL;
        TRY(path_join(&path, t->opt->unimodal[i], run_best_name, e));
        tensorfile_close(f);
        f = NULL;
        TRY(checkpoint_open(&f, path, e));
        snprintf(prefix, sizeof prefix, "%s.", av_modality_name[i]);
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
    struct loader_options opt = method_loader(o->method, &o->config, true, o->seed, o->jobs);

    if (o->method->trains)
        TRY(loader_new(&t->train, o->train, &opt, e));
    opt = method_loader(o->method, &o->config, false, o->seed, o->jobs);
    TRY(loader_new(&t->val, o->val, &opt, e));
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
        .kind = c->schedule == SCHEDULE_RESTARTS ? LR_RESTARTS : LR_CONSTANT,
        .base = t->stage.lr,
        .warm_steps = c->warmup_steps,
        .t0 = c->t0_steps,
        .ramp = c->schedule == SCHEDULE_LINEAR_WARMUP,
    };
}

static enum err_code trainer_open(struct trainer *t, bool go_on, struct err *e)
{
    const struct trainer_options *o = t->opt;
    int height, width;

    TRY(path_join(&t->last_path, o->dir, run_last_name, e));
    TRY(path_join(&t->best_path, o->dir, run_best_name, e));
    TRY(run_identity(&t->identity, o, e));
    set_schedule(t);
    TRY(open_loaders(t, e));
    loader_audio_shape(t->val, &height, &width);
    TRY(network_init(&t->net, o->method, &o->config, o->seed, height, width, o->jobs, e));
    if (go_on)
        TRY(load_last(t, e));
    else
        TRY(read_unimodal(t, e));
    TRY(run_places_save(o->places, o->dir, e));
    TRY(open_logs(t, e));
out:
    return e->code;
}

static void trainer_close(struct trainer *t)
{
    run_log_close(&t->metrics);
    run_log_close(&t->epochs);
    run_log_close(&t->timing);
    loader_free(t->train);
    loader_free(t->val);
    network_free(&t->net);
    free(t->last_path);
    free(t->best_path);
    free(t->identity);
}

enum err_code trainer_run(const struct trainer_options *opt, struct run_summary *out, struct err *e)
{
    struct trainer t = {.opt = opt, .stage = method_stage(opt->method, &opt->config)};
    bool exists;

    memset(out, 0, sizeof *out);
    if (opt->force)
        TRY(run_clear(opt->dir, e));
    exists = run_has(opt->dir, run_last_name);
    if (exists) {
        if (run_matches(opt->dir, opt, &out->state, e) != ERR_OK)
            return err_in(e, "%s: holds another or a damaged run, give another folder or --force",
                          opt->dir);
        if (out->state.done) {
            out->was_done = true;
            return check_best(opt->dir, &out->state, e);
        }
        if (!opt->resume)
            return err_set(e, ERR_EXISTS,
                           "%s: holds an unfinished run: go on with --resume or "
                           "start over with --force",
                           opt->dir);
    }
    TRY(trainer_open(&t, exists, e));
    while (!t.state.done)
        TRY(run_epoch(&t, e));
    out->state = t.state;
out:
    trainer_close(&t);
    return e->code;
}
