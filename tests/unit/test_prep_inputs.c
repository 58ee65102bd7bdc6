/* SPDX-License-Identifier: MIT */
#include "common/base/file.h"
#include "prep/clip_list.h"
#include "prep/manifests.h"
#include "prep/split_table.h"
#include "tests/support/check.h"
#include "tests/support/moved.h"
#include "tests/support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the tools of prep/ read in tables: clips manifests, splits, the shipped facts. Every way to
 * get them wrong, its line and its words. Rows are written with '|' for the tab. */

static char *put(const void *state, const char *name, const char *text)
{
    char *path = scratch_path(state, name);
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    for (const char *p = text; *p != '\0'; p++)
        assert_int_equal(fputc(*p == '|' ? '\t' : *p, f) == EOF, 0);
    assert_int_equal(fclose(f), 0);
    return path;
}

static char *folder(const void *state, const char *name)
{
    char *path = scratch_path(state, name);
    struct err e = {0};

    ASSERT_OK(dir_make(path, &e), e);
    return path;
}

struct bad {
    const char *text, *says;
};
typedef enum err_code reader(const char *path, struct err *e);

/* Each text behind `head` is refused: ERR_DATA, these words. */
static void fails_each(const void *state, const struct bad *bad, size_t n, const char *head,
                       reader *read)
{
    for (size_t i = 0; i < n; i++) {
        char text[4096], *path;
        struct err e = {0};

        snprintf(text, sizeof text, "%s%s", head, bad[i].text);
        path = put(state, "bad.tsv", text);
        ASSERT_FAILS(read(path, &e), e, ERR_DATA, bad[i].says);
        free(path);
    }
}
#define FAILS_EACH(bad, head, read) fails_each(*state, bad, sizeof(bad) / sizeof *(bad), head, read)

/* ---- clips.tsv, for the tools that decode ---- */

#define CLIPS                                                                              \
    "#synib-clips 1\nclip|actor|label|video|audio|video_sha256|audio_sha256|verdict|flags" \
    "|reason\n"
#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SHA_BUT_LAST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"
#define CLIP_24 "012345678901234567890123"

static enum err_code read_video(const char *path, struct err *e)
{
    struct clip_list list;

    if (clip_list_read(&list, path, CLIP_VIDEO, e) != ERR_OK)
        assert_true(list.row == NULL && list.table == NULL);
    return e->code;
}

static enum err_code read_audio(const char *path, struct err *e)
{
    struct clip_list list;

    return clip_list_read(&list, path, CLIP_AUDIO, e);
}

