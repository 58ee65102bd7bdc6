/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "tests/support/by_hand.h"
#include "tests/support/check.h"
#include "train/methods/min_norm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One training step of plain fusion in all its forms, D&R, MMPareto and ReconBoost on a tiny model:
 * losses and the gradient of every weight by hand in double. MCR is tests/unit/test_mcr.c, the
 * resets of D&R are tests/unit/test_dnr.c. */

/* ---- losses ---- */

static double fused_by_hand(struct step_rig *r, void *ctx)
{
    static struct by_hand f;

    (void)ctx;
    hand_forward(r, &f);
    return hand_nll(r, f.g);
}

/* ctx: which modality's. */
static double head_by_hand(struct step_rig *r, void *ctx)
{
    static struct by_hand f;

    hand_forward(r, &f);
    return hand_nll(r, f.u[*(int *)ctx]);
}

/* Fused loss and heads' losses; with detached heads these are of the features in ctx. */
static double sum_by_hand(struct step_rig *r, void *ctx)
{
    static struct by_hand f;
    const struct by_hand *features = ctx;
    double sum;

    hand_forward(r, &f);
    sum = hand_nll(r, f.g);
    for (int m = 0; m < data_modalities(r->data); m++) {
        for (int i = 0; i < HAND_ROWS && r->net.config.detach_heads; i++)
            ref_head(r, m, features->raw[m][i], f.u[m][i]);
        sum += r->net.config.unimodal_weight * hand_nll(r, f.u[m]);
    }
    return sum;
}

static void assert_reported(const struct step_rig *r, const char *what, double loss,
                            struct by_hand *f)
{
    assert_hand(what, r->report.value[VALUE_LOSS], loss);
    assert_hand(what, r->report.value[VALUE_FUSED], hand_nll(r, f->g));
    for (int m = 0; m < data_modalities(r->data); m++)
        assert_hand(what, r->report.value[VALUE_UNIMODAL + m], hand_nll(r, f->u[m]));
}

/* ---- fusion by a trunk, one layer or a sum ---- */

/* Both methods whose loss is the plain one; with and without layer norm and detached heads. */
static void test_fusions(void **state)
{
    static const struct method *const plain[] = {&method_vanilla, &method_dnr};
    static const char *const fusions[] = {"trunk", "linear", "sum"};
    static struct by_hand f;

    (void)state;
    for (int i = 0; i < HAND_TASKS * 3 * 2 * 2; i++) {
        struct step_rig r;
        struct config c;
        double *want;
        char what[96];

        hand_config(&c, "dnr");
        c.fuse = i / HAND_TASKS % 3;
        c.layernorm = i / HAND_TASKS / 3 % 2;
        c.detach_heads = i / HAND_TASKS / 6;
        if (c.fuse == FUSION_SUM && c.layernorm)
            continue;
        snprintf(what, sizeof what, "%s, %s, layer norm %d, detached %d",
                 hand_task_names[i % HAND_TASKS], fusions[c.fuse], (int)c.layernorm,
                 (int)c.detach_heads);
        hand_open(&r, plain[i % 2], &c, i % HAND_TASKS);
        rig_step(&r, 2, 0);
        hand_forward(&r, &f);
        assert_reported(&r, what, sum_by_hand(&r, &f), &f);
        want = ref_gradient(&r, sum_by_hand, &f);
        rig_assert_gradient(&r, want, what);
        free(want);
        rig_close(&r);
    }
}

/* ---- MMPareto ---- */

/* Makes the heads those of the fusion, times `sign`: the gradients of both losses then agree on the
 * encoders, or not. */
static void aim_heads(struct step_rig *r, float sign)
{
    char name[64];

    for (int m = 0; m < data_modalities(r->data); m++) {
        const struct param *from;
        struct param *to;

        snprintf(name, sizeof name, "fusion.%s.weight", data_modality(r->data, m));
        from = params_find(r->net.params, name);
        snprintf(name, sizeof name, "%s.head.weight", data_modality(r->data, m));
        to = params_find(r->net.params, name);
        assert_true(from != NULL && to != NULL && from->count == to->count);
        for (int64_t k = 0; k < to->count; k++)
            to->data[k] = sign * from->data[k];
    }
}

struct products {
    double ff, fm, mm;
};

static struct products products_of(const struct param *p, const double *f, const double *m)
{
    struct products s = {0};

