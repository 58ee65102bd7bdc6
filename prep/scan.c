/* SPDX-License-Identifier: MIT */
#include "prep/scan.h"

#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/parallel.h"
#include "prep/confine.h"
#include "prep/scan_walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- what clips are compared with ---- */

static enum err_code open_media(struct scan_rules *r, struct err *e)
{
    static const char *const columns[] = {"clip",      "flv_bytes",  "flv_sha256",
                                          "wav_bytes", "wav_sha256", NULL};
    const char *given = r->opt->media;
    char *own = NULL;

    TRY(path_join(&own, r->opt->root, "media.tsv", e));
    if (given != NULL && strcmp(given, "none") == 0) {
        r->checked = CHECKED_NONE;
        goto out;
    }
    if (given != NULL) {
        r->checked = CHECKED_GIVEN;
        TRY(tsv_read(&r->media, given, "media", columns, e));
    } else if (access(own, F_OK) == 0) {
        r->checked = CHECKED_CORPUS;
        TRY(tsv_read(&r->media, own, "media", columns, e));
    } else {
        r->checked = CHECKED_OFFICIAL;
        TRY(manifests_read(&r->media, r->opt->manifests, "cremad-media.tsv", "media", columns, e));
    }
    TRY(tsv_index_init(&r->media_index, r->media, "clip", e));
    TRY(tsv_index_unique(&r->media_index, e));
    log_note(&r->opt->cli.log, "digests are compared with %s", tsv_name(r->media));
out:
    free(own);
    return e->code;
}

static enum err_code open_issues(struct scan_rules *r, struct err *e)
{
    static const char *const columns[] = {"clip", "media", "issue", "verdict", "note", NULL};
    const char *given = r->opt->issues;

    if (given != NULL && strcmp(given, "none") == 0)
        return ERR_OK;
    /* The shipped list is about CREMA-D's own files; a corpus of other media has the same names. */
    if (given == NULL && (r->checked == CHECKED_CORPUS || r->checked == CHECKED_GIVEN))
        return ERR_OK;
    if (given != NULL)
        TRY(tsv_read(&r->issues, given, "known-issues", columns, e));
    else
        TRY(manifests_read(&r->issues, r->opt->manifests, "known-issues.tsv", "known-issues",
                           columns, e));
    for (size_t i = 0; i < tsv_rows(r->issues); i++) {
        const char *verdict = tsv_cell(r->issues, i, tsv_column(r->issues, "verdict"));

        if (strcmp(verdict, "accept") != 0 && strcmp(verdict, "flag") != 0 &&
            strcmp(verdict, "reject") != 0)
            (void)err_add_line(e, ERR_DATA, "%s:%zu: verdict '%s' is not accept, flag or reject",
                               tsv_name(r->issues), tsv_line(r->issues, i), verdict);
    }
    TRY(e->code);
    TRY(tsv_index_init(&r->issues_index, r->issues, "clip", e));
out:
    return e->code;
}

static enum err_code look_for(const char *path, struct err *e)
{
    return access(path, F_OK) == 0
               ? ERR_OK
               : err_sys(e, "%s: cannot open: a corpus has VideoFlash/ and AudioWAV/", path);
}

static enum err_code rules_init(struct scan_rules *r, const struct scan_options *opt, struct err *e)
{
    *r = (struct scan_rules){.opt = opt};
    TRY(look_for(opt->root, e));
    for (int m = 0; m < N_SCAN_MEDIA; m++) {
        TRY(path_join(&r->folder[m], opt->root, scan_media_folders[m], e));
        TRY(look_for(r->folder[m], e));
    }
    TRY(open_media(r, e));
    TRY(open_issues(r, e));
out:
    return e->code;
}

static void rules_free(struct scan_rules *r)
{
    tsv_index_free(&r->media_index);
    tsv_index_free(&r->issues_index);
    tsv_free(r->media);
    tsv_free(r->issues);
    for (int m = 0; m < N_SCAN_MEDIA; m++)
        free(r->folder[m]);
}

/* ---- pairs ---- */

static void corpus_done(struct scan_corpus *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->clip[i].name);
    free(s->clip);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct scan_clip *)a)->name, ((const struct scan_clip *)b)->name);
}

static enum err_code add_half(struct scan_corpus *s, const char *file, enum scan_media m,
                              struct err *e)
{
    struct scan_clip c = {0};

