/* SPDX-License-Identifier: MIT */
#include "train/masks/mask.h"
#include "train/methods/method.h"

/* The ablation of App. G: masked copies of the batch as augmentation, and the label's loss on all
 * of them; no divergence. masking.copies 3: the batch as it is, and one copy per modality with that
 * one masked; 2: the batch and a copy with every modality masked. The mean runs over all copies, as
 * over one longer batch.
 *
 * An `oracle` mask here corrupts the active sources *other than* synergy, so that the copies show
 * the synergistic signal alone (network_init asks the loader for that). The authors' random variant
 * never masked anything: mask.kind = none reproduces it. X section 4. */

static void add_copy(const struct method_step *s, struct tensor *const z[MODALITIES_MAX], int which,
                     double weight, struct loss_sum *sum, struct step_report *report)
{
    struct noise_key key = step_key_of(s, "dropout.masked_", which);

    add_masked_loss(s, model_fuse(s->model, s->tape, z, &key).prediction, weight, sum, report);
}

static struct tensor *masking_only_loss(const struct method_step *s, struct step_report *report)
{
    int modalities = model_opt(s->model)->modalities;
    bool together = s->config->copies == 2;
    double weight = 1.0 / (together ? 2 : 1 + modalities);
    struct tensor *masked[MODALITIES_MAX];
    struct loss_sum sum = {0};

    fusion_base_loss(s, &sum, report);
    sum.weight[0] = weight; /* of the intact batch */
    fill_update(s);
    for (int m = 0; m < modalities; m++) {
        struct corruption c = corruption_make(s, m, &sum, report);

        masked[m] = corrupted_z(s, &c, false);
    }
    if (together)
        add_copy(s, masked, 0, weight, &sum, report);
    for (int m = 0; m < modalities && !together; m++) {
        struct tensor *z[MODALITIES_MAX];

        for (int k = 0; k < modalities; k++)
            z[k] = k == m ? masked[k] : s->features.z[k];
        add_copy(s, z, m, weight, &sum, report);
    }
    return loss_total(s, &sum, report);
}

const struct method method_masking_only = {
    .name = "masking-only",
    .help = "fusion trained on masked copies too, without divergence",
    .scopes = SCOPE_AUDIO | SCOPE_VIDEO | SCOPE_FUSED | SCOPE_MASKS | SCOPE_MASKING,
    .fusion = true,
    .trains = true,
    .declare = masks_declare,
    .init = masks_init,
    .loss = masking_only_loss,
    .predict = fusion_predict,
};
