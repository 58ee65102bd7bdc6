/* SPDX-License-Identifier: MIT */
#include "common/base/parallel.h"
#include "common/nn/cpu/cpu.h"
#include "common/nn/cpu/gemm_tile.h"

#include <string.h>

/* Matrix products. Our own, because those of this project are small (MLPs of 64 to 128 columns,
 * heads of 7, a trunk of 1024 to 64): dnnl_sgemm allocates in every call and, like OpenBLAS, spends
 * more than the product itself on the smallest; see docs/performance.md, "Matrix products".
 *
 * Every element is a sum over k in blocks of DEPTH, in order, whatever the sizes and pieces: bits
 * do not depend on how C is cut. */

enum {
    DEPTH = 256, /* a packed panel of B then fits the first-level cache */
    PIECE_ROWS = 8 * TILE_ROWS,
    PIECE_COLS = 4 * TILE_COLS,
    SPLIT_FROM = 1 << 20 /* multiply-adds; less is done before a team has started */
};

struct gemm_run {
    struct nn *nn;
    bool ta, tb;
    int64_t m, n, k, lda, ldb, ldc;
    float alpha, beta;
    const float *a, *b;
    float *c;
    int64_t piece_rows, piece_cols, col_pieces;
};

/* Rows p..p+depth-1 and columns col..col+cols-1 of op(B), padded with 0 to TILE_COLS. */
static void pack(const struct gemm_run *r, int64_t p, int64_t depth, int64_t col, int64_t cols,
                 float *panel)
{
    if (cols < TILE_COLS)
        memset(panel, 0, (size_t)(depth * TILE_COLS) * sizeof *panel);
    if (r->tb) {
        for (int64_t j = 0; j < cols; j++)
            for (int64_t i = 0; i < depth; i++)
                panel[i * TILE_COLS + j] = r->b[(col + j) * r->ldb + p + i];
        return;
    }
    for (int64_t i = 0; i < depth; i++)
        memcpy(panel + i * TILE_COLS, r->b + (p + i) * r->ldb + col, (size_t)cols * sizeof *panel);
}

/* C = beta C + alpha sum, without reading C when beta is 0. */
static void store(const struct gemm_run *r, int64_t row, int64_t rows, int64_t col, int64_t cols,
                  float beta, float sum[TILE_ROWS][TILE_COLS])
{
    for (int64_t i = 0; i < rows; i++) {
        float *c = r->c + (row + i) * r->ldc + col;
        if (beta == 0)
            for (int64_t j = 0; j < cols; j++)
                c[j] = r->alpha * sum[i][j];
        else
            for (int64_t j = 0; j < cols; j++)
                c[j] = beta * c[j] + r->alpha * sum[i][j];
    }
}

/* A panel of columns for all rows of the piece. */
static void panel_rows(const struct gemm_run *r, int64_t first, int64_t end, int64_t p,
                       int64_t depth, const float *b, int64_t ldb, int64_t col, int64_t cols)
{
    int64_t row_step = r->ta ? 1 : r->lda;
    int64_t step = r->ta ? r->lda : 1;
    float sum[TILE_ROWS][TILE_COLS] __attribute__((aligned(64)));

    for (int64_t row = first; row < end; row += TILE_ROWS) {
        int64_t rows = end - row < TILE_ROWS ? end - row : TILE_ROWS;
        const float *a[TILE_ROWS];
        for (int64_t i = 0; i < TILE_ROWS; i++) /* rows beyond the end repeat the last */
            a[i] = r->a + (row + (i < rows ? i : rows - 1)) * row_step + p * step;
        gemm_tile(depth, a, step, b, ldb, sum);
        store(r, row, rows, col, cols, p == 0 ? r->beta : 1, sum);
    }
}

static void gemm_piece(void *ctx, int64_t i, int worker)
{
    const struct gemm_run *r = ctx;
    int64_t row = i / r->col_pieces * r->piece_rows;
    int64_t col = i % r->col_pieces * r->piece_cols;
    int64_t row_end = row + r->piece_rows < r->m ? row + r->piece_rows : r->m;
    int64_t col_end = col + r->piece_cols < r->n ? col + r->piece_cols : r->n;
    float *panel = r->nn->worker_scratch[worker].data;

    for (int64_t p = 0; p < r->k; p += DEPTH) {
        int64_t depth = r->k - p < DEPTH ? r->k - p : DEPTH;
        for (int64_t j = col; j < col_end; j += TILE_COLS) {
            int64_t cols = col_end - j < TILE_COLS ? col_end - j : TILE_COLS;
            bool direct = !r->tb && cols == TILE_COLS;
            if (!direct)
                pack(r, p, depth, j, cols, panel);
            panel_rows(r, row, row_end, p, depth, direct ? r->b + p * r->ldb + j : panel,
                       direct ? r->ldb : TILE_COLS, j, cols);
        }
    }
}

/* C = beta C: what remains of a product over nothing. */
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
    struct gemm_run run = {.nn = nn,
                           .ta = ta,
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
                           .piece_rows = m,
                           .piece_cols = n,
                           .col_pieces = 1};
    int64_t row_pieces = 1;

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
        run.piece_rows = PIECE_ROWS;
        run.piece_cols = PIECE_COLS;
        run.col_pieces = (n + PIECE_COLS - 1) / PIECE_COLS;
        row_pieces = (m + PIECE_ROWS - 1) / PIECE_ROWS;
    }
    TRY(nn_worker_scratch(nn, sizeof(float) * DEPTH * TILE_COLS, e));
    parallel_for(nn->threads, row_pieces * run.col_pieces, gemm_piece, &run);
out:
    return e->code;
}
