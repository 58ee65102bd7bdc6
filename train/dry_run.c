/* SPDX-License-Identifier: MIT */
#include "train/dry_run.h"

#include "train/memory_plan.h"

#include <stdio.h>
#include <stdlib.h>

static long long most_epochs(const struct method *m, const struct config *c)
{
    return (long long)method_stage(m, c).epochs;
}

static const char *plural(long long n)
{
    return n == 1 ? "" : "s";
}

static void tell_unimodal(const struct unimodal_request *r, int which,
                          const struct unimodal_outlook *u)
{
    const struct method *m = unimodal_methods[which];
    const struct log *log = r->base.log;
    long long epochs = most_epochs(m, &r->config[which]);

    if (u->busy)
        log_note(log, "would wait for the process that trains %s in %s", m->name, u->dir);
    else if (u->finds == FINDS_FINISHED)
        log_note(log, "would take the run of %s in %s", m->name, u->dir);
    else if (u->finds == FINDS_UNFINISHED)
        log_note(log, "would first go on with %s after epoch %lld, for at most %lld, in %s",
                 m->name, (long long)u->epochs, epochs, u->dir);
    else
        log_note(log, "would first train %s for at most %lld epoch%s into %s%s", m->name, epochs,
                 plural(epochs), u->dir, u->replaces ? ", in place of the run that is there" : "");
}

/* Takes those that are finished into the options `o`; their folders are *dir, the caller's. */
static enum err_code look_for_unimodal(char *dir[MEDIA_MODALITIES], struct trainer_options *o,
                                       const struct unimodal_request *r, struct err *e)
{
    for (int i = 0; i < MEDIA_MODALITIES; i++) {
        struct unimodal_outlook u;
        enum err_code rc = unimodal_look(&u, r, i, e);

        dir[i] = u.dir;
        if (rc != ERR_OK)
            return rc;
        tell_unimodal(r, i, &u);
        if (!u.busy && u.finds == FINDS_FINISHED)
            o->unimodal[i] = u.dir;
    }
    return ERR_OK;
}

/* A run that is there is the wanted one only with the encoders that it started from. */
static const char *condition(const struct trainer_options *o)
{
    for (int i = 0; i < MEDIA_MODALITIES && method_needs_unimodal(o->method, &o->config); i++)
        if (o->unimodal[i] == NULL)
            return ", if the unimodal runs then are those that it started from";
    return "";
}

static void tell(const struct trainer_options *o, enum trainer_finds finds,
                 const struct run_state *state)
{
    const char *name = o->method->name, *provided = condition(o);
    const char *more =
        o->force && run_has(o->dir, run_last_name) ? ", in place of the run that is there" : "";
    long long epochs = most_epochs(o->method, &o->config);

    if (finds == FINDS_FINISHED)
        log_note(o->log, "%s: is finished already: nothing %sto do%s", o->dir,
                 provided[0] != '\0' ? "more " : "", provided);
    else if (!o->method->trains)
        log_note(o->log, "would put the unimodal runs together as %s, into %s%s", name, o->dir,
                 more);
    else if (finds == FINDS_UNFINISHED)
        log_note(o->log, "would go on with %s after epoch %lld, for at most %lld, in %s%s", name,
                 (long long)state->epoch, epochs, o->dir, provided);
    else
        log_note(o->log, "would train %s for at most %lld epoch%s into %s%s", name, epochs,
                 plural(epochs), o->dir, more);
}

static double mib(size_t bytes)
{
    return (double)bytes / (1 << 20);
}

/* What a run that is still to be trained will hold in memory beside its data. */
static enum err_code tell_memory(const struct trainer_options *o, struct err *e)
{
    struct network net = {0};

    TRY(network_init(&net, o->method, &o->config, o->seed, o->train, o->jobs, e));
    TRY(network_plan(&net, o->train, o->val, e));
    log_note(o->log,
             "would hold %.1f MiB of activations, and %.1f MiB of weights, gradients and Adam's "
             "moments",
             mib(network_activations(&net)),
             mib(4 * sizeof(float) * params_block_count(net.params)));
out:
    network_free(&net);
    return e->code;
}

enum err_code train_dry_run(const struct unimodal_request *r, struct err *e)
{
    struct trainer_options o = r->base;
    char *dir[MEDIA_MODALITIES] = {NULL};
    enum trainer_finds finds;
    struct run_state state;
    bool busy;

    TRY(run_lock_look(&busy, o.dir, run_lock_name, o.resume, e));
    if (busy) {
        log_note(o.log, "%s: another process works on this: would wait for it", o.dir);
        goto out;
    }
    TRY(run_dir_look(o.dir, e));
    if (!o.force)
        TRY(run_may_match(o.dir, &o, e));
    if (method_needs_unimodal(o.method, &o.config))
        TRY(look_for_unimodal(dir, &o, r, e));
    TRY(trainer_look(&finds, &state, &o, e));
    if (finds != FINDS_FINISHED && o.method->trains)
        TRY(tell_memory(&o, e));
    tell(&o, finds, &state);
out:
    for (int i = 0; i < MEDIA_MODALITIES; i++)
        free(dir[i]);
    return e->code;
}
