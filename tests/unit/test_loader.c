/* SPDX-License-Identifier: MIT */
#include "common/base/hash.h"
#include "common/base/rng.h"
#include "common/data/image.h"
#include "common/data/xor.h"
#include "tests/support/check.h"
#include "tests/support/drawn_dataset.h"
#include "tests/support/scratch.h"
#include "train/loader.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CLIPS = 18, BATCH = 5, BATCHES = 4, SIDE = 32, POOL = 2 };

static struct data *open_train(void **state)
{
    struct data *d = NULL;
    struct err e = {0};
    char *root = scratch_path(*state, "drawn"), *data = scratch_path(*state, "drawn/data");

    if (access(root, F_OK) != 0)
        ASSERT_OK(drawn_dataset_make(root, &drawn_options_default, &e), e);
    ASSERT_OK(data_open(&d, data, "train", NULL, &e), e);
    assert_int_equal(data_count(d), CLIPS);
    free(root);
    free(data);
    return d;
}

static struct loader_options options(bool training, int threads)
{
    return (struct loader_options){.batch = BATCH,
                                   .training = training,
                                   .augment = training,
                                   .scale_min = 0.3,
                                   .use = {true, true},
                                   .audio_pool = POOL,
                                   .video_size = SIDE,
                                   .seed = 11,
                                   .threads = threads};
}

/* CRC32C of every batch from `first` on; returns how many. */
static int digest_epoch(const struct data *d, struct loader *l, uint32_t epoch, int64_t first,
                        uint32_t crc[BATCHES])
{
    struct err e = {0};
    struct batch b;
    int n = 0, height, width;

    loader_audio_shape(data_media(d), POOL, &height, &width);
    loader_start(l, epoch, first);
    for (;; n++) {
        size_t rows;

        ASSERT_OK(loader_next(l, &b, &e), e);
        if (b.n == 0)
            return n;
        rows = (size_t)b.n;
        crc[n] =
            hash_crc32c(0, b.x[MEDIA_AUDIO], rows * (size_t)height * (size_t)width * sizeof(float));
        crc[n] = hash_crc32c(crc[n], b.x[MEDIA_VIDEO], rows * 9 * SIDE * SIDE * sizeof(float));
        crc[n] = hash_crc32c(crc[n], b.aim.label, rows * sizeof *b.aim.label);
        crc[n] = hash_crc32c(crc[n], b.sample, rows * sizeof *b.sample);
    }
}

/* The same batches at any number of threads, again in the same epoch, and when begun in the middle;
 * others in another epoch or with another seed. */
static void test_determinism(void **state)
{
    struct data *d = open_train(state);
    uint32_t want[BATCHES], got[BATCHES];
    struct err e = {0};

    for (int threads = 1; threads <= 7; threads += 3) {
        struct loader_options o = options(true, threads);
        struct loader *l = NULL;

        ASSERT_OK(loader_new(&l, d, &o, &e), e);
        assert_int_equal(loader_batches(l), BATCHES);
        assert_int_equal(digest_epoch(d, l, 1, 0, threads == 1 ? want : got), BATCHES);
        if (threads > 1)
            assert_memory_equal(want, got, sizeof want);
        for (int first = 0; first <= BATCHES; first++) {
            assert_int_equal(digest_epoch(d, l, 1, first, got), BATCHES - first);
            assert_memory_equal(want + first, got, (size_t)(BATCHES - first) * sizeof *want);
        }
        assert_int_equal(digest_epoch(d, l, 2, 0, got), BATCHES);
        assert_true(memcmp(want, got, sizeof want) != 0);
        /* an epoch left early does not disturb the next */
        loader_start(l, 5, 0);
        assert_int_equal(digest_epoch(d, l, 1, 0, got), BATCHES);
        assert_memory_equal(want, got, sizeof want);
        loader_free(l);
        o.seed++;
        ASSERT_OK(loader_new(&l, d, &o, &e), e);
        assert_int_equal(digest_epoch(d, l, 1, 0, got), BATCHES);
        assert_true(memcmp(want, got, sizeof want) != 0);
        loader_free(l);
    }
    data_close(d);
}

/* Training sees every sample once, shuffled; otherwise in order. Labels are the dataset's. The last
 * batch is the rest. */