    for (size_t k = p->offset; k < p->offset + (size_t)p->count; k++) {
        s.ff += f[k] * f[k];
        s.fm += f[k] * m[k];
        s.mm += m[k] * m[k];
    }
    return s;
}

static bool in_encoder(const struct step_rig *r, const struct param *p, int which)
{
    char prefix[64];

    snprintf(prefix, sizeof prefix, "%s.encoder.", data_modality(r->data, which));
    return strncmp(p->name, prefix, strlen(prefix)) == 0;
}

/* R section 6.5, step 4: out holds f + m before; returns the cosine. */
static double combine_by_hand(const struct step_rig *r, int which, const double *f, const double *m,
                              double *out, int *stretched)
{
    const struct config *c = &r->net.config;
    struct products all = {0};
    double kf, km;

    for (int i = 0; i < params_count(r->net.params); i++) {
        const struct param *p = params_at(r->net.params, i);
        struct products s = products_of(p, f, m);

        if (!in_encoder(r, p, which))
            continue;
        all = (struct products){all.ff + s.ff, all.fm + s.fm, all.mm + s.mm};
    }
    kf = all.fm > 0 ? 0.5 : (all.mm - all.fm) / (all.ff + all.mm - 2 * all.fm);
    km = 1 - kf;
    for (int i = 0; i < params_count(r->net.params); i++) {
        const struct param *p = params_at(r->net.params, i);
        double sum = 0, h = 0, s;

        if (!in_encoder(r, p, which))
            continue;
        for (size_t k = p->offset; k < p->offset + (size_t)p->count; k++) {
            sum += (f[k] + m[k]) * (f[k] + m[k]);
            h += 4 * (kf * f[k] + km * m[k]) * (kf * f[k] + km * m[k]);
        }
        s = c->pareto_rescale ? fmax(1, sqrt(sum / h)) : 1;
        *stretched += s > 1.001;
        for (size_t k = p->offset; k < p->offset + (size_t)p->count; k++)
            out[k] = c->pareto_alpha * s * 2 * (kf * f[k] + km * m[k]);
    }
    return all.fm / sqrt(all.ff * all.mm);
}

static double *mmpareto_by_hand(struct step_rig *r, double cosine[MODALITIES_MAX], int *stretched)
{
    double *f = ref_gradient(r, fused_by_hand, NULL);
    size_t count = params_block_count(r->net.params);
    double *out = calloc(count, sizeof *out);

    assert_non_null(out);
    memcpy(out, f, count * sizeof *out);
    for (int m = 0; m < data_modalities(r->data); m++) {
        double *own = ref_gradient(r, head_by_hand, &m);

        for (size_t k = 0; k < count; k++) {
            own[k] *= r->net.config.unimodal_weight;
            out[k] += own[k];
        }
        cosine[m] = combine_by_hand(r, m, f, own, out, stretched);
        free(own);
    }
    free(f);
    return out;
}

static void open_pareto(struct step_rig *r, struct config *c, int task, float sign)
{
    hand_config(c, "mmpareto");
    c->head_depth = 0;
    hand_open(r, &method_mmpareto, c, task);
    aim_heads(r, sign);
}

/* Agreeing and conflicting gradients, with and without stretching. */
static void test_mmpareto(void **state)
{
    static struct by_hand f;

    (void)state;
    for (int i = 0; i < HAND_TASKS * 2 * 2; i++) {
        bool conflict = i / HAND_TASKS % 2, rescale = i / HAND_TASKS / 2;
        double cosine[MODALITIES_MAX], *want;
        struct step_rig r;
        struct config c;
        int stretched = 0;
        char what[96];

        snprintf(what, sizeof what, "%s, %s%s", hand_task_names[i % HAND_TASKS],
                 conflict ? "conflicting" : "agreeing", rescale ? ", stretched" : "");
        open_pareto(&r, &c, i % HAND_TASKS, conflict ? -1 : 1);
        r.net.config.pareto_rescale = rescale;
        rig_step(&r, 0, 0);
        hand_forward(&r, &f);
        assert_reported(&r, what, sum_by_hand(&r, NULL), &f);
        want = mmpareto_by_hand(&r, cosine, &stretched);
        rig_assert_gradient(&r, want, what);
        for (int m = 0; m < data_modalities(r.data); m++) {
            assert_true(conflict ? cosine[m] < -0.1 : cosine[m] > 0.1);
            assert_float_equal(r.report.value[VALUE_COSINE + m], cosine[m], 1e-5);
        }
        assert_true((stretched > 0) == (conflict && rescale));
        free(want);
        rig_close(&r);
    }
}

