/* SPDX-License-Identifier: MIT */
#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"
#include "train/report/run.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What synib-report reads of a run's test evaluation and curves: every way to get it wrong. In JSON
 * ' stands for ", in tables | for the tab. */

#define D16 "0123456789abcdef"
#define D64 D16 D16 D16 D16
#define NAME_64 D16 D16 D16 D16

/* A run as its checkpoints tell: vectors, or pictures and sound. */
static struct report_run run_of(bool media)
{
    struct report_run r = {.method = "synib", .seed = 7, .checkpoint = D64, .irony = -1};
    struct err e = {0};

    for (int m = 0; m < REPORT_METRICS; m++)
        r.value[m] = NAN;
    ASSERT_OK(mem_string(&r.identity, media ? "data.kind = media\n" : "data.kind = vectors\n", &e),
              e);
    return r;
}

static char *copy(const char *text, char from, char to)
{
    char *s = strdup(text);

    assert_non_null(s);
    for (char *p = s; (p = strchr(p, from)) != NULL;)
        *p = to;
    return s;
}

static enum err_code metrics(struct report_run *r, const char *text, struct err *e)
{
    char *json = copy(text, '\'', '"');
    enum err_code code = report_run_metrics(r, "metrics.json", json, strlen(json), e);

    free(json);
    return code;
}

static enum err_code predictions(struct report_run *r, const char *text, struct err *e)
{
    char *table = copy(text, '|', '\t');
    enum err_code code = report_run_predictions(r, "predictions.tsv", table, strlen(table), e);

    free(table);
    return code;
}

/* ---- metrics.json ---- */

#define OWNER "{'method': 'synib', 'seed': 7, 'checkpoint': '" D64 "', 'split': 'test', "
#define HEAD OWNER "'data': '" D64 "', "
#define CLASSES HEAD "'classes': ['a', 'b', 'irony'], "
#define CONFUSION "'confusion': [[2, 0, 0], [0, 1, 1], [1, 0, 2]]"

static void test_metrics(void **state)
{
    struct report_run r = run_of(false);
    struct err e = {0};

    (void)state;
    ASSERT_OK(metrics(&r,
                      CLASSES CONFUSION ", 'ece': 0.25, 'synergy': {'accuracy': null}, "
                                        "'sources': {'u': {'accuracy': 0.5}, 'v': 3}}",
                      &e),
              e);
    assert_true(r.classes == 3 && r.irony == -1 && r.confusion.count[1][2] == 1);
    assert_true(r.value[METRIC_ECE] == 0.25 && isnan(r.value[METRIC_SYNERGY]));
    assert_true(r.parts == 2 && r.value[METRIC_PART] == 0.5 && isnan(r.value[METRIC_PART + 1]));
    assert_string_equal(r.part_name[1], "v");
    report_run_free(&r);
    r = run_of(true);
    ASSERT_OK(metrics(&r, CLASSES CONFUSION ", 'sources': {'u': {'accuracy': 0.5}}}", &e), e);
    assert_true(r.irony == 2 && r.parts == 0 && isnan(r.value[METRIC_ECE]));
    report_run_free(&r);
    r = run_of(true); /* pictures and sound, but nobody is ironic */
    ASSERT_OK(metrics(&r, HEAD "'classes': ['a', 'b'], 'confusion': [[1, 0], [0, 1]]}", &e), e);
    assert_int_equal(r.irony, -1);
    report_run_free(&r);
    r = run_of(false);
    ASSERT_OK(metrics(&r, HEAD "'mse': 0.5}", &e), e);
    assert_string_equal(r.missing, "predicts numbers: it has no accuracy");
    report_run_free(&r);
}

/* Runs of pictures and sound are compared on the same samples or not at all; of vectors each run
 * has its own. */