    TRY(mem_grow(&s->clip, &s->cap, s->count + 1, sizeof *s->clip, "clips", e));
    TRY(mem_string(&c.name, file, e));
    c.name[strlen(file) - strlen(scan_media_suffixes[m])] = '\0';
    c.half[m].present = true;
    s->clip[s->count++] = c;
out:
    return e->code;
}

static bool ends_in(const char *name, const char *suffix,
                    int (*compare)(const char *, const char *))
{
    size_t n = strlen(name);

    return n > strlen(suffix) && compare(name + n - strlen(suffix), suffix) == 0;
}

/* Files that do not have the suffix are not clips; they are told, so that nobody wonders. */
static enum err_code list_folder(struct scan_corpus *s, const struct scan_rules *r,
                                 enum scan_media m, struct err *e)
{
    const char *suffix = scan_media_suffixes[m], *folder = scan_media_folders[m];
    struct scan_names others = {0}, capitals = {0};
    struct name_list list = {0};

    TRY(dir_list(&list, r->folder[m], "", e));
    for (size_t i = 0; i < list.count; i++) {
        if (ends_in(list.name[i], suffix, strcmp)) {
            TRY(add_half(s, list.name[i], m, e));
            continue;
        }
        log_debug(&r->opt->cli.log, "%s/%s: not a %s file: ignored", folder, list.name[i], suffix);
        scan_names_add(ends_in(list.name[i], suffix, strcasecmp) ? &capitals : &others,
                       list.name[i]);
        s->ignored++;
    }
    if (others.count > 0)
        log_warn(&r->opt->cli.log, "%s: %zu files are not named *%s and were ignored: %s", folder,
                 others.count, suffix, others.text);
    if (capitals.count > 0)
        log_warn(&r->opt->cli.log,
                 "%s: %zu files end in other letters than the small ones of %s and were ignored: "
                 "%s: rename them",
                 folder, capitals.count, suffix, capitals.text);
out:
    name_list_free(&list);
    return e->code;
}

/* Joins the two halves of each name. */
static void join_halves(struct scan_corpus *s)
{
    size_t kept = 0;

    if (s->count > 0)
        qsort(s->clip, s->count, sizeof *s->clip, by_name);
    for (size_t i = 0; i < s->count; i++) {
        struct scan_clip *last = kept > 0 ? &s->clip[kept - 1] : NULL;

        if (last == NULL || strcmp(last->name, s->clip[i].name) != 0) {
            s->clip[kept++] = s->clip[i];
            continue;
        }
        for (int m = 0; m < N_SCAN_MEDIA; m++)
            last->half[m].present = last->half[m].present || s->clip[i].half[m].present;
        free(s->clip[i].name);
    }
    s->count = kept;
}

static void list_absent(struct scan_corpus *s, const struct scan_rules *r)
{
    for (size_t i = 0; r->media != NULL && i < r->media_index.count; i++) {
        struct scan_clip key = {0};

        key.name =
            (char *)(uintptr_t)tsv_cell(r->media, r->media_index.row[i], r->media_index.column);
        if (bsearch(&key, s->clip, s->count, sizeof key, by_name) == NULL)
            scan_names_add(&s->absent, key.name);
    }
}

/* ---- judging ---- */

struct work {
    struct scan_corpus *s;
    const struct scan_rules *r;
    struct err *fault; /* [count of workers], first of each */
    struct progress progress;
};

static void judge_one(void *ctx, int64_t i, int worker)
{
    struct work *w = ctx;
    struct err *e = &w->fault[worker];
    enum err_code rc = e->code;

    if (rc == ERR_OK)
        rc = scan_clip_judge(w->s, (size_t)i, worker, w->r, e);
    progress_step(&w->progress, rc == ERR_OK);
}

static enum err_code judge_all(struct scan_corpus *s, struct scan_rules *r, struct err *e)
{
    int jobs = r->opt->cli.jobs > 0 ? r->opt->cli.jobs : 1;
    struct work w = {.s = s, .r = r};

