/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "tests/support/check.h"
#include "tests/support/step_rig.h"
#include "train/methods/min_norm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One training step of D&R, MMPareto, ReconBoost and MCR on tiny models: the loss by hand in
 * double, and its gradient towards every weight by differences of that. What a method holds
 * constant is kept from before the weights were moved. */

enum { N = 6, OUTPUTS = 3, WIDTH = 16 };

/* ---- the model by hand: all samples, all modalities ---- */

struct forward {
    double raw[N][MODALITIES_MAX][WIDTH], z[N][MODALITIES_MAX][WIDTH];
    double u[N][MODALITIES_MAX][OUTPUTS]; /* unimodal */
    double c[N][MODALITIES_MAX][OUTPUTS]; /* what a modality adds to g */
    double g[N][OUTPUTS];
};

static int modalities(const struct step_rig *r)
{
    return data_modalities(r->data);
}

static int outputs(const struct step_rig *r)
{
    return model_opt(r->net.model)->outputs;
}

static void run_by_hand(const struct step_rig *r, struct forward *f)
{
    static double x[REF_WIDTH_MAX];

    memset(f, 0, sizeof *f);
    for (int i = 0; i < N; i++) {
        const double *z[MODALITIES_MAX] = {0};

        for (int m = 0; m < modalities(r); m++) {
            ref_row(r->batch.x[m], model_inputs(r->net.model, m), i, x);
            ref_encode(r, m, x, f->raw[i][m]);
            ref_head(r, m, f->raw[i][m], f->u[i][m]);
            ref_fusion_input(r, m, f->raw[i][m], f->z[i][m]);
            if (model_opt(r->net.model)->fuse == FUSION_SUM)
                memcpy(f->c[i][m], f->u[i][m], sizeof f->c[i][m]);
            else if (model_opt(r->net.model)->fuse == FUSION_LINEAR)
                ref_contribution(r, m, f->z[i][m], f->c[i][m]);
            z[m] = f->z[i][m];
        }
        ref_fuse(r, z, f->g[i], NULL);
    }
}

/* Probabilities of the classes from a prediction; returns how many. */
static int classes_of(const struct step_rig *r, const double *x, double *p)
{
    double logit[OUTPUTS + 1] = {0}, sum = 0;
    int n = outputs(r) == 1 ? 2 : outputs(r);

    memcpy(logit + (outputs(r) == 1), x, (size_t)outputs(r) * sizeof *x);
    for (int k = 0; k < n; k++)
        sum += p[k] = exp(logit[k]);
    for (int k = 0; k < n; k++)
        p[k] /= sum;
    return n;
}

static double fused_nll(const struct step_rig *r, const struct forward *f)
{
    double sum = 0;

    for (int i = 0; i < N; i++)
        sum += ref_nll(r, f->g[i], i) / N;
    return sum;
}

static double head_nll(const struct step_rig *r, const struct forward *f, int m)
{
    double sum = 0;

    for (int i = 0; i < N; i++)
        sum += ref_nll(r, f->u[i][m], i) / N;
    return sum;
}

/* ---- gradients by differences ---- */

/* A loss of the weights as they are; `kept` is what it holds constant. */
typedef double loss_by_hand(const struct step_rig *r, const struct forward *f, const void *kept);

struct slopes {
    double *value; /* [params_block_count] */
    bool *kink;    /* a ReLU turns within the step: no slope there */
};

static double loss_now(const struct step_rig *r, loss_by_hand *fn, const void *kept)
{
    static struct forward f;

    run_by_hand(r, &f);
    return fn(r, &f, kept);
}

static struct slopes differences(const struct step_rig *r, loss_by_hand *fn, const void *kept)
{
    size_t count = params_block_count(r->net.params);
    struct slopes s = {calloc(count, sizeof *s.value), calloc(count, sizeof *s.kink)};
    double middle = loss_now(r, fn, kept);

