/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "tests/support/check.h"
#include "train/masks/mask.h"
#include "train/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One training step of each method on a tiny model: losses by hand in double from the features. */

enum { B = 5, H = 8, W = 6, SIDE = 32, D = 128, TRUNK = 8 };

struct fixture {
    struct network net;
    float audio[B * H * W], *video;
    int32_t label[B];
    uint32_t sample[B];
    struct method_step step;
    struct tensor *term[LOSS_TERMS];
};

static void fixture_config(struct config *c, const char *method)
{
    struct err e = {0};

    ASSERT_OK(config_load(c, SOURCE_DIR "/manifests/presets/demo.conf", method, &e), e);
    c->video_size = SIDE;
    c->trunk = TRUNK;
    c->dropout = 0; /* the hand computation below has none */
    c->mask_p = 0.3;
    c->lambda = 0.7;
}

static void fixture_open(struct fixture *f, const struct method *m, const struct config *c)
{
    struct rng r = rng_at(5, rng_stream("test.methods"), 0, 0);
    size_t video = (size_t)B * 9 * SIDE * SIDE;
    struct err e = {0};

    memset(f, 0, sizeof *f);
    f->video = malloc(video * sizeof *f->video);
    assert_non_null(f->video);
    for (size_t i = 0; i < sizeof f->audio / sizeof *f->audio; i++)
        f->audio[i] = (float)rng_normal(&r);
    for (size_t i = 0; i < video; i++)
        f->video[i] = (float)rng_normal(&r);
    for (int i = 0; i < B; i++) {
        f->label[i] = (int32_t)rng_below(&r, N_LABELS);
        f->sample[i] = (uint32_t)(10 + 3 * i);
    }
    ASSERT_OK(network_init(&f->net, m, c, 3, H, W, 1, &e), e);
}

static void fixture_close(struct fixture *f)
{
    network_free(&f->net);
    free(f->video);
}

/* Forward and backward; gradients are in the params, terms and features on the tape. */
static void run_step(struct fixture *f, uint32_t step)
{
    struct batch b = {
        .n = B, .audio = f->audio, .video = f->video, .label = f->label, .sample = f->sample};
    struct err e = {0};

    memset(f->term, 0, sizeof f->term);
    tape_begin(f->net.tape, TAPE_TRAIN | TAPE_KEEP);
    f->step = network_encode(&f->net, &b, step);
    f->net.method->loss(&f->step, f->term);
    params_zero_grad(f->net.params);
    ASSERT_OK(tape_backward(f->net.tape, f->term[TERM_TOTAL], &e), e);
}

static const float *weight(const struct fixture *f, const char *name)
{
    struct param *p = params_find(f->net.params, name);

    assert_non_null(p);
    return p->data;
}

static void softmax(const double *logits, double *p)
{
    double sum = 0;

    for (int k = 0; k < N_LABELS; k++)
        sum += exp(logits[k]);
    for (int k = 0; k < N_LABELS; k++)
        p[k] = exp(logits[k]) / sum;
}

/* Fused probabilities of one z pair. */
static void fuse_by_hand(const struct fixture *f, const double *za, const double *zv, double *p)
{
    const float *w1 = weight(f, "fusion.trunk.weight"), *b1 = weight(f, "fusion.trunk.bias");
    const float *w2 = weight(f, "fusion.head.weight"), *b2 = weight(f, "fusion.head.bias");
    double h[TRUNK], logits[N_LABELS];

    for (int t = 0; t < TRUNK; t++) {
        h[t] = b1[t];
        for (int d = 0; d < D; d++)
            h[t] += w1[t * 2 * D + d] * za[d] + w1[t * 2 * D + D + d] * zv[d];
        h[t] = h[t] > 0 ? h[t] : 0;
    }
    for (int k = 0; k < N_LABELS; k++) {
        logits[k] = b2[k];
        for (int t = 0; t < TRUNK; t++)
            logits[k] += w2[k * TRUNK + t] * h[t];
    }
    softmax(logits, p);
}

