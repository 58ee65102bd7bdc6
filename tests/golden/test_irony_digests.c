/* SPDX-License-Identifier: MIT */
#include "common/base/cli.h"
#include "common/data/tsv.h"
#include "prep/irony.h"
#include "prep/manifests.h"
#include "tests/support/cmocka.h"

#include <string.h>

/* The mutation equals the authors' data: every row of mutation-digests.tsv, and the class
 * counts of R section 2, from the shipped manifests alone. */

#define MANIFESTS SOURCE_DIR "/manifests"

static bool is_named(const struct split_row *row, void *ctx)
{
    return strcmp(row->clip, ctx) == 0;
}

static void make_part(struct irony_part *p, struct split_table *t, int fold, int part,
                      const char *drop, double rate)
{
    struct plan_options opt = {.rate = rate};
    struct err e = {0};

    if (split_table_reference(t, MANIFESTS, fold, &e) != ERR_OK ||
        contradiction_read(&opt.map, MANIFESTS, &e) != ERR_OK ||
        manifests_fold_seed(&opt.seed, MANIFESTS, fold, &e) != ERR_OK ||
        irony_part_init(p, t, (enum part)part, is_named, (void *)(uintptr_t)drop, &e) != ERR_OK ||
        irony_part_plan(p, &opt, &e) != ERR_OK)
        fail_msg("%s", e.text);
}

static int part_index(const char *name)
{
    for (int p = 0; p < N_PARTS; p++)
        if (strcmp(name, part_names[p]) == 0)
            return p;
    fail_msg("no part %s", name);
    return -1;
}

static void check_digests(const char *path, size_t rows)
{
    static const char *const columns[] = {"fold", "seed",    "split",  "dropped", "clips",
                                          "rate", "mutated", "digest", NULL};
    struct tsv *t = NULL;
    struct err e = {0};
    int c[8];

    if (tsv_read(&t, path, "mutation-digests", columns, &e) != ERR_OK)
        fail_msg("%s", e.text);
    for (int i = 0; i < 8; i++)
        c[i] = tsv_column(t, columns[i]);
    assert_int_equal(tsv_rows(t), rows);
    for (size_t r = 0; r < tsv_rows(t); r++) {
        struct split_table split = {0};
        struct irony_part p = {0};
        int64_t fold = -1, clips = -1, mutated = -1;
        uint64_t seed = 0, want_seed = 0;
        double rate = -1.0;

        assert_int_equal(cli_int(&fold, tsv_cell(t, r, c[0]), 0, 9, "fold", &e), ERR_OK);
        assert_int_equal(cli_u64(&want_seed, tsv_cell(t, r, c[1]), "seed", &e), ERR_OK);
        assert_int_equal(cli_int(&clips, tsv_cell(t, r, c[4]), 0, 9999, "clips", &e), ERR_OK);
        assert_int_equal(cli_double(&rate, tsv_cell(t, r, c[5]), 0, 9, "rate", &e), ERR_OK);
        assert_int_equal(cli_int(&mutated, tsv_cell(t, r, c[6]), 0, 9999, "k", &e), ERR_OK);
        assert_int_equal(manifests_fold_seed(&seed, MANIFESTS, (int)fold, &e), ERR_OK);
        assert_int_equal(seed, want_seed);
        make_part(&p, &split, (int)fold, part_index(tsv_cell(t, r, c[2])), tsv_cell(t, r, c[3]),
                  rate);
        assert_int_equal(p.n, clips);
        assert_int_equal(p.plan.mutated, mutated);
        p.digest[16] = '\0';
        assert_string_equal(p.digest, tsv_cell(t, r, c[7]));
        irony_part_free(&p);
        split_table_free(&split);
    }
    tsv_free(t);
}

static void test_digests(void **state)
{
    (void)state;
    check_digests(SOURCE_DIR "/tests/golden/mutation-digests.tsv", 16);
}

/* All folds, splits and rates, by make/irony.py with PyTorch's generators. */
static void test_torch_digests(void **state)
{
    (void)state;
    check_digests(SOURCE_DIR "/tests/golden/irony.tsv", 80);
}

/* R section 2: mutated per original class, and final counts with irony last. */
static const struct {
    int part;
    double rate;
    int source[N_EMOTIONS];
    int after[N_LABELS];
} tables[] = {
    {0, 0.1, {9, 14, 8, 11, 9, 16}, {696, 824, 563, 612, 614, 667, 67}},
    {0, 0.5, {71, 68, 43, 49, 54, 52}, {634, 770, 528, 574, 569, 631, 337}},
    {0, 1.0, {134, 149, 87, 102, 96, 106}, {571, 689, 484, 521, 527, 577, 674}},
    {0, 2.0, {241, 270, 196, 217, 192, 232}, {464, 568, 375, 406, 431, 451, 1348}},
    {1, 0.1, {4, 3, 1, 2, 3, 2}, {146, 185, 111, 136, 149, 136, 15}},
    {1, 0.5, {12, 16, 11, 11, 13, 10}, {138, 172, 101, 127, 139, 128, 73}},
    {1, 1.0, {23, 33, 17, 19, 36, 18}, {127, 155, 95, 119, 116, 120, 146}},
    {1, 2.0, {50, 70, 32, 45, 58, 38}, {100, 118, 80, 93, 94, 100, 293}},
    {2, 0.1, {1, 4, 3, 0, 4, 3}, {146, 186, 115, 141, 134, 162, 15}},
    {2, 0.5, {15, 18, 13, 8, 9, 12}, {132, 172, 105, 133, 129, 153, 75}},
    {2, 1.0, {32, 28, 28, 26, 17, 19}, {115, 162, 90, 115, 121, 146, 150}},
    {2, 2.0, {59, 62, 42, 46, 40, 51}, {88, 128, 76, 95, 98, 114, 300}},
};

