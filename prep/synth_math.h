/* SPDX-License-Identifier: MIT */
#ifndef PREP_SYNTH_MATH_H
#define PREP_SYNTH_MATH_H

#include "common/base/rng.h"

/* Elementary functions of the synthetic corpus, made of + - * / alone.
 *
 * libm picks variants with or without fused multiply-add by processor, and they differ in the last
 * bit; a corpus must have the same bytes on every machine. Errors here are below 1e-12 absolute for
 * |x| < 1e6, far more than pictures and sound need. Threads: any. */

double synth_sin(double radians);
double synth_cos(double radians);
double synth_exp2(double x); /* |x| <= 1000 */
double synth_db(double db);  /* 10^(db / 20) */

double synth_clamp(double x, double low, double high);
/* 0 below a, 1 above b, smooth between (3x^2 - 2x^3). a < b. */
double synth_smooth(double x, double a, double b);

/* Nearly normal, mean 0, deviation 1, never beyond 6: the sum of twelve uniforms. */
double synth_normal(struct rng *r);
double synth_uniform(struct rng *r, double low, double high);

#endif
