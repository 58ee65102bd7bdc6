/* SPDX-License-Identifier: MIT */
#include "train/config_table.h"

#include "common/base/cli.h"
#include "common/base/mem.h"
#include "common/base/text_stream.h"
#include "train/methods/method.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 512 };

static int64_t *int_field(struct config *c, const struct setting *s)
{
    return (int64_t *)(void *)((char *)c + s->offset);
}

static double *real_field(struct config *c, const struct setting *s)
{
    return (double *)(void *)((char *)c + s->offset);
}

/* Index of a key, looked for behind *index first: presets list keys in the table's order. ERR_USAGE
 * names the nearest. */
static enum err_code find_key(int *index, const char *key, struct err *e)
{
    const char *keys[CONFIG_SETTINGS_MAX + 1] = {0};

    for (int i = 0; i < config_setting_count; i++) {
        *index = (*index + 1) % config_setting_count;
        if (strcmp(config_settings[*index].key, key) == 0)
            return ERR_OK;
    }
    for (int i = 0; i < config_setting_count; i++)
        keys[i] = config_settings[i].key;
    return cli_choice(index, key, keys, "setting", e);
}

static enum err_code set_value(struct config *c, const struct setting *s, const char *text,
                               struct err *e)
{
    int choice;

    if (s->type == VALUE_INT)
        return cli_int(int_field(c, s), text, (int64_t)s->min, (int64_t)s->max, s->key, e);
    if (s->type == VALUE_REAL)
        return cli_double(real_field(c, s), text, s->min, s->max, s->key, e);
    TRY(cli_choice(&choice, text, s->choices, s->key, e));
    *int_field(c, s) = choice;
out:
    return e->code;
}

static char *trim(char *text)
{
    size_t len;

    text += strspn(text, " \t");
    len = strlen(text);
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        text[--len] = '\0';
    return text;
}

/* By --set or in a section: what a preset is for stands, and so does what it has no use for. */
static bool may_change(const struct setting *s, const struct config *c)
{
    return (s->kinds >> c->kind & 1) != 0 && s->offset != offsetof(struct config, kind);
}

enum err_code config_set(struct config *c, const char *assignment, struct err *e)
{
    char buffer[MAX_LINE];
    char *equals;
    int index = 0;

    if (strlen(assignment) >= sizeof buffer)
        return err_set(e, ERR_USAGE, "--set: '%.40s...' is too long", assignment);
    strcpy(buffer, assignment);
    equals = strchr(buffer, '=');
    if (equals == NULL)
        return err_set(e, ERR_USAGE, "--set: '%s' is not of the form key=value", assignment);
    *equals = '\0';
    TRY(find_key(&index, trim(buffer), e));
    if (!may_change(&config_settings[index], c))
        FAIL(err_set(e, ERR_USAGE, "%s: is no setting of this preset's data.kind",
                     config_settings[index].key));
    TRY(set_value(c, &config_settings[index], trim(equals + 1), e));
out:
    return err_in(e, "--set %s", assignment);
}

/* The setting of an assignment's key, NULL when there is none. */
static const struct setting *setting_of(const char *assignment)
{
    size_t len = strcspn(assignment, " \t=");

    for (int i = 0; i < config_setting_count; i++)
        if (strncmp(config_settings[i].key, assignment, len) == 0 &&
            config_settings[i].key[len] == '\0')
            return &config_settings[i];
    return NULL;
}

unsigned config_scopes(const char *assignment)
{
    const struct setting *s = setting_of(assignment);

    return s != NULL && s->scopes != SCOPE_NONE ? s->scopes : ~0u;
}

/* ---- presets ---- */

/* A preset is read twice: first its general lines and the sections of the method, which say what
 * mask.kind is unless the caller does, then the sections of the method with that mask. */
struct preset_reader {
    struct config *config;
    const char *method, *mask;
    bool second;   /* reading */
    bool skipping; /* in a section that does not apply, or not in this reading */
    bool in_section;
    int setting;                     /* of the line before */
    int seen[CONFIG_SETTINGS_MAX];   /* line of the general value, 0 = none yet */
    int seen_m[CONFIG_SETTINGS_MAX]; /* line of this section's value */
};

