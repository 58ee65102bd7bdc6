/* SPDX-License-Identifier: MIT */
#ifndef COMMON_BASE_RNG_H
#define COMMON_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/* Random numbers that do not depend on threads or order.
 *
 * Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") is a function
 * from a 128-bit counter and a 64-bit key to 128 random bits. The key is the user's seed; the
 * counter is (draw, sample, epoch, stream), so any number can be computed at any time by any
 * thread.
 *
 * MT19937 is here only because the authors' data need the very numbers that torch draws. */

void rng_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* A position in one stream. Copying it copies the position. */
struct rng {
    uint32_t key[2];
    uint32_t counter[4]; /* draw / 4, sample, epoch, stream */
    uint32_t out[4];
    unsigned used; /* of out; 4 = draw the next block */
};

/* The stream's number: 32-bit FNV-1a of its name, e.g. rng_stream("loader.crop"). Names are part of
 * the reproducibility contract: changing one changes results. */
uint32_t rng_stream(const char *name);
/* The stream whose name is that of `stream` followed by `suffix`:
 * rng_stream_in(rng_stream("mask."), "audio") == rng_stream("mask.audio"). */
uint32_t rng_stream_in(uint32_t stream, const char *suffix);

/* Starts stream `stream` of `seed` at (epoch, sample), draw 0. */
struct rng rng_at(uint64_t seed, uint32_t stream, uint32_t epoch, uint32_t sample);

uint32_t rng_u32(struct rng *r);
float rng_float(struct rng *r);   /* uniform in [0, 1), 24 bits */
double rng_double(struct rng *r); /* uniform in [0, 1), 53 bits */
/* Uniform in 0..n-1 without bias (Lemire's multiply and reject); n > 0. */
uint32_t rng_below(struct rng *r, uint32_t n);
/* Standard normal by Box-Muller in double; always uses two 53-bit uniforms (four draws). */
double rng_normal(struct rng *r);

/* Many at a time, ten times faster than one by one, and other numbers. `at` is the start of a
 * stream, as rng_at gives it, and does not move. Elements come in groups of 64: element 64 g + 16 c
 * + l is made of word c of the block at draw counter 16 g + l, so x[0..n) begins alike for every n.
 *
 *   rng_uniforms   upper 24 bits of the word, times 2^-24: uniform in [0, 1)
 *   rng_normals    Box-Muller in float over words 0 and 1, and over words 2 and 3:
 *                  sqrt(-2 log u) times cosine and sine of 2 pi v, u = (upper 24 bits + 1/2) 2^-24;
 *                  standard normal up to +-5.9 */
void rng_uniforms(const struct rng *at, float *x, size_t n);
void rng_normals(const struct rng *at, float *x, size_t n);

/* MT19937 as torch's CPU generator seeds it (R section 2). */
struct mt19937 {
    uint32_t state[624];
    unsigned next;
};
void mt19937_seed(struct mt19937 *g, uint32_t seed);
uint32_t mt19937_u32(struct mt19937 *g);
/* perm[0..n) becomes what torch.randperm(n) gives for a generator just seeded; n < 2^32. */
void mt19937_randperm(struct mt19937 *g, uint32_t *perm, size_t n);

#endif
