/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "common/data/xor.h"
#include "tests/support/check.h"
#include "tests/support/step_rig.h"
#include "train/masks/adversary.h"
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Learned masks against their definition in double: the search of `learned`, the network of
 * `learned-mlp`, the gradient that both follow, and whom their objectives train. */

enum { N = 12, WIDTH_MAX = 64, OUTPUTS_MAX = 4 };

/* ---- the unimodal predictor and its gradient by hand ---- */

/* x [width]: values of sample i at the site of modality `which`, intact. */
static int64_t site_by_hand(const struct step_rig *r, int which, int64_t i, double *x)
{
    double input[WIDTH_MAX], raw[WIDTH_MAX];

    ref_row(r->batch.x[which], model_inputs(r->net.model, which), i, input);
    if (r->net.config.mask_space == SPACE_INPUT) {
        memcpy(x, input, sizeof input);
        return model_inputs(r->net.model, which);
    }
    ref_encode(r, which, input, raw);
    ref_fusion_input(r, which, raw, x);
    return model_features(r->net.model, which);
}

/* Raw features of sample i whose layer norm gives z, with the mean and deviation of the intact
 * ones. */
static void undo_layernorm(const struct step_rig *r, int which, int64_t i, const double *z,
                           double *raw)
{
    int n = model_features(r->net.model, which);
    double input[WIDTH_MAX], intact[WIDTH_MAX], mean = 0, variance = 0;

    ref_row(r->batch.x[which], model_inputs(r->net.model, which), i, input);
    ref_encode(r, which, input, intact);
    for (int k = 0; k < n; k++)
        mean += intact[k] / n;
    for (int k = 0; k < n; k++)
        variance += (intact[k] - mean) * (intact[k] - mean) / n;
    for (int k = 0; k < n; k++)
        raw[k] = z[k] * sqrt(variance + 1e-5) + mean;
}

/* u [P]: what the head of modality `which` says of sample i when its site holds x. */
static void predict_by_hand(const struct step_rig *r, int which, int64_t i, const double *x,
                            double *u)
{
    const struct config *c = &r->net.config;
    double raw[WIDTH_MAX];

    if (c->mask_space == SPACE_INPUT)
        ref_encode(r, which, x, raw);
    else if (c->layernorm && c->head_on == HEAD_ON_FEATURES)
        undo_layernorm(r, which, i, x, raw);
    else
        memcpy(raw, x, (size_t)model_features(r->net.model, which) * sizeof *raw);
    ref_head(r, which, raw, u);
}

/* d [width]: gradient of (-log p) / N of sample i at x, which is left as it was. Central
 * differences, of the loss in u and of u in x; u is linear but for ReLU's corners, which the second
 * steps are small enough to miss. */
static void gradient_by_hand(const struct step_rig *r, int which, int64_t i, int64_t width,
                             double *x, double *d)
{
    const double h = 1e-5, small = 1e-7;
    double u[OUTPUTS_MAX], up[OUTPUTS_MAX], down[OUTPUTS_MAX], du[OUTPUTS_MAX];
    int outputs = model_opt(r->net.model)->outputs;

    predict_by_hand(r, which, i, x, u);
    for (int p = 0; p < outputs; p++) {
        double at = u[p], above;

        u[p] = at + h;
        above = ref_nll(r, u, i);
        u[p] = at - h;
        du[p] = (above - ref_nll(r, u, i)) / (2 * h) / N;
        u[p] = at;
    }
    for (int64_t k = 0; k < width; k++) {
        double at = x[k];

        x[k] = at + small;
        predict_by_hand(r, which, i, x, up);
        x[k] = at - small;
        predict_by_hand(r, which, i, x, down);
        x[k] = at;
        d[k] = 0;
        for (int p = 0; p < outputs; p++)
            d[k] += du[p] * (up[p] - down[p]) / (2 * small);
    }
}

/* ---- settings ---- */

struct setting {
    const char *preset, *task; /* task "classes": three of them */
    bool shrink;
    const char *set[8];
};