static float *copy_of_gradient(const struct step_rig *r)
{
    size_t bytes = params_block_count(r->net.params) * sizeof(float);
    float *copy = malloc(bytes);

    assert_non_null(copy);
    memcpy(copy, params_grad_block(r->net.params), bytes);
    return copy;
}

/* Largest difference of the gradients in the params from `other` times `factor`, as a share of the
 * largest, over the weights whose name starts with prefix. */
static double distance(const struct step_rig *r, const char *prefix, const float *other,
                       double factor)
{
    double off = 0, most = 0;

    for (int i = 0; i < params_count(r->net.params); i++) {
        const struct param *p = params_at(r->net.params, i);

        if (p->kind != PARAM_WEIGHT || strncmp(p->name, prefix, strlen(prefix)) != 0)
            continue;
        for (int64_t k = 0; k < p->count; k++) {
            double want = factor * (double)other[p->offset + (size_t)k];

            off = fmax(off, fabs((double)p->grad[k] - want));
            most = fmax(most, fabs(want));
        }
    }
    assert_true(most > 0);
    return off / most;
}

/* Where gradients agree the encoders' are alpha times those of plain fusion; where they do not they
 * are others. Heads and fusion never notice. */
static void test_mmpareto_is_active(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        double alpha = i == 1 ? 0.5 : 1;
        struct step_rig r;
        struct config c;
        float *plain;

        open_pareto(&r, &c, 1, i == 2 ? -1 : 1);
        r.net.config.pareto_alpha = alpha;
        r.net.method = &method_vanilla;
        rig_step(&r, 0, 0);
        plain = copy_of_gradient(&r);
        r.net.method = &method_mmpareto;
        rig_step(&r, 0, 0);
        for (int m = 0; m < 2; m++) {
            double off = distance(&r, m == 0 ? "x1.encoder" : "x2.encoder", plain, alpha);

            assert_true(i == 2 ? off > 0.1 : off < 1e-5);
            assert_true(distance(&r, m == 0 ? "x1.head" : "x2.head", plain, 1) < 1e-5);
        }
        assert_true(distance(&r, "fusion", plain, 1) < 1e-5);
        free(plain);
        rig_close(&r);
    }
}

/* Without a part for the heads the second gradient is zero: it does not agree (f.m is not above 0),
 * and of the two it is the shortest, so that the fused gradient weighs 2 x 0.001; stretching it to
 * the length of the sum makes it whole again. */
static void test_mmpareto_of_one(void **state)
{
    (void)state;
    for (int rescale = 0; rescale < 2; rescale++) {
        struct step_rig r;
        struct config c;
        float *plain;

        open_pareto(&r, &c, 1, 1);
        r.net.config.unimodal_weight = 0;
        r.net.config.pareto_rescale = rescale;
        r.net.method = &method_vanilla;
        rig_step(&r, 0, 0);
        plain = copy_of_gradient(&r);
        r.net.method = &method_mmpareto;
        rig_step(&r, 0, 0);
        for (int m = 0; m < 2; m++) {
            double alpha = r.net.config.pareto_alpha * (rescale ? 1 : 0.002);

            assert_true(distance(&r, m == 0 ? "x1.encoder" : "x2.encoder", plain, alpha) < 1e-5);
            assert_true(isnan(r.report.value[VALUE_COSINE + m]));
        }
        assert_true(distance(&r, "fusion", plain, 1) < 1e-5);
        free(plain);
        rig_close(&r);
    }
}

static double norm_at(const struct products *s, double g)
{
    return sqrt(fmax(0, g * g * s->ff + 2 * g * (1 - g) * s->fm + (1 - g) * (1 - g) * s->mm));
}