    assert_non_null(s.value);
    assert_non_null(s.kink);
    for (int i = 0; i < params_count(r->net.params); i++) {
        struct param *p = params_at(r->net.params, i);

        for (int64_t k = 0; p->kind == PARAM_WEIGHT && k < p->count; k++) {
            size_t at = p->offset + (size_t)k;
            float w = p->data[k], step = 1.0F / 131072, up, down;
            double high, low;

            p->data[k] = up = w + step;
            high = (loss_now(r, fn, kept) - middle) / ((double)up - (double)w);
            p->data[k] = down = w - step;
            low = (middle - loss_now(r, fn, kept)) / ((double)w - (double)down);
            p->data[k] = w;
            s.value[at] = (high + low) / 2;
            s.kink[at] = fabs(high - low) > 1e-3 * (1e-3 + fabs(high) + fabs(low));
        }
    }
    return s;
}

static void slopes_free(struct slopes *s)
{
    free(s->value);
    free(s->kink);
}

/* What the step left in the params against slopes; nearly all must have one. */
static void assert_slopes(const struct step_rig *r, const struct slopes *want, const char *what)
{
    int64_t compared = 0, skipped = 0;
    double largest = 0;

    for (size_t i = 0; i < params_block_count(r->net.params); i++)
        largest = fmax(largest, fabs(want->value[i]));
    assert_true(largest > 0);
    for (int i = 0; i < params_count(r->net.params); i++) {
        const struct param *p = params_at(r->net.params, i);

        for (int64_t k = 0; p->kind == PARAM_WEIGHT && k < p->count; k++) {
            double slope = want->value[p->offset + (size_t)k];

            if (want->kink[p->offset + (size_t)k]) {
                skipped++;
                continue;
            }
            compared++;
            if (fabs((double)p->grad[k] - slope) > 3e-3 * fabs(slope) + 1e-4 * largest)
                fail_msg("%s: %s[%lld]: gradient %g, by differences %g", what, p->name,
                         (long long)k, (double)p->grad[k], slope);
        }
    }
    if (compared <= 300 || skipped * 20 >= compared)
        fail_msg("%s: %lld weights compared, %lld turn a ReLU", what, (long long)compared,
                 (long long)skipped);
}

static void check_step(struct step_rig *r, loss_by_hand *fn, const void *kept, const char *what)
{
    struct slopes s = differences(r, fn, kept);

    assert_float_equal(r->report.value[VALUE_LOSS], loss_now(r, fn, kept), 2e-5);
    assert_slopes(r, &s, what);
    slopes_free(&s);
}

/* ---- opening ---- */

static const char *const TASKS[] = {"pid:0.2,0.2,0.2,0.4", "spurious3:0.5", "classes"};
enum { N_TASKS = sizeof TASKS / sizeof TASKS[0] };

static void small_config(struct config *c, const char *method)
{
    rig_config(c, "xor-pid", method, NULL);
    rig_shrink(c);
    c->encoder_width = 6;
    c->select = SELECT_LAST;
    c->mcr_permutations = 3;
}

static void open_task(struct step_rig *r, const struct method *m, const struct config *c, int task)
{
    if (strcmp(TASKS[task], "classes") == 0)
        rig_open_classes(r, m, c, N);
    else
        rig_open(r, m, c, TASKS[task], N);
}

/* ---- D&R ---- */

static double plain_loss(const struct step_rig *r, const struct forward *f, const void *kept)
{
    double sum = fused_nll(r, f);

    (void)kept;
    for (int m = 0; m < modalities(r); m++)
        sum += r->net.config.unimodal_weight * head_nll(r, f, m);
    return sum;
}

/* Between resets it is a linear fusion whose heads train the encoders. */
static void test_dnr(void **state)
{
    struct step_rig r;
    struct config c;

    (void)state;
    for (int task = 0; task < N_TASKS; task++) {
        small_config(&c, "dnr");
        assert_int_equal(c.fuse, FUSION_LINEAR);
        c.unimodal_weight = 0.7;
        open_task(&r, &method_dnr, &c, task);
        rig_step(&r, 2, 0);
        check_step(&r, plain_loss, NULL, TASKS[task]);
        rig_close(&r);
    }
}

