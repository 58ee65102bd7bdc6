/* SPDX-License-Identifier: MIT */
#include "common/nn/cpu/cpu.h"

struct layout_run {
    int64_t pixels;
    int block;
    bool to_blocked;
    const float *from;
    float *to;
};

/* One block of channels of one image: both layouts hold it in one piece, [b][pixels] or
 * [pixels][b]. */
static void turn_plane(void *ctx, int64_t i, int worker)
{
    const struct layout_run *r = ctx;
    const float *from = r->from + i * r->pixels * r->block;
    float *to = r->to + i * r->pixels * r->block;
    int64_t rows = r->to_blocked ? r->block : r->pixels;
    int64_t cols = r->to_blocked ? r->pixels : r->block;

    (void)worker;
    for (int64_t row = 0; row < rows; row++)
        for (int64_t col = 0; col < cols; col++)
            to[col * rows + row] = from[row * cols + col];
}

static enum err_code turn(struct nn *nn, const struct bn_shape *s, bool to_blocked,
                          const float *from, float *to, struct err *e)
{
    struct layout_run run = {.pixels = s->h * s->w,
                             .block = nn->block,
                             .to_blocked = to_blocked,
                             .from = from,
                             .to = to};

    TRY(nn_check_blocked(nn, s, "layout", e));
    nn_run(nn, s->n * s->c / nn->block, turn_plane, &run);
out:
    return e->code;
}

enum err_code k_to_blocked(struct nn *nn, const struct bn_shape *s, const float *plain,
                           float *blocked, struct err *e)
{
    return turn(nn, s, true, plain, blocked, e);
}

enum err_code k_to_plain(struct nn *nn, const struct bn_shape *s, const float *blocked,
                         float *plain, struct err *e)
{
    return turn(nn, s, false, blocked, plain, e);
}
