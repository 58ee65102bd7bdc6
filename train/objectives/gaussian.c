/* SPDX-License-Identifier: MIT */
#include "train/objectives/objective.h"

#include "common/nn/scalar.h"

#include <math.h>
#include <string.h>

/* Numbers by independent Gaussians; App. C.1. */

static int outputs(int k)
{
    return 2 * k;
}

static struct tensor *nll(struct tape *t, struct tensor *prediction, const struct aim *aim)
{
    return op_gaussian_nll(t, prediction, aim->target);
}

/* Mean and variance of the mixture. */
static struct tensor *mix(struct tape *t, int n, struct tensor *const *prediction)
{
    struct tensor *y = tape_scratch(t, 2, prediction[0]->dim);
    int64_t numbers;

    if (y == NULL)
        return NULL;
    numbers = y->dim[1] / 2;
    for (int64_t r = 0; r < y->dim[0]; r++)
        for (int64_t k = 0; k < numbers; k++) {
            int64_t at = r * y->dim[1] + k;
            double mean = 0, square = 0;

            for (int i = 0; i < n; i++) {
                double m = (double)prediction[i]->data[at];

                mean += m / n;
                square += (exp((double)prediction[i]->data[at + numbers]) + m * m) / n;
            }
            y->data[at] = (float)mean;
            y->data[at + numbers] = (float)log(fmax(square - mean * mean, 1e-30));
        }
    return y;
}

static void readout(int64_t rows, int64_t width, const float *prediction, float *out)
{
    memcpy(out, prediction, (size_t)(rows * width) * sizeof *out);
}

static double sample_nll(int width, const float *row, const struct aim *aim, int64_t i)
{
    int numbers = width / 2;
    double sum = 0;

    for (int k = 0; k < numbers; k++) {
        double off = (double)row[k] - (double)aim->target[i * numbers + k];
        double v = (double)row[numbers + k];

        sum += (v + off * off * exp(-v) + scalar_log_2pi) / 2;
    }
    return sum;
}

static void gradient(int64_t rows, int64_t width, const float *prediction, const struct aim *aim,
                     float *d)
{
    int64_t numbers = width / 2;

    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < numbers; k++) {
            int64_t at = r * width + k;
            double off = (double)prediction[at] - (double)aim->target[r * numbers + k];
            double precision = exp(-(double)prediction[at + numbers]);

            d[at] = (float)(off * precision / (double)rows);
            d[at + numbers] = (float)((1 - off * off * precision) / 2 / (double)rows);
        }
}

const struct objective objective_gaussian = {
    .name = "gaussian",
    .outputs = outputs,
    .readout_width = outputs,
    .nll = nll,
    .divergence = op_gaussian_kl,
    .mix = mix,
    .readout = readout,
    .sample_nll = sample_nll,
    .gradient = gradient,
};
