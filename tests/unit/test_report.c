/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "tests/support/check.h"
#include "train/report/boot.h"
#include "train/report/doc.h"
#include "train/report/label.h"
#include "train/report/report.h"
#include "train/report/svg.h"
#include "train/report/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a report computes and how it is written: against formulas and naive loops of this file. */

static void near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-12 * fmax(1, fabs(want))))
        fail_msg("%.17g instead of %.17g", got, want);
}

/* ---- mean, deviation, quantiles ---- */

static void test_summary(void **state)
{
    const double x[] = {0.25, 0.5, 0.375, 1};
    struct summary s = stats_summary(x, 4);

    (void)state;
    near(s.mean, 0.53125);
    near(s.sd, 0.32874445495957294); /* numpy.std(x, ddof=1) */
    assert_true(isnan(s.low) && isnan(s.high));
    s = stats_summary(x, 1);
    near(s.mean, 0.25);
    assert_true(isnan(s.sd));
    s = stats_summary(x, 0);
    assert_int_equal(s.n, 0);
    assert_true(isnan(s.mean) && isnan(s.sd));
}

static void test_quantile(void **state)
{
    const double x[] = {1, 2, 4, 8};
    double many[41];
    struct summary s;

    (void)state;
    near(stats_quantile(x, 4, 0), 1);
    near(stats_quantile(x, 4, 0.025), 1.075); /* numpy.quantile */
    near(stats_quantile(x, 4, 0.5), 3);
    near(stats_quantile(x, 4, 0.975), 7.7);
    near(stats_quantile(x, 4, 1), 8);
    near(stats_quantile(x, 1, 0.3), 1);
    for (int i = 0; i < 41; i++)
        many[i] = i * 17 % 41; /* 0..40 in another order */
    stats_interval(&s, many, 41);
    near(s.low, 1);
    near(s.high, 39);
}

/* ---- bootstrap ---- */

enum { RUNS = 3, CLASSES = 3, IRONY = 2, FIRST_N = 60, SECOND_N = 37, MOST_N = 400 };

static const char first_digest[] =
    "0123456789abcdef000000000000000000000000000000000000000000000000";
static const char second_digest[] =
    "fedcba9876543210000000000000000000000000000000000000000000000000";

/* Labels depend on the test set alone, guesses on the run too. */
static void fill_run(struct report_run *r, const char *digest, int64_t n, uint32_t who,
                     double right)
{
    *r = (struct report_run){.classes = CLASSES, .irony = IRONY, .n = n};
    strcpy(r->test, digest);
    r->label = calloc((size_t)n, 1);
    r->guess = calloc((size_t)n, 1);
    assert_true(r->label != NULL && r->guess != NULL);
    for (int64_t i = 0; i < n; i++) {
        struct rng g = rng_at(7, rng_stream("test.guess"), who, (uint32_t)i);
        struct rng l = rng_at(7, rng_stream("test.label"), 0, (uint32_t)i);

        r->label[i] = (uint8_t)rng_below(&l, CLASSES);
        r->guess[i] = rng_double(&g) < right ? r->label[i] : (uint8_t)rng_below(&g, CLASSES);
    }
}

static void free_runs(struct report_run *r, int n)
{
    for (int i = 0; i < n; i++) {
        free(r[i].label);
        free(r[i].guess);
    }
}

/* F1 of a class over the clips at[0..n), counted one by one. */
static double naive_f1(const struct report_run *r, const int64_t *at, int64_t n, int k)
{
    double hit = 0, wrong = 0;

    for (int64_t i = 0; i < n; i++) {
        int label = r->label[at[i]], guess = r->guess[at[i]];

        hit += label == k && guess == k;
        wrong += (label == k) != (guess == k);
    }
    return hit == 0 ? 0 : 2 * hit / (2 * hit + wrong);
}

static double naive_metric(const struct report_run *r, const int64_t *at, int64_t n, int metric)
{
    double sum = 0;

    if (metric == METRIC_IRONY_F1)
        return naive_f1(r, at, n, IRONY);
    if (metric == METRIC_MACRO_F1) {
        for (int k = 0; k < CLASSES; k++)
            sum += naive_f1(r, at, n, k);
        return sum / CLASSES;
    }
    for (int64_t i = 0; i < n; i++)
        sum += r->label[at[i]] == r->guess[at[i]];
    return sum / (double)n;
}

