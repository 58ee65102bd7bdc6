/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_REPORT_LABEL_H
#define TRAIN_REPORT_LABEL_H

#include "common/base/err.h"

#include <stddef.h>

/* Names for things that are described by lines "key = value": out[i] (malloc, the caller's) is
 * base[i], and ", KEY=VALUE" for every key of text[i] that has another value, or none, in some text
 * with the same base. Keys stand in the order of the texts. So equal base and text give equal
 * labels, and other texts other labels. */
NODISCARD enum err_code labels_make(char **out, const char *const *base, const char *const *text,
                                    size_t n, struct err *e);

/* The settings in a run's identity: without method, seed, what tells data and initial encoders
 * apart, and mask.kind, which is in the label anyway. *out (malloc) is the caller's. */
NODISCARD enum err_code label_settings(char **out, const char *identity, struct err *e);

/* METHOD, or METHOD (MASK) unless the mask is none or random. */
void label_method(char *out, size_t size, const char *method, const char *mask);
/* The methods of the paper's Table 1, in its order; NULL-terminated. */
extern const char *const label_paper_methods[];
/* Place of a method in tables: the paper's order, then all others alike. */
int label_method_rank(const char *method);

/* The value of the line "KEY = VALUE", and its length; NULL if absent. key_len bytes of key. */
const char *label_find(const char *text, const char *key, size_t key_len, size_t *value_len);

#endif
