/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_CONFIG_TABLE_H
#define TRAIN_CONFIG_TABLE_H

#include "train/config.h"

/* The table of settings, for config.c alone. */

enum value_type { VALUE_INT, VALUE_REAL, VALUE_CHOICE };

/* Integers and choices are int64_t fields, reals are doubles. */
struct setting {
    const char *key;
    enum value_type type;
    size_t offset; /* in struct config */
    unsigned scopes;
    unsigned kinds; /* bit per enum config_kind: where it exists */
    double min, max;
    const char *const *choices;
    const char *help;
};

extern const struct setting config_settings[];
extern const int config_setting_count;
enum { CONFIG_SETTINGS_MAX = 128 };

#endif
