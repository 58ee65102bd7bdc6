/* SPDX-License-Identifier: MIT */
#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "common/data/canvas.h"
#include "common/data/jpeg.h"
#include "common/data/vectors.h"
#include "prep/shard.h"
#include "prep/shard_commands.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny_dataset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* DATA with train, val (overlays) and TWIN with the same train, materialised. */
static void make_data(const char *dir)
{
    char digest[65];
    struct err e = {0};
    char *twin = scratch_path(dir, "twin");

    ASSERT_OK(tiny_bases_write(dir, 20, 32, &e), e);
    ASSERT_OK(tiny_split_write(dir, "train", 0, 12, false, digest, &e), e);
    ASSERT_OK(tiny_split_write(dir, "val", 12, 8, false, digest, &e), e);
    ASSERT_OK(dir_make(twin, &e), e);
    ASSERT_OK(tiny_split_write(dir, "twin/train", 0, 12, true, digest, &e), e);
    free(twin);
}

/* Runs a command and returns what it prints; *e holds its error. */
static char *run(struct inspect_options opt, struct err *e)
{
    char *text = NULL;
    size_t len = 0;

    opt.out = open_memstream(&text, &len);
    assert_non_null(opt.out);
    opt.cli.jobs = 2;
    opt.cli.log.level = LOG_QUIET;
    (void)!inspect_run(&opt, e);
    fclose(opt.out);
    return text;
}

static struct inspect_options command(enum inspect_command c, const char *a, const char *b)
{
    struct inspect_options opt = INSPECT_OPTIONS_DEFAULT;

    opt.command = c;
    opt.target[0] = a;
    opt.target[1] = b;
    opt.targets = b != NULL ? 2 : 1;
    return opt;
}

/* The report, parsed. */
static json_t *run_json(struct inspect_options opt, struct err *e)
{
    char *text;
    json_t *report;

    opt.cli.json = true;
    text = run(opt, e);
    report = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(report);
    free(text);
    return report;
}

static void test_ls(void **state)
{
    struct err e = {0};
    json_t *report;
    char *text;

    make_data(*state);
    text = run(command(INSPECT_LS, *state, NULL), &e);
    assert_int_equal(e.code, ERR_OK);
    assert_non_null(strstr(text, "split train"));
    assert_non_null(strstr(text, "split val"));
    assert_non_null(strstr(text, "video.sample"));
    free(text);
    report = run_json(command(INSPECT_LS, *state, NULL), &e);
    assert_int_equal(json_array_size(json_object_get(report, "targets")), 2);
    json_decref(report);
}

static void test_dump(void **state)
{
    struct inspect_options opt = command(INSPECT_DUMP, *state, NULL);
    char clip[CLIP_NAME_SIZE], donor[CLIP_NAME_SIZE];
    struct err e = {0};
    json_t *report, *fields;
    char *text;

    make_data(*state);
    tiny_clip_name(15, clip);
    tiny_clip_name(16, donor);
    opt.clip = clip; /* the fourth of val, which is mutated */
    report = run_json(opt, &e);
    assert_int_equal(e.code, ERR_OK);
    fields = json_object_get(report, "fields");
    assert_string_equal(json_string_value(json_object_get(report, "split")), "val");
    assert_string_equal(json_string_value(json_object_get(fields, "donor")), donor);
    assert_int_equal(json_integer_value(json_object_get(fields, "label")), LABEL_IRONY);
    json_decref(report);
    text = run(opt, &e);
    assert_non_null(strstr(text, "6  irony"));
    assert_non_null(strstr(text, "JPEG 32x32"));
    free(text);
    opt.clip = "1001_NOT_NEU_XX";
    free(run(opt, &e));
    ASSERT_FAILS(e.code, e, ERR_USAGE, "no sample of this clip");
    opt.clip = NULL;
    opt.sample = 12;
    free(run(opt, &e));
    ASSERT_FAILS(e.code, e, ERR_USAGE, "samples 0 to 11");
    opt.sample = 0;
    opt.split = "test";
    free(run(opt, &e));
    ASSERT_FAILS(e.code, e, ERR_USAGE, "has no split 'test'");
}

