/* SPDX-License-Identifier: MIT */
#ifndef COMMON_DATA_FIELDS_H
#define COMMON_DATA_FIELDS_H

#include "common/data/dataset.h"

/* The field lists of the sets that our tools exchange, in one place so that writers and readers
 * cannot drift; described in docs/formats/irony.md. Each enum gives the positions in the list that
 * the function beside it fills: a writer fills values[VIDEO_CLIP], values[VIDEO_LABEL], ... and a
 * reader calls fields_check() once and then uses the same numbers. */

enum { SPECTROGRAM_BINS = 257, SPECTROGRAM_FRAMES = 188 }; /* R section 1.5 */

/* Base set "video", by synib-frames. */
enum {
    VIDEO_CLIP,        /* U8 [24] clip name, zero padded; the last byte is 0 */
    VIDEO_FRAME_INDEX, /* I32 [3] index of each frame in the clip */
    VIDEO_JPEG0,       /* ragged U8: JPEG of the first frame; VIDEO_JPEG0 + f is frame f */
    VIDEO_JPEG1,
    VIDEO_JPEG2,
    VIDEO_ACTOR,      /* I32 */
    VIDEO_LABEL,      /* I32 0..5 */
    VIDEO_FLAGS,      /* I32, enum sample_flag */
    VIDEO_SRC_SHA256, /* U8 [32] SHA-256 of the source file */
    N_VIDEO_FIELDS
};
void fields_video(struct shard_field out[N_VIDEO_FIELDS]);

/* Base set "audio", by synib-stft. */
enum {
    AUDIO_CLIP,    /* U8 [24] */
    AUDIO_LOGSTFT, /* F32 [bins, frames] natural log magnitudes */
    AUDIO_ACTOR,
    AUDIO_LABEL,
    AUDIO_FLAGS,
    AUDIO_SRC_SHA256,
    N_AUDIO_FIELDS
};
void fields_audio(struct shard_field out[N_AUDIO_FIELDS], int bins, int frames);

/* One split of an irony dataset. The first N_IRONY_FIELDS describe a sample; an overlay adds the
 * positions in its bases, a materialised set the media themselves. */
enum {
    IRONY_CLIP,        /* U8 [24] whose video it is */
    IRONY_DONOR,       /* U8 [24] whose audio it is; all zero: its own */
    IRONY_DONOR_INDEX, /* I32 position of the donor in this split; -1: none */
    IRONY_LABEL,       /* I32 0..6 */
    IRONY_BASE_LABEL,  /* I32 0..5, of the video */
    IRONY_DONOR_LABEL, /* I32 0..5; -1: no donor */
    IRONY_ACTOR,       /* I32, of the video */
    IRONY_FLAGS,       /* I32: flags of the video | flags of the audio */
    N_IRONY_FIELDS
};
enum {
    OVERLAY_VIDEO_SAMPLE = N_IRONY_FIELDS, /* I64 sample number in the video base set */
    OVERLAY_AUDIO_SAMPLE,                  /* I64 in the audio base set: the donor's, if any */
    N_OVERLAY_FIELDS
};
enum {
    MATERIALISED_JPEG0 = N_IRONY_FIELDS, /* ragged, as VIDEO_JPEG0 */
    MATERIALISED_JPEG1,
    MATERIALISED_JPEG2,
    MATERIALISED_LOGSTFT, /* F32 [bins, frames] */
    N_MATERIALISED_FIELDS
};
void fields_overlay(struct shard_field out[N_OVERLAY_FIELDS]);
void fields_materialised(struct shard_field out[N_MATERIALISED_FIELDS], int bins, int frames);

/* ERR_DATA unless the set has exactly these fields in this order; `what` names the list, e.g.
 * "video base". */
NODISCARD enum err_code fields_check(const struct shard_set *s, const struct shard_field *want,
                                     int n, const char *what, struct err *e);

/* The value of a scalar field, verified; 0 in *out on failure. */
NODISCARD enum err_code field_i32(const struct shard_set *s, int64_t sample, int field,
                                  int32_t *out, struct err *e);
NODISCARD enum err_code field_i64(const struct shard_set *s, int64_t sample, int field,
                                  int64_t *out, struct err *e);

/* `name` zero padded into out; ERR_DATA when it is empty or longer than 23 bytes. */
NODISCARD enum err_code clip_name_pack(uint8_t out[CLIP_NAME_SIZE], const char *name,
                                       struct err *e);
/* A clip cell read from a file: true when it is NUL-terminated, zero padded and of the characters
 * A-Z a-z 0-9 _ - only (an empty name passes). */
bool clip_name_ok(const uint8_t cell[CLIP_NAME_SIZE]);

#endif