static void normalise(const float *raw, double *z)
{
    double mean = 0, var = 0;

    for (int d = 0; d < D; d++)
        mean += raw[d] / (double)D;
    for (int d = 0; d < D; d++)
        var += (raw[d] - mean) * (raw[d] - mean) / D;
    for (int d = 0; d < D; d++)
        z[d] = (raw[d] - mean) / sqrt(var + 1e-5);
}

static void head_by_hand(const struct fixture *f, int which, const float *raw, double *p)
{
    const float *w = weight(f, which == 0 ? "audio.head.weight" : "video.head.weight");
    const float *bias = weight(f, which == 0 ? "audio.head.bias" : "video.head.bias");
    double logits[N_LABELS];

    for (int k = 0; k < N_LABELS; k++) {
        logits[k] = bias[k];
        for (int d = 0; d < D; d++)
            logits[k] += w[k * D + d] * raw[d];
    }
    softmax(logits, p);
}

/* All losses of R section 4.1 from the step's raw features, masks and fills. */
static void losses_by_hand(const struct fixture *f, double want[LOSS_TERMS])
{
    const struct config *c = &f->net.config;
    static float mask[2][B * D], fill[2][B * D];

    memset(want, 0, LOSS_TERMS * sizeof *want);
    for (int m = 0; m < 2; m++) { /* keyed by step and sample: the numbers that the loss saw */
        masks[MASK_RANDOM]->make(&f->step, m, f->step.features.z[m], mask[m]);
        if (f->net.method == &method_synib)
            fill_make(&f->step, m, f->step.features.z[m], fill[m]);
    }
    for (int b = 0; b < B; b++) {
        double z[2][D], masked[2][D], u[2][N_LABELS], p[N_LABELS];
        const enum loss_term kl[2] = {TERM_MASKED_AUDIO, TERM_MASKED_VIDEO};

        for (int m = 0; m < 2; m++) {
            const float *raw = f->step.features.raw[m]->data + b * D;

            normalise(raw, z[m]);
            head_by_hand(f, m, raw, u[m]);
            want[m == 0 ? TERM_AUDIO : TERM_VIDEO] -= log(u[m][f->label[b]]) / B;
            for (int d = 0; d < D; d++)
                masked[m][d] = mask[m][b * D + d] != 0 ? (double)fill[m][b * D + d] : z[m][d];
        }
        fuse_by_hand(f, z[0], z[1], p);
        want[TERM_FUSED] -= log(p[f->label[b]]) / B;
        for (int m = 0; m < 2; m++) {
            fuse_by_hand(f, m == 0 ? masked[0] : z[0], m == 1 ? masked[1] : z[1], p);
            want[TERM_MASKED_CE] -= log(p[f->label[b]]) / B;
            for (int k = 0; k < N_LABELS; k++) {
                double r = c->reference == REFERENCE_UNIFORM    ? 1.0 / N_LABELS
                           : c->reference == REFERENCE_UNMASKED ? u[1 - m][k]
                                                                : u[m][k];

                want[kl[m]] += (c->reverse ? r * log(r / p[k]) : p[k] * log(p[k] / r)) / B;
            }
        }
    }
    want[TERM_TOTAL] =
        want[TERM_FUSED] + c->unimodal_weight * (want[TERM_AUDIO] + want[TERM_VIDEO]);
    if (f->net.method == &method_synib)
        want[TERM_TOTAL] += c->lambda * (want[TERM_MASKED_AUDIO] + want[TERM_MASKED_VIDEO]) +
                            c->masked_ce * want[TERM_MASKED_CE];
}

static void assert_terms(const struct fixture *f)
{
    double want[LOSS_TERMS];

    losses_by_hand(f, want);
    for (int i = 0; i < LOSS_TERMS; i++)
        if (f->term[i] != NULL &&
            fabs(tape_value(f->term[i]) - want[i]) > 2e-5 * (1 + fabs(want[i])))
            fail_msg("%s: %.9g, by hand %.9g", loss_term_name[i], (double)tape_value(f->term[i]),
                     want[i]);
}

