/* SPDX-License-Identifier: MIT */
#include "train/sweep/pretrain.h"

#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "train/train.h"

#include <stdlib.h>
#include <string.h>

static enum err_code make_key(char key[IDENTITY_SIZE], const struct plan_run *run, const char *task,
                              struct err *e)
{
    char *settings[MEDIA_MODALITIES] = {0}, hex[SHA256_HEX_SIZE];
    uint8_t digest[SHA256_SIZE];
    struct config config;
    struct sha256 *h;

    for (int m = 0; m < MEDIA_MODALITIES; m++) {
        TRY(config_resolve(&config, run->cell[PLAN_PRESET], unimodal_methods[m]->name,
                           plan_run_mask(run), run->set, e));
        TRY(config_text(&settings[m], &config, unimodal_methods[m]->scopes, e));
    }
    h = sha256_new();
    sha256_add(h, run->cell[PLAN_SEED], strlen(run->cell[PLAN_SEED]) + 1);
    sha256_add(h, task, strlen(task) + 1);
    for (int m = 0; m < MEDIA_MODALITIES; m++)
        sha256_add(h, settings[m], strlen(settings[m]) + 1);
    TRY(sha256_end(h, digest, e));
    sha256_hex(digest, hex);
    memcpy(key, hex, IDENTITY_SIZE - 1);
    key[IDENTITY_SIZE - 1] = '\0';
out:
    for (int m = 0; m < MEDIA_MODALITIES; m++)
        free(settings[m]);
    return e->code;
}

/* Adds the run to p->of unless a run before it has its key. */
static void add_key(struct pretraining *p, const struct plan *plan, size_t i)
{
    for (size_t k = 0; k < p->n; k++)
        if (strcmp(p->key[p->of[k] - plan->run], p->key[i]) == 0)
            return;
    p->of[p->n++] = &plan->run[i];
}

enum err_code pretraining_init(struct pretraining *p, const struct plan *plan, const size_t *todo,
                               size_t count, const char *dir, struct err *e)
{
    const char *known = NULL; /* the task that `task` is of */
    char *task = NULL;

    *p = (struct pretraining){.n = 0};
    TRY(path_join(&p->folder, dir, "pretrained", e));
    TRY(mem_array(&p->key, plan->n, IDENTITY_SIZE, "sweep", e));
    TRY(mem_array(&p->of, count, sizeof(struct plan_run *), "sweep", e));
    for (size_t k = 0; k < count; k++) {
        const struct plan_run *run = &plan->run[todo[k]];

        if (!method_needs_unimodal(run->method, &run->config))
            continue;
        if (known == NULL || strcmp(known, run->cell[PLAN_TASK]) != 0) {
            free(task);
            task = NULL;
            TRY(sweep_run_task(&task, run, false, e));
            known = run->cell[PLAN_TASK];
        }
        if (make_key(p->key[todo[k]], run, task, e) != ERR_OK) {
            err_in(e, "%s:%zu", plan->name, run->line);
            goto out;
        }
        add_key(p, plan, todo[k]);
    }
out:
    free(task);
    return e->code;
}

void pretraining_free(struct pretraining *p)
{
    free(p->key);
    free(p->of);
    free(p->folder);
    *p = (struct pretraining){.n = 0};
}

enum err_code pretraining_folder(char **path, const struct pretraining *p, size_t i, struct err *e)
{
    *path = NULL;
    return p->key[i][0] != '\0' ? path_join(path, p->folder, p->key[i], e) : ERR_OK;
}

enum err_code pretraining_do(const struct pretraining *p, const struct plan *plan, size_t k,
                             int jobs, const struct log *log, struct err *e)
{
    const struct plan_run *run = p->of[k / MEDIA_MODALITIES];
    const struct method *method = unimodal_methods[k % MEDIA_MODALITIES];
    struct train_options o = sweep_train_options(run, jobs, log);
    char *folder = NULL, *dir = NULL;

    TRY(pretraining_folder(&folder, p, (size_t)(run - plan->run), e));
    TRY(path_join(&dir, folder, method->name, e));
    o.method = method->name;
    o.out = dir;
    TRY(train_run(&o, e));
out:
    if (e->code == ERR_NONFINITE)
        err_clear(e);
    free(folder);
    free(dir);
    return e->code;
}
