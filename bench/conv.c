/* SPDX-License-Identifier: MIT */
#include "bench/lib/measure.h"
#include "bench/lib/resnet18.h"
#include "common/base/cli.h"
#include "common/base/mem.h"
#include "common/nn/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* GFLOP/s of every different ResNet18 convolution, all three passes, and the sum over the whole
 * network; and their share of the multiply-add peak, measured before each layer. Counted are the
 * operations of a direct convolution, two per multiply-add, also where Winograd's needs 4 times
 * fewer multiplications: it may pass 100 %. */

struct options {
    struct cli cli;
    int64_t images;
    int64_t rounds;
    bool audio;
    int precision;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->cli; return 0;
    case 'b':
        if (cli_int(&o->images, arg, 1, 4096, "--images", o->cli.err) != ERR_OK)
            return EINVAL;
        return 0;
    case 'r':
        if (cli_int(&o->rounds, arg, 1, 1000, "--rounds", o->cli.err) != ERR_OK)
            return EINVAL;
        return 0;
    case 'a': o->audio = true; return 0;
    case 'p':
        if (cli_choice(&o->precision, arg, nn_precision_names, "--precision", o->cli.err) != ERR_OK)
            return EINVAL;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* Best wall and CPU time of the rounds for each pass; wall[p] < 0 where there is no such pass. */
static enum err_code time_layer(struct nn *nn, const struct conv_layer *l, int64_t rounds,
                                double wall[3], double cpu[3], struct err *e)
{
    const struct conv_shape *s = &l->shape;
    size_t nx = (size_t)(s->n * s->ic * s->ih * s->iw),
           nw = (size_t)(s->oc * s->ic * s->kh * s->kw);
    size_t ny = (size_t)(s->n * s->oc * conv_oh(s) * conv_ow(s));
    float *x = NULL, *y = NULL, *w = NULL, *dw = NULL;

    TRY(mem_aligned(&x, nx, sizeof *x, "input", e));
    TRY(mem_aligned(&y, ny, sizeof *y, "output", e));
    TRY(mem_aligned(&w, nw, sizeof *w, "weights", e));
    TRY(mem_array(&dw, nw, sizeof *dw, "weights", e));
    for (size_t i = 0; i < nx; i++)
        x[i] = (float)(i % 1021) / 1021 - 0.5F;
    for (size_t i = 0; i < nw; i++)
        w[i] = (float)(i % 509) / 509 - 0.5F;
    for (int pass = 0; pass < 3; pass++) {
        wall[pass] = cpu[pass] = -1;
        if (pass == 1 && s->ic < nn_block(nn))
            continue;
        for (int64_t r = 0; r <= rounds; r++) { /* the first makes the primitives */
            double wall0 = seconds(CLOCK_MONOTONIC), cpu0 = seconds(CLOCK_PROCESS_CPUTIME_ID);
            if (pass == 0)
                TRY(k_conv_forward(nn, s, x, w, y, e));
            else if (pass == 1)
                TRY(k_conv_backward(nn, s, NULL, w, y, &(struct conv_gradients){.x = x}, e));
            else
                TRY(k_conv_backward(nn, s, x, NULL, y,
                                    &(struct conv_gradients){.w = dw, .add_w = true}, e));
            wall0 = seconds(CLOCK_MONOTONIC) - wall0;
            cpu0 = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu0;
            if (r == 1 || (r > 1 && wall0 < wall[pass]))
                wall[pass] = wall0;
            if (r == 1 || (r > 1 && cpu0 < cpu[pass]))
                cpu[pass] = cpu0;
        }
    }
out:
    free(x);
    free(y);
    free(w);
    free(dw);
    return e->code;
}

static enum err_code run(const struct options *o, struct err *e)
{
    static const char *const PASS[] = {"fwd", "bwd-data", "bwd-weights"};
    struct conv_layer layers[RESNET18_LAYERS];
    int count = resnet18(layers, o->images, o->audio);
    double total_wall[3] = {0}, total_cpu[3] = {0}, total_flop[3] = {0}, peak = 0;
    struct nn *nn = NULL;

    TRY(nn_new(&nn, o->cli.jobs > 0 ? o->cli.jobs : 1, e));
    TRY(nn_set_precision(nn, o->precision, e));
    printf("%s, %s, %s, %lld images, %d threads, best of %lld\n", nn_describe(nn),
           nn_precision_names[o->precision], o->audio ? "audio" : "video", (long long)o->images,
           nn_threads(nn), (long long)o->rounds);
    printf("GFLOP/s counts a direct convolution; %% of the multiply-add peak (Winograd's may pass "
           "100)\n");
    printf("%-12s %4s %5s %4s  %-11s %9s %9s %9s %6s\n", "layer", "x", "in", "out", "pass",
           "wall ms", "cpu ms", "GFLOP/s", "% peak");
    for (int i = 0; i < count; i++) {
        const struct conv_shape *s = &layers[i].shape;
        double wall[3], cpu[3], flop = conv_flop(s), now = peak_gflops(nn_threads(nn));

        peak = now > peak ? now : peak;
        TRY(time_layer(nn, &layers[i], o->rounds, wall, cpu, e));
        for (int p = 0; p < 3; p++) {
            if (wall[p] < 0)
                continue;
            printf("%-12s %4d %5lld %4lld  %-11s %9.2f %9.2f %9.0f %6.0f\n", layers[i].name,
                   layers[i].times, (long long)s->ic, (long long)s->oc, PASS[p], wall[p] * 1e3,
                   cpu[p] * 1e3, flop / wall[p] * 1e-9, flop / wall[p] * 1e-7 / peak);
            total_wall[p] += layers[i].times * wall[p];
            total_cpu[p] += layers[i].times * cpu[p];
            total_flop[p] += layers[i].times * flop;
        }
    }
    for (int p = 0; p < 3; p++)
        printf("%-28s  %-11s %9.2f %9.2f %9.0f %6.0f\n", "all", PASS[p], total_wall[p] * 1e3,
               total_cpu[p] * 1e3, total_flop[p] / total_wall[p] * 1e-9,
               total_flop[p] / total_wall[p] * 1e-7 / peak);
    printf("peak: %.1f GFLOP/s\n", peak);
out:
    nn_free(nn);
    return e->code;
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"images", 'b', "N", 0, "images per batch (default 16)", 0},
        {"rounds", 'r', "N", 0, "repetitions, the best counts (default 5)", 0},
        {"precision", 'p', "NAME", 0, "float32 or bfloat16 (default float32)", 0},
        {"audio", 'a', NULL, 0, "the audio trunk instead of the video trunk", 0},
        {0},
    };
    static const struct argp_child children[] = {CLI_CHILD, {0}};
    static const struct argp argp = {options,
                                     parse,
                                     NULL,
                                     "Times the convolutions of ResNet18.\v"
                                     "Example:\n  bench-conv -b 48 -j 2\n"
                                     "Exit codes: 0 done, 1 failed, 2 bad command line.",
                                     children,
                                     NULL,
                                     NULL};
    struct options o = {.images = 16, .rounds = 5};
    struct err e = {0};

    TRY(cli_parse(&argp, argc, argv, "bench-conv", &o.cli, &o, &e));
    TRY(run(&o, &e));
out:
    return cli_finish("bench-conv", &e);
}
