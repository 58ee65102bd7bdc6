/* SPDX-License-Identifier: MIT */
#include "train/unimodal.h"

#include "common/base/file.h"
#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

static struct trainer_options unimodal_options(const struct unimodal_request *r, int which,
                                               const char *dir)
{
    struct trainer_options o = r->base;

    o.method = unimodal_methods[which];
    o.config = r->config[which];
    o.dir = dir;
    memset(o.unimodal, 0, sizeof o.unimodal);
    o.resume = true; /* a cache of ours: the same command run again finishes it */
    o.force = false;
    return o;
}

/* Everything before the last '/' of RUN, "." without one. */
static enum err_code parent_folder(char **out, const char *path, struct err *e)
{
    size_t len = strlen(path);
    char *slash;

    TRY(mem_string(out, path, e));
    while (len > 1 && (*out)[len - 1] == '/')
        (*out)[--len] = '\0';
    slash = strrchr(*out, '/');
    if (slash == NULL)
        strcpy(*out, ".");
    else
        slash[slash == *out ? 1 : 0] = '\0';
out:
    return e->code;
}

/* Place 2: *dir is set only when the run there is finished and the wanted one. */
static enum err_code try_sibling(char **dir, const struct unimodal_request *r, int which,
                                 struct err *e)
{
    char *parent = NULL, *path = NULL;
    struct trainer_options o;
    struct run_state state;
    struct err why = {0};

    TRY(parent_folder(&parent, r->base.dir, e));
    TRY(path_join(&path, parent, unimodal_methods[which]->name, e));
    if (!run_has(path, run_last_name))
        goto out;
    o = unimodal_options(r, which, path);
    if (run_matches(path, &o, &state, &why) != ERR_OK) {
        log_note(r->base.log, "%s: not used: %s", path, why.text);
    } else if (!state.done) {
        log_note(r->base.log, "%s: not used: it is not finished", path);
    } else {
        *dir = path;
        path = NULL;
    }
out:
    free(parent);
    free(path);
    return e->code;
}

/* Whether --force replaces the run in place 3. */
static bool replaces(const struct unimodal_request *r, const struct trainer_options *o)
{
    struct run_state state;
    struct err why = {0};

    return r->base.force && r->pretrained == NULL && run_has(o->dir, run_last_name) &&
           run_matches(o->dir, o, &state, &why) != ERR_OK;
}

/* Places 1 and 3: trains what is missing. */
static enum err_code train_there(const struct unimodal_request *r, int which, const char *dir,
                                 struct err *e)
{
    struct trainer_options o = unimodal_options(r, which, dir);
    struct run_lock lock = {.fd = -1};
    struct run_summary summary;

    TRY(run_lock_take(&lock, dir, run_lock_name, true, o.log, e));
    o.force = replaces(r, &o);
    TRY(trainer_run(&o, &summary, e));
    log_note(o.log, "%s: %s, best validation %s %.4f after epoch %lld", dir,
             summary.was_done ? "reused" : "trained", trainer_score_name(o.val),
             summary.state.best_accuracy, (long long)summary.state.best_epoch);
out:
    run_lock_release(&lock);
    return e->code;
}

/* Place 1 or 3. */
static enum err_code own_place(char **dir, const struct unimodal_request *r, int which,
                               struct err *e)
{
    char *folder = NULL;

    if (r->pretrained == NULL)
        TRY(path_join(&folder, r->base.dir, "pretrain", e));
    TRY(path_join(dir, folder != NULL ? folder : r->pretrained, unimodal_methods[which]->name, e));
out:
    free(folder);
    return e->code;
}

enum err_code unimodal_look(struct unimodal_outlook *out, const struct unimodal_request *r,
                            int which, struct err *e)
{
    struct trainer_options o;
    struct run_state state;

    *out = (struct unimodal_outlook){.finds = FINDS_FINISHED};
    if (r->pretrained == NULL)
        TRY(try_sibling(&out->dir, r, which, e));
    if (out->dir != NULL)
        goto out;
    TRY(own_place(&out->dir, r, which, e));
    out->finds = FINDS_NOTHING;
    TRY(run_lock_look(&out->busy, out->dir, run_lock_name, true, e));
    if (out->busy)
        goto out;
    TRY(run_dir_look(out->dir, e));
    o = unimodal_options(r, which, out->dir);
    o.force = out->replaces = replaces(r, &o);
    TRY(trainer_look(&out->finds, &state, &o, e));
    out->epochs = state.epoch;
out:
    return e->code;
}

enum err_code unimodal_get(char **dir, const struct unimodal_request *r, int which, struct err *e)
{
    *dir = NULL;
    if (r->pretrained == NULL)
        TRY(try_sibling(dir, r, which, e));
    if (*dir != NULL) {
        log_note(r->base.log, "%s: reused", *dir);
        return ERR_OK;
    }
    TRY(own_place(dir, r, which, e));
    TRY(train_there(r, which, *dir, e));
out:
    if (e->code != ERR_OK) {
        free(*dir);
        *dir = NULL;
    }
    return e->code;
}
