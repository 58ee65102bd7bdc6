/* SPDX-License-Identifier: MIT */
#include "prep/split_audit.h"

#include "common/base/mem.h"
#include "common/data/json.h"
#include "prep/manifests.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MIN_PARTS = 2 }; /* of a fold, or nothing in it can be compared */

/* The entries of one fold. */
struct view {
    const struct audit_entry **entry;
    size_t count;
};

static int by_actor(const void *a, const void *b)
{
    const struct audit_entry *x = *(const struct audit_entry *const *)a;
    const struct audit_entry *y = *(const struct audit_entry *const *)b;

    return (x->actor > y->actor) - (x->actor < y->actor);
}

static int by_clip(const void *a, const void *b)
{
    const struct audit_entry *x = *(const struct audit_entry *const *)a;
    const struct audit_entry *y = *(const struct audit_entry *const *)b;
    int order = strcmp(x->clip, y->clip);

    return order != 0 ? order : x->part - y->part;
}

static enum err_code view_init(struct view *v, const struct audit *a, int fold, struct err *e)
{
    *v = (struct view){0};
    TRY(mem_array(&v->entry, a->count, sizeof(void *), "audit", e));
    for (size_t i = 0; i < a->count; i++)
        if (a->entry[i].fold == fold)
            v->entry[v->count++] = &a->entry[i];
out:
    return e->code;
}

static void view_sort(struct view *v, int (*order)(const void *, const void *))
{
    if (v->count > 0)
        qsort(v->entry, v->count, sizeof(void *), order);
}

/* ---- speakers ---- */

struct tally {
    size_t clips[AUDIT_MAX_PARTS];
    size_t speakers[AUDIT_MAX_PARTS];
};

/* Counts; adds actors that are in several parts to `leaks`. v is sorted by actor. */
static void count_speakers(struct tally *t, json_t *leaks, const struct view *v,
                           const struct audit *a)
{
    for (size_t i = 0; i < v->count;) {
        size_t here[AUDIT_MAX_PARTS] = {0};
        bool clips = v->entry[i]->clip[0] != '\0'; /* a table of actors has none */
        int32_t actor = v->entry[i]->actor;
        int parts = 0;
        json_t *of_part = json_object(); /* a part may have any name: in an object of its own */

        for (; i < v->count && v->entry[i]->actor == actor; i++)
            here[v->entry[i]->part]++;
        for (int p = 0; p < a->parts; p++) {
            t->clips[p] += clips ? here[p] : 0;
            t->speakers[p] += here[p] > 0;
            parts += here[p] > 0;
            if (here[p] > 0)
                json_set_shown(of_part, a->part[p], json_integer((json_int_t)here[p]));
        }
        if (parts > 1)
            json_array_append_new(leaks, json_pack("{s:i, s:O}", "actor", actor, "clips", of_part));
        json_decref(of_part);
    }
}

/* ---- clips ---- */

/* Clips in several parts, and how often a clip is repeated within one. v is sorted by clip. */
static json_int_t find_shared_clips(json_t *shared, const struct view *v, const struct audit *a)
{
    json_int_t repeated = 0;

    for (size_t i = 1; i < v->count; i++) {
        const struct audit_entry *x = v->entry[i - 1], *y = v->entry[i];

        if (x->clip[0] == '\0' || strcmp(x->clip, y->clip) != 0)
            continue;
        if (x->part == y->part)
            repeated++;
        else
            json_array_append_new(shared, json_pack("{s:o, s:o, s:o}", "clip", json_shown(x->clip),
                                                    "a", json_shown(a->part[x->part]), "b",
                                                    json_shown(a->part[y->part])));
    }
    return repeated;
}

struct sound {
    const char *sha256;
    const struct audit_entry *entry;
};

static int by_sound(const void *a, const void *b)
{
    const struct sound *x = a, *y = b;
    int order = strcmp(x->sha256, y->sha256);

    return order != 0 ? order : strcmp(x->entry->clip, y->entry->clip);
}

