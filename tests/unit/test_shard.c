/* SPDX-License-Identifier: MIT */
#include "common/base/file.h"
#include "common/data/shard.h"
#include "tests/support/check.h"
#include "tests/support/naive_reader.h"
#include "tests/support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct shard_field fields[] = {
    {.name = "clip", .dtype = DTYPE_U8, .rank = 1, .dim = {24}},
    {.name = "blob", .dtype = DTYPE_U8, .ragged = true},
    {.name = "value", .dtype = DTYPE_F32, .rank = 2, .dim = {2, 3}},
    {.name = "label", .dtype = DTYPE_I32},
};
enum { N_FIELDS = 4 };

/* Sample i: everything follows from i. */
struct made {
    uint8_t clip[24];
    uint8_t blob[64];
    size_t blob_len;
    float value[6];
    int32_t label;
};

static void make(struct made *m, int i)
{
    memset(m, 0, sizeof *m);
    snprintf((char *)m->clip, sizeof m->clip, "clip%d", i);
    m->blob_len = 1 + (size_t)(i * 7 % 60);
    for (size_t k = 0; k < m->blob_len; k++)
        m->blob[k] = (uint8_t)(i * 31 + (int)k);
    for (int k = 0; k < 6; k++)
        m->value[k] = (float)i + (float)k / 8;
    m->label = i % 7;
}

static enum err_code write_set(const char *dir, int n, uint64_t target, bool force,
                               const char *seed, struct err *e)
{
    struct shard_options opt = {.prefix = "test", .target_bytes = target, .force = force};
    struct shard_writer *w = NULL, *done;
    struct made m;

    TRY(shard_writer_open(&w, dir, &opt, fields, N_FIELDS, e));
    TRY(shard_writer_meta(w, "synib.seed", seed, e));
    for (int i = 0; i < n; i++) {
        make(&m, i);
        const struct shard_value values[N_FIELDS] = {{m.clip, sizeof m.clip},
                                                     {m.blob, m.blob_len},
                                                     {m.value, sizeof m.value},
                                                     {&m.label, 4}};
        TRY(shard_writer_add(w, values, e));
    }
    TRY(shard_writer_index_meta(w, "synib.late", "known at the end", e));
    done = w;
    w = NULL;
    TRY(shard_writer_commit(done, e));
out:
    shard_writer_abort(w);
    return e->code;
}

static void check_set(const struct shard_set *s, int n)
{
    struct err e = {0};
    struct shard_value v;
    struct made m;

    assert_int_equal(shard_set_count(s), n);
    for (int i = 0; i < n; i++) {
        make(&m, i);
        ASSERT_OK(shard_set_get(s, i, 0, &v, &e), e);
        assert_memory_equal(v.data, m.clip, 24);
        ASSERT_OK(shard_set_get(s, i, 1, &v, &e), e);
        assert_int_equal(v.len, m.blob_len);
        assert_memory_equal(v.data, m.blob, v.len);
        ASSERT_OK(shard_set_get(s, i, 2, &v, &e), e);
        assert_memory_equal(v.data, m.value, sizeof m.value);
        ASSERT_OK(shard_set_get(s, i, 3, &v, &e), e);
        assert_memory_equal(v.data, &m.label, 4);
    }
}

static void test_round_trip(void **state)
{
    char *dir = scratch_path(*state, "set");
    struct shard_set *s = NULL;
    struct err e = {0};

    ASSERT_OK(write_set(dir, 50, 500, false, "7", &e), e);
    ASSERT_OK(shard_set_open(&s, dir, &e), e);
    assert_true(shard_set_shards(s) > 3);
    assert_string_equal(shard_set_meta(s, "synib.seed"), "7");
    assert_string_equal(shard_set_meta(s, "synib.late"), "known at the end");
    assert_int_equal(shard_set_find(s, "value"), 2);
    assert_int_equal(shard_set_find(s, "nothing"), -1);
    check_set(s, 50);
    ASSERT_OK(shard_set_verify(s, 2, &e), e);
    shard_set_close(s);
    free(dir);
}

