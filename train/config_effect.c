/* SPDX-License-Identifier: MIT */
#include "train/config_effect.h"

#include "common/base/mem.h"
#include "train/network.h"

#include <stdlib.h>
#include <string.h>

/* What a question is asked of. */
struct asked {
    const struct config *config;
    const struct method *method;
    enum config_targets targets;
};

/* ---- what settings may need ---- */

static bool is_synib(const struct asked *a)
{
    return (a->method->scopes & SCOPE_SYNIB) != 0;
}

static bool pretrained(const struct asked *a)
{
    return !a->method->fusion || a->config->init == INIT_PRETRAINED;
}

static bool augments(const struct asked *a)
{
    return a->config->augment;
}

static bool has_hidden_head(const struct asked *a)
{
    return a->config->head_depth > 0;
}

static bool has_trunk(const struct asked *a)
{
    return a->config->fuse == FUSION_TRUNK;
}

/* The ResNets have no dropout, MLP encoders do. */
static bool has_dropout(const struct asked *a)
{
    return a->config->kind == KIND_VECTORS || has_trunk(a);
}

static bool adds_head_losses(const struct asked *a)
{
    return (a->method->scopes & SCOPE_RECONBOOST) == 0;
}

static bool heads_learn(const struct asked *a)
{
    return a->config->unimodal_weight > 0 || a->method->heads_reach_encoders;
}

static bool may_stop(const struct asked *a)
{
    return a->config->select != SELECT_LAST;
}

static bool has_schedule(const struct asked *a)
{
    return a->config->schedule != SCHEDULE_CONSTANT;
}

static bool has_restarts(const struct asked *a)
{
    return config_restarts(a->config);
}

static bool has_lambda(const struct asked *a)
{
    return a->config->lambda > 0;
}

static bool has_masked_ce(const struct asked *a)
{
    return a->config->masked_ce > 0;
}

static bool predicts_classes(const struct asked *a)
{
    return a->targets != TARGETS_NUMBERS;
}

/* The Gaussian divergence of classes pulls to N(0, I); numbers have theirs in either case. */
static bool has_reference(const struct asked *a)
{
    bool classes = a->targets == TARGETS_CLASSES || a->config->kind == KIND_MEDIA;

    return a->config->divergence == DIVERGENCE_FAMILY || !classes;
}

/* The second corruption, which shuffles under masks of its own. */
static bool shuffles(const struct asked *a)
{
    return is_synib(a) && has_masked_ce(a) && a->config->ce_masks == CE_MASKS_SHUFFLE;
}

static bool masks_anything(const struct asked *a)
{
    return !is_synib(a) || has_lambda(a) || has_masked_ce(a);
}

/* By the kind and the fill of the settings. */
static bool masks_by_kind(const struct asked *a)
{
    return masks_anything(a) && (!shuffles(a) || has_lambda(a));
}

static bool masks_some(const struct asked *a)
{
    return a->config->mask != MASK_NONE;
}

static bool masks_or_shuffles(const struct asked *a)
{
    return masks_some(a) || shuffles(a);
}

static bool draws_masks(const struct asked *a)
{
    return a->config->mask == MASK_RANDOM || shuffles(a);
}

static bool fills_noise(const struct asked *a)
{
    return a->config->fill == FILL_EMA || a->config->fill == FILL_NORMAL;
}

static bool fills_ema(const struct asked *a)
{
    return a->config->fill == FILL_EMA;
}

static bool fill_deviates(const struct asked *a)
{
    return a->config->noise_std > 0;
}

static bool learns_masks(const struct asked *a)
{
    return a->config->mask == MASK_LEARNED || a->config->mask == MASK_LEARNED_MLP;
}

static bool searches_masks(const struct asked *a)
{
    return a->config->mask == MASK_LEARNED;
}

static bool has_mask_network(const struct asked *a)
{
    return a->config->mask == MASK_LEARNED_MLP;
}

static bool cuts_gates(const struct asked *a)
{
    return !a->config->soft;
}

static bool gates_move(const struct asked *a)
{
    return !searches_masks(a) || a->config->mask_lr > 0;
}

static bool masks_latent(const struct asked *a)
{
    return a->config->mask_space == SPACE_LATENT;
}

static bool normalises(const struct asked *a)
{
    return a->config->layernorm;
}

static bool standardises(const struct asked *a)
{
    return a->config->standardise;
}

static bool resets(const struct asked *a)
{
    return a->config->dnr_times > 0;
}

static bool resets_weights(const struct asked *a)
{
    return a->config->dnr_alpha > 0;
}

/* Batch normalisation and dropout are what differs in evaluation mode. */
static bool knows_evaluation(const struct asked *a)
{
    return a->config->kind == KIND_MEDIA || a->config->dropout > 0;
}

static bool resets_show(const struct asked *a)
{
    return resets_weights(a) || (a->config->dnr_eval_epoch && knows_evaluation(a));
}

