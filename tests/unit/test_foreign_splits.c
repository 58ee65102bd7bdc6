/* SPDX-License-Identifier: MIT */
#include "common/base/file.h"
#include "prep/split_audit.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What synib-split --audit reads: every form of a foreign split, and every way to get it wrong. */

static char *put_bytes(const void *state, const char *name, const char *text, size_t len)
{
    char *path = scratch_path(state, name);
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    return path;
}

static char *put(const void *state, const char *name, const char *text)
{
    return put_bytes(state, name, text, strlen(text));
}

/* A message is one line, whatever the file holds. */
static void assert_one_line(const struct err *e)
{
    if (strchr(e->text, '\n') != NULL)
        fail_msg("more than one line: '%s'", e->text);
}

#define A "1001_DFA_ANG_XX"
#define B "1002_ITH_HAP_XX"
#define NAME_64 "0123456789012345678901234567890123456789012345678901234567890123"
#define TEN_PARTS(t)                                                                            \
    A "," t "0\n" A "," t "1\n" A "," t "2\n" A "," t "3\n" A "," t "4\n" A "," t "5\n" A "," t \
      "6\n" A "," t "7\n" A "," t "8\n" A "," t "9\n"

/* ---- files that say the parts, or do not ---- */

static void test_reads(void **state)
{
    static const struct {
        const char *name, *text;
        int folds, parts;
        size_t entries;
        const char *fold, *part, *clip; /* the first fold, the last part, the last clip */
    } good[] = {
        {"a.csv", "part,clip\ntrain," A "\n\n  \ntest," B "\n", 1, 2, 2, "a.csv", "test", B},
        {"a.csv", "clip;SET\r\n" A ";'train'\r\n" B "; val \r\n", 1, 2, 2, "a.csv", "val", B},
        {"a.tsv", "Subset\tx\n\"train\"\t" A, 1, 1, 1, "a.tsv", "train", A},
        {"a.csv", "clip,Partition\n" A ",train\n" B ",test\n", 1, 2, 2, "a.csv", "test", B},
        {"a.csv", "\xef\xbb\xbfpart,clip\ntrain," A "\ntest," B "\n", 1, 2, 2, "a.csv", "test", B},
        {"b.json", "\xef\xbb\xbf{\"train\": [\"" A "\"]}", 1, 1, 1, "b.json", "train", A},
        {"b.tsv", "\xef\xbb\xbf#synib-split 1\nclip\tpart\n" A "\tval\n", 1, 1, 1, "b.tsv", "val",
         A},
        /* quotes: a delimiter, doubled quotes, blanks around, text behind them */
        {"q.csv",
         "clip,text,part\r\n" A ",\"Yes, it is\",train\r\n" B ", \"a \"\"b\"\", c\" ,\"te\"st\r\n",
         1, 2, 2, "q.csv", "test", B},
        {"q.csv",
         "\"a,part\",\"set\"\n\"\","
         "\"val \"\"2\"\"\",\"" A "\"\n",
         1, 1, 1, "q.csv", "val \"2\"", A},
        {"q.csv", "\"clip;part\",split,x;y\n\"" A "\",test,\n", 1, 1, 1, "q.csv", "test", A},
        {"a.csv", "path,it's\n" A ",5\" disc\n", 1, 1, 1, "files", "a", A},
        /* one word for a part, in a file of that part or not, says nothing */
        {"dev.csv", "clip,phase\n" A ",val\n" B ",Validation\n", 1, 1, 2, "files", "dev", B},
        {"train.csv", "x" A "x\nx " A "," B "\n", 1, 1, 1, "files", "train", A},
        {"train", "head, without a column for it\n1001_DFA_ANG_X.wav", 1, 1, 1, "files", "train",
         "1001_DFA_ANG_X"},
        {"b.json", " [\"" A "\", \"" B "\"]", 1, 1, 2, "files", "b", B},
        {"b.json", "{\"train\": [\"" A "\"], \"test\": []}", 1, 2, 1, "b.json", "test", A},
        {"b.json", "{\"f\\u007f\\n0\": {\"train\": [\"" A "\"]}, \"1\": {\"x\": [\"" B "\"]}}", 2,
         2, 2, "f??0", "x", B},
        {"c.tsv", "#synib-folds 1\nactor\tfold0\tfold1\n1001\ttrain\ttest\n1002\t-\ttrain\n", 2, 2,
         3, "fold0", "test", ""},
        {"c.tsv",
         "#synib-split 1\nclip\tpart\tverdict\n" A "\ttrain\taccepted\nx\ttest\trejected\n", 1, 1,
         1, "c.tsv", "train", A},
        {"c.tsv", "#synib-clips 1\nclip\tactor\nany name\t1001\n", 1, 1, 1, "files", "c",
         "any name"},
    };

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char *path = put(*state, good[i].name, good[i].text);
        struct audit a = {0};
        struct err e = {0};

        ASSERT_OK(audit_read(&a, path, &e), e);
        if (a.folds != good[i].folds || a.parts != good[i].parts || a.count != good[i].entries)
            fail_msg("case %zu: %d folds, %d parts, %zu entries", i, a.folds, a.parts, a.count);
        assert_string_equal(a.fold[0], good[i].fold);
        assert_string_equal(a.part[a.parts - 1], good[i].part);
        assert_string_equal(a.entry[a.count - 1].clip, good[i].clip);
        audit_free(&a);
        free(path);
    }
}

