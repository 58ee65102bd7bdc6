/* SPDX-License-Identifier: MIT */
#include "tests/support/check.h"
#include "train/models/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Initial weights (R section 3.3): convolutions Kaiming normal by fan out, scales of batch norm
 * around 1, linear layers and their biases uniform by fan in. */

struct moments {
    double mean, square, most; /* most: of |x| */
};

static struct moments moments_of(const struct param *p, double about)
{
    struct moments m = {0};

    for (int64_t i = 0; i < p->count; i++) {
        double x = (double)p->data[i] - about;

        m.mean += x / (double)p->count;
        m.square += x * x / (double)p->count;
        m.most = fmax(m.most, fabs(x));
    }
    return m;
}

/* Within five standard errors. */
static void assert_normal(const struct param *p, double mean, double deviation)
{
    struct moments m = moments_of(p, mean);
    double n = (double)p->count, variance = deviation * deviation;

    if (!(fabs(m.mean) < 5 * deviation / sqrt(n) &&
          fabs(m.square - variance) < 5 * variance * sqrt(2 / n)))
        fail_msg("%s: mean %g, deviation %g", p->name, mean + m.mean, sqrt(m.square));
}

static void assert_uniform(const struct param *p, double bound)
{
    struct moments m = moments_of(p, 0);
    double n = (double)p->count, variance = bound * bound / 3;

    if (!(m.most <= bound && fabs(m.mean) < 5 * sqrt(variance / n) &&
          fabs(m.square - variance) < 5 * bound * bound * sqrt(4 / (45 * n))))
        fail_msg("%s: mean %g, mean square %g, up to %g: not uniform to %g", p->name, m.mean,
                 m.square, m.most, bound);
}

/* The param that is called like p, with `last` in place of the last word. */
static const struct param *sibling(const struct params *ps, const struct param *p, const char *last)
{
    char name[PARAM_NAME_SIZE + 16];

    snprintf(name, sizeof name, "%.*s%s", (int)(strrchr(p->name, '.') + 1 - p->name), p->name,
             last);
    return params_find(ps, name);
}

static void check_param(const struct params *ps, const struct param *p)
{
    bool weight = strcmp(strrchr(p->name, '.'), ".weight") == 0;

    if (p->rank == 4)
        assert_normal(p, 0, sqrt(2.0 / (double)(p->dim[0] * p->dim[2] * p->dim[3])));
    else if (sibling(ps, p, "running_mean") != NULL && weight)
        assert_normal(p, 1, 0.02);
    else if (sibling(ps, p, "running_mean") != NULL || strcmp(p->name, "fusion.bias") == 0)
        assert_true(moments_of(p, 0).most == 0);
    else
        assert_uniform(p, 1 / sqrt((double)sibling(ps, p, "weight")->dim[1]));
}

static void test_distributions(void **state)
{
    (void)state;
    for (int linear = 0; linear < 2; linear++) {
        struct model_options o = model_options_paper;
        struct params *ps = NULL;
        struct model *m = NULL;
        struct err e = {0};

        o.resnet_width = 16;
        o.fuse = linear ? FUSION_LINEAR : FUSION_TRUNK;
        ASSERT_OK(params_new(&ps, &e), e);
        ASSERT_OK(model_new(&m, &o, ps, &e), e);
        ASSERT_OK(params_build(ps, &e), e);
        model_init(m, 3);
        for (int i = 0; i < params_count(ps); i++)
            if (params_at(ps, i)->kind == PARAM_WEIGHT)
                check_param(ps, params_at(ps, i));
        model_free(m);
        params_free(ps);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distributions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
