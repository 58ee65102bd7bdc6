/* SPDX-License-Identifier: MIT */
#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "common/data/fields.h"
#include "common/data/irony.h"
#include "common/data/vectors.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny_dataset.h"
#include "train/report/clips.h"
#include "train/sweep/results.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Datasets that a report or a sweep finds: ours, those of others, and what lies beside them. */

static const char *const splits[] = {"train", "val", "test"};

static char *folder(const void *state, const char *name)
{
    char *path = scratch_path(state, name);
    struct err e = {0};

    ASSERT_OK(dir_make(path, &e), e);
    return path;
}

static void put(const char *dir, const char *name, const char *text)
{
    char *path = scratch_path(dir, name), *copy = strdup(text);
    struct err e = {0};

    assert_non_null(copy);
    for (char *p = copy; (p = strchr(p, '|')) != NULL;)
        *p = '\t';
    ASSERT_OK(atomic_file_put(path, copy, strlen(copy), true, &e), e);
    free(copy);
    free(path);
}

/* ---- vectors ---- */

static enum err_code put_meta(void *ctx, const char *key, const char *value, struct err *e)
{
    return shard_writer_meta(ctx, key, value, e);
}

/* ROOT/train, val and test: two samples each of two classes, or of numbers; `config` as their
 * synib.config, NULL: none; `source`: two names of sources, NULL: none. */
static void write_vectors(const char *root, const char *config, const char *const *source,
                          float value, bool classes)
{
    struct shard_options opt = {.prefix = "vectors", .force = true};
    struct err e = {0};

    for (int s = 0; s < 3; s++) {
        struct vectors v = {.modalities = 2,
                            .modality = {{.name = "x1", .dim = 2}, {.name = "x2", .dim = 2}},
                            .classes = classes ? 2 : 0,
                            .targets = classes ? 0 : 1,
                            .class_name = {"a", "b"},
                            .sources = source != NULL ? 2 : 0};
        char *dir = scratch_path(root, splits[s]);
        struct shard_field field[SHARD_MAX_FIELDS];
        struct shard_writer *w = NULL;
        int n;

        for (int g = 0; g < v.sources; g++)
            snprintf(v.source_name[g], VECTORS_NAME_SIZE, "%s", source[g]);
        ASSERT_OK(vectors_alloc(&v, 2, false, &e), e);
        for (int k = 0; k < 4; k++)
            v.modality[0].x[k] = v.modality[1].x[k] = value + (float)(s + k);
        if (classes)
            v.label[1] = 1;
        else
            v.target[0] = v.target[1] = value;
        n = vectors_fields(&v, field);
        ASSERT_OK(shard_writer_open(&w, dir, &opt, field, n, &e), e);
        ASSERT_OK(vectors_meta(&v, put_meta, w, &e), e);
        if (config != NULL)
            ASSERT_OK(shard_writer_meta(w, "synib.config", config, &e), e);
        for (int64_t i = 0; i < v.count; i++) {
            struct shard_value cell[SHARD_MAX_FIELDS];

            for (int f = 0; f < n; f++)
                cell[f] = vectors_value(&v, i, f);
            ASSERT_OK(shard_writer_add(w, cell, &e), e);
        }
        ASSERT_OK(shard_writer_commit(w, &e), e);
        vectors_free(&v);
        free(dir);
    }
}

/* A run that was trained, and perhaps tested, on the set in ROOT. */
static struct report_run run_on(const char *root, bool tested)
{
    struct report_run r = {.path = (char *)"run", .missing = tested ? NULL : (char *)"no test"};
    struct err e = {0};

    for (int s = 0; s < 3; s++) {
        char *to[] = {r.train, r.val, r.test}, *path = scratch_path(root, splits[s]);
        struct shard_set *set = NULL;
        const char *content;

        ASSERT_OK(shard_set_open(&set, path, &e), e);
        content = shard_set_meta(set, "synib.content");
        snprintf(to[s], SHA256_HEX_SIZE, "%s", content != NULL ? content : shard_set_digest(set));
        shard_set_close(set);
        free(path);
    }
    return r;
}

struct found {
    struct report_set *set;
    size_t n, cap;
};

static void found_free(struct found *f)
{
    for (size_t i = 0; i < f->n; i++)
        report_set_free(&f->set[i]);
    free(f->set);
    *f = (struct found){.n = 0};
}