static bool same_place(const struct audit_entry *x, const struct audit_entry *y)
{
    return x->part == y->part && strcmp(x->clip, y->clip) == 0;
}

/* Different clips of different parts whose sound is the same file, each pair once, however often a
 * part lists a clip. v is sorted by clip. */
static enum err_code find_equal_sound(json_t *out, const struct view *v, const struct audit *a,
                                      const struct tsv_index *media, struct err *e)
{
    struct sound *sound = NULL;
    size_t n = 0, first;

    TRY(mem_array(&sound, v->count, sizeof *sound, "audit", e));
    for (size_t i = 0; i < v->count; i++)
        if ((i == 0 || !same_place(v->entry[i - 1], v->entry[i])) &&
            tsv_index_find(media, v->entry[i]->clip, &first) > 0)
            sound[n++] = (struct sound){
                tsv_cell(media->table, media->row[first], tsv_column(media->table, "wav_sha256")),
                v->entry[i]};
    if (n > 0)
        qsort(sound, n, sizeof *sound, by_sound);
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n && strcmp(sound[i].sha256, sound[j].sha256) == 0; j++) {
            const struct audit_entry *x = sound[i].entry, *y = sound[j].entry;

            if (x->part != y->part && strcmp(x->clip, y->clip) != 0)
                json_array_append_new(
                    out, json_pack("{s:o, s:o, s:o, s:o}", "a", json_shown(x->clip), "a_part",
                                   json_shown(a->part[x->part]), "b", json_shown(y->clip), "b_part",
                                   json_shown(a->part[y->part])));
        }
out:
    free(sound);
    return e->code;
}

static enum err_code fold_json(json_t **out, const struct audit *a, int fold,
                               const struct tsv_index *media, struct err *e)
{
    json_t *parts = json_object(), *leaks = json_array(), *shared = json_array();
    json_t *equal = json_array(), *faults = json_array();
    struct tally tally = {0};
    struct view v = {0};
    json_int_t repeated;

    *out = NULL;
    TRY(view_init(&v, a, fold, e));
    view_sort(&v, by_actor);
    count_speakers(&tally, leaks, &v, a);
    view_sort(&v, by_clip);
    repeated = find_shared_clips(shared, &v, a);
    if (media->table != NULL)
        TRY(find_equal_sound(equal, &v, a, media, e));
    for (int p = 0; p < a->parts; p++)
        if (tally.speakers[p] > 0)
            json_set_shown(parts, a->part[p],
                           json_pack("{s:I, s:I}", "clips", (json_int_t)tally.clips[p], "speakers",
                                     (json_int_t)tally.speakers[p]));
    for (size_t i = 0; i < a->faults; i++)
        if (a->fault[i].fold == fold)
            json_array_append_new(faults, json_shown(a->fault[i].text));
    *out = json_pack("{s:o, s:O, s:O, s:O, s:I, s:O, s:O}", "fold", json_shown(a->fold[fold]),
                     "parts", parts, "speakers_in_several_parts", leaks, "clips_in_several_parts",
                     shared, "repeated_clips", repeated, "identical_sound_across_parts", equal,
                     "faults", faults);
out:
    free(v.entry);
    json_decref(parts);
    json_decref(leaks);
    json_decref(shared);
    json_decref(equal);
    json_decref(faults);
    return e->code;
}

/* ---- test parts of several folds ---- */

static bool is_test(const struct audit *a, const struct audit_entry *x)
{
    return strcasecmp(a->part[x->part], "test") == 0;
}

/* How many distinct keys of sorted x also stand in sorted y (tests only). */
static json_int_t count_common(const struct audit *a, const struct view *x, const struct view *y,
                               int (*order)(const void *, const void *), bool clips)
{
    const struct audit_entry *last = NULL;
    json_int_t common = 0;

    for (size_t i = 0; i < x->count; i++) {
        const struct audit_entry *key = x->entry[i];
        bool same = last != NULL &&
                    (clips ? strcmp(last->clip, key->clip) == 0 : last->actor == key->actor);

        if (!is_test(a, key) || same || (clips && key->clip[0] == '\0'))
            continue;
        last = key;
        for (size_t low = 0, high = y->count; low < high;) {
            size_t mid = low + (high - low) / 2;
            int c = order(&key, &y->entry[mid]);

            if (c == 0) {
                common++;
                break;
            }
            if (c < 0)
                high = mid;
            else
                low = mid + 1;
        }
    }
    return common;
}