static void test_stat(void **state)
{
    struct err e = {0};
    json_t *report, *train;

    make_data(*state);
    report = run_json(command(INSPECT_STAT, *state, NULL), &e);
    assert_int_equal(e.code, ERR_OK);
    train = json_array_get(json_object_get(report, "sets"), 0);
    assert_int_equal(json_integer_value(json_object_get(train, "samples")), 12);
    assert_int_equal(json_integer_value(json_object_get(train, "mutated")), 4);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(train, "classes"), "irony")), 4);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(train, "actors"), "1002")),
                     3);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(train, "flags"), "tiled_audio")), 12);
    json_decref(report);
}

static void test_diff(void **state)
{
    char *twin = scratch_path(*state, "twin"), *a = scratch_path(*state, "train"),
         *b = scratch_path(*state, "twin/train"), *val = scratch_path(*state, "val"), *text;
    struct err e = {0};
    json_t *report;

    make_data(*state);
    text = run(command(INSPECT_DIFF, *state, *state), &e);
    assert_int_equal(e.code, ERR_OK);
    assert_string_equal(text, "");
    free(text);
    report = run_json(command(INSPECT_DIFF, a, b), &e); /* one line: the layout */
    ASSERT_FAILS(e.code, e, ERR_DATA, "differ");
    assert_int_equal(json_array_size(json_object_get(report, "differences")), 1);
    assert_true(json_is_true(json_object_get(report, "differ")));
    json_decref(report);
    text = run(command(INSPECT_DIFF, a, val), &e);
    ASSERT_FAILS(e.code, e, ERR_DATA, "differ");
    assert_non_null(strstr(text, "samples: A 12, B 8"));
    assert_non_null(strstr(text, "12 of A are not in B"));
    free(text);
    text = run(command(INSPECT_DIFF, *state, twin), &e);
    ASSERT_FAILS(e.code, e, ERR_DATA, "differ");
    free(text);
    free(twin);
    free(a);
    free(b);
    free(val);
}

/* Damage of a base is found through the dataset and named. */
static void test_verify(void **state)
{
    char *video = scratch_path(*state, "video"), *path;
    struct name_list names = {0};
    struct err e = {0};
    char *text;

    make_data(*state);
    text = run(command(INSPECT_VERIFY, *state, video), &e);
    assert_int_equal(e.code, ERR_OK);
    free(text);
    ASSERT_OK(dir_list(&names, video, "safetensors", &e), e);
    path = scratch_path(video, names.name[0]);
    scratch_flip(path, 4096); /* inside a JPEG */
    free(run(command(INSPECT_VERIFY, *state, video), &e));
    assert_int_equal(e.code, ERR_CHECKSUM);
    assert_non_null(strstr(e.text, names.name[0]));
    assert_non_null(strstr(e.text, "field video.jpeg"));
    name_list_free(&names);
    free(path);
    free(video);
}

static void test_export(void **state)
{
    char *out = scratch_path(*state, "out"), *path = scratch_path(*state, "out/train/label.npy"),
         *jpg;
    struct inspect_options opt = command(INSPECT_EXPORT, *state, NULL);
    char clip[CLIP_NAME_SIZE], name[128];
    struct file_view v = {0};
    struct err e = {0};
    int32_t label;

    make_data(*state);
    opt.output = out;
    free(run(opt, &e));
    assert_int_equal(e.code, ERR_OK);
    ASSERT_OK(file_read(&v, path, 1 << 20, &e), e);
    assert_int_equal(v.len, 128 + 12 * 4);
    assert_memory_equal(v.data, "\x93NUMPY\x01\x00\x76\x00", 10);
    assert_non_null(strstr((const char *)v.data + 10,
                           "{'descr': '<i4', 'fortran_order': False, 'shape': (12,), }"));
    memcpy(&label, v.data + 128 + 4 * 3, sizeof label);
    assert_int_equal(label, LABEL_IRONY);
    file_view_free(&v);
    tiny_clip_name(7, clip);
    snprintf(name, sizeof name, "out/train/video.jpeg1/%s.jpg", clip);
    jpg = scratch_path(*state, name);
    ASSERT_OK(file_read(&v, jpg, 1 << 20, &e), e);
    assert_memory_equal(v.data, "\xff\xd8", 2);
    file_view_free(&v);
    free(run(opt, &e)); /* what is there already, byte for byte, is well */
    assert_int_equal(e.code, ERR_OK);
    ASSERT_OK(atomic_file_put(jpg, "other", 5, true, &e), e);
    free(run(opt, &e));
    ASSERT_FAILS(e.code, e, ERR_EXISTS, "--force");
    free(jpg);
    free(path);
    free(out);
}

