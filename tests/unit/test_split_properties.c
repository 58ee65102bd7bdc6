/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "prep/clip_name.h"
#include "prep/irony.h"
#include "prep/split.h"
#include "tests/support/check.h"
#include "tests/support/damage.h"
#include "tests/support/scratch.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Random corpora, split and mutated: what must hold of every one of them
 * (docs/reliability/splits.md). `test_split_properties --full [--seed N]`: all folds and rates of
 * the reference, and ten times as many corpora. */

enum { MAX_ACTORS = 24, MAX_CLIPS = 400, CORPORA = 10000, SEEDS = 1000 };

static struct strength how;

#define MANIFESTS SOURCE_DIR "/manifests"

/* R section 2 in words: HAP against SAD FEA DIS ANG both ways, NEU gets anything but NEU. */
static bool contradicts(int base, int donor)
{
    if (base == 0)
        return donor != 0;
    return base == 1 ? donor >= 2 : donor == 1;
}

/* ---- random corpora ---- */

struct row {
    char clip[CLIP_NAME_SIZE];
    int actor, label;
    bool rejected;
};
struct drawn {
    struct row row[MAX_CLIPS];
    int rows, actors; /* actors with an accepted clip */
};

static const struct row *row_of(const struct drawn *d, const char *clip)
{
    for (int i = 0; i < d->rows; i++)
        if (strcmp(d->row[i].clip, clip) == 0)
            return &d->row[i];
    return NULL;
}

static void draw_corpus(struct drawn *d, struct rng *r)
{
    static const char *const levels[] = {"XX", "LO", "MD", "HI"};
    int actors = 3 + (int)rng_below(r, MAX_ACTORS - 2);
    int most = 1 + (int)rng_below(r, 16), labels = 2 + (int)rng_below(r, 5);

    *d = (struct drawn){0};
    for (int a = 0; a < actors; a++) {
        bool accepted = false;

        for (int c = (int)rng_below(r, (uint32_t)most + 1); c > 0; c--) {
            struct row *row = &d->row[d->rows++];

            row->actor = 1001 + 3 * a;
            row->label = (int)rng_below(r, (uint32_t)labels);
            row->rejected = rng_below(r, 8) == 0;
            do
                snprintf(row->clip, sizeof row->clip, "%d_%s_%s_%s", row->actor,
                         sentence_codes[rng_below(r, 12)], emotion_codes[row->label],
                         levels[rng_below(r, 4)]);
            while (row_of(d, row->clip) != row);
            accepted = accepted || !row->rejected;
        }
        d->actors += accepted;
    }
}

static void shuffle(struct drawn *d, struct rng *r)
{
    for (int i = d->rows; i > 1; i--) {
        int j = (int)rng_below(r, (uint32_t)i);
        struct row swap = d->row[i - 1];

        d->row[i - 1] = d->row[j];
        d->row[j] = swap;
    }
}

/* Not atomic_file: its fsync would take most of the time. */
static FILE *put(const char *path, const char *head)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_true(fputs(head, f) >= 0);
    return f;
}

static void read_corpus(struct corpus *c, const struct drawn *d, const char *path)
{
    FILE *f = put(path, "#synib-clips 1\nclip\tactor\tlabel\tverdict\treason\n");
    struct err e = {0};

    for (int i = 0; i < d->rows; i++)
        fprintf(f, "%s\t%d\t%d\t%s\t%s\n", d->row[i].clip, d->row[i].actor, d->row[i].label,
                d->row[i].rejected ? "rejected" : "accepted", d->row[i].rejected ? "broken" : "");
    assert_int_equal(fclose(f), 0);
    ASSERT_OK(corpus_read(c, path, &e), e);
}

/* ---- splits ---- */

