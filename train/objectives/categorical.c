/* SPDX-License-Identifier: MIT */
#include "train/objectives/objective.h"

#include <math.h>
#include <string.h>

/* A probability of zero has no logarithm. */
static const float SMALLEST = 1e-30f;

/* Classes by softmax; App. C.2. */

static int outputs(int k)
{
    return k;
}

void log_softmax_rows(int64_t rows, int64_t classes, const float *logits, float *out)
{
    for (int64_t r = 0; r < rows; r++) {
        const float *row = logits + r * classes;
        double largest = (double)row[0], sum = 0;

        for (int64_t k = 1; k < classes; k++)
            if ((double)row[k] > largest)
                largest = (double)row[k];
        for (int64_t k = 0; k < classes; k++)
            sum += exp((double)row[k] - largest);
        for (int64_t k = 0; k < classes; k++)
            out[r * classes + k] = (float)((double)row[k] - largest - log(sum));
    }
}

static struct tensor *nll(struct tape *t, struct tensor *prediction, const struct aim *aim)
{
    return op_cross_entropy(t, prediction, aim->label);
}

/* Logits of the mean probabilities: their logarithms. */
static struct tensor *mix(struct tape *t, int n, struct tensor *const *prediction)
{
    struct tensor *y = tape_scratch(t, 2, prediction[0]->dim);
    struct tensor *p = tape_scratch(t, 2, prediction[0]->dim);
    int64_t count;

    if (y == NULL || p == NULL)
        return NULL;
    count = tensor_count(y);
    memset(y->data, 0, (size_t)count * sizeof *y->data);
    for (int i = 0; i < n; i++) {
        softmax_rows(y->dim[0], y->dim[1], prediction[i]->data, p->data);
        for (int64_t k = 0; k < count; k++)
            y->data[k] += p->data[k] / (float)n;
    }
    for (int64_t k = 0; k < count; k++)
        y->data[k] = logf(fmaxf(y->data[k], SMALLEST));
    return y;
}

static double sample_nll(int width, const float *readout, const struct aim *aim, int64_t i)
{
    (void)width;
    return -(double)readout[aim->label[i]];
}

static void gradient(int64_t rows, int64_t classes, const float *prediction, const struct aim *aim,
                     float *d)
{
    softmax_rows(rows, classes, prediction, d);
    for (int64_t r = 0; r < rows; r++) {
        d[r * classes + aim->label[r]] -= 1;
        for (int64_t k = 0; k < classes; k++)
            d[r * classes + k] /= (float)rows;
    }
}

const struct objective objective_categorical = {
    .name = "categorical",
    .outputs = outputs,
    .readout_width = outputs,
    .nll = nll,
    .divergence = op_kl,
    .mix = mix,
    .readout = log_softmax_rows,
    .sample_nll = sample_nll,
    .gradient = gradient,
};
