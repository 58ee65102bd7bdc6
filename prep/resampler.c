/* SPDX-License-Identifier: MIT */
#include "prep/resampler.h"

#include "common/base/mem.h"
#include "common/base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <soxr.h>

enum {
    BLOCK = 2048,     /* input samples per call of libsoxr: more make its buffers grow */
    ROOM = 3 * BLOCK, /* output samples of such a call, and of a block of libsoxr's before it */
};

const struct resampler_grid resampler_cremad = {
    .from_hz = 16000,
    .to_hz = 22050,
    .period = 13120, /* 16 blocks of 820 samples, 41 rounds of the 441 phases */
    .gap = 820 + 128,
    .head = 5,
    .reach = 120,
};

struct resampler {
    struct resampler_grid grid;
    bool tried;
    soxr_t stream; /* NULL: soxr_oneshot() for all */
    size_t owed;   /* outputs of the clips so far that are still in the stream */
    float room[ROOM], zeros[BLOCK];
    float weight[RESAMPLER_MAX_HEAD * RESAMPLER_MAX_REACH]; /* [head][reach] */
};

/* Where outputs of a stream go. */
struct sink {
    size_t skip; /* that many are dropped first */
    float *out;
    size_t room, count;
};

enum err_code resampler_new(struct resampler **out, const struct resampler_grid *grid,
                            struct err *e)
{
    struct resampler *r;

    *out = NULL;
    TRY(mem_array(&r, 1, sizeof *r, "resampler", e));
    r->grid = *grid;
    *out = r;
out:
    return e->code;
}

static void stop(struct resampler *r)
{
    soxr_delete(r->stream);
    r->stream = NULL;
}

void resampler_free(struct resampler *r)
{
    if (r == NULL)
        return;
    stop(r);
    free(r);
}

bool resampler_streams(const struct resampler *r)
{
    return r->stream != NULL;
}

const char *resampler_library(void)
{
    return soxr_version();
}

static enum err_code fail(soxr_error_t fault, struct err *e)
{
    return err_set(e, ERR_NOMEM, "libsoxr: %s", soxr_strerror(fault));
}