static void test_clip_list(void **state)
{
    static const struct bad bad[] = {
        {"|1001|0|v/a.flv|a.wav|" SHA "|" SHA "|accepted||\n", "bad.tsv:3: column clip: ''"},
        {CLIP_24 "|1001|0|a|a|" SHA "|" SHA "|accepted||\n", "column clip: '" CLIP_24 "'"},
        {"a b|1001|0|a|a|" SHA "|" SHA "|flagged||\n", "column clip: 'a b' is not valid"},
        {"a|1001|0|a|a|" SHA "|" SHA "|acepted||\n", "column verdict: 'acepted' is not valid"},
        {"a|1001|0|a|a|" SHA "|" SHA "|||\n", "column verdict: ''"},
        {"a||0|a|a|" SHA "|" SHA "|accepted||\n", "column actor: ''"},
        {"a|-1|0|a|a|" SHA "|" SHA "|accepted||\n", "column actor: '-1'"},
        {"a|1001||a|a|" SHA "|" SHA "|accepted||\n", "column label: ''"},
        {"a|1001|6|a|a|" SHA "|" SHA "|accepted||\n", "column label: '6'"},
        {"a|x|6|a|a|" SHA "|" SHA "|rejected||\n", "column actor: 'x'"},
        {"a|1001|0|a|a|" SHA "|" SHA "|accepted|nonsense|\n", "column flags: 'nonsense'"},
        {"a|1001|0|a|a|" SHA "|" SHA "|accepted|short_video,|\n", "column flags: 'short_video,'"},
        {"a|1001|0|a|a|" SHA "|" SHA "|accepted|,|\n", "column flags: ','"},
        {"a|1001|0||a|" SHA "|" SHA "|accepted||\n", "column video: ''"},
        {"a|1001|0|/a|a|" SHA "|" SHA "|accepted||\n", "column video: '/a'"},
        {"a|1001|0|../a|a|" SHA "|" SHA "|accepted||\n", "column video: '../a'"},
        {"a|1001|0|a/..|a|" SHA "|" SHA "|accepted||\n", "column video: 'a/..'"},
        {"a|1001|0|a//b|a|" SHA "|" SHA "|accepted||\n", "column video: 'a//b'"},
        {"a|1001|0|a/|a|" SHA "|" SHA "|accepted||\n", "column video: 'a/'"},
        {"a|1001|0|a|a||" SHA "|accepted||\n", "column video_sha256: ''"},
        {"a|1001|0|a|a|" SHA_BUT_LAST "g|" SHA "|accepted||\n", "column video_sha256: '0123"},
        {"a|1001|0|a|a|" SHA_BUT_LAST "F|" SHA "|accepted||\n", "column video_sha256: '0123"},
        {"a|1001|0|a|a|g" SHA_BUT_LAST "|" SHA "|accepted||\n", "column video_sha256: 'g012"},
        {"a|1001|0|a|a|" SHA "|" SHA "|accepted||\na|1001|0|b|b|" SHA "|" SHA "|accepted||\n",
         "bad.tsv:4: 'a' stands already in line 3"},
        {"a|x|0|a|a|" SHA "|" SHA "|accepted||\nb|y|0|b|b|" SHA "|" SHA "|accepted||\n",
         "column actor: 'y'"},
    };
    /* '.' and '..' are parts only when they are all of a part; a rejected clip may lack all */
    static const char good[] =
        CLIPS "a|1001|5|..a/.b/cd|.a|" SHA "|" SHA
              "|flagged|short_video,tiled_audio|\nb|||||||rejected||bad\n"
              "any name at all, longer than a set holds|||||||rejected||bad\n";
    char *path = put(*state, "clips.tsv", good);
    struct clip_list list;
    struct err e = {0};

    for (int media = CLIP_VIDEO; media <= CLIP_AUDIO; media++) {
        ASSERT_OK(clip_list_read(&list, path, (enum clip_media)media, &e), e);
        assert_true(list.count == 3 && list.usable == 1 && list.row[1].label == -1);
        assert_int_equal(list.row[0].sha256[31], 0xef);
        assert_string_equal(list.row[0].path, media == CLIP_VIDEO ? "..a/.b/cd" : ".a");
        clip_list_free(&list);
    }
    free(path);
    FAILS_EACH(bad, CLIPS, read_video);
}

/* The other medium's columns. */
static void test_clip_list_audio(void **state)
{
    static const struct bad bad[] = {
        {"a|1001|0|a|../a|" SHA "|" SHA "|accepted||\n", "column audio: '../a' is not valid"},
        {"a|1001|0|a|a|" SHA "|" SHA "0|accepted||\n", "column audio_sha256: '0123"},
    };

    FAILS_EACH(bad, CLIPS, read_audio);
}

/* ---- clips.tsv, for splits ---- */

#define CORPUS "#synib-clips 1\nclip|actor|label|verdict|reason\n"

static enum err_code read_corpus(const char *path, struct err *e)
{
    struct corpus c;

    if (corpus_read(&c, path, e) != ERR_OK)
        assert_true(c.clip == NULL && c.table == NULL);
    return e->code;
}

