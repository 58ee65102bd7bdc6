/* SPDX-License-Identifier: MIT */
#include "common/base/atomic_file.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"
#include "train/sweep/dimension.h"
#include "train/sweep/plan.h"
#include "train/sweep/search.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Searches: from rows with lists and distributions to plans. Rows are written with '|' for the tab.
 */

static const char head[] = "#synib-search 1\nrun|task|preset|method|mask|settings|seed\n";

static char *put_search(void *const *state, const char *text)
{
    char *path = scratch_path(*state, "search.tsv"), *copy = strdup(text);
    struct err e = {0};

    assert_non_null(copy);
    for (char *p = copy; (p = strchr(p, '|')) != NULL;)
        *p = '\t';
    ASSERT_OK(atomic_file_put(path, copy, strlen(copy), true, &e), e);
    free(copy);
    return path;
}

static char *put_rows(void *const *state, const char *rows)
{
    char text[8192];

    assert_true((size_t)snprintf(text, sizeof text, "%s%s\n", head, rows) < sizeof text);
    return put_search(state, text);
}

/* The plan of these rows, with '|' for the tab; caller frees. */
static char *expand(void *const *state, const char *rows, int64_t draws, uint64_t seed)
{
    struct search_options o = {put_rows(state, rows), draws, seed};
    size_t runs, lines = 0;
    char *text;
    struct err e = {0};

    ASSERT_OK(search_expand(&text, &runs, &o, &e), e);
    for (char *p = text; *p != '\0'; p++) {
        lines += *p == '\n';
        if (*p == '\t')
            *p = '|';
    }
    assert_int_equal(lines, runs + 2);
    free((char *)o.path);
    return text;
}

/* The last list runs fastest, seeds faster still; what has no lists stays as it is. */
static void test_grid(void **state)
{
    char *text = expand(state,
                        "a|spurious:1|xor-spurious|synib|random|synib.lambda={1,2} optim.epochs=3 "
                        "mask.p={0.1,0.5,0.9}|4,7-8\n"
                        "b|spurious:1|xor-spurious|vanilla|||5\n"
                        "c|pid:0,0,0,1|xor-pid|synib||mask.kind={random,none}|5\n"
                        "d|pid:0,0,0,1|xor-pid|vanilla||optim.lr={0.1}|0-1",
                        0, 0);
    const char *want =
        "#synib-plan 1\nrun|task|preset|method|mask|settings|seed\n"
        "a-1_4|spurious:1|xor-spurious|synib|random|synib.lambda=1 optim.epochs=3 mask.p=0.1|4\n"
        "a-1_7|spurious:1|xor-spurious|synib|random|synib.lambda=1 optim.epochs=3 mask.p=0.1|7\n"
        "a-1_8|spurious:1|xor-spurious|synib|random|synib.lambda=1 optim.epochs=3 mask.p=0.1|8\n"
        "a-2_4|spurious:1|xor-spurious|synib|random|synib.lambda=1 optim.epochs=3 mask.p=0.5|4\n";

    assert_int_equal(strncmp(text, want, strlen(want)), 0);
    assert_non_null(strstr(
        text,
        "\na-6_8|spurious:1|xor-spurious|synib|random|synib.lambda=2 optim.epochs=3 mask.p=0.9|8\n"
        "b|spurious:1|xor-spurious|vanilla|||5\n"
        "c-1|pid:0,0,0,1|xor-pid|synib||mask.kind=random|5\n"
        "c-2|pid:0,0,0,1|xor-pid|synib||mask.kind=none|5\n"
        "d_0|pid:0,0,0,1|xor-pid|vanilla||optim.lr=0.1|0\n"
        "d_1|pid:0,0,0,1|xor-pid|vanilla||optim.lr=0.1|1\n"));
    free(text);
}

/* The search for Table 1: R section 11, row 21 (lambda and p), row 3 and section 1.2 (folds and
 * their seeds). */
