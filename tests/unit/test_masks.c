/* SPDX-License-Identifier: MIT */
#include "common/data/xor.h"
#include "tests/support/check.h"
#include "tests/support/drawn_dataset.h"
#include "tests/support/scratch.h"
#include "tests/support/step_rig.h"
#include "train/masks/adversary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Every mask corrupts what it says and leaves the rest alone: in the values that the model then
 * reads, not only in the mask. */

enum { N = 40 };

static void open_pid(struct step_rig *r, struct config *c, const char *mask, enum mask_space space)
{
    rig_config(c, "xor-pid", "synib", mask);
    rig_shrink(c);
    c->mask_space = space;
    rig_open(r, &method_synib, c, "pid:0.25,0.25,0.25,0.25", N);
    rig_encode(r, 5);
    if (c->fill == FILL_EMA)
        fill_update(&r->step);
}

static float *aligned_floats(int64_t count)
{
    float *x = aligned_alloc(64, ((size_t)count * sizeof *x + 63) / 64 * 64);

    assert_non_null(x);
    return x;
}

static float *mask_of(struct step_rig *r, const struct mask_site *site)
{
    float *mask = aligned_floats(N * site->width);
    struct loss_sum sum = {0};
    struct err e = {0};

    masks[r->net.config.mask]->make(&r->step, site, mask, &sum, &r->report);
    ASSERT_OK(tape_error(r->net.tape, &e), e);
    return mask;
}

/* What op_mix made of the site in the last masked pass: 1 where it differs from the intact value.
 */
static void assert_changed(const struct mask_site *site, const float *mask, const float *after)
{
    int64_t changed = 0, masked = 0;

    for (int64_t i = 0; i < N * site->width; i++) {
        bool same = memcmp(&after[i], &site->x->data[i], sizeof *after) == 0;

        assert_true(mask[i] == 0 || mask[i] == 1);
        changed += !same;
        masked += mask[i] == 1;
        if (mask[i] == 0)
            assert_true(same);
        else if (site->x->data[i] != 0) /* ReLU zeros may be filled with zero */
            assert_false(same);
    }
    assert_true(changed > 0 || masked == 0);
}

/* Masked values change, unmasked ones do not, for every kind, fill and space. */
static void test_masked_values_change(void **state)
{
    (void)state;
    for (int i = 0; i < MASK_KINDS * 4 * 2; i++) {
        int kind = i % MASK_KINDS, fill = i / MASK_KINDS % 4;
        enum mask_space space = i / (4 * MASK_KINDS) ? SPACE_LATENT : SPACE_INPUT;
        struct step_rig r;
        struct config c;

        if (space == SPACE_LATENT && masks[kind]->oracle != ORACLE_NONE)
            continue;
        open_pid(&r, &c, config_mask_names[kind], space);
        rig_close(&r);
        c.fill = fill;
        rig_open(&r, &method_synib, &c, "pid:0.25,0.25,0.25,0.25", N);
        rig_encode(&r, 5);
        fill_update(&r.step);
        for (int m = 0; m < 2; m++) {
            struct mask_site site = mask_site_of(&r.step, m);
            struct tensor *mask = tape_scratch(r.net.tape, 2, site.x->dim);
            struct tensor *filling = tape_scratch(r.net.tape, 2, site.x->dim), *mixed;
            float *made = mask_of(&r, &site);

            assert_non_null(filling);
            memcpy(mask->data, made, (size_t)(N * site.width) * sizeof *made);
            fill_make(&r.step, &site, (enum fill_kind)c.fill, 0, filling->data);
            mixed = op_mix(r.net.tape, site.x, mask, filling);
            /* a shuffled row may keep its place or meet an equal value */
            if (c.fill != FILL_SHUFFLE)
                assert_changed(&site, made, mixed->data);
            for (int64_t k = 0; k < N * site.width; k++)
                assert_true(mixed->data[k] == (made[k] == 1 ? filling->data[k] : site.x->data[k]));
            free(made);
        }
        rig_close(&r);
    }
}

