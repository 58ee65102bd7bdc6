/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "common/nn/optim.h"
#include "tests/support/check.h"
#include "tests/support/kernel_ref.h"
#include "tests/support/malloc_count.h"
#include "train/models/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The fusion model: sizes, gradients as a whole, determinism, memory, learning. Its agreement with
 * PyTorch is tests/golden/test_model_golden.c. Most tests run on two kinds: pictures and sound
 * through ResNet18, and three vectors through MLPs with one logit. */

enum { MEDIA, VECTORS, KINDS };
enum { BATCH = 4, AUDIO_H = 32, AUDIO_W = 23, VIDEO_S = 32, FRAMES = 3 };

/* The loss has kinks (ReLU, max pool) and batch statistics of few values: measured up to 0.016.
 * Exact values are the golden test's; a wrong sign, factor or path shows here. */
static const double DIFFERENCE_BAR = 0.05;

static const int32_t LABELS[BATCH] = {6, 0, 3, 1}, BITS[BATCH] = {1, 0, 0, 1};
static const uint32_t ROWS[BATCH] = {10, 4, 77, 2};

struct rig {
    struct nn *nn;
    struct tape *t;
    struct params *ps;
    struct model *m;
    struct optim adam;
    float *input[MODALITIES_MAX];
};

static struct model_options small_options(int kind)
{
    struct model_options o = model_options_paper;

    if (kind == MEDIA) {
        o.resnet_width = 16;
        o.trunk.width = 16;
        o.modality[0].height = AUDIO_H;
        o.modality[0].width = AUDIO_W;
        o.modality[1].height = o.modality[1].width = VIDEO_S;
        o.modality[1].frames = FRAMES;
        return o;
    }
    return (struct model_options){
        .modalities = 3,
        .modality = {{.name = "x1", .use = true, .encoder = ENCODER_MLP, .inputs = 9},
                     {.name = "x2", .use = true, .encoder = ENCODER_MLP, .inputs = 5},
                     {.name = "x3", .use = true, .encoder = ENCODER_MLP, .inputs = 1}},
        .fusion = true,
        .detach_heads = true,
        .encoder = {2, 24},
        .head = {1, 12},
        .trunk = {2, 10},
        .outputs = 1,
        .dropout = 0.1,
    };
}

static struct rig rig_new(const struct model_options *opt, int threads)
{
    struct rig r = {.adam = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-7, .weight_decay = 1e-4}};
    struct err e = {0};

    r.nn = ref_nn(threads);
    ASSERT_OK(tape_new(&r.t, r.nn, &e), e);
    ASSERT_OK(params_new(&r.ps, &e), e);
    ASSERT_OK(model_new(&r.m, opt, r.ps, &e), e);
    ASSERT_OK(params_build(r.ps, &e), e);
    model_init(r.m, 3);
    for (int m = 0; m < opt->modalities; m++)
        r.input[m] = ref_random(BATCH * model_inputs(r.m, m), (uint32_t)m + 1);
    return r;
}

static void rig_free(struct rig *r)
{
    for (int m = 0; m < MODALITIES_MAX; m++)
        free(r->input[m]);
    model_free(r->m);
    params_free(r->ps);
    tape_free(r->t);
    nn_free(r->nn);
}

static struct noise_key key_of(const char *stream, uint32_t epoch)
{
    return (struct noise_key){.seed = 9, .stream = rng_stream(stream), .epoch = epoch, .row = ROWS};
}

static struct features encode(struct rig *r, int64_t first, int64_t count, uint32_t epoch)
{
    struct noise_key key = key_of("dropout.encoder", epoch);
    const float *x[MODALITIES_MAX] = {0};

    for (int m = 0; m < model_opt(r->m)->modalities; m++)
        x[m] = r->input[m] + first * model_inputs(r->m, m);
    return model_encode(r->m, r->t, count, x, &key);
}

static struct tensor *nll(struct rig *r, struct tensor *prediction)
{
    return model_opt(r->m)->outputs == 1 ? op_bernoulli_nll(r->t, prediction, BITS)
                                         : op_cross_entropy(r->t, prediction, LABELS);
}