/* The sheet has the size that its tiles ask for, and mutated samples are among those drawn. */
static void test_contact_sheet(void **state)
{
    char *out = scratch_path(*state, "sheet.jpg");
    struct inspect_options opt = command(INSPECT_CONTACT_SHEET, *state, NULL);
    struct jpeg_decoder *d = NULL;
    struct file_view v = {0};
    struct err e = {0};
    int w, h, one_w, one_h;

    make_data(*state);
    opt.output = out;
    for (opt.count = 1; opt.count <= 6; opt.count += 5) {
        opt.cli.force = true;
        free(run(opt, &e));
        assert_int_equal(e.code, ERR_OK);
        ASSERT_OK(file_read(&v, out, 8 << 20, &e), e);
        ASSERT_OK(jpeg_decoder_new(&d, &e), e);
        ASSERT_OK(jpeg_decoder_size(d, v.data, v.len, &w, &h, &e), e);
        if (opt.count == 1) {
            one_w = w;
            one_h = h;
        }
        jpeg_decoder_free(d);
        file_view_free(&v);
    }
    assert_int_equal(w - 10, 3 * (one_w - 10));
    assert_int_equal(h - 10, 2 * (one_h - 10));
    free(out);
}

static void write_checkpoint(const char *path, float last, bool more)
{
    const float w[2][3] = {{1, 2, 3}, {4, 5, last}};
    const int64_t dim[2] = {2, 3}, steps = 7;
    struct tensorfile_writer *t = NULL;
    struct err e = {0};

    ASSERT_OK(tensorfile_writer_open(&t, path, "checkpoint", true, &e), e);
    ASSERT_OK(tensorfile_writer_declare(t, "fc.weight", DTYPE_F32, 2, dim, &e), e);
    ASSERT_OK(tensorfile_writer_declare(t, "steps", DTYPE_I64, 0, NULL, &e), e);
    if (more)
        ASSERT_OK(tensorfile_writer_declare(t, "more", DTYPE_I64, 0, NULL, &e), e);
    ASSERT_OK(tensorfile_writer_data(t, w, sizeof w, &e), e);
    ASSERT_OK(tensorfile_writer_data(t, &steps, sizeof steps, &e), e);
    if (more)
        ASSERT_OK(tensorfile_writer_data(t, &steps, sizeof steps, &e), e);
    ASSERT_OK(tensorfile_writer_commit(t, NULL, &e), e);
}

static void test_checkpoints(void **state)
{
    char *a = scratch_path(*state, "a.safetensors"), *b = scratch_path(*state, "b.safetensors"),
         *out = scratch_path(*state, "out"), *npy = scratch_path(*state, "out/fc.weight.npy"),
         *text;
    struct inspect_options opt = command(INSPECT_EXPORT, a, NULL);
    struct tensorfile *f = NULL;
    struct file_view v = {0};
    struct err e = {0};
    uint64_t at;

    write_checkpoint(a, 6, false);
    write_checkpoint(b, NAN, true);
    text = run(command(INSPECT_LS, a, NULL), &e);
    assert_non_null(strstr(text, "fc.weight"));
    assert_non_null(strstr(text, "[2, 3]"));
    free(text);
    text = run(command(INSPECT_DUMP, a, NULL), &e);
    assert_non_null(strstr(text, "min 1, mean 3.5, max 6\n"));
    free(text);
    text = run(command(INSPECT_DUMP, b, NULL), &e);
    assert_non_null(strstr(text, "NOT ALL FINITE"));
    free(text);
    free(run(command(INSPECT_VERIFY, a, b), &e));
    assert_int_equal(e.code, ERR_OK);
    text = run(command(INSPECT_DIFF, a, b), &e);
    ASSERT_FAILS(e.code, e, ERR_DATA, "differ");
    assert_string_equal(text, "tensor fc.weight: other values\ntensor more: only in B\n");
    free(text);
    free(run(command(INSPECT_STAT, a, NULL), &e));
    ASSERT_FAILS(e.code, e, ERR_DATA, "is a checkpoint");
    opt.output = out;
    free(run(opt, &e));
    assert_int_equal(e.code, ERR_OK);
    ASSERT_OK(file_read(&v, npy, 1 << 20, &e), e);
    assert_non_null(strstr((const char *)v.data + 10, "'shape': (2, 3), }"));
    assert_int_equal(v.len, 128 + 24);
    file_view_free(&v);
    opt.command = INSPECT_CONTACT_SHEET;
    free(run(opt, &e));
    ASSERT_FAILS(e.code, e, ERR_DATA, "is a checkpoint");
    opt = command(INSPECT_DUMP, a, NULL);
    opt.sample = 0;
    free(run(opt, &e));
    ASSERT_FAILS(e.code, e, ERR_USAGE, "holds tensors, not samples: leave out --sample");
    opt.clip = "x";
    free(run(opt, &e));
    ASSERT_FAILS(e.code, e, ERR_USAGE, "leave out --clip");
    ASSERT_OK(tensorfile_open(&f, b, &e), e);
    at = tensorfile_offset(f, 0);
    tensorfile_close(f);
    scratch_flip(b, (long)at);
    free(run(command(INSPECT_DUMP, b, NULL), &e));
    ASSERT_FAILS(e.code, e, ERR_CHECKSUM, "b.safetensors");
    free(a);
    free(b);
    free(out);
    free(npy);
}

