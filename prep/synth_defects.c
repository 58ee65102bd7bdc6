/* SPDX-License-Identifier: MIT */
#include "prep/synth_defects.h"

#include "common/base/bytes.h"
#include "common/base/mem.h"
#include "prep/synth_voice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void defect_clip_free(struct defect_clip *d)
{
    buffer_free(&d->flv);
    buffer_free(&d->wav);
    buffer_free(&d->listed_flv);
    buffer_free(&d->listed_wav);
}

static enum err_code replace(struct buffer *b, const void *data, size_t len, struct err *e)
{
    b->len = 0;
    return buffer_add(b, data, len, e);
}

/* ---- damage to finished bytes; each gets the healthy clip ---- */

typedef enum err_code damage_fn(struct defect_clip *d, struct err *e);

static const char lfs_pointer[] =
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
    "size 265922\n";
static const char web_page[] = "<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head>"
                               "<body><h1>Not Found</h1></body></html>\n";

static enum err_code flv_is_pointer(struct defect_clip *d, struct err *e)
{
    return replace(&d->flv, lfs_pointer, sizeof lfs_pointer - 1, e);
}

static enum err_code flv_is_empty(struct defect_clip *d, struct err *e)
{
    (void)e;
    d->flv.len = 0;
    return ERR_OK;
}

static enum err_code flv_is_html(struct defect_clip *d, struct err *e)
{
    return replace(&d->flv, web_page, sizeof web_page - 1, e);
}

static enum err_code flv_is_wav(struct defect_clip *d, struct err *e)
{
    return replace(&d->flv, d->wav.data, d->wav.len, e);
}

/* Cut at 60 %, inside whatever tag is there. */
static enum err_code flv_cut(struct defect_clip *d, struct err *e)
{
    size_t at = 13, want = d->flv.len * 6 / 10, tag = at;

    (void)e;
    while (at < want) {
        tag = at;
        at += 11 + load_be24(d->flv.data + at + 1) + 4;
    }
    d->flv.len = tag + 11 + load_be24(d->flv.data + tag + 1) / 2;
    return ERR_OK;
}

static enum err_code flv_without_last_size(struct defect_clip *d, struct err *e)
{
    (void)e;
    d->flv.len -= 4;
    return ERR_OK;
}

static enum err_code flv_bad_size(struct defect_clip *d, struct err *e)
{
    (void)e;
    d->flv.data[d->flv.len - 2] ^= 0x40;
    return ERR_OK;
}

static enum err_code flv_trailing(struct defect_clip *d, struct err *e)
{
    return buffer_add(&d->flv, "rest of another file", 20, e);
}

/* One bit in the middle of the last half of the file, in a packet: the structure stays whole. */
static enum err_code flv_flip(struct defect_clip *d, struct err *e)
{
    size_t at = 13, tag = at;

    TRY(replace(&d->listed_flv, d->flv.data, d->flv.len, e));
    while (at < d->flv.len * 3 / 4) {
        tag = at;
        at += 11 + load_be24(d->flv.data + at + 1) + 4;
    }
    d->flv.data[tag + 11 + load_be24(d->flv.data + tag + 1) / 2] ^= 0x10;
out:
    return e->code;
}

/* Every video tag claims AVC, which this data are not. */
static enum err_code flv_other_codec(struct defect_clip *d, struct err *e)
{
    (void)e;
    for (size_t at = 13; at < d->flv.len; at += 11 + load_be24(d->flv.data + at + 1) + 4)
        if (d->flv.data[at] == 9)
            d->flv.data[at + 11] = (uint8_t)((d->flv.data[at + 11] & 0xf0) | 7);
    return ERR_OK;
}

static enum err_code wav_is_pointer(struct defect_clip *d, struct err *e)
{
    return replace(&d->wav, lfs_pointer, sizeof lfs_pointer - 1, e);
}

static enum err_code wav_is_empty(struct defect_clip *d, struct err *e)
{
    (void)e;
    d->wav.len = 0;
    return ERR_OK;
}

static enum err_code wav_is_html(struct defect_clip *d, struct err *e)
{
    return replace(&d->wav, web_page, sizeof web_page - 1, e);
}

/* The sound track as a bare MP3 under the name .wav. */
static enum err_code wav_is_mp3(struct defect_clip *d, struct err *e)
{
    d->wav.len = 0;
    for (size_t at = 13; at < d->flv.len; at += 11 + load_be24(d->flv.data + at + 1) + 4)
        if (d->flv.data[at] == 8)
            TRY(buffer_add(&d->wav, d->flv.data + at + 12, load_be24(d->flv.data + at + 1) - 1, e));
out:
    return e->code;
}

static enum err_code wav_cut(struct defect_clip *d, struct err *e)
{
    (void)e;
    d->wav.len = (44 + (d->wav.len - 44) / 2) & ~(size_t)1;
    return ERR_OK;
}