static struct tensor *kl(struct rig *r, struct tensor *prediction)
{
    return model_opt(r->m)->outputs == 1
               ? op_bernoulli_kl(r->t, prediction, NULL, KL_MODEL_REFERENCE)
               : op_kl(r->t, prediction, NULL, KL_MODEL_REFERENCE);
}

/* Losses of all heads, and KL to uniform with half of one modality's features replaced. */
static struct tensor *step_loss(struct rig *r, uint32_t epoch)
{
    static const char *const STREAMS[] = {"dropout.a", "dropout.b", "dropout.c"};
    struct features f = encode(r, 0, BATCH, epoch);
    struct noise_key key = key_of("dropout.clean", epoch);
    struct tensor *term[2 * MODALITIES_MAX + 1];
    double weight[2 * MODALITIES_MAX + 1] = {1};
    int n = 0;

    term[n++] = nll(r, model_fuse(r->m, r->t, f.z, &key).prediction);
    for (int i = 0; i < model_opt(r->m)->modalities; i++) {
        int64_t dim[] = {BATCH, model_features(r->m, i)};
        struct tensor *mask = tape_scratch(r->t, 2, dim), *fill = tape_scratch(r->t, 2, dim);
        struct tensor *z[MODALITIES_MAX];

        assert_non_null(fill);
        for (int64_t k = 0; k < dim[0] * dim[1]; k++) {
            mask->data[k] = (float)(k % 2);
            fill->data[k] = (float)(k % 5) - 2;
        }
        memcpy(z, f.z, sizeof z);
        z[i] = op_mix(r->t, z[i], mask, fill);
        key = key_of(STREAMS[i], epoch);
        weight[n] = 1;
        term[n++] = nll(r, f.unimodal[i]);
        weight[n] = 0.5;
        term[n++] = kl(r, model_fuse(r->m, r->t, z, &key).prediction);
    }
    return op_weighted_sum(r->t, n, term, weight);
}

static double train_step(struct rig *r, uint32_t epoch, double lr)
{
    struct tensor *loss;
    struct err e = {0};

    tape_begin(r->t, TAPE_TRAIN);
    loss = step_loss(r, epoch);
    params_zero_grad(r->ps);
    ASSERT_OK(tape_backward(r->t, loss, &e), e);
    ASSERT_OK(optim_step(&r->adam, r->nn, r->ps, lr, &e), e);
    return (double)tape_value(loss);
}