/* The naive reader, which knows only the specification, sees the same. */
static void test_naive_reads(void **state)
{
    char *dir = scratch_path(*state, "set");
    struct naive_set s;
    struct err e = {0};
    struct made m;
    size_t len = 0;

    ASSERT_OK(write_set(dir, 20, 300, false, "7", &e), e);
    if (!naive_set_open(&s, dir))
        fail_msg("%s", s.why);
    assert_true(s.shards > 2);
    assert_int_equal(s.samples, 20);
    assert_int_equal(s.fields, N_FIELDS);
    assert_string_equal(naive_set_field(&s, 1), "blob");
    assert_string_equal(naive_set_meta(&s, "synib.late"), "known at the end");
    assert_null(naive_value(&s, 20, 0, &len));
    for (int i = 0; i < 20; i++) {
        make(&m, i);
        assert_memory_equal(naive_value(&s, i, 1, &len), m.blob, m.blob_len);
        assert_int_equal(len, m.blob_len);
        assert_memory_equal(naive_value(&s, i, 2, &len), m.value, sizeof m.value);
        assert_memory_equal(naive_value(&s, i, 3, &len), &m.label, sizeof m.label);
    }
    naive_set_close(&s);
    free(dir);
}

static enum err_code open_and_verify(const char *dir, struct err *e)
{
    struct shard_set *s = NULL;

    TRY(shard_set_open(&s, dir, e));
    TRY(shard_set_verify(s, 1, e));
out:
    shard_set_close(s);
    return e->code;
}

/* Every byte of every file of a set: a change is found, and blamed on that file. */
static void test_flip_anywhere(void **state)
{
    char *dir = scratch_path(*state, "set");
    struct name_list names = {0};
    struct err e = {0};

    ASSERT_OK(write_set(dir, 3, 100, false, "7", &e), e);
    ASSERT_OK(dir_list(&names, dir, "", &e), e);
    assert_int_equal(names.count, 3);
    for (size_t k = 0; k < names.count; k++) {
        char *path = scratch_path(dir, names.name[k]);
        FILE *f = fopen(path, "r+b");
        int c;

        assert_non_null(f);
        for (long at = 0; fseek(f, at, SEEK_SET) == 0 && (c = fgetc(f)) != EOF; at++) {
            fseek(f, at, SEEK_SET);
            fputc(c ^ 0x20, f);
            fflush(f);
            if (open_and_verify(dir, &e) == ERR_OK || err_exit_status(e.code) != 4 ||
                strstr(e.text, names.name[k]) == NULL)
                fail_msg("%s byte %ld: %d: %s", names.name[k], at, e.code, e.text);
            err_clear(&e);
            fseek(f, at, SEEK_SET);
            fputc(c, f);
            fflush(f);
        }
        fclose(f);
        free(path);
    }
    ASSERT_OK(open_and_verify(dir, &e), e);
    name_list_free(&names);
    free(dir);
}

/* Damage inside one value is named by sample, clip and field, before the value is handed out. */
static void test_names_the_damage(void **state)
{
    char *dir = scratch_path(*state, "set"), *path;
    struct shard_set *s = NULL;
    struct shard_value v;
    struct err e = {0};
    struct made m;
    int64_t first, count;
    uint64_t at;
    FILE *f;

    ASSERT_OK(write_set(dir, 10, 0, false, "7", &e), e);
    ASSERT_OK(shard_set_open(&s, dir, &e), e);
    ASSERT_OK(shard_set_get(s, 6, 1, &v, &e), e);
    at = tensorfile_offset(shard_set_shard(s, 0, &first, &count), 1);
    for (int i = 0; i < 6; i++) {
        make(&m, i);
        at += m.blob_len;
    }
    path = scratch_path("", tensorfile_path(shard_set_shard(s, 0, &first, &count)) + 1);
    shard_set_close(s);
    f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, (long)at, SEEK_SET);
    fputc('?', f);
    fclose(f);
    ASSERT_OK(shard_set_open(&s, dir, &e), e);
    ASSERT_OK(shard_set_get(s, 5, 1, &v, &e), e);
    ASSERT_FAILS(shard_set_get(s, 6, 1, &v, &e), e, ERR_CHECKSUM,
                 "sample 6 (clip6) field blob: crc32c differs");
    ASSERT_FAILS(shard_set_verify(s, 1, &e), e, ERR_CHECKSUM, "sample 6 (clip6) field blob");
    shard_set_close(s);
    free(path);
    free(dir);
}