/* "[METHOD]" or "[METHOD MASK]". */
static enum err_code section_line(struct preset_reader *r, char *line, struct err *e)
{
    size_t len = strlen(line);
    const char *methods_known[METHODS_MAX];
    int method, mask = -1;
    char *space;

    if (line[len - 1] != ']')
        return err_set(e, ERR_USAGE, "a section is one line of the form [METHOD] or [METHOD MASK]");
    line[len - 1] = '\0';
    line = trim(line + 1);
    space = strpbrk(line, " \t");
    if (space != NULL) {
        *space = '\0';
        TRY(cli_choice(&mask, trim(space + 1), config_mask_names, "mask of a section", e));
    }
    method_names(methods_known);
    TRY(cli_choice(&method, line, methods_known, "section", e));
    r->skipping = strcmp(methods_known[method], r->method) != 0 || (mask >= 0) != r->second ||
                  (mask >= 0 && strcmp(config_mask_names[mask], r->mask) != 0);
    r->in_section = true;
    memset(r->seen_m, 0, sizeof r->seen_m);
out:
    return e->code;
}

static enum err_code preset_line(struct preset_reader *r, int number, char *line, struct err *e)
{
    const struct setting *s;
    struct config scratch;
    char *equals, *comment = strchr(line, '#');
    int *seen;

    if (comment != NULL)
        *comment = '\0';
    line = trim(line);
    if (line[0] == '\0')
        return ERR_OK;
    if (line[0] == '[')
        return section_line(r, line, e);
    equals = strchr(line, '=');
    if (equals == NULL)
        return err_set(e, ERR_USAGE, "'%s' is not of the form key = value", line);
    *equals = '\0';
    TRY(find_key(&r->setting, trim(line), e));
    s = &config_settings[r->setting];
    if (r->in_section && r->seen[0] != 0 && !may_change(s, r->config)) /* data.kind is known */
        return err_set(e, ERR_USAGE, "%s: is no setting of this preset's data.kind", s->key);
    seen = r->in_section ? &r->seen_m[r->setting] : &r->seen[r->setting];
    if (*seen != 0)
        return err_set(e, ERR_USAGE, "%s is set twice (first in line %d)", s->key, *seen);
    *seen = number;
    TRY(set_value(r->skipping ? &scratch : r->config, s, trim(equals + 1), e));
out:
    return e->code;
}

static enum err_code read_lines(struct preset_reader *r, const char *name, const char *text,
                                size_t len, struct err *e)
{
    const char *p = text, *end = text + len;

    memset(r->seen, 0, sizeof r->seen);
    r->skipping = r->second;
    r->in_section = false;
    for (int number = 1; p < end; number++) {
        char line[MAX_LINE];
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((stop != NULL ? stop : end) - p);

        if (n >= sizeof line || memchr(p, '\0', n) != NULL)
            return err_set(e, ERR_USAGE, "%s:%d: not a line of text", name, number);
        if (memchr(p, '\r', n) != NULL)
            return err_set(e, ERR_USAGE,
                           "%s:%d: the line has a carriage return: save it with LF line ends", name,
                           number);
        memcpy(line, p, n);
        line[n] = '\0';
        if (preset_line(r, number, line, e) != ERR_OK)
            return err_in(e, "%s:%d", name, number);
        p += n + 1;
    }
    return ERR_OK;
}

/* Every setting of the preset's data.kind once before the sections, and no other. */
static enum err_code check_complete(const struct preset_reader *r, const char *name, struct err *e)
{
    for (int i = 0; i < config_setting_count; i++) {
        const struct setting *s = &config_settings[i];
        bool exists = (s->kinds >> r->config->kind & 1) != 0;

        if (exists && r->seen[i] == 0)
            err_add_line(e, ERR_USAGE,
                         "%s: %s is missing: a preset sets every key once before its sections",
                         name, s->key);
        else if (!exists && r->seen[i] != 0)
            err_add_line(e, ERR_USAGE, "%s:%d: %s is no setting of this data.kind", name,
                         r->seen[i], s->key);
    }
    return e->code;
}

