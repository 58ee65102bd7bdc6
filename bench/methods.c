/* SPDX-License-Identifier: MIT */
#include "bench/lib/measure.h"
#include "common/base/cli.h"
#include "common/base/parallel.h"
#include "common/nn/optim.h"
#include "train/step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Seconds per training step of every method on one batch of real data, methods in turn. Prints a
 * table: method, batch, threads, median, smallest and largest seconds per step, median relative to
 * vanilla. Loading is not part of it. scripts/table1 reads it, and docs/performance.md shows it. */

enum { MAX_ROUNDS = 100, STAGES = 4 };

/* What is measured: a method, its mask, and for ReconBoost the stages of one cycle. */
static const struct subject {
    const char *name, *method, *mask;
    int stages;
} SUBJECTS[] = {
    {"vanilla", "vanilla", NULL, 1},
    {"uni-video", "uni-video", NULL, 1},
    {"uni-audio", "uni-audio", NULL, 1},
    {"dnr", "dnr", NULL, 1},
    {"mmpareto", "mmpareto", NULL, 1},
    {"reconboost", "reconboost", NULL, STAGES},
    {"mcr", "mcr", NULL, 1},
    {"synib", "synib", "random", 1},
    {"synib learned", "synib", "learned", 1},
    {"masking-only", "masking-only", "random", 1},
};
enum { N_SUBJECTS = sizeof SUBJECTS / sizeof SUBJECTS[0], VANILLA = 0 };

struct options {
    struct cli cli;
    const char *data, *preset;
    int64_t batch, rounds, steps;
    bool only[N_SUBJECTS];
    bool some; /* of only[] */
};

static bool wanted(const struct options *o, int subject)
{
    return !o->some || o->only[subject] || subject == VANILLA;
}

static enum err_code choose(struct options *o, const char *name)
{
    const char *names[N_SUBJECTS + 1] = {0};
    int chosen;

    for (int i = 0; i < N_SUBJECTS; i++)
        names[i] = SUBJECTS[i].name;
    if (cli_choice(&chosen, name, names, "--only", o->cli.err) != ERR_OK)
        return o->cli.err->code;
    o->only[chosen] = o->some = true;
    return ERR_OK;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    enum err_code rc = ERR_OK;

    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->cli; return 0;
    case 'p': o->preset = arg; return 0;
    case 'b': rc = cli_int(&o->batch, arg, 2, 4096, "--batch", o->cli.err); break;
    case 'r': rc = cli_int(&o->rounds, arg, 1, MAX_ROUNDS, "--rounds", o->cli.err); break;
    case 'n': rc = cli_int(&o->steps, arg, 1, 1000, "--steps", o->cli.err); break;
    case 'o': rc = choose(o, arg); break;
    case ARGP_KEY_ARG: o->data = arg; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
    return rc == ERR_OK ? 0 : EINVAL;
}

static enum err_code one_step(struct network *net, struct optim *optim, const struct batch *b,
                              int64_t epoch, struct err *e)
{
    struct step_report report;
    struct method_step s;

    TRY(step_gradients(&s, &report, net, b, (uint32_t)optim->step, epoch, false, e));
    TRY(optim_step(optim, net->nn, net->params, 1e-5, e));
out:
    return e->code;
}

/* Mean seconds per step, after one that makes the buffers; of a method with stages over all of
 * them. */
static enum err_code measure(double *mean, const struct subject *x, const struct options *o,
                             const struct data *data, struct err *e)
{
    const char *none[] = {NULL};
    struct optim optim = {0.9, 0.999, 1e-7, 1e-4, 0};
    struct network net = {0};
    struct loader *loader = NULL;
    struct loader_options lo;
    const struct method *m;
    struct config c;
    struct batch b;

    *mean = 0;
    TRY(method_find(&m, x->method, e));
    TRY(config_resolve(&c, o->preset, x->method, x->mask, none, e));
    TRY(network_init(&net, m, &c, o->cli.seed, data, o->cli.jobs, e));
    lo = method_loader(m, &c, data, true, o->cli.seed, o->cli.jobs);
    lo.batch = o->batch;
    TRY(loader_new(&loader, data, &lo, e));
    loader_start(loader, 0, 0);
    TRY(loader_next(loader, &b, e));
    for (int stage = 0; stage < x->stages; stage++) {
        int64_t epoch = stage * c.boost_epochs;
        double begun;

        TRY(one_step(&net, &optim, &b, epoch, e));
        begun = seconds(CLOCK_MONOTONIC);
        for (int64_t i = 0; i < o->steps; i++)
            TRY(one_step(&net, &optim, &b, epoch, e));
        *mean += (seconds(CLOCK_MONOTONIC) - begun) / (double)(o->steps * x->stages);
    }
out:
    loader_free(loader);
    network_free(&net);
    return e->code;
}

static enum err_code run(const struct options *o, struct err *e)
{
    static double taken[N_SUBJECTS][MAX_ROUNDS];
    struct data *data = NULL;
    double vanilla = 0;

    TRY(data_open(&data, o->data, "train", NULL, e));
    for (int64_t r = 0; r < o->rounds; r++)
        for (int i = 0; i < N_SUBJECTS; i++)
            if (wanted(o, i))
                TRY(measure(&taken[i][r], &SUBJECTS[i], o, data, e));
    printf("method\tbatch\tthreads\tmedian_s\tleast_s\tmost_s\trelative\n");
    for (int i = 0; i < N_SUBJECTS; i++) {
        double *v = taken[i], middle;

        if (!wanted(o, i))
            continue;
        middle = median(v, o->rounds);
        vanilla = i == VANILLA ? middle : vanilla;
        printf("%s\t%lld\t%d\t%.4f\t%.4f\t%.4f\t%.2f\n", SUBJECTS[i].name, (long long)o->batch,
               o->cli.jobs, middle, v[0], v[o->rounds - 1], middle / vanilla);
    }
out:
    data_close(data);
    return e->code;
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"preset", 'p', "NAME", 0, "settings (default paper)", 0},
        {"batch", 'b', "N", 0, "samples per step (default 16)", 0},
        {"only", 'o', "NAME", 0, "this method besides vanilla; again for more (default all)", 0},
        {"rounds", 'r', "N", 0, "times that all methods have their turn (default 3)", 0},
        {"steps", 'n', "N", 0, "timed steps per turn, after one that is not (default 2)", 0},
        {0},
    };
    static const struct argp_child children[] = {CLI_CHILD, {0}};
    static const struct argp argp = {options,
                                     parse,
                                     "DATA",
                                     "Times a training step of every method on a batch of DATA.\v"
                                     "Example:\n  bench-methods demo/fold0/rate1.0/data -j 2\n"
                                     "Exit codes: 0 done, 1 failed, 2 bad command line.",
                                     children,
                                     NULL,
                                     NULL};
    struct options o = {.preset = "paper", .batch = 16, .rounds = 3, .steps = 2};
    struct err e = {0};

    parallel_sleep_when_idle(argv);
    TRY(cli_parse(&argp, argc, argv, "bench-methods", &o.cli, &o, &e));
    if (o.data == NULL) {
        err_set(&e, ERR_USAGE, "DATA is missing: a dataset folder");
        goto out;
    }
    TRY(run(&o, &e));
out:
    return cli_finish("bench-methods", &e);
}
