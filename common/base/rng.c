/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"

#include <math.h>

enum { PHILOX_ROUNDS = 10 };

void rng_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];

    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;

        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u; /* golden ratio */
        k1 += 0xBB67AE85u; /* sqrt(3) - 1 */
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint32_t rng_stream(const char *name)
{
    return rng_stream_in(2166136261u, name);
}

uint32_t rng_stream_in(uint32_t stream, const char *suffix)
{
    for (const char *p = suffix; *p != '\0'; p++)
        stream = (stream ^ (uint8_t)*p) * 16777619u;
    return stream;
}

struct rng rng_at(uint64_t seed, uint32_t stream, uint32_t epoch, uint32_t sample)
{
    return (struct rng){
        .key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
        .counter = {0, sample, epoch, stream},
        .used = 4,
    };
}

uint32_t rng_u32(struct rng *r)
{
    if (r->used == 4) {
        rng_philox4x32(r->counter, r->key, r->out);
        r->counter[0]++;
        r->used = 0;
    }
    return r->out[r->used++];
}

float rng_float(struct rng *r)
{
    return (float)(rng_u32(r) >> 8) * 0x1p-24f;
}

double rng_double(struct rng *r)
{
    uint64_t hi = rng_u32(r) >> 5;
    uint64_t lo = rng_u32(r) >> 6;

    return (double)(hi << 26 | lo) * 0x1p-53;
}

uint32_t rng_below(struct rng *r, uint32_t n)
{
    uint64_t m = (uint64_t)rng_u32(r) * n;

    if ((uint32_t)m < n) {
        uint32_t threshold = -n % n;
        while ((uint32_t)m < threshold)
            m = (uint64_t)rng_u32(r) * n;
    }
    return (uint32_t)(m >> 32);
}

double rng_normal(struct rng *r)
{
    double u = 1.0 - rng_double(r); /* in (0, 1]: its logarithm is finite */
    double v = rng_double(r);

    return sqrt(-2.0 * log(u)) * cos(2.0 * M_PI * v);
}

void mt19937_seed(struct mt19937 *g, uint32_t seed)
{
    g->state[0] = seed;
    for (uint32_t i = 1; i < 624; i++)
        g->state[i] = 1812433253u * (g->state[i - 1] ^ (g->state[i - 1] >> 30)) + i;
    g->next = 624;
}

static void mt19937_refill(struct mt19937 *g)
{
    for (unsigned i = 0; i < 624; i++) {
        uint32_t y = (g->state[i] & 0x80000000u) | (g->state[(i + 1) % 624] & 0x7fffffffu);
        g->state[i] = g->state[(i + 397) % 624] ^ (y >> 1) ^ ((y & 1) ? 0x9908b0dfu : 0);
    }
    g->next = 0;
}

uint32_t mt19937_u32(struct mt19937 *g)
{
    uint32_t y;

    if (g->next == 624)
        mt19937_refill(g);
    y = g->state[g->next++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

void mt19937_randperm(struct mt19937 *g, uint32_t *perm, size_t n)
{
    for (size_t i = 0; i < n; i++)
        perm[i] = (uint32_t)i;
    for (size_t i = 0; i + 1 < n; i++) {
        size_t j = i + mt19937_u32(g) % (n - i);
        uint32_t t = perm[i];
        perm[i] = perm[j];
        perm[j] = t;
    }
}