/* The clips of replicate b, as docs/formats/report.md says. */
static void naive_draw(const struct report_run *r, uint64_t seed, int b, int64_t *at)
{
    uint64_t key =
        strcmp(r->test, first_digest) == 0 ? 0x0123456789abcdefULL : 0xfedcba9876543210ULL;
    struct rng g = rng_at(key ^ seed, rng_stream("report.bootstrap"), (uint32_t)b, 0);

    for (int64_t i = 0; i < r->n; i++)
        at[i] = rng_below(&g, (uint32_t)r->n);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* sign[i]: +1, -1 or 0, whether run i is added, subtracted or not there; count: terms of the mean.
 */
static void naive_interval(const struct report_run *r, const int *sign, double count, int metric,
                           uint64_t seed, double *low, double *high)
{
    static double mean[BOOT_REPLICATES];
    int64_t at[MOST_N];

    for (int b = 0; b < BOOT_REPLICATES; b++) {
        mean[b] = 0;
        for (int i = 0; i < RUNS; i++) {
            naive_draw(&r[i], seed, b, at);
            if (sign[i] != 0)
                mean[b] += sign[i] * naive_metric(&r[i], at, r[i].n, metric) / count;
        }
    }
    qsort(mean, BOOT_REPLICATES, sizeof *mean, by_value);
    /* positions 49.975 and 1949.025 of 0..1999 */
    *low = mean[49] + 0.975 * (mean[50] - mean[49]);
    *high = mean[1949] + 0.025 * (mean[1950] - mean[1949]);
}

static void fill_three(struct report_run r[RUNS], const struct report_run *at[RUNS])
{
    fill_run(&r[0], first_digest, FIRST_N, 1, 0.7);
    fill_run(&r[1], second_digest, SECOND_N, 2, 0.5);
    fill_run(&r[2], first_digest, FIRST_N, 3, 0.4);
    for (int i = 0; i < RUNS; i++)
        at[i] = &r[i];
}

static void test_bootstrap_is_the_formula(void **state)
{
    const struct report_run *at[RUNS];
    struct report_run r[RUNS];
    struct boot b;
    struct err e = {0};

    (void)state;
    fill_three(r, at);
    for (uint64_t seed = 0; seed < 2; seed++) {
        ASSERT_OK(boot_init(&b, at, RUNS, seed, 1, NULL, &e), e);
        for (int m = METRIC_IRONY_F1; m <= METRIC_ACCURACY; m++) {
            struct summary s;
            double low, high;

            ASSERT_OK(boot_interval(&b, &s, (size_t[]){0, 1}, NULL, 2, m, &e), e);
            naive_interval(r, (int[]){1, 1, 0}, 2, m, seed, &low, &high);
            near(s.low, low);
            near(s.high, high);
            /* paired: the same clips for both */
            ASSERT_OK(boot_interval(&b, &s, (size_t[]){0}, (size_t[]){2}, 1, m, &e), e);
            naive_interval(r, (int[]){1, 0, -1}, 1, m, seed, &low, &high);
            near(s.low, low);
            near(s.high, high);
            assert_true(s.low < s.high);
        }
        boot_free(&b);
    }
    free_runs(r, RUNS);
}

static void test_bootstrap_repeats(void **state)
{
    const struct report_run *at[RUNS];
    struct report_run r[RUNS];
    struct boot one, three, alone;
    struct summary s, t;
    struct err e = {0};

    (void)state;
    fill_three(r, at);
    ASSERT_OK(boot_init(&one, at, RUNS, 5, 1, NULL, &e), e);
    ASSERT_OK(boot_init(&three, at, RUNS, 5, 3, NULL, &e), e);
    assert_memory_equal(one.value, three.value,
                        sizeof(double) * BOOT_REPLICATES * RUNS * METRIC_RESAMPLED);
    /* a cell does not depend on what else is reported */
    ASSERT_OK(boot_init(&alone, &at[1], 1, 5, 2, NULL, &e), e);
    ASSERT_OK(boot_interval(&one, &s, (size_t[]){1}, NULL, 1, METRIC_KAPPA, &e), e);
    ASSERT_OK(boot_interval(&alone, &t, (size_t[]){0}, NULL, 1, METRIC_KAPPA, &e), e);
    assert_true(s.low == t.low && s.high == t.high);
    boot_free(&one);
    boot_free(&three);
    boot_free(&alone);
    free_runs(r, RUNS);
}

/* Of a plain share the interval is near mean -+ 1.96 sqrt(p (1 - p) / n). */
static void test_bootstrap_width(void **state)
{
    struct report_run r;
    const struct report_run *at = &r;
    double p = 0, half;
    struct boot b;
    struct summary s;
    struct err e = {0};

    (void)state;
    fill_run(&r, first_digest, MOST_N, 9, 0.6);
    for (int i = 0; i < MOST_N; i++)
        p += (double)(r.label[i] == r.guess[i]) / MOST_N;
    half = 1.96 * sqrt(p * (1 - p) / MOST_N);
    ASSERT_OK(boot_init(&b, &at, 1, 0, 2, NULL, &e), e);
    ASSERT_OK(boot_interval(&b, &s, (size_t[]){0}, NULL, 1, METRIC_ACCURACY, &e), e);
    assert_true(fabs(s.low - (p - half)) < 0.1 * half && fabs(s.high - (p + half)) < 0.1 * half);
    boot_free(&b);
    free_runs(&r, 1);
}

/* Kappa does not exist where all is one class, there and predicted: such a replicate counts as 0.
 * Of two clips of other classes that is one of the two drawn twice. */
static void test_bootstrap_without_kappa(void **state)
{
    struct report_run r;
    const struct report_run *run = &r;
    int one_class = 0;
    struct boot b;
    struct err e = {0};

    (void)state;
    fill_run(&r, first_digest, 2, 1, 1);
    for (int i = 0; i < 2; i++)
        r.label[i] = r.guess[i] = (uint8_t)i;
    ASSERT_OK(boot_init(&b, &run, 1, 0, 1, NULL, &e), e);
    for (int k = 0; k < BOOT_REPLICATES; k++) {
        int64_t at[2];

        naive_draw(&r, 0, k, at);
        near(b.value[k * METRIC_RESAMPLED + METRIC_KAPPA], at[0] == at[1] ? 0 : 1);
        one_class += at[0] == at[1];
    }
    assert_true(one_class > 0.4 * BOOT_REPLICATES && one_class < 0.6 * BOOT_REPLICATES);
    boot_free(&b);
    free_runs(&r, 1);
}

static void test_bootstrap_same_set_other_labels(void **state)
{
    const struct report_run *at[RUNS];
    struct report_run r[RUNS];
    struct boot b;
    struct err e = {0};

    (void)state;
    fill_three(r, at);
    r[0].path = "one";
    r[2].path = "two";
    r[2].label[3] ^= 1;
    ASSERT_FAILS(boot_init(&b, at, RUNS, 0, 1, NULL, &e), e, ERR_DATA,
                 "one and two: name the same test data");
    boot_free(&b);
    free_runs(r, RUNS);
}

/* ---- cells and pairs ---- */

enum { METHODS = 2, REPORTED = 6 };

/* Runs of two methods; no accuracies add up to the same, and the last has no macro F1. */
static void fill_report(struct report *r, struct report_run run[REPORTED])
{
    static const struct {
        int row;
        uint64_t seed;
        const char *test;
    } of[REPORTED] = {{0, 1, first_digest}, {0, 2, first_digest},  {0, 1, second_digest},
                      {1, 2, first_digest}, {1, 1, second_digest}, {1, 3, first_digest}};

    for (int i = 0; i < REPORTED; i++) {
        fill_run(&run[i], of[i].test, of[i].test == first_digest ? FIRST_N : SECOND_N, (uint32_t)i,
                 0.3 + 0.1 * i);
        run[i].row = of[i].row;
        run[i].seed = of[i].seed;
        for (int m = 0; m < REPORT_METRICS; m++)
            run[i].value[m] = (1 << i) / 64.0;
    }
    run[REPORTED - 1].value[METRIC_MACRO_F1] = NAN;
    r->run = run;
    r->all = r->n = REPORTED;
    r->rows = METHODS;
    r->columns = 1;
}

/* A cell's mean is of the runs that have a value; its interval is of all of them or not given. A
 * difference is of runs with one test set and seed, those without a partner left out. */
static void test_cells_and_pairs(void **state)
{
    struct report_options opt = {.cli = {.log = {.tool = "test", .level = LOG_QUIET}, .jobs = 1}};
    struct report_run run[REPORTED];
    struct report r = {.opt = &opt};
    const struct summary *cell;
    struct summary s, want;
    struct err e = {0};

    (void)state;
    fill_report(&r, run);
    ASSERT_OK(report_measure(&r, &e), e);
    cell = report_cell(&r, 1, 0, METRIC_ACCURACY);
    assert_int_equal(cell->n, 3);
    near(cell->mean, (8 + 16 + 32) / 64.0 / 3);
    ASSERT_OK(boot_interval(&r.boot, &want, (size_t[]){3, 4, 5}, NULL, 3, METRIC_ACCURACY, &e), e);
    assert_true(cell->low == want.low && cell->high == want.high);
    cell = report_cell(&r, 1, 0, METRIC_MACRO_F1);
    assert_int_equal(cell->n, 2);
    near(cell->mean, (8 + 16) / 64.0 / 2);
    assert_true(isnan(cell->low) && isnan(cell->high));
    ASSERT_OK(report_difference(&r, 1, 0, 0, METRIC_ACCURACY, &s, &e), e);
    assert_int_equal(s.n, 2);
    near(s.mean, (8 - 2 + 16 - 4) / 64.0 / 2);
    ASSERT_OK(
        boot_interval(&r.boot, &want, (size_t[]){3, 4}, (size_t[]){1, 2}, 2, METRIC_ACCURACY, &e),
        e);
    assert_true(s.low == want.low && s.high == want.high);
    boot_free(&r.boot);
    free(r.cell);
    free_runs(run, REPORTED);
}

/* ---- labels ---- */

static void test_labels(void **state)
{
    const char *base[] = {"synib", "synib", "synib", "vanilla", "vanilla"};
    const char *text[] = {"a = 1\nb = 2\n", "a = 1\nb = 3\n", "a = 1\nb = 2\n", "a = 7\n",
                          "a = 7\nc = x y\n"};
    const char *want[] = {"synib, b=2", "synib, b=3", "synib, b=2", "vanilla", "vanilla, c=x y"};
    char *got[5], name[64];
    struct err e = {0};

    (void)state;
    ASSERT_OK(labels_make(got, base, text, 5, &e), e);
    for (int i = 0; i < 5; i++) {
        assert_string_equal(got[i], want[i]);
        free(got[i]);
    }
    label_method(name, sizeof name, "vanilla", "");
    assert_string_equal(name, "vanilla");
    label_method(name, sizeof name, "synib", "random");
    assert_string_equal(name, "synib");
    label_method(name, sizeof name, "synib", "learned");
    assert_string_equal(name, "synib (learned)");
    assert_true(label_method_rank("uni-video") < label_method_rank("uni-audio"));
    assert_true(label_method_rank("mcr") < label_method_rank("synib"));
    assert_true(label_method_rank("synib") < label_method_rank("masking-only"));
    assert_int_equal(label_method_rank("masking-only"), label_method_rank("another"));
}

static void test_settings(void **state)
{
    struct err e = {0};
    char *text;

    (void)state;
    ASSERT_OK(label_settings(&text,
                             "method = synib\nseed = 3\ndata.train = ab\ndata.kind = media\n"
                             "init.audio = cd\ninit.encoders = scratch\noptim.lr = 0.1\n"
                             "mask.kind = random\nmask.p = 0.2\n",
                             &e),
              e);
    assert_string_equal(text, "init.encoders = scratch\noptim.lr = 0.1\nmask.p = 0.2\n");
    free(text);
}

/* ---- writing ---- */

static char *written(void (*write)(FILE *f, const char *text), const char *text)
{
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);

    assert_non_null(f);
    write(f, text);
    assert_int_equal(fclose(f), 0);
    return out;
}

