/* SPDX-License-Identifier: MIT */
#include "train/eval.h"

#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "train/eval_report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BASE = 0x100, KEY_UNIMODAL, KEY_CHECKPOINT };

static const struct argp_option option_table[] = {
    {"split", 's', "NAME", 0, "train, val or test (default)", 0},
    {"checkpoint", KEY_CHECKPOINT, "NAME", 0,
     "best (default): that of the epoch that select.metric chose; last: that of the last one", 0},
    {"output", 'o', "DIR", 0, "Also write metrics.json and predictions.tsv there", 0},
    {"base", KEY_BASE, "DIR", 0, "Where to look for the base sets of an overlay; again for more",
     0},
    {"unimodal", KEY_UNIMODAL, "DIR", 0,
     "Folder of the runs uni-audio and uni-video that define the synergy subset (default: those "
     "that RUN started from)",
     0},
    {0},
};

static const char doc[] =
    "Measures a checkpoint of RUN on a split of DATA (default: the dataset it was trained on) and "
    "prints accuracy, F1 by class, the unimodal heads' accuracy, accuracy on the samples that all "
    "unimodal models get wrong and, where the data know it, by source of information."
    "\vExamples:\n"
    "  synib-eval runs/synib --split test --json\n"
    "  synib-eval runs/synib irony/fold0-r2.0 -o results/synib-r2.0\n"
    "\n"
    "Exit codes: 0 done; 1 failed; 2 bad command line; 4 damaged data or checkpoint.";

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    static const char *const splits[] = {"train", "val", "test", NULL};
    static const char *const checkpoints[] = {"best", "last", NULL};
    struct eval_options *opt = state->input;
    int i = 0;

    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &opt->cli; return 0;
    case 's':
        opt->split = arg;
        return cli_choice(&i, arg, splits, "--split", opt->cli.err) == ERR_OK ? 0 : EINVAL;
    case 'o': opt->out = arg; return 0;
    case KEY_CHECKPOINT:
        if (cli_choice(&i, arg, checkpoints, "--checkpoint", opt->cli.err) != ERR_OK)
            return EINVAL;
        opt->last = i == 1;
        return 0;
    case KEY_UNIMODAL: opt->unimodal = arg; return 0;
    case KEY_BASE:
        while (opt->base[i] != NULL)
            i++;
        if (i == RUN_MAX_BASES) {
            err_set(opt->cli.err, ERR_USAGE, "--base: more than %d times", RUN_MAX_BASES);
            return EINVAL;
        }
        opt->base[i] = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (opt->run == NULL)
            opt->run = arg;
        else if (opt->data == NULL)
            opt->data = arg;
        else {
            err_set(opt->cli.err, ERR_USAGE, "'%s': RUN and one DATA only", arg);
            return EINVAL;
        }
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

enum err_code eval_options_parse(struct eval_options *opt, int argc, char **argv, struct err *e)
{
    static const struct argp_child children[] = {CLI_CHILD, {0}};
    static const struct argp argp = {option_table, parse_option, "RUN [DATA]", doc,
                                     children,     NULL,         NULL};

    *opt = (struct eval_options){.split = "test"};
    TRY(cli_parse(&argp, argc, argv, "synib-eval", &opt->cli, opt, e));
    if (opt->run == NULL)
        return err_set(e, ERR_USAGE, "RUN is missing: the folder that synib-train made");
out:
    return e->code;
}

static enum err_code write_outputs(const struct eval_options *opt, const struct measured *m,
                                   const char *text, const char *metrics, const char *predictions,
                                   struct err *e)
{
    TRY(dir_make(opt->out, e));
    TRY(eval_predictions(m, predictions, opt->cli.force, e));
    TRY(atomic_file_put(metrics, text, strlen(text), opt->cli.force, e));
out:
    return e->code;
}

/* Their paths. metrics.json is written last and makes the result complete; in the way it is better
 * known before the measuring than after it. */
static enum err_code name_outputs(const struct eval_options *opt, char **metrics,
                                  char **predictions, struct err *e)
{
    TRY(path_join(metrics, opt->out, "metrics.json", e));
    TRY(path_join(predictions, opt->out, "predictions.tsv", e));
    TRY(atomic_file_check(*metrics, opt->cli.force, e));
out:
    return e->code;
}

/* ---- measuring ---- */

/* Runs of the unimodal models: from --unimodal, or where run.json says the encoders came from.
 * NULLs when they are not known. */
static enum err_code unimodal_folders(char *dir[MEDIA_MODALITIES], const struct eval_options *opt,
                                      const struct run_places *places, struct err *e)
{
    for (int i = 0; i < MEDIA_MODALITIES; i++) {
        if (opt->unimodal != NULL)
            TRY(path_join(&dir[i], opt->unimodal, unimodal_methods[i]->name, e));
        else if (places->unimodal[i] != NULL)
            TRY(mem_string(&dir[i], places->unimodal[i], e));
    }
out:
    return e->code;
}

/* Measures the unimodal runs, if they are known. Folders from run.json must still hold the
 * checkpoints that the run started from. */