/* R sections 3.1 and 3.3; X sections 2 and 3. */
static void test_parameter_counts(void **state)
{
    struct model_options o = model_options_paper;
    struct params *ps = NULL;
    struct model *m = NULL;
    struct err e = {0};
    int audio = 0;

    (void)state;
    o.log_variance = true;
    ASSERT_OK(params_new(&ps, &e), e);
    ASSERT_OK(model_new(&m, &o, ps, &e), e);
    assert_int_equal(model_features(m, 0), 512);
    assert_int_equal(params_weight_count(ps, "audio.") - params_weight_count(ps, "audio.head"),
                     11170240);
    assert_int_equal(params_weight_count(ps, "video.") - params_weight_count(ps, "video.head"),
                     11176512);
    assert_int_equal(params_weight_count(ps, ""), 22420444);
    assert_int_equal(params_weight_count(ps, "fusion.log_variance."), 64 * 7 + 7);
    for (int i = 0; i < params_count(ps); i++)
        audio += strncmp(params_at(ps, i)->name, "audio.", 6) == 0;
    assert_int_equal(audio, 120 + 2); /* torchvision's resnet18 has 120 tensors without fc */
    assert_non_null(params_find(ps, "video.layer4.1.bn2.num_batches_tracked"));
    assert_non_null(params_find(ps, "audio.layer2.0.downsample.0.weight"));
    assert_null(params_find(ps, "audio.layer1.0.downsample.0.weight"));
    model_free(m);
    params_free(ps);
    for (int pid = 0; pid < 2; pid++) {
        o = small_options(VECTORS);
        o.modalities = 2;
        o.modality[0].inputs = o.modality[1].inputs = pid ? 32 : 64;
        o.encoder = pid ? (struct mlp_shape){2, 1024} : (struct mlp_shape){1, 16};
        o.head = pid ? (struct mlp_shape){1, 1024} : (struct mlp_shape){0, 0};
        o.trunk = pid ? (struct mlp_shape){2, 128} : (struct mlp_shape){1, 32};
        ps = NULL;
        ASSERT_OK(params_new(&ps, &e), e);
        ASSERT_OK(model_new(&m, &o, ps, &e), e);
        assert_int_equal(params_weight_count(ps, "x1.encoder"),
                         pid ? 32 * 1024 + 1024 + 1024 * 1024 + 1024 : 64 * 16 + 16);
        assert_int_equal(params_weight_count(ps, "x2.head"),
                         pid ? 1024 * 1024 + 1024 + 1024 + 1 : 16 + 1);
        assert_int_equal(params_weight_count(ps, "fusion."),
                         pid ? 2048 * 128 + 128 + 128 * 128 + 128 + 128 + 1
                             : 32 * 32 + 32 + 32 + 1);
        assert_non_null(params_find(ps, pid ? "x1.encoder.1.weight" : "x1.encoder.weight"));
        assert_non_null(params_find(ps, pid ? "x2.head.1.bias" : "x2.head.bias"));
        model_free(m);
        params_free(ps);
    }
}

static void test_options_are_checked(void **state)
{
    struct err e = {0};

    (void)state;
#define REFUSED(kind, change, text)                                  \
    do {                                                             \
        struct model_options o = small_options(kind);                \
        struct params *ps = NULL;                                    \
        struct model *m = NULL;                                      \
        change;                                                      \
        ASSERT_OK(params_new(&ps, &e), e);                           \
        ASSERT_FAILS(model_new(&m, &o, ps, &e), e, ERR_USAGE, text); \
        assert_null(m);                                              \
        params_free(ps);                                             \
    } while (0)
    REFUSED(MEDIA, o.modality[0].use = o.modality[1].use = false, "no modality is used");
    REFUSED(MEDIA, o.modality[1].use = false, "fusion needs all of at least two");
    REFUSED(MEDIA, (o.fusion = false, o.log_variance = true),
            "log-variance head needs a fusion trunk");
    REFUSED(MEDIA, o.dropout = 1, "dropout 1: must be in [0, 1)");
    REFUSED(MEDIA, o.resnet_width = 24, "encoder width 24");
    REFUSED(MEDIA, o.outputs = 0, "outputs 0");
    REFUSED(MEDIA, o.modality[1].frames = -1, "video: model: frames -1");
    REFUSED(MEDIA, o.modality[1].width = 5000, "picture width 5000");
    REFUSED(VECTORS, o.modalities = 5, "modalities 5: must be in 1..4");
    REFUSED(VECTORS, o.modality[2].inputs = 0, "x3: model: inputs 0");
    REFUSED(VECTORS, o.encoder.depth = 0, "layers of the encoder 0: must be in 1..4");
    REFUSED(VECTORS, o.head.width = 0, "units of the heads 0");
    REFUSED(VECTORS, o.trunk.depth = 5, "layers of the trunk 5");
#undef REFUSED
}

/* Along each parameter's gradient the loss must change as the gradient says: central differences
 * of the whole float32 model, dropout and batch statistics included. Nothing is detached here, or
 * loss and gradient would rightly differ. */
