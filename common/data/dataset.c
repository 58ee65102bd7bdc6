/* SPDX-License-Identifier: MIT */
#include "common/data/dataset.h"

#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/parallel.h"
#include "common/data/dataset_bases.h"
#include "common/data/irony.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct dataset {
    struct shard_set *set;
    struct shard_set *video, *audio; /* NULL for a materialised set */
    int bins, frames;
};

static enum err_code get_clip(const struct shard_set *s, int64_t i, int field,
                              char out[CLIP_NAME_SIZE], struct err *e)
{
    struct shard_value v;

    TRY(shard_set_get(s, i, field, &v, e));
    if (!clip_name_ok(v.data))
        FAIL(err_set(e, ERR_DATA, "%s: sample %" PRId64 ": a clip is not named like one",
                     shard_set_dir(s), i));
    memcpy(out, v.data, CLIP_NAME_SIZE);
out:
    return e->code;
}

enum err_code dataset_describe(const struct dataset *d, int64_t i, struct sample *s, struct err *e)
{
    int32_t flags;

    memset(s, 0, sizeof *s);
    if (i < 0 || i >= shard_set_count(d->set))
        FAIL(err_set(e, ERR_INTERNAL, "%s: there is no sample %" PRId64, shard_set_dir(d->set), i));
    TRY(get_clip(d->set, i, IRONY_CLIP, s->clip, e));
    TRY(get_clip(d->set, i, IRONY_DONOR, s->donor, e));
    TRY(field_i32(d->set, i, IRONY_LABEL, &s->label, e));
    TRY(field_i32(d->set, i, IRONY_BASE_LABEL, &s->base_label, e));
    TRY(field_i32(d->set, i, IRONY_DONOR_LABEL, &s->donor_label, e));
    TRY(field_i32(d->set, i, IRONY_ACTOR, &s->actor, e));
    TRY(field_i32(d->set, i, IRONY_FLAGS, &flags, e));
    s->flags = (uint32_t)flags;
out:
    return e->code;
}

/* ---- opening ---- */

static enum err_code bad_sample(const struct dataset *d, int64_t i, const struct sample *s,
                                const char *why, struct err *e)
{
    return err_set(e, ERR_DATA, "%s: sample %" PRId64 " (%s): %s", shard_set_dir(d->set), i,
                   s->clip, why);
}

/* What an overlay says about its bases. */
static enum err_code check_bases(const struct dataset *d, int64_t i, const struct sample *s,
                                 struct err *e)
{
    char video_clip[CLIP_NAME_SIZE], audio_clip[CLIP_NAME_SIZE];
    int64_t video, audio;
    int32_t label, actor;

    TRY(field_i64(d->set, i, OVERLAY_VIDEO_SAMPLE, &video, e));
    TRY(field_i64(d->set, i, OVERLAY_AUDIO_SAMPLE, &audio, e));
    if (video < 0 || video >= shard_set_count(d->video) || audio < 0 ||
        audio >= shard_set_count(d->audio))
        return bad_sample(d, i, s, "points outside its base sets", e);
    TRY(get_clip(d->video, video, VIDEO_CLIP, video_clip, e));
    TRY(get_clip(d->audio, audio, AUDIO_CLIP, audio_clip, e));
    if (strcmp(video_clip, s->clip) != 0 ||
        strcmp(audio_clip, s->donor[0] != '\0' ? s->donor : s->clip) != 0)
        return bad_sample(d, i, s, "points at another clip in a base set", e);
    TRY(field_i32(d->video, video, VIDEO_LABEL, &label, e));
    TRY(field_i32(d->video, video, VIDEO_ACTOR, &actor, e));
    if (label != s->base_label || actor != s->actor)
        return bad_sample(d, i, s, "label or actor differ from the base set", e);
out:
    return e->code;
}

static enum err_code check_samples(const struct dataset *d, struct err *e)
{
    int64_t n = shard_set_count(d->set);

