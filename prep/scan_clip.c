/* SPDX-License-Identifier: MIT */
#include "prep/scan.h"

#include "common/base/file.h"
#include "prep/flv.h"
#include "prep/riff.h"
#include "prep/scan_walk.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES_NEEDED = FRAMES_PER_CLIP };
enum { LENGTHS_DIFFER_MS = 500, AUDIO_MIN_MS = 100 };
static const double clipped_max = 0.10;

const char *const scan_media_names[N_SCAN_MEDIA] = {"video", "audio"};
const char *const scan_media_folders[N_SCAN_MEDIA] = {"VideoFlash", "AudioWAV"};
const char *const scan_media_suffixes[N_SCAN_MEDIA] = {".flv", ".wav"};
const char *const scan_checked_names[] = {"none", "official", "corpus", "given"};

/* ---- reasons ---- */

void scan_clip_say(struct scan_clip *c, const char *fmt, ...)
{
    size_t at = strlen(c->reason);
    char text[SCAN_REASON_SIZE];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (at > 0)
        at += (size_t)snprintf(c->reason + at, sizeof c->reason - at, "; ");
    for (const unsigned char *p = (const unsigned char *)text;
         *p != '\0' && at + 5 < sizeof c->reason; p++)
        at += (size_t)snprintf(c->reason + at, sizeof c->reason - at,
                               *p >= 0x20 && *p < 0x7f ? "%c" : "\\x%02x", *p);
}

static void reject(struct scan_clip *c, const char *text)
{
    c->rejected = true;
    scan_clip_say(c, "%s", text);
}

void scan_clip_path(char out[SCAN_PATH_SIZE], const struct scan_clip *c, enum scan_media m)
{
    snprintf(out, SCAN_PATH_SIZE, "%s/%s%s", scan_media_folders[m], c->name,
             scan_media_suffixes[m]);
}

/* ---- reading ---- */

/* Of an error that begins with a path, what follows it: reasons name files relative to ROOT, as
 * manifests hold no machine paths. */
static const char *without_path(const struct err *fault, const char *path)
{
    struct err masked = {0};
    size_t n;

    (void)err_set(&masked, ERR_IO, "%s", path); /* without control characters, as fault is */
    n = strlen(masked.text);
    return strncmp(fault->text, masked.text, n) == 0 ? fault->text + n : ": cannot be read";
}

/* Reads one half; a half that cannot be read, or is a link out of the corpus, rejects the clip. */
static enum err_code read_half(struct file_view *v, struct scan_clip *c, const struct scan_rules *r,
                               enum scan_media m, const char *shown, struct err *e)
{
    struct scan_half *h = &c->half[m];
    struct err fault = {0};
    uint8_t digest[SHA256_SIZE];
    char *path = NULL;

    *v = (struct file_view){0};
    TRY(path_join(&path, r->opt->root, shown, e));
    if (file_read_beneath(v, r->opt->root, shown, SCAN_MEDIA_MAX_BYTES, &fault) != ERR_OK) {
        if (fault.code == ERR_NOMEM)
            FAIL(err_copy(e, &fault));
        c->rejected = true;
        scan_clip_say(c, "%s%s", shown, without_path(&fault, path));
        goto out;
    }
    TRY(sha256_bytes(v->data, v->len, digest, e));
    sha256_hex(digest, h->sha256);
    h->bytes = v->len;
    h->read = true;
    h->lfs_pointer = is_git_lfs_pointer(v->data, v->len);
out:
    free(path);
    return e->code;
}

/* ---- digests ---- */

/* True when the half is, byte for byte, what the digest manifest lists. */
static bool check_digest(struct scan_clip *c, const struct scan_rules *r, enum scan_media m,
                         const char *shown)
{
    static const char *const bytes_column[] = {"flv_bytes", "wav_bytes"};
    static const char *const digest_column[] = {"flv_sha256", "wav_sha256"};
    static const char *const whose[] = {"", "the CREMA-D original", "media.tsv of the corpus",
                                        "the given digest manifest"};
    const struct scan_half *h = &c->half[m];
    const char *bytes, *digest;
    size_t first;

    if (r->media == NULL)
        return false;
    if (tsv_index_find(&r->media_index, c->name, &first) == 0) {
        scan_clip_say(c, "%s: is not in %s", shown,
                      r->checked == CHECKED_OFFICIAL ? "the list of CREMA-D's clips"
                                                     : whose[r->checked]);
    } else {
        bytes =
            tsv_cell(r->media, r->media_index.row[first], tsv_column(r->media, bytes_column[m]));
        digest =
            tsv_cell(r->media, r->media_index.row[first], tsv_column(r->media, digest_column[m]));
        if (strcmp(digest, h->sha256) == 0)
            return true;
        scan_clip_say(c, "%s: sha256 differs from %s (%" PRIu64 " bytes, listed %s)", shown,
                      whose[r->checked], h->bytes, bytes);
    }
    if (r->opt->no_verify)
        c->flags |= FLAG_DIGEST_DIFFERS;
    else
        c->rejected = true;
    return false;
}

/* ---- structure ---- */

