/* SPDX-License-Identifier: MIT */
#ifndef COMMON_DATA_IRONY_H
#define COMMON_DATA_IRONY_H

#include "common/base/sha256_message.h"
#include "common/data/fields.h"

/* Writes one split of an irony dataset, as an overlay over two base sets or self-contained, with
 * the same content digest either way (docs/formats/irony.md). Used by synib-irony; read back
 * through common/data/dataset.h.
 *
 * Threads: one writer, one thread. */
struct irony_writer;

struct irony_writer_options {
    bool materialise;      /* false: overlay */
    bool force;            /* replace an existing set */
    uint64_t target_bytes; /* as in struct shard_options */
};

struct irony_row {
    const char *clip;    /* whose video */
    const char *donor;   /* whose audio; NULL = its own */
    int32_t donor_index; /* position of the donor in this split; -1 = none */
    int32_t label;       /* 0..6 */
    int32_t base_label;  /* 0..5; must be the video base's */
    int32_t donor_label; /* 0..5; -1 = none */
    int32_t actor;       /* must be the video base's */
    uint32_t flags;      /* what mutation adds to the flags of video and audio, or 0 */
};

/* The base sets are borrowed until commit or abort. Their names, label and actor are checked
 * against every row. Also sets the metadata synib.layout, synib.video.digest and
 * synib.audio.digest. */
NODISCARD enum err_code irony_writer_open(struct irony_writer **w, const char *dir,
                                          const struct shard_set *video,
                                          const struct shard_set *audio,
                                          const struct irony_writer_options *opt, struct err *e);
/* Provenance; before the first row. */
NODISCARD enum err_code irony_writer_meta(struct irony_writer *w, const char *key,
                                          const char *value, struct err *e);
/* flags of the sample = flags of its video | flags of its audio | row->flags. ERR_DATA when a clip
 * is not in its base. */
NODISCARD enum err_code irony_writer_add(struct irony_writer *w, const struct irony_row *row,
                                         struct err *e);
/* Frees w, on failure too. digest (may be NULL): the content digest, hex, 65 bytes. */
NODISCARD enum err_code irony_writer_commit(struct irony_writer *w, char digest[65], struct err *e);
void irony_writer_abort(struct irony_writer *w);

/* True when a sample's labels and flags fit together (docs/formats/irony.md): irony has a donor,
 * whose label is donor_label; a sample of another label has its base label and none (-1), or a
 * donor of that label and FLAG_MATCHED_DONOR. label and base_label exist. */
bool irony_labels_fit(int32_t label, int32_t base_label, int32_t donor_label, uint32_t flags);

/* Finds samples of a base set by clip name. */
struct clip_index;
/* Reads every clip name of field `field` (U8 [24]) of a set; ERR_DATA when a name stands twice. */
NODISCARD enum err_code clip_index_new(struct clip_index **x, const struct shard_set *s, int field,
                                       struct err *e);
void clip_index_free(struct clip_index *x);
/* Sample number, -1 if absent. */
int64_t clip_index_find(const struct clip_index *x, const char *clip);

/* The content digest of docs/formats/irony.md. What the digest of sample s with its media is of:
 * every field; pictures and spectrogram are borrowed. */
void irony_sample_message(const struct sample *s, int bins, int frames, struct sha256_message *m);
/* Over n sample digests in order; hex has room for 65 bytes. */
NODISCARD enum err_code irony_content_digest(const uint8_t *digests, int64_t n, int bins,
                                             int frames, char hex[65], struct err *e);

#endif