static void write_noted(const char *path, const char *note)
{
    const int64_t steps = 7;
    struct tensorfile_writer *t = NULL;
    struct err e = {0};

    ASSERT_OK(tensorfile_writer_open(&t, path, "checkpoint", true, &e), e);
    ASSERT_OK(tensorfile_writer_meta(t, "note", note, &e), e);
    ASSERT_OK(tensorfile_writer_declare(t, "steps", DTYPE_I64, 0, NULL, &e), e);
    ASSERT_OK(tensorfile_writer_data(t, &steps, sizeof steps, &e), e);
    ASSERT_OK(tensorfile_writer_commit(t, NULL, &e), e);
}

/* Lines are cut at a number of bytes, also inside a character: a difference is one all the same. */
static void test_diff_cut(void **state)
{
    static const char plain[] = "nothing";
    char *a = scratch_path(*state, "a.safetensors"), *b = scratch_path(*state, "b.safetensors"),
         note[2048], *text;
    struct err e = {0};
    json_t *report;

    for (size_t shift = 0; shift < 4; shift++) { /* characters of four bytes */
        memset(note, 'x', shift);
        for (size_t at = shift; at + 4 < sizeof note; at += 4)
            memcpy(note + at, "\360\237\230\200", 5);
        write_noted(a, note);
        write_noted(b, plain);
        text = run(command(INSPECT_DIFF, a, b), &e);
        ASSERT_FAILS(e.code, e, ERR_DATA, "differ");
        assert_non_null(strstr(text, "metadata note: A "));
        assert_non_null(strstr(text, "...\n"));
        free(text);
        report = run_json(command(INSPECT_DIFF, a, b), &e);
        ASSERT_FAILS(e.code, e, ERR_DATA, "differ");
        assert_true(json_is_true(json_object_get(report, "differ")));
        assert_int_equal(json_array_size(json_object_get(report, "differences")), 1);
        json_decref(report);
    }
    free(a);
    free(b);
}

/* What a file says of itself neither steers a terminal nor makes lines. */
static void test_hostile_values(void **state)
{
    static const char shown[] = "?[31mred?  kind     forged??", plain[] = "nothing";
    char *a = scratch_path(*state, "a.safetensors"), *b = scratch_path(*state, "b.safetensors"),
         *text;
    struct err e = {0};

    write_noted(a, "\033[31mred\n  kind     forged\302\233");
    write_noted(b, plain);
    text = run(command(INSPECT_LS, a, NULL), &e);
    ASSERT_OK(e.code, e);
    assert_non_null(strstr(text, shown));
    free(text);
    text = run(command(INSPECT_DIFF, a, b), &e);
    ASSERT_FAILS(e.code, e, ERR_DATA, "differ");
    assert_non_null(strstr(text, shown));
    free(text);
    free(a);
    free(b);
}

