/* SPDX-License-Identifier: MIT */
#include "common/data/irony.h"

#include "common/base/hash.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- digests ---- */

void irony_sample_message(const struct sample *s, int bins, int frames, struct sha256_message *m)
{
    size_t sound = (size_t)bins * (size_t)frames * sizeof *s->spectrogram;

    sha256_message_begin(m);
    sha256_message_copy(m, s->clip, CLIP_NAME_SIZE);
    sha256_message_copy(m, s->donor, CLIP_NAME_SIZE);
    sha256_message_copy_u32(m, (uint32_t)s->label);
    sha256_message_copy_u32(m, (uint32_t)s->base_label);
    sha256_message_copy_u32(m, (uint32_t)s->donor_label);
    sha256_message_copy_u32(m, (uint32_t)s->actor);
    sha256_message_copy_u32(m, s->flags);
    for (int f = 0; f < FRAMES_PER_CLIP; f++) {
        sha256_message_copy_u64(m, s->jpeg_len[f]);
        sha256_message_add(m, s->jpeg[f], s->jpeg_len[f]);
    }
    sha256_message_copy_u64(m, sound);
    sha256_message_add(m, s->spectrogram, sound);
}

enum err_code irony_content_digest(const uint8_t *digests, int64_t n, int bins, int frames,
                                   char hex[65], struct err *e)
{
    struct sha256 *h = sha256_new();
    uint8_t digest[SHA256_SIZE];
    char head[64];
    int len = snprintf(head, sizeof head, "synib-irony 1\n%d %d\n", bins, frames);

    sha256_add(h, head, (size_t)len);
    sha256_add(h, digests, (size_t)n * SHA256_SIZE);
    TRY(sha256_end(h, digest, e));
    sha256_hex(digest, hex);
out:
    return e->code;
}

/* ---- clips by name ---- */

struct named {
    char name[CLIP_NAME_SIZE];
    int64_t sample;
};

struct clip_index {
    struct named *item; /* sorted by name */
    size_t count;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

enum err_code clip_index_new(struct clip_index **out, const struct shard_set *s, int field,
                             struct err *e)
{
    struct clip_index *x = NULL;

    *out = NULL;
    TRY(mem_array(&x, 1, sizeof *x, "clip names", e));
    x->count = (size_t)shard_set_count(s);
    TRY(mem_array(&x->item, x->count, sizeof *x->item, "clip names", e));
    for (size_t i = 0; i < x->count; i++) {
        struct shard_value v;

        TRY(shard_set_get(s, (int64_t)i, field, &v, e));
        if (v.len != CLIP_NAME_SIZE || !clip_name_ok(v.data) || *(const char *)v.data == '\0')
            FAIL(err_set(e, ERR_DATA, "%s: sample %zu: is not named like a clip", shard_set_dir(s),
                         i));
        memcpy(x->item[i].name, v.data, CLIP_NAME_SIZE);
        x->item[i].sample = (int64_t)i;
    }
    qsort(x->item, x->count, sizeof *x->item, by_name);
    for (size_t i = 1; i < x->count; i++)
        if (strcmp(x->item[i - 1].name, x->item[i].name) == 0)
            FAIL(err_set(e, ERR_DATA, "%s: clip %s stands twice", shard_set_dir(s),
                         x->item[i].name));
    *out = x;
    x = NULL;
out:
    clip_index_free(x);
    return e->code;
}

void clip_index_free(struct clip_index *x)
{
    if (x == NULL)
        return;
    free(x->item);
    free(x);
}

int64_t clip_index_find(const struct clip_index *x, const char *clip)
{
    struct named key = {.sample = 0};
    const struct named *found;

    if (strlen(clip) >= sizeof key.name)
        return -1;
    memcpy(key.name, clip, strlen(clip));
    found = bsearch(&key, x->item, x->count, sizeof *x->item, by_name);
    return found != NULL ? found->sample : -1;
}

/* ---- writing ---- */

bool irony_labels_fit(int32_t label, int32_t base_label, int32_t donor_label, uint32_t flags)
{
    bool matched = (flags & FLAG_MATCHED_DONOR) != 0;

    if (label == LABEL_IRONY)
        return !matched && donor_label >= 0 && donor_label < N_EMOTIONS;
    return label == base_label && donor_label == (matched ? base_label : -1);
}

struct irony_writer {
    struct shard_writer *out;
    const struct shard_set *video, *audio; /* borrowed */
    struct clip_index *video_clips, *audio_clips;
    bool materialise;
    int bins, frames;
    uint8_t *digests;
    size_t digests_cap;
    int64_t count;
};

void irony_writer_abort(struct irony_writer *w)
{
    if (w == NULL)
        return;
    shard_writer_abort(w->out);
    clip_index_free(w->video_clips);
    clip_index_free(w->audio_clips);
    free(w->digests);
    free(w);
}

/* Spectrogram shape of an audio base set; then its whole field list is compared. */
static enum err_code check_bases(struct irony_writer *w, struct err *e)
{
    struct shard_field video[N_VIDEO_FIELDS], audio[N_AUDIO_FIELDS];
    int at = shard_set_find(w->audio, "audio.logstft");