/* The whole path of a step, through encoder and trunk: the masked prediction is that of the
 * corrupted values, and `none` is the intact one to the bit. */
static void test_masked_prediction_differs(void **state)
{
    (void)state;
    for (int kind = 0; kind < MASK_KINDS; kind++) {
        struct tensor *z[MODALITIES_MAX], *intact, *masked;
        struct corruption corruption;
        struct loss_sum sum = {0};
        struct step_rig r;
        struct config c;
        int differ = 0;

        open_pid(&r, &c, config_mask_names[kind], SPACE_INPUT);
        memcpy(z, r.step.features.z, sizeof z);
        intact = model_fuse(r.net.model, r.net.tape, z, NULL).prediction;
        corruption = corruption_make(&r.step, 1, &sum, &r.report);
        z[1] = corrupted_z(&r.step, &corruption, false);
        masked = model_fuse(r.net.model, r.net.tape, z, NULL).prediction;
        for (int i = 0; i < N; i++)
            differ += intact->data[i] != masked->data[i];
        if (kind == MASK_NONE)
            assert_int_equal(differ, 0);
        else if (kind == MASK_ORACLE) { /* of samples whose source is synergistic only */
            for (int i = 0; i < N; i++)
                assert_true((intact->data[i] != masked->data[i]) ==
                            (r.batch.source[i] == PID_SYNERGISTIC));
        } else {
            assert_true(differ > N / 2);
        }
        rig_close(&r);
    }
}

/* Gradients of a step and its losses; *bytes: of the tape. */
static float *step_gradient(const struct config *c, const char *task, struct step_report *report,
                            size_t *count, size_t *bytes)
{
    struct step_rig r;
    float *copy;

    rig_open(&r, &method_synib, c, task, N);
    rig_step(&r, 3, 0);
    *report = r.report;
    *count = params_block_count(r.net.params);
    *bytes = tape_bytes(r.net.tape);
    copy = aligned_floats((int64_t)*count);
    memcpy(copy, params_grad_block(r.net.params), *count * sizeof *copy);
    rig_close(&r);
    return copy;
}

/* Rows without a masked value are not encoded again, and nothing comes out differently: dropout
 * that never drops anything makes the encoder run over all rows. Synergy in some samples, none and
 * all; all values masked. */
static void test_intact_rows_are_not_encoded_again(void **state)
{
    static const struct {
        const char *task, *mask;
        bool saves;
    } on[] = {{"pid:0.3,0.3,0.2,0.2", "all", false},
              {"pid:0.3,0.3,0.2,0.2", "oracle", true},
              {"pid:0.4,0.3,0.3,0", "oracle", true},
              {"pid:0,0,0,1", "oracle", false}};
    size_t all[2] = {0};

    (void)state;
    for (size_t i = 0; i < 2 * sizeof on / sizeof on[0]; i++) {
        struct step_report report[2];
        float *gradient[2];
        size_t count, bytes[2];
        struct config c;
        double most = 0, off = 0;

        rig_config(&c, "xor-pid", "synib", on[i / 2].mask);
        rig_shrink(&c);
        c.layernorm = true;
        c.detach = i % 2 == 1;
        for (int whole = 0; whole < 2; whole++) {
            c.dropout = whole ? 1e-9 : 0;
            gradient[whole] =
                step_gradient(&c, on[i / 2].task, &report[whole], &count, &bytes[whole]);
        }
        for (int v = 0; v < STEP_VALUES; v++) /* the forward pass to the bit; or both NaN */
            assert_memory_equal(&report[0].value[v], &report[1].value[v], sizeof(double));
        for (size_t k = 0; k < count; k++) {
            most = fmax(most, fabs((double)gradient[1][k]));
            off = fmax(off, fabs((double)gradient[0][k] - (double)gradient[1][k]));
        }
        assert_true(most > 0 && off <= 1e-6 * most);
        if (i < 2)
            all[i] = bytes[0];
        assert_true(on[i / 2].saves ? bytes[0] < all[i % 2] : bytes[0] == all[i % 2]);
        for (int whole = 0; whole < 2; whole++)
            free(gradient[whole]);
    }
}