/* [n][channels] -> at most `wanted` frames of out, *done of them. */
static enum err_code one_shot(const struct resampler_grid *grid, uint32_t from_hz,
                              unsigned channels, const float *pcm, size_t n, float *out,
                              size_t wanted, size_t *done, struct err *e)
{
    soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
    soxr_error_t fault = soxr_oneshot(from_hz, grid->to_hz, channels, pcm, n, NULL, out, wanted,
                                      done, NULL, &quality, NULL);

    return fault == NULL ? ERR_OK : fail(fault, e);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void drain(struct sink *to, const float *made, size_t n)
{
    size_t skipped = smaller(n, to->skip);
    size_t kept = smaller(n - skipped, to->room - to->count);

    if (kept > 0 && to->out + to->count != made)
        memcpy(to->out + to->count, made + skipped, kept * sizeof *made);
    to->skip -= skipped;
    to->count += kept;
}

static enum err_code feed(struct resampler *r, const float *pcm, size_t n, struct sink *to,
                          struct err *e)
{
    for (size_t at = 0; at < n;) {
        size_t part = smaller(n - at, BLOCK), taken = 0, made = 0;
        bool straight = to->skip == 0 && to->room - to->count >= ROOM;
        float *into = straight ? to->out + to->count : r->room;
        soxr_error_t fault = soxr_process(r->stream, pcm != NULL ? pcm + at : r->zeros, part,
                                          &taken, into, ROOM, &made);

        if (fault != NULL)
            return fail(fault, e);
        if (taken != part)
            return err_set(e, ERR_INTERNAL, "libsoxr took %zu samples of %zu", taken, part);
        drain(to, into, made);
        r->owed -= made;
        at += part;
    }
    return ERR_OK;
}

/* As many as soxr_oneshot() gives; libsoxr's own arithmetic (rate.h). */
static size_t outputs_of(const struct resampler_grid *g, size_t n)
{
    return (size_t)((double)n / ((double)g->from_hz / g->to_hz) + 0.5);
}

static void mend_head(const struct resampler *r, const float *pcm, size_t n, float *out,
                      size_t count)
{
    const struct resampler_grid *g = &r->grid;

    for (size_t i = 0; i < smaller(g->head, count); i++) {
        double sum = 0;

        for (size_t k = 0; k < smaller(g->reach, n); k++)
            sum += (double)r->weight[i * g->reach + k] * pcm[k];
        out[i] = (float)sum;
    }
}

/* *done samples: fewer than there should be where the grid is not libsoxr's. */
static enum err_code run_stream(struct resampler *r, const float *pcm, size_t n, float *out,
                                size_t wanted, size_t *done, struct err *e)
{
    const struct resampler_grid *g = &r->grid;
    size_t fed = (n + g->gap + g->period - 1) / g->period * g->period;
    struct sink to = {.skip = r->owed, .out = out, .room = wanted};

    r->owed += (size_t)((uint64_t)fed * g->to_hz / g->from_hz);
    TRY(feed(r, pcm, n, &to, e));
    TRY(feed(r, NULL, fed - n, &to, e));
    mend_head(r, pcm, n, out, to.count);
    *done = to.count;
out:
    return e->code;
}

/* Impulses, one channel each, so that a frame of the result is a row of weights. */
static enum err_code take_weights(struct resampler *r, struct err *e)
{
    const struct resampler_grid *g = &r->grid;
    float *impulses = NULL;
    size_t done = 0;

    TRY(mem_array(&impulses, g->reach * g->reach, sizeof *impulses, "resampler", e));
    for (size_t k = 0; k < g->reach; k++)
        impulses[k * g->reach + k] = 1;
    TRY(one_shot(g, g->from_hz, (unsigned)g->reach, impulses, g->reach, r->weight, g->head, &done,
                 e));
out:
    free(impulses);
    return e->code;
}

/* Whether a clip of noise has the samples of a call, alone and after another that ends as late
 * before it as any may. */
static enum err_code try_noise(struct resampler *r, bool *good, struct err *e)
{
    const struct resampler_grid *g = &r->grid;
    struct rng rng = rng_at(0, rng_stream("resampler.trial"), 0, 0);
    size_t n = g->period - g->gap, count = outputs_of(g, n), done = 0, made;
    float *noise = NULL, *want = NULL, *got = NULL;

    *good = true;
    TRY(mem_array(&noise, n, sizeof *noise, "resampler", e));
    TRY(mem_array(&want, count + 1, sizeof *want, "resampler", e));
    TRY(mem_array(&got, count, sizeof *got, "resampler", e));
    rng_uniforms(&rng, noise, n);
    TRY(one_shot(g, g->from_hz, 1, noise, n, want, count + 1, &done, e));
    for (int round = 0; round < 2; round++) {
        TRY(run_stream(r, noise, n, got, count, &made, e));
        *good = *good && done == count && made == count &&
                memcmp(got + g->head, want + g->head, (count - g->head) * sizeof *got) == 0;
        for (size_t i = 0; i < g->head; i++)
            *good = *good && fabsf(got[i] - want[i]) < 1e-6F;
    }
out:
    free(noise);
    free(want);
    free(got);
    return e->code;
}

static enum err_code start(struct resampler *r, struct err *e)
{
    const struct resampler_grid *g = &r->grid;
    soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
    soxr_error_t fault = NULL;
    bool good;

    r->owed = 0;
    r->stream = soxr_create(g->from_hz, g->to_hz, 1, &fault, NULL, &quality, NULL);
    if (fault != NULL)
        return fail(fault, e);
    TRY(take_weights(r, e));
    TRY(try_noise(r, &good, e));
    if (!good)
        stop(r);
    r->tried = true;
out:
    if (e->code != ERR_OK)
        stop(r);
    return e->code;
}

enum err_code resampler_run(struct resampler *r, const float *pcm, size_t n, uint32_t from_hz,
                            float *out, size_t wanted, struct err *e)
{
    size_t due = smaller(wanted, outputs_of(&r->grid, n)), done = 0;

    if (from_hz == r->grid.from_hz && !r->tried)
        TRY(start(r, e));
    if (from_hz != r->grid.from_hz || r->stream == NULL) {
        TRY(one_shot(&r->grid, from_hz, 1, pcm, n, out, wanted, &done, e));
    } else {
        TRY(run_stream(r, pcm, n, out, due, &done, e));
        if (done != due)
            (void)err_set(e, ERR_INTERNAL, "libsoxr gave %zu samples, not %zu", done, due);
    }
    memset(out + done, 0, (wanted - done) * sizeof *out);
out:
    if (e->code != ERR_OK) { /* the next clip gets a new stream */
        stop(r);
        r->tried = false;
    }
    return e->code;
}
