/* SPDX-License-Identifier: MIT */
#ifndef COMMON_NN_SCALAR_H
#define COMMON_NN_SCALAR_H

#include <math.h>

/* Functions of one number, in double, that neither overflow nor lose small results. */

/* log(1 + exp(f)). */
static inline double scalar_softplus(double f)
{
    return f > 0 ? f + log1p(exp(-f)) : log1p(exp(f));
}

static inline double scalar_sigmoid(double f)
{
    return 1 / (1 + exp(-f));
}

#endif