/* ---- MMPareto ---- */

static double fused_only(const struct step_rig *r, const struct forward *f, const void *kept)
{
    (void)kept;
    return fused_nll(r, f);
}

static double head_only(const struct step_rig *r, const struct forward *f, const void *kept)
{
    return r->net.config.unimodal_weight * head_nll(r, f, *(const int *)kept);
}

static bool in_encoder(const struct step_rig *r, const struct param *p, int m)
{
    char prefix[64];

    snprintf(prefix, sizeof prefix, "%s.encoder.", data_modality(r->data, m));
    return p->kind == PARAM_WEIGHT && strncmp(p->name, prefix, strlen(prefix)) == 0;
}

/* Puts the combination of f and m on modality m's encoder into sum, which holds f + m. */
static double combine_by_hand(const struct step_rig *r, const struct slopes *f,
                              const struct slopes *own, int m, double *sum)
{
    double ff = 0, fm = 0, mm = 0, kf = 0.5;

    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < params_count(r->net.params); i++) {
            const struct param *p = params_at(r->net.params, i);
            double hh = 0, ss = 0, scale;

            if (!in_encoder(r, p, m))
                continue;
            for (int64_t k = 0; k < p->count; k++) {
                size_t at = p->offset + (size_t)k;
                double a = f->value[at], b = own->value[at];

                if (pass == 0) {
                    ff += a * a;
                    fm += a * b;
                    mm += b * b;
                } else {
                    hh += pow(2 * kf * a + 2 * (1 - kf) * b, 2);
                    ss += pow(a + b, 2);
                }
            }
            scale = r->net.config.pareto_alpha *
                    (r->net.config.pareto_rescale ? fmax(1, sqrt(ss / hh)) : 1);
            for (int64_t k = 0; pass == 1 && k < p->count; k++) {
                size_t at = p->offset + (size_t)k;

                sum[at] = scale * (2 * kf * f->value[at] + 2 * (1 - kf) * own->value[at]);
            }
            if (pass == 0 && fm <= 0)
                kf = (mm - fm) / (ff + mm - 2 * fm);
            else if (pass == 0)
                kf = 0.5;
        }
    return fm / sqrt(ff * mm);
}

/* Counts the modalities whose gradients are opposed and those whose agree. */
static void check_mmpareto(struct step_rig *r, const char *what, int *opposed, int *agreeing)
{
    struct slopes f = differences(r, fused_only, NULL), own[MODALITIES_MAX], sum;
    size_t count = params_block_count(r->net.params);

    sum = differences(r, plain_loss, NULL);
    for (int m = 0; m < modalities(r); m++) {
        double cosine;

        own[m] = differences(r, head_only, &m);
        cosine = combine_by_hand(r, &f, &own[m], m, sum.value);
        assert_float_equal(r->report.value[VALUE_COSINE + m], cosine, 2e-2);
        *opposed += cosine < -0.01;
        *agreeing += cosine > 0.01;
        for (size_t i = 0; i < count; i++)
            sum.kink[i] |= f.kink[i] || own[m].kink[i];
        slopes_free(&own[m]);
    }
    assert_float_equal(r->report.value[VALUE_LOSS], loss_now(r, plain_loss, NULL), 2e-5);
    assert_slopes(r, &sum, what);
    slopes_free(&f);
    slopes_free(&sum);
}

