/* SPDX-License-Identifier: MIT */
#include "train/sweep/run.h"

#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "train/scored.h"
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *task_of(const struct plan_run *run)
{
    return run->cell[PLAN_TASK];
}

enum err_code sweep_run_kind(struct run_kind *kind, const struct plan_run *run, bool test,
                             struct err *e)
{
    const char *const *names;
    struct data *d = NULL;

    *kind = (struct run_kind){.traits = {.classes = true, .oracle = true}};
    if (run->synthetic) {
        kind->traits.classes = run->data.task != XOR_REGRESSION;
        kind->traits.sources = xor_sources(run->data.task, &names);
        for (int g = 0; g < kind->traits.sources; g++)
            snprintf(kind->source[g], sizeof kind->source[g], "%s", names[g]);
        return ERR_OK;
    }
    TRY(data_open(&d, task_of(run), test ? "test" : "val", NULL, e));
    kind->traits = data_traits_of(d);
    for (int g = 0; g < kind->traits.sources; g++)
        snprintf(kind->source[g], sizeof kind->source[g], "%s", data_source(d, g));
out:
    data_close(d);
    return e->code;
}

/* ---- identity ---- */

enum err_code sweep_run_task(char **text, const struct plan_run *run, bool test, struct err *e)
{
    char line[3 * 80] = "", task[512];
    size_t n = 0;

    *text = NULL;
    if (run->synthetic) {
        xor_describe(&run->data, task, sizeof task);
        return mem_string(text, task, e);
    }
    for (int s = 0; s < XOR_SPLITS; s++) {
        struct data *d = NULL;

        if (s == XOR_TEST && !test)
            continue;
        if (data_open(&d, task_of(run), xor_split_name[s], NULL, e) != ERR_OK)
            return e->code;
        n += (size_t)snprintf(line + n, sizeof line - n, "%s %s\n", xor_split_name[s],
                              data_digest(d));
        data_close(d);
    }
    return mem_string(text, line, e);
}

enum err_code sweep_run_identity(char out[IDENTITY_SIZE], const struct plan_run *run,
                                 const char *task, struct err *e)
{
    char *settings = NULL, hex[SHA256_HEX_SIZE];
    uint8_t digest[SHA256_SIZE];
    struct sha256 *h;

    TRY(config_text(&settings, &run->config, run->method->scopes, e));
    h = sha256_new();
    sha256_add(h, run->method->name, strlen(run->method->name) + 1);
    sha256_add(h, run->cell[PLAN_SEED], strlen(run->cell[PLAN_SEED]) + 1);
    sha256_add(h, task, strlen(task) + 1);
    sha256_add(h, settings, strlen(settings));
    TRY(sha256_end(h, digest, e));
    sha256_hex(digest, hex);
    memcpy(out, hex, IDENTITY_SIZE - 1);
    out[IDENTITY_SIZE - 1] = '\0';
out:
    free(settings);
    return e->code;
}

/* ---- results ---- */

static void take_metrics(struct test_metrics *m, const struct evaluation *ev)
{
    *m = (struct test_metrics){
        .loss = ev->loss,
        .accuracy = ev->classes > 0 ? confusion_accuracy(&ev->confusion) : 0,
        .mse = ev->mse,
        .r2 = ev->r2,
    };
    memcpy(m->source, ev->source, sizeof m->source);
}

static void take_state(struct run_result *out, const struct run_state *s)
{
    out->epochs = s->epoch;
    out->steps = s->step;
    out->best_epoch = s->best_epoch;
    out->best_score = s->best_score;
}

/* Cell `column` of a line; NaN when it is empty or absent. */
static double csv_number(const char *line, int column)
{
    for (; column > 0; column--) {
        line += strcspn(line, ",\n");
        if (*line != ',')
            return NAN;
        line++;
    }
    return strcspn(line, ",\n") > 0 ? strtod(line, NULL) : NAN;
}

/* Number of a column, -1 without it. */
static int csv_column(const char *csv, const char *name)
{
    size_t len = strlen(name);
    int column = 0;

    for (const char *p = csv;; p++, column++) {
        size_t n = strcspn(p, ",\n");

        if (n == len && memcmp(p, name, len) == 0)
            return column;
        p += n;
        if (*p != ',')
            return -1;
    }
}

