/* SPDX-License-Identifier: MIT */
#include "common/nn/cpu/cpu.h"
#include "common/nn/cpu/gemm_tile.h"
#include "common/nn/cpu/transpose.h"

#include <string.h>

/* Matrix products. Our own, because those of this project are small (MLPs of 64 to 128 columns,
 * heads of 7, a trunk of 1024 to 64) and dnnl_sgemm allocates in every call; measured against it
 * and OpenBLAS in docs/performance.md, "Matrix products".
 *
 * Every element is a sum over k in blocks of DEPTH, in order (for a few columns one dot product),
 * wherever it stands: bits do not depend on how C is cut. */

enum {
    DEPTH = 256, /* a packed panel of B then fits the first-level cache */
    PIECE_ROWS = 8 * TILE_ROWS,
    PIECE_COLS = 8 * TILE_COLS,
    FAR_APART = 512,     /* floats from row to row: cache sets begin to collide */
    PACK_FROM_ROWS = 48, /* a panel with rows far apart, read so often, is worth a copy */
    DOT_COLS = 12,       /* at most so many columns: dot products waste less */
    SPLIT_FROM = 1 << 20 /* multiply-adds; less is done before a team has started */
};

struct gemm_run {
    struct nn *nn;
    bool ta, tb;
    int64_t m, n, k, lda, ldb, ldc;
    float alpha, beta;
    const float *a, *b;
    float *c;
    const float *from; /* what beta multiplies: C, or a row for all rows (ld_from 0) */
    int64_t ld_from;
    int64_t piece_rows, piece_cols, col_pieces;
};

/* Rows p..p+depth-1 and columns col..col+cols-1 of op(B), padded with 0 to TILE_COLS. */
static void pack(const struct gemm_run *r, int64_t p, int64_t depth, int64_t col, int64_t cols,
                 float *panel)
{
    int64_t whole_cols = r->tb ? cols / 8 * 8 : 0, whole_depth = depth / 8 * 8;

    if (cols < TILE_COLS)
        memset(panel, 0, (size_t)(depth * TILE_COLS) * sizeof *panel);
    if (!r->tb && cols == TILE_COLS) { /* a constant size: a call or `rep movs` costs more */
        for (int64_t i = 0; i < depth; i++)
            memcpy(panel + i * TILE_COLS, r->b + (p + i) * r->ldb + col, sizeof *panel * TILE_COLS);
        return;
    }
    for (int64_t j = 0; j < whole_cols; j += 8)
        for (int64_t i = 0; i < whole_depth; i += 8)
            transpose8(r->b + (col + j) * r->ldb + p + i, r->ldb, panel + i * TILE_COLS + j,
                       TILE_COLS);
    for (int64_t j = 0; j < cols; j++)
        for (int64_t i = j < whole_cols ? whole_depth : 0; i < depth; i++)
            panel[i * TILE_COLS + j] =
                r->tb ? r->b[(col + j) * r->ldb + p + i] : r->b[(p + i) * r->ldb + col + j];
}

/* Rows of op(A) as the tiles read them: row_step and step apart. */
struct rows {
    const float *a;
    int64_t first, end, row_step, step;
};

/* Sets what tile number `done` of a panel brings nearer: its share of the panel at `next`, whose
 * rows lie along the depth where B is transposed. */
static void look_ahead(const struct gemm_run *r, int64_t depth, const float *next, int64_t done,
                       struct tile_out *out)
{
    int64_t lines = r->tb ? (depth + TILE_LANES - 1) / TILE_LANES : 1;
    int64_t apart = r->tb ? depth / lines * r->ldb : TILE_LANES;

    out->ahead = next + (done < 2 ? done * apart : 0);
    out->ahead_lines = done < 2 ? lines : 1;
    out->ahead_step = done < 2 ? r->ldb : 0;
}

/* Tiles of about equal height for so many rows: low ones waste what is loaded for them. Two at
 * least, since it takes two to bring the next panel nearer. */
static int64_t tiles_of(int64_t rows)
{
    return rows > TILE_ROWS ? (rows + TILE_ROWS - 1) / TILE_ROWS : rows > 1 ? 2 : 1;
}

/* A panel of columns for all rows of the piece; meanwhile the columns at `next` come nearer. first:
 * of the blocks of k. */
