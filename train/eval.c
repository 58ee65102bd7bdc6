/* SPDX-License-Identifier: MIT */
#include "train/eval.h"

#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "train/scored.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BASE = 0x100, KEY_UNIMODAL };

static const struct argp_option option_table[] = {
    {"split", 's', "NAME", 0, "train, val or test (default)", 0},
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
    "Measures the best checkpoint of RUN on a split of DATA (default: the dataset it was trained "
    "on) and prints accuracy, F1 by class, the unimodal heads' accuracy, and accuracy on the "
    "samples that both unimodal runs get wrong."
    "\vExamples:\n"
    "  synib-eval runs/synib --split test --json\n"
    "  synib-eval runs/synib irony/fold0-r2.0 -o results/synib-r2.0\n"
    "\n"
    "Exit codes: 0 done; 1 failed; 2 bad command line; 4 damaged data or checkpoint.";

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    static const char *const splits[] = {"train", "val", "test", NULL};
    struct eval_options *opt = state->input;
    int i = 0;

    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &opt->cli; return 0;
    case 's':
        opt->split = arg;
        return cli_choice(&i, arg, splits, "--split", opt->cli.err) == ERR_OK ? 0 : EINVAL;
    case 'o': opt->out = arg; return 0;
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

/* What is measured: the run, and the unimodal runs behind it where there are any. */
struct measured {
    struct scored run, unimodal[AV_MODALITIES];
    bool has_unimodal; /* both */
    bool has_synergy;
    struct synergy synergy;
};

/* ---- output ---- */

static json_t *f1_by_class(const struct confusion *c)
{
    json_t *object = json_object();

    for (int k = 0; k < N_LABELS; k++)
        json_object_set_new(object, label_names[k], json_real(confusion_f1(c, k)));
    return object;
}

static json_t *confusion_rows(const struct confusion *c)
{
    json_t *rows = json_array();

    for (int label = 0; label < N_LABELS; label++) {
        json_t *row = json_array();

        for (int guess = 0; guess < N_LABELS; guess++)
            json_array_append_new(row, json_integer(c->count[label][guess]));
        json_array_append_new(rows, row);
    }
    return rows;
}

/* Accuracy of a unimodal head of the run itself; null where it has none. */
static json_t *head_accuracy(const struct evaluation *ev, enum av_modality which)
{
    return ev->has_head[which] ? json_real(confusion_accuracy(&ev->head[which])) : json_null();
}

static json_t *synergy_json(const struct measured *m)
{
    json_t *object;

    if (!m->has_synergy)
        return json_null();
    object = json_object();
    json_object_set_new(object, "n", json_integer(m->synergy.n));
    json_object_set_new(object, "accuracy",
                        m->synergy.n > 0
                            ? json_real((double)m->synergy.right / (double)m->synergy.n)
                            : json_null());
    json_object_set_new(object, "by", json_string(m->has_unimodal ? "unimodal-runs" : "own-heads"));
    return object;
}

static json_t *result_json(const struct measured *m, const char *split, const char *data_digest)
{
    const struct evaluation *ev = &m->run.ev;
    json_t *root = json_object(), *names = json_array(), *heads = json_object();

    for (int k = 0; k < N_LABELS; k++)
        json_array_append_new(names, json_string(label_names[k]));
    json_object_set_new(heads, "audio", head_accuracy(ev, AV_AUDIO));
    json_object_set_new(heads, "video", head_accuracy(ev, AV_VIDEO));
    json_object_set_new(root, "method", json_string(m->run.method));
    json_object_set_new(root, "seed", json_integer((json_int_t)m->run.seed));
    json_object_set_new(root, "epoch", json_integer(m->run.epoch));
    json_object_set_new(root, "step", json_integer(m->run.step));
    json_object_set_new(root, "checkpoint", json_string(m->run.digest));
    json_object_set_new(root, "split", json_string(split));
    json_object_set_new(root, "data", json_string(data_digest));
    json_object_set_new(root, "n", json_integer(ev->n));
    json_object_set_new(root, "accuracy", json_real(confusion_accuracy(&ev->confusion)));
    json_object_set_new(root, "macro_f1", json_real(confusion_macro_f1(&ev->confusion)));
    json_object_set_new(root, "loss", json_real(ev->loss));
    json_object_set_new(root, "f1", f1_by_class(&ev->confusion));
    json_object_set_new(root, "classes", names);
    json_object_set_new(root, "confusion", confusion_rows(&ev->confusion));
    json_object_set_new(root, "unimodal", heads);
    json_object_set_new(root, "synergy", synergy_json(m));
    return root;
}

static void print_table(const struct measured *m, const char *split)
{
    const struct evaluation *ev = &m->run.ev;

    printf("%s, %s split, %lld clips, checkpoint of epoch %lld\n", m->run.method, split,
           (long long)ev->n, (long long)m->run.epoch);
    printf("accuracy  %.4f\nmacro F1  %.4f\n", confusion_accuracy(&ev->confusion),
           confusion_macro_f1(&ev->confusion));
    for (int k = 0; k < N_LABELS; k++)
        printf("  F1 %-8s %.4f\n", label_names[k], confusion_f1(&ev->confusion, k));
    for (int i = 0; i < AV_MODALITIES; i++)
        if (ev->has_head[i])
            printf("%s head alone: accuracy %.4f\n", av_modality_name[i],
                   confusion_accuracy(&ev->head[i]));
    if (m->has_synergy)
        printf("synergy subset (%s): %lld of %lld right\n",
               m->has_unimodal ? "both unimodal runs wrong" : "both own heads wrong",
               (long long)m->synergy.right, (long long)m->synergy.n);
    printf("confusion (rows: true class)\n");
    for (int label = 0; label < N_LABELS; label++) {
        printf("  %-8s", label_names[label]);
        for (int guess = 0; guess < N_LABELS; guess++)
            printf(" %5lld", (long long)ev->confusion.count[label][guess]);
        printf("\n");
    }
}

/* Manifest of kind "predictions", docs/formats/run.md. */
static enum err_code write_predictions(const struct measured *m, const struct dataset *data,
                                       const char *path, bool force, struct err *e)
{
    const struct evaluation *ev = &m->run.ev;
    struct atomic_file *f = NULL;

    TRY(atomic_file_open(&f, path, force, e));
    TRY(atomic_file_printf(f, e, "#synib-predictions 1\nclip\tdonor\tlabel\tprediction"));
    for (int k = 0; k < N_LABELS; k++)
        TRY(atomic_file_printf(f, e, "\tp_%s", label_names[k]));
    TRY(atomic_file_printf(f, e, "\taudio_prediction\tvideo_prediction\n"));
    for (int64_t i = 0; i < ev->n; i++) {
        struct sample s = {0};

        TRY(dataset_describe(data, i, &s, e));
        TRY(atomic_file_printf(f, e, "%s\t%s\t%s\t%s", s.clip, s.donor, label_names[ev->label[i]],
                               label_names[ev->guess[i]]));
        for (int k = 0; k < N_LABELS; k++)
            TRY(atomic_file_printf(f, e, "\t%.6f", (double)ev->prob[i * N_LABELS + k]));
        for (int j = 0; j < AV_MODALITIES; j++)
            TRY(atomic_file_printf(f, e, "\t%s",
                                   ev->has_head[j] ? label_names[ev->head_guess[j][i]] : ""));
        TRY(atomic_file_printf(f, e, "\n"));
    }
    {
        struct atomic_file *done = f;

        f = NULL;
        TRY(atomic_file_commit(done, e));
    }
out:
    atomic_file_abort(f);
    return e->code;
}

static enum err_code write_outputs(const struct eval_options *opt, const struct measured *m,
                                   const struct dataset *data, const char *text,
                                   const char *metrics, const char *predictions, struct err *e)
{
    TRY(dir_make(opt->out, e));
    TRY(write_predictions(m, data, predictions, opt->cli.force, e));
    TRY(atomic_file_put(metrics, text, strlen(text), opt->cli.force, e));
out:
    return e->code;
}

/* Their paths; files in the way are better known before the measuring than after it. */
static enum err_code name_outputs(const struct eval_options *opt, char **metrics,
                                  char **predictions, struct err *e)
{
    TRY(path_join(metrics, opt->out, "metrics.json", e));
    TRY(path_join(predictions, opt->out, "predictions.tsv", e));
    TRY(atomic_file_check(*metrics, opt->cli.force, e));
    TRY(atomic_file_check(*predictions, opt->cli.force, e));
out:
    return e->code;
}

/* ---- measuring ---- */

/* Runs of the two unimodal models: from --unimodal, or where run.json says the encoders came from.
 * NULLs when neither is known. */
static enum err_code unimodal_folders(char *dir[AV_MODALITIES], const struct eval_options *opt,
                                      const struct run_places *places, struct err *e)
{
    const char *names[AV_MODALITIES] = {method_uni_audio.name, method_uni_video.name};

    for (int i = 0; i < AV_MODALITIES; i++) {
        if (opt->unimodal != NULL)
            TRY(path_join(&dir[i], opt->unimodal, names[i], e));
        else if (places->unimodal[i] != NULL)
            TRY(mem_string(&dir[i], places->unimodal[i], e));
    }
out:
    return e->code;
}

/* Measures the unimodal runs, if they are known. Folders from run.json must still hold the
 * checkpoints that the run started from. */
static enum err_code measure_unimodal(struct measured *m, const struct eval_options *opt,
                                      const struct run_places *places, const struct dataset *data,
                                      struct err *e)
{
    char *dir[AV_MODALITIES] = {NULL, NULL};

    TRY(unimodal_folders(dir, opt, places, e));
    if (dir[AV_AUDIO] == NULL || dir[AV_VIDEO] == NULL)
        goto out;
    for (int i = 0; i < AV_MODALITIES; i++) {
        TRY(scored_run(&m->unimodal[i], dir[i], data, opt->cli.jobs, e));
        if (m->unimodal[i].ev.head_guess[i] == NULL) {
            err_set(e, ERR_DATA, "%s: holds a run of method %s: it has no %s head", dir[i],
                    m->unimodal[i].method, av_modality_name[i]);
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
    for (int i = 0; i < AV_MODALITIES; i++)
        free(dir[i]);
    return e->code;
}

static void measure_synergy(struct measured *m)
{
    const struct evaluation *ev = &m->run.ev;
    const int32_t *head[AV_MODALITIES];

    for (int i = 0; i < AV_MODALITIES; i++) {
        head[i] = m->has_unimodal ? m->unimodal[i].ev.head_guess[i] : ev->head_guess[i];
        if (head[i] == NULL)
            return;
    }
    m->synergy = synergy_count(ev->n, ev->label, head[AV_AUDIO], head[AV_VIDEO], ev->guess);
    m->has_synergy = true;
}

static void warn_other_data(const struct eval_options *opt, const struct scored *run,
                            const char *data, const char *const *bases)
{
    struct dataset *val = NULL;
    struct err why = {0};

    if (dataset_open(&val, data, "val", bases, &why) != ERR_OK ||
        strcmp(dataset_digest(val), run->val_digest) != 0)
        log_warn(&opt->cli.log, "%s: is not the dataset that %s was trained on", data, opt->run);
    dataset_close(val);
}

static enum err_code measure(struct measured *m, const struct eval_options *opt,
                             const struct run_places *places, const struct dataset *data,
                             struct err *e)
{
    TRY(scored_run(&m->run, opt->run, data, opt->cli.jobs, e));
    TRY(measure_unimodal(m, opt, places, data, e));
    measure_synergy(m);
out:
    return e->code;
}

enum err_code eval_run(const struct eval_options *opt, struct err *e)
{
    struct measured m = {0};
    struct run_places places = {0};
    struct dataset *data = NULL;
    const char *path, *const *bases;
    json_t *root = NULL;
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
    TRY(dataset_open(&data, path, opt->split, bases, e));
    if (opt->cli.dry_run) {
        log_note(&opt->cli.log, "%s: would be measured on %lld clips of %s, split %s", opt->run,
                 (long long)dataset_count(data), path, opt->split);
        goto out;
    }
    TRY(measure(&m, opt, &places, data, e));
    if (opt->data != NULL)
        warn_other_data(opt, &m.run, path, bases);
    root = result_json(&m, opt->split, dataset_digest(data));
    text = json_dumps(root, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
    if (text == NULL) {
        err_set(e, ERR_NOMEM, "result: no memory");
        goto out;
    }
    if (opt->out != NULL)
        TRY(write_outputs(opt, &m, data, text, metrics, predictions, e));
    if (opt->cli.json)
        printf("%s\n", text);
    else
        print_table(&m, opt->split);
out:
    free(text);
    free(metrics);
    free(predictions);
    json_decref(root);
    dataset_close(data);
    run_places_free(&places);
    scored_free(&m.run);
    for (int i = 0; i < AV_MODALITIES; i++)
        scored_free(&m.unimodal[i]);
    return e->code;
}