static double csv_metric(const char *csv, const char *line, const char *name)
{
    int column = csv_column(csv, name);

    return column >= 0 ? csv_number(line, column) : NAN;
}

enum err_code sweep_val_metrics(struct val_metrics *v, const char *csv, int64_t epoch,
                                struct err *e)
{
    char start[32];
    const char *line;

    snprintf(start, sizeof start, "\n%lld,", (long long)epoch);
    line = strstr(csv, start);
    if (line == NULL)
        return err_set(e, ERR_FORMAT, "epochs.csv: has no epoch %lld", (long long)epoch);
    line++;
    *v = (struct val_metrics){
        .loss = csv_metric(csv, line, "val_loss"),
        .accuracy = csv_metric(csv, line, "val_accuracy"),
        .macro_f1 = csv_metric(csv, line, "val_macro_f1"),
        .irony_f1 = csv_metric(csv, line, "val_irony_f1"),
        .mse = csv_metric(csv, line, "val_mse"),
        .r2 = csv_metric(csv, line, "val_r2"),
    };
    return ERR_OK;
}

/* ---- in memory ---- */

/* One split. Its digest stands for (task, seed, split): the content follows from it. */
static enum err_code take_split(struct data **out, const struct plan_run *run, int split,
                                struct vectors *v, struct err *e)
{
    uint8_t digest[SHA256_SIZE];
    char task[512], text[640];

    xor_describe(&run->data, task, sizeof task);
    snprintf(text, sizeof text, "%s seed %s %s", task, run->cell[PLAN_SEED], xor_split_name[split]);
    TRY(sha256_bytes(text, strlen(text), digest, e));
    sha256_hex(digest, v->digest);
    return data_of_vectors(out, v, e);
out:
    vectors_free(v);
    return e->code;
}

/* Without test its split has one sample, which nobody looks at: the others do not depend on it. */
static enum err_code make_data(struct data *out[XOR_SPLITS], const struct plan_run *run, bool test,
                               struct err *e)
{
    struct xor_options o = run->data;
    struct vectors v[XOR_SPLITS];
    enum err_code rc;

    if (!test)
        o.count[XOR_TEST] = 1;
    rc = xor_make(v, &o, e);
    for (int s = 0; rc == ERR_OK && s < XOR_SPLITS; s++)
        if (e->code != ERR_OK || take_split(&out[s], run, s, &v[s], e) != ERR_OK)
            vectors_free(&v[s]);
    return e->code;
}

static enum err_code test_now(struct test_metrics *m, struct trainer *t, const struct plan_run *run,
                              const struct data *test, struct err *e)
{
    struct loader_options o = method_loader(run->method, &run->config, test, false, run->seed, 1);
    struct loader *loader = NULL;
    struct evaluation ev = {0};

    TRY(loader_new(&loader, test, &o, e));
    TRY(evaluate(&ev, trainer_network(t), loader, test, false, NULL, e));
    take_metrics(m, &ev);
out:
    evaluation_free(&ev);
    loader_free(loader);
    return e->code;
}

static enum err_code put_table(const struct plan_run *run, const char *folder, const char *what,
                               const char *text, struct err *e)
{
    char name[128], *path = NULL;

    if (text == NULL)
        return ERR_OK;
    snprintf(name, sizeof name, "%s.%s.csv", run->cell[PLAN_RUN], what);
    TRY(path_join(&path, folder, name, e));
    TRY(atomic_file_put(path, text, strlen(text), true, e));
out:
    free(path);
    return e->code;
}

static enum err_code test_both(struct run_result *out, struct trainer *t,
                               const struct plan_run *run, const struct data *test, struct err *e)
{
    TRY(test_now(&out->last, t, run, test, e));
    out->best = out->last;
    if (out->best_epoch != out->epochs) {
        trainer_use_best(t);
        TRY(test_now(&out->best, t, run, test, e));
    }
out:
    return e->code;
}