    for (int64_t i = 0; i < n; i++) {
        struct sample s;
        bool has_donor;
        int32_t donor;

        TRY(dataset_describe(d, i, &s, e));
        TRY(field_i32(d->set, i, IRONY_DONOR_INDEX, &donor, e));
        has_donor = s.donor[0] != '\0';
        if (s.clip[0] == '\0' || s.label < 0 || s.label >= N_LABELS || s.base_label < 0 ||
            s.base_label >= N_EMOTIONS)
            FAIL(bad_sample(d, i, &s, "has no clip, or a label that does not exist", e));
        if (!irony_labels_fit(s.label, s.base_label, s.donor_label, s.flags) ||
            has_donor != (s.donor_label >= 0) ||
            (has_donor ? donor < 0 || donor >= n : donor != -1))
            FAIL(bad_sample(d, i, &s, "label and donor do not fit together", e));
        if (d->video != NULL)
            TRY(check_bases(d, i, &s, e));
    }
out:
    return e->code;
}

/* Takes bins and frames from the field that holds the spectrograms. */
static void read_shape(struct dataset *d, const struct shard_set *s)
{
    int at = shard_set_find(s, "audio.logstft");
    const struct shard_field *f;

    if (at < 0)
        return;
    f = shard_set_field(s, at);
    if (f->rank == 2 && f->dim[0] <= INT32_MAX && f->dim[1] <= INT32_MAX) {
        d->bins = (int)f->dim[0];
        d->frames = (int)f->dim[1];
    }
}

static enum err_code open_overlay(struct dataset *d, const char *dir, const char *const *bases,
                                  struct err *e)
{
    struct shard_field overlay[N_OVERLAY_FIELDS], video[N_VIDEO_FIELDS], audio[N_AUDIO_FIELDS];
    const char *video_digest = dataset_meta(d, "synib.video.digest");
    const char *audio_digest = dataset_meta(d, "synib.audio.digest");

    fields_overlay(overlay);
    TRY(fields_check(d->set, overlay, N_OVERLAY_FIELDS, "irony overlay", e));
    if (video_digest == NULL || audio_digest == NULL)
        FAIL(err_set(e, ERR_DATA, "%s: does not name its base sets", shard_set_dir(d->set)));
    TRY(dataset_base_open(&d->video, "video", video_digest, dir, bases, e));
    TRY(dataset_base_open(&d->audio, "audio", audio_digest, dir, bases, e));
    read_shape(d, d->audio);
    fields_video(video);
    fields_audio(audio, d->bins, d->frames);
    TRY(fields_check(d->video, video, N_VIDEO_FIELDS, "video base", e));
    TRY(fields_check(d->audio, audio, N_AUDIO_FIELDS, "audio base", e));
out:
    return e->code;
}

static enum err_code open_materialised(struct dataset *d, struct err *e)
{
    struct shard_field fields[N_MATERIALISED_FIELDS];

    read_shape(d, d->set);
    fields_materialised(fields, d->bins, d->frames);
    return fields_check(d->set, fields, N_MATERIALISED_FIELDS, "materialised irony", e);
}

enum err_code dataset_open(struct dataset **out, const char *dir, const char *split,
                           const char *const *bases, struct err *e)
{
    struct dataset *d = NULL;
    const char *layout;
    char *path = NULL;

    *out = NULL;
    TRY(mem_array(&d, 1, sizeof *d, dir, e));
    TRY(path_join(&path, dir, split, e));
    TRY(shard_set_open(&d->set, path, e));
    layout = dataset_meta(d, "synib.layout");
    if (layout != NULL && strcmp(layout, "overlay") == 0)
        TRY(open_overlay(d, dir, bases, e));
    else if (layout != NULL && strcmp(layout, "materialised") == 0)
        TRY(open_materialised(d, e));
    else
        FAIL(err_set(e, ERR_DATA, "%s: is not a split of an irony dataset: synib.layout is '%.40s'",
                     path, layout != NULL ? layout : ""));
    if (dataset_meta(d, "synib.content") == NULL)
        FAIL(err_set(e, ERR_DATA, "%s: lacks its content digest", path));
    TRY(check_samples(d, e));
    *out = d;
    d = NULL;
out:
    dataset_close(d);
    free(path);
    return e->code;
}

void dataset_close(struct dataset *d)
{
    if (d == NULL)
        return;
    shard_set_close(d->set);
    shard_set_close(d->video);
    shard_set_close(d->audio);
    free(d);
}

int64_t dataset_count(const struct dataset *d)
{
    return shard_set_count(d->set);
}

void dataset_spectrogram_shape(const struct dataset *d, int *bins, int *frames)
{
    *bins = d->bins;
    *frames = d->frames;
}

const char *dataset_digest(const struct dataset *d)
{
    return dataset_meta(d, "synib.content");
}