/* The test part of a fold, in `order`. */
static enum err_code test_view(struct view *v, const struct audit *a, int fold,
                               int (*order)(const void *, const void *), struct err *e)
{
    size_t kept = 0;

    TRY(view_init(v, a, fold, e));
    for (size_t i = 0; i < v->count; i++)
        if (is_test(a, v->entry[i]))
            v->entry[kept++] = v->entry[i];
    v->count = kept;
    view_sort(v, order);
out:
    return e->code;
}

static enum err_code overlap_json(json_t *out, const struct audit *a, struct err *e)
{
    struct {
        struct view by_actor, by_clip;
    } *v = NULL;

    TRY(mem_array(&v, (size_t)a->folds, sizeof *v, "audit", e));
    for (int f = 0; f < a->folds; f++) {
        TRY(test_view(&v[f].by_actor, a, f, by_actor, e));
        TRY(test_view(&v[f].by_clip, a, f, by_clip, e));
    }
    for (int f = 0; f < a->folds; f++)
        for (int g = f + 1; g < a->folds; g++)
            json_array_append_new(
                out,
                json_pack("{s:o, s:o, s:I, s:I}", "a", json_shown(a->fold[f]), "b",
                          json_shown(a->fold[g]), "speakers",
                          count_common(a, &v[f].by_actor, &v[g].by_actor, by_actor, false), "clips",
                          count_common(a, &v[f].by_clip, &v[g].by_clip, by_clip, true)));
out:
    for (int f = 0; v != NULL && f < a->folds; f++) {
        free(v[f].by_actor.entry);
        free(v[f].by_clip.entry);
    }
    free(v);
    return e->code;
}

/* Distinct speakers over all folds, and those ever tested. */
static enum err_code count_tested(json_int_t *speakers, json_int_t *tested, const struct audit *a,
                                  struct err *e)
{
    struct view v = {0};

    *speakers = *tested = 0;
    TRY(mem_array(&v.entry, a->count, sizeof(void *), "audit", e));
    for (size_t i = 0; i < a->count; i++)
        v.entry[v.count++] = &a->entry[i];
    view_sort(&v, by_actor);
    for (size_t i = 0; i < v.count;) {
        int32_t actor = v.entry[i]->actor;
        bool test = false;

        for (; i < v.count && v.entry[i]->actor == actor; i++)
            test = test || is_test(a, v.entry[i]);
        ++*speakers;
        *tested += test;
    }
out:
    free(v.entry);
    return e->code;
}

/* ---- the report ---- */

static void print_list(FILE *out, const char *what, json_t *list, const char *shape)
{
    json_t *item;
    size_t i;

    fprintf(out, "  %s: %zu\n", what, json_array_size(list));
    json_array_foreach(list, i, item)
    {
        const char *a = json_string_value(json_object_get(item, "a"));
        const char *b = json_string_value(json_object_get(item, "b"));

        if (strcmp(shape, "clip") == 0)
            fprintf(out, "    %s in %s and %s\n", json_string_value(json_object_get(item, "clip")),
                    a, b);
        else
            fprintf(out, "    %s (%s) = %s (%s)\n", a,
                    json_string_value(json_object_get(item, "a_part")), b,
                    json_string_value(json_object_get(item, "b_part")));
    }
}

