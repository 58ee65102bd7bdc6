/* SPDX-License-Identifier: MIT */
#include "common/nn/cpu/cpu.h"

#include <string.h>

/* The element-wise part of a learned mask's inner step. exp is ours so that loops over it become
 * vector code with the same bits everywhere. */

enum { STRIP = 16384 };

/* exp(x) for x in [-87, 88], within 2 units in the last place: [Cephes] expf. Beyond, the ends. */
INLINE float fast_exp(float x)
{
    float n, y, scale;
    int32_t bits;

    x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
    n = x * 1.44269504088896341f;
    n = (n + 12582912.0f) - 12582912.0f; /* to the nearest whole number */
    x = x - n * 0.693359375f;
    x = x - n * -2.12194440e-4f;
    y = 1.9875691500e-4f;
    y = y * x + 1.3981999507e-3f;
    y = y * x + 8.3334519073e-3f;
    y = y * x + 4.1665795894e-2f;
    y = y * x + 1.6666665459e-1f;
    y = y * x + 5.0000001201e-1f;
    y = y * x * x + x + 1.0f;
    bits = ((int32_t)n + 127) << 23;
    memcpy(&scale, &bits, sizeof scale);
    return y * scale;
}

struct gate_run {
    int64_t count;
    float scale, extra;
    const float *logit, *x, *fill, *d, *old_gate;
    float *gate, *mixed, *dlogit;
};

static int64_t strip_end(int64_t i, int64_t count)
{
    return (i + 1) * STRIP < count ? (i + 1) * STRIP : count;
}

static void gate_strip(void *ctx, int64_t i, int worker)
{
    const struct gate_run r = *(const struct gate_run *)ctx;
    int64_t end = strip_end(i, r.count);
    const float *restrict logit = r.logit;
    const float *restrict x = r.x;
    const float *restrict fill = r.fill;
    float *restrict gate = r.gate;
    float *restrict mixed = r.mixed;

    (void)worker;
    for (int64_t k = i * STRIP; k < end; k++) {
        float g = 1 / (1 + fast_exp(-logit[k] * r.scale));

        gate[k] = g;
        mixed[k] = (1 - g) * x[k] + g * fill[k];
    }
}

enum err_code k_gate(struct nn *nn, int64_t count, float scale, const float *logit, const float *x,
                     const float *fill, float *gate, float *mixed, struct err *e)
{
    struct gate_run run = {.count = count,
                           .scale = scale,
                           .logit = logit,
                           .x = x,
                           .fill = fill,
                           .gate = gate,
                           .mixed = mixed};

    (void)e;
    nn_run(nn, (count + STRIP - 1) / STRIP, gate_strip, &run);
    return ERR_OK;
}

static void backward_strip(void *ctx, int64_t i, int worker)
{
    const struct gate_run r = *(const struct gate_run *)ctx;
    int64_t end = strip_end(i, r.count);
    const float *restrict gate = r.old_gate;
    const float *restrict x = r.x;
    const float *restrict fill = r.fill;
    const float *restrict d = r.d;
    float *restrict dlogit = r.dlogit;

    (void)worker;
    for (int64_t k = i * STRIP; k < end; k++)
        dlogit[k] = (d[k] * (fill[k] - x[k]) + r.extra) * (gate[k] * (1 - gate[k]) * r.scale);
}

enum err_code k_gate_backward(struct nn *nn, int64_t count, float scale, float extra,
                              const float *gate, const float *x, const float *fill, const float *d,
                              float *dlogit, struct err *e)
{
    struct gate_run run = {.count = count,
                           .scale = scale,
                           .extra = extra,
                           .old_gate = gate,
                           .x = x,
                           .fill = fill,
                           .d = d,
                           .dlogit = dlogit};

    (void)e;
    nn_run(nn, (count + STRIP - 1) / STRIP, backward_strip, &run);
    return ERR_OK;
}
