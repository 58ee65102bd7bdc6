/* SPDX-License-Identifier: MIT */
#include "tests/support/check.h"
#include "tests/support/drawn_dataset.h"
#include "tests/support/scratch.h"
#include "tests/support/step_rig.h"
#include "train/masks/mask.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One training step of each method on a tiny model: losses by hand in double. Masks and fills are
 * keyed by step and sample, so making them again gives the numbers that the loss saw. */

enum { N = 6, MEDIA_N = 5 };

/* ---- losses by hand ---- */

struct by_hand {
    double value[STEP_VALUES];
    float *mask[MODALITIES_MAX], *fill[MODALITIES_MAX]; /* [N, width], of the masked passes */
    float *ce_mask[MODALITIES_MAX], *ce_fill[MODALITIES_MAX];
};

static float *floats(int64_t count)
{
    float *x = aligned_alloc(64, ((size_t)count * sizeof *x + 63) / 64 * 64);

    assert_non_null(x);
    return x;
}

static void make_masks(struct step_rig *r, struct by_hand *h)
{
    const struct config *c = &r->net.config;
    struct step_report ignored = {.prediction = NULL};

    for (int m = 0; m < data_modalities(r->data); m++) {
        struct mask_site site = mask_site_of(&r->step, m);
        struct noise_key key = step_key_of(&r->step, "mask.ce.", m);
        struct loss_sum sum = {0};
        int64_t count = r->batch.n * site.width;
        struct err e = {0};

        h->mask[m] = floats(count);
        h->fill[m] = floats(count);
        h->ce_mask[m] = floats(count);
        h->ce_fill[m] = floats(count);
        masks[c->mask]->make(&r->step, &site, h->mask[m], &sum, &ignored);
        fill_make(&r->step, &site, (enum fill_kind)c->fill, 0, h->fill[m]);
        ASSERT_OK(k_random_uniform(r->net.nn, &key, 0, r->batch.n, site.width, h->ce_mask[m], &e),
                  e);
        for (int64_t i = 0; i < count; i++)
            h->ce_mask[m][i] = h->ce_mask[m][i] < (float)c->mask_p ? 1 : 0;
        fill_make(&r->step, &site, FILL_SHUFFLE, UINT16_MAX, h->ce_fill[m]);
    }
}

/* One sample's features, intact and with each modality masked. */
struct sample_by_hand {
    double raw[MODALITIES_MAX][512], z[MODALITIES_MAX][512], u[MODALITIES_MAX][16];
    double masked[MODALITIES_MAX][512], ce_masked[MODALITIES_MAX][512];
};

static void mask_by_hand(struct step_rig *r, int m, int64_t i, const double *intact,
                         const float *mask, const float *fill, double *z)
{
    static double x[REF_WIDTH_MAX], raw[512];
    struct mask_site site = mask_site_of(&r->step, m);

    for (int64_t d = 0; d < site.width; d++) {
        double k = (double)mask[i * site.width + d];

        x[d] = (1 - k) * intact[d] + k * (double)fill[i * site.width + d];
    }
    if (r->net.config.mask_space == SPACE_LATENT) {
        memcpy(z, x, (size_t)site.width * sizeof *z);
        return;
    }
    ref_encode(r, m, x, raw);
    ref_fusion_input(r, m, raw, z);
}

static void sample_by_hand(struct step_rig *r, const struct by_hand *h, int64_t i,
                           struct sample_by_hand *s)
{
    static double x[REF_WIDTH_MAX];
    bool latent = r->net.config.mask_space == SPACE_LATENT;

    for (int m = 0; m < data_modalities(r->data); m++) {
        if (data_media(r->data) != NULL) { /* the ResNets have a test of their own */
            ref_row(r->step.features.raw[m]->data, model_features(r->net.model, m), i, s->raw[m]);
        } else {
            ref_row(r->batch.x[m], model_inputs(r->net.model, m), i, x);
            ref_encode(r, m, x, s->raw[m]);
        }
        ref_fusion_input(r, m, s->raw[m], s->z[m]);
        ref_head(r, m, s->raw[m], s->u[m]);
        if (h->mask[m] == NULL)
            continue;
        mask_by_hand(r, m, i, latent ? s->z[m] : x, h->mask[m], h->fill[m], s->masked[m]);
        mask_by_hand(r, m, i, latent ? s->z[m] : x, h->ce_mask[m], h->ce_fill[m], s->ce_masked[m]);
    }
}