static void print_leaks(FILE *out, json_t *leaks, size_t parts)
{
    json_t *leak, *clips;
    const char *part;
    size_t i;

    if (parts < MIN_PARTS) {
        fprintf(out, "  speakers in more than one part: not compared, there is no other part\n");
        return;
    }
    fprintf(out, "  speakers in more than one part: %zu\n", json_array_size(leaks));
    json_array_foreach(leaks, i, leak)
    {
        const char *glue = "";

        fprintf(out, "    %" JSON_INTEGER_FORMAT ": ",
                json_integer_value(json_object_get(leak, "actor")));
        json_object_foreach(json_object_get(leak, "clips"), part, clips)
        {
            fprintf(out, "%s%" JSON_INTEGER_FORMAT " clips in %s", glue, json_integer_value(clips),
                    part);
            glue = ", ";
        }
        fputc('\n', out);
    }
}

static void print_fold(FILE *out, json_t *fold)
{
    json_t *part, *fault;
    const char *name;
    size_t i;

    fprintf(out, "fold %s\n", json_string_value(json_object_get(fold, "fold")));
    json_object_foreach(json_object_get(fold, "parts"), name, part)
        fprintf(out, "  %-8s %6" JSON_INTEGER_FORMAT " clips %4" JSON_INTEGER_FORMAT " speakers\n",
                name, json_integer_value(json_object_get(part, "clips")),
                json_integer_value(json_object_get(part, "speakers")));
    print_leaks(out, json_object_get(fold, "speakers_in_several_parts"),
                json_object_size(json_object_get(fold, "parts")));
    print_list(out, "clips in more than one part", json_object_get(fold, "clips_in_several_parts"),
               "clip");
    print_list(out, "identical sound across parts",
               json_object_get(fold, "identical_sound_across_parts"), "sound");
    fprintf(out, "  clips listed twice within a part: %" JSON_INTEGER_FORMAT "\n",
            json_integer_value(json_object_get(fold, "repeated_clips")));
    json_array_foreach(json_object_get(fold, "faults"), i, fault)
        fprintf(out, "  fault: %s\n", json_string_value(fault));
}

static void print_text(FILE *out, json_t *root)
{
    json_t *fold, *pair;
    size_t i;

    json_array_foreach(json_object_get(root, "folds"), i, fold) print_fold(out, fold);
    json_array_foreach(json_object_get(root, "test_overlap"), i, pair)
        fprintf(out,
                "test overlap of %s and %s: %" JSON_INTEGER_FORMAT
                " speakers, %" JSON_INTEGER_FORMAT " clips\n",
                json_string_value(json_object_get(pair, "a")),
                json_string_value(json_object_get(pair, "b")),
                json_integer_value(json_object_get(pair, "speakers")),
                json_integer_value(json_object_get(pair, "clips")));
    fprintf(out, "speakers: %" JSON_INTEGER_FORMAT ", in a test part: %" JSON_INTEGER_FORMAT "\n",
            json_integer_value(json_object_get(root, "speakers")),
            json_integer_value(json_object_get(root, "tested_speakers")));
}

static enum err_code open_media(struct tsv **t, struct tsv_index *x,
                                const struct split_options *opt, struct err *e)
{
    static const char *const columns[] = {"clip", "wav_sha256", NULL};

    if (opt->media != NULL && strcmp(opt->media, "none") == 0)
        return ERR_OK;
    if (opt->media != NULL)
        TRY(tsv_read(t, opt->media, "media", columns, e));
    else
        TRY(manifests_read(t, opt->manifests, "cremad-media.tsv", "media", columns, e));
    TRY(tsv_index_init(x, *t, "clip", e));
    TRY(tsv_index_unique(x, e));
out:
    return e->code;
}

/* What the report says, in numbers. */
struct verdict {
    size_t leaking;             /* speakers in more than one part, over all folds */
    int alone;                  /* the first fold that has fewer than two parts, -1 = none, */
    char only[AUDIT_NAME_SIZE]; /* and its one part, "" = none */
};