static enum err_code wav_bad_riff_size(struct defect_clip *d, struct err *e)
{
    (void)e;
    store_le32(d->wav.data + 4, (uint32_t)d->wav.len + 1000);
    return ERR_OK;
}

static enum err_code wav_trailing(struct defect_clip *d, struct err *e)
{
    return buffer_add(&d->wav, "rest of another file", 20, e);
}

/* 109 bytes whose LIST chunk sends libsndfile 1.2.0 into an endless loop. */
static enum err_code wav_list_hang(struct defect_clip *d, struct err *e)
{
    static const uint8_t file[] = {
        0x52, 0x49, 0x46, 0x46, 0xc6, 0x0c, 0x00, 0x00, 0x57, 0x41, 0x56, 0x45, 0x66, 0x6d,
        0x74, 0x20, 0x10, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01, 0x00, 0x80, 0x3e, 0x00, 0x00,
        0x00, 0x7d, 0x00, 0x00, 0x02, 0x00, 0x10, 0x00, 0x4c, 0x49, 0x53, 0x54, 0x05, 0x00,
        0x00, 0x05, 0xe5, 0x57, 0x41, 0xe5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xe5, 0xe5, 0xe5, 0x56, 0xe5};

    static_assert(sizeof file == 109, "as found");
    return replace(&d->wav, file, sizeof file, e);
}

static enum err_code wav_float(struct defect_clip *d, struct err *e)
{
    (void)e;
    store_le16(d->wav.data + 20, 3); /* WAVE_FORMAT_IEEE_FLOAT */
    store_le16(d->wav.data + 34, 32);
    store_le16(d->wav.data + 32, 4);
    store_le32(d->wav.data + 28, VOICE_RATE_HZ * 4);
    d->wav.len = 44 + ((d->wav.len - 44) & ~(size_t)3);
    store_le32(d->wav.data + 40, (uint32_t)(d->wav.len - 44));
    store_le32(d->wav.data + 4, (uint32_t)(d->wav.len - 8));
    return ERR_OK;
}

static enum err_code wav_alaw(struct defect_clip *d, struct err *e)
{
    (void)e;
    store_le16(d->wav.data + 20, 6); /* WAVE_FORMAT_ALAW */
    store_le16(d->wav.data + 34, 8);
    store_le16(d->wav.data + 32, 1);
    store_le32(d->wav.data + 28, VOICE_RATE_HZ);
    return ERR_OK;
}

static enum err_code wav_no_channels(struct defect_clip *d, struct err *e)
{
    (void)e;
    store_le16(d->wav.data + 22, 0);
    return ERR_OK;
}

/* Whole samples of other sound, in place of the clip's. */
static enum err_code wav_of(struct defect_clip *d, int16_t *pcm, size_t frames, int channels,
                            int rate_hz, struct err *e)
{
    d->wav.len = 0;
    return wav_write(&d->wav, pcm, frames, channels, rate_hz, e);
}

/* The samples of d->wav in fresh memory. */
static enum err_code samples_of(const struct defect_clip *d, int16_t **pcm, size_t *n,
                                struct err *e)
{
    *n = (d->wav.len - 44) / 2;
    TRY(mem_array(pcm, *n, sizeof **pcm, "sound", e));
    memcpy(*pcm, d->wav.data + 44, *n * sizeof **pcm);
out:
    return e->code;
}

/* 48 kHz in two channels by holding each sample: allowed, and resampled like any other. */
static enum err_code wav_stereo_48k(struct defect_clip *d, struct err *e)
{
    int16_t *pcm = NULL, *wide = NULL;
    size_t n;

    TRY(samples_of(d, &pcm, &n, e));
    TRY(mem_array(&wide, n * 6, sizeof wide[0], "sound", e));
    for (size_t i = 0; i < n * 6; i++)
        wide[i] = pcm[i / 6];
    TRY(wav_of(d, wide, n * 3, 2, 3 * VOICE_RATE_HZ, e));
out:
    free(pcm);
    free(wide);
    return e->code;
}

enum sound { SOUND_SILENT, SOUND_CONSTANT, SOUND_CLIPPED };

static enum err_code wav_sound(struct defect_clip *d, enum sound sound, struct err *e)
{
    int16_t *pcm = NULL;
    size_t n;

    TRY(samples_of(d, &pcm, &n, e));
    for (size_t i = 0; i < n; i++) {
        int loud = pcm[i] * 400;

        loud = loud > 32767 ? 32767 : loud < -32768 ? -32768 : loud;
        pcm[i] = (int16_t)(sound == SOUND_SILENT ? 0 : sound == SOUND_CONSTANT ? 1234 : loud);
    }
    TRY(wav_of(d, pcm, n, 1, VOICE_RATE_HZ, e));
out:
    free(pcm);
    return e->code;
}