    if (at >= 0 && shard_set_field(w->audio, at)->rank == 2) {
        w->bins = (int)shard_set_field(w->audio, at)->dim[0];
        w->frames = (int)shard_set_field(w->audio, at)->dim[1];
    }
    fields_video(video);
    fields_audio(audio, w->bins, w->frames);
    TRY(fields_check(w->video, video, N_VIDEO_FIELDS, "video base", e));
    TRY(fields_check(w->audio, audio, N_AUDIO_FIELDS, "audio base", e));
    TRY(clip_index_new(&w->video_clips, w->video, VIDEO_CLIP, e));
    TRY(clip_index_new(&w->audio_clips, w->audio, AUDIO_CLIP, e));
out:
    return e->code;
}

enum err_code irony_writer_open(struct irony_writer **out, const char *dir,
                                const struct shard_set *video, const struct shard_set *audio,
                                const struct irony_writer_options *opt, struct err *e)
{
    struct shard_options set = {
        .prefix = "irony", .target_bytes = opt->target_bytes, .force = opt->force};
    struct shard_field overlay[N_OVERLAY_FIELDS], materialised[N_MATERIALISED_FIELDS];
    struct irony_writer *w = NULL;

    *out = NULL;
    TRY(mem_array(&w, 1, sizeof *w, dir, e));
    w->video = video;
    w->audio = audio;
    w->materialise = opt->materialise;
    TRY(check_bases(w, e));
    fields_overlay(overlay);
    fields_materialised(materialised, w->bins, w->frames);
    TRY(w->materialise
            ? shard_writer_open(&w->out, dir, &set, materialised, N_MATERIALISED_FIELDS, e)
            : shard_writer_open(&w->out, dir, &set, overlay, N_OVERLAY_FIELDS, e));
    TRY(shard_writer_meta(w->out, "synib.layout", w->materialise ? "materialised" : "overlay", e));
    TRY(shard_writer_meta(w->out, "synib.video.digest", shard_set_digest(video), e));
    TRY(shard_writer_meta(w->out, "synib.audio.digest", shard_set_digest(audio), e));
    *out = w;
    w = NULL;
out:
    irony_writer_abort(w);
    return e->code;
}

enum err_code irony_writer_meta(struct irony_writer *w, const char *key, const char *value,
                                struct err *e)
{
    return shard_writer_meta(w->out, key, value, e);
}

/* The rules of one row that do not depend on the bases. */
static enum err_code check_row(const struct irony_row *r, struct err *e)
{
    bool donor = r->donor != NULL;

