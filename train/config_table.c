/* SPDX-License-Identifier: MIT */
#include "train/config_table.h"

#include "common/nn/kernels.h"

#include <assert.h>

const char *const config_mask_names[] = {"random",         "learned", "learned-mlp", "oracle",
                                         "oracle-literal", "all",     "none",        NULL};
static_assert(sizeof config_mask_names / sizeof *config_mask_names == MASK_KINDS + 1,
              "a name for every kind");

static const char *const kind_names[] = {"media", "vectors", NULL};
static const char *const bool_names[] = {"false", "true", NULL};
static const char *const fusion_names[] = {"trunk", "linear", "sum", NULL}; /* enum fusion_kind */
static const char *const dnr_names[] = {"own", "last", NULL};
static const char *const game_names[] = {"greedy", "independent", "collaborative", NULL};
static const char *const shuffle_names[] = {"all", "other-label", "other-sample", NULL};
static const char *const init_names[] = {"pretrained", "scratch", NULL};
static const char *const crop_names[] = {"frame", "clip", NULL};
static const char *const schedule_names[] = {"constant", "linear-warmup", "restarts",
                                             "linear-warmup-restarts", NULL};
static const char *const stop_names[] = {"accuracy", "any", NULL};
static const char *const select_names[] = {"accuracy", "loss", "synergy-accuracy", "last", NULL};
static const char *const divergence_names[] = {"family", "gaussian", NULL};
static const char *const reference_names[] = {"unimodal-unmasked", "unimodal-masked", "uniform",
                                              NULL};
static const char *const ce_masks_names[] = {"same", "random-shuffle", NULL};
static const char *const space_names[] = {"latent", "input", NULL};
static const char *const fill_names[] = {"ema", "normal", "shuffle", "zeros", NULL};
static const char *const mask_schedule_names[] = {"constant", "cosine", NULL};
static const char *const head_names[] = {"features", "fusion-input", NULL};

enum {
    MEDIA = 1 << KIND_MEDIA,
    VECTORS = 1 << KIND_VECTORS,
    BOTH = MEDIA | VECTORS,
    UNIMODAL = SCOPE_AUDIO | SCOPE_VIDEO,
    TRAINED = UNIMODAL | SCOPE_FUSED,
};

#define INT(key, field, kinds, scopes, min, max, help)                                      \
    {                                                                                       \
        key, VALUE_INT, offsetof(struct config, field), scopes, kinds, min, max, NULL, help \
    }
#define REAL(key, field, kinds, scopes, min, max, help)                                      \
    {                                                                                        \
        key, VALUE_REAL, offsetof(struct config, field), scopes, kinds, min, max, NULL, help \
    }
#define CHOICE(key, field, kinds, scopes, names, help)                                      \
    {                                                                                       \
        key, VALUE_CHOICE, offsetof(struct config, field), scopes, kinds, 0, 0, names, help \
    }