static void test_shipped(void **state)
{
    static const char *const lambda[] = {"0.5", "1", "2"}, *const p[] = {"0.1", "0.2", "0.3",
                                                                         "0.5"};
    static const int seed[] = {109, 19, 337};
    struct search_options o = {SOURCE_DIR "/manifests/searches/cremad-synib.tsv", 0, 0};
    char want[8192] = "#synib-plan 1\nrun\ttask\tpreset\tmethod\tmask\tsettings\tseed\tgroup\n";
    size_t runs, n = strlen(want);
    char *text;
    struct err e = {0};

    (void)state;
    ASSERT_OK(search_expand(&text, &runs, &o, &e), e);
    for (int fold = 0; fold < 3; fold++)
        for (int i = 0; i < 12; i++)
            n += (size_t)snprintf(want + n, sizeof want - n,
                                  "fold%d-random-%02d\tout/fold%d/rate1.0/data\tpaper\tsynib\t"
                                  "random\tsynib.lambda=%s mask.p=%s\t%d\trate1.0\n",
                                  fold, i + 1, fold, lambda[i / 4], p[i % 4], seed[fold]);
    assert_true(n < sizeof want);
    assert_string_equal(text, want);
    assert_int_equal(runs, 36);
    free(text);
}

/* A column "group" goes along; other columns do not. */
static void test_group(void **state)
{
    struct search_options o = {
        put_search(state, "#synib-search 1\nrun|note|group|task|preset|method|mask|settings|seed\n"
                          "a|x|r1|data/f0|xor-pid|vanilla|||1\nb|y||data/f1|xor-pid|vanilla|||1\n"),
        0, 0};
    size_t runs;
    char *text;
    struct err e = {0};

    ASSERT_OK(search_expand(&text, &runs, &o, &e), e);
    assert_string_equal(text,
                        "#synib-plan 1\nrun\ttask\tpreset\tmethod\tmask\tsettings\tseed\tgroup\n"
                        "a\tdata/f0\txor-pid\tvanilla\t\t\t1\tr1\n"
                        "b\tdata/f1\txor-pid\tvanilla\t\t\t1\tdata/f1\n");
    free(text);
    free((char *)o.path);
}

/* ---- random values ---- */

static const char RANDOM[] =
    "a|spurious:1|xor-spurious|vanilla||optim.lr=log-uniform(1e-4,1e-1) "
    "optim.epochs=integer(1,30)|0\n"
    "b|spurious:1|xor-spurious|synib|random|mask.p={0.2,0.4} optim.lr=log-uniform(1e-4,1e-1)|1-2";

/* Value of "optim.lr" in the line of a run, up to the next space or cell. */
static void value_of(const char *text, const char *run, char out[64])
{
    const char *line = strstr(text, run), *at;
    size_t len;

    assert_non_null(line);
    at = strstr(line, "optim.lr=");
    assert_non_null(at);
    len = strcspn(at, " |");
    assert_true(len < 64);
    memcpy(out, at, len);
    out[len] = '\0';
}

/* The same bytes again, others for another seed, the first draws the same for more of them, and the
 * same value of a key in every row. */
static void test_draws(void **state)
{
    char *five = expand(state, RANDOM, 5, 1), *again = expand(state, RANDOM, 5, 1);
    char *other = expand(state, RANDOM, 5, 2), *nine = expand(state, RANDOM, 9, 1);
    char x[64], y[64];

    assert_string_equal(five, again);
    value_of(five, "\na-1|", x); /* pinned: the names of streams are part of what a seed means */
    assert_string_equal(x, "optim.lr=0.007659");
    assert_string_not_equal(five, other);
    value_of(five, "\na-3|", x);
    value_of(nine, "\na-3|", y);
    assert_string_equal(x, y);
    value_of(five, "\na-4|", y);
    assert_string_not_equal(x, y);
    value_of(five, "\nb-03_1|", y);
    assert_string_equal(x, y);
    value_of(five, "\nb-08_2|", y); /* the third draw at the second point of the grid */
    assert_string_equal(x, y);
    free(five);
    free(again);
    free(other);
    free(nine);
}

/* An end of a distribution may leave another key without effect, as long as it is not drawn. */
static void test_ends_without_effect(void **state)
{
    char *text = expand(state,
                        "a|spurious:1|xor-spurious|synib|random|synib.lambda=uniform(0,9) "
                        "mask.p={0.2,0.4}|0",
                        3, 1);
    struct search_options o = {
        put_rows(state, "a|spurious:1|xor-spurious|synib||mask.kind=choice(random,learned) "
                        "mask.p=0.3|0"),
        9, 1};
    size_t runs;
    struct err e = {0};

    assert_non_null(strstr(text, "\na-6|"));
    free(text);
    ASSERT_FAILS(search_expand(&text, &runs, &o, &e), e, ERR_DATA,
                 ":3: mask.p=0.3: has no effect without mask.kind = random");
    free((char *)o.path);
}

