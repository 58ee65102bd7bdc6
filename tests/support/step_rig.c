/* SPDX-License-Identifier: MIT */
#include "tests/support/step_rig.h"

#include "common/data/xor.h"
#include "tests/support/check.h"
#include "train/step.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef PRESET_DIR
#error "the build system defines PRESET_DIR"
#endif

void rig_config(struct config *c, const char *preset, const char *method, const char *mask)
{
    struct err e = {0};
    char path[1024], assignment[64];

    snprintf(path, sizeof path, "%s/%s.conf", PRESET_DIR, preset);
    ASSERT_OK(config_load(c, path, method, mask, &e), e);
    if (mask != NULL) {
        snprintf(assignment, sizeof assignment, "mask.kind=%s", mask);
        ASSERT_OK(config_set(c, assignment, &e), e);
    }
}

void rig_shrink(struct config *c)
{
    c->encoder_depth = 2;
    c->encoder_width = 12;
    c->head_depth = 1;
    c->head_width = 7;
    c->trunk_depth = 2;
    c->trunk = 9;
    c->dropout = 0;
    c->mask_width = 11;
}

/* ---- opening ---- */

static void open_network(struct step_rig *r, const struct method *m, const struct config *c, int n)
{
    struct loader_options o;
    struct err e = {0};

    ASSERT_OK(network_init(&r->net, m, c, 3, r->data, 1, &e), e);
    o = method_loader(m, c, r->data, true, 3, 1);
    o.training = false; /* in order; the oracle of training batches */
    o.batch = n;
    ASSERT_OK(loader_new(&r->loader, r->data, &o, &e), e);
    loader_start(r->loader, 0, 0);
    ASSERT_OK(loader_next(r->loader, &r->batch, &e), e);
    assert_int_equal(r->batch.n, n);
}

static void make_vectors(struct vectors *out, const char *task, int n)
{
    struct vectors v[XOR_SPLITS];
    struct xor_options o;
    struct err e = {0};

    ASSERT_OK(xor_parse(&o, task, &e), e);
    o.seed = 8;
    o.count[XOR_TRAIN] = n;
    o.count[XOR_VAL] = 50; /* pid standardises with both */
    o.count[XOR_TEST] = 1;
    ASSERT_OK(xor_make(v, &o, &e), e);
    *out = v[XOR_TRAIN];
    vectors_free(&v[XOR_VAL]);
    vectors_free(&v[XOR_TEST]);
}

void rig_open(struct step_rig *r, const struct method *m, const struct config *c, const char *task,
              int n)
{
    struct vectors v;
    struct err e = {0};

    memset(r, 0, sizeof *r);
    make_vectors(&v, task, n);
    ASSERT_OK(data_of_vectors(&r->data, &v, &e), e);
    open_network(r, m, c, n);
}

void rig_open_classes(struct step_rig *r, const struct method *m, const struct config *c, int n)
{
    struct vectors v;
    struct err e = {0};

    memset(r, 0, sizeof *r);
    make_vectors(&v, "pid:0.2,0.2,0.2,0.4", n);
    v.classes = 3;
    for (int i = 0; i < n; i++)
        v.label[i] = (v.label[i] + i) % 3;
    snprintf(v.class_name[2], sizeof v.class_name[2], "2");
    ASSERT_OK(data_of_vectors(&r->data, &v, &e), e);
    open_network(r, m, c, n);
}

void rig_open_media(struct step_rig *r, const struct method *m, const struct config *c,
                    const char *dir, int n)
{
    char path[1024];
    struct err e = {0};

    memset(r, 0, sizeof *r);
    snprintf(path, sizeof path, "%s/data", dir);
    ASSERT_OK(data_open(&r->data, path, "train", NULL, &e), e);
    open_network(r, m, c, n);
}

void rig_close(struct step_rig *r)
{
    loader_free(r->loader);
    network_free(&r->net);
    data_close(r->data);
    memset(r, 0, sizeof *r);
}

