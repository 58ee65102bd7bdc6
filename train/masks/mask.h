/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_MASKS_MASK_H
#define TRAIN_MASKS_MASK_H

#include "train/methods/method.h"

/* Which values of a modality are corrupted (a mask: 1 = corrupted) and with what (a fill), in input
 * or latent space: Eq. 15, x~ = (1 - m) x + m fill. Both are constants of the step. A new kind of
 * mask is one file that defines one struct mask, named below and in masks/registry.c, a member of
 * enum mask_kind in train/config.h and its name in train/config_table.c. */

/* The values of one modality that are to be masked. */
struct mask_site {
    int which;        /* modality */
    struct tensor *x; /* its input, or z; [B, width] whatever its rank */
    int64_t width;    /* values per sample */
};

/* The site of a modality by mask.space; x is NULL on an error of the tape. */
struct mask_site mask_site_of(const struct method_step *s, int which);
/* Its width, before there are any values. */
int64_t mask_width(const struct config *c, const struct model *m, int which);

struct mask {
    /* What the loader must add to batches. */
    enum oracle_kind oracle;
    /* Never corrupts anything: no mask and no fill are made. */
    bool nothing;
    /* Weights and buffers of its own, and their initial values; may be NULL. */
    enum err_code (*declare)(const struct config *c, const struct model *m, struct params *ps,
                             struct err *e);
    void (*init)(const struct config *c, const struct model *m, struct params *ps, uint64_t seed);
    /* mask [B, width], 0 or 1 (or between, for soft masks), overwritten. Adds to `sum` what the
     * mask itself is trained with, if anything. Errors are the tape's. */
    void (*make)(const struct method_step *s, const struct mask_site *site, float *mask,
                 struct loss_sum *sum, struct step_report *report);
};

/* The mask that corrupts each value of each sample with probability mask.p, drawn under `key`. */
void random_mask(const struct method_step *s, const struct mask_site *site,
                 const struct noise_key *key, float *mask);

/* By enum mask_kind. */
extern const struct mask *const masks[MASK_KINDS];
extern const struct mask mask_random, mask_learned, mask_learned_mlp, mask_oracle,
    mask_oracle_literal, mask_all, mask_none;

/* Declares what the setting mask.fill and the mask's kind need, and gives it initial values. */
NODISCARD enum err_code masks_declare(const struct config *c, const struct model *m,
                                      struct params *ps, struct err *e);
void masks_init(const struct config *c, const struct model *m, struct params *ps, uint64_t seed);

/* Once per step, before the first fill, in training only: updates the running statistics of the
 * `ema` fill. running = momentum * running + (1 - momentum) * batch mean of x and of x^2; the first
 * update copies the batch. R section 4.2, Eq. 17. */
void fill_update(const struct method_step *s);

/* fill [B, width], overwritten, by the kind of fill:
 *   ema      N(mean, max(square - mean^2, floor)) of the running statistics, the deviation times
 *            mask.noise_std
 *   normal   N(0, mask.noise_std^2)
 *   shuffle  the values of another row, by a permutation of the batch drawn for this step and
 *            modality (a row may keep its place, as in the authors' code). They are constants: no
 *            gradient reaches the donor row
 *   zeros    0
 * `draw` numbers the fills of a site within a step: 0 is that of the masked pass, 1, 2, ... those
 * of an adversary's steps. */
void fill_make(const struct method_step *s, const struct mask_site *site, enum fill_kind kind,
               uint32_t draw, float *fill);

/* What is done to a modality in a masked pass; mask and fill are tape memory. */
struct corruption {
    struct mask_site site;
    struct tensor *mask, *fill; /* NULL: nothing is corrupted */
};

/* Makes the mask and fill of the settings, for as many corrupted_z as are wanted; adds to `sum`
 * what the mask is trained with and reports the masked share. Errors are the tape's. */
struct corruption corruption_make(const struct method_step *s, int which, struct loss_sum *sum,
                                  struct step_report *report);

/* z of a modality after corruption of its site. In input space the encoder runs again, over those
 * rows only that have a masked value where the others would come out as they did before
 * (model_encodes_rows_alone). detach: no gradient reaches the encoder. */
struct tensor *corrupted_z(const struct method_step *s, const struct corruption *c, bool detach);

/* The released code's second corruption (R section 4.2, step 2): a random mask of mask.p, filled by
 * shuffling; draws of its own. */
struct tensor *shuffled_z(const struct method_step *s, int which);

#endif