/* Files that are whole but not this set's. */
static void test_refuses_mixed_sets(void **state)
{
    char *a = scratch_path(*state, "a"), *b = scratch_path(*state, "b");
    struct name_list na = {0}, nb = {0};
    struct shard_set *s = NULL;
    struct err e = {0};
    char *pa, *pb;

    ASSERT_OK(write_set(a, 5, 0, false, "7", &e), e);
    ASSERT_OK(write_set(b, 5, 0, false, "8", &e), e);
    ASSERT_OK(dir_list(&na, a, ".safetensors", &e), e);
    ASSERT_OK(dir_list(&nb, b, ".safetensors", &e), e);
    pa = scratch_path(a, na.name[0]);
    pb = scratch_path(b, nb.name[0]);
    assert_int_equal(rename(pb, pa), 0);
    ASSERT_FAILS(shard_set_open(&s, a, &e), e, ERR_DATA, "metadata 'synib.seed' differs");
    ASSERT_FAILS(shard_set_open(&s, b, &e), e, ERR_IO, "cannot open");
    assert_int_equal(unlink(pa), 0);
    ASSERT_FAILS(shard_set_open(&s, a, &e), e, ERR_IO, na.name[0]);
    name_list_free(&na);
    name_list_free(&nb);
    free(pa);
    free(pb);
    free(a);
    free(b);
}

static void test_single_shard(void **state)
{
    char *dir = scratch_path(*state, "set"), *path;
    struct name_list names = {0};
    struct shard_set *s = NULL;
    struct err e = {0};

    ASSERT_OK(write_set(dir, 5, 0, false, "7", &e), e);
    ASSERT_OK(dir_list(&names, dir, ".safetensors", &e), e);
    path = scratch_path(dir, names.name[0]);
    ASSERT_OK(shard_set_open_file(&s, path, &e), e);
    assert_int_equal(shard_set_field_count(s), N_FIELDS);
    assert_true(shard_set_field(s, 1)->ragged);
    check_set(s, 5);
    ASSERT_OK(shard_set_verify(s, 1, &e), e);
    shard_set_close(s);
    name_list_free(&names);
    free(path);
    free(dir);
}

/* The content digest says what is in the set, not how it is cut. */
static void test_digest_ignores_cutting(void **state)
{
    char *a = scratch_path(*state, "a"), *b = scratch_path(*state, "b"),
         *c = scratch_path(*state, "c");
    struct shard_set *sa = NULL, *sb = NULL, *sc = NULL;
    struct err e = {0};

    ASSERT_OK(write_set(a, 20, 300, false, "7", &e), e);
    ASSERT_OK(write_set(b, 20, 0, false, "7", &e), e);
    ASSERT_OK(write_set(c, 21, 0, false, "7", &e), e);
    ASSERT_OK(shard_set_open(&sa, a, &e), e);
    ASSERT_OK(shard_set_open(&sb, b, &e), e);
    ASSERT_OK(shard_set_open(&sc, c, &e), e);
    assert_true(shard_set_shards(sa) > 1);
    assert_int_equal(shard_set_shards(sb), 1);
    assert_string_equal(shard_set_digest(sa), shard_set_digest(sb));
    assert_string_not_equal(shard_set_digest(sb), shard_set_digest(sc));
    shard_set_close(sa);
    shard_set_close(sb);
    shard_set_close(sc);
    free(a);
    free(b);
    free(c);
}

static void test_replace(void **state)
{
    char *dir = scratch_path(*state, "set");
    struct shard_set *s = NULL;
    struct err e = {0};

    ASSERT_OK(write_set(dir, 50, 500, false, "7", &e), e);
    ASSERT_FAILS(write_set(dir, 10, 0, false, "8", &e), e, ERR_EXISTS, "");
    ASSERT_OK(write_set(dir, 10, 0, true, "8", &e), e);
    assert_int_equal(scratch_count(dir), 2);
    ASSERT_OK(shard_set_open(&s, dir, &e), e);
    check_set(s, 10);
    shard_set_close(s);
    free(dir);
}

