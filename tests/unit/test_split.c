/* SPDX-License-Identifier: MIT */
#include "common/base/atomic_file.h"
#include "common/base/rng.h"
#include "prep/clip_name.h"
#include "prep/split.h"
#include "prep/split_audit.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- helpers ---- */

static char *put(const void *state, const char *name, const char *text)
{
    char *path = scratch_path(state, name);
    struct err e = {0};

    ASSERT_OK(atomic_file_put(path, text, strlen(text), true, &e), e);
    return path;
}

#define CLIPS_HEAD "#synib-clips 1\nclip\tactor\tlabel\tverdict\treason\n"

/* `actors` actors from 1001; actor a has 3 + a % 4 clips; every 7th clip is rejected. */
static char *put_corpus(const void *state, int actors)
{
    static char text[65536];
    size_t at = (size_t)snprintf(text, sizeof text, CLIPS_HEAD);
    int n = 0;

    for (int a = 0; a < actors; a++)
        for (int c = 0; c < 3 + a % 4; c++) {
            bool rejected = ++n % 7 == 0;

            at += (size_t)snprintf(text + at, sizeof text - at, "%d_%s_%s_XX\t%d\t%d\t%s\t%s\n",
                                   1001 + a, sentence_codes[c], emotion_codes[c], 1001 + a, c,
                                   rejected ? "rejected" : "accepted", rejected ? "broken" : "");
        }
    return put(state, "clips.tsv", text);
}

static void read_corpus(struct corpus *c, const void *state, int actors)
{
    char *path = put_corpus(state, actors);
    struct err e = {0};

    ASSERT_OK(corpus_read(c, path, &e), e);
    free(path);
}

/* ---- names ---- */

static void test_names(void **state)
{
    static const struct {
        const char *name, *why;
    } bad[] = {
        {"", "name is not"},
        {"1001_DFA_ANG_X", "the level has one letter"},
        {"1001_DFA_ANGRY", "name is not"},
        {"1001_DFA_ANG_XXX", "name is not"},
        {"1001-DFA-ANG-XX", "name is not"},
        {"0001_DFA_ANG_XX", "begins with 0"},
        {"1OO1_DFA_ANG_XX", "not four digits"},
        {"1001_ABC_ANG_XX", "sentence"},
        {"1001_DFA_JOY_XX", "emotion"},
        {"1001_DFA_ang_XX", "emotion"},
        {"1001_DFA_ANG_MX", "level"},
        {"1091_WSI_DIS", "not NNNN"},
        {"1091xWSI_DIS_HI", "not NNNN"},
        {"1091_WSIxDIS_HI", "not NNNN"},
        {"1091_WSI_DISxHI", "not NNNN"},
        {"109x_WSI_DIS_HI", "four digits"},
        {"109!_WSI_DIS_HI", "four digits"},
        {"1091xWSI_DIS_H", "not NNNN"},
        {"1091_WSIxDIS_H", "not NNNN"},
        {"1091_WSI_DISxH", "not NNNN"},
    };
    struct clip_name n;
    const char *why;

    (void)state;
    assert_true(clip_name_parse(&n, "1091_WSI_DIS_HI", &why));
    assert_int_equal(n.actor, 1091);
    assert_int_equal(n.label, 4);
    assert_string_equal(sentence_codes[n.sentence], "WSI");
    assert_string_equal(n.level, "HI");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (clip_name_parse(&n, bad[i].name, &why) || strstr(why, bad[i].why) == NULL)
            fail_msg("'%s': %s", bad[i].name, why);
    assert_int_equal(emotion_index("SAD"), 2);
    assert_int_equal(emotion_index("SADX"), -1);
}

/* ---- kfold ---- */