static enum err_code do_in_memory(struct run_result *out, const struct plan_run *run, bool test,
                                  const char *folder, int jobs, struct err *e)
{
    struct data *data[XOR_SPLITS] = {0};
    struct trainer_options o = {
        .method = run->method,
        .config = run->config,
        .seed = run->seed,
        .jobs = jobs,
    };
    struct trainer *t = NULL;

    TRY(make_data(data, run, test, e));
    o.train = data[XOR_TRAIN];
    o.val = data[XOR_VAL];
    TRY(trainer_open(&t, &o, e));
    TRY(trainer_train(t, e));
    take_state(out, trainer_state(t));
    TRY(sweep_val_metrics(&out->val, trainer_epochs_csv(t), out->best_epoch, e));
    if (test)
        TRY(test_both(out, t, run, data[XOR_TEST], e));
    TRY(put_table(run, folder, "epochs", trainer_epochs_csv(t), e));
    TRY(put_table(run, folder, "ntk", trainer_ntk_csv(t), e));
out:
    trainer_close(t);
    for (int s = 0; s < XOR_SPLITS; s++)
        data_close(data[s]);
    return e->code;
}

/* ---- in a folder ---- */

static enum err_code score(struct test_metrics *m, const char *dir, const char *name,
                           const struct data *test, int jobs, struct err *e)
{
    struct scored s = {0};

    TRY(scored_run(&s, dir, name, test, jobs, e));
    take_metrics(m, &s.ev);
out:
    scored_free(&s);
    return e->code;
}

/* What the folder of a finished run says of itself. */
static enum err_code read_folder(struct run_result *out, const char *dir, struct err *e)
{
    struct tensorfile *f = NULL;
    char *last = NULL, *csv = NULL;
    struct run_state state;

    TRY(path_join(&last, dir, run_last_name, e));
    TRY(checkpoint_open(&f, last, e));
    TRY(checkpoint_state(f, &state, e));
    take_state(out, &state);
    TRY(run_log_read(&csv, dir, "epochs.csv", state.epochs_bytes, state.epochs_crc, e));
    if (sweep_val_metrics(&out->val, csv, out->best_epoch, e) != ERR_OK)
        err_in(e, "%s", dir);
out:
    tensorfile_close(f);
    free(last);
    free(csv);
    return e->code;
}

struct train_options sweep_train_options(const struct plan_run *run, int jobs,
                                         const struct log *log)
{
    struct train_options o = {
        .cli = {.log = {.tool = log->tool}, .seed = run->seed, .jobs = jobs},
        .data = task_of(run),
        .preset = run->cell[PLAN_PRESET],
        .method = run->method->name,
        .mask = plan_run_mask(run),
        .resume = true,
        .settings_checked = true,
        .max_steps = -1,
    };

    for (int i = 0; run->set[i] != NULL; i++)
        o.set[i] = run->set[i];
    return o;
}

static enum err_code do_in_folder(struct run_result *out, const struct plan_run *run, bool test,
                                  const struct run_place *place, struct err *e)
{
    struct train_options o = sweep_train_options(run, place->jobs, place->log);
    struct data *data = NULL;
    char *dir = NULL;

    TRY(path_join(&dir, place->folder, run->cell[PLAN_RUN], e));
    o.out = dir;
    o.pretrained = place->pretrained;
    if (test)
        TRY(data_open(&data, o.data, "test", NULL, e));
    TRY(train_run(&o, e));
    TRY(read_folder(out, dir, e));
    if (test) {
        TRY(score(&out->best, dir, run_best_name, data, place->jobs, e));
        TRY(score(&out->last, dir, run_last_name, data, place->jobs, e));
    }
out:
    data_close(data);
    free(dir);
    return e->code;
}

enum err_code sweep_run_do(struct run_result *out, const struct plan_run *run, bool test,
                           const struct run_place *place, struct err *e)
{
    *out = (struct run_result){.finite = true};
    if (run->synthetic)
        (void)do_in_memory(out, run, test, place->folder, place->jobs, e);
    else
        (void)do_in_folder(out, run, test, place, e);
    if (e->code == ERR_NONFINITE) {
        log_warn(place->log, "%s: %s", run->cell[PLAN_RUN], e->text);
        *out = (struct run_result){.finite = false};
        err_clear(e);
    }
    return e->code;
}
