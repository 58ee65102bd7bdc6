/* SPDX-License-Identifier: MIT */
#include "prep/scan.h"

#include "common/base/atomic_file.h"
#include "common/data/json.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

struct scan_sums scan_sum(const struct scan_corpus *s)
{
    struct scan_sums sums = {0};

    for (size_t i = 0; i < s->count; i++) {
        const struct scan_clip *c = &s->clip[i];

        sums.rejected += c->rejected;
        sums.flagged += !c->rejected && c->flags != 0;
        sums.accepted += !c->rejected && c->flags == 0;
        sums.lfs_pointers += c->half[SCAN_VIDEO].lfs_pointer || c->half[SCAN_AUDIO].lfs_pointer;
    }
    assert(sums.accepted + sums.flagged + sums.rejected == s->count);
    return sums;
}

static const char *verdict_of(const struct scan_clip *c)
{
    return c->rejected ? "rejected" : c->flags != 0 ? "flagged" : "accepted";
}

/* ---- the manifest ---- */

enum { TEXT_SIZE = 2048 };

/* A file name as a cell: what is not printable ASCII is escaped, and so is the backslash, so that
 * two names never become one. */
static void name_cell(char out[TEXT_SIZE], const char *name)
{
    size_t at = 0;

    out[0] = '\0';
    for (const unsigned char *p = (const unsigned char *)name; *p != '\0' && at + 5 < TEXT_SIZE;
         p++)
        at += (size_t)snprintf(out + at, TEXT_SIZE - at,
                               *p >= 0x20 && *p < 0x7f && *p != '\\' ? "%c" : "\\x%02x", *p);
}

void scan_names_add(struct scan_names *n, const char *name)
{
    enum { SHOWN = 5, LONGEST = 80 }; /* characters of one */
    static const char more[] = ", ...";
    static_assert(sizeof n->text > SHOWN * (LONGEST + 3) + sizeof more, "room for all");
    size_t at = strlen(n->text);
    char cell[TEXT_SIZE];

    if (n->count++ > SHOWN) /* `more` stands there */
        return;
    name_cell(cell, name);
    if (n->count > SHOWN)
        snprintf(n->text + at, sizeof n->text - at, "%s", more);
    else
        snprintf(n->text + at, sizeof n->text - at, "%s%.*s%s", at > 0 ? ", " : "", LONGEST, cell,
                 strlen(cell) > LONGEST ? "~" : "");
}

static void flags_cell(char out[TEXT_SIZE], uint32_t flags)
{
    size_t at = 0;

    out[0] = '\0';
    for (uint32_t bit = 1; bit != 0; bit <<= 1)
        if ((flags & bit) != 0)
            at += (size_t)snprintf(out + at, TEXT_SIZE - at, "%s%s", at > 0 ? "," : "",
                                   sample_flag_name((enum sample_flag)bit));
}

static enum err_code write_name(struct atomic_file *f, const struct scan_clip *c, struct err *e)
{
    const struct clip_name *n = &c->parsed;
    char name[TEXT_SIZE];

    name_cell(name, c->name);
    if (!c->named)
        return atomic_file_printf(f, e, "%s\t\t\t\t\t", name);
    return atomic_file_printf(f, e, "%s\t%" PRId32 "\t%s\t%s\t%s\t%" PRId32, name, n->actor,
                              sentence_codes[n->sentence], emotion_codes[n->label], n->level,
                              n->label);
}

static enum err_code write_halves(struct atomic_file *f, const struct scan_clip *c, struct err *e)
{
    char name[TEXT_SIZE];

    name_cell(name, c->name);
    for (int m = 0; m < N_SCAN_MEDIA; m++)
        if (c->half[m].present)
            TRY(atomic_file_printf(f, e, "\t%s/%s%s", scan_media_folders[m], name,
                                   scan_media_suffixes[m]));
        else
            TRY(atomic_file_write(f, "\t", 1, e));
    for (int m = 0; m < N_SCAN_MEDIA; m++)
        if (c->half[m].read)
            TRY(atomic_file_printf(f, e, "\t%" PRIu64, c->half[m].bytes));
        else
            TRY(atomic_file_write(f, "\t", 1, e));
    for (int m = 0; m < N_SCAN_MEDIA; m++)
        TRY(atomic_file_printf(f, e, "\t%s", c->half[m].read ? c->half[m].sha256 : ""));
out:
    return e->code;
}

static enum err_code write_row(struct atomic_file *f, const struct scan_clip *c,
                               enum scan_checked checked, struct err *e)
{
    char flags[TEXT_SIZE];

