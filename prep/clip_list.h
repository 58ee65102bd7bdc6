/* SPDX-License-Identifier: MIT */
#ifndef PREP_CLIP_LIST_H
#define PREP_CLIP_LIST_H

#include "common/base/hash.h"
#include "common/data/dataset.h"
#include "common/data/tsv.h"

#include <stddef.h>
#include <stdint.h>

/* clips.tsv (docs/formats/manifests.md, kind "clips") as the tools that decode media need it. */

enum clip_media { CLIP_VIDEO, CLIP_AUDIO };

struct clip_row {
    const char *clip; /* loans of the list */
    const char *path; /* of the chosen medium, relative to ROOT, without ".." */
    const char *reason;
    bool rejected;  /* by the scan: path, digest, actor and label may be empty */
    int32_t actor;  /* 0 if empty */
    int32_t label;  /* -1 if empty */
    uint32_t flags; /* enum sample_flag */
    uint8_t sha256[SHA256_SIZE];
};

struct clip_list {
    struct tsv *table;
    struct clip_row *row; /* [count], in the order of the file */
    size_t count;
    size_t usable; /* rows that are not rejected */
};

/* ERR_DATA: every fault with its line, up to 20: a cell that is not what its column holds, a path
 * that is absolute or climbs, a clip that stands twice. */
NODISCARD enum err_code clip_list_read(struct clip_list *list, const char *path,
                                       enum clip_media media, struct err *e);
/* The same of a table that was read with clip_list_columns, which it takes, on failure too. */
NODISCARD enum err_code clip_list_take(struct clip_list *list, struct tsv *t, enum clip_media media,
                                       struct err *e);
extern const char *const clip_list_columns[]; /* NULL-terminated */
void clip_list_free(struct clip_list *list);

#endif