static bool encoders_learn(const struct asked *a)
{
    return a->config->pareto_alpha > 0;
}

static bool plays(const struct asked *a)
{
    return a->config->mcr_weight > 0;
}

static bool contrasts(const struct asked *a)
{
    return a->config->mcr_contrastive > 0;
}

/* ---- tables ---- */

struct need {
    bool (*met)(const struct asked *a);
    const char *words; /* behind "has no effect without" */
};

#define NEED(name, met, words) static const struct need name = {met, words}
NEED(PRETRAINED, pretrained, "init.encoders = pretrained");
NEED(AUGMENTS, augments, "augment.train = true");
NEED(HIDDEN_HEAD, has_hidden_head, "model.head_depth > 0");
NEED(TRUNK, has_trunk, "model.fusion = trunk");
NEED(DROPOUT, has_dropout, "model.fusion = trunk");
NEED(HEAD_LOSSES, adds_head_losses, "a method that adds the heads' losses");
NEED(HEADS_LEARN, heads_learn, "loss.unimodal > 0");
NEED(STOPS, may_stop, "another select.metric than last");
NEED(SCHEDULE, has_schedule, "another schedule.kind than constant");
NEED(RESTARTS, has_restarts, "schedule.kind = restarts or linear-warmup-restarts");
NEED(LAMBDA, has_lambda, "synib.lambda > 0");
NEED(MASKED_CE, has_masked_ce, "synib.masked_ce > 0");
NEED(CLASSES, predicts_classes, "classes to predict");
NEED(REFERENCE, has_reference, "synib.divergence = family");
NEED(ANY_MASKS, masks_anything, "synib.lambda > 0 or synib.masked_ce > 0");
NEED(MASKS, masks_by_kind, "synib.lambda > 0, or synib.masked_ce > 0 with synib.ce_masks = same");
NEED(SOME, masks_some, "another mask.kind than none");
NEED(SOME_OR_SHUFFLED, masks_or_shuffles, "another mask.kind than none");
NEED(DRAWN, draws_masks,
     "mask.kind = random, or synib.masked_ce > 0 with synib.ce_masks = random-shuffle");
NEED(NOISE, fills_noise, "mask.fill = ema or normal");
NEED(EMA, fills_ema, "mask.fill = ema");
NEED(DEVIATION, fill_deviates, "mask.noise_std > 0");
NEED(LEARNED, learns_masks, "mask.kind = learned or learned-mlp");
NEED(SEARCH, searches_masks, "mask.kind = learned");
NEED(NETWORK, has_mask_network, "mask.kind = learned-mlp");
NEED(CUT, cuts_gates, "mask.soft = false");
NEED(MOVES, gates_move, "mask.lr > 0");
NEED(LATENT, masks_latent, "mask.space = latent");
NEED(LAYERNORM, normalises, "model.layernorm = true");
NEED(STANDARDISES, standardises, "ensemble.standardise = true");
NEED(RESETS, resets, "dnr.times > 0");
NEED(RESETS_WEIGHTS, resets_weights, "dnr.alpha > 0");
NEED(RESETS_SHOW, resets_show, "dnr.alpha > 0 (or dnr.eval_epoch = true with model.dropout > 0)");
NEED(EVALUATION, knows_evaluation, "model.dropout > 0");
NEED(ENCODERS_LEARN, encoders_learn, "mmpareto.alpha > 0");
NEED(GAME, plays, "mcr.weight > 0");
NEED(CONTRAST, contrasts, "mcr.contrastive > 0");
#undef NEED

enum { NEEDS_MAX = 5 };

/* All that a setting needs; the first one that is not met is told. A key that is not here needs
 * nothing but its scope. */