/* Whose rows are encoded alone: not those of networks with batch statistics (below), nor with
 * dropout. */
static void test_rows_alone(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct step_rig r;
        struct config c;

        rig_config(&c, "xor-pid", "synib", "oracle");
        rig_shrink(&c);
        c.dropout = i == 0 ? 0 : 0.1;
        rig_open(&r, &method_synib, &c, "pid:0.25,0.25,0.25,0.25", N);
        rig_step(&r, 0, 0);
        assert_true(model_encodes_rows_alone(r.net.model, r.net.tape, 1) == (i == 0));
        tape_set_training(r.net.tape, false);
        assert_true(model_encodes_rows_alone(r.net.model, r.net.tape, 1));
        rig_close(&r);
    }
}

/* Shares and places. */
static void test_kinds(void **state)
{
    struct step_rig r;
    struct config c;
    double ones = 0;

    (void)state;
    open_pid(&r, &c, "random", SPACE_INPUT);
    for (uint32_t step = 0; step < 40; step++) {
        r.step.step = step;
        for (int m = 0; m < 2; m++) {
            struct mask_site site = mask_site_of(&r.step, m);
            float *mask = mask_of(&r, &site);

            for (int64_t i = 0; i < N * site.width; i++)
                ones += (double)mask[i];
            free(mask);
        }
    }
    assert_float_equal(ones / (40 * 2 * N * 32), 0.5, 5 * sqrt(0.25 / (40 * 2 * N * 32)));
    rig_close(&r);
    for (int kind = MASK_ORACLE; kind < MASK_KINDS; kind++) {
        open_pid(&r, &c, config_mask_names[kind], SPACE_INPUT);
        for (int m = 0; m < 2; m++) {
            struct mask_site site = mask_site_of(&r.step, m);
            float *mask = mask_of(&r, &site);

            for (int64_t i = 0; i < N * 32; i++) {
                bool block = i % 32 >= 12 && i % 32 < 18;
                bool synergy = r.batch.source[i / 32] == PID_SYNERGISTIC;
                bool want = kind == MASK_ORACLE           ? block && synergy
                            : kind == MASK_ORACLE_LITERAL ? block
                                                          : kind == MASK_ALL;

                assert_true(mask[i] == (want ? 1 : 0));
            }
            free(mask);
        }
        rig_close(&r);
    }
}

/* The same numbers for a sample wherever it stands; others for another step, modality or seed. */
static void test_masks_follow_samples(void **state)
{
    struct step_rig r;
    struct config c;
    uint32_t backwards[N];
    struct batch turned;
    float *one, *other;

    (void)state;
    open_pid(&r, &c, "random", SPACE_INPUT);
    {
        struct mask_site a = mask_site_of(&r.step, 0), b = mask_site_of(&r.step, 1);

        one = mask_of(&r, &a);
        other = mask_of(&r, &b);
        assert_true(memcmp(one, other, N * 32 * sizeof *one) != 0);
        free(other);
        turned = r.batch;
        for (int i = 0; i < N; i++)
            backwards[i] = r.batch.sample[N - 1 - i];
        turned.sample = backwards;
        r.step.batch = &turned;
        other = mask_of(&r, &a);
        for (int i = 0; i < N; i++)
            assert_memory_equal(other + i * 32, one + (N - 1 - i) * 32, 32 * sizeof *one);
        free(other);
        r.step.batch = &r.batch;
        r.step.step++;
        other = mask_of(&r, &a);
        assert_true(memcmp(one, other, N * 32 * sizeof *one) != 0);
        free(other);
        r.step.step--;
        r.step.seed++;
        other = mask_of(&r, &a);
        assert_true(memcmp(one, other, N * 32 * sizeof *one) != 0);
        free(other);
    }
    free(one);
    rig_close(&r);
}