static void test_vectors(void **state)
{
    static const struct {
        const char *config, *kind, *facts;
    } cases[] = {
        {NULL, "vectors", ""},
        {"", "vectors", ""},
        {"no JSON", "vectors", ""},
        {"[1]", "vectors", ""},
        {"{\"task\": 5, \"a\": 1.5}", "vectors", "a = 1.5\n"},
        {"{\"task\": \"mine\", \"a\": \"b\", \"c\": [1, \"x\", [2]], \"d\": true, \"e\": {}}",
         "mine", "a = b\nc = 1/x/2\nd = \ne = \n"},
    };
    char *root = folder(*state, "v");
    const struct name_list none = {0};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct found f = {.n = 0};
        struct report_run r;
        int index = -2;
        struct err e = {0};

        write_vectors(root, cases[i].config, NULL, 0, true);
        r = run_on(root, true);
        r.places.data = root;
        ASSERT_OK(report_sets_find(&index, &f.set, &f.n, &f.cap, &r, &none, &e), e);
        assert_true(index == 0 && f.n == 1 && f.set[0].vectors && isnan(f.set[0].rate));
        assert_string_equal(f.set[0].kind, cases[i].kind);
        assert_string_equal(f.set[0].facts, cases[i].facts);
        assert_string_equal(f.set[0].origin, "seed ?");
        found_free(&f);
    }
    free(root);
}

static void test_finding(void **state)
{
    char *one = folder(*state, "one"), *two = folder(*state, "two"), *gone, *path;
    char *names[] = {two, one};
    const struct name_list folders = {.name = names, .count = 2}, none = {0};
    struct found f = {.n = 0};
    struct report_run r;
    int index;
    struct err e = {0};

    write_vectors(one, NULL, NULL, 0, true);
    write_vectors(two, NULL, NULL, 9, true);
    r = run_on(one, true);
    ASSERT_OK(report_sets_find(&index, &f.set, &f.n, &f.cap, &r, &none, &e), e);
    assert_true(index == -1 && f.n == 0);
    r.places.data = two; /* another set is where the run says */
    ASSERT_OK(report_sets_find(&index, &f.set, &f.n, &f.cap, &r, &folders, &e), e);
    assert_true(index == 0 && f.n == 1);
    assert_string_equal(f.set[0].dir, one);
    ASSERT_OK(report_sets_find(&index, &f.set, &f.n, &f.cap, &r, &none, &e), e);
    assert_true(index == 0 && f.n == 1);
    r.test[0] ^= 1;
    ASSERT_FAILS(report_sets_find(&index, &f.set, &f.n, &f.cap, &r, &none, &e), e, ERR_DATA,
                 "run/test/metrics.json: was measured on other data than the test split of ");
    r.missing = (char *)"no test"; /* then it says nothing of a test split */
    ASSERT_OK(report_sets_find(&index, &f.set, &f.n, &f.cap, &r, &none, &e), e);
    r = run_on(one, false);
    r.train[0] ^= 1; /* the val split alone does not make the set */
    ASSERT_OK(report_sets_find(&index, &f.set, &f.n, &f.cap, &r, &folders, &e), e);
    assert_int_equal(index, -1);
    r = run_on(one, false);
    r.val[0] ^= 1;
    ASSERT_OK(report_sets_find(&index, &f.set, &f.n, &f.cap, &r, &folders, &e), e);
    assert_int_equal(index, -1);
    gone = folder(*state, "gone");
    r.places.data = gone;
    ASSERT_OK(report_sets_find(&index, &f.set, &f.n, &f.cap, &r, &none, &e), e);
    assert_int_equal(index, -1);
    /* train and val are there, test is not */
    r = run_on(two, false);
    r.places.data = two;
    path = scratch_path(two, "test");
    scratch_clear(path);
    ASSERT_FAILS(report_sets_find(&index, &f.set, &f.n, &f.cap, &r, &none, &e), e, ERR_IO,
                 "two/test");
    assert_int_equal(f.n, 1);
    found_free(&f);
    free(path);
    free(one);
    free(two);
    free(gone);
}

/* ---- pictures and sound ---- */