static void open_rig(struct step_rig *r, const struct setting *s, const char *mask)
{
    struct config c;
    struct err e = {0};

    rig_config(&c, s->preset, "synib", mask);
    if (s->shrink)
        rig_shrink(&c);
    for (int i = 0; i < 8 && s->set[i] != NULL; i++)
        ASSERT_OK(config_set(&c, s->set[i], &e), e);
    ASSERT_OK(config_check(&c, &e), e);
    if (strcmp(s->task, "classes") == 0)
        rig_open_classes(r, &method_synib, &c, N);
    else
        rig_open(r, &method_synib, &c, s->task, N);
}

/* The families, both spaces, linear and deep heads, with and without the layer norm undone. */
static const struct setting ATTACKED[] = {
    {"xor-spurious", "spurious:1", false, {NULL}},
    {"xor-spurious", "spurious:1", false, {"mask.space=latent"}},
    {"xor-spurious", "spurious3:1", true, {"mask.space=latent", "model.head_depth=0"}},
    {"xor-pid", "pid:0.2,0.2,0.2,0.4", true, {NULL}},
    {"xor-pid", "pid:0.2,0.2,0.2,0.4", true, {"mask.space=latent"}},
    {"xor-pid", "pid:0.2,0.2,0.2,0.4", true, {"model.layernorm=true", "mask.space=latent"}},
    {"xor-pid",
     "pid:0.2,0.2,0.2,0.4",
     true,
     {"model.layernorm=true", "mask.space=latent", "model.head_depth=0"}},
    {"xor-pid",
     "pid:0.2,0.2,0.2,0.4",
     true,
     {"model.layernorm=true", "mask.space=latent", "model.head_depth=0",
      "mask.head_on=fusion-input"}},
    {"xor-pid", "classes", true, {"model.layernorm=true"}},
    {"xor-pid",
     "classes",
     true,
     {"model.layernorm=true", "mask.space=latent", "model.head_depth=0"}},
    {"xor-regression", "regression:1", true, {"mask.space=latent", "model.layernorm=true"}},
    {"xor-regression", "regression:1", true, {"mask.space=latent", "model.head_depth=0"}},
    {"xor-regression",
     "regression:1",
     true,
     {"mask.space=latent", "model.layernorm=true", "model.head_depth=0"}},
};

/* ---- the gradient ---- */

static void assert_near(const char *what, size_t setting, int64_t k, double got, double want,
                        double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%s, setting %zu, value %d: %.9g instead of %.9g", what, setting, (int)k, got,
                 want);
}

/* In closed form, through the tape, and in double: all the same, at values that are nobody's. */
static void test_gradients_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ATTACKED / sizeof ATTACKED[0]; i++) {
        struct tensor *x, *closed, *taped;
        struct mask_site site;
        struct step_rig r;
        struct err e = {0};
        double largest = 0;

        open_rig(&r, &ATTACKED[i], "learned");
        rig_encode(&r, 3);
        site = mask_site_of(&r.step, 1);
        x = tape_scratch(r.net.tape, 2, site.x->dim);
        closed = tape_scratch(r.net.tape, 2, site.x->dim);
        taped = tape_scratch(r.net.tape, 2, site.x->dim);
        assert_true(x != NULL && closed != NULL && taped != NULL);
        for (int64_t k = 0; k < N * site.width; k++) {
            x->data[k] = site.x->data[k] + 0.7f * sinf((float)k);
            closed->data[k] = taped->data[k] = 99; /* overwritten, not added to */
        }
        ASSERT_OK(adversary_gradient(&r.step, &site, x->data, closed->data, &e), e);
        ASSERT_OK(adversary_gradient_by_tape(&r.step, &site, x->data, taped->data, &e), e);
        for (int64_t b = 0; b < N; b++) {
            double row[WIDTH_MAX], want[WIDTH_MAX];

            ref_row(x->data, site.width, b, row);
            gradient_by_hand(&r, 1, b, site.width, row, want);
            for (int64_t k = 0; k < site.width; k++) {
                int64_t at = b * site.width + k;
                double tolerance = 2e-8 + 1e-5 * fabs(want[k]);

                largest = fmax(largest, fabs(want[k]));
                assert_near("by tape", i, at, (double)taped->data[at], want[k], tolerance);
                assert_near("closed", i, at, (double)closed->data[at], want[k], tolerance);
            }
        }
        assert_true(largest > 5e-4); /* there was something to agree on */
        rig_close(&r);
    }
}

