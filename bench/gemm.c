/* SPDX-License-Identifier: MIT */
#include "bench/lib/measure.h"
#include "common/base/cli.h"
#include "common/base/mem.h"
#include "common/base/parallel.h"
#include "common/nn/kernels.h"

#include <cblas.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>

/* Our matrix product against dnnl_sgemm and OpenBLAS, one thread, CPU time, alternating. OpenBLAS
 * may take the machine for an older one: set OPENBLAS_CORETYPE (SKYLAKEX, COOPERLAKE) to help. */

struct shape {
    const char *what;
    bool ta, tb;
    int64_t m, n, k;
};

static const struct shape SHAPES[] = {
    {"MLP 64->128, forward", false, true, 128, 128, 64},
    {"same, weight gradient", true, false, 128, 64, 128},
    {"same, input gradient", false, false, 128, 64, 128},
    {"MLP 128->1, forward", false, true, 128, 1, 128},
    {"trunk 1024->64, forward", false, true, 64, 64, 1024},
    {"same, weight gradient", true, false, 64, 1024, 64},
    {"same, input gradient", false, false, 64, 1024, 64},
    {"head 512->7, forward", false, true, 64, 7, 512},
    {"same, weight gradient", true, false, 7, 512, 64},
    {"same, input gradient", false, false, 64, 512, 7},
    {"PID 1024->1024, forward", false, true, 64, 1024, 1024},
    {"same, weight gradient", true, false, 1024, 1024, 64},
    {"same, input gradient", false, false, 64, 1024, 1024},
    {"PID 32->1024, forward", false, true, 64, 1024, 32},
    {"same, weight gradient", true, false, 1024, 32, 64},
    {"PID 2048->128, forward", false, true, 64, 128, 2048},
    {"same, weight gradient", true, false, 128, 2048, 64},
    {"same, input gradient", false, false, 64, 2048, 128},
    {"square 1024", false, false, 1024, 1024, 1024},
};
enum { N_SHAPES = sizeof SHAPES / sizeof SHAPES[0], KINDS = 3, ROUNDS = 15 };

struct job {
    struct nn *nn;
    const struct shape *s;
    const float *a, *b;
    float *c;
    int64_t calls;
    int kind;
    double seconds; /* per call */
    struct err *e;
};

static enum err_code once(const struct job *j)
{
    const struct shape *s = j->s;
    int64_t lda = s->ta ? s->m : s->k, ldb = s->tb ? s->k : s->n;

    switch (j->kind) {
    case 0:
        return k_gemm(j->nn, s->ta, s->tb, s->m, s->n, s->k, 1, j->a, lda, j->b, ldb, 0, j->c, s->n,
                      j->e);
    case 1:
        if (dnnl_sgemm(s->ta ? 'T' : 'N', s->tb ? 'T' : 'N', s->m, s->n, s->k, 1, j->a, lda, j->b,
                       ldb, 0, j->c, s->n) != dnnl_success)
            return err_set(j->e, ERR_INTERNAL, "dnnl_sgemm failed");
        return ERR_OK;
    default:
        cblas_sgemm(CblasRowMajor, s->ta ? CblasTrans : CblasNoTrans,
                    s->tb ? CblasTrans : CblasNoTrans, (blasint)s->m, (blasint)s->n, (blasint)s->k,
                    1, j->a, (blasint)lda, j->b, (blasint)ldb, 0, j->c, (blasint)s->n);
        return ERR_OK;
    }
}

/* Inside parallel_for oneDNN sees one thread. */
static void timed(void *ctx, int64_t i, int worker)
{
    struct job *j = ctx;
    double from;

    (void)i;
    (void)worker;
    from = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int64_t k = 0; k < j->calls; k++)
        if (once(j) != ERR_OK)
            return;
    j->seconds = (seconds(CLOCK_PROCESS_CPUTIME_ID) - from) / (double)j->calls;
}

static enum err_code measure(struct nn *nn, const struct shape *s, const float *a, const float *b,
                             float *c, struct err *e)
{
    double best[KINDS] = {0};
    double work = (double)(s->m * s->n) * (double)s->k;
    struct job j = {.nn = nn, .s = s, .a = a, .b = b, .c = c, .e = e};

    j.calls = work < 2e7 ? (int64_t)(2e7 / work) + 1 : 1;
    for (int round = 0; round < ROUNDS; round++)
        for (j.kind = 0; j.kind < KINDS; j.kind++) {
            parallel_for(1, 1, timed, &j);
            TRY(e->code);
            if (round == 0 || j.seconds < best[j.kind])
                best[j.kind] = j.seconds;
        }
    printf("%-24s %5lld %5lld %5lld", s->what, (long long)s->m, (long long)s->n, (long long)s->k);
    for (int kind = 0; kind < KINDS; kind++)
        printf("  %8.1f us %5.0f", best[kind] * 1e6, 2 * work / best[kind] * 1e-9);
    printf("\n");
out:
    return e->code;
}

static enum err_code run(struct err *e)
{
    enum { SIZE = 1024 * 1024 };
    float *a = NULL, *b = NULL, *c = NULL;
    struct nn *nn = NULL;

    openblas_set_num_threads(1);
    TRY(nn_new(&nn, 1, e));
    TRY(mem_aligned(&a, SIZE, sizeof *a, "matrix", e));
    TRY(mem_aligned(&b, SIZE, sizeof *b, "matrix", e));
    TRY(mem_aligned(&c, SIZE, sizeof *c, "matrix", e));
    for (int i = 0; i < SIZE; i++)
        a[i] = (float)(i % 97) / 97, b[i] = (float)(i % 89) / 89;
    printf("%s; OpenBLAS %s; CPU time per call, GFLOP/s\n", nn_describe(nn),
           openblas_get_corename());
    printf("%-24s %5s %5s %5s  %17s  %17s  %17s\n", "product", "m", "n", "k", "k_gemm",
           "dnnl_sgemm", "OpenBLAS");
    for (int i = 0; i < N_SHAPES; i++)
        TRY(measure(nn, &SHAPES[i], a, b, c, e));
out:
    nn_free(nn);
    free(a);
    free(b);
    free(c);
    return e->code;
}

int main(int argc, char **argv)
{
    static const char doc[] = "Times matrix products, one thread.\v"
                              "Example:\n  OPENBLAS_CORETYPE=SKYLAKEX bench-gemm\n"
                              "Exit codes: 0 done, 1 failed, 2 bad command line.";
    struct cli cli = {0};
    struct err e = {0};

    TRY(common_options(&cli, argc, argv, "bench-gemm", doc, &e));
    TRY(run(&e));
out:
    return cli_finish("bench-gemm", &e);
}
