/* SPDX-License-Identifier: MIT */
/* common/data with every call to the system and the allocator failing, interrupted or short, one at
 * a time. */
#include "tests/support/cmocka.h"

#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "common/data/canvas.h"
#include "common/data/image.h"
#include "common/data/jpeg.h"
#include "common/data/json.h"
#include "common/data/tensorfile.h"
#include "common/data/tsv.h"
#include "common/data/xor.h"
#include "tests/support/check.h"
#include "tests/support/fault/place.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny_dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- tables and containers ---- */

static enum err_code parse_table(void *ctx, struct err *e)
{
    static const char text[] = "#synib-split 1\nclip\tpart\n1001_DFA_ANG_XX\ttrain\na\tb\n";
    static const char *const columns[] = {"clip", "part", NULL};
    const struct place *p = ctx;
    struct tsv *t = NULL;

    TRY(atomic_file_put(p->out, text, sizeof text - 1, false, e));
    TRY(tsv_read(&t, p->out, "split", columns, e));
    assert_string_equal(tsv_cell(t, 1, 1), "b");
out:
    tsv_free(t);
    return e->code;
}

static void test_tables(void **state)
{
    place_sweep("table", parse_table, state);
}

static enum err_code write_and_read_tensors(void *ctx, struct err *e)
{
    static const float x[6] = {1, 2, 3, 4, 5, 6};
    const int64_t dim[2] = {2, 3};
    const struct place *p = ctx;
    struct tensorfile_writer *w = NULL, *done;
    struct tensorfile *f = NULL, *m = NULL;
    struct file_view view = {0};
    uint8_t digest[32];

    TRY(tensorfile_writer_open(&w, p->out, "checkpoint", true, e));
    TRY(tensorfile_writer_meta(w, "synib.tool", "test", e));
    TRY(tensorfile_writer_declare(w, "a", DTYPE_F32, 2, dim, e));
    TRY(tensorfile_writer_declare(w, "b", DTYPE_F32, 2, dim, e));
    TRY(tensorfile_writer_data(w, x, sizeof x, e));
    TRY(tensorfile_writer_data(w, x, sizeof x, e));
    done = w;
    w = NULL;
    TRY(tensorfile_writer_commit(done, digest, e));
    TRY(tensorfile_open(&f, p->out, e));
    TRY(tensorfile_verify_all(f, e));
    TRY(tensorfile_digest(f, digest, e));
    TRY(file_read(&view, p->out, 1 << 20, e));
    TRY(tensorfile_open_mem(&m, "memory", view.data, view.len, e));
    assert_int_equal(tensorfile_count(m), 2);
out:
    tensorfile_close(m);
    file_view_free(&view);
    tensorfile_writer_abort(w);
    tensorfile_close(f);
    return e->code;
}

static void test_tensors(void **state)
{
    place_sweep("tensors", write_and_read_tensors, state);
}

/* ---- pictures ---- */

static enum err_code draw_and_load(void *ctx, struct err *e)
{
    enum { W = 96, H = 80 }; /* noise: the encoder's buffer grows twice */
    static uint8_t rgb[W * H * 3];
    struct image_crop crop = image_crop_whole(W, H);
    struct image_loader *loader = NULL;
    struct jpeg_decoder *d = NULL;
    static float out[3 * 8 * 8];
    const uint8_t *pixels;
    uint8_t *jpeg = NULL;
    size_t len = 0, stride;
    int w, h;

    (void)ctx;
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)(i * i % 251);
    TRY(jpeg_encode_rgb(rgb, W, H, (size_t)W * 3, 90, &jpeg, &len, e));
    TRY(image_loader_new(&loader, 8, &image_norm_imagenet, e));
    TRY(image_loader_size(loader, jpeg, len, &w, &h, e));
    TRY(image_load(loader, jpeg, len, &crop, out, e));
    TRY(image_from_rgb(loader, rgb, (size_t)W * 3, &crop, out, e));
    TRY(jpeg_decoder_new(&d, e));
    TRY(jpeg_decoder_rect(d, jpeg, len, crop.rect, &pixels, &stride, e));
    TRY(jpeg_decoder_rect_rgbx(d, jpeg, len, crop.rect, &pixels, &stride, e));
out:
    free(jpeg);
    image_loader_free(loader);
    jpeg_decoder_free(d);
    return e->code;
}

static void test_pictures(void **state)
{
    place_sweep("pictures", draw_and_load, state);
}