/* The prediction that the divergence with `masked` corrupted refers to, mixed by hand. */
static const double *reference_by_hand(struct step_rig *r, const struct sample_by_hand *s,
                                       int masked, double *mixed)
{
    int modalities = data_modalities(r->data), outputs = model_opt(r->net.model)->outputs;
    double one = 0;

    if (r->net.config.reference == REFERENCE_UNIFORM)
        return NULL;
    if (r->net.config.reference == REFERENCE_MASKED)
        return s->u[masked];
    if (modalities == 2)
        return s->u[1 - masked];
    assert_int_equal(outputs, 1);
    for (int m = 0; m < modalities; m++)
        if (m != masked)
            one += 1 / (1 + exp(-s->u[m][0])) / (modalities - 1);
    mixed[0] = log(one / (1 - one));
    return mixed;
}

static void fuse_with(struct step_rig *r, const struct sample_by_hand *s, int masked,
                      const double *z_masked, double *g, double *log_variance)
{
    const double *z[MODALITIES_MAX];

    for (int m = 0; m < data_modalities(r->data); m++)
        z[m] = m == masked ? z_masked : s->z[m];
    ref_fuse(r, z, g, log_variance);
}

static double gaussian_to_standard(const double *mean, const double *log_variance, int n)
{
    double kl = 0;

    for (int k = 0; k < n; k++)
        kl += (exp(log_variance[k]) + mean[k] * mean[k] - 1 - log_variance[k]) / 2;
    return kl;
}

static void add_sample(struct step_rig *r, struct by_hand *h, int64_t i)
{
    const struct config *c = &r->net.config;
    int modalities = data_modalities(r->data), outputs = model_opt(r->net.model)->outputs;
    double g[16], v[16], mixed[16], n = (double)r->batch.n;
    static struct sample_by_hand s;

    sample_by_hand(r, h, i, &s);
    fuse_with(r, &s, -1, NULL, g, NULL);
    h->value[VALUE_FUSED] += ref_nll(r, g, i) / n;
    for (int m = 0; m < modalities; m++) {
        h->value[VALUE_UNIMODAL + m] += ref_nll(r, s.u[m], i) / n;
        if (h->mask[m] == NULL)
            continue;
        fuse_with(r, &s, m, s.masked[m], g, c->divergence == DIVERGENCE_GAUSSIAN ? v : NULL);
        h->value[VALUE_DIVERGENCE + m] +=
            (c->divergence == DIVERGENCE_GAUSSIAN
                 ? gaussian_to_standard(g, v, outputs)
                 : ref_kl(r, g, reference_by_hand(r, &s, m, mixed), c->reverse)) /
            n;
        if (c->ce_masks == CE_MASKS_SHUFFLE)
            fuse_with(r, &s, m, s.ce_masked[m], g, NULL);
        h->value[VALUE_MASKED_CE] += ref_nll(r, g, i) / n;
    }
}

static void losses_by_hand(struct step_rig *r, struct by_hand *h)
{
    const struct config *c = &r->net.config;
    double total;

    memset(h, 0, sizeof *h);
    if ((r->net.method->scopes & SCOPE_MASKS) != 0)
        make_masks(r, h);
    for (int64_t i = 0; i < r->batch.n; i++)
        add_sample(r, h, i);
    total = h->value[VALUE_FUSED];
    for (int m = 0; m < data_modalities(r->data); m++) {
        total += c->unimodal_weight * h->value[VALUE_UNIMODAL + m];
        if (r->net.method == &method_synib)
            total += c->lambda * h->value[VALUE_DIVERGENCE + m];
    }
    if (r->net.method == &method_synib)
        total += c->masked_ce * h->value[VALUE_MASKED_CE];
    h->value[VALUE_LOSS] = total;
}

static void release(struct by_hand *h)
{
    for (int m = 0; m < MODALITIES_MAX; m++) {
        free(h->mask[m]);
        free(h->fill[m]);
        free(h->ce_mask[m]);
        free(h->ce_fill[m]);
    }
}

