/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "tests/support/check.h"
#include "train/kmeans.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 240, WIDTH = 5, BLOBS = 4 };

struct points {
    float x[N][WIDTH];
    int32_t blob[N];
};

/* Blob b lies around `apart` times the b-th unit vector. */
static void make_points(struct points *p, double apart, uint32_t seed)
{
    struct rng r = rng_at(seed, rng_stream("test.kmeans"), 0, 0);

    for (int i = 0; i < N; i++) {
        p->blob[i] = (int32_t)rng_below(&r, BLOBS);
        for (int d = 0; d < WIDTH; d++)
            p->x[i][d] = (float)(rng_normal(&r) + (d == p->blob[i] ? apart : 0));
    }
}

static struct kmeans_options options(int clusters, int starts, int threads)
{
    return (struct kmeans_options){clusters, starts, 300, 7, threads};
}

static double run(int32_t cluster[N], const struct points *p, const struct kmeans_options *o)
{
    double inertia = -1;
    struct err e = {0};

    ASSERT_OK(kmeans(cluster, &inertia, N, WIDTH, p->x[0], o, &e), e);
    for (int i = 0; i < N; i++)
        assert_true(cluster[i] >= 0 && cluster[i] < o->clusters);
    return inertia;
}

/* Sum of squared distances to the means of the clusters; how many clusters have rows. */
static double inertia_by_hand(const int32_t cluster[N], const struct points *p, int clusters,
                              int *filled)
{
    double sum = 0;

    *filled = 0;
    for (int k = 0; k < clusters; k++) {
        double mean[WIDTH] = {0};
        int rows = 0;

        for (int i = 0; i < N; i++) {
            rows += cluster[i] == k;
            for (int d = 0; d < WIDTH && cluster[i] == k; d++)
                mean[d] += (double)p->x[i][d];
        }
        *filled += rows > 0;
        for (int i = 0; i < N; i++)
            for (int d = 0; d < WIDTH && cluster[i] == k; d++) {
                double off = (double)p->x[i][d] - mean[d] / rows;

                sum += off * off;
            }
    }
    return sum;
}

/* Blobs that stand far apart are the clusters. */
static void test_blobs(void **state)
{
    static struct points p;
    int32_t cluster[N], name[BLOBS] = {-1, -1, -1, -1};
    struct kmeans_options o = options(BLOBS, 10, 1);

    (void)state;
    make_points(&p, 60, 1);
    (void)run(cluster, &p, &o);
    for (int i = 0; i < N; i++) {
        if (name[p.blob[i]] < 0)
            name[p.blob[i]] = cluster[i];
        assert_int_equal(cluster[i], name[p.blob[i]]);
    }
    for (int b = 1; b < BLOBS; b++)
        for (int a = 0; a < b; a++)
            assert_true(name[a] != name[b]);
    assert_true(cluster_purity(N, BLOBS, cluster, BLOBS, p.blob) == 1);
}

/* The inertia is what it says; more starts never give a larger one; threads change nothing. */
static void test_ends(void **state)
{
    static struct points p;
    int better = 0;

    (void)state;
    for (uint32_t seed = 0; seed < 6; seed++) {
        int32_t cluster[N], parallel[N];
        double least = INFINITY;

        make_points(&p, 2, seed);
        for (int starts = 1; starts <= 8; starts++) {
            struct kmeans_options o = options(6, starts, 1), team = options(6, starts, 4);
            double inertia = run(cluster, &p, &o);
            int filled;

            assert_float_equal(inertia_by_hand(cluster, &p, 6, &filled), inertia, 1e-9 * inertia);
            assert_int_equal(filled, 6);
            assert_true(inertia <= least);
            better += starts > 1 && inertia < least;
            least = inertia;
            assert_true(run(parallel, &p, &team) == inertia);
            assert_memory_equal(cluster, parallel, sizeof cluster);
        }
    }
    assert_true(better > 0);
}

/* It ends where every row is nearest to the mean of its own cluster. */
static void test_nearest(void **state)
{
    static struct points p;
    int32_t cluster[N];
    struct kmeans_options o = options(5, 3, 2);

    (void)state;
    make_points(&p, 3, 9);
    (void)run(cluster, &p, &o);
    for (int i = 0; i < N; i++) {
        double own = 0, least = INFINITY;

        for (int k = 0; k < o.clusters; k++) {
            double off = 0;

            for (int d = 0; d < WIDTH; d++) {
                double mean = 0;
                int rows = 0;

                for (int j = 0; j < N; j++)
                    if (cluster[j] == k) {
                        mean += (double)p.x[j][d];
                        rows++;
                    }
                off += ((double)p.x[i][d] - mean / rows) * ((double)p.x[i][d] - mean / rows);
            }
            least = fmin(least, off);
            if (k == cluster[i])
                own = off;
        }
        assert_true(own <= least + 1e-9);
    }
}