/* ROOT/video, audio, train, val and test; rate: NULL = the splits say none. */
static void write_media(const char *root, const char *rate)
{
    struct irony_writer_options opt = {.force = true};
    struct shard_set *video = NULL, *audio = NULL;
    char *v = scratch_path(root, "video"), *a = scratch_path(root, "audio");
    struct err e = {0};

    ASSERT_OK(tiny_bases_write(root, 6, 16, &e), e);
    ASSERT_OK(shard_set_open(&video, v, &e), e);
    ASSERT_OK(shard_set_open(&audio, a, &e), e);
    for (int s = 0; s < 3; s++) {
        char *dir = scratch_path(root, splits[s]);
        struct irony_writer *w = NULL;

        ASSERT_OK(irony_writer_open(&w, dir, video, audio, &opt, &e), e);
        if (rate != NULL)
            ASSERT_OK(irony_writer_meta(w, "synib.rate", rate, &e), e);
        for (int i = 2 * s; i < 2 * s + 2; i++) {
            char clip[CLIP_NAME_SIZE];
            const struct irony_row row = {.clip = clip,
                                          .donor_index = -1,
                                          .label = i % 6,
                                          .base_label = i % 6,
                                          .donor_label = -1,
                                          .actor = 1001 + i % 4};

            tiny_clip_name(i, clip);
            ASSERT_OK(irony_writer_add(w, &row, &e), e);
        }
        ASSERT_OK(irony_writer_commit(w, NULL, &e), e);
        free(dir);
    }
    shard_set_close(video);
    shard_set_close(audio);
    free(v);
    free(a);
}

static void test_media(void **state)
{
    static const struct {
        const char *rate, *kind;
    } cases[] = {{NULL, "rate ?"}, {"0.5", "rate 0.5"}, {"much", "rate much"}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[] = "m0", *root;
        const struct name_list none = {0};
        struct found f = {.n = 0};
        struct report_run r;
        int index = -2;
        struct err e = {0};

        name[1] = (char)('0' + i);
        root = folder(*state, name);
        write_media(root, cases[i].rate);
        r = run_on(root, true);
        r.places.data = root;
        ASSERT_OK(report_sets_find(&index, &f.set, &f.n, &f.cap, &r, &none, &e), e);
        assert_true(index == 0 && !f.set[0].vectors && (f.set[0].rate == 0.5) == (i == 1));
        assert_string_equal(f.set[0].kind, cases[i].kind);
        assert_string_equal(f.set[0].origin, "fold ?, seed ?");
        assert_string_equal(f.set[0].facts, "donors = ?\nscheme = ?\n");
        found_free(&f);
        free(root);
    }
}

/* ---- clips.tsv, rejected.tsv, dropped.tsv ---- */

/* What the report says of the clips, as Markdown. */
static char *said(const struct report_clips *c)
{
    struct doc d = {0};
    struct err e = {0};
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);

    assert_non_null(f);
    report_clips_say(c, &d);
    ASSERT_OK(report_clips_add(c, &d, &e), e);
    ASSERT_OK(doc_write_markdown(&d, f, &e), e);
    assert_int_equal(fclose(f), 0);
    doc_free(&d);
    return out;
}

/* Reads what lies around a/b/c/data of *state, or `file`, and compares with `says`. */
static void assert_said(void *const *state, const char *file, const char *const *says)
{
    char *data = scratch_path(*state, "a/b/c/data"), *text;
    const struct report_set set[] = {{.dir = data}, {.vectors = true}, {.dir = data}};
    struct report_clips c = {0};
    struct err e = {0};

    ASSERT_OK(report_clips_read(&c, file, set, 3, &e), e);
    text = said(&c);
    for (; *says != NULL; says++)
        if (strstr(text, *says) == NULL)
            fail_msg("'%s' is not in: %s", *says, text);
    free(text);
    report_clips_free(&c);
    free(data);
}

#define CLIPS "#synib-clips 1\nclip|verdict|reason|checked\n"
#define SAID(file, ...) assert_said(state, file, (const char *const[]){__VA_ARGS__, NULL})