static void assert_values(const struct step_rig *r, const double *want, const char *what)
{
    char name[64];

    for (int i = 0; i < VALUE_MASK_SHARE; i++) {
        double got = r->report.value[i];

        if (!isnan(got) && !(fabs(got - want[i]) <= 3e-5 * (1 + fabs(want[i]))))
            fail_msg(
                "%s: %s: %.9g, by hand %.9g", what,
                step_value_name((enum step_value)i, model_opt(r->net.model), name, sizeof name),
                got, want[i]);
    }
}

/* ---- pictures and sound ---- */

static char *drawn(void **state)
{
    char *dir = scratch_path(*state, "drawn");
    struct err e = {0};

    ASSERT_OK(drawn_dataset_make(dir, &drawn_options_default, &e), e);
    return dir;
}

static void media_config(struct config *c, const char *method, const char *mask)
{
    rig_config(c, "demo", method, mask);
    c->audio_pool = 4;
    c->video_size = 32;
    c->trunk = 8;
    c->dropout = 0; /* the hand computation below has none */
    c->mask_p = 0.3;
    c->lambda = 0.7;
}

/* Every fill, reference, direction and option of SynIB on CREMA-D-Irony's model, and vanilla. */
static void test_losses_of_media(void **state)
{
    char *dir = drawn(state);
    struct step_rig r;
    struct by_hand h;
    struct config c;

    media_config(&c, "vanilla", NULL);
    rig_open_media(&r, &method_vanilla, &c, dir, MEDIA_N);
    rig_step(&r, 0, 0);
    assert_true(isnan(r.report.value[VALUE_DIVERGENCE]));
    losses_by_hand(&r, &h);
    assert_values(&r, h.value, "vanilla");
    rig_close(&r);
    media_config(&c, "synib", "random");
    for (int i = 0; i < 4 * 3 * 2 * 3 * 2; i++) {
        c.fill = i % 4;
        c.reference = i / 4 % 3;
        c.reverse = i / 12 % 2;
        c.detach = i / 24 % 2;
        c.masked_ce = i / 48 > 0 ? 0.4 : 0;
        c.ce_masks = i / 96 > 0 ? CE_MASKS_SHUFFLE : CE_MASKS_SAME;
        rig_open_media(&r, &method_synib, &c, dir, MEDIA_N);
        rig_step(&r, (uint32_t)i, 0);
        assert_false(isnan(r.report.value[VALUE_DIVERGENCE]));
        assert_true(isnan(r.report.value[VALUE_MASKED_CE]) == (c.masked_ce == 0));
        losses_by_hand(&r, &h);
        assert_values(&r, h.value, "synib");
        release(&h);
        rig_close(&r);
    }
    c.divergence = DIVERGENCE_GAUSSIAN; /* R section 4.2, 5 */
    c.reference = REFERENCE_UNIFORM;
    c.reverse = false;
    rig_open_media(&r, &method_synib, &c, dir, MEDIA_N);
    rig_step(&r, 3, 0);
    losses_by_hand(&r, &h);
    assert_values(&r, h.value, "Gaussian divergence");
    release(&h);
    rig_close(&r);
    free(dir);
}

/* lambda 0 is vanilla to the bit; lambda 1 changes loss and gradients of trunk and encoders; with
 * detach those of the encoders stay vanilla's. */
static void test_lambda(void **state)
{
    char *dir = drawn(state);
    double total[4], encoder[4], trunk[4];
    struct step_rig r;
    struct config c;

    for (int i = 0; i < 4; i++) {
        const struct method *m = i == 0 ? &method_vanilla : &method_synib;

        media_config(&c, m->name, NULL);
        c.lambda = i == 1 ? 0 : 1;
        c.detach = i == 3;
        rig_open_media(&r, m, &c, dir, MEDIA_N);
        rig_step(&r, 4, 0);
        total[i] = r.report.value[VALUE_LOSS];
        encoder[i] = rig_gradient(&r, "audio.layer4.1.conv2.weight");
        trunk[i] = rig_gradient(&r, "fusion.trunk.weight");
        rig_close(&r);
    }
    assert_true(total[0] == total[1] && total[1] != total[2] && total[2] == total[3]);
    assert_true(encoder[0] > 0 && encoder[0] == encoder[1]);
    assert_true(encoder[2] != encoder[0] && encoder[3] == encoder[0]);
    assert_true(trunk[0] == trunk[1] && trunk[2] != trunk[0] && trunk[3] != trunk[0]);
    free(dir);
}