/* Every actor is tested once, and validates in the fold before that. */
static void test_kfold(void **state)
{
    enum { ACTORS = 23, FOLDS = 5 };
    struct corpus c;
    size_t tested[ACTORS] = {0}, validated[ACTORS] = {0}, first_size = 0;
    int test_fold[ACTORS] = {0}, val_fold[ACTORS] = {0};
    struct err e = {0};

    read_corpus(&c, *state, ACTORS);
    for (int f = 0; f < FOLDS; f++) {
        struct part_counts counts[N_PARTS];
        struct split_table t;

        ASSERT_OK(split_kfold(&t, &c, 3, FOLDS, f, &e), e);
        ASSERT_OK(split_table_check_speakers(&t, "kfold", NULL, &e), e);
        ASSERT_OK(split_table_count(&t, counts, &e), e);
        assert_int_equal(t.count, c.accepted);
        assert_in_range(counts[PART_TEST].speakers, ACTORS / FOLDS, ACTORS / FOLDS + 1);
        first_size = f == 0 ? counts[PART_TEST].clips : first_size;
        assert_in_range(counts[PART_TEST].clips, first_size - 6, first_size + 6);
        for (size_t i = 0; i < t.count; i++) {
            bool new_actor = i == 0 || t.row[i].actor != t.row[i - 1].actor;
            int a = t.row[i].actor - 1001;

            tested[a] += new_actor && t.row[i].part == PART_TEST;
            validated[a] += new_actor && t.row[i].part == PART_VAL;
            if (t.row[i].part != PART_TRAIN)
                (t.row[i].part == PART_TEST ? test_fold : val_fold)[a] = f;
        }
        split_table_free(&t);
    }
    for (int a = 0; a < ACTORS; a++) {
        assert_int_equal(tested[a], 1);
        assert_int_equal(validated[a], 1);
        assert_int_equal(test_fold[a], (val_fold[a] + 1) % FOLDS);
    }
    corpus_free(&c);
}

static void test_kfold_seeds(void **state)
{
    struct split_table a, b, other;
    struct corpus c;
    struct err e = {0};
    bool differs = false;

    read_corpus(&c, *state, 20);
    ASSERT_OK(split_kfold(&a, &c, 1, 5, 0, &e), e);
    ASSERT_OK(split_kfold(&b, &c, 1, 5, 0, &e), e);
    ASSERT_OK(split_kfold(&other, &c, 2, 5, 0, &e), e);
    for (size_t i = 0; i < a.count; i++) {
        assert_int_equal(a.row[i].part, b.row[i].part);
        differs = differs || a.row[i].part != other.row[i].part;
    }
    assert_true(differs);
    split_table_free(&a);
    split_table_free(&b);
    split_table_free(&other);
    ASSERT_FAILS(split_kfold(&a, &c, 1, 2, 0, &e), e, ERR_USAGE, "--folds: 2 is too few");
    ASSERT_FAILS(split_kfold(&a, &c, 1, 5, 5, &e), e, ERR_USAGE, "--fold: 5 is not 0 to 4");
    ASSERT_FAILS(split_kfold(&a, &c, 1, 21, 0, &e), e, ERR_DATA, "20 actors");
    corpus_free(&c);
}

/* Three actors come in all six orders, of which fold 0 tests the first and validates on the second.
 */
static void test_kfold_orders(void **state)
{
    bool seen[3][3] = {{false}};
    struct corpus c;
    struct err e = {0};

    read_corpus(&c, *state, 3);
    for (uint64_t seed = 0; seed < 100; seed++) {
        int32_t actor[N_PARTS] = {0};
        struct split_table t;

        ASSERT_OK(split_kfold(&t, &c, seed, 3, 0, &e), e);
        for (size_t i = 0; i < t.count; i++)
            actor[t.row[i].part] = t.row[i].actor;
        seen[actor[PART_TEST] % 3][actor[PART_VAL] % 3] = true;
        split_table_free(&t);
    }
    for (int i = 0; i < 9; i++)
        assert_true(seen[i / 3][i % 3] == (i / 3 != i % 3));
    corpus_free(&c);
}

/* An actor of rejected clips alone is none: three are left for four folds. */
static void test_kfold_rejected(void **state)
{
    char *path = put(*state, "rejected.tsv",
                     CLIPS_HEAD "1001_DFA_ANG_XX\t1001\t0\taccepted\t\n"
                                "1002_DFA_ANG_XX\t1002\t0\taccepted\t\n"
                                "1003_DFA_ANG_XX\t1003\t0\taccepted\t\n"
                                "1004_DFA_ANG_XX\t1004\t0\trejected\tbroken\n");
    struct split_table t;
    struct corpus c;
    struct err e = {0};

    ASSERT_OK(corpus_read(&c, path, &e), e);
    ASSERT_OK(split_kfold(&t, &c, 1, 3, 0, &e), e);
    assert_int_equal(t.count, 3);
    split_table_free(&t);
    ASSERT_FAILS(split_kfold(&t, &c, 1, 4, 0, &e), e, ERR_DATA, "3 actors with accepted clips");
    corpus_free(&c);
    free(path);
}

/* ---- tables ---- */