static void test_escapes(void **state)
{
    static const struct {
        void (*write)(FILE *f, const char *text);
        const char *text, *want;
    } cases[] = {
        {html_escape, "<a href=\"x\">'&'\n", "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;<br>"},
        {latex_escape, "50 % of $x_1 & #2 {\\a} ~ ^ <> ± − —",
         "50 \\% of \\$x\\_1 \\& \\#2 \\{\\textbackslash{}a\\} \\textasciitilde{} "
         "\\textasciicircum{} \\textless{}\\textgreater{} $\\pm$ $-$ ---"},
        {markdown_escape, "a|b *c* _d_ e_f <g> `h` \\ & i\nj",
         "a\\|b \\*c\\* \\_d\\_ e_f &lt;g> \\`h\\` \\\\ &amp; i<br>j"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *got = written(cases[i].write, cases[i].text);

        assert_string_equal(got, cases[i].want);
        free(got);
    }
}

static void test_numbers(void **state)
{
    char text[SCORE_TEXT];
    struct summary s = {3, -0.01234, 0.005, -0.04, 0.0004};

    (void)state;
    text_difference(text, &s);
    assert_string_equal(text, "−1.2 ± 0.5");
    text_interval(text, &s, true);
    assert_string_equal(text, "[−4.0, 0.0]");
    s.mean = 0.4567;
    s.sd = NAN;
    text_score(text, &s);
    assert_string_equal(text, "45.7");
    text_difference(text, &s);
    assert_string_equal(text, "+45.7");
    text_score_as(text, &s, false);
    assert_string_equal(text, "0.457");
    s.n = 0;
    text_score(text, &s);
    assert_string_equal(text, "—");
    s.low = NAN;
    text_interval(text, &s, false);
    assert_string_equal(text, "");
}

static char *document(enum err_code (*write)(const struct doc *d, FILE *f, struct err *e))
{
    struct doc d = {0};
    struct err e = {0};
    struct grid *g;
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);

    assert_non_null(f);
    doc_add(&d, DOC_TITLE, "A & B");
    doc_add(&d, DOC_WARNING, "line\nbreak %d", 1);
    ASSERT_OK(doc_grid(&d, &g, "x", 2, 2, "cap_tion", &e), e);
    grid_set(g, 0, 0, "m");
    grid_set(g, 0, 1, "r");
    grid_set(g, 1, 0, "v");
    grid_set(g, 1, 1, "1\n[2]");
    grid_shade(g, 1, 1, 1);
    ASSERT_OK(write(&d, f, &e), e);
    assert_int_equal(fclose(f), 0);
    doc_free(&d);
    return out;
}