/* The optimality conditions of the shortest vector between two, and the published ends. */
static void test_min_norm(void **state)
{
    int inside = 0, at_f = 0, at_m = 0;

    (void)state;
    for (uint32_t i = 0; i < 3000; i++) {
        struct rng r = rng_at(5, rng_stream("test.min_norm"), i % 3, i);
        double f[6], m[6], shrink = pow(10, 2 * rng_double(&r) - 1), lean = rng_double(&r) - 0.3, g;
        struct products s = {0};

        for (int k = 0; k < 6; k++) {
            f[k] = rng_normal(&r);
            m[k] = shrink * (rng_normal(&r) + 2 * lean * f[k]);
            s = (struct products){s.ff + f[k] * f[k], s.fm + f[k] * m[k], s.mm + m[k] * m[k]};
        }
        g = min_norm_weight(s.ff, s.fm, s.mm);
        assert_true(g >= 0 && g <= 1);
        if (s.fm >= s.ff || s.fm >= s.mm) { /* an end: no interior point is shorter */
            assert_true(g == (s.fm >= s.ff ? 0.999 : 0.001));
            at_f += g > 0.5;
            at_m += g < 0.5;
            g = g > 0.5 ? 1 : 0;
        } else { /* f and m stand equally on h */
            double on_f = g * s.ff + (1 - g) * s.fm, on_m = g * s.fm + (1 - g) * s.mm;

            inside++;
            assert_true(fabs(on_f - on_m) <= 1e-12 * (s.ff + s.mm));
        }
        for (int k = 0; k <= 1000; k++)
            assert_true(norm_at(&s, g) <= norm_at(&s, k / 1000.0) + 1e-12);
    }
    assert_true(inside > 300 && at_f > 300 && at_m > 300);
}

/* ---- ReconBoost ---- */

struct stage_by_hand {
    int which;
    double weight[HAND_ROWS]; /* of every sample: a constant */
};

static double stage_loss_by_hand(struct step_rig *r, void *ctx)
{
    static struct by_hand f;
    const struct stage_by_hand *s = ctx;
    double sum = 0;

    hand_forward(r, &f);
    for (int i = 0; i < HAND_ROWS; i++)
        sum += s->weight[i] * ref_nll(r, f.u[s->which][i], i) / HAND_ROWS;
    return sum;
}

static struct stage_by_hand stage_by_hand(const struct step_rig *r, int which, struct by_hand *f)
{
    struct stage_by_hand s = {.which = which};
    const struct config *c = &r->net.config;

    hand_forward(r, f);
    for (int i = 0; i < HAND_ROWS; i++) {
        double p[REF_OUTPUTS_MAX];
        int k = ref_probabilities(r, f->g[i], p);

        s.weight[i] = (c->boost_ce - c->boost_residual * p[r->batch.aim.label[i]]) / k;
    }
    return s;
}

/* Every stage of two and three modalities, and the joint ones between them. */
static void test_reconboost(void **state)
{
    static struct by_hand f;

    (void)state;
    for (int task = 0; task < HAND_TASKS; task++) {
        struct step_rig r;
        struct config c;

        hand_config(&c, "reconboost");
        c.boost_epochs = 2;
        hand_open(&r, &method_reconboost, &c, task);
        for (int epoch = 0; epoch < 4 * data_modalities(r.data) + 2; epoch += 1 + epoch % 2) {
            int stage = epoch / 2, which = stage / 2 % data_modalities(r.data);
            struct stage_by_hand s = stage_by_hand(&r, which, &f);
            ref_loss *loss = stage % 2 == 0 ? stage_loss_by_hand : fused_by_hand;
            double *want = ref_gradient(&r, loss, &s);
            char what[96];

            snprintf(what, sizeof what, "%s, epoch %d", hand_task_names[task], epoch);
            rig_step(&r, 1, epoch);
            assert_reported(&r, what, loss(&r, &s), &f);
            rig_assert_gradient(&r, want, what);
            for (int i = 0; i < params_count(r.net.params); i++)
                assert_true(params_at(r.net.params, i)->frozen ==
                            (stage % 2 == 0 &&
                             strncmp(params_at(r.net.params, i)->name, data_modality(r.data, which),
                                     strlen(data_modality(r.data, which))) != 0));
            free(want);
        }
        rig_close(&r);
    }
}

/* Without the residual a stage is the modality's own loss; with it samples that the fused
 * prediction is right about count less. */
static void test_reconboost_is_active(void **state)
{
    double loss[2], gradient[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct step_rig r;
        struct config c;

        hand_config(&c, "reconboost");
        c.boost_residual = i * 4;
        hand_open(&r, &method_reconboost, &c, 1);
        rig_step(&r, 0, 0);
        loss[i] = r.report.value[VALUE_LOSS];
        gradient[i] = rig_gradient(&r, "x1.encoder");
        if (i == 0)
            assert_hand("no residual", loss[i], c.boost_ce / 3 * r.report.value[VALUE_UNIMODAL]);
        rig_close(&r);
    }
    assert_true(loss[1] < 0.95 * loss[0] && gradient[1] < 0.95 * gradient[0]);
}