/* The ensemble's prediction is the mean of both heads' probabilities. */
static void test_ensemble(void **state)
{
    char *dir = drawn(state);
    float got[MEDIA_N * N_LABELS];
    struct step_rig r;
    struct config c;
    struct err e = {0};

    media_config(&c, "ensemble", NULL);
    rig_open_media(&r, &method_ensemble, &c, dir, MEDIA_N);
    rig_encode(&r, 0);
    method_ensemble.predict(&r.step, got);
    ASSERT_OK(tape_error(r.net.tape, &e), e);
    for (int i = 0; i < MEDIA_N; i++) {
        double raw[512], u[2][N_LABELS], sum[2] = {0};

        for (int m = 0; m < 2; m++) {
            ref_row(r.step.features.raw[m]->data, model_features(r.net.model, m), i, raw);
            ref_head(&r, m, raw, u[m]);
            for (int k = 0; k < N_LABELS; k++)
                sum[m] += exp(u[m][k]);
        }
        for (int k = 0; k < N_LABELS; k++)
            assert_float_equal(exp(got[i * N_LABELS + k]),
                               (exp(u[0][k]) / sum[0] + exp(u[1][k]) / sum[1]) / 2, 1e-5);
    }
    rig_close(&r);
    free(dir);
}

/* ---- vectors ---- */

static const char *const TASKS[] = {"pid:0.2,0.2,0.2,0.4", "spurious3:0.5", "regression:0.5",
                                    "classes"};
enum { N_TASKS = sizeof TASKS / sizeof TASKS[0] };

static void open_task(struct step_rig *r, const struct method *m, const struct config *c, int task)
{
    if (strcmp(TASKS[task], "classes") == 0)
        rig_open_classes(r, m, c, N);
    else
        rig_open(r, m, c, TASKS[task], N);
}

static void vector_config(struct config *c, const char *method, const char *mask)
{
    rig_config(c, "xor-pid", method, mask);
    rig_shrink(c);
    c->lambda = 0.6;
    c->mask_p = 0.4;
    c->mask_steps = 4;
    c->select = SELECT_LAST;
}

/* Two and three modalities, all families, every mask, both spaces, with and without layer norm. */
static void test_losses_of_vectors(void **state)
{
    struct step_rig r;
    struct by_hand h;
    struct config c;

    (void)state;
    for (int i = 0; i < N_TASKS * MASK_KINDS * 2 * 2; i++) {
        int task = i % N_TASKS, mask = i / N_TASKS % MASK_KINDS;
        char what[128];

        vector_config(&c, "synib", config_mask_names[mask]);
        c.mask_space = i / (N_TASKS * MASK_KINDS) % 2 ? SPACE_LATENT : SPACE_INPUT;
        c.layernorm = i / (2 * N_TASKS * MASK_KINDS);
        c.reference = i % 3;
        c.reverse = i / 3 % 2;
        c.fill = i % 4;
        c.masked_ce = i % 5 == 0 ? 0.3 : 0;
        if (c.mask_space == SPACE_LATENT && (mask == MASK_ORACLE || mask == MASK_ORACLE_LITERAL))
            continue;
        snprintf(what, sizeof what, "task %s, mask %s, space %d, case %d", TASKS[task],
                 config_mask_names[mask], (int)c.mask_space, i);
        open_task(&r, &method_synib, &c, task);
        rig_step(&r, (uint32_t)i, 0);
        losses_by_hand(&r, &h);
        if (mask == MASK_LEARNED_MLP) /* what its networks are trained with is in the sum too */
            h.value[VALUE_LOSS] += r.report.value[VALUE_MASK_LOSS];
        assert_values(&r, h.value, what);
        release(&h);
        rig_close(&r);
    }
}