static void test_order(void **state)
{
    struct data *d = open_train(state);
    struct err e = {0};

    for (int training = 0; training < 2; training++) {
        struct loader_options o = options(training, 2);
        bool seen[CLIPS] = {0}, in_order = true;
        struct loader *l = NULL;
        struct batch b;
        int64_t n = 0;

        ASSERT_OK(loader_new(&l, d, &o, &e), e);
        loader_start(l, 0, 0);
        for (;;) {
            ASSERT_OK(loader_next(l, &b, &e), e);
            if (b.n == 0)
                break;
            assert_int_equal(b.n, n + BATCH <= CLIPS ? BATCH : CLIPS - n);
            for (int64_t i = 0; i < b.n; i++) {
                struct sample s;

                ASSERT_OK(dataset_describe(data_media(d), b.sample[i], &s, &e), e);
                assert_int_equal(b.aim.label[i], s.label);
                assert_false(seen[b.sample[i]]);
                seen[b.sample[i]] = true;
                in_order = in_order && b.sample[i] == (uint32_t)(n + i);
            }
            n += b.n;
        }
        assert_int_equal(n, CLIPS);
        assert_true(in_order == !training);
        loader_free(l);
    }
    data_close(d);
}

/* Every clip has crops of its own in every epoch, its three pictures one after another, or all from
 * the first numbers drawn: stream "loader.crop", by number of the clip. Another epoch is in another
 * order. */
static void check_epochs(void **state, bool alike)
{
    static _Alignas(64) float want[3 * SIDE * SIDE];
    struct data *d = open_train(state);
    struct loader_options o = options(true, 2);
    struct image_loader *image = NULL;
    struct loader *l = NULL;
    uint32_t order[2][BATCH];
    struct err e = {0};

    o.alike = alike;
    ASSERT_OK(image_loader_new(&image, SIDE, &image_norm_imagenet, &e), e);
    ASSERT_OK(loader_new(&l, d, &o, &e), e);
    for (uint32_t epoch = 0; epoch < 2; epoch++) {
        struct batch b;

        loader_start(l, epoch, 0);
        ASSERT_OK(loader_next(l, &b, &e), e);
        memcpy(order[epoch], b.sample, sizeof order[epoch]);
        for (int64_t i = 0; i < 3 * b.n; i++) {
            struct rng r = rng_at(o.seed, rng_stream("loader.crop"), epoch, b.sample[i / 3]);
            struct image_crop crop;
            struct sample s;
            int w, h;

            ASSERT_OK(dataset_get(data_media(d), b.sample[i / 3], &s, &e), e);
            for (int64_t f = alike ? i % 3 : 0; f <= i % 3; f++) {
                ASSERT_OK(image_loader_size(image, s.jpeg[f], s.jpeg_len[f], &w, &h, &e), e);
                crop = image_crop_from(&r, w, h, o.scale_min);
            }
            ASSERT_OK(image_load(image, s.jpeg[i % 3], s.jpeg_len[i % 3], &crop, want, &e), e);
            assert_memory_equal(b.x[MEDIA_VIDEO] + i * 3 * SIDE * SIDE, want, sizeof want);
        }
    }
    assert_true(memcmp(order[0], order[1], sizeof order[0]) != 0);
    loader_free(l);
    image_loader_free(image);
    data_close(d);
}

static void test_epochs(void **state)
{
    check_epochs(state, false);
    check_epochs(state, true);
}

/* Squares are averaged, what does not fill one is left out. */
static void test_pooling(void **state)
{
    struct data *d = open_train(state);
    struct loader_options o = options(false, 1);
    struct loader *l = NULL;
    struct err e = {0};
    struct sample s;
    struct batch b;
    int height, width;

    o.audio_pool = 5;
    o.use[MEDIA_VIDEO] = false;
    ASSERT_OK(loader_new(&l, d, &o, &e), e);
    loader_audio_shape(data_media(d), o.audio_pool, &height, &width);
    assert_int_equal(height, 32 / 5);
    assert_int_equal(width, 24 / 5);
    loader_start(l, 0, 0);
    ASSERT_OK(loader_next(l, &b, &e), e);
    assert_null(b.x[MEDIA_VIDEO]);
    ASSERT_OK(dataset_get(data_media(d), 0, &s, &e), e);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            double sum = 0;

            for (int i = 0; i < 25; i++)
                sum += s.spectrogram[(y * 5 + i / 5) * 24 + x * 5 + i % 5];
            assert_float_equal(b.x[MEDIA_AUDIO][y * width + x], sum / 25, 1e-6);
        }
    loader_free(l);
    o.audio_pool = 16;
    ASSERT_OK(loader_new(&l, d, &o, &e), e);
    loader_free(l);
    o.audio_pool = 25;
    ASSERT_FAILS(loader_new(&l, d, &o, &e), e, ERR_DATA, "audio.pool: 25 is more than");
    data_close(d);
}