/* Every accepted clip stands in the table once, as itself, and nothing else does. */
static void check_complete(const struct split_table *t, const struct drawn *d)
{
    static bool seen[MAX_CLIPS];
    size_t accepted = 0;

    memset(seen, 0, sizeof seen);
    for (int i = 0; i < d->rows; i++)
        accepted += !d->row[i].rejected;
    assert_int_equal(t->count, accepted);
    for (size_t i = 0; i < t->count; i++) {
        const struct row *row = row_of(d, t->row[i].clip);

        assert_non_null(row);
        assert_false(row->rejected || seen[row - d->row]);
        seen[row - d->row] = true;
        assert_int_equal(t->row[i].actor, row->actor);
        assert_int_equal(t->row[i].label, row->label);
    }
}

/* Actors in more than one part, counted clip against clip. */
static size_t count_leaks(const struct split_table *t)
{
    int32_t leaking[MAX_ACTORS];
    size_t n = 0;

    for (size_t i = 0; i < t->count; i++)
        for (size_t j = 0; j < i; j++) {
            bool known = false;

            if (t->row[i].actor != t->row[j].actor || t->row[i].part == t->row[j].part)
                continue;
            for (size_t k = 0; k < n; k++)
                known = known || leaking[k] == t->row[i].actor;
            if (!known)
                leaking[n++] = t->row[i].actor;
        }
    return n;
}

static void check_same_table(const struct split_table *a, const struct split_table *b)
{
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->row, b->row, a->count * sizeof *a->row);
}

/* kfold: complete, disjoint, and the same for another order of the manifest. */
static void check_kfold(struct split_table *t, const struct drawn *d, struct rng *r,
                        const char *path)
{
    int folds = 3 + (int)rng_below(r, (uint32_t)d->actors - 2);
    int fold = (int)rng_below(r, (uint32_t)folds);
    uint64_t seed = rng_u32(r);
    struct drawn other = *d;
    struct split_table again;
    struct corpus a, b;
    struct err e = {0};
    size_t leaks;

    read_corpus(&a, d, path);
    shuffle(&other, r);
    read_corpus(&b, &other, path);
    ASSERT_OK(split_kfold(t, &a, seed, folds, fold, &e), e);
    ASSERT_OK(split_kfold(&again, &b, seed, folds, fold, &e), e);
    check_same_table(t, &again);
    check_complete(t, d);
    assert_int_equal(count_leaks(t), 0);
    ASSERT_OK(split_table_check_speakers(t, "t", &leaks, &e), e);
    assert_int_equal(leaks, 0);
    split_table_free(&again);
    corpus_free(&a);
    corpus_free(&b);
}

/* A user's table by clip puts actors anywhere: leaks are found, each and no other. */
static size_t check_leaky_table(const struct drawn *d, struct rng *r, const char *clips,
                                const char *folds)
{
    FILE *f = put(folds, "#synib-folds 1\nclip\tpart\n");
    struct drop_list dropped = {0};
    struct split_table t;
    struct corpus c;
    size_t leaks, found = 0;
    struct left_out left;
    struct err e = {0};

    for (int i = 0; i < d->rows; i++)
        fprintf(
            f, "%s\t%s\n", d->row[i].clip,
            part_names[rng_below(r, 12) == 0 ? rng_below(r, 3) : (uint32_t)d->row[i].actor % 3]);
    assert_int_equal(fclose(f), 0);
    read_corpus(&c, d, clips);
    ASSERT_OK(split_by_table(&t, &c, folds, -1, &left, &dropped, &e), e);
    check_complete(&t, d);
    leaks = count_leaks(&t);
    assert_int_equal(split_table_check_speakers(&t, "t", &found, &e),
                     leaks > 0 ? ERR_DATA : ERR_OK);
    assert_int_equal(found, leaks);
    err_clear(&e);
    left_out_free(&left);
    drop_list_free(&dropped);
    split_table_free(&t);
    corpus_free(&c);
    return leaks;
}

/* ---- mutation ---- */