/* The predictor with an empty mask is the model's own head; without the layer norm undone it is
 * another. */
static void test_predictor_of_intact_values(void **state)
{
    (void)state;
    for (int undone = 0; undone < 2; undone++) {
        const struct setting s = {"xor-pid",
                                  "pid:0.2,0.2,0.2,0.4",
                                  true,
                                  {"model.layernorm=true", "mask.space=latent",
                                   undone ? "mask.head_on=features" : "mask.head_on=fusion-input"}};
        struct mask_site site;
        struct step_rig r;
        struct tensor *u;
        double apart = 0;

        open_rig(&r, &s, "learned");
        rig_encode(&r, 0);
        site = mask_site_of(&r.step, 0);
        u = adversary_predict(&r.step, r.net.tape, &site, site.x);
        assert_non_null(u);
        for (int i = 0; i < N; i++)
            apart = fmax(apart,
                         fabs((double)u->data[i] - (double)r.step.features.unimodal[0]->data[i]));
        assert_true(undone ? apart < 1e-6 : apart > 1e-2);
        rig_close(&r);
    }
}

/* ---- the search ---- */

/* fill [N, width] of inner step `step`: stream "fill.MODALITY" of seed and training step, in which
 * number 0 is the masked pass's, so that the steps have 1, 2, ... */
static void fill_by_hand(const struct step_rig *r, int which, int64_t step, int64_t width,
                         float *fill)
{
    const char *name = model_opt(r->net.model)->modality[which].name;
    struct noise_key key = {.seed = 3,
                            .stream = rng_stream_in(rng_stream("fill."), name),
                            .epoch = r->step.step,
                            .row = r->batch.sample};
    struct mask_site site = mask_site_of(&r->step, which);
    struct err e = {0};

    if (r->net.config.fill == FILL_SHUFFLE || r->net.config.fill == FILL_EMA) {
        fill_make(&r->step, &site, (enum fill_kind)r->net.config.fill, (uint32_t)step + 1, fill);
        return;
    }
    ASSERT_OK(k_random_normal(r->net.nn, &key, (uint32_t)step + 1, N, width, fill, &e), e);
    for (int64_t k = 0; k < N * width; k++)
        fill[k] *= r->net.config.fill == FILL_ZEROS ? 0 : (float)r->net.config.noise_std;
}

/* All of Adam's [N, width]. */
struct search_by_hand {
    double x[N * WIDTH_MAX], logit[N * WIDTH_MAX], gate[N * WIDTH_MAX], d[N * WIDTH_MAX];
    double m[N * WIDTH_MAX], v[N * WIDTH_MAX];
};

static void gates_by_hand(struct search_by_hand *s, int64_t count, double temperature)
{
    for (int64_t k = 0; k < count; k++)
        s->gate[k] = 1 / (1 + exp(-s->logit[k] / temperature));
}

/* s->d: gradient of the objective towards the logits, clipped as the settings say. */
static void objective_gradient(const struct step_rig *r, int which, int64_t step, int64_t width,
                               struct search_by_hand *s)
{
    static _Alignas(64) float fill[N * WIDTH_MAX];
    const struct config *c = &r->net.config;
    double norm = 0;

    fill_by_hand(r, which, step, width, fill);
    for (int64_t i = 0; i < N; i++) {
        double mixed[WIDTH_MAX], d[WIDTH_MAX];

        for (int64_t k = 0; k < width; k++) {
            double g = s->gate[i * width + k];

            mixed[k] = (1 - g) * s->x[i * width + k] + g * (double)fill[i * width + k];
        }
        gradient_by_hand(r, which, i, width, mixed, d);
        for (int64_t k = 0; k < width; k++) {
            int64_t at = i * width + k;
            double slope = s->gate[at] * (1 - s->gate[at]) / c->temperature;

            s->d[at] =
                (-d[k] * ((double)fill[at] - s->x[at]) + c->sparsity / (double)(N * width)) * slope;
            norm += s->d[at] * s->d[at];
        }
    }
    norm = sqrt(norm);
    for (int64_t k = 0; c->mask_clip > 0 && norm > c->mask_clip && k < N * width; k++)
        s->d[k] *= c->mask_clip / norm;
}