static enum err_code measure_unimodal(struct measured *m, const struct eval_options *opt,
                                      const struct run_places *places, struct err *e)
{
    char *dir[MEDIA_MODALITIES] = {NULL, NULL};

    if (data_media(m->data) == NULL)
        return ERR_OK;
    TRY(unimodal_folders(dir, opt, places, e));
    if (dir[MEDIA_AUDIO] == NULL || dir[MEDIA_VIDEO] == NULL)
        goto out;
    for (int i = 0; i < MEDIA_MODALITIES; i++) {
        TRY(scored_run(&m->unimodal[i], dir[i], run_best_name, m->data, opt->cli.jobs, e));
        if (m->unimodal[i].ev.head_guess[i] == NULL) {
            err_set(e, ERR_DATA, "%s: holds a run of method %s: it has no %s head", dir[i],
                    m->unimodal[i].method, data_modality(m->data, i));
            goto out;
        }
        if (opt->unimodal == NULL && strcmp(m->unimodal[i].digest, m->run.init[i]) != 0) {
            err_set(e, ERR_CHECKSUM,
                    "%s: is not the run that %s started from any more: give "
                    "--unimodal DIR",
                    dir[i], opt->run);
            goto out;
        }
    }
    m->has_unimodal = true;
out:
    for (int i = 0; i < MEDIA_MODALITIES; i++)
        free(dir[i]);
    return e->code;
}

static void measure_synergy(struct measured *m)
{
    const struct evaluation *ev = &m->run.ev;
    const int32_t *head[MODALITIES_MAX] = {0};
    int modalities = data_modalities(m->data);

    for (int i = 0; i < modalities; i++) {
        head[i] = m->has_unimodal ? m->unimodal[i].ev.head_guess[i] : ev->head_guess[i];
        if (head[i] == NULL)
            return;
    }
    m->synergy = synergy_count(ev->n, ev->label, modalities, head, ev->guess);
    m->has_synergy = true;
}

static enum err_code read_base_labels(struct measured *m, struct err *e)
{
    const struct dataset *media = data_media(m->data);
    struct sample s;

    if (media == NULL)
        return ERR_OK;
    TRY(mem_array(&m->base_label, (size_t)m->run.ev.n, sizeof *m->base_label, "labels", e));
    for (int64_t i = 0; i < m->run.ev.n; i++) {
        TRY(dataset_describe(media, i, &s, e));
        m->base_label[i] = s.base_label;
    }
out:
    return e->code;
}

/* Other data than the run's are measured only when they are named: a damaged run.json may point at
 * some, or others be in their place. */
static enum err_code check_data(const struct eval_options *opt, const struct scored *run,
                                const char *data, const char *const *bases, struct err *e)
{
    struct data *val = NULL;
    struct err why = {0};
    bool same = data_open(&val, data, "val", bases, &why) == ERR_OK &&
                strcmp(data_digest(val), run->val_digest) == 0;

    data_close(val);
    if (same)
        return ERR_OK;
    if (why.code == ERR_NOMEM || (why.code == ERR_IO && opt->data == NULL))
        return err_copy(e, &why); /* says nothing about the data; a named one may hold test alone */
    if (opt->data == NULL)
        return err_set(e, ERR_DATA,
                       "%s: its run.json points at %s, which is not the dataset that it was "
                       "trained on%s%s: give DATA to measure it on",
                       opt->run, data, why.code != ERR_OK ? ": " : "", why.text);
    log_warn(&opt->cli.log, "%s: is not the dataset that %s was trained on", data, opt->run);
    return ERR_OK;
}

/* The split of DATA, or of what run.json says. */
static enum err_code open_split(struct data **data, const struct eval_options *opt,
                                const char *path, const char *const *bases, struct err *e)
{
    struct err why = {0};

    if (data_open(data, path, opt->split, bases, &why) == ERR_OK)
        return ERR_OK;
    if (why.code == ERR_IO && opt->data == NULL && !data_has_split(path, opt->split))
        return err_set(e, ERR_IO,
                       "%s: its run.json points at %s, where no finished split %s is: give DATA to "
                       "measure it on",
                       opt->run, path, opt->split);
    return err_copy(e, &why);
}

static enum err_code measure(struct measured *m, const struct eval_options *opt,
                             const struct run_places *places, struct err *e)
{
    TRY(scored_run(&m->run, opt->run, opt->last ? run_last_name : run_best_name, m->data,
                   opt->cli.jobs, e));
    TRY(measure_unimodal(m, opt, places, e));
    measure_synergy(m);
    TRY(read_base_labels(m, e));
out:
    return e->code;
}

enum err_code eval_run(const struct eval_options *opt, struct err *e)
{
    struct measured m = {.split = opt->split};
    struct run_places places = {0};
    struct data *data = NULL;
    const char *path, *const *bases;
    char *text = NULL, *metrics = NULL, *predictions = NULL;

    if (opt->out != NULL)
        TRY(name_outputs(opt, &metrics, &predictions, e));
    TRY(run_places_load(&places, opt->run, e));
    path = opt->data != NULL ? opt->data : places.data;
    bases = opt->base[0] != NULL ? opt->base : (const char *const *)places.base;
    if (path == NULL) {
        err_set(e, ERR_USAGE, "%s: does not say where its data are: give DATA", opt->run);
        goto out;
    }
    TRY(open_split(&data, opt, path, bases, e));
    m.data = data;
    if (opt->cli.dry_run) {
        log_note(&opt->cli.log, "%s: would be measured on %lld sample%s of %s, split %s", opt->run,
                 (long long)data_count(data), data_count(data) == 1 ? "" : "s", path, opt->split);
        goto out;
    }
    TRY(measure(&m, opt, &places, e));
    TRY(check_data(opt, &m.run, path, bases, e));
    TRY(eval_json(&text, &m, e));
    if (opt->out != NULL)
        TRY(write_outputs(opt, &m, text, metrics, predictions, e));
    if (opt->cli.json)
        printf("%s\n", text);
    else
        eval_print(&m);
out:
    free(text);
    free(metrics);
    free(predictions);
    data_close(data);
    run_places_free(&places);
    free(m.base_label);
    scored_free(&m.run);
    for (int i = 0; i < MODALITIES_MAX; i++)
        scored_free(&m.unimodal[i]);
    return e->code;
}
