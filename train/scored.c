/* SPDX-License-Identifier: MIT */
#include "train/scored.h"

#include "common/base/cli.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "train/checkpoint.h"
#include "train/run_dir.h"
#include "train/trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where one "key = value" line of synib.config goes. data.kind comes before all other settings. */
static enum err_code identity_line(struct scored *s, struct config *c, const struct data *data,
                                   const char *key, const char *value, struct err *e)
{
    char assignment[512];

    if (strcmp(key, "method") == 0)
        snprintf(s->method, sizeof s->method, "%s", value);
    else if (strcmp(key, "seed") == 0)
        return cli_u64(&s->seed, value, "seed", e);
    else if (strcmp(key, "data.val") == 0)
        snprintf(s->val_digest, sizeof s->val_digest, "%s", value);
    else if (strcmp(key, "data.kind") == 0)
        c->kind = strcmp(value, "media") == 0 ? KIND_MEDIA : KIND_VECTORS;
    else if (strncmp(key, "init.", 5) == 0 && strcmp(key, "init.encoders") != 0) {
        for (int m = 0; m < data_modalities(data); m++)
            if (strcmp(key + 5, data_modality(data, m)) == 0)
                snprintf(s->init[m], sizeof s->init[m], "%s", value);
    } else if (strncmp(key, "data.", 5) != 0) {
        snprintf(assignment, sizeof assignment, "%s=%s", key, value);
        return config_set(c, assignment, e);
    }
    return ERR_OK;
}

static enum err_code read_identity(struct scored *s, struct config *c, const struct data *data,
                                   const char *text, struct err *e)
{
    const char *value;
    char line[256];

    memset(c, 0, sizeof *c);
    while (*text != '\0') {
        TRY(run_identity_line(&text, line, sizeof line, &value, e));
        TRY(identity_line(s, c, data, line, value, e));
    }
    TRY(method_find(&s->method_def, s->method, e));
out:
    if (e->code == ERR_USAGE)
        e->code = ERR_DATA; /* the file's mistake, not the command line's */
    return e->code;
}

enum err_code scored_run(struct scored *s, const char *run, const char *name,
                         const struct data *data, int jobs, struct err *e)
{
    struct tensorfile *f = NULL;
    struct loader *loader = NULL;
    struct network net = {0};
    struct loader_options lo;
    struct config config;
    const char *identity;
    char *path = NULL;
    bool best = strcmp(name, run_best_name) == 0;

    memset(s, 0, sizeof *s);
    TRY(path_join(&path, run, name, e));
    TRY(checkpoint_open(&f, path, e));
    TRY(checkpoint_meta(f, "synib.config", &identity, e));
    if (read_identity(s, &config, data, identity, e) != ERR_OK) {
        err_in(e, "%s", path);
        goto out;
    }
    TRY(checkpoint_state(f, &s->state, e));
    s->epoch = best ? s->state.best_epoch : s->state.epoch;
    s->step = best ? s->state.best_step : s->state.step;
    TRY(file_sha256(s->digest, path, e));
    lo = method_loader(s->method_def, &config, data, false, s->seed, jobs);
    TRY(loader_new(&loader, data, &lo, e));
    TRY(network_init(&net, s->method_def, &config, s->seed, data, jobs, e));
    TRY(checkpoint_read(f, net.params, "", !best, e));
    TRY(evaluate(&s->ev, &net, loader, data, true, NULL, e));
out:
    loader_free(loader);
    network_free(&net);
    tensorfile_close(f);
    free(path);
    return e->code;
}

void scored_free(struct scored *s)
{
    evaluation_free(&s->ev);
    memset(s, 0, sizeof *s);
}

struct synergy synergy_count(int64_t n, const int32_t *label, int modalities,
                             const int32_t *const head[MODALITIES_MAX], const int32_t *fused)
{
    struct synergy s = {0};

    for (int64_t i = 0; i < n; i++) {
        bool found = false;

        for (int m = 0; m < modalities; m++)
            found = found || head[m][i] == label[i];
        if (found)
            continue;
        s.n++;
        s.right += fused[i] == label[i];
    }
    return s;
}