static void test_documents(void **state)
{
    char *text = document(doc_write_markdown);

    (void)state;
    assert_string_equal(text, "# A &amp; B\n\n**Warning:** line<br>break 1\n\n**cap_tion**\n\n"
                              "| m | r |\n|---|---|\n| v | 1<br>[2] |\n\n");
    free(text);
    text = document(doc_write_latex);
    assert_non_null(strstr(text, "% A & B\n% line break 1\n"));
    assert_non_null(strstr(text, "\\caption{cap\\_tion}\n\\label{tab:synib-x}\n"
                                 "\\begin{tabular}{lc}\n\\toprule\nm & r \\\\\n\\midrule\n"
                                 "v & \\begin{tabular}[t]{@{}c@{}}1\\\\{}[2]\\end{tabular} \\\\\n"
                                 "\\bottomrule\n"));
    free(text);
    text = document(doc_write_html);
    assert_non_null(strstr(text, "<title>A &amp; B</title>"));
    assert_non_null(strstr(text, "<th scope=\"row\">v</th><td style=\"background:rgb(130,185,240)"
                                 "\">1<br>[2]</td></tr>"));
    assert_null(strstr(text, "<script"));
    free(text);
}

static int count(const char *text, const char *what)
{
    int n = 0;

    for (const char *p = text; (p = strstr(p, what)) != NULL; p++)
        n++;
    return n;
}