static void test_user_table(void **state)
{
    char *path = put(*state, "f.tsv",
                     "#synib-folds 1\nactor\tfold0\tfold1\n1001\ttrain\ttest\n1002\tval\t-\n"
                     "1003\ttest\ttrain\n");
    struct split_table t;
    struct corpus c;
    struct err e = {0};
    struct drop_list dropped = {0};
    struct left_out left;

    read_corpus(&c, *state, 4);
    ASSERT_OK(split_by_table(&t, &c, path, 1, &left, &dropped, &e), e);
    assert_int_equal(t.fold, 1);
    assert_string_equal(t.scheme, "table");
    for (size_t i = 0; i < t.count; i++)
        assert_int_equal(t.row[i].part, t.row[i].actor == 1001 ? PART_TEST : PART_TRAIN);
    assert_int_equal(t.count + left.marked + left.absent, c.accepted);
    assert_true(left.actors && left.marked > 0 && left.absent > 0);
    assert_int_equal(left.names, 1);
    assert_string_equal(left.name[0], "1004");
    left_out_free(&left);
    split_table_free(&t);
    ASSERT_FAILS(split_by_table(&t, &c, path, 2, &left, &dropped, &e), e, ERR_DATA,
                 "no column 'fold2'");
    free(path);
    path = put(*state, "f.tsv", "#synib-folds 1\nclip\tpart\n1001_DFA_NEU_XX\ttrain\n");
    ASSERT_OK(split_by_table(&t, &c, path, -1, &left, &dropped, &e), e);
    assert_int_equal(t.count, 1);
    assert_true(!left.actors && left.marked == 0 && left.absent == c.accepted - 1);
    assert_int_equal(left.names, left.absent);
    for (size_t i = 1; i < left.names; i++)
        assert_true(strcmp(left.name[i - 1], left.name[i]) < 0);
    left_out_free(&left);
    split_table_free(&t);
    free(path);
    assert_int_equal(dropped.count, 0);
    path = put(*state, "f.tsv", "#synib-folds 1\nactor\tpart\n1001\ttest\n1077\ttrain\n1078\t-\n");
    ASSERT_OK(split_by_table(&t, &c, path, -1, &left, &dropped, &e), e);
    assert_int_equal(dropped.count, 1);
    assert_string_equal(dropped.item[0].key, "1077");
    left_out_free(&left);
    split_table_free(&t);
    free(path);
    path = put(*state, "f.tsv",
               "#synib-folds 1\nclip\tpart\n1001_DFA_NEU_XX\ttest\n1002_ITH_FEA_XX\tval\n"
               "1099_DFA_NEU_XX\ttrain\n");
    ASSERT_OK(split_by_table(&t, &c, path, -1, &left, &dropped, &e), e);
    assert_int_equal(t.count, 1);
    assert_int_equal(dropped.count, 3);
    assert_string_equal(dropped.item[1].reason, "broken");
    assert_string_equal(dropped.item[2].reason, "is not in the clips manifest");
    left_out_free(&left);
    split_table_free(&t);
    drop_list_free(&dropped);
    free(path);
    path = put(*state, "f.tsv", "#synib-folds 1\nactor\tpart\n1001\tdev\n");
    ASSERT_FAILS(split_by_table(&t, &c, path, -1, &left, &dropped, &e), e, ERR_DATA,
                 ":3: part 'dev' is not train, val, test or -");
    free(path);
    path = put(*state, "f.tsv", "#synib-folds 1\nactor\tpart\n1001\ttest\n1001\ttrain\n");
    ASSERT_FAILS(split_by_table(&t, &c, path, -1, &left, &dropped, &e), e, ERR_DATA,
                 ":4: '1001' stands already in line 3");
    free(path);
    path = put(*state, "f.tsv", "#synib-folds 1\nactor\tclip\tpart\n1001\tx\ttest\n");
    ASSERT_FAILS(split_by_table(&t, &c, path, -1, &left, &dropped, &e), e, ERR_DATA,
                 "either a column");
    free(path);
    drop_list_free(&dropped);
    corpus_free(&c);
}

static void test_round_trip(void **state)
{
    char *path = scratch_path(*state, "split.tsv");
    struct split_table a, b;
    struct corpus c;
    struct err e = {0};

    read_corpus(&c, *state, 9);
    ASSERT_OK(split_kfold(&a, &c, 8, 4, 2, &e), e);
    ASSERT_OK(split_table_write(&a, path, false, &e), e);
    ASSERT_OK(split_table_read(&b, path, &e), e);
    assert_int_equal(a.count, b.count);
    assert_memory_equal(a.row, b.row, a.count * sizeof *a.row);
    assert_string_equal(b.scheme, "kfold");
    assert_int_equal(b.fold, 2);
    ASSERT_FAILS(split_table_write(&a, path, false, &e), e, ERR_EXISTS, "split.tsv");
    split_table_free(&a);
    split_table_free(&b);
    corpus_free(&c);
    free(path);
}