/* A path that is no UTF-8 leaves nothing out of a report. */
static void test_odd_path(void **state)
{
    static const struct {
        enum inspect_command command;
        const char *list;
    } reports[] = {{INSPECT_LS, "targets"}, {INSPECT_STAT, "sets"}};
    char *odd = scratch_path(*state, "caf\351"), *file = scratch_path(*state, "caf\351/w"),
         *shown = scratch_path(*state, "caf?");
    struct err e = {0};
    json_t *report, *entry;

    ASSERT_OK(dir_make(odd, &e), e);
    make_data(odd);
    for (size_t i = 0; i < sizeof reports / sizeof *reports; i++) {
        report = run_json(command(reports[i].command, odd, NULL), &e);
        assert_int_equal(e.code, ERR_OK);
        assert_int_equal(json_array_size(json_object_get(report, reports[i].list)), 2);
        entry = json_array_get(json_object_get(report, reports[i].list), 0);
        assert_string_equal(json_string_value(json_object_get(entry, "path")), shown);
        json_decref(report);
    }
    report = run_json(command(INSPECT_DUMP, odd, NULL), &e);
    assert_int_equal(e.code, ERR_OK);
    assert_string_equal(json_string_value(json_object_get(report, "path")), shown);
    json_decref(report);
    write_noted(file, "\303\251");
    report = run_json(command(INSPECT_LS, file, NULL), &e);
    assert_int_equal(e.code, ERR_OK);
    entry = json_array_get(json_object_get(report, "targets"), 0);
    entry = json_object_get(entry, "metadata");
    assert_string_equal(json_string_value(json_object_get(entry, "note")), "\303\251");
    json_decref(report);
    scratch_flip(file, 0);
    report = run_json(command(INSPECT_VERIFY, file, NULL), &e);
    assert_int_not_equal(e.code, ERR_OK);
    assert_int_equal(json_array_size(json_object_get(report, "faults")), 1);
    json_decref(report);
    free(odd);
    free(file);
    free(shown);
}

/* A set of one sample with numbers that doubles and JSON cannot hold. */
static void write_odd_numbers(const char *dir)
{
    static const struct shard_field fields[] = {
        {.name = "whole", .dtype = DTYPE_I64, .rank = 1, .dim = {3}},
        {.name = "real", .dtype = DTYPE_F32, .rank = 1, .dim = {3}},
        {.name = "none", .dtype = DTYPE_F32, .rank = 1, .dim = {2}},
    };
    const int64_t whole[] = {INT64_MIN, 9007199254740993, INT64_MAX}; /* 2^53 + 1 */
    const float real[] = {1.5f, NAN, -2}, none[] = {INFINITY, NAN};
    const struct shard_value v[] = {
        {whole, sizeof whole}, {real, sizeof real}, {none, sizeof none}};
    struct shard_options opt = {.prefix = "odd"};
    struct shard_writer *s = NULL;
    struct err e = {0};

    ASSERT_OK(shard_writer_open(&s, dir, &opt, fields, 3, &e), e);
    ASSERT_OK(shard_writer_add(s, v, &e), e);
    ASSERT_OK(shard_writer_commit(s, &e), e);
}

static void assert_json(const json_t *value, const char *want)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

    assert_non_null(text);
    assert_string_equal(text, want);
    free(text);
}

static void test_odd_numbers(void **state)
{
    char *set = scratch_path(*state, "set"), *file = scratch_path(*state, "w.safetensors"), *text;
    struct err e = {0};
    json_t *report, *fields, *tensor;

    write_odd_numbers(set);
    report = run_json(command(INSPECT_DUMP, set, NULL), &e);
    assert_int_equal(e.code, ERR_OK);
    fields = json_object_get(report, "fields");
    tensor = json_object_get(fields, "whole");
    assert_json(json_object_get(tensor, "first"),
                "[-9223372036854775808,9007199254740993,9223372036854775807]");
    assert_json(json_object_get(tensor, "min"), "-9223372036854775808");
    assert_json(json_object_get(tensor, "max"), "9223372036854775807");
    tensor = json_object_get(fields, "real");
    assert_json(json_object_get(tensor, "first"), "[1.5,null,-2.0]");
    assert_json(json_object_get(tensor, "min"), "-2.0");
    assert_json(json_object_get(tensor, "not_finite"), "1");
    assert_json(json_object_get(fields, "none"),
                "{\"min\":null,\"mean\":null,\"max\":null,\"not_finite\":2,\"first\":[null,null]}");
    json_decref(report);
    text = run(command(INSPECT_DUMP, set, NULL), &e);
    assert_non_null(strstr(text, "NONE IS FINITE\n"));
    free(text);
    write_checkpoint(file, NAN, false);
    report = run_json(command(INSPECT_DUMP, file, NULL), &e);
    tensor = json_object_get(json_object_get(report, "tensors"), "steps");
    assert_json(json_object_get(tensor, "max"), "7");
    json_decref(report);
    free(set);
    free(file);
}

