/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_METHODS_MIN_NORM_H
#define TRAIN_METHODS_MIN_NORM_H

/* The weight g in [0, 1] that minimises |g f + (1 - g) m| of two vectors, from their products f.f,
 * f.m and m.m. As the published solver, kept off the ends: 0.999 where f alone is the shortest
 * (f.m >= f.f), 0.001 where m alone is (f.m >= m.m). R section 6.5. */
double min_norm_weight(double ff, double fm, double mm);

#endif
