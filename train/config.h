/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_CONFIG_H
#define TRAIN_CONFIG_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* Every setting of a training run. Values come from a preset file (manifests/presets/NAME.conf) and
 * from --set; this module holds names, types and ranges but no defaults, so a preset names them
 * all. docs/formats/presets.md lists the keys. */

/* What a preset is for; some settings exist for one of them only. */
enum config_kind { KIND_MEDIA, KIND_VECTORS };

enum crop_unit { CROP_FRAME, CROP_CLIP };
enum schedule_kind {
    SCHEDULE_CONSTANT,
    SCHEDULE_LINEAR_WARMUP,
    SCHEDULE_RESTARTS,
    SCHEDULE_LINEAR_WARMUP_RESTARTS,
};
enum stop_rule { STOP_ACCURACY, STOP_ANY };
enum select_metric { SELECT_ACCURACY, SELECT_LOSS, SELECT_SYNERGY, SELECT_LAST };
enum init_kind { INIT_PRETRAINED, INIT_SCRATCH };
enum synib_divergence { DIVERGENCE_FAMILY, DIVERGENCE_GAUSSIAN };
enum synib_reference { REFERENCE_UNMASKED, REFERENCE_MASKED, REFERENCE_UNIFORM };
enum ce_masks { CE_MASKS_SAME, CE_MASKS_SHUFFLE };
enum mask_kind {
    MASK_RANDOM,
    MASK_LEARNED,
    MASK_LEARNED_MLP,
    MASK_ORACLE,
    MASK_ORACLE_LITERAL,
    MASK_ALL,
    MASK_NONE,
    MASK_KINDS
};
enum mask_space { SPACE_LATENT, SPACE_INPUT };
enum mask_schedule { MASK_LR_CONSTANT, MASK_LR_COSINE };
enum head_input { HEAD_ON_FEATURES, HEAD_ON_FUSION_INPUT };
enum dnr_features { DNR_OWN, DNR_LAST };
enum mcr_game { GAME_GREEDY, GAME_INDEPENDENT, GAME_COLLABORATIVE };
enum mcr_shuffle { SHUFFLE_ALL, SHUFFLE_OTHER_LABEL, SHUFFLE_OTHER_SAMPLE };
enum fill_kind { FILL_EMA, FILL_NORMAL, FILL_SHUFFLE, FILL_ZEROS };

struct config {
    int64_t kind; /* enum config_kind */
    int64_t audio_pool, video_size;
    int64_t augment;   /* bool */
    int64_t crop_unit; /* enum crop_unit */
    double scale_min;
    int64_t width, precision; /* of the ResNet18 encoders; precision: enum nn_precision */
    int64_t encoder_width, encoder_depth, head_width, head_depth, trunk, trunk_depth;
    double dropout;
    int64_t fuse;                    /* enum fusion_kind */
    int64_t layernorm, detach_heads; /* bools */
    int64_t init;                    /* enum init_kind */
    double lr, weight_decay, beta1, beta2, eps;
    int64_t batch, epochs, patience;
    int64_t schedule, warmup_steps, t0_steps; /* schedule: enum schedule_kind */
    int64_t stop_rule;                        /* enum stop_rule */
    int64_t select;                           /* enum select_metric */
    double pretrain_audio_lr, pretrain_video_lr, pretrain_weight_decay;
    int64_t pretrain_batch, pretrain_epochs, pretrain_patience;
    double unimodal_weight;
    double lambda, masked_ce;
    int64_t warmup_epochs;             /* of lambda */
    int64_t divergence, reference;     /* enum synib_divergence, synib_reference */
    int64_t reverse, detach, ce_masks; /* bools, enum ce_masks */
    int64_t copies;                    /* of masking-only */
    int64_t mask, mask_space;          /* enum mask_kind, mask_space */
    double mask_p;
    int64_t fill; /* enum fill_kind */
    double noise_std, ema_momentum, ema_var_floor;
    int64_t complement, soft; /* bools */
    double threshold, temperature, sparsity;
    int64_t mask_steps, mask_schedule; /* mask_schedule: enum mask_schedule */
    double mask_lr, mask_clip, mask_init;
    int64_t head_on, mask_width; /* head_on: enum head_input */
    double mask_net_lr;
    int64_t standardise, ensemble_batch; /* standardise: bool */
    double dnr_alpha;
    int64_t dnr_every, dnr_times, dnr_clusters;
    int64_t dnr_features, dnr_eval_epoch; /* enum dnr_features, bool */
    double pareto_alpha;
    int64_t pareto_rescale; /* bool */
    int64_t boost_epochs;
    double boost_ce, boost_residual;
    double mcr_weight, mcr_contrastive, mcr_temperature;
    int64_t mcr_game, mcr_shuffle, mcr_permutations; /* enum mcr_game, mcr_shuffle */
    int64_t checkpoint_steps, checkpoint_epochs;
    int64_t ntk_steps, train_pass; /* train_pass: bool */
};