/* Every fill, reference, direction and option of SynIB, and vanilla. */
static void test_losses(void **state)
{
    struct fixture f;
    struct config c;

    (void)state;
    fixture_config(&c, "vanilla");
    fixture_open(&f, &method_vanilla, &c);
    run_step(&f, 0);
    assert_null(f.term[TERM_MASKED_AUDIO]);
    assert_terms(&f);
    fixture_close(&f);
    fixture_config(&c, "synib");
    for (int i = 0; i < 3 * 3 * 8; i++) {
        c.fill = i % 3;
        c.reference = i / 3 % 3;
        c.reverse = i / 9 & 1;
        c.detach = i / 18 & 1;
        c.masked_ce = i / 36 & 1 ? 0.4 : 0;
        fixture_open(&f, &method_synib, &c);
        run_step(&f, (uint32_t)i);
        assert_non_null(f.term[TERM_MASKED_AUDIO]);
        assert_true((f.term[TERM_MASKED_CE] != NULL) == (c.masked_ce > 0));
        assert_terms(&f);
        fixture_close(&f);
    }
}

static double grad_norm(const struct fixture *f, const char *name)
{
    struct param *p = params_find(f->net.params, name);
    double sum = 0;

    assert_non_null(p);
    for (int64_t i = 0; i < p->count; i++)
        sum += (double)p->grad[i] * p->grad[i];
    return sqrt(sum);
}

/* lambda 0 is vanilla to the bit; lambda 1 changes loss and gradients of trunk and encoders; with
 * detach those of the encoders stay vanilla's. */
static void test_lambda(void **state)
{
    static const char encoder[] = "audio.layer4.1.conv2.weight", trunk[] = "fusion.trunk.weight";
    double total[4], encoder_grad[4], trunk_grad[4];
    struct fixture f;
    struct config c;

    (void)state;
    for (int i = 0; i < 4; i++) {
        const struct method *m = i == 0 ? &method_vanilla : &method_synib;

        fixture_config(&c, m->name);
        c.lambda = i == 1 ? 0 : 1;
        c.detach = i == 3;
        fixture_open(&f, m, &c);
        run_step(&f, 4);
        total[i] = (double)tape_value(f.term[TERM_TOTAL]);
        encoder_grad[i] = grad_norm(&f, encoder);
        trunk_grad[i] = grad_norm(&f, trunk);
        fixture_close(&f);
    }
    assert_true(total[0] == total[1] && total[1] != total[2] && total[2] == total[3]);
    assert_true(encoder_grad[0] > 0 && encoder_grad[0] == encoder_grad[1]);
    assert_true(encoder_grad[2] != encoder_grad[0] && encoder_grad[3] == encoder_grad[0]);
    assert_true(trunk_grad[0] == trunk_grad[1] && trunk_grad[2] != trunk_grad[0]);
    assert_true(trunk_grad[3] != trunk_grad[0]);
}

/* Masks are 0 or 1 with the wanted frequency, the same for a sample wherever it stands, others for
 * another step, modality or seed. */
static void test_mask(void **state)
{
    static float mask[2][B * D], other[B * D];
    struct fixture f;
    struct config c;
    double ones = 0;

    (void)state;
    fixture_config(&c, "synib");
    fixture_open(&f, &method_synib, &c);
    run_step(&f, 0);
    for (uint32_t step = 0; step < 40; step++) {
        f.step.step = step;
        for (int m = 0; m < 2; m++) {
            mask_random.make(&f.step, m, f.step.features.z[m], mask[m]);
            for (int i = 0; i < B * D; i++) {
                assert_true(mask[m][i] == 0 || mask[m][i] == 1);
                ones += mask[m][i];
            }
        }
        assert_true(memcmp(mask[0], mask[1], sizeof mask[0]) != 0);
    }
    assert_float_equal(ones / (40 * 2 * B * D), 0.3, 4 * sqrt(0.3 * 0.7 / (40 * 2 * B * D)));
    f.step.sample = (uint32_t[]){22, 19, 16, 13, 10}; /* the rows backwards */
    mask_random.make(&f.step, 0, f.step.features.z[0], other);
    for (int b = 0; b < B; b++)
        assert_memory_equal(other + b * D, mask[0] + (B - 1 - b) * D, D * sizeof(float));
    f.step.step++;
    mask_random.make(&f.step, 0, f.step.features.z[0], mask[1]);
    assert_true(memcmp(other, mask[1], sizeof other) != 0);
    fixture_close(&f);
}