static enum err_code wav_silent(struct defect_clip *d, struct err *e)
{
    return wav_sound(d, SOUND_SILENT, e);
}

static enum err_code wav_constant(struct defect_clip *d, struct err *e)
{
    return wav_sound(d, SOUND_CONSTANT, e);
}

static enum err_code wav_clipped(struct defect_clip *d, struct err *e)
{
    return wav_sound(d, SOUND_CLIPPED, e);
}

static enum err_code wav_length(struct defect_clip *d, size_t samples, struct err *e)
{
    int16_t *pcm = NULL, *cut = NULL;
    size_t n;

    TRY(samples_of(d, &pcm, &n, e));
    TRY(mem_array(&cut, samples, sizeof cut[0], "sound", e)); /* zeroed past the clip's end */
    memcpy(cut, pcm, (n < samples ? n : samples) * sizeof cut[0]);
    TRY(wav_of(d, cut, samples, 1, VOICE_RATE_HZ, e));
out:
    free(pcm);
    free(cut);
    return e->code;
}

static enum err_code wav_60_ms(struct defect_clip *d, struct err *e)
{
    return wav_length(d, VOICE_RATE_HZ * 6 / 100, e);
}

static enum err_code wav_longer(struct defect_clip *d, struct err *e)
{
    return wav_length(d, (d->wav.len - 44) / 2 + VOICE_RATE_HZ, e);
}

static enum err_code wav_odd_rate(struct defect_clip *d, struct err *e)
{
    (void)e;
    store_le32(d->wav.data + 24, 1000);
    store_le32(d->wav.data + 28, 2000);
    return ERR_OK;
}

/* ---- the list ---- */

struct plan {
    struct defect defect;
    damage_fn *damage; /* NULL: none */
    struct clip_change change;
    enum disk_object flv_as, wav_as;
    const char *rename; /* replaces the name after the actor; media.tsv does not know it */
    bool same_as_last;  /* the sound of the defect before this one */
};

#define ACCEPTED "accepted"
#define FLAGGED "flagged"
#define REJECTED "rejected"

