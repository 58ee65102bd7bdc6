/* SPDX-License-Identifier: MIT */
#include "prep/synth_math.h"

#include <math.h>

static const double half_pi = 1.57079632679489661923;
static const double ln2 = 0.69314718055994530942;
static const double log2_10_by_20 = 0.16609640474436811739; /* log2(10) / 20 */

/* Taylor sums on |r| <= pi / 4, where the first omitted term is below 1e-15. */
static double sin_near_0(double r)
{
    double s = r * r, sum = 1;

    for (int k = 14; k >= 2; k -= 2)
        sum = 1 - sum * s / (k * (k + 1));
    return r * sum;
}

static double cos_near_0(double r)
{
    double s = r * r, sum = 1;

    for (int k = 15; k >= 1; k -= 2)
        sum = 1 - sum * s / (k * (k + 1));
    return sum;
}

double synth_sin(double radians)
{
    double turns = floor(radians / half_pi + 0.5);
    double r = radians - turns * half_pi;

    switch ((int)(turns - 4 * floor(turns / 4))) {
    case 0: return sin_near_0(r);
    case 1: return cos_near_0(r);
    case 2: return -sin_near_0(r);
    default: return -cos_near_0(r);
    }
}

double synth_cos(double radians)
{
    return synth_sin(radians + half_pi);
}

double synth_exp2(double x)
{
    double whole = floor(x + 0.5);
    double r = (x - whole) * ln2;
    double sum = 1;

    for (int k = 13; k >= 1; k--)
        sum = 1 + sum * r / k;
    return ldexp(sum, (int)whole); /* a power of two: exact */
}

double synth_db(double db)
{
    return synth_exp2(db * log2_10_by_20);
}

double synth_clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

double synth_smooth(double x, double a, double b)
{
    double t = synth_clamp((x - a) / (b - a), 0, 1);

    return t * t * (3 - 2 * t);
}

double synth_normal(struct rng *r)
{
    double sum = -6;

    for (int i = 0; i < 12; i++)
        sum += rng_double(r);
    return sum;
}

double synth_uniform(struct rng *r, double low, double high)
{
    return low + (high - low) * rng_double(r);
}