static void test_refuses(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "bad.x: names no clip: nothing to audit"},
        {" \t\n\n", "bad.x: names no clip"},
        {"only a header\n", "bad.x: names no clip"},
        {"clip,part\n", "bad.x: names no clip"},
        {"x\n" A "\nno name here\n", "bad.x:3: holds no clip name (NNNN_SSS_EEE_LV)"},
        {"x\n1001_DFA_ANGXX\n", "bad.x:2: holds no clip name"},
        {"x\n1001_DFA_ANG_\n", "bad.x:2: holds no clip name"},
        {"x\n1001_DFA_ANG_XXX\n", "bad.x:2: holds no clip name"},
        {"x\n1001_DFA-ANG_XX\n", "bad.x:2: holds no clip name"},
        {"x\n1001_DfA_ANG_XX\n", "bad.x:2: holds no clip name"},
        {"x\n1001_DFA_Ang_XX\n", "bad.x:2: holds no clip name"},
        {"x\n10010_DFA_ANG_XX\n", "bad.x:2: holds no clip name"},
        {"x\n1001-DFA_ANG_XX\n", "bad.x:2: holds no clip name"},
        {"clip,part\n" A "\n", "bad.x:2: has no column 2, which the first line names"},
        {"part,clip\ntrain," A "\n\nno name here\n", "bad.x:4: holds no clip name"},
        {"clip,part\n" A ",\n", "bad.x: part name '' is not 1 to 63 characters of text"},
        {"clip,part\n" A "," NAME_64 "\n",
         "bad.x: part name '" NAME_64 "' is not 1 to 63 characters"},
        {"clip,part\n" A "," NAME_64 NAME_64 "\n", "is not 1 to 63 characters of text"},
        {"clip,part\n" A ",a\033[2Jb\n", "bad.x: part name 'a?[2Jb' is not"},
        {"clip,part\n" TEN_PARTS("a") TEN_PARTS("b") TEN_PARTS("c") TEN_PARTS("d"),
         "bad.x: more than 32 parts"},
        {"clip,text,part\n" A ",\"two\nlines\",train\n",
         "bad.x:2: a quoted cell does not end in its"},
        {"clip,part\n" A ",train\n" B ",\"test\n", "bad.x:3: a quoted cell does not end"},
        {"clip,part,\"x\n" A ",train\n", "bad.x:1: a quoted cell does not end"},
        {A ",\"a\"\"\n", "bad.x:1: a quoted cell does not end"},
        {"set,clip,Split\nx," A ",train\n",
         "bad.x:1: columns 'set' and 'Split' may both say the part"},
        {"clip,phase\n" A ",train\n" B ",test\n",
         "bad.x:3: says 'test' where 'train' stood before, but no column is called part, "
         "partition, "
         "split, subset or set: name it so, or pass --audit PART=FILE,..."},
        {A " Training\n" B " validation\n", "bad.x:2: says 'val' where 'train' stood before"},
        {"clip;dev;test\n" A ";0;1\n", "bad.x:1: says 'test' where 'val' stood before"},
        {"[]", "bad.x: names no clip"},
        {"{}", "bad.x: names no clip"},
        {"{\"train\": []}", "bad.x: names no clip"},
        {"\n{\n\"train\": [}", "bad.x:3: is not JSON: "},
        {"[\"" A "\", \"no name\"]", "bad.x: item 1 of part 'bad' holds no clip name"},
        {"[[\"" A "\"]]", "bad.x: item 0 of part 'bad' holds no clip name"},
        {"{\"train\": [\"" A "\", null]}", "bad.x: item 1 of part 'train' holds no clip name"},
        {"{\"train\": \"" A "\"}", "bad.x: JSON member 'train' is not a list of clips"},
        {"{\"\": [\"" A "\"]}", "bad.x: part name '' is not"},
        {"{\"" NAME_64 "\": [\"" A "\"]}", "is not 1 to 63 characters of text"},
        /* what would be a line of its own */
        {"{\"a\\nsynib-split: b\": [\"" A "\"]}", "bad.x: part name 'a?synib-split: b' is not"},
        {"{\"a\\nb\": 1}", "bad.x: JSON member 'a?b' is not a list of clips"},
        {"{\"0\": {\"a\": [\"" A "\"]}, \"a\\nb\": 1}",
         "bad.x: JSON member 'a?b' is not an object of parts"},
        {"{\"0\": {\"train\": {}}}", "bad.x: JSON member 'train' is not a list of clips"},
        {"{\"0\": {\"train\": [7]}}", "bad.x: item 0 of part 'train' holds no clip name"},
        {"#synib-", "bad.x:1: "},
        {"#synib-split 1\nclip\tpart\n" A "\ttrain", "does not end in LF"},
        {"#synib-split 1\nname\tpart\nx\ttrain\n",
         "bad.x: has neither a column 'clip' nor 'actor'"},
        {"#synib-split 1\nclip\tpart\n" A "\ttrain\nutt-1\ttrain\n",
         "bad.x:4: 'utt-1' is not a clip name"},
        {"#synib-split 1\nactor\tpart\n10010\ttrain\n", "bad.x:3: '10010' is not an actor (four"},
        {"#synib-split 1\nactor\tpart\n1001x\ttrain\n", "bad.x:3: '1001x' is not an actor"},
        {"#synib-split 1\nactor\tpart\n\ttrain\n", "bad.x:3: '' is not an actor"},
        {"#synib-split 1\nactor\tclip\tpart\n1001\t012345678901234567890123\ttrain\n",
         "bad.x:3: clip name '012345678901234567890123' has more than 23 characters"},
        {"#synib-split 1\nactor\tpart\n1001\t\n", "bad.x: part name '' is not"},
        {"#synib-folds 1\nactor\tfold0\tfold1\n1001\ttrain\ttrain\n1002\ttest\t\n",
         "bad.x: part name '' is not"},
        {"#synib-split 1\nclip\tpart\n" A "\t-\n", "bad.x: names no clip"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *path = put(*state, "bad.x", bad[i].text);
        struct audit a = {0};
        struct err e = {0};

        if (audit_read(&a, path, &e) != ERR_DATA || strstr(e.text, bad[i].says) == NULL)
            fail_msg("case %zu: %d: '%s' instead of '%s'", i, e.code, e.text, bad[i].says);
        assert_one_line(&e);
        audit_free(&a);
        free(path);
    }
}

