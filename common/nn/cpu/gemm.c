/* SPDX-License-Identifier: MIT */
#include "common/base/parallel.h"
#include "common/nn/cpu/cpu.h"

/* Matrix products: dnnl_sgemm, single-threaded, on fixed pieces of C. */

enum { PIECE = 256 };          /* rows or columns of C per task */
enum { SPLIT_FROM = 1 << 21 }; /* multiply-adds below which one task is quicker than handing out */

struct gemm_run {
    bool ta, tb;
    int64_t m, n, k, lda, ldb, ldc;
    float alpha, beta;
    const float *a, *b;
    float *c;
    int64_t row_pieces, col_pieces;
    dnnl_status_t status; /* atomic */
};

static void gemm_piece(void *ctx, int64_t i, int worker)
{
    struct gemm_run *r = ctx;
    int64_t rp = i / r->col_pieces;
    int64_t cp = i % r->col_pieces;
    int64_t row = rp * r->m / r->row_pieces;
    int64_t col = cp * r->n / r->col_pieces;
    int64_t rows = (rp + 1) * r->m / r->row_pieces - row;
    int64_t cols = (cp + 1) * r->n / r->col_pieces - col;
    const float *a = r->a + (r->ta ? row : row * r->lda);
    const float *b = r->b + (r->tb ? col * r->ldb : col);
    dnnl_status_t rc = dnnl_sgemm(r->ta ? 'T' : 'N', r->tb ? 'T' : 'N', rows, cols, r->k, r->alpha,
                                  a, r->lda, b, r->ldb, r->beta, r->c + row * r->ldc + col, r->ldc);

    (void)worker;
    if (rc != dnnl_success)
        __atomic_store_n(&r->status, rc, __ATOMIC_RELAXED);
}

/* C = beta C, without reading C when beta is 0. */
static void scale_only(const struct gemm_run *r)
{
    for (int64_t i = 0; i < r->m; i++)
        for (int64_t j = 0; j < r->n; j++)
            r->c[i * r->ldc + j] = r->beta == 0 ? 0 : r->beta * r->c[i * r->ldc + j];
}

enum err_code k_gemm(struct nn *nn, bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha,
                     const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                     int64_t ldc, struct err *e)
{
    struct gemm_run run = {.ta = ta,
                           .tb = tb,
                           .m = m,
                           .n = n,
                           .k = k,
                           .lda = lda,
                           .ldb = ldb,
                           .ldc = ldc,
                           .alpha = alpha,
                           .beta = beta,
                           .a = a,
                           .b = b,
                           .c = c,
                           .row_pieces = 1,
                           .col_pieces = 1};

    if (m < 0 || n < 0 || k < 0 || lda < (ta ? m : k) || ldb < (tb ? k : n) || ldc < n)
        return err_set(e, ERR_INTERNAL,
                       "matrix product %lld x %lld x %lld: leading dimensions do not fit",
                       (long long)m, (long long)n, (long long)k);
    if (m == 0 || n == 0)
        return ERR_OK;
    if (k == 0) {
        scale_only(&run);
        return ERR_OK;
    }
    if (m * n * k >= SPLIT_FROM) {
        run.row_pieces = (m + PIECE - 1) / PIECE;
        run.col_pieces = (n + PIECE - 1) / PIECE;
    }
    parallel_for(nn->threads, run.row_pieces * run.col_pieces, gemm_piece, &run);
    return nn_dnnl(run.status, "matrix product", e);
}