/* mask.complement turns flagged and kept around; mask.soft leaves the gates as they are. */
static void test_complement(void **state)
{
    const float gate[] = {0, 0.2f, 0.5f, 0.51f, 1};
    const float want[2][2][5] = {{{0, 0, 0, 1, 1}, {1, 1, 1, 0, 0}},
                                 {{0, 0.2f, 0.5f, 0.51f, 1}, {1, 0.8f, 0.5f, 0.49f, 0}}};
    struct config c = {.threshold = 0.5};
    float mask[5];

    (void)state;
    for (int i = 0; i < 4; i++) {
        c.soft = i / 2;
        c.complement = i % 2;
        gates_to_mask(&c, 5, gate, mask);
        for (int k = 0; k < 5; k++)
            assert_float_equal(mask[k], want[i / 2][i % 2][k], 1e-6);
    }
}

/* The step of a learned mask with complement corrupts exactly what the one without leaves alone. */
static void test_learned_complement(void **state)
{
    (void)state;
    for (int mlp = 0; mlp < 2; mlp++) {
        float *mask[2];
        int flagged = 0;

        for (int complement = 0; complement < 2; complement++) {
            struct step_rig r;
            struct config c;

            rig_config(&c, "xor-spurious", "synib", mlp ? "learned-mlp" : "learned");
            c.complement = complement;
            rig_open(&r, &method_synib, &c, "spurious:1", N);
            rig_encode(&r, 2);
            {
                struct mask_site site = mask_site_of(&r.step, 0);

                mask[complement] = mask_of(&r, &site);
            }
            rig_close(&r);
        }
        for (int i = 0; i < N * 64; i++) {
            assert_true(mask[0][i] + mask[1][i] == 1);
            flagged += mask[0][i] == 1;
        }
        assert_true(flagged > 0 && flagged < N * 64);
        free(mask[0]);
        free(mask[1]);
    }
}

/* Running moments: the first update copies the batch, the next moves by 1 - momentum; noise has
 * these moments (Eq. 17); shuffling moves whole rows; draws of one step differ. */
static void test_fills(void **state)
{
    struct step_rig r;
    struct config c;
    double first[32], n = 0, sum = 0, squares = 0;
    const float *mean, *square;
    static float fill[N * 32], again[N * 32];
    struct mask_site site;

    (void)state;
    rig_config(&c, "xor-pid", "synib", "random");
    rig_shrink(&c);
    c.fill = FILL_EMA;
    c.ema_momentum = 0.9;
    rig_open(&r, &method_synib, &c, "pid:0.25,0.25,0.25,0.25", N);
    rig_step(&r, 0, 0);
    site = mask_site_of(&r.step, 0);
    mean = params_find(r.net.params, "synib.ema.x1.mean")->data;
    square = params_find(r.net.params, "synib.ema.x1.square")->data;
    for (int d = 0; d < 32; d++) {
        double m = 0;

        for (int b = 0; b < N; b++)
            m += (double)site.x->data[b * 32 + d] / N;
        assert_float_equal(mean[d], m, 1e-6);
        first[d] = (double)mean[d];
    }
    ((float *)(uintptr_t)r.batch.x[0])[3] += 5; /* the loader's own buffer */
    rig_step(&r, 1, 0);
    assert_int_equal(params_find(r.net.params, "synib.ema.updates")->counter, 2);
    assert_float_equal(mean[3], first[3] + 0.1 * 5 / N, 1e-5);
    assert_float_equal(mean[4], first[4], 1e-6);
    for (uint32_t draw = 0; draw < 60; draw++) {
        fill_make(&r.step, &site, FILL_EMA, draw, fill);
        for (int i = 0; i < N * 32; i++) {
            double v = (double)square[i % 32] - (double)mean[i % 32] * (double)mean[i % 32];
            double g = ((double)fill[i] - (double)mean[i % 32]) / sqrt(v > 1e-6 ? v : 1e-6);

            sum += g;
            squares += g * g;
            n++;
        }
    }
    assert_float_equal(sum / n, 0, 5 / sqrt(n));
    assert_float_equal(squares / n, 1, 5 * sqrt(2 / n));
    r.net.config.noise_std = 3;
    sum = squares = n = 0;
    for (uint32_t draw = 0; draw < 60; draw++) {
        fill_make(&r.step, &site, FILL_NORMAL, draw, fill);
        for (int i = 0; i < N * 32; i++, n++)
            squares += (double)fill[i] * (double)fill[i];
        memcpy(again, fill, sizeof fill);
        fill_make(&r.step, &site, FILL_NORMAL, draw + 1, fill);
        assert_true(memcmp(again, fill, sizeof fill) != 0);
    }
    assert_float_equal(squares / n, 9, 9 * 5 * sqrt(2 / n));
    fill_make(&r.step, &site, FILL_SHUFFLE, 0, fill);
    for (int b = 0; b < N; b++) {
        int copies = 0;

        for (int from = 0; from < N; from++)
            copies += memcmp(fill + from * 32, site.x->data + b * 32, 32 * sizeof *fill) == 0;
        assert_int_equal(copies, 1);
    }
    fill_make(&r.step, &site, FILL_ZEROS, 0, fill);
    for (int i = 0; i < N * 32; i++)
        assert_true(fill[i] == 0);
    rig_close(&r);
}