/* App. G: the mean over all copies. */
static void test_masking_only(void **state)
{
    struct step_rig r;
    struct by_hand h;
    struct config c;

    (void)state;
    for (int i = 0; i < 2 * 2 * 2; i++) {
        bool together = i % 2, three = i / 2 % 2;
        double want = 0, unimodal = 0;

        vector_config(&c, "masking-only", i / 4 ? "oracle" : "random");
        c.copies = together ? 2 : 3;
        rig_open(&r, &method_masking_only, &c, TASKS[three], N);
        rig_step(&r, 7, 0);
        memset(&h, 0, sizeof h);
        make_masks(&r, &h);
        for (int64_t k = 0; k < N; k++) {
            static struct sample_by_hand s;
            int copies = together ? 1 : data_modalities(r.data);
            double g[16];

            sample_by_hand(&r, &h, k, &s);
            fuse_with(&r, &s, -1, NULL, g, NULL);
            want += ref_nll(&r, g, k) / N / (1 + copies);
            for (int m = 0; m < data_modalities(r.data); m++) {
                unimodal += ref_nll(&r, s.u[m], k) / N;
                if (!together) {
                    fuse_with(&r, &s, m, s.masked[m], g, NULL);
                    want += ref_nll(&r, g, k) / N / (1 + copies);
                }
            }
            if (together) {
                const double *z[MODALITIES_MAX] = {s.masked[0], s.masked[1], s.masked[2]};

                ref_fuse(&r, z, g, NULL);
                want += ref_nll(&r, g, k) / N / 2;
            }
        }
        assert_float_equal(r.report.value[VALUE_LOSS], want + c.unimodal_weight * unimodal, 3e-5);
        release(&h);
        rig_close(&r);
    }
}

/* Without masks masking-only is vanilla: its copies are the batch. */
static void test_masking_nothing(void **state)
{
    double total[2];
    struct step_rig r;
    struct config c;

    (void)state;
    for (int i = 0; i < 2; i++) {
        const struct method *m = i == 0 ? &method_vanilla : &method_masking_only;

        vector_config(&c, m->name, "none");
        rig_open(&r, m, &c, TASKS[0], N);
        rig_step(&r, 0, 0);
        total[i] = r.report.value[VALUE_LOSS];
        rig_close(&r);
    }
    assert_float_equal(total[0], total[1], 1e-6);
}

/* lambda grows linearly over synib.warmup_epochs: (epoch + 1) / epochs, as X section 2. */
static void test_warmup(void **state)
{
    struct step_rig r;
    struct config c;

    (void)state;
    vector_config(&c, "synib", "random");
    c.warmup_epochs = 20;
    rig_open(&r, &method_synib, &c, TASKS[0], N);
    for (int epoch = 0; epoch < 30; epoch++) {
        const double *v = r.report.value;
        double lambda = 0.6 * (epoch < 19 ? (epoch + 1) / 20.0 : 1);

        rig_step(&r, 3, epoch);
        assert_float_equal(v[VALUE_LOSS],
                           v[VALUE_FUSED] + v[VALUE_UNIMODAL] + v[VALUE_UNIMODAL + 1] +
                               lambda * (v[VALUE_DIVERGENCE] + v[VALUE_DIVERGENCE + 1]),
                           2e-6);
    }
    rig_close(&r);
}

/* With masks in input space the divergence trains encoders; with synib.detach it does not. Detached
 * heads keep the unimodal losses from them. */
static void test_gradient_paths(void **state)
{
    struct step_rig r;
    struct config c;
    double encoder[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        vector_config(&c, "synib", "all");
        c.detach = i == 1;
        c.lambda = i == 2 ? 0 : 1;
        rig_open(&r, &method_synib, &c, TASKS[0], N);
        rig_step(&r, 0, 0);
        encoder[i] = rig_gradient(&r, "x1.encoder");
        assert_true(rig_gradient(&r, "x1.head") > 0);
        rig_close(&r);
    }
    assert_true(encoder[0] != encoder[2] && encoder[1] == encoder[2]);
}

/* The gradients of a step, [params_block_count]; caller frees. */
static float *gradients_of(const struct config *c)
{
    struct step_rig r;
    size_t count;
    float *g;

    rig_open(&r, &method_synib, c, TASKS[0], N);
    rig_step(&r, 5, 0);
    count = params_block_count(r.net.params);
    g = floats((int64_t)count);
    memcpy(g, params_grad_block(r.net.params), count * sizeof *g);
    rig_close(&r);
    return g;
}

enum { NEITHER, DIVERGENCE, CROSS_ENTROPY, BOTH };

