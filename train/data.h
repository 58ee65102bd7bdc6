/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_DATA_H
#define TRAIN_DATA_H

#include "common/data/dataset.h"
#include "common/data/vectors.h"

/* One split of a dataset of any kind: pictures and sound of an irony dataset (modalities "audio"
 * and "video", in this order), or feature vectors. What is the same for both is asked here; samples
 * come through train/loader.h. Threads: any, once opened. */

enum { MEDIA_AUDIO, MEDIA_VIDEO, MEDIA_MODALITIES }; /* modality numbers of an irony dataset */

struct data;

/* `split`: "train", "val" or "test"; the kind is in the set's metadata. bases: NULL-terminated
 * folders for overlays, or NULL. */
NODISCARD enum err_code data_open(struct data **d, const char *dir, const char *split,
                                  const char *const *bases, struct err *e);
/* False when there is no finished split of this name; true also when that cannot be told. */
bool data_has_split(const char *dir, const char *split);
/* Takes v, on failure too; computes its digest where it has none. */
NODISCARD enum err_code data_of_vectors(struct data **d, struct vectors *v, struct err *e);
void data_close(struct data *d);

/* One of them is NULL; loans until data_close. */
const struct dataset *data_media(const struct data *d);
const struct vectors *data_vectors(const struct data *d);

int64_t data_count(const struct data *d);
/* Content digest, hex. */
const char *data_digest(const struct data *d);
int data_modalities(const struct data *d);
const char *data_modality(const struct data *d, int which);
/* Classes, 0 when numbers are predicted; and how many numbers. */
int data_classes(const struct data *d);
const char *data_class(const struct data *d, int k);
int data_targets(const struct data *d);
/* Sources of information, 0 = not known. */
int data_sources(const struct data *d);
const char *data_source(const struct data *d, int source);
/* The source named "synergistic", -1 without one. */
int data_synergy(const struct data *d);
bool data_has_oracle(const struct data *d);
/* What a method or a setting may ask of data. */
struct data_traits {
    bool media;   /* pictures and sound */
    bool classes; /* or numbers to predict */
    bool oracle;
    int sources;
};
struct data_traits data_traits_of(const struct data *d);
/* What messages call sample i: "CLIP", "CLIP<-DONOR" or "sample I". */
void data_name(const struct data *d, int64_t i, char *out, size_t size);
/* ERR_DATA unless b has the same kind, modalities, classes and sizes as a. `what` names b. */
NODISCARD enum err_code data_same_shape(const struct data *a, const struct data *b,
                                        const char *what, struct err *e);

#endif