static void whole_model_differences(int kind)
{
    struct model_options o = small_options(kind);
    struct rig r;
    struct err e = {0};

    o.detach_heads = false;
    r = rig_new(&o, 1);
    tape_begin(r.t, TAPE_TRAIN);
    params_zero_grad(r.ps);
    ASSERT_OK(tape_backward(r.t, step_loss(&r, 0), &e), e);
    for (int i = 0; i < params_count(r.ps); i++) {
        struct param *p = params_at(r.ps, i);
        float *kept = ref_floats(p->count);
        double norm2 = 0, h, loss[2];

        for (int64_t k = 0; p->kind == PARAM_WEIGHT && k < p->count; k++) {
            kept[k] = p->data[k];
            norm2 += (double)p->grad[k] * (double)p->grad[k];
        }
        if (p->kind == PARAM_WEIGHT) {
            assert_true(norm2 > 1e-12);
            /* the loss moves by 1e-3 in all: far above its rounding; small layers have kinks nearby
             */
            h = (kind == MEDIA ? 5e-4 : 5e-5) / norm2;
            for (int side = 0; side < 2; side++) {
                for (int64_t k = 0; k < p->count; k++)
                    p->data[k] =
                        (float)((double)kept[k] + (side == 0 ? h : -h) * (double)p->grad[k]);
                tape_begin(r.t, TAPE_TRAIN);
                tape_no_grad_begin(r.t);
                loss[side] = (double)tape_value(step_loss(&r, 0));
            }
            memcpy(p->data, kept, (size_t)p->count * sizeof *kept);
            if (!(fabs((loss[0] - loss[1]) / (2 * h * norm2) - 1) < DIFFERENCE_BAR))
                fail_msg("%s: the loss changes by %.6g, its gradient says %.6g", p->name,
                         loss[0] - loss[1], 2 * h * norm2);
        }
        free(kept);
    }
    rig_free(&r);
}

static void test_whole_model_differences(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        whole_model_differences(kind);
}

/* Parameters, moments, statistics: every bit. */
static void assert_same_state(const struct rig *a, const struct rig *b)
{
    for (int i = 0; i < params_count(a->ps); i++) {
        const struct param *p = params_at(a->ps, i), *q = params_at(b->ps, i);
        size_t bytes = (size_t)p->count * sizeof(float);

        assert_int_equal(p->counter, q->counter);
        if (p->kind != PARAM_COUNTER && memcmp(p->data, q->data, bytes) != 0)
            fail_msg("%s differs", p->name);
        if (p->kind == PARAM_WEIGHT && memcmp(p->v, q->v, bytes) != 0)
            fail_msg("%s: its second moment differs", p->name);
    }
}

static void test_threads_do_not_show(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        struct model_options o = small_options(kind);
        struct rig one = rig_new(&o, 1);

        for (uint32_t s = 0; s < 3; s++)
            train_step(&one, s, 1e-3);
        for (int threads = 2; threads <= 3; threads++) {
            struct rig many = rig_new(&o, threads);

            for (uint32_t s = 0; s < 3; s++)
                train_step(&many, s, 1e-3);
            assert_same_state(&one, &many);
            rig_free(&many);
        }
        rig_free(&one);
    }
}

static void test_third_step_allocates_nothing(void **state)
{
    (void)state;
    if (malloc_count() < 0) {
        print_message("skipped: a sanitizer owns the allocator\n");
        skip();
    }
    for (int kind = 0; kind < KINDS; kind++) {
        struct model_options o = small_options(kind);
        struct rig r = rig_new(&o, 2);
        uint64_t buffers = 0;
        long calls = 0;

        for (uint32_t s = 0; s < 5; s++) {
            train_step(&r, s, 1e-3);
            if (s == 1) {
                calls = malloc_count();
                buffers = tape_allocations(r.t);
            }
        }
        assert_true(calls > 0);
        assert_int_equal(malloc_count(), calls);
        assert_int_equal(tape_allocations(r.t), buffers);
        rig_free(&r);
    }
}

/* Probability that a prediction gives to the right answer of row b. */
static double right_probability(const struct tensor *prediction, int b)
{
    float prob[7];

    if (prediction->dim[1] == 1)
        return 1 / (1 + exp((BITS[b] ? -1 : 1) * (double)prediction->data[b]));
    softmax_rows(1, 7, prediction->data + b * 7, prob);
    return (double)prob[LABELS[b]];
}