static void test_bad_splits(void **state)
{
#define HEAD "#synib-split 1\nclip\tactor\tlabel\tpart\tscheme\tfold\n"
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"#synib-clips 1\nclip\n", "is not a split manifest"},
        {"#synib-split 1\nclip\tactor\tlabel\n", "column 'part' is missing"},
        {HEAD "a\t1\t0\tdev\tx\t0\n", ":3: part 'dev' is not train, val or test"},
        {HEAD "a\t-1\t0\tval\tx\t0\n", ":3: actor: '-1' is not a whole number"},
        {HEAD "a\t1\t6\tval\tx\t0\n", ":3: label: '6' is not a whole number from 0 to 5"},
        {HEAD "\t1\t0\tval\tx\t0\n", ":3: clip name '' is not 1 to 23 characters long"},
        {HEAD "aaaaaaaaaaaaaaaaaaaaaaaa\t1\t0\tval\tx\t0\n", "is not 1 to 23 characters long"},
        {HEAD "a b\t1\t0\tval\tx\t0\n", ":3: clip name 'a b' has other characters"},
        {HEAD "a\t1\t0\tval\tx\t0\na\t1\t0\tval\tx\t0\n", ":4: 'a' stands already in line 3"},
        {HEAD "a\t1\t0\tval\tx\t0\nb\t1\t0\tval\ty\t0\n", ":4: scheme or fold differs"},
        {HEAD "a\t1\t0\tval\tx\t0", "does not end in LF"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *path = put(*state, "bad.tsv", bad[i].text);
        struct split_table t;
        struct err e = {0};

        ASSERT_FAILS(split_table_read(&t, path, &e), e, ERR_DATA, bad[i].message);
        assert_null(t.row);
        free(path);
    }
#undef HEAD
}

static void test_leaks(void **state)
{
    struct split_table t = {0};
    struct err e = {0};
    size_t actors;

    (void)state;
    for (int i = 0; i < 12; i++) {
        struct split_row row = {.actor = 1001 + i / 3,
                                .part = i == 2   ? PART_TEST
                                        : i == 4 ? PART_VAL
                                                 : PART_TRAIN};

        ASSERT_OK(split_table_add(&t, &row, &e), e);
    }
    assert_int_equal(split_table_check_speakers(&t, "s.tsv", &actors, &e), ERR_DATA);
    assert_int_equal(actors, 2);
    assert_string_equal(e.text, "s.tsv: actor 1001 in train and test (2 + 1 clips)\n"
                                "s.tsv: actor 1002 in train and val (2 + 1 clips)");
    split_table_free(&t);
}

/* ---- audit ---- */

static int entries_in(const struct audit *a, int fold, const char *part)
{
    int n = 0;

    for (size_t i = 0; i < a->count; i++)
        n += a->entry[i].fold == fold && strcmp(a->part[a->entry[i].part], part) == 0;
    return n;
}

static void test_audit_reads(void **state)
{
    char *json = put(*state, "s.json",
                     "\n\n{\"1\": {\"train\": [\"1001_DFA_ANG_XX.wav-0\", \"1002_ITH_SAD_X.wav\"],"
                     "\"test\": [\"1003_DFA_ANG_XX\"]}, \"2\": {\"test\": "
                     "[\"x/1003_DFA_ANG_XX.flv\"]}}");
    char *csv = put(*state, "s.csv",
                    "path,label,Split\r\nAudioWAV/1001_DFA_ANG_XX.wav,5,train\r\n"
                    "\"b/1004_DFA_HAP_XX.wav\",1,\"test\"\r\n\r\n");
    char *plain = put(*state, "plain.txt", "1001_DFA_ANG_XX\n1002_DFA_ANG_XX\n");
    char *ours = put(*state, "s.tsv", "#synib-split 1\nactor\tclip\tpart\n2001\tutt-1\tval\n");
    char spec[1024];
    struct audit a = {0};
    struct err e = {0};

    ASSERT_OK(audit_read(&a, json, &e), e);
    ASSERT_OK(audit_read(&a, csv, &e), e);
    snprintf(spec, sizeof spec, "train=%s,held-out=%s", plain, csv);
    ASSERT_OK(audit_read(&a, spec, &e), e);
    ASSERT_OK(audit_read(&a, ours, &e), e);
    assert_int_equal(a.folds, 5);
    assert_int_equal(a.entry[a.count - 1].actor, 2001);
    assert_string_equal(a.entry[a.count - 1].clip, "utt-1");
    assert_string_equal(a.fold[0], "1");
    assert_string_equal(a.fold[1], "2");
    assert_int_equal(entries_in(&a, 0, "train"), 2);
    assert_int_equal(entries_in(&a, 0, "test"), 1);
    assert_int_equal(entries_in(&a, 1, "test"), 1);
    assert_int_equal(entries_in(&a, 2, "train"), 1);
    assert_int_equal(entries_in(&a, 2, "test"), 1);
    assert_int_equal(entries_in(&a, 3, "train"), 2);
    assert_int_equal(entries_in(&a, 3, "held-out"), 2);
    assert_string_equal(a.entry[1].clip, "1002_ITH_SAD_X");
    assert_int_equal(a.entry[1].actor, 1002);
    audit_free(&a);
    free(json);
    free(csv);
    free(plain);
    free(ours);
}