static void test_corpus(void **state)
{
    static const struct bad bad[] = {
        {"a|1001|0|ok|\n", "bad.tsv:3: verdict 'ok' is not accepted, flagged or rejected"},
        {"a|1001|0|accepted|\nb|1001|0||\n", "bad.tsv:4: verdict ''"},
        {"a||0|accepted|\n", "bad.tsv:3: actor: '' is not a whole number"},
        {"a b|1001|0|accepted|\n", "bad.tsv:3: clip name 'a b' has other characters"},
        {"a b|1001|0|rejected|\n", "bad.tsv:3: clip name 'a b' has other characters"},
        {"a|1001|6|rejected|\n", "bad.tsv:3: label: '6' is not a whole number from 0 to 5"},
        {"a|1001|0|accepted|\na|1001|0|flagged|\n", "bad.tsv:4: 'a' stands already in line 3"},
    };
    char *path = put(*state, "clips.tsv",
                     CORPUS "b|1001|0|flagged|\na|1001|0|accepted|\nc|1002|0|rejected|bad\n"
                            "no name of a clip|||rejected|misnamed\n");
    struct corpus c;
    struct err e = {0};

    ASSERT_OK(corpus_read(&c, path, &e), e);
    assert_true(c.count == 3 && c.accepted == 2 && c.misnamed == 1);
    assert_string_equal(corpus_find(&c, "c")->reason, "bad");
    assert_null(corpus_find(&c, "0"));
    assert_null(corpus_find(&c, "d"));
    corpus_free(&c);
    free(path);
    path = put(*state, "clips.tsv", CORPUS);
    ASSERT_OK(corpus_read(&c, path, &e), e);
    assert_null(corpus_find(&c, "a"));
    corpus_free(&c);
    free(path);
    FAILS_EACH(bad, CORPUS, read_corpus);
}

/* ---- splits ---- */

#define SPLIT "#synib-split 1\nclip|actor|label|part|scheme|fold\n"

static enum err_code read_split(const char *path, struct err *e)
{
    struct split_table t;

    if (split_table_read(&t, path, e) != ERR_OK)
        assert_null(t.row);
    return e->code;
}

static void test_split(void **state)
{
    static const struct bad bad[] = {
        {"a|1|0|val|0123456789abcdef|0\n",
         "bad.tsv:3: scheme '0123456789abcdef' has more than 15 characters"},
        {"a|1|0|val|x|\n", "bad.tsv:3: fold: '' is not a whole number from 0 to 9999"},
        {"a|1|0|val|x|10000\n", "bad.tsv:3: fold: '10000' is not a whole number"},
        {"a|1|0|val|x|0\nb|1|0|val|y|0\n", "bad.tsv:4: scheme or fold differs from the first row"},
        {"a|1|0|val|x|0\nb|1|0|val|x|1\n", "bad.tsv:4: scheme or fold differs from the first row"},
    };
    struct split_table t;
    char *path = put(*state, "s.tsv", "#synib-split 1\nclip|actor|label|part\n");
    size_t actors;
    struct part_counts counts[N_PARTS];
    struct err e = {0};

    ASSERT_OK(split_table_read(&t, path, &e), e);
    ASSERT_OK(split_table_check_speakers(&t, path, &actors, &e), e);
    ASSERT_OK(split_table_count(&t, counts, &e), e);
    assert_true(t.count == 0 && actors == 0 && counts[PART_TEST].clips == 0);
    assert_string_equal(t.scheme, "table");
    split_table_free(&t);
    free(path);
    path = put(*state, "s.tsv",
               "#synib-split 1\nclip|actor|label|part|scheme\na|1|0|val|123456789012345\n");
    ASSERT_OK(split_table_read(&t, path, &e), e);
    assert_string_equal(t.scheme, "123456789012345");
    split_table_free(&t);
    free(path);
    path = put(*state, "s.tsv", "#synib-split 1\nclip|actor|label|part|fold\na|1|0|val|7\n");
    ASSERT_OK(split_table_read(&t, path, &e), e);
    assert_int_equal(t.fold, 7);
    split_table_free(&t);
    free(path);
    FAILS_EACH(bad, SPLIT, read_split);
}

