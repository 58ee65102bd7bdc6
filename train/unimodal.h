/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_UNIMODAL_H
#define TRAIN_UNIMODAL_H

#include "train/trainer.h"

/* Where the encoders of fused runs come from. The unimodal runs are ordinary runs of methods
 * uni-audio and uni-video with the same preset, --set options, seed and data; they are looked for
 * in
 *
 *   1. DIR/uni-audio and DIR/uni-video, when --pretrained DIR is given, and nowhere else;
 *   2. the folders uni-audio and uni-video beside RUN, when such a run is finished and its identity
 *      (docs/formats/run.md) is the wanted one;
 *   3. RUN/pretrain/uni-audio and RUN/pretrain/uni-video.
 *
 * In places 1 and 3 a run that is missing or unfinished is trained there, under its lock, so that
 * jobs which start together share one; a run of another identity is an error (with --force, and in
 * place 3 only, it is replaced). */
struct unimodal_request {
    struct trainer_options base; /* of the fused run; method and dir are its own */
    const char *pretrained;      /* --pretrained, or NULL */
    /* Settings of method uni-audio and uni-video. */
    struct config config[MEDIA_MODALITIES];
};

/* What unimodal_get would do, with nothing made or trained; dir is the caller's to free, on failure
 * too. */
struct unimodal_outlook {
    char *dir;
    bool busy;     /* another process trains there: it would be waited for */
    bool replaces; /* --force: a run of another identity */
    enum trainer_finds finds;
    int64_t epochs; /* done */
};
NODISCARD enum err_code unimodal_look(struct unimodal_outlook *out,
                                      const struct unimodal_request *r, int which, struct err *e);

/* *dir: folder of the finished run; caller frees. */
NODISCARD enum err_code unimodal_get(char **dir, const struct unimodal_request *r, int which,
                                     struct err *e);

#endif