static void judge_video(struct scan_clip *c, const struct scan_rules *r, const struct scan_walk *w,
                        const char *shown, bool original)
{
    if (w->code != ERR_OK) {
        /* The dataset's own bytes are not damage, whatever they break, as long as there are
         * pictures: leaving them out would change the reference dataset. */
        if (original && r->checked == CHECKED_OFFICIAL && w->frames >= FRAMES_NEEDED) {
            c->flags |= FLAG_ODD_STRUCTURE;
            scan_clip_say(c, "%s", w->text);
        } else {
            reject(c, w->text);
        }
    }
    if (w->frames == 0)
        return;
    c->video_walked = true;
    c->frames = w->frames;
    c->video_ms = w->video_ms;
    if (w->frames < FRAMES_NEEDED) {
        c->rejected = true;
        scan_clip_say(c, "%s: %" PRId64 " frames, need %d", shown, w->frames, FRAMES_NEEDED);
    }
    /* A corpus with digests of its own says by them which codec it wants. */
    if (w->video_codec != FLV_VIDEO_VP6 &&
        (r->checked == CHECKED_OFFICIAL || r->checked == CHECKED_NONE)) {
        c->flags |= FLAG_REENCODED;
        scan_clip_say(c, "%s: video is %s, CREMA-D records VP6", shown,
                      flv_video_codec_name(w->video_codec));
    }
}

static void judge_sound(struct scan_clip *c, const struct scan_rules *r, const struct scan_walk *w,
                        const char *shown)
{
    if (c->audio_ms < AUDIO_MIN_MS) {
        c->rejected = true;
        scan_clip_say(c, "%s: %" PRId64 " ms of sound, need %d", shown, c->audio_ms, AUDIO_MIN_MS);
    }
    if (w->constant) {
        scan_clip_say(c, "%s: is silent (all samples %s)", shown,
                      w->silent ? "zero" : "have one value");
        if (r->opt->allow_silent)
            c->flags |= FLAG_SILENT_AUDIO;
        else
            c->rejected = true;
    } else if (w->clipped_part > clipped_max) {
        c->flags |= FLAG_CLIPPED_AUDIO;
        scan_clip_say(c, "%s: %.1f %% of the samples are at full scale", shown,
                      100.0 * w->clipped_part);
    }
}

static void judge_audio(struct scan_clip *c, const struct scan_rules *r, const struct scan_walk *w,
                        const char *shown)
{
    if (w->code != ERR_OK) {
        reject(c, w->text);
        return;
    }
    c->audio_walked = true;
    c->audio_samples = (int64_t)w->samples;
    c->audio_ms = (int64_t)(w->samples * 1000 / w->rate_hz);
    judge_sound(c, r, w, shown);
}

static enum err_code judge_half(const struct scan_corpus *s, size_t i, int slot,
                                const struct scan_rules *r, enum scan_media m, struct err *e)
{
    struct scan_clip *c = &s->clip[i];
    struct file_view v = {0};
    struct scan_walk w;
    char shown[SCAN_PATH_SIZE];
    bool original;

    if (!c->half[m].present) {
        c->rejected = true;
        scan_clip_say(c, "missing %s", scan_media_names[m]);
        return ERR_OK;
    }
    scan_clip_path(shown, c, m);
    TRY(read_half(&v, c, r, m, shown, e));
    if (!c->half[m].read)
        goto out;
    original = !c->half[m].lfs_pointer && check_digest(c, r, m, shown);
    TRY(scan_walk_run(&w, r->workers, slot, (int64_t)i, m, shown, v.data, v.len, e));
    if (m == SCAN_VIDEO)
        judge_video(c, r, &w, shown, original);
    else
        judge_audio(c, r, &w, shown);
out:
    file_view_free(&v);
    return e->code;
}

/* ---- known issues ---- */

static void apply_issues(struct scan_clip *c, const struct scan_rules *r)
{
    const struct tsv *t = r->issues;
    size_t first, n;

    if (t == NULL)
        return;
    n = tsv_index_find(&r->issues_index, c->name, &first);
    for (size_t i = 0; i < n; i++) {
        size_t row = r->issues_index.row[first + i];
        const char *verdict = tsv_cell(t, row, tsv_column(t, "verdict"));

        if (strcmp(verdict, "accept") == 0)
            continue;
        if (strcmp(verdict, "reject") == 0)
            c->rejected = true;
        else
            c->flags |= FLAG_KNOWN_ISSUE;
        scan_clip_say(c, "known issue (%s, %s): %s", tsv_cell(t, row, tsv_column(t, "media")),
                      tsv_cell(t, row, tsv_column(t, "issue")),
                      tsv_cell(t, row, tsv_column(t, "note")));
    }
}

enum err_code scan_clip_judge(const struct scan_corpus *s, size_t i, int slot,
                              const struct scan_rules *r, struct err *e)
{
    struct scan_clip *c = &s->clip[i];
    const char *why = NULL;

    c->named = clip_name_parse(&c->parsed, c->name, &why);
    if (!c->named) {
        c->rejected = true;
        scan_clip_say(c, "%s: %s", c->name, why);
    }
    for (int m = 0; m < N_SCAN_MEDIA; m++)
        TRY(judge_half(s, i, slot, r, (enum scan_media)m, e));
    /* The length of a damaged half says nothing. */
    if (!c->rejected && c->video_walked && c->audio_walked &&
        llabs(c->video_ms - c->audio_ms) > LENGTHS_DIFFER_MS) {
        c->flags |= FLAG_LENGTHS_DIFFER;
        scan_clip_say(c, "video lasts %" PRId64 " ms, sound %" PRId64 " ms", c->video_ms,
                      c->audio_ms);
    }
    apply_issues(c, r);
out:
    return e->code;
}