/* ---- what they share ---- */

/* One logit as two: the same loss and gradients as the Bernoulli family's; other families as they
 * are. */
static void test_class_logits(void **state)
{
    struct step_rig r;
    struct config c;
    struct tensor *logits;
    double *want;
    struct err e = {0};

    (void)state;
    hand_config(&c, "dnr");
    hand_open(&r, &method_vanilla, &c, 0);
    rig_step(&r, 0, 0);
    want = ref_gradient(&r, fused_by_hand, NULL);
    logits = class_logits(&r.step, r.report.prediction);
    assert_true(logits->dim[0] == HAND_ROWS && logits->dim[1] == 2);
    for (int i = 0; i < HAND_ROWS; i++) {
        assert_true(logits->data[2 * i] == 0);
        assert_true(logits->data[2 * i + 1] == r.report.prediction->data[i]);
    }
    params_zero_grad(r.net.params);
    ASSERT_OK(
        tape_backward(r.net.tape, op_cross_entropy(r.net.tape, logits, r.batch.aim.label), &e), e);
    rig_assert_gradient(&r, want, "one logit as two");
    free(want);
    rig_close(&r);
    hand_open(&r, &method_vanilla, &c, 1);
    rig_step(&r, 0, 0);
    assert_ptr_equal(class_logits(&r.step, r.report.prediction), r.report.prediction);
    assert_null(class_logits(&r.step, NULL));
    rig_close(&r);
}

/* ---- settings and data that do not go together ---- */

static void test_misfits(void **state)
{
    static const struct data_traits numbers = {.sources = 4}, classes = {.classes = true};
    static const struct method *const of_classes[] = {&method_dnr, &method_reconboost, &method_mcr};
    static const struct method *const through_heads[] = {&method_mmpareto, &method_reconboost};
    struct network net = {0};
    struct step_rig r;
    struct config c;
    struct err e = {0};

    (void)state;
    for (size_t i = 0; i < sizeof of_classes / sizeof of_classes[0]; i++) {
        hand_config(&c, of_classes[i]->name);
        ASSERT_OK(network_fits(of_classes[i], &c, &classes, &e), e);
        ASSERT_FAILS(network_fits(of_classes[i], &c, &numbers, &e), e, ERR_USAGE,
                     "is for classes, the data have numbers to predict");
    }
    for (size_t i = 0; i < sizeof through_heads / sizeof through_heads[0]; i++) {
        hand_config(&c, through_heads[i]->name);
        ASSERT_OK(network_fits(through_heads[i], &c, &classes, &e), e);
        c.detach_heads = true;
        ASSERT_FAILS(network_fits(through_heads[i], &c, &classes, &e), e, ERR_USAGE,
                     "set model.detach_heads = false");
    }
    hand_config(&c, "mmpareto"); /* numbers have gradients too */
    ASSERT_OK(network_fits(&method_mmpareto, &c, &numbers, &e), e);
    hand_open(&r, &method_vanilla, &c, 1);
    hand_config(&c, "reconboost");
    c.layernorm = true;
    ASSERT_FAILS(network_init(&net, &method_reconboost, &c, 1, r.data, 1, &e), e, ERR_USAGE,
                 "a sum of unimodal predictions is without layer norm");
    hand_config(&c, "synib");
    c.divergence = DIVERGENCE_GAUSSIAN;
    for (c.fuse = FUSION_LINEAR; c.fuse <= FUSION_SUM; c.fuse++)
        ASSERT_FAILS(network_init(&net, &method_synib, &c, 1, r.data, 1, &e), e, ERR_USAGE,
                     "gaussian needs a head for variances on a trunk");
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fusions),
        cmocka_unit_test(test_mmpareto),
        cmocka_unit_test(test_mmpareto_is_active),
        cmocka_unit_test(test_mmpareto_of_one),
        cmocka_unit_test(test_min_norm),
        cmocka_unit_test(test_reconboost),
        cmocka_unit_test(test_reconboost_is_active),
        cmocka_unit_test(test_class_logits),
        cmocka_unit_test(test_misfits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