static void test_from_memory(void **state)
{
    static const char text[] = "part,clip\ntrain," A "\nx\n", good[] = "part,clip\ntrain," A "\n";
    struct audit a = {0};
    struct err e = {0};

    (void)state;
    ASSERT_OK(audit_read_mem(&a, "x/s.csv", good, sizeof good - 1, &e), e);
    assert_true(a.count == 1 && a.folds == 1);
    assert_string_equal(a.fold[0], "s.csv");
    ASSERT_FAILS(audit_read_mem(&a, "x/s.csv", text, sizeof text - 1, &e), e, ERR_DATA,
                 "x/s.csv:3: holds no clip name");
    a.folds = AUDIT_MAX_FOLDS;
    ASSERT_FAILS(audit_read_mem(&a, "x/s.csv", text, sizeof text - 1, &e), e, ERR_DATA,
                 "x/s.csv: more than 128 folds");
    audit_free(&a);
}

static void test_nul(void **state)
{
    char *path = put_bytes(*state, "bad.csv", "clip\0\n" A "\n", 22);
    struct audit a = {0};
    struct err e = {0};

    ASSERT_FAILS(audit_read(&a, path, &e), e, ERR_DATA, "bad.csv: is not text (holds a NUL byte)");
    audit_free(&a);
    free(path);
}