/* Agreeing and opposed gradients, stretched to the plain sum's norm or not. */
static void test_mmpareto(void **state)
{
    int opposed = 0, agreeing = 0;
    struct step_rig r;
    struct config c;

    (void)state;
    for (int i = 0; i < 2 * N_TASKS * 2; i++) {
        char what[64];

        small_config(&c, "mmpareto");
        c.pareto_rescale = i % 2;
        c.pareto_alpha = i % 2 ? 0.8 : 1.3;
        c.unimodal_weight = 0.6;
        open_task(&r, &method_mmpareto, &c, i / 2 % N_TASKS);
        if (i >= 2 * N_TASKS) { /* a fused prediction that hates what the heads like */
            struct param *w = params_find(r.net.params, "fusion.x1.weight");
            const struct param *h = params_find(r.net.params, "x1.head.1.weight");

            for (int64_t k = 0; k < w->count; k++)
                w->data[k] = -2 * fabsf(h->data[k % h->count]) * (k % 2 ? 1.0F : -1.0F);
        }
        snprintf(what, sizeof what, "case %d", i);
        rig_step(&r, 0, 0);
        check_mmpareto(&r, what, &opposed, &agreeing);
        rig_close(&r);
    }
    assert_true(opposed > 0);
    assert_true(agreeing > 0);
}

/* The weight is that of the shortest vector between f and m. */
static void test_min_norm(void **state)
{
    struct rng rng = rng_at(5, rng_stream("test.min_norm"), 0, 0);

    (void)state;
    for (int i = 0; i < 2000; i++) {
        double f[4], m[4], ff = 0, fm = 0, mm = 0, g, norm, pull = rng_double(&rng) * 4 - 2;

        for (int k = 0; k < 4; k++) {
            f[k] = rng_normal(&rng);
            m[k] = rng_normal(&rng) + pull * f[k];
            ff += f[k] * f[k];
            fm += f[k] * m[k];
            mm += m[k] * m[k];
        }
        g = min_norm_weight(ff, fm, mm);
        assert_true(g >= 0 && g <= 1);
        norm = g * g * ff + 2 * g * (1 - g) * fm + (1 - g) * (1 - g) * mm;
        if (fm >= ff || fm >= mm) { /* kept off the end that is shortest */
            assert_true(g == (fm >= ff ? 0.999 : 0.001));
            continue;
        }
        assert_true(fabs(g * (ff - fm) - (1 - g) * (mm - fm)) <= 1e-9 * (ff + mm));
        for (double t = 0; t <= 1; t += 1.0 / 64)
            assert_true(norm <= t * t * ff + 2 * t * (1 - t) * fm + (1 - t) * (1 - t) * mm +
                                    1e-9 * (ff + mm));
    }
}

/* ---- ReconBoost ---- */

struct boost {
    int which;                    /* the modality whose stage it is */
    const struct forward *before; /* p_f comes from it */
};

static double boost_loss(const struct step_rig *r, const struct forward *f, const void *kept)
{
    const struct boost *b = kept;
    const struct config *c = &r->net.config;
    double sum = 0, p[OUTPUTS + 1], fused[OUTPUTS + 1];

    for (int i = 0; i < N; i++) {
        int label = r->batch.aim.label[i];
        int k = classes_of(r, f->u[i][b->which], p);

        (void)classes_of(r, b->before->g[i], fused);
        sum += (-c->boost_ce * log(p[label]) + c->boost_residual * fused[label] * log(p[label])) /
               k / N;
    }
    return sum;
}

/* No other modality moves. */
static void assert_own_slopes(const struct step_rig *r, struct slopes *s, int which)
{
    char own[64];

    snprintf(own, sizeof own, "%s.", data_modality(r->data, which));
    for (int i = 0; i < params_count(r->net.params); i++) {
        const struct param *p = params_at(r->net.params, i);

        for (int64_t k = 0; p->kind == PARAM_WEIGHT && k < p->count; k++)
            if (strncmp(p->name, own, strlen(own)) != 0)
                assert_true(p->grad[k] == 0 && s->value[p->offset + (size_t)k] == 0);
    }
}

