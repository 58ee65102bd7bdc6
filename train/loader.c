/* SPDX-License-Identifier: MIT */
#include "train/loader.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "train/loader_media.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One batch of vectors, gathered from the rows of a split. */
struct gathered {
    float *x[MODALITIES_MAX], *oracle[MODALITIES_MAX];
    int32_t *label, *source;
    float *target;
};

struct loader {
    const struct data *data;
    struct loader_options opt;
    int64_t count, batches;
    uint32_t *order; /* [count] of this epoch */
    uint32_t epoch;
    int64_t next; /* vectors: number of the next batch */
    struct media_loader *media;
    struct gathered batch;
    int64_t waited_ms;
};

/* ---- vectors ---- */

static enum err_code alloc_gathered(struct loader *l, const struct vectors *v, struct err *e)
{
    size_t b = (size_t)loader_batch_size(l);

    for (int m = 0; m < v->modalities; m++) {
        size_t row = (size_t)v->modality[m].dim * sizeof(float);

        if (!l->opt.use[m])
            continue;
        TRY(mem_aligned(&l->batch.x[m], b, row, "batch", e));
        if (l->opt.oracle != ORACLE_NONE)
            TRY(mem_aligned(&l->batch.oracle[m], b, row, "batch", e));
    }
    if (v->label != NULL)
        TRY(mem_array(&l->batch.label, b, sizeof *l->batch.label, "batch", e));
    if (v->source != NULL)
        TRY(mem_array(&l->batch.source, b, sizeof *l->batch.source, "batch", e));
    if (v->target != NULL)
        TRY(mem_aligned(&l->batch.target, b, (size_t)v->targets * sizeof(float), "batch", e));
out:
    return e->code;
}

/* Whether a coordinate is part of what makes the label in this sample, synergy aside. */
static bool is_shortcut(const struct vectors *v, int m, int64_t i, int kind)
{
    const char *source = v->sources > 0 ? v->source_name[v->source[i]] : "";
    char unique[32];

    snprintf(unique, sizeof unique, "unique%d", m + 1);
    return kind == BLOCK_SPURIOUS || (kind == BLOCK_UNIQUE && strcmp(source, unique) == 0) ||
           (kind == BLOCK_REDUNDANT && strcmp(source, "redundant") == 0);
}

static void gather_oracle(const struct loader *l, const struct vectors *v, int m, int64_t row,
                          int64_t i)
{
    const struct vector_modality *x = &v->modality[m];
    const uint8_t *block = x->block + i * x->dim, *oracle = x->oracle + i * x->dim;
    float *out = l->batch.oracle[m] + row * x->dim;
    bool shortcut[BLOCK_SPURIOUS + 1];

    for (int kind = 0; kind <= BLOCK_SPURIOUS; kind++)
        shortcut[kind] = l->opt.oracle == ORACLE_SHORTCUT && is_shortcut(v, m, i, kind);
    for (int d = 0; d < x->dim; d++)
        out[d] = l->opt.oracle == ORACLE_ACTIVE    ? oracle[d]
                 : l->opt.oracle == ORACLE_LITERAL ? block[d] == BLOCK_SYNERGISTIC
                                                   : shortcut[block[d]];
}

static void gather(struct loader *l, const struct vectors *v, const uint32_t *sample, int64_t n,
                   struct batch *b)
{
    struct gathered *g = &l->batch;

    for (int64_t row = 0; row < n; row++) {
        int64_t i = sample[row];

        for (int m = 0; m < v->modalities; m++) {
            int dim = v->modality[m].dim;

            if (g->x[m] != NULL)
                memcpy(g->x[m] + row * dim, v->modality[m].x + i * dim,
                       (size_t)dim * sizeof(float));
            if (g->oracle[m] != NULL)
                gather_oracle(l, v, m, row, i);
        }
        if (g->label != NULL)
            g->label[row] = v->label[i];
        if (g->source != NULL)
            g->source[row] = v->source[i];
        if (g->target != NULL)
            memcpy(g->target + row * v->targets, v->target + i * v->targets,
                   (size_t)v->targets * sizeof(float));
    }
    *b = (struct batch){.n = n,
                        .aim = {.label = g->label, .target = g->target},
                        .source = g->source,
                        .sample = sample};
    for (int m = 0; m < v->modalities; m++) {
        b->x[m] = g->x[m];
        b->oracle[m] = g->oracle[m];
    }
}

