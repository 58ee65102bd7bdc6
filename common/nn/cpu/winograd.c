/* SPDX-License-Identifier: MIT */
#include "common/nn/cpu/winograd.h"

#include "common/nn/cpu/transpose.h"

#include <assert.h>
#include <string.h>

enum {
    BLOCK = 16, /* channels per block, in and out */
    TAPS = 9,
    RUN = 4,  /* input channels whose results are written together: 9 KiB */
    ALPHA = 6 /* 4 outputs + 3 taps - 1 */
};

bool winograd_is_format(const dnnl_memory_desc_t *md)
{
    const dnnl_wino_desc_t *d = &md->format_desc.wino_desc;

    return md->format_kind == dnnl_format_kind_wino && d->wino_format == dnnl_wino_wei_OBaaIBOIio &&
           d->r == 3 && d->alpha == ALPHA && d->ic_block == BLOCK && d->oc_block == BLOCK &&
           d->adj_scale == 1;
}

/* Toom-Cook at the points 0, +-5/8, +-3/2 and infinity, as in oneDNN's input and output transforms:
 * row k evaluates the three taps at its point, divided by the product of its differences to the
 * other points. */
#define P2 0.390625 /* (5/8)^2 */
#define Q2 2.25     /* (3/2)^2 */
#define P_ROW (1 / (2 * P2 * (P2 - Q2)))
#define Q_ROW (1 / (2 * Q2 * (Q2 - P2)))
static const float G[ALPHA][3] = {
    {(float)(1 / (P2 * Q2)), 0, 0},
    {(float)P_ROW, (float)(P_ROW * 0.625), (float)(P_ROW *P2)},
    {(float)P_ROW, (float)(P_ROW * -0.625), (float)(P_ROW *P2)},
    {(float)Q_ROW, (float)(Q_ROW * 1.5), (float)(Q_ROW *Q2)},
    {(float)Q_ROW, (float)(Q_ROW * -1.5), (float)(Q_ROW *Q2)},
    {0, 0, 1},
};

struct transform {
    const float *w;
    float *out;
    int64_t lane_stride, in_stride; /* in w, from one output or input channel to the next */
    bool mirror;
    int64_t in_blocks, in_blocks2, out_blocks2; /* channel blocks; those grouped by the format */
};

static_assert(LANES == 8, "transpose8 fills the lanes");

/* One input channel and LANES output channels: U = G w G^T, each of the 36 values to its own plane,
 * `plane` floats apart. */
static void transform_lanes(const struct transform *t, const float *w, float *out, int64_t plane)
{
    float taps[TAPS][LANES] __attribute__((aligned(32)));
    v8f half[3][ALPHA];

    transpose8(w, t->lane_stride, taps[0], LANES);
    for (int l = 0; l < LANES; l++)
        taps[TAPS - 1][l] = w[l * t->lane_stride + TAPS - 1];
    for (int row = 0; row < 3; row++) {
        const float *tap[3]; /* a mirrored window is read backwards */
        for (int k = 0; k < 3; k++)
            tap[k] = taps[t->mirror ? TAPS - 1 - (row * 3 + k) : row * 3 + k];
        for (int j = 0; j < ALPHA; j++)
            half[row][j] = V8F_CONST(tap[0]) * G[j][0] + V8F_CONST(tap[1]) * G[j][1] +
                           V8F_CONST(tap[2]) * G[j][2];
    }
    for (int i = 0; i < ALPHA; i++)
        for (int j = 0; j < ALPHA; j++)
            V8F(out + (i * ALPHA + j) * plane) =
                half[0][j] * G[i][0] + half[1][j] * G[i][1] + half[2][j] * G[i][2];
}

static_assert(BLOCK % RUN == 0, "runs fill a block");

/* RUN input channels and all output channels of a block. The planes often lie a power of two apart,
 * where their lines may displace each other in the caches: so each line is written at once. */
static void transform_run(const struct transform *t, const float *w, float *out, int64_t plane)
{
    float run[ALPHA * ALPHA][RUN * BLOCK] __attribute__((aligned(64)));

    for (int64_t i = 0; i < RUN; i++)
        for (int64_t l = 0; l < BLOCK; l += LANES)
            transform_lanes(t, w + l * t->lane_stride + i * t->in_stride, &run[0][i * BLOCK + l],
                            RUN * BLOCK);
    for (int k = 0; k < ALPHA * ALPHA; k++)
        memcpy(out + k * plane, run[k], sizeof run[k]);
}

/* One block of output channels. The format is [O][6][6][I][o][i][16 in][16 out] with blocks of
 * output channels numbered O o and of input channels I i. */
static void transform_block(void *ctx, int64_t ob, int worker)
{
    const struct transform *t = ctx;
    int64_t tile = BLOCK * BLOCK;
    int64_t plane = t->in_blocks * t->out_blocks2 * tile;
    float *out = t->out + ob / t->out_blocks2 * ALPHA * ALPHA * plane;

    (void)worker;
    for (int64_t ib = 0; ib < t->in_blocks; ib++) {
        int64_t outer = ib / t->in_blocks2 * t->out_blocks2 + ob % t->out_blocks2;
        float *to = out + (outer * t->in_blocks2 + ib % t->in_blocks2) * tile;
        for (int64_t i = 0; i < BLOCK; i += RUN)
            transform_run(t, t->w + ob * BLOCK * t->lane_stride + (ib * BLOCK + i) * t->in_stride,
                          to + i * BLOCK, plane);
    }
}

void winograd_weights(struct nn *nn, const dnnl_memory_desc_t *md, const float *w, int64_t oc,
                      int64_t ic, bool mirror, float *out)
{
    const dnnl_wino_desc_t *d = &md->format_desc.wino_desc;
    struct transform t = {.w = w,
                          .out = out,
                          .lane_stride = mirror ? TAPS : ic * TAPS,
                          .in_stride = mirror ? ic * TAPS : TAPS,
                          .mirror = mirror,
                          .in_blocks = (mirror ? oc : ic) / BLOCK,
                          .in_blocks2 = d->ic2_block,
                          .out_blocks2 = d->oc2_block};

    nn_run(nn, (mirror ? ic : oc) / BLOCK, transform_block, &t);
}