static void panel_rows(const struct gemm_run *r, const struct rows *in, int64_t depth, bool first,
                       const float *b, int64_t ldb, int64_t col, int64_t cols, const float *next)
{
    float edge[TILE_ROWS][TILE_COLS] __attribute__((aligned(64))) = {{0}};
    bool whole = cols == TILE_COLS;
    const float *start = first ? r->from : r->c;
    int64_t ld_start = first ? r->ld_from : r->ldc, tiles = tiles_of(in->end - in->first);
    int64_t low = (in->end - in->first) / tiles, high = (in->end - in->first) % tiles;
    int64_t rows, done = 0;
    float beta = first ? r->beta : 1;

    for (int64_t row = in->first; row < in->end; row += rows, done++) {
        float *c = r->c + row * r->ldc + col;
        const float *from = start + row * ld_start + col;
        struct tile_out out = {
            .c = whole ? c : edge[0],
            .from = whole ? from : edge[0],
            .ldc = whole ? r->ldc : TILE_COLS,
            .ld_from = whole ? ld_start : TILE_COLS,
            .alpha = r->alpha,
            .beta = beta,
        };

        rows = low + (done < high ? 1 : 0); /* the first `high` are higher by one */
        look_ahead(r, depth, next, done, &out);
        for (int64_t i = 0; !whole && beta != 0 && i < rows; i++)
            memcpy(edge[i], from + i * ld_start, (size_t)cols * sizeof *c);
        gemm_tile(rows, depth, in->a + (row - in->first) * in->row_step, in->row_step, in->step, b,
                  ldb, &out);
        for (int64_t i = 0; !whole && i < rows; i++)
            memcpy(c + i * r->ldc, edge[i], (size_t)cols * sizeof *c);
    }
}

/* copy [depth][PIECE_ROWS] = columns p..p+depth-1 of rows first..first+rows-1 of op(A). */
static void copy_a(const struct gemm_run *r, int64_t first, int64_t rows, int64_t p, int64_t depth,
                   float *copy)
{
    int64_t whole_rows = r->ta ? 0 : rows / 8 * 8, whole_depth = depth / 8 * 8;

    if (r->ta) {
        for (int64_t i = 0; i < depth; i++)
            memcpy(copy + i * PIECE_ROWS, r->a + (p + i) * r->lda + first,
                   (size_t)rows * sizeof *copy);
        return;
    }
    for (int64_t j = 0; j < whole_rows; j += 8)
        for (int64_t i = 0; i < whole_depth; i += 8)
            transpose8(r->a + (first + j) * r->lda + p + i, r->lda, copy + i * PIECE_ROWS + j,
                       PIECE_ROWS);
    for (int64_t j = 0; j < rows; j++)
        for (int64_t i = j < whole_rows ? whole_depth : 0; i < depth; i++)
            copy[i * PIECE_ROWS + j] = r->a[(first + j) * r->lda + p + i];
}

/* Columns p..p+depth-1 of rows first..end-1 of op(A). Where many panels read them they are copied
 * closer together; rows a multiple of a page apart, which share cache sets, sooner. */
static struct rows rows_of_a(const struct gemm_run *r, int64_t first, int64_t end, int64_t p,
                             int64_t depth, int64_t cols, float *copy)
{
    int64_t row_step = r->ta ? 1 : r->lda, step = r->ta ? r->lda : 1;
    struct rows in = {r->a + first * row_step + p * step, first, end, row_step, step};

    if (cols <= TILE_COLS || (cols < PIECE_COLS && r->lda < FAR_APART) || end - first > PIECE_ROWS)
        return in;
    copy_a(r, first, end - first, p, depth, copy);
    return (struct rows){copy, first, end, 1, PIECE_ROWS};
}