/* Draws that repeat an earlier one are left out. */
static void test_repeats(void **state)
{
    char *text =
        expand(state, "a|spurious:1|xor-spurious|vanilla||optim.epochs=integer(1,3)|0", 100, 3);

    assert_non_null(strstr(text, "\na-3|"));
    assert_null(strstr(text, "\na-4|"));
    assert_non_null(strstr(text, "epochs=1|"));
    assert_non_null(strstr(text, "epochs=2|"));
    assert_non_null(strstr(text, "epochs=3|"));
    free(text);
}

static int compare_doubles(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

enum { DRAWS = 10000 };
/* DRAWS values of a word, sorted; caller frees. */
static double *draw_all(const char *word)
{
    double *v = calloc(DRAWS, sizeof *v);
    struct dimension d;
    struct err e = {0};

    assert_non_null(v);
    ASSERT_OK(dimension_read(&d, word, &e), e);
    for (int i = 0; i < DRAWS; i++) {
        char buffer[DIMENSION_TEXT];

        v[i] = strtod(dimension_draw(&d, 17, (uint32_t)i, buffer), NULL);
    }
    qsort(v, DRAWS, sizeof *v, compare_doubles);
    dimension_free(&d);
    return v;
}

/* Deciles within four standard errors: sqrt(q (1 - q) / n) of a probability. */
static void test_distributions(void **state)
{
    static const struct {
        const char *word;
        double low, high;
        bool logs;
    } table[] = {
        {"a=uniform(-2,3)", -2, 3, false},
        {"b=uniform(0.12345678,0.9)", 0.12345678, 0.9, false},
        {"c=log-uniform(1e-5,1e-1)", 1e-5, 1e-1, true},
        {"d=log-uniform(3,3000)", 3, 3000, true},
    };
    (void)state;

    for (size_t t = 0; t < sizeof table / sizeof table[0]; t++) {
        double *v = draw_all(table[t].word), low = table[t].low, high = table[t].high;

        assert_true(v[0] >= low && v[DRAWS - 1] <= high);
        for (int q = 1; q < 10; q++) {
            double at = v[DRAWS * q / 10], p = (at - low) / (high - low);

            if (table[t].logs)
                p = log(at / low) / log(high / low);
            if (fabs(p - q / 10.0) > 4 * sqrt(0.25 / DRAWS))
                fail_msg("%s: decile %d is %g: quantile %g", table[t].word, q, at, p);
        }
        free(v);
    }
}

static void test_discrete(void **state)
{
    double *v = draw_all("a=integer(-1,3)"), *w = draw_all("b=choice(7,5,9)");
    int count[5] = {0}, chosen[3] = {0};
    (void)state;

    for (int i = 0; i < DRAWS; i++) {
        assert_true(v[i] >= -1 && v[i] <= 3 && v[i] == floor(v[i]));
        count[(int)v[i] + 1]++;
        chosen[w[i] == 7 ? 0 : w[i] == 5 ? 1 : 2]++;
    }
    for (int k = 0; k < 5; k++)
        assert_true(abs(count[k] - DRAWS / 5) < 4 * 40);
    for (int k = 0; k < 3; k++)
        assert_true(abs(chosen[k] - DRAWS / 3) < 4 * 48);
    free(v);
    free(w);
}

/* Four digits, no rounding past an end, whole numbers as such. */
static void test_rounding(void **state)
{
    static const struct {
        const char *word;
        double u;
        const char *want;
    } table[] = {
        {"a=uniform(0,1)", 0.123456, "0.1235"},
        {"a=uniform(0.123444,0.9)", 0, "0.123444"},
        {"a=uniform(0.1,0.999999)", 1, "0.999999"},
        {"a=uniform(0,1e6)", 0.123456789, "123500"},
        {"a=integer(0,123456789)", 1, "123456789"},
        {"a=integer(0,999999)", 0.5, "500000"},
        {"a=integer(-3,-1)", 0.999999, "-1"},
        {"a=log-uniform(0.01,100)", 0.5, "1"},
        {"a=choice(x,y)", 0.5, "y"},
        {"a=choice(x,y)", 1, "y"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char buffer[DIMENSION_TEXT];
        struct dimension d;
        struct err e = {0};

        ASSERT_OK(dimension_read(&d, table[i].word, &e), e);
        assert_string_equal(dimension_at(&d, table[i].u, buffer), table[i].want);
        dimension_free(&d);
    }
}

/* ---- faults ---- */

#define ROW(settings) "a|spurious:1|xor-spurious|synib|random|" settings "|1"
#define EIGHT "a=1 a=1 a=1 a=1 a=1 a=1 a=1 a=1"
#define NAME_64 "0123456789012345678901234567890123456789012345678901234567890123"

static void test_bad_rows(void **state)
{
    static const struct {
        const char *row, *says;
    } table[] = {
        {ROW("synib.lamda={1,2}"), "did you mean 'synib.lambda'?"},
        {ROW("mask.p={0.1,1.5}"), "mask.p: '1.5' is not a number from 0 to 1"},
        {ROW("mask.p=uniform(0.5,1.5)"), "mask.p: '1.5' is not a number from 0 to 1"},
        {ROW("mask.p=uniform(-1,1)"), "mask.p: '-1' is not a number from 0 to 1"},
        {ROW("mask.fill=choice(ema,zeroes)"), "mask.fill: unknown 'zeroes'"},
        {ROW("optim.epochs=uniform(1.5,3)"), "optim.epochs: '1.5' is not a whole number"},
        {ROW("mask.p={0.1,0.2"), "mask.p={0.1,0.2: does not end in '}'"},
        {ROW("mask.p=0.1,0.2}"), "is no value, {list} or distribution"},
        {ROW("mask.p={}"), "mask.p={}: an empty value"},
        {ROW("mask.p={0.1,}"), "an empty value"},
        {ROW("mask.p={0.1,0.2,0.1}"), "value 0.1 stands twice"},
        {ROW("mask.p={0.1, 0.2}"), "mask.p={0.1,: does not end in '}'"},
        {ROW("mask.p=normal(0,1)"), "distribution: unknown 'normal': one of choice"},
        {ROW("mask.p=uniform(0,1"), "mask.p=uniform(0,1: does not end in ')'"},
        {ROW("mask.p=uniform(0)"), "is not of two ends (a,b)"},
        {ROW("mask.p=uniform(0,0.5,1)"), "is not of two ends (a,b)"},
        {ROW("mask.p=uniform(0,x)"), "its upper end: 'x' is not a number"},
        {ROW("mask.p=uniform(0.5,0.4)"), "its lower end is not below its upper end"},
        {ROW("optim.lr=log-uniform(0,0.1)"), "its lower end is not above 0"},
        {ROW("optim.epochs=integer(1.5,3)"), "its lower end: '1.5' is not a whole number"},
        {ROW("mask.p={0.1,0.2} mask.p=0.3"), "mask.p=0.1 stands before it"},
        {ROW("mask.p={0.1,0.2}  optim.lr=1"), "one space between them"},
        {ROW("mask.p"), "mask.p: is not of the form key=value"},
        {ROW("mask.p={"), "mask.p={: does not end in '}'"},
        {ROW("mask.p=uniform("), "mask.p=uniform(: does not end in ')'"},
        {ROW("mask.p=uniform(x,1)"), "its lower end: 'x' is not a number"},
        {ROW("optim.epochs=integer(1,x)"), "its upper end: 'x' is not a whole number"},
        {ROW("optim.epochs=integer(1,1e16)"), "its upper end: '1e16' is not a whole number"},
        {ROW("optim.lr=uniform(0,1e16)"), "its upper end: '1e16' is not a number from"},
        {ROW("optim.lr=choice(1,,2)"), "an empty value"},
        {ROW(EIGHT " " EIGHT " " EIGHT " " EIGHT " a=1"), "settings: more than 32"},
        {"a|spurious:1|xor-spurious|vanilla||mask.p={0.1,0.2}|1", "vanilla has no use for it"},
        {"a|spurious:1|xor-spurious|synib||mask.kind={oracle,random} mask.space=latent|1",
         "an oracle mask marks input values"},
        {"a|spurious:1|xor-spurious|vanilla|||4-2", "seeds 4-2: they do not rise"},
        {"a|spurious:1|xor-spurious|vanilla|||1,3,2", "seeds 1,3,2: they do not rise"},
        {"a|spurious:1|xor-spurious|vanilla|||1,1", "they do not rise"},
        {"a|spurious:1|xor-spurious|vanilla|||1,", "seed: '' is not a whole number"},
        {"a|spurious:1|xor-spurious|vanilla|||-2", "seed: '' is not a whole number"},
        {"a|spurious:1|xor-spurious|vanilla|||1-2-3", "seed: '2-3' is not a whole number"},
        {"a|spurious:1|xor-spurious|vanilla|||", "seed: '' is not a whole number"},
        {"a|spurious:1|xor-spurious|vanilla|||0-100000", "seeds 0-100000: more than 100000"},
        {"a|spurious:1|xor-spurious|vanilla|||18446744073709551615",
         "seed: '18446744073709551615' is not a whole number from 0 to 2^53 - 1"},
        {"a|spurious:1|xor-spurious|vanilla|||18446744073709551614-18446744073709551615",
         "seed: '18446744073709551614' is not a whole number from 0 to 2^53 - 1"},
        {"a|spurious:1|xor-spurious|vanilla|||9007199254740990-9007199254740992",
         "seed: '9007199254740992' is not a whole number from 0 to 2^53 - 1"},
        {"a|spurious:1|xor-spurious|synib|random|mask.steps={3,4}|1",
         "mask.steps=3: has no effect without mask.kind = learned"},
        {"a|spurious:1|xor-spurious|synib|random|synib.lambda={1,0} mask.p=0.3|1",
         "mask.p=0.3: has no effect without synib.lambda > 0"},
        {"a b|spurious:1|xor-spurious|vanilla|||1", "run 'a b': a name has 1 to 64"},
        {NAME_64 "|spurious:1|xor-spurious|vanilla||optim.lr={1,2}|1", "-1': a name has 1 to 64"},
        {"a|spurious:x|xor-spurious|vanilla|||1", "strength: 'x' is not a number"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct search_options o = {put_rows(state, table[i].row), 0, 0};
        char where[512], *text;
        size_t runs;
        struct err e = {0};

        snprintf(where, sizeof where, "%s:3: ", o.path);
        if (search_expand(&text, &runs, &o, &e) != ERR_DATA || text != NULL ||
            strncmp(e.text, where, strlen(where)) != 0 || strstr(e.text, table[i].says) == NULL ||
            strchr(e.text, '\n') != NULL)
            fail_msg("%s: %d: '%s' instead of '%s'", table[i].row, e.code, e.text, table[i].says);
        free((char *)o.path);
    }
}

static void test_bad_searches(void **state)
{
    static const struct {
        const char *rows;
        int64_t draws;
        enum err_code code;
        const char *says;
    } table[] = {
        {ROW("mask.p=0.1") "\n" ROW("optim.lr=uniform(0,1)"), 0, ERR_USAGE,
         "search.tsv:4: has values to draw: give --draws N"},
        {ROW("mask.p={0.1,0.2}"), 3, ERR_USAGE, "search.tsv has nothing to draw"},
        {ROW("mask.p={0.1,0.2}") "\na-2|spurious:1|xor-spurious|vanilla|||1", 0, ERR_DATA,
         "search.tsv: run 'a-2' comes from lines 3 and 4"},
        {"a|spurious:1|xor-spurious|vanilla|||0-49999\nb|spurious:1|xor-spurious|vanilla|||0-50000",
         0, ERR_DATA, "search.tsv:4: makes more than 100000 runs with those before it"},
        {"a|spurious:1|xor-spurious|vanilla||optim.lr=uniform(0,1)|0-99999", SEARCH_RUNS, ERR_DATA,
         "search.tsv:3: makes more than 100000 runs"},
        {ROW("mask.p={0.1") "\n" ROW("mask.p={2}"), 0, ERR_DATA, "search.tsv:4: --set mask.p=2"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct search_options o = {put_rows(state, table[i].rows), table[i].draws, 0};
        char *text;
        size_t runs;
        struct err e = {0};

        ASSERT_FAILS(search_expand(&text, &runs, &o, &e), e, table[i].code, table[i].says);
        assert_null(text);
        free((char *)o.path);
    }
}

/* A list of whole numbers from 1: "{1,2,...}" behind a key. */
static size_t put_list(char *text, size_t size, const char *key, int values)
{
    size_t n = (size_t)snprintf(text, size, "%s={", key);

    for (int i = 1; i <= values; i++)
        n += (size_t)snprintf(text + n, size - n, "%s%d", i > 1 ? "," : "", i);
    return n + (size_t)snprintf(text + n, size - n, "}");
}

static void fails(void *const *state, const char *rows, int64_t draws, const char *says)
{
    struct search_options o = {put_rows(state, rows), draws, 0};
    char *text;
    size_t runs;
    struct err e = {0};

    ASSERT_FAILS(search_expand(&text, &runs, &o, &e), e, ERR_DATA, says);
    assert_null(text);
    free((char *)o.path);
}

/* Bounds: runs of one row's lists, with its draws, letters of its settings, and no rows at all. */
static void test_bounds(void **state)
{
    static char rows[32768];
    size_t n = (size_t)snprintf(rows, sizeof rows, "a|spurious:1|xor-spurious|vanilla||");

    n += put_list(rows + n, sizeof rows - n, "optim.batch", 317);
    rows[n++] = ' ';
    n += put_list(rows + n, sizeof rows - n, "optim.epochs", 317);
    snprintf(rows + n, sizeof rows - n, "|1");
    fails(state, rows, 0, "search.tsv:3: more than 100000 runs");

    n = (size_t)snprintf(rows, sizeof rows, "a|spurious:1|xor-spurious|vanilla||");
    n += put_list(rows + n, sizeof rows - n, "optim.epochs", 20);
    snprintf(rows + n, sizeof rows - n, " optim.lr=uniform(0,1)|1");
    fails(state, rows, 10000, "search.tsv:3: makes more than 100000 runs with those before it");

    n = (size_t)snprintf(rows, sizeof rows, "a|spurious:1|xor-spurious|vanilla||optim.lr=choice(");
    memset(rows + n, '1', 20000);
    snprintf(rows + n + 20000, sizeof rows - n - 20000, ",1)|1");
    {
        struct search_options o = {put_search(state, ""), 1, 0};
        FILE *f = fopen(o.path, "w");
        char *text;
        size_t runs;
        struct err e = {0};

        assert_non_null(f);
        for (const char *p = head; *p != '\0'; p++)
            fputc(*p == '|' ? '\t' : *p, f);
        for (const char *p = rows; *p != '\0'; p++)
            fputc(*p == '|' ? '\t' : *p, f);
        fputc('\n', f);
        assert_int_equal(fclose(f), 0);
        ASSERT_FAILS(search_expand(&text, &runs, &o, &e), e, ERR_DATA,
                     "search.tsv:3: settings: more than 16383 characters");
        free((char *)o.path);
    }
    {
        struct search_options o = {put_search(state, head), 0, 0};
        char *text;
        size_t runs;
        struct err e = {0};

        ASSERT_FAILS(search_expand(&text, &runs, &o, &e), e, ERR_DATA, "search.tsv: has no rows");
        free((char *)o.path);
    }
}

/* Twenty faults are listed and no more, of rows and of the names that they give their runs. */
static void test_many_faults(void **state)
{
    static const char *const row[] = {ROW("mask.p=2"),
                                      NAME_64 "|spurious:1|xor-spurious|vanilla|||1-2"};

    for (int kind = 0; kind < 2; kind++) {
        char rows[8192] = "";
        struct search_options o;
        size_t runs;
        char *text;
        int lines = 1;
        struct err e = {0};

        for (int i = 0; i < 25; i++) {
            strcat(rows, i > 0 ? "\n" : "");
            strcat(rows, row[kind]);
        }
        o = (struct search_options){put_rows(state, rows), 0, 0};
        assert_int_equal(search_expand(&text, &runs, &o, &e), ERR_DATA);
        for (const char *p = e.text; *p != '\0'; p++)
            lines += *p == '\n';
        assert_int_equal(lines, 20);
        free((char *)o.path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_grid, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_shipped),
        cmocka_unit_test_setup_teardown(test_group, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_draws, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_ends_without_effect, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_repeats, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_distributions),
        cmocka_unit_test(test_discrete),
        cmocka_unit_test(test_rounding),
        cmocka_unit_test_setup_teardown(test_bad_rows, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_bad_searches, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_bounds, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_many_faults, scratch_setup, scratch_teardown),
    };

    setenv("SYNIB_MANIFESTS", SOURCE_DIR "/manifests", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
