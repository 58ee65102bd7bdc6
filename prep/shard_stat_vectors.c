/* SPDX-License-Identifier: MIT */
#include "prep/shard_commands.h"

#include "common/data/json.h"
#include "common/data/vectors.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* How the coordinates of one kind of block are distributed over a whole set. */
struct block_sum {
    int64_t values, corrupted; /* by the oracle mask */
    double sum, squares;
};

struct vector_counts {
    int64_t label[VECTORS_CLASSES][VECTORS_SOURCES];
    struct block_sum block[VECTORS_MODALITIES][BLOCK_SPURIOUS + 1];
    int classes, sources, modalities; /* as far as names are listed, at least 1 of the first two */
};

static int list_length(const struct view *v, const char *key, int most)
{
    const char *list = shard_set_meta(v->set, key);
    int n = list != NULL;

    for (; list != NULL && n < most && (list = strchr(list, ',')) != NULL; list++)
        n++;
    return n;
}

/* Field NAME or NAME.SUFFIX of a modality; -1 when absent. */
static int modality_field(const struct view *v, int m, const char *suffix)
{
    char name[VECTORS_NAME_SIZE], full[SHARD_NAME_SIZE];

    snprintf(full, sizeof full, "%s%s", view_list_name(v, "synib.modalities", m, name, sizeof name),
             suffix);
    return view_find(v, full);
}

static enum err_code add_modality(struct vector_counts *c, const struct view *v, int m, int64_t i,
                                  struct err *e)
{
    int fields[] = {modality_field(v, m, ""), modality_field(v, m, ".block"),
                    modality_field(v, m, ".oracle")};
    struct shard_value value[3];

    for (int f = 0; f < 3; f++) {
        if (fields[f] < 0)
            return ERR_OK;
        TRY(view_get(v, i, fields[f], &value[f], e));
    }
    for (size_t d = 0; d < value[1].len; d++) {
        int kind = ((const uint8_t *)value[1].data)[d];
        struct block_sum *b;
        float x;

        if (block_name(kind) == NULL || 4 * d + 4 > value[0].len || d >= value[2].len)
            continue;
        b = &c->block[m][kind];
        memcpy(&x, (const char *)value[0].data + 4 * d, sizeof x);
        b->values++;
        b->corrupted += ((const uint8_t *)value[2].data)[d] == 1;
        b->sum += (double)x;
        b->squares += (double)x * (double)x;
    }
out:
    return e->code;
}

static enum err_code count_all(struct vector_counts *c, const struct view *v, struct err *e)
{
    c->classes = list_length(v, "synib.classes", VECTORS_CLASSES);
    c->sources = list_length(v, "synib.sources", VECTORS_SOURCES);
    c->modalities = list_length(v, "synib.modalities", VECTORS_MODALITIES);
    for (int64_t i = 0; i < v->count; i++) {
        int32_t label, source;

        TRY(view_i32(v, i, "label", 0, &label, e));
        TRY(view_i32(v, i, "source", 0, &source, e));
        if (label >= 0 && label < VECTORS_CLASSES && source >= 0 && source < VECTORS_SOURCES)
            c->label[label][source]++;
        for (int m = 0; m < c->modalities; m++)
            TRY(add_modality(c, v, m, i, e));
    }
out:
    return e->code;
}

static double mean_of(const struct block_sum *b)
{
    return b->sum / (double)b->values;
}

static double deviation_of(const struct block_sum *b)
{
    double variance = b->squares / (double)b->values - mean_of(b) * mean_of(b);

    return variance < 0 ? 0 : sqrt(variance); /* no number stays none */
}

static void print_counts(FILE *out, const struct target *t, const struct view *v,
                         const struct vector_counts *c)
{
    char name[64];

    fprintf(out, "%s%s%s: %" PRId64 " samples, %d modalities\n", t->path,
            v->name[0] != '\0' ? " split " : "", v->name, v->count, c->modalities);
    if (c->classes > 0 || c->sources > 0)
        fprintf(out, "  source        by class\n");
    for (int s = 0; s < c->sources || (s == 0 && c->classes > 0); s++) {
        fprintf(out, "    %-11s", view_list_name(v, "synib.sources", s, name, sizeof name));
        for (int k = 0; k < c->classes || k == 0; k++)
            fprintf(out, " %8" PRId64, c->label[k][s]);
        fprintf(out, "\n");
    }
    for (int m = 0; m < c->modalities; m++) {
        fprintf(out, "  %s\n    block        coordinates       mean        std   oracle corrupts\n",
                view_list_name(v, "synib.modalities", m, name, sizeof name));
        for (int k = 0; k <= BLOCK_SPURIOUS; k++) {
            const struct block_sum *b = &c->block[m][k];

            if (b->values > 0)
                fprintf(out, "    %-12s %11" PRId64 " %10.4f %10.4f %16.4f\n", block_name(k),
                        b->values / v->count, mean_of(b), deviation_of(b),
                        (double)b->corrupted / (double)b->values);
        }
    }
}

static json_t *real_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *counts_json(const struct target *t, const struct view *v,
                           const struct vector_counts *c)
{
    json_t *sources = json_object(), *modalities = json_object();
    char name[64];

    for (int s = 0; s < c->sources || (s == 0 && c->classes > 0); s++) {
        json_t *row = json_object();

        for (int k = 0; k < c->classes; k++)
            (void)json_set_shown(row, view_list_name(v, "synib.classes", k, name, sizeof name),
                                 json_integer(c->label[k][s]));
        (void)json_set_shown(sources, view_list_name(v, "synib.sources", s, name, sizeof name),
                             row);
    }
    for (int m = 0; m < c->modalities; m++) {
        json_t *blocks = json_object();

        for (int k = 0; k <= BLOCK_SPURIOUS; k++) {
            const struct block_sum *b = &c->block[m][k];

            if (b->values > 0)
                (void)json_object_set_new(blocks, block_name(k),
                                          json_pack("{s:I, s:o, s:o, s:f}", "coordinates",
                                                    (json_int_t)(b->values / v->count), "mean",
                                                    real_or_null(mean_of(b)), "std",
                                                    real_or_null(deviation_of(b)), "oracle",
                                                    (double)b->corrupted / (double)b->values));
        }
        (void)json_set_shown(modalities,
                             view_list_name(v, "synib.modalities", m, name, sizeof name), blocks);
    }
    return json_pack("{s:o, s:o, s:I, s:o, s:o}", "path", json_shown(t->path), "split",
                     json_shown(v->name), "samples", (json_int_t)v->count, "sources", sources,
                     "modalities", modalities);
}

enum err_code inspect_stat_vectors(const struct inspect_options *opt, const struct target *t,
                                   const struct view *v, json_t *list, struct err *e)
{
    struct vector_counts c = {0};

    if (shard_set_meta(v->set, "synib.modalities") == NULL)
        return err_set(e, ERR_DATA, "%s: has neither clips nor vectors to count", t->path);
    TRY(count_all(&c, v, e));
    if (opt->cli.json)
        (void)json_array_append_new(list, counts_json(t, v, &c));
    else
        print_counts(opt->out, t, v, &c);
out:
    return e->code;
}
