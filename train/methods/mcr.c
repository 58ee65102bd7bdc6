/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "train/methods/method.h"

#include <math.h>

/* MCR, the objective as intended (R section 6.7), for modalities x and w:
 *
 *   L = fused and unimodal losses + l sum over x of [ -J(x, x) + sum over w != x of J(x, w) ]
 *       + c contrastive loss of the features
 *
 * J(x, w) is the Jensen-Shannon divergence between the fused prediction with the rows of x
 * permuted, differentiated towards w alone, and the intact one of the training pass. The permuted
 * predictions come from a second forward pass of the encoders, in evaluation mode and with
 * gradients, and from mcr.permutations permutations of the batch. So every modality makes itself
 * matter, and the others make it matter less (greedy); `independent` leaves the second part out,
 * `collaborative` has all modalities raise every divergence. The released code computes all this
 * and does not add it. */

/* Every row of every permutation: row i of the batch with x of row donor[i]. Those that do not
 * count stay, with weight 0, so that all steps need the same memory; the others' weights have
 * mean 1. */
struct pairs {
    int64_t n, counted;
    int32_t *row, *donor;
    float *weight;
};

static bool counts(const struct method_step *s, int32_t row, int32_t donor)
{
    const int32_t *label = s->batch->aim.label;

    switch ((enum mcr_shuffle)s->config->mcr_shuffle) {
    case SHUFFLE_OTHER_LABEL: return label[row] != label[donor];
    case SHUFFLE_OTHER_SAMPLE: return row != donor;
    case SHUFFLE_ALL: break;
    }
    return true;
}

/* Tape memory for `count` numbers. */
static float *numbers(const struct method_step *s, int64_t count)
{
    struct tensor *t = tape_scratch(s->tape, 1, &count);

    return t != NULL ? t->data : NULL;
}

static int32_t *whole_numbers(const struct method_step *s, int64_t count)
{
    return (int32_t *)(void *)numbers(s, count);
}

static void shuffle(struct rng *r, int32_t *perm, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        perm[i] = (int32_t)i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t k = rng_below(r, (uint32_t)(i + 1));
        int32_t x = perm[i];

        perm[i] = perm[k];
        perm[k] = x;
    }
}

/* counted = 0 on an error of the tape too. */
static struct pairs draw_pairs(const struct method_step *s, int which)
{
    uint32_t stream =
        rng_stream_in(rng_stream("mcr.permute."), model_opt(s->model)->modality[which].name);
    int64_t batch = s->batch->n, n = batch * s->config->mcr_permutations;
    struct pairs p = {n, 0, whole_numbers(s, n), whole_numbers(s, n), numbers(s, n)};
    int32_t *perm = whole_numbers(s, batch);

    if (perm == NULL)
        return p;
    for (int64_t k = 0; k < s->config->mcr_permutations; k++) {
        struct rng r = rng_at(s->seed, stream, s->step, (uint32_t)k);

        shuffle(&r, perm, batch);
        for (int32_t i = 0; i < batch; i++) {
            bool count = counts(s, i, perm[i]);

            p.row[k * batch + i] = i;
            p.donor[k * batch + i] = perm[i];
            p.weight[k * batch + i] = count ? 1 : 0;
            p.counted += count;
        }
    }
    for (int64_t i = 0; i < n && p.counted > 0; i++)
        p.weight[i] *= (float)((double)n / (double)p.counted);
    return p;
}

/* z of all modalities in evaluation mode, with gradients. */
static void encode_again(const struct method_step *s, struct tensor *z[MODALITIES_MAX])
{
    bool training = tape_set_training(s->tape, false);

    for (int m = 0; m < model_opt(s->model)->modalities; m++)
        z[m] = model_fusion_input(
            s->model, s->tape, model_encode_one(s->model, s->tape, m, s->features.input[m], NULL));
    (void)tape_set_training(s->tape, training);
}

/* The rows of z that pair up when modality `which` is permuted, the intact predictions, and how
 * much each pair weighs. */