static void test_class_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        int source[N_EMOTIONS] = {0}, after[N_LABELS] = {0};
        struct split_table split = {0};
        struct irony_part p = {0};

        make_part(&p, &split, 0, tables[i].part, "-", tables[i].rate);
        for (size_t c = 0; c < p.n; c++) {
            after[irony_plan_label(&p.plan, p.clip, c)]++;
            source[p.clip[c].label] += p.plan.donor[c] >= 0;
        }
        assert_memory_equal(source, tables[i].source, sizeof source);
        assert_memory_equal(after, tables[i].after, sizeof after);
        irony_part_free(&p);
        split_table_free(&split);
    }
}

/* R section 2: the first pairs in the order of drawing, and the shortcut's size at rate 1. */
static void test_first_pairs(void **state)
{
    static const struct {
        int part, draw, position;
        const char *base, *donor;
    } pairs[] = {
        {0, 0, 3505, "1029_IWL_ANG_XX", "1021_TSI_HAP_XX"},
        {0, 1, 2652, "1040_IWW_ANG_XX", "1027_IEO_HAP_MD"},
        {1, 0, 404, "1086_IOM_HAP_XX", "1047_TIE_DIS_XX"},
        {2, 0, 35, "1030_MTI_SAD_XX", "1013_ITH_HAP_XX"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        int same_actor = 0, same_sentence = 0;
        struct split_table split = {0};
        struct irony_part p = {0};
        size_t base;

        make_part(&p, &split, 0, pairs[i].part, "-", 1.0);
        base = p.plan.base[pairs[i].draw];
        assert_int_equal(base, pairs[i].position);
        assert_string_equal(p.row[base]->clip, pairs[i].base);
        assert_string_equal(p.row[p.plan.donor[base]]->clip, pairs[i].donor);
        for (size_t b = 0; b < p.plan.mutated; b++) {
            const struct plan_clip *x = &p.clip[p.plan.base[b]];
            const struct plan_clip *y = &p.clip[p.plan.donor[p.plan.base[b]]];

            same_actor += x->actor == y->actor;
            same_sentence += x->sentence == y->sentence;
        }
        if (pairs[i].part == PART_TRAIN) {
            assert_int_equal(same_actor, 14);
            assert_int_equal(same_sentence, 71);
        }
        irony_part_free(&p);
        split_table_free(&split);
    }
}

/* R section 1.2: sizes and class counts of all five folds. */
static const struct {
    int train[N_EMOTIONS], val[N_EMOTIONS], test[N_EMOTIONS];
    int sizes[N_PARTS];
} folds[5] = {
    {{705, 838, 571, 623, 623, 683},
     {150, 188, 112, 138, 152, 138},
     {147, 190, 118, 141, 138, 165},
     {4043, 878, 899}},
    {{688, 831, 542, 649, 636, 678},
     {160, 193, 131, 121, 133, 143},
     {154, 192, 128, 132, 144, 165},
     {4024, 881, 915}},
    {{688, 840, 556, 631, 630, 672},
     {154, 187, 112, 127, 139, 150},
     {160, 189, 133, 144, 144, 164},
     {4017, 869, 934}},
    {{687, 836, 556, 638, 638, 691},
     {154, 189, 121, 140, 139, 153},
     {161, 191, 124, 124, 136, 142},
     {4046, 896, 878}},
    {{689, 851, 551, 634, 655, 688},
     {156, 178, 123, 130, 119, 138},
     {157, 187, 127, 138, 139, 160},
     {4068, 844, 908}},
};

static void test_splits(void **state)
{
    static const int actors[N_PARTS] = {63, 14, 14};

    (void)state;
    for (int f = 0; f < 5; f++) {
        const int *want[N_PARTS] = {folds[f].train, folds[f].val, folds[f].test};
        struct part_counts counts[N_PARTS];
        struct split_table t = {0};
        struct err e = {0};

        if (split_table_reference(&t, MANIFESTS, f, &e) != ERR_OK ||
            split_table_count(&t, counts, &e) != ERR_OK ||
            split_table_check_speakers(&t, "reference", NULL, &e) != ERR_OK)
            fail_msg("%s", e.text);
        for (int p = 0; p < N_PARTS; p++) {
            assert_int_equal(counts[p].clips, folds[f].sizes[p]);
            assert_int_equal(counts[p].speakers, actors[p]);
            for (int l = 0; l < N_EMOTIONS; l++)
                assert_int_equal(counts[p].label[l], want[p][l]);
        }
        split_table_free(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digests),      cmocka_unit_test(test_torch_digests),
        cmocka_unit_test(test_class_counts), cmocka_unit_test(test_first_pairs),
        cmocka_unit_test(test_splits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