/* clang-format off */
static const struct plan plans[] = {
    {{"lfs_pointer", "video", REJECTED, "a git-lfs pointer in place of the FLV"}, .damage = flv_is_pointer},
    {{"empty", "video", REJECTED, "an FLV of 0 bytes"}, .damage = flv_is_empty},
    {{"html", "video", REJECTED, "a web page in place of the FLV"}, .damage = flv_is_html},
    {{"other_type", "video", REJECTED, "a WAV file named .flv"}, .damage = flv_is_wav},
    {{"truncated", "video", REJECTED, "cut in the middle of a tag"}, .damage = flv_cut},
    {{"no_last_size", "video", REJECTED, "the last previous-tag size is missing"}, .damage = flv_without_last_size},
    {{"bad_last_size", "video", REJECTED, "the last previous-tag size is wrong"}, .damage = flv_bad_size},
    {{"trailing", "video", REJECTED, "20 bytes after the last tag"}, .damage = flv_trailing},
    {{"flipped_bit", "video", REJECTED, "one bit of a packet changed; media.tsv holds the digest from before"}, .damage = flv_flip},
    {{"other_codec", "video", REJECTED, "video tags claim AVC"}, .damage = flv_other_codec},
    {{"no_video_stream", "video", REJECTED, "sound only"}, .change = {.no_video = true}},
    {{"no_pictures", "video", REJECTED, "a video stream without a single picture"}, .change = {.no_pictures = true}},
    {{"no_sound_track", "video", ACCEPTED, "the FLV has no sound; the WAV is whole"}, .change = {.no_audio = true}},
    {{"two_pictures", "video", REJECTED, "2 pictures, sound as usual"}, .change = {.video_frames = 2}},
    {{"short", "both", ACCEPTED, "45 pictures and as much sound: the frame at 58 is missing"}, .change = {.total_frames = 45}},
    {{"one_minute", "video", FLAGGED, "60 s of picture, sound as usual"}, .change = {.video_frames = 1798}},
    {{"black", "video", ACCEPTED, "all pictures black; no structure shows it"}, .change = {.black = true}},
    {{"folder", "video", REJECTED, "a folder named .flv"}, .flv_as = DISK_FOLDER},
    {{"fifo", "video", REJECTED, "a FIFO named .flv"}, .flv_as = DISK_FIFO},
    {{"link_out", "video", REJECTED, "a symbolic link to a file outside the corpus"}, .flv_as = DISK_LINK_OUT},
    {{"link_loop", "video", REJECTED, "a symbolic link to itself"}, .flv_as = DISK_LINK_LOOP},
    {{"missing", "video", REJECTED, "no FLV"}, .flv_as = DISK_ABSENT},
    {{"missing", "audio", REJECTED, "no WAV"}, .wav_as = DISK_ABSENT},
    {{"lfs_pointer", "audio", REJECTED, "a git-lfs pointer in place of the WAV"}, .damage = wav_is_pointer},
    {{"empty", "audio", REJECTED, "a WAV of 0 bytes"}, .damage = wav_is_empty},
    {{"html", "audio", REJECTED, "a web page in place of the WAV"}, .damage = wav_is_html},
    {{"other_type", "audio", REJECTED, "an MP3 named .wav"}, .damage = wav_is_mp3},
    {{"truncated", "audio", REJECTED, "half of the samples"}, .damage = wav_cut},
    {{"bad_riff_size", "audio", REJECTED, "the RIFF size claims 1008 bytes more"}, .damage = wav_bad_riff_size},
    {{"trailing", "audio", REJECTED, "20 bytes after the RIFF chunk"}, .damage = wav_trailing},
    {{"list_hang", "audio", REJECTED, "109 bytes that hang libsndfile 1.2.0"}, .damage = wav_list_hang},
    {{"float", "audio", REJECTED, "format tag 3, 32 bits"}, .damage = wav_float},
    {{"alaw", "audio", REJECTED, "format tag 6, 8 bits"}, .damage = wav_alaw},
    {{"no_channels", "audio", REJECTED, "0 channels"}, .damage = wav_no_channels},
    {{"odd_rate", "audio", REJECTED, "1000 Hz"}, .damage = wav_odd_rate},
    {{"stereo_48k", "audio", ACCEPTED, "two channels at 48 kHz"}, .damage = wav_stereo_48k},
    {{"silent", "audio", REJECTED, "all samples 0"}, .damage = wav_silent},
    {{"constant", "audio", REJECTED, "all samples 1234"}, .damage = wav_constant},
    {{"clipped", "audio", FLAGGED, "400 times too loud: more than 10 % of the samples at full scale"}, .damage = wav_clipped},
    {{"60_ms", "audio", REJECTED, "60 ms of sound, picture as usual"}, .damage = wav_60_ms},
    {{"longer", "audio", FLAGGED, "1 s of silence more than the picture"}, .damage = wav_longer},
    {{"twin", "audio", FLAGGED, "the WAV equals the next clip's, which has another label"}, .damage = NULL},
    {{"twin", "audio", FLAGGED, "the WAV equals the last clip's, which has another label"}, .same_as_last = true},
    {{"short_level", "both", REJECTED, "a level of one letter, as old copies of 1040_ITH_SAD_XX.wav have"}, .rename = "ITH_SAD_X"},
    {{"unknown_emotion", "both", REJECTED, "an emotion that does not exist"}, .rename = "ITH_JOY_XX"},
};
/* clang-format on */

enum { DEFECTS = sizeof plans / sizeof plans[0], PER_ACTOR = SYNTH_EMOTIONS * 2 };

int defect_count(void)
{
    return DEFECTS;
}

int defect_actors(void)
{
    return (DEFECTS + PER_ACTOR - 1) / PER_ACTOR;
}

const struct defect *defect_at(int i)
{
    return &plans[i].defect;
}

void defect_clip_of(int i, uint64_t seed, int first_actor, struct synth_clip *clip)
{
    *clip = (struct synth_clip){.seed = seed,
                                .actor = first_actor + i / PER_ACTOR,
                                .sentence = 1 + i / SYNTH_EMOTIONS % 2,
                                .emotion = i % SYNTH_EMOTIONS};
    synth_clip_name(clip);
    if (plans[i].rename != NULL)
        snprintf(clip->name, sizeof clip->name, "%04d_%s", clip->actor, plans[i].rename);
}

enum err_code defect_make(int i, struct clip_maker *m, const struct synth_clip *clip,
                          struct defect_clip *d, struct err *e)
{
    const struct plan *p = &plans[i];
    const struct clip_change healthy = {0};
    const struct buffer *b;

    if (p->same_as_last) {
        struct synth_clip last;

        defect_clip_of(i - 1, clip->seed, clip->actor - i / PER_ACTOR, &last);
        TRY(clip_maker_make(m, &last, &healthy, e));
        b = clip_maker_wav(m);
        TRY(buffer_add(&d->wav, b->data, b->len, e));
    }
    TRY(clip_maker_make(m, clip, &p->change, e));
    b = clip_maker_flv(m);
    TRY(buffer_add(&d->flv, b->data, b->len, e));
    b = clip_maker_wav(m);
    if (!p->same_as_last)
        TRY(buffer_add(&d->wav, b->data, b->len, e));
    if (p->damage != NULL)
        TRY(p->damage(d, e));
    d->flv_as = p->flv_as;
    d->wav_as = p->wav_as;
    d->unlisted = p->rename != NULL;
out:
    return e->code;
}
