/* SPDX-License-Identifier: MIT */
#include "bench/lib/measure.h"
#include "bench/lib/resnet18.h"
#include "common/base/cli.h"
#include "common/base/mem.h"
#include "common/base/parallel.h"
#include "common/nn/optim.h"
#include "common/nn/tape.h"
#include "train/models/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One training step (forward, backward, Adam) of the paper's networks on random input, on threads
 * that wait as synib-train's do. Prints one line per run for bench/step.sh: what, branch, batch,
 * threads, median wall and CPU seconds, GFLOP of a step and GFLOP/s in % of the float32
 * multiply-add peak. The operations are those of direct convolutions (resnet18_flop), so Winograd's
 * may pass 100 %; nothing else is counted. */

enum { CLASSES = 7, FRAMES = 3, MAX_STEPS = 1000 };
enum branch { AUDIO, VIDEO, BOTH };
static const char *const BRANCHES[] = {"audio", "video", "both", NULL};

struct options {
    struct cli cli;
    int branch, precision;
    int64_t batch, steps;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    enum err_code rc = ERR_OK;

    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->cli; return 0;
    case 'm': rc = cli_choice(&o->branch, arg, BRANCHES, "--branch", o->cli.err); break;
    case 'p':
        rc = cli_choice(&o->precision, arg, nn_precision_names, "--precision", o->cli.err);
        break;
    case 'b': rc = cli_int(&o->batch, arg, 1, 4096, "--batch", o->cli.err); break;
    case 'n': rc = cli_int(&o->steps, arg, 1, MAX_STEPS, "--steps", o->cli.err); break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return rc == ERR_OK ? 0 : EINVAL;
}

struct bench {
    struct nn *nn;
    struct tape *tape;
    struct params *ps;
    struct model *model;
    struct optim optim;
    float *data[MODALITIES_MAX];
    int32_t *labels;
    uint32_t *rows;
};

static enum err_code fill(float **data, int64_t count, struct err *e)
{
    TRY(mem_aligned(data, (size_t)count, sizeof **data, "input", e));
    for (int64_t i = 0; i < count; i++)
        (*data)[i] = (float)(i * 7919 % 2003) / 1001 - 1;
out:
    return e->code;
}

static enum err_code build(struct bench *b, const struct options *o, struct err *e)
{
    struct model_options opt = model_options_paper;

    opt.modality[AUDIO].use = o->branch != VIDEO;
    opt.modality[VIDEO].use = o->branch != AUDIO;
    opt.fusion = o->branch == BOTH;
    opt.detach_heads = o->branch == BOTH;
    b->optim = (struct optim){0.9, 0.999, 1e-7, 1e-4, 0};
    TRY(nn_new(&b->nn, o->cli.jobs > 0 ? o->cli.jobs : parallel_cores(), e));
    TRY(nn_set_precision(b->nn, o->precision, e));
    TRY(tape_new(&b->tape, b->nn, e));
    TRY(params_new(&b->ps, e));
    TRY(model_new(&b->model, &opt, b->ps, e));
    TRY(params_build(b->ps, e));
    model_init(b->model, o->cli.seed);
    for (int m = 0; m < opt.modalities; m++)
        if (opt.modality[m].use)
            TRY(fill(&b->data[m], o->batch * model_inputs(b->model, m), e));
    TRY(mem_array(&b->labels, (size_t)o->batch, sizeof *b->labels, "labels", e));
    TRY(mem_array(&b->rows, (size_t)o->batch, sizeof *b->rows, "rows", e));
    for (int64_t i = 0; i < o->batch; i++)
        b->labels[i] = (int32_t)(i % CLASSES), b->rows[i] = (uint32_t)i;
out:
    return e->code;
}

static void release(struct bench *b)
{
    model_free(b->model);
    params_free(b->ps);
    tape_free(b->tape);
    nn_free(b->nn);
    for (int m = 0; m < MODALITIES_MAX; m++)
        free(b->data[m]);
    free(b->labels);
    free(b->rows);
}

static enum err_code step(struct bench *b, const struct options *o, struct err *e)
{
    struct noise_key key = {.seed = o->cli.seed, .row = b->rows};
    struct features f;
    struct tensor *logits;

    tape_begin(b->tape, TAPE_TRAIN);
    f = model_encode(b->model, b->tape, o->batch, (const float *const *)b->data, &key);
    if (o->branch == BOTH)
        logits = model_fuse(b->model, b->tape, f.z, &key).prediction;
    else
        logits = f.unimodal[o->branch];
    TRY(tape_gradients(b->tape, op_cross_entropy(b->tape, logits, b->labels), b->ps, e));
    TRY(optim_step(&b->optim, b->nn, b->ps, 1e-4, e));
out:
    return e->code;
}

static enum err_code run(const struct options *o, struct err *e)
{
    struct bench b = {0};
    double wall[MAX_STEPS], cpu[MAX_STEPS], flop = 0, peak, median_wall;

    TRY(build(&b, o, e));
    TRY(step(&b, o, e)); /* makes the primitives and buffers */
    for (int64_t i = 0; i < o->steps; i++) {
        double wall0 = seconds(CLOCK_MONOTONIC), cpu0 = seconds(CLOCK_PROCESS_CPUTIME_ID);
        TRY(step(&b, o, e));
        wall[i] = seconds(CLOCK_MONOTONIC) - wall0;
        cpu[i] = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu0;
    }
    if (o->branch != VIDEO)
        flop += resnet18_flop(o->batch, true);
    if (o->branch != AUDIO)
        flop += resnet18_flop(o->batch * FRAMES, false);
    peak = peak_gflops(nn_threads(b.nn));
    median_wall = median(wall, o->steps);
    printf("synib\t%s\t%lld\t%d\t%.4f\t%.4f\t%.0f\t%.1f\n", BRANCHES[o->branch],
           (long long)o->batch, nn_threads(b.nn), median_wall, median(cpu, o->steps), flop * 1e-9,
           100 * flop * 1e-9 / median_wall / peak);
out:
    release(&b);
    return e->code;
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"branch", 'm', "NAME", 0, "audio, video or both (default both)", 0},
        {"batch", 'b', "N", 0, "samples; a video sample is 3 frames (default 16)", 0},
        {"precision", 'p', "NAME", 0, "float32 or bfloat16 (default float32)", 0},
        {"steps", 'n', "N", 0, "timed steps, after one that is not (default 3)", 0},
        {0},
    };
    static const struct argp_child children[] = {CLI_CHILD, {0}};
    static const struct argp argp = {options,
                                     parse,
                                     NULL,
                                     "Times training steps at the paper's size.\v"
                                     "Example:\n  bench-step -m video -b 16 -j 2\n"
                                     "Exit codes: 0 done, 1 failed, 2 bad command line.",
                                     children,
                                     NULL,
                                     NULL};
    struct options o = {.branch = BOTH, .batch = 16, .steps = 3};
    struct err e = {0};

    parallel_sleep_when_idle(argv);
    TRY(cli_parse(&argp, argc, argv, "bench-step", &o.cli, &o, &e));
    TRY(run(&o, &e));
out:
    return cli_finish("bench-step", &e);
}