/* Stages in turn: a modality from what the fusion is not sure of, all from the fused loss. */
static void test_reconboost(void **state)
{
    static struct forward before;
    struct step_rig r;
    struct config c;

    (void)state;
    for (int task = 0; task < N_TASKS; task++) {
        small_config(&c, "reconboost");
        assert_int_equal(c.fuse, FUSION_SUM);
        c.boost_epochs = 1;
        open_task(&r, &method_reconboost, &c, task);
        for (int epoch = 0; epoch < 2 * modalities(&r) + 1; epoch++) {
            struct boost b = {epoch / 2 % modalities(&r), &before};
            struct slopes s;

            rig_step(&r, 1, epoch);
            run_by_hand(&r, &before);
            if (epoch % 2 == 1) {
                check_step(&r, fused_only, NULL, "all together");
                continue;
            }
            s = differences(&r, boost_loss, &b);
            assert_slopes(&r, &s, "a modality's stage");
            assert_own_slopes(&r, &s, b.which);
            assert_float_equal(r.report.value[VALUE_LOSS], loss_now(&r, boost_loss, &b), 2e-5);
            slopes_free(&s);
        }
        rig_close(&r);
    }
}

/* ---- MCR ---- */

static double js_by_hand(const struct step_rig *r, const double *a, const double *b)
{
    double p[OUTPUTS + 1], q[OUTPUTS + 1], sum = 0;
    int n = classes_of(r, a, p);

    (void)classes_of(r, b, q);
    for (int k = 0; k < n; k++)
        sum += (p[k] * log(2 * p[k] / (p[k] + q[k])) + q[k] * log(2 * q[k] / (p[k] + q[k]))) / 2;
    return sum;
}

/* Donors of permutation k of modality m. */
static void donors_by_hand(const struct step_rig *r, int m, int k, int donor[N])
{
    char name[64];
    struct rng g;

    snprintf(name, sizeof name, "mcr.permute.%s", data_modality(r->data, m));
    g = rng_at(r->net.seed, rng_stream(name), r->step.step, (uint32_t)k);
    for (int i = 0; i < N; i++)
        donor[i] = i;
    for (int i = N - 1; i > 0; i--) {
        int other = (int)rng_below(&g, (uint32_t)i + 1), x = donor[i];

        donor[i] = donor[other];
        donor[other] = x;
    }
}

static bool counts(const struct step_rig *r, int i, int donor)
{
    const int32_t *label = r->batch.aim.label;

    if (r->net.config.mcr_shuffle == SHUFFLE_OTHER_LABEL)
        return label[i] != label[donor];
    return r->net.config.mcr_shuffle == SHUFFLE_ALL || i != donor;
}

/* J(x, towards): contributions of all but `towards` are those of `before`; -1: none is. */
static double game_by_hand(const struct step_rig *r, const struct forward *f,
                           const struct forward *before, int x, int towards)
{
    double sum = 0;
    int pairs = 0;

    for (int k = 0; k < r->net.config.mcr_permutations; k++) {
        int donor[N];

        donors_by_hand(r, x, k, donor);
        for (int i = 0; i < N; i++) {
            double g[OUTPUTS] = {0};

            if (!counts(r, i, donor[i]))
                continue;
            for (int m = 0; m < modalities(r); m++)
                for (int o = 0; o < outputs(r); o++)
                    g[o] +=
                        (towards < 0 || m == towards ? f : before)->c[m == x ? donor[i] : i][m][o];
            sum += js_by_hand(r, g, f->g[i]);
            pairs++;
        }
    }
    return pairs > 0 ? sum / pairs : 0;
}