struct permuted {
    struct tensor *z[MODALITIES_MAX];
    struct tensor *intact;
    const float *weight;
};

static struct permuted permute(const struct method_step *s, int which, const struct pairs *p,
                               struct tensor *const z[MODALITIES_MAX], struct tensor *intact)
{
    struct permuted out = {
        .intact = op_gather_rows(s->tape, intact, p->n, p->row),
        .weight = p->weight,
    };

    for (int m = 0; m < model_opt(s->model)->modalities; m++)
        out.z[m] = op_gather_rows(s->tape, z[m], p->n, m == which ? p->donor : p->row);
    return out;
}

/* towards: a modality, or -1 for all. */
static struct tensor *divergence(const struct method_step *s, const struct permuted *p, int towards)
{
    bool training = tape_set_training(s->tape, false); /* of a trunk's dropout */
    struct tensor *prediction = towards < 0
                                    ? model_fuse(s->model, s->tape, p->z, NULL).prediction
                                    : model_fuse_towards(s->model, s->tape, towards, p->z, NULL);

    (void)tape_set_training(s->tape, training);
    return op_js_divergence(s->tape, class_logits(s, prediction), p->intact, p->weight);
}

static void play(const struct method_step *s, int which, const struct permuted *p,
                 struct loss_sum *sum, struct step_report *report)
{
    double weight = s->config->mcr_weight;
    bool together = s->config->mcr_game == GAME_COLLABORATIVE;
    struct tensor *own = divergence(s, p, together ? -1 : which);

    report->value[VALUE_GAME + which] = (double)tape_value(own);
    loss_add(s, sum, own, -weight);
    if (s->config->mcr_game != GAME_GREEDY)
        return;
    for (int m = 0; m < model_opt(s->model)->modalities; m++)
        if (m != which)
            loss_add(s, sum, divergence(s, p, m), weight);
}

static void add_games(const struct method_step *s, struct loss_sum *sum, struct step_report *report)
{
    struct tensor *intact = class_logits(s, report->prediction), *z[MODALITIES_MAX] = {0};

    encode_again(s, z);
    for (int m = 0; m < model_opt(s->model)->modalities; m++) {
        struct pairs pairs = draw_pairs(s, m);
        struct permuted p;

        if (pairs.counted == 0) /* a batch of one label: nothing to tell apart */
            continue;
        p = permute(s, m, &pairs, z, intact);
        play(s, m, &p, sum, report);
    }
}

/* Over every pair of modalities. */
static void add_contrastive(const struct method_step *s, struct loss_sum *sum,
                            struct step_report *report)
{
    int modalities = model_opt(s->model)->modalities;
    double total = 0;

    for (int a = 0; a < modalities; a++)
        for (int b = a + 1; b < modalities; b++) {
            struct tensor *part = op_nt_xent(s->tape, s->features.raw[a], s->features.raw[b],
                                             s->batch->aim.label, s->config->mcr_temperature);

            total += (double)tape_value(part);
            loss_add(s, sum, part, s->config->mcr_contrastive);
        }
    report->value[VALUE_CONTRASTIVE] = total;
}

static struct tensor *mcr_loss(const struct method_step *s, struct step_report *report)
{
    struct loss_sum sum = {0};

    fusion_base_loss(s, &sum, report);
    if (s->config->mcr_weight > 0)
        add_games(s, &sum, report);
    if (s->config->mcr_contrastive > 0)
        add_contrastive(s, &sum, report);
    return loss_total(s, &sum, report);
}

const struct method method_mcr = {
    .name = "mcr",
    .help = "MCR: modalities compete for their say in permuted predictions",
    .scopes = SCOPE_AUDIO | SCOPE_VIDEO | SCOPE_FUSED | SCOPE_MCR,
    .classes_only = true,
    .fusion = true,
    .trains = true,
    .loss = mcr_loss,
    .predict = fusion_predict,
};
