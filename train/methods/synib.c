/* SPDX-License-Identifier: MIT */
#include "train/masks/mask.h"
#include "train/methods/method.h"

/* SynIB, Section 3.6 (R section 4.1, X sections 2 and 3), for any number of modalities:
 *
 *   L = nll(g(z), y) + lambda sum over m of KL(p_m || r_m) + unimodal heads,
 *   p_m = g(z with z_m corrupted)
 *
 * What the fusion says when one modality is corrupted is pulled to what it may know then: the
 * prediction of the intact modalities alone (their unimodal heads, mixed in equal parts where there
 * are several), or nothing (uniform). In latent space only the trunk runs again, in input space the
 * encoder of the corrupted modality too. */

/* Prediction with `which` corrupted, and the log variances of Gaussian logits. `stream` + name of
 * `which`: the dropout's, another for each such pass of a step. */
static struct fused masked_fusion(const struct method_step *s, const char *stream, int which,
                                  struct tensor *z_masked, bool detach)
{
    struct noise_key key = step_key_of(s, stream, which);
    struct tensor *z[MODALITIES_MAX] = {0};

    for (int m = 0; m < model_opt(s->model)->modalities; m++)
        z[m] = m == which ? z_masked
               : detach   ? op_detach(s->tape, s->features.z[m])
                          : s->features.z[m];
    return model_fuse(s->model, s->tape, z, &key);
}

/* Prediction that the divergence pulls to when `masked` is corrupted; NULL means uniform. */
static struct tensor *reference_of(const struct method_step *s, int masked)
{
    struct tensor *intact[MODALITIES_MAX];
    int n = 0;

    if (s->config->reference == REFERENCE_UNIFORM || tape_failed(s->tape))
        return NULL;
    if (s->config->reference == REFERENCE_MASKED)
        return s->features.unimodal[masked];
    for (int m = 0; m < model_opt(s->model)->modalities; m++)
        if (m != masked)
            intact[n++] = s->features.unimodal[m];
    return n == 1 ? intact[0] : s->objective->mix(s->tape, n, intact);
}

static struct tensor *divergence_of(const struct method_step *s, int which, struct fused masked)
{
    enum kl_direction direction = s->config->reverse ? KL_REFERENCE_MODEL : KL_MODEL_REFERENCE;
    struct tensor *parts[] = {masked.prediction, masked.log_variance};

    if (s->config->divergence == DIVERGENCE_GAUSSIAN && s->objective != &objective_gaussian)
        return op_gaussian_kl(s->tape, op_concat(s->tape, 2, parts), NULL, direction);
    return s->objective->divergence(s->tape, masked.prediction, reference_of(s, which), direction);
}

/* lambda of this epoch: X section 2, "lambda warm-up". */
static double lambda_now(const struct method_step *s)
{
    const struct config *c = s->config;

    if (c->warmup_epochs <= s->epoch + 1)
        return c->lambda;
    return c->lambda * (double)(s->epoch + 1) / (double)c->warmup_epochs;
}

/* The label's loss on the masked prediction is the released code's extra term (R section 4.2). */
static void add_masked_pass(const struct method_step *s, int which, struct loss_sum *sum,
                            struct step_report *report)
{
    const struct config *c = s->config;
    bool same_masks = c->masked_ce > 0 && c->ce_masks == CE_MASKS_SAME;
    struct tensor *kl;
    struct corruption corruption;
    struct tensor *z;
    struct fused masked;

    if (c->masked_ce > 0 && c->ce_masks == CE_MASKS_SHUFFLE)
        add_masked_loss(
            s, masked_fusion(s, "dropout.shuffled_", which, shuffled_z(s, which), false).prediction,
            c->masked_ce, sum, report);
    if (c->lambda == 0 && !same_masks)
        return;
    corruption = corruption_make(s, which, sum, report);
    z = corrupted_z(s, &corruption, c->detach && !same_masks);
    masked = masked_fusion(s, "dropout.masked_", which, z, c->detach && !same_masks);
    if (same_masks)
        add_masked_loss(s, masked.prediction, c->masked_ce, sum, report);
    if (c->lambda == 0)
        return;
    if (same_masks && c->detach) {
        /* The same once more, cut off from the encoders. In input space they run again, which moves
         * a ResNet's running statistics again: what a run gives depends on it. */
        z = corrupted_z(s, &corruption, true);
        masked = masked_fusion(s, "dropout.masked_", which, z, true);
    }
    kl = divergence_of(s, which, masked);
    report->value[VALUE_DIVERGENCE + which] = (double)tape_value(kl);
    loss_add(s, sum, kl, lambda_now(s));
}

static struct tensor *synib_loss(const struct method_step *s, struct step_report *report)
{
    struct loss_sum sum = {0};

    fusion_base_loss(s, &sum, report);
    if (s->config->lambda > 0 || s->config->masked_ce > 0) {
        fill_update(s);
        for (int m = 0; m < model_opt(s->model)->modalities; m++)
            add_masked_pass(s, m, &sum, report);
    }
    return loss_total(s, &sum, report);
}

const struct method method_synib = {
    .name = "synib",
    .help = "fusion with synergy information bottleneck",
    .scopes = SCOPE_AUDIO | SCOPE_VIDEO | SCOPE_FUSED | SCOPE_SYNIB | SCOPE_MASKS,
    .fusion = true,
    .trains = true,
    .declare = masks_declare,
    .init = masks_init,
    .loss = synib_loss,
    .predict = fusion_predict,
};