void rig_encode(struct step_rig *r, uint32_t step)
{
    struct err e = {0};

    for (int i = 0; i < STEP_VALUES; i++)
        r->report.value[i] = NAN;
    r->report.prediction = NULL;
    tape_begin(r->net.tape, TAPE_TRAIN | TAPE_KEEP);
    r->step = network_encode(&r->net, &r->batch, step, 0);
    ASSERT_OK(tape_error(r->net.tape, &e), e);
}

void rig_step(struct step_rig *r, uint32_t step, int64_t epoch)
{
    struct err e = {0};

    ASSERT_OK(step_gradients(&r->step, &r->report, &r->net, &r->batch, step, epoch, true, &e), e);
}

double rig_gradient(const struct step_rig *r, const char *prefix)
{
    double sum = 0;
    int found = 0;

    for (int i = 0; i < params_count(r->net.params); i++) {
        const struct param *p = params_at(r->net.params, i);

        if (p->kind != PARAM_WEIGHT || strncmp(p->name, prefix, strlen(prefix)) != 0)
            continue;
        found++;
        for (int64_t k = 0; k < p->count; k++)
            sum += (double)p->grad[k] * (double)p->grad[k];
    }
    assert_true(found > 0);
    return sqrt(sum);
}

/* ---- by hand ---- */

static const struct param *named(const struct step_rig *r, const char *name)
{
    const struct param *p = params_find(r->net.params, name);

    if (p == NULL)
        fail_msg("no parameter %s", name);
    return p;
}

static double number(const struct step_rig *r, const struct param *p, int64_t i)
{
    return r->weight != NULL ? r->weight[p->offset + (size_t)i] : (double)p->data[i];
}

/* The layers NAME.weight, or NAME.0.weight and so on, with ReLU between them (and after the last).
 */
static int mlp_by_hand(const struct step_rig *r, const char *name, const double *x, bool relu_last,
                       double *out)
{
    double now[REF_WIDTH_MAX], next[REF_WIDTH_MAX];
    char full[PARAM_NAME_SIZE + 16];
    int layers = 0, width = 0;

    snprintf(full, sizeof full, "%s.weight", name);
    if (params_find(r->net.params, full) == NULL)
        do
            snprintf(full, sizeof full, "%s.%d.weight", name, ++layers);
        while (params_find(r->net.params, full) != NULL);
    for (int l = 0; l < (layers > 0 ? layers : 1); l++) {
        const struct param *w, *b;

        snprintf(full, sizeof full, layers > 0 ? "%s.%d.weight" : "%s.weight", name, l);
        w = named(r, full);
        snprintf(full, sizeof full, layers > 0 ? "%s.%d.bias" : "%s.bias", name, l);
        b = named(r, full);
        if (l == 0)
            memcpy(now, x, (size_t)w->dim[1] * sizeof *now);
        for (int64_t o = 0; o < w->dim[0]; o++) {
            next[o] = number(r, b, o);
            for (int64_t i = 0; i < w->dim[1]; i++)
                next[o] += number(r, w, o * w->dim[1] + i) * now[i];
            if ((relu_last || l + 1 < layers) && next[o] < 0)
                next[o] = 0;
        }
        width = (int)w->dim[0];
        memcpy(now, next, (size_t)width * sizeof *now);
    }
    memcpy(out, now, (size_t)width * sizeof *out);
    return width;
}

static const char *modality(const struct step_rig *r, int which)
{
    return model_opt(r->net.model)->modality[which].name;
}

void ref_encode(const struct step_rig *r, int which, const double *x, double *raw)
{
    char name[64];

    snprintf(name, sizeof name, "%s.encoder", modality(r, which));
    (void)mlp_by_hand(r, name, x, true, raw);
}

