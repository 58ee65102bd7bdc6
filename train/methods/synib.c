/* SPDX-License-Identifier: MIT */
#include "train/masks/mask.h"
#include "train/methods/method.h"

/* SynIB with masks in latent space (R section 4.1):
 *
 *   L = CE(g(z1, z2), y) + lambda [ KL(p1 || r1) + KL(p2 || r2) ] + unimodal heads,
 *   p1 = softmax g(z1~, z2),  p2 = softmax g(z1, z2~),  z~ = (1 - m) z + m fill
 *
 * What the fusion says when one modality is corrupted is pulled to what it may know then: the
 * prediction of the intact modality alone (r1 = softmax u2), or nothing (uniform). Only the trunk
 * runs again; encoders run once per step. */

static const char *const dropout_stream[AV_MODALITIES] = {"dropout.masked_audio",
                                                          "dropout.masked_video"};

/* The corrupted features of one modality, NULL on an error of the tape. */
static struct tensor *corrupt(const struct method_step *s, enum av_modality which, struct tensor *z)
{
    struct tensor *mask, *fill;

    if (z == NULL)
        return NULL;
    mask = tape_scratch(s->tape, z->rank, z->dim);
    fill = tape_scratch(s->tape, z->rank, z->dim);
    if (mask == NULL || fill == NULL)
        return NULL;
    masks[s->config->mask]->make(s, which, z, mask->data);
    fill_make(s, which, z, fill->data);
    return op_mix(s->tape, z, mask, fill);
}

/* Fused logits with `which` corrupted. Every call of a step for one modality sees the same mask,
 * fill and dropout. */
static struct tensor *masked_logits(const struct method_step *s, enum av_modality which,
                                    struct tensor *const z[AV_MODALITIES])
{
    struct noise_key key = step_key(s, dropout_stream[which]);
    struct tensor *input[AV_MODALITIES] = {z[AV_AUDIO], z[AV_VIDEO]};

    input[which] = corrupt(s, which, z[which]);
    return avmodel_fuse(s->model, s->tape, input[AV_AUDIO], input[AV_VIDEO], &key).logits;
}

/* Logits of the reference distribution when `masked` is corrupted; NULL means uniform. */
static struct tensor *reference_logits(const struct method_step *s, enum av_modality masked)
{
    enum av_modality intact = masked == AV_AUDIO ? AV_VIDEO : AV_AUDIO;

    switch ((enum synib_reference)s->config->reference) {
    case REFERENCE_UNMASKED: return s->features.logits[intact];
    case REFERENCE_MASKED: return s->features.logits[masked];
    case REFERENCE_UNIFORM: break;
    }
    return NULL;
}

static void add_masked_pass(const struct method_step *s, enum av_modality which,
                            struct tensor *const z[AV_MODALITIES], struct loss_sum *sum,
                            struct tensor *term[LOSS_TERMS])
{
    enum loss_term kl = which == AV_AUDIO ? TERM_MASKED_AUDIO : TERM_MASKED_VIDEO;
    enum kl_direction direction = s->config->reverse ? KL_REFERENCE_MODEL : KL_MODEL_REFERENCE;
    struct tensor *logits = NULL, *held;

    if (s->config->masked_ce > 0 || !s->config->detach)
        logits = masked_logits(s, which, z);
    held = logits;
    if (s->config->masked_ce > 0) {
        struct tensor *ce = op_cross_entropy(s->tape, logits, s->label);

        term[TERM_MASKED_CE] =
            term[TERM_MASKED_CE] == NULL ? ce : op_add(s->tape, term[TERM_MASKED_CE], ce);
        loss_add(sum, ce, s->config->masked_ce);
    }
    if (s->config->lambda > 0) {
        if (s->config->detach) {
            struct tensor *constant[AV_MODALITIES] = {op_detach(s->tape, z[AV_AUDIO]),
                                                      op_detach(s->tape, z[AV_VIDEO])};

            held = masked_logits(s, which, constant);
        }
        term[kl] = op_kl(s->tape, held, reference_logits(s, which), direction);
        loss_add(sum, term[kl], s->config->lambda);
    }
}

static void synib_loss(const struct method_step *s, struct tensor *term[LOSS_TERMS])
{
    struct tensor *z[AV_MODALITIES] = {fusion_input(s, AV_AUDIO), fusion_input(s, AV_VIDEO)};
    struct loss_sum sum = {0};

    fusion_base_loss(s, &sum, term);
    if (s->config->lambda > 0 || s->config->masked_ce > 0) {
        if (s->config->fill == FILL_EMA)
            fill_update(s, z);
        add_masked_pass(s, AV_AUDIO, z, &sum, term);
        add_masked_pass(s, AV_VIDEO, z, &sum, term);
    }
    term[TERM_TOTAL] = op_weighted_sum(s->tape, sum.n, sum.part, sum.weight);
}

static enum err_code synib_declare(const struct config *c, const struct avmodel *m,
                                   struct params *ps, struct err *e)
{
    if (c->fill != FILL_EMA)
        return ERR_OK;
    return fill_declare(m, ps, e);
}

const struct method method_synib = {
    .name = "synib",
    .help = "fusion with synergy information bottleneck",
    .scopes = SCOPE_AUDIO | SCOPE_VIDEO | SCOPE_FUSED | SCOPE_SYNIB,
    .use = {true, true},
    .fusion = true,
    .trains = true,
    .declare = synib_declare,
    .loss = synib_loss,
    .predict = fusion_predict,
};