const char *dataset_meta(const struct dataset *d, const char *key)
{
    return shard_set_meta(d->set, key);
}

bool dataset_is_overlay(const struct dataset *d)
{
    return d->video != NULL;
}

const struct shard_set *dataset_set(const struct dataset *d)
{
    return d->set;
}

enum err_code dataset_get(const struct dataset *d, int64_t i, struct sample *s, struct err *e)
{
    const struct shard_set *video = d->set, *audio = d->set;
    int64_t video_at = i, audio_at = i;
    int jpeg = MATERIALISED_JPEG0, logstft = MATERIALISED_LOGSTFT;
    struct shard_value v;

    TRY(dataset_describe(d, i, s, e));
    if (d->video != NULL) {
        video = d->video;
        audio = d->audio;
        jpeg = VIDEO_JPEG0;
        logstft = AUDIO_LOGSTFT;
        TRY(field_i64(d->set, i, OVERLAY_VIDEO_SAMPLE, &video_at, e));
        TRY(field_i64(d->set, i, OVERLAY_AUDIO_SAMPLE, &audio_at, e));
    }
    for (int f = 0; f < FRAMES_PER_CLIP; f++) {
        TRY(shard_set_get(video, video_at, jpeg + f, &v, e));
        s->jpeg[f] = v.data;
        s->jpeg_len[f] = v.len;
    }
    TRY(shard_set_get(audio, audio_at, logstft, &v, e));
    s->spectrogram = v.data;
out:
    return e->code;
}

/* ---- verifying ---- */

struct verify_job {
    const struct dataset *d;
    uint8_t *digests; /* [samples][32] */
    struct err *err;  /* [chunks] */
};

enum { VERIFY_CHUNK = 64 };

/* The samples of one chunk. */
struct verify_chunk {
    struct verify_job *job;
    struct err *err;
    int64_t next, end;
};

/* The next sample that can be read. */
static bool next_sample(void *ctx, struct sha256_message *m, uint8_t **digest)
{
    struct verify_chunk *c = ctx;
    const struct dataset *d = c->job->d;

    while (c->next < c->end) {
        int64_t i = c->next++;
        struct err one = {0};
        struct sample s;

        if (dataset_get(d, i, &s, &one) != ERR_OK) {
            (void)err_add_line(c->err, one.code, "%s", one.text);
            continue;
        }
        irony_sample_message(&s, d->bins, d->frames, m);
        *digest = c->job->digests + i * SHA256_SIZE;
        return true;
    }
    return false;
}

static void verify_chunk(void *ctx, int64_t chunk, int worker)
{
    struct verify_job *j = ctx;
    int64_t n = dataset_count(j->d), from = chunk * VERIFY_CHUNK;
    struct verify_chunk c = {.job = j,
                             .err = &j->err[chunk],
                             .next = from,
                             .end = from + VERIFY_CHUNK < n ? from + VERIFY_CHUNK : n};
    struct err one = {0};

    (void)worker;
    if (sha256_messages(next_sample, &c, &one) != ERR_OK)
        (void)err_add_line(c.err, one.code, "%s", one.text);
}

enum err_code dataset_verify(const struct dataset *d, int jobs, struct err *e)
{
    int64_t n = dataset_count(d), chunks = (n + VERIFY_CHUNK - 1) / VERIFY_CHUNK;
    struct verify_job j = {.d = d};
    char hex[SHA256_HEX_SIZE];

    TRY(shard_set_verify(d->set, jobs, e));
    TRY(mem_array(&j.digests, (size_t)n, SHA256_SIZE, "digests", e));
    TRY(mem_array(&j.err, (size_t)chunks, sizeof *j.err, "errors", e));
    parallel_for(jobs, chunks, verify_chunk, &j);
    for (int64_t c = 0; c < chunks; c++)
        if (j.err[c].code != ERR_OK)
            (void)err_add_line(e, j.err[c].code, "%s", j.err[c].text);
    TRY(e->code);
    TRY(irony_content_digest(j.digests, n, d->bins, d->frames, hex, e));
    if (strcmp(hex, dataset_digest(d)) != 0)
        FAIL(err_set(e, ERR_CHECKSUM,
                     "%s: content digest differs from the index: it or its base sets have other "
                     "contents: restore them or make it again",
                     shard_set_dir(d->set)));
out:
    free(j.digests);
    free(j.err);
    return e->code;
}