/* s->gate: those that the adversary ends with. */
static int64_t search_by_hand(const struct step_rig *r, int which, struct search_by_hand *s)
{
    const struct config *c = &r->net.config;
    int64_t width = 0, count;

    memset(s, 0, sizeof *s);
    for (int64_t i = 0; i < N; i++) {
        double x[WIDTH_MAX];

        width = site_by_hand(r, which, i, x);
        memcpy(s->x + i * width, x, (size_t)width * sizeof *x);
    }
    count = N * width;
    for (int64_t k = 0; k < count; k++)
        s->logit[k] = c->mask_init;
    for (int64_t step = 0; step < c->mask_steps; step++) {
        double lr = c->mask_lr, t = (double)step + 1;

        if (c->mask_schedule == MASK_LR_COSINE)
            lr *= 0.1 + 0.9 * (1 + cos(M_PI * (double)step / (double)c->mask_steps)) / 2;
        gates_by_hand(s, count, c->temperature);
        objective_gradient(r, which, step, width, s);
        for (int64_t k = 0; k < count; k++) {
            s->m[k] = 0.9 * s->m[k] + 0.1 * s->d[k];
            s->v[k] = 0.999 * s->v[k] + 0.001 * s->d[k] * s->d[k];
            s->logit[k] -=
                lr * s->m[k] / (1 - pow(0.9, t)) / (sqrt(s->v[k] / (1 - pow(0.999, t))) + 1e-8);
        }
    }
    gates_by_hand(s, count, c->temperature);
    return width;
}

static void make_mask(struct step_rig *r, int which, float *mask)
{
    struct mask_site site = mask_site_of(&r->step, which);
    struct step_report ignored = r->report;
    struct loss_sum sum = {0};
    struct err e = {0};

    masks[r->net.config.mask]->make(&r->step, &site, mask, &sum, &ignored);
    ASSERT_OK(tape_error(r->net.tape, &e), e);
}

/* The two published settings as they are, and each of their constants changed. The smallest clip
 * pushes gradients down to Adam's epsilon, where their size counts. */
static const struct setting SEARCHES[] = {
    {"xor-spurious", "spurious:1", false, {NULL}},
    {"xor-spurious", "spurious:1", false, {"mask.space=latent"}},
    {"xor-spurious", "spurious:1", false, {"mask.fill=zeros", "mask.temperature=2"}},
    {"xor-spurious", "spurious:1", false, {"mask.sparsity=3", "mask.init=-1", "mask.lr=0.3"}},
    {"xor-spurious", "spurious:1", false, {"mask.fill=shuffle"}},
    {"xor-pid", "pid:0.2,0.2,0.2,0.4", true, {NULL}},
    {"xor-pid",
     "pid:0.2,0.2,0.2,0.4",
     true,
     {"mask.sparsity=0", "mask.lr=0.5", "model.dropout=0.5"}},
    {"xor-pid",
     "pid:0.2,0.2,0.2,0.4",
     true,
     {"mask.space=latent", "mask.sparsity=0.01", "mask.threshold=0.25"}},
    {"xor-pid",
     "pid:0.2,0.2,0.2,0.4",
     true,
     {"mask.space=latent", "model.head_depth=0", "mask.clip=1e-7", "mask.sparsity=0.01"}},
    {"xor-pid",
     "pid:0.2,0.2,0.2,0.4",
     true,
     {"model.layernorm=true", "mask.space=latent", "mask.sparsity=0.01", "mask.noise_std=2"}},
    {"xor-pid", "classes", true, {"mask.sparsity=0.01", "mask.init=0.2", "mask.lr=0.4"}},
    {"xor-regression", "regression:1", true, {"mask.sparsity=0.1", "mask.lr=0.3"}},
};

/* Where two rates of attack nearly cancel, or a gate passes a corner of ReLU, float and double may
 * go different ways from there: one gate in a hundred may. */
