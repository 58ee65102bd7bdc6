/* SPDX-License-Identifier: MIT */
#ifndef PREP_SHARD_VIEW_H
#define PREP_SHARD_VIEW_H

#include "common/data/irony.h"

/* What synib-shard was pointed at, seen the same way whatever it is: a table of samples and fields.
 * An overlay is shown with the media that it refers to, so it looks like its materialised twin. */

struct view {
    char name[64]; /* "train" in a dataset, else "" */
    const struct shard_set *set;
    const struct dataset *data; /* NULL: a base set or a single shard */
    struct shard_field field[SHARD_MAX_FIELDS];
    int fields;
    int64_t count;
    struct shard_set *own_set;
    struct dataset *own_data;
};

struct target {
    const char *path;
    struct view view[3]; /* a dataset has up to three splits, in the order train, val, test */
    int views;
    struct tensorfile *file; /* a checkpoint; then views is 0 */
};

/* Opens a dataset folder, a set folder or a file. `split` (or NULL) chooses one split of a dataset.
 * A folder that is one split of a dataset is opened as such. ERR_USAGE when `split` is not there.
 */
NODISCARD enum err_code target_open(struct target *t, const char *path, const char *split,
                                    const char *const *bases, struct err *e);
void target_close(struct target *t);

int view_find(const struct view *v, const char *field); /* -1: absent */
/* One value; a loan until target_close; verified. */
NODISCARD enum err_code view_get(const struct view *v, int64_t sample, int field,
                                 struct shard_value *value, struct err *e);
/* A scalar I32 field by name into *out; `absent` when there is no such field. */
NODISCARD enum err_code view_i32(const struct view *v, int64_t sample, const char *field,
                                 int32_t absent, int32_t *out, struct err *e);
/* Clip name of field "clip" or "donor" into out, "" when there is none. */
NODISCARD enum err_code view_clip(const struct view *v, int64_t sample, const char *field,
                                  char out[CLIP_NAME_SIZE], struct err *e);

/* "U8 [24]", "ragged U8", ... into out. */
void field_type_text(const struct shard_field *f, char *out, size_t size);
/* "short_video,tiled_audio" or "-". */
void flags_text(uint32_t flags, char *out, size_t size);
/* The i-th name of a list in the metadata of a set of vectors ("synib.classes", "synib.sources") in
 * `out`, or "-". */
const char *view_list_name(const struct view *v, const char *key, int i, char *out, size_t size);
/* label_names[label], or "-" outside the list. */
const char *label_text(int32_t label);

#endif