/* What a setting can change; a run depends on, and records, the settings of its method's scopes
 * only. Two runs are the same when those are equal. */
enum config_scope {
    SCOPE_AUDIO = 1 << 0, /* an audio encoder and its head */
    SCOPE_VIDEO = 1 << 1,
    SCOPE_FUSED = 1 << 2, /* joint training of a fusion trunk */
    SCOPE_SYNIB = 1 << 3,
    SCOPE_MASKS = 1 << 4,
    SCOPE_MASKING = 1 << 5, /* masked copies as augmentation */
    SCOPE_ENSEMBLE = 1 << 6,
    SCOPE_DNR = 1 << 7,
    SCOPE_MMPARETO = 1 << 8,
    SCOPE_RECONBOOST = 1 << 9,
    SCOPE_MCR = 1 << 10,
    SCOPE_NONE = 0, /* never changes what is learned: not recorded */
};

/* Names of mask.kind, by enum mask_kind; NULL-terminated. */
extern const char *const config_mask_names[];

/* Reads preset `name`: a path when it holds a '/' or ends in ".conf", else NAME.conf in the first
 * of $SYNIB_MANIFESTS/presets, ../../manifests/presets and ../share/synib/manifests/presets beside
 * the running program that has it. Lines of other methods' sections are checked and skipped, and
 * those of "[METHOD MASK]" apply when mask.kind is MASK: `mask`, or what the lines before say when
 * it is NULL. ERR_USAGE names file and line: unknown key (with the nearest), value out of its
 * range, a key twice, a key missing or not of this data.kind. */
NODISCARD enum err_code config_load(struct config *c, const char *name, const char *method,
                                    const char *mask, struct err *e);
/* The same from memory; `name` stands for the path. */
NODISCARD enum err_code config_parse(struct config *c, const char *name, const char *method,
                                     const char *mask, const char *text, size_t len, struct err *e);
/* One "key=value" as given to --set. */
NODISCARD enum err_code config_set(struct config *c, const char *assignment, struct err *e);
/* The scopes of the key of such an assignment, ~0u when it has none (SCOPE_NONE) or is unknown. */
unsigned config_scopes(const char *assignment);
/* Rules that involve several settings; call after the last config_set. */
NODISCARD enum err_code config_check(const struct config *c, struct err *e);
/* What schedule.kind consists of: a linear ramp, cosine restarts, both or neither. */
bool config_ramps(const struct config *c);
bool config_restarts(const struct config *c);
/* All of the above, for tools: the preset for `method`, its mask (NULL: from an assignment of
 * mask.kind, which must not be another, or the preset), the NULL-terminated assignments in order,
 * and config_check. */
NODISCARD enum err_code config_resolve(struct config *c, const char *preset, const char *method,
                                       const char *mask, const char *const *assignments,
                                       struct err *e);

/* "key = value" lines, in table order, of the settings in `scopes` (~0u: all) that exist for c's
 * data.kind; reads back to the same values. Caller frees. */
NODISCARD enum err_code config_text(char **out, const struct config *c, unsigned scopes,
                                    struct err *e);
/* The same with what each setting means and the values it takes, for --print-config. */
NODISCARD enum err_code config_describe(char **out, const struct config *c, struct err *e);

/* ERR_DATA with one line per key whose value differs between two config_text results, "" when a key
 * is missing on one side; `what` starts each line. ERR_OK when equal. */
NODISCARD enum err_code config_compare(const char *recorded, const char *wanted, const char *what,
                                       struct err *e);

#endif
