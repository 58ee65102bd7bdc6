/* SPDX-License-Identifier: MIT */
#include "train/eval_report.h"

#include "common/base/atomic_file.h"
#include "common/data/json.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- JSON ---- */

static json_t *f1_by_class(const struct measured *m)
{
    json_t *object = json_object();

    for (int k = 0; k < m->run.ev.classes; k++)
        json_object_set_new(object, data_class(m->data, k),
                            json_real(confusion_f1(&m->run.ev.confusion, k)));
    return object;
}

static json_t *real_or_null(double x)
{
    return isnan(x) ? json_null() : json_real(x);
}

static json_t *recall_by_class(const struct measured *m)
{
    json_t *object = json_object();

    for (int k = 0; k < m->run.ev.classes; k++)
        json_object_set_new(object, data_class(m->data, k),
                            real_or_null(confusion_recall(&m->run.ev.confusion, k)));
    return object;
}

/* Recall of irony by the emotion that the face shows. */
static json_t *irony_recall(const struct measured *m)
{
    const struct evaluation *ev = &m->run.ev;
    json_t *object = json_object();

    for (int k = 0; k < N_EMOTIONS; k++) {
        json_t *one = json_object();
        int64_t n = 0, right = 0;

        for (int64_t i = 0; i < ev->n; i++) {
            n += ev->label[i] == LABEL_IRONY && m->base_label[i] == k;
            right +=
                ev->label[i] == LABEL_IRONY && m->base_label[i] == k && ev->guess[i] == LABEL_IRONY;
        }
        json_object_set_new(one, "n", json_integer(n));
        json_object_set_new(one, "recall",
                            n > 0 ? json_real((double)right / (double)n) : json_null());
        json_object_set_new(object, data_class(m->data, k), one);
    }
    return object;
}

static json_t *class_names(const struct measured *m)
{
    json_t *names = json_array();

    for (int k = 0; k < m->run.ev.classes; k++)
        json_array_append_new(names, json_string(data_class(m->data, k)));
    return names;
}

static json_t *confusion_rows(const struct confusion *c)
{
    json_t *rows = json_array();

    for (int label = 0; label < c->classes; label++) {
        json_t *row = json_array();

        for (int guess = 0; guess < c->classes; guess++)
            json_array_append_new(row, json_integer(c->count[label][guess]));
        json_array_append_new(rows, row);
    }
    return rows;
}