/* Eq. 17 to the number: mean + g noise_std sqrt(max(variance, floor)) with the g noise_std that
 * `normal` draws; also where there is no variance, or less than none by rounding. */
static void test_ema_fill(void **state)
{
    static float fill[N * 32], normal[N * 32];
    struct mask_site site;
    struct step_rig r;
    struct config c;
    float *mean, *square;

    (void)state;
    rig_config(&c, "xor-pid", "synib", "random");
    rig_shrink(&c);
    c.fill = FILL_EMA;
    c.noise_std = 0.5;
    c.ema_var_floor = 0.04;
    rig_open(&r, &method_synib, &c, "pid:0.25,0.25,0.25,0.25", N);
    rig_step(&r, 0, 0);
    site = mask_site_of(&r.step, 1);
    mean = params_find(r.net.params, "synib.ema.x2.mean")->data;
    square = params_find(r.net.params, "synib.ema.x2.square")->data;
    square[3] = mean[3] * mean[3];
    square[5] = mean[5] * mean[5] - 1e-3f;
    fill_make(&r.step, &site, FILL_EMA, 0, fill);
    fill_make(&r.step, &site, FILL_NORMAL, 0, normal);
    for (int i = 0; i < N * 32; i++) {
        double m = (double)mean[i % 32], variance = (double)square[i % 32] - m * m;

        assert_float_equal(fill[i], m + (double)normal[i] * sqrt(fmax(variance, 0.04)), 1e-5);
    }
    rig_close(&r);
}

/* donor[b]: the row of a modality's site that row b of a shuffled fill is. */
static void donors_of(const struct step_rig *r, int which, uint32_t draw, int donor[N])
{
    struct mask_site site = mask_site_of(&r->step, which);
    static float fill[N * 32];

    fill_make(&r->step, &site, FILL_SHUFFLE, draw, fill);
    for (int b = 0; b < N; b++)
        for (int from = 0; from < N; from++)
            if (memcmp(fill + b * 32, site.x->data + from * 32, 32 * sizeof *fill) == 0)
                donor[b] = from;
}

/* Modalities, draws and steps have permutations of their own, in which a row may keep its place. */
static void test_shuffles(void **state)
{
    int one[N], other[N], kept = 0;
    struct step_rig r;
    struct config c;

    (void)state;
    open_pid(&r, &c, "random", SPACE_INPUT);
    donors_of(&r, 0, 0, one);
    donors_of(&r, 1, 0, other);
    assert_true(memcmp(one, other, sizeof one) != 0);
    donors_of(&r, 0, 1, other);
    assert_true(memcmp(one, other, sizeof one) != 0);
    r.step.step++;
    donors_of(&r, 0, 0, other);
    assert_true(memcmp(one, other, sizeof one) != 0);
    r.step.step--;
    donors_of(&r, 0, 0, other);
    assert_memory_equal(one, other, sizeof one);
    for (uint32_t draw = 0; draw < 20; draw++) {
        donors_of(&r, 0, draw, other);
        for (int b = 0; b < N; b++)
            kept += other[b] == b;
    }
    assert_true(kept > 0 && kept < 60); /* one of N a draw */
    rig_close(&r);
}

