/* SPDX-License-Identifier: MIT */
#include "train/metrics.h"

#include <assert.h>
#include <math.h>
#include <string.h>

void confusion_init(struct confusion *c, int classes)
{
    assert(classes >= 1 && classes <= METRICS_MAX_CLASSES);
    memset(c, 0, sizeof *c);
    c->classes = classes;
}

void confusion_add(struct confusion *c, int label, int prediction)
{
    assert(label >= 0 && label < c->classes && prediction >= 0 && prediction < c->classes);
    c->count[label][prediction]++;
}

int64_t confusion_total(const struct confusion *c)
{
    int64_t total = 0;

    for (int label = 0; label < c->classes; label++)
        for (int guess = 0; guess < c->classes; guess++)
            total += c->count[label][guess];
    return total;
}

double confusion_accuracy(const struct confusion *c)
{
    int64_t right = 0, total = confusion_total(c);

    for (int cls = 0; cls < c->classes; cls++)
        right += c->count[cls][cls];
    return total > 0 ? (double)right / (double)total : 0;
}

double confusion_f1(const struct confusion *c, int cls)
{
    int64_t right = c->count[cls][cls], present = 0, predicted = 0;

    for (int other = 0; other < c->classes; other++) {
        present += c->count[cls][other];
        predicted += c->count[other][cls];
    }
    return present + predicted > 0 ? 2 * (double)right / (double)(present + predicted) : 0;
}

double confusion_macro_f1(const struct confusion *c)
{
    double sum = 0;

    for (int cls = 0; cls < c->classes; cls++)
        sum += confusion_f1(c, cls);
    return sum / c->classes;
}

int metrics_argmax(const float *values, int n)
{
    int best = 0;

    for (int i = 1; i < n; i++)
        if (values[i] > values[best] || (isnan(values[best]) && !isnan(values[i])))
            best = i;
    return best;
}