/* Both train what each of them trains alone; a mask network is trained once. */
static void assert_sum(const struct step_rig *r, float *const g[4], const char *what)
{
    double differs = 0;

    for (int i = 0; i < params_count(r->net.params); i++) {
        const struct param *p = params_at(r->net.params, i);
        bool network = strncmp(p->name, "mask.", 5) == 0;

        if (p->kind != PARAM_WEIGHT)
            continue;
        for (size_t k = p->offset; k < p->offset + (size_t)p->count; k++) {
            double once = (double)g[DIVERGENCE][k] - (double)g[NEITHER][k];
            double want = (double)g[CROSS_ENTROPY][k] + (network ? 0 : once);

            differs += fabs(once);
            if (!(fabs((double)g[BOTH][k] - want) <= 1e-5))
                fail_msg("%s: %s: gradient %.9g, apart %.9g", what, p->name, (double)g[BOTH][k],
                         want);
        }
    }
    assert_true(differs > 0);
}

/* Cross entropy and detached divergence of one corruption. */
static void test_same_masks_detached(void **state)
{
    static const char *const kinds[] = {"random", "learned", "learned-mlp", "all"};

    (void)state;
    for (int i = 0; i < 2 * 4; i++) {
        struct step_rig r;
        struct config c;
        float *g[4];

        vector_config(&c, "synib", kinds[i / 2]);
        c.mask_space = i % 2 ? SPACE_LATENT : SPACE_INPUT;
        c.detach = true;
        c.ce_masks = CE_MASKS_SAME;
        for (int k = 0; k < 4; k++) {
            c.lambda = k == DIVERGENCE || k == BOTH ? 0.6 : 0;
            c.masked_ce = k == CROSS_ENTROPY || k == BOTH ? 0.4 : 0;
            g[k] = gradients_of(&c);
        }
        rig_open(&r, &method_synib, &c, TASKS[0], N);
        assert_sum(&r, g, kinds[i / 2]);
        rig_close(&r);
        for (int k = 0; k < 4; k++)
            free(g[k]);
    }
}

static double masked_ce_by_hand(struct step_rig *r, void *ctx)
{
    struct by_hand *h = ctx;

    memset(h->value, 0, sizeof h->value);
    for (int64_t i = 0; i < r->batch.n; i++)
        add_sample(r, h, i);
    return h->value[VALUE_FUSED] + r->net.config.masked_ce * h->value[VALUE_MASKED_CE];
}

/* The label's loss of masked predictions trains all of the model, its encoders by both inputs,
 * with either kind of masks and whatever synib.detach says of the divergence (R section 4.2,
 * step 2). */
static void test_gradient_of_masked_ce(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        double *want;
        struct step_rig r;
        struct by_hand h;
        struct config c;

        vector_config(&c, "synib", "random");
        c.lambda = c.unimodal_weight = 0;
        c.detach = i % 2;
        c.masked_ce = 0.5;
        c.ce_masks = i / 2 ? CE_MASKS_SHUFFLE : CE_MASKS_SAME;
        rig_open(&r, &method_synib, &c, TASKS[0], N);
        rig_step(&r, 0, 0);
        memset(&h, 0, sizeof h);
        make_masks(&r, &h);
        want = ref_gradient(&r, masked_ce_by_hand, &h);
        rig_assert_gradient(&r, want, i / 2 ? "shuffled" : "same masks");
        free(want);
        release(&h);
        rig_close(&r);
    }
}

/* A mask network learns once from a step, however often the step asks for its mask. */
static void test_mask_network_learns_once(void **state)
{
    double norm[2], loss[2];
    struct step_rig r;
    struct config c;

    (void)state;
    for (int i = 0; i < 2; i++) {
        vector_config(&c, "synib", "learned-mlp");
        c.detach = true;
        c.masked_ce = i == 0 ? 0 : 0.5; /* on the same masks: two passes */
        c.ce_masks = CE_MASKS_SAME;
        rig_open(&r, &method_synib, &c, TASKS[0], N);
        rig_step(&r, 0, 0);
        norm[i] = rig_gradient(&r, "mask.");
        loss[i] = r.report.value[VALUE_MASK_LOSS];
        rig_close(&r);
    }
    assert_true(norm[0] > 0 && norm[0] == norm[1] && loss[0] == loss[1]);
}

