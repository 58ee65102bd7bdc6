/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_CONFIG_EFFECT_H
#define TRAIN_CONFIG_EFFECT_H

#include "train/methods/method.h"

/* Which settings decide nothing as the others stand: mask.net_width without mask.kind =
 * learned-mlp, mask.ema_momentum without mask.fill = ema, schedule.t0_steps without restarts. Two
 * runs that differ in such a setting only are one run under two names. Known are settings that
 * switch others off, not values that happen to come to the same (a patience longer than the run),
 * and nothing that the samples decide. tests/unit/test_config_effect.c trains with two values of
 * each. A new setting that another one can switch off has a line in the table of
 * config_effect.c. */

/* What is to be predicted, where that is known. */
enum config_targets { TARGETS_UNKNOWN, TARGETS_CLASSES, TARGETS_NUMBERS };

/* NULL when the key has an effect on runs of the method, else what it needs, e.g. "mask.kind =
 * learned-mlp", a literal. `assignment` is a key or key=value; its scopes (config_scopes) are the
 * caller's to look at. */
const char *config_effect_needs(const struct config *c, const struct method *m,
                                enum config_targets targets, const char *assignment);

/* The settings of a run as they were given, and what config_resolve made of them. */
struct config_given {
    const char *preset, *mask; /* as for config_resolve */
    const char *const *set;
    const struct method *method;
    const struct config *config;
    enum config_targets targets;
};

/* The same of a whole run, which may begin with unimodal ones, whose sections of the preset may say
 * otherwise; and one of g->set without which the others are refused has that for its effect. Fails
 * as config_resolve does. */
NODISCARD enum err_code config_given_needs(const char **needs, const struct config_given *g,
                                           const char *assignment, struct err *e);

#endif
