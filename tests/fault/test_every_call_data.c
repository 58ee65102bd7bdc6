/* SPDX-License-Identifier: MIT */
/* common/base and common/data with every call to the system and the allocator failing, one at a
 * time. */
#include "tests/support/cmocka.h"

#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/data/image.h"
#include "common/data/jpeg.h"
#include "common/data/tensorfile.h"
#include "common/data/tsv.h"
#include "common/data/vectors.h"
#include "tests/support/check.h"
#include "tests/support/fault/fault.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny_dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The folder of the test; work that writes begins without FOLDER/out, whatever a run before left.
 */
struct place {
    char *dir, *out;
};

static void remove_out(void *ctx)
{
    const struct place *p = ctx;
    void *dir = strdup(p->out);

    (void)scratch_teardown(&dir); /* frees the name */
}

static void begin(struct place *p, void **state)
{
    p->dir = *state;
    p->out = scratch_path(*state, "out");
}

static void sweep(const char *name, fault_work *work, struct place *p)
{
    fault_sweep(&(struct fault_job){.name = name, .work = work, .reset = remove_out, .ctx = p});
    free(p->out);
}

/* ---- base ---- */

static enum err_code put_files(void *ctx, struct err *e)
{
    static const uint8_t block[300000];
    const struct place *p = ctx;
    struct atomic_file *f = NULL, *done;
    char *path = NULL, *deep = NULL;

    TRY(path_join(&deep, p->out, "a/b/", e));
    TRY(dir_make(deep, e));
    TRY(path_join(&path, deep, "file", e));
    TRY(atomic_file_put(path, "abc", 3, false, e));
    TRY(atomic_file_open(&f, path, true, e));
    TRY(atomic_file_printf(f, e, "%d", 7));
    TRY(atomic_file_write(f, block, sizeof block, e));
    done = f;
    f = NULL;
    TRY(atomic_file_commit(done, e));
out:
    atomic_file_abort(f);
    free(path);
    free(deep);
    return e->code;
}

static void test_writing_files(void **state)
{
    struct place p;

    begin(&p, state);
    sweep("files written", put_files, &p);
}

static enum err_code read_files(void *ctx, struct err *e)
{
    const struct place *p = ctx;
    struct name_list list = {0};
    struct file_view v = {0};
    uint8_t digest[SHA256_SIZE];
    char *path = NULL;

    TRY(path_join(&path, p->dir, "seven", e));
    TRY(file_read(&v, path, 100, e));
    TRY(sha256_bytes(v.data, v.len, digest, e));
    file_view_free(&v);
    TRY(file_map(&v, path, e));
    TRY(dir_list(&list, p->dir, "", e));
out:
    name_list_free(&list);
    file_view_free(&v);
    free(path);
    return e->code;
}

static void test_reading_files(void **state)
{
    struct err e = {0};
    struct place p;
    char *path = scratch_path(*state, "seven");

    ASSERT_OK(atomic_file_put(path, "seven..", 7, false, &e), e);
    free(path);
    begin(&p, state);
    sweep("files read", read_files, &p);
}

static enum err_code allocate(void *ctx, struct err *e)
{
    void *array = NULL, *aligned = NULL;
    char *text = NULL;
    size_t cap = 0;

    (void)ctx;
    TRY(mem_grow(&array, &cap, 9, 8, "array", e));
    TRY(mem_grow(&array, &cap, 10, 8, "array", e));
    TRY(mem_aligned(&aligned, 0, 4, "aligned", e));
    TRY(mem_string(&text, "text", e));
out:
    free(array);
    free(aligned);
    free(text);
    return e->code;
}

static void test_memory(void **state)
{
    struct place p;

    begin(&p, state);
    sweep("memory", allocate, &p);
}

/* ---- tables and containers ---- */

static enum err_code parse_table(void *ctx, struct err *e)
{
    static const char text[] = "#synib-split 1\nclip\tpart\n1001_DFA_ANG_XX\ttrain\na\tb\n";
    static const char *const columns[] = {"clip", "part", NULL};
    struct tsv *t = NULL;

    (void)ctx;
    TRY(tsv_parse(&t, "split.tsv", "split", columns, text, sizeof text - 1, e));
out:
    tsv_free(t);
    return e->code;
}

static void test_tables(void **state)
{
    struct place p;

    begin(&p, state);
    sweep("table", parse_table, &p);
}

static enum err_code write_and_read_tensors(void *ctx, struct err *e)
{
    static const float x[6] = {1, 2, 3, 4, 5, 6};
    const int64_t dim[2] = {2, 3};
    const struct place *p = ctx;
    struct tensorfile_writer *w = NULL, *done;
    struct tensorfile *f = NULL;
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
out:
    tensorfile_writer_abort(w);
    tensorfile_close(f);
    return e->code;
}

static void test_tensors(void **state)
{
    struct place p;

    begin(&p, state);
    sweep("tensors", write_and_read_tensors, &p);
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
    struct place p;

    begin(&p, state);
    sweep("pictures", draw_and_load, &p);
}

/* ---- sets ---- */

static enum err_code write_bases(void *ctx, struct err *e)
{
    const struct place *p = ctx;

    return tiny_bases_write(p->out, 6, 16, e);
}

static void test_writing_bases(void **state)
{
    struct place p;

    begin(&p, state);
    sweep("base sets written", write_bases, &p);
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
    struct place p;

    ASSERT_OK(tiny_bases_write(*state, 6, 16, &e), e);
    begin(&p, state);
    sweep("splits written", write_splits, &p);
}

static enum err_code read_split(const char *dir, const char *split, struct err *e)
{
    struct dataset *d = NULL;
    struct sample s;

    TRY(dataset_open(&d, dir, split, NULL, e));
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

    TRY(read_split(p->dir, "train", e));
    TRY(read_split(p->dir, "whole", e));
out:
    return e->code;
}

static void test_reading_splits(void **state)
{
    struct err e = {0};
    char digest[65];
    struct place p;

    ASSERT_OK(tiny_bases_write(*state, 6, 16, &e), e);
    ASSERT_OK(tiny_split_write(*state, "train", 0, 6, false, digest, &e), e);
    ASSERT_OK(tiny_split_write(*state, "whole", 0, 6, true, digest, &e), e);
    begin(&p, state);
    sweep("splits read", read_splits, &p);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_writing_files), TEST(test_reading_files),  TEST(test_memory),
        TEST(test_tables),        TEST(test_tensors),        TEST(test_pictures),
        TEST(test_writing_bases), TEST(test_writing_splits), TEST(test_reading_splits),
    };

    /* Not by cmocka's skip(), whose own leak ends a run under LeakSanitizer. */
    if (!fault_available()) {
        puts("skipped: a sanitizer owns the allocator");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