/* A split that cannot be written: the folder is a file. */
static void test_split_written(void **state)
{
    struct split_table t = {0};
    char *file = put(*state, "file", "x"), *path = scratch_path(*state, "file/split.tsv");
    struct err e = {0};

    ASSERT_FAILS(split_table_write(&t, path, false, &e), e, ERR_IO, "file");
    free(file);
    free(path);
}

/* ---- the shipped facts ---- */

#define ORDER "#synib-consensus 1\nclip\n"
#define FOLDS "#synib-folds 1\nactor|fold0\n"

static void test_reference(void **state)
{
    static const struct {
        const char *order, *folds;
        enum err_code code;
        const char *says;
    } bad[] = {
        {ORDER "1001_DFA_ANG_XX\n", FOLDS "1001|train\n", ERR_USAGE,
         "--fold: the reference has no fold 1"},
        {ORDER "1001_DFA_ANG_X!\n", "#synib-folds 1\nactor|fold1\n1001|train\n", ERR_DATA,
         "cremad-consensus.tsv:3: clip name '1001_DFA_ANG_X!' has other characters"},
        {ORDER "1001_DFA_ANG_YY\n", "#synib-folds 1\nactor|fold1\n1001|train\n", ERR_DATA,
         "cremad-consensus.tsv:3: '1001_DFA_ANG_YY' is not a clip name"},
        {ORDER "1002_DFA_ANG_XX\n", "#synib-folds 1\nactor|fold1\n1001|train\n", ERR_DATA,
         "folds-reference.tsv: actor 1002 of "},
        {ORDER "1001_DFA_ANG_XX\n", "#synib-folds 1\nactor|fold1\n1001|train\n1001|val\n", ERR_DATA,
         "is not there exactly once"},
        {ORDER "1001_DFA_ANG_XX\n", "#synib-folds 1\nactor|fold1\n1001|dev\n", ERR_DATA,
         "folds-reference.tsv:3: part 'dev' is not train, val or test"},
        {ORDER "1001_DFA_ANG_XX\n1001_DFA_ANG_XX\n", "#synib-folds 1\nactor|fold1\n1001|val\n",
         ERR_DATA, "cremad-consensus.tsv:4: '1001_DFA_ANG_XX' stands already in line 3"},
        {"#synib-consensus 1\nname\n", FOLDS, ERR_DATA, "column 'clip' is missing"},
        {ORDER, "#synib-folds 1\nname\n", ERR_DATA, "column 'actor' is missing"},
    };
    struct split_table t;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *order = put(*state, "cremad-consensus.tsv", bad[i].order);
        char *folds = put(*state, "folds-reference.tsv", bad[i].folds);
        struct err e = {0};

        ASSERT_FAILS(split_table_reference(&t, *state, 1, &e), e, bad[i].code, bad[i].says);
        assert_null(t.row);
        free(order);
        free(folds);
    }
}

static void test_fold_seed(void **state)
{
    static const struct {
        const char *text;
        enum err_code code;
        const char *says;
    } bad[] = {
        {"#synib-fold-seeds 1\nfold|seed\n0|5\n", ERR_USAGE,
         "--fold: the reference has no fold 3: "},
        {"#synib-fold-seeds 1\nfold|seed\n0|5\n", ERR_USAGE, "fold-seeds.tsv has 1 folds"},
        {"#synib-fold-seeds 1\nfold|seed\n", ERR_USAGE, "fold-seeds.tsv has 0 folds"},
        {"#synib-fold-seeds 1\nfold|seed\n3|-5\n", ERR_DATA,
         "fold-seeds.tsv:3: seed: '-5' is not a whole number"},
        {"#synib-fold-seeds 1\nfold|seed\n3|5\n3|6\n", ERR_DATA,
         "fold-seeds.tsv:4: '3' stands already in line 3"},
        {"#synib-fold-seeds 1\nfold\n", ERR_DATA, "column 'seed' is missing"},
    };
    uint64_t seed;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *path = put(*state, "fold-seeds.tsv", bad[i].text);
        struct err e = {0};

        ASSERT_FAILS(manifests_fold_seed(&seed, *state, 3, &e), e, bad[i].code, bad[i].says);
        free(path);
    }
}