static void assert_search(struct step_rig *r, int which, size_t setting)
{
    static struct search_by_hand s;
    static _Alignas(64) float gate[N * WIDTH_MAX], mask[N * WIDTH_MAX];
    int64_t count = N * search_by_hand(r, which, &s), off = 0;
    double threshold = r->net.config.threshold, lowest = 1, highest = 0;

    r->net.config.soft = true;
    r->net.config.complement = false;
    make_mask(r, which, gate);
    r->net.config.soft = false;
    r->net.config.complement = true;
    make_mask(r, which, mask);
    for (int64_t k = 0; k < count; k++) {
        bool kept = s.gate[k] <= threshold, near = fabs(s.gate[k] - threshold) < 1e-4;

        assert_true(mask[k] == 0 || mask[k] == 1);
        off += fabs((double)gate[k] - s.gate[k]) > 1e-5 || (!near && (mask[k] == 1) != kept);
        lowest = fmin(lowest, s.gate[k]);
        highest = fmax(highest, s.gate[k]);
    }
    if (off * 100 > count)
        fail_msg("setting %zu, modality %d: %d of %d gates differ", setting, which, (int)off,
                 (int)count);
    assert_true(highest > lowest + 0.01); /* it searched */
}

static void test_search(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof SEARCHES / sizeof SEARCHES[0]; i++) {
        struct step_rig r;

        open_rig(&r, &SEARCHES[i], "learned");
        rig_encode(&r, (uint32_t)i);
        for (int m = 0; m < 2; m++)
            assert_search(&r, m, i);
        rig_close(&r);
    }
}

/* ---- whom the objectives train ---- */

static float *gradients_now(const struct step_rig *r)
{
    size_t bytes = params_block_count(r->net.params) * sizeof(float);
    float *g = malloc(bytes);

    assert_non_null(g);
    memcpy(g, params_grad_block(r->net.params), bytes);
    return g;
}

/* The step of rig_step once more, with masks that are plain numbers; gradients are in the params.
 */
static void step_with_constants(struct step_rig *r, float mask[2][N * WIDTH_MAX])
{
    struct loss_sum sum = {0};
    struct err e = {0};

    rig_encode(r, r->step.step);
    fusion_base_loss(&r->step, &sum, &r->report);
    for (int m = 0; m < 2; m++) {
        struct mask_site site = mask_site_of(&r->step, m);
        struct tensor *k = tape_scratch(r->net.tape, 2, site.x->dim);
        struct tensor *fill = tape_scratch(r->net.tape, 2, site.x->dim), *z[MODALITIES_MAX], *g;
        struct noise_key key;

        assert_true(k != NULL && fill != NULL);
        memcpy(k->data, mask[m], (size_t)(N * site.width) * sizeof(float));
        fill_make(&r->step, &site, (enum fill_kind)r->net.config.fill, 0, fill->data);
        memcpy(z, r->step.features.z, sizeof z);
        z[m] = corrupted_z(&r->step, &(struct corruption){site, k, fill}, false);
        key = step_key_of(&r->step, "dropout.masked_", m);
        g = model_fuse(r->net.model, r->net.tape, z, &key).prediction;
        loss_add(&r->step, &sum,
                 r->net.objective->divergence(r->net.tape, g, NULL, KL_MODEL_REFERENCE),
                 r->net.config.lambda);
    }
    params_zero_grad(r->net.params);
    ASSERT_OK(tape_backward(r->net.tape, loss_total(&r->step, &sum, &r->report), &e), e);
}

static bool is_mask_network(const struct param *p)
{
    return strncmp(p->name, "mask.", 5) == 0;
}

/* The gradients of two steps, relative to the largest of a weight: the same, and not nothing, but
 * for those of mask networks, which have one in the first step only. */
static void assert_same_training(const struct step_rig *r, const float *learned,
                                 const float *constant)
{
    for (int i = 0; i < params_count(r->net.params); i++) {
        const struct param *p = params_at(r->net.params, i);
        double apart = 0, one = 0, other = 0;

        if (p->kind != PARAM_WEIGHT)
            continue;
        for (size_t k = p->offset; k < p->offset + (size_t)p->count; k++) {
            apart = fmax(apart, fabs((double)learned[k] - (double)constant[k]));
            one = fmax(one, fabs((double)learned[k]));
            other = fmax(other, fabs((double)constant[k]));
        }
        if (is_mask_network(p) ? !(one > 0 && other == 0) : !(one > 0 && apart <= 1e-5 * one))
            fail_msg("%s: gradient %g, with constant masks %g, apart by %g", p->name, one, other,
                     apart);
    }
}