/* Few columns, rows of both factors in one piece: dot products, GEMM_DOTS rows at a time. */
static void dot_rows(void *ctx, int64_t i, int worker)
{
    const struct gemm_run *r = ctx;
    int64_t end = (i + 1) * r->piece_rows < r->m ? (i + 1) * r->piece_rows : r->m;

    (void)worker;
    for (int64_t row = i * r->piece_rows; row < end; row += GEMM_DOTS) {
        int64_t rows = end - row < GEMM_DOTS ? end - row : GEMM_DOTS;
        const float *a[GEMM_DOTS];
        for (int64_t k = 0; k < GEMM_DOTS; k++) /* rows beyond the end repeat the last */
            a[k] = r->a + (row + (k < rows ? k : rows - 1)) * r->lda;
        for (int64_t col = 0; col < r->n; col++) {
            float sum[GEMM_DOTS];
            gemm_dots(r->k, a, r->b + col * r->ldb, sum);
            for (int64_t k = 0; k < rows; k++) {
                float *c = &r->c[(row + k) * r->ldc + col];
                const float *from = &r->from[(row + k) * r->ld_from + col];
                *c = r->beta == 0 ? r->alpha * sum[k] : r->beta * *from + r->alpha * sum[k];
            }
        }
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
    float *copy = panel + DEPTH * TILE_COLS;

    for (int64_t p = 0; p < r->k; p += DEPTH) {
        int64_t depth = r->k - p < DEPTH ? r->k - p : DEPTH;
        struct rows in = rows_of_a(r, row, row_end, p, depth, col_end - col, copy);
        for (int64_t j = col; j < col_end; j += TILE_COLS) {
            int64_t cols = col_end - j < TILE_COLS ? col_end - j : TILE_COLS;
            const float *b = r->tb ? r->b + j * r->ldb + p : r->b + p * r->ldb + j;
            bool direct = !r->tb && cols == TILE_COLS &&
                          (r->ldb < FAR_APART || row_end - row < PACK_FROM_ROWS);
            if (!direct)
                pack(r, p, depth, j, cols, panel);
            panel_rows(r, &in, depth, p == 0, direct ? b : panel, direct ? r->ldb : TILE_COLS, j,
                       cols, r->tb ? b + TILE_COLS * r->ldb : b + TILE_COLS);
        }
    }
}

/* C = beta C: what remains of a product over nothing. */
static void scale_only(const struct gemm_run *r)
{
    for (int64_t i = 0; i < r->m; i++)
        for (int64_t j = 0; j < r->n; j++)
            r->c[i * r->ldc + j] = r->beta == 0 ? 0 : r->beta * r->from[i * r->ld_from + j];
}

/* All of a run but how it is cut is set. */
static enum err_code gemm(struct gemm_run *r, struct err *e)
{
    struct nn *nn = r->nn;
    int64_t row_pieces = 1;

    if (r->m < 0 || r->n < 0 || r->k < 0 || r->lda < (r->ta ? r->m : r->k) ||
        r->ldb < (r->tb ? r->k : r->n) || r->ldc < r->n)
        return err_set(e, ERR_INTERNAL,
                       "matrix product %lld x %lld x %lld: leading dimensions do not fit",
                       (long long)r->m, (long long)r->n, (long long)r->k);
    if (r->m == 0 || r->n == 0)
        return ERR_OK;
    if (r->k == 0) {
        scale_only(r);
        return ERR_OK;
    }
    r->piece_rows = r->m;
    r->piece_cols = r->n;
    r->col_pieces = 1;
    if (r->m * r->n * r->k >= SPLIT_FROM) {
        row_pieces = (r->m + PIECE_ROWS - 1) / PIECE_ROWS;
        r->piece_rows = PIECE_ROWS;
        r->piece_cols = PIECE_COLS;
        while (r->piece_cols > TILE_COLS && row_pieces * r->n < 2 * nn->threads * r->piece_cols)
            r->piece_cols /= 2;
        r->col_pieces = (r->n + r->piece_cols - 1) / r->piece_cols;
    }
    if (r->tb && !r->ta && r->n <= DOT_COLS) {
        nn_run(nn, row_pieces, dot_rows, r);
        return ERR_OK;
    }
    TRY(nn_worker_scratch(nn, sizeof(float) * (DEPTH * TILE_COLS + DEPTH * PIECE_ROWS), e));
    nn_run(nn, row_pieces * r->col_pieces, gemm_piece, r);
out:
    return e->code;
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
                           .from = c,
                           .ld_from = ldc};

    return gemm(&run, e);
}

enum err_code k_linear(struct nn *nn, int64_t rows, int64_t in, int64_t out, const float *x,
                       const float *w, const float *b, float *y, struct err *e)
{
    struct gemm_run run = {.nn = nn,
                           .tb = true,
                           .m = rows,
                           .n = out,
                           .k = in,
                           .lda = in,
                           .ldb = in,
                           .ldc = out,
                           .alpha = 1,
                           .beta = b != NULL ? 1 : 0,
                           .a = x,
                           .b = w,
                           .c = y,
                           .from = b != NULL ? b : y};

    return gemm(&run, e);
}