/* What an audit says of folds that test the same, and of one sound in two parts. */
static void test_audit_counts(void **state)
{
    char *json = put(*state, "s.json",
                     "{\"1\": {\"train\": [\"1001_DFA_ANG_XX\", \"1001_DFA_SAD_XX\"], \"test\": "
                     "[\"1003_DFA_ANG_XX\", \"1003_DFA_SAD_XX\", \"1004_DFA_SAD_XX\"]}, \"2\": "
                     "{\"train\": [\"1001_DFA_ANG_XX\"], \"test\": "
                     "[\"1003_DFA_ANG_XX\", \"1003_DFA_HAP_XX\"]}}");
    char *media = put(*state, "media.tsv",
                      "#synib-media 1\nclip\twav_sha256\n1001_DFA_ANG_XX\ta\n"
                      "1001_DFA_SAD_XX\ta\n1003_DFA_ANG_XX\ta\n1003_DFA_SAD_XX\tb\n"
                      "1004_DFA_SAD_XX\tb\n");
    struct split_options opt = SPLIT_OPTIONS_DEFAULT;
    char *text = NULL;
    size_t len;
    struct err e = {0};

    opt.audit[opt.audits++] = json;
    opt.media = media;
    opt.out = open_memstream(&text, &len);
    assert_non_null(opt.out);
    ASSERT_OK(split_run(&opt, &e), e);
    assert_int_equal(fclose(opt.out), 0);
    assert_non_null(strstr(text, "  identical sound across parts: 2\n"
                                 "    1001_DFA_ANG_XX (train) = 1003_DFA_ANG_XX (test)\n"
                                 "    1001_DFA_SAD_XX (train) = 1003_DFA_ANG_XX (test)\n"));
    assert_non_null(strstr(text, "test overlap of 1 and 2: 1 speakers, 1 clips\n"));
    free(text);
    free(json);
    free(media);
}

/* Files that say no parts are the parts of one fold. */
static void test_audit_plain_files(void **state)
{
    char *train = put(*state, "train.csv", "path,label\n1001_DFA_ANG_XX,5\n1002_DFA_ANG_XX,5\n");
    char *test = put(*state, "test.json", "[\"1003_DFA_ANG_XX\"]");
    char *whole = put(*state, "w.csv", "clip,part\n1003_DFA_ANG_XX,test\n");
    char *val = put(*state, "val.tsv",
                    "#synib-clips 1\nclip\tverdict\n1004_DFA_ANG_XX\taccepted\n"
                    "1005_DFA_ANG_XX\trejected\n");
    struct audit a = {0};
    struct err e = {0};

    ASSERT_OK(audit_read(&a, train, &e), e);
    ASSERT_OK(audit_read(&a, whole, &e), e);
    ASSERT_OK(audit_read(&a, test, &e), e);
    ASSERT_OK(audit_read(&a, val, &e), e);
    assert_int_equal(a.folds, 2);
    assert_string_equal(a.fold[0], "files");
    assert_int_equal(entries_in(&a, 0, "train"), 2);
    assert_int_equal(entries_in(&a, 0, "test"), 1);
    assert_int_equal(entries_in(&a, 0, "val"), 1);
    assert_int_equal(entries_in(&a, 1, "test"), 1);
    ASSERT_FAILS(audit_read(&a, train, &e), e, ERR_DATA, "part 'train' is taken");
    audit_free(&a);
    free(train);
    free(test);
    free(whole);
    free(val);
}