/* Soft masks, through which a gradient would find its way; dropout, of which the predictor that is
 * attacked has none. */
static const struct setting TRAINED[] = {
    {"xor-spurious", "spurious:1", false, {"mask.soft=true", "synib.warmup_epochs=0"}},
    {"xor-pid",
     "pid:0.2,0.2,0.2,0.4",
     true,
     {"mask.soft=true", "mask.sparsity=0.01", "model.dropout=0.5"}},
    {"xor-pid",
     "pid:0.2,0.2,0.2,0.4",
     true,
     {"mask.soft=true", "mask.space=latent", "model.layernorm=true", "model.detach_heads=false"}},
    {"xor-pid",
     "classes",
     true,
     {"mask.soft=true", "mask.space=latent", "model.head_depth=0", "mask.temperature=0.5"}},
    {"xor-regression", "regression:1", true, {"mask.soft=true", "mask.complement=false"}},
};

/* Making a mask touches no gradient, and the step trains what it would with the mask given. */
static void test_attack_trains_nothing(void **state)
{
    static const char *const KINDS[] = {"learned", "learned-mlp"};
    static _Alignas(64) float mask[2][N * WIDTH_MAX];

    (void)state;
    for (size_t i = 0; i < 2 * sizeof TRAINED / sizeof TRAINED[0]; i++) {
        float *learned, *after, *constant;
        struct step_rig r;

        open_rig(&r, &TRAINED[i / 2], KINDS[i % 2]);
        rig_step(&r, 4, 0);
        learned = gradients_now(&r);
        for (int m = 0; m < 2; m++)
            make_mask(&r, m, mask[m]);
        after = gradients_now(&r);
        assert_memory_equal(learned, after, params_block_count(r.net.params) * sizeof *after);
        step_with_constants(&r, mask);
        constant = gradients_now(&r);
        assert_same_training(&r, learned, constant);
        free(learned);
        free(after);
        free(constant);
        rig_close(&r);
    }
}

/* ---- the mask network ---- */

/* Logits [width] of the network of modality `which`. */
static void network_by_hand(const struct step_rig *r, int which, const double *x, int64_t width,
                            double *logit)
{
    static const char *const PARTS[] = {"0.weight", "0.bias", "1.weight", "1.bias"};
    const struct param *p[4];
    double hidden[WIDTH_MAX];

    for (int i = 0; i < 4; i++) {
        char name[PARAM_NAME_SIZE];

        snprintf(name, sizeof name, "mask.%s.%s", model_opt(r->net.model)->modality[which].name,
                 PARTS[i]);
        p[i] = params_find(r->net.params, name);
        assert_non_null(p[i]);
    }
    for (int64_t h = 0; h < p[0]->dim[0]; h++) {
        hidden[h] = (double)p[1]->data[h];
        for (int64_t k = 0; k < width; k++)
            hidden[h] += (double)p[0]->data[h * width + k] * x[k];
        hidden[h] = fmax(hidden[h], 0);
    }
    for (int64_t k = 0; k < width; k++) {
        logit[k] = (double)p[3]->data[k];
        for (int64_t h = 0; h < p[0]->dim[0]; h++)
            logit[k] += (double)p[2]->data[k * p[0]->dim[0] + h] * hidden[h];
    }
}