/* The passes of a step drop other units: where nothing is masked only that tells them apart. */
static void test_dropout_of_passes(void **state)
{
    double value[2][3], fused = 0;

    (void)state;
    for (int drops = 0; drops < 2; drops++)
        for (int i = 0; i < 3; i++) {
            const struct method *m = i < 2 ? &method_synib : &method_masking_only;
            struct step_rig r;
            struct config c;

            vector_config(&c, m->name, "random");
            c.dropout = drops ? 0.5 : 0;
            c.mask_space = SPACE_LATENT;
            c.mask_p = 0;
            c.masked_ce = 0.5;
            c.ce_masks = i == 1 ? CE_MASKS_SHUFFLE : CE_MASKS_SAME;
            rig_open(&r, m, &c, TASKS[0], N);
            rig_step(&r, 0, 0);
            value[drops][i] = r.report.value[VALUE_MASKED_CE]; /* of both modalities */
            fused = r.report.value[VALUE_FUSED];
            rig_close(&r);
            if (!drops)
                assert_float_equal(value[0][i], 2 * fused, 1e-6);
            else
                assert_true(fabs(value[1][i] - 2 * fused) > 1e-4);
        }
    assert_true(fabs(value[1][0] - value[1][1]) > 1e-4 && value[1][0] == value[1][2]);
}

static void test_registry(void **state)
{
    const struct method *m = NULL;
    struct err e = {0};

    (void)state;
    for (int i = 0; methods[i] != NULL; i++) {
        ASSERT_OK(method_find(&m, methods[i]->name, &e), e);
        assert_ptr_equal(m, methods[i]);
    }
    ASSERT_FAILS(method_find(&m, "vanila", &e), e, ERR_USAGE, "did you mean 'vanilla'");
}

/* Runs of pictures and sound alone start from the unimodal ones: those that fuse, unless they
 * are to start from scratch, and those that train nothing. */
static void test_needs_unimodal(void **state)
{
    struct config c = {.kind = KIND_MEDIA, .init = INIT_PRETRAINED};

    (void)state;
    for (int m = 0; m < MEDIA_MODALITIES; m++)
        assert_false(method_needs_unimodal(unimodal_methods[m], &c));
    assert_true(method_needs_unimodal(&method_ensemble, &c));
    assert_true(method_needs_unimodal(&method_vanilla, &c));
    c.init = INIT_SCRATCH;
    assert_true(method_needs_unimodal(&method_ensemble, &c));
    assert_false(method_needs_unimodal(&method_vanilla, &c));
    c = (struct config){.kind = KIND_VECTORS, .init = INIT_PRETRAINED};
    assert_false(method_needs_unimodal(&method_vanilla, &c));
}

/* Columns: a name each, and only those of modalities that the model has. */
static void test_value_names(void **state)
{
    struct model_options o = {.modalities = 2, .modality = {{.name = "audio"}, {.name = "video"}}};
    char name[64];

    (void)state;
    assert_string_equal(step_value_name(VALUE_LOSS, &o, name, sizeof name), "loss");
    assert_string_equal(step_value_name(VALUE_UNIMODAL + 1, &o, name, sizeof name), "ce_video");
    assert_string_equal(step_value_name(VALUE_DIVERGENCE, &o, name, sizeof name),
                        "kl_masked_audio");
    assert_string_equal(step_value_name(VALUE_MASK_SHARE + 1, &o, name, sizeof name),
                        "masked_share_video");
    assert_string_equal(step_value_name(VALUE_MASK_LOSS, &o, name, sizeof name), "mask_loss");
    assert_true(step_value_exists(VALUE_DIVERGENCE + 1, &o));
    assert_false(step_value_exists(VALUE_DIVERGENCE + 2, &o));
    assert_true(step_value_exists(VALUE_MASKED_CE, &o));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_losses_of_media, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_lambda, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_ensemble, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_losses_of_vectors),
        cmocka_unit_test(test_masking_only),
        cmocka_unit_test(test_masking_nothing),
        cmocka_unit_test(test_warmup),
        cmocka_unit_test(test_gradient_paths),
        cmocka_unit_test(test_same_masks_detached),
        cmocka_unit_test(test_gradient_of_masked_ce),
        cmocka_unit_test(test_mask_network_learns_once),
        cmocka_unit_test(test_dropout_of_passes),
        cmocka_unit_test(test_registry),
        cmocka_unit_test(test_needs_unimodal),
        cmocka_unit_test(test_value_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