    flags_cell(flags, c->flags);
    TRY(write_name(f, c, e));
    TRY(write_halves(f, c, e));
    if (c->video_walked)
        TRY(atomic_file_printf(f, e, "\t%" PRId64 "\t%" PRId64, c->frames, c->video_ms));
    else
        TRY(atomic_file_write(f, "\t\t", 2, e));
    if (c->audio_walked)
        TRY(atomic_file_printf(f, e, "\t%" PRId64, c->audio_samples));
    else
        TRY(atomic_file_write(f, "\t", 1, e));
    TRY(atomic_file_printf(f, e, "\t%s\t%s\t%s\t%s\n", verdict_of(c), flags, c->reason,
                           scan_checked_names[checked]));
out:
    return e->code;
}

enum err_code scan_write(struct atomic_file *f, const struct scan_corpus *s,
                         const struct scan_rules *r, struct err *e)
{
    TRY(atomic_file_printf(
        f, e,
        "#synib-clips 1\nclip\tactor\tsentence\temotion\tlevel\tlabel\tvideo\taudio\tvideo_bytes\t"
        "audio_bytes\tvideo_sha256\taudio_sha256\tframes\tvideo_ms\taudio_samples\tverdict\tflags\t"
        "reason\tchecked\n"));
    for (size_t i = 0; i < s->count; i++)
        TRY(write_row(f, &s->clip[i], r->checked, e));
out:
    return e->code;
}

/* ---- for people ---- */

static bool only_lfs(const struct scan_clip *c)
{
    return c->half[SCAN_VIDEO].lfs_pointer || c->half[SCAN_AUDIO].lfs_pointer;
}

void scan_log(const struct scan_corpus *s, const struct scan_rules *r)
{
    enum { LFS_SHOWN = 5, SHOWN = 20 };
    const struct log *log = &r->opt->cli.log;
    struct scan_sums sums = scan_sum(s);
    bool many_pointers = sums.lfs_pointers > LFS_SHOWN;
    size_t listed = 0, hidden = 0;

    for (size_t i = 0; i < s->count; i++) {
        const struct scan_clip *c = &s->clip[i];
        char name[TEXT_SIZE];

        name_cell(name, c->name); /* a terminal obeys control characters */
        if (!c->rejected && c->flags != 0)
            log_debug(log, "flagged %s: %s", name, c->reason);
        if (!c->rejected || (many_pointers && only_lfs(c)))
            continue;
        if (listed++ < SHOWN || log->level == LOG_VERBOSE)
            log_warn(log, "rejected %s: %s", name, c->reason);
        else
            hidden++;
    }
    if (hidden > 0)
        log_warn(log, "... and %zu more rejected clips: see column 'reason' of %s", hidden,
                 r->opt->output != NULL ? r->opt->output : "the manifest");
    if (many_pointers)
        log_warn(log,
                 "%zu of %zu clips are git-lfs pointers, not media: run 'git lfs pull' in the "
                 "checkout",
                 sums.lfs_pointers, s->count);
    if (s->absent.count > 0)
        log_warn(log, "%zu clips of %s are not in this corpus: %s", s->absent.count,
                 tsv_name(r->media), s->absent.text);
    log_note(log, "%zu clips = %zu accepted + %zu flagged + %zu rejected; digests: %s", s->count,
             sums.accepted, sums.flagged, sums.rejected, scan_checked_names[r->checked]);
}

/* ---- for machines ---- */

static json_t *flag_counts(const struct scan_corpus *s)
{
    json_t *counts = json_object();

    for (uint32_t bit = 1; sample_flag_name((enum sample_flag)bit) != NULL; bit <<= 1) {
        json_int_t n = 0;

        for (size_t i = 0; i < s->count; i++)
            n += !s->clip[i].rejected && (s->clip[i].flags & bit) != 0;
        if (n > 0)
            json_object_set_new(counts, sample_flag_name((enum sample_flag)bit), json_integer(n));
    }
    return counts;
}

enum err_code scan_print_json(const struct scan_corpus *s, const struct scan_rules *r,
                              struct err *e)
{
    struct scan_sums sums = scan_sum(s);
    json_t *list = json_array(), *root;

    json_begin();
    for (size_t i = 0; i < s->count; i++) {
        char name[TEXT_SIZE];

        name_cell(name, s->clip[i].name);
        if (s->clip[i].rejected)
            json_array_append_new(
                list, json_pack("{s:s, s:s}", "clip", name, "reason", s->clip[i].reason));
    }
    root = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:o, s:o}", "clips", (json_int_t)s->count,
        "accepted", (json_int_t)sums.accepted, "flagged", (json_int_t)sums.flagged, "rejected",
        (json_int_t)sums.rejected, "git_lfs_pointers", (json_int_t)sums.lfs_pointers, "absent",
        (json_int_t)s->absent.count, "ignored", (json_int_t)s->ignored, "digests",
        scan_checked_names[r->checked], "flags", flag_counts(s), "rejected_clips", list);
    return json_print(root, r->opt->out, JSON_INDENT(2), e);
}