/* The network's objective, with the uniform draws behind its gates. gate [N, width] may be NULL. */
static double network_objective(const struct step_rig *r, int which, const float *uniform,
                                const float *fill, double *gate)
{
    const struct config *c = &r->net.config;
    double nll = 0, gates = 0;
    int64_t width = 0;

    for (int64_t i = 0; i < N; i++) {
        double x[WIDTH_MAX], logit[WIDTH_MAX], mixed[WIDTH_MAX], u[OUTPUTS_MAX];

        width = site_by_hand(r, which, i, x);
        network_by_hand(r, which, x, width, logit);
        for (int64_t k = 0; k < width; k++) {
            double v = (double)uniform[i * width + k] + pow(2, -25);
            double g = 1 / (1 + exp(-(logit[k] + log(v / (1 - v))) / c->temperature));

            mixed[k] = (1 - g) * x[k] + g * (double)fill[i * width + k];
            gates += g;
            if (gate != NULL)
                gate[i * width + k] = g;
        }
        predict_by_hand(r, which, i, mixed, u);
        nll += ref_nll(r, u, i) / N;
    }
    return -nll + c->sparsity * gates / (double)(N * width);
}

/* The gradient of about a hundred weights of every layer against central differences of the
 * objective, and the learning rate that the network's weights have. */
static void assert_network_gradient(struct step_rig *r, int which, const float *uniform,
                                    const float *fill, size_t setting)
{
    char prefix[PARAM_NAME_SIZE];

    snprintf(prefix, sizeof prefix, "mask.%s.", model_opt(r->net.model)->modality[which].name);
    for (int i = 0; i < params_count(r->net.params); i++) {
        struct param *p = params_at(r->net.params, i);

        assert_true(p->lr == (is_mask_network(p) ? r->net.config.mask_net_lr : 0));
        if (strncmp(p->name, prefix, strlen(prefix)) != 0)
            continue;
        for (int64_t k = 0; k < p->count; k += 1 + p->count / 97) {
            float at = p->data[k], up = at + 1e-5f, down = at - 1e-5f;
            double above, below;

            p->data[k] = up;
            above = network_objective(r, which, uniform, fill, NULL);
            p->data[k] = down;
            below = network_objective(r, which, uniform, fill, NULL);
            p->data[k] = at;
            assert_near(p->name, setting, k, (double)p->grad[k],
                        (above - below) / ((double)up - (double)down), 2e-6);
        }
    }
}

/* One step by hand: the gates, the objective that is reported and added to the loss, and the
 * gradient that the network gets. */
static void test_mask_network(void **state)
{
    static _Alignas(64) float uniform[N * WIDTH_MAX], fill[N * WIDTH_MAX], mask[N * WIDTH_MAX];
    static double gate[N * WIDTH_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof TRAINED / sizeof TRAINED[0]; i++) {
        double total = 0;
        struct step_rig r;
        struct err e = {0};

        open_rig(&r, &TRAINED[i], "learned-mlp");
        rig_step(&r, 6, 0);
        for (int m = 0; m < 2; m++) {
            int64_t width = mask_site_of(&r.step, m).width;
            struct noise_key key = {.seed = 3,
                                    .stream =
                                        rng_stream_in(rng_stream("mask.gumbel."),
                                                      model_opt(r.net.model)->modality[m].name),
                                    .epoch = 6,
                                    .row = r.batch.sample};

            ASSERT_OK(k_random_uniform(r.net.nn, &key, 0, N, width, uniform, &e), e);
            fill_by_hand(&r, m, 0, width, fill);
            total += network_objective(&r, m, uniform, fill, gate);
            make_mask(&r, m, mask);
            for (int64_t k = 0; k < N * width; k++)
                assert_near("gate", i, k, (double)mask[k],
                            r.net.config.complement ? 1 - gate[k] : gate[k], 2e-6);
            assert_network_gradient(&r, m, uniform, fill, i);
        }
        assert_near("objective", i, 0, r.report.value[VALUE_MASK_LOSS], total, 1e-5);
        total += r.report.value[VALUE_FUSED];
        for (int m = 0; m < 2; m++)
            total += r.net.config.unimodal_weight * r.report.value[VALUE_UNIMODAL + m] +
                     r.net.config.lambda * r.report.value[VALUE_DIVERGENCE + m];
        assert_near("loss", i, 0, r.report.value[VALUE_LOSS], total, 1e-5 * (1 + fabs(total)));
        rig_close(&r);
    }
}

/* ---- what the attack finds ---- */

enum { ATTACK_BATCH = 128, BLOCKS = BLOCK_SPURIOUS + 1 };