/* Sixty steps on four samples: the clean model knows them by heart, all heads. */
static void test_learns_a_tiny_batch(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        struct model_options o = small_options(kind);
        struct rig r;
        struct features f;
        double first = 0, last = 0;
        struct tensor *fused;
        struct err e = {0};

        o.detach_heads = false;
        if (kind == VECTORS)
            o.modality[2].inputs = 6; /* one number cannot tell four samples apart */
        r = rig_new(&o, 1);
        for (uint32_t s = 0; s < 60; s++) {
            last = train_step(&r, s, kind == MEDIA ? 1e-3 : 1e-2);
            if (s == 0)
                first = last;
        }
        assert_true(first > (kind == MEDIA ? 5 : 2.5)); /* log 7 or log 2 per head, some KL */
        assert_true(last < 0.35 * first);
        tape_begin(r.t, TAPE_TRAIN);
        if (kind == VECTORS)
            tape_set_training(r.t, false);
        f = encode(&r, 0, BATCH, 0);   /* batch norm as in training */
        tape_set_training(r.t, false); /* no dropout */
        fused = model_fuse(r.m, r.t, f.z, NULL).prediction;
        ASSERT_OK(tape_error(r.t, &e), e);
        for (int b = 0; b < BATCH; b++) {
            assert_true(right_probability(fused, b) > 0.5);
            for (int m = 0; m < o.modalities; m++)
                assert_true(right_probability(f.unimodal[m], b) > 0.5);
        }
        rig_free(&r);
    }
}

/* In evaluation a sample's prediction does not depend on its batch; nothing is recorded or updated.
 */
static void test_evaluation(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        struct model_options o = small_options(kind);
        struct rig r = rig_new(&o, 1);
        const struct param *tracked;
        float together[BATCH * 7];
        int p = o.outputs;
        struct err e = {0};

        train_step(&r, 0, 1e-3);
        tracked = params_find(r.ps, "audio.bn1.num_batches_tracked");
        for (int b = -1; b < BATCH; b++) {
            struct features f;
            struct tensor *y;

            tape_begin(r.t, 0);
            tape_no_grad_begin(r.t);
            f = encode(&r, b < 0 ? 0 : b, b < 0 ? BATCH : 1, 0);
            y = model_fuse(r.m, r.t, f.z, NULL).prediction;
            tape_no_grad_end(r.t);
            ASSERT_OK(tape_error(r.t, &e), e);
            assert_false(y->needs_grad);
            if (b < 0)
                memcpy(together, y->data, (size_t)(BATCH * p) * sizeof *together);
            for (int k = 0; b >= 0 && k < p; k++)
                assert_true(fabsf(y->data[k] - together[b * p + k]) < 1e-4f);
        }
        assert_true(kind == VECTORS || tracked->counter == 1);
        rig_free(&r);
    }
}

/* Gradients of each loss alone, from one graph: the same bits as from a pass of its own. */
static void test_one_graph_several_losses(void **state)
{
    struct model_options o = small_options(MEDIA);
    size_t bytes;
    float *alone[3];
    struct rig r;
    struct err e = {0};

    (void)state;
    o.detach_heads = false;
    r = rig_new(&o, 1);
    bytes = params_block_count(r.ps) * sizeof(float);
    for (int pass = 0; pass < 4; pass++) {
        struct noise_key key = key_of("dropout.clean", 0);
        struct tensor *loss[3];
        struct features f;

        tape_begin(r.t, pass == 3 ? TAPE_TRAIN | TAPE_KEEP : TAPE_TRAIN);
        f = encode(&r, 0, BATCH, 0);
        loss[0] = nll(&r, model_fuse(r.m, r.t, f.z, &key).prediction);
        loss[1] = nll(&r, f.unimodal[0]);
        loss[2] = nll(&r, f.unimodal[1]);
        for (int i = 0; i < 3; i++) {
            const float *grad = params_grad_block(r.ps);

            if (pass < 3 && i != pass)
                continue;
            params_zero_grad(r.ps);
            ASSERT_OK(tape_backward(r.t, loss[i], &e), e);
            if (pass < 3) {
                alone[i] = ref_floats((int64_t)params_block_count(r.ps));
                memcpy(alone[i], grad, bytes);
            } else {
                assert_memory_equal(alone[i], grad, bytes);
            }
        }
    }
    for (int i = 0; i < 3; i++)
        free(alone[i]);
    rig_free(&r);
}