/* Accuracy of the unimodal heads of the run itself; null where it has none. */
static json_t *head_accuracies(const struct measured *m)
{
    const struct evaluation *ev = &m->run.ev;
    json_t *heads = json_object();

    for (int i = 0; i < data_modalities(m->data); i++)
        json_object_set_new(heads, data_modality(m->data, i),
                            ev->has_head[i] ? json_real(confusion_accuracy(&ev->head[i]))
                                            : json_null());
    return heads;
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

static json_t *sources_json(const struct measured *m)
{
    const struct evaluation *ev = &m->run.ev;
    json_t *sources = json_object();

    for (int g = 0; g < ev->sources; g++) {
        const struct source_sum *s = &ev->source[g];
        json_t *one = json_object();

        json_object_set_new(one, "n", json_integer(s->n));
        if (ev->classes > 0)
            json_object_set_new(one, "accuracy",
                                s->n > 0 ? json_real(source_accuracy(s)) : json_null());
        json_object_set_new(one, "loss", s->n > 0 ? json_real(source_loss(s)) : json_null());
        json_object_set_new(sources, data_source(m->data, g), one);
    }
    return sources;
}

static void add_class_results(json_t *root, const struct measured *m)
{
    const struct confusion *c = &m->run.ev.confusion;

    json_object_set_new(root, "accuracy", json_real(confusion_accuracy(c)));
    json_object_set_new(root, "macro_f1", json_real(confusion_macro_f1(c)));
    json_object_set_new(root, "kappa", real_or_null(confusion_kappa(c)));
    json_object_set_new(root, "ece", json_real(calibration_error(&m->run.ev.calibration)));
    json_object_set_new(root, "loss", json_real(m->run.ev.loss));
    json_object_set_new(root, "f1", f1_by_class(m));
    json_object_set_new(root, "recall", recall_by_class(m));
    if (m->base_label != NULL)
        json_object_set_new(root, "irony_recall_by_emotion", irony_recall(m));
    json_object_set_new(root, "classes", class_names(m));
    json_object_set_new(root, "confusion", confusion_rows(c));
    json_object_set_new(root, "unimodal", head_accuracies(m));
    json_object_set_new(root, "synergy", synergy_json(m));
}

enum err_code eval_json(char **text, const struct measured *m, struct err *e)
{
    const struct evaluation *ev = &m->run.ev;
    json_t *root = json_object();

    json_begin();
    json_object_set_new(root, "method", json_string(m->run.method));
    json_object_set_new(root, "seed", json_integer((json_int_t)m->run.seed));
    json_object_set_new(root, "epoch", json_integer(m->run.epoch));
    json_object_set_new(root, "step", json_integer(m->run.step));
    json_object_set_new(root, "checkpoint", json_string(m->run.digest));
    json_object_set_new(root, "split", json_string(m->split));
    json_object_set_new(root, "data", json_string(data_digest(m->data)));
    json_object_set_new(root, "n", json_integer(ev->n));
    if (ev->classes > 0) {
        add_class_results(root, m);
    } else {
        json_object_set_new(root, "mse", json_real(ev->mse));
        json_object_set_new(root, "r2", json_real(ev->r2));
        json_object_set_new(root, "loss", json_real(ev->loss));
    }
    if (ev->sources > 0)
        json_object_set_new(root, "sources", sources_json(m));
    *text = json_write(root, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
    json_decref(root);
    return *text != NULL ? ERR_OK : err_set(e, ERR_NOMEM, "result: no memory");
}

/* ---- text ---- */

static void print_classes(const struct measured *m)
{
    const struct evaluation *ev = &m->run.ev;

    printf("accuracy  %.4f\nmacro F1  %.4f\n", confusion_accuracy(&ev->confusion),
           confusion_macro_f1(&ev->confusion));
    printf("kappa     %.4f\ncalibration error %.4f\n", confusion_kappa(&ev->confusion),
           calibration_error(&ev->calibration));
    for (int k = 0; k < ev->classes; k++)
        printf("  F1 %-8s %.4f\n", data_class(m->data, k), confusion_f1(&ev->confusion, k));
    for (int i = 0; i < data_modalities(m->data); i++)
        if (ev->has_head[i])
            printf("%s head alone: accuracy %.4f\n", data_modality(m->data, i),
                   confusion_accuracy(&ev->head[i]));
    if (m->has_synergy)
        printf("synergy subset (%s): %lld of %lld right\n",
               m->has_unimodal ? "all unimodal runs wrong" : "all own heads wrong",
               (long long)m->synergy.right, (long long)m->synergy.n);
    printf("confusion (rows: true class)\n");
    for (int label = 0; label < ev->classes; label++) {
        printf("  %-8s", data_class(m->data, label));
        for (int guess = 0; guess < ev->classes; guess++)
            printf(" %5lld", (long long)ev->confusion.count[label][guess]);
        printf("\n");
    }
}

void eval_print(const struct measured *m)
{
    const struct evaluation *ev = &m->run.ev;

    printf("%s, %s split, %lld samples, checkpoint of epoch %lld\n", m->run.method, m->split,
           (long long)ev->n, (long long)m->run.epoch);
    if (ev->classes > 0)
        print_classes(m);
    else
        printf("mean squared error %.6g, R^2 %.4f\n", ev->mse, ev->r2);
    printf("loss %.6g\n", ev->loss);
    for (int g = 0; g < ev->sources; g++) {
        const struct source_sum *s = &ev->source[g];

        if (s->n == 0)
            continue;
        printf("source %-12s %6lld samples", data_source(m->data, g), (long long)s->n);
        if (ev->classes > 0)
            printf(", accuracy %.4f", source_accuracy(s));
        printf(", loss %.6g\n", source_loss(s));
    }
}

/* ---- predictions ---- */

/* Who the sample is, and what it should be. */
static enum err_code put_sample(struct atomic_file *f, const struct measured *m, int64_t i,
                                struct err *e)
{
    const struct vectors *v = data_vectors(m->data);
    struct sample s = {0};

    if (v == NULL) {
        TRY(dataset_describe(data_media(m->data), i, &s, e));
        TRY(atomic_file_printf(f, e, "%s\t%s", s.clip, s.donor));
        goto out;
    }
    TRY(atomic_file_printf(f, e, "%lld", (long long)i));
    if (v->sources > 0)
        TRY(atomic_file_printf(f, e, "\t%s", data_source(m->data, v->source[i])));
    for (int k = 0; k < v->targets; k++)
        TRY(atomic_file_printf(f, e, "\t%.9g", (double)v->target[i * v->targets + k]));
out:
    return e->code;
}

static enum err_code put_prediction(struct atomic_file *f, const struct measured *m, int64_t i,
                                    struct err *e)
{
    const struct evaluation *ev = &m->run.ev;

    if (ev->classes > 0)
        TRY(atomic_file_printf(f, e, "\t%s\t%s", data_class(m->data, ev->label[i]),
                               data_class(m->data, ev->guess[i])));
    for (int k = 0; k < ev->width; k++)
        TRY(atomic_file_printf(f, e, ev->classes > 0 ? "\t%.6f" : "\t%.9g",
                               (double)ev->readout[i * ev->width + k]));
    for (int j = 0; j < data_modalities(m->data) && ev->classes > 0; j++)
        TRY(atomic_file_printf(f, e, "\t%s",
                               ev->has_head[j] ? data_class(m->data, ev->head_guess[j][i]) : ""));
    if (m->base_label != NULL)
        TRY(atomic_file_printf(f, e, "\t%s", data_class(m->data, m->base_label[i])));
    TRY(atomic_file_printf(f, e, "\n"));
out:
    return e->code;
}

static enum err_code put_header(struct atomic_file *f, const struct measured *m, struct err *e)
{
    const struct evaluation *ev = &m->run.ev;
    int numbers = ev->width / 2;

    TRY(atomic_file_printf(f, e, "#synib-predictions 1\n%s",
                           data_media(m->data) != NULL ? "clip\tdonor"
                           : ev->sources > 0           ? "sample\tsource"
                                                       : "sample"));
    if (ev->classes > 0)
        TRY(atomic_file_printf(f, e, "\tlabel\tprediction"));
    for (int k = 0; k < ev->classes; k++)
        TRY(atomic_file_printf(f, e, "\tp_%s", data_class(m->data, k)));
    for (int j = 0; j < data_modalities(m->data) && ev->classes > 0; j++)
        TRY(atomic_file_printf(f, e, "\t%s_prediction", data_modality(m->data, j)));
    if (m->base_label != NULL)
        TRY(atomic_file_printf(f, e, "\tbase_label"));
    for (int k = 0; k < numbers && ev->classes == 0; k++)
        TRY(atomic_file_printf(f, e, "\ttarget_%d", k));
    for (int k = 0; k < numbers && ev->classes == 0; k++)
        TRY(atomic_file_printf(f, e, "\tmean_%d", k));
    for (int k = 0; k < numbers && ev->classes == 0; k++)
        TRY(atomic_file_printf(f, e, "\tlog_variance_%d", k));
    TRY(atomic_file_printf(f, e, "\n"));
out:
    return e->code;
}

enum err_code eval_predictions(const struct measured *m, const char *path, bool force,
                               struct err *e)
{
    struct atomic_file *f = NULL, *done;

    TRY(atomic_file_open_part(&f, path, force, e));
    TRY(put_header(f, m, e));
    for (int64_t i = 0; i < m->run.ev.n; i++) {
        TRY(put_sample(f, m, i, e));
        TRY(put_prediction(f, m, i, e));
    }
    done = f;
    f = NULL;
    TRY(atomic_file_commit(done, e));
out:
    atomic_file_abort(f);
    return e->code;
}
