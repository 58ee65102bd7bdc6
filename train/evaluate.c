/* SPDX-License-Identifier: MIT */
#include "train/evaluate.h"

#include "common/base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a pass needs besides its result. */
struct pass {
    struct evaluation *ev;
    const struct network *net;
    float *readout, *head_readout;                             /* of one batch */
    double target_sum, target_squares, error_squares, targets; /* of numbers */
};

static enum err_code keep_arrays(struct evaluation *ev, int64_t count, int width, struct err *e)
{
    size_t n = (size_t)count;

    TRY(mem_array(&ev->label, n, sizeof *ev->label, "labels", e));
    TRY(mem_array(&ev->guess, n, sizeof *ev->guess, "predictions", e));
    TRY(mem_array(&ev->readout, n * (size_t)width, sizeof *ev->readout, "predictions", e));
    for (int m = 0; m < MODALITIES_MAX; m++)
        if (ev->has_head[m])
            TRY(mem_array(&ev->head_guess[m], n, sizeof *ev->head_guess[m], "predictions", e));
out:
    return e->code;
}

static void count_numbers(struct pass *p, const struct method_step *s)
{
    int64_t count = s->batch->n * (p->ev->width / 2);
    int numbers = p->ev->width / 2;

    for (int64_t i = 0; i < count; i++) {
        double y = (double)s->batch->aim.target[i];
        double off = (double)p->readout[i / numbers * p->ev->width + i % numbers] - y;

        p->target_sum += y;
        p->target_squares += y * y;
        p->error_squares += off * off;
    }
    p->targets += (double)count;
}

/* Heads' guesses of the whole batch; their readout is of the same family as the method's. */
static void count_heads(struct pass *p, const struct method_step *s)
{
    struct evaluation *ev = p->ev;

    for (int m = 0; m < MODALITIES_MAX; m++) {
        if (s->features.unimodal[m] == NULL)
            continue;
        predict_readout(s, s->features.unimodal[m], p->head_readout);
        for (int64_t b = 0; b < s->batch->n; b++) {
            int head = metrics_argmax(p->head_readout + b * ev->width, ev->classes);

            confusion_add(&ev->head[m], s->batch->aim.label[b], head);
            if (ev->head_guess[m] != NULL)
                ev->head_guess[m][ev->n + b] = head;
        }
    }
}

static void keep_sample(struct evaluation *ev, const float *row, int label, int guess)
{
    ev->label[ev->n] = label;
    ev->guess[ev->n] = guess;
    for (int k = 0; k < ev->width; k++)
        ev->readout[ev->n * ev->width + k] = ev->classes > 0 ? (float)exp((double)row[k]) : row[k];
}

static void count_batch(struct pass *p, const struct method_step *s)
{
    struct evaluation *ev = p->ev;

    if (ev->classes > 0)
        count_heads(p, s);
    else
        count_numbers(p, s);
    for (int64_t b = 0; b < s->batch->n; b++) {
        const float *row = p->readout + b * ev->width;
        double nll = p->net->objective->sample_nll(ev->width, row, &s->batch->aim, b);
        int label = 0, guess = 0;

        ev->loss += nll;
        if (ev->classes > 0) {
            label = s->batch->aim.label[b];
            guess = metrics_argmax(row, ev->classes);
            confusion_add(&ev->confusion, label, guess);
            calibration_add(&ev->calibration, exp((double)row[guess]), guess == label);
        }
        if (ev->sources > 0) {
            struct source_sum *source = &ev->source[s->batch->source[b]];

            source->n++;
            source->right += ev->classes > 0 && guess == label;
            source->loss += nll;
        }
        if (ev->label != NULL)
            keep_sample(ev, row, label, guess);
        ev->n++;
    }
}

static enum err_code check_labels(const struct batch *b, int classes, struct err *e)
{
    for (int64_t i = 0; classes > 0 && i < b->n; i++)
        if (b->aim.label[i] < 0 || b->aim.label[i] >= classes)
            return err_set(e, ERR_DATA, "sample %lu: label %ld is not one of 0..%d",
                           (unsigned long)b->sample[i], (long)b->aim.label[i], classes - 1);
    return ERR_OK;
}

static enum err_code run_batch(struct pass *p, struct network *net, const struct batch *b,
                               struct err *e)
{
    struct method_step s;

    TRY(check_labels(b, p->ev->classes, e));
    tape_begin(net->tape, 0);
    tape_no_grad_begin(net->tape);
    s = network_encode(net, b, 0, 0);
    net->method->predict(&s, p->readout);
    tape_no_grad_end(net->tape);
    TRY(tape_error(net->tape, e));
    count_batch(p, &s);
out:
    return e->code;
}

static void finish(struct pass *p)
{
    struct evaluation *ev = p->ev;
    double mean = p->target_sum / p->targets;
    double variance = p->target_squares / p->targets - mean * mean;

    ev->loss /= (double)ev->n;
    if (ev->classes == 0) {
        ev->mse = p->error_squares / p->targets;
        ev->r2 = variance > 0 ? 1 - ev->mse / variance : 0;
    }
}

enum err_code evaluate(struct evaluation *ev, struct network *net, struct loader *loader,
                       const struct data *data, bool keep, bool (*stop)(void), struct err *e)
{
    const struct model_options *model = model_opt(net->model);
    int64_t rows = loader_batch_size(loader);
    struct pass p = {.ev = ev, .net = net};
    struct batch b;

    memset(ev, 0, sizeof *ev);
    ev->classes = data_classes(data);
    ev->sources = data_sources(data);
    ev->width = net->readout_width;
    confusion_init(&ev->confusion, ev->classes > 0 ? ev->classes : 1);
    for (int m = 0; m < model->modalities; m++) {
        confusion_init(&ev->head[m], ev->confusion.classes);
        ev->has_head[m] = ev->classes > 0 && model->modality[m].use;
    }
    if (keep)
        TRY(keep_arrays(ev, data_count(data), ev->width, e));
    TRY(mem_array(&p.readout, (size_t)(rows * ev->width), sizeof *p.readout, "predictions", e));
    TRY(mem_array(&p.head_readout, (size_t)(rows * ev->width), sizeof *p.readout, "predictions",
                  e));
    loader_start(loader, 0, 0);
    for (;;) {
        TRY(loader_next(loader, &b, e));
        if (b.n == 0)
            break;
        if (stop != NULL && stop()) {
            err_set(e, ERR_STOPPED, "stopped on request");
            goto out;
        }
        TRY(run_batch(&p, net, &b, e));
    }
    finish(&p);
    if (!isfinite(ev->loss))
        err_set(e, ERR_NONFINITE, "the loss on %lld held-out samples is not finite",
                (long long)ev->n);
out:
    free(p.readout);
    free(p.head_readout);
    return e->code;
}

void evaluation_free(struct evaluation *ev)
{
    free(ev->label);
    free(ev->guess);
    free(ev->readout);
    for (int m = 0; m < MODALITIES_MAX; m++)
        free(ev->head_guess[m]);
    memset(ev, 0, sizeof *ev);
}

double source_accuracy(const struct source_sum *s)
{
    return s->n > 0 ? (double)s->right / (double)s->n : NAN;
}

double source_loss(const struct source_sum *s)
{
    return s->n > 0 ? s->loss / (double)s->n : NAN;
}