/* Fewer different rows than clusters, and as many rows as clusters. */
static void test_duplicates(void **state)
{
    static struct points p;
    int32_t cluster[N];
    struct kmeans_options o = options(BLOBS, 10, 2);
    struct err e = {0};
    double inertia;

    (void)state;
    for (int i = 0; i < N; i++)
        for (int d = 0; d < WIDTH; d++)
            p.x[i][d] = (float)(i % 2);
    assert_true(run(cluster, &p, &o) == 0);
    for (int i = 2; i < N; i++)
        assert_int_equal(cluster[i], cluster[i % 2]);
    assert_true(cluster[0] != cluster[1]);
    make_points(&p, 1, 4);
    ASSERT_OK(kmeans(cluster, &inertia, BLOBS, WIDTH, p.x[0], &o, &e), e);
    assert_true(inertia == 0);
    for (int b = 1; b < BLOBS; b++)
        for (int a = 0; a < b; a++)
            assert_true(cluster[a] != cluster[b]);
}

/* One of the rare starts (about 1 in 10000 of random points) in which a cluster loses all its rows
 * on the way: it is filled again. Far from the origin, where a forgotten centre would go. */
static void test_empty_cluster(void **state)
{
    enum { ROWS = 10, CLUSTERS = 5 };
    struct kmeans_options o = {CLUSTERS, 1, 300, 1138, 1};
    struct rng r = rng_at(o.seed, 1, 0, 0);
    int rows[CLUSTERS] = {0};
    int32_t cluster[ROWS];
    float x[ROWS * 2];
    struct err e = {0};

    (void)state;
    for (int i = 0; i < ROWS * 2; i++) {
        x[i] = (float)rng_normal(&r);
        x[i] = 1000 + x[i] * (rng_float(&r) < 0.1f ? 10 : 1);
    }
    ASSERT_OK(kmeans(cluster, NULL, ROWS, 2, x, &o, &e), e);
    for (int i = 0; i < ROWS; i++)
        rows[cluster[i]]++;
    for (int k = 0; k < CLUSTERS; k++)
        assert_true(rows[k] > 0);
}

/* Of starts that end equally well the first counts: more of them change nothing until one is
 * better. The corners of a square fall into halves in two ways. */
static void test_first_of_equals(void **state)
{
    static const float x[4][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};
    int equals = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        int32_t cluster[4], before[4] = {-1, -1, -1, -1};
        double least = INFINITY;

        for (int starts = 1; starts <= 8; starts++) {
            struct kmeans_options o = {2, starts, 300, seed, 1};
            double inertia;
            struct err e = {0};

            ASSERT_OK(kmeans(cluster, &inertia, 4, 2, x[0], &o, &e), e);
            if (inertia == least) {
                assert_memory_equal(cluster, before, sizeof cluster);
                equals++;
            }
            memcpy(before, cluster, sizeof before);
            least = inertia;
        }
    }
    assert_true(equals > 100);
}

static void test_too_few(void **state)
{
    static struct points p;
    int32_t cluster[N] = {-7};
    struct kmeans_options o = options(BLOBS, 10, 1);
    struct err e = {0};

    (void)state;
    ASSERT_FAILS(kmeans(cluster, NULL, BLOBS - 1, WIDTH, p.x[0], &o, &e), e, ERR_DATA,
                 "3 samples cannot make 4 clusters");
    assert_int_equal(cluster[0], -7);
}

/* The best accuracy over all ways to name the clusters. */
static void test_purity(void **state)
{
    struct rng r = rng_at(2, rng_stream("test.purity"), 0, 0);

    (void)state;
    for (int i = 0; i < 200; i++) {
        enum { CLUSTERS = 4, CLASSES = 3, WAYS = 81 }; /* 3^4 */
        int32_t cluster[20], label[20];
        int n = 1 + (int)rng_below(&r, 20), best = 0;

        for (int k = 0; k < n; k++) {
            cluster[k] = (int32_t)rng_below(&r, CLUSTERS);
            label[k] = (int32_t)rng_below(&r, CLASSES);
        }
        for (int way = 0; way < WAYS; way++) {
            const int name[CLUSTERS] = {way % 3, way / 3 % 3, way / 9 % 3, way / 27};
            int right = 0;

            for (int k = 0; k < n; k++)
                right += name[cluster[k]] == label[k];
            best = right > best ? right : best;
        }
        assert_true(cluster_purity(n, CLUSTERS, cluster, CLASSES, label) == (double)best / n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blobs),         cmocka_unit_test(test_ends),
        cmocka_unit_test(test_nearest),       cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_empty_cluster), cmocka_unit_test(test_first_of_equals),
        cmocka_unit_test(test_too_few),       cmocka_unit_test(test_purity),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