/* A header of more columns than are looked at names no part. */
static void test_many_columns(void **state)
{
    char text[1024] = "", *path;
    struct audit a = {0};
    struct err e = {0};

    for (int i = 0; i < 300; i++)
        strcat(text, "x,");
    strcat(text, "part\n" A "\n");
    path = put(*state, "wide.csv", text);
    ASSERT_OK(audit_read(&a, path, &e), e);
    assert_string_equal(a.part[0], "wide");
    audit_free(&a);
    free(path);
}

/* ---- several files ---- */

/* Files of one name in two folders: neither says which part it is. */
static void test_same_name_twice(void **state)
{
    char *one = scratch_path(*state, "one"), *two = scratch_path(*state, "two"), *a_path, *b_path;
    struct audit a = {0};
    struct err e = {0};

    ASSERT_OK(dir_make(one, &e), e);
    ASSERT_OK(dir_make(two, &e), e);
    a_path = put(one, "train.csv", A "\n");
    b_path = put(two, "train.csv", B "\n");
    ASSERT_OK(audit_read(&a, a_path, &e), e);
    ASSERT_FAILS(audit_read(&a, b_path, &e), e, ERR_DATA,
                 "two/train.csv: does not say parts, and part 'train' is taken: pass --audit");
    free(b_path);
    b_path = put(two, ".csv", B "\n");
    ASSERT_FAILS(audit_read(&a, b_path, &e), e, ERR_DATA, "two/.csv: part name '' is not");
    free(b_path);
    b_path = put(two, ".json", "[]");
    ASSERT_FAILS(audit_read(&a, b_path, &e), e, ERR_DATA, "two/.json: part name '' is not");
    free(b_path);
    b_path = put(two, ".tsv", "#synib-clips 1\nclip\n");
    ASSERT_FAILS(audit_read(&a, b_path, &e), e, ERR_DATA, "two/.tsv: part name '' is not");
    audit_free(&a);
    free(a_path);
    free(b_path);
    free(one);
    free(two);
}

