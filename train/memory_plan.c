/* SPDX-License-Identifier: MIT */
#include "train/memory_plan.h"

#include "common/base/mem.h"
#include "train/step.h"

#include <stdlib.h>

enum { KINDS_MAX = 4 * MODALITIES_MAX }; /* of steps: more than any method has */

/* A batch of nothing in particular. Zeroed = empty. */
struct blank {
    struct batch batch;
    float *x[MODALITIES_MAX], *oracle[MODALITIES_MAX], *target, *readout;
    int32_t *label;
    uint32_t *sample;
};

static enum err_code filled(float **out, int64_t rows, int64_t width, float value, struct err *e)
{
    size_t count;

    if (!mem_size((size_t)rows, (size_t)width, &count))
        return err_set(e, ERR_NOMEM, "a batch of %lld samples: use a smaller batch",
                       (long long)rows);
    TRY(mem_aligned(out, count, sizeof **out, "batch", e));
    for (size_t i = 0; i < count; i++)
        (*out)[i] = value;
out:
    return e->code;
}

/* Labels go round, as some losses pair samples of different ones; oracles mark everything. */
static enum err_code blank_new(struct blank *b, const struct network *net, int64_t n, bool oracle,
                               struct err *e)
{
    const struct model_options *model = model_opt(net->model);
    int classes = model->outputs > 1 ? model->outputs : 2;

    for (int m = 0; m < model->modalities; m++) {
        if (!model->modality[m].use)
            continue;
        TRY(filled(&b->x[m], n, model_inputs(net->model, m), 0, e));
        b->batch.x[m] = b->x[m];
        if (oracle)
            TRY(filled(&b->oracle[m], n, model_inputs(net->model, m), 1, e));
        b->batch.oracle[m] = b->oracle[m];
    }
    TRY(filled(&b->target, n, model->outputs, 0, e));
    TRY(filled(&b->readout, n, net->readout_width, 0, e));
    TRY(mem_array(&b->label, (size_t)n, sizeof *b->label, "batch", e));
    TRY(mem_array(&b->sample, (size_t)n, sizeof *b->sample, "batch", e));
    for (int64_t i = 0; i < n; i++) {
        b->label[i] = (int32_t)(i % classes);
        b->sample[i] = (uint32_t)i;
    }
    b->batch.n = n;
    b->batch.aim = (struct aim){.label = b->label, .target = b->target};
    b->batch.sample = b->sample;
out:
    return e->code;
}

static void blank_free(struct blank *b)
{
    for (int m = 0; m < MODALITIES_MAX; m++) {
        free(b->x[m]);
        free(b->oracle[m]);
    }
    free(b->target);
    free(b->readout);
    free(b->label);
    free(b->sample);
}

/* What distinguishes the steps of one epoch from those of another: what learns, and how. */
static uint64_t kind_of(struct network *net, int64_t epoch)
{
    uint64_t kind = net->method->stage(&net->config, net->model, net->params, epoch);

    for (int i = 0; i < params_count(net->params); i++)
        kind = kind * 1099511628211u + params_at(net->params, i)->frozen;
    return kind;
}

/* A step of every kind: a method with stages has them in an order of its own. */
static enum err_code plan_steps(struct network *net, const struct blank *b, struct err *e)
{
    const struct method *m = net->method;
    int64_t epochs = m->stage != NULL ? method_stage(m, &net->config).epochs : 1;
    bool keep = method_measures_ntk(m, &net->config);
    uint64_t seen[KINDS_MAX];
    struct step_report report;
    struct method_step s;
    int kinds = 0;

    for (int64_t epoch = 0; epoch < epochs && kinds < KINDS_MAX; epoch++) {
        uint64_t kind = m->stage != NULL ? kind_of(net, epoch) : 0;
        int k = 0;

        while (k < kinds && seen[k] != kind)
            k++;
        if (k < kinds)
            continue;
        seen[kinds++] = kind;
        TRY(step_gradients(&s, &report, net, &b->batch, 0, epoch, keep, e));
    }
out:
    return e->code;
}

static enum err_code plan_evaluation(struct network *net, const struct blank *b, struct err *e)
{
    struct method_step s;

    tape_begin(net->tape, PASS_EVALUATION);
    tape_no_grad_begin(net->tape);
    s = network_encode(net, &b->batch, 0, 0);
    net->method->predict(&s, b->readout);
    tape_no_grad_end(net->tape);
    return tape_error(net->tape, e);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Batches as the run's loaders will give them. */
static enum err_code blanks(struct blank *step, struct blank *evaluation, const struct network *net,
                            const struct data *train, const struct data *val, struct err *e)
{
    const struct method *m = net->method;
    struct loader_options opt = method_loader(m, &net->config, train, true, 0, 1);
    int64_t most = data_count(val);

    if (method_reads_train_again(m, &net->config) && data_count(train) > most)
        most = data_count(train);
    if (m->trains)
        TRY(blank_new(step, net, least(opt.batch, data_count(train)), opt.oracle != ORACLE_NONE,
                      e));
    opt = method_loader(m, &net->config, val, false, 0, 1);
    TRY(blank_new(evaluation, net, least(opt.batch, most), false, e));
out:
    return e->code;
}

enum err_code network_plan(struct network *net, const struct data *train, const struct data *val,
                           struct err *e)
{
    struct param_snapshot *before = NULL;
    struct blank step = {0}, evaluation = {0};

    nn_set_planning(net->nn, true);
    TRY(params_snapshot(net->params, &before, e)); /* a step moves running moments of features */
    TRY(blanks(&step, &evaluation, net, train, val, e));
    for (int round = 0; round < 2; round++) { /* the second finds its places in the one piece */
        if (round > 0) {
            TRY(tape_settle(net->tape, e));
            TRY(tape_settle(net->inner, e));
        }
        if (step.batch.n > 0)
            TRY(plan_steps(net, &step, e));
        TRY(plan_evaluation(net, &evaluation, e));
    }
out:
    nn_set_planning(net->nn, false);
    if (before != NULL)
        params_restore(net->params, before);
    params_snapshot_free(before);
    blank_free(&step);
    blank_free(&evaluation);
    return err_in(e, "planning the steps");
}
