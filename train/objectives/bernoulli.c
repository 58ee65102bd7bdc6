/* SPDX-License-Identifier: MIT */
#include "train/objectives/objective.h"

#include "common/nn/scalar.h"

#include <math.h>

/* Two classes by one logit: what App. C.2 calls the binary case. */

static int outputs(int k)
{
    (void)k;
    return 1;
}

static int readout_width(int k)
{
    (void)k;
    return 2;
}

static struct tensor *nll(struct tape *t, struct tensor *prediction, const struct aim *aim)
{
    return op_bernoulli_nll(t, prediction, aim->label);
}

/* log of the two mean probabilities' ratio. */
static struct tensor *mix(struct tape *t, int n, struct tensor *const *prediction)
{
    struct tensor *y = tape_scratch(t, 2, prediction[0]->dim);

    if (y == NULL)
        return NULL;
    for (int64_t r = 0; r < y->dim[0]; r++) {
        double one = 0, zero = 0;

        for (int i = 0; i < n; i++) {
            one += scalar_sigmoid((double)prediction[i]->data[r]);
            zero += scalar_sigmoid(-(double)prediction[i]->data[r]);
        }
        y->data[r] = (float)(log(fmax(one, 1e-300)) - log(fmax(zero, 1e-300)));
    }
    return y;
}

static void readout(int64_t rows, int64_t width, const float *prediction, float *out)
{
    (void)width;
    for (int64_t r = 0; r < rows; r++) {
        out[2 * r] = (float)-scalar_softplus((double)prediction[r]);
        out[2 * r + 1] = (float)-scalar_softplus(-(double)prediction[r]);
    }
}

static double sample_nll(int width, const float *row, const struct aim *aim, int64_t i)
{
    (void)width;
    return -(double)row[aim->label[i]];
}

static void gradient(int64_t rows, int64_t width, const float *prediction, const struct aim *aim,
                     float *d)
{
    (void)width;
    for (int64_t r = 0; r < rows; r++)
        d[r] = (float)((scalar_sigmoid((double)prediction[r]) - aim->label[r]) / (double)rows);
}

const struct objective objective_bernoulli = {
    .name = "bernoulli",
    .outputs = outputs,
    .readout_width = readout_width,
    .nll = nll,
    .divergence = op_bernoulli_kl,
    .mix = mix,
    .readout = readout,
    .sample_nll = sample_nll,
    .gradient = gradient,
};