    if (r->label < 0 || r->label >= N_LABELS || r->base_label < 0 || r->base_label >= N_EMOTIONS)
        return err_set(e, ERR_DATA,
                       "clip %s: label %" PRId32 " or base label %" PRId32 " does not exist",
                       r->clip, r->label, r->base_label);
    if (donor != (r->donor_index >= 0) || donor != (r->donor_label >= 0) ||
        !irony_labels_fit(r->label, r->base_label, r->donor_label, r->flags))
        return err_set(e, ERR_DATA, "clip %s: label and donor do not fit together", r->clip);
    return ERR_OK;
}

/* Fills s from the bases: everything that a reader of the written sample will see. */
static enum err_code fill_sample(const struct irony_writer *w, const struct irony_row *r,
                                 int64_t video, int64_t audio, struct sample *s, struct err *e)
{
    int32_t label, actor, video_flags, audio_flags;
    struct shard_value v;

    memset(s, 0, sizeof *s);
    memcpy(s->clip, r->clip, strlen(r->clip)); /* found in the base sets: the names fit */
    if (r->donor != NULL)
        memcpy(s->donor, r->donor, strlen(r->donor));
    TRY(field_i32(w->video, video, VIDEO_LABEL, &label, e));
    TRY(field_i32(w->video, video, VIDEO_ACTOR, &actor, e));
    TRY(field_i32(w->video, video, VIDEO_FLAGS, &video_flags, e));
    TRY(field_i32(w->audio, audio, AUDIO_FLAGS, &audio_flags, e));
    if (label != r->base_label || actor != r->actor)
        FAIL(err_set(e, ERR_DATA,
                     "clip %s: label %" PRId32 ", actor %" PRId32
                     " differ from the video set's %" PRId32 ", %" PRId32,
                     r->clip, r->base_label, r->actor, label, actor));
    TRY(field_i32(w->audio, audio, AUDIO_LABEL, &label, e));
    if (label != (r->donor != NULL ? r->donor_label : r->base_label))
        FAIL(err_set(e, ERR_DATA, "clip %s: label %" PRId32 " of its audio is not as expected",
                     r->clip, label));
    s->label = r->label;
    s->base_label = r->base_label;
    s->donor_label = r->donor_label;
    s->actor = r->actor;
    s->flags = (uint32_t)video_flags | (uint32_t)audio_flags | r->flags;
    for (int f = 0; f < FRAMES_PER_CLIP; f++) {
        TRY(shard_set_get(w->video, video, VIDEO_JPEG0 + f, &v, e));
        s->jpeg[f] = v.data;
        s->jpeg_len[f] = v.len;
    }
    TRY(shard_set_get(w->audio, audio, AUDIO_LOGSTFT, &v, e));
    s->spectrogram = v.data;
out:
    return e->code;
}

enum err_code irony_writer_add(struct irony_writer *w, const struct irony_row *r, struct err *e)
{
    struct shard_value values[N_MATERIALISED_FIELDS];
    struct sha256_message m;
    const char *sound = r->donor != NULL ? r->donor : r->clip;
    int64_t video = clip_index_find(w->video_clips, r->clip);
    int64_t audio = clip_index_find(w->audio_clips, sound);
    struct sample s;

    TRY(check_row(r, e));
    if (video < 0 || audio < 0)
        FAIL(err_set(e, ERR_DATA, "clip %s: is not in %s", video < 0 ? r->clip : sound,
                     shard_set_dir(video < 0 ? w->video : w->audio)));
    TRY(fill_sample(w, r, video, audio, &s, e));
    TRY(mem_grow(&w->digests, &w->digests_cap, (size_t)(w->count + 1) * SHA256_SIZE, 1, "digests",
                 e));
    irony_sample_message(&s, w->bins, w->frames, &m);
    TRY(sha256_message_digest(&m, w->digests + w->count * SHA256_SIZE, e));
    values[IRONY_CLIP] = (struct shard_value){s.clip, CLIP_NAME_SIZE};
    values[IRONY_DONOR] = (struct shard_value){s.donor, CLIP_NAME_SIZE};
    values[IRONY_DONOR_INDEX] = (struct shard_value){&r->donor_index, 4};
    values[IRONY_LABEL] = (struct shard_value){&s.label, 4};
    values[IRONY_BASE_LABEL] = (struct shard_value){&s.base_label, 4};
    values[IRONY_DONOR_LABEL] = (struct shard_value){&s.donor_label, 4};
    values[IRONY_ACTOR] = (struct shard_value){&s.actor, 4};
    values[IRONY_FLAGS] = (struct shard_value){&s.flags, 4};
    if (w->materialise) {
        for (int f = 0; f < FRAMES_PER_CLIP; f++)
            values[MATERIALISED_JPEG0 + f] = (struct shard_value){s.jpeg[f], s.jpeg_len[f]};
        values[MATERIALISED_LOGSTFT] = (struct shard_value){
            s.spectrogram, (size_t)w->bins * (size_t)w->frames * sizeof *s.spectrogram};
    } else {
        values[OVERLAY_VIDEO_SAMPLE] = (struct shard_value){&video, 8};
        values[OVERLAY_AUDIO_SAMPLE] = (struct shard_value){&audio, 8};
    }
    TRY(shard_writer_add(w->out, values, e));
    w->count++;
out:
    return e->code;
}

enum err_code irony_writer_commit(struct irony_writer *w, char digest[65], struct err *e)
{
    char hex[SHA256_HEX_SIZE];
    struct shard_writer *out;

    TRY(irony_content_digest(w->digests, w->count, w->bins, w->frames, hex, e));
    TRY(shard_writer_index_meta(w->out, "synib.content", hex, e));
    out = w->out;
    w->out = NULL;
    TRY(shard_writer_commit(out, e));
    if (digest != NULL)
        memcpy(digest, hex, sizeof hex);
out:
    irony_writer_abort(w);
    return e->code;
}
