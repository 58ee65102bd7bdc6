/* SPDX-License-Identifier: MIT */
#ifndef COMMON_NN_SCALAR_H
#define COMMON_NN_SCALAR_H

#include <math.h>
#include <stdint.h>

/* Functions of one number or of a row, in double, that neither overflow nor lose small results. */

static const double scalar_log_2pi = 1.83787706640934548356; /* log(2 pi) */

/* log(1 + exp(f)). */
static inline double scalar_softplus(double f)
{
    return f > 0 ? f + log1p(exp(-f)) : log1p(exp(f));
}

static inline double scalar_sigmoid(double f)
{
    return 1 / (1 + exp(-f));
}

/* log of the sum of exp(x[0]), ..., exp(x[n - 1]); n > 0. */
static inline double scalar_log_sum_exp(int64_t n, const float *x)
{
    double top = (double)x[0], sum = 0;

    for (int64_t k = 1; k < n; k++)
        top = (double)x[k] > top ? (double)x[k] : top;
    for (int64_t k = 0; k < n; k++)
        sum += exp((double)x[k] - top);
    return top + log(sum);
}

#endif