static void test_synergy(void **state)
{
    static const struct {
        bool media;
        const char *synergy;
        double value;
    } cases[] = {
        {true, "{'n': 4, 'accuracy': 0.25, 'by': 'unimodal-runs'}", 0.25},
        {true, "{'n': 0, 'accuracy': null, 'by': 'unimodal-runs'}", NAN},
        {true, "{'n': 4, 'accuracy': 0.25, 'by': 'own-heads'}", NAN},
        {true, "{'n': 4, 'accuracy': 0.25}", NAN},
        {true, "{'n': 4, 'accuracy': 0.25, 'by': 1}", NAN},
        {true, "null", NAN},
        {false, "{'n': 4, 'accuracy': 0.25, 'by': 'own-heads'}", 0.25},
        {false, "null", NAN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct report_run r = run_of(cases[i].media);
        struct err e = {0};
        char text[1024];

        snprintf(text, sizeof text, CLASSES CONFUSION ", 'synergy': %s}", cases[i].synergy);
        ASSERT_OK(metrics(&r, text, &e), e);
        if (isnan(cases[i].value))
            assert_true(isnan(r.value[METRIC_SYNERGY]));
        else
            assert_true(r.value[METRIC_SYNERGY] == cases[i].value);
        report_run_free(&r);
    }
}

/* No more sources than there is room for, and none whose name is no name. */
static void test_sources(void **state)
{
    static const struct {
        const char *sources;
        int parts;
    } cases[] = {
        {"{'1': {}, '2': {}, '3': {}, '4': {}, '5': {}, '6': {}, '7': {}, '8': {}, '9': {}}", 8},
        {"{'a': {}, '" NAME_64 "': {}, 'b': {}}", 1},
        {"{'a\\tb': {}}", 0},
        {"[1, 2]", 0},
        {"{}", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct report_run r = run_of(false);
        struct err e = {0};
        char text[1024];

        snprintf(text, sizeof text, CLASSES CONFUSION ", 'sources': %s}", cases[i].sources);
        ASSERT_OK(metrics(&r, text, &e), e);
        assert_int_equal(r.parts, cases[i].parts);
        report_run_free(&r);
    }
}

static void test_bad_metrics(void **state)
{
    static const struct {
        const char *text;
        enum err_code code;
        const char *says;
    } bad[] = {
        {"", ERR_FORMAT, "metrics.json:1: "},
        {"{\n'method':\n}", ERR_FORMAT, "metrics.json:3: "},
        {"{'a': 1, 'a': 2}", ERR_FORMAT, "metrics.json:1: duplicate object key"},
        {"[]", ERR_FORMAT, "metrics.json:1: is no object"},
        {"{}", ERR_FORMAT, "metrics.json: 'method' is missing or no such text"},
        {"{'method': 5}", ERR_FORMAT, "'method' is missing or no such text"},
        {"{'method': '" D64 "0'}", ERR_FORMAT, "'method' is missing or no such text"},
        {"{'method': 'synib'}", ERR_FORMAT, "'seed' is missing or no whole number"},
        {"{'method': 'synib', 'seed': '7'}", ERR_FORMAT, "'seed' is missing or no whole number"},
        {"{'method': 'synib', 'seed': 7.0}", ERR_FORMAT, "'seed' is missing or no whole number"},
        {"{'method': 'synib', 'seed': 8}", ERR_DATA,
         "is of method synib, seed 8, the run of synib, 7"},
        {"{'method': 'a\\nb', 'seed': 7}", ERR_DATA, "is of method a?b, seed 7"},
        {"{'method': 'synib', 'seed': 7}", ERR_FORMAT, "'checkpoint' is missing"},
        {"{'method': 'synib', 'seed': 7, 'checkpoint': 'abc'}", ERR_DATA,
         "measures the checkpoint abc..., the run's best.safetensors is 0123456789ab...: run "
         "synib-eval again"},
        {"{'method': 'synib', 'seed': 7, 'checkpoint': '" D64 "'}", ERR_FORMAT,
         "'split' is missing"},
        {"{'method': 'synib', 'seed': 7, 'checkpoint': '" D64 "', 'split': 'val'}", ERR_DATA,
         "is of the split 'val', not of test"},
        {OWNER "'x': 1}", ERR_FORMAT, "'data' is missing or no such text"},
        {HEAD "'x': 1}", ERR_FORMAT, "'classes' is not a list of 2 to 16 names"},
        {HEAD "'classes': ['a']}", ERR_FORMAT, "'classes' is not a list of 2 to 16 names"},
        {HEAD "'classes': [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}", ERR_FORMAT,
         "'classes' is not a list of 2 to 16 names"},
        {HEAD "'classes': ['a', 5]}", ERR_FORMAT, "'classes' holds something that is no name"},
        {HEAD "'classes': ['a', '" NAME_64 "']}", ERR_FORMAT, "something that is no name"},
        {HEAD "'classes': ['a', 'b\\tc']}", ERR_FORMAT, "something that is no name"},
        {HEAD "'classes': ['a', 'b', 'a']}", ERR_FORMAT, "'classes' holds 'a' twice"},
        {CLASSES "'x': 1}", ERR_FORMAT, "'confusion' is not 3 x 3 counts"},
        {CLASSES "'confusion': [[1, 2, 3]]}", ERR_FORMAT, "'confusion' is not 3 x 3 counts"},
        {CLASSES "'confusion': [[1, 2], [1, 2], [1, 2]]}", ERR_FORMAT, "is not 3 x 3 counts"},
        {CLASSES "'confusion': [[1, 2, 0.5], [0, 0, 0], [0, 0, 0]]}", ERR_FORMAT,
         "is not 3 x 3 counts"},
        {CLASSES "'confusion': [[1, 2, -1], [0, 0, 0], [0, 0, 0]]}", ERR_FORMAT,
         "is not 3 x 3 counts"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct report_run r = run_of(false);
        struct err e = {0};

        ASSERT_FAILS(metrics(&r, bad[i].text, &e), e, bad[i].code, bad[i].says);
        report_run_free(&r);
    }
}

/* ---- predictions.tsv ---- */

#define TABLE "#synib-predictions 1\nlabel|prediction|base_label|p_a|p_b|p_irony\n"
#define ROWS                                                                            \
    "a|a|a|1|0|0\na|a|a|0.5|0.25|0.25\nb|b|b|0|1|0\nb|irony|b|0|0|1\nirony|a|a|1|0|0\n" \
    "irony|irony|b|0|0|0.75\nirony|irony|irony|0|0|1\n"

static void test_predictions(void **state)
{
    (void)state;
    for (int media = 0; media < 2; media++) {
        struct report_run r = run_of(media);
        struct err e = {0};

        ASSERT_OK(metrics(&r, CLASSES CONFUSION "}", &e), e);
        ASSERT_OK(predictions(&r, TABLE ROWS, &e), e);
        assert_true(r.n == 7 && r.label[3] == 1 && r.guess[3] == 2 && r.p[5] == 0.75f);
        assert_true((r.base != NULL) == (media == 1));
        report_run_free(&r);
    }
}

static void test_bad_predictions(void **state)
{
    static const struct {
        const char *text;
        enum err_code code;
        const char *says;
    } bad[] = {
        {"", ERR_DATA, "predictions.tsv: is empty"},
        {"#synib-predictions 1\nlabel|p_a\n", ERR_DATA, "column 'prediction' is missing"},
        {"#synib-predictions 1\nlabel|prediction|p_a|p_irony\n", ERR_DATA,
         "predictions.tsv:2: no column p_b"},
        {TABLE "a|a|a|1|0|0\nc|a|a|1|0|0\n", ERR_DATA, "predictions.tsv:4: 'c' is no class"},
        {TABLE "a||a|1|0|0\n", ERR_DATA, "predictions.tsv:3: '' is no class"},
        {TABLE "a|a|x|1|0|0\n", ERR_DATA, "predictions.tsv:3: 'x' is no class"},
        {TABLE "a|a|a|1.5|0|0\n", ERR_DATA, "predictions.tsv:3: probability: '1.5' is not a"},
        {TABLE "a|a|a||0|0\n", ERR_DATA, "predictions.tsv:3: probability: '' is not a number"},
        {TABLE, ERR_DATA, "do not give the confusion matrix of metrics.json: run synib-eval"},
        {TABLE "a|a|a|1|0|0\n", ERR_DATA, "predictions.tsv: its rows do not give the confusion"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct report_run r = run_of(true);
        struct err e = {0};

        ASSERT_OK(metrics(&r, CLASSES CONFUSION "}", &e), e);
        ASSERT_FAILS(predictions(&r, bad[i].text, &e), e, bad[i].code, bad[i].says);
        report_run_free(&r);
    }
}

/* A column that only pictures and sound have is nothing to vectors. */
static void test_base_of_vectors(void **state)
{
    struct report_run r = run_of(false);
    struct err e = {0};

    (void)state;
    ASSERT_OK(metrics(&r, HEAD "'classes': ['a', 'b'], 'confusion': [[1, 0], [0, 0]]}", &e), e);
    ASSERT_OK(predictions(&r,
                          "#synib-predictions 1\nlabel|prediction|base_label|p_a|p_b\n"
                          "a|a|no class|1|0\n",
                          &e),
              e);
    report_run_free(&r);
}

/* ---- epochs.csv ---- */

static enum err_code curves(struct report_run *r, const char *text, struct err *e)
{
    char *copied = strdup(text);
    enum err_code code;

    assert_non_null(copied);
    code = report_run_curves(r, copied, "epochs.csv", e);
    free(copied);
    return code;
}

static void test_curves(void **state)
{
    static const struct {
        const char *text;
        size_t points;
        double accuracy, loss; /* of the last point */
    } good[] = {
        {"", 0, 0, 0},
        {"epoch,train_loss,val_accuracy", 0, 0, 0},
        {"epoch,train_loss,val_accuracy\n1,0.5,0.25\n2,0.125,0.75\n", 2, 0.75, 0.125},
        {"val_accuracy,x\n\n0.5,1\n\n0.25,2", 2, 0.25, NAN},
        {"epoch,val_accuracy,val_accuracy_x,train_loss\n1,,0.5,-1e9\n", 1, NAN, -1e9},
        {"epoch\n1\n", 1, NAN, NAN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct report_run r = {.n = 0};
        struct err e = {0};

        ASSERT_OK(curves(&r, good[i].text, &e), e);
        assert_int_equal(r.points, good[i].points);
        if (r.points > 0) {
            double a = r.curve[CURVE_VAL_ACCURACY][r.points - 1];
            double l = r.curve[CURVE_TRAIN_LOSS][r.points - 1];

            assert_true(a == good[i].accuracy || (isnan(a) && isnan(good[i].accuracy)));
            assert_true(l == good[i].loss || (isnan(l) && isnan(good[i].loss)));
            assert_true(isnan(r.curve[CURVE_VAL_IRONY_F1][r.points - 1]));
        }
        report_run_free(&r);
    }
}

static void test_bad_curves(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"epoch,val_accuracy\n1,x\n", "epochs.csv:2: cell: 'x' is not a number"},
        {"epoch,val_accuracy\n1,0.5\n\n2,nan\n", "epochs.csv:4: cell: 'nan' is not a number"},
        {"epoch,val_accuracy\n1,0.5\n2\n", "epochs.csv:3: too few cells"},
        {"epoch,a,b,train_loss\n1,0.5,\n", "epochs.csv:2: too few cells"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct report_run r = {.n = 0};
        struct err e = {0};

        ASSERT_FAILS(curves(&r, bad[i].text, &e), e, ERR_FORMAT, bad[i].says);
        report_run_free(&r);
    }
}

/* ---- a run's folder test/ ---- */

static void put(const void *dir, const char *name, const char *text, char from, char to)
{
    char *path = scratch_path(dir, name), *copied = copy(text, from, to);
    struct err e = {0};

    ASSERT_OK(atomic_file_put(path, copied, strlen(copied), true, &e), e);
    free(copied);
    free(path);
}

/* Recall of irony by what the face shows; what all faces of one kind were not asked has none. */
static void test_results(void **state)
{
    char *test = scratch_path(*state, "test"), name[2 * REPORT_NAME];
    struct report_run r = run_of(true);
    struct err e = {0};

    ASSERT_OK(dir_make(test, &e), e);
    put(*state, "test/metrics.json", CLASSES CONFUSION "}", '\'', '"');
    put(*state, "test/predictions.tsv", TABLE ROWS, '|', '\t');
    r.path = scratch_path(*state, "");
    ASSERT_OK(report_run_results(&r, &e), e);
    assert_null(r.missing);
    assert_int_equal(r.parts, 2);
    assert_true(r.value[METRIC_PART] == 0 && r.value[METRIC_PART + 1] == 1);
    assert_true(r.value[METRIC_ACCURACY] == 5.0 / 7);
    report_metric_name(name, sizeof name, &r, METRIC_KAPPA);
    assert_string_equal(name, "kappa");
    report_metric_name(name, sizeof name, &r, METRIC_PART + 1);
    assert_string_equal(name, "irony_recall_b");
    report_run_free(&r);
    r = run_of(false);
    r.path = scratch_path(*state, "");
    put(*state, "test/metrics.json", CLASSES CONFUSION ", 'sources': {'u': {}}}", '\'', '"');
    ASSERT_OK(report_run_results(&r, &e), e);
    report_metric_name(name, sizeof name, &r, METRIC_PART);
    assert_string_equal(name, "accuracy_u");
    report_run_free(&r);
    r = run_of(false);
    r.path = scratch_path(*state, "");
    put(*state, "test/metrics.json", HEAD "'mse': 1}", '\'', '"');
    ASSERT_OK(report_run_results(&r, &e), e);
    assert_string_equal(r.missing, "predicts numbers: it has no accuracy");
    report_run_free(&r);
    free(test);
}

/* Pictures and sound are what a run says of itself, in so many words. */
static void test_kinds(void **state)
{
    static const struct {
        const char *identity;
        int irony;
    } cases[] = {{"", -1},
                 {"data.kind = medium\n", -1},
                 {"data.kind = other\n", -1},
                 {"a = b\ndata.kind = media\n", 2}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct report_run r = run_of(false);
        struct err e = {0};

        free(r.identity);
        r.identity = strdup(cases[i].identity);
        ASSERT_OK(metrics(&r, CLASSES CONFUSION "}", &e), e);
        assert_int_equal(r.irony, cases[i].irony);
        report_run_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_synergy),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_bad_metrics),
        cmocka_unit_test(test_predictions),
        cmocka_unit_test(test_bad_predictions),
        cmocka_unit_test(test_base_of_vectors),
        cmocka_unit_test(test_curves),
        cmocka_unit_test(test_bad_curves),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test_setup_teardown(test_results, scratch_setup, scratch_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
