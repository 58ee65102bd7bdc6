/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_STEP_RIG_H
#define TESTS_SUPPORT_STEP_RIG_H

#include "train/network.h"

/* One batch of a small dataset and a method's network on it, for tests of single training steps;
 * and the model's arithmetic once more in double, for losses by hand. */

struct step_rig {
    struct network net;
    struct data *data;
    struct loader *loader;
    struct batch batch; /* the first of an epoch in order */
    struct method_step step;
    struct step_report report;
    const double
        *weight; /* [params_block_count] what ref_* take for the weights; NULL: the params */
};

/* Settings of manifests/presets/PRESET.conf for a method and mask (NULL: the preset's). */
void rig_config(struct config *c, const char *preset, const char *method, const char *mask);
/* A smaller network than the preset's: encoders 2 x 12, heads 1 x 7, trunk 2 x 9; no dropout. */
void rig_shrink(struct config *c);

/* Vectors of a synthetic task (as xor_parse reads it), `n` training samples in one batch. */
void rig_open(struct step_rig *r, const struct method *m, const struct config *c, const char *task,
              int n);
/* Three classes instead of the task's two: label (label + sample) % 3. */
void rig_open_classes(struct step_rig *r, const struct method *m, const struct config *c, int n);
/* The drawn irony dataset DIR/data (tests/support/drawn_dataset.h), the first `n` clips. */
void rig_open_media(struct step_rig *r, const struct method *m, const struct config *c,
                    const char *dir, int n);
void rig_close(struct step_rig *r);

/* What a training step does before the optimiser; gradients are in the params, features on the
 * tape.
 */
void rig_step(struct step_rig *r, uint32_t step, int64_t epoch);
/* Makes r->step as rig_step does, without loss or gradients. */
void rig_encode(struct step_rig *r, uint32_t step);

/* Norm of the gradient of all weights whose name starts with prefix. */
double rig_gradient(const struct step_rig *r, const char *prefix);

/* ---- the model by hand, in double; one sample ---- */
enum { REF_WIDTH_MAX = 1 << 14, REF_OUTPUTS_MAX = 64 };
/* raw [D] of a vector modality from its input. */
void ref_encode(const struct step_rig *r, int which, const double *x, double *raw);
/* u [P] from raw, z [D] from raw. */
void ref_head(const struct step_rig *r, int which, const double *raw, double *u);
void ref_fusion_input(const struct step_rig *r, int which, const double *raw, double *z);
/* g [P] from all z. log_variance [P] may be NULL. */
void ref_fuse(const struct step_rig *r, const double *const z[MODALITIES_MAX], double *g,
              double *log_variance);
/* What modality `which` adds to g in a linear or summed fusion; the bias comes with the first. */
void ref_share(const struct step_rig *r, int which, const double *z, double *share);
/* Probabilities of the classes (prediction NULL: all alike); returns how many. */
int ref_probabilities(const struct step_rig *r, const double *prediction, double *p);
/* -log p of sample i of the batch, and KL between two predictions of the rig's family (r NULL: the
 * uniform distribution). */
double ref_nll(const struct step_rig *r, const double *prediction, int64_t i);
double ref_kl(const struct step_rig *r, const double *p, const double *q, bool reverse);
/* d loss / d every weight, [params_block_count], by central differences of a loss that ref_* make;
 * caller frees. */
typedef double ref_loss(struct step_rig *r, void *ctx);
double *ref_gradient(struct step_rig *r, ref_loss *loss, void *ctx);
/* The gradients in the params are these, and those of frozen weights are zero. */
void rig_assert_gradient(const struct step_rig *r, const double *want, const char *what);
/* Row i of a tensor or array of `width` columns, as double. */
void ref_row(const float *x, int64_t width, int64_t i, double *out);

#endif
