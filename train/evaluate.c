/* SPDX-License-Identifier: MIT */
#include "train/evaluate.h"

#include "common/base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum err_code keep_arrays(struct evaluation *ev, const struct network *net, int64_t count,
                                 struct err *e)
{
    size_t n = (size_t)count;

    TRY(mem_array(&ev->label, n, sizeof *ev->label, "labels", e));
    TRY(mem_array(&ev->guess, n, sizeof *ev->guess, "predictions", e));
    TRY(mem_array(&ev->prob, n * N_LABELS, sizeof *ev->prob, "probabilities", e));
    for (int i = 0; i < AV_MODALITIES; i++)
        if (net->method->use[i])
            TRY(mem_array(&ev->head_guess[i], n, sizeof *ev->head_guess[i], "predictions", e));
out:
    return e->code;
}

/* log_prob [B, N_LABELS] is the method's prediction of the batch. */
static void count_batch(struct evaluation *ev, const struct method_step *s, const float *log_prob)
{
    for (int64_t b = 0; b < s->batch; b++) {
        const float *row = log_prob + b * N_LABELS;
        int label = s->label[b], guess = metrics_argmax(row, N_LABELS);

        confusion_add(&ev->confusion, label, guess);
        ev->loss -= row[label];
        for (int i = 0; i < AV_MODALITIES; i++) {
            const struct tensor *logits = s->features.logits[i];
            int head;

            if (logits == NULL)
                continue;
            head = metrics_argmax(logits->data + b * N_LABELS, N_LABELS);
            confusion_add(&ev->head[i], label, head);
            if (ev->head_guess[i] != NULL)
                ev->head_guess[i][ev->n] = head;
        }
        if (ev->label != NULL) {
            ev->label[ev->n] = label;
            ev->guess[ev->n] = guess;
            for (int k = 0; k < N_LABELS; k++)
                ev->prob[ev->n * N_LABELS + k] = (float)exp(row[k]);
        }
        ev->n++;
    }
}

static enum err_code check_labels(const struct batch *b, struct err *e)
{
    for (int64_t i = 0; i < b->n; i++)
        if (b->label[i] < 0 || b->label[i] >= N_LABELS)
            return err_set(e, ERR_DATA, "sample %lu: label %ld is not one of 0..%d",
                           (unsigned long)b->sample[i], (long)b->label[i], N_LABELS - 1);
    return ERR_OK;
}

enum err_code evaluate(struct evaluation *ev, struct network *net, struct loader *loader,
                       int64_t count, bool keep, bool (*stop)(void), struct err *e)
{
    float *log_prob = NULL;
    struct batch b;
    int64_t rows = method_stage(net->method, &net->config).batch;

    memset(ev, 0, sizeof *ev);
    confusion_init(&ev->confusion, N_LABELS);
    for (int i = 0; i < AV_MODALITIES; i++) {
        confusion_init(&ev->head[i], N_LABELS);
        ev->has_head[i] = net->method->use[i];
    }
    if (keep)
        TRY(keep_arrays(ev, net, count, e));
    TRY(mem_array(&log_prob, (size_t)rows * N_LABELS, sizeof *log_prob, "predictions", e));
    loader_start(loader, 0, 0);
    for (;;) {
        struct method_step s;

        TRY(loader_next(loader, &b, e));
        if (b.n == 0)
            break;
        if (stop != NULL && stop()) {
            err_set(e, ERR_STOPPED, "stopped on request");
            goto out;
        }
        TRY(check_labels(&b, e));
        tape_begin(net->tape, 0);
        tape_no_grad_begin(net->tape);
        s = network_encode(net, &b, 0);
        net->method->predict(&s, log_prob);
        tape_no_grad_end(net->tape);
        TRY(tape_error(net->tape, e));
        count_batch(ev, &s, log_prob);
    }
    ev->loss /= (double)ev->n;
    if (!isfinite(ev->loss))
        err_set(e, ERR_NONFINITE, "the loss on %lld held-out samples is not finite",
                (long long)ev->n);
out:
    free(log_prob);
    return e->code;
}

void evaluation_free(struct evaluation *ev)
{
    free(ev->label);
    free(ev->guess);
    free(ev->prob);
    for (int i = 0; i < AV_MODALITIES; i++)
        free(ev->head_guess[i]);
    memset(ev, 0, sizeof *ev);
}