static void test_audit_refuses(void **state)
{
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"", "names no clip"},
        {"clip,part\n1001_DFA_ANG_XX,train\nhello,test\n", ":3: holds no clip name"},
        {"clip,part\n1001_DFA_ANG_XX\n", ":2: has no column 2, which the first line names"},
        {"clip,part\n1001_DFA_ANG_XX,\n", "part name '' is not 1 to"},
        {"clip,part\n1001_DFA_ANG_XX,\033[31m\n", "characters of text"},
        {"{\"train\": [\"1001_DFA_ANG_XX\", 5]}", "item 1 of part 'train' holds no clip name"},
        {"{\"train\": [\"1001_DFA_ANG_XX\"], \"train\": []}", "is not JSON: duplicate"},
        {"{\"train\": 5}", "is not a list"},
        {"{\"1\": {\"train\": [\"1001_DFA_ANG_XX\"]}, \"2\": 5}", "is not an object of parts"},
        {"[\"1001", "is not JSON"},
        {"#synib-split 1\nclip\tpart\n1001_DFA_ANG\ttrain\n", ":3: '1001_DFA_ANG' is not a clip"},
        {"#synib-split 1\nclip\tactor\tpart\nx\t10\ttrain\n", ":3: '10' is not an actor"},
        {"#synib-sp\tclip\n1001_DFA_ANG_XX\n", "is not a sp manifest: the first line must be"},
        {"#synib-split 1\nname\tpart\nx\ttrain\n", "neither a column 'clip' nor 'actor'"},
    };
    struct audit a = {0};
    struct err e = {0};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *path = put(*state, "bad.txt", bad[i].text);

        ASSERT_FAILS(audit_read(&a, path, &e), e, ERR_DATA, bad[i].message);
        audit_free(&a);
        free(path);
    }
    ASSERT_FAILS(audit_read(&a, "train=", &e), e, ERR_USAGE, "is not PART=FILE");
    audit_free(&a);
}

/* Whatever bytes a foreign file has, the audit answers with entries or with words. */
static void test_audit_random_damage(void **state)
{
    static const char *const whole[] = {
        "{\"1\": {\"train\": [\"1001_DFA_ANG_XX.wav-0\"], \"test\": [\"1002_DFA_ANG_XX\"]}}",
        "path,split\nx/1001_DFA_ANG_XX.wav,train\n\"1002_ITH_HAP_XX\",test\n",
        "#synib-split 1\nclip\tactor\tpart\n1001_DFA_ANG_XX\t1001\ttrain\n",
    };

    for (uint32_t trial = 0; trial < 3000; trial++) {
        struct rng r = rng_at(1, rng_stream("test.audit"), 0, trial);
        char text[128], *path = scratch_path(*state, "d.txt");
        size_t len = strlen(whole[trial % 3]);
        struct audit a = {0};
        struct err e = {0};
        FILE *f;

        memcpy(text, whole[trial % 3], len);
        for (uint32_t c = 1 + rng_below(&r, 4); c > 0; c--)
            text[rng_below(&r, (uint32_t)len)] = (char)rng_u32(&r);
        if (rng_below(&r, 3) == 0)
            len = rng_below(&r, (uint32_t)len);
        f = fopen(path, "wb"); /* not atomic_file: its fsync would take most of a minute */
        assert_non_null(f);
        assert_int_equal(fwrite(text, 1, len, f), len);
        assert_int_equal(fclose(f), 0);
        if (audit_read(&a, path, &e) == ERR_OK)
            assert_true(a.count > 0);
        else
            assert_non_null(strstr(e.text, "d.txt"));
        for (size_t i = 0; i < a.count; i++)
            assert_true(a.entry[i].fold < a.folds && a.entry[i].part < a.parts);
        audit_free(&a);
        free(path);
    }
}

int main(void)
{
#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),     WITH_FOLDER(test_kfold),
        WITH_FOLDER(test_kfold_seeds),    WITH_FOLDER(test_kfold_orders),
        WITH_FOLDER(test_kfold_rejected), WITH_FOLDER(test_user_table),
        WITH_FOLDER(test_round_trip),     WITH_FOLDER(test_bad_splits),
        cmocka_unit_test(test_leaks),     WITH_FOLDER(test_audit_reads),
        WITH_FOLDER(test_audit_counts),   WITH_FOLDER(test_audit_plain_files),
        WITH_FOLDER(test_audit_refuses),  WITH_FOLDER(test_audit_random_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