static char *draw(const struct svg_line *line, int lines)
{
    struct svg_plot plot = {"a < b", "epoch", line, lines, false};
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);

    assert_non_null(f);
    svg_write(f, &plot);
    assert_int_equal(fclose(f), 0);
    return out;
}

static void test_svg(void **state)
{
    const double broken[] = {0.1, 0.2, NAN, 0.4, 0.3, NAN, 0.2}, level[] = {0.25};
    const struct svg_line line[] = {{"x & <y>", broken, 7, 0}, {"level", level, 1, 8}};
    char *text = draw(line, 2);

    (void)state;
    assert_int_equal(count(text, "<polyline"), 2);
    assert_int_equal(count(text, "<circle"), 1);
    assert_int_equal(count(text, "stroke-dasharray=\"1 4\""), 1);
    assert_non_null(strstr(text, "<title>a &lt; b</title>"));
    assert_non_null(strstr(text, ">x &amp; &lt;y&gt;</text>"));
    assert_null(strstr(text, "nan"));
    /* y from 0.1 to 0.4: the lowest value on the axis, the highest at the top */
    assert_non_null(strstr(text, "points=\"52.0,260.0 "));
    assert_non_null(strstr(text, ">0.40</text>"));
    free(text);
    text = draw(NULL, 0);
    assert_int_equal(count(text, "<polyline"), 0);
    assert_non_null(strstr(text, "</svg>"));
    free(text);
    near(svg_step(1, 6), 0.2);
    near(svg_step(0.4, 6), 0.1);
    near(svg_step(30, 8), 5);
    near(svg_step(1500, 8), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_quantile),
        cmocka_unit_test(test_bootstrap_is_the_formula),
        cmocka_unit_test(test_bootstrap_repeats),
        cmocka_unit_test(test_bootstrap_width),
        cmocka_unit_test(test_bootstrap_without_kappa),
        cmocka_unit_test(test_bootstrap_same_set_other_labels),
        cmocka_unit_test(test_cells_and_pairs),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_svg),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