static bool obeys(enum donor_rule rule, const struct plan_clip *a, const struct plan_clip *b)
{
    return rule == DONORS_REFERENCE || (rule == DONORS_SAME_ACTOR && a->actor == b->actor) ||
           (rule == DONORS_SAME_SENTENCE && a->sentence == b->sentence);
}

static bool is_candidate(const struct irony_part *p, size_t i, size_t j, bool matched)
{
    int a = p->clip[i].label, b = p->clip[j].label;

    return i != j && (matched ? a == b : contradicts(a, b));
}

/* True when clip i has a donor that obeys `rule`. */
static bool has_donor(const struct irony_part *p, size_t i, bool matched, enum donor_rule rule)
{
    for (size_t j = 0; j < p->n; j++)
        if (is_candidate(p, i, j, matched) && obeys(rule, &p->clip[i], &p->clip[j]))
            return true;
    return false;
}

/* Python's round() of rate * n / C, at most n: halves to even, written out apart from rint(). */
static size_t how_many(const struct irony_part *p, double rate)
{
    bool seen[N_EMOTIONS] = {false};
    double x, low, labels = 0.0;

    for (size_t i = 0; i < p->n; i++) {
        labels += !seen[p->clip[i].label];
        seen[p->clip[i].label] = true;
    }
    x = p->n > 0 ? rate * ((double)p->n / labels) : 0.0;
    low = floor(x);
    if (x - low > 0.5 || (x - low == 0.5 && fmod(low, 2.0) != 0.0))
        low += 1.0;
    return low < (double)p->n ? (size_t)low : p->n;
}

/* Each base once. */
static void check_bases(const struct irony_part *p)
{
    static bool seen[MAX_CLIPS];

    memset(seen, 0, sizeof seen);
    for (size_t b = 0; b < p->plan.mutated; b++) {
        size_t i = p->plan.base[b];

        assert_true(i < p->n && !seen[i]);
        seen[i] = true;
        assert_true(p->plan.donor[i] >= 0 && !p->plan.is_matched[i]);
    }
}

static void check_donors(const struct irony_part *p, const struct plan_options *opt)
{
    size_t with_donor = 0, matched = 0;

    for (size_t i = 0; i < p->n; i++) {
        bool swap = p->plan.is_matched[i];
        enum donor_rule rule = swap ? opt->matched_rule : opt->rule;
        int64_t at = p->plan.donor[i];
        int32_t label = irony_plan_label(&p->plan, p->clip, i);

        assert_int_equal(p->row[i]->part, p->part);
        assert_int_equal(label, at >= 0 && !swap ? LABEL_IRONY : p->clip[i].label);
        if (at < 0)
            continue;
        with_donor++;
        matched += swap;
        assert_true((size_t)at < p->n); /* hence of the same part */
        assert_true(is_candidate(p, i, (size_t)at, swap));
        if (p->plan.fell_back[i])
            assert_false(has_donor(p, i, swap, rule));
        else
            assert_true(obeys(rule, &p->clip[i], &p->clip[at]));
    }
    assert_int_equal(with_donor, p->plan.mutated + p->plan.matched);
    assert_int_equal(matched, p->plan.matched);
}

/* Refused, and rightly: some clip has no donor at all, or none that the rule allows. */
static bool may_refuse(const struct irony_part *p, const struct plan_options *opt)
{
    enum donor_rule rule = opt->fallback ? DONORS_REFERENCE : opt->rule;
    enum donor_rule matched = opt->fallback ? DONORS_REFERENCE : opt->matched_rule;

    for (size_t i = 0; i < p->n; i++)
        if (!has_donor(p, i, false, rule) ||
            (opt->matched_rate > 0.0 && !has_donor(p, i, true, matched)))
            return true;
    return false;
}