static void test_clips(void **state)
{
    char *a = folder(*state, "a"), *b = folder(*state, "a/b"), *c = folder(*state, "a/b/c");
    char *data = folder(*state, "a/b/c/data"), *base = folder(*state, "a/b/video");
    char *other = folder(*state, "a/b/audio"), *file = scratch_path(*state, "clips.tsv");
    char many[16384] = CLIPS;

    SAID(NULL, "Whether the media are CREMA-D's is not known here",
         "No clips.tsv, rejected.tsv or dropped.tsv at hand.");
    put(data, "dropped.tsv", "#synib-dropped 1\nclip|reason\n");
    SAID(NULL, "Whether the media", "No clip was rejected on the way to the datasets.");
    put(c, "clips.tsv", CLIPS "x|accepted||official\ny|flagged||official\n");
    SAID(NULL, "The media were compared with the digests of the official CREMA-D files.",
         "Of 2 clips the scan accepted 1, flagged 1 and rejected 0.",
         "No clip was rejected on the way to the datasets.");
    put(a, "clips.tsv", CLIPS "x|accepted||\n"); /* farther away */
    SAID(NULL, "Of 2 clips the scan");
    put(*state, "clips.tsv", CLIPS "x|rejected|too bad|corpus\ny|accepted||official\n");
    SAID(file, "of 2 clips 1 were compared with the official digests and 1 with a list",
         "| x | scan | too bad |");
    /* of base sets only, and each content once */
    put(base, "rejected.tsv",
        "#synib-rejected 1\nclip|step|reason\nx|scan|too bad\nz|stft|short\n");
    SAID(file, "| x | scan | too bad |\n\n");
    put(base, "index.jsonl", "");
    put(other, "index.jsonl", "");
    put(other, "rejected.tsv",
        "#synib-rejected 1\nclip|step|reason\nx|scan|too bad\nz|stft|short\n");
    put(data, "dropped.tsv", "#synib-dropped 1\nclip|reason\nw|dropped by hand\n");
    SAID(file, "| x | scan | too bad |\n| w | irony | dropped by hand |\n| z | stft | short |\n\n");
    for (int i = 0; i < 250; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), "c%d|rejected|bad|corpus\n", i);
    put(*state, "clips.tsv", many);
    SAID(file, "| c199 | scan | bad |\n\n", "And 52 more.");
    /* without a clips.tsv the lines that repeat it are all there is */
    assert_int_equal(remove(file), 0);
    free(file);
    file = scratch_path(a, "clips.tsv");
    assert_int_equal(remove(file), 0);
    free(file);
    file = scratch_path(c, "clips.tsv");
    assert_int_equal(remove(file), 0);
    SAID(NULL, "Whether the media", "| x | scan | too bad |", "| z | stft | short |");
    free(a);
    free(b);
    free(c);
    free(data);
    free(base);
    free(other);
    free(file);
}

static void test_bad_clips(void **state)
{
    static const struct {
        const char *folder, *name, *text, *says;
    } bad[] = {
        {"a", "clips.tsv", "#synib-clips 1\nclip|verdict|reason\n", "column 'checked' is missing"},
        {"a/b/c", "clips.tsv", "", "clips.tsv: is empty"},
        {"a/b/video", "rejected.tsv", "#synib-rejected 1\nclip\n", "column 'reason' is missing"},
        {"a/b/c/data", "dropped.tsv", "#synib-x 1\nclip|reason\n", "is not a dropped manifest"},
    };
    static const char *const folders[] = {"a", "a/b", "a/b/c", "a/b/c/data", "a/b/video"};
    char *data = scratch_path(*state, "a/b/c/data"), *path;
    const struct report_set set = {.dir = data};
    struct report_clips c = {0};
    struct err e = {0};

    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        free(folder(*state, folders[i]));
    put(*state, "a/b/video/index.jsonl", "");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *dir = scratch_path(*state, bad[i].folder);

        put(dir, bad[i].name, bad[i].text);
        ASSERT_FAILS(report_clips_read(&c, NULL, &set, 1, &e), e, ERR_DATA, bad[i].says);
        report_clips_free(&c);
        path = scratch_path(dir, bad[i].name);
        assert_int_equal(remove(path), 0);
        free(path);
        free(dir);
    }
    path = scratch_path(*state, "none.tsv");
    ASSERT_FAILS(report_clips_read(&c, path, &set, 1, &e), e, ERR_IO, "none.tsv: cannot open");
    report_clips_free(&c);
    free(path);
    free(data);
}

/* ---- sweeps over them ---- */

#define PLAN "#synib-plan 1\nrun|task|preset|method|mask|settings|seed\n"

static enum err_code init(void *const *state, const char *rows, bool test, struct results *r,
                          struct plan *p, struct err *e)
{
    char *path = scratch_path(*state, "plan.tsv"), text[4096] = PLAN, *to = text + strlen(text);
    struct sweep_part whole = {1, 1};

    for (const char *q = rows; *q != '\0'; q++)
        to += *q == '@' ? sprintf(to, "%s", (const char *)*state) : sprintf(to, "%c", *q);
    put(*state, "plan.tsv", text);
    *r = (struct results){.log = {.fd = -1}};
    TRY(plan_read(p, path, e));
    TRY(results_init(r, p, whole, test, *state, e));
out:
    free(path);
    return e->code;
}