/* Vectors: every row of a batch is its sample's; oracles mark what they say. */
static void test_vectors(void **state)
{
    struct vectors v[XOR_SPLITS];
    struct xor_options o = xor_defaults(XOR_PID);
    struct data *d = NULL;
    struct err e = {0};

    (void)state;
    memcpy(o.mix, (double[]){0.25, 0.25, 0.25, 0.25}, sizeof o.mix);
    o.count[XOR_TRAIN] = 203;
    ASSERT_OK(xor_make(v, &o, &e), e);
    ASSERT_OK(data_of_vectors(&d, &v[XOR_TRAIN], &e), e);
    for (int oracle = ORACLE_NONE; oracle <= ORACLE_SHORTCUT; oracle++) {
        struct loader_options lo = {.batch = 50,
                                    .training = true,
                                    .use = {true, true},
                                    .oracle = (enum oracle_kind)oracle,
                                    .seed = 4,
                                    .threads = 1};
        const struct vectors *all = data_vectors(d);
        struct loader *l = NULL;
        struct batch b;
        bool seen[203] = {0};

        ASSERT_OK(loader_new(&l, d, &lo, &e), e);
        assert_int_equal(loader_batches(l), 5);
        loader_start(l, 3, 0);
        for (int64_t n = 0; n < 203; n += b.n) {
            ASSERT_OK(loader_next(l, &b, &e), e);
            assert_int_equal(b.n, n < 200 ? 50 : 3);
            for (int64_t row = 0; row < b.n * 2 * 32; row++) {
                int64_t r = row / 64, i = b.sample[r];
                int m = (int)(row / 32 % 2), k = (int)(row % 32);
                int source = all->source[i], block = all->modality[m].block[i * 32 + k];
                bool synergy = source == PID_SYNERGISTIC && block == BLOCK_SYNERGISTIC;
                bool shortcut = (source == m && block == BLOCK_UNIQUE) ||
                                (source == PID_REDUNDANT && block == BLOCK_REDUNDANT);

                seen[i] = true;
                assert_int_equal(b.aim.label[r], all->label[i]);
                assert_int_equal(b.source[r], source);
                assert_true(b.x[m][r * 32 + k] == all->modality[m].x[i * 32 + k]);
                assert_true((b.oracle[m] == NULL) == (oracle == ORACLE_NONE));
                if (oracle != ORACLE_NONE)
                    assert_true(b.oracle[m][r * 32 + k] == (oracle == ORACLE_ACTIVE ? synergy
                                                            : oracle == ORACLE_LITERAL
                                                                ? block == BLOCK_SYNERGISTIC
                                                                : shortcut));
            }
        }
        ASSERT_OK(loader_next(l, &b, &e), e);
        assert_int_equal(b.n, 0);
        for (int i = 0; i < 203; i++)
            assert_true(seen[i]);
        loader_free(l);
    }
    data_close(d);
    vectors_free(&v[XOR_VAL]);
    vectors_free(&v[XOR_TEST]);
}

/* A spurious block is a shortcut in every sample, whatever made the label; nothing else is one
 * there. */
static void test_spurious_shortcut(void **state)
{
    enum { N = 40 };
    struct loader_options lo = {.batch = N,
                                .training = true,
                                .use = {true, true},
                                .oracle = ORACLE_SHORTCUT,
                                .seed = 4,
                                .threads = 1};
    struct vectors v[XOR_SPLITS];
    struct xor_options o = xor_defaults(XOR_SPURIOUS);
    struct data *d = NULL;
    struct loader *l = NULL;
    int64_t spurious = 0;
    struct batch b;
    struct err e = {0};

    (void)state;
    o.count[XOR_TRAIN] = N;
    ASSERT_OK(xor_make(v, &o, &e), e);
    ASSERT_OK(data_of_vectors(&d, &v[XOR_TRAIN], &e), e);
    ASSERT_OK(loader_new(&l, d, &lo, &e), e);
    loader_start(l, 0, 0);
    ASSERT_OK(loader_next(l, &b, &e), e);
    for (int m = 0; m < 2; m++) {
        const struct vector_modality *x = &data_vectors(d)->modality[m];

        for (int64_t k = 0; k < N * x->dim; k++) {
            bool is = x->block[b.sample[k / x->dim] * x->dim + k % x->dim] == BLOCK_SPURIOUS;

            assert_true(b.oracle[m][k] == (is ? 1 : 0));
            spurious += is;
        }
    }
    assert_true(spurious > N);
    loader_free(l);
    data_close(d);
    vectors_free(&v[XOR_VAL]);
    vectors_free(&v[XOR_TEST]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_determinism, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_order, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_epochs, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_pooling, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_spurious_shortcut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