const struct setting config_settings[] = {
    CHOICE("data.kind", kind, BOTH, TRAINED, kind_names,
           "what the settings are for: CREMA-D-Irony's pictures and sound, or feature vectors"),
    INT("audio.pool", audio_pool, MEDIA, SCOPE_AUDIO, 1, 16,
        "average the spectrogram over squares of this many bins and frames; what does not fill one "
        "at the upper and right end is left out"),
    INT("video.size", video_size, MEDIA, SCOPE_VIDEO, 32, 1024, "side of a frame, in pixels"),
    CHOICE("augment.train", augment, MEDIA, SCOPE_VIDEO, bool_names,
           "crop and flip training frames at random"),
    CHOICE("augment.crop", crop_unit, MEDIA, SCOPE_VIDEO, crop_names,
           "what is cropped and flipped as one: each frame on its own, or the frames of a clip "
           "alike"),
    REAL("augment.scale_min", scale_min, MEDIA, SCOPE_VIDEO, 0.01, 1,
         "smallest random crop, as a share of the picture's area"),
    INT("model.width", width, MEDIA, UNIMODAL, 16, 256,
        "channels of the first ResNet18 stage; a multiple of 16"),
    CHOICE("model.precision", precision, MEDIA, UNIMODAL, nn_precision_names,
           "what the encoders' convolutions multiply: float32, or numbers rounded to bfloat16, "
           "which is "
           "faster on processors that have it"),
    INT("model.encoder_width", encoder_width, VECTORS, SCOPE_FUSED, 1, 65536,
        "units of an encoder's layers"),
    INT("model.encoder_depth", encoder_depth, VECTORS, SCOPE_FUSED, 1, 4, "layers of an encoder"),
    INT("model.head_width", head_width, VECTORS, SCOPE_FUSED, 1, 65536,
        "units of a unimodal head's hidden layers"),
    INT("model.head_depth", head_depth, VECTORS, SCOPE_FUSED, 0, 4,
        "hidden layers of a unimodal head; 0: it is linear"),
    INT("model.trunk", trunk, BOTH, SCOPE_FUSED, 1, 4096, "units of the fusion trunk"),
    INT("model.trunk_depth", trunk_depth, VECTORS, SCOPE_FUSED, 1, 4, "layers of the fusion trunk"),
    REAL("model.dropout", dropout, BOTH, SCOPE_FUSED, 0, 0.95,
         "dropout after the first layer of the fusion trunk and of MLP encoders"),
    CHOICE("model.fusion", fuse, BOTH, SCOPE_FUSED, fusion_names,
           "prediction from all modalities: a ReLU trunk, one linear layer, or the sum of the "
           "unimodal heads' predictions"),
    CHOICE("model.layernorm", layernorm, BOTH, SCOPE_FUSED, bool_names,
           "normalise each modality's features before the trunk"),
    CHOICE("model.detach_heads", detach_heads, BOTH, SCOPE_FUSED, bool_names,
           "keep the unimodal heads' gradient from the encoders"),
    CHOICE("init.encoders", init, MEDIA, SCOPE_FUSED, init_names,
           "start from the unimodal runs' best encoders, or from random weights"),
    REAL("optim.lr", lr, BOTH, SCOPE_FUSED, 0, 10, "learning rate of joint training"),
    REAL("optim.weight_decay", weight_decay, BOTH, SCOPE_FUSED, 0, 10,
         "coupled L2 of joint training: added to the gradient of every parameter"),
    REAL("optim.beta1", beta1, BOTH, TRAINED, 0, 0.99999, "Adam's first decay"),
    REAL("optim.beta2", beta2, BOTH, TRAINED, 0, 0.99999, "Adam's second decay"),
    REAL("optim.eps", eps, BOTH, TRAINED, 1e-16, 1, "Adam's epsilon"),
    INT("optim.batch", batch, BOTH, SCOPE_FUSED, 2, 4096, "samples per step of joint training"),
    INT("optim.epochs", epochs, BOTH, SCOPE_FUSED, 1, 100000, "most epochs of joint training"),
    INT("optim.patience", patience, BOTH, SCOPE_FUSED, 1, 100000,
        "stop joint training after this many epochs without improvement"),
    CHOICE("schedule.kind", schedule, BOTH, TRAINED, schedule_names,
           "learning rate over the steps: constant, a linear ramp then constant, constant then "
           "cosine restarts driven by the global step, or a linear ramp then these"),
    INT("schedule.warmup_steps", warmup_steps, BOTH, TRAINED, 0, 10000000,
        "steps of the ramp, or before the restarts"),
    INT("schedule.t0_steps", t0_steps, BOTH, TRAINED, 1, 1000000,
        "length of the first cosine cycle; each next one is twice as long"),
    CHOICE(
        "stop.rule", stop_rule, BOTH, TRAINED, stop_names,
        "what counts as improvement: the select.metric (its name for accuracy), or any of it and "
        "the loss (and then one epoch less of patience, as the authors' code does)"),
    CHOICE(
        "select.metric", select, BOTH, TRAINED, select_names,
        "what makes an epoch the best: validation accuracy, loss, accuracy on samples whose source "
        "is synergistic (on all where there is none), or that it is the last one"),
    REAL("pretrain.audio.lr", pretrain_audio_lr, MEDIA, SCOPE_AUDIO, 0, 10,
         "learning rate of the audio encoder alone"),
    REAL("pretrain.video.lr", pretrain_video_lr, MEDIA, SCOPE_VIDEO, 0, 10,
         "learning rate of the video encoder alone"),
    REAL("pretrain.weight_decay", pretrain_weight_decay, MEDIA, UNIMODAL, 0, 10,
         "coupled L2 of unimodal training"),
    INT("pretrain.batch", pretrain_batch, MEDIA, UNIMODAL, 2, 4096,
        "clips per step of unimodal training"),
    INT("pretrain.epochs", pretrain_epochs, MEDIA, UNIMODAL, 1, 100000,
        "most epochs of unimodal training"),
    INT("pretrain.patience", pretrain_patience, MEDIA, UNIMODAL, 1, 100000,
        "stop unimodal training after this many epochs without improvement"),
    REAL("loss.unimodal", unimodal_weight, BOTH, SCOPE_FUSED, 0, 1000,
         "weight of the unimodal heads' losses"),
    REAL("synib.lambda", lambda, BOTH, SCOPE_SYNIB, 0, 100000,
         "weight of the divergences, summed over modalities"),
    INT("synib.warmup_epochs", warmup_epochs, BOTH, SCOPE_SYNIB, 0, 100000,
        "epochs over which lambda grows linearly to its value; 0 = at once"),
    CHOICE(
        "synib.divergence", divergence, BOTH, SCOPE_SYNIB, divergence_names,
        "of the prediction's own family, or of N(logits, variances) with a head for the variances"),
    CHOICE("synib.reference", reference, BOTH, SCOPE_SYNIB, reference_names,
           "what the masked prediction is pulled to (uniform is N(0, I) for a Gaussian)"),
    CHOICE("synib.reverse", reverse, BOTH, SCOPE_SYNIB, bool_names,
           "KL(reference || model) instead of KL(model || reference)"),
    CHOICE("synib.detach", detach, BOTH, SCOPE_SYNIB, bool_names,
           "keep the divergences' gradient from the encoders"),
    REAL("synib.masked_ce", masked_ce, BOTH, SCOPE_SYNIB, 0, 1000,
         "weight of the label's loss on the masked predictions"),
    CHOICE("synib.ce_masks", ce_masks, BOTH, SCOPE_SYNIB, ce_masks_names,
           "masks of those predictions: the divergences' own, or random ones (mask.p) filled by "
           "shuffling"),
    INT("masking.copies", copies, BOTH, SCOPE_MASKING, 2, 3,
        "2: the batch, and a copy with every modality masked; 3: the batch, and a copy per "
        "modality "
        "with that one masked (1 + their number)"),
    CHOICE("mask.kind", mask, BOTH, SCOPE_MASKS, config_mask_names, "how masks are made"),
    CHOICE("mask.space", mask_space, BOTH, SCOPE_MASKS, space_names,
           "what is masked: what the trunk reads, or the encoders' input"),
    REAL("mask.p", mask_p, BOTH, SCOPE_MASKS, 0, 1, "random: probability that a value is masked"),
    CHOICE(
        "mask.fill", fill, BOTH, SCOPE_MASKS, fill_names,
        "what replaces masked values: noise with their running mean and variance, N(0, 1) noise, "
        "another sample's values, or zeros"),
    REAL("mask.noise_std", noise_std, BOTH, SCOPE_MASKS, 0, 1000,
         "deviation of the noise (ema: as a multiple of the running one)"),
    REAL("mask.ema_momentum", ema_momentum, BOTH, SCOPE_MASKS, 0, 0.999999,
         "momentum of the running mean and second moment"),
    REAL("mask.ema_var_floor", ema_var_floor, BOTH, SCOPE_MASKS, 1e-12, 1,
         "smallest running variance"),
    CHOICE(
        "mask.complement", complement, BOTH, SCOPE_MASKS, bool_names,
        "learned: corrupt what the adversary did not flag, as the paper says, or what it flagged"),
    CHOICE("mask.soft", soft, BOTH, SCOPE_MASKS, bool_names,
           "learned: use the gates themselves instead of cutting them at mask.threshold"),
    REAL("mask.threshold", threshold, BOTH, SCOPE_MASKS, 0, 1,
         "learned: gates above it are flagged"),
    REAL("mask.temperature", temperature, BOTH, SCOPE_MASKS, 1e-6, 1e6,
         "learned: gate = sigmoid(logit / temperature)"),
    REAL("mask.sparsity", sparsity, BOTH, SCOPE_MASKS, 0, 1e6,
         "learned: weight of the mean gate in the adversary's objective"),
    INT("mask.steps", mask_steps, BOTH, SCOPE_MASKS, 1, 100000, "learned: Adam steps per batch"),
    CHOICE("mask.lr_schedule", mask_schedule, BOTH, SCOPE_MASKS, mask_schedule_names,
           "learned: learning rate over those steps; cosine ends at a tenth"),
    REAL("mask.lr", mask_lr, BOTH, SCOPE_MASKS, 0, 1000, "learned: learning rate of those steps"),
    REAL("mask.clip", mask_clip, BOTH, SCOPE_MASKS, 0, 1e9,
         "learned: largest norm of the logits' gradient; 0 = no limit"),
    REAL("mask.init", mask_init, BOTH, SCOPE_MASKS, -100, 100,
         "learned: logit that every gate starts from"),
    CHOICE("mask.head_on", head_on, BOTH, SCOPE_MASKS, head_names,
           "learned, in latent space: the unimodal head reads masked features as it was trained "
           "(layer norm undone), or the normalised ones, as the released code does"),
    INT("mask.net_width", mask_width, BOTH, SCOPE_MASKS, 1, 65536,
        "learned-mlp: units of the mask network's hidden layer"),
    REAL("mask.net_lr", mask_net_lr, BOTH, SCOPE_MASKS, 0, 10,
         "learned-mlp: learning rate of the mask network"),
    CHOICE("ensemble.standardise", standardise, MEDIA, SCOPE_ENSEMBLE, bool_names,
           "add the unimodal logits, standardised over the batch, as the released code does; "
           "predictions then depend on the batch"),
    INT("ensemble.batch", ensemble_batch, MEDIA, SCOPE_ENSEMBLE, 2, 4096,
        "samples per batch of a prediction; matters with ensemble.standardise only"),
    REAL("dnr.alpha", dnr_alpha, BOTH, SCOPE_DNR, 0, 1000,
         "reset strength of a modality = tanh(alpha |purity on train - purity on validation|)"),
    INT("dnr.every", dnr_every, BOTH, SCOPE_DNR, 1, 100000, "epochs between resets"),
    INT("dnr.times", dnr_times, BOTH, SCOPE_DNR, 0, 100000, "most resets of a run"),
    INT("dnr.clusters", dnr_clusters, BOTH, SCOPE_DNR, 2, 1024, "clusters of k-means"),
    CHOICE(
        "dnr.val_features", dnr_features, BOTH, SCOPE_DNR, dnr_names,
        "validation features of the gap: each modality's own, or the last modality's for all, as "
        "the released code does"),
    CHOICE("dnr.eval_epoch", dnr_eval_epoch, BOTH, SCOPE_DNR, bool_names,
           "train the epoch after a reset in evaluation mode, as the released code does"),
    REAL("mmpareto.alpha", pareto_alpha, BOTH, SCOPE_MMPARETO, 0, 1000,
         "factor of the encoders' gradients"),
    CHOICE("mmpareto.rescale", pareto_rescale, BOTH, SCOPE_MMPARETO, bool_names,
           "stretch the combined gradient to the norm of the plain sum where it is shorter"),
    INT("reconboost.epochs", boost_epochs, BOTH, SCOPE_RECONBOOST, 1, 100000,
        "epochs of one stage: a modality alone, then all together, then the next modality"),
    REAL("reconboost.ce", boost_ce, BOTH, SCOPE_RECONBOOST, 0, 1000,
         "weight of -log p(label) of the modality whose stage it is"),
    REAL("reconboost.residual", boost_residual, BOTH, SCOPE_RECONBOOST, 0, 1000,
         "weight of its negative, times the fused probability of the label"),
    REAL("mcr.weight", mcr_weight, BOTH, SCOPE_MCR, 0, 1000,
         "weight of the divergences between permuted and intact predictions"),
    REAL("mcr.contrastive", mcr_contrastive, BOTH, SCOPE_MCR, 0, 1000,
         "weight of the supervised contrastive loss"),
    REAL("mcr.temperature", mcr_temperature, BOTH, SCOPE_MCR, 1e-2, 1000,
         "temperature of the contrastive loss"),
    CHOICE(
        "mcr.game", mcr_game, BOTH, SCOPE_MCR, game_names,
        "who is moved by which divergence: every modality raises its own and lowers the others', "
        "raises its own only, or all raise all"),
    CHOICE(
        "mcr.shuffle", mcr_shuffle, BOTH, SCOPE_MCR, shuffle_names,
        "rows that a permutation counts: all, those whose donor has another label, or those whose "
        "donor is another sample"),
    INT("mcr.permutations", mcr_permutations, BOTH, SCOPE_MCR, 1, 1024,
        "permutations of the batch per step"),
    INT("checkpoint.steps", checkpoint_steps, BOTH, SCOPE_NONE, 0, 1000000000,
        "save every this many steps besides the ends of epochs; 0 = not"),
    INT("checkpoint.epochs", checkpoint_epochs, BOTH, SCOPE_NONE, 0, 1000000000,
        "save at the end of every this many epochs; 0 = at the end of the run only"),
    INT("diag.ntk", ntk_steps, BOTH, SCOPE_FUSED, 0, 1000000000,
        "measure the empirical neural tangent kernel per source every this many steps; 0 = never"),
    CHOICE("diag.train_pass", train_pass, BOTH, SCOPE_FUSED, bool_names,
           "measure the training split anew after each epoch, instead of counting its steps"),
};
const int config_setting_count = sizeof config_settings / sizeof config_settings[0];
static_assert(sizeof config_settings / sizeof config_settings[0] <= CONFIG_SETTINGS_MAX,
              "arrays per setting are large enough");