/* Detached heads: the unimodal loss trains the head and nothing below it. */
static void test_detached_heads(void **state)
{
    static const char *const BELOW[] = {"audio.conv1.weight", "x1.encoder.0.weight"};
    static const char *const HEAD[] = {"audio.head.weight", "x1.head.1.weight"};
    struct err e = {0};

    (void)state;
    for (int i = 0; i < 2 * KINDS; i++) {
        int kind = i / 2, detach = i % 2;
        struct model_options o = small_options(kind);
        struct param *below, *head;
        double sums[2] = {0};
        struct rig r;

        o.detach_heads = detach;
        for (int m = 1; m < o.modalities; m++)
            o.modality[m].use = false;
        o.fusion = false;
        r = rig_new(&o, 1);
        below = params_find(r.ps, BELOW[kind]);
        head = params_find(r.ps, HEAD[kind]);
        assert_int_equal(model_head(r.m, 0)->layers, kind == MEDIA ? 1 : 2);
        assert_int_equal(model_head(r.m, 1)->layers, 0);
        assert_null(params_find(r.ps, "video.conv1.weight"));
        assert_null(params_find(r.ps, "x2.encoder.0.weight"));
        assert_null(params_find(r.ps, "fusion.head.weight"));
        tape_begin(r.t, TAPE_TRAIN);
        ASSERT_OK(tape_backward(r.t, nll(&r, encode(&r, 0, BATCH, 0).unimodal[0]), &e), e);
        for (int64_t k = 0; k < head->count; k++)
            sums[0] += fabs((double)head->grad[k]);
        for (int64_t k = 0; k < below->count; k++)
            sums[1] += fabs((double)below->grad[k]);
        assert_true(sums[0] > 0 && (sums[1] == 0) == detach);
        rig_free(&r);
    }
}

/* Between tape_freeze_begin and _end no gradient reaches a parameter, but the input's does. */
static void test_frozen_passes(void **state)
{
    struct model_options o = small_options(VECTORS);
    _Alignas(64) float x[BATCH * 9], d[BATCH * 9] = {0};
    struct rig r = rig_new(&o, 1);
    struct tensor *leaf, *u;
    double sum = 0;
    struct err e = {0};

    (void)state;
    memcpy(x, r.input[0], sizeof x);
    tape_begin(r.t, 0);
    leaf = tape_leaf(r.t, 2, (int64_t[]){BATCH, 9}, TENSOR_PLAIN, x, d);
    tape_freeze_begin(r.t);
    u = model_unimodal(r.m, r.t, 0, model_encode_one(r.m, r.t, 0, leaf, NULL));
    tape_freeze_end(r.t);
    params_zero_grad(r.ps);
    ASSERT_OK(tape_backward(r.t, nll(&r, u), &e), e);
    for (int i = 0; i < BATCH * 9; i++)
        sum += fabs((double)d[i]);
    assert_true(sum > 0);
    for (size_t i = 0; i < params_block_count(r.ps); i++)
        assert_true(params_grad_block(r.ps)[i] == 0);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameter_counts),
        cmocka_unit_test(test_options_are_checked),
        cmocka_unit_test(test_whole_model_differences),
        cmocka_unit_test(test_threads_do_not_show),
        cmocka_unit_test(test_third_step_allocates_nothing),
        cmocka_unit_test(test_learns_a_tiny_batch),
        cmocka_unit_test(test_evaluation),
        cmocka_unit_test(test_one_graph_several_losses),
        cmocka_unit_test(test_detached_heads),
        cmocka_unit_test(test_frozen_passes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