static void test_index(void **state)
{
    char *path = put(*state, "t.tsv", "#synib-x 1\nk|v\nb|1\na|2\nb|3\nb|4\n");
    struct tsv_index x;
    struct tsv *t;
    size_t first;
    struct err e = {0};

    ASSERT_OK(tsv_read(&t, path, "x", NULL, &e), e);
    ASSERT_FAILS(tsv_index_init(&x, t, "w", &e), e, ERR_DATA, "t.tsv:2: has no column 'w'");
    assert_null(x.row);
    ASSERT_OK(tsv_index_init(&x, t, "k", &e), e);
    assert_int_equal(tsv_index_find(&x, "b", &first), 3);
    assert_string_equal(tsv_cell(t, x.row[first], 1), "1"); /* in the order of the file */
    assert_int_equal(tsv_index_find(&x, "c", &first), 0);
    tsv_index_free(&x);
    tsv_free(t);
    free(path);
}

/* ---- where they are ---- */

/* What this program finds from a folder of its own. */
static int find_from(const void *state, char text[4096])
{
    return moved_run(state, "x/y/bin/test", "find", "", text, 4096);
}

static void test_beside(void **state)
{
    char *a = folder(*state, "x"), *b = folder(*state, "x/y"), *c = folder(*state, "x/y/bin");
    char text[4096];

    moved_copy(*state, "x/y/bin/test");
    assert_int_equal(find_from(*state, text), ERR_IO);
    assert_non_null(strstr(text, "manifests: not found beside the program: pass --manifests DIR "));
    free(put(*state, "x/manifests", "no folder"));
    assert_int_equal(find_from(*state, text), ERR_IO);
    free(folder(*state, "x/y/share"));
    free(folder(*state, "x/y/share/synib"));
    free(folder(*state, "x/y/share/synib/manifests"));
    assert_int_equal(find_from(*state, text), ERR_OK);
    assert_non_null(strstr(text, "x/y/bin/../share/synib/manifests"));
    free(a);
    free(b);
    free(c);
}

static void test_given(void **state)
{
    char *file = put(*state, "file", "x"), *dir = NULL;
    struct err e = {0};

    ASSERT_FAILS(manifests_find(&dir, file, &e), e, ERR_IO,
                 "file: is not a folder of manifests: check --manifests");
    setenv("SYNIB_MANIFESTS", "/nowhere", 1);
    ASSERT_FAILS(manifests_find(&dir, NULL, &e), e, ERR_IO,
                 "/nowhere: is not a folder of manifests: check SYNIB_MANIFESTS");
    setenv("SYNIB_MANIFESTS", *state, 1);
    ASSERT_OK(manifests_find(&dir, NULL, &e), e);
    assert_string_equal(dir, *state);
    free(dir);
    unsetenv("SYNIB_MANIFESTS");
    free(file);
}

static int find(void)
{
    char *dir = NULL;
    struct err e = {0};
    enum err_code code = manifests_find(&dir, NULL, &e);

    printf("%s\n", code != ERR_OK ? e.text : dir);
    free(dir);
    return (int)code;
}

int main(int argc, char **argv)
{
#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_clip_list), WITH_FOLDER(test_clip_list_audio), WITH_FOLDER(test_corpus),
        WITH_FOLDER(test_split),     WITH_FOLDER(test_split_written),   WITH_FOLDER(test_reference),
        WITH_FOLDER(test_fold_seed), WITH_FOLDER(test_index),           WITH_FOLDER(test_beside),
        WITH_FOLDER(test_given),
    };

    if (argc == 2 && strcmp(argv[1], "find") == 0)
        return find();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