static void test_many_folds(void **state)
{
    char *path = put(*state, "s.csv", "part,clip\ntrain," A "\n");
    char *json = put(*state, "s.json", "{\"0\": {\"a\": [\"" A "\"]}, \"1\": {}}");
    char *table = put(*state, "s.tsv", "#synib-folds 1\nactor\tfold0\tfold1\n1001\ta\tb\n");
    struct audit a = {0};
    struct err e = {0};

    for (int i = 0; i < AUDIT_MAX_FOLDS - 1; i++)
        ASSERT_OK(audit_read(&a, path, &e), e);
    a.folds = AUDIT_MAX_FOLDS - 1;
    ASSERT_FAILS(audit_read(&a, json, &e), e, ERR_DATA, "s.json: more than 128 folds");
    a.folds = AUDIT_MAX_FOLDS - 1;
    ASSERT_FAILS(audit_read(&a, table, &e), e, ERR_DATA, "s.tsv: more than 128 folds");
    a.folds = AUDIT_MAX_FOLDS;
    ASSERT_FAILS(audit_read(&a, path, &e), e, ERR_DATA, "s.csv: more than 128 folds");
    audit_free(&a);
    free(path);
    free(json);
    free(table);
}

/* ---- PART=FILE ---- */

/* '@' becomes the folder. */
static void fill(char out[2048], const char *text, const char *dir)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        n += (size_t)(*text == '@' ? snprintf(out + n, 2048 - n, "%s", dir)
                                   : snprintf(out + n, 2048 - n, "%c", *text));
}

static void test_pairs(void **state)
{
    static const struct {
        const char *spec; /* '@' is the folder */
        enum err_code code;
        const char *says;
    } bad[] = {
        {"=@/a.csv", ERR_USAGE, "--audit: '=@/a.csv' is not PART=FILE"},
        {"train=", ERR_USAGE, "--audit: 'train=' is not PART=FILE"},
        {"train=@/a.csv,test", ERR_USAGE, "--audit: 'test' is not PART=FILE"},
        {"train=@/a.csv,", ERR_USAGE, "--audit: '' is not PART=FILE"},
        {"train=@/a.csv,=", ERR_USAGE, "--audit: '=' is not PART=FILE"},
        {"train,test=@/a.csv", ERR_USAGE, "--audit: 'train' is not PART=FILE"},
        {"train=@/none.csv", ERR_IO, "none.csv: cannot open"},
        {NAME_64 "=@/a.csv", ERR_DATA, "a.csv: part name '0123"},
        {"train=@/b.json,test=@/bad.json", ERR_DATA, "bad.json: item 0 of part 'test'"},
    };
    char *paths[] = {put(*state, "a.csv", "x\n" A "\n"),
                     put(*state, "b.json", "[\"" B "\"]"),
                     put(*state, "c.json", "{\"any\": [\"" B "\"]}"),
                     put(*state, "d.tsv", "#synib-clips 1\nclip\tpart\n" A "\tval\n"),
                     put(*state, "bad.json", "[1]"),
                     put(*state, "e=f.csv", A "\n")};
    char spec[2048];
    struct audit a = {0};
    struct err e = {0};

    snprintf(spec, sizeof spec, "train=%s,test=%s,test=%s,dev=%s", paths[0], paths[1], paths[2],
             paths[3]);
    ASSERT_OK(audit_read(&a, spec, &e), e);
    assert_int_equal(a.folds, 1);
    assert_string_equal(a.fold[0], "0");
    assert_true(a.parts == 3 && a.count == 4);
    assert_string_equal(a.part[a.entry[2].part], "test");
    assert_string_equal(a.part[a.entry[3].part], "dev");
    /* a file whose own name holds '=' */
    ASSERT_OK(audit_read(&a, paths[5], &e), e);
    assert_string_equal(a.part[a.entry[4].part], "e=f");
    audit_free(&a);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char says[2048];

        fill(spec, bad[i].spec, *state);
        fill(says, bad[i].says, *state);
        ASSERT_FAILS(audit_read(&a, spec, &e), e, bad[i].code, says);
        audit_free(&a);
    }
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        free(paths[i]);
}

int main(void)
{
#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_reads),
        WITH_FOLDER(test_refuses),
        WITH_FOLDER(test_nul),
        WITH_FOLDER(test_many_columns),
        WITH_FOLDER(test_same_name_twice),
        WITH_FOLDER(test_many_folds),
        WITH_FOLDER(test_pairs),
        cmocka_unit_test(test_from_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
