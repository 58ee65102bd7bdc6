/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_TINY_DATASET_H
#define TESTS_SUPPORT_TINY_DATASET_H

#include "common/data/irony.h"

/* Small base sets and irony splits, made from numbers alone. Clip i is "10AA_TST_EMO_II" of actor
 * 1001 + i % 4 and label i % 6; its pictures are flat colours, its spectrogram a pattern. */

enum { TINY_BINS = 8, TINY_FRAMES = 5 };

void tiny_clip_name(int i, char out[CLIP_NAME_SIZE]);

/* Writes base sets DIR/video and DIR/audio of n clips. JPEGs are side x side pixels. */
NODISCARD enum err_code tiny_bases_write(const char *dir, int n, int side, struct err *e);

/* Writes the split DIR/NAME over DIR/video and DIR/audio: clips first..first+n-1 in order; every
 * third takes the audio of the clip after it, cyclically, and is labelled irony. */
NODISCARD enum err_code tiny_split_write(const char *dir, const char *name, int first, int n,
                                         bool materialise, char digest[65], struct err *e);

#endif