static void next_vectors(struct loader *l, struct batch *b)
{
    int64_t first = l->next * l->opt.batch, n = l->count - first;

    if (l->next >= l->batches)
        return;
    gather(l, data_vectors(l->data), l->order + first, n < l->opt.batch ? n : l->opt.batch, b);
    l->next++;
}

/* ---- both ---- */

void loader_audio_shape(const struct dataset *data, int pool, int *height, int *width)
{
    int bins, frames;

    dataset_spectrogram_shape(data, &bins, &frames);
    *height = bins / pool;
    *width = frames / pool;
}

enum err_code loader_new(struct loader **out, const struct data *data,
                         const struct loader_options *opt, struct err *e)
{
    struct loader *l = NULL;

    assert(opt->batch >= 1 && opt->threads >= 1);
    *out = NULL;
    TRY(mem_array(&l, 1, sizeof *l, "loader", e));
    l->data = data;
    l->opt = *opt;
    l->count = data_count(data);
    if (l->count == 0)
        FAIL(err_set(e, ERR_DATA, "the split is empty: there is nothing to train on or test"));
    if (l->count > UINT32_MAX)
        FAIL(err_set(e, ERR_DATA, "the split has more than 2^32 samples"));
    if (opt->oracle != ORACLE_NONE && !data_has_oracle(data))
        FAIL(err_set(e, ERR_DATA,
                     "mask.kind: an oracle mask needs data that say what it is: these have none"));
    l->batches = (l->count + opt->batch - 1) / opt->batch;
    TRY(mem_array(&l->order, (size_t)l->count, sizeof *l->order, "sample order", e));
    l->next = l->batches;
    if (data_media(data) != NULL)
        TRY(media_loader_new(&l->media, data_media(data), opt, l->order, e));
    else
        TRY(alloc_gathered(l, data_vectors(data), e));
    *out = l;
    l = NULL;
out:
    loader_free(l);
    return e->code;
}

void loader_free(struct loader *l)
{
    if (l == NULL)
        return;
    media_loader_free(l->media);
    for (int m = 0; m < MODALITIES_MAX; m++) {
        free(l->batch.x[m]);
        free(l->batch.oracle[m]);
    }
    free(l->batch.label);
    free(l->batch.source);
    free(l->batch.target);
    free(l->order);
    free(l);
}

int64_t loader_batches(const struct loader *l)
{
    return l->batches;
}

int64_t loader_batch_size(const struct loader *l)
{
    return l->opt.batch < l->count ? l->opt.batch : l->count;
}

int64_t loader_waited_ms(const struct loader *l)
{
    return l->waited_ms;
}

/* Fisher-Yates from the top, one draw per place. */
static void make_order(void *ctx)
{
    struct loader *l = ctx;
    struct rng r = rng_at(l->opt.seed, rng_stream("loader.shuffle"), l->epoch, 0);

    for (int64_t i = 0; i < l->count; i++)
        l->order[i] = (uint32_t)i;
    if (!l->opt.training)
        return;
    for (int64_t i = l->count - 1; i > 0; i--) {
        uint32_t j = rng_below(&r, (uint32_t)i + 1), moved = l->order[i];

        l->order[i] = l->order[j];
        l->order[j] = moved;
    }
}

void loader_start(struct loader *l, uint32_t epoch, int64_t first)
{
    assert(first >= 0 && first <= l->batches);
    l->epoch = epoch;
    l->next = first;
    if (l->media != NULL)
        media_loader_start(l->media, epoch, first, make_order, l);
    else
        make_order(l);
}

enum err_code loader_next(struct loader *l, struct batch *b, struct err *e)
{
    int64_t begun = clock_ms();

    memset(b, 0, sizeof *b);
    if (l->media == NULL) {
        next_vectors(l, b);
        return ERR_OK;
    }
    TRY(media_loader_next(l->media, b, e));
out:
    l->waited_ms += clock_ms() - begun;
    return e->code;
}