/* A block of vectors whose mean is no number is a block all the same. */
static void test_odd_vectors(void **state)
{
    static const struct shard_field fields[] = {
        {.name = "x1", .dtype = DTYPE_F32, .rank = 1, .dim = {1}},
        {.name = "x1.block", .dtype = DTYPE_U8, .rank = 1, .dim = {1}},
        {.name = "x1.oracle", .dtype = DTYPE_U8, .rank = 1, .dim = {1}},
    };
    const float x = NAN;
    const uint8_t block = BLOCK_SPURIOUS, oracle = 1;
    const struct shard_value v[] = {{&x, 4}, {&block, 1}, {&oracle, 1}};
    struct shard_options opt = {.prefix = "odd"};
    char *set = scratch_path(*state, "set");
    struct shard_writer *s = NULL;
    struct err e = {0};
    json_t *report;

    ASSERT_OK(shard_writer_open(&s, set, &opt, fields, 3, &e), e);
    ASSERT_OK(shard_writer_meta(s, "synib.modalities", "x1", &e), e);
    ASSERT_OK(shard_writer_add(s, v, &e), e);
    ASSERT_OK(shard_writer_commit(s, &e), e);
    report = run_json(command(INSPECT_STAT, set, NULL), &e);
    assert_int_equal(e.code, ERR_OK);
    assert_json(
        json_object_get(json_array_get(json_object_get(report, "sets"), 0), "modalities"),
        "{\"x1\":{\"spurious\":{\"coordinates\":1,\"mean\":null,\"std\":null,\"oracle\":1.0}}}");
    json_decref(report);
    free(set);
}

static bool is_colour(const struct canvas *c, int x, int y, struct rgb want)
{
    const uint8_t *p = c->pixel + 3 * (y * c->w + x);

    return p[0] == want.r && p[1] == want.g && p[2] == want.b;
}

static void test_canvas(void **state)
{
    static const struct rgb white = {255, 255, 255}, black = {0, 0, 0};
    static const uint8_t checks[2 * 2 * 3] = {0, 0, 0, 255, 255, 255, 255, 255, 255, 0, 0, 0};
    static const float heat[2 * 2] = {-20, 0, NAN, -20}; /* bin 0 is at the bottom */
    struct canvas c = {0};
    struct err e = {0};

    (void)state;
    ASSERT_OK(canvas_init(&c, 20, 10, white, &e), e);
    canvas_text(&c, 0, 0, 1, black, "T");
    for (int x = 0; x < 5; x++)
        assert_true(is_colour(&c, x, 0, black));
    assert_true(is_colour(&c, 2, 6, black));
    assert_true(is_colour(&c, 0, 6, white));
    canvas_text(&c, 18, 8, 3, black, "cut \x01 off"); /* outside is left out */
    canvas_picture(&c, 6, 0, 1, 1, checks, 2, 2, 6);
    assert_true(is_colour(&c, 6, 0, (struct rgb){128, 128, 128}));
    canvas_heat(&c, 8, 0, 4, 4, heat, 2, 2, 9.2f);
    assert_true(is_colour(&c, 8, 0, (struct rgb){0, 255, 0}));
    assert_true(is_colour(&c, 8, 3, (struct rgb){0, 0, 4}));
    assert_true(is_colour(&c, 11, 3, (struct rgb){252, 253, 191}));
    canvas_free(&c);
    ASSERT_FAILS(canvas_init(&c, 0, 5, white, &e), e, ERR_USAGE, "cannot be drawn");
}

static void test_words(void **state)
{
    char text[256];

    (void)state;
    flags_text(0, text, sizeof text);
    assert_string_equal(text, "-");
    flags_text(FLAG_SHORT_VIDEO | FLAG_REENCODED | 1u << 31, text, sizeof text);
    assert_string_equal(text, "short_video,reencoded,bit31");
    assert_string_equal(label_text(6), "irony");
    assert_string_equal(label_text(-1), "-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
        IN_SCRATCH(test_ls),
        IN_SCRATCH(test_dump),
        IN_SCRATCH(test_stat),
        IN_SCRATCH(test_diff),
        IN_SCRATCH(test_verify),
        IN_SCRATCH(test_export),
        cmocka_unit_test(test_canvas),
        cmocka_unit_test(test_words),
        IN_SCRATCH(test_contact_sheet),
        IN_SCRATCH(test_checkpoints),
        IN_SCRATCH(test_diff_cut),
        IN_SCRATCH(test_odd_path),
        IN_SCRATCH(test_odd_numbers),
        IN_SCRATCH(test_odd_vectors),
        IN_SCRATCH(test_hostile_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