enum err_code config_parse(struct config *c, const char *name, const char *method, const char *mask,
                           const char *text, size_t len, struct err *e)
{
    struct preset_reader r = {.config = c, .method = method, .mask = mask};

    memset(c, 0, sizeof *c);
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        FAIL(err_set(e, ERR_USAGE, "%s:1: starts with a byte order mark: save it as plain UTF-8",
                     name));
    for (int reading = 1; reading <= 2; reading++) {
        r.second = reading == 2;
        TRY(read_lines(&r, name, text, len, e));
        TRY(check_complete(&r, name, e));
        r.mask = mask != NULL ? mask : config_mask_names[c->mask];
    }
out:
    return e->code;
}

bool config_ramps(const struct config *c)
{
    return c->schedule == SCHEDULE_LINEAR_WARMUP || c->schedule == SCHEDULE_LINEAR_WARMUP_RESTARTS;
}

bool config_restarts(const struct config *c)
{
    return c->schedule == SCHEDULE_RESTARTS || c->schedule == SCHEDULE_LINEAR_WARMUP_RESTARTS;
}

enum err_code config_check(const struct config *c, struct err *e)
{
    bool media = c->kind == KIND_MEDIA;

    if (media && c->width % 16 != 0)
        return err_set(e, ERR_USAGE, "model.width: %lld is not a multiple of 16",
                       (long long)c->width);
    if (config_ramps(c) && c->warmup_steps == 0)
        return err_set(e, ERR_USAGE,
                       "schedule.warmup_steps: a linear ramp needs at least one step");
    if (c->stop_rule == STOP_ANY && (c->patience < 2 || (media && c->pretrain_patience < 2)))
        return err_set(e, ERR_USAGE,
                       "stop.rule: 'any' uses one epoch less than the patience: optim.patience and "
                       "pretrain.patience must be at least 2");
    if (c->fuse == FUSION_SUM && c->layernorm)
        return err_set(e, ERR_USAGE,
                       "model.fusion: a sum of unimodal predictions is without layer norm: set "
                       "model.layernorm = false");
    if (c->mask_space == SPACE_LATENT && !media &&
        (c->mask == MASK_ORACLE || c->mask == MASK_ORACLE_LITERAL))
        return err_set(e, ERR_USAGE,
                       "mask.space: an oracle mask marks input values: use mask.space = input");
    if (media && c->mask_space == SPACE_INPUT &&
        (c->mask == MASK_LEARNED || c->mask == MASK_LEARNED_MLP))
        return err_set(e, ERR_USAGE,
                       "mask.space: learned masks of pictures and sound are in latent space only: "
                       "their encoders' first layer gives no gradient towards its input");
    return ERR_OK;
}

/* The value of mask.kind in an assignment, NULL when its key is another. */
static const char *mask_of(const char *assignment)
{
    const struct setting *s = setting_of(assignment);
    const char *equals = strchr(assignment, '=');

    if (s == NULL || s->offset != offsetof(struct config, mask) || equals == NULL)
        return NULL;
    return equals + 1 + strspn(equals + 1, " \t");
}

enum err_code config_resolve(struct config *c, const char *preset, const char *method,
                             const char *mask, const char *const *assignments, struct err *e)
{
    int known = -1;

    /* The mask is known before the preset is read: the preset may have a section for it. */
    for (int i = 0; assignments[i] != NULL; i++) {
        if (mask_of(assignments[i]) == NULL)
            continue;
        if (mask != NULL && strcmp(mask, mask_of(assignments[i])) != 0)
            return err_set(e, ERR_USAGE, "%s: the mask is %s already", assignments[i], mask);
        mask = mask_of(assignments[i]);
    }
    if (mask != NULL)
        TRY(cli_choice(&known, mask, config_mask_names, "mask", e));
    TRY(config_load(c, preset, method, mask, e));
    if (mask != NULL)
        c->mask = known;
    for (int i = 0; assignments[i] != NULL; i++)
        TRY(config_set(c, assignments[i], e));
    TRY(config_check(c, e));
out:
    return e->code;
}