/* No more sources of information in one table than it has room for. */
static void test_many_sources(void **state)
{
    char rows[2048] = "", name[2][VECTORS_NAME_SIZE];
    struct results r;
    struct plan p;
    struct err e = {0};

    for (int i = 0; i < 9; i++) {
        const char *const source[] = {name[0], name[1]};
        char set[16], *root;

        for (int g = 0; g < 2; g++)
            snprintf(name[g], sizeof name[g], "s%d", 2 * i + g);
        snprintf(set, sizeof set, "set%d", i);
        root = folder(*state, set);
        write_vectors(root, NULL, source, (float)i, true);
        free(root);
        snprintf(rows + strlen(rows), sizeof rows - strlen(rows),
                 "r%d|@/set%d|xor-spurious|vanilla|||1\n", i, i);
        if (i == 7) {
            ASSERT_OK(init(state, rows, true, &r, &p, &e), e);
            assert_int_equal(r.sources, 16);
            results_free(&r);
            plan_free(&p);
        }
    }
    ASSERT_FAILS(init(state, rows, true, &r, &p, &e), e, ERR_DATA,
                 "plan.tsv: more than 16 sources of information");
    results_free(&r);
    plan_free(&p);
}

/* Columns are those that the data have. */
static void test_columns(void **state)
{
    static const struct {
        const char *rows;
        bool test;
        const char *has, *has_not;
    } cases[] = {
        {"a|@/classes|xor-spurious|vanilla|||1\n", true, "\tlast_accuracy\tlast_loss\t", "mse"},
        {"a|@/numbers|xor-regression|vanilla|||1\n", true, "\tbest_mse\tbest_r2\tbest_loss\n",
         "accuracy"},
        {"a|regression:1|xor-regression|vanilla|||1\n", true,
         "\tlast_mse\tlast_r2\tlast_loss\tlast_", "accuracy"},
        {"a|@/media|demo|uni-audio|||1\n", true, "\tval_irony_f1\tlast_accuracy\t", "mse"},
        {"a|@/media|demo|uni-audio|||1\nb|@/media|demo|uni-video|||1\n", false,
         "\tval_loss\tval_accuracy\tval_macro_f1\tval_irony_f1\n", "last_"},
    };
    char *classes = folder(*state, "classes"), *numbers = folder(*state, "numbers");
    char *media = folder(*state, "media");

    write_vectors(classes, NULL, NULL, 0, true);
    write_vectors(numbers, NULL, NULL, 0, false);
    write_media(media, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct results r;
        struct plan p;
        struct err e = {0};

        ASSERT_OK(init(state, cases[i].rows, cases[i].test, &r, &p, &e), e);
        if (strstr(r.header, cases[i].has) == NULL || strstr(r.header, cases[i].has_not) != NULL)
            fail_msg("case %zu: %s", i, r.header);
        if (i == 4) { /* nothing is known of a run that is not finite */
            struct run_result none = {.finite = false};

            ASSERT_OK(results_start(&r, &e), e);
            ASSERT_OK(results_add(&r, 1, &none, &e), e);
            run_log_close(&r.log);
        }
        if (r.numbers) {
            struct run_result one = {.finite = true};

            ASSERT_OK(results_start(&r, &e), e);
            ASSERT_OK(results_add(&r, 0, &one, &e), e);
            run_log_close(&r.log);
        }
        if (r.media) { /* its F1 of irony is a number, or an empty cell */
            struct run_result one = {.finite = true, .val.irony_f1 = i == 3 ? 0.5 : NAN};

            ASSERT_OK(results_start(&r, &e), e);
            ASSERT_OK(results_add(&r, 0, &one, &e), e);
            assert_non_null(strstr(r.row[0], i == 3 ? "\t0\t0\t0\t0.5\t" : "\t0\t0\t0\t\n"));
        }
        results_free(&r);
        plan_free(&p);
    }
    free(classes);
    free(numbers);
    free(media);
}

static void test_no_data(void **state)
{
    struct results r;
    struct plan p;
    struct err e = {0};

    ASSERT_FAILS(init(state, "a|@/nowhere|xor-spurious|vanilla|||1\n", true, &r, &p, &e), e, ERR_IO,
                 "plan.tsv:3: ");
    results_free(&r);
    plan_free(&p);
}

int main(void)
{
#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_vectors), WITH_FOLDER(test_finding),   WITH_FOLDER(test_media),
        WITH_FOLDER(test_clips),   WITH_FOLDER(test_bad_clips), WITH_FOLDER(test_many_sources),
        WITH_FOLDER(test_columns), WITH_FOLDER(test_no_data),
    };

    setenv("SYNIB_MANIFESTS", SOURCE_DIR "/manifests", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