/* Running moments: the first update copies the batch, the next moves by 1 - momentum; noise has
 * these moments; shuffling moves whole rows. */
static void test_fill(void **state)
{
    static float fill[B * D];
    const float *mean, *square;
    struct fixture f;
    struct config c;
    double first[D], sum = 0, sum_squares = 0, n = 0;

    (void)state;
    fixture_config(&c, "synib");
    c.ema_momentum = 0.9;
    fixture_open(&f, &method_synib, &c);
    run_step(&f, 0);
    mean = weight(&f, "synib.ema.audio.mean");
    square = weight(&f, "synib.ema.audio.square");
    for (int d = 0; d < D; d++) {
        double m = 0;

        for (int b = 0; b < B; b++)
            m += f.step.features.z[0]->data[b * D + d] / (double)B;
        assert_float_equal(mean[d], m, 1e-6);
        first[d] = mean[d];
    }
    f.audio[0] += 3;
    run_step(&f, 1);
    assert_int_equal(params_find(f.net.params, "synib.ema.updates")->counter, 2);
    for (int d = 0; d < D; d++) {
        double m = 0;

        for (int b = 0; b < B; b++)
            m += f.step.features.z[0]->data[b * D + d] / (double)B;
        assert_float_equal(mean[d], 0.9 * first[d] + 0.1 * m, 1e-6);
    }
    for (f.step.step = 0; f.step.step < 50; f.step.step++) {
        fill_make(&f.step, 0, f.step.features.z[0], fill);
        for (int i = 0; i < B * D; i++) {
            double v = (double)square[i % D] - (double)mean[i % D] * mean[i % D];
            double g = (fill[i] - mean[i % D]) / sqrt(v > 1e-6 ? v : 1e-6);

            sum += g;
            sum_squares += g * g;
            n++;
        }
    }
    assert_float_equal(sum / n, 0, 4 / sqrt(n));
    assert_float_equal(sum_squares / n, 1, 4 * sqrt(2 / n));
    f.net.config.fill = FILL_SHUFFLE;
    fill_make(&f.step, 1, f.step.features.z[1], fill);
    for (int b = 0; b < B; b++) {
        int copies = 0;

        for (int from = 0; from < B; from++)
            copies +=
                memcmp(fill + from * D, f.step.features.z[1]->data + b * D, D * sizeof(float)) == 0;
        assert_int_equal(copies, 1);
    }
    fixture_close(&f);
}

/* The ensemble's prediction is the mean of both heads' probabilities. */
static void test_ensemble(void **state)
{
    float got[B * N_LABELS];
    struct fixture f;
    struct config c;
    struct batch b;
    struct err e = {0};

    (void)state;
    fixture_config(&c, "ensemble");
    fixture_open(&f, &method_ensemble, &c);
    b = (struct batch){.n = B, .audio = f.audio, .video = f.video, .sample = f.sample};
    tape_begin(f.net.tape, 0);
    f.step = network_encode(&f.net, &b, 0);
    method_ensemble.predict(&f.step, got);
    ASSERT_OK(tape_error(f.net.tape, &e), e);
    for (int i = 0; i < B; i++) {
        double u[2][N_LABELS];

        for (int m = 0; m < 2; m++)
            head_by_hand(&f, m, f.step.features.raw[m]->data + i * D, u[m]);
        for (int k = 0; k < N_LABELS; k++)
            assert_float_equal(exp(got[i * N_LABELS + k]), (u[0][k] + u[1][k]) / 2, 1e-5);
    }
    fixture_close(&f);
}

static void test_registry(void **state)
{
    const struct method *m = NULL;
    struct err e = {0};

    (void)state;
    for (int i = 0; config_sections[i] != NULL; i++) { /* one list, two places */
        ASSERT_OK(method_find(&m, config_sections[i], &e), e);
        assert_string_equal(m->name, config_sections[i]);
    }
    ASSERT_FAILS(method_find(&m, "vanila", &e), e, ERR_USAGE, "did you mean 'vanilla'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_losses),   cmocka_unit_test(test_lambda),
        cmocka_unit_test(test_mask),     cmocka_unit_test(test_fill),
        cmocka_unit_test(test_ensemble), cmocka_unit_test(test_registry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