static void format_value(char *text, size_t size, const struct config *c, const struct setting *s)
{
    const char *field = (const char *)c + s->offset;
    int64_t i;
    double v;

    if (s->type == VALUE_REAL) {
        memcpy(&v, field, sizeof v);
        cli_format_double(text, size, v);
        return;
    }
    memcpy(&i, field, sizeof i);
    if (s->type == VALUE_INT)
        snprintf(text, size, "%lld", (long long)i);
    else
        snprintf(text, size, "%s", s->choices[i]);
}

static void describe(FILE *f, const struct setting *s)
{
    fprintf(f, "\n# %s", s->help);
    if (s->type == VALUE_CHOICE) {
        fprintf(f, "\n# one of");
        for (int i = 0; s->choices[i] != NULL; i++)
            fprintf(f, "%s %s", i > 0 ? "," : "", s->choices[i]);
        fprintf(f, "\n");
    } else {
        fprintf(f, "\n# %s from %.10g to %.10g\n",
                s->type == VALUE_INT ? "a whole number" : "a number", s->min, s->max);
    }
}

static enum err_code write_settings(char **out, const struct config *c, unsigned scopes,
                                    bool described, struct err *e)
{
    FILE *f = text_stream_open(out, "configuration", e);

    if (f == NULL)
        return e->code;
    for (int i = 0; i < config_setting_count; i++) {
        const struct setting *s = &config_settings[i];
        char value[64];

        if ((scopes != ~0u && (s->scopes & scopes) == 0) || (s->kinds >> c->kind & 1) == 0)
            continue;
        if (described)
            describe(f, s);
        format_value(value, sizeof value, c, s);
        fprintf(f, "%s = %s\n", s->key, value);
    }
    return text_stream_close(f, out, "configuration", e);
}

enum err_code config_text(char **out, const struct config *c, unsigned scopes, struct err *e)
{
    return write_settings(out, c, scopes, false, e);
}

enum err_code config_describe(char **out, const struct config *c, struct err *e)
{
    return write_settings(out, c, ~0u, true, e);
}

/* The line "KEY = VALUE" of a key in a text of such lines; false if absent. */
static bool find_line(const char *text, const char *key, size_t key_len, const char **value,
                      size_t *value_len)
{
    for (const char *p = text; *p != '\0';) {
        const char *end = strchrnul(p, '\n');

        if (strncmp(p, key, key_len) == 0 && strncmp(p + key_len, " = ", 3) == 0) {
            *value = p + key_len + 3;
            *value_len = (size_t)(end - *value);
            return true;
        }
        p = *end == '\n' ? end + 1 : end;
    }
    *value = "";
    *value_len = 0;
    return false;
}

enum err_code config_compare(const char *recorded, const char *wanted, const char *what,
                             struct err *e)
{
    const char *texts[2] = {recorded, wanted};

    for (int side = 0; side < 2; side++) {
        for (const char *p = texts[side]; *p != '\0';) {
            const char *end = strchrnul(p, '\n'), *equals = strstr(p, " = ");
            size_t key_len =
                equals != NULL && equals < end ? (size_t)(equals - p) : (size_t)(end - p);
            const char *was, *now;
            size_t was_len, now_len;
            bool known = find_line(recorded, p, key_len, &was, &was_len);
            bool asked = find_line(wanted, p, key_len, &now, &now_len);
            bool same = known && asked && was_len == now_len && memcmp(was, now, was_len) == 0;

            /* keys of both sides are compared when the first side is walked */
            if ((side == 0 || !known) && !same)
                err_add_line(e, ERR_DATA, "%s: %.*s differs: recorded '%.*s', now '%.*s'", what,
                             (int)key_len, p, (int)was_len, was, (int)now_len, now);
            p = *end == '\n' ? end + 1 : end;
        }
    }
    return e->code;
}
