/* SPDX-License-Identifier: MIT */
#include "train/report/stats.h"

#include <math.h>
#include <stdlib.h>

struct summary stats_summary(const double *x, size_t n)
{
    struct summary s = {n, NAN, NAN, NAN, NAN};
    double sum = 0, squares = 0;

    if (n == 0)
        return s;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    s.mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (x[i] - s.mean) * (x[i] - s.mean);
    if (n > 1)
        s.sd = sqrt(squares / (double)(n - 1));
    return s;
}

double stats_quantile(const double *sorted, size_t n, double q)
{
    double at = q * (double)(n - 1), below = floor(at);
    size_t i = (size_t)below;

    if (i + 1 >= n)
        return sorted[n - 1];
    return sorted[i] + (at - below) * (sorted[i + 1] - sorted[i]);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

void stats_interval(struct summary *s, double *x, size_t n)
{
    qsort(x, n, sizeof *x, by_value);
    s->low = stats_quantile(x, n, 0.025);
    s->high = stats_quantile(x, n, 0.975);
}
