/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"

#include <math.h>
#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

/* Many numbers at a time: LANES Philox blocks side by side in vector types, which compilers lower
 * to what the machine has. Every lane is plain IEEE arithmetic in a fixed order (and no operation
 * is contracted), so the numbers do not depend on the machine, the compiler or the width of its
 * vectors. */

enum { LANES = 16, WORDS = 4, GROUP = LANES * WORDS, PHILOX_ROUNDS = 10 };

/* A part of the lanes, as many as fit a register. */
#ifdef __AVX512F__
enum { PART = 16 };
#else
enum { PART = 8 };
#endif
enum { WIDE = PART / 2 }; /* 64-bit lanes */

typedef uint64_t wide __attribute__((vector_size(WIDE * sizeof(uint64_t))));
typedef uint32_t narrow
    __attribute__((vector_size(WIDE * sizeof(uint32_t)), aligned(4), may_alias));
typedef float floats __attribute__((vector_size(PART * sizeof(float)), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(PART * sizeof(int32_t)), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

/* What a group of blocks gives: word c of block l is element 16 c + l. */
struct words {
    uint32_t word[GROUP];
};

/* *p = product of the lower halves of *a's lanes and m. */
INLINE void multiply(wide *p, const wide *a, uint32_t m)
{
#if defined(__AVX512F__)
    *p = (wide)_mm512_mul_epu32((__m512i)*a, _mm512_set1_epi64(m));
#elif defined(__AVX2__)
    *p = (wide)_mm256_mul_epu32((__m256i)*a, _mm256_set1_epi64x(m));
#else
    *p = (*a & 0xffffffffu) * m;
#endif
}

/* Lanes at..at+WIDE-1 of the group that begins at draw counter `first`. Words stand in the lower
 * halves of 64-bit lanes; what is in the upper ones never counts. */
INLINE void philox_part(const uint32_t key[2], uint32_t first, const uint32_t rest[3], int at,
                        struct words *out)
{
    wide c0 = {0}, c1 = c0 + rest[0], c2 = c0 + rest[1], c3 = c0 + rest[2];
    uint32_t k0 = key[0], k1 = key[1];

    for (int l = 0; l < WIDE; l++)
        c0[l] = first + (uint32_t)(at + l);
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        wide p0, p1;

        multiply(&p0, &c0, 0xD2511F53u);
        multiply(&p1, &c2, 0xCD9E8D57u);
        c0 = (p1 >> 32) ^ c1 ^ k0;
        c1 = p1;
        c2 = (p0 >> 32) ^ c3 ^ k1;
        c3 = p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    *(narrow *)&out->word[at] = __builtin_convertvector(c0, narrow);
    *(narrow *)&out->word[LANES + at] = __builtin_convertvector(c1, narrow);
    *(narrow *)&out->word[2 * LANES + at] = __builtin_convertvector(c2, narrow);
    *(narrow *)&out->word[3 * LANES + at] = __builtin_convertvector(c3, narrow);
}

INLINE void philox_group(const uint32_t key[2], uint32_t first, const uint32_t rest[3],
                         struct words *out)
{
    for (int at = 0; at < LANES; at += WIDE)
        philox_part(key, first, rest, at, out);
}

/* *x = bits of one type as the other. */
#define AS_INTS(x) ((ints)(x))
#define AS_FLOATS(x) ((floats)(x))

/* *out = -2 log((w + 1/2) / 2^24) from the upper 24 bits w of each word: mantissa in
 * [sqrt(1/2), sqrt(2)), polynomial of [Cephes] logf. */
INLINE void minus_2_log(const uint32_t *word, floats *out)
{
    ints w = (*(const ints *)word >> 8) & 0xffffff;
    floats x = (__builtin_convertvector(w, floats) + 0.5f) * 0x1p-24f;
    /* sqrt(1/2) is 0x3f3504f3: what is added to the exponent's field carries from there up */
    ints e = ((AS_INTS(x) + (0x3f800000 - 0x3f3504f3)) >> 23) - 127;
    floats exponent = __builtin_convertvector(e, floats);
    floats m = AS_FLOATS(AS_INTS(x) - (e << 23)) - 1.0f;
    floats z = m * m, y;

    y = 7.0376836292e-2f * m - 1.1514610310e-1f;
    y = y * m + 1.1676998740e-1f;
    y = y * m - 1.2420140846e-1f;
    y = y * m + 1.4249322787e-1f;
    y = y * m - 1.6668057665e-1f;
    y = y * m + 2.0000714765e-1f;
    y = y * m - 2.4999993993e-1f;
    y = y * m + 3.3333331174e-1f;
    y = y * m * z;
    y = y + exponent * -2.12194440e-4f - 0.5f * z;
    *out = -2.0f * (m + y + exponent * 0.693359375f);
}

/* Sine and cosine of 2 pi w / 2^24, w the upper 24 bits: the nearest multiple of a quarter turn,
 * and Taylor polynomials for what is left. */
INLINE void turn(const uint32_t *word, floats *sine, floats *cosine)
{
    ints w = (*(const ints *)word >> 8) & 0xffffff;
    ints quarter = (w + (1 << 21)) >> 22; /* 0..4 */
    floats a =
        __builtin_convertvector(w - (quarter << 22), floats) * 3.7450702829e-7f; /* 2 pi / 2^24 */
    floats z = a * a;
    floats s = a + a * z * (-1.6666667163e-1f + z * (8.3333291113e-3f - z * 1.9839987555e-4f));
    floats c =
        1.0f - 0.5f * z + z * z * (4.1666667908e-2f + z * (-1.3888889225e-3f + z * 2.4800158e-5f));
    ints odd = -(quarter & 1); /* all ones: sine and cosine change places */
    ints si = (AS_INTS(c) & odd) | (AS_INTS(s) & ~odd);
    ints ci = (AS_INTS(s) & odd) | (AS_INTS(c) & ~odd);

    *sine = AS_FLOATS(si ^ ((quarter & 2) << 30));
    *cosine = AS_FLOATS(ci ^ (((quarter + 1) & 2) << 30));
}

/* PART numbers of word 0 and of word 1 in `word`, which stand LANES apart, as in `out`. */
INLINE void box_muller(const uint32_t *word, float *out)
{
    floats square, sine, cosine;
    float radius[PART];

    minus_2_log(word, &square);
    turn(word + LANES, &sine, &cosine);
    memcpy(radius, &square, sizeof radius);
    for (int l = 0; l < PART; l++)
        radius[l] = sqrtf(radius[l]);
    *(floats *)out = *(floats *)radius * cosine;
    *(floats *)(out + LANES) = *(floats *)radius * sine;
}

INLINE void normal_group(const struct words *w, float *out)
{
    for (int at = 0; at < LANES; at += PART) {
        box_muller(w->word + at, out + at);
        box_muller(w->word + 2 * LANES + at, out + 2 * LANES + at);
    }
}

INLINE void uniform_group(const struct words *w, float *out)
{
    for (int at = 0; at < GROUP; at += PART) {
        ints upper = (*(const ints *)&w->word[at] >> 8) & 0xffffff;

        *(floats *)(out + at) = __builtin_convertvector(upper, floats) * 0x1p-24f;
    }
}

typedef void group_fn(const struct words *w, float *out);

INLINE void fill(const struct rng *at, float *x, size_t n, group_fn *make)
{
    uint32_t draw = at->counter[0];
    struct words w;
    float last[GROUP];

    for (; n >= GROUP; n -= GROUP, x += GROUP, draw += LANES) {
        philox_group(at->key, draw, at->counter + 1, &w);
        make(&w, x);
    }
    if (n > 0) {
        philox_group(at->key, draw, at->counter + 1, &w);
        make(&w, last);
        memcpy(x, last, n * sizeof *x);
    }
}

void rng_normals(const struct rng *at, float *x, size_t n)
{
    fill(at, x, n, normal_group);
}

void rng_uniforms(const struct rng *at, float *x, size_t n)
{
    fill(at, x, n, uniform_group);
}