static enum err_code draw(void *ctx, struct err *e)
{
    struct canvas c = {0};

    (void)ctx;
    TRY(canvas_init(&c, 20, 10, (struct rgb){1, 2, 3}, e));
    canvas_text(&c, 0, 0, 1, (struct rgb){255, 255, 255}, "x");
out:
    canvas_free(&c);
    return e->code;
}

static void test_canvas(void **state)
{
    place_sweep("canvas", draw, state);
}

/* ---- reports ---- */

static FILE *nowhere;

static enum err_code print_report(void *ctx, struct err *e)
{
    (void)ctx;
    json_begin();
    return json_print(json_pack("{s:s, s:[i, i]}", "name", "value", "numbers", 1, 2), nowhere,
                      JSON_INDENT(2), e);
}

static void test_reports(void **state)
{
    nowhere = fopen("/dev/null", "w");
    assert_non_null(nowhere);
    place_sweep("report", print_report, state);
    assert_int_equal(fclose(nowhere), 0);
}

/* ---- vectors ---- */

static enum err_code put_meta(void *ctx, const char *key, const char *value, struct err *e)
{
    return shard_writer_meta(ctx, key, value, e);
}

/* The set DIR/out of some vectors, and what a reader makes of it. */
static enum err_code write_and_read(const struct place *p, struct vectors *v, struct err *e)
{
    struct shard_options opt = {.prefix = "vectors"};
    struct shard_field field[SHARD_MAX_FIELDS];
    struct shard_value value[SHARD_MAX_FIELDS];
    struct shard_writer *w = NULL, *done;
    struct vectors back = {0};
    int n = vectors_fields(v, field);

    TRY(vectors_digest(v, e));
    TRY(shard_writer_open(&w, p->out, &opt, field, n, e));
    TRY(vectors_meta(v, put_meta, w, e));
    for (int64_t i = 0; i < v->count; i++) {
        for (int f = 0; f < n; f++)
            value[f] = vectors_value(v, i, f);
        TRY(shard_writer_add(w, value, e));
    }
    done = w;
    w = NULL;
    TRY(shard_writer_commit(done, e));
    TRY(vectors_read(&back, p->dir, "out", e));
    assert_string_equal(back.digest, v->digest);
out:
    shard_writer_abort(w);
    vectors_free(&back);
    return e->code;
}

static enum err_code make_vectors(const struct place *p, enum xor_task task, struct err *e)
{
    struct xor_options opt = xor_defaults(task);
    struct vectors v[XOR_SPLITS];

    opt.count[XOR_TRAIN] = 4;
    opt.count[XOR_VAL] = opt.count[XOR_TEST] = 2;
    TRY(xor_make(v, &opt, e));
    TRY(write_and_read(p, &v[XOR_TEST], e));
out:
    for (int s = 0; s < XOR_SPLITS; s++)
        vectors_free(&v[s]);
    return e->code;
}

static enum err_code make_pid(void *ctx, struct err *e)
{
    return make_vectors(ctx, XOR_PID, e);
}

static enum err_code make_regression(void *ctx, struct err *e)
{
    return make_vectors(ctx, XOR_REGRESSION, e);
}

static void test_vectors(void **state)
{
    place_sweep("vectors, pid", make_pid, state);
    place_sweep("vectors, regression", make_regression, state);
}

/* ---- sets ---- */

static enum err_code write_bases(void *ctx, struct err *e)
{
    const struct place *p = ctx;

    return tiny_bases_write(p->out, 6, 16, e);
}

static void test_writing_bases(void **state)
{
    place_sweep("base sets written", write_bases, state);
}

static enum err_code write_numbers(const char *dir, int32_t number, bool force, struct err *e)
{
    static const struct shard_field field = {.name = "number", .dtype = DTYPE_I32};
    struct shard_options opt = {.prefix = "x", .force = force};
    struct shard_writer *w = NULL, *done;

    TRY(shard_writer_open(&w, dir, &opt, &field, 1, e));
    TRY(shard_writer_add(w, &(struct shard_value){&number, sizeof number}, e));
    done = w;
    w = NULL;
    TRY(shard_writer_commit(done, e));
out:
    shard_writer_abort(w);
    return e->code;
}

static enum err_code replace_set(void *ctx, struct err *e)
{
    const struct place *p = ctx;

