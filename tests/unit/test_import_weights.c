/* SPDX-License-Identifier: MIT */
#include "common/data/tensorfile.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"
#include "train/checkpoint.h"

#include <stdlib.h>
#include <string.h>

/* Weights that do not fit the model: every difference in one message, tensor by tensor. */

enum { ROWS = 3, COLUMNS = 4, BIAS = 5 };

static struct params *model(void)
{
    struct params *ps = NULL;
    struct param *p;
    struct err e = {0};

    ASSERT_OK(params_new(&ps, &e), e);
    ASSERT_OK(params_add(ps, &p, "audio.a.weight", 2, (int64_t[]){ROWS, COLUMNS}, &e), e);
    ASSERT_OK(params_add(ps, &p, "audio.b.bias", 1, (int64_t[]){BIAS}, &e), e);
    ASSERT_OK(params_counter(ps, &p, "audio.seen", &e), e);
    ASSERT_OK(params_build(ps, &e), e);
    return ps;
}

struct tensor_made {
    const char *name;
    enum dtype dtype;
    int rank;
    int64_t dim[2];
};

static void write_file(const char *path, const struct tensor_made *t)
{
    static const uint8_t zeros[1024];
    struct tensorfile_writer *w = NULL;
    struct err e = {0};

    ASSERT_OK(tensorfile_writer_open(&w, path, "checkpoint", true, &e), e);
    for (int i = 0; t[i].name != NULL; i++)
        ASSERT_OK(tensorfile_writer_declare(w, t[i].name, t[i].dtype, t[i].rank, t[i].dim, &e), e);
    for (int i = 0; t[i].name != NULL; i++) {
        size_t bytes = t[i].dtype == DTYPE_I64 ? 8 : 4;

        for (int d = 0; d < t[i].rank; d++)
            bytes *= (size_t)t[i].dim[d];
        ASSERT_OK(tensorfile_writer_data(w, zeros, bytes, &e), e);
    }
    ASSERT_OK(tensorfile_writer_commit(w, NULL, &e), e);
}

#define WEIGHT                          \
    {                                   \
        "audio.a.weight", DTYPE_F32, 2, \
        {                               \
            ROWS, COLUMNS               \
        }                               \
    }
#define BIAS_OF(name)       \
    {                       \
        name, DTYPE_F32, 1, \
        {                   \
            BIAS            \
        }                   \
    }
#define SEEN                        \
    {                               \
        "audio.seen", DTYPE_I64, 0, \
        {                           \
            0                       \
        }                           \
    }
#define END          \
    {                \
        .name = NULL \
    }

static const struct {
    struct tensor_made file[5];
    const char *message[2]; /* NULL, NULL: it fits */
} CASES[] = {
    {{WEIGHT, BIAS_OF("audio.b.bias"), SEEN, END}, {NULL}},
    {{{"audio.a.weight", DTYPE_F32, 2, {COLUMNS, ROWS}}, BIAS_OF("audio.b.bias"), SEEN, END},
     {"tensor audio.a.weight is F32 [4, 3], the model wants F32 [3, 4]"}},
    {{{"audio.a.weight", DTYPE_I32, 2, {ROWS, COLUMNS}}, BIAS_OF("audio.b.bias"), SEEN, END},
     {"tensor audio.a.weight is I32 [3, 4], the model wants F32 [3, 4]"}},
    {{{"audio.a.weight", DTYPE_F32, 1, {ROWS * COLUMNS}}, BIAS_OF("audio.b.bias"), SEEN, END},
     {"tensor audio.a.weight is F32 [12], the model wants F32 [3, 4]"}},
    {{WEIGHT, SEEN, END}, {"tensor audio.b.bias is missing"}},
    {{WEIGHT, BIAS_OF("audio.c.bias"), SEEN, END}, {"tensor audio.b.bias is missing"}},
    {{{"audio.a.weight", DTYPE_F32, 1, {1}}, {"audio.seen", DTYPE_F32, 0, {0}}, END},
     {"3 tensors differ", "tensor audio.seen is F32 [], the model wants I64 []"}},
    {{WEIGHT, BIAS_OF("audio.b.bias"), BIAS_OF("audio.more"), SEEN, END},
     {"holds 4 tensors, the model has 3"}},
};

static void test_differences(void **state)
{
    char *path = scratch_path(*state, "weights.safetensors");

    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct params *ps = model();
        struct tensorfile *f = NULL;
        struct err e = {0};
        enum err_code rc;

        write_file(path, CASES[i].file);
        ASSERT_OK(checkpoint_open(&f, path, &e), e);
        rc = checkpoint_read(f, ps, "", false, &e);
        if (rc != (CASES[i].message[0] != NULL ? ERR_DATA : ERR_OK))
            fail_msg("case %zu: %d: %s", i, rc, e.text);
        assert_int_equal(err_exit_status(rc), CASES[i].message[0] != NULL ? 4 : 0);
        for (int m = 0; m < 2 && CASES[i].message[m] != NULL; m++)
            if (strstr(e.text, CASES[i].message[m]) == NULL || strstr(e.text, path) == NULL)
                fail_msg("case %zu: '%s' is not in '%s'", i, CASES[i].message[m], e.text);
        tensorfile_close(f);
        params_free(ps);
    }
    free(path);
}

/* A file that is whole but no checkpoint. */
static void test_other_kind(void **state)
{
    char *path = scratch_path(*state, "set.safetensors");
    struct tensorfile_writer *w = NULL;
    struct tensorfile *f = NULL;
    struct err e = {0};

    ASSERT_OK(tensorfile_writer_open(&w, path, "shard", true, &e), e);
    ASSERT_OK(tensorfile_writer_declare(w, "x", DTYPE_U8, 1, (int64_t[]){1}, &e), e);
    ASSERT_OK(tensorfile_writer_data(w, "x", 1, &e), e);
    ASSERT_OK(tensorfile_writer_commit(w, NULL, &e), e);
    ASSERT_FAILS(checkpoint_open(&f, path, &e), e, ERR_FORMAT, "is a 'shard', not a checkpoint");
    assert_null(f);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_differences, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_other_kind, scratch_setup, scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