static double contrastive_by_hand(const struct step_rig *r, const struct forward *f, int a, int b)
{
    int width = model_features(r->net.model, a), pairs = 0;
    double s[2 * N][2 * N], sum = 0;

    for (int i = 0; i < 2 * N; i++)
        for (int j = 0; j < 2 * N; j++) {
            const double *x = f->raw[i % N][i < N ? a : b], *y = f->raw[j % N][j < N ? a : b];
            double xy = 0, xx = 0, yy = 0;

            for (int d = 0; d < width; d++) {
                xy += x[d] * y[d];
                xx += x[d] * x[d];
                yy += y[d] * y[d];
            }
            s[i][j] = exp(xy / sqrt(xx * yy) / r->net.config.mcr_temperature);
        }
    for (int i = 0; i < 2 * N; i++)
        for (int j = 0; j < 2 * N; j++) {
            const int32_t *label = r->batch.aim.label;
            double others = 0;

            if (i == j || label[i % N] != label[j % N])
                continue;
            for (int n = 0; n < 2 * N; n++)
                others += label[n % N] != label[i % N] ? s[i][n] : 0;
            sum -= log(s[i][j] / (s[i][j] + others));
            pairs++;
        }
    return pairs > 0 ? sum / pairs : 0;
}

static double mcr_by_hand(const struct step_rig *r, const struct forward *f, const void *kept)
{
    const struct config *c = &r->net.config;
    double sum = plain_loss(r, f, NULL);

    for (int x = 0; x < modalities(r) && c->mcr_weight > 0; x++) {
        bool together = c->mcr_game == GAME_COLLABORATIVE;

        sum -= c->mcr_weight * game_by_hand(r, f, kept, x, together ? -1 : x);
        for (int w = 0; c->mcr_game == GAME_GREEDY && w < modalities(r); w++)
            if (w != x)
                sum += c->mcr_weight * game_by_hand(r, f, kept, x, w);
    }
    for (int a = 0; a < modalities(r); a++)
        for (int b = a + 1; b < modalities(r); b++)
            sum += c->mcr_contrastive * contrastive_by_hand(r, f, a, b);
    return sum;
}

/* Every game and shuffle, linear fusion and sum. */
static void test_mcr(void **state)
{
    static struct forward before;
    struct step_rig r;
    struct config c;

    (void)state;
    for (int i = 0; i < 3 * 3 + 3 * (N_TASKS - 1); i++) {
        int task = i < 9 ? 0 : i / 3 - 2;
        char what[64];

        small_config(&c, "mcr");
        c.mcr_game = i % 3;
        c.mcr_shuffle = i / 3 % 3;
        c.mcr_weight = 1.5;
        c.mcr_contrastive = i % 2 ? 0.4 : 0;
        c.fuse = i % 4 == 0 ? FUSION_SUM : FUSION_LINEAR;
        snprintf(what, sizeof what, "game %d, shuffle %d, task %s", i % 3, i / 3 % 3, TASKS[task]);
        open_task(&r, &method_mcr, &c, task);
        rig_step(&r, (uint32_t)i, 0);
        run_by_hand(&r, &before);
        check_step(&r, mcr_by_hand, &before, what);
        assert_float_equal(r.report.value[VALUE_GAME], game_by_hand(&r, &before, &before, 0, 0),
                           1e-5);
        rig_close(&r);
    }
}

/* Without games and contrast it is plain fusion, to the bit; with either it is not. */
static void test_mcr_parts(void **state)
{
    double loss[4], encoder[4];
    struct step_rig r;
    struct config c;

    (void)state;
    for (int i = 0; i < 4; i++) {
        small_config(&c, "mcr");
        c.mcr_weight = i == 2 ? 1 : 0;
        c.mcr_contrastive = i == 3 ? 1 : 0;
        open_task(&r, i == 0 ? &method_vanilla : &method_mcr, &c, 0);
        rig_step(&r, 0, 0);
        loss[i] = r.report.value[VALUE_LOSS];
        encoder[i] = rig_gradient(&r, "x1.encoder");
        rig_close(&r);
    }
    assert_true(loss[0] == loss[1] && encoder[0] == encoder[1]);
    assert_true(encoder[2] != encoder[0]); /* the games' values cancel, their gradients do not */
    assert_true(loss[3] != loss[0] && encoder[3] != encoder[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dnr),      cmocka_unit_test(test_mmpareto),
        cmocka_unit_test(test_min_norm), cmocka_unit_test(test_reconboost),
        cmocka_unit_test(test_mcr),      cmocka_unit_test(test_mcr_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
