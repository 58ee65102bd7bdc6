/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "tests/support/check.h"
#include "tests/support/cmocka.h"
#include "train/kmeans.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 90, WIDTH = 5, K = 3 };

/* Three clouds around (0, ..), (far, ..), (2 far, ..), row i in cloud i % 3. */
static void clouds(float x[N * WIDTH], float far)
{
    struct rng r = rng_at(3, rng_stream("test.kmeans"), 0, 0);

    for (int i = 0; i < N * WIDTH; i++)
        x[i] = far * (float)(i / WIDTH % K) + (float)rng_normal(&r);
}

static double inertia_by_hand(const float *x, const int32_t *cluster, int k)
{
    double sum = 0;

    for (int c = 0; c < k; c++)
        for (int d = 0; d < WIDTH; d++) {
            double mean = 0;
            int n = 0;

            for (int i = 0; i < N; i++)
                if (cluster[i] == c) {
                    mean += (double)x[i * WIDTH + d];
                    n++;
                }
            for (int i = 0; i < N && n > 0; i++)
                if (cluster[i] == c)
                    sum += pow((double)x[i * WIDTH + d] - mean / n, 2);
        }
    return sum;
}

static void test_clouds(void **state)
{
    struct kmeans_options o = {K, 10, 300, 7, 1};
    float x[N * WIDTH];
    int32_t cluster[N];
    double inertia;
    struct err e = {0};

    (void)state;
    clouds(x, 20);
    ASSERT_OK(kmeans(cluster, &inertia, N, WIDTH, x, &o, &e), e);
    for (int i = 0; i < N; i++)
        assert_true(cluster[i] == cluster[i % K]);
    assert_true(cluster[0] != cluster[1] && cluster[0] != cluster[2] && cluster[1] != cluster[2]);
    assert_true(fabs(inertia - inertia_by_hand(x, cluster, K)) < 1e-9 * inertia);
}

/* Overlapping clouds: more starts are never worse, threads do not show, rows are at their nearest
 * centre and every cluster has some. */
static void test_starts_and_threads(void **state)
{
    float x[N * WIDTH];
    double last = INFINITY;

    (void)state;
    clouds(x, 1);
    for (int starts = 1; starts <= 16; starts *= 2) {
        struct kmeans_options o = {8, starts, 300, 11, 1};
        int32_t one[N], four[N], rows[8] = {0};
        double a, b;
        struct err e = {0};

        ASSERT_OK(kmeans(one, &a, N, WIDTH, x, &o, &e), e);
        o.threads = 4;
        ASSERT_OK(kmeans(four, &b, N, WIDTH, x, &o, &e), e);
        assert_memory_equal(one, four, sizeof one);
        assert_true(a == b && a <= last);
        assert_true(fabs(a - inertia_by_hand(x, one, 8)) < 1e-9 * a);
        for (int i = 0; i < N; i++)
            rows[one[i]]++;
        for (int k = 0; k < 8; k++)
            assert_true(rows[k] > 0);
        last = a;
    }
}

/* As many clusters as rows: nothing is left; equal rows: nothing either. Too few rows: an error. */
static void test_ends(void **state)
{
    struct kmeans_options o = {N, 2, 300, 1, 2};
    float x[N * WIDTH];
    int32_t cluster[N];
    double inertia;
    struct err e = {0};

    (void)state;
    clouds(x, 3);
    ASSERT_OK(kmeans(cluster, &inertia, N, WIDTH, x, &o, &e), e);
    assert_true(inertia == 0);
    for (int i = 0; i < N * WIDTH; i++)
        x[i] = 0.25F;
    o.clusters = K;
    ASSERT_OK(kmeans(cluster, &inertia, N, WIDTH, x, &o, &e), e);
    assert_true(inertia == 0);
    ASSERT_FAILS(kmeans(cluster, &inertia, K - 1, WIDTH, x, &o, &e), e, ERR_DATA,
                 "2 samples cannot make 3 clusters");
}

/* The best of ten starts is scikit-learn 1.9.1's on the same rows in float64
 * (KMeans(3, n_init=10, tol=0, random_state=s).fit(x).inertia_, the same for s = 0..3). */
static void test_against_sklearn(void **state)
{
    struct kmeans_options o = {K, 10, 300, 0, 1};
    float x[N * WIDTH];
    int32_t cluster[N];
    double inertia;
    struct err e = {0};

    (void)state;
    for (int i = 0; i < N * WIDTH; i++)
        x[i] = (float)((i * 7919 + i / WIDTH * 104729) % 997) / 997 + (float)(i / WIDTH % K);
    ASSERT_OK(kmeans(cluster, &inertia, N, WIDTH, x, &o, &e), e);
    assert_true(fabs(inertia - 37.088695857037806) < 1e-9);
}

static void test_purity(void **state)
{
    const int32_t cluster[] = {0, 0, 0, 1, 1, 1, 1, 3}, label[] = {2, 2, 1, 0, 0, 1, 1, 0};

    (void)state;
    assert_true(cluster_purity(8, 4, cluster, 3, label) == 5.0 / 8);
    assert_true(cluster_purity(8, 4, label, 4, label) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clouds), cmocka_unit_test(test_starts_and_threads),
        cmocka_unit_test(test_ends),   cmocka_unit_test(test_against_sklearn),
        cmocka_unit_test(test_purity),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
