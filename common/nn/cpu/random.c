/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "common/nn/cpu/cpu.h"

/* Rows are shared out in groups that are worth a thread's while. */
enum { TASK_FLOATS = 16384 };

struct fill_run {
    const struct noise_key *key;
    uint32_t first_draw;
    int64_t rows, cols, task_rows;
    float *x;
    void (*fill)(const struct rng *at, float *x, size_t n);
};

static void fill_rows(void *ctx, int64_t task, int worker)
{
    const struct fill_run *r = ctx;
    int64_t end = (task + 1) * r->task_rows;

    (void)worker;
    for (int64_t b = task * r->task_rows; b < end && b < r->rows; b++) {
        struct rng at = rng_at(r->key->seed, r->key->stream, r->key->epoch, r->key->row[b]);

        at.counter[0] = r->first_draw;
        r->fill(&at, r->x + b * r->cols, (size_t)r->cols);
    }
}

static enum err_code random_fill(struct nn *nn, struct fill_run *run, uint32_t index)
{
    run->first_draw = index * (uint32_t)((run->cols + 63) / 64 * 16);
    run->task_rows = TASK_FLOATS / run->cols + 1;
    nn_run(nn, (run->rows + run->task_rows - 1) / run->task_rows, fill_rows, run);
    return ERR_OK;
}

enum err_code k_random_uniform(struct nn *nn, const struct noise_key *key, uint32_t index,
                               int64_t rows, int64_t cols, float *x, struct err *e)
{
    struct fill_run run = {.key = key, .rows = rows, .cols = cols, .x = x, .fill = rng_uniforms};

    (void)e;
    return random_fill(nn, &run, index);
}

enum err_code k_random_normal(struct nn *nn, const struct noise_key *key, uint32_t index,
                              int64_t rows, int64_t cols, float *x, struct err *e)
{
    struct fill_run run = {.key = key, .rows = rows, .cols = cols, .x = x, .fill = rng_normals};

    (void)e;
    return random_fill(nn, &run, index);
}