static enum err_code make_report(json_t *root, struct verdict *v, const struct audit *a,
                                 const struct tsv_index *media, struct err *e)
{
    json_t *folds = json_object_get(root, "folds"), *fold = NULL;
    json_int_t speakers, tested;

    *v = (struct verdict){.alone = -1};
    for (int f = 0; f < a->folds; f++) {
        json_t *parts;

        TRY(fold_json(&fold, a, f, media, e));
        v->leaking += json_array_size(json_object_get(fold, "speakers_in_several_parts"));
        parts = json_object_get(fold, "parts");
        if (v->alone < 0 && json_object_size(parts) < MIN_PARTS) {
            const char *only = json_object_iter_key(json_object_iter(parts));

            v->alone = f;
            snprintf(v->only, sizeof v->only, "%s", only != NULL ? only : "");
        }
        json_array_append_new(folds, fold);
    }
    TRY(overlap_json(json_object_get(root, "test_overlap"), a, e));
    TRY(count_tested(&speakers, &tested, a, e));
    json_object_set_new(root, "speakers", json_integer(speakers));
    json_object_set_new(root, "tested_speakers", json_integer(tested));
    json_object_set_new(root, "leak",
                        v->leaking == 0 && v->alone >= 0 ? json_null()
                                                         : json_boolean(v->leaking > 0));
out:
    return e->code;
}

/* An audit never passes that compared nothing. */
static enum err_code check_compared(const struct audit *a, const struct verdict *v, struct err *e)
{
    const char *spec = v->alone >= 0 ? a->fold_spec[v->alone] : NULL;
    struct stat st;

    if (spec == NULL)
        return ERR_OK;
    if (a->plain_folds > 0 && v->alone == a->plain_fold)
        return err_set(e, ERR_DATA,
                       "%s: does not say parts (no column is called %s), so nothing was compared: "
                       "name the file of every part: --audit PART=FILE,PART=FILE or --audit "
                       "train.csv test.csv",
                       spec, AUDIT_PART_COLUMNS_TEXT);
    if (v->only[0] == '\0')
        return err_set(e, ERR_DATA, "%s: fold '%s' names no clip: nothing was compared", spec,
                       a->fold[v->alone]);
    if (stat(spec, &st) == 0 && S_ISDIR(st.st_mode))
        return err_set(e, ERR_DATA,
                       "%s: holds only the split '%s', so nothing was compared: audit the folder "
                       "that holds all of its splits, or the split table that it was made from",
                       spec, v->only);
    return err_set(e, ERR_DATA,
                   "%s: has only part '%s'%s%s, so nothing was compared: name all parts of the "
                   "split, those in files of their own by --audit PART=FILE,PART=FILE",
                   spec, v->only, a->folds > 1 ? " in fold " : "",
                   a->folds > 1 ? a->fold[v->alone] : "");
}

enum err_code split_audit_run(const struct split_options *opt, struct err *e)
{
    json_t *root = NULL;
    struct tsv_index index = {0};
    struct tsv *media = NULL;
    struct audit a = {0};
    struct verdict v;

    json_begin();
    root = json_pack("{s:[], s:[]}", "folds", "test_overlap");
    a.manifests = opt->manifests;
    a.bases = opt->base;
    for (int i = 0; i < opt->audits; i++)
        TRY(audit_read(&a, opt->audit[i], e));
    TRY(open_media(&media, &index, opt, e));
    TRY(make_report(root, &v, &a, &index, e));
    if (json_lost())
        FAIL(err_set(e, ERR_NOMEM, "audit: no memory for what was found"));
    if (!opt->cli.json)
        print_text(opt->out, root);
    else
        TRY(json_print(json_incref(root), opt->out, JSON_INDENT(2), e));
    if (v.leaking > 0 && !opt->allow_overlap)
        FAIL(err_set(e, ERR_DATA,
                     "%s: %zu speakers are in more than one part%s: the split is not "
                     "speaker-disjoint",
                     opt->audit[0], v.leaking, a.folds > 1 ? " (counted per fold)" : ""));
    if (a.faults > 0)
        FAIL(err_set(e, ERR_DATA, "%s: %zu rules are broken: %s%s", opt->audit[0], a.faults,
                     a.fault[0].text, a.faults > 1 ? "; ..." : ""));
    TRY(check_compared(&a, &v, e));
out:
    audit_free(&a);
    tsv_index_free(&index);
    tsv_free(media);
    json_decref(root);
    return e->code;
}