    TRY(mem_array(&w.fault, (size_t)jobs, sizeof *w.fault, "scan", e));
    TRY(scan_walk_open(&r->workers, s, jobs, e));
    log_debug(&r->opt->cli.log, "parsers are confined by %s", confine_describe(confine_level()));
    progress_begin(&w.progress, &r->opt->cli.log, "clips", (int64_t)s->count);
    parallel_for(jobs, (int64_t)s->count, judge_one, &w);
    progress_end(&w.progress);
    for (int i = 0; i < jobs; i++)
        if (w.fault[i].code != ERR_OK)
            FAIL(err_copy(e, &w.fault[i]));
out:
    contain_close(r->workers);
    r->workers = NULL;
    free(w.fault);
    return e->code;
}

/* ---- twins ---- */

static int by_sound(const void *a, const void *b)
{
    const struct scan_clip *x = *(const struct scan_clip *const *)a;
    const struct scan_clip *y = *(const struct scan_clip *const *)b;
    int order = strcmp(x->half[SCAN_AUDIO].sha256, y->half[SCAN_AUDIO].sha256);

    return order != 0 ? order : strcmp(x->name, y->name);
}

/* Clips with the same sound: of each pair at least one carries a wrong label or sentence. */
static void flag_group(struct scan_clip **group, size_t n)
{
    enum { NAMED = 3 };

    for (size_t i = 0; i < n; i++) {
        size_t named = 0;

        group[i]->flags |= FLAG_DUPLICATE_AUDIO;
        for (size_t j = 0; j < n; j++)
            if (j != i && named++ < NAMED)
                scan_clip_say(group[i], "sound is byte-identical to %s", group[j]->name);
        if (named > NAMED)
            scan_clip_say(group[i], "and to %zu more", named - NAMED);
    }
}

static enum err_code find_twins(struct scan_corpus *s, struct err *e)
{
    struct scan_clip **c = NULL;
    size_t n = 0;

    TRY(mem_array(&c, s->count, sizeof(void *), "scan", e));
    for (size_t i = 0; i < s->count; i++)
        if (s->clip[i].audio_walked)
            c[n++] = &s->clip[i];
    if (n > 0)
        qsort(c, n, sizeof(void *), by_sound);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n; end++)
            if (strcmp(c[i]->half[SCAN_AUDIO].sha256, c[end]->half[SCAN_AUDIO].sha256) != 0)
                break;
        if (end - i > 1)
            flag_group(c + i, end - i);
    }
out:
    free(c);
    return e->code;
}

/* ---- the run ---- */

enum err_code scan_run(const struct scan_options *opt, struct err *e)
{
    struct scan_corpus s = {0};
    struct scan_rules r = {0};
    struct atomic_file *f = NULL, *done;
    struct scan_sums sums;

    TRY(rules_init(&r, opt, e));
    for (int m = 0; m < N_SCAN_MEDIA; m++)
        TRY(list_folder(&s, &r, (enum scan_media)m, e));
    if (s.count == 0)
        FAIL(
            err_set(e, ERR_DATA, "%s: holds no VideoFlash/*.flv and no AudioWAV/*.wav", opt->root));
    /* An output that is in the way is better known before an hour of reading than after it. */
    if (!opt->cli.dry_run)
        TRY(atomic_file_open(&f, opt->output, opt->cli.force, e));
    else if (opt->output != NULL)
        TRY(atomic_file_check(opt->output, opt->cli.force, e));
    join_halves(&s);
    list_absent(&s, &r);
    TRY(judge_all(&s, &r, e));
    TRY(find_twins(&s, e));
    sums = scan_sum(&s);
    /* A checkout without its media is not a corpus: a manifest of it would help nobody. */
    if (sums.lfs_pointers == s.count)
        FAIL(err_set(e, ERR_DATA,
                     "%s: all %zu clips are git-lfs pointers, not media: run 'git lfs pull' in the "
                     "checkout; nothing was written",
                     opt->root, s.count));
    if (f != NULL) {
        TRY(scan_write(f, &s, &r, e));
        done = f;
        f = NULL;
        TRY(atomic_file_commit(done, e));
    }
    scan_log(&s, &r);
    if (opt->cli.json)
        TRY(scan_print_json(&s, &r, e));
    if (sums.rejected > 0)
        FAIL(err_set(e, ERR_REJECTED, "%s: %zu of %zu clips are rejected", opt->root, sums.rejected,
                     s.count));
out:
    atomic_file_abort(f);
    corpus_done(&s);
    rules_free(&r);
    return e->code;
}