/* Shares [block] of the values of modality 1 that the attack on one batch flags. */
static void flagged_shares(struct network *net, const struct data *data, double share[BLOCKS])
{
    static _Alignas(64) float mask[ATTACK_BATCH * WIDTH_MAX];
    struct loader_options o = {.batch = ATTACK_BATCH, .use = {true, true}, .threads = 1};
    const uint8_t *block = data_vectors(data)->modality[0].block;
    double flagged[BLOCKS] = {0}, count[BLOCKS] = {0};
    struct loader *loader = NULL;
    struct step_report report;
    struct mask_site site;
    struct method_step s;
    struct batch b;
    struct err e = {0};

    ASSERT_OK(loader_new(&loader, data, &o, &e), e);
    loader_start(loader, 0, 0);
    ASSERT_OK(loader_next(loader, &b, &e), e);
    net->config.complement = false;
    tape_begin(net->tape, 0);
    s = network_encode(net, &b, 1000, 100);
    site = mask_site_of(&s, 0);
    mask_learned.make(&s, &site, mask, NULL, &report);
    ASSERT_OK(tape_error(net->tape, &e), e);
    for (int64_t k = 0; k < b.n * site.width; k++) {
        flagged[block[k]] += (double)mask[k];
        count[block[k]]++;
    }
    for (int k = 0; k < BLOCKS; k++)
        share[k] = count[k] > 0 ? flagged[k] / count[k] : NAN;
    loader_free(loader);
}

/* Trains SynIB with the learned mask by the preset on data whose shortcut has that strength. */
static void train_and_attack(const char *task, int epochs, double share[BLOCKS])
{
    struct trainer_options o = {.method = &method_synib, .seed = 1, .jobs = 1};
    struct data *data[XOR_SPLITS] = {0};
    struct vectors v[XOR_SPLITS];
    struct xor_options xo;
    struct trainer *t = NULL;
    struct err e = {0};

    ASSERT_OK(xor_parse(&xo, task, &e), e);
    xo.seed = 1;
    xo.count[XOR_TEST] = 1;
    ASSERT_OK(xor_make(v, &xo, &e), e);
    for (int s = 0; s < XOR_SPLITS; s++)
        ASSERT_OK(data_of_vectors(&data[s], &v[s], &e), e);
    rig_config(&o.config, "xor-spurious", "synib", "learned");
    o.config.epochs = epochs;
    o.train = data[XOR_TRAIN];
    o.val = data[XOR_VAL];
    ASSERT_OK(trainer_open(&t, &o, &e), e);
    ASSERT_OK(trainer_train(t, &e), e);
    flagged_shares(trainer_network(t), o.train, share);
    trainer_close(t);
    for (int s = 0; s < XOR_SPLITS; s++)
        data_close(data[s]);
}

/* X section 8: after training the attack goes for the shortcut, where there is one. About .86 of
 * its block against .35 of the signal's and .28 of the noise; .31 without a shortcut in it. */
static void test_attack_finds_the_shortcut(void **state)
{
    double with[BLOCKS], without[BLOCKS];

    (void)state;
    train_and_attack("spurious:1", 100, with); /* all of the preset's epochs */
    train_and_attack("spurious:0", 40, without);
    assert_true(with[BLOCK_SPURIOUS] > 0.7);
    assert_true(with[BLOCK_SYNERGISTIC] > 0.15 && with[BLOCK_SYNERGISTIC] < 0.55);
    assert_true(with[BLOCK_NOISE] > 0.15 && with[BLOCK_NOISE] < 0.42);
    assert_true(with[BLOCK_SPURIOUS] > with[BLOCK_SYNERGISTIC] + 0.25);
    assert_true(with[BLOCK_SPURIOUS] > with[BLOCK_NOISE] + 0.35);
    assert_float_equal(without[BLOCK_SPURIOUS], without[BLOCK_NOISE], 0.12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients_agree), cmocka_unit_test(test_predictor_of_intact_values),
        cmocka_unit_test(test_search),          cmocka_unit_test(test_attack_trains_nothing),
        cmocka_unit_test(test_mask_network),    cmocka_unit_test(test_attack_finds_the_shortcut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
