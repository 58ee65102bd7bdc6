/* SPDX-License-Identifier: MIT */
#include "train/report/run.h"

#include "common/base/cli.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "train/checkpoint.h"
#include "train/trainer.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void report_run_free(struct report_run *r)
{
    free(r->name);
    free(r->path);
    free(r->missing);
    free(r->identity);
    free(r->tool);
    free(r->machine);
    free(r->label);
    free(r->guess);
    free(r->base);
    free(r->p);
    for (int c = 0; c < REPORT_CURVES; c++)
        free(r->curve[c]);
    run_places_free(&r->places);
    memset(r, 0, sizeof *r);
}

enum err_code report_run_miss(struct report_run *r, const char *why, struct err *e)
{
    free(r->missing);
    return mem_string(&r->missing, why, e);
}

void report_metric_name(char *out, size_t size, const struct report_run *r, int metric)
{
    static const char *const names[METRIC_PART] = {"irony_f1", "macro_f1", "accuracy",
                                                   "kappa",    "ece",      "synergy_accuracy"};

    if (metric < METRIC_PART)
        snprintf(out, size, "%s", names[metric]);
    else
        snprintf(out, size, "%s_%s", r->irony >= 0 ? "irony_recall" : "accuracy",
                 r->part_name[metric - METRIC_PART]);
}

/* ---- identity ---- */

static enum err_code identity_line(struct report_run *r, const char *key, const char *value,
                                   struct err *e)
{
    const struct {
        const char *key;
        char *out;
        size_t size;
    } texts[] = {
        {"method", r->method, sizeof r->method},
        {"mask.kind", r->mask, sizeof r->mask},
        {"data.train", r->train, sizeof r->train},
        {"data.val", r->val, sizeof r->val},
    };

    if (strcmp(key, "seed") == 0)
        return cli_u64(&r->seed, value, "seed", e);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(key, texts[i].key) == 0)
            snprintf(texts[i].out, texts[i].size, "%s", value);
    return ERR_OK;
}

static enum err_code read_identity(struct report_run *r, struct err *e)
{
    const char *text = r->identity, *value;
    char line[512];

    while (*text != '\0') {
        TRY(run_identity_line(&text, line, sizeof line, &value, e));
        TRY(identity_line(r, line, value, e));
    }
    if (r->method[0] == '\0' || r->val[0] == '\0')
        err_set(e, ERR_FORMAT, "synib.config: names no method or no data");
out:
    if (e->code == ERR_USAGE)
        e->code = ERR_DATA; /* the file's mistake, not the command line's */
    return e->code;
}

/* Metadata of one checkpoint; its digest too, when asked. */
static enum err_code read_checkpoint(struct report_run *r, const char *name,
                                     struct run_state *state, char *digest, struct err *e)
{
    struct tensorfile *f = NULL;
    const char *identity, *tool, *machine;
    uint8_t sha[SHA256_SIZE];
    char *path = NULL;

    TRY(path_join(&path, r->path, name, e));
    TRY(tensorfile_open(&f, path, e));
    TRY(checkpoint_meta(f, "synib.config", &identity, e));
    TRY(checkpoint_state(f, state, e));
    if (digest != NULL) {
        TRY(tensorfile_digest(f, sha, e));
        sha256_hex(sha, digest);
    }
    if (r->identity != NULL && strcmp(r->identity, identity) != 0)
        FAIL(err_set(e, ERR_DATA, "%s: is of another run than the folder's %s", path,
                     run_last_name));
    if (r->identity != NULL)
        goto out;
    tool = tensorfile_meta(f, "synib.tool");
    machine = tensorfile_meta(f, "synib.machine");
    TRY(mem_string(&r->identity, identity, e));
    TRY(mem_string(&r->tool, tool != NULL ? tool : "", e));
    TRY(mem_string(&r->machine, machine != NULL ? machine : "", e));
    if (read_identity(r, e) != ERR_OK)
        err_in(e, "%s", path);
out:
    tensorfile_close(f);
    free(path);
    return e->code;
}

