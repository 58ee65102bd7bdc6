/* SPDX-License-Identifier: MIT */
#include "tests/support/kernel_ref.h"

#include "common/base/mem.h"
#include "tests/support/cmocka.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

float *ref_floats(int64_t count)
{
    float *p = NULL;
    struct err e = {0};

    if (mem_aligned(&p, (size_t)count, sizeof *p, "test data", &e) != ERR_OK)
        fail_msg("%s", e.text);
    memset(p, 0, (size_t)count * sizeof *p);
    return p;
}

/* SplitMix64: every index by itself, so shapes may change without changing the rest. */
static uint64_t mix(uint64_t z)
{
    z += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

float *ref_random(int64_t count, uint64_t seed)
{
    float *p = ref_floats(count);

    for (int64_t i = 0; i < count; i++)
        p[i] = (float)(mix(seed * 0x10001 + (uint64_t)i) >> 40) / (float)(1 << 23) - 1;
    return p;
}

static float *turned(const float *from, int64_t n, int64_t c, int64_t pixels, int block,
                     int to_blocked)
{
    float *to = ref_floats(n * c * pixels);

    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < c; k++)
            for (int64_t p = 0; p < pixels; p++) {
                int64_t plain = (i * c + k) * pixels + p;
                int64_t blocked = ((i * (c / block) + k / block) * pixels + p) * block + k % block;
                if (to_blocked)
                    to[blocked] = from[plain];
                else
                    to[plain] = from[blocked];
            }
    return to;
}

float *ref_blocked(const float *plain, int64_t n, int64_t c, int64_t pixels, int block)
{
    return turned(plain, n, c, pixels, block, 1);
}

float *ref_plain(const float *blocked, int64_t n, int64_t c, int64_t pixels, int block)
{
    return turned(blocked, n, c, pixels, block, 0);
}

double ref_error(const float *got, const double *want, int64_t count)
{
    double worst = 0;
    double largest = 1e-30;

    for (int64_t i = 0; i < count; i++) {
        double d = fabs(got[i] - want[i]);
        if (isnan(d))
            return NAN;
        worst = d > worst ? d : worst;
        largest = fabs(want[i]) > largest ? fabs(want[i]) : largest;
    }
    return worst / largest;
}

static double *doubles(int64_t count)
{
    double *p = calloc((size_t)count, sizeof *p);

    if (p == NULL)
        fail_msg("no memory for %lld doubles", (long long)count);
    return p;
}

/* Calls each (output, input, weight) triple of a convolution once. */
enum conv_what { CONV_Y, CONV_DX, CONV_DW };

static void conv_taps(const struct conv_shape *s, enum conv_what what, const float *a,
                      const float *b, double *out, int64_t n, int64_t o, int64_t i)
{
    int64_t oh = conv_oh(s), ow = conv_ow(s);

    for (int64_t oy = 0; oy < oh; oy++)
        for (int64_t ox = 0; ox < ow; ox++)
            for (int64_t ky = 0; ky < s->kh; ky++)
                for (int64_t kx = 0; kx < s->kw; kx++) {
                    int64_t iy = oy * s->stride - s->pad + ky;
                    int64_t ix = ox * s->stride - s->pad + kx;
                    int64_t y = ((n * s->oc + o) * oh + oy) * ow + ox;
                    int64_t x = ((n * s->ic + i) * s->ih + iy) * s->iw + ix;
                    int64_t w = ((o * s->ic + i) * s->kh + ky) * s->kw + kx;
                    if (iy < 0 || ix < 0 || iy >= s->ih || ix >= s->iw)
                        continue;
                    if (what == CONV_Y)
                        out[y] += (double)a[x] * b[w];
                    else if (what == CONV_DX)
                        out[x] += (double)a[y] * b[w];
                    else
                        out[w] += (double)a[x] * b[y];
                }
}

static double *conv(const struct conv_shape *s, enum conv_what what, const float *a, const float *b,
                    int64_t count)
{
    double *out = doubles(count);

    for (int64_t n = 0; n < s->n; n++)
        for (int64_t o = 0; o < s->oc; o++)
            for (int64_t i = 0; i < s->ic; i++)
                conv_taps(s, what, a, b, out, n, o, i);
    return out;
}

double *ref_conv_forward(const struct conv_shape *s, const float *x, const float *w)
{
    return conv(s, CONV_Y, x, w, s->n * s->oc * conv_oh(s) * conv_ow(s));
}

double *ref_conv_data(const struct conv_shape *s, const float *dy, const float *w)
{
    return conv(s, CONV_DX, dy, w, s->n * s->ic * s->ih * s->iw);
}

double *ref_conv_weights(const struct conv_shape *s, const float *x, const float *dy)
{
    return conv(s, CONV_DW, x, dy, s->oc * s->ic * s->kh * s->kw);
}

struct nn *ref_nn(int threads)
{
    struct nn *nn = NULL;
    struct err e = {0};

    if (nn_new(&nn, threads, &e) != ERR_OK)
        fail_msg("%s", e.text);
    return nn;
}
