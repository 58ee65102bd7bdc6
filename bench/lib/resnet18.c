/* SPDX-License-Identifier: MIT */
#include "bench/lib/resnet18.h"

int resnet18(struct conv_layer l[RESNET18_LAYERS], int64_t n, bool audio)
{
    int64_t h = audio ? 257 : 224, w = audio ? 188 : 224, c = 64;
    int count = 0;

    l[count++] = (struct conv_layer){"stem 7x7 s2", 1, {n, audio ? 1 : 3, h, w, 64, 7, 7, 2, 3}};
    h = ((h + 1) / 2 + 1) / 2;
    w = ((w + 1) / 2 + 1) / 2;
    for (int stage = 1; stage <= 4; stage++, c *= 2) {
        if (stage > 1) {
            l[count++] = (struct conv_layer){"3x3 s2", 1, {n, c / 2, h, w, c, 3, 3, 2, 1}};
            l[count++] = (struct conv_layer){"1x1 s2", 1, {n, c / 2, h, w, c, 1, 1, 2, 0}};
            h = (h + 1) / 2;
            w = (w + 1) / 2;
        }
        l[count++] = (struct conv_layer){"3x3", stage == 1 ? 4 : 3, {n, c, h, w, c, 3, 3, 1, 1}};
    }
    return count;
}

double conv_flop(const struct conv_shape *s)
{
    return 2.0 * (double)(s->n * s->oc * conv_oh(s) * conv_ow(s)) * (double)(s->ic * s->kh * s->kw);
}

double resnet18_flop(int64_t n, bool audio)
{
    struct conv_layer l[RESNET18_LAYERS];
    int count = resnet18(l, n, audio);
    double flop = 0;

    for (int i = 0; i < count; i++)
        flop += (i == 0 ? 2 : 3) * l[i].times * conv_flop(&l[i].shape);
    return flop;
}