/* ---- epochs.csv ---- */

static const char *const curve_columns[REPORT_CURVES] = {"val_accuracy", "val_irony_f1",
                                                         "train_loss"};

/* The n-th cell of a line of CSV without quotes, as a number; NaN when it is empty or absent. */
static enum err_code csv_number(double *out, const char *line, int n, struct err *e)
{
    char text[64];
    size_t len;

    *out = NAN;
    if (n < 0)
        return ERR_OK;
    for (; n > 0; n--) {
        line += strcspn(line, ",");
        if (*line == '\0')
            return err_set(e, ERR_FORMAT, "too few cells");
        line++;
    }
    len = strcspn(line, ",");
    if (len == 0)
        return ERR_OK;
    snprintf(text, sizeof text, "%.*s", (int)len, line);
    if (cli_double(out, text, -DBL_MAX, DBL_MAX, "cell", e) != ERR_OK)
        e->code = ERR_FORMAT;
    return e->code;
}

static int csv_column(const char *header, const char *name)
{
    int n = 0;

    for (const char *p = header;; n++) {
        size_t len = strcspn(p, ",");

        if (strlen(name) == len && strncmp(p, name, len) == 0)
            return n;
        if (p[len] == '\0')
            return -1;
        p += len + 1;
    }
}

enum err_code report_run_curves(struct report_run *r, char *text, const char *path, struct err *e)
{
    int column[REPORT_CURVES];
    char *rest = text, *line = strsep(&rest, "\n");
    size_t lines = 0, number = 1;

    for (const char *p = rest != NULL ? rest : ""; *p != '\0'; p++)
        lines += *p == '\n';
    for (int c = 0; c < REPORT_CURVES; c++) {
        column[c] = csv_column(line, curve_columns[c]);
        TRY(mem_array(&r->curve[c], lines + 1, sizeof(double), path, e));
    }
    while ((line = strsep(&rest, "\n")) != NULL) {
        number++;
        if (line[0] == '\0')
            continue;
        for (int c = 0; c < REPORT_CURVES; c++)
            if (csv_number(&r->curve[c][r->points], line, column[c], e) != ERR_OK)
                FAIL(err_in(e, "%s:%zu", path, number));
        r->points++;
    }
out:
    return e->code;
}

static enum err_code read_epochs(struct report_run *r, const struct run_state *last, struct err *e)
{
    char *path = NULL, *text = NULL;

    if (!run_has(r->path, "epochs.csv"))
        return ERR_OK;
    TRY(path_join(&path, r->path, "epochs.csv", e));
    TRY(run_log_read(&text, r->path, "epochs.csv", last->epochs_bytes, last->epochs_crc, e));
    TRY(report_run_curves(r, text, path, e));
out:
    free(text);
    free(path);
    return e->code;
}

enum err_code report_run_identify(struct report_run *r, struct err *e)
{
    struct run_state last = {0}, best = {0};

    TRY(run_places_load(&r->places, r->path, e));
    if (!run_has(r->path, run_last_name)) {
        TRY(report_run_miss(r, "has no checkpoint yet", e));
        goto out;
    }
    TRY(read_checkpoint(r, run_last_name, &last, NULL, e));
    r->epochs = last.epoch;
    r->best_epoch = last.best_epoch;
    if (!last.done)
        TRY(report_run_miss(r, "is not finished", e));
    else if (!run_has(r->path, run_best_name))
        TRY(report_run_miss(r, "has no best.safetensors", e));
    else
        TRY(read_checkpoint(r, run_best_name, &best, r->checkpoint, e));
    TRY(read_epochs(r, &last, e));
out:
    return e->code;
}

enum err_code report_run_read(struct report_run *r, struct err *e)
{
    r->irony = -1;
    for (int m = 0; m < REPORT_METRICS; m++)
        r->value[m] = NAN;
    TRY(report_run_identify(r, e));
    if (r->missing == NULL)
        TRY(report_run_results(r, e));
out:
    return e->code;
}
