/* SPDX-License-Identifier: MIT */
#ifndef COMMON_DATA_DATASET_H
#define COMMON_DATA_DATASET_H

#include "common/data/shard.h"

/* One split of a CREMA-D-Irony dataset, whether it is an overlay over base sets or self-contained:
 * the trainer, the evaluator and synib-shard see only this.
 *
 * A dataset folder holds one shard set per split: DATA/train, DATA/val, DATA/test
 * (docs/formats/irony.md). An overlay names its base sets (video frames, audio spectrograms) by
 * content digest; they are looked for in `bases`, then in DATA itself, then in the three folders
 * above it, and in the direct sub-folders of each. */

enum { CLIP_NAME_SIZE = 24, FRAMES_PER_CLIP = 3, N_EMOTIONS = 6, LABEL_IRONY = 6, N_LABELS = 7 };

/* Class ids and names: NEU 0, HAP 1, SAD 2, FEA 3, DIS 4, ANG 5, irony 6. R section 1.1. */
extern const char *const
    label_names[N_LABELS + 1]; /* "neutral" "happy" "sad" "fear" "disgust" "anger" "irony" NULL */
extern const char
    *const emotion_codes[N_EMOTIONS + 1]; /* "NEU" "HAP" "SAD" "FEA" "DIS" "ANG" NULL */

/* Bits of a sample's `flags` field. */
enum sample_flag {
    FLAG_SHORT_VIDEO = 1 << 0, /* fewer frames on the grid than wanted: topped up from the seed */
    FLAG_TILED_AUDIO = 1 << 1, /* shorter than 3 s: repeated, as the reference does */
    FLAG_DUPLICATE_AUDIO = 1 << 2, /* byte-identical audio under another label */
    FLAG_DIGEST_DIFFERS = 1 << 3,  /* media differ from the official digest, accepted by option */
    FLAG_SILENT_AUDIO = 1 << 4,
    FLAG_LENGTHS_DIFFER = 1 << 5, /* audio and video differ by more than 0.5 s */
    FLAG_KNOWN_ISSUE = 1 << 6,    /* listed in manifests/known-issues.tsv, accepted */
    FLAG_REENCODED = 1 << 7,      /* video codec is not VP6 */
    FLAG_CLIPPED_AUDIO = 1 << 8,
    FLAG_ODD_STRUCTURE = 1 << 9,   /* the official bytes, but the FLV breaks a rule of its format */
    FLAG_DONOR_FALLBACK = 1 << 10, /* the restricted donor pool was empty */
    FLAG_MATCHED_DONOR = 1 << 11,  /* another clip's sound of the same emotion: no irony */
};
/* Name of one bit, e.g. "short_video"; NULL for unknown bits. */
const char *sample_flag_name(enum sample_flag bit);

struct sample {
    char clip[CLIP_NAME_SIZE];  /* whose video it is */
    char donor[CLIP_NAME_SIZE]; /* whose audio it is; "" = its own */
    int32_t label;              /* 0..6 */
    int32_t base_label;         /* 0..5: of the video */
    int32_t donor_label;        /* 0..5, -1 without donor */
    int32_t actor;              /* of the video */
    uint32_t flags;
    const uint8_t *jpeg[FRAMES_PER_CLIP]; /* loans until dataset_close; verified */
    size_t jpeg_len[FRAMES_PER_CLIP];
    const float *spectrogram; /* [bins][frames] row-major natural log magnitudes; loan, verified */
};

struct dataset;

/* split: "train", "val" or "test". bases: NULL-terminated folders, or NULL. */
NODISCARD enum err_code dataset_open(struct dataset **d, const char *dir, const char *split,
                                     const char *const *bases, struct err *e);
void dataset_close(struct dataset *d);

int64_t dataset_count(const struct dataset *d);
/* Spectrogram shape, e.g. 257 x 188. */
void dataset_spectrogram_shape(const struct dataset *d, int *bins, int *frames);
/* Everything about sample i except the media; cheap, verified. */
NODISCARD enum err_code dataset_describe(const struct dataset *d, int64_t i, struct sample *s,
                                         struct err *e);
/* With media, each verified on every use. Threads: any. */
NODISCARD enum err_code dataset_get(const struct dataset *d, int64_t i, struct sample *s,
                                    struct err *e);
/* Content digest: equal for an overlay and its materialised twin. Hex. */
const char *dataset_digest(const struct dataset *d);
/* Provenance of the split's own set. */
const char *dataset_meta(const struct dataset *d, const char *key);
bool dataset_is_overlay(const struct dataset *d);
/* The split's own set, without its bases; a loan until dataset_close. */
const struct shard_set *dataset_set(const struct dataset *d);
/* Verifies every byte that the split uses. */
NODISCARD enum err_code dataset_verify(const struct dataset *d, int jobs, struct err *e);

#endif