/* Returns whether the part could be mutated. */
static bool check_part(const struct split_table *t, enum part part, const struct plan_options *opt)
{
    struct irony_part p, again;
    struct err e = {0};
    bool made;
    size_t left;

    ASSERT_OK(irony_part_init(&p, t, part, NULL, NULL, &e), e);
    made = irony_part_plan(&p, opt, &e) == ERR_OK;
    if (!made) {
        assert_int_equal(e.code, ERR_DATA);
        assert_true(may_refuse(&p, opt));
        irony_part_free(&p);
        return false;
    }
    assert_int_equal(p.plan.mutated, how_many(&p, opt->rate));
    left = p.n - p.plan.mutated;
    assert_int_equal(p.plan.matched, how_many(&p, opt->matched_rate) < left
                                         ? how_many(&p, opt->matched_rate)
                                         : left);
    check_bases(&p);
    check_donors(&p, opt);
    ASSERT_OK(irony_part_init(&again, t, part, NULL, NULL, &e), e);
    ASSERT_OK(irony_part_plan(&again, opt, &e), e);
    assert_string_equal(p.digest, again.digest);
    irony_part_free(&again);
    irony_part_free(&p);
    return true;
}

static void test_random_corpora(void **state)
{
    int corpora = how.full ? 10 * CORPORA : CORPORA, refused = 0, made = 0, leaky = 0;
    char *clips = scratch_path(*state, "clips.tsv"), *folds = scratch_path(*state, "folds.tsv");
    struct contradiction map;
    struct err e = {0};

    ASSERT_OK(contradiction_read(&map, MANIFESTS, &e), e);
    for (int trial = 0; trial < corpora; trial++) {
        static struct drawn d;
        struct rng r = rng_at(how.seed, rng_stream("test.corpora"), 0, (uint32_t)trial);
        struct plan_options opt = {.map = map, .seed = rng_u32(&r)};
        struct split_table t;

        do
            draw_corpus(&d, &r);
        while (d.actors < 3);
        check_kfold(&t, &d, &r, clips);
        leaky += check_leaky_table(&d, &r, clips, folds) > 0;
        opt.rate = rng_below(&r, 4) == 0 ? 0.5 * rng_below(&r, 8) : 4.0 * rng_double(&r);
        opt.matched_rate = rng_below(&r, 2) == 0 ? 0.0 : 3.0 * rng_double(&r);
        opt.rule = (enum donor_rule)rng_below(&r, 3);
        opt.matched_rule = (enum donor_rule)rng_below(&r, 3);
        opt.fallback = rng_below(&r, 4) != 0;
        for (int p = 0; p < N_PARTS; p++) {
            if (check_part(&t, (enum part)p, &opt))
                made++;
            else
                refused++;
        }
        split_table_free(&t);
    }
    print_message("%d corpora of seed %" PRIu64 ": %d parts mutated, %d refused, %d leaky tables\n",
                  corpora, how.seed, made, refused, leaky);
    assert_true(made > corpora && refused > 0 && leaky > corpora / 10 && leaky < corpora);
    free(clips);
    free(folds);
}

/* ---- the reference ---- */

static void test_reference_counts(void **state)
{
    static const size_t want[5][N_PARTS] = {
        {4043, 878, 899}, {4024, 881, 915}, {4017, 869, 934}, {4046, 896, 878}, {4068, 844, 908}};

    (void)state;
    for (int f = 0; f < 5; f++) {
        struct part_counts counts[N_PARTS];
        struct split_table t;
        struct err e = {0};

        ASSERT_OK(split_table_reference(&t, MANIFESTS, f, &e), e);
        ASSERT_OK(split_table_check_speakers(&t, "reference", NULL, &e), e);
        ASSERT_OK(split_table_count(&t, counts, &e), e);
        for (int p = 0; p < N_PARTS; p++)
            assert_int_equal(counts[p].clips, want[f][p]);
        split_table_free(&t);
    }
}

/* P(X > chi) of a chi-square variable with k degrees of freedom: 1 - P(k / 2, chi / 2), P by its
 * series. */