/* An abandoned replacement leaves the old set as it was; abandoned in a new folder, nothing. */
static void test_abort(void **state)
{
    struct shard_options opt = {.prefix = "test", .target_bytes = 1, .force = true};
    char *old = scratch_path(*state, "old"), *fresh = scratch_path(*state, "fresh");
    const char *dirs[] = {old, fresh};
    struct shard_set *s = NULL;
    struct err e = {0};
    struct made m;
    size_t before;

    ASSERT_OK(write_set(old, 50, 500, false, "7", &e), e);
    before = scratch_count(old);
    for (int d = 0; d < 2; d++) {
        struct shard_writer *w = NULL;

        ASSERT_OK(shard_writer_open(&w, dirs[d], &opt, fields, N_FIELDS, &e), e);
        for (int i = 0; i < 3; i++) {
            make(&m, i + 100);
            const struct shard_value values[N_FIELDS] = {{m.clip, sizeof m.clip},
                                                         {m.blob, m.blob_len},
                                                         {m.value, sizeof m.value},
                                                         {&m.label, 4}};
            ASSERT_OK(shard_writer_add(w, values, &e), e);
        }
        shard_writer_abort(w);
    }
    assert_int_equal(scratch_count(old), before);
    assert_int_not_equal(access(fresh, F_OK), 0);
    ASSERT_OK(shard_set_open(&s, old, &e), e);
    check_set(s, 50);
    shard_set_close(s);
    free(old);
    free(fresh);
}

static void test_second_writer(void **state)
{
    struct shard_options opt = {.prefix = "test", .force = true};
    char *dir = scratch_path(*state, "set");
    struct shard_writer *a = NULL, *b = NULL;
    struct err e = {0};

    ASSERT_OK(shard_writer_open(&a, dir, &opt, fields, N_FIELDS, &e), e);
    assert_int_equal(shard_writer_open(&b, dir, &opt, fields, N_FIELDS, &e), ERR_EXISTS);
    assert_null(b);
    shard_writer_abort(a);
    free(dir);
}

static void test_writer_refuses(void **state)
{
    struct shard_options opt = {.prefix = "test"};
    struct shard_field bad[2] = {fields[0], fields[0]};
    char *dir = scratch_path(*state, "set");
    struct shard_writer *w = NULL;
    struct err e = {0};
    struct made m;

    ASSERT_FAILS(shard_writer_open(&w, dir, &opt, bad, 2, &e), e, ERR_DATA, "stands twice");
    snprintf(bad[0].name, sizeof bad[0].name, "crc32c");
    ASSERT_FAILS(shard_writer_open(&w, dir, &opt, bad, 1, &e), e, ERR_DATA, "");
    opt.prefix = "../up";
    ASSERT_FAILS(shard_writer_open(&w, dir, &opt, fields, N_FIELDS, &e), e, ERR_DATA, "");
    opt.prefix = "test";
    ASSERT_OK(shard_writer_open(&w, dir, &opt, fields, N_FIELDS, &e), e);
    make(&m, 1);
    struct shard_value values[N_FIELDS] = {
        {m.clip, sizeof m.clip}, {m.blob, 0}, {m.value, sizeof m.value}, {&m.label, 4}};
    ASSERT_FAILS(shard_writer_add(w, values, &e), e, ERR_DATA, "");
    ASSERT_FAILS(shard_writer_meta(w, "synib.first", "3", &e), e, ERR_DATA, "");
    ASSERT_FAILS(shard_writer_commit(w, &e), e, ERR_DATA, "empty set");
    assert_int_not_equal(access(dir, F_OK), 0);
    free(dir);
}

static void test_same_bytes(void **state)
{
    char *a = scratch_path(*state, "a"), *b = scratch_path(*state, "b");
    struct name_list names = {0};
    struct err e = {0};

    ASSERT_OK(write_set(a, 30, 400, false, "7", &e), e);
    ASSERT_OK(write_set(b, 30, 400, false, "7", &e), e);
    ASSERT_OK(dir_list(&names, a, "", &e), e);
    assert_int_equal(scratch_count(b), names.count);
    for (size_t i = 0; i < names.count; i++) {
        struct file_view va = {0}, vb = {0};
        char *pa = NULL, *pb = NULL;

        ASSERT_OK(path_join(&pa, a, names.name[i], &e), e);
        ASSERT_OK(path_join(&pb, b, names.name[i], &e), e);
        ASSERT_OK(file_read(&va, pa, 1 << 20, &e), e);
        ASSERT_OK(file_read(&vb, pb, 1 << 20, &e), e);
        assert_int_equal(va.len, vb.len);
        assert_memory_equal(va.data, vb.data, va.len);
        file_view_free(&va);
        file_view_free(&vb);
        free(pa);
        free(pb);
    }
    name_list_free(&names);
    free(a);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_naive_reads, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_flip_anywhere, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_names_the_damage, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_refuses_mixed_sets, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_single_shard, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_digest_ignores_cutting, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(test_replace, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_abort, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_second_writer, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_writer_refuses, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_same_bytes, scratch_setup, scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
