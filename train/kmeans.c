/* SPDX-License-Identifier: MIT */
#include "train/kmeans.h"

#include "common/base/mem.h"
#include "common/base/parallel.h"
#include "common/base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One start with scratch of its own. */
struct start {
    int64_t n, width;
    int clusters;
    const float *x;
    double *centre;   /* [clusters][width] */
    int64_t *rows;    /* [clusters] */
    int32_t *cluster; /* [n] */
    double *distance; /* [n] squared, to the row's centre */
    double inertia;
};

struct work {
    const struct kmeans_options *opt;
    struct start *start;
};

/* Four sums side by side, added at the end. */
static double squared_distance(const float *x, const double *c, int64_t width)
{
    double sum[4] = {0};

    for (int64_t d = 0; d < width; d++) {
        double off = (double)x[d] - c[d];

        sum[d & 3] += off * off;
    }
    return sum[0] + sum[1] + (sum[2] + sum[3]);
}

static void centre_on(struct start *s, int k, int64_t row)
{
    for (int64_t d = 0; d < s->width; d++)
        s->centre[k * s->width + d] = (double)s->x[row * s->width + d];
}

/* k-means++: each next centre is a row drawn in proportion to its squared distance to the nearest
 * centre so far. */
static void draw_centres(struct start *s, struct rng *r)
{
    centre_on(s, 0, (int64_t)rng_below(r, (uint32_t)s->n));
    for (int64_t i = 0; i < s->n; i++)
        s->distance[i] = INFINITY;
    for (int k = 1; k < s->clusters; k++) {
        const double *last = s->centre + (k - 1) * s->width;
        double total = 0, at;
        int64_t row = 0;

        for (int64_t i = 0; i < s->n; i++) {
            double d = squared_distance(s->x + i * s->width, last, s->width);

            if (d < s->distance[i])
                s->distance[i] = d;
            total += s->distance[i];
        }
        at = rng_double(r) * total;
        while (row + 1 < s->n && at >= s->distance[row])
            at -= s->distance[row++];
        centre_on(s, k, row);
    }
}

/* Every row to its nearest centre, the first of equals; returns how many moved. */
static int64_t assign(struct start *s)
{
    int64_t moved = 0;

    s->inertia = 0;
    for (int64_t i = 0; i < s->n; i++) {
        double least = INFINITY;
        int32_t nearest = 0;

        for (int k = 0; k < s->clusters; k++) {
            double d = squared_distance(s->x + i * s->width, s->centre + k * s->width, s->width);

            if (d < least) {
                least = d;
                nearest = k;
            }
        }
        moved += s->cluster[i] != nearest;
        s->cluster[i] = nearest;
        s->distance[i] = least;
        s->inertia += least;
    }
    return moved;
}

static void fill_empty(struct start *s)
{
    for (int k = 0; k < s->clusters; k++) {
        int64_t farthest = 0;

        if (s->rows[k] > 0)
            continue;
        for (int64_t i = 1; i < s->n; i++)
            if (s->distance[i] > s->distance[farthest])
                farthest = i;
        centre_on(s, k, farthest);
        s->distance[farthest] = 0;
    }
}

static void move_centres(struct start *s)
{
    memset(s->centre, 0, (size_t)(s->clusters * s->width) * sizeof *s->centre);
    memset(s->rows, 0, (size_t)s->clusters * sizeof *s->rows);
    for (int64_t i = 0; i < s->n; i++) {
        double *c = s->centre + s->cluster[i] * s->width;

        for (int64_t d = 0; d < s->width; d++)
            c[d] += (double)s->x[i * s->width + d];
        s->rows[s->cluster[i]]++;
    }
    for (int k = 0; k < s->clusters; k++)
        for (int64_t d = 0; d < s->width && s->rows[k] > 0; d++)
            s->centre[k * s->width + d] /= (double)s->rows[k];
    fill_empty(s);
}

static void run_start(void *ctx, int64_t i, int worker)
{
    const struct work *w = ctx;
    struct start *s = &w->start[i];
    struct rng r = rng_at(w->opt->seed, rng_stream("kmeans"), 0, (uint32_t)i);

    (void)worker;
    draw_centres(s, &r);
    for (int64_t row = 0; row < s->n; row++)
        s->cluster[row] = -1;
    for (int round = 0; assign(s) > 0 && round < w->opt->most_rounds; round++)
        move_centres(s);
}

static void start_free(struct start *s)
{
    free(s->centre);
    free(s->rows);
    free(s->cluster);
    free(s->distance);
}

static enum err_code start_init(struct start *s, int64_t n, int64_t width, const float *x,
                                int clusters, struct err *e)
{
    size_t values;

    *s = (struct start){.n = n, .width = width, .clusters = clusters, .x = x};
    if (!mem_size((size_t)clusters, (size_t)width, &values))
        return err_set(e, ERR_NOMEM, "k-means: too large");
    TRY(mem_array(&s->centre, values, sizeof *s->centre, "k-means", e));
    TRY(mem_array(&s->rows, (size_t)clusters, sizeof *s->rows, "k-means", e));
    TRY(mem_array(&s->cluster, (size_t)n, sizeof *s->cluster, "k-means", e));
    TRY(mem_array(&s->distance, (size_t)n, sizeof *s->distance, "k-means", e));
out:
    return e->code;
}

enum err_code kmeans(int32_t *cluster, double *inertia, int64_t n, int64_t width, const float *x,
                     const struct kmeans_options *opt, struct err *e)
{
    struct work w = {.opt = opt};
    int best = 0;

    if (n < opt->clusters || n > UINT32_MAX)
        return err_set(e, ERR_DATA, "k-means: %lld samples cannot make %d clusters", (long long)n,
                       opt->clusters);
    TRY(mem_array(&w.start, (size_t)opt->starts, sizeof *w.start, "k-means", e));
    for (int i = 0; i < opt->starts; i++)
        TRY(start_init(&w.start[i], n, width, x, opt->clusters, e));
    parallel_for(opt->threads, opt->starts, run_start, &w);
    for (int i = 1; i < opt->starts; i++)
        if (w.start[i].inertia < w.start[best].inertia)
            best = i;
    memcpy(cluster, w.start[best].cluster, (size_t)n * sizeof *cluster);
    if (inertia != NULL)
        *inertia = w.start[best].inertia;
out:
    for (int i = 0; w.start != NULL && i < opt->starts; i++)
        start_free(&w.start[i]);
    free(w.start);
    return e->code;
}

double cluster_purity(int64_t n, int clusters, const int32_t *cluster, int classes,
                      const int32_t *label)
{
    int64_t right = 0;

    for (int k = 0; k < clusters; k++) {
        int64_t most = 0;

        for (int c = 0; c < classes; c++) {
            int64_t count = 0;

            for (int64_t i = 0; i < n; i++)
                count += cluster[i] == k && label[i] == c;
            if (count > most)
                most = count;
        }
        right += most;
    }
    return (double)right / (double)n;
}