static double chi_square_tail(double chi, int k)
{
    double a = k / 2.0, x = chi / 2.0, term = 1.0 / a, sum = term;

    for (int n = 1; n < 10000 && term > 1e-17 * sum; n++) {
        term *= x / (a + n);
        sum += term;
    }
    return 1.0 - sum * exp(-x + a * log(x) - lgamma(a));
}

/* How often bases of label b got donors of label d, over all seeds. */
struct donor_counts {
    double got[N_EMOTIONS][N_EMOTIONS];
    double clips[N_EMOTIONS];
};

static double lowest_p(const struct donor_counts *c)
{
    double lowest = 1.0;

    for (int b = 0; b < 2; b++) { /* the others have one donor label only */
        double bases = 0.0, pool = 0.0, chi = 0.0, p;
        int k = -1;

        for (int d = 0; d < N_EMOTIONS; d++) {
            bases += c->got[b][d];
            pool += contradicts(b, d) ? c->clips[d] : 0.0;
        }
        for (int d = 0; d < N_EMOTIONS; d++) {
            double expected = contradicts(b, d) ? bases * c->clips[d] / pool : 0.0;

            if (expected == 0.0)
                continue;
            chi += (c->got[b][d] - expected) * (c->got[b][d] - expected) / expected;
            k++;
        }
        p = chi_square_tail(chi, k);
        lowest = p < lowest ? p : lowest;
    }
    return lowest;
}

/* Labels of donors over 1,000 seeds of one part at one rate. Seeds are far apart, because base i
 * draws from MT19937(seed + i). */
static double donor_label_p(const struct split_table *t, enum part part, double rate,
                            const struct contradiction *map)
{
    struct donor_counts c = {0};
    struct irony_part p;
    struct err e = {0};

    ASSERT_OK(irony_part_init(&p, t, part, NULL, NULL, &e), e);
    for (size_t i = 0; i < p.n; i++)
        c.clips[p.clip[i].label]++;
    for (int s = 0; s < SEEDS; s++) {
        struct plan_options opt = {
            .rate = rate, .seed = how.seed + (uint64_t)s * 10000, .map = *map};

        ASSERT_OK(irony_plan_make(&p.plan, p.clip, p.n, &opt, &e), e);
        for (size_t b = 0; b < p.plan.mutated; b++) {
            size_t i = p.plan.base[b];

            c.got[p.clip[i].label][p.clip[p.plan.donor[i]].label]++;
        }
        irony_plan_free(&p.plan);
    }
    irony_part_free(&p);
    return lowest_p(&c);
}

static void test_donor_labels(void **state)
{
    static const double rates[] = {0.5, 1.0, 2.0, 3.0};
    struct contradiction map;
    double lowest = 1.0;
    int sets = 0;
    struct err e = {0};

    (void)state;
    ASSERT_OK(contradiction_read(&map, MANIFESTS, &e), e);
    for (int f = 0; f < 5; f++) {
        struct split_table t;

        ASSERT_OK(split_table_reference(&t, MANIFESTS, f, &e), e);
        for (int part = 0; part < N_PARTS; part++)
            for (int r = 0; r < 4; r++) {
                double p;

                if (!how.full && (part != PART_TEST || r != 1))
                    continue;
                p = donor_label_p(&t, (enum part)part, rates[r], &map);
                if (p <= 1e-4)
                    fail_msg("fold %d, %s, rate %g: p %g", f, part_names[part], rates[r], p);
                lowest = p < lowest ? p : lowest;
                sets++;
            }
        split_table_free(&t);
    }
    print_message("%d sets x %d seeds, two tests each: lowest p %.4f\n", sets, SEEDS, lowest);
    /* the tail itself, from a printed table */
    assert_true(chi_square_tail(9.488, 4) > 0.0499 && chi_square_tail(9.488, 4) < 0.0501);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random_corpora, scratch_setup, scratch_teardown),
        cmocka_unit_test(test_reference_counts),
        cmocka_unit_test(test_donor_labels),
    };

    how = strength_parse(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