/* Masks of pictures and sound in input space: values per pixel, and the encoder runs again. */
static void test_media_input_space(void **state)
{
    char *dir = scratch_path(*state, "drawn");
    struct step_rig r;
    struct config c;
    struct err e = {0};

    ASSERT_OK(drawn_dataset_make(dir, &drawn_options_default, &e), e);
    for (int kind = MASK_RANDOM; kind < MASK_KINDS; kind++) {
        if (kind != MASK_RANDOM && kind != MASK_ALL)
            continue;
        rig_config(&c, "demo", "synib", config_mask_names[kind]);
        c.audio_pool = 4;
        c.video_size = 32;
        c.dropout = 0;
        c.mask_space = SPACE_INPUT;
        rig_open_media(&r, &method_synib, &c, dir, 4);
        rig_step(&r, 0, 0);
        for (int m = 0; m < 2; m++) {
            double share = r.report.value[VALUE_MASK_SHARE + m];

            assert_false(model_encodes_rows_alone(r.net.model, r.net.tape, m));
            assert_true(r.report.value[VALUE_DIVERGENCE + m] > 0);
            assert_float_equal(share, kind == MASK_ALL ? 1 : 0.2, kind == MASK_ALL ? 0 : 0.08);
        }
        /* the clean pass and a masked one each moved the statistics */
        assert_int_equal(params_find(r.net.params, "audio.bn1.num_batches_tracked")->counter, 2);
        rig_close(&r);
    }
    free(dir);
}

/* What cannot be: one line each. */
static void test_refused(void **state)
{
    struct config c;
    struct vectors v[XOR_SPLITS];
    struct xor_options o = xor_defaults(XOR_PID);
    struct data *d = NULL;
    struct loader *l = NULL;
    struct loader_options lo = {
        .batch = 4, .use = {true, true}, .oracle = ORACLE_ACTIVE, .threads = 1};
    struct err e = {0};

    (void)state;
    rig_config(&c, "paper", "synib", "learned");
    ASSERT_OK(config_check(&c, &e), e);
    c.mask_space = SPACE_INPUT;
    ASSERT_FAILS(config_check(&c, &e), e, ERR_USAGE, "latent space only");
    rig_config(&c, "xor-pid", "synib", "oracle");
    ASSERT_OK(config_check(&c, &e), e);
    c.mask_space = SPACE_LATENT;
    ASSERT_FAILS(config_check(&c, &e), e, ERR_USAGE, "an oracle mask marks input values");
    ASSERT_OK(xor_make(v, &o, &e), e);
    for (int m = 0; m < 2; m++) { /* features of somebody who knows no oracle */
        free(v[0].modality[m].oracle);
        free(v[0].modality[m].block);
        v[0].modality[m].oracle = v[0].modality[m].block = NULL;
    }
    ASSERT_OK(data_of_vectors(&d, &v[0], &e), e);
    ASSERT_FAILS(loader_new(&l, d, &lo, &e), e, ERR_DATA, "an oracle mask needs data that say");
    data_close(d);
    vectors_free(&v[1]);
    vectors_free(&v[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masked_values_change),
        cmocka_unit_test(test_masked_prediction_differs),
        cmocka_unit_test(test_intact_rows_are_not_encoded_again),
        cmocka_unit_test(test_rows_alone),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_masks_follow_samples),
        cmocka_unit_test(test_complement),
        cmocka_unit_test(test_learned_complement),
        cmocka_unit_test(test_fills),
        cmocka_unit_test(test_ema_fill),
        cmocka_unit_test(test_shuffles),
        cmocka_unit_test_setup_teardown(test_media_input_space, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