    TRY(write_numbers(p->out, 1, false, e));
    TRY(write_numbers(p->out, 2, true, e)); /* the first one's shard is removed */
out:
    return e->code;
}

static void test_replacing_a_set(void **state)
{
    place_sweep("set replaced", replace_set, state);
}

static enum err_code write_splits(void *ctx, struct err *e)
{
    const struct place *p = ctx;
    char digest[65];

    TRY(tiny_split_write(p->dir, "out/train", 0, 6, false, digest, e));
    TRY(tiny_split_write(p->dir, "out/whole", 0, 6, true, digest, e));
out:
    return e->code;
}

static void test_writing_splits(void **state)
{
    struct err e = {0};

    ASSERT_OK(tiny_bases_write(*state, 6, 16, &e), e);
    place_sweep("splits written", write_splits, state);
}

static enum err_code read_split(const char *dir, const char *split, const char *const *bases,
                                struct err *e)
{
    struct dataset *d = NULL;
    struct sample s;

    TRY(dataset_open(&d, dir, split, bases, e));
    for (int64_t i = 0; i < dataset_count(d); i++) {
        TRY(dataset_describe(d, i, &s, e));
        TRY(dataset_get(d, i, &s, e));
    }
    TRY(dataset_verify(d, 1, e));
    TRY(shard_set_verify(dataset_set(d), 1, e));
out:
    dataset_close(d);
    return e->code;
}

static enum err_code read_splits(void *ctx, struct err *e)
{
    const struct place *p = ctx;
    char *nowhere_to_look = NULL, *deep = NULL;
    const char *bases[] = {NULL, NULL};

    TRY(path_join(&nowhere_to_look, p->dir, "whole", e));
    TRY(path_join(&deep, p->dir, "folds/1", e));
    bases[0] = nowhere_to_look;
    TRY(read_split(p->dir, "train", NULL, e));
    TRY(read_split(deep, "train", bases, e)); /* its bases are two folders above */
    TRY(read_split(p->dir, "whole", NULL, e));
out:
    free(nowhere_to_look);
    free(deep);
    return e->code;
}

/* A set looked at from outside: whether there is one, and one of its shards alone. */
static enum err_code look_at_sets(void *ctx, struct err *e)
{
    const struct place *p = ctx;
    char *dir = NULL, *shard = NULL;
    struct name_list names = {0};
    struct file_view view = {0};
    struct shard_set *s = NULL;

    TRY(path_join(&dir, p->dir, "whole", e));
    TRY(shard_set_probe(&s, p->dir, e));
    assert_null(s);
    TRY(shard_set_probe(&s, dir, e));
    assert_int_equal(shard_set_count(s), 6);
    shard_set_close(s);
    s = NULL;
    TRY(dir_list(&names, dir, ".safetensors", e));
    TRY(path_join(&shard, dir, names.name[0], e));
    TRY(shard_set_open_file(&s, shard, e));
    assert_int_equal(shard_set_count(s), 6);
    shard_set_close(s);
    s = NULL;
    TRY(file_read(&view, shard, 1 << 20, e));
    TRY(shard_set_open_mem(&s, "memory", view.data, view.len, e));
    assert_int_equal(shard_set_count(s), 6);
out:
    file_view_free(&view);
    shard_set_close(s);
    name_list_free(&names);
    free(dir);
    free(shard);
    return e->code;
}

static void test_reading_splits(void **state)
{
    struct err e = {0};
    char digest[65];

    ASSERT_OK(tiny_bases_write(*state, 6, 16, &e), e);
    ASSERT_OK(tiny_split_write(*state, "train", 0, 6, false, digest, &e), e);
    ASSERT_OK(tiny_split_write(*state, "folds/1/train", 0, 6, false, digest, &e), e);
    ASSERT_OK(tiny_split_write(*state, "whole", 0, 6, true, digest, &e), e);
    place_sweep("splits read", read_splits, state);
    place_sweep("sets looked at", look_at_sets, state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_tables),         TEST(test_tensors),         TEST(test_pictures),
        TEST(test_canvas),         TEST(test_reports),         TEST(test_vectors),
        TEST(test_writing_bases),  TEST(test_replacing_a_set), TEST(test_writing_splits),
        TEST(test_reading_splits),
    };

    /* Not by cmocka's skip(), whose own leak ends a run under LeakSanitizer. */
    if (!fault_available()) {
        puts("skipped: a sanitizer owns the allocator");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