void ref_head(const struct step_rig *r, int which, const double *raw, double *u)
{
    char name[64];

    snprintf(name, sizeof name, "%s.head", modality(r, which));
    (void)mlp_by_hand(r, name, raw, false, u);
}

void ref_fusion_input(const struct step_rig *r, int which, const double *raw, double *z)
{
    int n = model_features(r->net.model, which);
    double mean = 0, var = 0;

    memcpy(z, raw, (size_t)n * sizeof *z);
    if (!model_opt(r->net.model)->layernorm)
        return;
    for (int d = 0; d < n; d++)
        mean += raw[d] / n;
    for (int d = 0; d < n; d++)
        var += (raw[d] - mean) * (raw[d] - mean) / n;
    for (int d = 0; d < n; d++)
        z[d] = (raw[d] - mean) / sqrt(var + 1e-5);
}

static int outputs(const struct step_rig *r)
{
    return model_opt(r->net.model)->outputs;
}

void ref_share(const struct step_rig *r, int which, const double *z, double *share)
{
    int width = model_features(r->net.model, which);
    const struct param *w, *b;
    char name[64];

    if (model_opt(r->net.model)->fuse == FUSION_SUM) {
        ref_head(r, which, z, share);
        return;
    }
    snprintf(name, sizeof name, "fusion.%s.weight", modality(r, which));
    w = named(r, name);
    b = named(r, "fusion.bias");
    for (int k = 0; k < outputs(r); k++) {
        share[k] = which == 0 ? number(r, b, k) : 0;
        for (int d = 0; d < width; d++)
            share[k] += number(r, w, (int64_t)k * width + d) * z[d];
    }
}

static void fuse_shares(const struct step_rig *r, const double *const z[MODALITIES_MAX], double *g)
{
    double share[REF_OUTPUTS_MAX];

    memset(g, 0, (size_t)outputs(r) * sizeof *g);
    for (int m = 0; m < model_opt(r->net.model)->modalities; m++) {
        ref_share(r, m, z[m], share);
        for (int k = 0; k < outputs(r); k++)
            g[k] += share[k];
    }
}

void ref_fuse(const struct step_rig *r, const double *const z[MODALITIES_MAX], double *g,
              double *log_variance)
{
    double all[REF_WIDTH_MAX], h[REF_WIDTH_MAX];
    int at = 0;

    if (model_opt(r->net.model)->fuse != FUSION_TRUNK) {
        fuse_shares(r, z, g);
        return;
    }
    for (int m = 0; m < model_opt(r->net.model)->modalities; m++) {
        int n = model_features(r->net.model, m);

        memcpy(all + at, z[m], (size_t)n * sizeof *all);
        at += n;
    }
    (void)mlp_by_hand(r, "fusion.trunk", all, true, h);
    (void)mlp_by_hand(r, "fusion.head", h, false, g);
    if (log_variance != NULL)
        (void)mlp_by_hand(r, "fusion.log_variance", h, false, log_variance);
}

int ref_probabilities(const struct step_rig *r, const double *x, double *p)
{
    double sum = 0;
    int k = outputs(r);

    if (k == 1) {
        p[1] = x == NULL ? 0.5 : 1 / (1 + exp(-x[0]));
        p[0] = 1 - p[1];
        return 2;
    }
    for (int j = 0; j < k; j++)
        sum += exp(x == NULL ? 0 : x[j]);
    for (int j = 0; j < k; j++)
        p[j] = exp(x == NULL ? 0 : x[j]) / sum;
    return k;
}

double ref_nll(const struct step_rig *r, const double *prediction, int64_t i)
{
    int numbers = outputs(r) / 2;
    double p[REF_OUTPUTS_MAX], sum = 0;

    if (r->batch.aim.target == NULL) {
        (void)ref_probabilities(r, prediction, p);
        return -log(p[r->batch.aim.label[i]]);
    }
    for (int k = 0; k < numbers; k++) {
        double off = prediction[k] - (double)r->batch.aim.target[i * numbers + k];

        sum +=
            (log(2 * M_PI) + prediction[numbers + k] + off * off / exp(prediction[numbers + k])) /
            2;
    }
    return sum;
}