static const struct {
    const char *key;
    const struct need *needs[NEEDS_MAX + 1];
} rules[] = {
    {"augment.crop", {&AUGMENTS}},
    {"augment.scale_min", {&AUGMENTS}},
    {"model.head_width", {&HIDDEN_HEAD}},
    {"model.trunk", {&TRUNK}},
    {"model.trunk_depth", {&TRUNK}},
    {"model.dropout", {&DROPOUT}},
    {"model.detach_heads", {&HEADS_LEARN}},
    {"optim.patience", {&STOPS}},
    {"schedule.warmup_steps", {&SCHEDULE}},
    {"schedule.t0_steps", {&RESTARTS}},
    {"stop.rule", {&STOPS}},
    {"pretrain.audio.lr", {&PRETRAINED}},
    {"pretrain.video.lr", {&PRETRAINED}},
    {"pretrain.weight_decay", {&PRETRAINED}},
    {"pretrain.batch", {&PRETRAINED}},
    {"pretrain.epochs", {&PRETRAINED}},
    {"pretrain.patience", {&PRETRAINED, &STOPS}},
    {"loss.unimodal", {&HEAD_LOSSES}},
    {"synib.warmup_epochs", {&LAMBDA}},
    {"synib.divergence", {&LAMBDA, &CLASSES}},
    {"synib.reference", {&LAMBDA, &REFERENCE}},
    {"synib.reverse", {&LAMBDA}},
    {"synib.detach", {&LAMBDA}},
    {"synib.ce_masks", {&MASKED_CE}},
    {"mask.kind", {&MASKS}},
    {"mask.space", {&ANY_MASKS, &SOME_OR_SHUFFLED}},
    {"mask.p", {&ANY_MASKS, &DRAWN}},
    {"mask.fill", {&MASKS, &SOME}},
    {"mask.noise_std", {&MASKS, &SOME, &NOISE}},
    {"mask.ema_momentum", {&MASKS, &SOME, &EMA}},
    {"mask.ema_var_floor", {&MASKS, &SOME, &EMA, &DEVIATION}},
    {"mask.complement", {&MASKS, &LEARNED}},
    {"mask.soft", {&MASKS, &LEARNED}},
    {"mask.threshold", {&MASKS, &LEARNED, &CUT}},
    {"mask.temperature", {&MASKS, &LEARNED}},
    {"mask.sparsity", {&MASKS, &LEARNED, &MOVES}},
    {"mask.steps", {&MASKS, &SEARCH, &MOVES}},
    {"mask.lr_schedule", {&MASKS, &SEARCH, &MOVES}},
    {"mask.lr", {&MASKS, &SEARCH}},
    {"mask.clip", {&MASKS, &SEARCH, &MOVES}},
    {"mask.init", {&MASKS, &SEARCH}},
    {"mask.head_on", {&MASKS, &LEARNED, &LATENT, &LAYERNORM, &MOVES}},
    {"mask.net_width", {&MASKS, &NETWORK}},
    {"mask.net_lr", {&MASKS, &NETWORK}},
    {"ensemble.batch", {&STANDARDISES}},
    {"dnr.alpha", {&RESETS}},
    {"dnr.every", {&RESETS, &RESETS_SHOW}},
    {"dnr.times", {&RESETS_SHOW}},
    {"dnr.clusters", {&RESETS, &RESETS_WEIGHTS}},
    {"dnr.val_features", {&RESETS, &RESETS_WEIGHTS}},
    {"dnr.eval_epoch", {&RESETS, &EVALUATION}},
    {"mmpareto.rescale", {&ENCODERS_LEARN}},
    {"mcr.temperature", {&CONTRAST}},
    {"mcr.game", {&GAME}},
    {"mcr.shuffle", {&GAME}},
    {"mcr.permutations", {&GAME}},
};

const char *config_effect_needs(const struct config *c, const struct method *m,
                                enum config_targets targets, const char *assignment)
{
    const struct asked a = {c, m, targets};
    size_t len = strcspn(assignment, " \t=");

    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (strncmp(rules[i].key, assignment, len) != 0 || rules[i].key[len] != '\0')
            continue;
        for (int k = 0; rules[i].needs[k] != NULL; k++)
            if (!rules[i].needs[k]->met(&a))
                return rules[i].needs[k]->words;
    }
    return NULL;
}

/* Whether the other settings are refused without the assignment: then that is its effect. */
static enum err_code is_required(bool *required, const struct config_given *g,
                                 const char *assignment, struct err *e)
{
    const struct data_traits any = {.media = g->config->kind == KIND_MEDIA,
                                    .classes = g->targets != TARGETS_NUMBERS,
                                    .oracle = true,
                                    .sources = 1};
    const char **others = NULL;
    struct err why = {0};
    struct config c;
    size_t n = 0;

    while (g->set[n] != NULL)
        n++;
    TRY(mem_array(&others, n + 1, sizeof *others, "settings", e));
    n = 0;
    for (size_t i = 0; g->set[i] != NULL; i++)
        if (g->set[i] != assignment)
            others[n++] = g->set[i];
    *required = config_resolve(&c, g->preset, g->method->name, g->mask, others, &why) != ERR_OK ||
                network_fits(g->method, &c, &any, &why) != ERR_OK;
    if (why.code == ERR_NOMEM || why.code == ERR_IO)
        (void)err_copy(e, &why);
out:
    free(others);
    return e->code;
}

enum err_code config_given_needs(const char **needs, const struct config_given *g,
                                 const char *assignment, struct err *e)
{
    bool begins = method_needs_unimodal(g->method, g->config), required = false;

    *needs = config_effect_needs(g->config, g->method, g->targets, assignment);
    for (int i = 0; i < MEDIA_MODALITIES && begins && *needs != NULL; i++) {
        const struct method *m = unimodal_methods[i];
        struct config c;

        if ((config_scopes(assignment) & m->scopes) == 0)
            continue;
        TRY(config_resolve(&c, g->preset, m->name, g->mask, g->set, e));
        *needs = config_effect_needs(&c, m, g->targets, assignment);
    }
    if (*needs != NULL)
        TRY(is_required(&required, g, assignment, e));
    if (required)
        *needs = NULL;
out:
    return e->code;
}
