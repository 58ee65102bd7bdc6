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

double confusion_recall(const struct confusion *c, int cls)
{
    int64_t present = 0;

    for (int guess = 0; guess < c->classes; guess++)
        present += c->count[cls][guess];
    return present > 0 ? (double)c->count[cls][cls] / (double)present : NAN;
}

double confusion_kappa(const struct confusion *c)
{
    double total = (double)confusion_total(c), right = 0, chance = 0;

    for (int cls = 0; cls < c->classes; cls++) {
        double present = 0, predicted = 0;

        for (int other = 0; other < c->classes; other++) {
            present += (double)c->count[cls][other];
            predicted += (double)c->count[other][cls];
        }
        right += (double)c->count[cls][cls];
        chance += present * predicted;
    }
    /* both sides times total^2: whole numbers, so that p_e = 1 is met exactly */
    return total * total > chance ? (total * right - chance) / (total * total - chance) : NAN;
}

void calibration_add(struct calibration *c, double p, bool right)
{
    int bin;

    if (isnan(p))
        return;
    bin = (int)(p * CALIBRATION_BINS);
    if (bin >= CALIBRATION_BINS)
        bin = CALIBRATION_BINS - 1;
    c->n[bin]++;
    c->right[bin] += right;
    c->sum[bin] += p;
}

double calibration_error(const struct calibration *c)
{
    double error = 0;
    int64_t n = 0;

    for (int k = 0; k < CALIBRATION_BINS; k++) {
        error += fabs((double)c->right[k] - c->sum[k]);
        n += c->n[k];
    }
    return n > 0 ? error / (double)n : 0;
}

int metrics_argmax(const float *values, int n)
{
    int best = 0;

    for (int i = 1; i < n; i++)
        if (values[i] > values[best] || (isnan(values[best]) && !isnan(values[i])))
            best = i;
    return best;
}