static double gaussian_kl(const double *p, const double *q, int numbers)
{
    double kl = 0;

    for (int k = 0; k < numbers; k++) {
        double n = q != NULL ? q[k] : 0, w = q != NULL ? q[numbers + k] : 0;

        kl +=
            (w - p[numbers + k] + exp(p[numbers + k] - w) + (p[k] - n) * (p[k] - n) * exp(-w) - 1) /
            2;
    }
    return kl;
}

double ref_kl(const struct step_rig *r, const double *p, const double *q, bool reverse)
{
    double a[REF_OUTPUTS_MAX], b[REF_OUTPUTS_MAX], kl = 0;
    int n;

    if (r->batch.aim.target != NULL) {
        const double standard[64] = {0};

        return reverse ? gaussian_kl(q != NULL ? q : standard, p, outputs(r) / 2)
                       : gaussian_kl(p, q, outputs(r) / 2);
    }
    n = ref_probabilities(r, p, a);
    (void)ref_probabilities(r, q, b);
    for (int k = 0; k < n; k++)
        kl += reverse ? b[k] * log(b[k] / a[k]) : a[k] * log(a[k] / b[k]);
    return kl;
}

void ref_row(const float *x, int64_t width, int64_t i, double *out)
{
    for (int64_t k = 0; k < width; k++)
        out[k] = (double)x[i * width + k];
}

/* ---- gradients ---- */

/* In double, the truncation error of a central difference is about STEP^2, its rounding error about
 * 1e-16 / STEP. */
static const double STEP = 1e-6;

static double *weights_in_double(const struct step_rig *r)
{
    size_t count = params_block_count(r->net.params);
    const float *value = params_value_block(r->net.params);
    double *w = calloc(count, sizeof *w);

    assert_non_null(w);
    for (size_t i = 0; i < count; i++)
        w[i] = (double)value[i];
    return w;
}

double *ref_gradient(struct step_rig *r, ref_loss *loss, void *ctx)
{
    double *w = weights_in_double(r), *d = calloc(params_block_count(r->net.params), sizeof *d);

    assert_non_null(d);
    r->weight = w;
    for (int i = 0; i < params_count(r->net.params); i++) {
        const struct param *p = params_at(r->net.params, i);

        for (int64_t k = 0; p->kind == PARAM_WEIGHT && k < p->count; k++) {
            double *x = &w[p->offset + (size_t)k], at = *x, up;

            *x = at + STEP;
            up = loss(r, ctx);
            *x = at - STEP;
            d[p->offset + (size_t)k] = (up - loss(r, ctx)) / (2 * STEP);
            *x = at;
        }
    }
    r->weight = NULL;
    free(w);
    return d;
}

void rig_assert_gradient(const struct step_rig *r, const double *want, const char *what)
{
    double all = 0;

    for (int i = 0; i < params_count(r->net.params); i++) {
        const struct param *p = params_at(r->net.params, i);
        double most = 1e-3;

        for (int64_t k = 0; p->kind == PARAM_WEIGHT && k < p->count; k++)
            most = fmax(most, fabs(want[p->offset + (size_t)k]));
        for (int64_t k = 0; p->kind == PARAM_WEIGHT && k < p->count; k++) {
            double by_hand = want[p->offset + (size_t)k], got = (double)p->grad[k];

            all += fabs(by_hand);
            if (!(fabs(got - by_hand) <= 1e-5 * most) || (p->frozen && p->grad[k] != 0))
                fail_msg("%s: gradient of %s[%lld]: %.9g, by hand %.9g", what, p->name,
                         (long long)k, got, by_hand);
        }
    }
    assert_true(all > 0);
}
